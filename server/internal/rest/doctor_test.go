package rest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/doctor"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/rest"
)

// withKey imports a key.
func (f *fixture) withKey(t *testing.T, name, material string) {
	t.Helper()
	f.must(t, "POST", "/v1/keys", `{"name":"`+name+`","material":"`+base64.StdEncoding.EncodeToString([]byte(material))+`"}`)
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// signedBy returns a GitHub delivery that the key has signed.
func (f *fixture) signedBy(t *testing.T, key, body string) api.Request {
	t.Helper()
	return decode[api.SignedRequest](t, f.must(t, "POST", "/v1/requests/sign", asJSON(t, api.HTTPRequest{
		Scheme: "github", Key: key, Request: api.Request{Method: "POST", URL: "https://example.com/hook", Body: body},
	}))).Request
}

func TestDoctor(t *testing.T) {
	f := start(t, nil)
	f.withGithub(t)
	f.withKey(t, "shop", "Kiev-Lviv-1991-shop-endpoint")
	body := "{\n  \"a\": 1\n}"
	old := f.signedBy(t, "hook", body)
	f.must(t, "POST", "/v1/keys/hook/rotate", "")
	right, foreign := f.signedBy(t, "hook", body), f.signedBy(t, "shop", body)
	changed := right
	changed.Body = strings.ReplaceAll(body, "\n", "\r\n")
	forged := right
	forged.Headers = map[string][]string{"X-Hub-Signature-256": {"sha256=" + strings.Repeat("0a", 32)}}
	tests := []struct {
		name           string
		in             api.Diagnose
		verdict, cause string
		secret         string
	}{
		{"Fine", api.Diagnose{Key: "hook", Request: &right}, "request_fine", "", "hook v2"},
		{"OlderVersion", api.Diagnose{Key: "hook", Request: &old}, "proven", "secret.stale_version", "hook v1"},
		{"AnotherKey", api.Diagnose{Key: "hook", Request: &foreign}, "proven", "secret.wrong_endpoint", "shop v1"},
		{"AnotherKeyThatIsNamed", api.Diagnose{Key: "hook", Keys: []string{"shop"}, Request: &foreign}, "proven", "secret.wrong_endpoint", "shop v1"},
		{"AnotherKeyThatIsNotNamed", api.Diagnose{Key: "hook", Keys: []string{"hook"}, Request: &foreign}, "unknown", "", ""},
		{"FirstNameIsConfigured", api.Diagnose{Keys: []string{"shop", "hook"}, Request: &foreign}, "request_fine", "", "shop v1"},
		{"FirstOfTheTenantIsConfigured", api.Diagnose{Request: &right}, "request_fine", "", "hook v2"},
		{"LineEnds", api.Diagnose{Key: "hook", Request: &changed}, "proven", "body.newlines", "hook v2"},
		{"Forgery", api.Diagnose{Key: "hook", Request: &forged}, "unknown", "", ""},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.Scheme = "github"
			a := f.must(t, "POST", "/v1/doctor", asJSON(t, tt.in))
			got := decode[api.Diagnosis](t, a)
			if got.Verdict != tt.verdict || got.Cause != tt.cause || got.Secret != tt.secret || got.Explanation == "" || got.Hypotheses == 0 || got.Scheme != "github" {
				t.Errorf("got %+v, want %s %s with %s", got, tt.verdict, tt.cause, tt.secret)
			}
			if a.header.Get("Cache-Control") != "no-store" {
				t.Error("the answer may be stored")
			}
			op := f.last(t, 6+i+1)
			if op.Name != "doctor" || op.Outcome != "ok" || op.Verdict != got.Verdict || op.Cause != got.Cause || op.Hypotheses != got.Hypotheses ||
				op.Scheme != "github" || op.Key != strings.Fields(got.Configured)[0] || op.Bytes != int64(len(tt.in.Request.Body)) {
				t.Errorf("reported as %+v", op)
			}
			if strings.Contains(a.body, githubSecret) || strings.Contains(a.body, "Kiev-Lviv") {
				t.Error("the answer has a secret")
			}
		})
	}
}

