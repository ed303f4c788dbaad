package server_test

import (
	"database/sql"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

// hangUp sends SIGHUP to this process and waits until the server has logged
// text once more than before.
func hangUp(t *testing.T, s *servertest.Server, text string) {
	t.Helper()
	before := strings.Count(s.Log.String(), text)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if strings.Count(s.Log.String(), text) > before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%q was not logged:\n%s", text, s.Log.String())
}

// rootKeyOf returns the ID of the root key under which the data key of the
// tenant is wrapped.
func rootKeyOf(t *testing.T, data string) string {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(data, "sealwright.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var id string
	if err := db.QueryRow(`SELECT json_extract(doc, '$.root_key_id') FROM records WHERE kind = 'datakey'`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestRotateRootKeyWithoutRestart is the procedure of docs/operate/server.md:
// the line that is added wraps, the old one can go, and keys sign on.
func TestRotateRootKeyWithoutRestart(t *testing.T) {
	data := t.TempDir()
	s := servertest.StartConfig(t, server.Config{Data: data})
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	before := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
	old := rootKeyOf(t, data)
	file := filepath.Join(data, "root.key")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line := base64.StdEncoding.EncodeToString(secret.Random(32).Expose()) + "\n"
	for _, step := range []struct{ content, logged string }{
		{string(text) + line, `newest root key","data_keys":1,"root_key":"`},
		{string(text) + line, `newest root key","data_keys":0,"root_key":"`},
		{line, `newest root key","data_keys":0,"root_key":"`},
	} {
		if err := os.WriteFile(file, []byte(step.content), 0o600); err != nil {
			t.Fatal(err)
		}
		hangUp(t, s, step.logged)
	}
	if id := rootKeyOf(t, data); id == old || !strings.Contains(s.Log.String(), id) {
		t.Errorf("wrapped with %s, before with %s", id, old)
	}
	must[api.Key](t, s, "POST", "/v1/keys/a/rotate", "")
	if strings.Contains(s.Log.String(), strings.TrimSpace(line)) {
		t.Error("the log has the root key")
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s = servertest.StartConfig(t, server.Config{Data: data})
	if v := must[api.Verdict](t, s, "POST", "/v1/keys/a/verify", `{"text":"a","signature":"`+before.Signature+`"}`); !v.Valid {
		t.Errorf("got %+v", v)
	}
}

// TestRewrapOverREST does the same by a request: the answer
// counts what is in the store afterwards.
func TestRewrapOverREST(t *testing.T) {
	data := t.TempDir()
	s := servertest.StartConfig(t, server.Config{Data: data})
	id := must[api.RootKeys](t, s, "GET", "/v1/kms", "").RootKey
	if len(id) != 16 {
		t.Errorf("root key: got %q", id)
	}
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`) // under the data key that the start has made
	want := api.RootKeys{Provider: "local", RootKey: id, DataKeys: []api.RootKeyUse{{RootKey: id, DataKeys: 1}}}
	if diff := cmp.Diff(want, must[api.RootKeys](t, s, "GET", "/v1/kms", "")); diff != "" {
		t.Errorf("root keys (-want +got):\n%s", diff)
	}
	file := filepath.Join(data, "root.key")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line := base64.StdEncoding.EncodeToString(secret.Random(32).Expose()) + "\n"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(line) // without the old one
	if status, _, body := s.Do(t, "POST", "/v1/kms/rewrap", ""); status != 503 || !strings.Contains(body, "the store was made with "+id) || strings.Contains(body, strings.TrimSpace(line)) {
		t.Errorf("rewrap without the old root key: got %d %s", status, body)
	}
	if got := must[api.RootKeys](t, s, "GET", "/v1/kms", "").RootKey; got != id {
		t.Errorf("root key after a refusal: got %s, want %s", got, id)
	}
	write(string(good) + line)
	done := must[api.Rewrapped](t, s, "POST", "/v1/kms/rewrap", "")
	if done.Rewrapped != 1 || done.Remaining != 0 || done.RootKey == id || done.RootKey != rootKeyOf(t, data) || len(done.DataKeys) != 1 || done.DataKeys[0].RootKey != done.RootKey {
		t.Errorf("rewrap: got %+v", done)
	}
	again := must[api.Rewrapped](t, s, "POST", "/v1/kms/rewrap", "")
	done.Rewrapped = 0
	if diff := cmp.Diff(done, again); diff != "" {
		t.Errorf("rewrap again (-want +got):\n%s", diff)
	}
	must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
	if log := s.Log.String(); !strings.Contains(log, `"caller":"admin"`) || strings.Contains(log, strings.TrimSpace(line)) {
		t.Errorf("the log does not name who rotated, or shows a root key: %s", log)
	}
}

// TestRotateRootKeyRefuses gives the running server root keys that do not open
// the store. It goes on as before, and so does the next start with the old file.
func TestRotateRootKeyRefuses(t *testing.T) {
	data := t.TempDir()
	s := servertest.StartConfig(t, server.Config{Data: data})
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	old := rootKeyOf(t, data)
	file := filepath.Join(data, "root.key")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other := base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"
	for _, tt := range []struct {
		name, content, want string
		mode                os.FileMode
	}{
		{"OldKeyIsGone", other, "the store was made with", 0o600},
		{"Broken", string(good) + "x\n", "line ", 0o600},
		{"Empty", "# nothing\n", "got 0 root keys", 0o600},
		{"OpenToOthers", string(good) + other, "has mode", 0o644},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, tt.mode); err != nil {
				t.Fatal(err)
			}
			hangUp(t, s, "root key not rotated")
			log := s.Log.String()
			if last := log[strings.LastIndex(log, "root key not rotated"):]; !strings.Contains(last, tt.want) || strings.Contains(last, strings.TrimSpace(other)) {
				t.Errorf("got %s, want %s", last, tt.want)
			}
			if id := rootKeyOf(t, data); id != old {
				t.Errorf("wrapped with %s, want %s", id, old)
			}
			must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
			must[api.Key](t, s, "POST", "/v1/keys/a/rotate", "")
		})
	}
	keys := must[api.KeyList](t, s, "GET", "/v1/keys", "")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	s = servertest.StartConfig(t, server.Config{Data: data})
	if diff := cmp.Diff(keys, must[api.KeyList](t, s, "GET", "/v1/keys", "")); diff != "" {
		t.Errorf("keys (-before +after):\n%s", diff)
	}
}
