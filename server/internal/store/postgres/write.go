package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// durable makes the transaction durable, whatever the role or the database says.
const durable = `CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END`

// begun leaves the token of a transaction and returns the transaction's number,
// or no row if the schema is newer than $2. It takes a few old tokens away.
// A transaction whose client is gone must not keep others from the number of the
// last entry for long, so they wait longer than it lives.
const begun = `WITH old AS (
		DELETE FROM outcomes WHERE token IN
			(SELECT token FROM outcomes WHERE at < now() - interval '1 hour' LIMIT 8 FOR UPDATE SKIP LOCKED)
	) INSERT INTO outcomes (token) SELECT $1 WHERE (SELECT max(version_id) FROM goose_db_version) <= $2
	RETURNING pg_current_xact_id()::text, ` + durable + `, set_config('statement_timeout', $3, true),
		set_config('lock_timeout', $4, true), set_config('idle_in_transaction_session_timeout', $5, true)`

// Codes of errors of the server.
const (
	// notYetGiven is that of pg_xact_status for the number of a transaction in
	// the future.
	notYetGiven = "22023"
	// readOnly is that of a write to a server that has become a standby.
	readOnly = "25006"
)

const (
	insertRecord = `INSERT INTO records (tenant, kind, name, id, format, version, doc) VALUES ($1, $2, $3, $4, $5, $6 + 1, $7)
		ON CONFLICT (tenant, kind, name) DO NOTHING`
	updateRecord = `UPDATE records SET format = $5, version = $6 + 1, doc = $7
		WHERE tenant = $1 AND kind = $2 AND name = $3 AND id = $4 AND format <= $5 AND version = $6`
	// It changes log_head and is the last statement before COMMIT, because
	// others wait for that row.
	insertEntries = `WITH head AS (
			UPDATE log_head SET seq = seq + cardinality($1::bigint[]) RETURNING seq
		), added AS (
			INSERT INTO entries (seq, at, tenant, caller, action, kind, record_id, name, detail, reason)
			SELECT head.seq - cardinality($1::bigint[]) + e.n, e.at, e.tenant, e.caller, e.action, e.kind, e.record_id, e.name, e.detail, e.reason
			FROM head, unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::text[])
				WITH ORDINALITY AS e (at, tenant, caller, action, kind, record_id, name, detail, reason, n)
		) SELECT seq FROM head`
)

// Commit implements storetest.Store.
func (s *Store) Commit(ctx context.Context, c store.Change) (seq int64, err error) {
	if err := c.Check(); err != nil {
		return 0, err
	}
	err = s.transaction(ctx, "commit", s.timeout, func(ctx context.Context, tx pgx.Tx) error {
		if err := put(ctx, tx, c.Puts); err != nil {
			return err
		}
		seq, err = log(ctx, tx, c.Entries)
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
	end := time.Now().Add(limit)
	wait, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := s.pool.Acquire(wait)
	if err != nil {
		return "", unavailable("connect", err)
	}
	defer conn.Release()
	ctx, cancel = context.WithDeadline(context.WithoutCancel(ctx), end)
	defer cancel()
	wait, cancel = context.WithTimeout(ctx, s.timeout)
	defer cancel()
	tx, err := conn.Begin(wait)
	if err != nil {
		return "", unavailable("begin", err)
	}
	if id, err = s.begin(wait, tx, doing, token, limit); err == nil {
		err = note(ctx, tx)
	}
	if err == nil {
		err = apply(ctx, tx)
	}
	if err != nil {
		_ = tx.Rollback(ctx) // or the end of the connection does it
		return "", err
	}
	return id, tx.Commit(ctx)
}

// begin does what every transaction does first, and returns its number.
func (s *Store) begin(ctx context.Context, tx pgx.Tx, doing, token string, limit time.Duration) (id string, err error) {
	err = tx.QueryRow(ctx, begun, token, s.schema, millis(limit), millis(s.timeout*4/5), millis(limit/2)).Scan(&id, nil, nil, nil, nil)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", fault.New(fault.Unavailable, "database was migrated by a newer version of sealwright: this process reads it and writes no more")
	case hasCode(err, readOnly):
		s.pool.Reset() // other connections may find the new primary
	}
	if err != nil {
		return "", unavailable(doing, err)
	}
	return id, nil
}

// millis returns d in the unit of the settings of the server.
func millis(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 1), 10) }

// settle finds out whether the transaction with this token and number was
// committed, whose COMMIT ended with cause, which may be no more than a lost
// answer.
func (s *Store) settle(doing, token, id string, cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*s.timeout)
	defer cancel()
	for {
		underWay, committed, err := s.outcome(ctx, token, id)
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

// outcome asks the server once. While a transaction of this number is under
// way, the answer may still change.
func (s *Store) outcome(ctx context.Context, token, id string) (underWay, committed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout/2)
	defer cancel()
	// The first statement is evaluated before the second: what is no longer
	// under way then has left its token, or never will.
	err = s.pool.QueryRow(ctx, `SELECT coalesce(pg_xact_status($1::text::xid8) = 'in progress', false)`, id).Scan(&underWay)
	if err != nil && !hasCode(err, notYetGiven) { // nor does the server remember that it gave it
		return false, false, err
	}
	err = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM outcomes WHERE token = $1)`, token).Scan(&committed)
	return underWay, committed, err
}

// exec runs one statement and returns how many rows it has changed. After an
// error it may have changed them or not.
func (s *Store) exec(ctx context.Context, doing, text string, args ...any) (int64, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	tag, err := s.pool.Exec(ctx, text, args...)
	if hasCode(err, readOnly) {
		s.pool.Reset()
	}
	if err != nil {
		return 0, unavailable(doing, err)
	}
	return tag.RowsAffected(), nil
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
func log(ctx context.Context, tx pgx.Tx, entries []store.Entry) (seq int64, err error) {
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
	err = tx.QueryRow(ctx, insertEntries, at, texts[0], texts[1], texts[2], texts[3], texts[4], texts[5], detail, texts[6]).Scan(&seq)
	if err != nil {
		return 0, unavailable("store entries", err)
	}
	return seq, nil
}
