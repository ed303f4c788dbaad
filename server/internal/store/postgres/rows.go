package postgres

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

const (
	// importTimeout is how long an Import may take.
	importTimeout = time.Hour
	// batchTimeout is how long the database may take for what is sent at once.
	batchTimeout = time.Minute
	// batchRows and batchBytes bound what is sent at once.
	batchRows  = 500
	batchBytes = 1 << 20
)

// Reader reads a database that a server may use at the same time. Get one from
// [OpenReader].
type Reader struct{ pool *pgxpool.Pool }

// OpenReader connects to the database that url names for reading. The error is
// of kind [fault.Unavailable] if there is none, or its schema is not of this
// version.
func OpenReader(ctx context.Context, url string) (*Reader, error) {
	pool, err := connect(ctx, url, DefaultTimeout)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := checkSchema(ctx, pool); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	return &Reader{pool}, nil
}

// Rows returns everything that is in the database at one moment, in the order
// of [store.Tally].
func (r *Reader) Rows(ctx context.Context) iter.Seq2[store.Row, error] {
	return func(yield func(store.Row, error) bool) {
		tx, err := r.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			yield(store.Row{}, unavailable("begin", err))
			return
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it has only read
		rows(ctx, tx)(yield)
	}
}

// Close closes the connections.
func (r *Reader) Close() error {
	r.pool.Close()
	return nil
}

// Rows is that of [Reader].
func (s *Store) Rows(ctx context.Context) iter.Seq2[store.Row, error] {
	return func(yield func(store.Row, error) bool) {
		if err := s.enter(ctx); err != nil {
			yield(store.Row{}, err)
			return
		}
		defer s.leave()
		(&Reader{s.pool}).Rows(ctx)(yield)
	}
}

func rows(ctx context.Context, tx pgx.Tx) iter.Seq2[store.Row, error] {
	return func(yield func(store.Row, error) bool) {
		_ = each(ctx, tx, yield, scanRecordRow, `SELECT tenant, kind, name, id, format, version, doc FROM records ORDER BY tenant, kind, name`) &&
			each(ctx, tx, yield, func(rows pgx.CollectableRow) (store.Row, error) {
				e, err := scanEntry(rows)
				return store.Row{Entry: &e}, err
			}, `SELECT `+entryColumns+` FROM entries ORDER BY seq`) &&
			each(ctx, tx, yield, scanUseRow, `SELECT tenant, name, version, count, last_at FROM uses ORDER BY tenant, name, version`) &&
			each(ctx, tx, yield, scanLeaseRow, `SELECT tenant, key, `+leaseColumns+` FROM leases ORDER BY tenant, key, id`) &&
			each(ctx, tx, yield, scanNonceRow, `SELECT tenant, key_id, profile, value FROM nonces ORDER BY tenant, key_id, profile`)
	}
}

// each reports whether to go on.
func each(ctx context.Context, tx pgx.Tx, yield func(store.Row, error) bool, scan pgx.RowToFunc[store.Row], text string) bool {
	rows, err := tx.Query(ctx, text)
	if err != nil {
		yield(store.Row{}, unavailable("read everything", err))
		return false
	}
	defer rows.Close()
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

func scanRecordRow(row pgx.CollectableRow) (store.Row, error) {
	var r store.Record
	err := row.Scan(&r.Tenant, &r.Kind, &r.Name, &r.ID, &r.Format, &r.Version, &r.Doc)
	return store.Row{Record: &r}, err
}

func scanUseRow(row pgx.CollectableRow) (store.Row, error) {
	var u store.Use
	var at int64
	err := row.Scan(&u.Tenant, &u.Name, &u.Version, &u.Count, &at)
	u.LastAt = time.UnixMicro(at).UTC()
	return store.Row{Use: &u}, err
}

func scanLeaseRow(row pgx.CollectableRow) (store.Row, error) {
	var l store.Lease
	var created, expires, revoked int64
	err := row.Scan(&l.Tenant, &l.Key, &l.ID, &l.Version, &l.Purpose, &created, &expires, &l.MaxUses, &l.Used, &revoked)
	l.CreatedAt, l.ExpiresAt = time.UnixMicro(created).UTC(), time.UnixMicro(expires).UTC()
	if revoked != 0 {
		l.RevokedAt = time.UnixMicro(revoked).UTC()
	}
	return store.Row{Lease: &l}, err
}

func scanNonceRow(row pgx.CollectableRow) (store.Row, error) {
	var n store.Nonce
	err := row.Scan(&n.Tenant, &n.KeyID, &n.Profile, &n.Value)
	return store.Row{Nonce: &n}, err
}

// Import stores rows, which come in the order of [store.Tally], in a store that
// is empty: all of them, or none if one of them is an error. It reads them back
// before it commits, and returns what is stored then. A store that is not empty
// is of kind [fault.Conflict], one that a node uses of kind [fault.Unavailable].
// Until it returns nobody else can write.
func (s *Store) Import(ctx context.Context, from iter.Seq2[store.Row, error]) (c store.Contents, err error) {
	err = s.transaction(ctx, "import", importTimeout, func(ctx context.Context, tx pgx.Tx) error {
		c, err = load(ctx, tx, from)
		return err
	})
	if err != nil {
		return store.Contents{}, err
	}
	return c, nil
}

// lockAll keeps all writers out, those too that are about to begin. The tables
// are in the order in which transactions lock their rows, the log last.
const lockAll = `LOCK TABLE records, leases, uses, nonces, nodes, entries, log_head IN SHARE ROW EXCLUSIVE MODE`

// checkUnused locks the store, which must be empty and without nodes.
func checkUnused(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, lockAll); err != nil {
		return unavailable("wait for the writers of the store", err)
	}
	rows, err := tx.Query(ctx, liveNodes, store.Live)
	if err != nil {
		return unavailable("see who uses the store", err)
	}
	nodes, err := pgx.CollectRows(rows, scanNode)
	if err != nil {
		return unavailable("see who uses the store", err)
	}
	if len(nodes) > 0 {
		return fault.New(fault.Unavailable, "database is in use by %s: stop every server that uses it, and wait %v for one that was killed",
			cmp.Or(nodes[0].About, nodes[0].ID), store.Live)
	}
	var empty bool
	err = tx.QueryRow(ctx, `SELECT seq = 0 AND NOT EXISTS (SELECT FROM records) AND NOT EXISTS (SELECT FROM uses)
		AND NOT EXISTS (SELECT FROM leases) AND NOT EXISTS (SELECT FROM nonces) FROM log_head`).Scan(&empty)
	if err != nil {
		return unavailable("see whether the store is empty", err)
	}
	if !empty {
		return fault.New(fault.Conflict, "store is not empty")
	}
	return nil
}

