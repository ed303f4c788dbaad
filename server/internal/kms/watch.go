package kms

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Watch tries a key service again and again. It knows since when the service is
// away, and says when that has lasted so long that keys which it has unwrapped
// must no longer be used: access to them may have been withdrawn on purpose.
//
// It counts from the last try that worked, by the monotonic clock. Its fields
// must not change once it is used. It may be used by many goroutines.
type Watch struct {
	Name    string // of the key service
	Wrapper Wrapper
	Every   time.Duration // between two tries of [Watch.Run]
	Limit   time.Duration // how long keys are used without the service

	// Report is told each time when the phase has changed, with the error of the
	// last try if it did not work; nil means nobody.
	Report func(s WatchStatus, err error)

	trying sync.Mutex // held during a try, so that the last outcome is the newest
	status atomic.Pointer[WatchStatus]
}

// Phase is how a key service is.
type Phase string

// The phases.
const (
	Works Phase = "works"
	Away  Phase = "away"    // keys in memory are used
	Ended Phase = "stopped" // it is away for too long: they are not
)

// WatchStatus is what a [Watch] knows.
type WatchStatus struct {
	Phase     Phase
	RootKeyID string    // with which the last try that worked has wrapped
	WorkedAt  time.Time // end of that try
	AwaySince time.Time // end of the first try after it that did not work; zero while it works
	EndsAt    time.Time // when keys are no longer used; zero while it works
}

// Try has the service wrap and unwrap something, see [Probe], and notes how that
// went, unless ctx has ended. It returns the error of the try.
func (w *Watch) Try(ctx context.Context) error {
	w.trying.Lock()
	defer w.trying.Unlock()
	id, err := Probe(ctx, w.Wrapper)
	if err != nil && ctx.Err() != nil {
		return err // it was not the service
	}
	now := time.Now()
	before := w.status.Load()
	next := WatchStatus{Phase: Works, RootKeyID: id, WorkedAt: now}
	switch {
	case err != nil && before == nil:
		return err // it never worked: there is nothing to go on with
	case err != nil:
		next = *before
		if next.Phase == Works {
			next.AwaySince, next.EndsAt = now, next.WorkedAt.Add(w.Limit)
		}
		next.Phase = next.phaseAt(now)
	}
	w.status.Store(&next)
	if w.Report != nil && before != nil && next.Phase != before.Phase {
		w.Report(next, err)
	}
	return err
}

func (s *WatchStatus) phaseAt(now time.Time) Phase {
	switch {
	case s.AwaySince.IsZero():
		return Works
	case now.Before(s.EndsAt):
		return Away
	}
	return Ended
}

// Run tries every w.Every until ctx ends, and then returns nil.
func (w *Watch) Run(ctx context.Context) error {
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			_ = w.Try(ctx) // it is noted
		}
	}
}

// Status returns what is known now. Before the first try that worked it is the
// zero value.
func (w *Watch) Status() WatchStatus {
	s := w.status.Load()
	if s == nil {
		return WatchStatus{}
	}
	now := *s
	now.Phase = s.phaseAt(time.Now())
	return now
}

// Usable returns why keys in memory must not be used, an error of kind
// [fault.Unavailable], or nil. It is fast.
func (w *Watch) Usable() error {
	s := w.status.Load()
	if s == nil || s.AwaySince.IsZero() || time.Now().Before(s.EndsAt) {
		return nil
	}
	return fault.New(fault.Unavailable, "%s, and keys in memory have not been used since %s: access to them may have been withdrawn",
		w.away(s), s.EndsAt.UTC().Format(time.RFC3339))
}

func (w *Watch) away(s *WatchStatus) string {
	return fmt.Sprintf("the key service %s has been away since %s", w.Name, s.AwaySince.UTC().Format(time.RFC3339))
}

// Notice says that the service is away and until when keys are used; it is
// empty while the service works.
func (w *Watch) Notice() string {
	s := w.Status()
	if s.AwaySince.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s, keys in memory are used until %s", w.away(&s), s.EndsAt.UTC().Format(time.RFC3339))
}

// Wrap is that of w.Wrapper. While the service is away it fails at once, so that
// nobody waits for what is known already.
func (w *Watch) Wrap(ctx context.Context, plain secret.Bytes, aad []byte) (blob []byte, keyID string, err error) {
	if s := w.status.Load(); s != nil && !s.AwaySince.IsZero() {
		return nil, "", fault.New(fault.Unavailable, "%s: it wraps no data key, so tenants without keys get none", w.away(s))
	}
	return w.Wrapper.Wrap(ctx, plain, aad)
}

// Unwrap is that of w.Wrapper.
func (w *Watch) Unwrap(ctx context.Context, keyID string, blob, aad []byte) (secret.Bytes, error) {
	return w.Wrapper.Unwrap(ctx, keyID, blob, aad)
}