// TestDoctorIsGivenEverything looks at what reaches the doctor, and at what
// comes back from it.
func TestDoctorIsGivenEverything(t *testing.T) {
	var got doctor.Input
	f := start(t, func(o *rest.Options) {
		o.Diagnose = func(_ context.Context, in doctor.Input) doctor.Diagnosis {
			got = in
			return doctor.Diagnosis{Verdict: doctor.Time, Cause: "time.unit", Cause2: "b", Secret: "c", Danger: true, Explanation: "d", Fix: "e",
				Notes: []string{"f"}, Hypotheses: 3, Secrets: 2, Diff: &doctor.Diff{Offset: 1, Signed: "s", Seen: "t", SignedBytes: 5, SeenBytes: 6}}
		}
	})
	f.withKey(t, "pay", "the secret of the payments")
	f.must(t, "POST", "/v1/keys/pay/rotate", "")
	f.must(t, "POST", "/v1/keys/pay/rotate", "")
	f.withKey(t, "a-key", "the secret of another key")
	d := decode[api.Diagnosis](t, f.must(t, "POST", "/v1/doctor", `{"scheme":"square","key":"pay","key_id":"id","public_url":"https://public.example/hook","known_hosts":["a.example"],
		"now":1700000000,"request":{"method":"POST","url":"https://internal/hook?a=%2F","headers":{"x-a":["1"]},"body_base64":"/w=="}}`))
	want := api.Diagnosis{Verdict: "time", Cause: "time.unit", Cause2: "b", Secret: "c", Danger: true, Explanation: "d", Fix: "e", Notes: []string{"f"}, Hypotheses: 3, Secrets: 2,
		Diff: &api.BytesDiff{Offset: 1, Signed: "s", Seen: "t", SignedBytes: 5, SeenBytes: 6}, Scheme: "square", Configured: "pay v3"}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	var names []string
	for _, s := range got.Secrets {
		names = append(names, fmt.Sprint(s.Name, " ", s.Version, " ", s.Bytes.Len()))
	}
	if diff := cmp.Diff([]string{"pay v3 3 32", "pay v2 2 32", "pay v1 1 26", "a-key v1 1 25"}, names); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	m := got.Message
	if got.Definition.ID != "square" || got.KeyID != "id" || got.PublicURL != "https://public.example/hook" || !slices.Equal(got.KnownHosts, []string{"a.example"}) ||
		!got.Now.Equal(time.Unix(1700000000, 0)) || len(got.Others) != len(presets()) || m.Target != "/hook?a=%2F" || m.Header["X-A"][0] != "1" || string(m.Body) != "\xff" {
		t.Errorf("got %+v", got)
	}
}

// TestDiagnosisHasEveryMember compares the answer with what the doctor says:
// a member that is added there must not be lost here.
func TestDiagnosisHasEveryMember(t *testing.T) {
	for _, pair := range [][2]reflect.Type{
		{reflect.TypeFor[doctor.Diagnosis](), reflect.TypeFor[api.Diagnosis]()}, {reflect.TypeFor[doctor.Diff](), reflect.TypeFor[api.BytesDiff]()},
	} {
		for i := range pair[0].NumField() {
			from := pair[0].Field(i)
			to, ok := pair[1].FieldByName(from.Name)
			if !ok || to.Tag.Get("json") != from.Tag.Get("json") {
				t.Errorf("%v: got %q in the API, want %q", from.Name, to.Tag.Get("json"), from.Tag.Get("json"))
			}
		}
	}
}

