package limit_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/limit/limittest"
)

var epoch = time.UnixMicro(1_800_000_000_000_000)

func key(subject string) limit.Key { return limit.Key{Tenant: "t", Rule: "r", Subject: subject} }

func TestMapTake(t *testing.T) {
	limittest.Run(t, func(t *testing.T) limittest.Take {
		m := limit.NewMap(epoch, 0)
		return func(subject string, l limit.Limit, cost int, now time.Time) limit.Use {
			peeked := m.Peek(key(subject), l, cost, now)
			took := m.Take(key(subject), l, cost, now)
			if peeked != took {
				t.Errorf("Peek: got %+v, Take %+v", peeked, took)
			}
			return took
		}
	})
}

// Of many at once exactly the burst passes.
func TestMapParallel(t *testing.T) {
	m := limit.NewMap(epoch, 0)
	l := limit.Limit{Interval: time.Hour, Burst: 100}
	var passed atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				if m.Take(key("a"), l, 1, epoch).Wait == 0 {
					passed.Add(1)
				}
			}
		})
	}
	group.Wait()
	if n := passed.Load(); n != 100 {
		t.Errorf("got %d, want 100", n)
	}
}

// Keys whose texts joined are the same are different subjects.
func TestMapKeys(t *testing.T) {
	m := limit.NewMap(epoch, 0)
	l := limit.Limit{Interval: time.Hour, Burst: 1}
	for _, k := range []limit.Key{{"ab", "c", "d"}, {"a", "bc", "d"}, {"a", "b", "cd"}, {"", "abc", "d"}} {
		if u := m.Take(k, l, 1, epoch); u.Wait > 0 {
			t.Errorf("%v: got %+v", k, u)
		}
	}
}

// Subjects that asked a while ago take no room.
func TestMapDropsWhatHasPassed(t *testing.T) {
	m := limit.NewMap(epoch, 0)
	l := limit.Limit{Interval: time.Second, Burst: 1}
	now := epoch
	for i := range 200_000 {
		now = now.Add(100 * time.Microsecond) // 10,000 live at any time
		if u := m.Take(key(fmt.Sprint(i)), l, 1, now); u.Wait > 0 {
			t.Fatalf("subject %d: got %+v", i, u)
		}
	}
	if n := m.Len(); n > 50_000 {
		t.Errorf("got %d entries, want about 10,000 to 30,000", n)
	}
}

// Who fills the map grows nothing and resets nobody; new subjects wait.
func TestMapFull(t *testing.T) {
	const most = 256 * 16
	m := limit.NewMap(epoch, most)
	l := limit.Limit{Interval: time.Hour, Burst: 2}
	m.Take(key("victim"), l, 2, epoch)
	refused := 0
	for i := range 4 * most {
		if u := m.Take(key(fmt.Sprint(i)), l, 1, epoch.Add(time.Duration(i)*time.Millisecond)); u.Wait > 0 {
			if refused++; u.Wait != time.Hour {
				t.Fatalf("got %+v, want to wait for one interval", u)
			}
		}
	}
	if n := m.Len(); n != most || refused != 3*most+1 {
		t.Errorf("got %d entries and %d refused, want %d and %d", n, refused, most, 3*most+1)
	}
	now := epoch.Add(59 * time.Minute)
	if u := m.Take(key("victim"), l, 1, now); u.Wait != time.Minute {
		t.Errorf("the limit of another: got %+v", u)
	}
	if u := m.Take(key("0"), l, 1, now); u.Wait > 0 { // its second unit
		t.Errorf("a subject that is there: got %+v", u)
	}
	if u := m.Take(key("new"), l, 1, epoch.Add(3*time.Hour)); u.Wait > 0 {
		t.Errorf("after all have passed: got %+v", u)
	}
}

// What is used while the wall clock is set is not granted again.
func TestMapWithoutWallClock(t *testing.T) {
	start := time.Now()
	m := limit.NewMap(start, 0)
	l := limit.Limit{Interval: time.Hour, Burst: 1}
	m.Take(key("a"), l, 1, start.Add(time.Minute))
	if u := m.Take(key("a"), l, 1, start.Add(30*time.Minute)); u.Wait != 31*time.Minute {
		t.Errorf("got %+v", u)
	}
}

func BenchmarkMapTake(b *testing.B) {
	m := limit.NewMap(epoch, 0)
	l := limit.Limit{Interval: time.Microsecond, Burst: 1000}
	now := epoch
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Microsecond)
		if u := m.Take(key("a"), l, 1, now); u.Wait > 0 {
			b.Fatal(u)
		}
	}
}