func load(ctx context.Context, tx pgx.Tx, from iter.Seq2[store.Row, error]) (c store.Contents, err error) {
	if err := checkUnused(ctx, tx); err != nil {
		return c, err
	}
	want, err := insertAll(ctx, tx, from)
	if err != nil {
		return c, err
	}
	if _, err := tx.Exec(ctx, `UPDATE log_head SET seq = $1`, want.Entries); err != nil {
		return c, unavailable("number entries", err)
	}
	if c, err = store.Count(rows(ctx, tx)); err != nil {
		return c, err
	}
	return c, store.CheckCopy(c, want)
}

// insertAll stores rows, many at a time.
func insertAll(ctx context.Context, tx pgx.Tx, from iter.Seq2[store.Row, error]) (store.Contents, error) {
	tally, batch, size := store.NewTally(), &pgx.Batch{}, 0
	flush := func() error {
		ctx, cancel := context.WithTimeout(ctx, batchTimeout)
		defer cancel()
		err := tx.SendBatch(ctx, batch).Close()
		batch, size = &pgx.Batch{}, 0
		if err != nil {
			return unavailable("store rows", err)
		}
		return nil
	}
	for r, err := range from {
		if err == nil {
			err = tally.Add(r)
		}
		if err == nil {
			size += queue(batch, r)
			if batch.Len() >= batchRows || size >= batchBytes {
				err = flush()
			}
		}
		if err != nil {
			return store.Contents{}, err
		}
	}
	return tally.Contents(), flush()
}

// queue returns about how many bytes r has.
func queue(batch *pgx.Batch, r store.Row) int {
	switch {
	case r.Record != nil:
		v := r.Record
		batch.Queue(insertRecord, v.Tenant, v.Kind, v.Name, v.ID, v.Format, v.Version-1, v.Doc)
		return len(v.Doc)
	case r.Entry != nil:
		v := r.Entry
		batch.Queue(`INSERT INTO entries (`+entryColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			v.Seq, v.At.UnixMicro(), v.Tenant, v.Caller, v.Action, v.Kind, v.RecordID, v.Name, []byte(v.Detail), v.Reason)
		return len(v.Detail)
	case r.Use != nil:
		v := r.Use
		batch.Queue(addUse, v.Tenant, v.Name, v.Version, v.Count, v.LastAt.UnixMicro())
	case r.Lease != nil:
		v := r.Lease
		batch.Queue(`INSERT INTO leases (tenant, key, `+leaseColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			v.Tenant, v.Key, v.ID, v.Version, v.Purpose, v.CreatedAt.UnixMicro(), v.ExpiresAt.UnixMicro(), v.MaxUses, v.Used, microOrZero(v.RevokedAt))
	case r.Nonce != nil:
		v := r.Nonce
		batch.Queue(raiseNonce, v.Tenant, v.KeyID, v.Profile, v.Value)
	}
	return 0
}
