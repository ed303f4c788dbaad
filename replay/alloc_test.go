//go:build !race

package replay_test

import (
	"testing"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/secret"
)

// A claim and its ID cost no allocation; only the tables, when they grow.
func TestAllocs(t *testing.T) {
	key, err := replay.NewKey(secret.Random(replay.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	g := guard(t, window(time.Minute, time.Second))
	const rounds = 100_000
	n := uint64(0)
	if a := testing.AllocsPerRun(rounds, func() {
		n++
		id := key.ID("tenant", "profile", "key", "nonce")
		_ = g.Claim(t0, t0, id.Short()^n*0x9E3779B97F4A7C15, 1)
	}); a != 0 {
		t.Errorf("Claim: got %v allocations, want 0", a)
	}
	if g.Len() < rounds {
		t.Errorf("Len: got %d, want at least %d", g.Len(), rounds)
	}
	if a := testing.AllocsPerRun(1000, func() { _ = g.Claim(t0, t0, 7, 1) }); a != 0 {
		t.Errorf("Claim again: got %v allocations, want 0", a)
	}
}
