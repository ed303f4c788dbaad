package follow

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Paces and limits of a [Node].
const (
	// BeatEvery is how often a node says that it is there.
	BeatEvery = 2 * time.Second

	// DefaultCurrent is how long after its last contact with the database a node
	// takes what it does not have for something that does not exist. Others go on
	// without it after [store.Live]; until then it has to have stopped that.
	DefaultCurrent = store.Live * 2 / 3

	// DefaultStale is how long after its last contact a node uses what it has.
	DefaultStale = 15 * time.Minute

	beatTimeout = 5 * time.Second
)

// Members is what a [Node] needs of a store. The rules are those of
// storetest.Nodes.
type Members interface {
	Head(ctx context.Context) (int64, error)
	Beat(ctx context.Context, n store.Node) error
	Nodes(ctx context.Context) ([]store.Node, error)
	Leave(ctx context.Context, id string) error
}

// Node is this process as one of several that use a database: it follows what
// the others commit, says how far it has come, and knows when it is cut off.
//
// In this order: [Join], load everything, [Node.CatchUp], [Node.Run]. Its fields
// may be set until CatchUp. Current, Usable and State may be called by many
// goroutines, also before.
type Node struct {
	ID    string // random, of one process; never used again
	About string // for people

	// CurrentFor and StaleAfter are times after the last contact; 0 means
	// [DefaultCurrent] and [DefaultStale].
	CurrentFor, StaleAfter time.Duration

	// Awaited reports whether other nodes wait until this one has come further;
	// it then says so at once. nil means never.
	Awaited func() bool

	// Report is told of each change of the state after CatchUp, with the last
	// error if there is one. It is called by one goroutine. nil means nobody.
	Report func(s State, err error)

	Loop *Loop // to read the log, see [Loop]

	members Members
	told    atomic.Int64 // seq of the last beat
	contact atomic.Pointer[contact]
	failed  atomic.Pointer[error] // of the last look
	wake    chan struct{}
}

// State is how far a node is cut off.
type State string

// The states. A node that is [CutOff] uses what it has; one that is [Stale]
// uses nothing.
const (
	Current State = "current"
	CutOff  State = "cut-off"
	Stale   State = "stale"
)

// contact is how a node is seen by the others.
type contact struct {
	beat   time.Time // before the last beat that was acknowledged; zero means none
	joined time.Time // it has been seen by the others since then, without a break
}

// current reports whether a node with this contact, which has applied
// everything that was committed at heard, has at now everything that the others
// take for known to all nodes. limit is shorter than [store.Live].
//
// Three things can be wrong. It has not read the log for a while. It has not
// been seen for a while, so the others do not wait for it. Or it was not seen,
// is seen again, and has not yet read what was done without it.
func (c contact) current(heard, now time.Time, limit time.Duration) bool {
	return !c.beat.IsZero() && age(c.beat, now) < limit && age(heard, now) < limit && !heard.Before(c.joined)
}

// next returns the contact after a beat that began at sent and was acknowledged
// at now.
func (c contact) next(sent, now time.Time, limit time.Duration) contact {
	if c.beat.IsZero() || age(c.beat, now) >= limit {
		c.joined = now
	}
	c.beat = sent
	return c
}

// age returns the time from then to now by the clock that says more: the
// monotonic one stands still while a machine sleeps, and the other one can be
// set back. One that is set ahead makes a node careful until its next look.
func age(then, now time.Time) time.Duration {
	return max(now.Sub(then), now.Round(0).Sub(then.Round(0)))
}

// Join takes the seq of the last change as the place to follow from. What is
// loaded afterwards has everything up to there.
func Join(ctx context.Context, source Source, members Members, id string) (*Node, error) {
	began := time.Now()
	head, err := members.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("join nodes: %w", err)
	}
	n := &Node{ID: id, Loop: New(source, head, began), members: members, wake: make(chan struct{}, 1)}
	n.contact.Store(&contact{})
	return n, nil
}

