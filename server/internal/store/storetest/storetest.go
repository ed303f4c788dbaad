// Package storetest says what a store promises and tests that it does.
package storetest

import (
	"context"

	"github.com/sealwright/sealwright/server/internal/store"
)

// Store is what every store promises. All methods may be called by many
// goroutines. Errors have a kind of package fault.
//
// It has five methods because one database has to satisfy what all services
// together need; each of them declares the part that it uses.
type Store interface {
	// Load returns a record with the version it has now. The error is of kind
	// [fault.NotFound] if there is none.
	Load(ctx context.Context, tenant, kind, name string) (store.Record, error)

	// List returns up to limit records of a tenant and kind whose names come
	// after afterName, sorted by the bytes of the names. A limit outside 1 to
	// [store.MaxList] is of kind [fault.Invalid].
	List(ctx context.Context, tenant, kind, afterName string, limit int) ([]store.Record, error)

	// Commit stores all of c or nothing, and returns the seq of its last entry.
	// A stored record has the version of its Put plus one. A Put of version 0
	// whose record exists, of a version that is not the stored one, with another
	// ID or an older format is of kind [fault.Conflict]. A change that
	// [store.Change.Check] refuses is of kind [fault.Invalid]. Entries are
	// numbered from 1 without a gap, in the order of the commits and of c. What
	// was acknowledged survives the end of the process, unless the store is in
	// memory. A ctx that ended before is of kind [fault.Unavailable] and nothing
	// is stored; one that ends during the commit does not stop it.
	Commit(ctx context.Context, c store.Change) (seq int64, err error)

	// Tail returns up to limit entries after afterSeq, ascending. An entry
	// appears only when all before it can be read. The limit is that of List.
	Tail(ctx context.Context, afterSeq int64, limit int) ([]store.Entry, error)

	// Close waits for commits under way. Afterwards every method returns an
	// error of kind [fault.Unavailable]. It may be called again.
	Close() error
}
