package rpc_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/rpc"
)

func TestKeys(t *testing.T) {
	f := start(t, nil)
	for _, name := range []string{"a", "b"} {
		if _, err := f.custody.Create(t.Context(), access.Administrator(), custody.CreateKey{Name: name, Algorithm: "hmac-sha512", Purpose: "webhook"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.sign.Sign(as(t, "admin"), &pb.SignRequest{Key: "b", Message: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	k, err := f.keys.GetKey(as(t, "verifier"), &pb.GetKeyRequest{Name: "b"})
	if err != nil || k.Name != "b" || k.KeyId != "b" || k.Algorithm != "hmac-sha512" || k.Purpose != "webhook" || k.Version != 1 || len(k.Versions) != 1 {
		t.Fatalf("GetKey: got %v, %v", k, err)
	}
	if v := k.Versions[0]; v.Version != 1 || v.State != "active" || !v.Signs || v.Bytes != 64 || v.Uses != 1 || v.LastUsedAt == nil || v.RevokedAt != nil {
		t.Errorf("got version %v", v)
	}
	_, err = f.keys.GetKey(as(t, "verifier"), &pb.GetKeyRequest{Name: "none"})
	refused(t, err, codes.NotFound, "not-found", `no key "none"`)

	var names []string
	cursor := ""
	for {
		page, err := f.keys.ListKeys(as(t, "verifier"), &pb.ListKeysRequest{Limit: 2, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range page.Items {
			names = append(names, k.Name)
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "a b jefe" {
		t.Errorf("ListKeys: got %s", got)
	}
	for _, q := range []*pb.ListKeysRequest{{Limit: -1}, {Limit: 1001}, {Cursor: "x"}} {
		_, err := f.keys.ListKeys(as(t, "verifier"), q)
		refused(t, err, codes.InvalidArgument, "invalid", "")
	}
	_, err = f.keys.ListKeys(as(t, "nothing"), &pb.ListKeysRequest{})
	refused(t, err, codes.PermissionDenied, "denied", "key.read")
	ops := f.reported(t, 1)
	if got := []string{ops[1].Name, ops[2].Name, ops[3].Name}; !slices.Equal(got, []string{"keys.get", "keys.get", "keys.list"}) || ops[1].Key != "b" {
		t.Errorf("reported %v", got)
	}
}

// What a call counts, and by what it is refused.
func TestLimits(t *testing.T) {
	message := &pb.SignRequest{Key: "jefe", Message: []byte("a")}
	batch := func(n int) func(*fixture, *metadata.MD) error {
		q := &pb.SignBatchRequest{Key: "jefe"}
		for range n {
			q.Items = append(q.Items, &pb.SignItem{Message: []byte("a")})
		}
		return func(f *fixture, md *metadata.MD) error {
			_, err := f.sign.SignBatch(as(t, "admin"), q, grpc.Trailer(md))
			return err
		}
	}
	one := func(f *fixture, md *metadata.MD) error {
		_, err := f.sign.Sign(as(t, "admin"), message, grpc.Trailer(md))
		return err
	}
	list := func(f *fixture, md *metadata.MD) error {
		_, err := f.keys.ListKeys(as(t, "admin"), &pb.ListKeysRequest{}, grpc.Trailer(md))
		return err
	}
	tests := []struct {
		name   string
		rule   limit.Rule
		before []func(*fixture, *metadata.MD) error
		last   func(*fixture, *metadata.MD) error
		after  string // to try again, in seconds; empty for never
		ok     bool
	}{
		{"Within", limit.Rule{Scope: limit.ScopeKey, Rate: 2}, []func(*fixture, *metadata.MD) error{one}, one, "", true},
		{"Key", limit.Rule{Scope: limit.ScopeKey, Rate: 1}, []func(*fixture, *metadata.MD) error{one}, one, "3600", false},
		{"KeyByBatch", limit.Rule{Scope: limit.ScopeKey, Rate: 4}, []func(*fixture, *metadata.MD) error{batch(3)}, batch(2), "900", false},
		{"BatchAboveTheBurst", limit.Rule{Scope: limit.ScopeKey, Rate: 2}, nil, batch(3), "", false},
		{"Caller", limit.Rule{Scope: limit.ScopeCaller, Rate: 1}, []func(*fixture, *metadata.MD) error{list}, one, "3600", false},
		{"Address", limit.Rule{Scope: limit.ScopeAddress, Rate: 1}, []func(*fixture, *metadata.MD) error{list}, one, "3600", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.rule.Name, tt.rule.Per = "r", limit.Hour
			set, err := limit.NewSet([]limit.Rule{tt.rule})
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now()
			l := limit.NewLimiter(limit.Local{Map: limit.NewMap(now, 0), Now: func() time.Time { return now }})
			l.Replace(set)
			f := start(t, func(o *rpc.Options) { o.Limiter = l })
			for _, call := range tt.before {
				if err := call(f, new(metadata.MD)); err != nil {
					t.Fatal(err)
				}
			}
			var trailer metadata.MD
			err = tt.last(f, &trailer)
			if tt.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, err, codes.ResourceExhausted, "rate-limited", "than the limit allows")
			if got := strings.Join(trailer.Get("retry-after"), ""); got != tt.after || len(trailer.Get("ratelimit")) != 1 {
				t.Errorf("trailer %v, want retry-after %q", trailer, tt.after)
			}
		})
	}
}

// Each operation of a stream counts.
func TestLimitsOfStreams(t *testing.T) {
	set, err := limit.NewSet([]limit.Rule{{Name: "r", Scope: limit.ScopeCaller, Rate: 2, Per: limit.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	l := limit.NewLimiter(limit.Local{Map: limit.NewMap(time.Now(), 0)})
	l.Replace(set)
	f := start(t, func(o *rpc.Options) { o.Limiter = l })
	got, err := ask(t, open(t, f, "admin"), signing("jefe", jefeText), signing("jefe", jefeText), signing("jefe", jefeText))
	if err != nil || strings.Join(got, "|") != "5bdcc146|5bdcc146|rate-limited" {
		t.Errorf("got %v, %v", got, err)
	}
}

// turns counts who is inside, and lets nobody in while it is full.
type turns struct {
	full    atomic.Bool
	entered atomic.Int64
	left    atomic.Int64
}

func (b *turns) Enter(context.Context) bool {
	if b.full.Load() {
		return false
	}
	b.entered.Add(1)
	return true
}

func (b *turns) Leave() { b.left.Add(1) }

func TestTurns(t *testing.T) {
	b := &turns{}
	f := start(t, func(o *rpc.Options) {
		o.Turns = b
		authenticate := o.Authenticate
		o.Authenticate = nil
		_ = authenticate // a call with a nil function panics, and still leaves
	})
	_, err := f.sign.Sign(as(t, "admin"), &pb.SignRequest{Key: "jefe", Message: []byte("a")})
	refused(t, err, codes.Internal, "internal", "internal error")
	if b.entered.Load() != 1 || b.left.Load() != 1 {
		t.Errorf("%d entered and %d left, want one of each", b.entered.Load(), b.left.Load())
	}
	if op := f.reported(t, 1)[0]; op.Outcome != "error" || op.Status != 500 || !strings.Contains(f.log.String(), "panic") {
		t.Errorf("reported %+v", op)
	}
	b.full.Store(true)
	_, err = f.sign.Sign(as(t, "admin"), &pb.SignRequest{Key: "jefe", Message: []byte("a")})
	refused(t, err, codes.Unavailable, "unavailable", "too much to do")
	if op := f.reported(t, 2)[1]; op.Outcome != "error" || op.Reason != "unavailable" {
		t.Errorf("reported %+v", op)
	}
	if health, err := healthpb.NewHealthClient(f.conn).Check(as(t, ""), &healthpb.HealthCheckRequest{}); err != nil || health.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health: got %v, %v", health, err)
	}
}

func TestTenants(t *testing.T) {
	f := start(t, nil)
	if _, err := f.tenants.CreateTenant(t.Context(), access.Administrator(), "acme"); err != nil {
		t.Fatal(err)
	}
	acme, err := access.Administrator().In("acme")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.custody.Create(t.Context(), acme, custody.CreateKey{Name: "theirs"}); err != nil {
		t.Fatal(err)
	}
	q := &pb.SignRequest{Key: "theirs", Message: []byte("a")}
	if got, err := f.sign.Sign(as(t, "admin", "sealwright-tenant", "acme"), q); err != nil || got.Key != "theirs" {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = f.sign.Sign(as(t, "admin"), q)
	refused(t, err, codes.NotFound, "not-found", "")
}

func TestHealth(t *testing.T) {
	var ready, broken atomic.Bool
	f := start(t, func(o *rpc.Options) {
		o.Ready = ready.Load
		o.Usable = func() error {
			if broken.Load() {
				return errors.New("too old")
			}
			return nil
		}
	})
	client := healthpb.NewHealthClient(f.conn)
	check := func(service string, want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		got, err := client.Check(as(t, ""), &healthpb.HealthCheckRequest{Service: service})
		if err != nil || got.Status != want {
			t.Errorf("Check %q: got %v, %v, want %v", service, got, err, want)
		}
	}
	watch, err := client.Watch(as(t, ""), &healthpb.HealthCheckRequest{Service: "sealwright.v1.Signatures"})
	if err != nil {
		t.Fatal(err)
	}
	next := func(want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if got, err := watch.Recv(); err != nil || got.Status != want {
			t.Errorf("Watch: got %v, %v, want %v", got, err, want)
		}
	}
	check("", healthpb.HealthCheckResponse_NOT_SERVING)
	next(healthpb.HealthCheckResponse_NOT_SERVING)
	ready.Store(true)
	check("", healthpb.HealthCheckResponse_SERVING)
	check("sealwright.v1.Keys", healthpb.HealthCheckResponse_SERVING)
	next(healthpb.HealthCheckResponse_SERVING)
	broken.Store(true)
	check("sealwright.v1.Signatures", healthpb.HealthCheckResponse_NOT_SERVING)
	next(healthpb.HealthCheckResponse_NOT_SERVING)
	if _, err := client.Check(as(t, ""), &healthpb.HealthCheckRequest{Service: "x"}); status.Code(err) != codes.NotFound {
		t.Errorf("unknown service: got %v", err)
	}
	if list, err := client.List(as(t, ""), &healthpb.HealthListRequest{}); err != nil || len(list.Statuses) != 3 {
		t.Errorf("List: got %v, %v", list, err)
	}
	if ops := f.reported(t, 0); len(ops) != 0 {
		t.Errorf("reported %v", ops)
	}
}

// Reflection names every service and has its file.
func TestReflection(t *testing.T) {
	f := start(t, nil)
	stream, err := reflectionpb.NewServerReflectionClient(f.conn).ServerReflectionInfo(as(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(q *reflectionpb.ServerReflectionRequest) *reflectionpb.ServerReflectionResponse {
		t.Helper()
		if err := stream.Send(q); err != nil {
			t.Fatal(err)
		}
		got, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	list := ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	var names []string
	for _, s := range list.GetListServicesResponse().GetService() {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	if got, want := strings.Join(names, " "), "grpc.health.v1.Health grpc.reflection.v1.ServerReflection sealwright.v1.Keys sealwright.v1.Signatures"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	file := ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "sealwright.v1.Signatures"}})
	if len(file.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		t.Errorf("got %v", file)
	}
}

// What was begun is finished, streams end, and a watcher of the health is told.
func TestStop(t *testing.T) {
	f, g := startNative(t, nil)
	slow := make(chan error, 1)
	go func() {
		_, err := f.sign.Sign(as(t, "admin"), &pb.SignRequest{Key: "orders", Message: []byte("a")})
		slow <- err
	}()
	stream := open(t, f, "admin")
	if err := stream.Send(signing("orders", "b")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); g.now.Load() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("they did not begin")
		}
	}
	stopped := make(chan struct{})
	go func() {
		f.stop()
		close(stopped)
	}()
	close(g.open)
	if err := <-slow; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	if r, err := stream.Recv(); err != nil || r.GetSigned().GetKey() != "orders" {
		t.Errorf("what the stream had begun: %v, %v", r, err)
	}
	_, err := stream.Recv()
	refused(t, err, codes.Unavailable, "unavailable", "stopping")
	<-stopped
}

// A client that does not go is left behind.
func TestStopInTime(t *testing.T) {
	f, g := startNative(t, nil)
	slow := make(chan error, 1)
	go func() {
		_, err := f.sign.Sign(as(t, "admin"), &pb.SignRequest{Key: "orders", Message: []byte("a")})
		slow <- err
	}()
	for deadline := time.Now().Add(30 * time.Second); g.now.Load() < 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not begin")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	f.server.Stop(ctx)
	if err := <-slow; status.Code(err) != codes.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
}
