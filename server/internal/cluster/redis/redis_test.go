//go:build unix

package redis_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/cluster/redis"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/limit"
)

// patient is a timeout that a busy machine keeps.
const patient = 30 * time.Second

func open(t *testing.T, p *peer.Redis, o redis.Options) *redis.Client {
	t.Helper()
	o.URL = p.URL()
	if o.Timeout == 0 {
		o.Timeout = patient
	}
	c, err := redis.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// message is a claim of a message that was signed at, with a window of 300 s.
func message(n byte, at time.Time) gate.Claim {
	return gate.Claim{ID: replay.ID{n}, At: at, Until: at.Add(300 * time.Second)}
}

// after returns an instant at which nothing is barred any more, so that tests
// need not wait. Clients get it as their clock too.
func after(c *redis.Client) time.Time { return c.Barrier().Add(time.Second) }

func claim(t *testing.T, c gate.Claims, now time.Time, m gate.Claim) replay.Outcome {
	t.Helper()
	outcome, err := c.Claim(t.Context(), now, m)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

// refused checks that a claim is not fresh, whatever it is instead.
func refused(t *testing.T, c gate.Claims, now time.Time, m gate.Claim) {
	t.Helper()
	outcome, err := c.Claim(t.Context(), now, m)
	if outcome == replay.Fresh || err == nil && outcome == 0 {
		t.Errorf("got %v, %v", outcome, err)
	}
	if err != nil && !errors.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want an error of kind unavailable", err)
	}
}

// works waits until claims are decided again, and returns when it is.
func works(t *testing.T, c *redis.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for c.Check(ctx) != nil {
		if ctx.Err() != nil {
			t.Fatal("redis does not come back")
		}
	}
}

// With a new key an empty Redis has lost nothing; what it loses later is barred
// as ever, and an epoch that is there counts.
func TestFirst(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	now := time.Now()
	untimed := func(n byte) gate.Claim { return gate.Claim{ID: replay.ID{n}, Until: now.Add(72 * time.Hour)} }
	c := open(t, p, redis.Options{First: true})
	if got := c.BarredUntil(); !got.IsZero() {
		t.Errorf("BarredUntil: got %v, want none", got)
	}
	for i, want := range []replay.Outcome{replay.Fresh, replay.Replayed} {
		for n, m := range []gate.Claim{message(1, now.Add(-time.Minute)), untimed(2)} {
			if got := claim(t, c, now, m); got != want {
				t.Errorf("message %d, use %d: got %v, want %v", n, i, got, want)
			}
		}
	}
	p.Crash(t) // with all it had
	p.Start(t)
	works(t, c)
	if got := c.BarredUntil(); got.Before(now) {
		t.Errorf("after a loss: barred until %v", got)
	}
	for _, c := range []*redis.Client{c, open(t, p, redis.Options{First: true})} {
		refused(t, c, now, message(1, now.Add(-time.Minute)))
		refused(t, c, now, untimed(2))
	}
}

func TestClaim(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	c := open(t, p, redis.Options{})
	now := after(c)
	untimed := func(n byte, keep time.Duration) gate.Claim {
		return gate.Claim{ID: replay.ID{n}, Until: now.Add(keep)}
	}
	tests := []struct {
		name  string
		claim gate.Claim
		want  replay.Outcome
	}{
		{"First", message(1, now), replay.Fresh},
		{"Second", message(1, now), replay.Replayed},
		{"OtherTime", message(1, now.Add(time.Second)), replay.Replayed}, // an ID is one use, whatever else is said
		{"OtherID", message(2, now), replay.Fresh},
		{"LastByte", gate.Claim{ID: replay.ID{15: 1}, At: now, Until: now.Add(time.Minute)}, replay.Fresh},
		{"SkewInclusive", message(3, now.Add(redis.DefaultSkew)), replay.Fresh},
		{"BeyondSkew", message(4, now.Add(redis.DefaultSkew+time.Second)), replay.Outside},
		{"LastInstant", gate.Claim{ID: replay.ID{5}, At: now, Until: now}, replay.Fresh},
		{"Over", gate.Claim{ID: replay.ID{6}, At: now, Until: now.Add(-time.Second)}, replay.Outside},
		{"AtTheBarrier", message(7, c.Barrier()), replay.Barred},
		{"AfterTheBarrier", message(8, c.Barrier().Add(time.Microsecond)), replay.Fresh},
		{"UntimedAndShort", untimed(9, 500*time.Millisecond), replay.Fresh},
		{"UntimedAndLong", untimed(10, 72*time.Hour), replay.Barred}, // redis is new: since when, nobody knows
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := claim(t, c, now, tt.claim); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	if ttl := c.Do(t, "PTTL", "sw:r:AQAAAAAAAAAAAAAAAAAAAA").(int64); ttl < 290_000 || ttl > 302_000 {
		t.Errorf("the claim expires in %d ms, want 302 s after it was made", ttl)
	}
}

// Of 100 parallel uses of a nonce on three nodes exactly one is accepted, again
// and again.
func TestA13_ParallelOnThreeNodes(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	nodes := []*redis.Client{open(t, p, redis.Options{}), open(t, p, redis.Options{}), open(t, p, redis.Options{Local: newLocal()})}
	now := after(nodes[0])
	for n := range byte(20) {
		var fresh, replayed atomic.Int64
		var group sync.WaitGroup
		for i := range 100 {
			group.Go(func() {
				switch outcome, err := nodes[i%3].Claim(t.Context(), now, message(n, now)); {
				case err != nil:
					t.Error(err)
				case outcome == replay.Fresh:
					fresh.Add(1)
				case outcome == replay.Replayed:
					replayed.Add(1)
				}
			})
		}
		group.Wait()
		if fresh.Load() != 1 || replayed.Load() != 99 {
			t.Fatalf("nonce %d: got %d fresh and %d replayed, want 1 and 99", n, fresh.Load(), replayed.Load())
		}
	}
}

// A restart forgets all, or nothing. In both cases no replay is accepted.
func TestA13_Restart(t *testing.T) {
	tests := []struct {
		name    string
		options peer.RedisOptions
		want    replay.Outcome // of the replay
		fresh   bool           // of a message that was signed before, and never seen
	}{
		{"NothingKept", peer.RedisOptions{}, replay.Barred, false},
		{"Synced", peer.RedisOptions{AppendOnly: true}, replay.Replayed, true},
		{"SyncedEachSecond", peer.RedisOptions{Settings: []string{"--appendonly", "yes", "--appendfsync", "everysec"}}, 0, false},
		{"NotSyncedWhileRewriting", peer.RedisOptions{AppendOnly: true, Settings: []string{"--no-appendfsync-on-rewrite", "yes"}}, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := peer.StartRedis(t, tt.options)
			var clock atomic.Pointer[time.Time]
			nodeClock := func() time.Time { return *clock.Load() }
			start := time.Now()
			clock.Store(&start)
			c, other := open(t, p, redis.Options{Now: nodeClock}), open(t, p, redis.Options{Now: nodeClock})
			now := after(c)
			clock.Store(&now)
			seen := message(1, now)
			if got := claim(t, c, now, seen); got != replay.Fresh {
				t.Fatalf("got %v", got)
			}
			p.Crash(t)
			refused(t, c, now, seen)
			p.Start(t)
			refused(t, c, now, seen)
			works(t, c)
			for _, node := range []*redis.Client{c, other, open(t, p, redis.Options{Now: nodeClock})} {
				works(t, node)
				if got := claim(t, node, now, seen); tt.want != 0 && got != tt.want || got == replay.Fresh {
					t.Errorf("the replay: got %v, want %v", got, tt.want)
				}
			}
			if got := claim(t, other, now, message(2, now)); (got == replay.Fresh) != tt.fresh {
				t.Errorf("another: got %v", got)
			}
			later := after(c)
			if got := claim(t, other, later, message(3, later)); got != replay.Fresh {
				t.Errorf("a later one: got %v", got)
			}
			if !tt.fresh && !c.Barrier().After(now.Add(redis.DefaultSkew)) {
				t.Errorf("the barrier is %v after the loss was found, want more than the skew", c.Barrier().Sub(now))
			}
		})
	}
}

// The barrier is a fixed instant, and the same for a node that comes later.
func TestBarrierStays(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	first := open(t, p, redis.Options{})
	barrier := first.Barrier()
	for range 3 {
		works(t, first)
		if got := open(t, p, redis.Options{}).Barrier(); !got.Equal(barrier) || !first.Barrier().Equal(barrier) {
			t.Errorf("got %v, then %v, %v", barrier, first.Barrier(), got)
		}
	}
}

// FLUSHALL leaves the process and its connections as they are.
func TestA13_FlushAll(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{AppendOnly: true})
	c, other := open(t, p, redis.Options{}), open(t, p, redis.Options{})
	now := after(c)
	seen := message(1, now)
	if got := claim(t, c, now, seen); got != replay.Fresh {
		t.Fatalf("got %v", got)
	}
	c.Do(t, "FLUSHALL")
	refused(t, other, now, seen) // and is written again by that
	c.Do(t, "FLUSHALL")
	refused(t, c, now, message(2, now))
	works(t, other) // begins a new epoch
	refused(t, c, now, message(3, now))
	works(t, c)
	later := after(c)
	if got := claim(t, c, later, message(4, later)); got != replay.Fresh {
		t.Errorf("a later one: got %v", got)
	}
	if got := claim(t, c, later, message(5, c.Barrier())); got != replay.Barred {
		t.Errorf("one that was signed before: got %v", got)
	}
}

