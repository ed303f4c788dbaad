// Package rpc is the gRPC API of the server.
//
// It does what the HTTP API does for the same operations: callers are known by
// the same tokens, the same rules and limits decide, the same package signs and
// verifies, and the same line is logged. All methods, also those with one
// request, are served as streams: a caller is known and allowed before anything
// of a message is read.
//
// The package decides nothing about keys: it translates.
package rpc

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/cursor"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/operation"
	"github.com/sealwright/sealwright/server/internal/policy"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

// Limits bounds what one connection and one call may ask for. A field that is 0
// means the default.
type Limits struct {
	Message int // bytes of one request, at most MaxMessage; default [MaxMessage]
	Items   int // of a batch; default 1,000

	// Device is how long the calls of key services for native keys may take that
	// one operation needs. Default 60 seconds.
	Device time.Duration

	// Progress is how long a client may take to send its next request where the
	// server waits for one. Default 60 seconds. Idle is the same of Stream,
	// where operations come when there is something to do; default 5 minutes.
	Progress, Idle time.Duration

	// Recheck is for how long a caller counts as known on a Stream. Then the
	// token is looked at again with the next operation. Default 5 seconds.
	Recheck time.Duration
}

// MaxMessage is the size in bytes of the largest request: that of gRPC itself.
// Larger messages are signed and verified while they are uploaded.
const MaxMessage = 4 << 20

// Bounds of a connection.
const (
	maxStreams  = 128              // under way at a time
	maxHeader   = 64 << 10         // bytes of the metadata of a call
	window      = 128 << 10        // bytes of a call that wait to be read
	handshake   = 20 * time.Second // to open a connection
	pingEvery   = 2 * time.Minute  // a silent connection is asked whether it is there
	pingTimeout = 20 * time.Second
	minPing     = 20 * time.Second // between two pings of a client
	maxIdle     = 15 * time.Minute // of a connection without calls
	maxAge      = time.Hour        // then it takes no new calls,
	maxAgeGrace = time.Hour        // and later those that are under way end
)

func (l Limits) withDefaults() Limits {
	if l.Message == 0 || l.Message > MaxMessage {
		l.Message = MaxMessage
	}
	if l.Items == 0 {
		l.Items = 1000
	}
	if l.Device == 0 {
		l.Device = time.Minute
	}
	if l.Progress == 0 {
		l.Progress = time.Minute
	}
	if l.Idle == 0 {
		l.Idle = 5 * time.Minute
	}
	if l.Recheck == 0 {
		l.Recheck = 5 * time.Second
	}
	return l
}

// Turns bounds how many operations are worked on at a time.
type Turns interface {
	// Enter waits for a turn, and reports whether it came in time. Then Leave
	// must be called.
	Enter(ctx context.Context) bool
	Leave()
}

// Options are what [New] needs. The functions are called by many goroutines.
type Options struct {
	Keys    *custody.Service
	Tenants *tenant.Service

	// Authenticate returns who sends a request. It gets one that has the header
	// Authorization, the address and the TLS state of the call, and no body. Its
	// errors are those of the HTTP API.
	Authenticate func(*http.Request) (access.Caller, error)

	// Prepare is that of the HTTP API; nil means that access alone decides.
	Prepare func(context.Context, policy.Request) (*custody.Key, policy.Decision, error)

	// Limiter says how fast callers, keys, tenants and addresses may ask; nil
	// means that nothing is limited. Turns is nil for no bound.
	Limiter *limit.Limiter
	Turns   Turns

	Record  func(operation.Report) // called once for each operation
	Log     *slog.Logger           // for what the caller may not see; nil means slog.Default
	Ready   func() bool            // for the health service; nil means always
	Usable  func() error           // why nothing is signed or verified now, for the health service; nil means nothing
	Cursors secret.Bytes           // as of the HTTP API
	Now     func() time.Time       // nil means time.Now
	TLS     *tls.Config            // nil means none
	Limits  Limits
}

// Server serves the gRPC API. Get one from [New].
type Server struct {
	o        Options
	grpc     *grpc.Server
	requests operation.IDs
	cursors  *cursor.Sealer
	stop     sync.Once
	stopping chan struct{} // closed when calls that could go on for long must end
}

// New returns a server that does not serve yet.
func New(o Options) (*Server, error) {
	o.Limits = o.Limits.withDefaults()
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Prepare == nil {
		o.Prepare = func(_ context.Context, r policy.Request) (*custody.Key, policy.Decision, error) {
			k, err := o.Keys.Find(r.Caller, r.Action, r.Key)
			return k, policy.Decision{}, err
		}
	}
	cursors, err := cursor.New(o.Cursors)
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, requests: operation.NewIDs(), cursors: cursors, stopping: make(chan struct{})}
	s.grpc = grpc.NewServer(s.options()...)
	for _, d := range s.services() {
		s.grpc.RegisterService(&d, nil)
	}
	s.registerReflection()
	return s, nil
}

func (s *Server) options() []grpc.ServerOption {
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(s.o.Limits.Message),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeader),
		grpc.StaticStreamWindowSize(window),
		grpc.ConnectionTimeout(handshake),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: maxIdle, MaxConnectionAge: maxAge, MaxConnectionAgeGrace: maxAgeGrace,
			Time: pingEvery, Timeout: pingTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
	}
	if s.o.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.o.TLS)))
	}
	return options
}

// Serve answers calls on l until [Server.Stop]. It closes l.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// Stop takes no new calls and finishes those that are under way, without what
// could go on for long: streams end with the results of what they have begun. When
// ctx ends, all others are broken off.
func (s *Server) Stop(ctx context.Context) {
	s.stop.Do(func() { close(s.stopping) })
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
	}
}

// services are those of the API and of health. They are what the generated code
// describes, with all methods as streams.
func (s *Server) services() []grpc.ServiceDesc {
	signing, verifying, reading := []access.Action{access.KeySign}, []access.Action{access.KeyVerify}, []access.Action{access.KeyRead}
	return []grpc.ServiceDesc{{
		ServiceName: pb.Signatures_ServiceDesc.ServiceName,
		Metadata:    pb.Signatures_ServiceDesc.Metadata,
		Streams: []grpc.StreamDesc{
			{StreamName: "Sign", Handler: s.operation("sign", signing, unary(s, s.sign))},
			{StreamName: "Verify", Handler: s.operation("verify", verifying, unary(s, s.verify))},
			{StreamName: "SignBatch", Handler: s.operation("sign", signing, unary(s, s.signBatch))},
			{StreamName: "VerifyBatch", Handler: s.operation("verify", verifying, unary(s, s.verifyBatch))},
			{StreamName: "Stream", Handler: s.stream, ClientStreams: true, ServerStreams: true},
			{StreamName: "SignUpload", Handler: s.operation("sign", signing, s.signUpload), ClientStreams: true},
			{StreamName: "VerifyUpload", Handler: s.operation("verify", verifying, s.verifyUpload), ClientStreams: true},
		},
	}, {
		ServiceName: pb.Keys_ServiceDesc.ServiceName,
		Metadata:    pb.Keys_ServiceDesc.Metadata,
		Streams: []grpc.StreamDesc{
			{StreamName: "GetKey", Handler: s.operation("keys.get", reading, unary(s, s.getKey))},
			{StreamName: "ListKeys", Handler: s.operation("keys.list", reading, unary(s, s.listKeys))},
		},
	}, s.health()}
}
