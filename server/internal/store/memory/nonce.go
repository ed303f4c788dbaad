package memory

import (
	"context"

	"github.com/sealwright/sealwright/server/internal/store"
)

// Raise implements storetest.Nonces.
func (s *Store) Raise(ctx context.Context, tenant, keyID, profile string, value int64) (bool, error) {
	n := store.Nonce{Tenant: tenant, KeyID: keyID, Profile: profile, Value: value}
	if err := n.Check(); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return false, err
	}
	id := key{tenant, keyID, profile}
	if old, ok := s.nonces[id]; ok && old >= value {
		return false, nil
	}
	s.nonces[id] = value
	return true, nil
}
