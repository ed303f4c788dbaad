package follow_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/server/internal/follow"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

var errAway = errors.New("away")

// log is a store that is away when a test wants.
type log struct {
	*memory.Store
	slow time.Duration // of each Tail

	mu    sync.Mutex
	away  error
	tails int
}

// set lets a test change what goroutines use.
func (l *log) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *log) Tail(ctx context.Context, after int64, limit int) ([]store.Entry, error) {
	if l.slow > 0 {
		select {
		case <-time.After(l.slow):
		case <-ctx.Done():
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tails++
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if l.away != nil {
		return nil, l.away
	}
	return l.Store.Tail(ctx, after, limit)
}

// add commits n entries, each a change of its own.
func (l *log) add(t *testing.T, n int) {
	t.Helper()
	for range n {
		c := store.Change{Entries: []store.Entry{{At: time.Now(), Caller: "test", Action: "test"}}}
		if _, err := l.Commit(t.Context(), c); err != nil {
			t.Fatalf("Commit: %v", err)
		}
	}
}

// reader remembers what it has seen, and fails when a test wants.
type reader struct {
	mu    sync.Mutex
	seqs  []int64
	fail  error
	calls int
}

func (r *reader) apply(_ context.Context, page []store.Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.fail != nil {
		return r.fail
	}
	for _, e := range page {
		r.seqs = append(r.seqs, e.Seq)
	}
	return nil
}

// upTo returns from, from+1 and so on to last.
func upTo(from, last int64) []int64 {
	var s []int64
	for ; from <= last; from++ {
		s = append(s, from)
	}
	return s
}

func start(t *testing.T, l *follow.Loop) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r := &log{Store: memory.New()}, &reader{}
		l.add(t, 3)
		loop := follow.New(l, 2, time.Now(), r.apply)
		stop := start(t, loop)
		defer stop()
		synctest.Wait()
		if want := upTo(3, 3); !slices.Equal(r.seqs, want) || loop.Seq() != 3 {
			t.Errorf("at the start: got %v and seq %d, want %v", r.seqs, loop.Seq(), want)
		}
		l.add(t, 3*follow.Page+1) // in one look
		time.Sleep(follow.DefaultEvery)
		synctest.Wait()
		if want := upTo(3, 3*follow.Page+4); !slices.Equal(r.seqs, want) {
			t.Errorf("after many: got %d entries up to %d, want %d", len(r.seqs), loop.Seq(), len(want))
		}
		if age := time.Since(loop.Heard()); age != 0 {
			t.Errorf("heard %v ago, want now", age)
		}
		calls := r.calls
		time.Sleep(time.Minute)
		synctest.Wait()
		if r.calls != calls {
			t.Errorf("nothing new: Apply was called %d times", r.calls-calls)
		}
	})
}

// While the store is away nothing is applied and nothing counts as heard; the
// looks become rare. Afterwards everything comes.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r := &log{Store: memory.New()}, &reader{}
		var last error
		loop := follow.New(l, 0, time.Now(), r.apply)
		loop.Report, loop.Rand = func(err error) { last = err }, func() float64 { return 0 }
		stop := start(t, loop)
		defer stop()
		synctest.Wait()
		heard := loop.Heard()
		l.add(t, 2)
		l.set(func() { l.away, l.tails = errAway, 0 })
		time.Sleep(time.Minute)
		synctest.Wait()
		if !errors.Is(last, errAway) || len(r.seqs) != 0 || !loop.Heard().Equal(heard) {
			t.Errorf("while it is away: got error %v, %d entries, heard %v later", last, len(r.seqs), loop.Heard().Sub(heard))
		}
		if l.tails < 29 || l.tails > 40 { // every 2 s, more often in the beginning
			t.Errorf("looked %d times in a minute", l.tails)
		}
		l.set(func() { l.away = nil })
		time.Sleep(follow.MaxPause)
		synctest.Wait()
		if last != nil || !slices.Equal(r.seqs, upTo(1, 2)) {
			t.Errorf("when it is back: got error %v, entries %v", last, r.seqs)
		}
	})
}

// A store that does not answer is given up, so that the next look can have
// another connection.
func TestStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &log{Store: memory.New(), slow: time.Hour}
		var last error
		loop := follow.New(l, 0, time.Now())
		loop.Report = func(err error) { last = err }
		defer start(t, loop)()
		time.Sleep(time.Minute)
		synctest.Wait()
		if !errors.Is(last, context.DeadlineExceeded) || l.tails < 5 {
			t.Errorf("got error %v after %d looks", last, l.tails)
		}
	})
}

// What was committed while a slow look was under way does not count as heard.
func TestHeardFromBeforeTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &log{Store: memory.New(), slow: 3 * time.Second}
		began := time.Now()
		loop := follow.New(l, 0, time.Time{})
		if err := loop.CatchUp(t.Context()); err != nil {
			t.Fatalf("CatchUp: %v", err)
		}
		if !loop.Heard().Equal(began) {
			t.Errorf("heard %v after the beginning", loop.Heard().Sub(began))
		}
	})
}

