package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Reader reads a database file that a server may have open. Get one from
// [OpenReader].
type Reader struct{ db *sql.DB }

// OpenReader opens the database file at path for reading. The error is of kind
// [fault.Unavailable] if there is none, or its schema is not of this version.
func OpenReader(ctx context.Context, path string) (*Reader, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, unavailable("open database", err)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, unavailable("open database", err)
	}
	db, err := connect(path, readerOptions, 1)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(ctx, db); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, errors.Join(err, db.Close()))
	}
	return &Reader{db}, nil
}

func checkSchema(ctx context.Context, db *sql.DB) error {
	p, err := provider(db)
	if err != nil {
		return err
	}
	var have int64
	err = db.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&have)
	if err != nil {
		return unavailable("read schema version", err)
	}
	sources := p.ListSources()
	if known := sources[len(sources)-1].Version; have != known {
		return fault.New(fault.Unavailable, "database has schema %d, this version of sealwright reads %d: migrate it first", have, known)
	}
	return nil
}

// Rows returns everything that is in the database at one moment, in the order
// of [store.Tally].
func (r *Reader) Rows(ctx context.Context) iter.Seq2[store.Row, error] {
	return func(yield func(store.Row, error) bool) {
		tx, err := r.db.BeginTx(ctx, nil)
		if err != nil {
			yield(store.Row{}, unavailable("begin", err))
			return
		}
		defer func() { _ = tx.Rollback() }() // it has only read
		rows(ctx, tx)(yield)
	}
}

// Close closes the file.
func (r *Reader) Close() error { return r.db.Close() }

// Rows is that of [Reader].
func (s *Store) Rows(ctx context.Context) iter.Seq2[store.Row, error] {
	return func(yield func(store.Row, error) bool) {
		if err := s.enter(ctx); err != nil {
			yield(store.Row{}, err)
			return
		}
		defer s.leave()
		(&Reader{s.read}).Rows(ctx)(yield)
	}
}

type querier interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

func rows(ctx context.Context, db querier) iter.Seq2[store.Row, error] {
	return func(yield func(store.Row, error) bool) {
		_ = each(ctx, db, yield, scanRecordRow, `SELECT tenant, kind, name, id, format, version, doc FROM records ORDER BY tenant, kind, name`) &&
			each(ctx, db, yield, func(rows *sql.Rows) (store.Row, error) {
				e, err := scanEntry(rows)
				return store.Row{Entry: &e}, err
			}, `SELECT seq, at, tenant, caller, action, kind, record_id, name, detail, reason FROM entries ORDER BY seq`) &&
			each(ctx, db, yield, scanUseRow, `SELECT tenant, name, version, count, last_at FROM uses ORDER BY tenant, name, version`) &&
			each(ctx, db, yield, scanLeaseRow, `SELECT tenant, key, `+leaseColumns+` FROM leases ORDER BY tenant, key, id`) &&
			each(ctx, db, yield, scanNonceRow, `SELECT tenant, key_id, profile, value FROM nonces ORDER BY tenant, key_id, profile`)
	}
}

// each reports whether to go on.
func each(ctx context.Context, db querier, yield func(store.Row, error) bool, scan func(*sql.Rows) (store.Row, error), text string) bool {
	rows, err := db.QueryContext(ctx, text)
	if err != nil {
		yield(store.Row{}, unavailable("read everything", err))
		return false
	}
	defer func() { _ = rows.Close() }() // Err says what went wrong
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			yield(store.Row{}, unavailable("read everything", err))
			return false
		}
		if !yield(r, nil) {
			return false
		}
	}
	if err := rows.Err(); err != nil {
		yield(store.Row{}, unavailable("read everything", err))
		return false
	}
	return true
}

func scanRecordRow(rows *sql.Rows) (store.Row, error) {
	var r store.Record
	err := rows.Scan(&r.Tenant, &r.Kind, &r.Name, &r.ID, &r.Format, &r.Version, &r.Doc)
	return store.Row{Record: &r}, err
}

