//go:build pkcs11 && cgo

package server_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

// softHSM makes a token in a folder of its own and returns a configuration with
// it, in which it is for native keys alone.
func softHSM(t *testing.T, pin string) (config, tokens string) {
	t.Helper()
	module := os.Getenv("SEALWRIGHT_PKCS11_MODULE")
	for _, path := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so"} {
		if _, err := os.Stat(path); module == "" && err == nil {
			module = path
		}
	}
	if _, err := exec.LookPath("softhsm2-util"); module == "" || err != nil {
		peer.Missing(t, "needs SoftHSM2 (package softhsm2)")
	}
	dir := t.TempDir()
	tokens = filepath.Join(dir, "tokens")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	conf, config := filepath.Join(dir, "softhsm2.conf"), filepath.Join(dir, "sealwright.yaml")
	t.Setenv("SOFTHSM2_CONF", conf)
	t.Setenv("SEALWRIGHT_TEST_PIN", pin)
	for name, text := range map[string]string{
		conf:   "directories.tokendir = " + tokens + "\nlog.level = ERROR\n",
		config: fmt.Sprintf("kms:\n  pkcs11: {module: %s, token: test, pin: 'env:SEALWRIGHT_TEST_PIN'}\n", module),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "test", "--pin", "123456", "--so-pin", "654321").CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v\n%s", err, out)
	}
	return config, tokens
}

// TestNativeKeySoftHSM runs a server with SoftHSM2, a real PKCS#11 token in
// software: the server makes keys in it, signs and verifies with many clients
// at a time, rotates and restarts, and loses the token.
func TestNativeKeySoftHSM(t *testing.T) {
	config, tokens := softHSM(t, "123456")
	data := t.TempDir()
	s := servertest.StartConfig(t, server.Config{Data: data, ConfigFile: config})
	k := must[api.Key](t, s, "POST", "/v1/keys", `{"name":"orders","native":{}}`)
	if n := k.Versions[0].Native; n == nil || n.Provider != "pkcs11" || !strings.HasPrefix(n.Key, "sealwright-orders-1-") {
		t.Fatalf("create: got %+v, want a key in the token", k.Versions[0])
	}
	first := must[api.Signed](t, s, "POST", "/v1/keys/orders/sign", `{"text":"first"}`)
	k = must[api.Key](t, s, "POST", "/v1/keys/orders/rotate", "")
	if k.Version != 2 || k.Versions[1].Native.Key == k.Versions[0].Native.Key {
		t.Errorf("rotate: got %+v", k)
	}
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			for j := range 8 {
				text := fmt.Sprintf("message %d of %d", j, i)
				signed := must[api.Signed](t, s, "POST", "/v1/keys/orders/sign", `{"text":"`+text+`"}`)
				if v := must[api.Verdict](t, s, "POST", "/v1/keys/orders/verify", `{"text":"`+text+`","tag":"`+signed.Tag+`"}`); !v.Valid || v.Version != 2 {
					t.Errorf("verify: got %+v", v)
				}
			}
		})
	}
	group.Wait()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}

	s = servertest.StartConfig(t, server.Config{Data: data, ConfigFile: config})
	check := `{"text":"first","signature":"` + first.Signature + `"}`
	if v := must[api.Verdict](t, s, "POST", "/v1/keys/orders/verify", check); !v.Valid || v.Version != 1 || v.State != "grace" {
		t.Errorf("verify after a restart: got %+v", v)
	}
	if err := os.RemoveAll(tokens); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"sign", "verify"} {
		body := map[string]string{"sign": `{"text":"first"}`, "verify": check}[path]
		if status, _, answer := s.Do(t, "POST", "/v1/keys/orders/"+path, body); status != http.StatusServiceUnavailable || !strings.Contains(answer, "key service pkcs11") {
			t.Errorf("%s without the token: got %d %s, want 503", path, status, answer)
		}
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}

// TestNativeKeySoftHSMWrongPIN holds that a PIN is tried once: SoftHSM2 counts, and
// other tokens lock themselves.
func TestNativeKeySoftHSMWrongPIN(t *testing.T) {
	config, _ := softHSM(t, "not-the-pin")
	s := servertest.StartConfig(t, server.Config{ConfigFile: config})
	for range 3 {
		status, _, answer := s.Do(t, "POST", "/v1/keys", `{"name":"orders","native":{}}`)
		if status != http.StatusServiceUnavailable || !strings.Contains(answer, "refuses the login") || strings.Contains(answer, "not-the-pin") {
			t.Errorf("create: got %d %s, want 503", status, answer)
		}
		t.Setenv("SEALWRIGHT_TEST_PIN", "123456") // it would be right now, and is not tried
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if log := s.Log.String(); strings.Contains(log, "not-the-pin") || strings.Contains(log, "123456") {
		t.Errorf("the log shows a PIN: %s", log)
	}
}
