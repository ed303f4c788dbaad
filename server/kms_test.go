package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
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

// keyService answers encrypt and decrypt of a transit engine, and keeps what it
// encrypted; and hmac and verify with the key "mac" of one version. It is a fake:
// the adapter has tests of its own.
type keyService struct {
	*httptest.Server
	mu   sync.Mutex
	kept map[string][2]string // plaintext and additional data by ciphertext
	away bool
}

func startKeyService(t *testing.T) *keyService {
	t.Helper()
	k := &keyService{kept: map[string][2]string{}}
	k.Server = httptest.NewServer(k)
	t.Cleanup(k.Close)
	return k
}

func (k *keyService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var in struct {
		Plaintext, Ciphertext string
		AAD                   string `json:"associated_data"`
		Input                 []byte
		HMAC                  string
	}
	if k.away || r.Header.Get("X-Vault-Token") != "the-token" || json.NewDecoder(r.Body).Decode(&in) != nil {
		http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
		return
	}
	out := map[string]string{}
	switch kept, ok := k.kept[in.Ciphertext]; {
	case r.URL.Path == "/v1/transit/encrypt/root":
		out["ciphertext"] = "vault:v1:" + base64.StdEncoding.EncodeToString(fmt.Append(nil, len(k.kept)))
		k.kept[out["ciphertext"]] = [2]string{in.Plaintext, in.AAD}
	case r.URL.Path == "/v1/transit/decrypt/root" && ok && kept[1] == in.AAD:
		out["plaintext"] = kept[0]
	case r.URL.Path == "/v1/transit/hmac/mac/sha2-256":
		out["hmac"] = tagInTransit(in.Input)
	case r.URL.Path == "/v1/transit/verify/mac/sha2-256":
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]bool{"valid": in.HMAC == tagInTransit(in.Input)}})
		return
	default:
		http.Error(w, `{"errors":["cipher: message authentication failed"]}`, http.StatusBadRequest)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": out})
}

