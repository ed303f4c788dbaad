// Package follow is the loop of a follower of the log of changes: it reads
// entries in the order of their seq, gives them to those who use them, and
// remembers how far it has come. What it follows is committed already, so it
// never gives up: errors are tried again, more and more slowly.
//
// It knows when it last had everything, by the clock of this machine alone.
package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/server/internal/store"
)

// Paces and bounds of a [Loop].
const (
	// DefaultEvery is the time between two looks at the log.
	DefaultEvery = 250 * time.Millisecond
	// MaxPause is the longest time between two looks, after many errors.
	MaxPause = 2 * time.Second
	// Page is the most entries that are read and applied at once.
	Page = 250

	readTimeout  = 5 * time.Second  // a connection that does not answer is given up
	applyTimeout = 30 * time.Second // what was applied by then is looked at again only
)

// ErrRewritten means that the log no longer has the entry that was applied last:
// the store has lost what it had acknowledged, as a standby that lagged behind
// when it took over, or was restored under a running process. What is in memory
// does not fit it any more. Only a start loads everything again.
var ErrRewritten = errors.New("the store has lost changes that it had acknowledged: restart this process, so that it loads what is left")

// Source is what a [Loop] needs of a store. The rules are those of
// storetest.Store.
type Source interface {
	Tail(ctx context.Context, afterSeq int64, limit int) ([]store.Entry, error)
}

// Apply uses entries, ascending and without a gap. After an error, its own or
// that of another one, it gets the same entries again: nothing is skipped, and
// applying an entry twice must do no harm.
type Apply func(ctx context.Context, page []store.Entry) error

// Loop follows the log. Get one from [New]. Its fields must not change once
// CatchUp or Run was called. Seq and Heard may be called by many goroutines,
// the other methods by one.
type Loop struct {
	Source Source
	Apply  []Apply         // called one after the other
	Every  time.Duration   // between two looks; 0 means [DefaultEvery]
	Rand   func() float64  // in [0, 1), for the pause after errors; nil means math/rand
	Report func(err error) // is told of each look: nil if everything is applied; nil means nobody

	last  store.Entry // that is applied; Seq is 0 if it was not seen
	seq   atomic.Int64
	heard atomic.Pointer[time.Time]
}

// New returns a loop that begins after the entry seq. What the caller has
// loaded by itself holds everything up to there, and was all there was at
// heard, a time before it asked for seq.
func New(source Source, seq int64, heard time.Time, apply ...Apply) *Loop {
	l := &Loop{Source: source, Apply: apply}
	l.seq.Store(seq)
	l.heard.Store(&heard)
	return l
}

// Seq returns the seq of the last entry that is applied.
func (l *Loop) Seq() int64 { return l.seq.Load() }

// Heard returns a time up to which everything that was committed is applied:
// when the last look began that found nothing more. It has a reading of the
// monotonic clock.
func (l *Loop) Heard() time.Time { return *l.heard.Load() }

// CatchUp applies everything that was committed before it was called. It does
// not try again after an error.
func (l *Loop) CatchUp(ctx context.Context) error {
	for {
		began := time.Now()
		n, err := l.look(ctx)
		if err != nil {
			return err
		}
		if n < Page {
			l.heard.Store(&began)
			return nil
		}
	}
}

// Run follows until ctx ends, and returns nil.
func (l *Loop) Run(ctx context.Context) error {
	every, random := l.Every, l.Rand
	if every <= 0 {
		every = DefaultEvery
	}
	if random == nil {
		random = rand.Float64
	}
	failures := 0
	for {
		err := l.CatchUp(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if l.Report != nil {
			l.Report(err)
		}
		pause := every
		if failures++; err == nil {
			failures = 0
		} else {
			pause = Pause(every, failures, random())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// Pause returns how long to wait after a number of failures in a row, 1 or
// more: every, twice as long with each further one, at most [MaxPause] (or
// every, if that is longer). u, in [0, 1), is the caller's random number: it
// takes away up to half, so that not all followers come back at once.
func Pause(every time.Duration, failures int, u float64) time.Duration {
	limit := max(MaxPause, every)
	pause := every
	for range failures - 1 {
		if pause *= 2; pause >= limit {
			break
		}
	}
	pause = min(pause, limit)
	return pause - time.Duration(u/2*float64(pause))
}

// look reads and applies a page, and returns how many entries it had.
func (l *Loop) look(ctx context.Context) (int, error) {
	page, err := l.tail(ctx)
	if err != nil || len(page) == 0 {
		return 0, err
	}
	next := page[len(page)-1]
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	for _, apply := range l.Apply {
		if err := apply(ctx, page); err != nil {
			return 0, fmt.Errorf("apply entries %d to %d: %w", page[0].Seq, next.Seq, err)
		}
	}
	l.seq.Store(next.Seq)
	l.last = next
	return len(page), nil
}

// tail reads the entries that come next, and before them the last one that is
// applied, to see that it is still the same.
func (l *Loop) tail(ctx context.Context) ([]store.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	seq := l.seq.Load()
	if seq == 0 {
		page, err := l.Source.Tail(ctx, 0, Page)
		return page, wrap(err, seq)
	}
	page, err := l.Source.Tail(ctx, seq-1, Page+1)
	if err != nil {
		return nil, wrap(err, seq)
	}
	if len(page) == 0 || page[0].Seq != seq || l.last.Seq != 0 && !same(page[0], l.last) {
		return nil, wrap(ErrRewritten, seq)
	}
	l.last = page[0]
	return page[1:], nil
}

func wrap(err error, seq int64) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read the log after entry %d: %w", seq, err)
}

func same(a, b store.Entry) bool {
	return a.At.Equal(b.At) && a.Tenant == b.Tenant && a.Caller == b.Caller && a.Action == b.Action && a.Kind == b.Kind &&
		a.RecordID == b.RecordID && a.Name == b.Name && a.Reason == b.Reason && bytes.Equal(a.Detail, b.Detail)
}
