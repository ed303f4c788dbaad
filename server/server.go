// Package server is sealwright as a service: keys behind an HTTP API.
//
// [Run] joins the store, the root key, the keys and the API, and serves until
// its context ends. docs/operate/server.md says how to run it.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/authn"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/idempotency"
	"github.com/sealwright/sealwright/server/internal/overload"
	"github.com/sealwright/sealwright/server/internal/rest"
	"github.com/sealwright/sealwright/server/internal/rpc"
	elsewhere "github.com/sealwright/sealwright/server/internal/source"
	"github.com/sealwright/sealwright/server/internal/telemetry"
)

// Files in the data folder.
const (
	databaseFile = "sealwright.db"
	rootKeyFile  = "root.key"
	tokenFile    = "admin-token"
	replayFolder = "replay"
)

// Timeouts of the HTTP server.
const (
	progressTimeout = time.Minute      // for the header and each 64 KiB of a body
	idleTimeout     = 2 * time.Minute  // between two requests of a connection
	stopTimeout     = 30 * time.Second // for what is in flight when the server stops
	maxHeader       = 64 << 10         // bytes of a request's header
)

// system is who does what nobody asked for.
var system = access.System(access.DefaultTenant)

// database is what the server needs of its store.
type database interface {
	custody.Store
	gate.Nonces
	idempotency.Store
	Close() error
}

// Run starts a server and serves until ctx ends. Then it takes no new requests,
// finishes those in flight for up to 30 seconds, and returns nil. Any other end
// is an error, also one of the start: before Run changes anything it checks its
// configuration and itself, and a root key that does not fit the store stops it
// before it writes.
//
// While Run serves, SIGHUP makes it read the root key again and wrap the data
// keys under the newest one.
func Run(ctx context.Context, c Config) error {
	c, err := c.resolve()
	if err != nil {
		return err
	}
	if err := mac.SelfTest(); err != nil {
		return err
	}
	known, err := loadSchemes(c.Schemes)
	if err != nil {
		return err
	}
	if c.secure, err = openTLS(c.tls); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Listen) // first: a port in use changes nothing
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer listener.Close() // again, if it has served
	g, err := listenGRPC(c)
	if err != nil {
		return err
	}
	defer g.close()
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	db, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	err = serve(ctx, c, listener, g, db, known)
	return errors.Join(err, db.Close())
}

// openKeys opens the root key and the keys.
func openKeys(ctx context.Context, c Config, db database, nodes cluster, from elsewhere.Set) (*custody.Service, *rootKeys, error) {
	used, err := custody.CountRootKeys(ctx, db)
	if err != nil {
		return nil, nil, err
	}
	root, err := openRootKeys(ctx, c, idsOf(used))
	if err != nil {
		return nil, nil, err
	}
	devices, first := root.devices(ctx, c)
	keys, err := custody.Open(ctx, nodes.options(custody.Options{
		Devices: devices, FirstDevice: first,
		Store: db, Wrapper: root, Grace: c.keys.grace, DestroyWait: c.keys.destroyWait, PromoteAfter: c.keys.promoteAfter,
		Usable: custody.All(root.usable()), ReadSource: from.Read,
	}))
	if err != nil {
		return nil, nil, errors.Join(err, root.Close())
	}
	return keys, root, nil
}

