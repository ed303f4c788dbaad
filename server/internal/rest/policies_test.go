package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/policy"
	"github.com/sealwright/sealwright/server/internal/rest"
)

func TestPolicies(t *testing.T) {
	f := start(t, nil)
	const rules = `"rules":[{"id":"a","match":{"classes":["pii"]},"require":{"context":["labels.ticket"]}}]`
	a := f.must(t, "POST", "/v1/policies?dry_run=true", `{"id":"p",`+rules+`}`)
	if a.status != 200 || !strings.Contains(a.body, `"dry_run":true`) {
		t.Errorf("dry run: got %d: %s", a.status, a.body)
	}
	refused(t, f.do(t, "GET", "/v1/policies/p", ""), 404, "not-found", "no policy")
	a = f.must(t, "POST", "/v1/policies", `{"id":"p",`+rules+`}`)
	if a.status != 201 || a.header.Get("ETag") != `"1"` || a.header.Get("Location") != "/v1/policies/p" {
		t.Errorf("create: got %d, %v", a.status, a.header)
	}
	refused(t, f.do(t, "POST", "/v1/policies", `{"id":"p",`+rules+`}`), 409, "conflict", "exists already")
	refused(t, f.do(t, "PUT", "/v1/policies/p", `{`+rules+`}`, "If-Match", `"2"`), 412, "precondition-failed", "has version 1, not 2")
	refused(t, f.do(t, "PUT", "/v1/policies/p", `{`+rules+`}`, "If-Match", `W/"1"`), 412, "precondition-failed", "If-Match")
	refused(t, f.do(t, "PUT", "/v1/policies/p", `{"rules":[{"id":"a","deny":true,"when":"key =="}]}`), 422, "invalid", "Syntax error")
	refused(t, f.do(t, "PUT", "/v1/policies/p", `{"rules":[{"id":"a","denied":true}]}`), 422, "invalid", "")
	refused(t, f.do(t, "PUT", "/v1/policies/NO", `{"rules":[]}`), 422, "invalid", "id: got 2 bytes")
	a = f.must(t, "PUT", "/v1/policies/p", `{"rules":[]}`, "If-Match", `"1"`)
	if a.header.Get("ETag") != `"2"` {
		t.Errorf("set: got %v", a.header)
	}
	a = f.must(t, "GET", "/v1/policies/p?version=1", "")
	if !strings.Contains(a.body, `"rules":[{"id":"a","match":{"classes":["pii"]},"require":{"context":["labels.ticket"]}}]`) {
		t.Errorf("version 1: got %s", a.body)
	}
	refused(t, f.do(t, "GET", "/v1/policies/p?version=9", ""), 404, "not-found", "no version 9")
	f.must(t, "POST", "/v1/policies/p/rollback", `{"version":1}`)
	a = f.must(t, "GET", "/v1/policies/p/versions", "")
	var list api.PolicyList
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || len(list.Items) != 3 || list.Items[0].Version != 3 || list.Items[0].Count != 1 || list.Items[0].Rules != nil {
		t.Errorf("versions: got %s", a.body)
	}
	a = f.must(t, "POST", "/v1/policies/p/explain", `{"classes":["pii"]}`)
	want := `{"allowed":false,"rule":"p/a","reason":"metadata labels.ticket is required","outcomes":[{"rule":"a","matches":true,"effect":"deny"}]}`
	if strings.TrimSpace(a.body) != want {
		t.Errorf("explain: got %s, want %s", a.body, want)
	}
	if a := f.do(t, "DELETE", "/v1/policies/p", "", "If-Match", `"3"`); a.status != 204 {
		t.Errorf("delete: got %d: %s", a.status, a.body)
	}
	if a := f.must(t, "GET", "/v1/policies", ""); strings.TrimSpace(a.body) != `{"items":[]}` {
		t.Errorf("list: got %s", a.body)
	}
}

// TestPolicyRuleIsTheSame fills every member of a rule and holds the JSON of the
// API equal to that of the records.
func TestPolicyRuleIsTheSame(t *testing.T) {
	var in policy.Rule
	fillIn(reflect.ValueOf(&in).Elem())
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var there api.PolicyRule
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&there); err != nil {
		t.Fatal(err)
	}
	back, err := json.Marshal(there)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(back)); diff != "" {
		t.Errorf("rule (-policy +api):\n%s", diff)
	}
}

// fillIn gives every member a value.
func fillIn(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(1)
	case reflect.Slice:
		v.Set(reflect.ValueOf([]string{"x"}))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"x": "y"}))
	case reflect.Struct:
		for i := range v.NumField() {
			fillIn(v.Field(i))
		}
	default:
		panic(v.Kind())
	}
}

