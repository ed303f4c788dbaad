package rpc_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/operation"
	"github.com/sealwright/sealwright/server/internal/rpc"
)

const jefeSignature = "HMAC-SHA256=W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=, keyId=jefe, version=1"

func TestSign(t *testing.T) {
	f := start(t, nil)
	got, err := f.sign.Sign(as(t, "admin"), &pb.SignRequest{Key: "jefe", Message: []byte(jefeText)})
	if err != nil {
		t.Fatal(err)
	}
	want := &pb.Signed{Tag: unhex(t, jefeTag), Key: "jefe", Version: 1, Algorithm: "hmac-sha256", Signature: jefeSignature}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("Sign (-want +got):\n%s", diff)
	}
	op := f.reported(t, 1)[0]
	wantOp := operation.Report{
		Name: "sign", Caller: "admin", Key: "jefe", KeyID: "jefe", Version: 1, Algorithm: "hmac-sha256",
		Outcome: "ok", Status: 200, Valid: 1, Bytes: int64(len(jefeText)),
	}
	if diff := cmp.Diff(wantOp, op, cmpopts.IgnoreFields(operation.Report{}, "RequestID", "Start", "Duration")); diff != "" || op.RequestID == "" || op.Duration <= 0 {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
}

// Every way to be refused, by the code of gRPC, the problem and the text.
func TestRefusals(t *testing.T) {
	message := []byte(jefeText)
	one := &pb.SignRequest{Key: "jefe", Message: message}
	tests := []struct {
		name    string
		token   string
		pairs   []string
		request *pb.SignRequest
		code    codes.Code
		problem string
		text    string
	}{
		{"NoToken", "", nil, one, codes.Unauthenticated, "unauthorized", "a valid token is needed"},
		{"WrongToken", "wrong", nil, one, codes.Unauthenticated, "unauthorized", "a valid token is needed"},
		{"TwoTokens", "admin", []string{"authorization", "Bearer admin"}, one, codes.Unauthenticated, "unauthorized", "a valid token is needed"},
		{"SignedRequest", "admin", []string{"signature-input", "a=()"}, one, codes.Unauthenticated, "unauthorized", "a valid token is needed"},
		{"UnknownTenant", "admin", []string{"sealwright-tenant", "x"}, one, codes.NotFound, "not-found", "tenant"},
		{"TwoTenants", "admin", []string{"sealwright-tenant", "a", "sealwright-tenant", "b"}, one, codes.InvalidArgument, "invalid", "stands twice"},
		{"OtherTenant", "verifier", []string{"sealwright-tenant", "x"}, one, codes.PermissionDenied, "denied", "another tenant"},
		{"NoRights", "nothing", nil, one, codes.PermissionDenied, "denied", "key.sign is not allowed"},
		{"WrongRole", "verifier", nil, one, codes.PermissionDenied, "denied", "key.sign is not allowed"},
		{"WrongKey", "limited", nil, one, codes.PermissionDenied, "denied", "key.sign is not allowed"},
		{"WrongKeyThatIsNotThere", "limited", nil, &pb.SignRequest{Key: "none", Message: message}, codes.PermissionDenied, "denied", "key.sign is not allowed"},
		{"NoSuchKey", "admin", nil, &pb.SignRequest{Key: "none", Message: message}, codes.NotFound, "not-found", `no key "none"`},
		{"NoKey", "admin", nil, &pb.SignRequest{Message: message}, codes.NotFound, "not-found", "no key of this name"},
		{"NoMessage", "admin", nil, &pb.SignRequest{Key: "jefe"}, codes.InvalidArgument, "invalid", "message is missing"},
		{"EmptyPurpose", "admin", nil, &pb.SignRequest{Key: "jefe", Message: message, Purpose: ptr("")}, codes.InvalidArgument, "invalid", "purpose: empty"},
		{"UnknownPurpose", "admin", nil, &pb.SignRequest{Key: "jefe", Message: message, Purpose: ptr("x")}, codes.InvalidArgument, "invalid", "purpose: unknown"},
		{"EmptyContext", "admin", nil, &pb.SignRequest{Key: "jefe", Message: message, Context: ptr("")}, codes.InvalidArgument, "invalid", "context: got 0 bytes"},
		{"LongContext", "admin", nil, &pb.SignRequest{Key: "jefe", Message: message, Context: ptr(strings.Repeat("a", 257))}, codes.InvalidArgument, "invalid", "context: got 257 bytes"},
		{"TooLarge", "admin", nil, &pb.SignRequest{Key: "jefe", Message: make([]byte, 70<<10)}, codes.ResourceExhausted, "too-large", "71690 vs. 65536"},
		{"TooLargeAndUnknown", "wrong", nil, &pb.SignRequest{Key: "jefe", Message: make([]byte, 70<<10)}, codes.Unauthenticated, "unauthorized", "a valid token is needed"},
	}
	f := start(t, func(o *rpc.Options) { o.Limits.Message = 64 << 10 })
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var trailer metadata.MD
			_, err := f.sign.Sign(as(t, tt.token, tt.pairs...), tt.request, grpc.Trailer(&trailer))
			if tt.name != "TooLarge" { // which gRPC itself refuses, in its words
				refused(t, err, tt.code, tt.problem, tt.text)
			} else if status.Code(err) != tt.code || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v with %q", err, tt.code, tt.text)
			}
			op := f.reported(t, i+1)[i]
			if op.Outcome != operation.Refused || op.Reason != tt.problem || op.Status < 400 || op.Status > 499 {
				t.Errorf("reported %+v", op)
			}
			if got := trailer.Get("x-request-id"); tt.name != "TooLarge" && (len(got) != 1 || got[0] != op.RequestID) {
				t.Errorf("trailer has request ID %q, want %q", got, op.RequestID)
			}
		})
	}
	if log := f.log.String(); !strings.Contains(log, "signed requests are for HTTP") || !strings.Contains(log, "unknown token") {
		t.Errorf("the log does not say why: %s", log)
	}
}

