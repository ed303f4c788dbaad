package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sealwright/sealwright/server/internal/store"
)

const (
	beat = `INSERT INTO nodes (id, about, seq, beat_at) VALUES ($1, $2, $3, clock_timestamp())
		ON CONFLICT (id) DO UPDATE SET about = excluded.about, seq = greatest(nodes.seq, excluded.seq), beat_at = clock_timestamp()`
	// It waits for no other node, which may come back at this moment.
	forgetNodes = `DELETE FROM nodes WHERE id IN
		(SELECT id FROM nodes WHERE beat_at < clock_timestamp() - $1::interval FOR UPDATE SKIP LOCKED)`
	liveNodes = `SELECT id, about, seq, beat_at FROM nodes WHERE beat_at > clock_timestamp() - $1::interval ORDER BY id`
)

// Beat implements storetest.Nodes.
func (s *Store) Beat(ctx context.Context, n store.Node) error {
	if err := n.Check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout) // for both statements
	defer cancel()
	if _, err := s.exec(ctx, "note that this node is there", beat, n.ID, n.About, n.Seq); err != nil {
		return err
	}
	_, err := s.exec(ctx, "forget nodes", forgetNodes, store.KeepNodes)
	return err
}

// Nodes implements storetest.Nodes.
func (s *Store) Nodes(ctx context.Context) ([]store.Node, error) {
	return query(ctx, s, "list nodes", scanNode, liveNodes, store.Live)
}

func scanNode(row pgx.CollectableRow) (store.Node, error) {
	var n store.Node
	var at time.Time
	err := row.Scan(&n.ID, &n.About, &n.Seq, &at)
	n.BeatAt = at.UTC()
	return n, err
}

// Leave implements storetest.Nodes.
func (s *Store) Leave(ctx context.Context, id string) error {
	if !storable(id) {
		return nil
	}
	_, err := s.exec(ctx, "forget this node", `DELETE FROM nodes WHERE id = $1`, id)
	return err
}
