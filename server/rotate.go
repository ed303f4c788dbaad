package server

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/kms/local"
)

const msgRewrapped = "data keys are wrapped under the newest root key"

// rotator follows the root keys while the server runs.
type rotator struct {
	file string // of root keys; empty if they cannot be read again
	db   database
	root *rootKeys
	keys *custody.Service
	log  *slog.Logger
}

// start rotates at every SIGHUP until ctx ends or the function that it returns
// is called, which waits for a rotation that is under way.
func (r rotator) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-asked:
				r.report(ctx)
			}
		}
	})
	return func() {
		cancel()
		group.Wait()
		signal.Stop(asked)
	}
}

func (r rotator) report(ctx context.Context) {
	n, err := r.rotate(ctx)
	if err != nil {
		r.log.Error("root key not rotated, the server goes on with the root keys that it has", "data_keys", n, "error", err.Error())
		return
	}
	about := []any{"data_keys", n}
	if r.root.file != nil && r.root.Primary == kms.Wrapper(r.root.file) {
		about = append(about, "root_key", r.root.file.KeyID())
	}
	r.log.Info(msgRewrapped, about...)
}

// rotate reads the root key file again, if it is used, and wraps the data keys
// under the newest root key. The file must open everything that is in the
// store, as for a start: otherwise nothing changes.
func (r rotator) rotate(ctx context.Context) (n int, err error) {
	if r.root.watch != nil {
		if err := r.root.watch.Try(ctx); err != nil { // who asks now may know that it is back
			return 0, fmt.Errorf("try the key service %s: %w", r.root.watch.Name, err)
		}
	}
	if r.root.file != nil && r.file != "" {
		fresh, err := local.Load(r.file)
		if err != nil {
			return 0, err
		}
		if _, err := custody.Open(ctx, custody.Options{Store: r.db, Wrapper: r.root.with(fresh)}); err != nil {
			return 0, fmt.Errorf("check root keys: %w", err)
		}
		if err := r.root.file.Reload(); err != nil {
			return 0, err
		}
	}
	return r.keys.Rewrap(ctx, system)
}
