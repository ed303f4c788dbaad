package store

import "time"

// Use is how often a version of a key was used, and when last.
type Use struct {
	Tenant  string
	Name    string // of the key
	Version int
	Count   int64     // tags made and tags found valid
	LastAt  time.Time // in microseconds, UTC
}
