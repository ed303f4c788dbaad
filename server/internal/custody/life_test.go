package custody_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

func TestRotate(t *testing.T) {
	h := newHouse(t)
	before := h.create(t, "a")
	old, version, err := before.Sign(nil, []byte("message"))
	if err != nil || version != 1 {
		t.Fatalf("Sign: got version %d, %v", version, err)
	}
	h.now = h.now.Add(time.Hour)
	k := h.rotate(t, "a")
	if k.Signing != 2 || k.ETagVersion != 2 || k.ID != "a" || !k.CreatedAt.Equal(before.CreatedAt) {
		t.Errorf("Rotate: got signing %d, ETag version %d, ID %q, created at %v", k.Signing, k.ETagVersion, k.ID, k.CreatedAt)
	}
	created, rotated := start.Truncate(time.Microsecond), h.now.Truncate(time.Microsecond)
	want := []custody.VersionInfo{
		{Version: 1, State: keyring.Grace, CreatedAt: created, ActivatedAt: created, NotAfter: rotated.Add(custody.DefaultGrace), Bytes: 32},
		{Version: 2, State: keyring.Active, CreatedAt: rotated, ActivatedAt: rotated, Bytes: 32, Signs: true},
	}
	if diff := cmp.Diff(want, k.Versions); diff != "" {
		t.Errorf("Versions (-want +got):\n%s", diff)
	}
	tag, version, err := k.Sign(nil, []byte("message"))
	if err != nil || version != 2 || string(tag) == string(old) {
		t.Errorf("Sign after Rotate: got version %d, %v, the tag of version 1 again: %v", version, err, string(tag) == string(old))
	}
	for version, tag := range map[int][]byte{1: old, 2: tag} {
		for _, asked := range []int{0, version} {
			if got, ok := k.Verify(tag, asked, []byte("message")); !ok || got != version {
				t.Errorf("Verify of version %d asked for %d: got %d, %v", version, asked, got, ok)
			}
		}
		if _, ok := k.Verify(tag, 3-version, []byte("message")); ok {
			t.Errorf("Verify with version %d takes a tag of the other", 3-version)
		}
	}
	if len(before.Versions) != 1 || before.Signing != 1 {
		t.Errorf("Rotate changed a key that was handed out")
	}
	h.checkReopened(t)
}

func TestRotateMaterialBytes(t *testing.T) {
	h := newHouse(t)
	if _, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "a", Algorithm: "hmac-sha512"}); err != nil {
		t.Fatalf("Create: %v", err)
	}
	if k := h.rotate(t, "a"); k.Versions[1].Bytes != 64 {
		t.Errorf("Rotate of hmac-sha512: got a secret of %d bytes, want 64", k.Versions[1].Bytes)
	}
}

func TestRotateMaxVersions(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	for range custody.MaxVersions - 1 {
		h.rotate(t, "a")
	}
	_, err := h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{})
	wantKind(t, "Rotate of a full key", err, fault.Invalid)
	k, err := h.Get(tenant, "a")
	if err != nil || len(k.Versions) != custody.MaxVersions || k.Signing != custody.MaxVersions {
		t.Errorf("Get: got %d versions, %v", len(k.Versions), err)
	}
}

func TestPrecondition(t *testing.T) {
	operations := map[string]func(*house, int64) error{
		"Rotate": func(h *house, v int64) error {
			_, err := h.Rotate(t.Context(), admin, "a", v, custody.Rotation{})
			return err
		},
		"Delete": func(h *house, v int64) error { return h.Delete(t.Context(), admin, "a", v) },
	}
	for name, run := range operations {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.create(t, "a")
			h.rotate(t, "a")
			for _, stale := range []int64{1, 3, -1} {
				err := run(h, stale)
				wantKind(t, fmt.Sprintf("version %d", stale), err, fault.Conflict)
				if !errors.Is(err, custody.ErrPrecondition) {
					t.Errorf("version %d: got %v, want ErrPrecondition", stale, err)
				}
			}
			if n := len(h.log(t)); n != 5 { // data key, key, and three of the rotation
				t.Errorf("log has %d entries after refusals, want 5", n)
			}
			if err := run(h, 2); err != nil {
				t.Errorf("version 2: %v", err)
			}
			h.checkReopened(t)
		})
	}
}

