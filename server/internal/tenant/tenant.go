// Package tenant knows who may call: tenants, the callers of each with their
// credentials, the roles that tenants make themselves, and operators, who
// belong to no tenant.
//
// A [Service] serves from a snapshot in memory, so that knowing a caller makes
// no store call. Every change is one commit of a record and its entry; entries
// hold no secret. A caller and its credentials are one record, so that both
// change together. Names stay taken after a caller is deleted: what stands in
// the log means one caller for ever.
//
// Of a bearer token the store has a hash only; the secret of a credential that
// signs is encrypted under the data key of the tenant.
package tenant

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Store is what a [Service] needs of a database. The rules of the methods are
// those of storetest.Store.
type Store interface {
	Load(ctx context.Context, tenant, kind, name string) (store.Record, error)
	List(ctx context.Context, tenant, kind, afterName string, limit int) ([]store.Record, error)
	Commit(ctx context.Context, c store.Change) (seq int64, err error)
}

// Sealer encrypts secrets of a tenant. It is used by many goroutines.
type Sealer interface {
	// Seal encrypts plain, so that it opens for the same tenant and name only.
	Seal(ctx context.Context, tenant, name string, plain secret.Bytes) ([]byte, error)
	// Open returns what Seal was given.
	Open(ctx context.Context, tenant, name string, sealed []byte) (secret.Bytes, error)
}

// Options are what [Open] needs. Store and Sealer must not be nil.
type Options struct {
	Store  Store
	Sealer Sealer
	Now    func() time.Time // nil means time.Now

	// Usable returns why what is in memory must not be used now, an error of
	// kind [fault.Unavailable], and nil if it may; nil means that it always may.
	// Current reports whether what is not in memory does not exist; nil means
	// that it never does. Both are called for each request and must be fast.
	Usable  func() error
	Current func() bool
}

// ErrPrecondition is in the chain of the error of kind [fault.Conflict] that
// says that something has not the version the caller demanded.
var ErrPrecondition = errors.New("precondition failed")

// Bounds.
const (
	MaxName = 64   // bytes of the name of a tenant, a caller or a role
	MaxList = 1000 // of one page

	attempts = 3 // of a change, while others change the same record
)

// Kinds of records, and the newest format of each that this version reads.
const (
	kindTenant = "tenant" // no tenant, name of the tenant
	kindCaller = "caller" // tenant, none for operators; name
	kindRole   = "role"   // tenant, name

	format = 1
)

// Service holds tenants, callers and roles. Get one from [Open]. It may be used
// by many goroutines.
type Service struct {
	store   Store
	sealer  Sealer
	now     func() time.Time
	usable  func() error
	current func() bool
	tokens  tokens

	change sync.Mutex // held while something is changed, in the store and here
	shown  atomic.Pointer[snapshot]
}

// Open loads everything. It changes nothing in the store.
func Open(ctx context.Context, o Options) (*Service, error) {
	if o.Store == nil || o.Sealer == nil {
		return nil, fault.New(fault.Internal, "tenants have no store or no sealer")
	}
	s := &Service{store: o.Store, sealer: o.Sealer, now: o.Now, usable: o.Usable, current: o.Current}
	if s.now == nil {
		s.now = time.Now
	}
	key, err := mac.New(mac.SHA256, secret.FromString("sealwright bearer token"))
	if err != nil {
		return nil, err
	}
	s.tokens = tokens{key: key, none: secret.Random(mac.SHA256.Size()).Expose()}
	snap := newSnapshot()
	if err := s.load(ctx, snap); err != nil {
		return nil, fmt.Errorf("open callers: %w", err)
	}
	s.shown.Store(snap)
	return s, nil
}

func (s *Service) load(ctx context.Context, snap *snapshot) error {
	tenants := []string{"", access.DefaultTenant}
	err := each(ctx, s.store, "", kindTenant, func(r store.Record) error {
		t, err := parseTenant(r)
		if err != nil {
			return err
		}
		snap.putTenant(t)
		if t.Name != access.DefaultTenant {
			tenants = append(tenants, t.Name)
		}
		return nil
	})
	for _, name := range tenants {
		if err != nil {
			return err
		}
		err = each(ctx, s.store, name, kindRole, func(r store.Record) error {
			role, err := parseRole(r)
			if err == nil {
				snap.putRole(role)
			}
			return err
		})
		if err != nil {
			return err
		}
		err = each(ctx, s.store, name, kindCaller, func(r store.Record) error {
			c, err := s.openCaller(ctx, r)
			if err == nil {
				snap.putCaller(c)
			}
			return err
		})
	}
	return err
}

// each calls f with every record of a kind in the order of the names.
func each(ctx context.Context, s Store, tenant, kind string, f func(store.Record) error) error {
	for after := ""; ; {
		page, err := s.List(ctx, tenant, kind, after, store.MaxList)
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := f(r); err != nil {
				return err
			}
			after = r.Name
		}
		if len(page) < store.MaxList {
			return nil
		}
	}
}

// Apply brings what other nodes have changed into the snapshot. Applying an
// entry twice does no harm.
func (s *Service) Apply(ctx context.Context, page []store.Entry) error {
	s.change.Lock()
	defer s.change.Unlock()
	for _, e := range page {
		if e.Reason != "" || e.Kind != kindTenant && e.Kind != kindCaller && e.Kind != kindRole {
			continue
		}
		r, err := s.store.Load(ctx, e.Tenant, e.Kind, e.Name)
		if err == nil {
			err = s.show(ctx, r)
		}
		if err != nil {
			return fmt.Errorf("apply %s of %s %q: %w", e.Action, e.Kind, e.Name, err)
		}
	}
	return nil
}

// show puts a record into the snapshot, unless that has a newer one. The caller
// holds s.change.
func (s *Service) show(ctx context.Context, r store.Record) error {
	next := s.snapshot().clone()
	switch r.Kind {
	case kindTenant:
		t, err := parseTenant(r)
		if err != nil {
			return err
		}
		next.putTenant(t)
	case kindRole:
		role, err := parseRole(r)
		if err != nil {
			return err
		}
		next.putRole(role)
	case kindCaller:
		c, err := s.openCaller(ctx, r)
		if err != nil {
			return err
		}
		next.putCaller(c)
	}
	s.shown.Store(next)
	return nil
}

func (s *Service) snapshot() *snapshot { return s.shown.Load() }

// ValidName reports whether name can be that of a tenant, a caller or a role: 1
// to [MaxName] bytes, first a lower-case letter or a digit of ASCII, then also
// dots, underscores and hyphens.
func ValidName(name string) bool {
	if name == "" || len(name) > MaxName {
		return false
	}
	for i, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}

func badName(name string) error {
	return fault.New(fault.Invalid, "name: got %d bytes, want 1 to %d of a-z 0-9 . _ -, first a letter or digit", len(name), MaxName)
}

func checkLimit(limit int) error {
	if limit < 1 || limit > MaxList {
		return fault.New(fault.Invalid, "limit is %d, want 1 to %d", limit, MaxList)
	}
	return nil
}
