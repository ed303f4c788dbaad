package server_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

// request sends a request and returns the status and the body.
func request(t *testing.T, method, url, body string, header http.Header) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/json")
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

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// signedBy returns the header of a request that a credential signs now.
func signedBy(t *testing.T, k api.Credential, method, url, body string) http.Header {
	t.Helper()
	header := http.Header{"Content-Type": {"application/json"}} // as request sends it
	scheme, err := catalogue.New("rfc9421", api.SignatureParams(body != "", api.SignedHeaders(header)...))
	if err != nil {
		t.Fatal(err)
	}
	signer := sealwright.Signer{Scheme: scheme, Ring: keyring.Must(keyring.Key{ID: k.ID, Version: 1, Secret: secret.FromString(k.Secret)})}
	urlScheme, host, target, err := sealwright.SplitURL(url)
	if err != nil {
		t.Fatal(err)
	}
	m, err := signer.Sign(sealwright.Message{Method: method, Scheme: urlScheme, Host: host, Target: target, Header: header, Body: []byte(body)}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return m.Header
}

// unbarred waits until the server takes what is signed now: a guard that could
// have forgotten something refuses for some seconds.
func unbarred(t *testing.T, s *servertest.Server, k api.Credential) {
	t.Helper()
	for range 600 {
		if status, _ := request(t, "GET", s.URL+"/v1/keys", "", signedBy(t, k, "GET", s.URL+"/v1/keys", "")); status != http.StatusServiceUnavailable {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("signed requests are refused for a minute")
}

// TestCallers uses a token and a signature before and after a restart: what was
// accepted once is not accepted again, also by the next process.
func TestCallers(t *testing.T) {
	data := t.TempDir()
	s := servertest.StartConfig(t, server.Config{Data: data})
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	must[api.Caller](t, s, "POST", "/v1/callers", `{"name":"ci","grants":[{"role":"signer"}]}`)
	token := must[api.Credential](t, s, "POST", "/v1/callers/ci/credentials", `{"kind":"token"}`)
	key := must[api.Credential](t, s, "POST", "/v1/callers/ci/credentials", `{"kind":"signature"}`)
	const body = `{"text":"hello"}`
	sign := s.URL + "/v1/keys/a/sign"
	if status, answer := request(t, "POST", sign, body, bearer(token.Secret)); status != 200 {
		t.Errorf("token: got %d %s", status, answer)
	}
	once := signedBy(t, key, "POST", sign, body)
	for _, tt := range []struct {
		name, body string
		header     http.Header
		want       int
		text       string
	}{
		{"Once", body, once, 200, `"tag"`},
		{"Again", body, once, 409, "used before"},
		{"OtherBody", `{"text":"hellO"}`, signedBy(t, key, "POST", sign, body), 401, "unauthorized"},
		{"NoBody", "", signedBy(t, key, "POST", sign, body), 401, "unauthorized"},
		{"OtherTarget", body, signedBy(t, key, "POST", sign+"?x=1", body), 401, "unauthorized"},
		{"TenantAdded", body, func() http.Header {
			h := signedBy(t, key, "POST", sign, body)
			h[api.TenantHeader] = []string{"default"}
			return h
		}(), 401, "unauthorized"},
		{"TokenToo", body, func() http.Header {
			h := signedBy(t, key, "POST", sign, body)
			h["Authorization"] = []string{"Bearer " + token.Secret}
			return h
		}(), 401, "unauthorized"},
		{"WrongToken", body, bearer(token.Secret[:67] + "!"), 401, "unauthorized"},
	} {
		if status, answer := request(t, "POST", sign, tt.body, tt.header); status != tt.want || !strings.Contains(answer, tt.text) {
			t.Errorf("%s: got %d %s, want %d", tt.name, status, answer, tt.want)
		}
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"the body is not the one of Content-Digest", "both a token and a signature are given", "wrong secret for credential"} {
		if !strings.Contains(s.Log.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	for _, k := range []api.Credential{token, key} {
		if strings.Contains(s.Log.String(), k.Secret) {
			t.Error("a secret stands in the log")
		}
	}
	again := servertest.StartConfig(t, server.Config{Data: data, Listen: strings.TrimPrefix(s.URL, "http://")})
	if status, answer := request(t, "POST", sign, body, once); status != 409 && status != 503 { // 503 after a longer pause
		t.Errorf("used before the restart: got %d %s, want 409", status, answer)
	}
	if status, answer := request(t, "POST", sign, body, bearer(token.Secret)); status != 200 {
		t.Errorf("token after the restart: got %d %s", status, answer)
	}
	unbarred(t, again, key)
	if status, answer := request(t, "POST", sign, body, once); status != 409 && status != 503 {
		t.Errorf("used before the restart, later: got %d %s", status, answer)
	}
	if status, answer := request(t, "POST", sign, body, signedBy(t, key, "POST", sign, body)); status != 200 {
		t.Errorf("signature after the restart: got %d %s", status, answer)
	}
}

// TestSealcurl runs the script of the page against a server.
func TestSealcurl(t *testing.T) {
	for _, program := range []string{"sh", "curl", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			peer.Missing(t, program+" is not installed")
		}
	}
	page, err := os.ReadFile("../docs/operate/callers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, ok := strings.Cut(string(page), "```sh\n#!/bin/sh\n")
	script, _, end := strings.Cut(script, "```")
	if !ok || !end {
		t.Fatal("the page has no script")
	}
	folder := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(folder, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	sealcurl := file("sealcurl", script)
	s := servertest.Start(t)
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"orders"}`)
	must[api.Caller](t, s, "POST", "/v1/callers", `{"name":"billing","grants":[{"role":"signer","keys":["orders"]}]}`)
	k := must[api.Credential](t, s, "POST", "/v1/callers/billing/credentials", `{"kind":"signature"}`)
	credential := file("billing.cred", k.ID+":"+k.Secret+"\n")
	run := func(credential string, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		cmd := exec.Command("sh", append([]string{sealcurl, credential}, args...)...)
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, errs.String())
		}
		return out.String()
	}
	answer := run(credential, "GET", s.URL+"/v1/keys")
	if !strings.Contains(answer, `"name":"orders"`) {
		t.Errorf("GET: got %s", answer)
	}
	if answer = run(credential, "POST", s.URL+"/v1/keys/orders/sign", file("body.json", `{"text":"hello"}`)); !strings.Contains(answer, `"tag":"`) {
		t.Errorf("POST: got %s", answer)
	}
	if answer = run(credential, "DELETE", s.URL+"/v1/keys/orders"); !strings.Contains(answer, "key.delete is not allowed") {
		t.Errorf("DELETE: got %s", answer)
	}
	if answer = run(file("wrong.cred", k.ID+":"+k.Secret+"x\n"), "GET", s.URL+"/v1/keys"); !strings.Contains(answer, `"status":401`) {
		t.Errorf("another secret: got %s", answer)
	}
}

// TestCallersOnTwoNodes: a caller that one node makes, and a credential that it
// revokes, are known to the other one without a restart.
func TestCallersOnTwoNodes(t *testing.T) {
	c := server.Config{Store: peer.StartPostgres(t).NewDatabase(t), ConfigFile: eachAlone(t)}
	first := servertest.StartConfig(t, c)
	must[api.Key](t, first, "POST", "/v1/keys", `{"name":"a"}`)
	copyRootKey(t, first.Data, &c)
	second := servertest.StartConfig(t, c)
	must[api.Caller](t, first, "POST", "/v1/callers", `{"name":"ci","grants":[{"role":"auditor"}]}`)
	token := must[api.Credential](t, first, "POST", "/v1/callers/ci/credentials", `{"kind":"token"}`)
	soon(t, "the caller is known", func() bool {
		status, _ := request(t, "GET", second.URL+"/v1/keys/a", "", bearer(token.Secret))
		return status == 200
	})
	if status, answer := request(t, "POST", second.URL+"/v1/keys/a/sign", `{"text":"a"}`, bearer(token.Secret)); status != 403 {
		t.Errorf("sign as an auditor: got %d %s", status, answer)
	}
	must[api.Caller](t, first, "PATCH", "/v1/callers/ci", `{"grants":[{"role":"signer"}]}`)
	soon(t, "the grants are known", func() bool {
		status, _ := request(t, "POST", second.URL+"/v1/keys/a/sign", `{"text":"a"}`, bearer(token.Secret))
		return status == 200
	})
	if status, _, answer := first.Do(t, "DELETE", "/v1/callers/ci/credentials/"+token.ID, ""); status != 204 {
		t.Fatalf("revoke: got %d %s", status, answer)
	}
	soon(t, "the revocation is known", func() bool {
		status, _ := request(t, "GET", second.URL+"/v1/keys/a", "", bearer(token.Secret))
		return status == 401
	})
}
