package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Nodes is what a store promises that several processes use at once. Times are
// by the clock of the store alone, so that clocks of nodes need not agree.
type Nodes interface {
	// Head returns the seq of the last entry that is committed, 0 for none.
	Head(ctx context.Context) (int64, error)

	// Beat notes that a node is there and what it has applied, which never goes
	// back, so that beats may overtake each other. It forgets nodes that were
	// not heard of for [store.KeepNodes]. What [store.Node.Check] refuses is of
	// kind [fault.Invalid]. BeatAt is ignored.
	Beat(ctx context.Context, n store.Node) error

	// Nodes returns the nodes that were heard of within [store.Live], by ID.
	Nodes(ctx context.Context) ([]store.Node, error)

	// Leave forgets a node, which has stopped. One that is not there is no error.
	Leave(ctx context.Context, id string) error
}

// RunHead tests Head of [Nodes] on a new and empty store. It closes it.
func RunHead(t *testing.T, s interface {
	Head(ctx context.Context) (int64, error)
	Store
}) {
	want := func(want int64) {
		t.Helper()
		if got, err := s.Head(t.Context()); got != want || err != nil {
			t.Errorf("Head: got %d, %v, want %d", got, err, want)
		}
	}
	want(0)
	mustCommit(t, s, change(put("a", 0), put("b", 0)))
	want(2)
	_, err := s.Commit(t.Context(), change(put("a", 0)))
	wantKind(t, "Commit of what exists", err, fault.Conflict)
	want(2)
	mustCommit(t, s, change(put("a", 1)))
	want(3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Head(ctx)
	wantKind(t, "Head after the end of its context", err, fault.Unavailable)
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	_, err = s.Head(t.Context())
	wantKind(t, "Head after Close", err, fault.Unavailable)
}

// RunNodes tests every sentence of [Nodes] on stores that open returns, each of
// which must be new and empty. The second result of open lets time pass by the
// clock of that store, or go back.
func RunNodes(t *testing.T, open func(*testing.T) (NodeStore, func(time.Duration))) {
	for _, test := range []struct {
		name string
		run  func(nodeTest)
	}{
		{"Head", func(n nodeTest) { RunHead(n.T, n.s) }},
		{"Beat", nodeTest.beat},
		{"Beat/InParallel", nodeTest.parallel},
		{"Beat/Invalid", nodeTest.invalid},
		{"Beat/Forgets", nodeTest.forgets},
		{"Nodes/Live", nodeTest.live},
		{"Leave", nodeTest.leave},
		{"Close", nodeTest.closed},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, pass := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			test.run(nodeTest{T: t, s: s, pass: pass})
		})
	}
}

// NodeStore is a store that several processes can use.
type NodeStore interface {
	Nodes
	Store
}

type nodeTest struct {
	*testing.T
	s    NodeStore
	pass func(time.Duration)
}

func (n nodeTest) sends(id, about string, seq int64) {
	n.Helper()
	if err := n.s.Beat(n.Context(), store.Node{ID: id, About: about, Seq: seq, BeatAt: at}); err != nil {
		n.Fatalf("Beat: %v", err)
	}
}

// want checks the nodes without their times, and returns them.
func (n nodeTest) want(want ...store.Node) []store.Node {
	n.Helper()
	nodes, err := n.s.Nodes(n.Context())
	if err != nil {
		n.Fatalf("Nodes: %v", err)
	}
	var got []store.Node
	for _, node := range nodes {
		node.BeatAt = time.Time{}
		got = append(got, node)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		n.Errorf("Nodes (-want +got):\n%s", diff)
	}
	return nodes
}

