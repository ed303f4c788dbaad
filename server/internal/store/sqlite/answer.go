package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

const (
	answerColumns = `request, owner, state, lease_end, expires_at, sealed`
	loadAnswer    = `SELECT ` + answerColumns + ` FROM answers WHERE tenant = ? AND caller = ? AND key = ?`
	putAnswer     = `INSERT OR REPLACE INTO answers (tenant, caller, key, ` + answerColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
	keepAnswer    = `UPDATE answers SET request = ?, state = ?, expires_at = ?, sealed = ? WHERE tenant = ? AND caller = ? AND key = ? AND owner = ?`
	releaseAnswer = `DELETE FROM answers WHERE tenant = ? AND caller = ? AND key = ? AND owner = ? AND state <= ?`
	noteCommitted = `UPDATE answers SET state = 2 WHERE tenant = ? AND caller = ? AND key = ? AND owner = ?`
	countAnswers  = `SELECT count(*) FROM answers WHERE tenant = ? AND expires_at > ?`
	// At most a few at a time, so that no commit waits for it.
	forgetAnswers = `DELETE FROM answers WHERE rowid IN (SELECT rowid FROM answers WHERE expires_at <= ? ORDER BY expires_at LIMIT 100)`
)

// ClaimAnswer implements storetest.Answers.
func (s *Store) ClaimAnswer(ctx context.Context, a store.Answer, now time.Time, most int) (got store.Answer, err error) {
	if err := a.Check(); err != nil {
		return store.Answer{}, err
	}
	_, err = s.do(ctx, func(w *writer) (int64, error) {
		got, err = w.claim(a, now, most)
		return 0, err
	})
	return got, err
}

func (w *writer) claim(a store.Answer, now time.Time, most int) (store.Answer, error) {
	ctx := context.Background()
	page, err := query(ctx, w.conn, scanAnswer(a.Tenant, a.Caller, a.Key), loadAnswer, a.Tenant, a.Caller, a.Key)
	if err != nil {
		return store.Answer{}, unavailable("load answer", err)
	}
	if len(page) > 0 && !page[0].FreeAt(now) {
		return page[0], nil
	}
	if _, err := w.conn.ExecContext(ctx, forgetAnswers, now.UnixMicro()); err != nil {
		return store.Answer{}, unavailable("forget answers", err)
	}
	var live int
	if err := w.conn.QueryRowContext(ctx, countAnswers, a.Tenant, now.UnixMicro()).Scan(&live); err != nil {
		return store.Answer{}, unavailable("count answers", err)
	}
	if len(page) > 0 && now.Before(page[0].ExpiresAt) {
		live-- // that is replaced
	}
	if live >= most {
		return store.Answer{}, store.ErrTooManyAnswers
	}
	_, err = w.conn.ExecContext(ctx, putAnswer, a.Tenant, a.Caller, a.Key,
		notNull(a.Request), a.Owner, a.State, a.LeaseEnd.UnixMicro(), a.ExpiresAt.UnixMicro(), notNull(a.Sealed))
	if err != nil {
		return store.Answer{}, unavailable("store answer", err)
	}
	return a, nil
}

// notNull returns bytes that SQLite does not take for NULL.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// KeepAnswer implements storetest.Answers.
func (s *Store) KeepAnswer(ctx context.Context, a store.Answer) error {
	if err := a.Check(); err != nil {
		return err
	}
	_, err := s.do(ctx, func(w *writer) (int64, error) {
		return 0, w.owned("store answer", keepAnswer, notNull(a.Request), a.State, a.ExpiresAt.UnixMicro(), notNull(a.Sealed), a.Tenant, a.Caller, a.Key, a.Owner)
	})
	return err
}

// owned changes an answer, or returns an error if another has taken it over.
func (w *writer) owned(doing, text string, args ...any) error {
	r, err := w.conn.ExecContext(context.Background(), text, args...)
	if err != nil {
		return unavailable(doing, err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		return unavailable(doing, err)
	}
	if n != 1 {
		return store.ErrTakenOver
	}
	return nil
}

// note keeps in mind that something is written on behalf of the claim of ctx.
func (w *writer) note(ctx context.Context) error {
	c, ok := store.ClaimOf(ctx)
	if !ok {
		return nil
	}
	return w.owned("note commit", noteCommitted, c.Tenant, c.Caller, c.Key, c.Owner)
}

// ReleaseAnswer implements storetest.Answers.
func (s *Store) ReleaseAnswer(ctx context.Context, a store.Answer) error {
	_, err := s.do(ctx, func(w *writer) (int64, error) {
		if _, err := w.conn.ExecContext(context.Background(), releaseAnswer, a.Tenant, a.Caller, a.Key, a.Owner, a.State); err != nil {
			return 0, unavailable("release answer", err)
		}
		return 0, nil
	})
	return err
}

// Answer implements storetest.Answers.
func (s *Store) Answer(ctx context.Context, tenant, caller, key string) (store.Answer, error) {
	if err := s.enter(ctx); err != nil {
		return store.Answer{}, err
	}
	defer s.leave()
	page, err := query(ctx, s.read, scanAnswer(tenant, caller, key), loadAnswer, tenant, caller, key)
	if err != nil {
		return store.Answer{}, unavailable("load answer", err)
	}
	if len(page) == 0 {
		return store.Answer{}, fault.New(fault.NotFound, "no answer to this idempotency key")
	}
	return page[0], nil
}

func scanAnswer(tenant, caller, key string) func(*sql.Rows) (store.Answer, error) {
	return func(rows *sql.Rows) (store.Answer, error) {
		a := store.Answer{Tenant: tenant, Caller: caller, Key: key}
		var lease, expires int64
		err := rows.Scan(&a.Request, &a.Owner, &a.State, &lease, &expires, &a.Sealed)
		a.LeaseEnd, a.ExpiresAt = time.UnixMicro(lease).UTC(), time.UnixMicro(expires).UTC()
		return a, err
	}
}
