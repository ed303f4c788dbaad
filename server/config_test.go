package server_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

func TestConfigFileRefuses(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // all of them, each with its line
	}{
		{"UnknownName", "data: d\nlisten_on: x\n", []string{"line 2: field listen_on not found"}},
		{"UnknownNameInside", "log:\n  levle: info\n", []string{"line 2: field levle not found"}},
		{"TwoUnknownNames", "a: 1\nb: 2\n", []string{"line 1: field a not found", "line 2: field b not found"}},
		{"Twice", "data: a\ndata: b\n", []string{`line 2: mapping key "data" already defined at line 1`}},
		{"List", "data: [a]\n", []string{"line 1: want a text or a number"}},
		{"TextForMap", "log: info\n", []string{"line 1"}},
		{"Syntax", "data: 'a\n", []string{"line"}},
		{"TwoDocuments", "data: a\n---\ndata: b\n", []string{"more than one document"}},
		{"EmptyText", "listen: ''\n", []string{"line 1: listen: is empty"}},
		{"AllAtOnce", "listen: 8470\nstore: postgres\nlog:\n  level: loud\n  format: xml\nlimits:\n  body: 1GB\n  batch_body: 65MiB\n  items: 0\n", []string{
			`line 1: listen: got "8470", want host:port`, `line 2: store: got "postgres", want sqlite, sqlite:PATH, memory or postgres://HOST/DATABASE`,
			`line 4: log.level: got "loud"`, `line 5: log.format: got "xml"`, `line 7: limits.body: got "1GB"`,
			`line 8: limits.batch_body: got 68157440, want 1024 to 67108864`, `line 9: limits.items: got 0, want 1 to 10000`,
		}},
		{"Store", "store: 'sqlite:'\n", []string{`line 1: store: got "sqlite", want sqlite, sqlite:PATH`}},
		{"StoreIsNoURL", "store: postgres:keys\n", []string{`line 1: store: got "postgres", want sqlite, sqlite:PATH`}},
		{"StoreIsBrokenURL", "store: postgres://a:b@[::1/keys\n", []string{`line 1: store: is not a URL`}},
		{"StoreWithPassword", "store: postgres://a:secret@localhost/keys\n", []string{`line 1: store: has a password, which belongs into`}},
		{"StoreWithPasswordInQuery", "store: postgres://localhost/keys?password=secret\n", []string{`line 1: store: has a password, which belongs into`}},
		{"StoreBeyondThisMachine", "store: postgres://db.example.com/keys\n", []string{`line 1: store: has a host beyond this machine and sslmode "": add ?sslmode=verify-full`}},
		{"StoreMayFallBack", "store: postgres://192.0.2.1:5432/keys?sslmode=prefer\n", []string{`line 1: store: has a host beyond this machine and sslmode "prefer"`}},
		{"StoreOneOfSeveralHosts", "store: postgres:///keys?host=/run/pg,db.example.com\n", []string{`line 1: store: has a host beyond`}},
		{"Port", "listen: localhost:http\n", []string{`line 1: listen: got port "http"`}},
		{"PortTooLarge", "listen: localhost:65536\n", []string{`line 1: listen: got port "65536"`}},
		{"Rejections", "limits:\n  diagnosis: 2 min\nrejections:\n  keep: 10001\n  body: 2MiB\n", []string{
			`line 2: limits.diagnosis: got "2 min", want a number with a unit, such as 30s, 15m, 72h or 30d`, `line 4: rejections.keep: got 10001, want 0 to 10000`,
			`line 5: rejections.body: got 2097152, want 1024 to 1048576`,
		}},
		{"RejectionsTogether", "rejections:\n  keep: 1025\n  body: 1MiB\n", []string{"line 2: rejections.keep: got 1025 of 1048576 bytes, want at most 1073741824"}},
		{"DiagnosisTooLong", "limits:\n  diagnosis: 31s\n", []string{"line 2: limits.diagnosis: got 31s, want 10ms to 30s"}},
		{"DiagnosisWithoutUnit", "limits:\n  diagnosis: 2\n", []string{`line 2: limits.diagnosis: got "2"`}},
		{"Keys", "keys:\n  grace: 0s\n  destroy_wait: 59m\n  promote_after: 25h\n  serve_without_kms: 31d\n", []string{
			"line 2: keys.grace: got 0s, want 1s to 1830d", "line 3: keys.destroy_wait: got 59m, want 1h to 366d",
			"line 4: keys.promote_after: got 1d1h, want 10s to 1d", "line 5: keys.serve_without_kms: got 31d, want 1m to 30d",
		}},
		{"ServeWithoutKMSForever", "keys:\n  serve_without_kms: 0\n", []string{"line 2: keys.serve_without_kms: got 0s, want 1m to 30d"}},
		{"WatchIsLonger", "keys:\n  serve_without_kms: 1m\nkms:\n  watch: 61s\n", []string{"line 4: kms.watch: got 1m1s, want at most keys.serve_without_kms, 1m"}},
		{"Stale", "cluster:\n  stale_after: 59s\n", []string{"line 2: cluster.stale_after: got 59s, want 1m to 1d"}},
		{"ProxiesAreNoNames", "trusted_proxies: proxy.example.com\n", []string{`line 1: trusted_proxies: got "proxy.example.com", want an address`}},
		{"ProxiesOfANetworkWithHost", "trusted_proxies: 10.1.0.0/16, 10.1.2.3/8\n", []string{`line 1: trusted_proxies: got "10.1.2.3/8"`}},
		{"ProxiesAreNotEverybody", "trusted_proxies: 0.0.0.0/0\n", []string{"which trusts everybody"}},
		{"NegativeSize", "limits:\n  body: -1\n", []string{`line 2: limits.body: got "-1"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "sealwright.yaml")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := server.CheckFile(file)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "server.") || strings.Contains(err.Error(), "secret") {
					t.Errorf("got %v, want %s", err, want)
				}
			}
		})
	}
	data := filepath.Join(t.TempDir(), "data")
	if err := run(t, server.Config{Data: data, Store: "postgres"}); err == nil || !strings.Contains(err.Error(), "store: got") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("the data folder was made")
	}
	var list server.ConfigErrors
	if err := server.CheckFile(filepath.Join(t.TempDir(), "none")); err == nil || errors.As(err, &list) {
		t.Error("a file that is not there: got no error")
	}
}

func TestConfigFile(t *testing.T) {
	for _, text := range []string{
		"", "# nothing\n", "data:\nlog:\n", "listen: 127.0.0.1:0\n", "listen: '[::1]:0'\nlimits:\n  body: 4096\n  batch_body: 2 MiB\n  items: 10000\n",
		"data: ./d\nstore: memory\nschemes: s\nlog:\n  level: debug\n  format: text\nlimits:\n  body: 1KiB\n  batch_body: 64MiB\n  items: 1\n",
		"limits:\n  diagnosis: 10ms\nrejections:\n  keep: 0\n  body: 1KiB\n", "limits:\n  diagnosis: 30s\nrejections:\n  keep: 1024\n  body: 1MiB\n",
		"keys:\n  grace: 1s\n  destroy_wait: 1h\n  promote_after: 10s\n  serve_without_kms: 1m\nkms:\n  watch: 60s\n",
		"cluster:\n  stale_after: 1m\n", "cluster:\n  stale_after: 24h\n",
		"keys:\n  grace: 1830d\n  destroy_wait: 366d\n  promote_after: 1d\n  serve_without_kms: 30d\n",
	} {
		file := filepath.Join(t.TempDir(), "sealwright.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := server.CheckFile(file); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestConfigFileCounts starts with a file: what it says holds, unless the
// caller says otherwise.
func TestConfigFileCounts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sealwright.yaml")
	text := "listen: 192.0.2.1:1\ndata: /dev/null/never\nstore: memory\nlog:\n  format: text\nlimits:\n  items: 2\n  body: 1KiB\n  batch_body: 2KiB\nrejections:\n  keep: 7\nkeys:\n  grace: 2d\n  destroy_wait: 1h\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := servertest.StartConfig(t, server.Config{ConfigFile: file}) // sets Listen and Data
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	for _, c := range []struct {
		path, body string
		want       int
	}{
		{"/v1/keys/a/sign", `{"items":[{"text":"a"},{"text":"b"}]}`, 200},
		{"/v1/keys/a/sign", `{"items":[{"text":"a"},{"text":"b"},{"text":"c"}]}`, 413},
		{"/v1/keys/a/sign", `{"text":"` + strings.Repeat("a", 2<<10-len(`{"text":""}`)) + `"}`, 200},
		{"/v1/keys/a/sign", `{"text":"` + strings.Repeat("a", 2<<10) + `"}`, 413},
		{"/v1/keys", `{"name":"b"}` + strings.Repeat(" ", 1<<10), 413},
	} {
		if status, _, body := s.Do(t, "POST", c.path, c.body); status != c.want {
			t.Errorf("%s: got %d %s, want %d", c.path, status, body, c.want)
		}
	}
	rotated := must[api.Key](t, s, "POST", "/v1/keys/a/rotate", "")
	if v := rotated.Versions[0]; v.NotAfter == nil || v.NotAfter.Sub(*rotated.Versions[1].ActivatedAt) != 48*time.Hour {
		t.Errorf("grace: got %+v, want until 48h after the promotion", v)
	}
	must[api.Key](t, s, "POST", "/v1/keys/a/versions/1/retire", "")
	doomed := must[api.Key](t, s, "POST", "/v1/keys/a/versions/1/destroy", "").Versions[0]
	if d := time.Until(*doomed.DestroyAt); d > time.Hour || d < 30*time.Minute {
		t.Errorf("destroy_wait: got %v, want 1h", d)
	}
	if list := must[api.RejectionList](t, s, "GET", "/v1/rejections", ""); list.Keep != 7 {
		t.Errorf("rejections: got %d, want 7", list.Keep)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if log := s.Log.String(); !strings.HasPrefix(log, "time=") {
		t.Errorf("the log is not text: %s", log)
	}
	if _, err := os.Stat(filepath.Join(s.Data, "sealwright.db")); err == nil {
		t.Error("the store is not memory")
	}
}

func TestStorePlaces(t *testing.T) {
	for _, text := range []string{
		"sqlite", "memory", "sqlite:a b.db", "sqlite:/var/lib/keys.db", "postgres://localhost/keys", "postgresql://127.0.0.1:5433/keys",
		"postgres://u@[::1]:5432/keys", "postgres:///keys", "postgres:///keys?host=/run/postgresql&user=u",
		"postgres://db.example.com/keys?sslmode=verify-full", "postgres://a.example.com,b.example.com/keys?sslmode=disable",
	} {
		file := filepath.Join(t.TempDir(), "sealwright.yaml")
		if err := os.WriteFile(file, []byte("store: '"+text+"'\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := server.CheckFile(file); err != nil {
			t.Errorf("%s: got %v", text, err)
		}
	}
}