func tagInTransit(input []byte) string {
	h := hmac.New(sha256.New, []byte("the secret in the key service"))
	h.Write(input)
	return "vault:v1:" + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func (k *keyService) setAway(away bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.away = away
}

// config writes a configuration file with this provider, and the section of k.
func (k *keyService) config(t *testing.T, provider string) string {
	t.Helper()
	dir := t.TempDir()
	file, token := filepath.Join(dir, "sealwright.yaml"), filepath.Join(dir, "token")
	text := fmt.Sprintf("kms:\n  provider: %s\n  transit:\n    address: %s\n    key: root\n    token: file:%s\n", provider, k.URL, token)
	for name, content := range map[string]string{file: text, token: "the-token\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

// TestMoveRootKey moves the data keys of a store from a file to a key service
// and back, as docs/operate/kms.md says. The key signs the same all the time.
func TestMoveRootKey(t *testing.T) {
	k := startKeyService(t)
	data := t.TempDir()
	root := filepath.Join(data, "root.key")
	var want string
	start := func(config string) *servertest.Server {
		t.Helper()
		s := servertest.StartConfig(t, server.Config{Data: data, ConfigFile: config})
		if want == "" {
			must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
		}
		got := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`).Tag
		if want != "" && got != want {
			t.Errorf("sign: got %s, want %s", got, want)
		}
		want = got
		return s
	}
	stop := func(s *servertest.Server) {
		t.Helper()
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if log := s.Log.String(); strings.Contains(log, "the-token") {
			t.Errorf("the log shows the token: %s", log)
		}
	}
	stop(start(""))
	stop(start(k.config(t, "transit")))
	if id := rootKeyOf(t, data); id != "transit:transit/root/1" {
		t.Errorf("root key: got %s, want that of the key service", id)
	}
	if err := os.Rename(root, root+".old"); err != nil {
		t.Fatal(err)
	}
	s := start(k.config(t, "transit")) // needs the file no more
	hangUp(t, s, "data keys are wrapped under the newest root key")

	// The key service is away: what is in memory goes on, a new start does not.
	k.setAway(true)
	must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"b"}`) // the data key is in memory
	hangUp(t, s, "root key not rotated")
	stop(s)
	if err := run(t, server.Config{Data: data, ConfigFile: k.config(t, "transit")}); err == nil || !strings.Contains(err.Error(), "try the key service transit") {
		t.Errorf("start without the key service: got %v", err)
	}
	k.setAway(false)

	if err := run(t, server.Config{Data: data}); err == nil || !strings.Contains(err.Error(), "needs kms.transit") {
		t.Errorf("start without the section: got %v", err)
	}
	stop(start(k.config(t, "local"))) // makes another root key, since none is in use
	k.Close()
	stop(start(""))
	if id := rootKeyOf(t, data); strings.Contains(id, ":") {
		t.Errorf("root key: got %s, want one of the file", id)
	}
}

// TestRootKeyElsewhere starts with the root key of an earlier start as a
// systemd credential: it is used and followed there, and never made there.
func TestRootKeyElsewhere(t *testing.T) {
	data, credentials := t.TempDir(), t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	config := filepath.Join(data, "sealwright.yaml")
	if err := os.WriteFile(config, []byte("kms:\n  local:\n    file: cred:root\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(t, server.Config{Data: data, ConfigFile: config}); err == nil || !strings.Contains(err.Error(), filepath.Join(credentials, "root")) {
		t.Errorf("start without the file: got %v", err)
	}
	s := servertest.StartConfig(t, server.Config{Data: data})
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	want := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`).Tag
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(data, "root.key"), filepath.Join(credentials, "root")); err != nil {
		t.Fatal(err)
	}
	s = servertest.StartConfig(t, server.Config{Data: data, ConfigFile: config})
	if got := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`).Tag; got != want {
		t.Errorf("sign: got %s, want %s", got, want)
	}
	hangUp(t, s, "data keys are wrapped under the newest root key")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(data, "root.key")); err == nil {
		t.Error("a root key was made in the data folder")
	}
}

// TestRootKeyInEnvironment starts with the root key of an earlier start in the
// environment, which it is removed from. There it cannot be rotated, but a
// second line wraps from the next start on.
func TestRootKeyInEnvironment(t *testing.T) {
	const name = "SEALWRIGHT_TEST_ROOT_KEY"
	data := t.TempDir()
	s := servertest.StartConfig(t, server.Config{Data: data})
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	want := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`).Tag
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(data, "root.key")
	text, err := os.ReadFile(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(root); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(data, "sealwright.yaml")
	if err := os.WriteFile(config, []byte("kms:\n  local:\n    key: env:"+name+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for value, want := range map[string]string{
		"": "environment variable " + name + ", which kms.local.key names, is empty", "short": "root key in env:" + name + ": line 1: not a root key",
		other: "root key in env:" + name + " has id ",
	} {
		t.Setenv(name, value)
		if err := run(t, server.Config{Data: data, ConfigFile: config}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), other) {
			t.Errorf("start with %d bytes: got %v, want %s", len(value), err, want)
		}
	}
	old := rootKeyOf(t, data)
	for _, value := range []string{string(text), strings.TrimSpace(string(text)) + "\n" + other, other} {
		t.Setenv(name, value)
		if err := server.CheckFile(config); err != nil || os.Getenv(name) == "" {
			t.Errorf("CheckFile: got %v and a variable of %d bytes", err, len(os.Getenv(name)))
		}
		s := servertest.StartConfig(t, server.Config{Data: data, ConfigFile: config})
		if got, ok := os.LookupEnv(name); ok {
			t.Errorf("the variable still has %d bytes", len(got))
		}
		if got := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`).Tag; got != want {
			t.Errorf("sign: got %s, want %s", got, want)
		}
		hangUp(t, s, `newest root key","data_keys":0`)
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if log := s.Log.String(); strings.Contains(log, other) || strings.Contains(log, strings.TrimSpace(strings.Split(string(text), "\n")[1])) {
			t.Error("the log has a root key")
		}
	}
	if id := rootKeyOf(t, data); id == old {
		t.Errorf("wrapped with %s as before", id)
	}
	if _, err := os.Stat(root); err == nil {
		t.Error("a root key was made in the data folder")
	}
}

