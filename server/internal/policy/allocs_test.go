//go:build !race

package policy_test

import (
	"testing"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/policy"
)

// TestAllocsWithoutPolicy asks for a tenant that has none, as every operation
// does: that allocates nothing.
func TestAllocsWithoutPolicy(t *testing.T) {
	o := newOffice(t)
	r := &policy.Request{Caller: clerk, Action: access.KeySign, Key: "k", Address: "192.0.2.1:443"}
	if got := testing.AllocsPerRun(100, func() {
		if o.Active("home") || o.Decide(r, "", "", nil).Denied {
			t.Fatal("denied")
		}
	}); got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}
