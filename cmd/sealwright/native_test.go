package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

// transit answers hmac and verify of a transit engine that has every key in
// version 1 and 2. It is a fake: the adapter has tests of its own.
func transit(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Input   []byte
		Version json.Number `json:"key_version"`
		HMAC    string
	}
	path := strings.Split(r.URL.Path, "/") // /v1/transit/hmac/KEY/sha2-256
	if json.NewDecoder(r.Body).Decode(&in) != nil || len(path) != 6 {
		http.Error(w, `{"errors":["unsupported path"]}`, http.StatusNotFound)
		return
	}
	version := in.Version.String()
	if path[3] == "verify" {
		version, _, _ = strings.Cut(strings.TrimPrefix(in.HMAC, "vault:v"), ":")
	}
	h := hmac.New(sha256.New, []byte(path[4]+"/"+version))
	h.Write(in.Input)
	tag := "vault:v" + version + ":" + base64.StdEncoding.EncodeToString(h.Sum(nil))
	out := map[string]any{"hmac": tag, "valid": tag == in.HMAC}
	if path[3] == "hmac" {
		delete(out, "valid")
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": out})
}

// TestNativeScripts runs testdata/native/*.txt with a server that has a transit
// engine for native keys.
func TestNativeScripts(t *testing.T) {
	t.Setenv("SEALWRIGHT_TEST_TOKEN", "the-token")
	engine := httptest.NewServer(http.HandlerFunc(transit))
	t.Cleanup(engine.Close)
	config := filepath.Join(t.TempDir(), "sealwright.yaml")
	text := "kms:\n  transit: {address: '" + engine.URL + "', token: 'env:SEALWRIGHT_TEST_TOKEN'}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := servertest.StartConfig(t, server.Config{ConfigFile: config})
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/native",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("SEALWRIGHT_SERVER", s.URL)
			e.Setenv("TOKENFILE", filepath.Join(s.Data, "admin-token"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": runWithCode},
	})
}
