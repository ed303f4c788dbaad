package custody_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/store"
)

func (h *house) wantUses(t *testing.T, what string, want map[int]store.Use) {
	t.Helper()
	k, err := h.Get(tenant, "a")
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	got, err := h.Uses(t.Context(), k)
	for version, u := range want {
		u.Tenant, u.Name, u.Version = tenant, "a", version
		want[version] = u
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%s: Uses: %v (-want +got):\n%s", what, err, diff)
	}
}

func TestUses(t *testing.T) {
	h := newHouse(t)
	k := h.create(t, "a")
	h.wantUses(t, "new", map[int]store.Use{})
	sign := func(k *custody.Key) []byte {
		tag, _, err := k.Sign(nil, []byte("m"))
		if err != nil {
			t.Fatalf("Sign: %v", err)
		}
		return tag
	}
	tag := sign(k)
	first := start.Truncate(time.Microsecond)
	h.wantUses(t, "signed once", map[int]store.Use{1: {Count: 1, LastAt: first}})
	h.now = h.now.Add(time.Hour)
	k = h.rotate(t, "a") // the counters go on
	second := h.now.Truncate(time.Microsecond)
	k.Verify(tag, 0, []byte("m"))
	k.Verify(tag, 1, []byte("m"))
	if err := k.VerifySignature(k.Signature(tag, 1), []byte("m")); err != nil {
		t.Errorf("VerifySignature: %v", err)
	}
	k.Verify(tag, 0, []byte("another message"))
	sign(k)
	want := map[int]store.Use{1: {Count: 4, LastAt: second}, 2: {Count: 1, LastAt: second}}
	h.wantUses(t, "verified", want)
	for range 2 {
		if err := h.Flush(t.Context()); err != nil {
			t.Errorf("Flush: %v", err)
		}
	}
	h.wantUses(t, "stored", want)
	h.Service = h.open(t, h.store)
	h.wantUses(t, "read again", want)
}

// failing is a UseStore that is away.
type failing struct{ custody.UseStore }

func (failing) AddUses(context.Context, []store.Use) error { return errLost }

func TestFlushFails(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	h.with(t, func(o *custody.Options) { o.Uses = failing{h.store} })
	k, _ := h.Get(tenant, "a")
	if _, _, err := k.Sign(nil, []byte("m")); err != nil {
		t.Fatalf("Sign: %v", err)
	}
	if err := h.Flush(t.Context()); !errors.Is(err, errLost) {
		t.Errorf("Flush: got %v", err)
	}
	h.wantUses(t, "kept for the next time", map[int]store.Use{1: {Count: 1, LastAt: start.Truncate(time.Microsecond)}})
}

func TestFlushManyKeys(t *testing.T) {
	h := newHouse(t)
	for i := range store.MaxPuts + 5 {
		k := h.create(t, "k"+string(rune('a'+i%26))+strconv.Itoa(i))
		if _, _, err := k.Sign(nil, nil); err != nil {
			t.Fatalf("Sign: %v", err)
		}
	}
	if err := h.Flush(t.Context()); err != nil {
		t.Fatalf("Flush: %v", err)
	}
	keys, _, _ := h.List(admin, access.KeyRead, "", custody.MaxList)
	for _, k := range keys {
		if uses, err := h.store.Uses(t.Context(), tenant, k.Name); err != nil || len(uses) != 1 || uses[0].Count != 1 {
			t.Fatalf("%s: got %v, %v", k.Name, uses, err)
		}
	}
}
