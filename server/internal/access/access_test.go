package access_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
)

const tenant = "t"

func holder(grants ...access.Grant) access.Caller {
	return access.NewCaller("c", tenant, access.Compile(grants, nil))
}

// allowed is what each built-in role but operator and tenant-admin may do,
// written out here once more.
var allowed = map[access.Role]string{
	access.KeyAdmin: "key.create key.import key.read key.rotate key.promote key.revoke key.retire key.restore key.delete key.destroy " +
		"lease.read lease.revoke recipient.read",
	access.Signer:        "key.read key.sign lease.create lease.read lease.revoke",
	access.Verifier:      "key.read key.verify",
	access.Auditor:       "key.read lease.read recipient.read caller.read role.read policy.read limit.read",
	access.Diagnostician: "key.read request.diagnose",
}

const ofPlatform = "root.read root.rewrap tenant.create tenant.read tenant.update"

// TestRoles tries every action of every built-in role in its own tenant, in
// another one, and for the platform.
func TestRoles(t *testing.T) {
	for role, actions := range access.BuiltIn() {
		c := holder(access.Grant{Role: role})
		for _, action := range access.Actions() {
			platform := slices.Contains(strings.Fields(ofPlatform), string(action))
			var here, forPlatform bool
			switch role {
			case access.Operator:
				here, forPlatform = !platform, true
			case access.TenantAdmin:
				here = !platform
			default:
				here = slices.Contains(strings.Fields(allowed[role]), string(action))
			}
			for _, tt := range []struct {
				target access.Target
				want   bool
			}{
				{access.Target{Tenant: tenant, Key: "k"}, here},
				{access.Target{Tenant: tenant}, here},
				{access.Target{Tenant: "other", Key: "k"}, false},
				{access.Target{}, forPlatform},
			} {
				if got := decide(t, c, action, tt.target); got != tt.want {
					t.Errorf("%s, %s of %+v: got %v, want %v", role, action, tt.target, got, tt.want)
				}
			}
			if got := access.AllowSome(c, action) == nil; got != (here || forPlatform) {
				t.Errorf("%s, some %s: got %v, want %v", role, action, got, here || forPlatform)
			}
		}
		if role != access.Operator && role != access.TenantAdmin && len(actions) != len(strings.Fields(allowed[role])) {
			t.Errorf("%s: got %v", role, actions)
		}
	}
}

func decide(t *testing.T, c access.Caller, a access.Action, target access.Target) bool {
	t.Helper()
	err := access.Allow(c, a, target)
	if err != nil && !errors.Is(err, fault.Denied) {
		t.Errorf("Allow %s: got %v, want it to be of kind denied", a, err)
	}
	return err == nil
}

