package replay_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/replay"
)

// t0 lies in the middle of a second.
var t0 = time.Date(2026, 11, 3, 4, 5, 6, 500_000_000, time.UTC)

func guard(t testing.TB, o replay.Options) *replay.Guard {
	t.Helper()
	g, err := replay.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return g
}

func window(past, future time.Duration) replay.Options {
	return replay.Options{Past: past, Future: future}
}

func want(t *testing.T, what string, got, want replay.Outcome) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]replay.Options{
		"Nothing":          {},
		"Negative":         {Past: -time.Second},
		"NegativeFuture":   {Past: time.Minute, Future: -time.Second},
		"NegativeKeep":     {Keep: -time.Second},
		"KeepAndWindow":    {Past: time.Second, Keep: time.Hour},
		"TooLong":          {Past: 367 * 24 * time.Hour},
		"TooLongTogether":  {Past: 300 * 24 * time.Hour, Future: 300 * 24 * time.Hour},
		"Overflow":         {Past: math.MaxInt64, Future: math.MaxInt64},
		"NegativeCapacity": {Past: time.Second, Capacity: -1},
		"HugeCapacity":     {Past: time.Second, Capacity: replay.MaxCapacity + 1},
	} {
		t.Run(name, func(t *testing.T) {
			if g, err := replay.New(o); err == nil {
				t.Errorf("New: got %v, want an error", g)
			}
		})
	}
	if g := guard(t, window(time.Minute, 0)); g.Capacity() != replay.DefaultCapacity || g.Len() != 0 {
		t.Errorf("zero capacity: got %d with %d claims", g.Capacity(), g.Len())
	}
}

// A message passes until the last instant of its window, and so long it is
// remembered.
func TestBoundaries(t *testing.T) {
	past, future := 300*time.Second, 5*time.Second
	tests := []struct {
		name string
		age  time.Duration // now − signed time
		want replay.Outcome
	}{
		{"Now", 0, replay.Fresh},
		{"LastInstant", past, replay.Fresh},
		{"AfterLastInstant", past + 1, replay.Outside},
		{"SecondAfter", past + time.Second, replay.Outside},
		{"FirstInstant", -future, replay.Fresh},
		{"BeforeFirstInstant", -future - 1, replay.Outside},
		{"SecondBefore", -future - time.Second, replay.Outside},
		{"FarAhead", -math.MaxInt64, replay.Outside},
		{"FarBehind", math.MaxInt64, replay.Outside},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := guard(t, window(past, future))
			want(t, "first", g.Claim(t0, t0.Add(-tt.age), 7, 0), tt.want)
			again := tt.want
			if again == replay.Fresh {
				again = replay.Replayed
			}
			want(t, "second", g.Claim(t0, t0.Add(-tt.age), 7, 0), again)
		})
	}
	want(t, "zero time", guard(t, window(past, future)).Claim(t0, time.Time{}, 7, 0), replay.Outside)
}

// Every message of a day, each a millisecond or a bucket edge from the last, is
// refused as long as it can pass, at the last instant too.
func TestBucketEdges(t *testing.T) {
	for _, o := range []replay.Options{
		window(300*time.Second, 5*time.Second), window(900*time.Second, 300*time.Second), window(time.Second, 0),
		window(0, time.Hour), window(17*time.Second, 300*time.Second), window(7500*time.Millisecond, time.Millisecond),
		window(15999*time.Millisecond, 0), window(31999*time.Millisecond, time.Nanosecond),
	} {
		t.Run(fmt.Sprintf("%v+%v", o.Past, o.Future), func(t *testing.T) {
			g := guard(t, o)
			step := (o.Past + o.Future) / 37
			for i := range uint64(500) {
				at := t0.Add(time.Duration(i) * step)
				for _, edge := range []time.Duration{0, -1, 1} {
					at, id := at.Add(edge), 3*i+uint64(edge+1)+1
					want(t, "first instant", g.Claim(at.Add(-o.Future), at, id, 0), replay.Fresh)
				}
			}
			g = guard(t, o) // now one by one, to the end of its time
			for i := range uint64(500) {
				at := t0.Add(time.Duration(i)*step - time.Duration(i%3))
				want(t, "first instant", g.Claim(at.Add(-o.Future), at, i+1, 0), replay.Fresh)
				want(t, "in time", g.Claim(at, at, i+1, 0), replay.Replayed)
			}
			last := t0.Add(500 * step)
			for i := range uint64(500) {
				at := t0.Add(time.Duration(i)*step - time.Duration(i%3))
				if end := at.Add(o.Past); !end.Before(last) {
					want(t, "last instant", g.Claim(end, at, i+1, 0), replay.Replayed)
					want(t, "after it", g.Claim(end.Add(1), at, i+1, 0), replay.Outside)
				}
			}
		})
	}
}