const about = `{"environment":"production","classes":["pii","financial"],"labels":{"team":"red"}}`

// TestBindMetadata signs metadata with a message, as JSON and as a stream, and
// verifies it in the other way.
func TestBindMetadata(t *testing.T) {
	f := start(t, nil)
	f.must(t, "POST", "/v1/keys", `{"name":"k"}`)
	raw := []string{"Content-Type", "application/octet-stream", api.MetadataHeader, about, api.BindMetadataHeader, "true"}
	sign := func(body string, header ...string) (s api.Signed) {
		t.Helper()
		if err := json.Unmarshal([]byte(f.must(t, "POST", "/v1/keys/k/sign", body, header...).body), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	bound := sign(`{"text":"hello","metadata":` + about + `,"bind_metadata":true}`)
	stream := sign("hello", raw...)
	plain := sign(`{"text":"hello","metadata":` + about + `}`)
	if !bound.Bound || bound.Tag != stream.Tag || !stream.Bound || plain.Bound || plain.Tag == bound.Tag {
		t.Errorf("got %+v, %+v and %+v", bound, stream, plain)
	}
	// A message that begins with the canonical bytes is not one that is bound.
	var m api.Metadata
	if err := json.Unmarshal([]byte(about), &m); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string][]byte{"message": append(m.AppendCanonical(nil), "hello"...)})
	if err != nil {
		t.Fatal(err)
	}
	if forged := sign(string(text)); forged.Tag == bound.Tag {
		t.Error("a message alone has the tag of a message with metadata")
	}
	tests := []struct {
		name, body string
		valid      bool
	}{
		{"Same", `"metadata":` + about + `,"bind_metadata":true`, true},
		{"OtherOrder", `"bind_metadata":true,"metadata":{"labels":{"team":"red"},"classes":["financial","pii"],"environment":"production"}`, true},
		{"OtherLabel", `"bind_metadata":true,"metadata":{"labels":{"team":"blue"},"classes":["financial","pii"],"environment":"production"}`, false},
		{"NotBound", `"metadata":` + about, false},
		{"WithContext", `"context":"c","metadata":` + about + `,"bind_metadata":true`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := f.must(t, "POST", "/v1/keys/k/verify", `{"text":"hello","tag":"`+bound.Tag+`",`+tt.body+`}`)
			if got := strings.HasPrefix(a.body, `{"valid":true`); got != tt.valid || strings.Contains(a.body, `"bound":true`) != strings.Contains(tt.body, "bind") {
				t.Errorf("got %s, want valid %v", a.body, tt.valid)
			}
		})
	}
	a := f.must(t, "POST", "/v1/keys/k/verify", "hello", append(raw, "Sealwright-Signature", bound.Signature)...)
	if !strings.HasPrefix(a.body, `{"valid":true`) {
		t.Errorf("verify a stream: got %s", a.body)
	}
	batch := f.must(t, "POST", "/v1/keys/k/sign", `{"bind_metadata":true,"metadata":`+about+`,"items":[{"text":"hello"},{"text":"hello","metadata":{"source":"x"}}]}`)
	var items api.SignedBatch
	if err := json.Unmarshal([]byte(batch.body), &items); err != nil || items.Items[0].Tag != bound.Tag || items.Items[1].Tag == bound.Tag || !items.Items[1].Bound {
		t.Errorf("batch: got %s", batch.body)
	}
}

func TestMetadataRefusals(t *testing.T) {
	f := start(t, nil)
	f.must(t, "POST", "/v1/keys", `{"name":"k"}`)
	stream := func(header ...string) answer {
		return f.do(t, "POST", "/v1/keys/k/sign", "hello", append([]string{"Content-Type", "application/octet-stream"}, header...)...)
	}
	tests := []struct {
		name   string
		answer answer
		status int
		detail string
	}{
		{"NothingToBind", f.do(t, "POST", "/v1/keys/k/sign", `{"text":"a","bind_metadata":true}`), 422, "no metadata to bind"},
		{"NothingToBindInAnItem", f.do(t, "POST", "/v1/keys/k/sign", `{"bind_metadata":true,"items":[{"text":"a"}]}`), 422, "no metadata to bind"},
		{"HeaderNoJSON", stream(api.MetadataHeader, "production"), 400, "header.Sealwright-Metadata"},
		{"HeaderUnknown", stream(api.MetadataHeader, `{"env":"a"}`), 422, "header.Sealwright-Metadata: unknown member"},
		{"HeaderPlace", stream(api.MetadataHeader, `{"source":1}`), 422, "header.Sealwright-Metadata.source: got a number"},
		{"HeaderMore", stream(api.MetadataHeader, `{} {}`), 400, "more follows"},
		{"HeaderTooLong", stream(api.MetadataHeader, `{"source":"`+strings.Repeat("a", api.MaxMetadata)+`"}`), 422, "more than 4096 bytes"},
		{"BindWord", stream(api.MetadataHeader, `{}`, api.BindMetadataHeader, "yes"), 422, "want true or false"},
		{"BindNothing", stream(api.BindMetadataHeader, "true"), 422, "no metadata to bind"},
		{"Requests", f.do(t, "POST", "/v1/requests/sign", `{"scheme":"github","key":"k","metadata":{"classes":["a","a"]},"request":{"method":"POST","url":"https://a/"}}`), 422, "classes[1]: stands twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.answer.status != tt.status || !strings.Contains(tt.answer.body, tt.detail) {
				t.Errorf("got %d: %s, want %d with %q", tt.answer.status, tt.answer.body, tt.status, tt.detail)
			}
		})
	}
}