// TestKMSAway has the key service go away and come back: the log and /readyz
// say so, and the server stays ready.
func TestKMSAway(t *testing.T) {
	k := startKeyService(t)
	file := k.config(t, "transit")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "kms:\n", "kms:\n  watch: 1s\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := servertest.StartConfig(t, server.Config{ConfigFile: file})
	readyz := func(want string) {
		t.Helper()
		var body string
		for range 1000 {
			var status int
			if status, _, body = s.Do(t, "GET", "/readyz", ""); status != http.StatusOK {
				t.Fatalf("readyz: got %d %s, want 200", status, body)
			}
			if strings.HasPrefix(body, "ok\n"+want) && (want != "" || body == "ok\n") {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("readyz: got %q, want %q", body, want)
	}
	readyz("")
	must[api.Tenant](t, s, "POST", "/v1/tenants", `{"name":"other"}`)
	k.setAway(true)
	readyz("the key service transit has been away since 20")
	if _, _, body := s.Do(t, "GET", "/readyz", ""); !strings.Contains(body, ", keys in memory are used until 20") {
		t.Errorf("readyz: got %q, want until when", body)
	}
	header := bearer(string(s.Token.Expose()))
	header.Set(api.TenantHeader, "other")
	if status, body := request(t, "POST", s.URL+"/v1/keys", `{"name":"a"}`, header); status != http.StatusServiceUnavailable || !strings.Contains(body, "the key service transit has been away since 20") {
		t.Errorf("first key of a tenant: got %d %s, want 503 with the key service", status, body)
	}
	status := must[api.RootKeys](t, s, "GET", "/v1/kms", "")
	if status.Provider != "transit" || status.RootKey != "transit:transit/root/1" || status.ServeWithoutKMS != "1d" ||
		status.AwaySince == nil || status.UsedUntil == nil || status.UsedUntil.Sub(*status.AwaySince) > 24*time.Hour {
		t.Errorf("root keys while it is away: got %+v", status)
	}
	if status, _, body := s.Do(t, "POST", "/v1/kms/rewrap", ""); status != 503 || !strings.Contains(body, "0 data keys were wrapped before that") {
		t.Errorf("rewrap while it is away: got %d %s", status, body)
	}
	k.setAway(false)
	must[api.Rewrapped](t, s, "POST", "/v1/kms/rewrap", "") // notices at once that it is back
	if got := must[api.RootKeys](t, s, "GET", "/v1/kms", ""); got.AwaySince != nil || got.UsedUntil != nil {
		t.Errorf("root keys after it is back: got %+v", got)
	}
	readyz("")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"the key service is away", "the key service is back"} {
		if strings.Count(s.Log.String(), want) != 1 {
			t.Errorf("%q is not logged once: %s", want, s.Log.String())
		}
	}
}

// TestKMSAwayTooLong has the key service away for longer than keys are used
// without it: nothing is signed or verified until it is back.
func TestKMSAwayTooLong(t *testing.T) {
	k := startKeyService(t)
	file := k.config(t, "transit")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "kms:\n", "kms:\n  watch: 1s\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := servertest.StartConfig(t, server.WithoutKMS(server.Config{ConfigFile: file}, 2*time.Second))
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	signed := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
	readyz := func(want int) (body string) {
		t.Helper()
		var status int
		for range 6000 {
			if status, _, body = s.Do(t, "GET", "/readyz", ""); status == want {
				return body
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("readyz: got %d %s, want %d", status, body, want)
		return ""
	}
	k.setAway(true)
	if body := readyz(503); !strings.Contains(body, "the key service transit has been away since 20") || !strings.Contains(body, "have not been used since 20") {
		t.Errorf("readyz: got %s", body)
	}
	for path, body := range map[string]string{
		"/v1/keys/a/sign": `{"text":"a"}`, "/v1/keys/a/verify": `{"text":"a","signature":"` + signed.Signature + `"}`, "/v1/keys/a/leases": `{"ttl":"1m"}`,
	} {
		if status, _, answer := s.Do(t, "POST", path, body); status != 503 || !strings.Contains(answer, "access to them may have been withdrawn") {
			t.Errorf("%s: got %d %s, want 503", path, status, answer)
		}
	}
	must[api.KeyList](t, s, "GET", "/v1/keys", "")
	must[api.Key](t, s, "POST", "/v1/keys/a/rotate", `{"revoke_current":true}`)
	const ended = "away for too long: keys are not used until it is back"
	for range 6000 { // the next try says so
		if strings.Contains(s.Log.String(), ended) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	k.setAway(false)
	readyz(200)
	if v := must[api.Verdict](t, s, "POST", "/v1/keys/a/verify", `{"text":"a","signature":"`+signed.Signature+`"}`); v.Valid {
		t.Error("a version that was revoked meanwhile verifies")
	}
	must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(s.Log.String(), ended); n != 1 {
		t.Errorf("logged %d times, want once: %s", n, s.Log.String())
	}
}

func TestKMSConfigRefuses(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"Provider", "kms:\n  provider: vault\n", []string{`line 2: kms.provider: got "vault", want one of local, awskms, gcpkms, transit, pkcs11`}},
		{"AWSWithoutKey", "kms:\n  provider: awskms\n", []string{"kms.awskms.key: is missing"}},
		{"MACsWithoutAddress", "kms:\n  transit:\n    mount: m\n", []string{"transit.address: is missing", "transit.token: is missing"}},
		{"GCPWithoutKey", "kms:\n  provider: gcpkms\n", []string{"kms.gcpkms.key: is missing"}},
		{"TransitWithoutAll", "kms:\n  provider: transit\n", []string{"transit.address: is missing", "transit.key: is missing", "transit.token: is missing"}},
		{"SectionBeside", "kms:\n  pkcs11:\n    key: k\n", []string{"pkcs11.module: is missing", "pkcs11.token: is missing", "pkcs11.pin: is missing"}},
		{"SecretInFile", "kms:\n  transit:\n    address: a\n    key: k\n    token: hvs.secret\n", []string{"line 5: kms.transit.token: want the name of a secret"}},
		{"NoName", "kms:\n  transit:\n    address: a\n    key: k\n    token: 'env:'\n", []string{"line 5: kms.transit.token: want the name of a secret"}},
		{"CredentialElsewhere", "kms:\n  transit:\n    address: a\n    key: k\n    token: cred:../t\n", []string{"line 5: kms.transit.token: want cred: and a name without slashes"}},
		{"LocalCredential", "kms:\n  local:\n    file: cred:a/b\n", []string{"line 3: kms.local.file: want cred: and a name without slashes"}},
		{"NoCredentials", "kms:\n  local:\n    file: cred:root\n", []string{"line 3: kms.local.file: credential root: CREDENTIALS_DIRECTORY is not set"}},
		{"KeyInFile", "kms:\n  local:\n    key: AAAAhvs.secretAAAA=\n", []string{"line 3: kms.local.key: want env:NAME; a file or a credential"}},
		{"KeyOfFile", "kms:\n  local:\n    key: file:root.key\n", []string{"line 3: kms.local.key: want env:NAME"}},
		{"KeyWithoutName", "kms:\n  local:\n    key: 'env:'\n", []string{"line 3: kms.local.key: want env:NAME"}},
		{"KeyAndFile", "kms:\n  local:\n    file: root.key\n    key: env:ROOT\n", []string{"line 4: kms.local.key: want either this or kms.local.file"}},
		{"WatchTooOften", "kms:\n  watch: 10ms\n", []string{"line 2: kms.watch: got 10ms, want 1s to 1h"}},
		{"Unknown", "kms:\n  aws: {}\n", []string{"line 2: field aws not found"}},
	} {
		file := filepath.Join(t.TempDir(), "sealwright.yaml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := server.CheckFile(file)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hvs.secret") {
				t.Errorf("%s: got %v, want %s", c.name, err, want)
			}
		}
	}
}

// TestKMSNotThere starts with key services that do not work: the start ends,
// and no root key is made in their place.
func TestKMSNotThere(t *testing.T) {
	t.Setenv("SEALWRIGHT_TEST_PIN", "123456")
	t.Setenv("SEALWRIGHT_TEST_NOTHING", "")
	t.Setenv("CREDENTIALS_DIRECTORY", t.TempDir())
	const hsm = "kms:\n  provider: pkcs11\n  pkcs11: {module: /none.so, token: t, key: k, pin: '%s'}\n"
	for name, c := range map[string]struct{ text, want string }{
		"PKCS11":       {fmt.Sprintf(hsm, "env:SEALWRIGHT_TEST_PIN"), "PKCS#11"},
		"NoPIN":        {fmt.Sprintf(hsm, "env:SEALWRIGHT_TEST_NOTHING"), "SEALWRIGHT_TEST_NOTHING is empty"},
		"NoFile":       {fmt.Sprintf(hsm, "file:/none/pin"), "/none/pin"},
		"NoCredential": {fmt.Sprintf(hsm, "cred:pin"), "read secret"},
		"GCP":          {"kms:\n  provider: gcpkms\n  gcpkms: {key: k}\n", "projects/"},
	} {
		data := t.TempDir()
		file := filepath.Join(data, "sealwright.yaml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := run(t, server.Config{Data: data, ConfigFile: file}); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "123456") {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
		if _, err := os.Stat(filepath.Join(data, "root.key")); err == nil {
			t.Errorf("%s: a root key was made", name)
		}
	}
}
