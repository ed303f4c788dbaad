package tenant_test

import (
	"errors"
	"testing"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

// TestAgain: what ends while a request goes on counts at its end.
func TestAgain(t *testing.T) {
	for _, tt := range []struct {
		name  string
		end   func(t *testing.T, h *house, credential string) error
		known bool
		signs bool
	}{
		{"Unchanged", func(*testing.T, *house, string) error { return nil }, true, true},
		{"OtherRole", func(t *testing.T, h *house, _ string) error {
			g := grants(access.Verifier)
			_, err := h.UpdateCaller(t.Context(), home, "ci", 0, tenant.Update{Grants: &g})
			return err
		}, true, false},
		{"Disabled", func(t *testing.T, h *house, _ string) error {
			_, err := h.UpdateCaller(t.Context(), home, "ci", 0, tenant.Update{Disabled: ptr(true)})
			return err
		}, false, false},
		{"Deleted", func(t *testing.T, h *house, _ string) error { return h.DeleteCaller(t.Context(), home, "ci", 0) }, false, false},
		{"Revoked", func(t *testing.T, h *house, credential string) error {
			return h.RevokeCredential(t.Context(), home, "ci", credential)
		}, false, false},
		{"Expired", func(_ *testing.T, h *house, _ string) error { h.now = start.Add(tenant.DefaultTTL); return nil }, false, false},
		{"TenantDisabled", func(t *testing.T, h *house, _ string) error {
			_, err := h.UpdateTenant(t.Context(), operator, "home", 0, true)
			return err
		}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			_, token := h.caller(t, home, "ci", grants(access.Signer))
			c, err := h.ByToken(token)
			if err != nil || c.Credential != token[4:24] {
				t.Fatalf("ByToken: got %+v, %v", c, err)
			}
			if err := tt.end(t, h, c.Credential); err != nil {
				t.Fatal(err)
			}
			now, err := h.Again(c)
			if tt.known != (err == nil) || err != nil && (fault.KindOf(err) != fault.Denied || !errors.Is(err, tenant.ErrUnknown)) {
				t.Fatalf("Again: got %+v, %v, want known: %t", now, err, tt.known)
			}
			if signs := access.AllowSome(now, access.KeySign) == nil; signs != tt.signs || tt.known && now.Tenant != "home" {
				t.Errorf("got signs %t in %q, want %t", signs, now.Tenant, tt.signs)
			}
		})
	}
}

// Operators stay where they are, callers whom others have proved are looked up,
// and those of no store stay.
func TestAgainOthers(t *testing.T) {
	h := newHouse(t)
	_, token := h.caller(t, operator, "alice", grants(access.Operator))
	alice, err := h.ByToken(token)
	if err == nil {
		alice, err = h.Enter(alice, "other")
	}
	if err != nil {
		t.Fatal(err)
	}
	proved, err := h.ByID("", alice.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []access.Caller{alice, proved, operator} {
		now, err := h.Again(c)
		if err != nil || now.ID != c.ID || now.Tenant != c.Tenant || !now.IsOperator() {
			t.Errorf("Again %+v: got %+v, %v", c, now, err)
		}
	}
	if _, err := h.UpdateCaller(t.Context(), operator, alice.ID, 0, tenant.Update{Disabled: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []access.Caller{alice, proved, access.TenantAdministrator("nobody", "home")} {
		if _, err := h.Again(c); fault.KindOf(err) != fault.Denied {
			t.Errorf("Again %+v: got %v, want denied", c, err)
		}
	}
}
