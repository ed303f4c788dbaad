package custody

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Bounds of leases.
const (
	MinLease = time.Second
	MaxLease = 7 * 24 * time.Hour
	MaxUses  = 1 << 40
)

// LeaseStore keeps leases. The rules of the methods are those of
// storetest.Leases.
type LeaseStore interface {
	PutLease(ctx context.Context, l store.Lease, e store.Entry) error
	Lease(ctx context.Context, tenant, key, id string) (store.Lease, error)
	Leases(ctx context.Context, tenant, key, afterID string, limit int) ([]store.Lease, error)
	SpendLease(ctx context.Context, tenant, key, id string, at time.Time) (bool, error)
}

// Why a tag by a lease is refused, beside the reasons of messages.
var (
	ErrLeaseExpired = errors.New("lease has expired")
	ErrLeaseRevoked = errors.New("lease is revoked")
	ErrLeaseUsedUp  = errors.New("lease is used up")
)

// LeaseTerms say which lease [Service.Lease] grants.
type LeaseTerms struct {
	TTL     time.Duration // [MinLease] to [MaxLease]
	MaxUses int64         // tags that are verified; 0 means no limit
	Purpose string        // empty means that of the key
}

// Lease derives a short-lived key from the version of the key that signs, and
// returns it with its secret, which is shown only now. The holder signs with
// the algorithm of the key; [Service.VerifyLease] verifies. The secret is HKDF
// as in [Key.Derive], with "sealwright lease", the tenant, the name of the key
// and the ID of the lease as info: it is stored nowhere. The error is of kind
// [fault.NotFound], [fault.Denied], [fault.Invalid], or [fault.Unavailable] if
// the store keeps no leases.
func (s *Service) Lease(ctx context.Context, caller access.Caller, name string, terms LeaseTerms) (store.Lease, secret.Bytes, error) {
	k, err := s.leased(ctx, caller, access.LeaseCreate, name)
	if err != nil {
		return store.Lease{}, secret.Bytes{}, err
	}
	if err := k.refuseNative("be leased"); err != nil {
		return store.Lease{}, secret.Bytes{}, err
	}
	if terms.Purpose == "" {
		terms.Purpose = k.Purpose
	}
	if err := terms.check(k); err != nil {
		return store.Lease{}, secret.Bytes{}, err
	}
	now := s.instant()
	l := store.Lease{
		Tenant: k.Tenant, Key: k.Name, ID: newID(), Version: k.Signing, Purpose: terms.Purpose,
		CreatedAt: now, ExpiresAt: now.Add(terms.TTL).Truncate(time.Microsecond), MaxUses: terms.MaxUses,
	}
	signing, err := k.Ring.Signing(now)
	if err != nil {
		return store.Lease{}, secret.Bytes{}, fault.New(fault.Invalid, "key %q does not sign now", name).Because(err)
	}
	material, err := leaseSecret(signing, k.Algorithm, l)
	if err != nil {
		return store.Lease{}, secret.Bytes{}, err
	}
	about := detail{"version": l.Version, "ttl": terms.TTL.String(), "max_uses": l.MaxUses}
	if l.Purpose != "" {
		about["purpose"] = l.Purpose
	}
	if err := s.leases.PutLease(ctx, l, s.leaseEntry(caller, string(access.LeaseCreate), l, about)); err != nil {
		return store.Lease{}, secret.Bytes{}, wrap(err, "lease key %q", name)
	}
	return l, material, nil
}

func (t LeaseTerms) check(k *Key) error {
	switch {
	case t.TTL < MinLease || t.TTL > MaxLease:
		return fault.New(fault.Invalid, "ttl: got %v, want %v to %v", t.TTL, MinLease, MaxLease)
	case t.MaxUses < 0 || t.MaxUses > MaxUses:
		return fault.New(fault.Invalid, "max_uses: got %d, want 1 to %d, or 0 for no limit", t.MaxUses, MaxUses)
	}
	return k.CheckPurpose(t.Purpose)
}

// leased finds a key for an operation on its leases.
func (s *Service) leased(ctx context.Context, caller access.Caller, action access.Action, name string) (*Key, error) {
	if !ValidName(name) {
		return nil, noKey(name)
	}
	if err := s.allow(ctx, caller, action, name); err != nil {
		return nil, err
	}
	if s.leases == nil {
		return nil, fault.New(fault.Unavailable, "this store keeps no leases")
	}
	return s.find(caller.Tenant, action, name)
}

func leaseSecret(v *keyring.Key, a mac.Algorithm, l store.Lease) (secret.Bytes, error) {
	s, err := derive(v.Secret, a, string(additionalData("sealwright lease", l.Tenant, l.Key, l.ID)))
	if err != nil {
		return s, fault.New(fault.Internal, "lease of key %q cannot be derived", l.Key).Because(err)
	}
	return s, nil
}

func (s *Service) leaseEntry(caller access.Caller, action string, l store.Lease, about detail) store.Entry {
	return s.entry(caller, action, store.Record{Tenant: l.Tenant, Kind: "lease", ID: l.ID, Name: l.Key}, about)
}

