//go:build unix

package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/internal/authn"
	"github.com/sealwright/sealwright/server/internal/tlsfiles/tlstest"
	"github.com/sealwright/sealwright/server/servertest"
)

// encrypted is a server with TLS and an authority of clients.
type encrypted struct {
	*servertest.Server
	url       string
	cert, key string
	ca        *tlstest.CA // of the server
	clients   *tlstest.CA
}

func startTLS(t *testing.T) *encrypted {
	t.Helper()
	dir := t.TempDir()
	e := &encrypted{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), ca: tlstest.NewCA(t), clients: tlstest.NewCA(t)}
	e.ca.Server(e.cert, e.key)
	file := configFile(t, fmt.Sprintf("tls:\n  cert: %s\n  key: %s\n  client_ca: %s\n", e.cert, e.key, e.clients.File()))
	e.Server = servertest.StartConfig(t, server.Config{ConfigFile: file})
	e.url = strings.Replace(e.URL, "http://", "https://", 1)
	return e
}

// client returns one with a certificate, or none.
func (e *encrypted) client(c *tls.Certificate) *http.Client {
	cfg := &tls.Config{RootCAs: e.ca.Pool()}
	if c != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil }
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true}}
}

func (e *encrypted) send(t *testing.T, c *http.Client, method, path, body, token string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequest(method, e.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer, string(text), err
}

// admin does something as the administrator.
func (e *encrypted) admin(t *testing.T, method, path, body string) {
	t.Helper()
	answer, text, err := e.send(t, e.client(nil), method, path, body, string(e.Token.Expose()))
	if err != nil || answer.StatusCode >= 300 {
		t.Fatalf("%s %s: got %s, %v", method, path, text, err)
	}
}

// TestClientCertificates: who has a certificate that a caller is known by is
// that caller, and everybody else gets the same answer, or no connection.
func TestClientCertificates(t *testing.T) {
	e := startTLS(t)
	e.admin(t, "POST", "/v1/keys", `{"name":"a"}`)
	e.admin(t, "POST", "/v1/callers", `{"name":"ci","grants":[{"role":"signer"}]}`)
	e.admin(t, "POST", "/v1/callers", `{"name":"off","grants":[{"role":"signer"}]}`)
	byURI := e.clients.Client(nil, "spiffe://example.com/ci")
	byDNS := e.clients.Client(func(c *x509.Certificate) { c.DNSNames = []string{"ci.example.com"} })
	byKey := e.clients.Client(nil)
	names := authn.CertificateNames(byKey.Leaf)
	for _, name := range []string{"uri:spiffe://example.com/ci", "dns:ci.example.com", names[len(names)-1]} {
		e.admin(t, "POST", "/v1/callers/ci/credentials", `{"kind":"certificate","certificate":"`+name+`"}`)
	}
	e.admin(t, "POST", "/v1/callers/off/credentials", `{"kind":"certificate","certificate":"uri:spiffe://example.com/off"}`)
	e.admin(t, "PATCH", "/v1/callers/off", `{"disabled":true}`)
	off := e.clients.Client(nil, "spiffe://example.com/off")
	unmapped := e.clients.Client(nil, "spiffe://example.com/nobody")
	refusals := map[string]bool{}
	for _, tt := range []struct {
		name   string
		cert   *tls.Certificate
		token  string
		status int
	}{
		{"URI", &byURI, "", 200}, {"DNS", &byDNS, "", 200}, {"Key", &byKey, "", 200},
		{"Unmapped", &unmapped, "", 401}, {"Disabled", &off, "", 401}, {"None", nil, "", 401}, {"WithToken", &byURI, "x", 401},
	} {
		answer, text, err := e.send(t, e.client(tt.cert), "POST", "/v1/keys/a/sign", `{"text":"hello"}`, tt.token)
		if err != nil || answer.StatusCode != tt.status || answer.Proto != "HTTP/2.0" {
			t.Errorf("%s: got %+v %s, %v", tt.name, answer, text, err)
			continue
		}
		if tt.status == 401 {
			var p api.Problem
			if err := json.Unmarshal([]byte(text), &p); err != nil {
				t.Fatal(err)
			}
			refusals[strings.Replace(text, p.RequestID, "", 1)] = true
		}
	}
	if len(refusals) != 1 {
		t.Errorf("got different refusals: %v", refusals)
	}
	other := tlstest.NewCA(t).Client(nil, "spiffe://example.com/ci")
	expired := e.clients.Client(func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}, "spiffe://example.com/ci")
	for name, cert := range map[string]*tls.Certificate{"OtherAuthority": &other, "Expired": &expired} {
		if answer, text, err := e.send(t, e.client(cert), "GET", "/v1/keys", "", ""); err == nil {
			t.Errorf("%s: got %d %s", name, answer.StatusCode, text)
		}
	}
	e.admin(t, "DELETE", "/v1/callers/ci", "")
	if answer, text, err := e.send(t, e.client(&byURI), "GET", "/v1/keys", "", ""); err != nil || answer.StatusCode != 401 {
		t.Errorf("deleted: got %s, %v", text, err)
	}
}

