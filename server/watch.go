package server

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright/server/internal/kms"
)

// Bounds and default of kms.watch.
const (
	minWatch     = time.Second
	maxWatch     = time.Hour
	defaultWatch = time.Minute
)

// usable returns the check for [custody.Options.Usable]. It is nil for root keys
// in a file, which is no service that could go away.
func (r *rootKeys) usable() func() error {
	if r.watch == nil {
		return nil
	}
	return r.watch.Usable
}

// primaryID returns the ID of the root key that wraps, of a key service that of
// the last try that worked.
func (r *rootKeys) primaryID() string {
	if r.watch == nil {
		return r.file.KeyID()
	}
	return r.watch.Status().RootKeyID
}

// notice says that the key service is away; it is empty while nothing is wrong.
func (r *rootKeys) notice() string {
	if r.watch == nil {
		return ""
	}
	return r.watch.Notice()
}

// notices joins those that say something.
func notices(of ...func() string) func() string {
	return func() string {
		var said []string
		for _, notice := range of {
			if text := notice(); text != "" {
				said = append(said, text)
			}
		}
		return strings.Join(said, "\n")
	}
}

// follow tries the key service, if there is one, until the function that it
// returns is called, which waits for a try that is under way.
func (r *rootKeys) follow(ctx context.Context, log *slog.Logger) (stop func()) {
	if r.watch == nil {
		return func() {}
	}
	r.watch.Report = func(s kms.WatchStatus, err error) { report(log, r.watch.Name, s, err) }
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { _ = r.watch.Run(ctx) }) // it returns nil
	return func() {
		cancel()
		group.Wait()
	}
}

func report(log *slog.Logger, provider string, s kms.WatchStatus, err error) {
	switch s.Phase {
	case kms.Away:
		log.Error("the key service is away: keys in memory go on for a time, tenants without keys get none",
			"provider", provider, "until", s.EndsAt.UTC().Format(time.RFC3339), "error", err.Error())
	case kms.Ended:
		log.Error("the key service is away for too long: keys are not used until it is back", "provider", provider, "error", err.Error())
	default:
		log.Info("the key service is back", "provider", provider)
	}
}