// Leases returns up to limit leases of a key after afterID, also those that
// ended in the last days, and the ID to go on after, which is empty at the end.
func (s *Service) Leases(ctx context.Context, caller access.Caller, name, afterID string, limit int) ([]store.Lease, string, error) {
	if limit < 1 || limit >= store.MaxList {
		return nil, "", fault.New(fault.Invalid, "limit is %d, want 1 to %d", limit, store.MaxList-1)
	}
	k, err := s.leased(ctx, caller, access.LeaseRead, name)
	if err != nil {
		return nil, "", err
	}
	page, err := s.leases.Leases(ctx, k.Tenant, k.Name, afterID, limit+1)
	if err != nil || len(page) <= limit {
		return page, "", wrap(err, "list leases of key %q", name)
	}
	page = page[:limit]
	return page, page[limit-1].ID, nil
}

// FindLease returns a lease of a key, or an error of kind [fault.NotFound].
func (s *Service) FindLease(ctx context.Context, caller access.Caller, name, id string) (store.Lease, error) {
	k, err := s.leased(ctx, caller, access.LeaseRead, name)
	if err != nil {
		return store.Lease{}, err
	}
	return s.lease(ctx, k, id)
}

func (s *Service) lease(ctx context.Context, k *Key, id string) (store.Lease, error) {
	if len(id) != len(newID()) {
		return store.Lease{}, fault.New(fault.NotFound, "no such lease of key %q", k.Name)
	}
	return s.leases.Lease(ctx, k.Tenant, k.Name, id)
}

// RevokeLease refuses a lease from now on. One that is revoked already, or has
// expired, is left as it is.
func (s *Service) RevokeLease(ctx context.Context, caller access.Caller, name, id string) error {
	k, err := s.leased(ctx, caller, access.LeaseRevoke, name)
	if err != nil {
		return err
	}
	l, err := s.lease(ctx, k, id)
	if err != nil {
		return err
	}
	now := s.instant()
	if state := l.StateAt(now); state == store.LeaseRevoked || state == store.LeaseExpired {
		return nil
	}
	l.RevokedAt = now
	return wrap(s.leases.PutLease(ctx, l, s.leaseEntry(caller, string(access.LeaseRevoke), l, nil)), "revoke lease of key %q", name)
}

// VerifyLease returns the lease and nil if tag is the full tag of message by
// it. A use of a lease that has a limit is counted in the store before the
// answer, so it is never granted twice, and only for a right tag, so strangers
// use nothing up.
//
// Otherwise the error wraps [ErrLeaseExpired], [ErrLeaseRevoked] (also if the
// version of the key no longer verifies), [ErrLeaseUsedUp] or
// [sealwright.ErrMismatch]; an error of none of these is a [fault.Error], of
// kind [fault.NotFound] for a lease that is not there, [fault.Denied] for
// another purpose, and [fault.Unavailable] if this node has not heard of the
// version of the key.
func (s *Service) VerifyLease(ctx context.Context, caller access.Caller, name, id, purpose string, tag, message []byte) (store.Lease, error) {
	k, err := s.leased(ctx, caller, access.KeyVerify, name)
	if err != nil {
		return store.Lease{}, err
	}
	l, err := s.lease(ctx, k, id)
	if err != nil {
		return l, err
	}
	if err := leasePurpose(l, purpose); err != nil {
		return l, err
	}
	now := s.instant()
	if err := leaseState(l.StateAt(now)); err != nil {
		return l, err
	}
	if err := k.verifyLease(l, tag, message, now); err != nil {
		return l, err
	}
	if l.MaxUses > 0 {
		ok, err := s.leases.SpendLease(ctx, l.Tenant, l.Key, l.ID, now)
		if err != nil {
			return l, wrap(err, "count use of a lease of key %q", name)
		}
		if !ok { // since it was loaded
			return l, s.lost(ctx, l, now)
		}
		l.Used++ // at least: others may have used it too
	}
	k.used(l.Version, now)
	return l, nil
}

func leasePurpose(l store.Lease, purpose string) error {
	return (&Key{Name: l.Key, Purpose: l.Purpose}).CheckPurpose(purpose)
}

func leaseState(state store.LeaseState) error {
	switch state {
	case store.LeaseExpired:
		return ErrLeaseExpired
	case store.LeaseRevoked:
		return ErrLeaseRevoked
	case store.LeaseUsedUp:
		return ErrLeaseUsedUp
	}
	return nil
}

// lost says why a use was not granted.
func (s *Service) lost(ctx context.Context, l store.Lease, now time.Time) error {
	fresh, err := s.leases.Lease(ctx, l.Tenant, l.Key, l.ID)
	if err != nil {
		return err
	}
	if err := leaseState(fresh.StateAt(now)); err != nil {
		return err
	}
	return ErrLeaseUsedUp
}

// verifyLease checks the tag alone.
func (k *Key) verifyLease(l store.Lease, tag, message []byte, now time.Time) error {
	v, err := k.Ring.Version(l.Version)
	if err != nil && k.State(l.Version) == "" { // the store has it, so it does exist
		return fault.New(fault.Unavailable, "this node has not heard of version %d of key %q yet", l.Version, k.Name)
	}
	if err != nil || !v.ValidAt(now) {
		return fmt.Errorf("%w: version %d of key %q is %s", ErrLeaseRevoked, l.Version, k.Name, k.State(l.Version))
	}
	material, err := leaseSecret(v, k.Algorithm, l)
	if err != nil {
		return err
	}
	m, err := mac.New(k.Algorithm, material)
	if err != nil {
		return fault.New(fault.Internal, "lease of key %q cannot be used", k.Name).Because(err)
	}
	if !m.Verify(tag, message) {
		return sealwright.ErrMismatch
	}
	return nil
}
