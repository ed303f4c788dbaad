package store

import (
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// KeepLeases is how long a store remembers leases after they have expired, at
// least.
const KeepLeases = 30 * 24 * time.Hour

// Lease is a short-lived key that is derived from a version of a key. Its
// secret is stored nowhere. Times are in microseconds, UTC.
type Lease struct {
	Tenant    string
	Key       string // name
	ID        string // never used again
	Version   int    // of the key
	Purpose   string // empty means everything
	CreatedAt time.Time
	ExpiresAt time.Time // exclusive
	MaxUses   int64     // 0 means no limit
	Used      int64     // counted only if there is a limit
	RevokedAt time.Time // zero means that it is not revoked
}

// LeaseState says whether a lease counts.
type LeaseState string

// The states of a lease.
const (
	LeaseValid   LeaseState = "valid"
	LeaseExpired LeaseState = "expired"
	LeaseRevoked LeaseState = "revoked"
	LeaseUsedUp  LeaseState = "used-up"
)

// StateAt returns the state at t. What was revoked stays revoked, also when it
// has expired.
func (l Lease) StateAt(t time.Time) LeaseState {
	switch {
	case !l.RevokedAt.IsZero():
		return LeaseRevoked
	case !t.Before(l.ExpiresAt):
		return LeaseExpired
	case l.MaxUses > 0 && l.Used >= l.MaxUses:
		return LeaseUsedUp
	}
	return LeaseValid
}

// Check returns an error of kind [fault.Invalid] if no store may take l.
func (l Lease) Check() error {
	if l.Tenant == "" || l.Key == "" || l.ID == "" || l.ExpiresAt.IsZero() || l.MaxUses < 0 {
		return fault.New(fault.Invalid, "lease %q of key %q has no tenant, key, ID or end, or %d uses", l.ID, l.Key, l.MaxUses)
	}
	if err := checkTexts(l.Tenant, l.Key, l.ID, l.Purpose); err != nil {
		return fault.New(fault.Invalid, "lease: %v", err)
	}
	return nil
}
