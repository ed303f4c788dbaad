package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/stdlib"
)

// Migrating is the number of the lock of the one who migrates.
const Migrating = migrating

// Settle is what a write does whose COMMIT ended with cause.
func (s *Store) Settle(token, id string, cause error) error {
	return s.settle("commit", token, id, cause)
}

// Database returns the name of the database.
func (s *Store) Database() string { return s.pool.Config().ConnConfig.Database }

// MigrateTo makes the schema of an older version.
func MigrateTo(ctx context.Context, url string, version int64) error {
	pool, err := connect(ctx, url, DefaultTimeout)
	if err != nil {
		return err
	}
	defer pool.Close()
	db := stdlib.OpenDBFromPool(pool)
	p, err := provider(db)
	if err == nil {
		_, err = p.UpTo(ctx, version)
	}
	return errors.Join(err, db.Close())
}
