package sqlite

import (
	"context"

	"github.com/sealwright/sealwright/server/internal/store"
)

const raiseNonce = `INSERT INTO nonces (tenant, key_id, profile, value) VALUES (?, ?, ?, ?)
	ON CONFLICT (tenant, key_id, profile) DO UPDATE SET value = excluded.value WHERE value < excluded.value`

// Raise implements storetest.Nonces.
func (s *Store) Raise(ctx context.Context, tenant, keyID, profile string, value int64) (bool, error) {
	n := store.Nonce{Tenant: tenant, KeyID: keyID, Profile: profile, Value: value}
	if err := n.Check(); err != nil {
		return false, err
	}
	changed, err := s.do(ctx, func(w *writer) (int64, error) {
		r, err := w.conn.ExecContext(context.Background(), raiseNonce, tenant, keyID, profile, value)
		if err != nil {
			return 0, unavailable("raise nonce", err)
		}
		return r.RowsAffected()
	})
	return changed == 1, err
}
