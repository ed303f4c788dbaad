package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/journal"
)

const (
	arrivalMark   = "replay-arrival" // in the store: a message without a signed time was remembered
	arrivalFolder = "arrival"        // in that of the journal
	retryArrival  = time.Second
)

// openArrival opens the journal of messages without a signed time. What says in
// the store that there is one comes after it, so that an empty folder is known
// for a loss.
func openArrival(ctx context.Context, o journal.Options, db sharedStore, keys *custody.Service) (*journal.Journal, error) {
	_, err := db.Load(ctx, "", kindShared, arrivalMark)
	first := fault.KindOf(err) == fault.NotFound
	if err != nil && !first {
		return nil, err
	}
	o.First = first
	j, err := journal.Open(o)
	if err != nil || !first {
		return j, err
	}
	if err := makeShared(ctx, db, keys, arrivalMark); err != nil && fault.KindOf(err) != fault.Conflict {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// byTime remembers messages with a signed time and those without in two
// journals.
type byTime struct {
	signed  *journal.Journal
	arrival *arrival
}

// Claim implements [gate.Claims].
func (b byTime) Claim(ctx context.Context, now time.Time, c gate.Claim) (replay.Outcome, error) {
	if !c.At.IsZero() {
		return b.signed.Claim(ctx, now, c)
	}
	j, err := b.arrival.get(ctx)
	if err != nil {
		return 0, err
	}
	return j.Claim(ctx, now, c)
}

// arrival is a journal of messages without a signed time, which is opened with
// the first of them.
type arrival struct {
	open func(context.Context) (*journal.Journal, error)
	log  *slog.Logger

	mu      sync.Mutex
	journal *journal.Journal
	err     error // of the last try to open it
	triedAt time.Time
	closed  bool
}

// get returns the journal. What went wrong is tried again after a second.
func (a *arrival) get(ctx context.Context) (*journal.Journal, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.journal != nil:
		return a.journal, nil
	case a.closed:
		return nil, fault.New(fault.Unavailable, "the server stops")
	case a.err != nil && time.Since(a.triedAt) < retryArrival:
		return nil, a.err
	}
	before := a.err
	a.journal, a.err = a.open(ctx)
	a.triedAt = time.Now()
	if a.err != nil && (before == nil || before.Error() != a.err.Error()) {
		a.log.Error("messages without a signed time are refused; if what was lost may be used again, set replay.accept_loss to true for one start", "error", a.err.Error())
	}
	return a.journal, a.err
}

// state returns the journal, nil if it is not open, and why it could not be
// opened.
func (a *arrival) state() (*journal.Journal, error) {
	if a == nil {
		return nil, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.journal, a.err
}

// Close closes the journal, if it is open.
func (a *arrival) Close() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if a.journal == nil {
		return nil
	}
	return a.journal.Close()
}
