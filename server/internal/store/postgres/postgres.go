// Package postgres is a store in a PostgreSQL database, of version 13 or newer.
// It promises what storetest.Store says, also when a process, the connection or
// the server stops at any moment: when the answer to a COMMIT is lost, the
// server is asked what became of the transaction.
//
// Any number of processes use one database. Every change is a transaction of
// its own at READ COMMITTED, in which a record is changed only if it still has
// the version that it was loaded at. Rows are locked in the order of their
// names, so that no two transactions wait for each other. The number of the last
// entry is a row that is changed by the last statement of each transaction, so
// that numbers have no gap and appear in their order.
//
// It works behind PgBouncer in transaction mode: nothing belongs to a session.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sealwright/sealwright/server/internal/fault"
)

const (
	// DefaultTimeout is [Options.Timeout] if nothing is said.
	DefaultTimeout = 10 * time.Second
	// DefaultConnections is how many connections a store has at most, unless
	// pool_max_conns in its URL says so. It has two at least.
	DefaultConnections = 8
)

// Options of a store. The zero value works.
type Options struct {
	// Timeout is how long a call takes at most until it returns an error of kind
	// [fault.Unavailable], also if the database does not answer at all; 0 means
	// [DefaultTimeout]. A write that has come to its COMMIT takes up to three
	// times as long, to find out what became of it. An Import may take an hour.
	Timeout time.Duration
}

// Store is a store in one database. Get one from [Open].
type Store struct {
	pool    *pgxpool.Pool
	timeout time.Duration
	schema  int64 // the newest that this version may write to

	mu     sync.RWMutex
	closed bool
	calls  sync.WaitGroup // calls of methods under way
}

// Open connects to the database that url names, in the form of libpq, and
// brings its schema up to date, while others wait. The tables are in the first
// schema of the search path that exists. The error is of kind
// [fault.Unavailable] if a newer version of sealwright wrote it.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	pool, err := connect(ctx, url, o.Timeout)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := checkDurable(ctx, pool, o.Timeout); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	schema, err := migrate(ctx, pool)
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	return &Store{pool: pool, timeout: o.Timeout, schema: schema}, nil
}

func connect(ctx context.Context, url string, timeout time.Duration) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fault.New(fault.Invalid, "address of the database cannot be used").Because(err)
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "sealwright"
	}
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = DefaultConnections
	}
	config.MaxConns = max(config.MaxConns, 2) // see migrate
	if t := config.ConnConfig.ConnectTimeout; t <= 0 || t > timeout/2 {
		config.ConnConfig.ConnectTimeout = timeout / 2
	}
	// A connection that was idle is tried first: the network or the server may
	// have forgotten it.
	config.PingTimeout = timeout / DefaultConnections / 2
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fault.New(fault.Invalid, "address of the database cannot be used").Because(err)
	}
	return pool, nil
}

// checkDurable refuses a server that does not keep what it has acknowledged,
// or texts that are not UTF-8.
func checkDurable(ctx context.Context, pool *pgxpool.Pool, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var fsync, pages, encoding string
	var version int
	err := pool.QueryRow(ctx, `SELECT current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('server_encoding'), current_setting('server_version_num')::int`).Scan(&fsync, &pages, &encoding, &version)
	switch {
	case err != nil:
		return unavailable("connect", err)
	case version < 130000:
		return fault.New(fault.Unavailable, "PostgreSQL has version %d, want 13 or newer", version/10000)
	case fsync != "on" || pages != "on":
		return fault.New(fault.Unavailable, "PostgreSQL runs with fsync=%s and full_page_writes=%s, so it can lose what it has acknowledged", fsync, pages)
	case encoding != "UTF8":
		return fault.New(fault.Unavailable, "database has encoding %s, want UTF8", encoding)
	}
	return nil
}

// enter counts a call in, unless the store is closed; leave counts it out.
func (s *Store) enter(ctx context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fault.New(fault.Unavailable, "store is closed")
	}
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Unavailable, "store was not asked").Because(err)
	}
	s.calls.Add(1)
	return nil
}

func (s *Store) leave() { s.calls.Done() }

// Close implements storetest.Store. If the database does not answer it takes up
// to 15 seconds.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.calls.Wait()
	s.pool.Close()
	return nil
}

func unavailable(doing string, err error) error {
	return fault.New(fault.Unavailable, "the store cannot be used now: %s", doing).Because(err)
}

// hasCode reports whether err is an error of the server with this code.
func hasCode(err error, code string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == code
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