// Run notices what claims met, and what happens without any.
func TestRunNotices(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	var log lines
	c := open(t, p, redis.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { c.Run(ctx) })
	defer func() { stop(); group.Wait() }()
	barrier := c.Barrier()
	c.Do(t, "FLUSHALL")
	until(t, func() bool { return c.Barrier().After(barrier) })
	if notice := c.Notice(); notice != "" {
		t.Errorf("got %q", notice)
	}
	p.Crash(t)
	until(t, func() bool { return strings.HasPrefix(c.Notice(), "redis has been away since 20") })
	p.Start(t)
	until(t, func() bool { return c.Notice() == "" })
	for _, want := range []string{"redis is away", "redis is back"} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("%q is not once in the log:\n%s", want, log.String())
		}
	}
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
	}
}

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A claim whose answer was lost is made: who signs anew passes, who repeats does
// not.
func TestA13_Paused(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	c := open(t, p, redis.Options{Timeout: 50 * time.Millisecond})
	judge := open(t, p, redis.Options{})
	now := after(c)
	p.Pause(t)
	began := time.Now()
	for n := range byte(5) {
		refused(t, c, now, message(n, now))
	}
	if took := time.Since(began); took > 10*time.Second { // 250 ms on a machine with nothing else to do
		t.Errorf("five claims took %v", took)
	}
	p.Resume(t)
	works(t, judge)
	first := claim(t, judge, now, message(0, now)) // that connection was there: its claim was sent
	if first != replay.Replayed {
		t.Errorf("the claim whose answer was lost: got %v", first)
	}
	if got := claim(t, judge, now, message(9, now)); got != replay.Fresh {
		t.Errorf("another: got %v", got)
	}
	if got := claim(t, judge, now, message(9, now)); got != replay.Replayed {
		t.Errorf("it again: got %v", got)
	}
}

