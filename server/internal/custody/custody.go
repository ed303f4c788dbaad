// Package custody is the life of keys: it makes, rotates, deletes and reveals
// them, keeps them encrypted in a store, and serves them from memory.
//
// Every tenant has one data key, wrapped by the root key. Every version of a
// key is encrypted with AES-256-GCM under the data key of its tenant; tenant,
// key name and version are the additional data, so that a ciphertext opens in
// its own place only. Nonces are random, 96 bits: one data key may encrypt 2^32
// versions (NIST SP 800-38D, section 8.3).
//
// [Service.Get] reads a snapshot without locks, and a [Key] never changes, so
// signing and verifying make no store call. Every change is one commit of
// records and entries; entries never hold a secret.
package custody

import (
	"cmp"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/source"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Store is what a [Service] needs of a database. The rules of the methods are
// those of storetest.Store.
type Store interface {
	Load(ctx context.Context, tenant, kind, name string) (store.Record, error)
	List(ctx context.Context, tenant, kind, afterName string, limit int) ([]store.Record, error)
	Commit(ctx context.Context, c store.Change) (seq int64, err error)
}

// Wrapper encrypts data keys under root keys that it keeps. It is used by many
// goroutines.
type Wrapper interface {
	// Wrap encrypts plain, bound to aad, and returns the ID of the root key.
	Wrap(ctx context.Context, plain secret.Bytes, aad []byte) (blob []byte, keyID string, err error)

	// Unwrap returns what Wrap was given, if keyID, blob and aad are those of
	// the same Wrap. The error says whether the root key or the blob is wrong.
	Unwrap(ctx context.Context, keyID string, blob, aad []byte) (secret.Bytes, error)
}

// Options are what [Open] needs. Store and Wrapper must not be nil.
type Options struct {
	Store   Store
	Wrapper Wrapper
	Now     func() time.Time // nil means time.Now

	// Usable returns why what is in memory must not be used now, and nil if it
	// may: it could be too old to know of a revocation. The error is of kind
	// [fault.Unavailable]. nil means that it always may. Current reports whether
	// what is not in memory does not exist; nil means that it is always so.
	// Both are called for each signature and must be fast.
	Usable  func() error
	Current func() bool

	// Nodes says when a new version may sign; nil means that there are no other
	// nodes. PromoteAfter is the time after which it signs in any case; 0 means
	// [DefaultPromote].
	Nodes        Nodes
	PromoteAfter time.Duration

	Grace       time.Duration // how long a replaced version verifies; 0 means [DefaultGrace]
	DestroyWait time.Duration // between the two steps of a destruction; 0 means [DefaultDestroyWait]

	// ImportKey makes an RSA key of 4,096 bits for an import; nil means a random
	// one. It is called by up to MaxMaking goroutines.
	ImportKey func() (*rsa.PrivateKey, error)

	// Uses keeps how often versions were used; nil means Store, if it can, and
	// otherwise that they are forgotten with the process.
	Uses UseStore

	// Devices are the key services for native keys, by the name of the
	// provider; FirstDevice is the one that is meant if none is named, empty for
	// none.
	Devices     map[string]kms.Device
	FirstDevice string

	// ReadSource returns what the source that ref names has for tenant, and an
	// error of package source. It is called by many goroutines and must end
	// within seconds. nil means that there are no sources. Rand returns a number
	// in [0, 1) that spreads reads; nil means one of math/rand.
	ReadSource func(ctx context.Context, tenant string, ref source.Ref) (source.Payload, error)
	Rand       func() float64

	// Leases keeps leases; nil means Store, if it can, and otherwise that none
	// are granted.
	Leases LeaseStore
}

// ErrPrecondition is in the chain of the error of kind [fault.Conflict] that
// says that a key has not the version the caller demanded.
var ErrPrecondition = errors.New("precondition failed")

// attempts is how often a change is tried while others change the same record.
const attempts = 3

// Service holds the keys of all tenants. Get one from [Open]. It may be used
// by many goroutines.
type Service struct {
	store   Store
	wrapper Wrapper
	now     func() time.Time
	keys    *snapshot

	nodes                            Nodes
	promoteAfter, grace, destroyWait time.Duration
	uses                             UseStore   // nil if there is none
	leases                           LeaseStore // nil if there is none

	usable  func() error
	current func() bool

	devices    devices
	deviceRest time.Time     // until then Step asks no key service for keys; of who holds step
	turn       time.Duration // how much later than the schedule Step asks for them, if there are other nodes

	readSource func(ctx context.Context, tenant string, ref source.Ref) (source.Payload, error) // nil if there are none
	rand       func() float64
	troubled   atomic.Int64 // keys whose source could not be used

	flush sync.Mutex // held while uses are stored, or added up

	step   sync.Mutex           // held during Step
	bounds map[keyName]bound    // of pending versions
	again  time.Time            // when unread keys are tried again
	unread map[keyName]struct{} // guarded by mu

	importKey func() (*rsa.PrivateKey, error)
	making    chan struct{} // has one element for each key for an import that is being made

	mu       sync.Mutex
	dataKeys map[string]*dataKey // by tenant
}

// Open loads and decrypts every key of the store. It changes nothing there: a
// root key that is missing or wrong, a damaged record or one of a newer format
// is an error, before anything is written.
func Open(ctx context.Context, o Options) (*Service, error) {
	if o.Store == nil || o.Wrapper == nil {
		return nil, fault.New(fault.Internal, "custody has no store or no wrapper")
	}
	s := &Service{
		store: o.Store, wrapper: o.Wrapper, now: o.Now, keys: newSnapshot(), dataKeys: map[string]*dataKey{}, importKey: o.ImportKey, making: make(chan struct{}, MaxMaking),
		unread: map[keyName]struct{}{},
		usable: o.Usable, current: o.Current, nodes: o.Nodes, uses: o.Uses, leases: o.Leases, promoteAfter: cmp.Or(o.PromoteAfter, DefaultPromote),
		devices: devices{byName: o.Devices, first: o.FirstDevice}, turn: rand.N(deviceTurns), readSource: o.ReadSource, rand: o.Rand,
		grace: cmp.Or(o.Grace, DefaultGrace), destroyWait: cmp.Or(o.DestroyWait, DefaultDestroyWait),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.importKey == nil {
		s.importKey = newImportKey
	}
	if s.rand == nil {
		s.rand = rand.Float64
	}
	if s.uses == nil {
		s.uses, _ = o.Store.(UseStore)
	}
	if s.leases == nil {
		s.leases, _ = o.Store.(LeaseStore)
	}
	if err := s.load(ctx); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	return s, nil
}

func (s *Service) load(ctx context.Context) error {
	orphans, err := s.hasKeys(ctx, access.DefaultTenant) // before the data keys, see tenantDataKey
	if err != nil {
		return err
	}
	err = each(ctx, s.store, "", kindDataKey, func(r store.Record) error {
		d, err := s.openDataKey(ctx, r)
		if err != nil {
			return err
		}
		s.dataKeys[d.tenant] = d
		return nil
	})
	if err != nil {
		return err
	}
	if orphans && s.dataKeys[access.DefaultTenant] == nil {
		return lostDataKey(access.DefaultTenant)
	}
	var all []*Key
	for tenant, d := range s.dataKeys {
		err := each(ctx, s.store, tenant, kindKey, func(r store.Record) error {
			k, err := s.openKey(d, r)
			all = append(all, k)
			return err
		})
		if err != nil {
			return err
		}
	}
	s.keys.fill(all)
	return nil
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

// Find returns a key of the tenant of caller if it may do action to it. It
// reads memory only. The error is of kind [fault.Denied], whether there is such
// a key or not, or that of [Service.Get]; a key can be looked at, changed and
// revoked also while it must not be used. A refusal leaves no entry: signing
// would write to the store.
func (s *Service) Find(caller access.Caller, action access.Action, name string) (*Key, error) {
	if err := access.Allow(caller, action, s.target(caller.Tenant, name)); err != nil {
		return nil, err
	}
	return s.find(caller.Tenant, action, name)
}

func (s *Service) find(tenant string, action access.Action, name string) (*Key, error) {
	if spares(action) {
		return s.look(tenant, name)
	}
	return s.Get(tenant, name)
}

// Get returns a key to who has decided already. It reads memory only. The error is of kind
// [fault.NotFound] also for a deleted key, and [fault.Unavailable] if what is
// in memory must not be used, or is not known to be all.
func (s *Service) Get(tenant, name string) (*Key, error) {
	if s.usable != nil {
		if err := s.usable(); err != nil {
			return nil, err
		}
	}
	return s.look(tenant, name)
}

// look is Get for what does not use the secret.
func (s *Service) look(tenant, name string) (*Key, error) {
	k := s.keys.get(tenant, name)
	if k != nil && k.unread != nil {
		return nil, fault.New(fault.Unavailable, "this node cannot read key %q as it is now in the database", name).Because(k.unread)
	}
	if k == nil && s.current != nil && !s.current() {
		return nil, fault.New(fault.Unavailable, "this node does not know whether key %q exists, since it does not reach the database", name)
	}
	if k == nil || k.Deleted {
		return nil, noKey(name)
	}
	return k, nil
}

func noKey(name string) error {
	if !ValidName(name) {
		return fault.New(fault.NotFound, "no key of this name")
	}
	return fault.New(fault.NotFound, "no key %q", name)
}

// MaxList is the most keys that one [Service.List] returns.
const MaxList = 1000

// List returns up to limit keys of the tenant of caller to which it may do
// action, sorted by name, whose names come after the given one, and the name to
// go on after, which is empty at the end. Deleted keys are left out. It reads
// memory only. A limit outside 1 to [MaxList] is of kind [fault.Invalid], and
// one for whom there can be no such key of kind [fault.Denied].
func (s *Service) List(caller access.Caller, action access.Action, after string, limit int) ([]*Key, string, error) {
	return s.list(caller, action, after, limit, false)
}

// ListDeleted is [Service.List] of the keys that are deleted, which
// [Service.Restore] brings back.
func (s *Service) ListDeleted(caller access.Caller, action access.Action, after string, limit int) ([]*Key, string, error) {
	return s.list(caller, action, after, limit, true)
}

func (s *Service) list(caller access.Caller, action access.Action, after string, limit int, deleted bool) ([]*Key, string, error) {
	if limit < 1 || limit > MaxList {
		return nil, "", fault.New(fault.Invalid, "limit is %d, want 1 to %d", limit, MaxList)
	}
	if err := access.AllowSome(caller, action); err != nil {
		return nil, "", err
	}
	page := s.keys.list(caller.Tenant, after, limit+1, func(k *Key) bool {
		return k.Deleted == deleted && access.Allow(caller, action, access.Target{Tenant: k.Tenant, Key: k.Name, Purpose: k.Purpose}) == nil
	})
	if len(page) <= limit {
		return page, "", nil
	}
	page = page[:limit]
	return page, page[limit-1].Name, nil
}

// Count returns how many keys exist in all tenants, without deleted ones.
func (s *Service) Count() int { return s.keys.count() }
