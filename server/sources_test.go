package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

// kvEngine answers reads of a KV engine of version 2. It is a fake: the adapter
// has tests of its own.
type kvEngine struct {
	*httptest.Server
	mu      sync.Mutex
	kept    string // the field hmac of every secret; empty is none
	version int
}

func startKV(t *testing.T) *kvEngine {
	t.Helper()
	k := &kvEngine{}
	k.Server = httptest.NewServer(k)
	t.Cleanup(k.Close)
	return k
}

func (k *kvEngine) set(text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = text
	k.version++
}

func (k *kvEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == "" || r.Header.Get("X-Vault-Token") != "the-token" || r.URL.Path != "/v1/secret/data/sealwright/orders" {
		http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{
		"data": map[string]any{"hmac": k.kept}, "metadata": map[string]any{"version": k.version, "created_time": "2026-01-02T03:04:05Z"},
	}})
}

func (k *kvEngine) config(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file, token := filepath.Join(dir, "sealwright.yaml"), filepath.Join(dir, "token")
	text := fmt.Sprintf("sources:\n  vaultkv:\n    prefix: sealwright/\n    address: %s\n    token: file:%s\n", k.URL, token)
	for name, content := range map[string]string{file: text, token: "the-token\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

// TestSources makes a key of a secret that lives elsewhere, follows a change of
// that, and goes on without it, also after a restart.
func TestSources(t *testing.T) {
	const first, second = "The first secret of 32 bytes....", "The second secret, of 32 bytes.."
	kv, data := startKV(t), t.TempDir()
	config := kv.config(t)
	s := servertest.StartConfig(t, server.Config{Data: data, ConfigFile: config})
	kv.set(first)
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a","source":{"provider":"vaultkv","name":"sealwright/orders","field":"hmac"}}`)
	old := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`)

	kv.set(second)
	if k := must[api.Key](t, s, "POST", "/v1/keys/a/rotate", ``); k.Version != 2 || k.Source.Version != "2" || k.Source.Unchanged {
		t.Errorf("rotate: got %+v", k)
	}
	if v := must[api.Verdict](t, s, "POST", "/v1/keys/a/verify", `{"text":"a","tag":"`+old.Tag+`"}`); !v.Valid || v.Version != 1 {
		t.Errorf("verify of a tag of before: got %+v", v)
	}
	tag := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`).Tag

	// Names outside of the prefix, and providers without a section, are not read.
	for body, want := range map[string]int{
		`{"name":"b","source":{"provider":"vaultkv","name":"others/orders","field":"hmac"}}`: 403,
		`{"name":"b","source":{"provider":"awssecrets","name":"sealwright/orders"}}`:         422,
	} {
		if status, _, answer := s.Do(t, "POST", "/v1/keys", body); status != want {
			t.Errorf("%s: got %d %s, want %d", body, status, answer, want)
		}
	}

	kv.set("")
	if status, _, body := s.Do(t, "POST", "/v1/keys/a/rotate", ``); status != 503 || !strings.Contains(body, "Forbidden") {
		t.Errorf("rotate without the source: got %d %s", status, body)
	}
	if k := must[api.Key](t, s, "GET", "/v1/keys/a", ""); !strings.Contains(k.Source.Error, "Forbidden") {
		t.Errorf("get: got %+v", k.Source)
	}
	for { // until the test times out
		if _, _, body := s.Do(t, "GET", "/readyz", ""); strings.Contains(body, "the sources of 1 keys cannot be used") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{first, second, "the-token"} {
		if strings.Contains(s.Log.String(), text) {
			t.Errorf("the log shows a secret: %s", s.Log)
		}
	}
	kv.Close()
	for _, file := range []string{config, ""} { // without the source, and without a configuration of it
		s = servertest.StartConfig(t, server.Config{Data: data, ConfigFile: file})
		if got := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`).Tag; got != tag {
			t.Errorf("sign after a restart with %q: got %s, want %s", file, got, tag)
		}
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// The settings say where secrets may be read, and nothing crosses a network in
// clear.
func TestSourcesConfig(t *testing.T) {
	for text, want := range map[string]string{
		"awssecrets:\n    region: eu-central-1\n":                                                                 "sources.awssecrets.prefix: is missing",
		"gcpsecrets:\n    endpoint: secretmanager.europe-west3.rep.googleapis.com:443":                            "sources.gcpsecrets.prefix: is missing",
		"vaultkv:\n    prefix: a/\n    token: env:T\n":                                                            "sources.vaultkv.address: is missing",
		"vaultkv:\n    prefix: a/\n    address: https://a\n":                                                      "sources.vaultkv.token: is missing",
		"vaultkv:\n    prefix: a/\n    address: https://a\n    token: hunter2\n":                                  "sources.vaultkv.token: want the name of a secret",
		"vaultkv:\n    prefix: a/\n    address: http://kv.example\n    token: env:T\n":                            `sources.vaultkv.address: got the scheme "http", want https`,
		"vaultkv:\n    prefix: a/\n    address: kv.example\n    token: env:T\n":                                   "want a URL",
		"vaultkv:\n    prefix: a/\n    address: https://u:hunter2@a\n":                                            "want a URL without a password",
		"vaultkv:\n    version: 3\n":                                                                              "sources.vaultkv.version: got 3, want 1 to 2",
		"awssecrets:\n    prefix: a\n    endpoint: http://192.0.2.1\n":                                            "want https",
		"awssecrets:\n    prefix: ''\n":                                                                           "sources.awssecrets.prefix: is empty",
		"awssecrets:\n    prefix: ../a\n":                                                                         "no name begins with",
		"awssecrets:\n    prefix: 'a b'\n":                                                                        "no name begins with",
		"awssecrets:\n    prefix: 'a/{tenant}'\n":                                                                 "with a slash behind it",
		"awssecrets:\n    prefix: 'a/{tenant}-b'\n":                                                               "with a slash behind it",
		"awssecrets:\n    prefix: '{tenant}/{tenant}/'\n":                                                         "once",
		"awssecrets:\n    prefix: '{other}/'\n":                                                                   "no name begins with",
		"awssecrets:\n    secret: hunter2\n":                                                                      "field secret not found",
		"awssecrets:\n    prefix: a\n    endpoint: http://127.0.0.1:5000\n":                                       "",
		"awssecrets:\n    prefix: '*'\n    endpoint: 'http://[::1]:5000'\n":                                       "",
		"awssecrets:\n    prefix: arn:aws:secretsmanager:eu-central-1:123456789012:secret:sealwright/{tenant}/\n": "",
		"gcpsecrets:\n    prefix: projects/acme-{tenant}/secrets/\n":                                              "",
		"vaultkv:\n    prefix: '{tenant}/'\n    address: http://localhost:8200\n    token: env:T\n":               "",
	} {
		file := filepath.Join(t.TempDir(), "sealwright.yaml")
		if err := os.WriteFile(file, []byte("sources:\n  "+text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := server.CheckFile(file)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error shows the secret: %v", text, err)
		}
	}
}