// Without room a claim is refused, and none that can still pass is dropped.
func TestA13_Full(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	c := open(t, p, redis.Options{})
	now := after(c)
	if got := claim(t, c, now, message(1, now)); got != replay.Fresh {
		t.Fatalf("got %v", got)
	}
	c.Do(t, "CONFIG", "SET", "maxmemory", "1")
	if got := claim(t, c, now, message(2, now)); got != replay.Full {
		t.Errorf("got %v", got)
	}
	c.Do(t, "CONFIG", "SET", "maxmemory", "0")
	if got := claim(t, c, now, message(1, now)); got != replay.Replayed {
		t.Errorf("the first one again: got %v", got)
	}
}

func TestStrict(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{AppendOnly: true})
	c := open(t, p, redis.Options{Strict: true})
	now := after(c)
	if outcome, err := c.Claim(t.Context(), now, message(1, now)); err == nil || !strings.Contains(err.Error(), "no replica has it") {
		t.Errorf("without a replica: got %v, %v", outcome, err)
	}
	replica := peer.StartRedis(t, peer.RedisOptions{Replica: p})
	n := byte(2)
	until(t, func() bool {
		n++
		outcome, err := c.Claim(t.Context(), now, message(n, now))
		return err == nil && outcome == replay.Fresh
	})
	if _, err := redis.Open(t.Context(), redis.Options{URL: replica.URL()}); err == nil || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("a replica as server: got %v", err)
	}
	// The replica takes over: the last writes may be missing.
	works(t, c)
	c.Do(t, "REPLICAOF", "127.0.0.1", "1")
	refused(t, c, now, message(n, now.Add(time.Second)))
}