// TestPrepare checks what every operation that uses a key asks for, and that a
// refusal reaches the log and not the caller.
func TestPrepare(t *testing.T) {
	var asked []policy.Request
	f := start(t, func(o *rest.Options) {
		find := o.Keys.Find
		o.Prepare = func(_ context.Context, r policy.Request) (*custody.Key, policy.Decision, error) {
			asked = append(asked, r)
			if r.Metadata != nil && r.Metadata.Environment == "test" {
				return nil, policy.Decision{Denied: true, Rule: "p/secret-rule", Reason: "because"}, policy.Refused()
			}
			k, err := find(r.Caller, r.Action, r.Key)
			return k, policy.Decision{}, err
		}
	})
	f.must(t, "POST", "/v1/keys", `{"name":"k"}`)
	const request = `"request":{"method":"POST","url":"https://a/"}}`
	denied := []string{
		"/v1/keys/k/sign", `{"text":"a","metadata":{"environment":"test"}}`,
		"/v1/keys/k/verify", `{"text":"a","tag":"00","metadata":{"environment":"test"}}`,
		"/v1/requests/sign", `{"scheme":"github","key":"k","metadata":{"environment":"test"},` + request,
		"/v1/requests/verify", `{"scheme":"github","key":"k","metadata":{"environment":"test"},` + request,
	}
	for i := 0; i < len(denied); i += 2 {
		refused(t, f.do(t, "POST", denied[i], denied[i+1]), 403, "denied", "the policy does not allow this")
		if op := f.last(t, i/2+2); op.Rule != "p/secret-rule" || op.Why != "because" || op.Metadata == nil || op.Key != "k" {
			t.Errorf("%s: got %+v in the log", denied[i], op)
		}
	}
	refused(t, f.do(t, "POST", "/v1/keys/k/sign", "a", "Content-Type", "application/octet-stream", api.MetadataHeader, `{"environment":"test"}`), 403, "denied", "")
	f.must(t, "POST", "/v1/keys/k/leases", `{"ttl":"1m","purpose":"api"}`)
	last := asked[len(asked)-1]
	if last.Action != access.LeaseCreate || last.Key != "k" || last.Purpose != "api" || !strings.HasPrefix(last.Address, "127.0.0.1") || last.Caller.ID != "admin" {
		t.Errorf("lease: got %+v", last)
	}
	if len(asked) != 6 {
		t.Errorf("asked %d times, want 6", len(asked))
	}
}

// TestLargestPolicy makes the largest policy there may be: it passes the limit of
// a body, and its answer can be kept.
func TestLargestPolicy(t *testing.T) {
	f := start(t, nil)
	sized := func(bytes int) string {
		var rules []api.PolicyRule
		for size := 0; size < bytes; size += 4000 {
			id := "r" + strings.Repeat("x", len(rules))
			rules = append(rules, api.PolicyRule{ID: id, Deny: true, Labels: map[string]string{"a": strings.Repeat("a", 4000-50-len(id))}})
		}
		text, err := json.Marshal(api.CreatePolicy{ID: "p", Rules: rules})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if a := f.must(t, "POST", "/v1/policies", sized(policy.MaxSource-8000)); len(a.body) < policy.MaxSource-20000 || len(a.body) > 240<<10 {
		t.Errorf("got an answer of %d bytes", len(a.body))
	}
	refused(t, f.do(t, "PUT", "/v1/policies/p", `{"rules":`+strings.TrimPrefix(sized(policy.MaxSource+8000), `{"id":"p","rules":`)), 422, "invalid", "rules: got ")
}