// TestA13_Parallel sends 100 copies of each message at the same time: one is
// accepted.
func TestA13_Parallel(t *testing.T) {
	for name, o := range map[string]replay.Options{"Signed": window(time.Minute, time.Second), "Arrival": {Keep: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			g := guard(t, o)
			for i := range uint64(200) {
				var outcomes [100]replay.Outcome
				var group sync.WaitGroup
				for j := range outcomes {
					group.Go(func() {
						now := t0.Add(time.Duration(i)*time.Second + time.Duration(j)*100*time.Millisecond)
						outcomes[j] = g.Claim(now, t0.Add(time.Duration(i)*time.Second), i<<56|i, 1)
					})
				}
				group.Wait()
				var count [8]int
				for _, o := range outcomes {
					count[o]++
				}
				if count[replay.Fresh] != 1 || count[replay.Replayed] != 99 {
					t.Fatalf("message %d: got %d fresh, %d replayed, want 1 and 99", i, count[replay.Fresh], count[replay.Replayed])
				}
			}
		})
	}
}

// TestA13_Full fills a guard: what is in it stays, and nothing else comes in
// until the window has moved on.
func TestA13_Full(t *testing.T) {
	const capacity = 10_000
	o := window(time.Minute, time.Second)
	o.Capacity = capacity
	g := guard(t, o)
	id := func(i uint64) uint64 { return i * 0x9E3779B97F4A7C15 }
	for i := range uint64(capacity) {
		want(t, "with room", g.Claim(t0, t0, id(i), 0), replay.Fresh)
	}
	for i := range uint64(capacity) {
		want(t, "full", g.Claim(t0, t0, id(capacity+i), 0), replay.Full)
		want(t, "early message", g.Claim(t0.Add(time.Minute), t0, id(i), 0), replay.Replayed)
	}
	if g.Len() != capacity {
		t.Errorf("Len: got %d, want %d", g.Len(), capacity)
	}
	later := t0.Add(time.Minute + 5*time.Second) // the bucket is up to 4 s long
	want(t, "too late", g.Claim(later, t0, id(1), 0), replay.Outside)
	want(t, "with room again", g.Claim(later, later, id(capacity), 0), replay.Fresh)
	if g.Len() != 1 {
		t.Errorf("Len after the window: got %d, want 1", g.Len())
	}
}

// One key that fills its share does not hurt others.
func TestA13_Share(t *testing.T) {
	o := window(time.Minute, time.Second)
	o.Capacity = 4000
	g := guard(t, o)
	greedy, others := uint64(0x0123456789ABCDEF), uint64(0xFEDCBA9876543210)
	n := uint64(0)
	next := func() uint64 { n++; return n * 0x9E3779B97F4A7C15 }
	for i := range 1000 {
		at := t0.Add(time.Duration(i) * 10 * time.Millisecond)
		want(t, "greedy", g.Claim(at, at, next(), greedy), replay.Fresh)
	}
	now := t0.Add(15 * time.Second)
	want(t, "greedy at its share, alone", g.Claim(now, now, next(), greedy), replay.FullShare)
	for i := range 1000 {
		want(t, "greedy", g.Claim(now, now, next(), greedy), replay.FullShare)
		want(t, "other", g.Claim(now, now, next(), others+uint64(i%3)<<20), replay.Fresh)
	}
	want(t, "greedy, known", g.Claim(now, t0, 0x9E3779B97F4A7C15, greedy), replay.Replayed)
	later := t0.Add(75 * time.Second)
	want(t, "greedy, after the window", g.Claim(later, later, next(), greedy), replay.Fresh)
}

// A clock that goes forward and back brings nothing back that was forgotten.
func TestClock(t *testing.T) {
	g := guard(t, window(time.Minute, time.Second))
	want(t, "first", g.Claim(t0, t0, 1, 0), replay.Fresh)
	ahead := t0.Add(time.Hour)
	want(t, "hour ahead", g.Claim(ahead, ahead, 2, 0), replay.Fresh)
	want(t, "forgotten", g.Claim(t0, t0, 1, 0), replay.Barred)
	want(t, "new, as old as the forgotten", g.Claim(t0, t0, 3, 0), replay.Barred)
	want(t, "not yet in the window", g.Claim(t0, ahead, 2, 0), replay.Outside)
	want(t, "ahead again", g.Claim(ahead, ahead, 2, 0), replay.Replayed)
	back := t0.Add(59 * time.Minute)
	want(t, "within the window of the latest", g.Claim(back, ahead.Add(-59*time.Second), 4, 0), replay.Fresh)

	g = guard(t, replay.Options{Keep: time.Hour})
	want(t, "arrival", g.Claim(t0, time.Time{}, 1, 0), replay.Fresh)
	want(t, "a day back", g.Claim(t0.Add(-24*time.Hour), time.Time{}, 1, 0), replay.Replayed)
	want(t, "new, a day back", g.Claim(t0.Add(-24*time.Hour), time.Time{}, 2, 0), replay.Fresh)
	want(t, "kept", g.Claim(t0.Add(time.Hour), time.Time{}, 2, 0), replay.Replayed)
	want(t, "no longer kept", g.Claim(t0.Add(65*time.Minute), time.Time{}, 2, 0), replay.Fresh)
}

