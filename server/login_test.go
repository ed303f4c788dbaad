//go:build unix

package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/internal/oidc/oidctest"
	"github.com/sealwright/sealwright/server/internal/tlsfiles/tlstest"
	"github.com/sealwright/sealwright/server/servertest"
)

// freeAddress returns an address of this machine that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestLogin logs in as docs/operate/login.md says, over TLS, and goes on after a
// restart of the server.
func TestLogin(t *testing.T) {
	i := oidctest.New(t)
	dir := t.TempDir()
	ca := tlstest.NewCA(t)
	secretFile, cert, key := filepath.Join(dir, "client-secret"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(secretFile, []byte(oidctest.ClientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ca.Server(cert, key)
	address := freeAddress(t)
	url := "https://" + address
	text := blocks(t, "login.md", "yaml")[0]
	for from, to := range map[string]string{
		"https://seal.example.com": url, "https://login.example.com": i.URL, "/etc/sealwright/client-secret": secretFile,
	} {
		text = strings.Replace(text, from, to, 1)
	}
	text += fmt.Sprintf("tls:\n  cert: %s\n  key: %s\n", cert, key)
	c := server.Config{Listen: address, Data: t.TempDir(), ConfigFile: configFile(t, text)}
	s := servertest.StartConfig(t, c)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}}
	send := func(method, path, body string, header ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequest(method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		for n := 0; n < len(header); n += 2 {
			r.Header.Set(header[n], header[n+1])
		}
		answer, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	admin := []string{"Authorization", "Bearer " + string(s.Token.Expose())}
	for path, body := range map[string]string{"/v1/callers": `{"name":"alice","grants":[{"role":"operator"}]}`, "/v1/tenants": `{"name":"payments"}`} {
		if status, text := send("POST", path, body, admin...); status != 201 {
			t.Fatalf("got %d %s", status, text)
		}
	}
	now := time.Now()
	i.SetPerson(oidctest.Claims{"iss": i.URL, "sub": "8f14e45f-ceea-467f-a0e6-b6a3c9c5d3b1", "iat": now.Unix(), "exp": now.Unix() + 300})
	if status, text := send("GET", "/login", ""); status != 200 || !strings.HasPrefix(text, `{"id":"operator:alice","tenant":"default","operator":true`) {
		t.Fatalf("login: got %d %s", status, text)
	}
	if status, text := send("POST", "/v1/keys", `{"name":"a"}`, "Sec-Fetch-Site", "same-origin"); status != 201 {
		t.Errorf("create a key: got %d %s", status, text)
	}
	if status, text := send("POST", "/v1/keys", `{"name":"b"}`, "Sec-Fetch-Site", "cross-site"); status != 401 {
		t.Errorf("from another site: got %d %s", status, text)
	}
	if status, text := send("GET", "/v1/keys", "", admin...); status != 401 {
		t.Errorf("a session and a token: got %d %s", status, text)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if log := s.Log.String(); !strings.Contains(log, `"logged in","caller":"operator:alice"`) || strings.Contains(log, oidctest.ClientSecret) || strings.Contains(log, "swe_") {
		t.Errorf("logged %s", log)
	}
	servertest.StartConfig(t, c)
	if status, text := send("GET", "/v1/keys", ""); status != 200 || !strings.Contains(text, `"a"`) || strings.Contains(text, `"b"`) {
		t.Errorf("after a restart: got %d %s", status, text)
	}
	if status, _ := send("POST", "/logout", ""); status != 204 {
		t.Errorf("logout: got %d", status)
	}
	if status, text := send("GET", "/v1/me", ""); status != 401 {
		t.Errorf("after the logout: got %d %s", status, text)
	}
}

func TestLoginSettings(t *testing.T) {
	const rest = "  client_id: c\n  rules: [{match: {sub: x}, caller: c}]\n"
	for text, want := range map[string]string{
		"login:\n  issuer: https://i.example.com\n" + rest:                                                            "login.url: got \"\"",
		"login:\n  url: http://seal.example.com\n  issuer: https://i.example.com\n" + rest:                            "line 2: login.url: got",
		"login:\n  url: https://seal.example.com/x\n  issuer: https://i.example.com\n" + rest:                         "line 2: login.url: got",
		"login:\n  url: https://seal.example.com\n" + rest:                                                            "login: issuer: is not a URL",
		"login:\n  url: https://seal.example.com\n  issuer: https://i.example.com\n  client_secret: hunter2\n" + rest: "line 4: login.client_secret",
		"login:\n  url: https://seal.example.com\n  issuer: https://i.example.com\n  idle: 4m\n" + rest:               "line 4: login.idle: got 4m",
		"login:\n  url: https://seal.example.com\n  issuer: https://i.example.com\n  idle: 13h\n" + rest:              "line 4: login.idle: is longer",
		"login:\n  url: https://seal.example.com\n  issuer: https://i.example.com\n  client_id: c\n":                  "login: rules: got 0",
	} {
		if err := server.CheckFile(configFile(t, text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
