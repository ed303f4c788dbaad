package rpc_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/sealwright/sealwright/mac"
	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/operation"
	"github.com/sealwright/sealwright/server/internal/rpc"
)

// cancelled opens an upload and returns what breaks it off.
func cancelled(t *testing.T, f *fixture) (context.CancelFunc, grpc.ClientStreamingClient[pb.SignRequest, pb.Signed]) {
	t.Helper()
	ctx, cancel := context.WithCancel(as(t, "admin"))
	t.Cleanup(cancel)
	stream, err := f.sign.SignUpload(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return cancel, stream
}

func signing(key, text string) *pb.Operation {
	return &pb.Operation{Operation: &pb.Operation_Sign{Sign: &pb.SignRequest{Key: key, Message: []byte(text)}}}
}

func verifying(key, text string, tag []byte) *pb.Operation {
	return &pb.Operation{Operation: &pb.Operation_Verify{Verify: &pb.VerifyRequest{Key: key, Message: []byte(text), Tag: tag}}}
}

type talk = grpc.BidiStreamingClient[pb.Operation, pb.Result]

func open(t *testing.T, f *fixture, token string) talk {
	t.Helper()
	stream, err := f.sign.Stream(as(t, token))
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// ask sends operations, ends, and returns what came back in short, and the error
// at the end.
func ask(t *testing.T, stream talk, ops ...*pb.Operation) (got []string, err error) {
	t.Helper()
	for _, op := range ops {
		if err := stream.Send(op); err != nil {
			break // Recv says why
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for {
		r, err := stream.Recv()
		if err == io.EOF {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, short(r))
	}
}

func short(r *pb.Result) string {
	switch r := r.Result.(type) {
	case *pb.Result_Signed:
		return hex.EncodeToString(r.Signed.Tag[:4])
	case *pb.Result_Verdict:
		return fmt.Sprint(r.Verdict.Valid, r.Verdict.Reason)
	case *pb.Result_Problem:
		return r.Problem.Code
	}
	return "nothing"
}

// The results are in the order of the operations, and one that fails does not
// end the stream.
func TestStream(t *testing.T) {
	f := start(t, nil)
	tag := unhex(t, jefeTag)
	got, err := ask(t, open(t, f, "admin"), signing("jefe", jefeText), verifying("jefe", jefeText, tag), signing("none", ""),
		verifying("jefe", "x", tag), &pb.Operation{}, verifying("jefe", "x", nil), signing("jefe", jefeText))
	want := "5bdcc146|true|not-found|falsewrong-signature|invalid|invalid|5bdcc146"
	if err != nil || strings.Join(got, "|") != want {
		t.Fatalf("got %s, %v, want %s", strings.Join(got, "|"), err, want)
	}
	var ops []string
	for _, op := range f.reported(t, 7) {
		ops = append(ops, op.Name+" "+op.Outcome)
		if op.Caller != "admin" || op.RequestID == "" {
			t.Errorf("reported %+v", op)
		}
	}
	if got, want := strings.Join(ops, "|"), "sign ok|verify valid|sign refused|verify invalid|none refused|verify refused|sign ok"; got != want {
		t.Errorf("reported %s, want %s", got, want)
	}
}

func TestStreamOfStrangers(t *testing.T) {
	f := start(t, nil)
	for token, want := range map[string]codes.Code{"": codes.Unauthenticated, "wrong": codes.Unauthenticated, "nothing": codes.PermissionDenied} {
		got, err := ask(t, open(t, f, token), signing("jefe", ""))
		code := map[codes.Code]string{codes.Unauthenticated: "unauthorized", codes.PermissionDenied: "denied"}[want]
		refused(t, err, want, code, "")
		if len(got) > 0 {
			t.Errorf("token %q: got %v", token, got)
		}
	}
	// Who may only verify is refused operation by operation.
	got, err := ask(t, open(t, f, "verifier"), signing("jefe", ""), verifying("jefe", jefeText, unhex(t, jefeTag)))
	if err != nil || strings.Join(got, "|") != "denied|true" {
		t.Errorf("got %v, %v", got, err)
	}
}

// A token that ends while its stream goes on ends the stream.
func TestStreamLosesItsToken(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Now().Unix())
	f := start(t, func(o *rpc.Options) { o.Now = func() time.Time { return time.Unix(now.Load(), 0) } })
	stream := open(t, f, "admin")
	exchange := func() (string, error) {
		if err := stream.Send(signing("jefe", jefeText)); err != nil {
			t.Fatal(err)
		}
		r, err := stream.Recv()
		if err != nil {
			return "", err
		}
		return short(r), nil
	}
	if got, err := exchange(); got != "5bdcc146" || err != nil {
		t.Fatalf("got %s, %v", got, err)
	}
	f.mu.Lock()
	f.expired["admin"] = true
	f.mu.Unlock()
	if got, err := exchange(); got != "5bdcc146" || err != nil {
		t.Fatalf("within the time: got %s, %v", got, err)
	}
	now.Add(5)
	_, err := exchange()
	refused(t, err, codes.Unauthenticated, "unauthorized", "")
	if op := f.reported(t, 3)[2]; op.Name != "sign" || op.Reason != "unauthorized" {
		t.Errorf("reported %+v", op)
	}
}

// gateway is a key service, a double, whose answers wait until they are let
// through once it is shut.
type gateway struct {
	shut      atomic.Bool
	now, most atomic.Int64
	open      chan struct{}
}

func (g *gateway) MAC(ctx context.Context, key string, d kms.Digest) ([]byte, error) {
	if !g.shut.Load() {
		return g.sum(key, d)
	}
	n := g.now.Add(1)
	defer g.now.Add(-1)
	for m := g.most.Load(); n > m && !g.most.CompareAndSwap(m, n); m = g.most.Load() {
	}
	select {
	case <-g.open:
	case <-ctx.Done():
		return nil, fault.New(fault.Unavailable, "not asked").Because(ctx.Err())
	}
	return g.sum(key, d)
}

func (g *gateway) sum(key string, d kms.Digest) ([]byte, error) {
	text, err := d.Text()
	if err != nil {
		return nil, err
	}
	k, err := mac.New(mac.SHA256, secret.FromString(key))
	if err != nil {
		return nil, err
	}
	return k.Sum(nil, text)
}

func (g *gateway) Verify(ctx context.Context, key string, d kms.Digest, tag []byte) (bool, error) {
	want, err := g.MAC(ctx, key, d)
	return err == nil && mac.Equal(want, tag), err
}

func startNative(t *testing.T, edit func(*rpc.Options)) (*fixture, *gateway) {
	t.Helper()
	g := &gateway{open: make(chan struct{})}
	f := start(t, edit, func(o *custody.Options) {
		o.Devices, o.FirstDevice = map[string]kms.Device{"vault": {MAC: g}}, "vault"
	})
	_, err := f.custody.Create(t.Context(), access.Administrator(), custody.CreateKey{Name: "orders", Native: &custody.NativeKey{Provider: "vault", Key: "k-1"}})
	if err != nil {
		t.Fatal(err)
	}
	g.shut.Store(true)
	return f, g
}

// Operations that wait for a key service are under way together, and those
// behind them keep their place.
func TestStreamOfNativeKeys(t *testing.T) {
	f, g := startNative(t, nil)
	stream := open(t, f, "admin")
	const natives = 40
	for i := range natives {
		if err := errors.Join(stream.Send(signing("orders", fmt.Sprint(i))), stream.Send(signing("jefe", fmt.Sprint(i)))); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); g.now.Load() < 30; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d are under way together, want 30", g.now.Load())
		}
	}
	close(g.open)
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for i := range natives {
		native, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		ordinary, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if n, o := native.GetSigned(), ordinary.GetSigned(); n.GetKey() != "orders" || n.GetCovers() != "digest" || n.GetConstruction() != kms.Construction ||
			o.GetKey() != "jefe" || o.GetCovers() != "" {
			t.Fatalf("result %d: got %v and %v", i, native, ordinary)
		}
	}
	if most := g.most.Load(); most > 64 {
		t.Errorf("%d were under way together, want at most 64", most)
	}
}

// A key service that hangs is waited for so long and no longer, in every form of
// the operation.
func TestNativeTimeout(t *testing.T) {
	f, _ := startNative(t, func(o *rpc.Options) { o.Limits.Device = 20 * time.Millisecond })
	_, err := f.sign.Sign(as(t, "admin"), &pb.SignRequest{Key: "orders", Message: []byte("a")})
	refused(t, err, codes.Unavailable, "unavailable", "cannot be used now")
	_, err = f.sign.VerifyBatch(as(t, "admin"), &pb.VerifyBatchRequest{Key: "orders", Items: []*pb.VerifyItem{{Message: []byte("a"), Tag: make([]byte, 32)}}})
	refused(t, err, codes.Unavailable, "unavailable", "")
	if got, err := ask(t, open(t, f, "admin"), signing("orders", "a"), signing("jefe", jefeText)); err != nil || strings.Join(got, "|") != "unavailable|5bdcc146" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestSlowClients(t *testing.T) {
	f := start(t, func(o *rpc.Options) { o.Limits.Progress, o.Limits.Idle = 20*time.Millisecond, 20*time.Millisecond })
	up, err := f.sign.SignUpload(as(t, "admin"))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, up.RecvMsg(new(pb.Signed)), codes.DeadlineExceeded, "timeout", "too slowly")
	_, err = open(t, f, "admin").Recv()
	refused(t, err, codes.DeadlineExceeded, "timeout", "nothing to do")
	if op := f.reported(t, 1)[0]; op.Reason != "timeout" || op.Outcome != operation.Refused || op.Status != 408 {
		t.Errorf("reported %+v", op)
	}
}