func TestBar(t *testing.T) {
	g := guard(t, window(time.Minute, 10*time.Second))
	want(t, "before", g.Claim(t0, t0, 1, 0), replay.Fresh)
	if got := g.BarredUntil(); !got.IsZero() {
		t.Errorf("BarredUntil: got %v, want zero", got)
	}
	g.Bar(t0.Add(time.Second + 1))
	g.Bar(t0) // does not lift it
	if got := g.BarredUntil(); !got.Equal(t0.Add(time.Second + time.Microsecond)) {
		t.Errorf("BarredUntil: got %v", got)
	}
	want(t, "barred, known", g.Claim(t0, t0, 1, 0), replay.Barred)
	want(t, "at the bar", g.Claim(t0, t0.Add(time.Second+1), 2, 0), replay.Barred)
	want(t, "above", g.Claim(t0, t0.Add(time.Second+2*time.Microsecond), 2, 0), replay.Fresh)
	late := t0.Add(61 * time.Second)
	want(t, "does not move", g.Claim(late, t0.Add(time.Second), 3, 0), replay.Barred)
	want(t, "nor with the clock", g.Claim(late, t0.Add(2*time.Second), 3, 0), replay.Fresh)

	g = guard(t, replay.Options{Keep: time.Hour})
	g.Bar(t0)
	want(t, "arrival until the bar", g.Claim(t0, time.Time{}, 1, 0), replay.Barred)
	want(t, "arrival after it", g.Claim(t0.Add(time.Second), time.Time{}, 1, 0), replay.Fresh)
}

// TestLoad moves all claims to another guard, with nothing but their second.
func TestLoad(t *testing.T) {
	for name, o := range map[string]replay.Options{"Signed": window(300*time.Second, 5*time.Second), "Arrival": {Keep: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			old, g := guard(t, o), guard(t, o)
			type claim struct {
				now, at time.Time
				id      uint64
			}
			var all []claim
			rng := rand.New(rand.NewPCG(1, 2))
			for i := range 5000 {
				now := t0.Add(time.Duration(i) * 37 * time.Millisecond)
				c := claim{now, now.Add(-within(rng, 100*time.Second)), rng.Uint64()}
				want(t, "first", old.Claim(now, c.at, c.id, 0), replay.Fresh)
				all = append(all, c)
			}
			stop := all[len(all)-1].now
			for _, c := range all {
				at := c.at
				if name == "Arrival" {
					at = c.now
				}
				for range 2 { // loading it twice does no harm
					if !g.Load(stop, time.Unix(at.Unix(), 0), c.id) {
						t.Fatalf("Load of %v at %v: not kept", at, stop)
					}
				}
			}
			if g.Len() != old.Len() {
				t.Errorf("got %d claims, want %d", g.Len(), old.Len())
			}
			for _, c := range all {
				want(t, "replay", g.Claim(stop, c.at, c.id, 0), replay.Replayed)
			}
			held := map[uint64]bool{}
			for start, id := range g.All() {
				held[id] = true
				if start.After(stop) || start.Before(stop.Add(-time.Hour)) {
					t.Fatalf("All: bucket begins at %v", start)
				}
			}
			if len(held) != len(all) {
				t.Errorf("All: got %d claims, want %d", len(held), len(all))
			}
		})
	}
}

func TestLoadOutside(t *testing.T) {
	g := guard(t, window(time.Minute, 5*time.Second))
	if g.Load(t0, t0.Add(6*time.Second), 1) {
		t.Error("Load of a claim ahead of the window: kept")
	}
	if !g.Load(t0, t0.Add(-time.Hour), 1) || g.Len() != 0 {
		t.Errorf("Load of a claim behind the window: kept %d", g.Len())
	}
	g = guard(t, replay.Options{Keep: time.Hour})
	if !g.Load(t0, t0.Add(24*time.Hour), 1) {
		t.Error("Load after the clock went back: not kept")
	}
	want(t, "after the clock went back", g.Claim(t0.Add(time.Hour), time.Time{}, 1, 0), replay.Replayed)
}

