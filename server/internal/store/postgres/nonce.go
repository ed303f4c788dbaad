package postgres

import (
	"context"

	"github.com/sealwright/sealwright/server/internal/store"
)

const raiseNonce = `INSERT INTO nonces (tenant, key_id, profile, value) VALUES ($1, $2, $3, $4)
	ON CONFLICT (tenant, key_id, profile) DO UPDATE SET value = excluded.value WHERE nonces.value < excluded.value
	RETURNING ` + durable

// Raise implements storetest.Nonces.
func (s *Store) Raise(ctx context.Context, tenant, keyID, profile string, value int64) (bool, error) {
	n := store.Nonce{Tenant: tenant, KeyID: keyID, Profile: profile, Value: value}
	if err := n.Check(); err != nil {
		return false, err
	}
	changed, err := s.exec(ctx, "raise nonce", raiseNonce, tenant, keyID, profile, value)
	return changed == 1, err
}