// serve runs a server on an open store.
func serve(ctx context.Context, c Config, l net.Listener, g grpcListener, db database, known schemes) (err error) {
	nodes, err := joinCluster(ctx, c, db) // before anything is loaded
	if err != nil {
		return err
	}
	sources, closeSources, err := openSources(ctx, c.sources)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeSources()) }()
	keys, root, err := openKeys(ctx, c, db, nodes, sources)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	recorder := telemetry.New(telemetry.Options{
		Output: c.Stderr, Level: c.level(), Text: c.text(), Version: c.Version, Keys: keys.Count, Followed: nodes.followed(),
	})
	defer func() { _ = recorder.Flush() }() // there is nobody left to tell
	log := recorder.Log()
	if n, err := keys.Rewrap(ctx, system); err != nil {
		return err
	} else if n > 0 {
		log.Info(msgRewrapped, "data_keys", n)
	}
	token, created, err := authn.OpenAdminToken(ctx, db, filepath.Join(c.Data, tokenFile), time.Now())
	if err != nil {
		return err
	}
	callers, err := openCallers(ctx, db, keys, nodes)
	if err != nil {
		return err
	}
	prepared, err := openPreparer(ctx, c, db, keys, callers, log)
	if err != nil {
		return err
	}
	defer prepared.close()
	seen, err := openGuard(ctx, c, db, keys, nodes, recorder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, seen.Close()) }()
	cursors, err := nodes.cursors(ctx, db, keys)
	if err != nil {
		return err
	}
	tokens, err := openTokens(ctx, c, db, keys, callers, nodes, seen, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tokens.Close()) }()
	who, err := authenticator(callers, token, nodes, seen, tokens.kinds()...)
	if err != nil {
		return err
	}
	who = append(who, tokens.methods()...)
	slow := slowDown(c.limits)
	var ready atomic.Bool
	rotator := &rotator{file: c.rootKeyFile(), db: db, root: root, keys: keys, log: log}
	limiter, quotas, err := openLimits(ctx, c.limits, seen.shared, db, callers, log)
	if err != nil {
		return err
	}
	api, err := rest.New(rest.Options{
		Keys: keys, Tenants: callers, Policies: prepared.policies, Root: rotator, Authenticate: slow(who.Authenticate), Again: callers.Again, Exchange: tokens.give(slow), Schemes: known, Sample: newSamples(known).find,
		Record: recorder.Record, Prepare: prepared.prepare, Claim: seen.check,
		Log: log, Metrics: recorder.Metrics(), Ready: ready.Load, Usable: keys.Usable, Cursors: cursors, Version: c.Version,
		Notice:  notices(root.notice, nodes.notice, prepared.notice, func() string { return sourceNotice(keys.SourceTroubles()) }, seen.notice),
		Limiter: limiter, Quotas: quotas, Answers: &idempotency.Service{Store: db, Sealer: keys},
		Limits: c.requestLimits(),
	})
	if err != nil {
		return err
	}
	turns := overload.NewShedder(tokens.pages(api), c.limits.concurrency, c.limits.queue)
	grpc, err := newGRPCServer(c, g, rpc.Options{
		Keys: keys, Tenants: callers, Authenticate: slow(who.Authenticate), Prepare: prepared.prepare, Limiter: limiter, Turns: turns,
		Record: recorder.Record, Log: log, Ready: ready.Load, Usable: keys.Usable, Cursors: cursors,
	})
	if err != nil {
		return err
	}
	leave, err := nodes.start(ctx, keys, log, token.Apply, callers.Apply, tokens.apply, prepared.policies.Apply, quotas.Apply)
	if err != nil {
		return err
	}
	defer leave()
	if err := seen.alone(ctx, db, nodes); err != nil {
		return err
	}
	defer root.follow(ctx, log)()
	defer rotator.start(ctx)()
	defer keepKeys(ctx, keys, log)()
	defer tokens.start(ctx)()
	defer c.secure.follow(ctx, log)()
	l = limitConnections(c.limits, l, c.secure.files != nil, log, recorder)
	measureRefused(recorder, "sealwright_requests_shed_total", "Requests that were refused because too many waited.", turns.Refused)
	return listen(ctx, c, l, authn.Trust(c.proxies, turns), grpc, log, &ready, created)
}

// listen answers requests until ctx ends.
func listen(ctx context.Context, c Config, l net.Listener, h http.Handler, grpc *grpcServer, log *slog.Logger, ready *atomic.Bool, created secret.Bytes) error {
	srv := &http.Server{
		Handler: h, ReadTimeout: progressTimeout, WriteTimeout: 2 * progressTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- c.secure.serve(srv, l) }()
	grpcEnded := grpc.start()

	address := l.Addr().String()
	ready.Store(true)
	greet(c.Stdout, c.secure.scheme()+"://"+address, filepath.Join(c.Data, tokenFile), c.Version, created)
	grpc.announce(c, log)
	if c.secure.files == nil && exposed(l.Addr()) {
		log.Warn(msgExposed, "address", address)
	}
	log.Info("ready", "address", address, "tls", c.secure.files != nil, "version", c.Version)
	if c.Ready != nil {
		c.Ready(address)
	}
	select {
	case err := <-ended:
		grpc.stop(ctx)
		return fmt.Errorf("serve: %w", err)
	case err := <-grpcEnded:
		return errors.Join(fmt.Errorf("serve gRPC: %w", err), stop(ctx, srv))
	case <-ctx.Done():
	}
	ready.Store(false)
	log.Info("stopping")
	stopped := make(chan struct{})
	go func() {
		grpc.stop(ctx)
		close(stopped)
	}()
	err := stop(ctx, srv)
	<-stopped
	if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	log.Info("stopped")
	return err
}

// msgExposed warns of a listener that others can reach and read.
const msgExposed = "listening beyond this machine without TLS: tokens and messages can be read on the way; put a proxy with TLS in front"

// stop finishes what is in flight, for up to stopTimeout.
func stop(ctx context.Context, srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("stop: requests were still in flight after %v: %w", stopTimeout, err), srv.Close())
	}
	return nil
}

// exposed reports whether others than this machine can connect.
func exposed(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return !ok || !tcp.IP.IsLoopback()
}

// greet tells who started the server where it is, and once the token.
func greet(w io.Writer, url, tokenPath, version string, created secret.Bytes) {
	fmt.Fprintf(w, "sealwright %s is ready on %s\n", version, url)
	if _, err := os.Stat(tokenPath); created.IsZero() && errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(w, "The admin token is where it was made: in the data folder of the node that was started first.")
		return
	}
	if created.IsZero() {
		fmt.Fprintf(w, "The admin token is in %s.\n", tokenPath)
		return
	}
	file, err := filepath.Abs(tokenPath) // the other terminal may be elsewhere
	if err != nil {
		file = tokenPath
	}
	fmt.Fprintf(w, `
The admin token, shown only now, and kept in %[1]s:

  %[2]s

Try it in another terminal:

%[3]s
`, tokenPath, created.Expose(), example(url, file))
}
