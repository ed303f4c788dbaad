package memory

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// PutLease implements storetest.Leases.
func (s *Store) PutLease(ctx context.Context, l store.Lease, e store.Entry) error {
	if err := errors.Join(l.Check(), store.Change{Entries: []store.Entry{e}}.Check()); err != nil {
		return fault.New(fault.Invalid, "lease cannot be stored").Because(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	claim, err := s.claimed(ctx)
	if err != nil {
		return err
	}
	id := key{l.Tenant, l.Key, l.ID}
	if old, ok := s.leases[id]; ok {
		if old.RevokedAt.IsZero() {
			old.RevokedAt = l.RevokedAt
		}
		l = old
	} else {
		l.Used = 0
	}
	s.leases[id] = l
	for id, l := range s.leases {
		if l.ExpiresAt.Before(e.At.Add(-store.KeepLeases)) {
			delete(s.leases, id)
		}
	}
	s.apply(store.Change{Entries: []store.Entry{e}})
	s.note(claim)
	return nil
}

// Lease implements storetest.Leases.
func (s *Store) Lease(ctx context.Context, tenant, name, id string) (store.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return store.Lease{}, err
	}
	l, ok := s.leases[key{tenant, name, id}]
	if !ok {
		return store.Lease{}, fault.New(fault.NotFound, "no such lease of key %q", name)
	}
	return l, nil
}

// Leases implements storetest.Leases.
func (s *Store) Leases(ctx context.Context, tenant, name, afterID string, limit int) ([]store.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	var page []store.Lease
	for _, l := range s.leases {
		if l.Tenant == tenant && l.Key == name && l.ID > afterID {
			page = append(page, l)
		}
	}
	slices.SortFunc(page, func(a, b store.Lease) int { return strings.Compare(a.ID, b.ID) })
	return page[:min(limit, len(page))], nil
}

// SpendLease implements storetest.Leases.
func (s *Store) SpendLease(ctx context.Context, tenant, name, id string, at time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return false, err
	}
	l, ok := s.leases[key{tenant, name, id}]
	if !ok || l.StateAt(at) != store.LeaseValid {
		return false, nil
	}
	l.Used++
	s.leases[key{tenant, name, id}] = l
	return true, nil
}
