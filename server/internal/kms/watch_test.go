package kms_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

// service is a fake key service that can be away.
type service struct {
	mu    sync.Mutex
	away  bool
	calls int
}

func (s *service) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *service) answer() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.away {
		return fault.New(fault.Unavailable, "no answer")
	}
	return nil
}

func (s *service) Wrap(_ context.Context, plain secret.Bytes, _ []byte) ([]byte, string, error) {
	return plain.Expose(), "fake:1", s.answer()
}

func (s *service) Unwrap(_ context.Context, _ string, blob, _ []byte) (secret.Bytes, error) {
	return secret.New(blob), s.answer()
}

// The service goes away, comes back, and goes away for too long.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var s service
		var phases []kms.Phase
		w := &kms.Watch{Name: "fake", Wrapper: &s, Every: time.Minute, Limit: time.Hour, Report: func(s kms.WatchStatus, err error) {
			phases = append(phases, s.Phase)
			if (err == nil) != (s.Phase == kms.Works) {
				t.Errorf("phase %s: reported with %v", s.Phase, err)
			}
		}}
		if got := w.Status(); got != (kms.WatchStatus{}) || w.Usable() != nil || w.Notice() != "" {
			t.Errorf("before the first try: got %+v, %v, %q", got, w.Usable(), w.Notice())
		}
		if err := w.Try(t.Context()); err != nil {
			t.Fatalf("Try: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if err := w.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		check := func(at time.Duration, want kms.Phase) {
			t.Helper()
			time.Sleep(time.Until(begin.Add(at)))
			synctest.Wait()
			if got := w.Status().Phase; got != want {
				t.Errorf("after %v: got phase %s, want %s", at, got, want)
			}
			if err := w.Usable(); (err != nil) != (want == kms.Ended) {
				t.Errorf("after %v: Usable: got %v", at, err)
			}
			_, _, err := w.Wrap(t.Context(), secret.FromString("k"), nil)
			if err == nil && want != kms.Works { // before the try that notices, the service itself answers
				t.Errorf("after %v: Wrap: got no error", at)
			}
			if (w.Notice() == "") != (want == kms.Works) {
				t.Errorf("after %v: Notice: got %q", at, w.Notice())
			}
		}
		check(10*time.Minute, kms.Works)
		s.setAway(true) // after the try at 10 minutes
		check(10*time.Minute+59*time.Second, kms.Works)
		check(11*time.Minute, kms.Away)
		check(69*time.Minute, kms.Away)
		s.setAway(false)
		check(70*time.Minute-time.Second, kms.Away)
		check(70*time.Minute, kms.Works) // the try comes first
		s.setAway(true)
		check(71*time.Minute, kms.Away)
		status := w.Status()
		want := kms.WatchStatus{
			Phase: kms.Away, RootKeyID: "fake:1", WorkedAt: begin.Add(70 * time.Minute), AwaySince: begin.Add(71 * time.Minute),
			EndsAt: begin.Add(130 * time.Minute), // an hour after the last try that worked
		}
		if diff := cmp.Diff(want, status); diff != "" {
			t.Errorf("Status (-want +got):\n%s", diff)
		}
		if got, want := w.Notice(), "the key service fake has been away since 2000-01-01T01:11:00Z, keys in memory are used until 2000-01-01T02:10:00Z"; got != want {
			t.Errorf("Notice: got %q, want %q", got, want)
		}
		check(130*time.Minute-1, kms.Away)
		check(130*time.Minute, kms.Ended)
		err := w.Usable()
		if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), "since 2000-01-01T01:11:00Z, and keys in memory have not been used since 2000-01-01T02:10:00Z") {
			t.Errorf("Usable: got %v", err)
		}
		s.setAway(false)
		if err := w.Try(t.Context()); err != nil { // somebody does not wait
			t.Errorf("Try: %v", err)
		}
		check(130*time.Minute+time.Second, kms.Works)
		cancel()
		group.Wait()
		if diff := cmp.Diff([]kms.Phase{kms.Away, kms.Works, kms.Away, kms.Ended, kms.Works}, phases); diff != "" {
			t.Errorf("reported (-want +got):\n%s", diff)
		}
	})
}

// Who asks while the service is away does not wait for it, and does not call it.
func TestWatchFailsAtOnce(t *testing.T) {
	var s service
	w := &kms.Watch{Name: "fake", Wrapper: &s, Every: time.Minute, Limit: time.Hour}
	if err := w.Try(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.setAway(true)
	if err := w.Try(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("Try: got %v", err)
	}
	calls := s.calls
	_, _, err := w.Wrap(t.Context(), secret.FromString("k"), nil)
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), "the key service fake has been away since") || s.calls != calls {
		t.Errorf("Wrap: got %v and %d calls", err, s.calls-calls)
	}
	if _, err := w.Unwrap(t.Context(), "fake:1", []byte("b"), nil); fault.KindOf(err) != fault.Unavailable || s.calls != calls+1 {
		t.Errorf("Unwrap: got %v and %d calls", err, s.calls-calls) // it may be of another service
	}
}

// A try that the caller broke off says nothing about the service, and one that
// never worked leaves nothing to go on with.
func TestWatchIsNotMisled(t *testing.T) {
	var s service
	w := &kms.Watch{Name: "fake", Wrapper: &s, Every: time.Minute, Limit: time.Hour}
	s.setAway(true)
	if err := w.Try(t.Context()); err == nil || w.Status() != (kms.WatchStatus{}) {
		t.Errorf("first try: got %v, %+v", err, w.Status())
	}
	s.setAway(false)
	if err := w.Try(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.setAway(true)
	if err := w.Try(ctx); err == nil || errors.Is(err, context.Canceled) || w.Status().Phase != kms.Works {
		t.Errorf("Try that is broken off: got %v, %+v", err, w.Status())
	}
}
