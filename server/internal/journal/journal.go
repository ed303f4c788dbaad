// Package journal remembers claims in this process and in files, so that a
// restart forgets nothing, or refuses what it may have forgotten.
//
// A [Journal] is a [replay.Guard] and a folder. It promises what [gate.Claims]
// says on one node. In mode [Barrier] the disk is not waited for: after a crash,
// what was signed before is refused. In mode [Sync] a claim is on the disk
// before it is answered.
package journal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/gate"
)

// Mode says what is done before a claim is answered. The zero value chooses
// [Barrier] where it can be used, and [Sync] otherwise.
type Mode string

// The modes.
const (
	// Barrier answers at once. It needs a signed time and a future skew of up to
	// 30 s, because so long everything is refused after a crash.
	Barrier Mode = "barrier"
	// Sync writes and syncs first; claims that come together share a sync.
	Sync Mode = "sync"
)

const (
	maxBarrierSkew = 30 * time.Second
	flushEvery     = 100 * time.Millisecond // in mode Barrier
	tickEvery      = time.Second
	markAhead      = 2 * time.Second // of now and the future skew
	maxPending     = 1 << 20         // records that wait for the disk in mode Barrier
	alarmAt        = 80              // percent of the capacity
	perWindow      = 16              // files of the longer side of the window, about
)

// Options say how a journal is opened.
type Options struct {
	Dir   string         // made if it is not there; one process at a time has it
	Guard replay.Options // what is remembered, and for how long
	Mode  Mode

	// Key is the key that makes the IDs. A journal that was made under another
	// one knows nothing, so it counts as damaged. Nil means that the caller sees
	// to it that the key of a folder never changes.
	Key *replay.Key

	// First says that no message was ever accepted, so that an empty folder is
	// no loss: the key that makes the IDs is new.
	First bool
	// AcceptLoss opens a damaged journal of messages without signed time, which
	// is refused otherwise: what was lost can be replayed.
	AcceptLoss bool

	// Alarm is called with what an operator should know: a barrier, a clock that
	// went back, a guard that is filling up, a disk that fails. It must return
	// soon. Nil means that nobody is told.
	Alarm func(error)
	Now   func() time.Time // nil means time.Now

	// act runs every step on the disk; tests break it. Nil means that it does.
	act func(step string, do func() error) error
}

// Journal remembers claims on one node. Get one from [Open]. It may be used by
// many goroutines.
type Journal struct {
	o     Options
	w     window
	guard *replay.Guard
	lock  *os.File

	mark   atomic.Int64  // µs since 1970; a message above it waits
	latest atomic.Int64  // s since 1970; the latest now of a tick
	poke   chan struct{} // asks for a tick
	wake   chan struct{} // says that records wait

	mu      sync.Mutex
	pending []record
	batch   *step // the one that the pending records belong to
	raised  *step // ends with the next tick
	spoiled bool  // a claim is not in the files and will not be, so no stop is a clean one

	calls  sync.RWMutex // held by every Claim; Close waits for it
	closed bool
	stop   chan struct{}
	done   chan struct{}
	ended  error // of the writer, once done is closed
}

// step is something that others wait for.
type step struct {
	done chan struct{}
	err  error
}

func newStep() *step { return &step{done: make(chan struct{})} }

func (s *step) end(err error) {
	s.err = err
	close(s.done)
}

