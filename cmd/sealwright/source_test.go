package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

// kv answers reads of a KV engine of version 2 with one secret under every
// name. It is a fake: the adapter has tests of its own.
type kv struct {
	mu      sync.Mutex
	text    string // empty refuses
	version int
}

func (k *kv) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.text == "" {
		http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{
		"data": map[string]any{"hmac": k.text}, "metadata": map[string]any{"version": k.version, "created_time": "2026-01-02T03:04:05Z"},
	}})
}

// TestSourceScripts runs testdata/source/*.txt with a server that has a KV
// engine as source. The command keep puts a secret there, or none.
func TestSourceScripts(t *testing.T) {
	t.Setenv("SEALWRIGHT_TEST_TOKEN", "the-token")
	k := &kv{}
	engine := httptest.NewServer(k)
	t.Cleanup(engine.Close)
	config := filepath.Join(t.TempDir(), "sealwright.yaml")
	text := "sources:\n  vaultkv: {prefix: sealwright/, address: '" + engine.URL + "', token: 'env:SEALWRIGHT_TEST_TOKEN'}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := servertest.StartConfig(t, server.Config{ConfigFile: config})
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/source",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("SEALWRIGHT_SERVER", s.URL)
			e.Setenv("TOKENFILE", filepath.Join(s.Data, "admin-token"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": runWithCode,
			"keep": func(_ *testscript.TestScript, _ bool, args []string) {
				k.mu.Lock()
				defer k.mu.Unlock()
				k.text = strings.Join(args, " ")
				k.version++
			},
		},
	})
}
