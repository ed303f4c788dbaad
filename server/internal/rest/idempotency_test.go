package rest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/rest"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

const idempotencyKey = "Idempotency-Key"

// twice sends a request two times with one idempotency key, and checks that
// both answers are the same.
func (f *fixture) twice(t *testing.T, path, body string, header ...string) answer {
	t.Helper()
	header = append(header, idempotencyKey, fmt.Sprintf("%q", fmt.Sprint(path, " ", len(body))))
	first, second := f.must(t, "POST", path, body, header...), f.must(t, "POST", path, body, header...)
	if first.status != second.status || first.body != second.body {
		t.Errorf("POST %s: got %d %s, then %d %s", path, first.status, first.body, second.status, second.body)
	}
	for _, name := range []string{"Content-Type", "Cache-Control", "Etag", "Location"} {
		if a, b := first.header.Get(name), second.header.Get(name); a != b {
			t.Errorf("POST %s: got %s %q, then %q", path, name, a, b)
		}
	}
	if a, b := first.header.Get("Idempotent-Replayed"), second.header.Get("Idempotent-Replayed"); a != "" || b != "true" {
		t.Errorf("POST %s: got Idempotent-Replayed %q, then %q", path, a, b)
	}
	if first.header.Get("X-Request-Id") == second.header.Get("X-Request-Id") {
		t.Errorf("POST %s: both requests have one ID", path)
	}
	return first
}

func (f *fixture) entries(t *testing.T, action string) int {
	t.Helper()
	all, err := f.store.Tail(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range all {
		if e.Action == action {
			n++
		}
	}
	return n
}

func TestIdempotencyKey(t *testing.T) {
	f := start(t, nil)
	made := f.twice(t, "/v1/keys", `{"name":"orders","exportable":true}`)
	if made.status != 201 || made.header.Get("Location") != "/v1/keys/orders" {
		t.Errorf("got %d, Location %q", made.status, made.header.Get("Location"))
	}
	rotated := decode[api.Key](t, f.twice(t, "/v1/keys/orders/rotate", ``))
	if len(rotated.Versions) != 2 {
		t.Errorf("got %d versions after two requests to rotate with one key, want 2", len(rotated.Versions))
	}
	f.twice(t, "/v1/keys/orders/versions/1/revoke", ``)
	f.twice(t, "/v1/keys/orders/leases", `{"ttl":"1h"}`)
	f.twice(t, "/v1/callers", `{"name":"billing"}`)
	f.twice(t, "/v1/callers/billing/credentials", `{"kind":"token"}`)
	f.twice(t, "/v1/tenants", `{"name":"payments"}`)
	f.twice(t, "/v1/keys/orders/sign", `{"text":"a"}`)
	f.twice(t, "/v1/keys/orders/sign", strings.Repeat("a", 200_000), "Content-Type", "application/octet-stream")
	f.twice(t, "/v1/requests/sign", `{"scheme":"github","key":"orders","request":{"method":"POST","url":"https://a.example/","body":"x"}}`)
	for _, action := range []string{"key.create", "lease.create", "caller.create", "credential.create", "tenant.create"} {
		if n := f.entries(t, action); n != 1 {
			t.Errorf("log has %d entries %s, want 1", n, action)
		}
	}
}

// The tag of before is repeated when the key has changed, and when it is gone.
func TestIdempotencyKeySignedBefore(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	const path, body = "/v1/keys/jefe/sign", `{"text":"` + jefeText + `"}`
	want := f.must(t, "POST", path, body, idempotencyKey, `"k"`)
	if !strings.Contains(want.body, jefeTag) {
		t.Errorf("got %s", want.body)
	}
	f.must(t, "POST", "/v1/keys/jefe/rotate", ``)
	f.must(t, "DELETE", "/v1/keys/jefe", ``)
	if got := f.must(t, "POST", path, body, idempotencyKey, `"k"`); got.body != want.body {
		t.Errorf("got %s, want %s", got.body, want.body)
	}
	refused(t, f.do(t, "POST", path, body, idempotencyKey, `"other"`), 404, "not-found", "")
}

func TestIdempotencyKeyReused(t *testing.T) {
	f := start(t, nil)
	f.must(t, "POST", "/v1/keys", `{"name":"a"}`, idempotencyKey, `"made"`)
	const octets = "application/octet-stream"
	f.must(t, "POST", "/v1/keys/a/sign", `{"text":"a"}`, idempotencyKey, `"signed"`)
	f.must(t, "POST", "/v1/keys/a/sign", `a`, idempotencyKey, `"stream"`, "Content-Type", octets)
	for name, a := range map[string]answer{
		"OtherBody":      f.do(t, "POST", "/v1/keys", `{"name":"b"}`, idempotencyKey, `"made"`),
		"OtherPath":      f.do(t, "POST", "/v1/tenants", `{"name":"a"}`, idempotencyKey, `"made"`),
		"SignAfterMade":  f.do(t, "POST", "/v1/keys/a/sign", `{"text":"a"}`, idempotencyKey, `"made"`),
		"MadeAfterSign":  f.do(t, "POST", "/v1/keys", `{"name":"b"}`, idempotencyKey, `"signed"`),
		"OtherMessage":   f.do(t, "POST", "/v1/keys/a/sign", `{"text":"b"}`, idempotencyKey, `"signed"`),
		"OtherStream":    f.do(t, "POST", "/v1/keys/a/sign", `b`, idempotencyKey, `"stream"`, "Content-Type", octets),
		"ShorterStream":  f.do(t, "POST", "/v1/keys/a/sign", ``, idempotencyKey, `"stream"`, "Content-Type", octets),
		"OtherEncoding":  f.do(t, "POST", "/v1/keys/a/sign?encoding=base64", `a`, idempotencyKey, `"stream"`, "Content-Type", octets),
		"OtherHeader":    f.do(t, "POST", "/v1/keys/a/sign", `a`, idempotencyKey, `"stream"`, "Content-Type", octets, "Sealwright-Context", "x"),
		"OtherIfMatch":   f.do(t, "POST", "/v1/keys", `{"name":"a"}`, idempotencyKey, `"made"`, "If-Match", `"1"`),
		"OtherMediaType": f.do(t, "POST", "/v1/keys", `{"name":"a"}`, idempotencyKey, `"made"`, "Content-Type", "application/json; charset=utf-8"),
	} {
		t.Run(name, func(t *testing.T) { refused(t, a, 422, "idempotency-key-reused", "another request") })
	}
}

// A key belongs to the caller who used it, in a tenant.
func TestIdempotencyKeyOfOthers(t *testing.T) {
	f := start(t, func(o *rest.Options) {
		o.Authenticate = bearer(func(s string) (access.Caller, bool) {
			if s == token {
				return access.Administrator(), true
			}
			return access.TenantAdministrator(s, access.DefaultTenant), true
		})
	})
	f.must(t, "POST", "/v1/tenants", `{"name":"u"}`)
	for _, header := range [][]string{{}, {"Sealwright-Tenant", "u"}, {"Authorization", "Bearer other"}} {
		name := fmt.Sprintf("k%d", len(header)+len(strings.Join(header, "")))
		a := f.must(t, "POST", "/v1/keys", `{"name":"`+name+`"}`, append(header, idempotencyKey, `"one"`)...)
		if decode[api.Key](t, a).Name != name || a.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("with %v: got %s", header, a.body)
		}
	}
}

