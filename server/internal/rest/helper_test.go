package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/authn"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/idempotency"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/policy"
	"github.com/sealwright/sealwright/server/internal/rest"
	"github.com/sealwright/sealwright/server/internal/store/memory"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

const token = "swt_for-tests"

// presets returns all of them, loaded once.
var presets = sync.OnceValue(func() map[string]*scheme.Definition {
	all := map[string]*scheme.Definition{}
	for _, id := range catalogue.Names() {
		d, err := catalogue.Definition(id)
		if err != nil {
			panic(err)
		}
		all[id] = d
	}
	return all
})

// coded returns a definition whose scheme is what construct makes. It has the
// parameters a and b.
func coded(t *testing.T, id string, construct scheme.Constructor) map[string]*scheme.Definition {
	t.Helper()
	d, err := scheme.Parse([]byte(`{"id":"`+id+`","tier":"unverified","direction":"generic","source":"this test","doc":"A scheme in code.",
		"params":{"a":{"doc":"any"},"b":{"doc":"any","list":true}},"code":"coded"}`), map[string]scheme.Constructor{"coded": construct})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*scheme.Definition{id: d}
}

// bearer authenticates by the token alone.
func bearer(whose func(token string) (access.Caller, bool)) func(*http.Request) (access.Caller, error) {
	return authn.Authenticator{authn.Bearer(authn.Direct, authn.TokenKind{
		Is: func(string) bool { return true },
		Check: func(token string) (access.Caller, error) {
			if c, ok := whose(token); ok {
				return c, nil
			}
			return access.Caller{}, fault.New(fault.Denied, "unknown token")
		},
	})}.Authenticate
}

// fixture is an API behind a real HTTP server, on a store in memory.
type fixture struct {
	url   string
	store *memory.Store
	log   *bytes.Buffer // of what the caller may not see; read it after the request

	mu  sync.Mutex
	ops []rest.Operation
}

// start serves the API with the options that edit leaves.
func start(t *testing.T, edit func(*rest.Options)) *fixture {
	t.Helper()
	return startWith(t, func(_ *fixture, o *rest.Options) {
		if edit != nil {
			edit(o)
		}
	})
}

// startWith is start for options that need the store.
func startWith(t *testing.T, edit func(*fixture, *rest.Options)) *fixture {
	t.Helper()
	f := &fixture{store: memory.New(), log: &bytes.Buffer{}}
	root, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := custody.Open(context.Background(), custody.Options{Store: f.store, Wrapper: root})
	if err != nil {
		t.Fatal(err)
	}
	tenants, err := tenant.Open(context.Background(), tenant.Options{Store: f.store, Sealer: keys})
	if err != nil {
		t.Fatal(err)
	}
	policies, err := policy.Open(context.Background(), policy.Options{Store: f.store})
	if err != nil {
		t.Fatal(err)
	}
	o := rest.Options{
		Keys:         keys,
		Tenants:      tenants,
		Policies:     policies,
		Authenticate: bearer(func(s string) (access.Caller, bool) { return access.Administrator(), s == token }),
		Schemes:      presets(),
		Answers:      &idempotency.Service{Store: f.store, Sealer: keys},
		Record: func(op rest.Operation) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.ops = append(f.ops, op)
		},
		Log:     slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics: http.NotFoundHandler(),
		Version: "1.2.3",
	}
	edit(f, &o)
	a, err := rest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

// last returns the operation of the last request. The server reports it after
// the answer, so it waits.
func (f *fixture) last(t *testing.T, n int) rest.Operation {
	t.Helper()
	for range 1000 {
		f.mu.Lock()
		if len(f.ops) >= n {
			op := f.ops[n-1]
			f.mu.Unlock()
			return op
		}
		f.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("operation %d was not reported", n)
	return rest.Operation{}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request with the token; header are pairs of name and value, and
// an empty value removes the header.
func (f *fixture) do(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	return f.send(t, method, path, strings.NewReader(body), header...)
}

func (f *fixture) send(t *testing.T, method, path string, body io.Reader, header ...string) answer {
	t.Helper()
	r, err := http.NewRequest(method, f.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	replaced := map[string]bool{}
	for i := 0; i+1 < len(header); i += 2 {
		if !replaced[header[i]] {
			r.Header.Del(header[i])
			replaced[header[i]] = true
		}
		if header[i+1] != "" {
			r.Header.Add(header[i], header[i+1])
		}
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{got.StatusCode, got.Header, string(text)}
}

// must is do for a request that has to succeed.
func (f *fixture) must(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	a := f.do(t, method, path, body, header...)
	if a.status >= 300 {
		t.Fatalf("%s %s: got %d %s", method, path, a.status, a.body)
	}
	return a
}

// decode reads the answer strictly.
func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("answer %q: %v", a.body, err)
	}
	return v
}

// refused checks that a is a problem with this status and code, whose text has
// want, and returns it.
func refused(t *testing.T, a answer, status int, code, want string) api.Problem {
	t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("got %d %s %s, want a problem with %d", a.status, a.header.Get("Content-Type"), a.body, status)
	}
	p := decode[api.Problem](t, a)
	if p.Type != "about:blank" || p.Title != http.StatusText(status) || p.Status != status || p.Code != code {
		t.Errorf("got problem %+v, want status %d and code %s", p, status, code)
	}
	if !strings.Contains(p.Error(), want) {
		t.Errorf("got %q, want %q in it", p.Error(), want)
	}
	if strings.Contains(a.body, `"value"`) || strings.Contains(a.body, "$schema") {
		t.Errorf("the problem repeats what was sent, or names a schema: %s", a.body)
	}
	return p
}

// The second test case of RFC 4231.
const (
	jefe     = "SmVmZQ==" // "Jefe" in base64
	jefeText = "what do ya want for nothing?"
	jefeTag  = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	jefeB64  = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="
)

// withJefe makes the key of RFC 4231.
func (f *fixture) withJefe(t *testing.T) {
	t.Helper()
	f.must(t, "POST", "/v1/keys", `{"name":"jefe","material":"`+jefe+`","allow_weak":true}`)
}
