package custody_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/sqlite"
)

func (h *house) lease(t *testing.T, terms custody.LeaseTerms) (store.Lease, secret.Bytes) {
	t.Helper()
	l, s, err := h.Lease(t.Context(), admin, "a", terms)
	if err != nil {
		t.Fatalf("Lease: %v", err)
	}
	return l, s
}

// tagOf signs as the holder of a lease does.
func tagOf(t *testing.T, s secret.Bytes) []byte {
	t.Helper()
	m, err := mac.New(mac.SHA256, s)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := m.Sum(nil, []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

func (h *house) verifyLease(t *testing.T, id string, tag []byte) error {
	t.Helper()
	_, err := h.VerifyLease(t.Context(), admin, "a", id, "", tag, []byte("m"))
	return err
}

func (h *house) wantLease(t *testing.T, what, id string, tag []byte, want error) {
	t.Helper()
	if err := h.verifyLease(t, id, tag); !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func TestLease(t *testing.T) {
	h := newHouse(t)
	k := h.create(t, "a")
	l, s := h.lease(t, custody.LeaseTerms{TTL: time.Minute})
	tag := tagOf(t, s)
	h.wantLease(t, "new", l.ID, tag, nil)
	h.wantLease(t, "again", l.ID, tag, nil)
	if _, err := h.VerifyLease(t.Context(), admin, "a", l.ID, "", tag, []byte("other")); !errors.Is(err, sealwright.ErrMismatch) {
		t.Errorf("another message: got %v", err)
	}
	h.wantLease(t, "tag cut short", l.ID, tag[:31], sealwright.ErrMismatch)
	if _, ok := k.Verify(tag, 0, []byte("m")); ok {
		t.Error("the key itself takes the tag of a lease")
	}
	own, _, _ := k.Sign(nil, []byte("m"))
	h.wantLease(t, "tag of the key itself", l.ID, own, sealwright.ErrMismatch)
	second, _ := h.lease(t, custody.LeaseTerms{TTL: time.Minute})
	h.wantLease(t, "tag of another lease", second.ID, tag, sealwright.ErrMismatch)

	h.Service = h.open(t, h.store) // the secret is derived again
	h.wantLease(t, "after a restart", l.ID, tag, nil)
	h.rotate(t, "a")
	h.wantLease(t, "after a rotation", l.ID, tag, nil)

	h.now = l.ExpiresAt.Add(-time.Microsecond)
	h.wantLease(t, "last instant", l.ID, tag, nil)
	h.now = l.ExpiresAt
	h.wantLease(t, "expired", l.ID, tag, custody.ErrLeaseExpired)
}

func TestLeaseShowsNoSecret(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	_, s := h.lease(t, custody.LeaseTerms{TTL: time.Minute})
	for _, e := range h.log(t) {
		for _, form := range forms(s) {
			if strings.Contains(string(e.Detail), string(form)) {
				t.Errorf("entry %s has the secret", e.Action)
			}
		}
	}
}

func TestLeaseRevoked(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	l, s := h.lease(t, custody.LeaseTerms{TTL: time.Hour})
	tag := tagOf(t, s)
	for range 2 {
		if err := h.RevokeLease(t.Context(), admin, "a", l.ID); err != nil {
			t.Fatalf("RevokeLease: %v", err)
		}
	}
	h.wantLease(t, "revoked", l.ID, tag, custody.ErrLeaseRevoked)
	log := h.log(t)
	if e := log[len(log)-1]; e.Action != "lease.revoke" || e.RecordID != l.ID || e.Name != "a" || len(log) != 4 {
		t.Errorf("last of %d entries: got %+v", len(log), e)
	}

	l, s = h.lease(t, custody.LeaseTerms{TTL: time.Hour})
	tag = tagOf(t, s)
	if _, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{RevokeCurrent: true}); err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	h.wantLease(t, "revoked with its version", l.ID, tag, custody.ErrLeaseRevoked)
	if err := h.Delete(t.Context(), admin, "a", 0); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	wantKind(t, "of a deleted key", h.verifyLease(t, l.ID, tag), fault.NotFound)
}

func TestLeaseMaxUses(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	l, s := h.lease(t, custody.LeaseTerms{TTL: time.Hour, MaxUses: 2})
	tag := tagOf(t, s)
	for range 5 {
		h.wantLease(t, "wrong tag uses nothing up", l.ID, make([]byte, 32), sealwright.ErrMismatch)
	}
	h.wantLease(t, "first", l.ID, tag, nil)
	h.Service = h.open(t, h.store)
	h.wantLease(t, "second, after a restart", l.ID, tag, nil)
	h.wantLease(t, "third", l.ID, tag, custody.ErrLeaseUsedUp)
}

// The limit is exact with many at once, on the store that one node has.
func TestLeaseMaxUsesInParallel(t *testing.T) {
	h := newHouse(t)
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h.Service = h.open(t, db)
	h.create(t, "a")
	l, s := h.lease(t, custody.LeaseTerms{TTL: time.Hour, MaxUses: 30})
	tag := tagOf(t, s)
	var granted atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 10 {
				switch err := h.verifyLease(t, l.ID, tag); {
				case err == nil:
					granted.Add(1)
				case !errors.Is(err, custody.ErrLeaseUsedUp):
					t.Errorf("VerifyLease: %v", err)
				}
			}
		})
	}
	group.Wait()
	if granted.Load() != 30 {
		t.Errorf("%d uses were granted, want 30", granted.Load())
	}
	if l, err := h.FindLease(t.Context(), admin, "a", l.ID); err != nil || l.Used != 30 {
		t.Errorf("FindLease: got %d uses, %v", l.Used, err)
	}
}

