package server

import (
	"context"
	"log/slog"
	"sync"

	"github.com/sealwright/sealwright/server/internal/custody"
)

// keepKeys does what is due in the life of the keys until the function that it
// returns is called, which waits and stores how often versions were used.
func keepKeys(ctx context.Context, keys *custody.Service, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		_ = keys.Run(ctx, func(err error) { // it returns nil
			log.Error("life of keys", "error", err.Error())
		})
	})
	return func() {
		cancel()
		group.Wait()
	}
}
