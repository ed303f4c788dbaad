package server

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms/local"
)

const msgRewrapped = "data keys are wrapped under the newest root key"

// rotator shows and follows the root keys while the server runs.
type rotator struct {
	file string // of root keys; empty if they cannot be read again
	db   database
	root *rootKeys
	keys *custody.Service
	log  *slog.Logger

	rotating sync.Mutex // held during a rotation
}

// start rotates at every SIGHUP until ctx ends or the function that it returns
// is called, which waits for a rotation that is under way.
func (r *rotator) start(ctx context.Context) (stop func()) {
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
				_, _ = r.rotate(ctx, system) // it is logged
			}
		}
	})
	return func() {
		cancel()
		group.Wait()
		signal.Stop(asked)
	}
}

// rotate reads the root key file again, if it is used, and wraps the data keys
// under the newest root key. It returns how many were under another one. The
// file must open everything that is in the store, as for a start: otherwise
// nothing changes.
func (r *rotator) rotate(ctx context.Context, caller access.Caller) (n int, err error) {
	if err := r.keys.AllowRewrap(ctx, caller); err != nil {
		return 0, err
	}
	r.rotating.Lock()
	defer r.rotating.Unlock()
	if err = r.reread(ctx); err == nil {
		n, err = r.keys.Rewrap(ctx, caller)
	}
	if err != nil {
		r.log.Error("root key not rotated, the server goes on with the root keys that it has", "caller", caller.ID, "data_keys", n, "error", err.Error())
		return n, err
	}
	r.log.Info(msgRewrapped, "data_keys", n, "root_key", r.root.primaryID(), "caller", caller.ID)
	return n, nil
}

// reread looks for the newest root key: in the file, and in the key service.
func (r *rotator) reread(ctx context.Context) error {
	if r.root.watch != nil {
		if err := r.root.watch.Try(ctx); err != nil { // who asks now may know that it is back
			return fmt.Errorf("try the key service %s: %w", r.root.watch.Name, err)
		}
	}
	if r.root.file == nil || r.file == "" {
		return nil
	}
	fresh, err := local.Load(r.file)
	if err != nil {
		return err
	}
	if _, err := custody.Open(ctx, custody.Options{Store: r.db, Wrapper: r.root.with(fresh)}); err != nil {
		return fmt.Errorf("check root keys: %w", err)
	}
	return r.root.file.Reload()
}

// Status is that of [rest.RootKeys].
func (r *rotator) Status(ctx context.Context, caller access.Caller) (api.RootKeys, error) {
	uses, err := r.keys.RootKeys(ctx, caller)
	if err != nil {
		return api.RootKeys{}, err
	}
	out := api.RootKeys{Provider: localProvider, RootKey: r.root.primaryID()}
	out.DataKeys, out.Remaining = usesOf(uses, out.RootKey)
	if w := r.root.watch; w != nil {
		s := w.Status()
		out.Provider, out.ServeWithoutKMS = w.Name, api.FormatDuration(w.Limit)
		if !s.AwaySince.IsZero() {
			away, until := s.AwaySince.UTC().Round(time.Second), s.EndsAt.UTC().Round(time.Second)
			out.AwaySince, out.UsedUntil = &away, &until
		}
	}
	return out, nil
}

// Rewrap is that of [rest.RootKeys].
func (r *rotator) Rewrap(ctx context.Context, caller access.Caller) (api.Rewrapped, error) {
	n, err := r.rotate(ctx, caller)
	if err != nil {
		return api.Rewrapped{}, fault.New(fault.KindOf(err), "%s; %d data keys were wrapped before that, ask again to go on", fault.Public(err), n).Because(err)
	}
	uses, err := custody.CountRootKeys(ctx, r.db)
	if err != nil {
		return api.Rewrapped{}, err
	}
	out := api.Rewrapped{Rewrapped: n, RootKey: r.root.primaryID()}
	out.DataKeys, out.Remaining = usesOf(uses, out.RootKey)
	return out, nil
}

// usesOf returns uses for the API, and how many data keys are under other root
// keys than that with this ID.
func usesOf(uses []custody.RootKeyUse, id string) (out []api.RootKeyUse, remaining int) {
	out = make([]api.RootKeyUse, len(uses))
	for i, u := range uses {
		out[i] = api.RootKeyUse{RootKey: u.RootKeyID, DataKeys: u.DataKeys}
		if u.RootKeyID != id {
			remaining += u.DataKeys
		}
	}
	return out, remaining
}
