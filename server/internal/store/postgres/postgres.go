// Package postgres is a store in a PostgreSQL database, of version 13 or newer.
// It promises what storetest.Store says, also when a process, the connection or
// the server stops at any moment: when the answer to a COMMIT is lost, the
// server is asked what became of the transaction.
//
// Every change is a transaction of its own at READ COMMITTED; PostgreSQL groups
// their commits. Records are changed in the order of their names, so that no
// two wait for each other. The number of the last entry is a row that is
// changed by the last statement of each transaction, so that numbers have no
// gap and appear in their order.
//
// One process uses a database at a time. It says every few seconds that it is
// there; another one refuses to start, or goes on in its place once nothing was
// heard of it for a while. A process that has lost its place cannot commit.
package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/sealwright/sealwright/server/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// configure is run on every connection. A transaction whose client is gone must
// not keep others from the number of the last entry, and what is acknowledged
// must be on the disk. They are no parameters of the connection, because
// PgBouncer refuses those that it does not know.
const configure = `SELECT set_config('idle_in_transaction_session_timeout', '15s', false), set_config('lock_timeout', '15s', false),
	CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END`

// Options of a store. The zero value works.
type Options struct {
	// Hold is after how long without a sign of it the place of a process is
	// free for another one; 0 means [DefaultHold]. All processes of a database
	// must have the same.
	Hold time.Duration
	// About is what others are told about who uses the database; empty means
	// host name and process ID.
	About string
}

// Store is a store in one database. Get one from [Open].
type Store struct {
	pool *pgxpool.Pool
	hold *hold

	mu     sync.RWMutex
	closed bool
	calls  sync.WaitGroup // calls of methods under way
}

// Open connects to the database that url names, in the form of libpq, and
// brings its schema up to date. The tables are in the first schema of the
// search path that exists. The error is of kind [fault.Unavailable] if another
// process uses the database, or if a newer version of sealwright wrote it. It
// takes up to [Options.Hold] to find out that a process that was killed is gone.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	pool, err := connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s := &Store{pool: pool}
	if err := s.open(ctx, o); err != nil {
		return nil, fmt.Errorf("open database: %w", errors.Join(err, s.release()))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, o Options) (err error) {
	if err := checkDurable(ctx, s.pool); err != nil {
		return err
	}
	if s.hold, err = takeHold(ctx, s.pool.Config().ConnConfig, o); err != nil {
		return err
	}
	if err := migrate(ctx, s.pool); err != nil {
		return err
	}
	// From here on nobody else can commit; this waits for a commit under way.
	tag, err := s.pool.Exec(ctx, takeLog, s.hold.owner)
	if err != nil {
		return unavailable("take over the log", err)
	}
	if tag.RowsAffected() == 0 {
		return lostHold()
	}
	return nil
}

// takeLog locks the place, so that a process that has lost it meanwhile does
// not take the log from the next one.
const takeLog = `WITH mine AS (SELECT FROM holder WHERE owner = $1 FOR UPDATE) UPDATE log_head SET owner = $1 FROM mine`

func connect(ctx context.Context, url string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fault.New(fault.Invalid, "address of the database cannot be used").Because(err)
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "sealwright"
	}
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, configure)
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fault.New(fault.Invalid, "address of the database cannot be used").Because(err)
	}
	return pool, nil
}

// checkDurable refuses a server that does not keep what it has acknowledged,
// or texts that are not UTF-8.
func checkDurable(ctx context.Context, pool *pgxpool.Pool) error {
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

// migrate brings the schema up to date. It writes nothing if there is nothing
// to do, or if the schema is newer than this version knows.
func migrate(ctx context.Context, pool *pgxpool.Pool) (err error) {
	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := provider(db)
	if err != nil {
		return err
	}
	have, known, err := p.GetVersions(ctx)
	if err != nil {
		return unavailable("read schema version", err)
	}
	if have > known {
		return fault.New(fault.Unavailable,
			"database has schema %d, this version of sealwright knows up to %d: it was written by a newer version", have, known)
	}
	if _, err := p.Up(ctx); err != nil {
		return unavailable("migrate schema", err)
	}
	return nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fault.New(fault.Internal, "migrations are missing").Because(err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fault.New(fault.Internal, "migrations cannot be read").Because(err)
	}
	return p, nil
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
	select {
	case <-s.hold.lost:
		return lostHold()
	default:
	}
	s.calls.Add(1)
	return nil
}

func (s *Store) leave() { s.calls.Done() }

// Lost returns a channel that is closed when this process no longer has the
// database to itself: another one has taken it, or could have, since this one
// has not reached it for two thirds of [Options.Hold]. What it has in memory
// may be out of date from then on, and every method returns an error of kind
// [fault.Unavailable].
func (s *Store) Lost() <-chan struct{} { return s.hold.lost }

// Close implements storetest.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	s.calls.Wait()
	if closed {
		return nil
	}
	return s.release()
}

// release closes what is open.
func (s *Store) release() error {
	s.pool.Close()
	if s.hold != nil {
		s.hold.release()
	}
	return nil
}

func unavailable(doing string, err error) error {
	return fault.New(fault.Unavailable, "store: %s", doing).Because(err)
}

func lostHold() error {
	return fault.New(fault.Unavailable, "another process has taken the database, or could have")
}