// CatchUp makes this node known to the others and then applies what they did
// until they knew it: from then on they wait for it, so it misses nothing.
func (n *Node) CatchUp(ctx context.Context, apply ...Apply) error {
	n.Loop.Apply = apply
	n.Loop.Report = n.looked
	if err := n.beat(ctx); err != nil {
		return fmt.Errorf("join nodes: %w", err)
	}
	if err := n.Loop.CatchUp(ctx); err != nil {
		return fmt.Errorf("join nodes: %w", err)
	}
	return nil
}

// Run follows and beats until ctx ends. Then the others no longer wait for this
// node; it must not serve any more. It returns nil.
func (n *Node) Run(ctx context.Context) error {
	var group sync.WaitGroup
	group.Go(func() { _ = n.Loop.Run(ctx) }) // it returns nil
	n.keepBeating(ctx)
	group.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatTimeout)
	defer cancel()
	_ = n.members.Leave(last, n.ID) // or it is forgotten after [store.Live]
	return nil
}

func (n *Node) keepBeating(ctx context.Context) {
	tick := time.NewTicker(BeatEvery)
	defer tick.Stop()
	before := Current
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-n.wake:
		}
		err := n.beat(ctx)
		if ctx.Err() != nil {
			return
		}
		if state, _ := n.State(); state != before {
			before = state
			if looked := n.failed.Load(); err == nil && looked != nil {
				err = *looked
			}
			if n.Report != nil {
				n.Report(state, err)
			}
		}
	}
}

// looked is told of each look at the log.
func (n *Node) looked(err error) {
	n.failed.Store(&err)
	if err == nil && n.Awaited != nil && n.Loop.Seq() > n.told.Load() && n.Awaited() {
		select {
		case n.wake <- struct{}{}:
		default: // it is awake already
		}
	}
}

func (n *Node) beat(ctx context.Context) error {
	// One that ends late must not follow on Leave.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatTimeout)
	defer cancel()
	sent, seq := time.Now(), n.Loop.Seq()
	if err := n.members.Beat(ctx, store.Node{ID: n.ID, About: n.About, Seq: seq}); err != nil {
		return fmt.Errorf("tell other nodes of this one: %w", err)
	}
	next := n.contact.Load().next(sent, time.Now(), n.currentFor())
	n.contact.Store(&next)
	n.told.Store(seq)
	return nil
}

func (n *Node) currentFor() time.Duration {
	if n.CurrentFor > 0 {
		return n.CurrentFor
	}
	return DefaultCurrent
}

func (n *Node) staleAfter() time.Duration {
	if n.StaleAfter > 0 {
		return n.StaleAfter
	}
	return DefaultStale
}

// Current reports whether what this node does not have does not exist.
func (n *Node) Current() bool {
	return n.contact.Load().current(n.Loop.Heard(), time.Now(), n.currentFor())
}

// Usable returns nil if what this node has may be used, and otherwise an error
// of kind [fault.Unavailable]: a revocation could have been missed.
func (n *Node) Usable() error {
	heard := n.Loop.Heard()
	if age(heard, time.Now()) < n.staleAfter() {
		return nil
	}
	return fault.New(fault.Unavailable,
		"this node has heard nothing from the database since %s, and could have missed that a key was revoked", heard.UTC().Format(time.RFC3339))
}

// State returns the state now, and the time of the last look at the log that
// found everything applied.
func (n *Node) State() (State, time.Time) {
	heard := n.Loop.Heard()
	switch {
	case n.Usable() != nil:
		return Stale, heard
	case !n.Current():
		return CutOff, heard
	}
	return Current, heard
}

// Head implements custody.Nodes.
func (n *Node) Head(ctx context.Context) (int64, error) { return n.members.Head(ctx) }

// Applied implements custody.Nodes: it returns the least seq that a live node
// has said, -1 if there is none.
func (n *Node) Applied(ctx context.Context) (int64, error) {
	nodes, err := n.members.Nodes(ctx)
	if err != nil || len(nodes) == 0 {
		return -1, err
	}
	return slices.MinFunc(nodes, func(a, b store.Node) int { return cmp.Compare(a.Seq, b.Seq) }).Seq, nil
}
