package custody_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/sqlite"
)

// dump is everything in the store.
func (h *house) dump(t *testing.T) []any {
	t.Helper()
	var all []any
	for _, tenant := range []string{"", tenant, other.Tenant} {
		for _, kind := range []string{"key", "datakey"} {
			page, err := h.store.List(t.Context(), tenant, kind, "", store.MaxList)
			if err != nil {
				t.Fatalf("List: %v", err)
			}
			all = append(all, page)
		}
	}
	return append(all, h.log(t))
}

func TestOpenRefuses(t *testing.T) {
	swap := func(field string, from, to int) func(*testing.T, *house) {
		return func(t *testing.T, h *house) {
			h.edit(t, tenant, "key", "a", func(doc map[string]any) {
				versionOf(doc, from)[field] = versionOf(doc, to)[field]
			})
		}
	}
	flip := func(doc map[string]any, field string) {
		b, err := base64.StdEncoding.DecodeString(doc[field].(string))
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)-1] ^= 1
		doc[field] = b
	}
	set := func(kind, field string, value any) func(*testing.T, *house) {
		return func(t *testing.T, h *house) {
			owner, name := tenant, "a"
			if kind == "datakey" {
				owner, name = "", tenant
			}
			h.edit(t, owner, kind, name, func(doc map[string]any) { doc[field] = value })
		}
	}
	tests := []struct {
		name   string
		damage func(*testing.T, *house)
		want   string
	}{
		{"CiphertextOfAnotherVersion", swap("ciphertext", 0, 1), "version 1 does not decrypt"},
		{"CiphertextOfAnotherKey", func(t *testing.T, h *house) {
			theirs := versionOf(document(t, h.record(t, tenant, "key", "b")), 0)["ciphertext"]
			h.edit(t, tenant, "key", "a", func(doc map[string]any) { versionOf(doc, 0)["ciphertext"] = theirs })
		}, "version 1 does not decrypt"},
		{"CiphertextOfAnotherTenant", func(t *testing.T, h *house) {
			theirs := versionOf(document(t, h.record(t, other.Tenant, "key", "a")), 0)["ciphertext"]
			h.edit(t, tenant, "key", "a", func(doc map[string]any) { versionOf(doc, 0)["ciphertext"] = theirs })
		}, "version 1 does not decrypt"},
		{"CiphertextChanged", func(t *testing.T, h *house) {
			h.edit(t, tenant, "key", "a", func(doc map[string]any) { flip(versionOf(doc, 1), "ciphertext") })
		}, "version 2 does not decrypt"},
		{"CiphertextTooShort", func(t *testing.T, h *house) {
			h.edit(t, tenant, "key", "a", func(doc map[string]any) { versionOf(doc, 0)["ciphertext"] = "AAAA" })
		}, "version 1 does not decrypt"},
		{"DataKeyOfAnotherTenant", func(t *testing.T, h *house) {
			theirs := document(t, h.record(t, "", "datakey", other.Tenant))["wrapped"]
			h.edit(t, "", "datakey", tenant, func(doc map[string]any) { doc["wrapped"] = theirs })
		}, "the blob was changed or belongs elsewhere"},
		{"DataKeyChanged", func(t *testing.T, h *house) {
			h.edit(t, "", "datakey", tenant, func(doc map[string]any) { flip(doc, "wrapped") })
		}, "the blob was changed or belongs elsewhere"},
		{"OtherRootKey", set("datakey", "root_key_id", "0123456789abcdef"), "the store was made with 0123456789abcdef"},
		{"DocumentOfAnotherKey", set("key", "name", "b"), `its document is that of key "b"`},
		{"UnknownMember", set("key", "extra", 1), "unknown field"},
		{"LegacyAlgorithm", set("key", "algorithm", "hmac-sha1"), "hmac-sha1 does not sign"},
		{"UnknownAlgorithm", set("key", "algorithm", "none"), "unknown algorithm"},
		{"BadKeyID", set("key", "key_id", "a, b"), "key ID"},
		{"NoVersions", set("key", "versions", []any{}), "version 2, which signs, does not exist"},
		{"SigningDoesNotExist", set("key", "signing", 3), "version 3, which signs, does not exist"},
		{"VersionTwice", swap("version", 1, 0), "version 1 stands after version 1"},
		{"VersionZero", func(t *testing.T, h *house) {
			h.edit(t, tenant, "key", "a", func(doc map[string]any) { versionOf(doc, 0)["version"] = 0 })
		}, "version 0 stands after version 0"},
		{"NewerKeyFormat", func(t *testing.T, h *house) {
			r := h.record(t, tenant, "key", "a")
			r.Format = 4
			h.put(t, r)
		}, `key "a" has format 4, this version of sealwright knows up to 3`},
		{"NewerDataKeyFormat", func(t *testing.T, h *house) {
			r := h.record(t, "", "datakey", tenant)
			r.Format = 2
			h.put(t, r)
		}, `datakey "default" has format 2, this version of sealwright knows up to 1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.create(t, "a")
			k := h.rotate(t, "a")
			b := h.create(t, "b")
			theirs, err := h.Create(t.Context(), other, custody.CreateKey{Name: "a"})
			if err != nil {
				t.Fatalf("Create: %v", err)
			}
			tt.damage(t, h)
			before := h.dump(t)
			_, err = custody.Open(t.Context(), h.options(h.store))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Open: got %v, want %q in it", err, tt.want)
			}
			for _, k := range []*custody.Key{k, b, theirs} {
				for _, s := range secrets(k) {
					for _, form := range forms(s) {
						if bytes.Contains([]byte(err.Error()), form) {
							t.Errorf("Open: the error shows a secret")
						}
					}
				}
			}
			if diff := cmp.Diff(before, h.dump(t)); diff != "" {
				t.Errorf("Open changed the store (-before +after):\n%s", diff)
			}
		})
	}
}

func TestOpenDataKeyMissing(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	key := h.record(t, tenant, "key", "a")
	lost := newHouse(t)
	key.Version = 0
	lost.put(t, key)
	_, err := custody.Open(t.Context(), lost.options(lost.store))
	wantKind(t, "Open", err, fault.Internal)
	_, err = lost.Create(t.Context(), admin, custody.CreateKey{Name: "b"})
	wantKind(t, "Create, which would make another data key,", err, fault.Internal)
	if _, err := lost.store.Load(t.Context(), "", "datakey", tenant); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Load of the data key: got %v, want kind not found", err)
	}
}

func TestOpenWithoutParts(t *testing.T) {
	h := newHouse(t)
	for name, o := range map[string]custody.Options{"Store": {Wrapper: h.wrapper}, "Wrapper": {Store: h.store}} {
		if _, err := custody.Open(t.Context(), o); err == nil {
			t.Errorf("Open without %s: got no error", name)
		}
	}
}

func TestOpenManyKeys(t *testing.T) {
	h := newHouse(t)
	for i := range store.MaxList + 1 { // one more than a page of the store
		h.create(t, strings.Repeat("a", i%7+1)+"-"+strings.Repeat("b", i/7%100+1)+"-"+strings.Repeat("c", i/700+1))
	}
	if got := h.open(t, h.store).Count(); got != store.MaxList+1 {
		t.Errorf("Count after Open: got %d, want %d", got, store.MaxList+1)
	}
}

// A start with a wrong or missing root key says so and leaves every byte of the
// database file as it is.
func TestWrongRootKey(t *testing.T) {
	dir := t.TempDir()
	path, root := filepath.Join(dir, "s.db"), filepath.Join(dir, "root.key")
	h := newHouse(t)
	made := serve(t, h, path, func(s *custody.Service) {
		if _, err := s.Create(t.Context(), admin, custody.CreateKey{Name: "a"}); err != nil {
			t.Fatalf("Create: %v", err)
		}
	})
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := local.LoadOrCreate(root, nil)
	if err != nil {
		t.Fatalf("LoadOrCreate: %v", err)
	}
	st, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	_, err = custody.Open(t.Context(), custody.Options{Store: st, Wrapper: wrong})
	want := "root key in " + root + " has id " + wrong.KeyID() + ", the store was made with " + h.wrapper.KeyID()
	if err == nil || !strings.Contains(fault.Public(err), want) {
		t.Errorf("Open with a wrong root key: got %v, want %q in it", err, want)
	}
	uses, err := custody.CountRootKeys(t.Context(), st)
	if diff := cmp.Diff([]custody.RootKeyUse{{RootKeyID: h.wrapper.KeyID(), DataKeys: 1}}, uses); diff != "" || err != nil {
		t.Errorf("CountRootKeys: %v (-want +got):\n%s", err, diff)
	}
	used := []string{h.wrapper.KeyID()}
	missing := filepath.Join(dir, "missing.key")
	_, err = local.LoadOrCreate(missing, used)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(fault.Public(err), "is missing, the store was made with root key "+h.wrapper.KeyID()) {
		t.Errorf("LoadOrCreate of a missing root key: got %v", err)
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LoadOrCreate made a root key that opens nothing")
	}
	if err := st.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Errorf("the database file has changed")
	}
	serve(t, h, path, func(s *custody.Service) {
		if diff := cmp.Diff(made, describe(t, s, tenant)); diff != "" {
			t.Errorf("keys with the right root key (-made +got):\n%s", diff)
		}
	})
}

// serve opens the SQLite store at path, runs f on a service over it, and
// closes it. It returns the keys that were there at the end.
func serve(t *testing.T, h *house, path string, f func(*custody.Service)) []description {
	t.Helper()
	st, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	s := h.open(t, st)
	f(s)
	return describe(t, s, tenant)
}

func TestCountRootKeysOfAnEmptyStore(t *testing.T) {
	h := newHouse(t)
	if got, err := custody.CountRootKeys(t.Context(), h.store); len(got) != 0 || err != nil {
		t.Errorf("CountRootKeys: got %v, %v", got, err)
	}
}

// At rest, neither the database nor its log holds a secret in any form.
func TestAtRest(t *testing.T) {
	dir := t.TempDir()
	h := newHouse(t)
	var all []*custody.Key
	serve(t, h, filepath.Join(dir, "s.db"), func(s *custody.Service) {
		for _, in := range []custody.CreateKey{
			{Name: "generated", Exportable: true},
			{Name: "imported", Material: secretOf("an imported secret, found easily")},
			{Name: "deleted", Material: secretOf("a secret of a deleted key, found easily")},
		} {
			if _, err := s.Create(t.Context(), admin, in); err != nil {
				t.Fatalf("Create: %v", err)
			}
			k, err := s.Rotate(t.Context(), admin, in.Name, 0, custody.Rotation{})
			if err != nil {
				t.Fatalf("Rotate: %v", err)
			}
			all = append(all, k)
		}
		if _, err := s.Reveal(t.Context(), admin, "generated"); err != nil {
			t.Fatalf("Reveal: %v", err)
		}
		if err := s.Delete(t.Context(), admin, "deleted", 0); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		search(t, dir, all) // also the WAL, while the store is open
	})
	search(t, dir, all)
}

// search fails if a file in dir holds a secret, and if it does not hold the
// name of each key, for then it would look in the wrong place.
func search(t *testing.T, dir string, keys []*custody.Key) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, b...)
	}
	for _, k := range keys {
		if !bytes.Contains(text, []byte(k.Name)) {
			t.Errorf("no file holds the name of key %q", k.Name)
		}
		for _, s := range secrets(k) {
			for _, form := range forms(s) {
				if bytes.Contains(text, form) {
					t.Errorf("a file holds a secret of key %q", k.Name)
				}
			}
		}
	}
}

// TestOpenRefusesStates has documents whose states cannot be.
func TestOpenRefusesStates(t *testing.T) {
	for name, change := range map[string]func(doc map[string]any){
		"UnknownState":        func(doc map[string]any) { versionOf(doc, 0)["state"] = "sleeping" },
		"NoState":             func(doc map[string]any) { delete(versionOf(doc, 0), "state") },
		"TwoSign":             func(doc map[string]any) { versionOf(doc, 0)["state"] = "active" },
		"NoneSigns":           func(doc map[string]any) { versionOf(doc, 1)["state"] = "grace" },
		"DestroyedHasSecret":  func(doc map[string]any) { versionOf(doc, 0)["state"] = "destroyed" },
		"RetiredHasNoSecret":  func(doc map[string]any) { v := versionOf(doc, 0); v["state"] = "retired"; delete(v, "ciphertext") },
		"RevokedDoesNotOpen":  func(doc map[string]any) { v := versionOf(doc, 0); v["state"] = "revoked"; v["ciphertext"] = "AAAA" },
		"SigningWasDestroyed": func(doc map[string]any) { v := versionOf(doc, 1); v["state"] = "destroyed"; delete(v, "ciphertext") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.create(t, "a")
			h.rotate(t, "a")
			h.edit(t, tenant, "key", "a", change)
			_, err := custody.Open(t.Context(), h.options(h.store))
			wantKind(t, "Open", err, fault.Internal)
			if err != nil && !strings.Contains(err.Error(), `key "a" of default is damaged`) {
				t.Errorf("got %v", err)
			}
		})
	}
}
