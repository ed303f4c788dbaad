package access_test

import (
	"errors"
	"testing"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
)

func TestAllow(t *testing.T) {
	admin := access.Administrator()
	with := func(change func(*access.Caller)) access.Caller {
		c := access.Administrator()
		change(&c)
		return c
	}
	tests := []struct {
		name   string
		caller access.Caller
		action access.Action
		tenant string
		want   bool
	}{
		{"AdminInItsTenant", admin, access.KeyCreate, access.DefaultTenant, true},
		{"AdminSigns", admin, access.KeySign, access.DefaultTenant, true},
		{"AdminRewraps", admin, access.RootRewrap, access.DefaultTenant, true},
		{"AdminDiagnoses", admin, access.RequestDiagnose, access.DefaultTenant, true},
		{"AdminDiagnosesInAnotherTenant", admin, access.RequestDiagnose, "other", false},
		{"AdminInAnotherTenant", admin, access.KeyRead, "other", false},
		{"AdminInNoTenant", admin, access.KeyRead, "", false},
		{"UnknownAction", admin, "key.destroy", access.DefaultTenant, false},
		{"NoAction", admin, "", access.DefaultTenant, false},
		{"ZeroCaller", access.Caller{}, access.KeyRead, "", false},
		{"ZeroCallerDefaultTenant", access.Caller{}, access.KeyRead, access.DefaultTenant, false},
		{"NoRoles", with(func(c *access.Caller) { c.Roles = nil }), access.KeyRead, access.DefaultTenant, false},
		{"UnknownRole", with(func(c *access.Caller) { c.Roles = []access.Role{"root"} }), access.KeyRead, access.DefaultTenant, false},
		{"NoID", with(func(c *access.Caller) { c.ID = "" }), access.KeyRead, access.DefaultTenant, false},
		{"NoTenant", with(func(c *access.Caller) { c.Tenant = "" }), access.KeyRead, "", false},
		{"SecondRoleCounts", with(func(c *access.Caller) { c.Roles = []access.Role{"x", access.Admin} }), access.KeyReveal, access.DefaultTenant, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := access.Allow(tt.caller, tt.action, tt.tenant, "a")
			if (err == nil) != tt.want || (err != nil && !errors.Is(err, fault.Denied)) {
				t.Errorf("Allow: got %v, want allowed %v", err, tt.want)
			}
		})
	}
}

// A refusal is the same for every key, so it does not tell which ones exist.
func TestAllowDoesNotNameTheKey(t *testing.T) {
	a := access.Allow(access.Caller{}, access.KeyRead, "t", "a")
	b := access.Allow(access.Caller{}, access.KeyRead, "t", "b")
	if a.Error() != b.Error() {
		t.Errorf("Allow: got %v and %v", a, b)
	}
}
