package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

const (
	leaseColumns = `id, version, purpose, created_at, expires_at, max_uses, used, revoked_at`
	putLease     = `INSERT INTO leases (tenant, key, ` + leaseColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)
		ON CONFLICT (tenant, key, id) DO UPDATE SET revoked_at = excluded.revoked_at WHERE revoked_at = 0`
	spendLease = `UPDATE leases SET used = used + 1 WHERE tenant = ? AND key = ? AND id = ? AND revoked_at = 0
		AND expires_at > ? AND (max_uses = 0 OR used < max_uses)`
	// At most a few at a time, so that no commit waits for it.
	forgetLeases = `DELETE FROM leases WHERE (tenant, key, id) IN
		(SELECT tenant, key, id FROM leases WHERE expires_at < ? ORDER BY expires_at LIMIT 100)`
)

// PutLease implements storetest.Leases.
func (s *Store) PutLease(ctx context.Context, l store.Lease, e store.Entry) error {
	if err := errors.Join(l.Check(), store.Change{Entries: []store.Entry{e}}.Check()); err != nil {
		return fault.New(fault.Invalid, "lease cannot be stored").Because(err)
	}
	_, err := s.do(ctx, func(w *writer) (int64, error) {
		ctx := context.Background()
		_, err := w.conn.ExecContext(ctx, putLease, l.Tenant, l.Key, l.ID, l.Version, l.Purpose,
			l.CreatedAt.UnixMicro(), l.ExpiresAt.UnixMicro(), l.MaxUses, microOrZero(l.RevokedAt))
		if err != nil {
			return 0, unavailable("store lease", err)
		}
		if _, err := w.conn.ExecContext(ctx, forgetLeases, e.At.Add(-store.KeepLeases).UnixMicro()); err != nil {
			return 0, unavailable("forget leases", err)
		}
		return w.apply(store.Change{Entries: []store.Entry{e}})
	})
	return err
}

func microOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Lease implements storetest.Leases.
func (s *Store) Lease(ctx context.Context, tenant, key, id string) (store.Lease, error) {
	if err := s.enter(ctx); err != nil {
		return store.Lease{}, err
	}
	defer s.leave()
	page, err := query(ctx, s.read, scanLease(tenant, key),
		`SELECT `+leaseColumns+` FROM leases WHERE tenant = ? AND key = ? AND id = ?`, tenant, key, id)
	if err != nil {
		return store.Lease{}, unavailable("load lease", err)
	}
	if len(page) == 0 {
		return store.Lease{}, fault.New(fault.NotFound, "no such lease of key %q", key)
	}
	return page[0], nil
}

// Leases implements storetest.Leases.
func (s *Store) Leases(ctx context.Context, tenant, key, afterID string, limit int) ([]store.Lease, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	page, err := query(ctx, s.read, scanLease(tenant, key),
		`SELECT `+leaseColumns+` FROM leases WHERE tenant = ? AND key = ? AND id > ? ORDER BY id LIMIT ?`, tenant, key, afterID, limit)
	if err != nil {
		return nil, unavailable("list leases", err)
	}
	return page, nil
}

func scanLease(tenant, key string) func(*sql.Rows) (store.Lease, error) {
	return func(rows *sql.Rows) (store.Lease, error) {
		l := store.Lease{Tenant: tenant, Key: key}
		var created, expires, revoked int64
		err := rows.Scan(&l.ID, &l.Version, &l.Purpose, &created, &expires, &l.MaxUses, &l.Used, &revoked)
		l.CreatedAt, l.ExpiresAt = time.UnixMicro(created).UTC(), time.UnixMicro(expires).UTC()
		if revoked != 0 {
			l.RevokedAt = time.UnixMicro(revoked).UTC()
		}
		return l, err
	}
}

// SpendLease implements storetest.Leases.
func (s *Store) SpendLease(ctx context.Context, tenant, key, id string, at time.Time) (bool, error) {
	n, err := s.do(ctx, func(w *writer) (int64, error) {
		r, err := w.conn.ExecContext(context.Background(), spendLease, tenant, key, id, at.UnixMicro())
		if err != nil {
			return 0, unavailable("spend lease", err)
		}
		return r.RowsAffected()
	})
	return n == 1, err
}