func TestAllow(t *testing.T) {
	key := access.Target{Tenant: tenant, Key: "orders-eu", Purpose: "webhook"}
	with := func(change func(*access.Target)) access.Target {
		c := key
		change(&c)
		return c
	}
	signer := func(keys, purposes []string) access.Caller {
		return holder(access.Grant{Role: access.Signer, Keys: keys, Purposes: purposes})
	}
	tests := []struct {
		name   string
		caller access.Caller
		action access.Action
		target access.Target
		want   bool
	}{
		{"EveryKey", signer(nil, nil), access.KeySign, key, true},
		{"ExactName", signer([]string{"x", "orders-eu"}, nil), access.KeySign, key, true},
		{"NameIsNoPrefix", signer([]string{"orders"}, nil), access.KeySign, key, false},
		{"Prefix", signer([]string{"orders-*"}, nil), access.KeySign, key, true},
		{"PrefixIsTheName", signer([]string{"orders-eu*"}, nil), access.KeySign, key, true},
		{"OtherPrefix", signer([]string{"order.*"}, nil), access.KeySign, key, false},
		{"AsteriskInside", signer([]string{"or*-eu"}, nil), access.KeySign, key, false},
		{"AsteriskAlone", signer([]string{"*"}, nil), access.KeySign, key, false},
		{"EmptyPattern", signer([]string{""}, nil), access.KeySign, key, false},
		{"NameDoesNotReachTheTenant", signer([]string{"orders-*"}, nil), access.KeySign, access.Target{Tenant: tenant}, false},
		{"Purpose", signer(nil, []string{"api", "webhook"}), access.KeySign, key, true},
		{"OtherPurpose", signer(nil, []string{"api"}), access.KeySign, key, false},
		{"PurposeAndKeyForEverything", signer(nil, []string{"api"}), access.KeySign, with(func(t *access.Target) { t.Purpose = "" }), false},
		{"EmptyPurpose", signer(nil, []string{""}), access.KeySign, with(func(t *access.Target) { t.Purpose = "" }), false},
		{"PurposeDoesNotReachTheTenant", signer(nil, []string{"webhook"}), access.KeySign, access.Target{Tenant: tenant, Purpose: "webhook"}, false},
		{"NameWithoutPurpose", signer([]string{"orders-eu"}, []string{"api"}), access.KeySign, key, false},
		{"PurposeWithoutName", signer([]string{"x"}, []string{"webhook"}), access.KeySign, key, false},
		{"GrantsDoNotMix", holder(access.Grant{Role: access.Signer, Keys: []string{"x"}}, access.Grant{Role: access.Verifier}), access.KeySign, key, false},
		{"SecondGrantCounts", holder(access.Grant{Role: access.Verifier}, access.Grant{Role: access.Signer, Keys: []string{"orders-eu"}}), access.KeySign, key, true},
		{"LimitedTenantAdminGivesNoRights", holder(access.Grant{Role: access.TenantAdmin, Keys: []string{"orders-*"}}), access.CallerCreate, access.Target{Tenant: tenant}, false},
		{"UnknownAction", holder(access.Grant{Role: access.TenantAdmin}), "key.everything", key, false},
		{"NoAction", holder(access.Grant{Role: access.TenantAdmin}), "", key, false},
		{"UnknownRole", holder(access.Grant{Role: "root"}), access.KeySign, key, false},
		{"NoRole", holder(access.Grant{}), access.KeySign, key, false},
		{"NoGrants", holder(), access.KeySign, key, false},
		{"NoRights", access.NewCaller("c", tenant, nil), access.KeySign, key, false},
		{"ZeroCaller", access.Caller{}, access.KeySign, key, false},
		{"ZeroCallerAndPlatform", access.Caller{}, access.TenantRead, access.Target{}, false},
		{"NoID", access.NewCaller("", tenant, access.Compile([]access.Grant{{Role: access.Signer}}, nil)), access.KeySign, key, false},
		{"NoTenant", access.NewCaller("c", "", access.Compile([]access.Grant{{Role: access.Signer}}, nil)), access.KeySign, access.Target{Key: "k"}, false},
		{"Administrator", access.Administrator(), access.KeyReveal, access.Target{Tenant: access.DefaultTenant, Key: "k"}, true},
		{"AdministratorElsewhere", access.Administrator(), access.KeyReveal, key, false},
		{"System", access.System(tenant), access.KeyRotate, key, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := decide(t, tt.caller, tt.action, tt.target); got != tt.want {
				t.Errorf("Allow: got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestIn(t *testing.T) {
	tests := []struct {
		name   string
		caller access.Caller
		tenant string
		want   bool
	}{
		{"OperatorElsewhere", access.Administrator(), "other", true},
		{"OperatorNowhere", access.Administrator(), "", false},
		{"AtHome", access.TenantAdministrator("c", tenant), tenant, true},
		{"TenantAdminElsewhere", access.TenantAdministrator("c", tenant), "other", false},
		{"NobodyElsewhere", access.NewCaller("c", tenant, nil), "other", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := tt.caller.In(tt.tenant)
			if (err == nil) != tt.want || err == nil && c.Tenant != tt.tenant || err != nil && !errors.Is(err, fault.Denied) {
				t.Fatalf("In: got %+v, %v", c, err)
			}
			if target := (access.Target{Tenant: "other"}); tt.want && decide(t, c, access.KeyCreate, target) != (tt.tenant == "other") {
				t.Errorf("acting in %s does not decide about %+v", tt.tenant, target)
			}
		})
	}
}

func TestCustomRoles(t *testing.T) {
	custom := map[access.Role][]access.Action{
		"rotator": {access.KeyRotate},
		"signer":  {access.KeyReveal}, // a built-in name cannot be taken
	}
	c := access.NewCaller("c", tenant, access.Compile([]access.Grant{{Role: "rotator", Keys: []string{"a"}}, {Role: access.Signer}}, custom))
	for action, want := range map[access.Action]bool{access.KeyRotate: true, access.KeySign: true, access.KeyReveal: false, access.KeyDelete: false} {
		if got := decide(t, c, action, access.Target{Tenant: tenant, Key: "a"}); got != want {
			t.Errorf("%s: got %v, want %v", action, got, want)
		}
	}
}

func TestCheckRole(t *testing.T) {
	tests := []struct {
		name    string
		actions []access.Action
		want    string // in the error; empty for none
	}{
		{"OnKeys", []access.Action{access.KeySign, access.KeyReveal}, ""},
		{"ToReadCallers", []access.Action{access.CallerRead, access.RoleRead}, ""},
		{"None", nil, "got none"},
		{"Unknown", []access.Action{access.KeySign, "key.everything"}, "actions[1]: no such action"},
		{"Twice", []access.Action{access.KeySign, access.KeySign}, "twice"},
		{"OfThePlatform", []access.Action{access.TenantRead}, "all tenants"},
		{"RewrapsRootKeys", []access.Action{access.RootRewrap}, "all tenants"},
		{"CreatesCallers", []access.Action{access.CallerCreate}, "every right"},
		{"ChangesCallers", []access.Action{access.CallerUpdate}, "every right"},
		{"MakesCredentials", []access.Action{access.CredentialCreate}, "every right"},
		{"ChangesRoles", []access.Action{access.RoleSet}, "every right"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { invalid(t, access.CheckRole(tt.actions), tt.want) })
	}
}

func TestCheckGrants(t *testing.T) {
	custom := map[access.Role][]access.Action{"own": {access.KeySign}}
	grant := func(role access.Role, keys ...string) []access.Grant { return []access.Grant{{Role: role, Keys: keys}} }
	tests := []struct {
		name   string
		grants []access.Grant
		want   string
	}{
		{"None", nil, ""},
		{"BuiltIn", grant(access.Signer, "orders-*", "a.b_c", "9"), ""},
		{"Custom", grant("own"), ""},
		{"Operator", grant(access.Operator), ""},
		{"UnknownRole", grant("root"), "grants[0].role"},
		{"NoRole", grant(""), "grants[0].role"},
		{"OperatorWithKeys", grant(access.Operator, "a"), "stands alone"},
		{"OperatorAndMore", []access.Grant{{Role: access.Signer}, {Role: access.Operator}}, "grants[1].role"},
		{"AsteriskAlone", grant(access.Signer, "a", "*"), "grants[0].keys[1]"},
		{"AsteriskInside", grant(access.Signer, "a*b"), "grants[0].keys[0]"},
		{"TwoAsterisks", grant(access.Signer, "a**"), "grants[0].keys[0]"},
		{"Regexp", grant(access.Signer, "a.+$"), "grants[0].keys[0]"},
		{"NoName", grant(access.Signer, ".*"), "grants[0].keys[0]"},
		{"UpperCase", grant(access.Signer, "A"), "grants[0].keys[0]"},
		{"LongName", grant(access.Signer, strings.Repeat("a", 130)), "grants[0].keys[0]"},
		{"EmptyName", grant(access.Signer, ""), "grants[0].keys[0]"},
		{"EmptyPurpose", []access.Grant{{Role: access.Signer, Purposes: []string{""}}}, "grants[0].purposes[0]"},
		{"ManyNames", grant(access.Signer, slices.Repeat([]string{"a"}, access.MaxPatterns+1)...), "at most"},
		{"ManyGrants", slices.Repeat(grant(access.Signer), access.MaxGrants+1), "at most"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { invalid(t, access.CheckGrants(tt.grants, custom), tt.want) })
	}
}

func invalid(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("got %v, want no error", err)
		}
		return
	}
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want one of kind invalid with %q", err, want)
	}
}

// A refusal is the same for every key, so it does not tell which ones exist.
func TestAllowDoesNotNameTheKey(t *testing.T) {
	a := access.Allow(access.Caller{}, access.KeyRead, access.Target{Tenant: "t", Key: "a"})
	b := access.Allow(access.Caller{}, access.KeyRead, access.Target{Tenant: "t", Key: "b"})
	if a.Error() != b.Error() {
		t.Errorf("Allow: got %v and %v", a, b)
	}
}