// A consumer that fails gets the same entries again, rarely. The others go on,
// and only what all have counts.
func TestApplyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &log{Store: memory.New()}
		first, second, third := &reader{}, &reader{fail: errAway}, &reader{}
		l.add(t, 2)
		loop := follow.New(l, 0, time.Now(), first.apply, second.apply, third.apply)
		heard := loop.Heard()
		var last error
		loop.Report = func(err error) { last = err }
		defer start(t, loop)()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if loop.Seq() != 0 || !loop.Heard().Equal(heard) || !errors.Is(last, errAway) {
			t.Errorf("got seq %d, heard %v later, error %v, want nothing and why", loop.Seq(), loop.Heard().Sub(heard), last)
		}
		if second.calls < 5 || second.calls > 15 {
			t.Errorf("the one that fails was called %d times in 10 s", second.calls)
		}
		l.add(t, follow.Page+1)
		time.Sleep(follow.DefaultEvery)
		synctest.Wait()
		for i, r := range []*reader{first, third} {
			if want := upTo(1, follow.Page+3); !slices.Equal(r.seqs, want) {
				t.Errorf("one of the others, %d, got %d entries, want %d", i, len(r.seqs), len(want))
			}
		}
		second.mu.Lock()
		second.fail = nil
		second.mu.Unlock()
		l.add(t, 1)
		time.Sleep(follow.MaxPause)
		synctest.Wait()
		for i, r := range []*reader{first, second, third} {
			if want := upTo(1, follow.Page+4); !slices.Equal(r.seqs, want) {
				t.Errorf("afterwards %d got %d entries, want %d, each once", i, len(r.seqs), len(want))
			}
		}
		if loop.Seq() != follow.Page+4 || time.Since(loop.Heard()) > follow.DefaultEvery || last != nil {
			t.Errorf("afterwards: got seq %d, heard %v ago, error %v", loop.Seq(), time.Since(loop.Heard()), last)
		}
	})
}

// A start that cannot apply something fails.
func TestCatchUpApplyFails(t *testing.T) {
	l := &log{Store: memory.New()}
	l.add(t, 1)
	first, second := &reader{fail: errAway}, &reader{}
	loop := follow.New(l, 0, time.Now(), first.apply, second.apply)
	if err := loop.CatchUp(t.Context()); !errors.Is(err, errAway) || loop.Seq() != 0 {
		t.Errorf("got %v and seq %d", err, loop.Seq())
	}
	if len(second.seqs) != 1 {
		t.Errorf("the other one got %v", second.seqs)
	}
}

// A store that lost what it had acknowledged is not followed: what is in memory
// does not fit it.
func TestRewritten(t *testing.T) {
	tests := []struct {
		name   string
		seq    int64 // that is followed from
		before int   // entries that are there and read
		after  int   // entries of the store that takes over
		want   error
	}{
		{"Shorter", 0, 3, 2, follow.ErrRewritten},
		{"Other", 0, 3, 3, follow.ErrRewritten},
		{"OtherAndLonger", 0, 3, 5, follow.ErrRewritten},
		{"Empty", 2, 2, 0, follow.ErrRewritten},
		{"NothingYet", 0, 0, 1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, r := &log{Store: memory.New()}, &reader{}
				l.add(t, tt.before)
				loop := follow.New(l, tt.seq, time.Now(), r.apply)
				for range 2 {
					if err := loop.CatchUp(t.Context()); err != nil {
						t.Fatalf("CatchUp: %v", err)
					}
				}
				heard := loop.Heard()
				time.Sleep(time.Second)
				l.Store = memory.New()
				l.add(t, tt.after)
				for range 2 {
					if err := loop.CatchUp(t.Context()); !errors.Is(err, tt.want) {
						t.Errorf("CatchUp: got %v, want %v", err, tt.want)
					}
				}
				if tt.want != nil && (loop.Seq() != int64(tt.before) || !loop.Heard().Equal(heard)) {
					t.Errorf("got seq %d, heard %v later", loop.Seq(), loop.Heard().Sub(heard))
				}
			})
		})
	}
}

func TestCatchUpFails(t *testing.T) {
	l := &log{Store: memory.New(), away: errAway}
	if err := follow.New(l, 7, time.Now()).CatchUp(t.Context()); !errors.Is(err, errAway) {
		t.Errorf("got %v, want %v", err, errAway)
	}
}

func TestPause(t *testing.T) {
	const every = 250 * time.Millisecond
	tests := []struct {
		name     string
		every    time.Duration
		failures int
		u        float64
		want     time.Duration
	}{
		{"First", every, 1, 0, every},
		{"Second", every, 2, 0, 2 * every},
		{"HalfIsChance", every, 2, 0.5, 375 * time.Millisecond},
		{"Longest", every, 4, 0, follow.MaxPause},
		{"NoOverflow", every, 1_000_000, 0, follow.MaxPause},
		{"SlowerThanTheLongest", time.Minute, 9, 0, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := follow.Pause(tt.every, tt.failures, tt.u); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
