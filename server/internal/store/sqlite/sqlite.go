// Package sqlite is a store in one SQLite file.
package sqlite

import (
	"context"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

var errNotReady = fault.New(fault.Internal, "not ready")

// Store is a store in one file. Get one from [Open].
type Store struct{}

// Open opens the database file at path and creates it if there is none. The
// folder must exist.
func Open(ctx context.Context, path string) (*Store, error) { return nil, errNotReady }

// Load implements storetest.Store.
func (s *Store) Load(ctx context.Context, tenant, kind, name string) (store.Record, error) {
	return store.Record{}, errNotReady
}

// List implements storetest.Store.
func (s *Store) List(ctx context.Context, tenant, kind, afterName string, limit int) ([]store.Record, error) {
	return nil, errNotReady
}

// Commit implements storetest.Store.
func (s *Store) Commit(ctx context.Context, c store.Change) (int64, error) { return 0, errNotReady }

// Tail implements storetest.Store.
func (s *Store) Tail(ctx context.Context, afterSeq int64, limit int) ([]store.Entry, error) {
	return nil, errNotReady
}

// Close implements storetest.Store.
func (s *Store) Close() error { return nil }
