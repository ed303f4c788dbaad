package vaultkv_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/source/sourcetest"
	"github.com/sealwright/sealwright/server/internal/source/vaultkv"
)

// against says what the tests do not show.
const against = "a fake of the KV engine: no policies, mounts, audit, TLS or seals"

// fake answers as the KV engine does to reads. Paths, fields and statuses are
// those of https://openbao.org/api-docs/secret/kv/kv-v2/ and kv-v1/. It is not
// OpenBao: see against. Of tokens it knows one.
type fake struct {
	*httptest.Server
	version int // of the engine

	mu   sync.Mutex
	kept map[string][]map[string]any // versions by path; nil is a deleted one
	seen []http.Header
}

func newFake(t *testing.T, version int) *fake {
	t.Helper()
	f := &fake{version: version, kept: map[string][]map[string]any{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) put(name string, fields map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept[name] = append(f.kept[name], fields)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, r.Header)
	prefix := "/v1/secret/"
	if f.version == 2 {
		prefix += "data/"
	}
	name, ok := strings.CutPrefix(r.URL.Path, prefix)
	versions := f.kept[name]
	switch {
	case r.Header.Get("X-Vault-Token") != "token":
		answer(w, http.StatusForbidden, map[string]any{"errors": []string{"permission denied"}})
	case r.Method != http.MethodGet || !ok || len(versions) == 0:
		answer(w, http.StatusNotFound, map[string]any{"errors": []string{}})
	case f.version == 1:
		answer(w, http.StatusOK, map[string]any{"data": versions[len(versions)-1]})
	default:
		status, newest := http.StatusOK, versions[len(versions)-1]
		metadata := map[string]any{"version": len(versions), "created_time": "2026-01-02T03:04:05.678Z", "deletion_time": "", "destroyed": false}
		if newest == nil {
			status, metadata["deletion_time"] = http.StatusNotFound, "2026-01-03T03:04:05.678Z"
		}
		answer(w, status, map[string]any{"data": map[string]any{"data": newest, "metadata": metadata}})
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func token(text string) func() (secret.Bytes, error) {
	return func() (secret.Bytes, error) { return secret.FromString(text), nil }
}

func open(t *testing.T, c vaultkv.Config) *vaultkv.Client {
	t.Helper()
	client, err := vaultkv.Open(c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return client
}

func TestConformance(t *testing.T) {
	for name, version := range map[string]int{"Version1": 1, "Version2": 2} {
		t.Run(name, func(t *testing.T) {
			sourcetest.Run(t, func(t *testing.T) sourcetest.Subject {
				f := newFake(t, version)
				return sourcetest.Subject{
					Source:  open(t, vaultkv.Config{Address: f.URL, Version: version, Token: token("token")}),
					Against: against, Name: "team/a", Other: "team/b", Field: "hmac", Versions: version == 2,
					Set: func(_ *testing.T, name, text string) {
						f.put(name, map[string]any{"user": "u", "hmac": text, "number": 1})
					},
					Remove: func(_ *testing.T, name string) {
						if version == 2 {
							f.put(name, nil)
							return
						}
						f.mu.Lock()
						defer f.mu.Unlock()
						delete(f.kept, name)
					},
					Break: func() {
						f.CloseClientConnections()
						f.Close()
					},
				}
			})
		})
	}
}

// The token is read for each request and sent with the namespace; one that is
// refused or cannot be read says so.
func TestToken(t *testing.T) {
	f := newFake(t, 2)
	f.put("a", map[string]any{"hmac": "one"})
	current, broken := "token", error(nil)
	c := open(t, vaultkv.Config{Address: f.URL, Namespace: "team", Token: func() (secret.Bytes, error) {
		return secret.FromString(current), broken
	}})
	if _, err := c.Fetch(t.Context(), "a"); err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	if got := f.seen[0].Get("X-Vault-Namespace"); got != "team" {
		t.Errorf("namespace: got %q", got)
	}
	current = "old-token"
	_, err := c.Fetch(t.Context(), "a")
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), "Forbidden") || strings.Contains(err.Error(), current) {
		t.Errorf("Fetch with a refused token: got %v", err)
	}
	n := len(f.seen)
	broken = errors.New("no file")
	if _, err := c.Fetch(t.Context(), "a"); fault.KindOf(err) != fault.Unavailable || !errors.Is(err, broken) || len(f.seen) != n {
		t.Errorf("Fetch without a token: got %v after %d requests", err, len(f.seen)-n)
	}
}

// An engine of another version, and what is no engine, give nothing.
func TestStrangeAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"Nothing": ``, "Text": `TOPSECRET`, "NoMetadata": `{"data":{"data":{"hmac":"TOPSECRET"}}}`,
		"NoData": `{"data":{"metadata":{"version":1}}}`, "DataIsText": `{"data":{"data":"TOPSECRET","metadata":{"version":1}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
			defer s.Close()
			p, err := open(t, vaultkv.Config{Address: s.URL, Token: token("token"), Timeout: 5 * time.Second}).Fetch(t.Context(), "a")
			if err == nil || p.Bytes.Len() != 0 || strings.Contains(err.Error(), "TOPSECRET") {
				t.Errorf("Fetch: got %d bytes, %v", p.Bytes.Len(), err)
			}
		})
	}
}

// An engine of version 2 answers so when it is read as one of version 1.
func TestNoDataOfVersion1(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"data":null,"warnings":["Invalid path for a versioned K/V secrets engine"]}`))
	}))
	defer s.Close()
	p, err := open(t, vaultkv.Config{Address: s.URL, Version: 1, Token: token("token")}).Fetch(t.Context(), "a")
	if err == nil || p.Bytes.Len() != 0 {
		t.Errorf("Fetch: got %d bytes, %v", p.Bytes.Len(), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	good := vaultkv.Config{Address: "https://localhost", Token: token("t")}
	for want, change := range map[string]func(*vaultkv.Config){
		"needs address and token":   func(c *vaultkv.Config) { c.Address = "" },
		"needs address and":         func(c *vaultkv.Config) { c.Token = nil },
		`the mount "/secret"`:       func(c *vaultkv.Config) { c.Mount = "/secret" },
		`the mount "a/../b"`:        func(c *vaultkv.Config) { c.Mount = "a/../b" },
		"version 3 of the engine":   func(c *vaultkv.Config) { c.Version = 3 },
		"cannot be read from /none": func(c *vaultkv.Config) { c.CAFile = "/none" },
		"no address of a server":    func(c *vaultkv.Config) { c.Address = "http://a b" },
	} {
		c := good
		change(&c)
		if _, err := vaultkv.Open(c); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), want) {
			t.Errorf("Open: got %v, want %q", err, want)
		}
	}
}
