//go:build !race

package keyring_test

import (
	"testing"

	"github.com/sealwright/sealwright/keyring"
)

// TestAllocs: choosing keys and looking up what is prepared costs no
// allocation, since every verification does both.
func TestAllocs(t *testing.T) {
	r := mustRing(t, key("k", 1), key("k", 2), key("k", 3))
	prepare(t, signing(t, r), "a")
	got := testing.AllocsPerRun(1000, func() {
		var space [keyring.MaxCandidates]*keyring.Key
		if n := len(r.AppendCandidates(space[:0], "k", t0)); n != 3 {
			t.Errorf("got %d candidates, want 3", n)
		}
		k, err := r.Signing(t0)
		if err != nil {
			t.Error(err)
		}
		if _, err := k.Prepared("a", sha256Of); err != nil {
			t.Error(err)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
