//go:build unix

package redis_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/server/internal/cluster/redis"
	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/limit/limittest"
)

func key(subject string) limit.Key { return limit.Key{Tenant: "t", Rule: "r", Subject: subject} }

// The script is the function.
func TestScript(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	c := open(t, p, redis.Options{})
	cases := 0
	limittest.Run(t, func(t *testing.T) limittest.Take {
		cases++
		rule := fmt.Sprint(cases)
		return func(subject string, l limit.Limit, cost int, now time.Time) limit.Use {
			if cost > l.Burst { // is not sent
				u := c.TakeAt(t, limit.Key{Rule: rule, Subject: subject}, l, 0, now)
				return limit.Use{Ahead: u.Ahead, Wait: limit.Never}
			}
			return c.TakeAt(t, limit.Key{Rule: rule, Subject: subject}, l, cost, now)
		}
	})
}

// Three nodes together grant the burst and not one more, also with units that
// they take in advance.
func TestLimitsTogether(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	l := limit.Limit{Interval: time.Hour, Burst: 1000}
	var granted atomic.Int64
	var group sync.WaitGroup
	for range 3 {
		node := open(t, p, redis.Options{}).Limits(nil)
		group.Go(func() {
			for range 1000 {
				if node.Take(t.Context(), key("a"), l, 1).Wait == 0 {
					granted.Add(1)
				}
			}
		})
	}
	group.Wait()
	// Units in advance may be left on a node that is done, or lost on a machine
	// that stood still for a second.
	if n := granted.Load(); n > 1000 || n < 500 {
		t.Errorf("got %d, want at most 1000, and most of them", n)
	}
}

// One node that keeps asking gets all of the burst.
func TestLimitsGrantAll(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	now := time.Now() // stands still, so nothing expires here
	node := open(t, p, redis.Options{Now: func() time.Time { return now }}).Limits(nil)
	l := limit.Limit{Interval: time.Hour, Burst: 777}
	for i := range 777 {
		u := node.Take(t.Context(), key("a"), l, 1)
		if u.Wait > 0 {
			t.Fatalf("unit %d: got %+v", i, u)
		}
		if r := u.Remaining(l); r != 776-i && r != 777-i { // time goes on in Redis
			t.Fatalf("unit %d: got %d remaining", i, r)
		}
	}
	if u := node.Take(t.Context(), key("a"), l, 1); u.Wait == 0 || u.Wait > time.Hour {
		t.Errorf("got %+v", u)
	}
	if u := node.Take(t.Context(), key("a"), l, 778); u.Wait != limit.Never {
		t.Errorf("more than the burst: got %+v", u)
	}
	if u := node.Take(t.Context(), key("b"), l, 777); u.Wait != 0 {
		t.Errorf("all at once: got %+v", u)
	}
}

// A busy node asks once for many.
func TestLimitsLease(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	now := time.Now()
	c := open(t, p, redis.Options{Now: func() time.Time { return now }})
	node := c.Limits(nil)
	calls := func() int64 {
		var n int64
		for _, name := range []string{"evalsha", "eval"} {
			var calls int64
			_, _ = fmt.Sscanf(field(c.Do(t, "INFO", "commandstats").(string), "cmdstat_"+name+":calls="), "%d", &calls)
			n += calls
		}
		return n
	}
	l := limit.Limit{Interval: time.Millisecond, Burst: 100_000}
	before := calls()
	for range 5000 {
		if u := node.Take(t.Context(), key("a"), l, 1); u.Wait > 0 {
			t.Fatalf("got %+v", u)
		}
	}
	if n := calls() - before; n > 5000/50+10 {
		t.Errorf("got %d round trips for 5000 requests, want about 100", n)
	}
	// A subject that is refused does not ask each time.
	slow := limit.Limit{Interval: time.Hour, Burst: 1}
	node.Take(t.Context(), key("b"), slow, 1)
	before = calls()
	for range 100 {
		if u := node.Take(t.Context(), key("b"), slow, 1); u.Wait == 0 {
			t.Fatal("granted")
		}
	}
	if n := calls() - before; n != 1 {
		t.Errorf("got %d round trips for refusals, want 1", n)
	}
}