func scanUseRow(rows *sql.Rows) (store.Row, error) {
	var u store.Use
	var at int64
	err := rows.Scan(&u.Tenant, &u.Name, &u.Version, &u.Count, &at)
	u.LastAt = time.UnixMicro(at).UTC()
	return store.Row{Use: &u}, err
}

func scanLeaseRow(rows *sql.Rows) (store.Row, error) {
	var l store.Lease
	var created, expires, revoked int64
	err := rows.Scan(&l.Tenant, &l.Key, &l.ID, &l.Version, &l.Purpose, &created, &expires, &l.MaxUses, &l.Used, &revoked)
	l.CreatedAt, l.ExpiresAt = time.UnixMicro(created).UTC(), time.UnixMicro(expires).UTC()
	if revoked != 0 {
		l.RevokedAt = time.UnixMicro(revoked).UTC()
	}
	return store.Row{Lease: &l}, err
}

func scanNonceRow(rows *sql.Rows) (store.Row, error) {
	var n store.Nonce
	err := rows.Scan(&n.Tenant, &n.KeyID, &n.Profile, &n.Value)
	return store.Row{Nonce: &n}, err
}

// Import stores rows, which come in the order of [store.Tally], in a store that
// is empty: all of them, or none if one of them is an error. It reads them back
// before it commits, and returns what is stored then. A store that is not empty
// is of kind [fault.Conflict].
func (s *Store) Import(ctx context.Context, rows iter.Seq2[store.Row, error]) (c store.Contents, err error) {
	_, err = s.do(ctx, func(w *writer) (int64, error) {
		c, err = w.load(ctx, rows)
		return 0, err
	})
	return c, err
}

func (w *writer) load(ctx context.Context, from iter.Seq2[store.Row, error]) (c store.Contents, err error) {
	before, err := store.Count(rows(ctx, w.conn))
	if err != nil {
		return c, err
	}
	if before.Records+before.Entries+before.Uses+before.Leases+before.Nonces > 0 {
		return c, fault.New(fault.Conflict, "store is not empty")
	}
	want := store.NewTally()
	for r, err := range from {
		if err == nil {
			err = want.Add(r)
		}
		if err == nil {
			err = w.insert(ctx, r)
		}
		if err != nil {
			return c, err
		}
	}
	if _, err := w.conn.ExecContext(ctx, `UPDATE log_head SET seq = ?`, want.Contents().Entries); err != nil {
		return c, unavailable("number entries", err)
	}
	if c, err = store.Count(rows(ctx, w.conn)); err != nil {
		return c, err
	}
	return c, store.CheckCopy(c, want.Contents())
}

func (w *writer) insert(ctx context.Context, r store.Row) (err error) {
	switch {
	case r.Record != nil:
		v := r.Record
		_, err = w.statements[putRecord].ExecContext(ctx, v.Tenant, v.Kind, v.Name, v.ID, v.Format, v.Version, v.Doc)
	case r.Entry != nil:
		err = w.insertEntry(ctx, *r.Entry)
	case r.Use != nil:
		v := r.Use
		_, err = w.conn.ExecContext(ctx, addUse, v.Tenant, v.Name, v.Version, v.Count, v.LastAt.UnixMicro())
	case r.Lease != nil:
		v := r.Lease
		_, err = w.conn.ExecContext(ctx, `INSERT INTO leases (tenant, key, `+leaseColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			v.Tenant, v.Key, v.ID, v.Version, v.Purpose, v.CreatedAt.UnixMicro(), v.ExpiresAt.UnixMicro(), v.MaxUses, v.Used, microOrZero(v.RevokedAt))
	case r.Nonce != nil:
		v := r.Nonce
		_, err = w.conn.ExecContext(ctx, raiseNonce, v.Tenant, v.KeyID, v.Profile, v.Value)
	}
	if err != nil {
		return unavailable("store a row", err)
	}
	return nil
}
