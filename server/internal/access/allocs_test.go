//go:build !race

package access_test

import (
	"testing"

	"github.com/sealwright/sealwright/server/internal/access"
)

// The decision stands before every signature: it allocates nothing.
func TestAllocsAllow(t *testing.T) {
	c := holder(access.Grant{Role: access.Verifier}, access.Grant{Role: access.Signer, Keys: []string{"a", "b", "orders-*"}, Purposes: []string{"webhook"}})
	target := access.Target{Tenant: tenant, Key: "orders-eu", Purpose: "webhook"}
	if got := testing.AllocsPerRun(100, func() {
		if access.AllowSome(c, access.KeySign) != nil || access.Allow(c, access.KeySign, target) != nil {
			t.Fatal("not allowed")
		}
	}); got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func BenchmarkAllow(b *testing.B) {
	c := holder(access.Grant{Role: access.Verifier}, access.Grant{Role: access.Signer, Keys: []string{"a", "b", "orders-*"}, Purposes: []string{"webhook"}})
	target := access.Target{Tenant: tenant, Key: "orders-eu", Purpose: "webhook"}
	b.ReportAllocs()
	for b.Loop() {
		if err := access.Allow(c, access.KeySign, target); err != nil {
			b.Fatal(err)
		}
	}
}
