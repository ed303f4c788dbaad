package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// epochKey holds the epoch. It never expires.
const epochKey = "sw:epoch"

// clockMargin is how far apart the clocks of the nodes may be. Claims are kept,
// and refused after a loss, for that much longer.
const clockMargin = 2 * time.Second

// epoch is the time since when a server has forgotten nothing. Its text is
// unique, so that an epoch that was lost and begun anew is another one.
type epoch struct {
	text    string
	runID   string    // of the server process
	durable bool      // that process cannot lose what it answered
	barrier time.Time // claims of messages signed until here, inclusive, may be lost; in microseconds
}

// noBarrier is before every message.
var noBarrier = time.UnixMicro(0)

// newEpoch returns an epoch with a new text.
func newEpoch(runID string, durable bool, barrier time.Time) *epoch {
	e := &epoch{runID: runID, durable: durable, barrier: time.UnixMicro(barrier.UnixMicro())}
	e.text = fmt.Sprintf("1 %s %t %d %s", runID, durable, barrier.UnixMicro(), rand.Text())
	return e
}

// parseEpoch returns nil for a text that is none, as for none.
func parseEpoch(text string) *epoch {
	f := strings.Split(text, " ")
	if len(f) != 5 || f[0] != "1" {
		return nil
	}
	durable, err := strconv.ParseBool(f[2])
	barrier, err2 := strconv.ParseInt(f[3], 10, 64)
	if err != nil || err2 != nil {
		return nil
	}
	return &epoch{text: text, runID: f[1], durable: durable, barrier: time.UnixMicro(barrier)}
}

// server is what a server says of itself.
type server struct {
	runID   string
	durable bool
	policy  string // maxmemory-policy; empty if it cannot be asked
	epoch   string // text; empty if there is none
}

// next returns the epoch that holds for s: the stored one if s is the process
// that it tells of; with the same barrier if only a process that loses nothing
// was started again; else a new one that begins at barrier.
func (s server) next(barrier time.Time) *epoch {
	e := parseEpoch(s.epoch)
	switch {
	case e == nil:
		return newEpoch(s.runID, s.durable, barrier)
	case e.runID == s.runID && e.durable == s.durable:
		return e
	case e.runID == s.runID, e.durable && s.durable:
		return newEpoch(s.runID, s.durable, e.barrier)
	case barrier.Before(e.barrier): // of a node whose clock is ahead
		barrier = e.barrier
	}
	return newEpoch(s.runID, s.durable, barrier)
}

// check says whether claims can be kept by s.
func (s server) check(assumed bool) error {
	switch {
	case s.policy == "noeviction", s.policy == "" && assumed:
		return nil
	case s.policy == "":
		return errors.New("maxmemory-policy must be noeviction and cannot be asked for: set assume_noeviction if you know it")
	}
	return fmt.Errorf("maxmemory-policy must be noeviction, and is %s", s.policy)
}

// replaceEpoch stores ARGV[2] if the epoch is still ARGV[1], and returns the one
// that is stored.
var replaceEpoch = redis.NewScript(`
local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then return now end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]`)

// conn is one connection or a pool of them.
type conn interface {
	redis.Scripter
	Pipelined(ctx context.Context, fn func(redis.Pipeliner) error) ([]redis.Cmder, error)
}

// observe looks at the server behind cn, refuses one that cannot keep claims,
// and begins a new epoch if it is another one than before, or has lost it, or if
// this node has reason to.
func (c *Client) observe(ctx context.Context, cn conn) error {
	for range 5 { // others may do the same
		s, err := ask(ctx, cn)
		if err != nil {
			return err
		}
		if err := s.check(c.o.AssumeNoEviction); err != nil {
			c.doubt.Store(true)
			c.epoch.Store(&epoch{}) // that no answer has
			return err
		}
		doubt := c.doubt.Load()
		barrier := c.o.Now().Add(c.o.Skew + clockMargin)
		if c.first.Load() && parseEpoch(s.epoch) == nil {
			barrier = noBarrier
		}
		e := s.next(barrier)
		if doubt {
			e = newEpoch(s.runID, s.durable, barrier)
		}
		if e.text != s.epoch {
			stored, err := replaceEpoch.Run(ctx, cn, []string{epochKey}, s.epoch, e.text).Text()
			if err != nil {
				return fmt.Errorf("write the epoch: %w", err)
			}
			if stored != e.text {
				continue
			}
			if e.barrier.Equal(noBarrier) {
				c.o.Log.Info("redis is new, and nothing was accepted before", "durable", e.durable)
			} else {
				c.o.Log.Warn("redis is new, was started again or may have lost data: what was signed until the barrier is refused",
					"barrier", e.barrier.UTC().Format(time.RFC3339Nano), "durable", e.durable)
			}
		}
		c.epoch.Store(e)
		c.doubt.CompareAndSwap(doubt, false)
		return nil
	}
	return errors.New("write the epoch: others do so all the time")
}

// ask asks the server behind cn for everything in one round trip.
func ask(ctx context.Context, cn conn) (server, error) {
	var process, replication, found *redis.StringCmd
	var appending, policy *redis.MapStringStringCmd
	_, _ = cn.Pipelined(ctx, func(p redis.Pipeliner) error {
		process = p.Info(ctx, "server")
		replication = p.Info(ctx, "replication")
		found = p.Get(ctx, epochKey)
		appending = p.ConfigGet(ctx, "*append*")
		policy = p.ConfigGet(ctx, "maxmemory-policy")
		return nil
	}) // each command has its own error
	s := server{runID: field(process.Val(), "run_id"), epoch: found.Val(), policy: policy.Val()["maxmemory-policy"]}
	switch {
	case process.Err() != nil:
		return s, fmt.Errorf("ask the server who it is: %w", process.Err())
	case s.runID == "" || strings.Contains(s.runID, " "):
		return s, errors.New("ask the server who it is: it has no run_id")
	case found.Err() != nil && !errors.Is(found.Err(), redis.Nil):
		return s, fmt.Errorf("read the epoch: %w", found.Err())
	}
	var refused redis.Error // of one who may not ask; another error is one of the connection
	for _, err := range []error{appending.Err(), policy.Err(), replication.Err()} {
		if err != nil && !errors.As(err, &refused) {
			return s, fmt.Errorf("ask for the configuration: %w", err)
		}
	}
	a := appending.Val()
	// A replica may take over, and lacks the last writes.
	s.durable = a["appendonly"] == "yes" && a["appendfsync"] == "always" && a["no-appendfsync-on-rewrite"] == "no" &&
		field(replication.Val(), "role") == "master" && field(replication.Val(), "connected_slaves") == "0"
	return s, nil
}

// field returns the value of a line name:value.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
