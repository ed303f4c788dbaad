package server_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/client"
	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

// ask is one operation, whichever protocol it goes by.
type ask struct {
	op        string // sign or verify
	token     string // admin, signer, verifier or wrong
	key       string
	items     []item // one for a single message
	batch     bool
	purpose   string
	context   string
	metadata  *api.Metadata
	bind      bool
	rawUpload bool // the message as a stream
}

// item is one message; nil means that it is left out.
type item struct {
	message, tag []byte
	signature    *string
}

// outcome is what came of it, in the words that all protocols have.
type outcome struct {
	Problem string // of the whole
	Items   []itemOutcome
}

type itemOutcome struct {
	Tag, Signature, Key, Reason, State, Algorithm string
	Version                                       int
	Valid, Bound                                  bool
	Error                                         bool
}

// protocol asks a server, and says what came of it.
type protocol struct {
	name string
	ask  func(t *testing.T, a ask) outcome
}

// contract is a running server, and all ways to it.
type contract struct {
	s       *servertest.Server
	tokens  map[string]string
	conn    *grpc.ClientConn
	program string // the command line
	detail  string // of the last problem by HTTP
}

const contractText = "what do ya want for nothing?" // of RFC 4231, with the key jefe

func startContract(t *testing.T) *contract {
	t.Helper()
	config := filepath.Join(t.TempDir(), "sealwright.yaml")
	limits := "limits:\n  items: 3\n  batch_body: 64KiB\n  rules:\n    - {name: slow, scope: key, match: limited, rate: 1, per: day}\n"
	if err := os.WriteFile(config, []byte(limits), 0o600); err != nil {
		t.Fatal(err)
	}
	s := servertest.StartConfig(t, server.Config{Store: "memory", GRPCListen: "127.0.0.1:0", ConfigFile: config})
	c := &contract{s: s, tokens: map[string]string{"admin": string(s.Token.Expose()), "wrong": "swt_wrong"}}
	must := func(method, path, body string) string {
		t.Helper()
		code, _, text := s.Do(t, method, path, body)
		if code >= 300 {
			t.Fatalf("%s %s: got %d %s", method, path, code, text)
		}
		return text
	}
	must("POST", "/v1/keys", `{"name":"jefe","material":"SmVmZQ==","allow_weak":true}`)
	must("POST", "/v1/keys", `{"name":"hooks","purpose":"webhook"}`)
	must("POST", "/v1/keys", `{"name":"limited"}`)
	must("POST", "/v1/keys/limited/sign", `{"text":"the one of today"}`)
	must("POST", "/v1/keys", `{"name":"leaked","material":"SmVmZQ==","allow_weak":true}`)
	must("POST", "/v1/keys/leaked/rotate", `{"revoke_current":true}`)
	must("POST", "/v1/keys", `{"name":"old","material":"SmVmZQ==","allow_weak":true}`)
	must("POST", "/v1/keys/old/rotate", `{}`)
	must("POST", "/v1/keys", `{"name":"gone"}`)
	must("DELETE", "/v1/keys/gone", "")
	for _, role := range []string{"signer", "verifier"} {
		must("POST", "/v1/callers", `{"name":"`+role+`","grants":[{"role":"`+role+`"}]}`)
		var made struct {
			Secret string `json:"secret"`
		}
		if err := json.Unmarshal([]byte(must("POST", "/v1/callers/"+role+"/credentials", `{"kind":"token"}`)), &made); err != nil || made.Secret == "" {
			t.Fatalf("make a token: %v", err)
		}
		c.tokens[role] = made.Secret
	}
	var err error
	if c.conn, err = grpc.NewClient(s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.conn.Close() })
	c.program = filepath.Join(t.TempDir(), "sealwright")
	build := exec.Command("go", "build", "-o", c.program, "github.com/sealwright/sealwright/cmd/sealwright")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the command line: %v\n%s", err, text)
	}
	return c
}

