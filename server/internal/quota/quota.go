// Package quota keeps the limits that tenants set for themselves.
//
// A limit is a record; a [Service] holds all of them in memory, together with
// those of the platform, which stand in the configuration, and gives them to a
// [limit.Limiter] as one set. Limits of a tenant hold beside those of the
// platform, so they can only make less of what is allowed, never more.
package quota

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Store is what a [Service] needs of a database. The rules of the methods are
// those of storetest.Store.
type Store interface {
	Load(ctx context.Context, tenant, kind, name string) (store.Record, error)
	List(ctx context.Context, tenant, kind, afterName string, limit int) ([]store.Record, error)
	Commit(ctx context.Context, c store.Change) (seq int64, err error)
}

// Options are what [Open] needs. Store and Limiter must not be nil.
type Options struct {
	Store    Store
	Limiter  *limit.Limiter
	Platform []limit.Rule     // of the configuration; together they make a set
	Tenants  []string         // whose limits are loaded, beside the default tenant
	Now      func() time.Time // nil means time.Now

	// Alarm is told of a limit that this process cannot use, each time it is
	// read; nil means nobody. It must not call the service.
	Alarm func(error)
}

// ErrPrecondition is in the chain of the error of kind [fault.Conflict] that
// says that a limit has not the version the caller demanded.
var ErrPrecondition = errors.New("precondition failed")

const (
	attempts      = 3 // of a change, while others change the same record
	settleTimeout = 5 * time.Second
)

// Limit is one limit. It does not change.
type Limit struct {
	limit.Rule       // of the platform if its Tenant is empty
	Version    int64 // one more with every change; 0 for one of the platform
	deleted    bool
}

// document is format 1 of a record of kind limit.
type document struct {
	limit.Rule
	Deleted bool `json:"deleted,omitempty"` // the rule is empty
}

type ref struct{ tenant, name string }

// Service holds limits. Get one from [Open]. It may be used by many goroutines.
type Service struct {
	o        Options
	platform []*Limit

	change sync.Mutex // held while something is changed, in the store and here
	mu     sync.RWMutex
	known  map[ref]*Limit
}

// Open loads all limits and puts them into force. It changes nothing in the
// store.
func Open(ctx context.Context, o Options) (*Service, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Alarm == nil {
		o.Alarm = func(error) {}
	}
	s := &Service{o: o, known: map[ref]*Limit{}}
	for _, r := range o.Platform {
		s.platform = append(s.platform, &Limit{Rule: r})
	}
	tenants := append([]string{access.DefaultTenant}, o.Tenants...)
	slices.Sort(tenants)
	for _, tenant := range slices.Compact(tenants) {
		for after := ""; ; {
			page, err := o.Store.List(ctx, tenant, limit.Kind, after, store.MaxList)
			if err != nil {
				return nil, fmt.Errorf("open limits: %w", err)
			}
			for _, r := range page {
				l, err := parse(r)
				if err != nil {
					return nil, fmt.Errorf("open limits: %w", err)
				}
				s.known[ref{r.Tenant, r.Name}] = l
				after = r.Name
			}
			if len(page) < store.MaxList {
				break
			}
		}
	}
	return s, s.enforce(s.known)
}

func parse(r store.Record) (*Limit, error) {
	if err := r.CheckFormat(limit.Format); err != nil {
		return nil, err
	}
	var d document
	decoder := json.NewDecoder(bytes.NewReader(r.Doc))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return nil, fault.New(fault.Internal, "limit %q is damaged", r.Name).Because(err)
	}
	d.Rule.Name, d.Rule.Tenant = r.Name, r.Tenant
	return &Limit{Rule: d.Rule, Version: r.Version, deleted: d.Deleted}, nil
}

// rules returns what is in force, in an order that is the same in every process.
func (s *Service) rules(known map[ref]*Limit) []limit.Rule {
	all := slices.Clone(s.o.Platform)
	for _, k := range slices.SortedFunc(maps.Keys(known), func(a, b ref) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.name, b.name))
	}) {
		if l := known[k]; !l.deleted {
			all = append(all, l.Rule)
		}
	}
	return all
}

// enforce gives the limits to the limiter. One that cannot stand beside those
// before it, since two nodes have made them at the same time, is left out and
// told.
func (s *Service) enforce(known map[ref]*Limit) error {
	rules := s.rules(known)
	set, err := limit.NewSet(rules)
	if err != nil {
		var good []limit.Rule
		for _, r := range rules {
			next, err := limit.NewSet(append(good, r))
			if err != nil {
				if r.Tenant == "" {
					return err
				}
				s.o.Alarm(fmt.Errorf("tenant %q: %w: it is not in force", r.Tenant, err))
				continue
			}
			set, good = next, append(good, r)
		}
	}
	s.o.Limiter.Replace(set)
	return nil
}

