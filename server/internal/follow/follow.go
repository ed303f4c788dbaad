// Package follow is the loop of a follower of the log of changes: it reads
// entries in the order of their seq, gives them to those who use them, and
// remembers how far it has come. What it follows is committed already, so it
// never gives up: errors are tried again, more and more slowly.
//
// It knows when it last had everything, by the clock of this machine alone.
package follow

import (
	"context"
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
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	last := page[len(page)-1].Seq
	for _, apply := range l.Apply {
		if err := apply(ctx, page); err != nil {
			return 0, fmt.Errorf("apply entries %d to %d: %w", page[0].Seq, last, err)
		}
	}
	l.seq.Store(last)
	return len(page), nil
}

func (l *Loop) tail(ctx context.Context) ([]store.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	after := l.seq.Load()
	page, err := l.Source.Tail(ctx, after, Page)
	if err != nil {
		return nil, fmt.Errorf("read the log after entry %d: %w", after, err)
	}
	return page, nil
}
