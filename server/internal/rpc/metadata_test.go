package rpc_test

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/sealwright/sealwright/api"
	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/policy"
	"github.com/sealwright/sealwright/server/internal/rpc"
)

// TestBoundMetadata holds the tag to docs/design/metadata.md, by the standard
// library alone.
func TestBoundMetadata(t *testing.T) {
	f := start(t, nil)
	about := &pb.Metadata{Environment: "production", Classes: []string{"pii", "financial"}, Labels: map[string]string{"team": "red"}}
	const label = "sealwright bound metadata"
	key, err := hkdf.Key(sha256.New, []byte("Jefe"), nil, "\x00\x00\x00\x19"+label, 32)
	if err != nil {
		t.Fatal(err)
	}
	m := api.Metadata{Environment: about.Environment, Classes: about.Classes, Labels: about.Labels}
	mac := hmac.New(sha256.New, key)
	mac.Write(append(m.AppendCanonical(nil), jefeText...))
	want := string(mac.Sum(nil))

	got, err := f.sign.Sign(as(t, "admin"), &pb.SignRequest{Key: "jefe", Message: []byte(jefeText), Metadata: about, BindMetadata: true})
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Tag) != want || !got.Bound {
		t.Errorf("Sign: got %x, bound %v, want %x", got.Tag, got.Bound, want)
	}
	for name, tt := range map[string]struct {
		metadata *pb.Metadata
		bind     bool
		valid    bool
	}{
		"Same": {about, true, true}, "NotBound": {about, false, false}, "Other": {&pb.Metadata{Environment: "test"}, true, false},
	} {
		q := &pb.VerifyRequest{Key: "jefe", Message: []byte(jefeText), Tag: got.Tag, Metadata: tt.metadata, BindMetadata: tt.bind}
		v, err := f.sign.Verify(as(t, "admin"), q)
		if err != nil || v.Valid != tt.valid || v.Bound != tt.bind {
			t.Errorf("%s: got %v, %v, want valid %v", name, v, err, tt.valid)
		}
	}
	_, err = f.sign.Sign(as(t, "admin"), &pb.SignRequest{Key: "jefe", BindMetadata: true})
	refused(t, err, codes.InvalidArgument, "invalid", "no metadata to bind")
}

// TestPolicyRefuses tells the log which rule refuses, and the caller nothing.
func TestPolicyRefuses(t *testing.T) {
	f := start(t, func(o *rpc.Options) {
		find := o.Keys.Find
		o.Prepare = func(_ context.Context, r policy.Request) (*custody.Key, policy.Decision, error) {
			if r.Metadata != nil && r.Metadata.Environment == "test" {
				return nil, policy.Decision{Denied: true, Rule: "p/secret-rule", Reason: "because"}, policy.Refused()
			}
			k, err := find(r.Caller, r.Action, r.Key)
			return k, policy.Decision{}, err
		}
	})
	test := &pb.Metadata{Environment: "test"}
	_, err := f.sign.Sign(as(t, "admin"), &pb.SignRequest{Key: "jefe", Metadata: test})
	refused(t, err, codes.PermissionDenied, "denied", "the policy does not allow this")
	if op := f.reported(t, 1)[0]; op.Rule != "p/secret-rule" || op.Why != "because" || op.Metadata == nil || strings.Contains(err.Error(), "secret-rule") {
		t.Errorf("reported %+v for %v", op, err)
	}
	got, err := f.sign.SignBatch(as(t, "admin"), &pb.SignBatchRequest{Key: "jefe", Items: []*pb.SignItem{{Message: []byte("a")}, {Message: []byte("b"), Metadata: test}}})
	if err != nil || got.Items[0].Error != nil || got.Items[1].Error == nil || got.Items[1].Error.Detail != "the policy does not allow this" {
		t.Errorf("SignBatch: got %v, %v", got, err)
	}
}

// TestMetadataBounds refuses what is over its bounds before the log gets it, also
// in a batch whose items all have their own.
func TestMetadataBounds(t *testing.T) {
	f := start(t, nil)
	long := &pb.Metadata{Source: strings.Repeat("a", api.MaxMetadataText+1)}
	_, err := f.sign.Sign(as(t, "admin"), &pb.SignRequest{Key: "jefe", Metadata: long})
	refused(t, err, codes.InvalidArgument, "invalid", "source: got 257 bytes")
	_, err = f.sign.SignBatch(as(t, "admin"), &pb.SignBatchRequest{Key: "jefe", Metadata: long, Items: []*pb.SignItem{{Metadata: &pb.Metadata{}}}})
	refused(t, err, codes.InvalidArgument, "invalid", "source: got 257 bytes")
	for _, op := range f.reported(t, 2) {
		if op.Metadata != nil {
			t.Errorf("%s: the log gets %d bytes", op.Name, len(op.Metadata.Source))
		}
	}
}
