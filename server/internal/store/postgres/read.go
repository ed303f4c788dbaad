package postgres

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

const entryColumns = `seq, at, tenant, caller, action, kind, record_id, name, detail, reason`

// Load implements storetest.Store.
func (s *Store) Load(ctx context.Context, tenant, kind, name string) (store.Record, error) {
	if err := s.enter(ctx); err != nil {
		return store.Record{}, err
	}
	defer s.leave()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	r := store.Record{Tenant: tenant, Kind: kind, Name: name}
	if !storable(tenant, kind, name) {
		return store.Record{}, fault.New(fault.NotFound, "no %s %q", kind, name)
	}
	err := s.pool.QueryRow(ctx, `SELECT id, format, version, doc FROM records WHERE tenant = $1 AND kind = $2 AND name = $3`,
		tenant, kind, name).Scan(&r.ID, &r.Format, &r.Version, &r.Doc)
	if errors.Is(err, pgx.ErrNoRows) {
		return store.Record{}, fault.New(fault.NotFound, "no %s %q", kind, name)
	}
	if err != nil {
		return store.Record{}, unavailable("load "+kind, err)
	}
	return r, nil
}

// storable reports whether there can be records with these texts. PostgreSQL
// answers an error to those that it cannot keep.
func storable(texts ...string) bool {
	for _, s := range texts {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return false
		}
	}
	return true
}

// List implements storetest.Store.
func (s *Store) List(ctx context.Context, tenant, kind, afterName string, limit int) ([]store.Record, error) {
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	if !storable(tenant, kind, afterName) {
		return nil, fault.New(fault.Invalid, "name %q is not UTF-8 without NUL", afterName)
	}
	scan := func(row pgx.CollectableRow) (store.Record, error) {
		r := store.Record{Tenant: tenant, Kind: kind}
		err := row.Scan(&r.Name, &r.ID, &r.Format, &r.Version, &r.Doc)
		return r, err
	}
	return query(ctx, s, "list "+kind, scan, `SELECT name, id, format, version, doc FROM records
		WHERE tenant = $1 AND kind = $2 AND name > $3 ORDER BY name LIMIT $4`, tenant, kind, afterName, limit)
}

// Tail implements storetest.Store.
func (s *Store) Tail(ctx context.Context, afterSeq int64, limit int) ([]store.Entry, error) {
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	return query(ctx, s, "read entries", scanEntry,
		`SELECT `+entryColumns+` FROM entries WHERE seq > $1 ORDER BY seq LIMIT $2`, afterSeq, limit)
}

// Head implements storetest.Nodes.
func (s *Store) Head(ctx context.Context) (int64, error) {
	page, err := query(ctx, s, "read the end of the log", pgx.RowTo[int64], `SELECT seq FROM log_head`)
	if err != nil {
		return 0, err
	}
	return page[0], nil
}

func scanEntry(row pgx.CollectableRow) (store.Entry, error) {
	var e store.Entry
	var at int64
	var detail []byte
	err := row.Scan(&e.Seq, &at, &e.Tenant, &e.Caller, &e.Action, &e.Kind, &e.RecordID, &e.Name, &detail, &e.Reason)
	e.At, e.Detail = time.UnixMicro(at).UTC(), detail
	return e, err
}

// query returns all rows, nil if there are none.
func query[T any](ctx context.Context, s *Store, doing string, scan pgx.RowToFunc[T], text string, args ...any) ([]T, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rows, err := s.pool.Query(ctx, text, args...)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	var page []T
	if page, err = pgx.AppendRows(page, rows, scan); err != nil {
		return nil, unavailable(doing, err)
	}
	return page, nil
}
