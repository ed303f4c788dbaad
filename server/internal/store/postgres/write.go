package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

const (
	// writeTimeout ends a transaction that does not come to its COMMIT.
	writeTimeout = 30 * time.Second
	// settleTimeout is how long the server is asked what became of a COMMIT.
	settleTimeout = 30 * time.Second
)

// begun leaves the token of a transaction and returns the transaction's number.
// It takes a few old tokens away.
const begun = `WITH old AS (
		DELETE FROM outcomes WHERE token IN
			(SELECT token FROM outcomes WHERE at < now() - interval '1 hour' LIMIT 8 FOR UPDATE SKIP LOCKED)
	) INSERT INTO outcomes (token) VALUES ($1) RETURNING pg_current_xact_id()::text`

// notYetGiven is the code of the error of pg_xact_status for the number of a
// transaction in the future.
const notYetGiven = "22023"

const (
	insertRecord = `INSERT INTO records (tenant, kind, name, id, format, version, doc) VALUES ($1, $2, $3, $4, $5, $6 + 1, $7)
		ON CONFLICT (tenant, kind, name) DO NOTHING`
	updateRecord = `UPDATE records SET format = $5, version = $6 + 1, doc = $7
		WHERE tenant = $1 AND kind = $2 AND name = $3 AND id = $4 AND format <= $5 AND version = $6`
	// It changes log_head and is the last statement before COMMIT, because
	// others wait for that row. The process that owns it may write.
	insertEntries = `WITH head AS (
			UPDATE log_head SET seq = seq + cardinality($2::bigint[]) WHERE owner = $1 RETURNING seq
		), added AS (
			INSERT INTO entries (seq, at, tenant, caller, action, kind, record_id, name, detail, reason)
			SELECT head.seq - cardinality($2::bigint[]) + e.n, e.at, e.tenant, e.caller, e.action, e.kind, e.record_id, e.name, e.detail, e.reason
			FROM head, unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[], $10::text[])
				WITH ORDINALITY AS e (at, tenant, caller, action, kind, record_id, name, detail, reason, n)
		) SELECT seq FROM head`
)

// Commit implements storetest.Store.
func (s *Store) Commit(ctx context.Context, c store.Change) (seq int64, err error) {
	if err := c.Check(); err != nil {
		return 0, err
	}
	err = s.transaction(ctx, "commit", writeTimeout, func(ctx context.Context, tx pgx.Tx) error {
		if err := put(ctx, tx, c.Puts); err != nil {
			return err
		}
		seq, err = s.log(ctx, tx, c.Entries)
		return err
	})
	if err != nil {
		return 0, err
	}
	return seq, nil
}

// transaction stores what apply does, or nothing if it returns an error. Once
// begun it does not end with ctx, but after limit.
func (s *Store) transaction(ctx context.Context, doing string, limit time.Duration, apply func(context.Context, pgx.Tx) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	token := rand.Text()
	id, err := s.try(ctx, doing, token, limit, apply)
	if err == nil || id == "" {
		return err
	}
	return s.settle(doing, token, id, err)
}

// try returns the number of the transaction if it cannot tell whether it was
// committed.
func (s *Store) try(ctx context.Context, doing, token string, limit time.Duration, apply func(context.Context, pgx.Tx) error) (id string, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return "", unavailable("connect", err)
	}
	defer conn.Release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return "", unavailable("begin", err)
	}
	if err = tx.QueryRow(ctx, begun, token).Scan(&id); err != nil {
		err = unavailable(doing, err)
	} else {
		err = apply(ctx, tx)
	}
	if err != nil {
		_ = tx.Rollback(ctx) // or the end of the connection does it
		return "", err
	}
	return id, tx.Commit(ctx)
}

// settle finds out whether the transaction with this token and number was
// committed, whose COMMIT ended with cause, which may be no more than a lost
// answer. While a transaction of this number is under way, the answer may still
// change.
func (s *Store) settle(doing, token, id string, cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	for {
		var underWay, committed bool
		// The first statement is evaluated before the second: what is no longer
		// under way then has left its token, or never will.
		err := s.pool.QueryRow(ctx, `SELECT coalesce(pg_xact_status($1::text::xid8) = 'in progress', false)`, id).Scan(&underWay)
		if hasCode(err, notYetGiven) {
			underWay, err = false, nil // nor does the server remember that it gave it
		}
		if err == nil {
			err = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM outcomes WHERE token = $1)`, token).Scan(&committed)
		}
		switch {
		case err == nil && committed:
			return nil
		case err == nil && !underWay:
			return unavailable(doing, cause)
		}
		if sleep(ctx, 20*time.Millisecond) != nil {
			return unavailable(doing+", the outcome is unknown", errors.Join(cause, err))
		}
	}
}

// put stores records in the order of their names, so that two changes of the
// same records do not wait for each other.
func put(ctx context.Context, tx pgx.Tx, puts []store.Record) error {
	if len(puts) == 0 {
		return nil
	}
	puts = slices.SortedFunc(slices.Values(puts), func(a, b store.Record) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	var batch pgx.Batch
	var missed *store.Record
	for _, r := range puts {
		text := updateRecord
		if r.Version == 0 {
			text = insertRecord
		}
		batch.Queue(text, r.Tenant, r.Kind, r.Name, r.ID, r.Format, r.Version, r.Doc)
	}
	results := tx.SendBatch(ctx, &batch)
	for _, r := range puts {
		tag, err := results.Exec()
		if err != nil {
			return errors.Join(unavailable("store "+r.Kind, err), results.Close())
		}
		if tag.RowsAffected() == 0 && missed == nil {
			missed = &r
		}
	}
	if err := results.Close(); err != nil {
		return unavailable("store records", err)
	}
	if missed != nil {
		return conflict(ctx, tx, *missed)
	}
	return nil
}

// conflict says why r could not be put.
func conflict(ctx context.Context, tx pgx.Tx, r store.Record) error {
	var old store.Record
	err := tx.QueryRow(ctx, `SELECT id, format, version FROM records WHERE tenant = $1 AND kind = $2 AND name = $3`,
		r.Tenant, r.Kind, r.Name).Scan(&old.ID, &old.Format, &old.Version)
	exists := !errors.Is(err, pgx.ErrNoRows)
	if exists && err != nil {
		return unavailable("load "+r.Kind, err)
	}
	if err := store.CheckPut(r, old, exists); err != nil {
		return err
	}
	return fault.New(fault.Conflict, "%s %q is being changed by others", r.Kind, r.Name) // and back again
}

// log numbers and stores entries, and returns the number of the last one.
func (s *Store) log(ctx context.Context, tx pgx.Tx, entries []store.Entry) (seq int64, err error) {
	n := len(entries)
	at, detail := make([]int64, n), make([][]byte, n)
	var texts [7][]string
	for i, e := range entries {
		at[i] = e.At.UnixMicro()
		if len(e.Detail) > 0 {
			detail[i] = e.Detail
		}
		for j, text := range []string{e.Tenant, e.Caller, e.Action, e.Kind, e.RecordID, e.Name, e.Reason} {
			texts[j] = append(texts[j], text)
		}
	}
	err = tx.QueryRow(ctx, insertEntries, s.hold.owner, at, texts[0], texts[1], texts[2], texts[3], texts[4], texts[5],
		detail, texts[6]).Scan(&seq)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, lostHold()
	}
	if err != nil {
		return 0, unavailable("store entries", err)
	}
	return seq, nil
}
