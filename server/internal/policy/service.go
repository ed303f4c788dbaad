package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/api"
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

// Options are what [Open] needs. Store must not be nil.
type Options struct {
	Store   Store
	Tenants []string         // whose policies are loaded, beside the default tenant
	Now     func() time.Time // nil means time.Now

	// Alarm is told of a policy that this process cannot use, each time it is
	// read; nil means nobody. It must not call the service.
	Alarm func(error)
}

// ErrPrecondition is in the chain of the error of kind [fault.Conflict] that
// says that a policy has not the version the caller demanded.
var ErrPrecondition = errors.New("precondition failed")

// Bounds of the policies of a tenant.
const (
	MaxPolicies = 32
	MaxName     = 64        // bytes of an ID
	MaxSource   = 192 << 10 // bytes of the rules of one policy in JSON; as an answer they are kept for an idempotency key
	Kept        = 20        // versions of a policy, with the one in force

	attempts = 3 // of a change, while others change the same record
)

// Policy is one policy of a tenant. It does not change.
type Policy struct {
	Tenant    string
	ID        string
	Version   int64 // one more with every change
	Rules     []Rule
	UpdatedAt time.Time
	UpdatedBy string // caller

	// Trouble is why the newest version in the store cannot be used; nil if it
	// can. The rules are then those of the last one that could, and without any
	// every operation of the tenant is denied.
	Trouble error

	set     *Set  // nil if there are no rules in force
	newest  int64 // version that was read last
	deleted bool
}

// snapshot is the policies of all tenants at one moment. It does not change
// once it is shown.
type snapshot map[string]*tenantPolicies

// tenantPolicies are those of one tenant.
type tenantPolicies struct {
	all    map[string]*Policy // by ID, deleted ones too
	sets   []*Set             // in the order of the IDs
	broken *Policy            // one without any rules to use; nil if there is none
}

// active reports whether there is anything to decide.
func (t *tenantPolicies) active() bool { return t != nil && (len(t.sets) > 0 || t.broken != nil) }

// Service keeps the policies of tenants and decides by them. Get one from
// [Open]. It may be used by many goroutines.
type Service struct {
	store Store
	now   func() time.Time
	alarm func(error)

	change sync.Mutex // held while something is changed, in the store and here
	shown  atomic.Pointer[snapshot]
}

// Open loads and compiles every policy. It changes nothing in the store. A
// policy that cannot be compiled is no error: its tenant is denied everything
// until somebody puts that right, see [Service.Notice].
func Open(ctx context.Context, o Options) (*Service, error) {
	if o.Store == nil {
		return nil, fault.New(fault.Internal, "policies have no store")
	}
	s := &Service{store: o.Store, now: o.Now, alarm: o.Alarm}
	if s.now == nil {
		s.now = time.Now
	}
	if s.alarm == nil {
		s.alarm = func(error) {}
	}
	s.shown.Store(&snapshot{})
	for _, tenant := range slices.Compact(slices.Sorted(slices.Values(append([]string{access.DefaultTenant}, o.Tenants...)))) {
		if err := s.load(ctx, tenant); err != nil {
			return nil, fmt.Errorf("open policies: %w", err)
		}
	}
	return s, nil
}

func (s *Service) load(ctx context.Context, tenant string) error {
	for after := ""; ; {
		page, err := s.store.List(ctx, tenant, kindPolicy, after, store.MaxList)
		if err != nil {
			return err
		}
		for _, r := range page {
			s.show(r)
			after = r.Name
		}
		if len(page) < store.MaxList {
			return nil
		}
	}
}

// Apply brings what other nodes have changed into force. Applying an entry
// twice does no harm. A policy that this process cannot compile leaves the one
// before in force and is no error, so that everything else goes on.
func (s *Service) Apply(ctx context.Context, page []store.Entry) error {
	s.change.Lock()
	defer s.change.Unlock()
	for _, e := range page {
		if e.Reason != "" || e.Kind != kindPolicy {
			continue
		}
		r, err := s.store.Load(ctx, e.Tenant, kindPolicy, e.Name)
		if err != nil {
			return fmt.Errorf("apply %s of policy %q: %w", e.Action, e.Name, err)
		}
		s.show(r)
	}
	return nil
}

