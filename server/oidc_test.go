//go:build unix

package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/internal/oidc/oidctest"
	"github.com/sealwright/sealwright/server/servertest"
)

const audience = "https://seal.example.com"

// issuerFile is a configuration with one issuer whose tokens stand for ci.
func issuerFile(t *testing.T, i *oidctest.Issuer, more string) string {
	t.Helper()
	return configFile(t, fmt.Sprintf(`%s
oidc:
  - name: github
    kind: github
    issuer: %s
    audience: %s
    rules:
      - match: {repository_id: 74, repository_owner_id: 65, ref: refs/heads/main}
        caller: ci
      - match: {repository_id: 74, repository_owner_id: 65, ref: refs/tags/v*}
        caller: operator:release
`, more, i.URL, audience))
}

// as sends a request with a token.
func as(t *testing.T, s *servertest.Server, token, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
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

// exchange returns our token for that of an issuer.
func exchange(t *testing.T, s *servertest.Server, token string) api.AccessToken {
	t.Helper()
	status, text := as(t, s, "", "POST", "/v1/token", `{"token":"`+token+`"}`)
	var out api.AccessToken
	if err := json.Unmarshal([]byte(text), &out); err != nil || status != 200 || out.Token == "" {
		t.Fatalf("got %d %s", status, text)
	}
	return out
}

// TestTokenExchange is the life of a CI job: its token is exchanged once, ours
// signs what the caller may sign, and ends with the caller.
func TestTokenExchange(t *testing.T) {
	i := oidctest.New(t)
	file := issuerFile(t, i, "")
	data := t.TempDir()
	s := servertest.StartConfig(t, server.Config{Data: data, ConfigFile: file})
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"release"}`)
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"payroll"}`)
	github := i.Sign(i.GitHub(audience, time.Now()))
	if status, text := as(t, s, "", "POST", "/v1/token", `{"token":"`+github+`"}`); status != 401 {
		t.Errorf("before the caller is there: got %d %s", status, text)
	}
	must[api.Caller](t, s, "POST", "/v1/callers", `{"name":"ci","grants":[{"role":"signer","keys":["release"]}]}`)

	ours := exchange(t, s, github)
	if ours.Caller != "ci" || ours.Tenant != "default" || !strings.HasPrefix(ours.Token, "swe_") || ours.ExpiresIn < 290 || ours.ExpiresIn > 300 {
		t.Errorf("got %+v, want one for 300 seconds, which is what the other has", ours)
	}
	for path, want := range map[string]int{"/v1/keys/release/sign": 200, "/v1/keys/payroll/sign": 403} {
		if status, text := as(t, s, ours.Token, "POST", path, `{"text":"hello"}`); status != want {
			t.Errorf("%s: got %d %s, want %d", path, status, text, want)
		}
	}
	if status, text := as(t, s, "", "POST", "/v1/token", `{"token":"`+github+`"}`); status != 409 {
		t.Errorf("again: got %d %s", status, text)
	}
	if status, _ := as(t, s, github, "GET", "/v1/keys", ""); status != 401 {
		t.Errorf("the issuer's token at another operation: got %d", status)
	}
	if status, _ := as(t, s, ours.Token, "POST", "/v1/token", ""); status != 401 {
		t.Errorf("our own token exchanged: got %d", status)
	}

	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	log := s.Log.String()
	if !strings.Contains(log, `"msg":"token exchanged","caller":"ci","tenant":"default","issuer":"github"`) || !strings.Contains(log, `"ref":"refs/heads/main"`) {
		t.Errorf("the log does not tell who came: %s", log)
	}
	for _, secret := range []string{github, ours.Token, strings.Split(github, ".")[2], strings.Split(ours.Token, ".")[2]} {
		if strings.Contains(log, secret) {
			t.Error("the log holds a token")
		}
	}

	s = servertest.StartConfig(t, server.Config{Data: data, ConfigFile: file})
	if status, text := as(t, s, "", "POST", "/v1/token", `{"token":"`+github+`"}`); status != 409 {
		t.Errorf("again after a restart: got %d %s", status, text)
	}
	sign := func() int {
		status, _ := as(t, s, ours.Token, "POST", "/v1/keys/release/sign", `{"text":"hello"}`)
		return status
	}
	if got := sign(); got != 200 {
		t.Errorf("after a restart: got %d", got)
	}
	must[api.Caller](t, s, "PATCH", "/v1/callers/ci", `{"disabled":true}`)
	if got := sign(); got != 401 {
		t.Errorf("disabled: got %d, want 401", got)
	}
	must[api.Caller](t, s, "PATCH", "/v1/callers/ci", `{"disabled":false,"grants":[{"role":"auditor"}]}`)
	if got := sign(); got != 403 {
		t.Errorf("other grants: got %d, want 403", got)
	}
	if status, _, _ := s.Do(t, "DELETE", "/v1/callers/ci", ""); status != 204 || sign() != 401 {
		t.Errorf("deleted: got %d", sign())
	}
}