func (n nodeTest) beat() {
	n.want()
	n.sends("b", "process 1", 0)
	n.pass(10 * time.Second)
	n.sends("B", "process 2", 7)
	n.sends("a", "", 5)
	nodes := n.want(store.Node{ID: "B", About: "process 2", Seq: 7}, store.Node{ID: "a", Seq: 5}, store.Node{ID: "b", About: "process 1"})
	if d := nodes[1].BeatAt.Sub(nodes[2].BeatAt); d < 10*time.Second || d >= store.Live {
		n.Errorf("a was heard of %v after b, want 10s and a little", d)
	}
	for _, node := range nodes {
		if node.BeatAt.Location() != time.UTC || !node.BeatAt.Equal(node.BeatAt.Truncate(time.Microsecond)) || node.BeatAt.Equal(at) {
			n.Errorf("node %s: got time %v, want one of the store in microseconds, UTC", node.ID, node.BeatAt)
		}
	}
	n.sends("b", "process 3", 9)
	n.sends("b", "process 3", 8) // was overtaken
	n.want(store.Node{ID: "B", About: "process 2", Seq: 7}, store.Node{ID: "a", Seq: 5}, store.Node{ID: "b", About: "process 3", Seq: 9})
	if head, err := n.s.Head(n.Context()); head != 0 || err != nil {
		n.Errorf("Head: got %d, %v: a beat is no entry", head, err)
	}
}

func (n nodeTest) parallel() {
	var group sync.WaitGroup
	for i := range int64(40) {
		group.Go(func() {
			if err := n.s.Beat(n.Context(), store.Node{ID: fmt.Sprint(i % 2), Seq: i}); err != nil {
				n.Errorf("Beat: %v", err)
			}
		})
	}
	group.Wait()
	n.want(store.Node{ID: "0", Seq: 38}, store.Node{ID: "1", Seq: 39})
}

func (n nodeTest) invalid() {
	for name, node := range map[string]store.Node{
		"no ID": {About: "process 1"}, "negative seq": {ID: "a", Seq: -1}, "NUL": {ID: "a", About: "\x00"},
		"too long": {ID: strings.Repeat("x", store.MaxText+1)},
	} {
		wantKind(n.T, "Beat with "+name, n.s.Beat(n.Context(), node), fault.Invalid)
	}
	n.want()
}

// What is forgotten is not there when the clock goes back.
func (n nodeTest) forgets() {
	for _, tt := range []struct {
		after time.Duration
		want  []store.Node
	}{
		{store.KeepNodes - time.Hour, []store.Node{{ID: "a"}, {ID: "b"}}},
		{store.KeepNodes + time.Second, []store.Node{{ID: "b"}}},
	} {
		n.sends("a", "", 0)
		n.pass(tt.after)
		n.sends("b", "", 0)
		n.pass(-tt.after)
		n.want(tt.want...)
	}
}

func (n nodeTest) live() {
	n.sends("a", "", 1)
	n.pass(store.Live / 2)
	n.sends("b", "", 1)
	n.pass(store.Live / 2) // and the little that really passed
	n.want(store.Node{ID: "b", Seq: 1})
	n.sends("a", "", 1)
	n.want(store.Node{ID: "a", Seq: 1}, store.Node{ID: "b", Seq: 1})
	n.pass(store.Live)
	n.want()
}

func (n nodeTest) leave() {
	n.sends("a", "", 1)
	n.sends("b", "", 2)
	for range 2 { // the second time it is not there
		if err := n.s.Leave(n.Context(), "a"); err != nil {
			n.Errorf("Leave: %v", err)
		}
		n.want(store.Node{ID: "b", Seq: 2})
	}
}

func (n nodeTest) closed() {
	if err := n.s.Close(); err != nil {
		n.Fatalf("Close: %v", err)
	}
	wantKind(n.T, "Beat after Close", n.s.Beat(n.Context(), store.Node{ID: "a"}), fault.Unavailable)
	wantKind(n.T, "Leave after Close", n.s.Leave(n.Context(), "a"), fault.Unavailable)
	_, err := n.s.Nodes(n.Context())
	wantKind(n.T, "Nodes after Close", err, fault.Unavailable)
}
