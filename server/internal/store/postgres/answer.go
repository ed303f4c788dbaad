package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

const (
	answerColumns = `request, owner, state, lease_end, expires_at, sealed`
	loadAnswer    = `SELECT ` + answerColumns + ` FROM answers WHERE tenant = $1 AND caller = $2 AND key = $3`
	// It leaves a row alone that is not free: see [store.Answer.FreeAt]. A row
	// that another inserts meanwhile is waited for, and left alone too.
	claimAnswer = `INSERT INTO answers (tenant, caller, key, ` + answerColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (tenant, caller, key) DO UPDATE SET request = excluded.request, owner = excluded.owner, state = excluded.state,
			lease_end = excluded.lease_end, expires_at = excluded.expires_at, sealed = excluded.sealed
		WHERE answers.expires_at <= $10 OR answers.state = 1 AND answers.lease_end <= $10`
	keepAnswer = `UPDATE answers SET request = $5, state = $6, expires_at = $7, sealed = $8
		WHERE tenant = $1 AND caller = $2 AND key = $3 AND owner = $4 RETURNING ` + durable
	releaseAnswer = `DELETE FROM answers WHERE tenant = $1 AND caller = $2 AND key = $3 AND owner = $4 AND state <= $5`
	noteCommitted = `UPDATE answers SET state = 2 WHERE tenant = $1 AND caller = $2 AND key = $3 AND owner = $4`
	countAnswers  = `SELECT count(*) FROM answers WHERE tenant = $1 AND expires_at > $2`
	// At most a few at a time, and none that others hold, so that no commit
	// waits for it.
	forgetAnswers = `DELETE FROM answers WHERE (tenant, caller, key) IN
		(SELECT tenant, caller, key FROM answers WHERE expires_at <= $1 ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED)`
)

// ClaimAnswer implements storetest.Answers. Claims that are made at the same
// time do not count each other.
func (s *Store) ClaimAnswer(ctx context.Context, a store.Answer, now time.Time, most int) (got store.Answer, err error) {
	if err := a.Check(); err != nil {
		return store.Answer{}, err
	}
	err = s.transaction(ctx, "store answer", s.timeout, func(ctx context.Context, tx pgx.Tx) error {
		got, err = claim(ctx, tx, a, now, most)
		return err
	})
	if err != nil {
		return store.Answer{}, err
	}
	return got, nil
}

func claim(ctx context.Context, tx pgx.Tx, a store.Answer, now time.Time, most int) (store.Answer, error) {
	tag, err := tx.Exec(ctx, claimAnswer, a.Tenant, a.Caller, a.Key,
		notNull(a.Request), a.Owner, a.State, a.LeaseEnd.UnixMicro(), a.ExpiresAt.UnixMicro(), notNull(a.Sealed), now.UnixMicro())
	if err != nil {
		return store.Answer{}, unavailable("store answer", err)
	}
	if tag.RowsAffected() == 0 {
		rows, err := tx.Query(ctx, loadAnswer, a.Tenant, a.Caller, a.Key)
		if err != nil {
			return store.Answer{}, unavailable("load answer", err)
		}
		page, err := pgx.CollectRows(rows, scanAnswer(a.Tenant, a.Caller, a.Key))
		switch {
		case err != nil:
			return store.Answer{}, unavailable("load answer", err)
		case len(page) == 0: // it was released since
			return store.Answer{}, fault.New(fault.Unavailable, "the idempotency key was released at this moment, try again")
		}
		return page[0], nil
	}
	var live int
	if err := tx.QueryRow(ctx, countAnswers, a.Tenant, now.UnixMicro()).Scan(&live); err != nil {
		return store.Answer{}, unavailable("count answers", err)
	}
	if live > most { // with that of a
		return store.Answer{}, store.ErrTooManyAnswers
	}
	if _, err := tx.Exec(ctx, forgetAnswers, now.UnixMicro()); err != nil {
		return store.Answer{}, unavailable("forget answers", err)
	}
	return a, nil
}

// notNull returns bytes that are not taken for NULL.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// note keeps in mind that something is written on behalf of the claim of ctx.
// The row stays locked until the transaction ends, so who takes it away waits.
func note(ctx context.Context, tx pgx.Tx) error {
	c, ok := store.ClaimOf(ctx)
	if !ok {
		return nil
	}
	tag, err := tx.Exec(ctx, noteCommitted, c.Tenant, c.Caller, c.Key, c.Owner)
	if err != nil {
		return unavailable("note commit", err)
	}
	if tag.RowsAffected() != 1 {
		return store.ErrTakenOver
	}
	return nil
}

// KeepAnswer implements storetest.Answers.
func (s *Store) KeepAnswer(ctx context.Context, a store.Answer) error {
	if err := a.Check(); err != nil {
		return err
	}
	n, err := s.exec(ctx, "store answer", keepAnswer, a.Tenant, a.Caller, a.Key, a.Owner, notNull(a.Request), a.State, a.ExpiresAt.UnixMicro(), notNull(a.Sealed))
	if err == nil && n != 1 {
		return store.ErrTakenOver
	}
	return err
}

// ReleaseAnswer implements storetest.Answers.
func (s *Store) ReleaseAnswer(ctx context.Context, a store.Answer) error {
	if !storable(a.Tenant, a.Caller, a.Key, a.Owner) {
		return nil
	}
	_, err := s.exec(ctx, "release answer", releaseAnswer, a.Tenant, a.Caller, a.Key, a.Owner, a.State)
	return err
}

// Answer implements storetest.Answers.
func (s *Store) Answer(ctx context.Context, tenant, caller, key string) (store.Answer, error) {
	var page []store.Answer
	var err error
	if storable(tenant, caller, key) {
		page, err = query(ctx, s, "load answer", scanAnswer(tenant, caller, key), loadAnswer, tenant, caller, key)
	}
	if err != nil {
		return store.Answer{}, err
	}
	if len(page) == 0 {
		return store.Answer{}, fault.New(fault.NotFound, "no answer to this idempotency key")
	}
	return page[0], nil
}

func scanAnswer(tenant, caller, key string) pgx.RowToFunc[store.Answer] {
	return func(row pgx.CollectableRow) (store.Answer, error) {
		a := store.Answer{Tenant: tenant, Caller: caller, Key: key}
		var lease, expires int64
		err := row.Scan(&a.Request, &a.Owner, &a.State, &lease, &expires, &a.Sealed)
		a.LeaseEnd, a.ExpiresAt = time.UnixMicro(lease).UTC(), time.UnixMicro(expires).UTC()
		return a, err
	}
}
