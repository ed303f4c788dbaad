package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Load implements storetest.Store.
func (s *Store) Load(ctx context.Context, tenant, kind, name string) (store.Record, error) {
	if err := s.enter(ctx); err != nil {
		return store.Record{}, err
	}
	defer s.leave()
	r := store.Record{Tenant: tenant, Kind: kind, Name: name}
	err := s.read.QueryRowContext(ctx,
		`SELECT id, format, version, doc FROM records WHERE tenant = ? AND kind = ? AND name = ?`,
		tenant, kind, name).Scan(&r.ID, &r.Format, &r.Version, &r.Doc)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Record{}, fault.New(fault.NotFound, "no %s %q", kind, name)
	}
	if err != nil {
		return store.Record{}, unavailable("load "+kind, err)
	}
	return r, nil
}

// List implements storetest.Store.
func (s *Store) List(ctx context.Context, tenant, kind, afterName string, limit int) ([]store.Record, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	scan := func(rows *sql.Rows) (store.Record, error) {
		r := store.Record{Tenant: tenant, Kind: kind}
		err := rows.Scan(&r.Name, &r.ID, &r.Format, &r.Version, &r.Doc)
		return r, err
	}
	page, err := query(ctx, s.read, scan,
		`SELECT name, id, format, version, doc FROM records
		 WHERE tenant = ? AND kind = ? AND name > ? ORDER BY name LIMIT ?`, tenant, kind, afterName, limit)
	if err != nil {
		return nil, unavailable("list "+kind, err)
	}
	return page, nil
}

// Tail implements storetest.Store.
func (s *Store) Tail(ctx context.Context, afterSeq int64, limit int) ([]store.Entry, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	page, err := query(ctx, s.read, scanEntry,
		`SELECT seq, at, tenant, caller, action, kind, record_id, name, detail, reason FROM entries
		 WHERE seq > ? ORDER BY seq LIMIT ?`, afterSeq, limit)
	if err != nil {
		return nil, unavailable("read entries", err)
	}
	return page, nil
}

// Head is that of storetest.Nodes.
func (s *Store) Head(ctx context.Context) (seq int64, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	if err := s.read.QueryRowContext(ctx, `SELECT seq FROM log_head`).Scan(&seq); err != nil {
		return 0, unavailable("read the end of the log", err)
	}
	return seq, nil
}

func scanEntry(rows *sql.Rows) (store.Entry, error) {
	var e store.Entry
	var at int64
	var detail []byte
	err := rows.Scan(&e.Seq, &at, &e.Tenant, &e.Caller, &e.Action, &e.Kind, &e.RecordID, &e.Name, &detail, &e.Reason)
	e.At, e.Detail = time.UnixMicro(at).UTC(), detail
	return e, err
}

// queryer is a database or one connection of it.
type queryer interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

// query returns all rows, and closes them, since an open one would keep the
// WAL from being checkpointed.
func query[T any](ctx context.Context, db queryer, scan func(*sql.Rows) (T, error), text string, args ...any) (page []T, err error) {
	rows, err := db.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, err
		}
		page = append(page, row)
	}
	return page, rows.Err()
}
