package store

import (
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
)

const (
	// Live is for how long after its last beat a node counts as running,
	// exclusive.
	Live = 30 * time.Second
	// KeepNodes is how long a store remembers a node after its last beat, at
	// least.
	KeepNodes = 24 * time.Hour
)

// Node is one server process that uses the database.
type Node struct {
	ID     string    // random, of one process; never used again
	About  string    // host and process, for people
	Seq    int64     // it has applied every entry up to this one
	BeatAt time.Time // when it was last heard of, by the clock of the database, in microseconds, UTC
}

// Check returns an error of kind [fault.Invalid] if no store may take n.
func (n Node) Check() error {
	if n.ID == "" || n.Seq < 0 {
		return fault.New(fault.Invalid, "node %q has no ID, or applied %d entries", n.ID, n.Seq)
	}
	if err := checkTexts(n.ID, n.About); err != nil {
		return fault.New(fault.Invalid, "node: %v", err)
	}
	return nil
}
