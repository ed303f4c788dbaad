package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

const financial = `{"id":"financial","rules":[
	{"id":"ledger","match":{"action":["key.sign","key.verify"],"classes":["financial"]},"use_key":"ledger","audit":"durable"},
	{"id":"strong","reason":"secret reason","match":{"classes":["financial"]},"require":{"min_strength":512}},
	{"id":"no-tests","match":{"environment":["test"]},"deny":true}
]}`

// signed asks a server to sign and returns the status and the answer.
func signed(t *testing.T, s *servertest.Server, token, body string) (int, string) {
	t.Helper()
	return request(t, "POST", s.URL+"/v1/keys/orders/sign", body, bearer(token))
}

// TestFinancialData signs data of two classes for a caller who may use one key
// and knows nothing of algorithms.
func TestFinancialData(t *testing.T) {
	var log bytes.Buffer
	s := servertest.StartConfig(t, server.Config{Data: t.TempDir(), Stderr: &log, LogFormat: "json"})
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"orders"}`)
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"ledger","algorithm":"hmac-sha512"}`)
	must[api.Caller](t, s, "POST", "/v1/callers", `{"name":"shop","grants":[{"role":"signer","keys":["orders"]},{"role":"verifier","keys":["orders"]}]}`)
	token := must[api.Credential](t, s, "POST", "/v1/callers/shop/credentials", `{"kind":"token"}`).Secret
	must[api.Policy](t, s, "POST", "/v1/policies", financial)

	sign := func(body string) (out api.Signed) {
		t.Helper()
		status, answer := signed(t, s, token, body)
		if err := json.Unmarshal([]byte(answer), &out); err != nil || status != http.StatusOK {
			t.Fatalf("sign %s: got %d: %s", body, status, answer)
		}
		return out
	}
	plain := sign(`{"text":"hello"}`)
	money := sign(`{"text":"hello","metadata":{"classes":["financial"]}}`)
	if plain.Algorithm != "hmac-sha256" || plain.Key != "orders" || money.Algorithm != "hmac-sha512" || money.Key != "ledger" {
		t.Errorf("got %s by %s and %s by %s, want hmac-sha256 by orders and hmac-sha512 by ledger", plain.Algorithm, plain.Key, money.Algorithm, money.Key)
	}
	if status, answer := request(t, "POST", s.URL+"/v1/keys/ledger/sign", `{"text":"a"}`, bearer(token)); status != http.StatusForbidden {
		t.Errorf("sign with ledger itself: got %d: %s", status, answer)
	}
	verify := func(body string) (int, string) {
		return request(t, "POST", s.URL+"/v1/keys/orders/verify", body, bearer(token))
	}
	if _, answer := verify(`{"text":"hello","metadata":{"classes":["financial"]},"signature":"` + money.Signature + `"}`); !strings.Contains(answer, `"valid":true`) {
		t.Errorf("verify with the same metadata: got %s", answer)
	}
	if _, answer := verify(`{"text":"hello","signature":"` + money.Signature + `"}`); !strings.Contains(answer, `"reason":"unknown-key"`) {
		t.Errorf("verify without metadata: got %s", answer)
	}

	status, answer := signed(t, s, token, `{"text":"a","metadata":{"environment":"test","labels":{"who":"me"}}}`)
	if status != http.StatusForbidden || strings.Contains(answer, "no-tests") || !strings.Contains(answer, "the policy does not allow this") {
		t.Errorf("sign in the environment test: got %d: %s", status, answer)
	}
	_, answer = signed(t, s, token, `{"metadata":{"environment":"test"},"items":[{"text":"a","metadata":{"classes":["financial"]}},{"text":"b","metadata":{"environment":"test"}}]}`)
	if !strings.Contains(answer, `"algorithm":"hmac-sha512"`) || !strings.Contains(answer, `{"index":1,"location":"body.items[1]","detail":"the policy does not allow this"}`) {
		t.Errorf("sign a batch: got %s", answer)
	}
	if status, answer := request(t, "POST", s.URL+"/v1/keys/orders/leases", `{"ttl":"1m"}`, bearer(token)); status != http.StatusCreated {
		t.Errorf("lease: got %d: %s", status, answer)
	}
	must[api.Policy](t, s, "PUT", "/v1/policies/leases", `{"rules":[{"id":"a","match":{"action":["lease.create"]},"use_key":"ledger"},{"id":"b","match":{"action":["key.sign"]},"use_key":"gone"}]}`)
	if status, answer := request(t, "POST", s.URL+"/v1/keys/orders/leases", `{"ttl":"1m"}`, bearer(token)); status != http.StatusForbidden {
		t.Errorf("lease of a key that the policy replaces: got %d: %s", status, answer)
	}
	if status, answer := signed(t, s, token, `{"text":"a"}`); status != http.StatusForbidden || strings.Contains(answer, "gone") {
		t.Errorf("sign with a key that does not exist: got %d: %s", status, answer)
	}

	s.Stop()
	for _, want := range []string{
		`"key":"ledger","asked_key":"orders"`, `"audit":"durable","classes":"financial"`,
		`"reason":"denied","rule":"financial/no-tests","environment":"test"`, `"why":"the key \"gone\", which the policy chooses, does not exist"`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "who=me") {
		t.Error("the log has labels, want them at level debug only")
	}
}

