package storetest

import (
	"context"

	"github.com/sealwright/sealwright/server/internal/store"
)

// Nodes is what a store promises that several processes use at once. Times are
// by the clock of the store alone, so that clocks of nodes need not agree.
type Nodes interface {
	// Head returns the seq of the last entry that is committed, 0 for none.
	Head(ctx context.Context) (int64, error)

	// Beat notes that a node is there and what it has applied. It forgets nodes
	// that were not heard of for a day.
	Beat(ctx context.Context, n store.Node) error

	// Nodes returns the nodes that were heard of within [store.Live], by ID.
	Nodes(ctx context.Context) ([]store.Node, error)

	// Leave forgets a node, which has stopped. One that is not there is no error.
	Leave(ctx context.Context, id string) error
}
