package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/sealwright/sealwright/server/internal/store"
)

const addUse = `INSERT INTO uses (tenant, name, version, count, last_at) VALUES (?, ?, ?, ?, ?)
	ON CONFLICT (tenant, name, version) DO UPDATE SET count = count + excluded.count, last_at = max(last_at, excluded.last_at)`

// AddUses implements storetest.Uses.
func (s *Store) AddUses(ctx context.Context, uses []store.Use) error {
	_, err := s.do(ctx, func(w *writer) (int64, error) {
		for _, u := range uses {
			_, err := w.conn.ExecContext(context.Background(), addUse, u.Tenant, u.Name, u.Version, u.Count, u.LastAt.UnixMicro())
			if err != nil {
				return 0, unavailable("add uses", err)
			}
		}
		return 0, nil
	})
	return err
}

// Uses implements storetest.Uses.
func (s *Store) Uses(ctx context.Context, tenant, name string) ([]store.Use, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	scan := func(rows *sql.Rows) (store.Use, error) {
		u := store.Use{Tenant: tenant, Name: name}
		var at int64
		err := rows.Scan(&u.Version, &u.Count, &at)
		u.LastAt = time.UnixMicro(at).UTC()
		return u, err
	}
	uses, err := query(ctx, s.read, scan,
		`SELECT version, count, last_at FROM uses WHERE tenant = ? AND name = ? ORDER BY version`, tenant, name)
	if err != nil {
		return nil, unavailable("load uses", err)
	}
	return uses, nil
}