func TestVerify(t *testing.T) {
	f := start(t, nil)
	right, wrong := unhex(t, jefeTag), unhex(t, strings.Repeat("00", 32))
	tests := []struct {
		name      string
		tag       []byte
		signature *string
		want      *pb.Verdict
	}{
		{"Tag", right, nil, &pb.Verdict{Valid: true, Version: 1, State: "active"}},
		{"Signature", nil, ptr(jefeSignature), &pb.Verdict{Valid: true, Version: 1, State: "active"}},
		{"WrongTag", wrong, nil, &pb.Verdict{Reason: "wrong-signature"}},
		{"ShortTag", right[:31], nil, &pb.Verdict{Reason: "malformed"}},
		{"EmptyTag", []byte{}, nil, &pb.Verdict{Reason: "missing-signature"}},
		{"EmptySignature", nil, ptr(""), &pb.Verdict{Reason: "missing-signature"}},
		{"MalformedSignature", nil, ptr("x"), &pb.Verdict{Reason: "malformed"}},
		{"OtherVersion", nil, ptr(strings.Replace(jefeSignature, "version=1", "version=2", 1)), &pb.Verdict{Reason: "unknown-key", Version: 2}},
		{"OtherKey", nil, ptr(strings.Replace(jefeSignature, "keyId=jefe", "keyId=other", 1)), &pb.Verdict{Reason: "unknown-key", Version: 1}},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request := &pb.VerifyRequest{Key: "jefe", Message: []byte(jefeText), Tag: tt.tag, Signature: tt.signature}
			got, err := f.sign.Verify(as(t, "verifier"), request)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Key, tt.want.KeyId, tt.want.Algorithm = "jefe", "jefe", "hmac-sha256"
			if diff := cmp.Diff(tt.want, got, protocmp.Transform(), protocmp.IgnoreFields(&pb.Verdict{}, "detail")); diff != "" || got.Valid != (got.Detail == "") {
				t.Errorf("Verify (-want +got), detail %q:\n%s", got.Detail, diff)
			}
			op, outcome := f.reported(t, 2*i+1)[2*i], operation.Invalid
			if tt.want.Valid {
				outcome = operation.Valid
			}
			if op.Name != "verify" || op.Outcome != outcome || op.Reason != tt.want.Reason || op.Status != 200 || op.Version != int(tt.want.Version) {
				t.Errorf("reported %+v", op)
			}
			up := upload(t, f, "verifier", request)
			if diff := cmp.Diff(got, up, protocmp.Transform()); diff != "" {
				t.Errorf("VerifyUpload is not the same (-Verify +VerifyUpload):\n%s", diff)
			}
		})
	}
	for name, request := range map[string]*pb.VerifyRequest{
		"NoMessage": {Key: "jefe", Tag: right}, "NoTag": {Key: "jefe", Message: right}, "Both": {Key: "jefe", Message: right, Tag: right, Signature: ptr("x")},
	} {
		_, err := f.sign.Verify(as(t, "verifier"), request)
		t.Run(name, func(t *testing.T) { refused(t, err, codes.InvalidArgument, "invalid", "") })
	}
}

