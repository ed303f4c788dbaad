//go:build unix

package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

func TestReplayConfigRefuses(t *testing.T) {
	const redis = "redis:\n  url: redis://localhost\n"
	tests := []struct{ name, text, want string }{
		{"Mode", "replay:\n  mode: fast\n", `line 2: replay.mode: got "fast", want one of barrier, sync`},
		{"Capacity", "replay:\n  capacity: 999\n", "line 2: replay.capacity: got 999, want 1000 to 100000000"},
		{"PastIsShort", "replay:\n  past: 299s\n", "line 2: replay.past: got 4m59s, want 5m to 1d"},
		{"PastOfBarrier", "replay:\n  past: 16m\n", "line 2: replay.past: got 16m, want at most 15m with mode barrier and without redis"},
		{"PastOfSync", "replay:\n  mode: sync\n  past: 1d\n", ""},
		{"PastWithRedis", redis + "replay:\n  past: 1d\n", ""},
		{"SkewIsShort", "replay:\n  future_skew: 4s\n", "line 2: replay.future_skew: got 4s, want 5s to 5m"},
		{"SkewOfBarrier", "replay:\n  future_skew: 31s\n", "line 2: replay.future_skew: got 31s, want at most 30s with mode barrier"},
		{"SkewOfSync", "replay:\n  mode: sync\n  future_skew: 5m\n", ""},
		{"Keep", "replay:\n  keep: 31d\n", "line 2: replay.keep: got 31d, want 1m to 30d"},
		{"Scope", "replay:\n  scope: world\n", `line 2: replay.scope: got "world", want one of cluster, node`},
		{"AcceptLoss", "replay:\n  accept_loss: maybe\n", `line 2: replay.accept_loss: got "maybe", want one of false, true`},
		{"All", "replay:\n  mode: sync\n  capacity: 1000\n  past: 1h\n  future_skew: 1m\n  keep: 7d\n  scope: node\n  accept_loss: true\n", ""},
		{"None", "replay: {}\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkConfig(t, tt.text, tt.want) })
	}
}

// patient is a server that bars nothing because a busy machine has paused for
// some seconds.
func patient(t *testing.T, more string) server.Config {
	return server.Config{Data: t.TempDir(), ConfigFile: configFile(t, "replay:\n  future_skew: 30s\n"+more)}
}

// secretOfHooks is the secret of every key here, as providers show it.
const secretOfHooks = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func hookKey(name string) string {
	return fmt.Sprintf(`{"name":%q,"material":%q}`, name, base64.StdEncoding.EncodeToString([]byte(secretOfHooks)))
}

// Kinds of messages: with a signed time and a nonce, with nothing but its tag,
// and with a nonce that increases.
const (
	withTime   = "standard-webhooks"
	withTag    = "github"
	increasing = "bitfinex"
)

// message returns a message that is signed now, of which n makes a new one: the
// body of a verification that uses it up.
func message(t testing.TB, kind, key string, n int) string {
	t.Helper()
	s, err := catalogue.New(kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := sealwright.Message{Method: "POST", Host: "example.com", Target: "/hook", Body: []byte(strconv.Itoa(n)), Header: http.Header{}}
	switch kind {
	case withTime:
		m.Header["Webhook-Id"] = []string{"msg_" + strconv.Itoa(n)}
	case increasing:
		m.Header["Bfx-Nonce"] = []string{strconv.Itoa(n)}
	}
	signer := sealwright.Signer{Scheme: s, Ring: keyring.Must(keyring.Key{ID: key, Version: 1, Secret: secret.FromString(secretOfHooks)})}
	if m, err = signer.Sign(m, time.Now()); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(scheme.NewRequest(m))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"scheme":%q,"key":%q,"claim":true,"request":%s}`, kind, key, text)
}

// claim uses a message up on a server. It returns fresh, replayed, the reason of
// another refusal, or the status that was answered instead.
func claim(post func(path, body string) (int, string), body string) string {
	status, text := post("/v1/requests/verify", body)
	var v api.RequestVerdict
	if err := json.Unmarshal([]byte(text), &v); status != 200 || err != nil {
		return strconv.Itoa(status)
	}
	if v.Valid != (v.Replay == api.ReplayFresh) {
		return "contradiction: " + text
	}
	if v.Replay != "" {
		return v.Replay
	}
	return v.Reason
}

func to(t *testing.T, s *servertest.Server) func(path, body string) (int, string) {
	return func(path, body string) (int, string) {
		status, _, text := s.Do(t, "POST", path, body)
		return status, text
	}
}

func (g *group) to(p *process) func(path, body string) (int, string) {
	return func(path, body string) (int, string) {
		r := g.call(p, "POST", path, body)
		return r.status, r.body
	}
}

// TestA11_ClaimOverREST: a message of any kind is valid once, before and after a
// restart.
func TestA11_ClaimOverREST(t *testing.T) {
	c := patient(t, "")
	s := servertest.StartConfig(t, c)
	must[api.Key](t, s, "POST", "/v1/keys", hookKey("a"))
	used := map[string]string{}
	for _, kind := range []string{withTime, withTag, increasing} {
		used[kind] = message(t, kind, "a", 7)
		for i, want := range []string{"fresh", "replayed", "replayed"} {
			if got := claim(to(t, s), used[kind]); got != want {
				t.Errorf("%s, use %d: got %s, want %s", kind, i, got, want)
			}
		}
		if got := claim(to(t, s), message(t, kind, "a", 8)); got != "fresh" {
			t.Errorf("%s, another message: got %s", kind, got)
		}
	}
	if got := claim(to(t, s), message(t, increasing, "a", 6)); got != "replayed" {
		t.Errorf("a lower nonce: got %s", got)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s = servertest.StartConfig(t, c)
	for kind, body := range used {
		if got := claim(to(t, s), body); got != "replayed" && (got != "503" || kind != withTime) { // after a longer pause
			t.Errorf("%s, after a restart: got %s, want replayed", kind, got)
		}
	}
	if got := claim(to(t, s), message(t, withTag, "a", 9)); got != "fresh" {
		t.Errorf("after a restart: got %s", got)
	}
}

// TestA12_ClaimOverREST: a stranger who knows the nonce of somebody else does not
// use it up.
func TestA12_ClaimOverREST(t *testing.T) {
	s := servertest.StartConfig(t, patient(t, ""))
	must[api.Key](t, s, "POST", "/v1/keys", hookKey("a"))
	for kind, want := range map[string]string{withTime: "wrong-signature", increasing: "wrong-signature"} {
		good := message(t, kind, "a", 5)
		for range 10 {
			if got := claim(to(t, s), strings.Replace(good, `"body":"5"`, `"body":"6"`, 1)); got != want {
				t.Fatalf("%s, of a stranger: got %s, want %s", kind, got, want)
			}
		}
		if got := claim(to(t, s), good); got != "fresh" {
			t.Errorf("%s: got %s", kind, got)
		}
	}
}

// TestA25_ClaimOverREST: what was used of one key, context or scheme says nothing
// of another, and a key has one memory under all IDs.
func TestA25_ClaimOverREST(t *testing.T) {
	s := servertest.StartConfig(t, patient(t, ""))
	for _, name := range []string{"a", "b"} {
		must[api.Key](t, s, "POST", "/v1/keys", hookKey(name))
	}
	for _, kind := range []string{withTime, increasing} {
		for _, key := range []string{"a", "b"} { // with the same nonce
			body := message(t, kind, key, 5)
			if got := claim(to(t, s), body); got != "fresh" {
				t.Errorf("%s, key %s: got %s", kind, key, got)
			}
			if kind == increasing { // whose ID stands in the message
				continue
			}
			if got := claim(to(t, s), strings.Replace(body, "{", `{"key_id":"z",`, 1)); got != "replayed" {
				t.Errorf("%s, key %s under another ID: got %s", kind, key, got)
			}
		}
	}
}

// TestA38_OverREST: who guesses is refused before anything is looked at, and
// nobody else is.
func TestA38_OverREST(t *testing.T) {
	s := servertest.StartConfig(t, server.Config{ConfigFile: configFile(t, "trusted_proxies: 127.0.0.1\n")})
	ask := func(from, token, method, path, body string) (int, string) {
		h := bearer(token)
		h["X-Forwarded-For"], h["X-Forwarded-Proto"] = []string{from}, []string{"https"}
		return request(t, method, s.URL+path, body, h)
	}
	admin := string(s.Token.Expose())
	if status, text := ask("192.0.2.9", admin, "POST", "/v1/callers", `{"name":"ci","grants":[{"role":"auditor"}]}`); status != 201 {
		t.Fatalf("got %d %s", status, text)
	}
	_, text := ask("192.0.2.9", admin, "POST", "/v1/callers/ci/credentials", `{"kind":"token"}`)
	var token api.Credential
	if err := json.Unmarshal([]byte(text), &token); err != nil {
		t.Fatal(err)
	}
	list := func(from, token string) int {
		status, _ := ask(from, token, "GET", "/v1/keys", "")
		return status
	}
	if got := list("192.0.2.7", token.Secret); got != 200 {
		t.Fatalf("before: got %d", got)
	}
	limited := false
	for range 5000 { // 50 at once and 10 a second
		if got := list("192.0.2.7", token.Secret[:len(token.Secret)-1]+"!"); got == 429 {
			limited = true
			break
		} else if got != 401 {
			t.Fatalf("a guess: got %d", got)
		}
	}
	if !limited {
		t.Fatal("guesses are not limited")
	}
	if got := list("192.0.2.8", token.Secret); got != 200 {
		t.Errorf("the same caller from another address: got %d", got)
	}
}

// TestA13_ClaimFull: a guard that is full refuses and forgets nothing, one key
// does not take the room of the others, and the operator is told in time.
func TestA13_ClaimFull(t *testing.T) {
	s := servertest.StartConfig(t, patient(t, "  capacity: 1000\n"))
	keys := []string{"a", "b", "c", "d"}
	for _, name := range keys {
		must[api.Key](t, s, "POST", "/v1/keys", hookKey(name))
	}
	first := message(t, withTime, "a", 0)
	n := 0
	for ; n < 1000; n++ {
		body := first
		if n > 0 {
			body = message(t, withTime, "a", n)
		}
		if got := claim(to(t, s), body); got == "503" {
			break
		} else if got != "fresh" {
			t.Fatalf("message %d: got %s", n, got)
		}
	}
	if n < 250 || n > 260 { // a quarter
		t.Errorf("one key has the room for %d messages, want 250", n)
	}
	_, header, text := s.Do(t, "POST", "/v1/requests/verify", message(t, withTime, "a", 2000))
	if header.Get("Retry-After") != "20" || !strings.Contains(text, `"code":"unavailable"`) {
		t.Errorf("full: got retry after %q, %s", header.Get("Retry-After"), text)
	}
	if got := claim(to(t, s), first); got != "replayed" {
		t.Errorf("the earliest message: got %s", got)
	}
	for _, key := range keys[1:] {
		for i := range 200 {
			if got := claim(to(t, s), message(t, withTime, key, i)); got != "fresh" {
				t.Fatalf("key %s: got %s", key, got)
			}
		}
	}
	if _, _, text := s.Do(t, "GET", "/readyz", ""); !strings.HasPrefix(text, "ok\n") || !strings.Contains(text, "replay guard is filling up: 8") {
		t.Errorf("readyz: got %q", text)
	}
	_, _, metrics := s.Do(t, "GET", "/metrics", "")
	for _, want := range []string{
		fmt.Sprintf("sealwright_replay_claims{guard=\"signed\"} %d\n", n+600), "sealwright_replay_capacity{guard=\"signed\"} 1000\n",
		"sealwright_replay_capacity{guard=\"arrival\"} 0\n", "sealwright_replay_barred_until_seconds{guard=\"signed\"} 0\n",
		fmt.Sprintf("sealwright_replay_checks_total{outcome=\"fresh\"} %d\n", n+600), "sealwright_replay_checks_total{outcome=\"full-share\"} 2\n",
		"sealwright_replay_checks_total{outcome=\"replayed\"} 1\n", "sealwright_replay_alarms_total ", "sealwright_requests_shed_total 0\n", "sealwright_connections_refused_total 0\n",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
}

// TestA13_Kill kills a server while messages are used up. What it has accepted is
// never accepted again, and new messages are, in each mode.
func TestA13_Kill(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"barrier", "sync"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel() // they mostly wait
			config := "SEALWRIGHT_TEST_CONFIG=" + configFile(t, "replay:\n  mode: "+mode+"\n")
			g := &group{}
			data := t.TempDir()
			p := g.addIn(t, data, "", config)
			g.must(t, p, "POST", "/v1/keys", hookKey("a"))
			used := g.killWhileUsed(t, p)
			p = g.addIn(t, data, "", config)
			for kind, bodies := range used {
				for _, body := range bodies {
					got := claim(g.to(p), body)
					if barred := got == "503" && kind == withTime; got != "replayed" && !barred {
						t.Errorf("%s, used before the crash: got %s", kind, got)
					}
				}
			}
			n := 1_000_000
			soon(t, "new messages are taken", func() bool {
				n++
				return claim(g.to(p), message(t, withTime, "a", n)) == "fresh"
			})
			for kind, bodies := range used {
				if got := claim(g.to(p), bodies[0]); got != "replayed" && (got != "503" || kind != withTime) {
					t.Errorf("%s, later: got %s", kind, got)
				}
			}
			for _, kind := range []string{withTag, increasing} {
				if got := claim(g.to(p), message(t, kind, "a", n)); got != "fresh" {
					t.Errorf("%s, a new message: got %s", kind, got)
				}
			}
		})
	}
}

// killWhileUsed returns messages that p has accepted before it was killed, by
// their kind.
func (g *group) killWhileUsed(t *testing.T, p *process) map[string][]string {
	t.Helper()
	var mu sync.Mutex
	var workers sync.WaitGroup
	used := map[string][]string{}
	enough := make(chan struct{}, 3)
	for _, kind := range []string{withTime, withTag, increasing} {
		workers.Go(func() {
			for n := 1; ; n++ {
				body := message(t, kind, "a", n)
				switch got := claim(g.to(p), body); got {
				case "0": // it is killed
					return
				case "503": // after a long pause of the machine
					continue
				case "fresh":
				default:
					t.Errorf("%s: got %s", kind, got)
					return
				}
				mu.Lock()
				used[kind] = append(used[kind], body)
				if len(used[kind]) == 30 {
					enough <- struct{}{}
				}
				mu.Unlock()
			}
		})
	}
	for range 3 {
		select {
		case <-enough:
		case <-time.After(patience):
			t.Error("the messages are not taken")
		}
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	workers.Wait()
	return used
}

// TestA13_ThreeNodes runs three processes on a real PostgreSQL and a real Redis
// that keeps nothing on disk.
func TestA13_ThreeNodes(t *testing.T) {
	t.Parallel()
	redis := peer.StartRedis(t, peer.RedisOptions{})
	config := "SEALWRIGHT_TEST_CONFIG=" + configFile(t, "redis:\n  url: "+redis.URL()+"\n  timeout: 250ms\n")
	g, store := &group{}, peer.StartPostgres(t).NewDatabase(t)
	for range 3 {
		g.add(t, store, config)
	}
	g.must(t, g.nodes[0], "POST", "/v1/keys", hookKey("a"))
	for _, p := range g.nodes {
		soon(t, "the key is known", func() bool { return g.call(p, "GET", "/v1/keys/a", "").status == 200 })
	}
	g.unbarred(t, 1)
	t.Run("Copies", func(t *testing.T) { g.testCopies(t) })
	t.Run("CopiesOfRequest", func(t *testing.T) { g.testCopiesOfRequest(t) })
	t.Run("RedisAway", func(t *testing.T) { g.testRedisAway(t, redis) })
}

// unbarred waits until every node takes new messages, which are n and those
// after it.
func (g *group) unbarred(t *testing.T, n int) {
	t.Helper()
	for i, p := range g.nodes {
		soon(t, fmt.Sprintf("node %d takes new messages", i), func() bool {
			n++
			return claim(g.to(p), message(t, withTime, "a", n)) == "fresh"
		})
	}
}

// testCopies sends 100 copies of one message of each kind to all nodes at the
// same time, and of another one if no node could tell in time whether Redis had
// taken it.
func (g *group) testCopies(t *testing.T) {
	for _, kind := range []string{withTime, increasing} {
		n := 10_000
		soon(t, "one copy is accepted", func() bool {
			n++
			fresh := g.copies(t, message(t, kind, "a", n))
			if fresh > 1 {
				t.Fatalf("%s: %d copies were accepted", kind, fresh)
			}
			return fresh == 1
		})
	}
}

// copies sends 100 copies, each again until it is answered, and returns how many
// were accepted.
func (g *group) copies(t *testing.T, body string) int64 {
	var fresh atomic.Int64
	var copies sync.WaitGroup
	for i := range 100 {
		copies.Go(func() {
			for {
				switch got := claim(g.to(g.nodes[i%3]), body); got {
				case "fresh":
					fresh.Add(1)
				case "replayed":
				case "503":
					continue
				default:
					t.Errorf("got %s", got)
				}
				return
			}
		})
	}
	copies.Wait()
	return fresh.Load()
}

// testCopiesOfRequest sends 100 copies of a request that a caller has signed, as
// a load balancer hands them to all nodes.
func (g *group) testCopiesOfRequest(t *testing.T) {
	g.must(t, g.nodes[0], "POST", "/v1/callers", `{"name":"ci","grants":[{"role":"auditor"}]}`)
	var key api.Credential
	if err := json.Unmarshal([]byte(g.must(t, g.nodes[0], "POST", "/v1/callers/ci/credentials", `{"kind":"signature"}`)), &key); err != nil {
		t.Fatal(err)
	}
	const url = "http://balancer.example/v1/keys"
	send := func(p *process, header http.Header) int {
		r, err := http.NewRequest("GET", p.url+"/v1/keys", nil)
		if err != nil {
			return 0
		}
		r.Host, r.Header = "balancer.example", header.Clone()
		answer, err := clients.Do(r)
		if err != nil {
			return 0
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	for _, p := range g.nodes {
		soon(t, "the credential is known", func() bool { return send(p, signedBy(t, key, "GET", url, "")) == 200 })
	}
	soon(t, "one copy is accepted", func() bool {
		var fresh atomic.Int64
		var copies sync.WaitGroup
		header := signedBy(t, key, "GET", url, "")
		for i := range 100 {
			copies.Go(func() {
				switch got := send(g.nodes[i%3], header); got {
				case 200:
					fresh.Add(1)
				case 409, 503:
				default:
					t.Errorf("got %d", got)
				}
			})
		}
		copies.Wait()
		if fresh.Load() > 1 {
			t.Fatalf("%d copies were accepted", fresh.Load())
		}
		return fresh.Load() == 1
	})
}

// testRedisAway pauses and kills Redis, which forgets everything, while copies of
// messages are sent to all nodes: none is accepted twice, then and later.
func (g *group) testRedisAway(t *testing.T, redis *peer.Redis) {
	var mu sync.Mutex
	accepted := map[string]int{} // by message; every one that was sent is there
	var taken atomic.Int64
	send := func(p *process, body string) {
		fresh := 0
		if claim(g.to(p), body) == "fresh" {
			fresh = 1
			taken.Add(1)
		}
		mu.Lock()
		accepted[body] += fresh
		mu.Unlock()
	}
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for w := range 3 {
		workers.Go(func() {
			for n := 100_000 * (w + 1); ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
				body := message(t, withTime, "a", n)
				var copies sync.WaitGroup
				for _, p := range g.nodes {
					copies.Go(func() { send(p, body) })
				}
				copies.Wait()
			}
		})
	}
	progress := func(what string) {
		t.Helper()
		at := taken.Load()
		soon(t, what, func() bool { return taken.Load() > at+20 })
	}
	progress("messages are taken")
	redis.Pause(t)
	time.Sleep(600 * time.Millisecond) // so that answers are lost
	redis.Resume(t)
	progress("messages are taken after a pause")
	redis.Crash(t)
	time.Sleep(100 * time.Millisecond)
	redis.Start(t)
	progress("messages are taken by a Redis that has forgotten all")
	close(stop)
	workers.Wait()
	i := 0
	for body := range accepted {
		send(g.nodes[i%len(g.nodes)], body)
		i++
	}
	for body, n := range accepted {
		if n > 1 {
			t.Errorf("accepted %d times: %s", n, body)
		}
	}
	t.Logf("%d messages, %d accepted", len(accepted), taken.Load())
}

// TestReplayScope: nodes that share nothing do not start beside each other
// unless that is asked for, and a node that was killed starts again at once.
func TestReplayScope(t *testing.T) {
	store := peer.StartPostgres(t).NewDatabase(t)
	g := &group{}
	data := t.TempDir()
	first := g.addIn(t, data, store, "SEALWRIGHT_TEST_CONFIG=")
	second := server.Config{Store: store}
	copyRootKey(t, data, &second)
	err := run(t, second)
	if err == nil || !strings.Contains(err.Error(), "another node uses the database, process "+strconv.Itoa(first.Process.Pid)) || !strings.Contains(err.Error(), "replay.scope") {
		t.Errorf("beside another node: got %v", err)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	g.addIn(t, data, store, "SEALWRIGHT_TEST_CONFIG=") // it is not taken for another one
	second.ConfigFile = eachAlone(t)
	servertest.StartConfig(t, second)
}

// TestReplayLoss: when what was remembered of messages without a signed time is
// gone, they are refused until the operator accepts that.
func TestReplayLoss(t *testing.T) {
	c := server.Config{Data: t.TempDir()}
	s := servertest.StartConfig(t, c)
	must[api.Key](t, s, "POST", "/v1/keys", hookKey("a"))
	if got := claim(to(t, s), message(t, withTag, "a", 1)); got != "fresh" {
		t.Fatalf("got %s", got)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(c.Data, "replay")); err != nil {
		t.Fatal(err)
	}
	s = servertest.StartConfig(t, c)
	for n := 1; n < 3; n++ {
		if got := claim(to(t, s), message(t, withTag, "a", n)); got != "503" {
			t.Errorf("message %d after a loss: got %s", n, got)
		}
	}
	if got := claim(to(t, s), message(t, increasing, "a", 1)); got != "fresh" { // the store has those
		t.Errorf("increasing: got %s", got)
	}
	_, _, text := s.Do(t, "GET", "/readyz", "")
	for _, want := range []string{"messages signed until ", "messages without a signed time are refused"} {
		if !strings.Contains(text, want) {
			t.Errorf("readyz: got %q, want %q", text, want)
		}
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.Log.String(), "replay.accept_loss") {
		t.Error("the log does not say what to do")
	}
	c.ConfigFile = configFile(t, "replay:\n  accept_loss: true\n")
	s = servertest.StartConfig(t, c)
	for i, want := range []string{"fresh", "replayed"} {
		if got := claim(to(t, s), message(t, withTag, "a", 1)); got != want {
			t.Errorf("accepted loss, use %d: got %s, want %s", i, got, want)
		}
	}
}
