//go:build unix

package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

func TestRedisConfigRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"NoURL", "redis:\n  strict: true\n", "redis.url: is missing"},
		{"Password", "redis:\n  url: redis://a:secret@localhost\n", "line 2: redis.url: has a password, which belongs into redis.password"},
		{"PasswordInPlace", "redis:\n  url: redis://localhost\n  password: hush\n", "line 3: redis.password: want the name of a secret"},
		{"NotAURL", "redis:\n  url: 'redis://a:secret@[::1'\n", "line 2: redis.url: is not a URL"},
		{"Scheme", "redis:\n  url: http://localhost\n", `line 2: redis.url: got "http", want redis://HOST, rediss://HOST or unix:///PATH`},
		{"NoHost", "redis:\n  url: 'redis://'\n", "line 2: redis.url: has no host"},
		{"Options", "redis:\n  url: rediss://redis.example.com?skip_verify=true\n", "line 2: redis.url: has options, which have settings of their own"},
		{"OptionsOfSocket", "redis:\n  url: unix:///run/redis.sock?db=1&max_retries=3\n", "line 2: redis.url: has options"},
		{"WithoutTLS", "redis:\n  url: redis://redis.example.com\n", "line 2: redis.url: has a host beyond this machine without TLS"},
		{"OnStoreError", "redis:\n  url: redis://localhost\n  on_store_error: open\n", `line 3: redis.on_store_error: got "open", want one of closed, local`},
		{"Strict", "redis:\n  url: redis://localhost\n  strict: yes please\n", `line 3: redis.strict: got "yes please", want one of false, true`},
		{"Timeout", "redis:\n  url: redis://localhost\n  timeout: 1ms\n", "line 3: redis.timeout: got 1ms, want 10ms to 5s"},
		{"Skew", "redis:\n  url: redis://localhost\n  future_skew: 6m\n", "line 3: redis.future_skew: got 6m, want 1s to 5m"},
		{"WithoutTLSAsAsked", "redis:\n  url: redis://redis.example.com\n  plaintext: true\n", ""},
		{"TLS", "redis:\n  url: rediss://sealwright@redis.example.com:6380/1\n  password: env:REDIS_PASSWORD\n  strict: true\n", ""},
		{"Socket", "redis:\n  url: unix:///run/redis.sock?db=1\n", ""},
		{"None", "redis: {}\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkConfig(t, tt.text, tt.want) })
	}
}

func TestLimitsConfigRefuses(t *testing.T) {
	rule := func(text string) string { return "limits:\n  rules:\n    - {" + text + "}\n" }
	good := "name: a, scope: key, rate: 1, per: second"
	tests := []struct{ name, text, want string }{
		{"Concurrency", "limits:\n  concurrency: 0\n", "line 2: limits.concurrency: got 0, want 1 to 1000000"},
		{"Connections", "limits:\n  connections: -1\n", `line 2: limits.connections: got "-1"`},
		{"NoConnectionLimit", "limits:\n  connections: 0\n  queue: 0\n", ""},
		{"Rule", rule(good), ""},
		{"RuleWithAll", rule(`name: a, scope: address, match: "192.0.2.*", rate: 10, per: day, burst: 5`), ""},
		{"NoRule", "limits:\n  rules: []\n", ""},
		{"RuleIsText", "limits:\n  rules:\n    - fast\n", "line 3: want a rule with name, scope, rate and per"},
		{"UnknownField", rule(good + ", speed: 1"), "line 3: field speed not found"},
		{"FieldTwice", rule(good + ", name: b"), "line 3"},
		{"FieldIsList", rule("name: [a]"), "line 3: want a text or a number"},
		{"NoName", rule("scope: key, rate: 1, per: second"), "line 3: limits.rules: name: want 1 to 64 of a-z, 0-9 and -"},
		{"Scope", rule("name: a, scope: planet, rate: 1, per: second"), `line 3: limits.rules: scope: got "planet"`},
		{"Rate", rule("name: a, scope: key, rate: fast, per: second"), `line 3: limits.rules: rate: got "fast", want a number of at least 1`},
		{"Burst", rule(good + ", burst: 0"), `line 3: limits.rules: burst: got "0", want a number of at least 1`},
		{"Match", rule(good + `, match: ""`), "line 3: limits.rules: match: is empty"},
		{"Twice", "limits:\n  rules:\n    - {" + good + "}\n    - {" + good + "}\n", `line 4: limits.rules: limit "a": there are two of this name`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkConfig(t, tt.text, tt.want) })
	}
}

// configFile writes a configuration file.
func configFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sealwright.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// eachAlone returns a configuration file with which several nodes without Redis
// start.
func eachAlone(t *testing.T) string { return configFile(t, "replay:\n  scope: node\n") }

// checkConfig checks that a configuration is refused with want, or not if that
// is empty.
func checkConfig(t *testing.T, text, want string) {
	t.Helper()
	err := server.CheckFile(configFile(t, text))
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if err != nil && (strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "hush")) {
		t.Errorf("the error shows a secret: %v", err)
	}
}

