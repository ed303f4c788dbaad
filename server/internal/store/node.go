package store

import "time"

// Live is for how long after its last beat a node counts as running.
const Live = 30 * time.Second

// Node is one server process that uses the database.
type Node struct {
	ID     string    // random, of one process; never used again
	About  string    // host and process, for people
	Seq    int64     // it has applied every entry up to this one
	BeatAt time.Time // when it was last heard of, by the clock of the database
}