func TestIdempotencyKeyMalformed(t *testing.T) {
	f := start(t, nil)
	for _, field := range []string{`bare`, `""`, `"a`, `"a";b`, `"` + strings.Repeat("a", 256) + `"`} {
		refused(t, f.do(t, "POST", "/v1/keys", `{"name":"a"}`, idempotencyKey, field), 400, "malformed", "quotation marks")
	}
	refused(t, f.do(t, "POST", "/v1/keys", `{"name":"a"}`, idempotencyKey, `"a"`, idempotencyKey, `"a"`), 400, "malformed", "twice")
	none := start(t, func(o *rest.Options) { o.Answers = nil })
	refused(t, none.do(t, "POST", "/v1/keys", `{"name":"a"}`, idempotencyKey, `"a"`), 422, "invalid", "keeps no answers")
}

// Operations that only read take no notice of a key, whatever it is.
func TestIdempotencyKeyReading(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	for _, tag := range []string{jefeTag, strings.Repeat("0", 64)} {
		a := f.must(t, "POST", "/v1/keys/jefe/verify", `{"text":"`+jefeText+`","tag":"`+tag+`"}`, idempotencyKey, `"k"`)
		if got := decode[api.Verdict](t, a).Valid; got != (tag == jefeTag) {
			t.Errorf("got valid %v of %s", got, tag)
		}
	}
	f.must(t, "GET", "/v1/keys/jefe", ``, idempotencyKey, `not one`)
}