// wait returns the error of the step, or that of ctx.
func (s *step) wait(ctx context.Context) error {
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

var _ gate.Claims = (*Journal)(nil)

// resolve checks the options and fills in what is left out.
func (o Options) resolve() (Options, error) {
	barrier := o.Guard.Keep == 0 && o.Guard.Future <= maxBarrierSkew
	switch {
	case o.Mode == "" && barrier:
		o.Mode = Barrier
	case o.Mode == "":
		o.Mode = Sync
	case o.Mode == Barrier && !barrier:
		return o, fault.New(fault.Invalid, "replay journal: mode barrier needs a signed time and a future skew of at most %v; use mode sync", maxBarrierSkew)
	case o.Mode != Barrier && o.Mode != Sync:
		return o, fault.New(fault.Invalid, "replay journal: got mode %q, want barrier or sync", o.Mode)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Alarm == nil {
		o.Alarm = func(error) {}
	}
	if o.act == nil {
		o.act = func(_ string, do func() error) error { return do() }
	}
	return o, nil
}

// Claim implements [gate.Claims]. A message without a signed time is
// [replay.Outside] in a journal for those that have one, and one with it counts
// from its arrival in a journal for those that have none. So is a message that
// could pass for longer than the journal remembers.
func (j *Journal) Claim(ctx context.Context, now time.Time, c gate.Claim) (replay.Outcome, error) {
	j.calls.RLock()
	defer j.calls.RUnlock()
	if j.closed {
		return 0, unavailable("claim", errors.New("journal is closed"))
	}
	at := c.At
	if j.w.keep != 0 {
		at = now
		if latest := j.latest.Load(); now.Unix() < latest {
			at = time.Unix(latest, 0) // the clock has gone back
		}
	}
	// Either the window or the time to keep is 0.
	if s := at.Unix(); s < 0 || s >= math.MaxUint32 || c.Until.After(at.Add(j.w.past+j.w.keep)) {
		return replay.Outside, nil
	}
	if err := j.awaitMark(ctx, now, at); err != nil {
		return 0, unavailable("claim", err)
	}
	outcome := j.guard.Claim(now, at, c.ID.Short(), c.Owner)
	if outcome != replay.Fresh {
		return outcome, nil
	}
	if err := j.write(ctx, record{c.ID.Short(), uint32(at.Unix())}); err != nil {
		return 0, unavailable("claim", err)
	}
	return replay.Fresh, nil
}

// awaitMark returns when the mark is above at, and above now: a clock so far
// ahead of the last tick means that the process was stopped or set back, and the
// tick bars what it may have missed.
func (j *Journal) awaitMark(ctx context.Context, now, at time.Time) error {
	latest := at
	if now.After(at) {
		latest = now
	}
	for range 3 { // a tick that is under way may be too early
		if latest.UnixMicro() < j.mark.Load() {
			return nil
		}
		j.mu.Lock()
		s := j.raised
		j.mu.Unlock()
		select {
		case j.poke <- struct{}{}:
		default: // it is asked for
		}
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("clock has gone back: %v is ahead of the mark", latest.UTC())
}

// write hands r to the writer. In mode [Sync] it returns when r is on the disk.
func (j *Journal) write(ctx context.Context, r record) error {
	j.mu.Lock()
	if j.o.Mode == Barrier {
		if len(j.pending) < maxPending {
			j.pending = append(j.pending, r)
		} else {
			j.spoiled = true
		}
		j.mu.Unlock()
		return nil
	}
	j.pending = append(j.pending, r)
	s := j.batch
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default: // it is awake
	}
	return s.wait(ctx)
}

// Len is that of the guard.
func (j *Journal) Len() int { return j.guard.Len() }

// Capacity is that of the guard.
func (j *Journal) Capacity() int { return j.guard.Capacity() }

// BarredUntil is that of the guard.
func (j *Journal) BarredUntil() time.Time { return j.guard.BarredUntil() }

// Close waits for claims under way, writes what is not yet written, and then
// says in the state that all of it is there, so that the next start needs no
// barrier. Afterwards every claim is an error of kind [fault.Unavailable]. It
// may be called again.
func (j *Journal) Close() error {
	j.calls.Lock()
	first := !j.closed
	j.closed = true
	j.calls.Unlock()
	if first {
		close(j.stop)
	}
	<-j.done
	return j.ended
}

// errSpoiled means that a claim is in memory only.
var errSpoiled = errors.New("a claim could not be written, so the next start refuses what may have been claimed")

func unavailable(doing string, err error) error {
	return fault.New(fault.Unavailable, "replay journal: %s", doing).Because(err)
}

// Pair remembers messages with a signed time and those without in two
// journals. Either may be nil: its messages are [replay.Outside] then.
type Pair struct {
	Signed, Arrival *Journal
}

var _ gate.Claims = Pair{}

// Claim implements [gate.Claims].
func (p Pair) Claim(ctx context.Context, now time.Time, c gate.Claim) (replay.Outcome, error) {
	j := p.Signed
	if c.At.IsZero() {
		j = p.Arrival
	}
	if j == nil {
		return replay.Outside, nil
	}
	return j.Claim(ctx, now, c)
}

// Close closes both.
func (p Pair) Close() error {
	var errs []error
	for _, j := range []*Journal{p.Signed, p.Arrival} {
		if j != nil {
			errs = append(errs, j.Close())
		}
	}
	return errors.Join(errs...)
}
