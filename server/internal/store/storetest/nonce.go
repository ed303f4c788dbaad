package storetest

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// Nonces is what a store promises that keeps the highest nonce of keys. All
// methods may be called by many goroutines.
type Nonces interface {
	// Raise stores value and returns true, or returns false and stores nothing if
	// the stored value of this tenant, key ID and profile is not below it. Of
	// any number of calls with one value at most one returns true. What was
	// stored survives the end of the process, unless the store is in memory.
	// After an error it may be stored or not. What [store.Nonce.Check] refuses is
	// of kind [fault.Invalid].
	Raise(ctx context.Context, tenant, keyID, profile string, value int64) (bool, error)

	// Close is that of [Store].
	Close() error
}

// RunNonces tests every sentence of [Nonces] on a new and empty store. It
// closes it.
func RunNonces(t *testing.T, s Nonces) {
	raise := func(tenant, keyID, profile string, value int64, want bool) {
		t.Helper()
		if got, err := s.Raise(t.Context(), tenant, keyID, profile, value); got != want || err != nil {
			t.Errorf("Raise %s %s %s to %d: got %v, %v, want %v", tenant, keyID, profile, value, got, err, want)
		}
	}
	raise("t", "k", "p", 0, true)
	raise("t", "k", "p", 0, false)
	raise("t", "k", "p", 5, true)
	raise("t", "k", "p", 5, false)
	raise("t", "k", "p", 4, false)
	raise("t", "k", "p", 6, true)
	for _, other := range [][3]string{{"", "k", "p"}, {"u", "k", "p"}, {"t", "K", "p"}, {"t", "k", "q"}, {"t", "kp", "é"}, {"tk", "p", "é"}} {
		raise(other[0], other[1], other[2], 1, true)
		raise(other[0], other[1], other[2], 1, false)
	}
	raise("t", "k", "p", math.MaxInt64, true)
	raise("t", "k", "p", math.MaxInt64, false)
	raise("t", "k", "p", 7, false)
	raiseInParallel(t, s)
	for name, n := range map[string]struct {
		key, profile string
		value        int64
	}{"no key": {"", "p", 1}, "no profile": {"k", "", 1}, "negative": {"k", "p", -1}, "NUL": {"k\x00", "p", 1}, "not UTF-8": {"k", "\xff", 1}} {
		_, err := s.Raise(t.Context(), "t", n.key, n.profile, n.value)
		wantKind(t, "Raise with "+name, err, fault.Invalid)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Raise(ctx, "t", "late", "p", 1)
	wantKind(t, "Raise after the end of its context", err, fault.Unavailable)
	raise("t", "late", "p", 1, true)
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	_, err = s.Raise(t.Context(), "t", "k", "p", 9)
	wantKind(t, "Raise after Close", err, fault.Unavailable)
}

// raiseInParallel uses each of a few values many times at once. Those below one
// that was faster are refused; the highest is granted.
func raiseInParallel(t *testing.T, s Nonces) {
	var granted [10]atomic.Int64
	var group sync.WaitGroup
	for range 20 {
		for value := range granted {
			group.Go(func() {
				ok, err := s.Raise(t.Context(), "t", "parallel", "p", int64(value))
				if err != nil {
					t.Errorf("Raise: %v", err)
				}
				if ok {
					granted[value].Add(1)
				}
			})
		}
	}
	group.Wait()
	for value := range granted {
		if n := granted[value].Load(); n > 1 || value == len(granted)-1 && n != 1 {
			t.Errorf("Raise to %d was granted %d times", value, n)
		}
	}
}