// What was refused has done nothing: the request is looked at anew.
func TestIdempotencyKeyRefused(t *testing.T) {
	f := start(t, nil)
	const path, body = "/v1/keys/later/rotate", ``
	refused(t, f.do(t, "POST", path, body, idempotencyKey, `"k"`), 404, "not-found", "")
	refused(t, f.do(t, "POST", "/v1/keys/later/sign", `{"text":"a"}`, idempotencyKey, `"s"`), 404, "not-found", "")
	refused(t, f.do(t, "POST", "/v1/keys", `{"name":"later","x":1}`, idempotencyKey, `"k"`), 422, "invalid", "unknown member")
	refused(t, f.do(t, "POST", "/v1/keys", `{"name":`, idempotencyKey, `"k"`), 400, "malformed", "")
	f.must(t, "POST", "/v1/keys", `{"name":"later"}`, idempotencyKey, `"k"`)
	f.must(t, "POST", "/v1/keys/later/sign", `{"text":"a"}`, idempotencyKey, `"s"`)
}

// A request that failed before anything was stored can be sent again with the
// same key; one whose answer was lost on the way to the server is not done twice.
func TestIdempotencyKeyBroken(t *testing.T) {
	for _, apply := range []bool{false, true} {
		f := start(t, nil)
		f.must(t, "POST", "/v1/keys", `{"name":"orders"}`)
		f.store.Fail(memory.Fault{Err: errors.New("lost"), Apply: apply})
		a := f.do(t, "POST", "/v1/keys/orders/rotate", ``, idempotencyKey, `"k"`)
		if want := map[bool]int{false: 500, true: 200}[apply]; a.status != want {
			t.Fatalf("stored %v: got %d %s, want %d", apply, a.status, a.body, want)
		}
		again := decode[api.Key](t, f.must(t, "POST", "/v1/keys/orders/rotate", ``, idempotencyKey, `"k"`))
		if len(again.Versions) != 2 {
			t.Errorf("stored %v: got %d versions, want 2", apply, len(again.Versions))
		}
	}
}

// Secrets are not readable in the store, nor in the log.
func TestIdempotencyKeySecret(t *testing.T) {
	f := start(t, nil)
	f.must(t, "POST", "/v1/callers", `{"name":"billing"}`)
	a := f.twice(t, "/v1/callers/billing/credentials", `{"kind":"token"}`)
	text := decode[api.Credential](t, a).Secret
	kept, err := f.store.Answer(t.Context(), access.DefaultTenant, "admin", "/v1/callers/billing/credentials 16")
	if err != nil || kept.State != store.AnswerKept {
		t.Fatalf("Answer: got %v, %v", kept.State, err)
	}
	if text == "" || bytes.Contains(kept.Sealed, []byte(text)) || strings.Contains(f.log.String(), text) {
		t.Errorf("the secret %q is readable", text)
	}
}

// Of many requests at once one is done, and all get its answer.
func TestIdempotencyKeyParallel(t *testing.T) {
	f := start(t, nil)
	var mu sync.Mutex
	bodies := map[string]int{}
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			a := f.do(t, "POST", "/v1/keys", `{"name":"orders"}`, idempotencyKey, `"k"`)
			mu.Lock()
			defer mu.Unlock()
			bodies[fmt.Sprint(a.status, " ", a.body)]++
		})
	}
	group.Wait()
	if len(bodies) != 1 || f.entries(t, "key.create") != 1 {
		t.Errorf("got answers %v, want one", bodies)
	}
	for text := range bodies {
		if !strings.HasPrefix(text, "201") {
			t.Errorf("got %s", text)
		}
	}
}

// Every POST of the description says whether it knows the header.
func TestIdempotencyKeyDescribed(t *testing.T) {
	f := start(t, nil)
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Parameters  []struct{ Name, In string }
		}
	}
	if err := json.Unmarshal([]byte(f.must(t, "GET", "/openapi.json", "").body), &doc); err != nil {
		t.Fatal(err)
	}
	reading := map[string]bool{"verify": true, "requests.verify": true, "leases.verify": true, "doctor": true, "keys.reveal": true, "keys.export": true, "policies.explain": true, "token.exchange": true}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			has := false
			for _, p := range op.Parameters {
				has = has || p.Name == idempotencyKey && p.In == "header"
			}
			if want := method == "post" && !reading[op.OperationID]; has != want {
				t.Errorf("%s %s: describes Idempotency-Key: %v, want %v", strings.ToUpper(method), path, has, want)
			}
		}
	}
}
