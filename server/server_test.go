package server_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

// must sends a request that has to succeed and decodes the answer.
func must[T any](t *testing.T, s *servertest.Server, method, path, body string) T {
	t.Helper()
	status, _, text := s.Do(t, method, path, body)
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil || status >= 300 {
		t.Fatalf("%s %s: got %d %s, %v", method, path, status, text, err)
	}
	return v
}

func TestRestartKeepsKeys(t *testing.T) {
	data := t.TempDir()
	s := servertest.StartConfig(t, server.Config{Data: data})
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"b"}`)
	before := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"hello"}`)
	must[api.Key](t, s, "POST", "/v1/keys/a/rotate", "")
	if status, _, body := s.Do(t, "DELETE", "/v1/keys/b", ""); status != 204 {
		t.Fatalf("delete: got %d %s", status, body)
	}
	keys := must[api.KeyList](t, s, "GET", "/v1/keys", "")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	token := s.Token.Expose()

	s = servertest.StartConfig(t, server.Config{Data: data})
	if string(s.Token.Expose()) != string(token) {
		t.Error("the token has changed")
	}
	if diff := cmp.Diff(keys, must[api.KeyList](t, s, "GET", "/v1/keys", "")); diff != "" {
		t.Errorf("keys (-before +after):\n%s", diff)
	}
	v := must[api.Verdict](t, s, "POST", "/v1/keys/a/verify", `{"text":"hello","signature":"`+before.Signature+`"}`)
	if !v.Valid || v.Version != 1 {
		t.Errorf("a signature from before: got %+v", v)
	}
	if s := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"hello"}`); s.Version != 2 {
		t.Errorf("signs with version %d", s.Version)
	}
	if status, _, _ := s.Do(t, "POST", "/v1/keys", `{"name":"b"}`); status != 409 {
		t.Errorf("the name of a deleted key is free again: got %d", status)
	}
}

func TestMemoryStoreForgets(t *testing.T) {
	data := t.TempDir()
	s := servertest.StartConfig(t, server.Config{Data: data, Store: "memory"})
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s = servertest.StartConfig(t, server.Config{Data: data, Store: "memory"})
	if list := must[api.KeyList](t, s, "GET", "/v1/keys", ""); len(list.Items) != 0 {
		t.Errorf("got %+v", list)
	}
	if _, err := os.Stat(filepath.Join(data, "sealwright.db")); err == nil {
		t.Error("there is a database")
	}
}

// TestFirstStart checks the files, and that the token is shown once.
func TestFirstStart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "new", "data")
	s := servertest.StartConfig(t, server.Config{Data: data, Version: "1.2.3"})
	token := string(s.Token.Expose())
	if !regexp.MustCompile(`^swt_[A-Za-z0-9_-]{43}$`).MatchString(token) {
		t.Errorf("got token of %d characters", len(token))
	}
	for name, want := range map[string]os.FileMode{"admin-token": 0o600, "root.key": 0o600, "sealwright.db": 0o600, ".": os.ModeDir | 0o700} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s: got mode %v, want %v", name, info.Mode(), want)
		}
	}
	if out := s.Out.String(); strings.Count(out, token) != 1 || !strings.Contains(out, "sealwright 1.2.3 is ready on "+s.URL) {
		t.Errorf("printed %q", out)
	}
	if strings.Contains(s.Log.String(), token) {
		t.Error("the log has the token")
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for name, content := range files(t, data) {
		if name != "admin-token" && strings.Contains(content, token) {
			t.Errorf("%s has the token", name)
		}
	}
	s = servertest.StartConfig(t, server.Config{Data: data})
	if out := s.Out.String(); strings.Contains(out, token) || !strings.Contains(out, filepath.Join(data, "admin-token")) {
		t.Errorf("the second start printed %q", out)
	}
}

// TestExample runs the printed example in a shell.
func TestExample(t *testing.T) {
	for _, program := range []string{"sh", "curl", "sed"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("SEALWRIGHT_REQUIRE_PEERS") != "" {
				t.Fatalf("needs %s: %v", program, err)
			}
			t.Skipf("needs %s: %v", program, err)
		}
	}
	s := servertest.StartConfig(t, server.Config{Data: filepath.Join(t.TempDir(), "it's a folder")})
	_, lines, ok := strings.Cut(s.Out.String(), "Try it in another terminal:")
	if !ok {
		t.Fatalf("printed %q", s.Out.String())
	}
	out, err := exec.Command("sh", "-euc", lines).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"name":"demo"`) || !strings.Contains(string(out), `{"valid":true,"key":"demo"`) {
		t.Errorf("got %s, %v", out, err)
	}
}

