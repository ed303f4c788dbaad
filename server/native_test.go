package server_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

// TestNativeKey runs a server whose root key is in a file, with a native key in
// a key service that has no root key. The key service is a fake, see keyService.
func TestNativeKey(t *testing.T) {
	k := startKeyService(t)
	file, data := k.config(t, "local"), t.TempDir()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "    key: root\n", "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	k.setAway(true) // a start does not need it
	list, err := server.CheckRootKeys(t.Context(), server.Config{Data: data, ConfigFile: file})
	if err != nil || len(list) != 2 || list[1].Provider != "transit" || list[1].Err != nil || list[1].RootKey != "" {
		t.Errorf("CheckRootKeys: got %+v, %v, want no root key of transit and no error", list, err)
	}
	s := servertest.StartConfig(t, server.Config{Data: data, ConfigFile: file})
	unavailable := func(what, path, body, want string) {
		t.Helper()
		status, header, answer := s.Do(t, "POST", path, body)
		if status != http.StatusServiceUnavailable || !strings.Contains(answer, want) || header.Get("Retry-After") != "1" {
			t.Errorf("%s: got %d %s, want 503 with %s", what, status, answer, want)
		}
	}
	unavailable("create", "/v1/keys", `{"name":"a","native":{"key":"mac/1"}}`, "transit does not sign with key mac/1")
	k.setAway(false)
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a","native":{"key":"mac/1"}}`)
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"plain"}`)
	signed := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
	check := `{"text":"a","signature":"` + signed.Signature + `"}`
	if v := must[api.Verdict](t, s, "POST", "/v1/keys/a/verify", check); !v.Valid || v.Construction != signed.Construction || v.Construction == "" {
		t.Errorf("verify: got %+v", v)
	}
	k.setAway(true)
	unavailable("sign", "/v1/keys/a/sign", `{"text":"a"}`, "key service transit")
	unavailable("verify", "/v1/keys/a/verify", check, "key service transit")
	must[api.Signed](t, s, "POST", "/v1/keys/plain/sign", `{"text":"a"}`)
	k.setAway(false)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}

	s = servertest.StartConfig(t, server.Config{Data: data, ConfigFile: file})
	if v := must[api.Verdict](t, s, "POST", "/v1/keys/a/verify", check); !v.Valid {
		t.Errorf("verify after a restart: got %+v", v)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s = servertest.StartConfig(t, server.Config{Data: data}) // another configuration
	unavailable("verify without the section", "/v1/keys/a/verify", check, "is not configured")
	must[api.Signed](t, s, "POST", "/v1/keys/plain/sign", `{"text":"a"}`)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}