// Two servers on one Redis limit together; when it is away they go on alone and
// say so.
func TestRedis(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{AppendOnly: true, Password: "of-a-test"})
	t.Setenv("TEST_REDIS_PASSWORD", "of-a-test")
	file := configFile(t, "redis:\n  url: "+p.URL()+"\n  password: env:TEST_REDIS_PASSWORD\n  timeout: 5s\n"+
		"limits:\n  rules:\n    - {name: few, scope: key, rate: 3, per: month}\n")
	nodes := []*servertest.Server{}
	for range 2 {
		s := servertest.StartConfig(t, server.Config{ConfigFile: file})
		must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
		must[api.Key](t, s, "POST", "/v1/keys", `{"name":"b"}`)
		nodes = append(nodes, s)
	}
	for i, want := range []int{200, 200, 200, 429, 429} {
		status, header, text := nodes[i%2].Do(t, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
		if status != want || !strings.HasPrefix(header.Get("RateLimit"), `"few";r=`) {
			t.Errorf("request %d: got %d %q %s, want %d", i, status, header.Get("RateLimit"), text, want)
		}
	}
	p.Crash(t)
	ready(t, nodes[0], true)
	if status, _, text := nodes[0].Do(t, "POST", "/v1/keys/b/sign", `{"text":"a"}`); status != 200 {
		t.Errorf("alone: got %d %s", status, text)
	}
	p.Start(t)
	ready(t, nodes[0], false)
}

// ready waits until /readyz says that Redis is away, or not.
func ready(t *testing.T, s *servertest.Server, away bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		status, _, text := s.Do(t, "GET", "/readyz", "")
		if status == 200 && strings.Contains(text, "redis has been away since") == away {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %d %q, want away: %t", status, text, away)
		}
	}
}

// A server does not start on a Redis that cannot keep claims, or that is not
// there.
func TestRedisStops(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{Settings: []string{"--maxmemory-policy", "allkeys-lfu"}})
	err := run(t, server.Config{Data: t.TempDir(), ConfigFile: configFile(t, "redis:\n  url: "+p.URL()+"\n")})
	if err == nil || !strings.Contains(err.Error(), "maxmemory-policy must be noeviction, and is allkeys-lfu") {
		t.Errorf("got %v", err)
	}
	p.Crash(t)
	err = run(t, server.Config{Data: t.TempDir(), ConfigFile: configFile(t, "redis:\n  url: "+p.URL()+"\n")})
	if err == nil || !strings.Contains(err.Error(), "connect to redis") {
		t.Errorf("got %v", err)
	}
	bad := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bad, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = run(t, server.Config{Data: t.TempDir(), ConfigFile: configFile(t, "redis:\n  url: rediss://localhost:1\n  ca_file: "+bad+"\n")})
	if err == nil || !strings.Contains(err.Error(), "has no certificate") {
		t.Errorf("got %v", err)
	}
}

// A request that a credential signed is taken by one of two nodes, once.
func TestA13_SignedRequestOnTwoNodes(t *testing.T) {
	database := peer.StartPostgres(t).NewDatabase(t)
	p := peer.StartRedis(t, peer.RedisOptions{AppendOnly: true})
	c := server.Config{Store: database, ConfigFile: configFile(t, "redis:\n  url: "+p.URL()+"\n  timeout: 5s\n")}
	first := servertest.StartConfig(t, c)
	must[api.Caller](t, first, "POST", "/v1/callers", `{"name":"ci","grants":[{"role":"auditor"}]}`)
	key := must[api.Credential](t, first, "POST", "/v1/callers/ci/credentials", `{"kind":"signature"}`)
	copyRootKey(t, first.Data, &c)
	second := servertest.StartConfig(t, c)
	unbarred(t, first, key)

	url := first.URL + "/v1/keys"
	header := signedBy(t, key, "GET", url, "")
	send := func(s *servertest.Server) int {
		r, err := http.NewRequest("GET", s.URL+"/v1/keys", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header, r.Host = header, strings.TrimPrefix(first.URL, "http://") // as behind a balancer
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	for i, want := range []int{200, 409, 409} {
		if got := send([]*servertest.Server{second, first, second}[i]); got != want {
			t.Errorf("copy %d: got %d, want %d", i, got, want)
		}
	}
	p.Crash(t)
	header = signedBy(t, key, "GET", url, "")
	if got := send(first); got != 503 {
		t.Errorf("without redis: got %d, want 503", got)
	}
	p.Start(t)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		header = signedBy(t, key, "GET", url, "")
		if got := send(second); got == 200 {
			break
		} else if got != 503 || time.Now().After(deadline) {
			t.Fatalf("redis is back: got %d", got)
		}
	}
	if got := send(first); got != 409 {
		t.Errorf("again: got %d, want 409", got)
	}
}

// copyRootKey gives c a data folder with the root key and the token of another.
func copyRootKey(t *testing.T, from string, c *server.Config) {
	t.Helper()
	c.Data = t.TempDir()
	for _, name := range []string{"root.key", "admin-token"} {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.Data, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
