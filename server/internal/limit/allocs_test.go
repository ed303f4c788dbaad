//go:build !race

package limit_test

import (
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/limit"
)

// A request allocates nothing, with and without limits.
func TestAllocsCheck(t *testing.T) {
	rules := []limit.Rule{
		{Name: "key", Scope: limit.ScopeKey, Rate: 1_000_000}, {Name: "keys", Scope: limit.ScopeKey, Match: "k*", Rate: 1_000_000},
		{Name: "tenant", Scope: limit.ScopeTenant, Rate: 1_000_000, Per: limit.Day}, {Name: "mine", Tenant: "t", Scope: limit.ScopeCaller, Rate: 1_000_000},
	}
	for n := range len(rules) + 1 {
		l, _, c := limiter(t, rules[:n]...)
		r := limit.Request{Tenant: "t", Caller: "c", Key: "k"}
		allocs := testing.AllocsPerRun(100, func() {
			c.now = c.now.Add(time.Second)
			if !l.Check(t.Context(), r, 1).OK {
				t.Fatal("refused")
			}
		})
		if allocs > 0 {
			t.Errorf("%d rules: got %v allocations, want 0", n, allocs)
		}
	}
}