func field(text, name string) string {
	for i := 0; i+len(name) <= len(text); i++ {
		if text[i:i+len(name)] == name {
			return text[i+len(name):]
		}
	}
	return ""
}

// What is given back can be taken by another node.
func TestLimitsGiveBack(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	first, second := open(t, p, redis.Options{}).Limits(nil), open(t, p, redis.Options{}).Limits(nil)
	l := limit.Limit{Interval: time.Hour, Burst: 5}
	first.Take(t.Context(), key("a"), l, 5)
	first.Take(t.Context(), key("a"), l, -3)
	if u := second.Take(t.Context(), key("a"), l, 3); u.Wait > 0 {
		t.Errorf("got %+v", u)
	}
	if u := second.Take(t.Context(), key("a"), l, 1); u.Wait == 0 {
		t.Error("got more than was given back")
	}
}

// While Redis is away, each of three nodes grants a third; afterwards they count
// together again.
func TestLimitsAway(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	var clock atomic.Int64
	start := time.Now()
	now := func() time.Time { return start.Add(time.Duration(clock.Load())) }
	c := open(t, p, redis.Options{Now: now})
	node := c.Limits(func() int { return 3 })
	l := limit.Limit{Interval: time.Hour, Burst: 30}
	p.Crash(t)
	granted := 0
	for range 30 {
		if node.Take(t.Context(), key("a"), l, 1).Wait == 0 {
			granted++
		}
	}
	if granted != 10 {
		t.Errorf("got %d, want 10 of 30", granted)
	}
	if u := node.Take(t.Context(), key("b"), l, 30); u.Wait > 0 {
		t.Errorf("a cost that the limit allows: got %+v", u)
	}
	if u := node.Take(t.Context(), key("b"), l, 1); u.Wait == 0 {
		t.Error("granted after that")
	}
	p.Start(t)
	clock.Store(int64(2 * time.Second))
	works(t, c)
	if u := node.Take(t.Context(), key("a"), l, 30); u.Wait > 0 { // Redis knows of nothing
		t.Errorf("when Redis is back: got %+v", u)
	}
	if u := open(t, p, redis.Options{}).Limits(nil).Take(t.Context(), key("a"), l, 1); u.Wait == 0 {
		t.Error("another node does not count with it")
	}
}

// A server that hangs is asked by few, and the others are answered here.
func TestLimitsPaused(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	now := time.Now()
	c := open(t, p, redis.Options{Timeout: 50 * time.Millisecond, Now: func() time.Time { return now }})
	node := c.Limits(nil)
	l := limit.Limit{Interval: time.Hour, Burst: 10_000}
	p.Pause(t)
	began := time.Now()
	for range 2000 {
		node.Take(t.Context(), key("a"), l, 1)
	}
	if took := time.Since(began); took > 30*time.Second { // each for itself would take 100 s
		t.Errorf("2000 requests took %v", took)
	}
}

// A caller that gives up does not make others believe that Redis is away.
func TestLimitsCancelled(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	first, second := open(t, p, redis.Options{}).Limits(nil), open(t, p, redis.Options{}).Limits(nil)
	l := limit.Limit{Interval: time.Hour, Burst: 2}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	first.Take(ctx, key("a"), l, 1)
	second.Take(t.Context(), key("a"), l, 2)
	if u := first.Take(t.Context(), key("a"), l, 1); u.Wait == 0 {
		t.Error("counts alone")
	}
}

// Many subjects take bounded memory.
func TestLimitsBounded(t *testing.T) {
	p := peer.StartRedis(t, peer.RedisOptions{})
	c := open(t, p, redis.Options{})
	node := c.Limits(nil)
	l := limit.Limit{Interval: time.Microsecond, Burst: 1}
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			for i := range (redis.MaxLeases + 1000) / 16 {
				node.Take(t.Context(), key(fmt.Sprint(worker, " ", i)), l, 1)
			}
		})
	}
	group.Wait()
	if n := node.Leases(); n > redis.MaxLeases {
		t.Errorf("got %d, want at most %d", n, redis.MaxLeases)
	}
}