func TestLeasePurpose(t *testing.T) {
	h := newHouse(t)
	if _, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "a", Purpose: "webhook"}); err != nil {
		t.Fatal(err)
	}
	_, _, err := h.Lease(t.Context(), admin, "a", custody.LeaseTerms{TTL: time.Hour, Purpose: "api"})
	wantKind(t, "for another purpose than the key", err, fault.Denied)
	l, s := h.lease(t, custody.LeaseTerms{TTL: time.Hour})
	if l.Purpose != "webhook" {
		t.Errorf("got purpose %q", l.Purpose)
	}
	for purpose, want := range map[string]fault.Kind{"": 0, "webhook": 0, "api": fault.Denied, "fun": fault.Invalid} {
		_, err := h.VerifyLease(t.Context(), admin, "a", l.ID, purpose, tagOf(t, s), []byte("m"))
		wantKind(t, "verified for "+purpose, err, want)
	}
}

func TestLeaseRefuses(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	for name, terms := range map[string]custody.LeaseTerms{
		"NoTTL": {}, "TooShort": {TTL: custody.MinLease - 1}, "TooLong": {TTL: custody.MaxLease + 1}, "Backwards": {TTL: -time.Hour},
		"NegativeUses": {TTL: time.Hour, MaxUses: -1}, "TooManyUses": {TTL: time.Hour, MaxUses: custody.MaxUses + 1}, "Fun": {TTL: time.Hour, Purpose: "fun"},
	} {
		_, _, err := h.Lease(t.Context(), admin, "a", terms)
		wantKind(t, name, err, fault.Invalid)
	}
	l, s := h.lease(t, custody.LeaseTerms{TTL: time.Hour})
	nobody := access.Caller{ID: "c", Tenant: tenant}
	ctx := t.Context()
	_, _, err := h.Lease(ctx, nobody, "a", custody.LeaseTerms{TTL: time.Hour})
	wantKind(t, "Lease without role", err, fault.Denied)
	wantKind(t, "RevokeLease without role", h.RevokeLease(ctx, nobody, "a", l.ID), fault.Denied)
	_, err = h.VerifyLease(ctx, nobody, "a", l.ID, "", tagOf(t, s), []byte("m"))
	wantKind(t, "VerifyLease without role", err, fault.Denied)
	_, _, err = h.Leases(ctx, nobody, "a", "", 10)
	wantKind(t, "Leases without role", err, fault.Denied)
	for _, id := range []string{"", "x", strings.Repeat("0", 32)} {
		wantKind(t, "VerifyLease of none", h.verifyLease(t, id, tagOf(t, s)), fault.NotFound)
		wantKind(t, "RevokeLease of none", h.RevokeLease(ctx, admin, "a", id), fault.NotFound)
	}
	h.create(t, "b")
	_, err = h.VerifyLease(ctx, admin, "b", l.ID, "", tagOf(t, s), []byte("m"))
	wantKind(t, "lease of another key", err, fault.NotFound)
	_, _, err = h.Leases(ctx, admin, "a", "", 0)
	wantKind(t, "Leases with limit 0", err, fault.Invalid)
	h.with(t, func(o *custody.Options) { o.Store = &blind{Store: h.store} })
	_, _, err = h.Lease(ctx, admin, "a", custody.LeaseTerms{TTL: time.Hour})
	wantKind(t, "a store without leases", err, fault.Unavailable)
}

func TestLeases(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	for range 5 {
		h.lease(t, custody.LeaseTerms{TTL: time.Hour})
	}
	seen := 0
	for after, first := "", true; first || after != ""; first = false {
		page, next, err := h.Leases(t.Context(), admin, "a", after, 2)
		if err != nil || len(page) > 2 {
			t.Fatalf("Leases: got %d, %v", len(page), err)
		}
		seen, after = seen+len(page), next
	}
	if seen != 5 {
		t.Errorf("got %d leases, want 5", seen)
	}
}

// broken fails writes of leases, stored or not.
type broken struct {
	custody.LeaseStore
	apply bool
}

func (b broken) PutLease(ctx context.Context, l store.Lease, e store.Entry) error {
	if b.apply {
		_ = b.LeaseStore.PutLease(ctx, l, e)
	}
	return errLost
}

func (b broken) SpendLease(ctx context.Context, tenant, key, id string, at time.Time) (bool, error) {
	if b.apply {
		_, _ = b.LeaseStore.SpendLease(ctx, tenant, key, id, at)
	}
	return false, errLost
}

// A write that breaks grants nothing: a lost answer may cost a use, and never
// gives one more.
func TestLeaseBroken(t *testing.T) {
	for _, apply := range []bool{false, true} {
		h := newHouse(t)
		h.create(t, "a")
		l, s := h.lease(t, custody.LeaseTerms{TTL: time.Hour, MaxUses: 1})
		h.with(t, func(o *custody.Options) { o.Leases = broken{h.store, apply} })
		if _, s, err := h.Lease(t.Context(), admin, "a", custody.LeaseTerms{TTL: time.Hour}); !errors.Is(err, errLost) || !s.IsZero() {
			t.Errorf("Lease: got %v and a secret: %v", err, !s.IsZero())
		}
		h.wantLease(t, "broken", l.ID, tagOf(t, s), errLost)
		if err := h.RevokeLease(t.Context(), admin, "a", l.ID); !errors.Is(err, errLost) && !apply {
			t.Errorf("RevokeLease: got %v", err)
		}
		h.with(t, func(*custody.Options) {})
		err := h.verifyLease(t, l.ID, tagOf(t, s))
		if apply && err == nil || !apply && err != nil {
			t.Errorf("apply=%v: got %v", apply, err)
		}
		h.wantLease(t, "used or revoked", l.ID, tagOf(t, s), map[bool]error{false: custody.ErrLeaseUsedUp, true: custody.ErrLeaseRevoked}[apply])
	}
}