func TestAdminToken(t *testing.T) {
	data := t.TempDir()
	file := filepath.Join(data, "admin-token")
	list := func(s *servertest.Server, token string) int {
		t.Helper()
		s.Token = secret.FromString(token)
		status, _, _ := s.Do(t, "GET", "/v1/keys", "")
		return status
	}
	s := servertest.StartConfig(t, server.Config{Data: data})
	first := string(s.Token.Expose())
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}

	second := "swt_" + base64.RawURLEncoding.EncodeToString([]byte("a token of an operator, 32 bytes"))
	if err := os.WriteFile(file, []byte(second+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = servertest.StartConfig(t, server.Config{Data: data})
	if got := list(s, first); got != 401 {
		t.Errorf("the replaced token: got %d", got)
	}
	if got := list(s, second); got != 200 {
		t.Errorf("the new token: got %d", got)
	}
	if strings.Contains(s.Out.String(), second) {
		t.Error("a token that the operator knows is shown")
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}

	if err := os.Rename(file, file+".kept"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), make(chan string, 1)
	go func() {
		ended <- server.Run(ctx, server.Config{Listen: "127.0.0.1:0", Data: data, Stdout: io.Discard, Stderr: io.Discard, Ready: func(a string) { ready <- a }})
	}()
	s = &servertest.Server{URL: "http://" + <-ready}
	if got := list(s, second); got != 200 {
		t.Errorf("without the file: got %d", got)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a second token was made")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestAdminTokenFileRefuses(t *testing.T) {
	good := "swt_" + base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	tests := []struct {
		name, text string
		mode       os.FileMode
	}{
		{"Empty", "", 0o600},
		{"NoPrefix", strings.TrimPrefix(good, "swt_"), 0o600},
		{"Cut", good[:len(good)-1], 0o600},
		{"Longer", good + "A", 0o600},
		{"TwoLines", good + "\n" + good + "\n", 0o600},
		{"Blank", good + " ", 0o600},
		{"BitsBehindTheEnd", good[:len(good)-1] + "B", 0o600},
		{"ReadableByOthers", good, 0o644},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := t.TempDir()
			file := filepath.Join(data, "admin-token")
			if err := os.WriteFile(file, []byte(tt.text), tt.mode); err != nil {
				t.Fatal(err)
			}
			err := run(t, server.Config{Data: data})
			if err == nil || !strings.Contains(err.Error(), "admin token file "+file) || (len(tt.text) > 5 && strings.Contains(err.Error(), tt.text[5:])) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestWrongRootKeyTouchesNothing stops the start for a wrong, missing or broken
// root key, with every file as it was.
func TestWrongRootKeyTouchesNothing(t *testing.T) {
	data := t.TempDir()
	s := servertest.StartConfig(t, server.Config{Data: data})
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(data, "root.key")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other := base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"
	tests := []struct{ name, text, want string }{
		{"Other", other, "the store was made with"},
		{"Missing", "", "is missing, the store was made with"},
		{"Broken", "not a key\n", "line 1"},
		{"Cut", string(good[:len(good)-5]), "root key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if tt.text != "" {
				if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before := files(t, data)
			err := run(t, server.Config{Data: data})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if diff := cmp.Diff(before, files(t, data)); diff != "" {
				t.Errorf("files (-before +after):\n%s", diff)
			}
		})
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	s = servertest.StartConfig(t, server.Config{Data: data})
	must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
}

// TestRotateRootKey is the procedure of docs/operate/server.md.
func TestRotateRootKey(t *testing.T) {
	data := t.TempDir()
	s := servertest.StartConfig(t, server.Config{Data: data})
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	before := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(data, "root.key")
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line := base64.StdEncoding.EncodeToString(secret.Random(32).Expose()) + "\n"
	if err := os.WriteFile(file, append(old, line...), 0o600); err != nil {
		t.Fatal(err)
	}
	s = servertest.StartConfig(t, server.Config{Data: data})
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if log := s.Log.String(); !strings.Contains(log, `"msg":"data keys are wrapped under the newest root key","data_keys":1`) {
		t.Errorf("logged %s", log)
	}
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	s = servertest.StartConfig(t, server.Config{Data: data})
	if v := must[api.Verdict](t, s, "POST", "/v1/keys/a/verify", `{"text":"a","signature":"`+before.Signature+`"}`); !v.Valid {
		t.Errorf("got %+v", v)
	}
	if log := s.Log.String(); strings.Contains(log, "wrapped") {
		t.Errorf("wrapped again: %s", log)
	}
}

// TestBackupAndRestore is the procedure of docs/operate/server.md, with the
// copy made while the server runs.
func TestBackupAndRestore(t *testing.T) {
	s := servertest.Start(t)
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	before := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
	restored := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(s.Data, "sealwright.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("VACUUM INTO ?", filepath.Join(restored, "sealwright.db")); err != nil {
		t.Fatal(err)
	}
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"later"}`)
	root, err := os.ReadFile(filepath.Join(s.Data, "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"root.key": root, "admin-token": s.Token.Expose()} {
		if err := os.WriteFile(filepath.Join(restored, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := servertest.StartConfig(t, server.Config{Data: restored})
	if v := must[api.Verdict](t, r, "POST", "/v1/keys/a/verify", `{"text":"a","signature":"`+before.Signature+`"}`); !v.Valid {
		t.Errorf("got %+v", v)
	}
	if list := must[api.KeyList](t, r, "GET", "/v1/keys", ""); len(list.Items) != 1 {
		t.Errorf("got %+v", list)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Run("PortInUse", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		data := filepath.Join(t.TempDir(), "data")
		if err := run(t, server.Config{Listen: l.Addr().String(), Data: data}); err == nil || !strings.Contains(err.Error(), "address already in use") {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(data); err == nil {
			t.Error("the data folder was made")
		}
	})
	t.Run("DataInUse", func(t *testing.T) {
		s := servertest.Start(t)
		if err := run(t, server.Config{Data: s.Data}); err == nil || !strings.Contains(err.Error(), "sealwright.db") {
			t.Errorf("got %v", err)
		}
		must[api.KeyList](t, s, "GET", "/v1/keys", "")
	})
	t.Run("BrokenScheme", func(t *testing.T) {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "mine.json"), []byte(`{"id":"mine"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := run(t, server.Config{Data: t.TempDir(), Schemes: folder}); err == nil || !strings.Contains(err.Error(), "mine.json") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("SchemeOfAPreset", func(t *testing.T) {
		folder := t.TempDir()
		copyScheme(t, "github", filepath.Join(folder, "mine.json"))
		if err := run(t, server.Config{Data: t.TempDir(), Schemes: folder}); err == nil || !strings.Contains(err.Error(), `id "github" is taken`) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("NoSchemesFolder", func(t *testing.T) {
		if err := run(t, server.Config{Data: t.TempDir(), Schemes: filepath.Join(t.TempDir(), "none")}); err == nil || !strings.Contains(err.Error(), "read schemes") {
			t.Errorf("got %v", err)
		}
	})
}

// copyScheme writes the preset with another name to file, but with the id of
// id.
func copyScheme(t *testing.T, id, file string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "catalogue", "github.json"))
	if err != nil {
		t.Fatal(err)
	}
	renamed := strings.Replace(string(text), `"id": "github"`, `"id": "`+id+`"`, 1)
	if err := os.WriteFile(file, []byte(renamed), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSchemesOfTheOperator(t *testing.T) {
	folder := t.TempDir()
	copyScheme(t, "my-github", filepath.Join(folder, "mine.json"))
	s := servertest.StartConfig(t, server.Config{Schemes: folder})
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"hook"}`)
	for _, id := range []string{"my-github", "github"} {
		got := must[api.SignedRequest](t, s, "POST", "/v1/requests/sign", `{"scheme":"`+id+`","key":"hook","request":{"method":"POST","url":"https://a/","body":"x"}}`)
		if got.Scheme != id || len(got.Request.Headers["X-Hub-Signature-256"]) != 1 {
			t.Errorf("%s: got %+v", id, got)
		}
	}
}

func TestExposedWarning(t *testing.T) {
	const warning = "without TLS"
	s := servertest.Start(t)
	open := servertest.StartConfig(t, server.Config{Listen: "0.0.0.0:0"})
	for _, x := range []*servertest.Server{s, open} {
		if err := x.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(s.Log.String(), warning) {
		t.Error("warns about a loopback address")
	}
	if !strings.Contains(open.Log.String(), warning) {
		t.Errorf("does not warn about 0.0.0.0: %s", open.Log.String())
	}
}

// TestGracefulStop stops the server while a body is on its way: the request is
// finished, new ones are not taken.
func TestGracefulStop(t *testing.T) {
	s := servertest.Start(t)
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	want := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"hello"}`)

	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /v1/keys/a/sign HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Type: application/octet-stream\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", s.Token.Expose())
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") { // the handler reads
		t.Fatalf("got %q, %v", line, err)
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop() }()
	waitForRefusal(t, s)
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a request in flight: %v", err)
	default:
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	var signed api.Signed
	if err := json.NewDecoder(got.Body).Decode(&signed); err != nil || signed != want {
		t.Errorf("got %+v, %v", signed, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if log := s.Log.String(); !strings.Contains(log, `"msg":"stopped"`) || strings.Count(log, `"op":"sign"`) != 2 {
		t.Errorf("the log is not complete: %s", log)
	}
}

// waitForRefusal waits until the server takes no new connections.
func waitForRefusal(t *testing.T, s *servertest.Server) {
	t.Helper()
	for range 2000 {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			return
		}
		c.Close()
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the server goes on listening")
}

// TestA05 sends a header of 1 MB, and text that is no HTTP: net/http refuses
// both before the API sees them.
func TestA05(t *testing.T) {
	s := servertest.Start(t)
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	for request, want := range map[string]string{
		"POST /v1/keys/a/sign HTTP/1.1\r\nHost: a\r\nSealwright-Tag: " + strings.Repeat("a", 1_000_000): "431",
		"hello\r\n\r\n": "400",
		"POST /v1/keys/a/sign HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n": "400",
		"POST /v1/keys/a/sign HTTP/1.1\r\nHost: a\r\nSealwright-Tag : x\r\n\r\n":                     "400",
		"POST /v1/keys/a/sign HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \x00\r\n\r\n":             "400",
		"POST /v1/keys/a/sign HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n":                "501",
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go func() { _, _ = io.WriteString(c, request) }() // the server may close before it has read all
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+want) {
			t.Errorf("%.80q: got %q, %v", request, line, err)
		}
	}
	must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
}

// TestKill kills the server at random moments while keys are made. Every key
// that was acknowledged is there afterwards and signs as before.
func TestKill(t *testing.T) {
	data := t.TempDir()
	type made struct{ name, signature string }
	var acknowledged []made
	for round := range 4 {
		p := spawn(t, data)
		token, err := os.ReadFile(filepath.Join(data, "admin-token"))
		if err != nil {
			t.Fatal(err)
		}
		s := &servertest.Server{URL: p.url, Token: secret.FromString(strings.TrimSpace(string(token)))}
		for _, m := range acknowledged {
			v := must[api.Verdict](t, s, "POST", "/v1/keys/"+m.name+"/verify", `{"text":"hello","signature":"`+m.signature+`"}`)
			if !v.Valid {
				t.Fatalf("round %d: key %s: %+v", round, m.name, v)
			}
		}
		results := make(chan made)
		for w := range 3 {
			go func() {
				for i := 0; ; i++ {
					name := fmt.Sprintf("k-%d-%d-%d", round, w, i)
					signature, err := create(s, name)
					if err != nil { // killed
						results <- made{}
						return
					}
					results <- made{name, signature}
				}
			}()
		}
		for n, ended := 0, 0; ended < 3; {
			m := <-results
			if m.name == "" {
				ended++
				continue
			}
			acknowledged = append(acknowledged, m)
			if n++; n == 7+13*round {
				if err := p.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := p.Wait(); err == nil {
			t.Fatal("the process was not killed")
		}
	}
	if len(acknowledged) < 4*7 {
		t.Fatalf("got %d keys", len(acknowledged))
	}
	s := servertest.StartConfig(t, server.Config{Data: data})
	for _, m := range acknowledged {
		if v := must[api.Verdict](t, s, "POST", "/v1/keys/"+m.name+"/verify", `{"text":"hello","signature":"`+m.signature+`"}`); !v.Valid {
			t.Errorf("key %s: %+v", m.name, v)
		}
	}
}

// create makes a key and signs with it; an error means that the key may or may
// not be there.
func create(s *servertest.Server, name string) (signature string, err error) {
	for _, c := range []struct {
		path, body string
		status     int
	}{{"/v1/keys", `{"name":"` + name + `"}`, 201}, {"/v1/keys/" + name + "/sign", `{"text":"hello"}`, 200}} {
		r, err := http.NewRequest("POST", s.URL+c.path, strings.NewReader(c.body))
		if err != nil {
			return "", err
		}
		r.Header.Set("Authorization", "Bearer "+string(s.Token.Expose()))
		r.Header.Set("Content-Type", "application/json")
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			return "", err
		}
		var signed api.Signed
		err = json.NewDecoder(a.Body).Decode(&signed)
		a.Body.Close()
		if err != nil {
			return "", err
		}
		if a.StatusCode != c.status {
			return "", fmt.Errorf("%s: got %d", c.path, a.StatusCode)
		}
		signature = signed.Signature
	}
	return signature, nil
}

// TestA27 captures everything that a whole session logs and prints at debug
// level, with its failures, and every error answer, and looks for each secret,
// tag, signature, message and token.
func TestA27(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) { leaks(t, format) })
	}
}

func leaks(t *testing.T, format string) {
	data := t.TempDir()
	s := servertest.StartConfig(t, server.Config{Data: data, LogLevel: "debug", LogFormat: format})
	material := base64.StdEncoding.EncodeToString([]byte("the material of the key that signs"))
	message := "a message that nobody else may read"
	hidden := map[string]string{"token": string(s.Token.Expose()), "material": material, "material in clear": "the material of the key", "message": message}
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a","exportable":true,"material":"`+material+`"}`)
	signed := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"`+message+`"}`)
	hidden["tag"], hidden["tag in base64"] = signed.Tag, strings.TrimPrefix(strings.Split(signed.Signature, ",")[0], "HMAC-SHA256=")
	must[api.Key](t, s, "POST", "/v1/keys/a/rotate", "")
	for i, v := range must[api.Revealed](t, s, "POST", "/v1/keys/a/reveal", "").Versions {
		hidden[fmt.Sprint("revealed ", i)] = base64.StdEncoding.EncodeToString(v.Material)
	}
	request := must[api.SignedRequest](t, s, "POST", "/v1/requests/sign", `{"scheme":"stripe","key":"a","request":{"method":"POST","url":"https://a/","body":"`+message+`"}}`)
	header := request.Request.Headers["Stripe-Signature"][0]
	hidden["request tag"] = header[strings.Index(header, "v1=")+3:]
	hidden["signing string"] = header[2:strings.Index(header, ",")] + "." + message

	// The doctor and the rejections show requests to their operator, but no
	// secret, and no tag that would have been right.
	diagnosed := 0
	for _, body := range []string{message, message + ".", "other"} {
		r, err := json.Marshal(api.Diagnose{Scheme: "stripe", Key: "a", Request: &api.Request{Method: "POST", URL: "https://a/", Body: body,
			Headers: map[string][]string{"Stripe-Signature": {header[:strings.Index(header, "v1=")+3] + strings.Repeat("0a", 32)}}}})
		if err != nil {
			t.Fatal(err)
		}
		status, _, answer := s.Do(t, "POST", "/v1/doctor", string(r))
		if status != 200 {
			t.Errorf("doctor: got %d %s", status, answer)
		}
		diagnosed++
		for name, text := range hidden {
			if name != "message" && name != "signing string" && strings.Contains(answer, text) {
				t.Errorf("%s is in the diagnosis", name)
			}
		}
	}

	wrong := strings.Replace(signed.Tag, signed.Tag[:2], "zz", 1)
	var errors strings.Builder
	for _, c := range [][3]string{
		{"POST", "/v1/keys", `{"name":"b","material":"` + material + `","x":1}`},
		{"POST", "/v1/keys", `{"name":"B","material":"` + material + `"}`},
		{"POST", "/v1/keys", `{"name":"b","material":"` + material + `!"}`},
		{"POST", "/v1/keys", `{"name":"b","material":["` + material + `"]}`},
		{"POST", "/v1/keys", `{"name":"b","material":"` + material + `"`},
		{"POST", "/v1/keys", `{"name":"b","material":"` + material + `","material":"` + material + `"}`},
		{"POST", "/v1/keys", `{"name":"b","algorithm":"` + material + `"}`},
		{"POST", "/v1/keys/a/sign", `{"text":"` + message + `","message":"` + material + `"}`},
		{"POST", "/v1/keys/a/sign", `{"text":"` + message},
		{"POST", "/v1/keys/a/sign", `{"` + message + `":1}`},
		{"POST", "/v1/keys/a/sign", `{"message":"` + message + `"}`},
		{"POST", "/v1/keys/a/sign", `{"items":[{"message":"` + message + `"}],"encoding":"` + signed.Tag + `"}`},
		{"POST", "/v1/keys/a/verify", `{"text":"` + message + `.","tag":"` + signed.Tag + `"}`},
		{"POST", "/v1/keys/a/verify", `{"text":"` + message + `","tag":"` + wrong + `"}`},
		{"POST", "/v1/keys/a/verify", `{"text":"` + message + `.","signature":"` + signed.Signature + `"}`},
		{"POST", "/v1/keys/a/verify", `{"text":"` + message + `","signature":"` + signed.Signature + `,"}`},
		{"POST", "/v1/keys/a/verify", `{"items":[{"text":"` + message + `.","signature":"` + signed.Signature + `"}]}`},
		{"POST", "/v1/requests/verify", `{"scheme":"stripe","key":"a","request":{"method":"POST","url":"https://a/","headers":{"Stripe-Signature":["` + header + `"]},"body":"` + message + `."}}`},
		{"POST", "/v1/requests/verify", `{"scheme":"stripe","key":"a","request":{"method":"POST","url":"https://a/","headers":{"Stripe-Signature":["` + header + `,"]},"body":"` + message + `"}}`},
		{"POST", "/v1/requests/verify", `{"scheme":"stripe","key":"a","now":1,"request":{"method":"POST","url":"https://a/","headers":{"Stripe-Signature":["` + header + `"]},"body":"` + message + `"}}`},
		{"POST", "/v1/requests/sign", `{"scheme":"stripe","key":"a","request":{"method":"POST","url":"","body":"` + message + `"}}`},
		{"POST", "/v1/doctor", `{"scheme":"stripe","key":"` + message + `","request":{"method":"POST","url":"https://a/","body":"` + message + `"}}`},
		{"POST", "/v1/doctor", `{"scheme":"stripe","key":"a","params":{"` + message + `":["` + material + `",{}]},"request":{"method":"POST","url":"https://a/"}}`},
		{"POST", "/v1/doctor", `{"rejection":"` + message + `"}`}, {"GET", "/v1/rejections?cursor=" + signed.Tag, ""},
		{"GET", "/v1/keys/none", ""}, {"PUT", "/v1/keys", ""}, {"DELETE", "/v1/keys/a", ""}, {"GET", "/v1/keys?cursor=x", ""},
	} {
		status, _, body := s.Do(t, c[0], c[1], c[2])
		if status == 500 {
			t.Errorf("%v: got %s", c, body)
		}
		errors.WriteString(body)
	}
	right := s.Token
	s.Token = secret.FromString(hidden["token"] + "x")
	_, _, body := s.Do(t, "GET", "/v1/keys", "")
	errors.WriteString(body)
	s.Token = right
	_, _, metrics := s.Do(t, "GET", "/metrics", "")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	printed := strings.Replace(s.Out.String(), hidden["token"], "", 1) // shown once, on purpose
	for name, text := range hidden {
		for place, out := range map[string]string{"log": s.Log.String(), "errors": errors.String(), "metrics": metrics, "output": printed} {
			if strings.Contains(out, text) {
				t.Errorf("%s is in the %s", name, place)
			}
		}
	}
	if n := strings.Count(s.Log.String(), "latency_us"); n != 5+29+diagnosed+1 {
		t.Errorf("got %d lines of operations in\n%s", n, s.Log.String())
	}
	for name, content := range files(t, data) {
		for _, what := range []string{"material in clear", "message", "revealed 1"} {
			if strings.Contains(content, hidden[what]) {
				t.Errorf("%s is in %s", what, name)
			}
		}
	}
}
