package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/server/internal/authn"
	"github.com/sealwright/sealwright/server/internal/cluster/redis"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/journal"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/telemetry"
)

// ReplayFile says how it is remembered which messages were used; see
// docs/operate/replay.md.
type ReplayFile struct {
	Mode       Setting `yaml:"mode"`        // barrier or sync
	Capacity   Setting `yaml:"capacity"`    // messages that are remembered at the same time
	Past       Setting `yaml:"past"`        // how old the signed time of a message may be
	FutureSkew Setting `yaml:"future_skew"` // how far it may be ahead
	Keep       Setting `yaml:"keep"`        // how long messages without a signed time are remembered
	Scope      Setting `yaml:"scope"`       // cluster or node
	AcceptLoss Setting `yaml:"accept_loss"` // true opens a damaged journal of messages without a signed time
}

// replayConfig is a ReplayFile that was checked.
type replayConfig struct {
	mode               journal.Mode
	capacity           int
	past, future, keep time.Duration
	node, acceptLoss   bool
}

// Bounds and defaults of replay.
const (
	minCapacity      = 1000
	maxCapacity      = 100_000_000
	maxPast          = 24 * time.Hour
	maxBarrierPast   = 15 * time.Minute
	maxFuture        = 300 * time.Second
	maxBarrierFuture = 30 * time.Second
	defaultKeep      = 72 * time.Hour
	minKeep          = time.Minute
	maxKeep          = 30 * 24 * time.Hour
)

// replay checks the settings. With Redis the mode is that of the journal which
// only helps it, so a long window needs no mode sync.
func (s *settings) replay(f ReplayFile, shared bool) replayConfig {
	c := replayConfig{
		mode:     journal.Mode(s.choice("replay.mode", "", f.Mode, string(journal.Barrier), string(journal.Sync))),
		capacity: int(s.number("replay.capacity", 0, f.Capacity, replay.DefaultCapacity, minCapacity, maxCapacity)),
		past:     s.duration("replay.past", 0, f.Past, authn.Past, authn.Past, maxPast),
		future:   s.duration("replay.future_skew", 0, f.FutureSkew, authn.Future, authn.Future, maxFuture),
		keep:     s.duration("replay.keep", 0, f.Keep, defaultKeep, minKeep, maxKeep),
	}
	c.node = s.choice("replay.scope", "", f.Scope, "cluster", "node") == "node"
	c.acceptLoss = s.choice("replay.accept_loss", "", f.AcceptLoss, "false", "true") == "true"
	if c.mode != journal.Barrier {
		return c
	}
	if c.past > maxBarrierPast && !shared {
		s.check("replay.past", f.Past, fmt.Errorf("got %s, want at most %s with mode barrier and without redis; use mode sync", api.FormatDuration(c.past), api.FormatDuration(maxBarrierPast)))
	}
	if c.future > maxBarrierFuture {
		s.check("replay.future_skew", f.FutureSkew, fmt.Errorf("got %s, want at most %s with mode barrier; use mode sync", api.FormatDuration(c.future), api.FormatDuration(maxBarrierFuture)))
	}
	return c
}

const (
	guardSecret = "replay"  // of the key of the IDs
	processFile = "process" // in the folder of the journal: the node that has it
)

// guard remembers which messages were used: signed requests of callers, messages
// that are verified to be used once, and exchanged tokens.
type guard struct {
	c       replayConfig
	gate    gate.Gate
	signed  *journal.Journal
	arrival *arrival      // nil with Redis, which takes both kinds
	shared  *redis.Client // nil for none
	unwatch func() error

	count  func(outcome string)
	alarms atomic.Int64
	log    *slog.Logger
}

// openGuard opens the journal of this node and connects to Redis, if there is
// one. Close it when no more requests are answered.
func openGuard(ctx context.Context, c Config, db database, keys *custody.Service, nodes cluster, recorder *telemetry.Recorder) (*guard, error) {
	s, first, err := firstShared(ctx, db, keys, guardSecret)
	if err != nil {
		return nil, err
	}
	key, err := replay.NewKey(s)
	if err != nil {
		return nil, err
	}
	g := &guard{c: c.replay, log: recorder.Log(), unwatch: func() error { return nil }}
	g.gate.Key, g.gate.Nonces = key, db
	if g.signed, err = journal.Open(journal.Options{
		Dir: filepath.Join(c.Data, replayFolder), Mode: c.replay.mode, Key: key, First: first, Alarm: g.alarm("replay journal"),
		Guard: replay.Options{Past: c.replay.past, Future: c.replay.future, Capacity: c.replay.capacity},
	}); err != nil {
		return nil, err
	}
	if err := g.share(ctx, c, db, keys, nodes, first); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	g.measure(recorder)
	return g, nil
}

