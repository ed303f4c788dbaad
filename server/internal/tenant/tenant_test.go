package tenant_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

func TestTenants(t *testing.T) {
	h := newHouse(t)
	list, next, err := h.Tenants(operator, "", 2)
	if err != nil || len(list) != 2 || list[0].Name != "default" || list[1].Name != "home" || next != "home" {
		t.Fatalf("Tenants: got %v, %q, %v", list, next, err)
	}
	if list, next, err = h.Tenants(operator, next, 2); err != nil || len(list) != 1 || list[0].Name != "other" || next != "" {
		t.Fatalf("second page: got %v, %q, %v", list, next, err)
	}
	for _, name := range []string{"", "A", "a b", ".a", strings.Repeat("a", 65)} {
		_, err := h.CreateTenant(t.Context(), operator, name)
		wantKind(t, "CreateTenant "+name, err, fault.Invalid)
	}
	for _, name := range []string{"home", "default"} {
		_, err := h.CreateTenant(t.Context(), operator, name)
		wantKind(t, "CreateTenant "+name, err, fault.Conflict)
	}
	for _, name := range []string{"home", "default"} {
		got, err := h.UpdateTenant(t.Context(), operator, name, 0, true)
		if err != nil || !got.Disabled {
			t.Fatalf("disable %s: got %+v, %v", name, got, err)
		}
		if got, err := h.open(t).FindTenant(operator, name); err != nil || !got.Disabled {
			t.Errorf("%s after a restart: got %+v, %v", name, got, err)
		}
		if _, err = h.UpdateTenant(t.Context(), operator, name, got.Version+5, false); !errors.Is(err, tenant.ErrPrecondition) {
			t.Errorf("enable %s at an old version: got %v", name, err)
		}
		if got, err = h.UpdateTenant(t.Context(), operator, name, got.Version, false); err != nil || got.Disabled {
			t.Errorf("enable %s: got %+v, %v", name, got, err)
		}
	}
	_, err = h.UpdateTenant(t.Context(), operator, "nobody", 0, true)
	wantKind(t, "disable no tenant", err, fault.NotFound)
	_, err = h.FindTenant(operator, "nobody")
	wantKind(t, "find no tenant", err, fault.NotFound)
}

func TestEnter(t *testing.T) {
	h := newHouse(t)
	if c, err := h.Enter(operator, "other"); err != nil || c.Tenant != "other" || !c.IsOperator() {
		t.Errorf("operator: got %+v, %v", c, err)
	}
	if c, err := h.Enter(home, "home"); err != nil || c.Tenant != "home" {
		t.Errorf("at home: got %+v, %v", c, err)
	}
	_, err := h.Enter(operator, "nobody")
	wantKind(t, "operator in no tenant", err, fault.NotFound)
	_, err = h.Enter(home, "other")
	wantKind(t, "another tenant", err, fault.Denied)
	_, err = h.Enter(home, "nobody")
	wantKind(t, "no tenant, by who is no operator", err, fault.Denied)
}