// commands asks by the command line; what it does not have, or refuses by itself,
// goes by HTTP.
func (c *contract) commands(t *testing.T, a ask) outcome {
	t.Helper()
	if a.batch || a.rawUpload || a.items[0].message == nil || a.op == "verify" && (a.items[0].tag == nil) == (a.items[0].signature == nil) {
		return c.rest(t, a)
	}
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args := []string{"keys", a.op, a.key, "--json", "--message", "-", "--server", c.s.URL, "--token-file", file("token", []byte(c.tokens[a.token]))}
	for name, text := range map[string]string{"--purpose": a.purpose, "--context": a.context} {
		if text != "" {
			args = append(args, name, text)
		}
	}
	if a.metadata != nil {
		text, err := json.Marshal(a.metadata)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "--metadata", file("metadata", text))
	}
	if a.bind {
		args = append(args, "--bind-metadata")
	}
	if a.items[0].tag != nil {
		args = append(args, "--tag", hex.EncodeToString(a.items[0].tag))
	}
	if a.items[0].signature != nil {
		args = append(args, "--signature", *a.items[0].signature)
	}
	return c.execute(t, a, args)
}

// execute runs the command line, which prints an answer, or what the problem is.
func (c *contract) execute(t *testing.T, a ask, args []string) outcome {
	t.Helper()
	cmd := exec.Command(c.program, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(a.items[0].message), &out, &errs
	err := cmd.Run()
	if out.Len() == 0 { // it says what the server said
		o := c.rest(t, a)
		if o.Problem == "" || c.detail == "" || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(errs.String(), c.detail) {
			t.Errorf("%v: %v: %s, want exit code 1 and %q", args, err, errs.String(), c.detail)
		}
		return o
	}
	var got struct {
		api.Verdict
		Tag, Signature string
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%s: %v", out.String(), err)
	}
	if wrong := got.Tag == "" && !got.Valid; wrong != (err != nil) {
		t.Errorf("%v: exit code %d for %s", args, cmd.ProcessState.ExitCode(), out.String())
	}
	return outcome{Items: []itemOutcome{{got.Tag, got.Signature, got.Key, got.Reason, got.State, got.Algorithm, got.Version, got.Valid, got.Bound, got.Error != nil}}}
}

// body writes what a request has beside its key.
func (a ask) body(t *testing.T) []byte {
	t.Helper()
	m := map[string]any{}
	set := func(to map[string]any, i item) {
		if i.message != nil {
			to["message"] = base64.StdEncoding.EncodeToString(i.message)
		}
		if i.tag != nil {
			to["tag"] = hex.EncodeToString(i.tag)
		}
		if i.signature != nil {
			to["signature"] = *i.signature
		}
	}
	if a.batch {
		list := make([]map[string]any, len(a.items))
		for n, i := range a.items {
			list[n] = map[string]any{}
			set(list[n], i)
		}
		m["items"] = list
	} else {
		set(m, a.items[0])
	}
	for name, text := range map[string]string{"purpose": a.purpose, "context": a.context} {
		if text != "" {
			m[name] = text
		}
	}
	if a.metadata != nil {
		m["metadata"] = a.metadata
	}
	if a.bind {
		m["bind_metadata"] = true
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// rest asks by HTTP.
func (c *contract) rest(t *testing.T, a ask) outcome {
	t.Helper()
	body, kind := a.body(t), "application/json"
	r, err := http.NewRequest("POST", c.s.URL+"/v1/keys/"+a.key+"/"+a.op, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.rawUpload {
		body, kind = a.items[0].message, "application/octet-stream"
		if a.items[0].tag != nil {
			r.Header.Set("Sealwright-Tag", hex.EncodeToString(a.items[0].tag))
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Authorization", "Bearer "+c.tokens[a.token])
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		var p api.Problem
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		c.detail = p.Detail
		return outcome{Problem: p.Code}
	}
	if !a.batch {
		text = fmt.Appendf(nil, `{"items":[%s]}`, text)
	}
	var got struct {
		Items []struct {
			api.Verdict
			Tag, Signature string
		}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var o outcome
	for _, i := range got.Items {
		o.Items = append(o.Items, itemOutcome{i.Tag, i.Signature, i.Key, i.Reason, i.State, i.Algorithm, i.Version, i.Valid, i.Bound, i.Error != nil})
	}
	return o
}

// client asks by the Go client; what it does not have goes by HTTP.
func (c *contract) client(t *testing.T, a ask) outcome {
	t.Helper()
	if a.rawUpload && a.op == "verify" || a.batch && len(a.items) == 0 {
		return c.rest(t, a)
	}
	by := &client.Client{URL: c.s.URL, Credential: client.Static(secret.FromString(c.tokens[a.token])), Retry: client.Retry{Attempts: 1}}
	var sign api.Sign
	var verify api.Verify
	if a.op == "sign" {
		a.read(t, &sign)
		if !a.batch && a.items[0].message != nil && len(sign.Message) == 0 {
			sign.Text = new(string) // an empty message is left out
		}
	} else {
		a.read(t, &verify)
	}
	var signed []api.Signed
	var verdicts []api.Verdict
	var err error
	switch {
	case a.rawUpload:
		signed = make([]api.Signed, 1)
		signed[0], err = by.SignStream(t.Context(), a.key, bytes.NewReader(a.items[0].message))
	case a.op == "sign" && a.batch:
		signed, err = by.SignBatch(t.Context(), a.key, sign)
	case a.op == "sign":
		signed = make([]api.Signed, 1)
		signed[0], err = by.Sign(t.Context(), a.key, sign)
	case a.batch:
		verdicts, err = by.VerifyBatch(t.Context(), a.key, verify)
	default:
		verdicts = make([]api.Verdict, 1)
		verdicts[0], err = by.Verify(t.Context(), a.key, verify)
	}
	if errors.Is(err, client.ErrNotValid) { // with the verdict
		err = nil
	}
	if err != nil {
		var refusal *client.Error
		if !errors.As(err, &refusal) {
			t.Fatalf("got %v, want a refusal of the server", err)
		}
		return outcome{Problem: refusal.Problem.Code}
	}
	var o outcome
	for _, i := range signed {
		o.Items = append(o.Items, itemOutcome{Tag: i.Tag, Signature: i.Signature, Key: i.Key, Algorithm: i.Algorithm, Version: i.Version, Bound: i.Bound, Error: i.Error != nil})
	}
	for _, i := range verdicts {
		o.Items = append(o.Items, itemOutcome{Key: i.Key, Reason: i.Reason, State: i.State, Algorithm: i.Algorithm, Version: i.Version, Valid: i.Valid, Bound: i.Bound, Error: i.Error != nil})
	}
	return o
}

// read reads the body of a into one of the types of the API.
func (a ask) read(t *testing.T, to any) {
	t.Helper()
	if err := json.Unmarshal(a.body(t), to); err != nil {
		t.Fatal(err)
	}
}

func (a ask) optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func pbMetadata(m *api.Metadata) *pb.Metadata {
	if m == nil {
		return nil
	}
	return &pb.Metadata{Environment: m.Environment, Source: m.Source, Target: m.Target, Resource: m.Resource, Classes: m.Classes, Labels: m.Labels}
}

func (a ask) signRequest() *pb.SignRequest {
	return &pb.SignRequest{Key: a.key, Message: a.items[0].message, Purpose: a.optional(a.purpose), Context: a.optional(a.context), Metadata: pbMetadata(a.metadata), BindMetadata: a.bind}
}

func (a ask) verifyRequest() *pb.VerifyRequest {
	i := a.items[0]
	return &pb.VerifyRequest{Key: a.key, Message: i.message, Tag: i.tag, Signature: i.signature, Purpose: a.optional(a.purpose), Context: a.optional(a.context), Metadata: pbMetadata(a.metadata), BindMetadata: a.bind}
}

func ofSigned(s *pb.Signed) itemOutcome {
	return itemOutcome{Tag: hex.EncodeToString(s.GetTag()), Signature: s.GetSignature(), Key: s.GetKey(), Algorithm: s.GetAlgorithm(), Version: int(s.GetVersion()), Bound: s.GetBound(), Error: s.GetError() != nil}
}

func ofVerdict(v *pb.Verdict) itemOutcome {
	return itemOutcome{Key: v.GetKey(), Reason: v.GetReason(), State: v.GetState(), Algorithm: v.GetAlgorithm(), Version: int(v.GetVersion()), Valid: v.GetValid(), Bound: v.GetBound(), Error: v.GetError() != nil}
}

// problemOf returns the code that an error of gRPC has as its detail; of what
// gRPC refuses itself, its own.
func problemOf(t *testing.T, err error) string {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if p, ok := d.(*pb.Problem); ok {
			return p.Code
		}
	}
	if strings.Contains(err.Error(), "larger than max") {
		return "too-large"
	}
	t.Fatalf("got %v, want an error with a problem", err)
	return ""
}

func (c *contract) outgoing(t *testing.T, a ask) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+c.tokens[a.token])
}

// grpc asks by gRPC, with the method for one call.
func (c *contract) grpc(t *testing.T, a ask) (o outcome) {
	t.Helper()
	client, ctx := pb.NewSignaturesClient(c.conn), c.outgoing(t, a)
	var err error
	switch {
	case a.batch && a.op == "sign":
		q := &pb.SignBatchRequest{Key: a.key, Purpose: a.optional(a.purpose), Context: a.optional(a.context), Metadata: pbMetadata(a.metadata), BindMetadata: a.bind}
		for _, i := range a.items {
			q.Items = append(q.Items, &pb.SignItem{Message: i.message})
		}
		var got *pb.SignedBatch
		got, err = client.SignBatch(ctx, q)
		for _, s := range got.GetItems() {
			o.Items = append(o.Items, ofSigned(s))
		}
	case a.batch:
		q := &pb.VerifyBatchRequest{Key: a.key, Purpose: a.optional(a.purpose), Context: a.optional(a.context), Metadata: pbMetadata(a.metadata), BindMetadata: a.bind}
		for _, i := range a.items {
			q.Items = append(q.Items, &pb.VerifyItem{Message: i.message, Tag: i.tag, Signature: i.signature})
		}
		var got *pb.VerdictBatch
		got, err = client.VerifyBatch(ctx, q)
		for _, v := range got.GetItems() {
			o.Items = append(o.Items, ofVerdict(v))
		}
	case a.rawUpload:
		return c.upload(t, a)
	case a.op == "sign":
		var got *pb.Signed
		got, err = client.Sign(ctx, a.signRequest())
		o.Items = []itemOutcome{ofSigned(got)}
	default:
		var got *pb.Verdict
		got, err = client.Verify(ctx, a.verifyRequest())
		o.Items = []itemOutcome{ofVerdict(got)}
	}
	if err != nil {
		return outcome{Problem: problemOf(t, err)}
	}
	return o
}

// upload asks by gRPC, with the message in two parts.
func (c *contract) upload(t *testing.T, a ask) outcome {
	t.Helper()
	client, ctx := pb.NewSignaturesClient(c.conn), c.outgoing(t, a)
	half := len(a.items[0].message) / 2
	if a.op == "sign" {
		stream, err := client.SignUpload(ctx)
		if err != nil {
			t.Fatal(err)
		}
		first := a.signRequest()
		rest := &pb.SignRequest{Message: first.Message[half:]}
		first.Message = first.Message[:half]
		_ = stream.Send(first) // CloseAndRecv has the error
		_ = stream.Send(rest)
		got, err := stream.CloseAndRecv()
		if err != nil {
			return outcome{Problem: problemOf(t, err)}
		}
		return outcome{Items: []itemOutcome{ofSigned(got)}}
	}
	stream, err := client.VerifyUpload(ctx)
	if err != nil {
		t.Fatal(err)
	}
	first := a.verifyRequest()
	rest := &pb.VerifyRequest{Message: first.Message[half:]}
	first.Message = first.Message[:half]
	_ = stream.Send(first) // as above
	_ = stream.Send(rest)
	got, err := stream.CloseAndRecv()
	if err != nil {
		return outcome{Problem: problemOf(t, err)}
	}
	return outcome{Items: []itemOutcome{ofVerdict(got)}}
}

// stream asks by gRPC as one operation of a stream; what it does not have goes by
// the other methods.
func (c *contract) stream(t *testing.T, a ask) outcome {
	t.Helper()
	if a.batch || a.rawUpload {
		return c.grpc(t, a)
	}
	stream, err := pb.NewSignaturesClient(c.conn).Stream(c.outgoing(t, a))
	if err != nil {
		t.Fatal(err)
	}
	op := &pb.Operation{Operation: &pb.Operation_Verify{Verify: a.verifyRequest()}}
	if a.op == "sign" {
		op = &pb.Operation{Operation: &pb.Operation_Sign{Sign: a.signRequest()}}
	}
	_ = stream.Send(op) // Recv has the error
	got, err := stream.Recv()
	if err != nil {
		return outcome{Problem: problemOf(t, err)}
	}
	switch r := got.Result.(type) {
	case *pb.Result_Signed:
		return outcome{Items: []itemOutcome{ofSigned(r.Signed)}}
	case *pb.Result_Verdict:
		return outcome{Items: []itemOutcome{ofVerdict(r.Verdict)}}
	}
	return outcome{Problem: got.GetProblem().GetCode()}
}

// TestContract holds that an operation has the same outcome whichever protocol it
// goes by.
func TestContract(t *testing.T) {
	c := startContract(t)
	protocols := []protocol{{"rest", c.rest}, {"grpc", c.grpc}, {"stream", c.stream}, {"client", c.client}, {"commands", c.commands}}
	text := []byte(contractText)
	tag, err := hex.DecodeString("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
	if err != nil {
		t.Fatal(err)
	}
	const signature = "HMAC-SHA256=W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=, keyId=jefe, version=1"
	about := &api.Metadata{Source: "shop", Classes: []string{"pii"}}
	ptr := func(s string) *string { return &s }
	one := func(i item) []item { return []item{i} }
	tests := []struct {
		name string
		ask  ask
		want string // problem, or reason or state of each item, E for an error in its place
	}{
		{"Sign", ask{op: "sign", key: "jefe", items: one(item{message: text})}, "ok"},
		{"SignNothing", ask{op: "sign", key: "jefe", items: one(item{message: []byte{}})}, "ok"},
		{"SignUpload", ask{op: "sign", key: "jefe", items: one(item{message: text}), rawUpload: true}, "ok"},
		{"SignForPurpose", ask{op: "sign", key: "hooks", items: one(item{message: text}), purpose: "webhook"}, "ok"},
		{"SignForOtherPurpose", ask{op: "sign", key: "hooks", items: one(item{message: text}), purpose: "api"}, "denied"},
		{"SignForUnknownPurpose", ask{op: "sign", key: "hooks", items: one(item{message: text}), purpose: "x"}, "invalid"},
		{"SignInContext", ask{op: "sign", key: "jefe", items: one(item{message: text}), context: "customer-7"}, "ok"},
		{"SignInLongContext", ask{op: "sign", key: "jefe", items: one(item{message: text}), context: strings.Repeat("a", 257)}, "invalid"},
		{"SignWithMetadata", ask{op: "sign", key: "jefe", items: one(item{message: text}), metadata: about}, "ok"},
		{"SignBound", ask{op: "sign", key: "jefe", items: one(item{message: text}), metadata: about, bind: true}, "ok"},
		{"SignBoundToNothing", ask{op: "sign", key: "jefe", items: one(item{message: text}), bind: true}, "invalid"},
		{"SignBadMetadata", ask{op: "sign", key: "jefe", items: one(item{message: text}), metadata: &api.Metadata{Source: strings.Repeat("a", 257)}}, "invalid"},
		{"SignWithoutMessage", ask{op: "sign", key: "jefe", items: one(item{})}, "invalid"},
		{"SignTooLarge", ask{op: "sign", key: "jefe", items: one(item{message: make([]byte, 70<<10)})}, "too-large"},
		{"SignLargeUpload", ask{op: "sign", key: "jefe", items: one(item{message: make([]byte, 100<<10)}), rawUpload: true}, "ok"},
		{"SignBatch", ask{op: "sign", key: "jefe", items: []item{{message: text}, {}, {message: []byte("b")}}, batch: true}, "ok E ok"},
		{"SignNoItems", ask{op: "sign", key: "jefe", batch: true}, ""},
		{"SignTooManyItems", ask{op: "sign", key: "jefe", items: make([]item, 4), batch: true}, "too-large"},
		{"SignUnknownKey", ask{op: "sign", key: "none", items: one(item{message: text})}, "not-found"},
		{"SignDeletedKey", ask{op: "sign", key: "gone", items: one(item{message: text})}, "not-found"},
		{"SignByStranger", ask{op: "sign", token: "wrong", key: "jefe", items: one(item{message: text})}, "unauthorized"},
		{"SignByVerifier", ask{op: "sign", token: "verifier", key: "jefe", items: one(item{message: text})}, "denied"},
		{"UnknownKeyByVerifier", ask{op: "sign", token: "verifier", key: "none", items: one(item{message: text})}, "denied"},
		{"SignBySigner", ask{op: "sign", token: "signer", key: "jefe", items: one(item{message: text})}, "ok"},
		{"SignLimited", ask{op: "sign", key: "limited", items: one(item{message: text})}, "rate-limited"},
		{"UploadLimited", ask{op: "sign", key: "limited", items: one(item{message: text}), rawUpload: true}, "rate-limited"},

		{"VerifyTag", ask{op: "verify", key: "jefe", items: one(item{message: text, tag: tag})}, "active"},
		{"VerifySignature", ask{op: "verify", key: "jefe", items: one(item{message: text, signature: ptr(signature)})}, "active"},
		{"VerifyUpload", ask{op: "verify", key: "jefe", items: one(item{message: text, tag: tag}), rawUpload: true}, "active"},
		{"VerifyInGrace", ask{op: "verify", key: "old", items: one(item{message: text, tag: tag})}, "grace"},
		{"VerifyRevoked", ask{op: "verify", key: "leaked", items: one(item{message: text, tag: tag})}, "revoked-key"},
		{"VerifyRevokedUpload", ask{op: "verify", key: "leaked", items: one(item{message: text, tag: tag}), rawUpload: true}, "revoked-key"},
		{"VerifyOther", ask{op: "verify", key: "jefe", items: one(item{message: []byte("other"), tag: tag})}, "wrong-signature"},
		{"VerifyOtherUpload", ask{op: "verify", key: "jefe", items: one(item{message: []byte("other"), tag: tag}), rawUpload: true}, "wrong-signature"},
		{"VerifyShortTag", ask{op: "verify", key: "jefe", items: one(item{message: text, tag: tag[:16]})}, "malformed"},
		{"VerifyEmptyTag", ask{op: "verify", key: "jefe", items: one(item{message: text, tag: []byte{}})}, "missing-signature"},
		{"VerifyMalformed", ask{op: "verify", key: "jefe", items: one(item{message: text, signature: ptr("x")})}, "malformed"},
		{"VerifyOfOtherKey", ask{op: "verify", key: "old", items: one(item{message: text, signature: ptr(signature)})}, "unknown-key"},
		{"VerifyOtherVersion", ask{op: "verify", key: "jefe", items: one(item{message: text, signature: ptr(strings.Replace(signature, "version=1", "version=9", 1))})}, "unknown-key"},
		{"VerifyOtherAlgorithm", ask{op: "verify", key: "jefe", items: one(item{message: text, signature: ptr(strings.Replace(signature, "SHA256", "SHA3-256", 1))})}, "policy"},
		{"VerifyBoundWithout", ask{op: "verify", key: "jefe", items: one(item{message: text, tag: tag}), metadata: about, bind: true}, "wrong-signature"},
		{"VerifyNoTag", ask{op: "verify", key: "jefe", items: one(item{message: text})}, "invalid"},
		{"VerifyBoth", ask{op: "verify", key: "jefe", items: one(item{message: text, tag: tag, signature: ptr(signature)})}, "invalid"},
		{"VerifyBatch", ask{op: "verify", key: "jefe", items: []item{{message: text, tag: tag}, {message: text}, {message: []byte("x"), signature: ptr(signature)}}, batch: true}, "active E wrong-signature"},
		{"VerifyBySigner", ask{op: "verify", token: "signer", key: "jefe", items: one(item{message: text, tag: tag})}, "denied"},
		{"VerifyByVerifier", ask{op: "verify", token: "verifier", key: "jefe", items: one(item{message: text, tag: tag})}, "active"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.ask.token == "" {
				tt.ask.token = "admin"
			}
			var first outcome
			for i, p := range protocols {
				got := p.ask(t, tt.ask)
				if i == 0 {
					first = got
				}
				if short := got.short(); short != tt.want {
					t.Errorf("%s: got %q, want %q", p.name, short, tt.want)
				}
				if diff := cmp.Diff(first, got); diff != "" {
					t.Errorf("%s is not as %s (-%s +%s):\n%s", p.name, protocols[0].name, protocols[0].name, p.name, diff)
				}
			}
		})
	}
}

func (o outcome) short() string {
	if o.Problem != "" {
		return o.Problem
	}
	var list []string
	for _, i := range o.Items {
		switch {
		case i.Error:
			list = append(list, "E")
		case i.Tag != "":
			list = append(list, "ok")
		case i.Valid:
			list = append(list, i.State)
		default:
			list = append(list, i.Reason)
		}
	}
	return strings.Join(list, " ")
}

// TestProtoHasCounterparts holds that every field of the gRPC API is one of the
// HTTP API, of the same name.
func TestProtoHasCounterparts(t *testing.T) {
	counterparts := map[string]any{
		"SignRequest": api.Sign{}, "Signed": api.Signed{}, "SignBatchRequest": api.Sign{}, "SignItem": api.SignItem{}, "SignedBatch": api.SignedBatch{},
		"VerifyRequest": api.Verify{}, "Verdict": api.Verdict{}, "VerifyBatchRequest": api.Verify{}, "VerifyItem": api.VerifyItem{}, "VerdictBatch": api.VerdictBatch{},
		"ItemError": api.ItemError{}, "Problem": api.Problem{}, "Metadata": api.Metadata{},
		"Key": api.Key{}, "KeyVersion": api.KeyVersion{}, "NativeKey": api.NativeKey{}, "Schedule": api.Schedule{}, "KeySource": api.KeySource{}, "KeyList": api.KeyList{},
	}
	elsewhere := map[string]string{
		"SignRequest.key": "in the path", "VerifyRequest.key": "in the path", "SignBatchRequest.key": "in the path", "VerifyBatchRequest.key": "in the path",
		"GetKeyRequest.name": "in the path", "ListKeysRequest.limit": "in the query", "ListKeysRequest.cursor": "in the query",
		"Operation.sign": "is the request", "Operation.verify": "is the request", "Result.signed": "is the answer", "Result.verdict": "is the answer", "Result.problem": "is the answer",
	}
	messages := pb.File_sealwright_v1_sealwright_proto.Messages()
	for i := range messages.Len() {
		m := messages.Get(i)
		members := map[string]bool{}
		if counterpart := counterparts[string(m.Name())]; counterpart != nil {
			members = membersOf(reflect.TypeOf(counterpart))
			delete(counterparts, string(m.Name()))
		}
		each(m.Fields(), func(f protoreflect.FieldDescriptor) {
			name := string(m.Name()) + "." + string(f.Name())
			if elsewhere[name] == "" && !members[string(f.Name())] {
				t.Errorf("%s has no counterpart in the HTTP API", name)
			}
			delete(elsewhere, name)
		})
	}
	if len(counterparts)+len(elsewhere) > 0 {
		t.Errorf("listed, and not in the proto file: %v %v", counterparts, elsewhere)
	}
}

func each(fields protoreflect.FieldDescriptors, f func(protoreflect.FieldDescriptor)) {
	for i := range fields.Len() {
		f(fields.Get(i))
	}
}

func membersOf(t reflect.Type) map[string]bool {
	members := map[string]bool{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		members[name] = true
	}
	return members
}
