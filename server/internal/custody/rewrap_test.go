package custody_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// rotatedHouse has keys in two tenants, and a new root key that nothing is
// wrapped with yet. It returns the IDs of the old and the new one.
func rotatedHouse(t *testing.T) (h *house, old, id string) {
	t.Helper()
	h = newHouse(t)
	h.create(t, "a")
	if _, err := h.Create(t.Context(), other, custody.CreateKey{Name: "a"}); err != nil {
		t.Fatalf("Create: %v", err)
	}
	old = h.wrapper.KeyID()
	id, err := local.Add(h.root)
	if err != nil {
		t.Fatalf("Add: %v", err)
	}
	if err := h.wrapper.Reload(); err != nil {
		t.Fatalf("Reload: %v", err)
	}
	return h, old, id
}

func (h *house) checkWrapped(t *testing.T, want map[string]string) {
	t.Helper()
	for name, id := range want {
		if got := document(t, h.record(t, "", "datakey", name))["root_key_id"]; got != id {
			t.Errorf("data key of %s is wrapped with %v, want %s", name, got, id)
		}
	}
}

// The root key is rotated while keys sign.
func TestRewrap(t *testing.T) {
	h, old, id := rotatedHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for ctx.Err() == nil && !t.Failed() {
				k, err := h.Get(tenant, "a")
				if err != nil {
					t.Errorf("Get: %v", err)
					return
				}
				if _, _, err := k.Sign(nil, []byte("m")); err != nil {
					t.Errorf("Sign: %v", err)
				}
			}
		})
	}
	n, err := h.Rewrap(t.Context(), admin)
	cancel()
	group.Wait()
	if n != 2 || err != nil {
		t.Errorf("Rewrap: got %d, %v, want 2", n, err)
	}
	h.checkWrapped(t, map[string]string{tenant: id, other.Tenant: id})
	log := h.log(t)
	if e := log[len(log)-1]; e.Action != "root.rewrap" || string(e.Detail) != fmt.Sprintf(`{"from":%q,"to":%q}`, old, id) {
		t.Errorf("last entry: got %+v", e)
	}
	if n, err := h.Rewrap(t.Context(), admin); n != 0 || err != nil || len(h.log(t)) != len(log) {
		t.Errorf("Rewrap again: got %d, %v and %d new entries", n, err, len(h.log(t))-len(log))
	}
	dropOldRootKey(t, h)
	h.rotate(t, "a")
	h.checkReopened(t)
}

func TestRewrapUnderTheSameRootKey(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	if n, err := h.Rewrap(t.Context(), admin); n != 0 || err != nil {
		t.Errorf("Rewrap: got %d, %v", n, err)
	}
}

// A rotation that breaks half-way leaves every data key under one root key or
// the other, and can be repeated.
func TestRewrapBreaksHalfWay(t *testing.T) {
	h, old, id := rotatedHouse(t)
	h.store.Fail(memory.Fault{}, memory.Fault{Err: errLost}) // the first works
	n, err := h.Rewrap(t.Context(), admin)
	if n != 1 || !errors.Is(err, errLost) {
		t.Errorf("Rewrap: got %d, %v, want 1, %v", n, err, errLost)
	}
	h.checkWrapped(t, map[string]string{tenant: id, other.Tenant: old})
	h.checkReopened(t)
	if n, err := h.Rewrap(t.Context(), admin); n != 1 || err != nil {
		t.Errorf("Rewrap again: got %d, %v, want 1", n, err)
	}
	h.checkWrapped(t, map[string]string{tenant: id, other.Tenant: id})
	dropOldRootKey(t, h)
	h.checkReopened(t)
}

// Two processes wrap again at the same time: each data key is done by one.
func TestRewrapOvertaken(t *testing.T) {
	h, _, id := rotatedHouse(t)
	second := &overtaken{Store: h.store, times: 1, by: func() {
		if n, err := h.Rewrap(t.Context(), admin); n != 2 || err != nil {
			t.Errorf("Rewrap by the faster one: got %d, %v, want 2", n, err)
		}
	}}
	s := h.open(t, second)
	if n, err := s.Rewrap(t.Context(), admin); n != 0 || err != nil {
		t.Errorf("Rewrap by the slower one: got %d, %v, want 0", n, err)
	}
	h.checkWrapped(t, map[string]string{tenant: id, other.Tenant: id})
	h.checkReopened(t)
}

func TestRewrapConflictWithoutEnd(t *testing.T) {
	h, old, _ := rotatedHouse(t)
	st := &blind{Store: h.store}
	s := h.open(t, st)
	st.commit = fault.New(fault.Conflict, "somebody was faster")
	n, err := s.Rewrap(t.Context(), admin)
	wantKind(t, "Rewrap", err, fault.Conflict)
	if n != 0 {
		t.Errorf("Rewrap: got %d, want 0", n)
	}
	h.checkWrapped(t, map[string]string{tenant: old, other.Tenant: old})
}

// With the wrong root keys at hand nothing is wrapped again.
func TestRewrapWithoutTheOldRootKey(t *testing.T) {
	h, old, _ := rotatedHouse(t)
	dropOldRootKey(t, h)
	n, err := h.Rewrap(t.Context(), admin)
	wantKind(t, "Rewrap", err, fault.Unavailable)
	if n != 0 {
		t.Errorf("Rewrap: got %d, want 0", n)
	}
	h.checkWrapped(t, map[string]string{tenant: old, other.Tenant: old})
}

// Only operators see and wrap root keys; what is done already costs no call of
// the key service.
func TestRootKeysOfOperators(t *testing.T) {
	h, old, id := rotatedHouse(t)
	for name, c := range map[string]access.Caller{"TenantAdministrator": access.TenantAdministrator("a", tenant), "Nobody": {ID: "c", Tenant: tenant}} {
		_, err := h.RootKeys(t.Context(), c)
		wantKind(t, name+": RootKeys", err, fault.Denied)
		_, err = h.Rewrap(t.Context(), c)
		wantKind(t, name+": Rewrap", err, fault.Denied)
		wantKind(t, name+": AllowRewrap", h.AllowRewrap(t.Context(), c), fault.Denied)
	}
	check := func(want ...custody.RootKeyUse) {
		t.Helper()
		got, err := h.RootKeys(t.Context(), admin)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("RootKeys: %v (-want +got):\n%s", err, diff)
		}
	}
	check(custody.RootKeyUse{RootKeyID: old, DataKeys: 2})
	counted := &countedWrapper{Wrapper: h.wrapper}
	o := h.options(h.store)
	o.Wrapper = counted
	s, err := custody.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ n, wraps int }{{2, 2}, {0, 1}} { // the one finds out which root key wraps
		counted.wraps = 0
		if n, err := s.Rewrap(t.Context(), admin); n != want.n || counted.wraps != want.wraps || err != nil {
			t.Errorf("Rewrap: got %d with %d calls, %v, want %d with %d", n, counted.wraps, err, want.n, want.wraps)
		}
	}
	check(custody.RootKeyUse{RootKeyID: id, DataKeys: 2})
}

type countedWrapper struct {
	custody.Wrapper
	wraps int
}

func (w *countedWrapper) Wrap(ctx context.Context, plain secret.Bytes, aad []byte) ([]byte, string, error) {
	w.wraps++
	return w.Wrapper.Wrap(ctx, plain, aad)
}
