package custody_test

import (
	"bytes"
	"testing"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

func TestSeal(t *testing.T) {
	h := newHouse(t)
	plain := secret.FromString("the secret of a credential")
	blob, err := h.Seal(t.Context(), "new", "a/b", plain)
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	if log := h.log(t); len(log) != 1 || log[0].Action != "datakey.create" || log[0].Tenant != "new" || log[0].Caller != "system" {
		t.Errorf("got entries %+v, want that of the data key", log)
	}
	if bytes.Contains(blob, plain.Expose()) {
		t.Error("the secret is not encrypted")
	}
	again := h.open(t, h.store)
	got, err := again.Open(t.Context(), "new", "a/b", blob)
	if err != nil || !bytes.Equal(got.Expose(), plain.Expose()) {
		t.Errorf("Open after a restart: got %v", err)
	}
	if _, err := again.Seal(t.Context(), "other", "a/b", plain); err != nil {
		t.Fatalf("Seal: %v", err)
	}
	for _, tt := range []struct {
		name, tenant, label string
		blob                []byte
	}{
		{"OtherTenant", "other", "a/b", blob},
		{"OtherName", "new", "a/c", blob},
		{"TenantWithoutDataKey", "nobody", "a/b", blob},
		{"Changed", "new", "a/b", append(bytes.Clone(blob[:len(blob)-1]), blob[len(blob)-1]^1)},
		{"Empty", "new", "a/b", nil},
	} {
		_, err := again.Open(t.Context(), tt.tenant, tt.label, tt.blob)
		wantKind(t, tt.name, err, fault.Internal)
	}
}

// A sealed secret opens whether the answer to the commit of the data key was
// lost or not; without a stored data key nothing is sealed.
func TestSealBroken(t *testing.T) {
	h := newHouse(t)
	h.store.Fail(memory.Fault{Err: errLost})
	if blob, err := h.Seal(t.Context(), "new", "a", secret.FromString("x")); err == nil || blob != nil {
		t.Errorf("not stored: got %v", err)
	}
	h.store.Fail(memory.Fault{Err: errLost, Apply: true})
	blob, err := h.Seal(t.Context(), "new", "a", secret.FromString("x"))
	if err != nil {
		t.Fatalf("stored but lost: got %v", err)
	}
	if _, err := h.open(t, h.store).Open(t.Context(), "new", "a", blob); err != nil {
		t.Errorf("Open: %v", err)
	}
}