// Apply brings what other nodes have changed into force. Applying an entry twice
// does no harm.
func (s *Service) Apply(ctx context.Context, page []store.Entry) error {
	s.change.Lock()
	defer s.change.Unlock()
	for _, e := range page {
		if e.Reason != "" || e.Kind != limit.Kind {
			continue
		}
		r, err := s.o.Store.Load(ctx, e.Tenant, e.Kind, e.Name)
		if err == nil {
			err = s.show(r)
		}
		if err != nil {
			return fmt.Errorf("apply %s of limit %q: %w", e.Action, e.Name, err)
		}
	}
	return nil
}

// show takes a record into memory and into force. The caller holds s.change.
func (s *Service) show(r store.Record) error {
	l, err := parse(r)
	if err != nil {
		return err
	}
	next := maps.Clone(s.known)
	k := ref{r.Tenant, r.Name}
	if old := next[k]; old != nil && old.Version >= l.Version {
		return nil
	}
	next[k] = l
	s.mu.Lock()
	s.known = next
	s.mu.Unlock()
	return s.enforce(next)
}

// List returns the limits that hold in the tenant of caller: its own by name,
// then those of the platform.
func (s *Service) List(caller access.Caller) ([]*Limit, error) {
	if err := access.Allow(caller, access.LimitRead, access.Target{Tenant: caller.Tenant}); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var own []*Limit
	for k, l := range s.known {
		if k.tenant == caller.Tenant && !l.deleted {
			own = append(own, l)
		}
	}
	slices.SortFunc(own, func(a, b *Limit) int { return cmp.Compare(a.Name, b.Name) })
	return append(own, s.platform...), nil
}

// Find returns a limit of the tenant of caller, or of the platform if it has
// none of this name.
func (s *Service) Find(caller access.Caller, name string) (*Limit, error) {
	list, err := s.List(caller)
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		if l.Name == name {
			return l, nil
		}
	}
	return nil, noLimit(name)
}

// Usage returns what is left of a limit for one of its subjects, as far as the
// counter knows at once. For a limit of tenants the subject is that of caller.
func (s *Service) Usage(ctx context.Context, caller access.Caller, l *Limit, subject string) (limit.Result, error) {
	switch l.Scope {
	case limit.ScopeTenant:
		if subject != "" && subject != caller.Tenant {
			return limit.Result{}, fault.New(fault.Invalid, "subject: a limit of tenants counts the one in which you act")
		}
		subject = caller.Tenant
	case limit.ScopeAddress:
		a, err := netip.ParseAddr(subject)
		if err != nil {
			return limit.Result{}, fault.New(fault.Invalid, "subject: want an address")
		}
		subject = limit.Subject(a)
	}
	if subject == "" || len(subject) > store.MaxText {
		return limit.Result{}, fault.New(fault.Invalid, "subject: want the name of a %s", l.Scope)
	}
	r, err := s.o.Limiter.Usage(ctx, caller.Tenant, l.Rule, subject)
	if err != nil {
		return r, fault.New(fault.Internal, "limit %q is not one", l.Name).Because(err)
	}
	return r, nil
}

// Set makes a limit of the tenant of caller, or puts another in its place. Name
// and tenant of rule do not matter. Unless ifVersion is 0, the limit must have
// this version. The error is of kind [fault.Invalid] for what cannot be a limit
// beside the others, [fault.Denied], or [fault.Conflict].
func (s *Service) Set(ctx context.Context, caller access.Caller, name string, ifVersion int64, rule limit.Rule) (*Limit, error) {
	rule.Tenant, rule.Name = caller.Tenant, name
	if err := s.allow(ctx, caller, access.LimitSet, rule); err != nil {
		return nil, err
	}
	if _, err := rule.Limit(); err != nil {
		return nil, fault.New(fault.Invalid, "%v", err)
	}
	return s.put(ctx, caller, access.LimitSet, name, ifVersion, document{Rule: rule})
}

// Delete takes a limit of the tenant of caller out of force. The error is of
// kind [fault.NotFound], [fault.Denied], or [fault.Conflict].
func (s *Service) Delete(ctx context.Context, caller access.Caller, name string, ifVersion int64) error {
	if err := s.allow(ctx, caller, access.LimitDelete, limit.Rule{Name: name}); err != nil {
		return err
	}
	_, err := s.put(ctx, caller, access.LimitDelete, name, ifVersion, document{Deleted: true})
	return err
}