// A certificate is replaced at SIGHUP, and the open connection goes on.
func TestCertificateReplaced(t *testing.T) {
	e := startTLS(t)
	open := e.client(nil)
	if _, _, err := e.send(t, open, "GET", "/healthz", "", ""); err != nil {
		t.Fatal(err)
	}
	old := e.ca
	e.ca = tlstest.NewCA(t)
	e.ca.Server(e.cert, e.key)
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, _, err := e.send(t, e.client(nil), "GET", "/healthz", "", ""); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the new certificate: %v", err)
		}
	}
	if _, _, err := e.send(t, open, "GET", "/healthz", "", ""); err != nil {
		t.Errorf("the open connection: %v", err)
	}
	e.ca = old
	if _, _, err := e.send(t, e.client(nil), "GET", "/healthz", "", ""); err == nil {
		t.Error("the old certificate is still there")
	}
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	if log := e.Log.String(); !strings.Contains(log, "certificate replaced") || strings.Contains(log, "without TLS") || !strings.Contains(log, "ends soon") {
		t.Errorf("logged %s", log)
	}
	if out := e.Out.String(); !strings.Contains(out, "is ready on https://127.0.0.1:") || strings.Contains(out, "http://") {
		t.Errorf("printed %s", out)
	}
}

func TestTLSSettings(t *testing.T) {
	for name, want := range map[string]string{
		"tls:\n  cert: a\n":                                 "tls.key: is missing",
		"tls:\n  key: a\n":                                  "tls.cert: is missing",
		"tls:\n  client_ca: a\n":                            "tls.cert: is missing",
		"tls:\n  cert: a\n  key: b\n  min_version: 1.1\n":   `line 4: tls.min_version: got "1.1"`,
		"tls:\n  cert: no such file\n  key: no such file\n": "no such file",
	} {
		data := filepath.Join(t.TempDir(), "data")
		if err := run(t, server.Config{Data: data, ConfigFile: configFile(t, name)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", name, err, want)
		}
		if all, err := filepath.Glob(data); err != nil || len(all) > 0 {
			t.Errorf("%q: the data folder was made", name)
		}
	}
}

// TestGuideTLS follows docs/operate/tls.md.
func TestGuideTLS(t *testing.T) {
	needs(t, "bash", "curl", "openssl", "sha256sum")
	scripts := blocks(t, "tls.md", "bash")
	dir := t.TempDir()
	runIn(t, dir, nil, "bash", "set -e\n"+scripts[0])
	settings := blocks(t, "tls.md", "yaml")[0]
	for name, file := range map[string]string{"cert.pem": "server.pem", "key.pem": "server.key", "clients.pem": "ca.pem"} {
		settings = strings.Replace(settings, "/etc/sealwright/"+name, filepath.Join(dir, file), 1)
	}
	s := servertest.StartConfig(t, server.Config{ConfigFile: configFile(t, settings)})
	url := strings.Replace(s.URL, "http://", "https://", 1)
	do := func(path, body string) {
		t.Helper()
		out := runIn(t, dir, []string{"TOKEN=" + string(s.Token.Expose())}, "bash",
			`curl -sS --fail-with-body --cacert ca.pem -H @<(echo "Authorization: Bearer $TOKEN") --json '`+body+`' `+url+path)
		if !strings.HasPrefix(out, "{") {
			t.Fatalf("got %s", out)
		}
	}
	do("/v1/keys", `{"name":"orders-eu"}`)
	do("/v1/callers", `{"name":"billing","grants":[{"role":"signer","keys":["orders-*"]}]}`)
	do("/v1/callers/billing/credentials", `{"kind":"certificate","certificate":"uri:spiffe://example.com/billing"}`)
	sign := func() string { return runIn(t, dir, []string{"SEALWRIGHT=" + url}, "bash", scripts[1]) }
	if out := sign(); !strings.Contains(out, `"signature"`) {
		t.Errorf("got %s", out)
	}
	digest, _, _ := strings.Cut(runIn(t, dir, nil, "bash", scripts[2]), " ")
	do("/v1/callers/billing/credentials", `{"kind":"certificate","certificate":"spki-sha256:`+digest+`"}`)
	if out := sign(); !strings.Contains(out, `"signature"`) {
		t.Errorf("known by two names: got %s", out)
	}
}