// show brings a record into force, unless a newer one is. The caller holds
// s.change, or is alone.
func (s *Service) show(r store.Record) {
	shown := *s.shown.Load()
	old := shown[r.Tenant].find(r.Name)
	if old != nil && old.newest >= r.Version {
		return
	}
	p, err := parsePolicy(r)
	if err != nil {
		err = fmt.Errorf("policy %q of tenant %q, version %d, cannot be used: %w", r.Name, r.Tenant, r.Version, err)
		s.alarm(err)
		p = &Policy{Tenant: r.Tenant, ID: r.Name, Version: r.Version}
		if old != nil && !old.deleted {
			last := *old
			p = &last
		}
		p.Trouble = err
	}
	p.newest = r.Version
	next := maps.Clone(shown)
	next[r.Tenant] = shown[r.Tenant].with(p)
	s.shown.Store(&next)
}

func (t *tenantPolicies) find(id string) *Policy {
	if t == nil {
		return nil
	}
	return t.all[id]
}

// with returns t with p in place of the policy of the same ID.
func (t *tenantPolicies) with(p *Policy) *tenantPolicies {
	next := &tenantPolicies{all: map[string]*Policy{}}
	if t != nil {
		maps.Copy(next.all, t.all)
	}
	next.all[p.ID] = p
	for _, id := range slices.Sorted(maps.Keys(next.all)) {
		switch p := next.all[id]; {
		case p.set != nil:
			next.sets = append(next.sets, p.set)
		case p.Trouble != nil && next.broken == nil:
			next.broken = p
		}
	}
	return next
}

// Active reports whether the tenant has a policy. Without one there is nothing
// to decide. It allocates nothing.
func (s *Service) Active(tenant string) bool { return (*s.shown.Load())[tenant].active() }

// Decide says what the policies of the tenant of r.Caller demand of it, all of
// them in the order of their IDs, as if their rules stood in one. purpose and
// algorithm are those of the key that r names; classes are those of the
// catalogue, which come in addition to those of the request.
func (s *Service) Decide(r *Request, purpose, algorithm string, classes []string) Decision {
	t := (*s.shown.Load())[r.Caller.Tenant]
	switch {
	case !t.active():
		return Decision{}
	case t.broken != nil:
		return Decision{Denied: true, Rule: t.broken.ID, Reason: "the policy cannot be used: " + t.broken.Trouble.Error()}
	}
	return decideAll(t.sets, r.input(purpose, algorithm, classes, s.now()))
}

// input is what rules see of r.
func (r *Request) input(purpose, algorithm string, classes []string, now time.Time) *Input {
	m := r.Metadata
	if m == nil {
		m = &api.Metadata{}
	}
	in := &Input{
		Action: string(r.Action), Caller: r.Caller.ID, Tenant: r.Caller.Tenant, Key: r.Key, Purpose: r.Purpose, Algorithm: algorithm,
		Environment: m.Environment, Source: m.Source, Target: m.Target, Resource: m.Resource,
		Classes: m.Classes, Labels: m.Labels, Address: host(r.Address), Time: now,
	}
	if in.Purpose == "" {
		in.Purpose = purpose
	}
	for _, class := range classes {
		if !slices.Contains(in.Classes, class) {
			in.Classes = append(slices.Clip(in.Classes), class)
		}
	}
	return in
}

// host returns the address without port and zone, in its one form.
func host(address string) string {
	if h, _, err := net.SplitHostPort(address); err == nil {
		address = h
	}
	if a, err := netip.ParseAddr(address); err == nil {
		return a.Unmap().WithZone("").String()
	}
	return address
}

// Notice says which tenants have a policy that cannot be used; it is empty while
// nothing is wrong.
func (s *Service) Notice() string {
	troubled, denied := 0, 0
	for _, t := range *s.shown.Load() {
		if t.broken != nil {
			denied++
		}
		for _, p := range t.all {
			if p.Trouble != nil {
				troubled++
			}
		}
	}
	if troubled == 0 {
		return ""
	}
	return fmt.Sprintf("policies that this version cannot use: %d, tenants that are denied everything for it: %d; see the log", troubled, denied)
}
