//go:build !race

package tenant_test

import (
	"testing"

	"github.com/sealwright/sealwright/server/internal/access"
)

// A token is checked before every operation: that allocates nothing.
func TestAllocsByToken(t *testing.T) {
	h := newHouse(t)
	_, token := h.caller(t, home, "ci", grants(access.Signer))
	if got := testing.AllocsPerRun(100, func() {
		if _, err := h.ByToken(token); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}
