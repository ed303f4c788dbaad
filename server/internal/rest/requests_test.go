package rest_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/server/internal/rest"
)

// The example of GitHub's documentation on validating deliveries, whose secret
// is in the documentation too.
const (
	githubSecret = "It's a Secret to Everybody"
	githubTag    = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	githubBody   = "Hello, World!"
)

func (f *fixture) withGithub(t *testing.T) {
	t.Helper()
	f.must(t, "POST", "/v1/keys", `{"name":"hook","material":"`+base64.StdEncoding.EncodeToString([]byte(githubSecret))+`"}`)
}

// github returns the body of a verification, with more members in front.
func github(members, tag, body string) string {
	r, _ := json.Marshal(api.Request{Method: "POST", URL: "https://example.com/hook", Headers: map[string][]string{"x-hub-signature-256": {tag}}, Body: body})
	return `{` + members + `"scheme":"github","key":"hook","request":` + string(r) + `}`
}

func TestVerifyRequest(t *testing.T) {
	f := start(t, nil)
	f.withGithub(t)
	a := f.must(t, "POST", "/v1/requests/verify", github("", githubTag, githubBody))
	got := decode[api.RequestVerdict](t, a)
	want := api.RequestVerdict{
		Key: "hook", Valid: true, Replay: "unchecked", Scheme: "github", KeyID: "hook", Version: 1, State: "active", Algorithm: "hmac-sha256",
		Covers: api.Coverage{Body: true}, Warnings: got.Warnings,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if op := f.last(t, 2); op.Name != "requests.verify" || op.Outcome != "valid" || op.Key != "hook" || op.KeyID != "hook" ||
		op.Version != 1 || op.Algorithm != "hmac-sha256" || op.Scheme != "github" || op.Bytes != int64(len(githubBody)) {
		t.Errorf("reported as %+v", op)
	}
	got = decode[api.RequestVerdict](t, f.must(t, "POST", "/v1/requests/verify", github("", githubTag, githubBody+"!")))
	if got.Valid || got.Reason != string(sealwright.ReasonMismatch) || got.Key != "hook" {
		t.Errorf("changed body: got %+v", got)
	}
	if op := f.last(t, 3); op.Outcome != "invalid" || op.Reason != string(sealwright.ReasonMismatch) || op.Status != 200 {
		t.Errorf("reported as %+v", op)
	}
}

func TestSignRequest(t *testing.T) {
	f := start(t, nil)
	f.withGithub(t)
	a := f.must(t, "POST", "/v1/requests/sign", `{"scheme":"github","key":"hook","request":{"method":"POST","url":"https://example.com/a%2Fb?q=%20",
		"headers":{"content-type":["text/plain"],"x-two":["1","2"]},"body":"`+githubBody+`"}}`)
	got := decode[api.SignedRequest](t, a)
	want := api.SignedRequest{Scheme: "github", Key: "hook", KeyID: "hook", Version: 1, Request: api.Request{
		Method: "POST", URL: "https://example.com/a%2Fb?q=%20", Body: githubBody,
		Headers: map[string][]string{"Content-Type": {"text/plain"}, "X-Two": {"1", "2"}, "X-Hub-Signature-256": {githubTag}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	back, err := json.Marshal(map[string]any{"scheme": "github", "key": "hook", "request": got.Request})
	if err != nil {
		t.Fatal(err)
	}
	if v := decode[api.RequestVerdict](t, f.must(t, "POST", "/v1/requests/verify", string(back))); !v.Valid {
		t.Errorf("what was signed does not verify: %+v", v)
	}

	binary := base64.StdEncoding.EncodeToString([]byte("\xff\x00"))
	got = decode[api.SignedRequest](t, f.must(t, "POST", "/v1/requests/sign",
		`{"scheme":"github","key":"hook","request":{"method":"POST","url":"https://a/","body_base64":"`+binary+`"}}`))
	if got.Request.BodyBase64 != binary || got.Request.Body != "" {
		t.Errorf("binary body: got %+v", got.Request)
	}
}

// TestRequestAfterRotation signs with the new version only and verifies with
// both, also under another key ID.
func TestRequestAfterRotation(t *testing.T) {
	f := start(t, nil)
	f.withGithub(t)
	f.must(t, "POST", "/v1/keys/hook/rotate", "")
	for _, members := range []string{"", `"key_id":"other",`} {
		v := decode[api.RequestVerdict](t, f.must(t, "POST", "/v1/requests/verify", github(members, githubTag, githubBody)))
		if want := map[string]string{"": "hook", `"key_id":"other",`: "other"}[members]; !v.Valid || v.Version != 1 || v.KeyID != want {
			t.Errorf("%s: got %+v", members, v)
		}
		s := decode[api.SignedRequest](t, f.must(t, "POST", "/v1/requests/sign",
			`{`+members+`"scheme":"github","key":"hook","request":{"method":"POST","url":"https://a/","body":"x"}}`))
		if s.Version != 2 {
			t.Errorf("%s: signed with version %d", members, s.Version)
		}
	}
}

// TestRequestWithTime uses the Stripe-style scheme: the time given counts, not
// the clock of the server.
func TestRequestWithTime(t *testing.T) {
	f := start(t, nil)
	f.must(t, "POST", "/v1/keys", `{"name":"pay","material":"`+base64.StdEncoding.EncodeToString([]byte("whsec_0123456789abcdef"))+`"}`)
	sign := func(now string) api.Request {
		return decode[api.SignedRequest](t, f.must(t, "POST", "/v1/requests/sign",
			`{"scheme":"stripe","key":"pay","now":`+now+`,"request":{"method":"POST","url":"https://a/","body":"{}"}}`)).Request
	}
	signed := sign("1700000000")
	if diff := cmp.Diff(signed, sign(`"2023-11-14T22:13:20Z"`)); diff != "" {
		t.Errorf("Unix seconds and RFC 3339 differ:\n%s", diff)
	}
	r, err := json.Marshal(signed)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, now, reason string }{
		{"AtOnce", "1700000000", ""},
		{"PartOfASecond", "1700000000.25", ""},
		{"WithOffset", `"2023-11-15T00:13:21+02:00"`, ""},
		{"AnHourLater", "1700003600", "stale"},
		{"AnHourBefore", "1699996400", "future"},
		{"ServerClock", "null", "stale"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := decode[api.RequestVerdict](t, f.must(t, "POST", "/v1/requests/verify", `{"scheme":"stripe","key":"pay","now":`+tt.now+`,"request":`+string(r)+`}`))
			if v.Valid != (tt.reason == "") || v.Reason != tt.reason || v.Time == nil || v.Time.Unix() != 1700000000 {
				t.Errorf("got %+v", v)
			}
		})
	}
}

func TestRequestRefuses(t *testing.T) {
	f := start(t, nil)
	f.withGithub(t)
	request := `"request":{"method":"POST","url":"https://a/"}`
	tests := []struct {
		name, body string
		status     int
		code, want string
	}{
		{"UnknownScheme", `{"scheme":"nope","key":"hook",` + request + `}`, 422, "invalid", "body.scheme"},
		{"UnknownKey", `{"scheme":"github","key":"nope",` + request + `}`, 404, "not-found", "nope"},
		{"UnknownParameter", `{"scheme":"github","key":"hook","params":{"x":"1"},` + request + `}`, 422, "invalid", "body.scheme: "},
		{"ParamsNoObject", `{"scheme":"github","key":"hook","params":[1],` + request + `}`, 422, "invalid", "body.params"},
		{"ParamNested", `{"scheme":"github","key":"hook","params":{"x":{}},` + request + `}`, 422, "invalid", "body.params"},
		{"NowInWords", `{"scheme":"github","key":"hook","now":"yesterday",` + request + `}`, 422, "invalid", "body.now"},
		{"NowNegative", `{"scheme":"github","key":"hook","now":-1,` + request + `}`, 422, "invalid", "body.now"},
		{"NowHuge", `{"scheme":"github","key":"hook","now":1e300,` + request + `}`, 422, "invalid", "body.now"},
		{"NowBoolean", `{"scheme":"github","key":"hook","now":true,` + request + `}`, 422, "invalid", "body.now"},
		{"NoRequest", `{"scheme":"github","key":"hook"}`, 422, "invalid", "request"},
		{"NoMethod", `{"scheme":"github","key":"hook","request":{"url":"https://a/"}}`, 422, "invalid", "method"},
		{"EmptyMethod", `{"scheme":"github","key":"hook","request":{"method":"","url":"https://a/"}}`, 422, "invalid", "body.request"},
		{"RelativeURL", `{"scheme":"github","key":"hook","request":{"method":"GET","url":"/a"}}`, 422, "invalid", "body.request"},
		{"BothBodies", `{"scheme":"github","key":"hook","request":{"method":"GET","url":"https://a/","body":"a","body_base64":"YQ=="}}`, 422, "invalid", "both body"},
		{"BodyNotBase64", `{"scheme":"github","key":"hook","request":{"method":"GET","url":"https://a/","body_base64":"YQ"}}`, 422, "invalid", "padded base64"},
		{"HeaderNoList", `{"scheme":"github","key":"hook","request":{"method":"GET","url":"https://a/","headers":{"A":"b"}}}`, 422, "invalid", "body.request.headers.A"},
		{"HeaderTwice", `{"scheme":"github","key":"hook","request":{"method":"GET","url":"https://a/","headers":{"A":["b"],"A":["c"]}}}`, 400, "malformed", "twice"},
		{"LoneSurrogateInBody", `{"scheme":"github","key":"hook","request":{"method":"GET","url":"https://a/","body":"\ud800"}}`, 400, "malformed", "surrogate"},
		{"UnknownMember", `{"scheme":"github","key":"hook","secret":"x",` + request + `}`, 422, "invalid", "unknown member"},
		{"OtherCase", `{"scheme":"github","Key":"hook",` + request + `}`, 422, "invalid", "unknown member"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, op := range []string{"sign", "verify"} {
				refused(t, f.do(t, "POST", "/v1/requests/"+op, tt.body), tt.status, tt.code, tt.want)
			}
		})
	}
}

// TestSchemesAreCompiledOnce holds the cache to one compilation for equal
// parameters, and to its bound.
func TestSchemesAreCompiledOnce(t *testing.T) {
	compiled := 0
	f := start(t, func(o *rest.Options) {
		o.Schemes = coded(t, "github", func(*scheme.Definition, scheme.Params) (sealwright.Scheme, error) {
			compiled++ // requests come one after the other
			return catalogue.New("github", nil)
		})
	})
	f.withGithub(t)
	verify := func(params string) {
		t.Helper()
		f.must(t, "POST", "/v1/requests/verify", github(`"params":`+params+`,`, githubTag, githubBody))
	}
	verify(`{"a":"1","b":["2","3"]}`)
	verify(`{"b":["2","3"],"a":1}`)
	if compiled != 1 {
		t.Errorf("compiled %d times, want once", compiled)
	}
	verify(`{"a":"1","b":["23"]}`)
	if compiled != 2 {
		t.Errorf("other parameters: compiled %d times, want 2", compiled)
	}
	for range 2 {
		verify(`{"a":"` + strings.Repeat("x", 8192) + `"}`)
	}
	if compiled != 4 {
		t.Errorf("parameters of 8 KiB are kept")
	}
}