// upload verifies with the message in parts of 5 bytes.
func upload(t *testing.T, f *fixture, token string, q *pb.VerifyRequest) *pb.Verdict {
	t.Helper()
	stream, err := f.sign.VerifyUpload(as(t, token))
	if err != nil {
		t.Fatal(err)
	}
	message := q.Message
	for first := true; first || len(message) > 0; first = false {
		n := min(len(message), 5)
		part := &pb.VerifyRequest{Message: message[:n]}
		if first {
			part.Key, part.Tag, part.Signature, part.Purpose, part.Context = q.Key, q.Tag, q.Signature, q.Purpose, q.Context
		}
		if stream.Send(part) != nil {
			break // CloseAndRecv says why
		}
		message = message[n:]
	}
	got, err := stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A revoked version has a reason of its own, and a rotation counts at once.
func TestRevoked(t *testing.T) {
	f := start(t, nil)
	if _, err := f.custody.Rotate(t.Context(), access.Administrator(), "jefe", 0, custody.Rotation{RevokeCurrent: true}); err != nil {
		t.Fatal(err)
	}
	request := &pb.VerifyRequest{Key: "jefe", Message: []byte(jefeText), Tag: unhex(t, jefeTag)}
	got, err := f.sign.Verify(as(t, "verifier"), request)
	if err != nil || got.Valid || got.Reason != "revoked-key" || got.Version != 1 || got.State != "" {
		t.Errorf("got %v, %v", got, err)
	}
	if got := upload(t, f, "verifier", request); got.Valid || got.Reason != "revoked-key" {
		t.Errorf("uploaded: got %v", got)
	}
}

func TestBatch(t *testing.T) {
	f := start(t, func(o *rpc.Options) { o.Limits.Items = 4 })
	signed, err := f.sign.SignBatch(as(t, "admin"), &pb.SignBatchRequest{Key: "jefe", Items: []*pb.SignItem{{Message: []byte(jefeText)}, {}, {Message: []byte{}}}})
	if err != nil || len(signed.Items) != 3 {
		t.Fatalf("got %v, %v", signed, err)
	}
	if got := signed.Items[0]; hex.EncodeToString(got.Tag) != jefeTag || got.Signature != jefeSignature || got.Error != nil {
		t.Errorf("first: got %v", got)
	}
	want := &pb.Signed{Error: &pb.ItemError{Index: 1, Location: "items[1]", Detail: "message is missing"}}
	if diff := cmp.Diff(want, signed.Items[1], protocmp.Transform()); diff != "" {
		t.Errorf("second (-want +got):\n%s", diff)
	}
	if got := signed.Items[2]; len(got.Tag) != 32 || bytes.Equal(got.Tag, signed.Items[0].Tag) {
		t.Errorf("third: got %v", got)
	}
	if op := f.reported(t, 1)[0]; op.Name != "sign" || op.Items != 3 || op.Valid != 2 || op.Failed != 1 || op.Outcome != "ok" || op.Version != 1 {
		t.Errorf("reported %+v", op)
	}

	verdicts, err := f.sign.VerifyBatch(as(t, "admin"), &pb.VerifyBatchRequest{Key: "jefe", Items: []*pb.VerifyItem{
		{Message: []byte(jefeText), Tag: signed.Items[0].Tag}, {Message: []byte("x"), Tag: signed.Items[0].Tag}, {Message: []byte("x")}, {Message: []byte{}, Signature: ptr(signed.Items[2].Signature)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range verdicts.Items {
		got = append(got, strings.TrimSpace(v.Reason+" "+v.State+" "+v.Error.GetDetail()))
	}
	if want := "active|wrong-signature|tag or signature is missing|active"; strings.Join(got, "|") != want {
		t.Errorf("got %q, want %s", got, want)
	}
	if op := f.reported(t, 2)[1]; op.Name != "verify" || op.Items != 4 || op.Valid != 2 || op.Failed != 1 || op.Outcome != "ok" || op.Reason != "" {
		t.Errorf("reported %+v", op)
	}
	_, err = f.sign.SignBatch(as(t, "admin"), &pb.SignBatchRequest{Key: "jefe", Items: make([]*pb.SignItem, 5)})
	refused(t, err, codes.ResourceExhausted, "too-large", "more than 4 items")
	if none, err := f.sign.SignBatch(as(t, "admin"), &pb.SignBatchRequest{Key: "jefe"}); err != nil || len(none.Items) != 0 {
		t.Errorf("no items: got %v, %v", none, err)
	}
}

func TestSignUpload(t *testing.T) {
	parts := func(texts ...string) (list []*pb.SignRequest) {
		for _, text := range texts {
			list = append(list, &pb.SignRequest{Message: []byte(text)})
		}
		if len(list) > 0 {
			list[0].Key = "jefe"
		}
		return list
	}
	tests := []struct {
		name     string
		requests []*pb.SignRequest
		code     codes.Code
		problem  string
		text     string
	}{
		{"Whole", parts(jefeText), codes.OK, "", ""},
		{"Parts", parts("what do ya ", "want for", " nothing?"), codes.OK, "", ""},
		{"EmptyParts", parts("", "what do ya want for nothing", "", "?", ""), codes.OK, "", ""},
		{"Nothing", nil, codes.InvalidArgument, "malformed", "there is no request"},
		{"NoMessage", []*pb.SignRequest{{Key: "jefe"}}, codes.InvalidArgument, "invalid", "message: is missing"},
		{"NoMessageLater", append(parts("a"), &pb.SignRequest{}), codes.InvalidArgument, "invalid", "message: is missing"},
		{"KeyLater", append(parts("a"), parts("b")...), codes.InvalidArgument, "invalid", "nothing but message"},
		{"NoKey", []*pb.SignRequest{{Key: "x", Message: []byte("a")}}, codes.NotFound, "not-found", "no key"},
	}
	f := start(t, nil)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stream, err := f.sign.SignUpload(as(t, "admin"))
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range tt.requests {
				if stream.Send(q) != nil {
					break
				}
			}
			got, err := stream.CloseAndRecv()
			op := f.reported(t, i+1)[i]
			if tt.code != codes.OK {
				refused(t, err, tt.code, tt.problem, tt.text)
				if op.Name != "sign" || op.Reason != tt.problem || op.Valid != 0 {
					t.Errorf("reported %+v", op)
				}
				return
			}
			if err != nil || hex.EncodeToString(got.GetTag()) != jefeTag || got.Signature != jefeSignature {
				t.Errorf("got %v, %v", got, err)
			}
			if op.Outcome != "ok" || op.Bytes != int64(len(jefeText)) || op.Valid != 1 {
				t.Errorf("reported %+v", op)
			}
		})
	}
}

// Half a message is never signed: a client that goes leaves a refusal.
func TestUploadIsCutOff(t *testing.T) {
	f := start(t, nil)
	ctx, stream := cancelled(t, f)
	if err := stream.Send(&pb.SignRequest{Key: "jefe", Message: []byte("half")}); err != nil {
		t.Fatal(err)
	}
	ctx()
	if op := f.reported(t, 1)[0]; op.Outcome != operation.Refused || op.Reason != "malformed" || op.Valid != 0 {
		t.Errorf("reported %+v", op)
	}
}
