package redis

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/gate"
)

// localWindow is how old a message may be that a node decides about alone.
const localWindow = 30 * time.Second

var _ gate.Claims = (*Client)(nil)

// Claim makes a claim for all nodes, as [gate.Claims] says; also of other things
// that must happen once, such as the use of a token. A message without a signed
// time is refused for as long after a loss of memory as it must be remembered,
// and one that is signed further in the future than Options.Skew is
// [replay.Outside]. Full is the memory of Redis; an owner has no share of it.
// The error is of kind [fault.Unavailable].
func (c *Client) Claim(ctx context.Context, now time.Time, claim gate.Claim) (replay.Outcome, error) {
	e := c.epoch.Load()
	keep := claim.Until.Sub(now)
	switch {
	case keep < 0, claim.At.After(now.Add(c.o.Skew)):
		return replay.Outside, nil
	case c.o.Local == nil:
		return c.share(ctx, e, now, keep, claim)
	}
	local, localErr := c.o.Local.Claim(ctx, now, claim)
	if localErr == nil && local == replay.Replayed {
		return replay.Replayed, nil
	}
	shared, err := c.share(ctx, e, now, keep, claim)
	if err == nil || !c.o.FallBack || localErr != nil {
		return shared, err
	}
	if claim.At.IsZero() || now.Sub(claim.At) > localWindow {
		return 0, err
	}
	if local == replay.Fresh {
		c.doubt.Store(true)
	}
	return local, nil
}

// share makes a claim in Redis.
func (c *Client) share(ctx context.Context, e *epoch, now time.Time, keep time.Duration, claim gate.Claim) (replay.Outcome, error) {
	if e.bars(now, keep, claim.At) {
		return replay.Barred, nil
	}
	limit := c.o.Timeout
	if c.o.Strict {
		limit += waitReplica
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	a := c.send(ctx, claim.ID, keep+clockMargin)
	outcome, err := a.outcome(e, c.o.Strict)
	if err != nil {
		c.lookNow()
		return 0, fault.New(fault.Unavailable, "the nonce cannot be checked now").Because(err)
	}
	return outcome, nil
}

// bars reports whether a claim may have been made and forgotten.
func (e *epoch) bars(now time.Time, keep time.Duration, at time.Time) bool {
	if at.IsZero() {
		return !now.After(e.barrier.Add(keep))
	}
	return !at.After(e.barrier)
}

// BarredUntil returns the last instant of which messages are refused because
// Redis may have forgotten them; zero if there is none.
func (c *Client) BarredUntil() time.Time {
	if b := c.epoch.Load().barrier; !b.Equal(noBarrier) {
		return b
	}
	return time.Time{}
}

// answers are those to one claim.
type answers struct {
	set    error // nil if the claim is new, redis.Nil if it was there
	epoch  string
	read   error
	copies int64 // replicas that have it
	waited error
}

// send writes a claim and then reads the epoch, in one round trip. If that is
// the one that it was before, nothing was forgotten since it began, until after
// the claim was written.
func (c *Client) send(ctx context.Context, id replay.ID, keep time.Duration) answers {
	key := "sw:r:" + base64.RawURLEncoding.EncodeToString(id[:])
	var set *redis.Cmd
	var read *redis.StringCmd
	wait := redis.NewCmdResult(int64(0), nil)
	_, _ = c.db.Pipelined(ctx, func(p redis.Pipeliner) error {
		set = p.Do(ctx, "SET", key, "1", "NX", "PX", keep.Milliseconds())
		read = p.Get(ctx, epochKey)
		if c.o.Strict {
			wait = p.Do(ctx, "WAIT", 1, waitReplica.Milliseconds())
		}
		return nil
	}) // each command has its own error
	copies, err := wait.Int64()
	return answers{set: set.Err(), epoch: read.Val(), read: read.Err(), copies: copies, waited: err}
}

// outcome decides. Whatever was not answered is an error.
func (a answers) outcome(e *epoch, strict bool) (replay.Outcome, error) {
	switch {
	case errors.Is(a.set, redis.Nil):
		return replay.Replayed, nil
	case a.set != nil && strings.HasPrefix(a.set.Error(), "OOM "):
		return replay.Full, nil
	case a.set != nil:
		return 0, fmt.Errorf("claim a nonce: %w", a.set)
	case errors.Is(a.read, redis.Nil):
		return 0, errors.New("claim a nonce: redis has lost its data")
	case a.read != nil:
		return 0, fmt.Errorf("claim a nonce: read the epoch: %w", a.read)
	case a.epoch != e.text:
		return 0, errors.New("claim a nonce: redis may have lost data")
	case strict && a.waited != nil:
		return 0, fmt.Errorf("claim a nonce: wait for a replica: %w", a.waited)
	case strict && a.copies < 1:
		return 0, errors.New("claim a nonce: no replica has it")
	}
	return replay.Fresh, nil
}
