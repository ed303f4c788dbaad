package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

const (
	leaseColumns = `id, version, purpose, created_at, expires_at, max_uses, used, revoked_at`
	putLease     = `INSERT INTO leases (tenant, key, ` + leaseColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9)
		ON CONFLICT (tenant, key, id) DO UPDATE SET revoked_at = excluded.revoked_at WHERE leases.revoked_at = 0`
	spendLease = `UPDATE leases SET used = used + 1 WHERE tenant = $1 AND key = $2 AND id = $3 AND revoked_at = 0
		AND expires_at > $4 AND (max_uses = 0 OR used < max_uses) RETURNING ` + durable
	// At most a few at a time, and none that others hold, so that no commit
	// waits for it.
	forgetLeases = `DELETE FROM leases WHERE (tenant, key, id) IN
		(SELECT tenant, key, id FROM leases WHERE expires_at < $1 ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED)`
)

// PutLease implements storetest.Leases.
func (s *Store) PutLease(ctx context.Context, l store.Lease, e store.Entry) error {
	if err := errors.Join(l.Check(), store.Change{Entries: []store.Entry{e}}.Check()); err != nil {
		return fault.New(fault.Invalid, "lease cannot be stored").Because(err)
	}
	return s.transaction(ctx, "store lease", s.timeout, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, putLease, l.Tenant, l.Key, l.ID, l.Version, l.Purpose,
			l.CreatedAt.UnixMicro(), l.ExpiresAt.UnixMicro(), l.MaxUses, microOrZero(l.RevokedAt))
		if err != nil {
			return unavailable("store lease", err)
		}
		if _, err := tx.Exec(ctx, forgetLeases, e.At.Add(-store.KeepLeases).UnixMicro()); err != nil {
			return unavailable("forget leases", err)
		}
		_, err = log(ctx, tx, []store.Entry{e})
		return err
	})
}

func microOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Lease implements storetest.Leases.
func (s *Store) Lease(ctx context.Context, tenant, key, id string) (store.Lease, error) {
	var page []store.Lease
	var err error
	if storable(tenant, key, id) {
		page, err = query(ctx, s, "load lease", scanLease(tenant, key),
			`SELECT `+leaseColumns+` FROM leases WHERE tenant = $1 AND key = $2 AND id = $3`, tenant, key, id)
	}
	if err != nil {
		return store.Lease{}, err
	}
	if len(page) == 0 {
		return store.Lease{}, fault.New(fault.NotFound, "no such lease of key %q", key)
	}
	return page[0], nil
}

// Leases implements storetest.Leases.
func (s *Store) Leases(ctx context.Context, tenant, key, afterID string, limit int) ([]store.Lease, error) {
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	if !storable(tenant, key, afterID) {
		return nil, fault.New(fault.Invalid, "lease %q of key %q is not UTF-8 without NUL", afterID, key)
	}
	return query(ctx, s, "list leases", scanLease(tenant, key), `SELECT `+leaseColumns+` FROM leases
		WHERE tenant = $1 AND key = $2 AND id > $3 ORDER BY id LIMIT $4`, tenant, key, afterID, limit)
}

func scanLease(tenant, key string) pgx.RowToFunc[store.Lease] {
	return func(row pgx.CollectableRow) (store.Lease, error) {
		l := store.Lease{Tenant: tenant, Key: key}
		var created, expires, revoked int64
		err := row.Scan(&l.ID, &l.Version, &l.Purpose, &created, &expires, &l.MaxUses, &l.Used, &revoked)
		l.CreatedAt, l.ExpiresAt = time.UnixMicro(created).UTC(), time.UnixMicro(expires).UTC()
		if revoked != 0 {
			l.RevokedAt = time.UnixMicro(revoked).UTC()
		}
		return l, err
	}
}

// SpendLease implements storetest.Leases.
func (s *Store) SpendLease(ctx context.Context, tenant, key, id string, at time.Time) (bool, error) {
	if !storable(tenant, key, id) {
		return false, nil
	}
	n, err := s.exec(ctx, "spend lease", spendLease, tenant, key, id, at.UnixMicro())
	return n == 1, err
}
