package sealhttp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/secret"
)

// ErrReplayed means that a message was used before.
var ErrReplayed = errors.New("message was used before")

// ErrNotRemembered means that it is not known whether a message was used before,
// or that it could not be remembered that it is.
var ErrNotRemembered = errors.New("message cannot be remembered")

// Claims remembers which messages were used. [Memory] does in this process; who
// has several processes shares what is remembered.
type Claims interface {
	// Claim uses up the message with this verdict, which is valid at now, in one
	// atomic step: of any number of calls for the same message at most one
	// returns [replay.Fresh]. An error means that it is not known, and the
	// message is refused. It may be called by many goroutines.
	Claim(ctx context.Context, now time.Time, verdict sealwright.Verdict) (replay.Outcome, error)
}

// Memory remembers in this process which messages were used, until the process
// ends. Get one from [NewMemory].
type Memory struct {
	key    *replay.Key
	guard  *replay.Guard
	signed bool
}

var _ Claims = (*Memory)(nil)

// NewMemory returns an empty memory. o has the window of the verifier, or the
// time to keep for a scheme without a signed time; messages of the other kind
// are refused.
//
// start is when the process began. What an earlier process may have accepted is
// refused: everything that was signed until start and o.Future after it, so for
// some seconds honest messages too. Messages without a signed time cannot be
// refused so, and can be replayed once after a restart.
func NewMemory(o replay.Options, start time.Time) (*Memory, error) {
	guard, err := replay.New(o)
	if err != nil {
		return nil, err
	}
	key, err := replay.NewKey(secret.Random(replay.KeySize))
	if err != nil {
		return nil, err
	}
	if o.Keep == 0 {
		guard.Bar(start.Add(o.Future))
	}
	return &Memory{key: key, guard: guard, signed: o.Keep == 0}, nil
}

// Claim implements [Claims]. A message is known by its nonce, and by its tag if
// it has none, in its scheme and of its key.
func (m *Memory) Claim(_ context.Context, now time.Time, v sealwright.Verdict) (replay.Outcome, error) {
	if !v.Valid || m.signed == v.At.IsZero() {
		return replay.Outside, nil
	}
	kind, once := "nonce", v.Nonce
	if once == "" {
		kind, once = "tag", string(v.Tag.Bytes())
	}
	id, owner := m.key.ID(v.Scheme, v.KeyID, kind, once), m.key.ID(v.Scheme, v.KeyID)
	return m.guard.Claim(now, v.At, id.Short(), owner.Short()), nil
}

// claim returns nil if the message with this verdict was not used before.
func claim(ctx context.Context, c Claims, now time.Time, v sealwright.Verdict) error {
	if c == nil {
		return nil
	}
	outcome, err := c.Claim(ctx, now, v)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNotRemembered, err)
	case outcome == replay.Fresh:
		return nil
	case outcome == replay.Replayed:
		return ErrReplayed
	case outcome == replay.Outside:
		return sealwright.Refusef(sealwright.ErrStale, "its time is not in the window of the messages that are remembered")
	}
	return fmt.Errorf("%w: %v", ErrNotRemembered, outcome)
}
