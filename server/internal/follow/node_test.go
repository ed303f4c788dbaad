package follow_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/follow"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// members is a log of which also the table of nodes can be away.
type members struct {
	log
	silent error  // of Beat, Nodes and Leave
	onBeat func() // before a beat is stored
	beats  int
}

func newMembers() *members { return &members{log: log{Store: memory.New()}} }

func (m *members) Beat(ctx context.Context, n store.Node) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.beats++
	if m.onBeat != nil {
		m.onBeat()
	}
	if m.silent != nil {
		return m.silent
	}
	return m.Store.Beat(ctx, n)
}

func (m *members) Nodes(ctx context.Context) ([]store.Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.silent != nil {
		return nil, m.silent
	}
	return m.Store.Nodes(ctx)
}

func join(t *testing.T, m *members) *follow.Node {
	t.Helper()
	n, err := follow.Join(t.Context(), m, m, "n1")
	if err != nil {
		t.Fatalf("Join: %v", err)
	}
	return n
}

// run lets a node run until the function that it returns is called.
func run(t *testing.T, n *follow.Node, apply ...follow.Apply) (stop func()) {
	t.Helper()
	if err := n.CatchUp(t.Context(), apply...); err != nil {
		t.Fatalf("CatchUp: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- n.Run(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func wantState(t *testing.T, what string, n *follow.Node, want follow.State) {
	t.Helper()
	if got, _ := n.State(); got != want {
		t.Errorf("%s: got state %s, want %s", what, got, want)
	}
	if n.Current() != (want == follow.Current) {
		t.Errorf("%s: Current is %v in state %s", what, n.Current(), want)
	}
	if err := n.Usable(); (err != nil) != (want == follow.Stale) || err != nil && fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%s: Usable is %v in state %s", what, err, want)
	}
}

// pass lets time pass, and the node do what it does.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// What is committed until the others know of a node is applied before it
// serves. Before that it is not current.
func TestCatchUpAfterTheFirstBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := newMembers(), &reader{}
		m.add(t, 2)
		n := join(t, m)
		m.add(t, 1) // while everything is loaded
		m.onBeat = func() { m.add(t, 1) }
		if n.Current() {
			t.Error("current before the others know of it")
		}
		if err := n.CatchUp(t.Context(), r.apply); err != nil {
			t.Fatalf("CatchUp: %v", err)
		}
		if want := upTo(3, 4); !slices.Equal(r.seqs, want) {
			t.Errorf("applied %v, want %v", r.seqs, want)
		}
		wantState(t, "after CatchUp", n, follow.Current)
		if list, err := m.Nodes(t.Context()); err != nil || len(list) != 1 || list[0].Seq != 2 {
			t.Errorf("nodes: got %+v, %v, want this one with what it had loaded", list, err)
		}
	})
}

func TestJoinFails(t *testing.T) {
	m := newMembers()
	n := join(t, m)
	m.set(func() { m.away = errAway })
	if err := n.CatchUp(t.Context()); !errors.Is(err, errAway) {
		t.Errorf("CatchUp without a log: got %v", err)
	}
	m.set(func() { m.silent = errAway })
	if err := n.CatchUp(t.Context()); !errors.Is(err, errAway) {
		t.Errorf("CatchUp without a beat: got %v", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := follow.Join(t.Context(), m, m, "n2"); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Join: got %v", err)
	}
}

// A node beats every two seconds, and at once when others wait for what it has
// applied.
func TestBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMembers()
		n := join(t, m)
		var awaited atomic.Bool
		n.About, n.Awaited = "host, process 1", awaited.Load
		defer run(t, n)()
		m.set(func() { m.beats = 0 })
		pass(time.Minute)
		if m.beats != 30 {
			t.Errorf("got %d beats in a minute, want 30", m.beats)
		}
		pass(time.Second)
		seq := func() int64 {
			list, err := m.Nodes(t.Context())
			if err != nil || len(list) != 1 || list[0].ID != "n1" || list[0].About != n.About {
				t.Fatalf("nodes: got %+v, %v", list, err)
			}
			return list[0].Seq
		}
		m.add(t, 1)
		if pass(follow.DefaultEvery); seq() != 0 {
			t.Errorf("nobody waits: got seq %d", seq())
		}
		awaited.Store(true)
		m.add(t, 1)
		if pass(follow.DefaultEvery); seq() != 2 {
			t.Errorf("others wait: got seq %d, want 2", seq())
		}
		m.set(func() { m.beats = 0 })
		if pass(4 * follow.DefaultEvery); m.beats > 1 {
			t.Errorf("nothing new: got %d beats in a second", m.beats)
		}
	})
}

