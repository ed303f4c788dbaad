package memory

import (
	"cmp"
	"context"
	"slices"

	"github.com/sealwright/sealwright/server/internal/store"
)

// AddUses implements storetest.Uses.
func (s *Store) AddUses(ctx context.Context, uses []store.Use) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	for _, u := range uses {
		i := slices.IndexFunc(s.uses, func(old store.Use) bool {
			return old.Tenant == u.Tenant && old.Name == u.Name && old.Version == u.Version
		})
		if i < 0 {
			s.uses = append(s.uses, u)
			continue
		}
		s.uses[i].Count += u.Count
		if u.LastAt.After(s.uses[i].LastAt) {
			s.uses[i].LastAt = u.LastAt
		}
	}
	return nil
}

// Uses implements storetest.Uses.
func (s *Store) Uses(ctx context.Context, tenant, name string) ([]store.Use, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	var uses []store.Use
	for _, u := range s.uses {
		if u.Tenant == tenant && u.Name == name {
			uses = append(uses, u)
		}
	}
	slices.SortFunc(uses, func(a, b store.Use) int { return cmp.Compare(a.Version, b.Version) })
	return uses, nil
}