// put stores the next version of a limit and brings it into force, again while
// others change it.
func (s *Service) put(ctx context.Context, caller access.Caller, action access.Action, name string, ifVersion int64, d document) (*Limit, error) {
	s.change.Lock()
	defer s.change.Unlock()
	var err error
	for range attempts {
		var r store.Record
		if r, err = s.next(ctx, caller.Tenant, name, ifVersion, d); err != nil {
			return nil, err
		}
		if err = s.commit(ctx, caller, action, r); fault.KindOf(err) != fault.Conflict {
			if err != nil {
				return nil, err
			}
			r.Version++
			if err := s.show(r); err != nil {
				return nil, err
			}
			return s.known[ref{r.Tenant, r.Name}], nil
		}
	}
	return nil, err
}

// next returns the record to put.
func (s *Service) next(ctx context.Context, tenant, name string, ifVersion int64, d document) (store.Record, error) {
	r, err := s.o.Store.Load(ctx, tenant, limit.Kind, name)
	exists := err == nil
	if fault.KindOf(err) == fault.NotFound {
		r, err = store.Record{Tenant: tenant, Kind: limit.Kind, ID: rand.Text(), Name: name}, nil
	}
	if err != nil {
		return r, err
	}
	if exists {
		if err := s.show(r); err != nil {
			return r, err
		}
	}
	old := s.known[ref{tenant, name}]
	gone := old == nil || old.deleted
	switch {
	case gone && (d.Deleted || ifVersion != 0):
		return r, noLimit(name)
	case ifVersion != 0 && ifVersion != r.Version:
		return r, fault.New(fault.Conflict, "limit %q has version %d, not %d", name, r.Version, ifVersion).Because(ErrPrecondition)
	}
	next := maps.Clone(s.known)
	next[ref{tenant, name}] = &Limit{Rule: d.Rule, deleted: d.Deleted}
	if _, err := limit.NewSet(slices.DeleteFunc(s.rules(next), func(r limit.Rule) bool { return r.Tenant != tenant })); err != nil && !d.Deleted {
		return r, fault.New(fault.Invalid, "%v", err)
	}
	r.Format = limit.Format
	r.Doc, err = json.Marshal(d)
	return r, err
}

// commit returns nil if r is stored, also if the store said otherwise because
// its answer was lost.
func (s *Service) commit(ctx context.Context, caller access.Caller, action access.Action, r store.Record) error {
	_, err := s.o.Store.Commit(ctx, store.Change{Puts: []store.Record{r}, Entries: []store.Entry{{
		At: s.instant(), Tenant: r.Tenant, Caller: caller.ID, Action: string(action), Kind: r.Kind, RecordID: r.ID, Name: r.Name, Detail: r.Doc,
	}}})
	switch fault.KindOf(err) {
	case 0, fault.Conflict, fault.Invalid:
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	got, loadErr := s.o.Store.Load(ctx, r.Tenant, r.Kind, r.Name)
	if loadErr == nil && got.ID == r.ID && got.Version == r.Version+1 && bytes.Equal(got.Doc, r.Doc) {
		return nil
	}
	return err
}

// allow is [access.Allow]; a refusal leaves an entry.
func (s *Service) allow(ctx context.Context, caller access.Caller, action access.Action, rule limit.Rule) error {
	refusal := access.Allow(caller, action, access.Target{Tenant: caller.Tenant})
	if refusal == nil {
		return nil
	}
	e := store.Entry{At: s.instant(), Tenant: caller.Tenant, Caller: caller.ID, Action: string(action), Kind: limit.Kind, Reason: fault.Public(refusal)}
	if limit.ValidName(rule.Name) {
		e.Name = rule.Name
	}
	if _, err := s.o.Store.Commit(ctx, store.Change{Entries: []store.Entry{e}}); err != nil {
		return fault.New(fault.Denied, "%s", fault.Public(refusal)).Because(fmt.Errorf("store the entry about it: %w", err))
	}
	return refusal
}

// instant returns the time as stores keep it.
func (s *Service) instant() time.Time { return s.o.Now().UTC().Truncate(time.Microsecond) }

func noLimit(name string) error {
	if !limit.ValidName(name) {
		return fault.New(fault.NotFound, "no limit of this name")
	}
	return fault.New(fault.NotFound, "no limit %q that can be changed here", name)
}