// A rule can also stand for an operator.
func TestTokenOfOperator(t *testing.T) {
	i := oidctest.New(t)
	s := servertest.StartConfig(t, server.Config{ConfigFile: issuerFile(t, i, "")})
	must[api.Caller](t, s, "POST", "/v1/callers", `{"name":"release","grants":[{"role":"operator"}]}`)
	c := i.GitHub(audience, time.Now())
	c["ref"] = "refs/tags/v1"
	ours := exchange(t, s, i.Sign(c))
	if status, text := as(t, s, ours.Token, "GET", "/v1/tenants", ""); ours.Caller != "operator:release" || status != 200 {
		t.Errorf("got %+v, %d %s", ours, status, text)
	}
}

// Every refusal is the same answer, apart from the request ID.
func TestTokenRefusals(t *testing.T) {
	i := oidctest.New(t)
	s := servertest.StartConfig(t, server.Config{ConfigFile: issuerFile(t, i, "")})
	must[api.Caller](t, s, "POST", "/v1/callers", `{"name":"ci"}`)
	token := func(claim string, v any) string {
		c := i.GitHub(audience, time.Now())
		if c[claim] = v; v == nil {
			delete(c, claim)
		}
		return i.Sign(c)
	}
	answers := map[string]bool{}
	for name, token := range map[string]string{
		"Issuer": token("iss", "https://evil.example.com"), "Audience": token("aud", "x"), "Expired": token("exp", 1), "Ref": token("ref", "x"),
		"Unknown": token("ref", "refs/tags/v1"), "NoJWT": "x", "Other": oidctest.New(t).Sign(i.GitHub(audience, time.Now())),
	} {
		status, text := as(t, s, "", "POST", "/v1/token", `{"token":"`+token+`"}`)
		var p api.Problem
		if err := json.Unmarshal([]byte(text), &p); err != nil || status != 401 {
			t.Errorf("%s: got %d %s", name, status, text)
		}
		answers[strings.Replace(text, p.RequestID, "", 1)] = true
	}
	if len(answers) != 1 {
		t.Errorf("got different answers: %v", answers)
	}
	i.SetDown(true)
	i.AddKey("RS256")
	if status, text := as(t, s, "", "POST", "/v1/token", `{"token":"`+token("x", 1)+`"}`); status != 503 {
		t.Errorf("the issuer is down and the key unknown: got %d %s", status, text)
	}
}

