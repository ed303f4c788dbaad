// Package gate decides whether a message whose tag was verified is accepted: it
// must not have been seen before.
package gate

import (
	"context"
	"time"

	"github.com/sealwright/sealwright/replay"
)

// Claim is what one message uses up.
type Claim struct {
	ID    replay.ID // 16 bytes; a store in memory may keep ID.Short() only
	Owner uint64    // stands for tenant and key ID; each owner has a bounded share of the room

	At    time.Time // signed time; zero if the message has none, then it counts from now
	Until time.Time // the message can pass until here, inclusive: the claim must be remembered for longer than that
}

// Claims remembers claims.
//
// A Claim is one atomic step: of any number of calls with the same ID, at the
// same time, before and after restarts, on all nodes that share what is
// remembered, at most one returns [replay.Fresh]. Nothing that can still pass
// is forgotten to make room: that is [replay.Full] or [replay.FullShare]. What
// may have been seen and forgotten is [replay.Barred]. An error means that it
// is not known, and the message must be refused; the claim may have been made.
// A claim is never given back.
//
// It may be used by many goroutines. The instant now is the one at which the
// message was verified.
type Claims interface {
	Claim(ctx context.Context, now time.Time, c Claim) (replay.Outcome, error)
}