func TestCallers(t *testing.T) {
	h := newHouse(t)
	want := []access.Grant{{Role: access.Signer, Keys: []string{"orders-*"}, Purposes: []string{"webhook"}}}
	c, err := h.CreateCaller(t.Context(), home, "ci", want)
	if err != nil || c.ID != "ci" || c.Tenant != "home" || c.Version != 1 || !c.CreatedAt.Equal(start) {
		t.Fatalf("CreateCaller: got %+v, %v", c, err)
	}
	c, err = h.open(t).FindCaller(home, "ci")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, c.Grants); diff != "" {
		t.Errorf("grants after a restart (-want +got):\n%s", diff)
	}
	if _, err := h.UpdateCaller(t.Context(), home, "ci", 7, tenant.Update{Disabled: ptr(true)}); !errors.Is(err, tenant.ErrPrecondition) {
		t.Errorf("update at another version: got %v", err)
	}
	if c, err = h.UpdateCaller(t.Context(), home, "ci", 1, tenant.Update{Disabled: ptr(true), Grants: ptr(grants(access.Auditor))}); err != nil || !c.Disabled || c.Grants[0].Role != access.Auditor {
		t.Fatalf("UpdateCaller: got %+v, %v", c, err)
	}
	_, err = h.UpdateCaller(t.Context(), home, "ci", 0, tenant.Update{})
	wantKind(t, "update of nothing", err, fault.Invalid)
	_, err = h.UpdateCaller(t.Context(), home, "ci", 0, tenant.Update{Grants: ptr(grants(access.Operator))})
	wantKind(t, "becomes an operator", err, fault.Invalid)
	if err := h.DeleteCaller(t.Context(), home, "ci", 0); err != nil {
		t.Fatalf("DeleteCaller: %v", err)
	}
	for _, s := range []*tenant.Service{h.Service, h.open(t)} {
		_, err = s.FindCaller(home, "ci")
		wantKind(t, "find a deleted caller", err, fault.NotFound)
		if list, _, err := s.Callers(home, false, "", 10); err != nil || len(list) != 0 {
			t.Errorf("Callers: got %v, %v", list, err)
		}
	}
	_, err = h.CreateCaller(t.Context(), home, "ci", nil)
	wantKind(t, "the name of a deleted caller", err, fault.Conflict)
	_, err = h.UpdateCaller(t.Context(), home, "ci", 0, tenant.Update{Disabled: ptr(false)})
	wantKind(t, "update a deleted caller", err, fault.NotFound)
	wantKind(t, "delete again", h.DeleteCaller(t.Context(), home, "ci", 0), fault.NotFound)

	actions := []string{}
	for _, e := range h.log(t)[2:] {
		if e.Tenant != "home" || e.Caller != "boss" || e.Kind != "caller" || e.Name != "ci" || e.RecordID == "" {
			t.Errorf("got entry %+v", e)
		}
		actions = append(actions, e.Action)
	}
	if want := []string{"caller.create", "caller.update", "caller.delete"}; !slices.Equal(actions, want) {
		t.Errorf("got entries %v, want %v", actions, want)
	}
}

func TestCreateCallerRefuses(t *testing.T) {
	h := newHouse(t)
	for _, tt := range []struct {
		name, id string
		grants   []access.Grant
		want     fault.Kind
	}{
		{"NoName", "", nil, fault.Invalid},
		{"NameOfAnOperator", "operator:x", nil, fault.Invalid},
		{"Admin", "admin", nil, fault.Invalid},
		{"System", "system", nil, fault.Invalid},
		{"LongName", strings.Repeat("a", 65), nil, fault.Invalid},
		{"UnknownRole", "a", grants("root"), fault.Invalid},
		{"Operator", "a", grants(access.Operator), fault.Denied},
		{"OperatorAndMore", "a", grants(access.Operator, access.Signer), fault.Denied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := h.CreateCaller(t.Context(), home, tt.id, tt.grants)
			wantKind(t, tt.name, err, tt.want)
		})
	}
}

// Operators are in no tenant: nobody in one sees, changes or makes them, and
// they have IDs of their own.
func TestOperators(t *testing.T) {
	h := newHouse(t)
	c, token := h.caller(t, operator, "alice", grants(access.Operator))
	if c.ID != "operator:alice" || c.Tenant != "" {
		t.Fatalf("got %+v", c)
	}
	if _, _, err := h.AddCredential(t.Context(), operator, c.ID, tenant.Signature, 0); err != nil {
		t.Errorf("AddCredential: %v", err)
	}
	who, err := h.open(t).ByToken(token)
	if err != nil || who.ID != "operator:alice" || who.Tenant != access.DefaultTenant || !who.IsOperator() {
		t.Errorf("ByToken: got %+v, %v", who, err)
	}
	if list, _, err := h.Callers(operator, true, "", 10); err != nil || len(list) != 1 || list[0].ID != c.ID {
		t.Errorf("Callers: got %v, %v", list, err)
	}
	if list, _, err := h.Callers(operator, false, "", 10); err != nil || len(list) != 0 {
		t.Errorf("callers of the default tenant: got %v, %v", list, err)
	}
	_, err = h.UpdateCaller(t.Context(), operator, c.ID, 0, tenant.Update{Grants: ptr(grants(access.Signer))})
	wantKind(t, "an operator becomes something else", err, fault.Invalid)
	_, err = h.FindCaller(home, c.ID)
	wantKind(t, "find an operator from a tenant", err, fault.Denied)
	_, _, err = h.AddCredential(t.Context(), home, c.ID, tenant.Token, 0)
	wantKind(t, "a credential of an operator from a tenant", err, fault.Denied)
	_, _, err = h.Callers(home, true, "", 10)
	wantKind(t, "list operators from a tenant", err, fault.Denied)
}