func TestDoctorRefuses(t *testing.T) {
	f := start(t, func(o *rest.Options) { o.Limits.BatchBody = 4096 })
	const request = `"request":{"method":"POST","url":"https://a/"}`
	empty := f.do(t, "POST", "/v1/doctor", `{"scheme":"github",`+request+`}`)
	refused(t, empty, 422, "invalid", "the tenant has no key")
	f.withGithub(t)
	tests := []struct {
		name, body string
		status     int
		code, want string
	}{
		{"Nothing", `{}`, 422, "invalid", "neither request nor rejection"},
		{"Both", `{"scheme":"github","rejection":"x",` + request + `}`, 422, "invalid", "both request and rejection"},
		{"NoScheme", `{"key":"hook",` + request + `}`, 422, "invalid", "body.scheme"},
		{"UnknownScheme", `{"scheme":"nope","key":"hook",` + request + `}`, 422, "invalid", `body.scheme: no scheme "nope"`},
		{"RefusedScheme", `{"scheme":"discord","key":"hook",` + request + `}`, 422, "invalid", `there is no scheme "discord": a signature made with a private key`},
		{"UnknownKey", `{"scheme":"github","key":"nope",` + request + `}`, 404, "not-found", "nope"},
		{"UnknownFurtherKey", `{"scheme":"github","key":"hook","keys":["hook","nope"],` + request + `}`, 404, "not-found", "nope"},
		{"KeyOfWrongForm", `{"scheme":"github","key":"../etc",` + request + `}`, 404, "not-found", "no key of this name"},
		{"UnknownParameter", `{"scheme":"github","key":"hook","params":{"x":"1"},` + request + `}`, 422, "invalid", "body.params"},
		{"ParameterIsMissing", `{"scheme":"azure-cosmosdb","key":"hook",` + request + `}`, 422, "invalid", "body.params"},
		{"ParamsNoObject", `{"scheme":"github","key":"hook","params":[1],` + request + `}`, 422, "invalid", "body.params"},
		{"NowInWords", `{"scheme":"github","key":"hook","now":"yesterday",` + request + `}`, 422, "invalid", "body.now"},
		{"RelativeURL", `{"scheme":"github","key":"hook","request":{"method":"GET","url":"/a"}}`, 422, "invalid", "body.request"},
		{"UnknownMember", `{"scheme":"github","secret":"x",` + request + `}`, 422, "invalid", "unknown member"},
		{"MemberTwice", `{"scheme":"github","scheme":"stripe",` + request + `}`, 400, "malformed", "twice"},
		{"NoJSON", `scheme=github`, 400, "malformed", "bad JSON"},
		{"TooManyKeys", `{"scheme":"github","keys":[` + strings.Repeat(`"hook",`, 200) + `"hook"],` + request + `}`, 422, "invalid", "body.keys"},
		{"TooManyHosts", `{"scheme":"github","known_hosts":[` + strings.Repeat(`"h",`, 64) + `"h"],` + request + `}`, 422, "invalid", "body.known_hosts"},
		{"UnknownRejection", `{"rejection":"x"}`, 404, "not-found", "the server keeps the last 0"},
		{"OversizedBody", `{"scheme":"github","key":"hook","request":{"method":"POST","url":"https://a/","body":"` + strings.Repeat("a", 4096) + `"}}`, 413, "too-large", "4096 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, f.do(t, "POST", "/v1/doctor", tt.body), tt.status, tt.code, tt.want)
		})
	}
	refused(t, f.do(t, "POST", "/v1/doctor", `{}`, "Content-Type", "application/octet-stream"), 415, "unsupported-media-type", "")
	refused(t, f.do(t, "POST", "/v1/doctor", `{}`, "Authorization", "Bearer x"), 401, "unauthorized", "")
}

