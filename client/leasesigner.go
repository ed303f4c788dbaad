package client

import (
	"context"
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// LeaseSigner signs in this process with leases of a key: short-lived derived
// keys, of which the next one is taken before the last one ends. The key itself
// stays at the server. Its fields must not change once it was used, and it must
// not be copied; any number of goroutines may use it.
//
// Call Run in a goroutine of its own, or Renew now and then. While the server is away
// it signs on until its lease ends, and is [ErrStale] from then on.
//
// A lease ends for the server at the same moment or later: its life is counted
// here from before it was asked for, so clocks need not agree.
type LeaseSigner struct {
	Client  *Client
	Key     string        // name of the key
	TTL     time.Duration // of a lease, 1 second to 7 days; 0 means 10 minutes
	Purpose string        // empty means that of the key

	// OnError is told why a lease could not be renewed by Run. Nil means that
	// nobody is.
	OnError func(error)

	lease atomic.Pointer[heldLease]
}

// heldLease is a lease with its key.
type heldLease struct {
	about api.Lease
	key   *mac.Key
	asked time.Time // before the request
	life  time.Duration
}

// LeaseTag is a tag by a lease. Whoever verifies it gives all three to
// [Leases.Verify].
type LeaseTag struct {
	Key   string // name of the key
	Lease string // ID of the lease
	Tag   []byte // HMAC of the message, in full
}

// Verify returns t and the message as [Leases.Verify] takes them.
func (t LeaseTag) Verify(message []byte) api.VerifyLease {
	return api.VerifyLease{Message: message, Tag: hex.EncodeToString(t.Tag)}
}

// Sign returns the tag of the concatenation of parts, without a round trip. It
// returns [ErrStale] if there is no lease, or if it has ended.
func (s *LeaseSigner) Sign(parts ...[]byte) (LeaseTag, error) {
	l := s.lease.Load()
	if l == nil {
		return LeaseTag{}, fmt.Errorf("sign with lease of key %q: %w: there is no lease yet", s.Key, ErrStale)
	}
	if age := elapsed(l.asked, s.Client.now()); age >= l.life {
		return LeaseTag{}, fmt.Errorf("sign with lease of key %q: %w: the lease has ended", s.Key, ErrStale)
	}
	tag, err := l.key.Sum(nil, parts...)
	if err != nil {
		return LeaseTag{}, fmt.Errorf("sign with lease of key %q: %w", s.Key, err)
	}
	return LeaseTag{Key: s.Key, Lease: l.about.ID, Tag: tag}, nil
}

// Lease describes the lease that signs. ok is false if there is none yet.
func (s *LeaseSigner) Lease() (lease api.Lease, ok bool) {
	if l := s.lease.Load(); l != nil {
		return l.about, true
	}
	return api.Lease{}, false
}

// Renew takes a new lease now, such as when the server says that the last one is
// revoked. The one before it is not revoked, since what it has signed may still
// be on its way. If there is an error the last lease stays.
func (s *LeaseSigner) Renew(ctx context.Context) error {
	asked := s.Client.now()
	about, material, err := s.Client.Leases().Create(ctx, s.Key, api.CreateLease{TTL: s.ttl().String(), Purpose: s.Purpose})
	if err != nil {
		return err
	}
	l, err := hold(about, material, asked)
	if err != nil {
		return fmt.Errorf("lease key %q: %w", s.Key, err)
	}
	s.lease.Store(l)
	return nil
}

func hold(about api.Lease, material secret.Bytes, asked time.Time) (*heldLease, error) {
	a, err := mac.Parse(about.Algorithm)
	if err != nil {
		return nil, err
	}
	key, err := mac.New(a, material)
	if err != nil {
		return nil, err
	}
	return &heldLease{about: about, key: key, asked: asked, life: about.ExpiresAt.Sub(about.CreatedAt)}, nil
}

func (s *LeaseSigner) ttl() time.Duration {
	if s.TTL == 0 {
		return 10 * time.Minute
	}
	return s.TTL
}

// Run renews the lease when two thirds of its life are over, until ctx ends,
// and returns the error of ctx. If there is no lease yet it takes one at once.
func (s *LeaseSigner) Run(ctx context.Context) error {
	for failed := 0; ; {
		l := s.lease.Load()
		if !sleep(ctx, renewal(l, s.Client.now(), failed, s.ttl(), s.Client.random())) {
			return ctx.Err()
		}
		if s.lease.Load() != l {
			continue // somebody else has renewed it
		}
		err := s.Renew(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if failed++; err == nil {
			failed = 0
		} else if s.OnError != nil {
			s.OnError(err)
		}
	}
}

// renewal returns after which time to try to renew l, which may be nil, at now.
// After failures in a row it is a random time, u in [0, 1), between one and two
// sixtieths of ttl, a second at least and half a minute at the most.
func renewal(l *heldLease, now time.Time, failed int, ttl time.Duration, u float64) time.Duration {
	switch {
	case failed > 0:
		step := min(max(ttl/60, time.Second), 30*time.Second)
		return min(step+time.Duration(u*float64(step)), 30*time.Second)
	case l == nil:
		return 0
	}
	return max(0, l.life*2/3-elapsed(l.asked, now))
}

// elapsed returns how long ago an instant was: the longer of what the monotonic
// clock says, which stands still while a machine sleeps, and of what the other
// one says, which can be set.
func elapsed(since, now time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// sleep waits for d and reports whether ctx still lasts then.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}