// The same name in two tenants is two callers, and nobody reaches that of the
// other one.
func TestTenantsAreApart(t *testing.T) {
	h := newHouse(t)
	other := access.TenantAdministrator("boss", "other")
	mine, token := h.caller(t, home, "ci", grants(access.Signer))
	theirs, _ := h.caller(t, other, "ci", grants(access.TenantAdmin))
	if _, err := h.SetRole(t.Context(), other, "special", 0, []access.Action{access.KeyReveal}); err != nil {
		t.Fatal(err)
	}
	_, err := h.CreateCaller(t.Context(), home, "x", grants("special"))
	wantKind(t, "a role of another tenant", err, fault.Invalid)
	_, err = h.FindRole(home, "special")
	wantKind(t, "find a role of another tenant", err, fault.NotFound)
	wantKind(t, "revoke a credential of another tenant", h.RevokeCredential(t.Context(), home, "ci", theirs.ID), fault.NotFound)
	if who, err := h.ByToken(token); err != nil || who.Tenant != "home" {
		t.Errorf("got %+v, %v", who, err)
	}
	if err := h.DeleteCaller(t.Context(), other, "ci", 0); err != nil {
		t.Fatal(err)
	}
	if c, err := h.FindCaller(home, "ci"); err != nil || c.CreatedAt != mine.CreatedAt {
		t.Errorf("after the other one was deleted: got %+v, %v", c, err)
	}
	if _, err := h.ByToken(token); err != nil {
		t.Errorf("after the other one was deleted: %v", err)
	}
}