// share chooses who decides: Redis, or this node alone.
func (g *guard) share(ctx context.Context, c Config, db database, keys *custody.Service, nodes cluster, first bool) (err error) {
	if err := succeed(ctx, db, nodes, filepath.Join(c.Data, replayFolder, processFile)); err != nil {
		return err
	}
	if g.shared, err = openRedis(ctx, c.redis, g.signed, first, g.log); err != nil {
		return err
	}
	if g.shared != nil {
		g.unwatch, g.gate.Claims = watchRedis(ctx, g.shared), g.shared
		return nil
	}
	g.arrival = &arrival{log: g.log, open: func(ctx context.Context) (*journal.Journal, error) {
		return openArrival(ctx, journal.Options{
			Dir: filepath.Join(c.Data, replayFolder, arrivalFolder), Mode: journal.Sync, Key: g.gate.Key, Alarm: g.alarm("replay journal of messages without signed time"),
			Guard:      replay.Options{Keep: c.replay.keep, Capacity: c.replay.capacity},
			AcceptLoss: c.replay.acceptLoss || c.Store == "memory", // which forgets the keys too
		}, db, keys)
	}}
	g.gate.Claims = byTime{g.signed, g.arrival}
	if _, err := db.Load(ctx, "", kindShared, arrivalMark); err == nil {
		_, _ = g.arrival.get(ctx) // it says itself what is wrong
	}
	return nil
}

// alarm tells the operator of the journal that is called so.
func (g *guard) alarm(of string) func(error) {
	return func(err error) {
		g.alarms.Add(1)
		g.log.Warn(of, "error", err.Error())
	}
}

// check is [gate.Gate.Check] with what the configuration says about every rule.
func (g *guard) check(ctx context.Context, now time.Time, r gate.Rule, m gate.Message) error {
	r.Past, r.Keep = g.c.past, g.c.keep
	return g.counted(g.gate.Check(ctx, now, r, m))
}

// request is that of [authn.Signatures].
func (g *guard) request(ctx context.Context, now time.Time, id, nonce string, at time.Time) error {
	return g.check(ctx, now, gate.Rule{Profile: "api"}, gate.Message{KeyID: id, Nonce: nonce, At: at})
}

// counted counts the outcome that err is.
func (g *guard) counted(err error) error {
	var refusal *gate.Refusal
	switch {
	case err == nil:
		g.count(replay.Fresh.String())
	case errors.As(err, &refusal):
		g.count(refusal.Reason)
	default:
		g.count(gate.ReasonUnavailable)
	}
	return err
}

// Close says in the files that all of it is there.
func (g *guard) Close() error {
	return errors.Join(g.unwatch(), g.arrival.Close(), g.signed.Close())
}

// others is what a guard needs of a store that several nodes may use.
type others interface {
	Nodes(ctx context.Context) ([]store.Node, error)
	Leave(ctx context.Context, id string) error
}

// succeed takes the place of the process that had the folder before: its lock
// tells that that one has ended, although the others may not know yet.
func succeed(ctx context.Context, db database, nodes cluster, file string) error {
	of, ok := db.(others)
	if !ok || nodes.node == nil {
		return nil
	}
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read which process was here before: %w", err)
	}
	if len(before) > 0 {
		if err := of.Leave(ctx, string(before)); err != nil {
			return err
		}
	}
	if err := os.WriteFile(file, []byte(nodes.node.ID), 0o600); err != nil {
		return fmt.Errorf("note which process is here: %w", err)
	}
	return nil
}

// alone returns an error if other nodes are there which do not share what is
// remembered. This node has said before that it is there, so of two that start
// at the same time at least one sees the other.
func (g *guard) alone(ctx context.Context, db database, nodes cluster) error {
	of, ok := db.(others)
	if !ok || nodes.node == nil || g.shared != nil || g.c.node {
		return nil
	}
	live, err := of.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range live {
		if n.ID != nodes.node.ID {
			return fmt.Errorf("another node uses the database, %s, heard of at %s: each would accept a message that the other one has accepted; "+
				"configure redis, or set replay.scope to node on all of them if that does no harm", n.About, n.BeatAt.Format(time.RFC3339))
		}
	}
	return nil
}