// TestDoctorNeedsItsRight signs and verifies as somebody of the tenant without
// a role: the doctor and the rejections are not for them, and tell nothing.
func TestDoctorNeedsItsRight(t *testing.T) {
	f := start(t, func(o *rest.Options) {
		o.Limits.Rejections = 10
		admin := o.Authenticate
		o.Authenticate = func(r *http.Request) (access.Caller, error) {
			if r.Header.Get("Authorization") == "Bearer clerk" {
				return access.Caller{ID: "clerk", Tenant: access.DefaultTenant}, nil
			}
			return admin(r)
		}
	})
	f.withGithub(t)
	id := f.rejects(t, github("", githubTag, "changed"))
	for _, c := range [][3]string{
		{"POST", "/v1/doctor", `{"rejection":"` + id + `"}`}, {"POST", "/v1/doctor", `{"rejection":"none"}`},
		{"POST", "/v1/doctor", github("", githubTag, githubBody)}, {"POST", "/v1/doctor", `{"scheme":"nope","key":"nope","request":{"method":"POST","url":"https://a/"}}`},
		{"GET", "/v1/rejections", ""}, {"GET", "/v1/rejections/" + id, ""}, {"GET", "/v1/rejections/none", ""},
	} {
		p := refused(t, f.do(t, c[0], c[1], c[2], "Authorization", "Bearer clerk"), 403, "denied", "request.diagnose is not allowed")
		if len(p.Errors) > 0 {
			t.Errorf("%v: got %+v", c, p)
		}
	}
}

// TestDoctorOfAnotherTenant holds keys and rejections of one tenant from the
// administrator of another.
func TestDoctorOfAnotherTenant(t *testing.T) {
	var seen []doctor.Secret
	f := start(t, func(o *rest.Options) {
		o.Limits.Rejections = 10
		admin := o.Authenticate
		o.Authenticate = func(r *http.Request) (access.Caller, error) {
			if r.Header.Get("Authorization") == "Bearer other" {
				return access.TenantAdministrator("other", "other"), nil
			}
			return admin(r)
		}
		o.Diagnose = func(_ context.Context, in doctor.Input) doctor.Diagnosis {
			seen = in.Secrets
			return doctor.Diagnosis{}
		}
	})
	f.withGithub(t)
	id := f.rejects(t, github("", githubTag, "changed"))
	as := []string{"Authorization", "Bearer other"}
	f.must(t, "POST", "/v1/keys", `{"name":"theirs"}`, as...)
	const request = `"request":{"method":"POST","url":"https://a/"}}`
	refused(t, f.do(t, "POST", "/v1/doctor", `{"scheme":"github","key":"hook",`+request, as...), 404, "not-found", "hook")
	refused(t, f.do(t, "POST", "/v1/doctor", `{"scheme":"github","key":"theirs","keys":["hook"],`+request, as...), 404, "not-found", "hook")
	refused(t, f.do(t, "POST", "/v1/doctor", `{"rejection":"`+id+`"}`, as...), 404, "not-found", "no rejection")
	refused(t, f.do(t, "GET", "/v1/rejections/"+id, "", as...), 404, "not-found", "no rejection")
	if list := decode[api.RejectionList](t, f.must(t, "GET", "/v1/rejections", "", as...)); len(list.Items) != 0 {
		t.Errorf("got %+v", list)
	}
	f.must(t, "POST", "/v1/doctor", `{"scheme":"github",`+request, as...)
	if len(seen) != 1 || seen[0].Name != "theirs v1" {
		t.Errorf("tried %v", seen)
	}
}

// TestDoctorIsBusy runs two diagnoses that do not end, so the third is told to
// come back. Signing goes on.
func TestDoctorIsBusy(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	f := start(t, func(o *rest.Options) {
		o.Diagnose = func(context.Context, doctor.Input) doctor.Diagnosis {
			running <- struct{}{}
			<-release
			return doctor.Diagnosis{Verdict: doctor.Unknown}
		}
	})
	f.withGithub(t)
	question := github("", githubTag, githubBody)
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() { f.must(t, "POST", "/v1/doctor", question) })
		<-running
	}
	a := f.do(t, "POST", "/v1/doctor", question)
	refused(t, a, 503, "unavailable", "2 diagnoses are under way")
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("got Retry-After %q", a.header.Get("Retry-After"))
	}
	f.must(t, "POST", "/v1/keys/hook/sign", `{"text":"a"}`)
	close(release)
	group.Wait()
	group.Go(func() { <-running })
	f.must(t, "POST", "/v1/doctor", question)
	group.Wait()
}

