package memory

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright/server/internal/store"
)

// Head implements storetest.Nodes.
func (s *Store) Head(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	return int64(len(s.entries)), nil
}

// Beat implements storetest.Nodes.
func (s *Store) Beat(ctx context.Context, n store.Node) error {
	if err := n.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	n.Seq = max(n.Seq, s.nodes[n.ID].Seq)
	n.BeatAt = s.now().UTC().Truncate(time.Microsecond)
	s.nodes[n.ID] = n
	for id, old := range s.nodes {
		if n.BeatAt.Sub(old.BeatAt) > store.KeepNodes {
			delete(s.nodes, id)
		}
	}
	return nil
}

// Nodes implements storetest.Nodes.
func (s *Store) Nodes(ctx context.Context) ([]store.Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	var nodes []store.Node
	now := s.now()
	for _, n := range s.nodes {
		if now.Sub(n.BeatAt) < store.Live {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b store.Node) int { return strings.Compare(a.ID, b.ID) })
	return nodes, nil
}

// Leave implements storetest.Nodes.
func (s *Store) Leave(ctx context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	delete(s.nodes, id)
	return nil
}

func (s *Store) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}
