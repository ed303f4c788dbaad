package rpc_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/authn"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/operation"
	"github.com/sealwright/sealwright/server/internal/rpc"
	"github.com/sealwright/sealwright/server/internal/store/memory"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

// The second test case of RFC 4231.
const (
	jefeText = "what do ya want for nothing?"
	jefeTag  = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
)

// callers are known by these tokens.
var callers = map[string]access.Caller{
	"admin":    access.Administrator(),
	"verifier": access.NewCaller("v", access.DefaultTenant, access.Compile([]access.Grant{{Role: access.Verifier}}, nil)),
	"limited":  access.NewCaller("l", access.DefaultTenant, access.Compile([]access.Grant{{Role: access.Signer, Keys: []string{"other"}}}, nil)),
	"nothing":  access.NewCaller("n", access.DefaultTenant, nil),
}

// fixture is an API behind a real listener, on a store in memory, with the key
// jefe of RFC 4231.
type fixture struct {
	address string
	conn    *grpc.ClientConn
	sign    pb.SignaturesClient
	keys    pb.KeysClient
	custody *custody.Service
	tenants *tenant.Service
	server  *rpc.Server
	log     *lockedBuffer

	mu      sync.Mutex
	ops     []operation.Report
	expired map[string]bool // tokens
}

// lockedBuffer is a bytes.Buffer for many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (f *fixture) check(token string) (access.Caller, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := callers[token]; ok && !f.expired[token] {
		return c, nil
	}
	return access.Caller{}, fault.New(fault.Denied, "unknown token")
}

// start serves the API with the options that edit leaves.
func start(t *testing.T, edit func(*rpc.Options), devices ...func(*custody.Options)) *fixture {
	t.Helper()
	f := &fixture{log: &lockedBuffer{}, expired: map[string]bool{}}
	root, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	store := memory.New()
	co := custody.Options{Store: store, Wrapper: root}
	for _, d := range devices {
		d(&co)
	}
	if f.custody, err = custody.Open(t.Context(), co); err != nil {
		t.Fatal(err)
	}
	if f.tenants, err = tenant.Open(t.Context(), tenant.Options{Store: store, Sealer: f.custody}); err != nil {
		t.Fatal(err)
	}
	_, err = f.custody.Create(t.Context(), access.Administrator(), custody.CreateKey{Name: "jefe", Imported: true, Material: secret.New([]byte("Jefe")), AllowWeak: true})
	if err != nil {
		t.Fatal(err)
	}
	o := rpc.Options{
		Keys: f.custody, Tenants: f.tenants,
		Authenticate: authn.Authenticator{authn.Bearer(authn.Direct, authn.TokenKind{Is: func(string) bool { return true }, Check: f.check})}.Authenticate,
		Record: func(op operation.Report) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.ops = append(f.ops, op)
		},
		Log: slog.New(slog.NewTextHandler(f.log, nil)),
	}
	if edit != nil {
		edit(&o)
	}
	f.serve(t, o)
	return f
}

func (f *fixture) serve(t *testing.T, o rpc.Options) {
	t.Helper()
	var err error
	if f.server, err = rpc.New(o); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.address = l.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- f.server.Serve(l) }()
	f.conn, err = grpc.NewClient(f.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	f.sign, f.keys = pb.NewSignaturesClient(f.conn), pb.NewKeysClient(f.conn)
	t.Cleanup(func() {
		_ = f.conn.Close()
		f.stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// stop stops the server, at once if it does not end well in time.
func (f *fixture) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	f.server.Stop(ctx)
}

// as returns a context with a token, and further metadata in pairs.
func as(t *testing.T, token string, pairs ...string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	if token != "" {
		pairs = append([]string{"authorization", "Bearer " + token}, pairs...)
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

// reported returns the operations that were reported, once there are n.
func (f *fixture) reported(t *testing.T, n int) []operation.Report {
	t.Helper()
	for range 5000 {
		f.mu.Lock()
		ops := slices.Clone(f.ops)
		f.mu.Unlock()
		if len(ops) >= n {
			return ops
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%d operations were not reported", n)
	return nil
}

// refused checks that err has this code, whose one detail is the problem, and
// whose text has want.
func refused(t *testing.T, err error, code codes.Code, problem, want string) {
	t.Helper()
	s, ok := status.FromError(err)
	if !ok || s.Code() != code || !strings.Contains(s.Message(), want) {
		t.Fatalf("got %v, want %v with %q", err, code, want)
	}
	details := s.Details()
	if len(details) != 1 {
		t.Fatalf("got details %v, want one", details)
	}
	p, ok := details[0].(*pb.Problem)
	if !ok || p.Code != problem || p.Detail != "" || p.RequestId != "" {
		t.Errorf("got detail %v, want only the code %s", details[0], problem)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ptr[T any](v T) *T { return &v }
