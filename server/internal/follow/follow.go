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
	"slices"
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

// Apply uses entries, ascending and without a gap. After an error it gets the
// same entries again: nothing is skipped, and applying an entry twice must do no
// harm.
type Apply func(ctx context.Context, page []store.Entry) error

// Loop follows the log. Get one from [New]. Its fields must not change once
// CatchUp or Run was called. Seq and Heard may be called by many goroutines,
// the other methods by one.
type Loop struct {
	Source Source
	Apply  []Apply         // called one after the other; one that fails keeps no other one waiting
	Every  time.Duration   // between two looks; 0 means [DefaultEvery]
	Rand   func() float64  // in [0, 1), for the pause after errors; nil means math/rand
	Report func(err error) // is told of each look: nil if everything is applied; nil means nobody

	readers []*reader

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

// Seq returns the seq of the last entry that all have applied.
func (l *Loop) Seq() int64 { return l.seq.Load() }

// Heard returns a time up to which everything that was committed is applied:
// when the last look began that found nothing more. It has a reading of the
// monotonic clock.
func (l *Loop) Heard() time.Time { return *l.heard.Load() }

// CatchUp applies everything that was committed before it was called. It does
// not try again after an error.
func (l *Loop) CatchUp(ctx context.Context) error {
	l.begin()
	return errors.Join(l.look(ctx, l.readers), l.failed())
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
	l.begin()
	failures := 0
	for {
		err := l.look(ctx, l.due(time.Now()))
		if ctx.Err() != nil {
			return nil
		}
		l.rest(every, random)
		if l.Report != nil {
			l.Report(errors.Join(err, l.failed()))
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

// begin makes the readers, once.
func (l *Loop) begin() {
	if l.readers != nil {
		return
	}
	for _, apply := range l.Apply {
		l.readers = append(l.readers, &reader{apply: apply, seq: l.Seq(), heard: l.Heard()})
	}
	if len(l.readers) == 0 {
		nothing := func(context.Context, []store.Entry) error { return nil }
		l.readers = []*reader{{apply: nothing, seq: l.Seq(), heard: l.Heard()}}
	}
}

// look lets readers come to the end of the log, those that are at the same place
// together. The error is that of reading the log; a reader keeps its own.
func (l *Loop) look(ctx context.Context, readers []*reader) error {
	for len(readers) > 0 {
		var together, others []*reader
		for _, r := range readers {
			if r.seq == readers[0].seq {
				together = append(together, r)
			} else {
				others = append(others, r)
			}
		}
		if err := l.lookTogether(ctx, together); err != nil {
			return err
		}
		readers = others
	}
	return nil
}

func (l *Loop) lookTogether(ctx context.Context, readers []*reader) error {
	for len(readers) > 0 {
		began := time.Now()
		page, err := l.tail(ctx, readers[0])
		if err != nil {
			return err
		}
		readers = slices.DeleteFunc(readers, func(r *reader) bool { return r.read(ctx, page) != nil })
		if len(page) < Page {
			for _, r := range readers {
				r.heard = began
			}
			readers = nil
		}
		l.publish()
	}
	return nil
}

// publish says how far the last of the readers has come.
func (l *Loop) publish() {
	seq, heard := l.readers[0].seq, l.readers[0].heard
	for _, r := range l.readers[1:] {
		seq = min(seq, r.seq)
		if r.heard.Before(heard) {
			heard = r.heard
		}
	}
	l.seq.Store(seq)
	l.heard.Store(&heard)
}

// reader is one who uses entries, and how far it has come.
type reader struct {
	apply    Apply
	seq      int64
	last     store.Entry // that is applied; Seq is 0 if it was not seen
	heard    time.Time
	err      error // of the last page; nil if it is applied
	failures int   // in a row
	again    time.Time
}

// read applies a page.
func (r *reader) read(ctx context.Context, page []store.Entry) error {
	r.err = nil
	if len(page) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	next := page[len(page)-1]
	if err := r.apply(ctx, page); err != nil {
		r.err = fmt.Errorf("apply entries %d to %d: %w", page[0].Seq, next.Seq, err)
		return r.err
	}
	r.seq, r.last = next.Seq, next
	return nil
}

// due returns the readers that have not failed a moment ago.
func (l *Loop) due(now time.Time) []*reader {
	var due []*reader
	for _, r := range l.readers {
		if !now.Before(r.again) {
			due = append(due, r)
		}
	}
	return due
}

// rest decides when those that have failed since try again.
func (l *Loop) rest(every time.Duration, random func() float64) {
	now := time.Now()
	for _, r := range l.readers {
		switch {
		case r.err == nil:
			r.failures = 0
		case !now.Before(r.again):
			r.failures++
			r.again = now.Add(Pause(every, r.failures, random()))
		}
	}
}

// failed returns the errors of the readers that have one.
func (l *Loop) failed() error {
	var errs []error
	for _, r := range l.readers {
		errs = append(errs, r.err)
	}
	return errors.Join(errs...)
}

// tail reads the entries that come next for r, and before them the last one that
// is applied, to see that it is still the same.
func (l *Loop) tail(ctx context.Context, r *reader) ([]store.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if r.seq == 0 {
		page, err := l.Source.Tail(ctx, 0, Page)
		return page, wrap(err, r.seq)
	}
	page, err := l.Source.Tail(ctx, r.seq-1, Page+1)
	if err != nil {
		return nil, wrap(err, r.seq)
	}
	if len(page) == 0 || page[0].Seq != r.seq || r.last.Seq != 0 && !same(page[0], r.last) {
		return nil, wrap(ErrRewritten, r.seq)
	}
	r.last = page[0]
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
