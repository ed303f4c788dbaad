package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/sealwright/sealwright/server/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// migrating is the number of the lock of the one who migrates. It is held by
	// a transaction, since a pooler gives each transaction another session.
	migrating = 0x7365616c77726967 // "sealwrig"

	// migrateTimeout is how long a process waits for another one that migrates,
	// and then may migrate.
	migrateTimeout = 10 * time.Minute

	undefinedTable = "42P01" // code of an error
)

// migrate brings the schema up to date and returns its version. It writes
// nothing if there is nothing to do, or if the schema is newer than this version
// knows.
func migrate(ctx context.Context, pool *pgxpool.Pool) (_ int64, err error) {
	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := provider(db)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	for {
		have, known, err := versions(ctx, pool, p)
		if err != nil || have == known {
			return known, err
		}
		done, err := tryMigrate(ctx, pool, p)
		if err != nil || done {
			return known, err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return 0, unavailable("wait for another process that migrates the schema", err)
		}
	}
}

// tryMigrate returns false if another process migrates. It does not wait for it
// with a connection, since the other one needs two and a pooler may have few.
func tryMigrate(ctx context.Context, pool *pgxpool.Pool, p *goose.Provider) (done bool, err error) {
	tx, err := pool.Begin(ctx)
	if err != nil {
		return false, unavailable("begin", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it has only a lock
	var locked bool
	err = tx.QueryRow(ctx, `SELECT set_config('idle_in_transaction_session_timeout', '0', true), pg_try_advisory_xact_lock($1)`,
		int64(migrating)).Scan(nil, &locked)
	switch {
	case err != nil:
		return false, unavailable("lock the schema", err)
	case !locked:
		return false, nil
	}
	if _, _, err := versions(ctx, pool, p); err != nil { // it may have changed
		return false, err
	}
	if _, err := p.Up(ctx); err != nil {
		return false, unavailable("migrate schema", err)
	}
	return true, nil
}

// versions returns the version of the schema, 0 if there is none, and the one
// that this version of sealwright makes. A newer schema is of kind
// [fault.Unavailable].
func versions(ctx context.Context, pool *pgxpool.Pool, p *goose.Provider) (have, known int64, err error) {
	sources := p.ListSources()
	known = sources[len(sources)-1].Version
	ctx, cancel := context.WithTimeout(ctx, DefaultTimeout)
	defer cancel()
	err = pool.QueryRow(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&have)
	switch {
	case hasCode(err, undefinedTable):
		return 0, known, nil
	case err != nil:
		return 0, 0, unavailable("read schema version", err)
	case have > known:
		return 0, 0, fault.New(fault.Unavailable,
			"database has schema %d, this version of sealwright knows up to %d: it was written by a newer version", have, known)
	}
	return have, known, nil
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

// checkSchema returns an error unless the schema is that of this version.
func checkSchema(ctx context.Context, pool *pgxpool.Pool) (err error) {
	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := provider(db)
	if err != nil {
		return err
	}
	have, known, err := versions(ctx, pool, p)
	switch {
	case err != nil:
		return err
	case have == 0:
		return fault.New(fault.Unavailable, "database has no tables of sealwright")
	case have < known:
		return fault.New(fault.Unavailable, "database has schema %d, this version of sealwright reads %d: migrate it first", have, known)
	}
	return nil
}
