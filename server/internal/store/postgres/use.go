package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sealwright/sealwright/server/internal/store"
)

const addUse = `INSERT INTO uses (tenant, name, version, count, last_at) VALUES ($1, $2, $3, $4, $5)
	ON CONFLICT (tenant, name, version) DO UPDATE SET count = uses.count + excluded.count, last_at = greatest(uses.last_at, excluded.last_at)`

// AddUses implements storetest.Uses.
func (s *Store) AddUses(ctx context.Context, uses []store.Use) error {
	uses = slices.SortedFunc(slices.Values(uses), func(a, b store.Use) int { // see put
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return s.transaction(ctx, "add uses", s.timeout, func(ctx context.Context, tx pgx.Tx) error {
		var batch pgx.Batch
		for _, u := range uses {
			batch.Queue(addUse, u.Tenant, u.Name, u.Version, u.Count, u.LastAt.UnixMicro())
		}
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return unavailable("add uses", err)
		}
		return nil
	})
}

// Uses implements storetest.Uses.
func (s *Store) Uses(ctx context.Context, tenant, name string) ([]store.Use, error) {
	scan := func(row pgx.CollectableRow) (store.Use, error) {
		u := store.Use{Tenant: tenant, Name: name}
		var at int64
		err := row.Scan(&u.Version, &u.Count, &at)
		u.LastAt = time.UnixMicro(at).UTC()
		return u, err
	}
	if !storable(tenant, name) {
		return nil, nil
	}
	return query(ctx, s, "load uses", scan,
		`SELECT version, count, last_at FROM uses WHERE tenant = $1 AND name = $2 ORDER BY version`, tenant, name)
}
