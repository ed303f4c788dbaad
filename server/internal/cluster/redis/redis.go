// Package redis lets many nodes share replay claims and limits in one Redis or
// Valkey.
//
// [Client.Claim] is one SET NX of a claim that expires when its message can no
// longer pass. It fails closed: what Redis does not answer within the timeout
// is refused. Redis may also answer and have forgotten: after FLUSHALL, a
// restart or a failover. So the key sw:epoch says since when nothing was
// forgotten, every claim reads it after it was written, and a message signed
// before that is [replay.Barred]. Every connection compares the run_id of its
// server with that of the epoch before it is used, and whoever finds another
// one, or no epoch, begins a new one.
//
// [Limits] counts limits with a script that is [limit.Limit.Take]. A limit is no
// security boundary: while Redis is away each node counts its part alone.
//
// It does not follow cluster redirections and does not know Sentinel: it speaks
// with the one server that its address leads to.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/gate"
)

// Defaults and bounds of [Options].
const (
	DefaultTimeout = 50 * time.Millisecond
	DefaultSkew    = 5 * time.Second
	MaxSkew        = 300 * time.Second

	openTimeout  = 5 * time.Second // of the first connection
	checkTimeout = 2 * time.Second // of a look at the server in the background
	checkEvery   = time.Second
	waitReplica  = 50 * time.Millisecond
	connections  = 64
)

// Options say which Redis, and how it is used.
type Options struct {
	URL      string                       // redis://, rediss:// with TLS, or unix://; without a password
	Password func() (secret.Bytes, error) // read for each connection; nil means none
	TLS      *tls.Config                  // for rediss://; nil means the defaults

	// Timeout is how long a claim or a limit may take; 0 means [DefaultTimeout].
	Timeout time.Duration

	// Skew is how far in the future a signed time may be. It must be the same on
	// all nodes, whose clocks may be 2 seconds apart; 0 means [DefaultSkew].
	Skew time.Duration

	// AssumeNoEviction says that the operator knows maxmemory-policy to be
	// noeviction, where CONFIG is forbidden.
	AssumeNoEviction bool

	// First says that no message was ever accepted, so that a Redis without an
	// epoch, as it is at Open, has lost nothing: the key that makes the IDs is
	// new.
	First bool

	// Strict refuses what was not written by a replica too.
	Strict bool

	// Local is a guard of this node alone, nil for none. It answers what this
	// node has seen, and with FallBack set decides alone while Redis is away,
	// about messages of the last 30 seconds.
	Local    gate.Claims
	FallBack bool

	Log *slog.Logger     // nil means none
	Now func() time.Time // nil means time.Now
}

// Client is a connection to Redis that is watched. Its methods may be called by
// many goroutines. Get one from [Open], let [Client.Run] run, and close it.
type Client struct {
	o      Options
	db     *redis.Client
	epoch  atomic.Pointer[epoch]
	look   chan struct{}             // has one element when the server must be looked at now
	away   atomic.Pointer[time.Time] // since when Redis does not answer; nil while it does
	doubt  atomic.Bool               // the next epoch must be a new one
	first  atomic.Bool               // Options.First, until Open returns
	limits breaker
}

// Open connects. It is an error if the server does not answer, if it may drop
// keys to make room, or cannot be asked about that.
func Open(ctx context.Context, o Options) (*Client, error) {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Skew == 0 {
		o.Skew = DefaultSkew
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FallBack && o.Local == nil {
		return nil, errors.New("redis: nothing to fall back to")
	}
	settings, err := redis.ParseURL(o.URL)
	if err != nil {
		return nil, errors.New("redis: the URL cannot be read") // the error shows it
	}
	logging.Disable() // of the library, to stderr; all that matters is returned too
	c := &Client{o: o, look: make(chan struct{}, 1)}
	c.first.Store(o.First)
	c.configure(settings)
	c.db = redis.NewClient(settings)
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := c.db.Ping(ctx).Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to redis %s: %w", settings.Addr, err), c.db.Close())
	}
	c.first.Store(false)
	return c, nil
}

// configure sets what a URL must not choose. Nothing is ever sent twice: the
// second SET NX of a lost answer would find the first.
func (c *Client) configure(s *redis.Options) {
	s.MaxRetries = -1
	s.DialerRetries = 1
	s.ContextTimeoutEnabled = true
	s.DialTimeout, s.ReadTimeout, s.WriteTimeout = checkTimeout, openTimeout, openTimeout
	s.PoolSize, s.PoolTimeout = connections, c.o.Timeout
	s.PipelinePoolSize = -1
	s.DisableIdentity = true
	s.OnConnect = func(ctx context.Context, cn *redis.Conn) error { return c.observe(ctx, cn) }
	if s.TLSConfig != nil {
		own := &tls.Config{MinVersion: tls.VersionTLS12}
		if c.o.TLS != nil {
			own = c.o.TLS.Clone()
		}
		own.ServerName = s.TLSConfig.ServerName
		s.TLSConfig = own
	}
	if password := c.o.Password; password != nil {
		user := s.Username
		s.CredentialsProviderContext = func(context.Context) (string, string, error) {
			p, err := password()
			return user, string(p.Expose()), err
		}
	}
}

// Close closes all connections.
func (c *Client) Close() error { return c.db.Close() }

// Run looks at the server every second, and at once when a claim met something
// unexpected, until ctx ends.
func (c *Client) Run(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-c.look:
		}
		err := c.check(ctx)
		if ctx.Err() == nil {
			c.note(err)
		}
	}
}

// check looks at the server.
func (c *Client) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return c.observe(ctx, c.db)
}

// note remembers and logs that Redis is away or back.
func (c *Client) note(err error) {
	since, now := c.away.Load(), c.o.Now()
	switch {
	case err != nil && since == nil:
		c.away.Store(&now)
		c.o.Log.Error("redis is away: nonces cannot be checked together, each node limits alone", "error", err.Error())
	case err == nil && since != nil:
		c.away.Store(nil)
		c.o.Log.Info("redis is back", "away", now.Sub(*since).Round(time.Millisecond).String())
	}
}

// Notice returns what is wrong, empty for nothing. A nil Client has nothing.
func (c *Client) Notice() string {
	if c == nil {
		return ""
	}
	since := c.away.Load()
	if since == nil {
		return ""
	}
	return "redis has been away since " + since.UTC().Format(time.RFC3339)
}

// lookNow makes Run look at the server.
func (c *Client) lookNow() {
	select {
	case c.look <- struct{}{}:
	default:
	}
}
