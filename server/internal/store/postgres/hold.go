package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// DefaultHold is [Options.Hold] if nothing is said.
const DefaultHold = 30 * time.Second

// beats is how often in the time of a hold its holder says that it is there.
const beats = 6

// createHolder makes what has to be there before the schema is migrated, since
// only the holder may do that. Its form never changes.
const createHolder = `CREATE TABLE IF NOT EXISTS holder (
	one   integer PRIMARY KEY CHECK (one = 1),
	owner text    NOT NULL, -- random, of one process; empty if there is none
	about text    NOT NULL, -- who that is
	beat  bigint  NOT NULL  -- changes while the process is there
) WITH (fillfactor = 10);
INSERT INTO holder (one, owner, about, beat) VALUES (1, '', '', 0) ON CONFLICT DO NOTHING`

// hold is the place of a process as the only one that uses a database.
//
// The holder changes a number all the time. Whoever else wants the place
// watches that number: if it changes, the holder lives; if it does not for the
// whole time, by the clock of the one who watches, the place is free. The
// holder gives up earlier, after two thirds of that time, by its own clock and
// counted from before its last beat was sent. So clocks need to run equally
// fast, and need not agree.
type hold struct {
	config *pgx.ConnConfig
	owner  string
	time   time.Duration

	lost chan struct{}
	stop context.CancelFunc
	done sync.WaitGroup
}

// takeHold waits until the place is free, or returns an error of kind
// [fault.Unavailable] as soon as its holder shows that it lives.
func takeHold(ctx context.Context, config *pgx.ConnConfig, o Options) (*hold, error) {
	h := &hold{config: config, owner: rand.Text(), time: o.Hold, lost: make(chan struct{})}
	if h.time <= 0 {
		h.time = DefaultHold
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, unavailable("connect", err)
	}
	taken := time.Now()
	if err := h.take(ctx, conn, about(o.About), &taken); err != nil {
		return nil, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	ctx, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	h.done.Go(func() { h.keep(ctx, conn, taken) })
	return h, nil
}

func about(text string) string {
	if text != "" {
		return text
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	return fmt.Sprintf("process %d on %s", os.Getpid(), host)
}

// place is the row of the table holder.
type place struct {
	owner, about string
	beat         int64
}

func (h *hold) take(ctx context.Context, conn *pgx.Conn, about string, taken *time.Time) error {
	if err := prepare(ctx, conn); err != nil {
		return err
	}
	var seen place
	var since time.Time // of the first look at seen
	for {
		var now place
		*taken = time.Now()
		err := conn.QueryRow(ctx, `SELECT owner, about, beat FROM holder`).Scan(&now.owner, &now.about, &now.beat)
		if err != nil {
			return unavailable("see who uses the database", err)
		}
		if seen.owner != "" && now.owner != "" && now != seen { // it has moved
			return fault.New(fault.Unavailable, "database is in use by %s: one server process at a time can use it", now.about)
		}
		if now.owner == "" || seen.owner != "" && time.Since(since) >= h.time {
			ok, err := claim(ctx, conn, now, place{h.owner, about, now.beat + 1})
			if err != nil || ok {
				return err
			}
		}
		if now != seen {
			seen, since = now, time.Now()
		}
		if err := sleep(ctx, h.time/(4*beats)); err != nil {
			return unavailable("wait for the process that uses the database, "+now.about, err)
		}
	}
}

// prepare makes the table if it is not there.
func prepare(ctx context.Context, conn *pgx.Conn) error {
	var exists bool
	err := conn.QueryRow(ctx, `SELECT to_regclass('holder') IS NOT NULL`).Scan(&exists)
	if err == nil && !exists {
		_, err = conn.Exec(ctx, createHolder)
		if hasCode(err, uniqueViolation) { // another process makes it at the same time
			_, err = conn.Exec(ctx, createHolder)
		}
	}
	if err != nil {
		return unavailable("make the table holder", err)
	}
	return nil
}

// uniqueViolation is the code of the error of a second row of the same key, also
// in the tables that PostgreSQL has about tables.
const uniqueViolation = "23505"

// hasCode reports whether err is an error of the server with this code.
func hasCode(err error, code string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == code
}

// claim puts next in the place of old and reports whether that was still there.
func claim(ctx context.Context, conn *pgx.Conn, old, next place) (bool, error) {
	tag, err := conn.Exec(ctx, `UPDATE holder SET owner = $1, about = $2, beat = $3 WHERE owner = $4 AND beat = $5`,
		next.owner, next.about, next.beat, old.owner, old.beat)
	if err != nil {
		return false, unavailable("take the database", err)
	}
	return tag.RowsAffected() == 1, nil
}

// keep says that the process is there, until ctx ends or the place is lost.
// last is when that was surely known.
func (h *hold) keep(ctx context.Context, conn *pgx.Conn, last time.Time) {
	defer func() {
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx)) // nothing is under way
		}
	}()
	pause, limit := h.time/beats, h.time*2/3
	for {
		left := limit - time.Since(last)
		if left <= 0 {
			close(h.lost)
			return
		}
		if sleep(ctx, min(pause, left)) != nil {
			return
		}
		sent := time.Now()
		var ours bool
		var err error
		conn, ours, err = h.beat(ctx, conn, min(pause, limit-time.Since(last)))
		switch {
		case err == nil && !ours:
			close(h.lost)
			return
		case err == nil:
			last = sent
		}
	}
}

// beat returns whether the place is still ours, and the connection for the next
// time, nil after an error. A connection that does not answer is given up early
// enough to try another one.
func (h *hold) beat(ctx context.Context, conn *pgx.Conn, limit time.Duration) (*pgx.Conn, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if conn == nil {
		var err error
		if conn, err = pgx.ConnectConfig(ctx, h.config); err != nil {
			return nil, false, err
		}
	}
	tag, err := conn.Exec(ctx, `UPDATE holder SET beat = beat + 1 WHERE owner = $1`, h.owner)
	if err != nil {
		return nil, false, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	return conn, tag.RowsAffected() == 1, nil
}

// release leaves the place to others. If the database cannot be reached they
// have to wait as for a process that was killed.
func (h *hold) release() {
	h.stop()
	h.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, h.config)
	if err != nil {
		return
	}
	_, _ = conn.Exec(ctx, `UPDATE holder SET owner = '', about = '', beat = beat + 1 WHERE owner = $1`, h.owner)
	_ = conn.Close(ctx)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