// A claim of 0 is one like others.
func TestZeroClaim(t *testing.T) {
	g := guard(t, window(time.Minute, 0))
	want(t, "first", g.Claim(t0, t0, 0, 0), replay.Fresh)
	want(t, "second", g.Claim(t0, t0, 0, 0), replay.Replayed)
	if g.Len() != 1 {
		t.Errorf("Len: got %d, want 1", g.Len())
	}
}

// Claims that differ in no bit that a table looks at first.
func TestCollidingSlots(t *testing.T) {
	g := guard(t, window(time.Minute, 0))
	for i := range uint64(2000) {
		want(t, "first", g.Claim(t0, t0, i<<40|5, 0), replay.Fresh)
	}
	for i := range uint64(2000) {
		want(t, "second", g.Claim(t0, t0, i<<40|5, 0), replay.Replayed)
	}
}

// TestProperty: for any sequence of messages, of steps of the clock and of
// bars, no message is accepted twice.
func TestProperty(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 9))
		past, future := time.Second+within(rng, time.Hour), within(rng, 5*time.Minute)
		o := window(past, future)
		o.Capacity = 1 + rng.IntN(3000)
		g, now := guard(t, o), t0
		type message struct {
			at time.Time
			id uint64
		}
		var sent []message
		accepted := map[message]bool{}
		for range 4000 {
			switch rng.IntN(40) {
			case 0:
				now = now.Add(within(rng, 2*past) - past) // a step in either direction
			case 1:
				g.Bar(now.Add(within(rng, past/8+1) - past))
			default:
				now = now.Add(within(rng, past/200))
			}
			m := message{now.Add(within(rng, past+future+2) - past - 1), rng.Uint64()}
			if len(sent) > 0 && rng.IntN(2) == 0 {
				m = sent[rng.IntN(len(sent))]
			}
			sent = append(sent, m)
			if g.Claim(now, m.at, m.id, m.id%7+1) != replay.Fresh {
				continue
			}
			if accepted[m] {
				t.Fatalf("seed %d: message of %v accepted twice, window %v+%v", seed, m.at, past, future)
			}
			accepted[m] = true
		}
		if len(accepted) < 20 {
			t.Errorf("seed %d: only %d messages were accepted", seed, len(accepted))
		}
	}
}

// within returns a random duration below d, or 0 if there is none.
func within(rng *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(rng.Int64N(max(int64(d), 1)))
}

// A message that expires while it is being checked, behind others that are
// ahead of it, is not new.
func TestExpiresWhileChecked(t *testing.T) {
	g := guard(t, window(time.Minute, time.Second))
	want(t, "first", g.Claim(t0, t0, 1, 0), replay.Fresh)
	last := t0.Add(time.Minute) // the replay was verified at its last instant
	others := last.Add(10 * time.Second)
	want(t, "others", g.Claim(others, others, 2, 0), replay.Fresh)
	want(t, "replay", g.Claim(last, t0, 1, 0), replay.Barred)
	want(t, "new, as late", g.Claim(last, t0, 3, 0), replay.Barred)
}

// What has left the window gives its memory back, also when nothing comes.
func TestExpire(t *testing.T) {
	for name, o := range map[string]replay.Options{"Signed": window(time.Minute, time.Second), "Arrival": {Keep: time.Minute}} {
		g := guard(t, o)
		for i := range uint64(1000) {
			want(t, "first", g.Claim(t0, t0, i<<54|i, 0), replay.Fresh)
		}
		g.Expire(t0.Add(time.Minute))
		if g.Len() != 1000 {
			t.Errorf("%s: at the last instant: got %d claims, want 1000", name, g.Len())
		}
		for range 2 {
			g.Expire(t0.Add(time.Minute + 5*time.Second))
			if g.Len() != 0 {
				t.Errorf("%s: after the window: got %d claims, want 0", name, g.Len())
			}
		}
	}
}

// A full guard is not full for longer than its claims can pass, whatever part
// of it the next ones fall into.
func TestFullAfterTheWindow(t *testing.T) {
	o := window(time.Minute, time.Second)
	o.Capacity = 512
	g := guard(t, o)
	for i := range uint64(512) {
		want(t, "with room", g.Claim(t0, t0, i<<55|i, 0), replay.Fresh)
	}
	later := t0.Add(time.Minute + 5*time.Second)
	for i := range uint64(512) {
		want(t, "in one part", g.Claim(later, later, 7<<56|i, 0), replay.Fresh)
	}
	want(t, "full again", g.Claim(later, later, 1, 0), replay.Full)
}
