package server

import "time"

// Hasten returns c with short times for a node that is cut off, for tests.
func Hasten(c Config, current, stale time.Duration) Config {
	c.cluster.currentFor, c.cluster.staleAfter = current, stale
	return c
}