// TestDataCatalogue chooses the key by the class that the catalogue has for a
// resource, and refuses when the class cannot be known.
func TestDataCatalogue(t *testing.T) {
	folder := t.TempDir()
	config := filepath.Join(folder, "sealwright.yaml")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var away atomic.Bool
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(`{"resources":{"orders.*":["financial"]}}`))
	}))
	defer service.Close()
	write("data.yaml", "resources: {orders.*: [financial]}")
	for name, place := range map[string]string{"File": "file: " + filepath.Join(folder, "data.yaml"), "URL": "url: " + service.URL} {
		t.Run(name, func(t *testing.T) {
			away.Store(false)
			write("sealwright.yaml", "data_catalogue: {"+place+", refresh: 1h}")
			data := t.TempDir()
			s := servertest.StartConfig(t, server.Config{Data: data, ConfigFile: config})
			must[api.Key](t, s, "POST", "/v1/keys", `{"name":"orders"}`)
			must[api.Key](t, s, "POST", "/v1/keys", `{"name":"ledger","algorithm":"hmac-sha512"}`)
			must[api.Policy](t, s, "POST", "/v1/policies", financial)
			money := must[api.Signed](t, s, "POST", "/v1/keys/orders/sign", `{"text":"a","metadata":{"resource":"orders.payments","classes":["pii"]}}`)
			other := must[api.Signed](t, s, "POST", "/v1/keys/orders/sign", `{"text":"a","metadata":{"resource":"stock"}}`)
			if money.Algorithm != "hmac-sha512" || other.Algorithm != "hmac-sha256" {
				t.Errorf("got %s and %s", money.Algorithm, other.Algorithm)
			}
			if name == "File" {
				return
			}
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			away.Store(true)
			s = servertest.StartConfig(t, server.Config{Data: data, ConfigFile: config})
			if status, _, answer := s.Do(t, "POST", "/v1/keys/orders/sign", `{"text":"a","metadata":{"resource":"stock"}}`); status != http.StatusServiceUnavailable {
				t.Errorf("sign while the catalogue is not known: got %d: %s", status, answer)
			}
			must[api.Signed](t, s, "POST", "/v1/keys/orders/sign", `{"text":"a"}`)
			if _, _, answer := s.Do(t, "GET", "/readyz", ""); !strings.Contains(string(answer), "the data catalogue could not be read yet") {
				t.Errorf("readyz: got %s", answer)
			}
		})
	}
}

func TestDataCatalogueSettings(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                                     "",
		"{file: a.yaml, url: https://a.example}": "data_catalogue.file: want either file or url",
		"{refresh: 1m}":                          "data_catalogue.file: want either file or url",
		"{url: http://a.example}":                "data_catalogue.url: got the scheme",
		"{url: https://a.example, refresh: 1s}":  "data_catalogue.refresh: got",
		"{file: a.yaml, token: env:A}":           "data_catalogue.url: token and ca_file are for a URL",
		"{url: https://a.example, token: t0ken}": "data_catalogue.token: want the name of a secret",
		"{url: https://a.example, token: env:A}": "",
	} {
		err := server.CheckFile(writeTemp(t, "data_catalogue: "+text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	if err := run(t, server.Config{Data: t.TempDir(), ConfigFile: writeTemp(t, "data_catalogue: {file: /nowhere/a.yaml}")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("start without the file: got %v", err)
	}
}

// writeTemp writes a file and returns its name.
func writeTemp(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
