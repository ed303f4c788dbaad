//go:build unix

package server_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/internal/peer"
)

// patience bounds what has to happen soon. It is long, since a machine may be
// busy; how long it took is logged.
const patience = 90 * time.Second

// TestNodes runs several server processes on a real PostgreSQL.
func TestNodes(t *testing.T) {
	p := peer.StartPostgres(t)
	for name, part := range map[string]func(*testing.T){
		"Rotate": func(t *testing.T) { testNodesRotate(t, p.NewDatabase(t)) },
		"Kill":   func(t *testing.T) { testNodesKill(t, p.NewDatabase(t)) },
		"CutOff": func(t *testing.T) { testNodesCutOff(t, p) },
		"Once":   func(t *testing.T) { testNodesOnce(t, p.NewDatabase(t)) },
		"Start":  func(t *testing.T) { testNodesStart(t, p.NewDatabase(t)) },
		"Crash":  func(t *testing.T) { testNodesCrash(t, peer.StartPostgres(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they mostly wait
			part(t)
		})
	}
}

// group is several nodes with the same root key, and the admin token of the
// first one.
type group struct {
	nodes []*process
	store string
	token string
}

// startNodes starts n nodes on a database, one after the other.
func startNodes(t *testing.T, store string, n int) *group {
	t.Helper()
	g := &group{store: store}
	for range n {
		g.add(t, store)
	}
	return g
}

// add starts another node. It gets the root key of the first one.
func (g *group) add(t *testing.T, store string, env ...string) *process {
	t.Helper()
	data := t.TempDir()
	if len(g.nodes) > 0 {
		key, err := os.ReadFile(filepath.Join(g.nodes[0].data, "root.key"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(data, "root.key"), key, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return g.addIn(t, data, store, env...)
}

func (g *group) addIn(t *testing.T, data, store string, env ...string) *process {
	t.Helper()
	p := spawn(t, data, append([]string{"SEALWRIGHT_TEST_STORE=" + store, "SEALWRIGHT_TEST_CONFIG=" + eachAlone(t)}, env...)...)
	p.data = data
	t.Cleanup(func() { // an end by SIGTERM too is tested
		if p.ProcessState != nil {
			return
		}
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := p.Wait(); err != nil {
			t.Errorf("the end of a node: %v", err)
		}
	})
	if g.token == "" {
		raw, err := os.ReadFile(filepath.Join(data, "admin-token"))
		if err != nil {
			t.Fatal(err)
		}
		g.token = strings.TrimSpace(string(raw))
	}
	g.nodes = append(g.nodes, p)
	return p
}

// reply is what a node answers.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) String() string { return fmt.Sprintf("%d %s", r.status, r.body) }

// valid reports whether the answer says that a tag is right.
func (r reply) valid() bool { return r.status == 200 && strings.Contains(r.body, `"valid":true`) }

// refused reports whether the answer says that a tag is wrong.
func (r reply) refused() bool { return r.status == 200 && strings.Contains(r.body, `"valid":false`) }

// clients keeps as many connections as there are workers.
var clients = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// call sends a request to a node. Without an answer the status is 0.
func (g *group) call(p *process, method, path, body string, header ...string) reply {
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		return reply{body: err.Error()}
	}
	r.Header.Set("Authorization", "Bearer "+g.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := clients.Do(r)
	if err != nil {
		return reply{body: err.Error()}
	}
	defer answer.Body.Close()
	var text bytes.Buffer
	if _, err := io.Copy(&text, answer.Body); err != nil {
		return reply{body: err.Error()}
	}
	return reply{answer.StatusCode, answer.Header, text.String()}
}

func (g *group) must(t *testing.T, p *process, method, path, body string) string {
	t.Helper()
	r := g.call(p, method, path, body)
	if r.status < 200 || r.status > 299 {
		t.Fatalf("%s %s: got %v", method, path, r)
	}
	return r.body
}

// sign returns the answer to a signature by key on a node.
func (g *group) sign(p *process, key, text string) (api.Signed, reply) {
	r := g.call(p, "POST", "/v1/keys/"+key+"/sign", fmt.Sprintf(`{"text":%q}`, text))
	var s api.Signed
	if err := json.Unmarshal([]byte(r.body), &s); err != nil || s.Signature == "" {
		return s, reply{status: r.status, body: r.body}
	}
	return s, r
}

func (g *group) mustSign(t *testing.T, p *process, key, text string) api.Signed {
	t.Helper()
	s, r := g.sign(p, key, text)
	if s.Signature == "" {
		t.Fatalf("sign: got %v", r)
	}
	return s
}

// verify verifies what sign returned, by its signature, or by its tag alone.
func (g *group) verify(p *process, s api.Signed, text string, byTag bool) reply {
	body := fmt.Sprintf(`{"text":%q,"signature":%q}`, text, s.Signature)
	if byTag {
		body = fmt.Sprintf(`{"text":%q,"tag":%q}`, text, s.Tag)
	}
	return g.call(p, "POST", "/v1/keys/"+s.Key+"/verify", body)
}

// soon waits until ok, and returns how long that took.
func soon(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > patience {
			t.Fatalf("%s: not after %v", what, patience)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}

// everywhere waits until all nodes answer so.
func (g *group) everywhere(t *testing.T, what string, ok func(*process) bool) time.Duration {
	t.Helper()
	return soon(t, what, func() bool {
		for _, p := range g.nodes {
			if !ok(p) {
				return false
			}
		}
		return true
	})
}

// create makes a key on the first node and waits until all have it.
func (g *group) create(t *testing.T, name string) time.Duration {
	t.Helper()
	g.must(t, g.nodes[0], "POST", "/v1/keys", `{"name":"`+name+`"}`)
	return g.everywhere(t, "the new key on every node", func(p *process) bool {
		return g.call(p, "GET", "/v1/keys/"+name, "").status == 200
	})
}

func (g *group) key(p *process, name string) (k api.Key, r reply) {
	r = g.call(p, "GET", "/v1/keys/"+name, "")
	if json.Unmarshal([]byte(r.body), &k) != nil || r.status != 200 {
		return api.Key{}, r
	}
	return k, r
}

// signing returns the version of a key that signs on a node, 0 if that is not
// known.
func (g *group) signing(p *process, name string) int {
	k, _ := g.key(p, name)
	for _, v := range k.Versions {
		if v.State == "active" {
			return v.Version
		}
	}
	return 0
}

// traffic signs on every node and verifies on every other one at once, until
// it is stopped.
type traffic struct {
	stop   atomic.Bool
	done   sync.WaitGroup
	signed atomic.Int64
	checks atomic.Int64
	mu     sync.Mutex
	wrong  []string // what was not as it must be
}

// begin sends requests with key to the nodes that are there now.
func (g *group) begin(t *testing.T, key string) *traffic {
	x := &traffic{}
	t.Cleanup(func() { // if the test ends early
		x.stop.Store(true)
		x.done.Wait()
	})
	note := func(format string, args ...any) {
		x.mu.Lock()
		defer x.mu.Unlock()
		if len(x.wrong) < 20 {
			x.wrong = append(x.wrong, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
		}
	}
	nodes := slices.Clone(g.nodes)
	for i, at := range nodes {
		x.done.Go(func() {
			for n := 0; !x.stop.Load(); n++ {
				time.Sleep(time.Millisecond) // others want the processor too
				text := fmt.Sprintf("%d-%d", i, n)
				s, r := g.sign(at, key, text)
				if s.Signature == "" {
					note("sign on node %d: got %v", i, r)
					time.Sleep(10 * time.Millisecond)
					continue
				}
				x.signed.Add(1)
				for j, p := range nodes {
					if r := g.verify(p, s, text, n%2 == 0); r.valid() {
						x.checks.Add(1)
					} else {
						note("version %d of node %d on node %d: got %v", s.Version, i, j, r)
					}
				}
			}
		})
	}
	return x
}

func (x *traffic) end(t *testing.T) {
	t.Helper()
	x.stop.Store(true)
	x.done.Wait()
	for _, w := range x.wrong {
		t.Error(w)
	}
	t.Logf("%d signatures, %d verifications", x.signed.Load(), x.checks.Load())
	if x.checks.Load() == 0 {
		t.Error("nothing was verified")
	}
}

// rotate rotates a key on a node and waits until it signs with the new version.
func (g *group) rotate(t *testing.T, p *process, key string) time.Duration {
	t.Helper()
	var k api.Key
	if text := g.must(t, p, "POST", "/v1/keys/"+key+"/rotate", `{}`); json.Unmarshal([]byte(text), &k) != nil {
		t.Fatalf("rotate: got %s", text)
	}
	return soon(t, "the promotion", func() bool { return g.signing(p, key) == len(k.Versions) })
}

// While keys are rotated, each node verifies what any other one signs, at every
// moment. What is revoked is refused by all within a second.
func testNodesRotate(t *testing.T, store string) {
	g := startNodes(t, store, 3)
	t.Logf("a new key was on every node after %v", g.create(t, "busy"))
	g.create(t, "leaked")
	x := g.begin(t, "busy")
	began := time.Now()
	var took []string
	for i := 0; i < 6 || time.Since(began) < 5*time.Second; i++ {
		took = append(took, g.rotate(t, g.nodes[i%3], "busy").Round(time.Millisecond).String())
	}
	t.Logf("%d rotations, promoted after %v", len(took), took)

	before := g.mustSign(t, g.nodes[0], "leaked", "m")
	g.must(t, g.nodes[1], "POST", "/v1/keys/leaked/rotate", `{"revoke_current":true}`)
	g.wantRefused(t, "an emergency", before)
	second := g.mustSign(t, g.nodes[2], "leaked", "m")
	g.rotate(t, g.nodes[2], "leaked")
	if r := g.verify(g.nodes[0], second, "m", false); !r.valid() {
		t.Errorf("in its grace period: got %v", r)
	}
	g.must(t, g.nodes[0], "POST", "/v1/keys/leaked/versions/2/revoke", `{}`)
	g.wantRefused(t, "a revocation", second)
	x.end(t)
	t.Run("AtOnce", func(t *testing.T) { g.testAtOnce(t) })
	t.Run("Cursor", func(t *testing.T) { g.testCursor(t) })
	t.Run("Lease", func(t *testing.T) { g.testLease(t) })
}

// wantRefused waits until no node takes a signature, and checks that it stays
// so.
func (g *group) wantRefused(t *testing.T, why string, s api.Signed) {
	t.Helper()
	took := g.everywhere(t, why, func(p *process) bool { return g.verify(p, s, "m", false).refused() })
	t.Logf("%s was known to every node after %v", why, took.Round(time.Millisecond))
	if took > 10*time.Second { // it should be one
		t.Errorf("%s took %v to reach every node", why, took)
	}
	for range 20 {
		for i, p := range g.nodes {
			for _, byTag := range []bool{false, true} {
				if r := g.verify(p, s, "m", byTag); !r.refused() {
					t.Errorf("after %s: node %d answers %v", why, i, r)
				}
			}
		}
	}
}

// Any node goes on with a list that another one began.
func (g *group) testCursor(t *testing.T) {
	var page api.KeyList
	if text := g.must(t, g.nodes[0], "GET", "/v1/keys?limit=1", ""); json.Unmarshal([]byte(text), &page) != nil || page.NextCursor == "" {
		t.Fatalf("got %s", text)
	}
	for i, p := range g.nodes {
		if r := g.call(p, "GET", "/v1/keys?limit=1&cursor="+page.NextCursor, ""); r.status != 200 {
			t.Errorf("node %d: got %v", i, r)
		}
	}
	changed := page.NextCursor[:4] + "AAAA" + page.NextCursor[8:]
	if r := g.call(g.nodes[0], "GET", "/v1/keys?cursor="+changed, ""); r.status != 422 {
		t.Errorf("a cursor that was changed: got %v", r)
	}
}

// Of two operators who rotate at once on two nodes, one wins.
func (g *group) testAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header []string
		loses  int
	}{{"IfMatch", []string{"If-Match", `"1"`}, 412}, {"Pending", nil, 409}} {
		for round := range 5 {
			name := fmt.Sprintf("%s-%d", strings.ToLower(tt.name), round)
			g.must(t, g.nodes[0], "POST", "/v1/keys", `{"name":"`+name+`"}`)
			var replies [2]reply
			var both sync.WaitGroup
			for i := range replies {
				both.Go(func() {
					replies[i] = g.call(g.nodes[i], "POST", "/v1/keys/"+name+"/rotate", `{}`, tt.header...)
				})
			}
			both.Wait()
			a, b := replies[0].status, replies[1].status
			if min(a, b) != 200 || max(a, b) != tt.loses {
				t.Errorf("%s: got %v and %v, want 200 and %d", tt.name, replies[0], replies[1], tt.loses)
			}
		}
	}
}

// A limit of uses is exact on several nodes together.
func (g *group) testLease(t *testing.T) {
	const uses, tries = 20, 50
	var l api.Lease
	text := g.must(t, g.nodes[0], "POST", "/v1/keys/busy/leases", fmt.Sprintf(`{"ttl":"10m","max_uses":%d}`, uses))
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	m := hmac.New(sha256.New, l.Material)
	m.Write([]byte("m"))
	body := fmt.Sprintf(`{"text":"m","tag":%q}`, hex.EncodeToString(m.Sum(nil)))
	var valid, usedUp atomic.Int64
	var all sync.WaitGroup
	for i := range tries {
		all.Go(func() {
			switch r := g.call(g.nodes[i%2], "POST", "/v1/keys/busy/leases/"+l.ID+"/verify", body); {
			case r.valid():
				valid.Add(1)
			case r.refused() && strings.Contains(r.body, "lease-used-up"):
				usedUp.Add(1)
			default:
				t.Errorf("got %v", r)
			}
		})
	}
	all.Wait()
	if valid.Load() != uses || usedUp.Load() != tries-uses {
		t.Errorf("%d of %d uses were granted, want %d; %d were refused", valid.Load(), tries, uses, usedUp.Load())
	}
}

// A node that is killed in a rotation delays it by no more than the time after
// which it counts as gone, and agrees when it is back.
func testNodesKill(t *testing.T, store string) {
	g := startNodes(t, store, 3)
	g.create(t, "a")
	old := g.mustSign(t, g.nodes[2], "a", "m")
	g.must(t, g.nodes[2], "POST", "/v1/keys/a/rotate", `{}`)
	killed := g.nodes[2]
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait() // an end by a signal
	g.nodes = g.nodes[:2]
	g.addIn(t, killed.data, store)
	took := g.everywhere(t, "the promotion", func(p *process) bool { return g.signing(p, "a") == 2 })
	t.Logf("the rotation was done after %v", took.Round(time.Millisecond))
	for i, p := range g.nodes {
		s := g.mustSign(t, p, "a", "m")
		for j, q := range g.nodes {
			if r := g.verify(q, s, "m", true); !r.valid() {
				t.Errorf("signed on node %d, verified on node %d: got %v", i, j, r)
			}
			if r := g.verify(q, old, "m", true); !r.valid() {
				t.Errorf("signed before, verified on node %d: got %v", j, r)
			}
		}
	}
	x := g.begin(t, "a")
	g.rotate(t, g.nodes[2], "a")
	x.end(t)
}

// Nodes that start while keys are rotated verify what others sign from their
// first answer on, and need no admin token of their own.
func testNodesStart(t *testing.T, store string) {
	g := startNodes(t, store, 1)
	g.create(t, "a")
	x := g.begin(t, "a")
	for i := range 3 {
		g.must(t, g.nodes[0], "POST", "/v1/keys/a/rotate", `{}`)
		p := g.add(t, store)
		for range 20 {
			text := time.Now().String()
			s := g.mustSign(t, g.nodes[0], "a", text)
			if r := g.verify(p, s, text, false); !r.valid() {
				t.Errorf("version %d on a node that has just started: got %v", s.Version, r)
			}
		}
		if _, err := os.Stat(filepath.Join(p.data, "admin-token")); err == nil {
			t.Error("a second node made an admin token")
		}
		soon(t, "the promotion", func() bool { return g.signing(g.nodes[0], "a") == i+2 })
	}
	x.end(t)
}

// A node that is cut off does not take for invalid what it cannot have heard of,
// then refuses everything, and recovers.
func testNodesCutOff(t *testing.T, p *peer.Postgres) {
	store := p.NewDatabase(t)
	g := startNodes(t, store, 1)
	x, through := startCut(t, p.Socket(), store)
	apart := g.add(t, through, "SEALWRIGHT_TEST_HASTE=1")
	g.create(t, "a")
	first := g.mustSign(t, apart, "a", "m")
	x.cut()
	notice := soon(t, "the notice", func() bool { return strings.Contains(g.call(apart, "GET", "/readyz", "").body, "cut off") })
	t.Logf("noticed after %v", notice.Round(time.Millisecond))
	g.must(t, g.nodes[0], "POST", "/v1/keys/a/rotate", `{"revoke_current":true}`)
	second := g.mustSign(t, g.nodes[0], "a", "m")
	for _, byTag := range []bool{false, true} {
		if r := g.verify(apart, second, "m", byTag); r.status != 503 {
			t.Errorf("by a version that it has not heard of: got %v, want 503", r)
		}
	}
	if r := g.call(apart, "POST", "/v1/keys/b/sign", `{"text":"m"}`); r.status != 503 {
		t.Errorf("a key that it has not heard of: got %v, want 503", r)
	}
	stale := soon(t, "that it refuses", func() bool { return g.verify(apart, first, "m", false).status == 503 })
	t.Logf("refused after another %v", stale.Round(time.Millisecond))
	if _, r := g.sign(apart, "a", "m"); r.status != 503 {
		t.Errorf("sign: got %v, want 503", r)
	}
	if r := g.call(apart, "GET", "/v1/keys", ""); r.status != 503 {
		t.Errorf("the administrator, whose token may have been replaced: got %v, want 503", r)
	}
	if r := g.call(apart, "GET", "/readyz", ""); r.status != 503 || !strings.Contains(r.body, "heard nothing from the database") {
		t.Errorf("readyz: got %v", r)
	}
	x.mend()
	back := soon(t, "that it is back", func() bool { return g.verify(apart, second, "m", true).valid() })
	t.Logf("back after %v", back.Round(time.Millisecond))
	if r := g.verify(apart, first, "m", true); !r.refused() {
		t.Errorf("what was revoked meanwhile: got %v", r)
	}
	soon(t, "that it says so", func() bool { r := g.call(apart, "GET", "/readyz", ""); return r.status == 200 && r.body == "ok\n" })
}

// While PostgreSQL is away nodes sign and verify from memory, for each other
// too. Nothing that was acknowledged is lost, and afterwards they agree.
func testNodesCrash(t *testing.T, p *peer.Postgres) {
	g := startNodes(t, p.NewDatabase(t), 3)
	g.create(t, "a")
	x := g.begin(t, "a")
	var rotating sync.WaitGroup
	var stop atomic.Bool
	var acknowledged atomic.Int64 // the newest version that an operator was told of
	for i := range g.nodes {
		rotating.Go(func() {
			for !stop.Load() {
				r := g.call(g.nodes[i], "POST", "/v1/keys/a/rotate", `{}`)
				var k api.Key
				if r.status == 200 && json.Unmarshal([]byte(r.body), &k) == nil {
					last := int64(k.Versions[len(k.Versions)-1].Version)
					for old := acknowledged.Load(); last > old && !acknowledged.CompareAndSwap(old, last); old = acknowledged.Load() {
					}
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	for _, end := range []func(testing.TB){p.Kill, p.Crash} {
		at := acknowledged.Load()
		soon(t, "a rotation", func() bool { return acknowledged.Load() > at })
		end(t)
		signed := x.checks.Load()
		soon(t, "signatures while PostgreSQL is away", func() bool { return x.checks.Load() > signed+100 })
		p.Start(t)
	}
	at := acknowledged.Load()
	soon(t, "rotations afterwards", func() bool { return acknowledged.Load() > at+1 })
	stop.Store(true)
	rotating.Wait()
	last := int(acknowledged.Load())
	took := g.everywhere(t, "the last version on every node", func(p *process) bool { return g.signing(p, "a") >= last })
	t.Logf("version %d was on every node after %v", last, took.Round(time.Millisecond))
	x.end(t)
	want, _ := g.key(g.nodes[0], "a")
	for i, p := range g.nodes {
		k, r := g.key(p, "a")
		if len(k.Versions) < last || len(k.Versions) != len(want.Versions) {
			t.Errorf("node %d: got %v, want %d versions", i, r, len(want.Versions))
		}
	}
}

// cut stands between a node and PostgreSQL.
type cut struct {
	server string

	mu    sync.Mutex
	away  bool
	conns []net.Conn
}

// startCut returns a way to the database of address that can be cut.
func startCut(t *testing.T, server, address string) (*cut, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cut") // short: the path of a socket has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	x := &cut{server: server}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			x.pass(c)
		}
	}()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return x, u.String()
}

func (x *cut) pass(client net.Conn) {
	server, err := net.Dial("unix", x.server)
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil || x.away {
		_ = client.Close()
		return
	}
	x.conns = append(x.conns, client, server)
	for _, c := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			_, _ = io.Copy(c[0], c[1])
			_, _ = c[0].Close(), c[1].Close()
		}()
	}
}

// cut breaks all connections and takes no new ones.
func (x *cut) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.away = true
	for _, c := range x.conns {
		_ = c.Close()
	}
	x.conns = nil
}

func (x *cut) mend() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.away = false
}
