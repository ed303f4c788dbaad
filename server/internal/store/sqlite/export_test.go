package sqlite

import (
	"context"
	"database/sql"
)

// Reader returns the pool that reads.
func (s *Store) Reader() *sql.DB { return s.read }

// Pragma returns a setting of the connection that writes. Nothing may be
// committed at the same time.
func (s *Store) Pragma(name string) (value string, err error) {
	err = s.writer.conn.QueryRowContext(context.Background(), "PRAGMA "+name).Scan(&value)
	return value, err
}

// Checkpoint does what the writer does from time to time.
func (s *Store) Checkpoint() { s.writer.checkpoint() }

// Queued returns how many commits wait for the writer, MaxQueued at most.
func (s *Store) Queued() int { return len(s.writer.operations) }

// MaxQueued is how many commits can wait before others wait to wait.
const MaxQueued = maxBatch