func TestDelete(t *testing.T) {
	h := newHouse(t)
	k := h.create(t, "a")
	h.create(t, "b")
	tag, _, err := k.Sign(nil, []byte("m"))
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	if err := h.Delete(t.Context(), admin, "a", 0); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	_, err = h.Get(tenant, "a")
	wantKind(t, "Get", err, fault.NotFound)
	_, err = h.Rotate(t.Context(), admin, "a", 0, custody.Rotation{})
	wantKind(t, "Rotate", err, fault.NotFound)
	wantKind(t, "Delete again", h.Delete(t.Context(), admin, "a", 0), fault.NotFound)
	_, err = h.Reveal(t.Context(), admin, "a")
	wantKind(t, "Reveal", err, fault.NotFound)
	if keys, _, err := h.List(admin, access.KeyRead, "", 10); err != nil || len(keys) != 1 || keys[0].Name != "b" || h.Count() != 1 {
		t.Errorf("List: got %v, %v and Count %d, want only b", keys, err, h.Count())
	}
	if _, ok := k.Verify(tag, 0, []byte("m")); !ok {
		t.Errorf("a key that was handed out before changed")
	}
	h.checkReopened(t)
}

func TestNotFound(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	if _, err := h.Create(t.Context(), other, custody.CreateKey{Name: "theirs"}); err != nil {
		t.Fatalf("Create: %v", err)
	}
	for _, name := range []string{"b", "", "A", "a\x00", strings.Repeat("n", 100_000), "theirs"} {
		what := fmt.Sprintf("%.10q", name)
		_, err := h.Get(tenant, name)
		wantKind(t, "Get "+what, err, fault.NotFound)
		_, err = h.Rotate(t.Context(), admin, name, 0, custody.Rotation{})
		wantKind(t, "Rotate "+what, err, fault.NotFound)
		wantKind(t, "Delete "+what, h.Delete(t.Context(), admin, name, 0), fault.NotFound)
		_, err = h.Reveal(t.Context(), admin, name)
		wantKind(t, "Reveal "+what, err, fault.NotFound)
		if len(fault.Public(err)) > 200 {
			t.Errorf("Reveal %s: message of %d bytes", what, len(fault.Public(err)))
		}
	}
}

func TestReveal(t *testing.T) {
	h := newHouse(t)
	if _, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "a", Exportable: true}); err != nil {
		t.Fatalf("Create: %v", err)
	}
	k := h.rotate(t, "a")
	got, err := h.Reveal(t.Context(), admin, "a")
	if err != nil || len(got) != 2 {
		t.Fatalf("Reveal: got %d versions, %v", len(got), err)
	}
	for i, want := range secrets(k) {
		if got[i].Version != i+1 || string(got[i].Material.Expose()) != string(want.Expose()) {
			t.Errorf("Reveal: entry %d is version %d, or not its secret", i, got[i].Version)
		}
	}
	log := h.log(t)
	if e := log[len(log)-1]; e.Action != "key.reveal" || e.Reason != "" || e.Name != "a" || e.Caller != "admin" {
		t.Errorf("last entry: got %+v", e)
	}
	if k, _ := h.Get(tenant, "a"); k.ETagVersion != 2 {
		t.Errorf("Reveal changed the key: ETag version %d", k.ETagVersion)
	}
}

func TestRevealRefuses(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	got, err := h.Reveal(t.Context(), admin, "a")
	wantKind(t, "Reveal", err, fault.Denied)
	if got != nil {
		t.Errorf("Reveal: got %d versions", len(got))
	}
	log := h.log(t)
	if e := log[len(log)-1]; e.Action != "key.reveal" || !strings.Contains(e.Reason, "not exportable") || e.Name != "a" {
		t.Errorf("last entry: got %+v", e)
	}
}

