package rest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/rest"
)

// rejects sends a request that is not valid and returns the ID of the
// rejection.
func (f *fixture) rejects(t *testing.T, body string) string {
	t.Helper()
	a := f.must(t, "POST", "/v1/requests/verify", body)
	if v := decode[api.RequestVerdict](t, a); v.Valid {
		t.Fatalf("got %+v", v)
	}
	return a.header.Get("X-Request-Id")
}

func keep(n int) func(*rest.Options) {
	return func(o *rest.Options) { o.Limits.Rejections, o.Limits.RejectedBody = n, 1024 }
}

func TestRejection(t *testing.T) {
	f := start(t, keep(3))
	f.withGithub(t)
	f.must(t, "POST", "/v1/requests/verify", github("", githubTag, githubBody)) // valid: not kept
	id := f.rejects(t, github(`"now":1700000000,"key_id":"k",`, githubTag, "changed\r\n"))
	got := decode[api.Rejection](t, f.must(t, "GET", "/v1/rejections/"+id, ""))
	if got.At.IsZero() || got.Now.Unix() != 1700000000 || got.Detail == "" {
		t.Errorf("got %+v", got)
	}
	want := api.Rejection{
		ID: id, At: got.At, Now: got.Now, Scheme: "github", Key: "hook", KeyID: "k", Reason: "wrong-signature", Detail: got.Detail, Bytes: 9, Complete: true,
		Request: &api.Request{Method: "POST", URL: "https://example.com/hook", Body: "changed\r\n", Headers: map[string][]string{"X-Hub-Signature-256": {githubTag}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if op := f.last(t, 4); op.Name != "rejections.get" || op.Key != "hook" || op.Scheme != "github" || op.Outcome != "ok" {
		t.Errorf("reported as %+v", op)
	}
	list := decode[api.RejectionList](t, f.must(t, "GET", "/v1/rejections", ""))
	want.Request = nil
	if diff := cmp.Diff(api.RejectionList{Keep: 3, Items: []api.Rejection{want}}, list); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	refused(t, f.do(t, "GET", "/v1/rejections/none", ""), 404, "not-found", "the server keeps the last 3")
}

func TestNothingIsKeptByDefault(t *testing.T) {
	f := start(t, nil)
	f.withGithub(t)
	id := f.rejects(t, github("", githubTag, "changed"))
	if list := decode[api.RejectionList](t, f.must(t, "GET", "/v1/rejections", "")); list.Keep != 0 || list.Items == nil || len(list.Items) != 0 {
		t.Errorf("got %+v", list)
	}
	refused(t, f.do(t, "GET", "/v1/rejections/"+id, ""), 404, "not-found", "the server keeps the last 0")
}

// TestOldRejectionsGiveWay rejects more than are kept and reads them page by
// page.
func TestOldRejectionsGiveWay(t *testing.T) {
	f := start(t, keep(5))
	f.withGithub(t)
	var ids []string
	reject := func() {
		ids = append([]string{f.rejects(t, github("", githubTag, fmt.Sprint(len(ids))))}, ids...)
	}
	page := func(query string) (got []string, next string) {
		list := decode[api.RejectionList](t, f.must(t, "GET", "/v1/rejections?"+query, ""))
		for _, r := range list.Items {
			got = append(got, r.ID)
		}
		return got, list.NextCursor
	}
	check := func(query string, want []string, more bool) string {
		t.Helper()
		got, next := page(query)
		if diff := cmp.Diff(want, got); diff != "" || (next != "") != more {
			t.Errorf("%s: more %t, (-want +got):\n%s", query, next != "", diff)
		}
		return next
	}
	for range 3 {
		reject()
	}
	check("", ids, false)
	check("limit=3", ids, false)
	for range 4 {
		reject()
	}
	check("limit=5", ids[:5], false) // 2 are gone
	next := check("limit=2", ids[:2], true)
	reject() // while somebody reads
	check("limit=2&cursor="+next, ids[3:5], false)
	refused(t, f.do(t, "GET", "/v1/rejections/"+ids[5], ""), 404, "not-found", "")
	for range 5 {
		reject()
	}
	check("cursor="+next, nil, false) // all of them are gone
	refused(t, f.do(t, "GET", "/v1/rejections?cursor=x", ""), 422, "invalid", "cursor")
	refused(t, f.do(t, "GET", "/v1/rejections?limit=0", ""), 422, "invalid", "limit")
	refused(t, f.do(t, "GET", "/v1/rejections?limit=1001", ""), 422, "invalid", "limit")
	f.must(t, "POST", "/v1/keys", `{"name":"1"}`)
	keys := decode[api.KeyList](t, f.must(t, "GET", "/v1/keys?limit=1", ""))
	refused(t, f.do(t, "GET", "/v1/rejections?cursor="+keys.NextCursor, ""), 422, "invalid", "another list")
}

// TestLargeRejections are kept up to their bounds, and cannot be diagnosed
// beyond.
func TestLargeRejections(t *testing.T) {
	f := start(t, keep(10))
	f.withGithub(t)
	request := func(r api.Request) string {
		return asJSON(t, api.HTTPRequest{Scheme: "github", Key: "hook", Request: r})
	}
	many := map[string][]string{"X-Hub-Signature-256": {githubTag}}
	for i := range 200 {
		many[fmt.Sprint("X-", i)] = []string{"", ""}
	}
	tests := []struct {
		name     string
		request  api.Request
		complete bool
		body     int // bytes that are shown, -1 for no request
	}{
		{"BodyAtTheCap", api.Request{Method: "POST", URL: "https://a/", Body: strings.Repeat("a", 1024)}, true, 1024},
		{"BodyAboveTheCap", api.Request{Method: "POST", URL: "https://a/", Body: strings.Repeat("a", 1025)}, false, 1024},
		{"LargeURL", api.Request{Method: "POST", URL: "https://a/" + strings.Repeat("a", 16<<10), Body: "a"}, false, -1},
		{"LargeHeader", api.Request{Method: "POST", URL: "https://a/", Headers: map[string][]string{"A": {strings.Repeat("a", 16<<10)}}}, false, -1},
		{"ManyHeaders", api.Request{Method: "POST", URL: "https://a/", Headers: many}, false, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id := f.rejects(t, request(tt.request))
			got := decode[api.Rejection](t, f.must(t, "GET", "/v1/rejections/"+id, ""))
			if got.Complete != tt.complete || got.Bytes != len(tt.request.Body) || (got.Request == nil) != (tt.body < 0) {
				t.Fatalf("got %+v", got)
			}
			if got.Request != nil && len(got.Request.Body) != tt.body {
				t.Errorf("got %d bytes of the body, want %d", len(got.Request.Body), tt.body)
			}
			a := f.do(t, "POST", "/v1/doctor", `{"rejection":"`+id+`"}`)
			if tt.complete {
				if a.status != 200 {
					t.Errorf("got %d %s", a.status, a.body)
				}
				return
			}
			refused(t, a, 422, "invalid", fmt.Sprintf("its body has %d bytes", len(tt.request.Body)))
		})
	}
}

// TestDoctorOfARejection says why a kept request was refused, at the time at
// which it was, and what would be with other settings.
func TestDoctorOfARejection(t *testing.T) {
	f := start(t, keep(10))
	f.withKey(t, "pay", "whsec_0123456789abcdef")
	f.withKey(t, "other", "another secret of 32 characters.")
	signed := decode[api.SignedRequest](t, f.must(t, "POST", "/v1/requests/sign",
		`{"scheme":"stripe","key":"pay","now":1700000000,"request":{"method":"POST","url":"https://a/","body":"{}"}}`)).Request
	late := f.rejects(t, asJSON(t, api.HTTPRequest{Scheme: "stripe", Key: "pay", Now: json.RawMessage("1700003600"), Request: signed}))
	wrong := f.rejects(t, asJSON(t, api.HTTPRequest{Scheme: "stripe", Key: "other", Now: json.RawMessage("1700000000"), Request: signed}))
	tests := []struct {
		name, body, verdict, cause string
	}{
		{"AsItWas", `{"rejection":"` + late + `"}`, "time", "time.clock_skew"},
		{"AtAnotherTime", `{"rejection":"` + late + `","now":1700000001}`, "request_fine", ""},
		{"OfTheWrongKey", `{"rejection":"` + wrong + `"}`, "proven", "secret.wrong_endpoint"},
		{"WithAnotherKey", `{"rejection":"` + wrong + `","key":"pay"}`, "request_fine", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := decode[api.Diagnosis](t, f.must(t, "POST", "/v1/doctor", tt.body))
			if d.Verdict != tt.verdict || d.Cause != tt.cause || (d.Rejection != late && d.Rejection != wrong) || d.Scheme != "stripe" {
				t.Errorf("got %+v", d)
			}
		})
	}
	f.must(t, "DELETE", "/v1/keys/other", "")
	refused(t, f.do(t, "POST", "/v1/doctor", `{"rejection":"`+wrong+`"}`), 404, "not-found", "other")
}

// TestA27_RejectionHidesSecretParameters keeps the token secret of OAuth 1.0 for the
// doctor and shows it to nobody.
func TestA27_RejectionHidesSecretParameters(t *testing.T) {
	f := start(t, keep(10))
	f.withKey(t, "consumer", "kd94hf93k423kf44")
	request := `"request":{"method":"GET","url":"http://photos.example.net/photos"}}`
	params := `"params":{"token_secret":"pfkkdhi9sl3r4s00"},`
	signed := decode[api.SignedRequest](t, f.must(t, "POST", "/v1/requests/sign", `{"scheme":"oauth1","key":"consumer",`+params+request)).Request
	signed.URL += "?a=b"
	id := f.rejects(t, `{"scheme":"oauth1","key":"consumer",`+params+`"request":`+asJSON(t, signed)+`}`)
	for _, path := range []string{"/v1/rejections", "/v1/rejections/" + id} {
		a := f.must(t, "GET", path, "")
		if strings.Contains(a.body, "pfkkdhi9sl3r4s00") || !strings.Contains(a.body, `"token_secret":["[secret]"]`) {
			t.Errorf("%s: got %s", path, a.body)
		}
	}
	a := f.must(t, "POST", "/v1/doctor", `{"rejection":"`+id+`"}`)
	if d := decode[api.Diagnosis](t, a); strings.Contains(a.body, "pfkkdhi9sl3r4s00") || strings.Contains(a.body, "kd94hf93k423kf44") || d.Verdict == "request_fine" {
		t.Errorf("got %s", a.body)
	}
}

// TestRejectionsFromManySides rejects and reads at the same time; the race
// detector looks on.
func TestRejectionsFromManySides(t *testing.T) {
	f := start(t, keep(4))
	f.withGithub(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				id := f.do(t, "POST", "/v1/requests/verify", github("", githubTag, "changed")).header.Get("X-Request-Id")
				f.do(t, "GET", "/v1/rejections/"+id, "")
				f.do(t, "GET", "/v1/rejections?limit=2", "")
			}
		})
	}
	group.Wait()
	list := decode[api.RejectionList](t, f.must(t, "GET", "/v1/rejections", ""))
	seen := map[string]bool{}
	for _, r := range list.Items {
		seen[r.ID] = true
	}
	if len(seen) != 4 {
		t.Errorf("got %d rejections, want 4", len(seen))
	}
}
