// Package memory is a store in memory, for tests and for trying things out.
// It promises what storetest.Store says, until the process ends.
package memory

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Fault is how one Commit breaks.
type Fault struct {
	Err   error // what Commit returns
	Apply bool  // whether the change is stored all the same
}

type key struct{ tenant, kind, name string }

// Store is a store in memory. Get one from [New]. Several services may share
// it, as several nodes share a database.
type Store struct {
	// Now is the clock of the beats of nodes; nil means time.Now. It must not
	// change once the store is used.
	Now func() time.Time

	mu      sync.Mutex
	closed  bool
	records map[key]store.Record
	entries []store.Entry
	faults  []Fault
	uses    []store.Use
	leases  map[key]store.Lease // by tenant, name of the key, and ID
	nonces  map[key]int64       // by tenant, key ID, and profile
	nodes   map[string]store.Node
	answers map[key]store.Answer // by tenant, caller and key
}

// New returns an empty store.
func New() *Store {
	return &Store{records: map[key]store.Record{}, leases: map[key]store.Lease{}, nodes: map[string]store.Node{}, nonces: map[key]int64{}, answers: map[key]store.Answer{}}
}

// Fail breaks the next commits, one for each fault. Commits that would be
// refused are refused and use up no fault.
func (s *Store) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Load implements storetest.Store.
func (s *Store) Load(ctx context.Context, tenant, kind, name string) (store.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return store.Record{}, err
	}
	r, ok := s.records[key{tenant, kind, name}]
	if !ok {
		return store.Record{}, fault.New(fault.NotFound, "no %s %q", kind, name)
	}
	return cloneRecord(r), nil
}

// List implements storetest.Store.
func (s *Store) List(ctx context.Context, tenant, kind, afterName string, limit int) ([]store.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	var page []store.Record
	for k, r := range s.records {
		if k.tenant == tenant && k.kind == kind && k.name > afterName {
			page = append(page, r)
		}
	}
	slices.SortFunc(page, func(a, b store.Record) int { return strings.Compare(a.Name, b.Name) })
	page = page[:min(limit, len(page))]
	for i := range page {
		page[i] = cloneRecord(page[i])
	}
	return page, nil
}

// Commit implements storetest.Store.
func (s *Store) Commit(ctx context.Context, c store.Change) (int64, error) {
	if err := c.Check(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	for _, r := range c.Puts {
		old, ok := s.records[key{r.Tenant, r.Kind, r.Name}]
		if err := store.CheckPut(r, old, ok); err != nil {
			return 0, err
		}
	}
	claim, err := s.claimed(ctx)
	if err != nil {
		return 0, err
	}
	var broken Fault
	if len(s.faults) > 0 {
		broken, s.faults = s.faults[0], s.faults[1:]
	}
	if broken.Err == nil || broken.Apply {
		s.apply(c)
		s.note(claim)
	}
	if broken.Err != nil {
		return 0, broken.Err
	}
	return int64(len(s.entries)), nil
}

func (s *Store) apply(c store.Change) {
	for _, r := range c.Puts {
		r = cloneRecord(r)
		r.Version++
		s.records[key{r.Tenant, r.Kind, r.Name}] = r
	}
	for _, e := range c.Entries {
		e = cloneEntry(e)
		e.Seq = int64(len(s.entries)) + 1
		e.At = e.At.UTC().Truncate(time.Microsecond)
		s.entries = append(s.entries, e)
	}
}

// Tail implements storetest.Store.
func (s *Store) Tail(ctx context.Context, afterSeq int64, limit int) ([]store.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	from := min(max(afterSeq, 0), int64(len(s.entries)))
	rest := s.entries[from:]
	page := make([]store.Entry, 0, min(limit, len(rest)))
	for _, e := range rest[:min(limit, len(rest))] {
		page = append(page, cloneEntry(e))
	}
	return page, nil
}

// Close implements storetest.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

func (s *Store) ready(ctx context.Context) error {
	if s.closed {
		return fault.New(fault.Unavailable, "store is closed")
	}
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Unavailable, "store was not asked").Because(err)
	}
	return nil
}

func cloneRecord(r store.Record) store.Record {
	r.Doc = bytes.Clone(r.Doc)
	return r
}

func cloneEntry(e store.Entry) store.Entry {
	e.Detail = bytes.Clone(e.Detail)
	return e
}
