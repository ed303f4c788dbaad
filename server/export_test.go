package server

import (
	"context"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/journal"
)

// Hasten returns c with short times for a node that is cut off, for tests.
func Hasten(c Config, current, stale time.Duration) Config {
	c.cluster.currentFor, c.cluster.staleAfter = current, stale
	return c
}

// WithoutKMS returns c with a short time for which keys are used without the key
// service, for tests.
func WithoutKMS(c Config, d time.Duration) Config {
	c.keys.kmsAway = d
	return c
}

// SharedSecret is sharedSecret.
func SharedSecret(ctx context.Context, st sharedStore, keys *custody.Service, name string) (secret.Bytes, error) {
	return sharedSecret(ctx, st, keys, name)
}

// Seldom is seldom.
func Seldom(report func(error)) func(error) { return seldom(report) }

// OpenArrival is openArrival.
func OpenArrival(ctx context.Context, o journal.Options, st sharedStore, keys *custody.Service) (*journal.Journal, error) {
	return openArrival(ctx, o, st, keys)
}
