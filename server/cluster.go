package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/follow"
	"github.com/sealwright/sealwright/server/internal/store/postgres"
)

// ClusterFile says how this process is one of several on one database.
type ClusterFile struct {
	StaleAfter Setting `yaml:"stale_after"` // how long keys in memory are used without word from the database
}

// clusterConfig is a ClusterFile that was checked. The other times are of tests
// only; 0 means the defaults of package follow.
type clusterConfig struct {
	staleAfter, currentFor, every time.Duration
}

// Bounds of cluster.stale_after.
const (
	minStale = time.Minute
	maxStale = 24 * time.Hour
)

func (s *settings) cluster(set clusterConfig, f ClusterFile) clusterConfig {
	stale := s.duration("cluster.stale_after", 0, f.StaleAfter, follow.DefaultStale, minStale, maxStale)
	if set.staleAfter == 0 {
		set.staleAfter = stale
	}
	return set
}

// cluster is this process as one of several on one database. The zero value is
// one that is alone.
type cluster struct {
	node *follow.Node // nil if it is alone
}

// joinCluster begins to follow the log of db, if others can write to it too.
// What is loaded afterwards misses nothing.
func joinCluster(ctx context.Context, c Config, db database) (cluster, error) {
	st, ok := db.(*postgres.Store)
	if !ok {
		return cluster{}, nil
	}
	n, err := follow.Join(ctx, st, st, rand.Text())
	if err != nil {
		return cluster{}, err
	}
	n.About, n.StaleAfter, n.Loop.Every = aboutProcess(), c.cluster.staleAfter, c.cluster.every
	if n.CurrentFor = c.cluster.currentFor; n.CurrentFor == 0 {
		// A version signs after promote_after in any case, so a node that has
		// not heard for that long must have stopped to be sure.
		n.CurrentFor = min(follow.DefaultCurrent, c.keys.promoteAfter*2/3)
	}
	return cluster{n}, nil
}

func aboutProcess() string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	return fmt.Sprintf("process %d on %s", os.Getpid(), host[:min(len(host), 255)])
}

// options adds to o what custody has to know of the other nodes.
func (c cluster) options(o custody.Options) custody.Options {
	if c.node != nil {
		o.Nodes, o.Current, o.Usable = c.node, c.node.Current, custody.All(o.Usable, c.node.Usable)
	}
	return o
}

// start makes this process known to the others, applies what they did meanwhile,
// and follows and beats until the function that it returns is called. That must
// not be before the last request is answered.
func (c cluster) start(ctx context.Context, keys *custody.Service, log *slog.Logger, apply ...follow.Apply) (stop func(), err error) {
	if c.node == nil {
		return func() {}, nil
	}
	c.node.Awaited = keys.Waiting
	c.node.Report = func(s follow.State, err error) { c.report(log, s, err) }
	if err := c.node.CatchUp(ctx, append([]follow.Apply{keys.Apply}, apply...)...); err != nil {
		return nil, err
	}
	log.Info("joined the nodes of the database", "node", c.node.ID, "seq", c.node.Loop.Seq())
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	group.Go(func() { _ = c.node.Run(ctx) }) // it returns nil
	return func() {
		cancel()
		group.Wait()
	}, nil
}

func (c cluster) report(log *slog.Logger, s follow.State, err error) {
	about := []any{"seq", c.node.Loop.Seq(), "heard_at", c.node.Loop.Heard().UTC().Format(time.RFC3339)}
	if err != nil {
		about = append(about, "error", err.Error())
	}
	switch s {
	case follow.CutOff:
		log.Error("cut off from the database: keys in memory go on, for others the answer is that they are not known", about...)
	case follow.Stale:
		log.Error("cut off from the database for too long: nothing is signed or verified until it is back", about...)
	default:
		log.Info("the database is back", about...)
	}
}

// cursors returns the secret of cursors, so that any node goes on with a list
// that another one began; zero if this process is alone.
func (c cluster) cursors(ctx context.Context, st sharedStore, keys *custody.Service) (secret.Bytes, error) {
	if c.node == nil {
		return secret.Bytes{}, nil
	}
	return sharedSecret(ctx, st, keys, "cursors")
}

// followed is for the metrics.
func (c cluster) followed() func() (int64, time.Time) {
	if c.node == nil {
		return nil
	}
	return func() (int64, time.Time) { return c.node.Loop.Seq(), c.node.Loop.Heard() }
}

// notice says that this node is cut off; it is empty while nothing is wrong.
func (c cluster) notice() string {
	if c.node == nil {
		return ""
	}
	state, heard := c.node.State()
	if state == follow.Current {
		return ""
	}
	return fmt.Sprintf("this node is cut off from the database, which it last read at %s; keys in memory are used until %s",
		heard.UTC().Format(time.RFC3339), heard.Add(c.node.StaleAfter).UTC().Format(time.RFC3339))
}