// A replica that takes over is another process, whatever it keeps.
func TestA13_Failover(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{AppendOnly: true})
	c := open(t, p, redis.Options{})
	now := after(c)
	replica := peer.StartRedis(t, peer.RedisOptions{AppendOnly: true, Replica: p})
	until(t, func() bool {
		works(t, c) // sees the replica
		return strings.Contains(c.Do(t, "INFO", "replication").(string), "state=online")
	})
	if got := claim(t, c, now, message(1, now)); got != replay.Fresh {
		t.Fatalf("got %v", got)
	}
	until(t, func() bool { return c.Do(t, "WAIT", 1, 100).(int64) == 1 })
	p.Crash(t)
	replica.Promote(t)
	second := open(t, replica, redis.Options{Now: func() time.Time { return now }})
	if !second.Barrier().After(now) {
		t.Errorf("the barrier is %v after the failover", second.Barrier().Sub(now))
	}
	refused(t, second, now, message(1, now))
	refused(t, second, now, message(2, now))
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name    string
		peer    peer.RedisOptions
		options redis.Options
		err     string
	}{
		{"Eviction", peer.RedisOptions{Settings: []string{"--maxmemory-policy", "allkeys-lru"}}, redis.Options{}, "maxmemory-policy must be noeviction, and is allkeys-lru"},
		{"EvictionAndAssumed", peer.RedisOptions{Settings: []string{"--maxmemory-policy", "volatile-ttl"}}, redis.Options{AssumeNoEviction: true}, "and is volatile-ttl"},
		{"ConfigForbidden", peer.RedisOptions{Settings: []string{"--rename-command", "CONFIG", ""}}, redis.Options{}, "cannot be asked for: set assume_noeviction"},
		{"ConfigForbiddenAndAssumed", peer.RedisOptions{Settings: []string{"--rename-command", "CONFIG", ""}}, redis.Options{AssumeNoEviction: true}, ""},
		{"NoPassword", peer.RedisOptions{Password: "hush-hush"}, redis.Options{}, "NOAUTH"},
		{"WrongPassword", peer.RedisOptions{Password: "hush-hush"}, redis.Options{Password: password("let-me-in", nil)}, "WRONGPASS"},
		{"Password", peer.RedisOptions{Password: "hush-hush"}, redis.Options{Password: password("hush-hush", nil)}, ""},
		{"PasswordCannotBeRead", peer.RedisOptions{}, redis.Options{Password: password("", errors.New("file is gone"))}, "file is gone"},
		{"Cluster", peer.RedisOptions{Settings: []string{"--cluster-enabled", "yes"}}, redis.Options{}, "CLUSTERDOWN"},
		{"NothingToFallBackTo", peer.RedisOptions{}, redis.Options{FallBack: true}, "nothing to fall back to"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := peer.StartRedis(t, tt.peer)
			tt.options.URL = p.URL()
			c, err := redis.Open(t.Context(), tt.options)
			if err == nil {
				defer c.Close()
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("got %v, want %q", err, tt.err)
			}
			if err != nil && (strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "let-me-in")) {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
	if _, err := redis.Open(t.Context(), redis.Options{URL: "redis://user:secret@[bad"}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a URL that cannot be read: got %v", err)
	}
}

// A user needs no more rights than docs/operate/redis.md says.
func TestLeastRights(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{Settings: []string{
		"--user", "sealwright", "on", ">of-a-test", "~sw:*", "+set", "+get", "+del", "+eval", "+evalsha", "+time", "+info", "+ping", "+select", "+config|get", "+wait",
	}})
	c, err := redis.Open(t.Context(), redis.Options{
		URL: strings.Replace(p.URL(), "//", "//sealwright@", 1) + "/3", Password: password("of-a-test", nil), Timeout: patient,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	now := after(c)
	for _, want := range []replay.Outcome{replay.Fresh, replay.Replayed} {
		if got := claim(t, c, now, message(1, now)); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	l, node := limit.Limit{Interval: time.Hour, Burst: 2}, c.Limits(nil)
	for _, cost := range []int{2, -1, 1} {
		if u := node.Take(t.Context(), key("a"), l, cost); u.Wait > 0 {
			t.Errorf("got %+v", u)
		}
	}
	if u := c.Limits(nil).Take(t.Context(), key("a"), l, 1); u.Wait == 0 {
		t.Error("another node does not count with it")
	}
}

func password(text string, err error) func() (secret.Bytes, error) {
	return func() (secret.Bytes, error) { return secret.FromString(text), err }
}

// A policy that is changed while the server runs is noticed, and begins a new
// epoch when it is put right.
func TestEvictionLater(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{AppendOnly: true})
	c := open(t, p, redis.Options{})
	now, barrier := after(c), c.Barrier()
	c.Do(t, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	if err := c.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "and is allkeys-lru") {
		t.Errorf("got %v", err)
	}
	refused(t, c, now, message(1, now))
	c.Do(t, "CONFIG", "SET", "maxmemory-policy", "noeviction")
	refused(t, c, now, message(1, now))
	works(t, c)
	if !c.Barrier().After(barrier) {
		t.Error("the epoch is the same")
	}
	later := after(c)
	if got := claim(t, c, later, message(3, later)); got != replay.Fresh {
		t.Errorf("a later one: got %v", got)
	}
}

// local is a guard in memory.
type local struct {
	mu   sync.Mutex
	seen map[replay.ID]bool
}

func newLocal() *local { return &local{seen: map[replay.ID]bool{}} }

func (l *local) Claim(_ context.Context, _ time.Time, c gate.Claim) (replay.Outcome, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen[c.ID] {
		return replay.Replayed, nil
	}
	l.seen[c.ID] = true
	return replay.Fresh, nil
}

// While Redis is away a node that falls back decides about new messages alone.
// When it is back, what was decided so is not accepted anywhere.
func TestFallBack(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{AppendOnly: true})
	var clock atomic.Pointer[time.Time]
	start := time.Now()
	clock.Store(&start)
	nodeClock := func() time.Time { return *clock.Load() }
	c := open(t, p, redis.Options{Local: newLocal(), FallBack: true, Now: nodeClock})
	other, closed := open(t, p, redis.Options{Now: nodeClock}), open(t, p, redis.Options{Local: newLocal(), Now: nodeClock})
	now := after(c).Add(time.Minute)
	clock.Store(&now)
	p.Crash(t)
	tests := []struct {
		name  string
		claim gate.Claim
		want  replay.Outcome
	}{
		{"New", message(1, now), replay.Fresh},
		{"Again", message(1, now), replay.Replayed},
		{"ThirtySeconds", message(2, now.Add(-30*time.Second)), replay.Fresh},
		{"Older", message(3, now.Add(-31*time.Second)), 0},
		{"Untimed", gate.Claim{ID: replay.ID{4}, Until: now.Add(time.Second)}, 0},
	}
	for _, tt := range tests {
		outcome, err := c.Claim(t.Context(), now, tt.claim)
		if outcome != tt.want || (err == nil) != (tt.want != 0) {
			t.Errorf("%s: got %v, %v, want %v", tt.name, outcome, err, tt.want)
		}
	}
	refused(t, other, now, message(5, now))
	refused(t, closed, now, message(5, now))
	p.Start(t)
	works(t, c)
	works(t, other)
	refused(t, other, now, message(1, now))
	refused(t, other, now, message(2, now.Add(-30*time.Second)))
	later := after(c)
	if got := claim(t, other, later, message(6, later)); got != replay.Fresh {
		t.Errorf("a later one: got %v", got)
	}
}

// What this node has seen needs no Redis.
func TestLocalInFront(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	c, other := open(t, p, redis.Options{Local: newLocal()}), open(t, p, redis.Options{})
	now := after(c)
	if got := claim(t, other, now, message(1, now)); got != replay.Fresh {
		t.Fatalf("got %v", got)
	}
	if got := claim(t, c, now, message(1, now)); got != replay.Replayed { // though the guard has not seen it
		t.Errorf("got %v", got)
	}
	p.Crash(t)
	if got := claim(t, c, now, message(1, now)); got != replay.Replayed {
		t.Errorf("without redis: got %v", got)
	}
}