func TestRoles(t *testing.T) {
	h := newHouse(t)
	role, err := h.SetRole(t.Context(), home, "rotator", 0, []access.Action{access.KeyRotate})
	if err != nil || role.Version != 1 {
		t.Fatalf("SetRole: got %+v, %v", role, err)
	}
	_, token := h.caller(t, home, "ci", grants("rotator"))
	can := func(s *tenant.Service, a access.Action) bool {
		who, err := s.ByToken(token)
		if err != nil {
			t.Fatal(err)
		}
		return access.AllowSome(who, a) == nil
	}
	if !can(h.Service, access.KeyRotate) || can(h.Service, access.KeyDelete) {
		t.Error("the role does not mean what it says")
	}
	if _, err := h.SetRole(t.Context(), home, "rotator", 1, []access.Action{access.KeyDelete}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*tenant.Service{h.Service, h.open(t)} {
		if can(s, access.KeyRotate) || !can(s, access.KeyDelete) {
			t.Error("those who have the role have not what it means now")
		}
	}
	if _, err := h.SetRole(t.Context(), home, "rotator", 1, []access.Action{access.KeyRead}); !errors.Is(err, tenant.ErrPrecondition) {
		t.Errorf("set at an old version: got %v", err)
	}
	wantKind(t, "delete a role in use", h.DeleteRole(t.Context(), home, "rotator", 0), fault.Conflict)
	if _, err := h.UpdateCaller(t.Context(), home, "ci", 0, tenant.Update{Grants: ptr(grants())}); err != nil {
		t.Fatal(err)
	}
	if err := h.DeleteRole(t.Context(), home, "rotator", 2); err != nil {
		t.Fatalf("DeleteRole: %v", err)
	}
	wantKind(t, "delete again", h.DeleteRole(t.Context(), home, "rotator", 0), fault.NotFound)
	_, err = h.open(t).FindRole(home, "rotator")
	wantKind(t, "find a deleted role", err, fault.NotFound)
	if list, err := h.Roles(home); err != nil || len(list) != 0 {
		t.Errorf("Roles: got %v, %v", list, err)
	}
	if role, err = h.SetRole(t.Context(), home, "rotator", 0, []access.Action{access.KeyRotate}); err != nil || role.Version != 4 {
		t.Errorf("make it again: got %+v, %v", role, err)
	}
	for name, actions := range map[string][]access.Action{
		"signer": {access.KeySign}, "operator": {access.KeySign}, "A": {access.KeySign}, "a": {access.CallerCreate}, "b": nil,
	} {
		_, err := h.SetRole(t.Context(), home, name, 0, actions)
		wantKind(t, "SetRole "+name, err, fault.Invalid)
	}
}

// Without a role nothing of this package is reachable, and each refusal leaves
// an entry if it was about a change.
func TestDenied(t *testing.T) {
	h := newHouse(t)
	h.caller(t, home, "ci", grants(access.Signer))
	ctx := t.Context()
	nobody := access.NewCaller("nobody", "home", nil)
	changes := map[string]func(access.Caller) error{
		"CreateTenant": func(c access.Caller) error { _, err := h.CreateTenant(ctx, c, "x"); return err },
		"UpdateTenant": func(c access.Caller) error { _, err := h.UpdateTenant(ctx, c, "home", 0, true); return err },
		"CreateCaller": func(c access.Caller) error { _, err := h.CreateCaller(ctx, c, "x", nil); return err },
		"UpdateCaller": func(c access.Caller) error {
			_, err := h.UpdateCaller(ctx, c, "ci", 0, tenant.Update{Disabled: ptr(true)})
			return err
		},
		"DeleteCaller":     func(c access.Caller) error { return h.DeleteCaller(ctx, c, "ci", 0) },
		"AddCredential":    func(c access.Caller) error { _, _, err := h.AddCredential(ctx, c, "ci", tenant.Token, 0); return err },
		"RevokeCredential": func(c access.Caller) error { return h.RevokeCredential(ctx, c, "ci", "x") },
		"SetRole": func(c access.Caller) error {
			_, err := h.SetRole(ctx, c, "x", 0, []access.Action{access.KeyRead})
			return err
		},
		"DeleteRole": func(c access.Caller) error { return h.DeleteRole(ctx, c, "x", 0) },
	}
	for name, run := range changes {
		before := len(h.log(t))
		wantKind(t, name, run(nobody), fault.Denied)
		log := h.log(t)
		if e := log[len(log)-1]; len(log) != before+1 || e.Reason == "" || e.Caller != "nobody" || e.Tenant != "home" {
			t.Errorf("%s: got %d entries, the last %+v", name, len(log)-before, e)
		}
		wantKind(t, name+" by the zero caller", run(access.Caller{}), fault.Denied)
	}
	for name, run := range map[string]func(access.Caller) error{
		"FindTenant": func(c access.Caller) error { _, err := h.FindTenant(c, "home"); return err },
		"Tenants":    func(c access.Caller) error { _, _, err := h.Tenants(c, "", 10); return err },
		"FindCaller": func(c access.Caller) error { _, err := h.FindCaller(c, "ci"); return err },
		"Callers":    func(c access.Caller) error { _, _, err := h.Callers(c, false, "", 10); return err },
		"FindRole":   func(c access.Caller) error { _, err := h.FindRole(c, "x"); return err },
		"Roles":      func(c access.Caller) error { _, err := h.Roles(c); return err },
	} {
		wantKind(t, name, run(nobody), fault.Denied)
	}
	for _, run := range []func(access.Caller) error{changes["CreateTenant"], changes["UpdateTenant"]} {
		wantKind(t, "the platform by the administrator of a tenant", run(home), fault.Denied)
	}
}

// What one node changes another one knows after it has followed.
func TestApply(t *testing.T) {
	h := newHouse(t)
	second := h.open(t)
	seq := len(h.log(t))
	follow := func() {
		t.Helper()
		log := h.log(t)
		for range 2 { // twice does no harm
			if err := second.Apply(t.Context(), log[seq:]); err != nil {
				t.Fatalf("Apply: %v", err)
			}
		}
		seq = len(log)
	}
	_, err := h.SetRole(t.Context(), home, "r", 0, []access.Action{access.KeySign})
	if err != nil {
		t.Fatal(err)
	}
	_, token := h.caller(t, home, "ci", grants("r"))
	k, _ := h.credential(t, home, "ci", tenant.Signature)
	_, err = second.ByToken(token)
	unknown(t, "before", err, "no credential")
	follow()
	if who, err := second.ByToken(token); err != nil || access.AllowSome(who, access.KeySign) != nil {
		t.Errorf("after: got %+v, %v", who, err)
	}
	if _, _, _, err := second.BySignature(k.ID); err != nil {
		t.Errorf("BySignature: %v", err)
	}
	if _, err := h.SetRole(t.Context(), home, "r", 0, []access.Action{access.KeyRead}); err != nil {
		t.Fatal(err)
	}
	follow()
	if who, err := second.ByToken(token); err != nil || access.AllowSome(who, access.KeySign) == nil {
		t.Errorf("after the role has changed: got %+v, %v", who, err)
	}
	if _, err := h.UpdateTenant(t.Context(), operator, "home", 0, true); err != nil {
		t.Fatal(err)
	}
	follow()
	_, err = second.ByToken(token)
	unknown(t, "after the tenant was disabled", err, `tenant "home" is disabled`)
	if err := second.Apply(t.Context(), []store.Entry{{Kind: "caller", Name: "gone", Tenant: "home"}}); err == nil {
		t.Error("an entry whose record is not there was applied")
	}
}

// No secret is in the store, in entries or in what can be printed.
func TestNoSecretLeaves(t *testing.T) {
	h := newHouse(t)
	_, token := h.caller(t, home, "ci", grants(access.Signer))
	_, signing := h.credential(t, home, "ci", tenant.Signature)
	c, err := h.FindCaller(home, "ci")
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.store.Load(t.Context(), "home", "caller", "ci")
	if err != nil {
		t.Fatal(err)
	}
	printed := fmt.Appendf(nil, "%+v %#v %s %+v", c, c, r.Doc, h.log(t))
	for _, secret := range []string{token, token[len(token)-43:], string(signing.Expose())} {
		if bytes.Contains(printed, []byte(secret)) {
			t.Errorf("a secret stands in %s", printed)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, r := range map[string]store.Record{
		"NewerFormat":   {Kind: "tenant", ID: "1", Name: "x", Format: 2, Doc: []byte(`{}`)},
		"UnknownMember": {Tenant: "home", Kind: "caller", ID: "1", Name: "x", Format: 1, Doc: []byte(`{"grants":[],"created_at":"2026-01-01T00:00:00Z","x":1}`)},
		"NoHash":        {Tenant: "home", Kind: "caller", ID: "1", Name: "x", Format: 1, Doc: []byte(`{"grants":[],"created_at":"2026-01-01T00:00:00Z","credentials":[{"id":"a","kind":"token","created_at":"2026-01-01T00:00:00Z","expires_at":"2027-01-01T00:00:00Z"}]}`)},
		"ForeignSecret": {Tenant: "home", Kind: "caller", ID: "1", Name: "x", Format: 1, Doc: []byte(`{"grants":[],"created_at":"2026-01-01T00:00:00Z","credentials":[{"id":"a","kind":"signature","created_at":"2026-01-01T00:00:00Z","expires_at":"2027-01-01T00:00:00Z","sealed":"AAAA"}]}`)},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.credential(t, home, mustCaller(t, h).ID, tenant.Signature) // home has a data key
			if _, err := h.store.Commit(t.Context(), store.Change{Puts: []store.Record{r}, Entries: []store.Entry{{At: start, Caller: "x", Action: "x"}}}); err != nil {
				t.Fatal(err)
			}
			if _, err := tenant.Open(t.Context(), h.options()); err == nil {
				t.Error("Open: got no error")
			}
		})
	}
	if _, err := tenant.Open(t.Context(), tenant.Options{}); fault.KindOf(err) != fault.Internal {
		t.Errorf("without a store: got %v", err)
	}
}

func mustCaller(t *testing.T, h *house) *tenant.Caller {
	t.Helper()
	c, err := h.CreateCaller(t.Context(), home, "someone", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