// TestDoctorHasADeadline gives a diagnosis a nanosecond, and one that panics: the
// place is free again after both.
func TestDoctorHasADeadline(t *testing.T) {
	panics := false
	f := start(t, func(o *rest.Options) {
		o.Limits.Diagnosis = time.Nanosecond
		o.Diagnose = func(ctx context.Context, in doctor.Input) doctor.Diagnosis {
			if panics {
				panic("the doctor is ill")
			}
			<-ctx.Done()
			return doctor.Diagnose(ctx, in)
		}
	})
	f.withGithub(t)
	question := github("", "sha256="+strings.Repeat("0a", 32), githubBody)
	d := decode[api.Diagnosis](t, f.must(t, "POST", "/v1/doctor", question))
	if d.Verdict != "unknown" || !strings.Contains(d.Explanation, "stopped") {
		t.Errorf("got %+v", d)
	}
	panics = true
	for range 3 {
		refused(t, f.do(t, "POST", "/v1/doctor", question), 500, "internal", "internal error")
	}
	panics = false
	f.must(t, "POST", "/v1/doctor", question)
}

// TestDoctorTriesAtMost200Versions makes 201 and looks at which are left out.
func TestDoctorTriesAtMost200Versions(t *testing.T) {
	var names []string
	f := start(t, func(o *rest.Options) {
		o.Diagnose = func(_ context.Context, in doctor.Input) doctor.Diagnosis {
			names = nil
			for _, s := range in.Secrets {
				names = append(names, s.Name)
			}
			return doctor.Diagnosis{Secrets: len(in.Secrets)}
		}
	})
	f.withGithub(t)
	for range 199 {
		f.must(t, "POST", "/v1/keys/hook/rotate", "")
	}
	ask := func() api.Diagnosis {
		return decode[api.Diagnosis](t, f.must(t, "POST", "/v1/doctor", github("", githubTag, githubBody)))
	}
	if d := ask(); d.Secrets != 200 || d.Omitted != 0 {
		t.Errorf("200 versions: got %d, %d left out", d.Secrets, d.Omitted)
	}
	f.withKey(t, "a-key", "the secret of another key")
	if d := ask(); d.Secrets != 200 || d.Omitted != 1 || names[0] != "hook v200" || names[199] != "hook v1" {
		t.Errorf("201 versions: got %d, %d left out, from %s to %s", d.Secrets, d.Omitted, names[0], names[len(names)-1])
	}
}

// TestDoctorExample sends the example of the OpenAPI document, made complete
// with its secret, and expects the answer that stands there.
func TestDoctorExample(t *testing.T) {
	f := start(t, nil)
	var doc struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct{ Example json.RawMessage }
			} `json:"requestBody"`
			Responses map[string]struct {
				Content map[string]struct{ Example api.Diagnosis }
				Headers map[string]any
			}
		}
	}
	if err := json.Unmarshal([]byte(f.must(t, "GET", "/openapi.json", "").body), &doc); err != nil {
		t.Fatal(err)
	}
	op := doc.Paths["/v1/doctor"]["post"]
	f.withKey(t, "github-hook", githubSecret)
	got := decode[api.Diagnosis](t, f.must(t, "POST", "/v1/doctor", string(op.RequestBody.Content["application/json"].Example)))
	want := op.Responses["200"].Content["application/json"].Example
	if got.Verdict != want.Verdict || got.Cause != want.Cause || got.Secret != want.Secret || got.Configured != want.Configured || got.Scheme != want.Scheme {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, ok := op.Responses["503"].Headers["Retry-After"]; !ok {
		t.Errorf("got %+v", op.Responses["503"])
	}
}