// What happens to a node that no longer hears, is no longer heard, or both.
func TestCutOff(t *testing.T) {
	tests := []struct {
		name        string
		deaf, mute  bool
		stale       bool // in the end
		wantReports []follow.State
	}{
		{"Deaf", true, false, true, []follow.State{follow.CutOff, follow.Stale, follow.Current}},
		{"Mute", false, true, false, []follow.State{follow.CutOff, follow.Current}},
		{"Both", true, true, true, []follow.State{follow.CutOff, follow.Stale, follow.Current}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMembers()
				n := join(t, m)
				var reports []follow.State
				n.Report = func(s follow.State, err error) {
					reports = append(reports, s)
					if (err == nil) != (s == follow.Current) {
						t.Errorf("state %s: got error %v", s, err)
					}
				}
				defer run(t, n)()
				pass(10 * follow.BeatEvery)
				if tt.deaf {
					m.set(func() { m.away = errAway })
				}
				if tt.mute {
					m.set(func() { m.silent = errAway })
				}
				pass(follow.DefaultCurrent - 2*follow.BeatEvery)
				wantState(t, "before the limit", n, follow.Current)
				pass(2 * follow.BeatEvery)
				wantState(t, "after the limit", n, follow.CutOff)
				pass(follow.DefaultStale - follow.DefaultCurrent - 2*follow.BeatEvery)
				wantState(t, "before the second limit", n, follow.CutOff)
				pass(2*follow.BeatEvery + follow.MaxPause)
				if tt.stale {
					wantState(t, "after the second limit", n, follow.Stale)
				} else {
					wantState(t, "after the second limit", n, follow.CutOff)
				}
				m.set(func() { m.silent = nil })
				pass(follow.BeatEvery)
				m.set(func() { m.away = nil })
				pass(2 * follow.BeatEvery)
				wantState(t, "afterwards", n, follow.Current)
				if !slices.Equal(reports, tt.wantReports) {
					t.Errorf("got reports %v, want %v", reports, tt.wantReports)
				}
			})
		})
	}
}

// A node that the others did not see for a while is not current until it has
// read what they did without it, though it has read the log not long ago.
func TestSeenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMembers()
		n := join(t, m)
		defer run(t, n)()
		m.set(func() { m.silent = errAway })
		pass(store.Live)
		m.set(func() { m.away = errAway })
		pass(time.Second)
		m.set(func() { m.silent = nil })
		pass(2 * follow.BeatEvery)
		wantState(t, "seen, before a look", n, follow.CutOff)
		m.set(func() { m.away = nil })
		pass(follow.MaxPause)
		wantState(t, "seen, after a look", n, follow.Current)
	})
}

// Limits of a node can be set.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMembers()
		n := join(t, m)
		n.CurrentFor, n.StaleAfter = 5*time.Second, time.Minute
		defer run(t, n)()
		m.set(func() { m.away = errAway })
		pass(5 * time.Second)
		wantState(t, "after 5 s", n, follow.CutOff)
		pass(55 * time.Second)
		wantState(t, "after a minute", n, follow.Stale)
	})
}

// A node that stops is not waited for; one that cannot say so is forgotten.
func TestLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMembers()
		n := join(t, m)
		run(t, n)()
		if list, err := m.Nodes(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("nodes: got %+v, %v", list, err)
		}
	})
}

func TestApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMembers()
		m.add(t, 3)
		n := join(t, m)
		wantApplied := func(what string, want int64) {
			t.Helper()
			if got, err := n.Applied(t.Context()); err != nil || got != want {
				t.Errorf("%s: got %d, %v, want %d", what, got, err, want)
			}
		}
		wantApplied("no nodes", -1)
		defer run(t, n)()
		wantApplied("this one", 3)
		if err := m.Beat(t.Context(), store.Node{ID: "n0", Seq: 1}); err != nil {
			t.Fatal(err)
		}
		wantApplied("one that is behind", 1)
		pass(store.Live)
		wantApplied("one that is gone", 3)
		if head, err := n.Head(t.Context()); err != nil || head != 3 {
			t.Errorf("Head: got %d, %v", head, err)
		}
		m.set(func() { m.silent = errAway })
		if _, err := n.Applied(t.Context()); !errors.Is(err, errAway) {
			t.Errorf("got %v", err)
		}
	})
}
