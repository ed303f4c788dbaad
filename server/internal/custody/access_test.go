package custody_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// operationsByAction are all operations with the one action that allows them.
var operationsByAction = []struct {
	name   string
	action access.Action
	run    func(context.Context, *house, access.Caller) error
}{
	{"Create", access.KeyCreate, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.Create(ctx, c, custody.CreateKey{Name: "new"})
		return err
	}},
	{"Import", access.KeyImport, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.Create(ctx, c, custody.CreateKey{Name: "new", Imported: true, Material: secret.Random(32)})
		return err
	}},
	{"OfferImport", access.KeyImport, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.OfferImport(ctx, c)
		return err
	}},
	{"OpenImport", access.KeyImport, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.OpenImport(ctx, c, "none", nil)
		return err
	}},
	{"Find", access.KeySign, func(_ context.Context, h *house, c access.Caller) error {
		_, err := h.Find(c, access.KeySign, "a")
		return err
	}},
	{"List", access.KeyRead, func(_ context.Context, h *house, c access.Caller) error {
		_, _, err := h.List(c, access.KeyRead, "", 10)
		return err
	}},
	{"Rotate", access.KeyRotate, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.Rotate(ctx, c, "a", 0, custody.Rotation{})
		return err
	}},
	{"SetSchedule", access.KeyRotate, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.SetSchedule(ctx, c, "a", 0, nil)
		return err
	}},
	{"Promote", access.KeyPromote, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.Promote(ctx, c, "a", 0, 1, "")
		return err
	}},
	{"Revoke", access.KeyRevoke, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.Revoke(ctx, c, "a", 0, 1, "")
		return err
	}},
	{"Retire", access.KeyRetire, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.Retire(ctx, c, "a", 0, 1, "")
		return err
	}},
	{"RestoreVersion", access.KeyRestore, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.RestoreVersion(ctx, c, "a", 0, 1, "")
		return err
	}},
	{"Restore", access.KeyRestore, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.Restore(ctx, c, "a", "")
		return err
	}},
	{"Destroy", access.KeyDestroy, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.Destroy(ctx, c, "a", 0, 1, "")
		return err
	}},
	{"CancelDestroy", access.KeyDestroy, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.CancelDestroy(ctx, c, "a", 0, 1, "")
		return err
	}},
	{"Delete", access.KeyDelete, func(ctx context.Context, h *house, c access.Caller) error { return h.Delete(ctx, c, "a", 0) }},
	{"Reveal", access.KeyReveal, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.Reveal(ctx, c, "a")
		return err
	}},
	{"Export", access.KeyExport, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.Export(ctx, c, "a", "none", 0, "")
		return err
	}},
	{"Lease", access.LeaseCreate, func(ctx context.Context, h *house, c access.Caller) error {
		_, _, err := h.Lease(ctx, c, "a", custody.LeaseTerms{TTL: time.Minute})
		return err
	}},
	{"Leases", access.LeaseRead, func(ctx context.Context, h *house, c access.Caller) error {
		_, _, err := h.Leases(ctx, c, "a", "", 10)
		return err
	}},
	{"FindLease", access.LeaseRead, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.FindLease(ctx, c, "a", "none")
		return err
	}},
	{"RevokeLease", access.LeaseRevoke, func(ctx context.Context, h *house, c access.Caller) error {
		return h.RevokeLease(ctx, c, "a", "none")
	}},
	{"VerifyLease", access.KeyVerify, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.VerifyLease(ctx, c, "a", "none", "", nil, nil)
		return err
	}},
	{"Recipients", access.RecipientRead, func(ctx context.Context, h *house, c access.Caller) error {
		_, err := h.Recipients(ctx, c)
		return err
	}},
	{"RemoveRecipient", access.RecipientRemove, func(ctx context.Context, h *house, c access.Caller) error {
		return h.RemoveRecipient(ctx, c, "none")
	}},
}

// TestActions lets callers do everything but one action, and nothing but it.
func TestActions(t *testing.T) {
	for _, tt := range operationsByAction {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			if _, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "a", Exportable: true}); err != nil {
				t.Fatal(err)
			}
			with := func(actions []access.Action) access.Caller {
				return access.NewCaller("c", tenant, access.Compile([]access.Grant{{Role: "r"}}, map[access.Role][]access.Action{"r": actions}))
			}
			all := slices.DeleteFunc(access.Actions(), func(a access.Action) bool { return a == tt.action })
			wantKind(t, "everything else", tt.run(t.Context(), h, with(all)), fault.Denied)
			if err := tt.run(t.Context(), h, with([]access.Action{tt.action})); fault.KindOf(err) == fault.Denied {
				t.Errorf("only %s: got %v", tt.action, err)
			}
		})
	}
}

// TestLimitedGrants holds who may use some keys only from all others, also in
// lists, and from knowing which of them exist.
func TestLimitedGrants(t *testing.T) {
	h := newHouse(t)
	for name, purpose := range map[string]string{"orders-eu": "webhook", "orders-us": "api", "bills": "webhook", "open": ""} {
		if _, err := h.Create(t.Context(), admin, custody.CreateKey{Name: name, Purpose: purpose}); err != nil {
			t.Fatal(err)
		}
	}
	limited := func(keys, purposes []string) access.Caller {
		return access.NewCaller("c", tenant, access.Compile([]access.Grant{{Role: access.Signer, Keys: keys, Purposes: purposes}}, nil))
	}
	for _, tt := range []struct {
		name   string
		caller access.Caller
		want   []string
		denied []string
	}{
		{"Names", limited([]string{"orders-*"}, nil), []string{"orders-eu", "orders-us"}, []string{"bills", "none", "orders"}},
		{"Purposes", limited(nil, []string{"webhook"}), []string{"bills", "orders-eu"}, []string{"orders-us", "open", "none"}},
		{"Both", limited([]string{"orders-*"}, []string{"webhook"}), []string{"orders-eu"}, []string{"orders-us", "bills", "orders-none"}},
		{"None", limited([]string{"x"}, nil), nil, []string{"open"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for after, more := "", true; more; more = after != "" {
				page, next, err := h.List(tt.caller, access.KeyRead, after, 1)
				if err != nil {
					t.Fatal(err)
				}
				for _, k := range page {
					got = append(got, k.Name)
				}
				after = next
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("List: got %v, want %v", got, tt.want)
			}
			for _, name := range tt.want {
				if _, err := h.Find(tt.caller, access.KeySign, name); err != nil {
					t.Errorf("Find %q: %v", name, err)
				}
			}
			for _, name := range tt.denied {
				_, err := h.Find(tt.caller, access.KeySign, name)
				wantKind(t, "Find "+name, err, fault.Denied)
			}
		})
	}
	if _, err := h.Find(limited([]string{"orders-*"}, nil), access.KeySign, "orders-none"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a key that could be used but is not there: got %v", err)
	}
}
