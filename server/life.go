package server

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/sealwright/sealwright/server/internal/custody"
)

// KeysFile says how keys live. Times are at most years: see the bounds of
// package custody.
type KeysFile struct {
	Grace           Setting `yaml:"grace"`             // how long a replaced version verifies, if a rotation does not say
	DestroyWait     Setting `yaml:"destroy_wait"`      // between the two steps of a destruction
	PromoteAfter    Setting `yaml:"promote_after"`     // when a new version signs although not all nodes report it
	ServeWithoutKMS Setting `yaml:"serve_without_kms"` // how long keys in memory are used while the key service is away
}

// keysConfig is a KeysFile that was checked.
type keysConfig struct {
	grace, destroyWait, promoteAfter, kmsAway time.Duration
}

// Bounds and default of keys.serve_without_kms. There is no "forever": access
// to the root key may have been withdrawn on purpose.
const (
	minKMSAway     = time.Minute
	maxKMSAway     = 30 * 24 * time.Hour
	defaultKMSAway = 24 * time.Hour
)

// keys checks the settings; a time without the key service in set counts more.
func (s *settings) keys(set keysConfig, f KeysFile) keysConfig {
	c := keysConfig{
		grace:        s.duration("keys.grace", 0, f.Grace, custody.DefaultGrace, custody.MinGrace, custody.MaxGrace),
		destroyWait:  s.duration("keys.destroy_wait", 0, f.DestroyWait, custody.DefaultDestroyWait, custody.MinDestroyWait, custody.MaxDestroyWait),
		promoteAfter: s.duration("keys.promote_after", 0, f.PromoteAfter, custody.DefaultPromote, custody.MinPromote, custody.MaxPromote),
		kmsAway:      s.duration("keys.serve_without_kms", 0, f.ServeWithoutKMS, defaultKMSAway, minKMSAway, maxKMSAway),
	}
	if set.kmsAway != 0 {
		c.kmsAway = set.kmsAway
	}
	return c
}

// keepKeys does what is due in the life of the keys until the function that it
// returns is called, which waits and stores how often versions were used.
func keepKeys(ctx context.Context, keys *custody.Service, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		_ = keys.Run(ctx, seldom(func(err error) { // it returns nil
			log.Error("life of keys", "error", err.Error())
		}))
	})
	return func() {
		cancel()
		group.Wait()
	}
}

// seldom returns report without what it was told in the last minute: what is
// tried every second, and fails while the database is away, is said once a
// minute. It may be called by many goroutines.
func seldom(report func(error)) func(error) {
	var mu sync.Mutex
	told := map[string]time.Time{}
	return func(err error) {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		maps.DeleteFunc(told, func(_ string, at time.Time) bool { return now.Sub(at) >= time.Minute })
		if _, ok := told[err.Error()]; !ok {
			told[err.Error()] = now
			report(err)
		}
	}
}