func TestOIDCSettings(t *testing.T) {
	const head = "oidc:\n  - name: ci\n    kind: github\n    issuer: https://token.example.com\n    audience: https://seal.example.com\n    rules:\n"
	for _, tt := range []struct{ name, text, want string }{
		{"ByName", head + "      - match: {repository: octo-org/octo-repo, ref: refs/heads/main}\n        caller: ci\n", "line 7: oidc.ci: rules[0]: match: repository_id is missing"},
		{"SecondRule", head + "      - match: {repository_id: 1, repository_owner_id: 2, ref: x}\n        caller: ci\n      - match: {repository_id: 1, repository_owner_id: 2}\n        caller: ci\n", "line 9: oidc.ci: rules[1]: match: ref is missing"},
		{"NoRules", "oidc:\n  - name: ci\n    issuer: https://token.example.com\n    audience: x\n", "line 3: oidc.ci: rules: got 0"},
		{"NoAudience", "oidc:\n  - name: ci\n    issuer: https://token.example.com\n    rules: [{match: {sub: x}, caller: c}]\n", "line 3: oidc.ci: audience is missing"},
		{"Algorithm", "oidc:\n  - name: ci\n    issuer: https://token.example.com\n    audience: x\n    algorithms: [HS256]\n    rules: [{match: {sub: x}, caller: c}]\n", `line 3: oidc.ci: algorithms: got "HS256"`},
		{"PlainIssuer", "oidc:\n  - name: ci\n    issuer: http://token.example.com\n    audience: x\n    rules: [{match: {sub: x}, caller: c}]\n", "line 3: oidc.ci: issuer: is not a URL of https"},
		{"Twice", "oidc:\n  - name: ci\n    issuer: https://token.example.com\n    audience: x\n    rules: [{match: {sub: x}, caller: c}]\n  - name: ci\n    issuer: https://b.example.com\n    audience: x\n    rules: [{match: {sub: x}, caller: c}]\n", "line 7: oidc.ci: name or issuer"},
		{"OperatorInTenant", "oidc:\n  - name: ci\n    issuer: https://token.example.com\n    audience: x\n    rules: [{match: {sub: x}, caller: 'operator:a', tenant: default}]\n", "line 5: oidc.ci: rules[0]: an operator has no tenant"},
		{"Life", "oidc:\n  - name: ci\n    issuer: https://token.example.com\n    audience: x\n    token_life: 11m\n    rules: [{match: {sub: x}, caller: c}]\n", "line 5: oidc.ci.token_life: got 11m, want 5m to 10m"},
		{"UnknownName", "oidc:\n  - name: ci\n    isuer: x\n", "line 3: field isuer not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "sealwright.yaml")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := server.CheckFile(file); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	i := oidctest.New(t)
	if err := server.CheckFile(issuerFile(t, i, "")); err != nil {
		t.Errorf("a good one: %v", err)
	}
	if i.Requests() != 0 {
		t.Error("a check asked the issuer")
	}
}

// A token is exchanged at one of two nodes, once, and ours counts at both.
func TestA13_TokenOnTwoNodes(t *testing.T) {
	database := peer.StartPostgres(t).NewDatabase(t)
	p := peer.StartRedis(t, peer.RedisOptions{AppendOnly: true})
	i := oidctest.New(t)
	c := server.Config{Store: database, ConfigFile: issuerFile(t, i, "redis:\n  url: "+p.URL()+"\n  timeout: 5s\n")}
	first := servertest.StartConfig(t, c)
	must[api.Caller](t, first, "POST", "/v1/callers", `{"name":"ci","grants":[{"role":"auditor"}]}`)
	copyRootKey(t, first.Data, &c)
	second := servertest.StartConfig(t, c)
	var token string
	var ours api.AccessToken
	for deadline := time.Now().Add(time.Minute); ours.Token == ""; time.Sleep(100 * time.Millisecond) {
		token = i.Sign(i.GitHub(audience, time.Now()))
		status, text := as(t, second, "", "POST", "/v1/token", `{"token":"`+token+`"}`)
		if status == 200 {
			if err := json.Unmarshal([]byte(text), &ours); err != nil {
				t.Fatal(err)
			}
		} else if status != 503 || time.Now().After(deadline) { // what was issued before Redis was there is barred
			t.Fatalf("got %d %s", status, text)
		}
	}
	for n, s := range []*servertest.Server{first, second} {
		if status, text := as(t, s, "", "POST", "/v1/token", `{"token":"`+token+`"}`); status != 409 {
			t.Errorf("node %d, the token again: got %d %s", n, status, text)
		}
		if status, text := as(t, s, ours.Token, "GET", "/v1/keys", ""); status != 200 {
			t.Errorf("node %d, our token: got %d %s", n, status, text)
		}
	}
}