func TestDenied(t *testing.T) {
	h := newHouse(t)
	if _, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "a", Exportable: true}); err != nil {
		t.Fatalf("Create: %v", err)
	}
	want := len(h.log(t))
	for name, run := range map[string]func(access.Caller) error{
		"Create": func(c access.Caller) error {
			_, err := h.Create(t.Context(), c, custody.CreateKey{Name: "b"})
			return err
		},
		"Rotate": func(c access.Caller) error {
			_, err := h.Rotate(t.Context(), c, "a", 0, custody.Rotation{})
			return err
		},
		"Delete": func(c access.Caller) error { return h.Delete(t.Context(), c, "a", 0) },
		"Reveal": func(c access.Caller) error { _, err := h.Reveal(t.Context(), c, "a"); return err },
		"Rewrap": func(c access.Caller) error { _, err := h.Rewrap(t.Context(), c); return err },
	} {
		wantKind(t, name+" by nobody", run(access.Caller{}), fault.Denied)
		wantKind(t, name+" without roles", run(access.Caller{ID: "c", Tenant: tenant}), fault.Denied)
		want++ // nobody has no name that could stand in an entry
		log := h.log(t)
		if e := log[len(log)-1]; len(log) != want || e.Reason == "" || e.Caller != "c" {
			t.Errorf("%s: got %d entries, the last %+v, want %d", name, len(log), e, want)
		}
	}
	_, err := h.Rewrap(t.Context(), other)
	wantKind(t, "Rewrap by an administrator of a tenant", err, fault.Denied)
	if k, err := h.Get(tenant, "a"); err != nil || k.ETagVersion != 1 || h.Count() != 1 {
		t.Errorf("after refusals: got %v and %d keys", err, h.Count())
	}
}

func TestList(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"e", "a", "d", "b", "c"} {
		h.create(t, name)
	}
	if err := h.Delete(t.Context(), admin, "c", 0); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	if _, err := h.Create(t.Context(), other, custody.CreateKey{Name: "aa"}); err != nil {
		t.Fatalf("Create: %v", err)
	}
	for _, s := range []*custody.Service{h.Service, h.open(t, h.store)} {
		for _, tt := range []struct {
			after string
			limit int
			want  string
			next  string
		}{
			{"", 2, "ab", "b"}, {"b", 1, "d", "d"}, {"b", 2, "de", ""}, {"c", 5, "de", ""}, {"e", 1, "", ""},
			{"", 4, "abde", ""}, {"", 3, "abd", "d"}, {"aaa", 1, "b", "b"}, {"\xff", 1, "", ""},
		} {
			keys, next, err := s.List(admin, access.KeyRead, tt.after, tt.limit)
			var got strings.Builder
			for _, k := range keys {
				got.WriteString(k.Name)
			}
			if err != nil || got.String() != tt.want || next != tt.next {
				t.Errorf("List(%q, %d): got %q, next %q, %v, want %q, %q", tt.after, tt.limit, got.String(), next, err, tt.want, tt.next)
			}
		}
	}
	for _, limit := range []int{-1, 0, custody.MaxList + 1} {
		_, _, err := h.List(admin, access.KeyRead, "", limit)
		wantKind(t, fmt.Sprintf("limit %d", limit), err, fault.Invalid)
	}
	if keys, next, err := h.List(access.TenantAdministrator("n", "nobody"), access.KeyRead, "", 10); err != nil || len(keys) != 0 || next != "" {
		t.Errorf("List of no tenant: got %v, %q, %v", keys, next, err)
	}
}

func TestEntries(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	h.rotate(t, "a")
	if err := h.Delete(t.Context(), admin, "a", 0); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	at := start.Truncate(time.Microsecond)
	dataKey, key := h.record(t, "", "datakey", tenant), h.record(t, tenant, "key", "a")
	want := []store.Entry{
		{Seq: 1, Action: "datakey.create", Kind: "datakey", RecordID: dataKey.ID, Name: tenant},
		{Seq: 2, Action: "key.create", Kind: "key", RecordID: key.ID, Name: "a",
			Detail: []byte(`{"algorithm":"hmac-sha256","exportable":false,"key_id":"a","origin":"generated","version":1}`)},
		{Seq: 3, Action: "version.add", Kind: "key", RecordID: key.ID, Name: "a", Detail: []byte(`{"to":"pending","version":2}`)},
		{Seq: 4, Action: "version.promote", Kind: "key", RecordID: key.ID, Name: "a", Detail: []byte(`{"from":"pending","to":"active","version":2}`)},
		{Seq: 5, Action: "version.supersede", Kind: "key", RecordID: key.ID, Name: "a", Detail: []byte(`{"from":"active","to":"grace","version":1}`)},
		{Seq: 6, Action: "key.delete", Kind: "key", RecordID: key.ID, Name: "a"},
	}
	for i := range want {
		want[i].At, want[i].Tenant, want[i].Caller = at, tenant, "admin"
	}
	if diff := cmp.Diff(want, h.log(t)); diff != "" {
		t.Errorf("Tail (-want +got):\n%s", diff)
	}
}
