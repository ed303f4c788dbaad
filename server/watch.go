package server

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds and default of kms.watch.
const (
	minWatch     = time.Second
	maxWatch     = time.Hour
	defaultWatch = time.Minute
)

// watcher tries the key service again and again, and says when it is away.
type watcher struct {
	name  string
	probe func(context.Context) error
	every time.Duration
	log   *slog.Logger
	since atomic.Pointer[time.Time] // when it was found to be away; nil while it works
}

// start tries until ctx ends or the function that it returns is called, which
// waits for a try that is under way.
func (w *watcher) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(w.every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				err := w.probe(ctx)
				if ctx.Err() == nil {
					w.note(err, time.Now())
				}
			}
		}
	})
	return func() {
		cancel()
		group.Wait()
	}
}

// note remembers the outcome of a try, and logs it if it is another than before.
func (w *watcher) note(err error, now time.Time) {
	since := w.since.Load()
	switch {
	case err != nil && since == nil:
		w.since.Store(&now)
		w.log.Error("the key service is away: keys in memory go on, tenants without keys get none", "provider", w.name, "error", err.Error())
	case err == nil && since != nil:
		w.since.Store(nil)
		w.log.Info("the key service is back", "provider", w.name, "away", now.Sub(*since).Round(time.Second).String())
	}
}

// notice returns what is wrong, empty for nothing.
func (w *watcher) notice() string {
	since := w.since.Load()
	if since == nil {
		return ""
	}
	return fmt.Sprintf("the key service %s has been away since %s", w.name, since.UTC().Format(time.RFC3339))
}
