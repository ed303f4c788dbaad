package custody_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
)

func TestCreate(t *testing.T) {
	bytes := func(n int) secret.Bytes { return secret.FromString(strings.Repeat("k", n)) }
	tests := []struct {
		name      string
		in        custody.CreateKey
		id        string
		algorithm mac.Algorithm
		bytes     int
	}{
		{"Defaults", custody.CreateKey{Name: "a"}, "a", mac.SHA256, 32},
		{"KeyID", custody.CreateKey{Name: "a", KeyID: "Key_1~.-"}, "Key_1~.-", mac.SHA256, 32},
		{"SHA384", custody.CreateKey{Name: "a", Algorithm: "hmac-sha384"}, "a", mac.SHA384, 64},
		{"SHA512", custody.CreateKey{Name: "a", Algorithm: "hmac-sha512"}, "a", mac.SHA512, 64},
		{"SHA512-256", custody.CreateKey{Name: "a", Algorithm: "hmac-sha512-256"}, "a", mac.SHA512_256, 32},
		{"SHA3-256", custody.CreateKey{Name: "a", Algorithm: "hmac-sha3-256"}, "a", mac.SHA3_256, 32},
		{"ShortestImport", custody.CreateKey{Name: "a", Imported: true, Material: bytes(14)}, "a", mac.SHA256, 14},
		{"ImportedIsImplied", custody.CreateKey{Name: "a", Material: bytes(20)}, "a", mac.SHA256, 20},
		{"WeakAllowed", custody.CreateKey{Name: "a", Material: bytes(1), AllowWeak: true}, "a", mac.SHA256, 1},
		{"LongestImport", custody.CreateKey{Name: "a", Material: bytes(custody.MaxMaterial)}, "a", mac.SHA256, custody.MaxMaterial},
		{"LongestName", custody.CreateKey{Name: strings.Repeat("n", 128)}, strings.Repeat("n", 128), mac.SHA256, 32},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			tt.in.Exportable = true
			k, err := h.Create(t.Context(), admin, tt.in)
			if err != nil {
				t.Fatalf("Create: %v", err)
			}
			at := start.Truncate(time.Microsecond)
			want := description{
				Tenant: tenant, Name: tt.in.Name, ID: tt.id, Algorithm: tt.algorithm.String(), Exportable: true,
				CreatedAt: at, ETag: 1, Signing: 1,
				Versions: []custody.VersionInfo{{Version: 1, State: keyring.Active, CreatedAt: at, ActivatedAt: at, Signs: true, Bytes: tt.bytes}},
			}
			got := describe(t, h.Service, tenant)[0]
			got.Tags = nil
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("List (-want +got):\n%s", diff)
			}
			if shown, err := h.Get(tenant, tt.in.Name); shown != k || err != nil {
				t.Errorf("Get: got %p, %v, want what Create returned", shown, err)
			}
			if tt.in.Material.Len() > 0 && string(secrets(k)[0].Expose()) != string(tt.in.Material.Expose()) {
				t.Errorf("the key has not the imported secret")
			}
			h.checkReopened(t)
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	material := secret.FromString("0123456789abcdef")
	tests := []struct {
		name string
		in   custody.CreateKey
		want string // in the message
	}{
		{"NoName", custody.CreateKey{}, "name"},
		{"UpperCaseName", custody.CreateKey{Name: "A"}, "name"},
		{"NameBeginsWithDot", custody.CreateKey{Name: ".a"}, "name"},
		{"NameBeginsWithHyphen", custody.CreateKey{Name: "-a"}, "name"},
		{"NameWithSlash", custody.CreateKey{Name: "a/b"}, "name"},
		{"NameWithNewline", custody.CreateKey{Name: "a\n"}, "name"},
		{"NameWithNUL", custody.CreateKey{Name: "a\x00"}, "name"},
		{"NameNotASCII", custody.CreateKey{Name: "ä"}, "name"},
		{"NameTooLong", custody.CreateKey{Name: strings.Repeat("n", 129)}, "name: got 129 bytes"},
		{"KeyIDWithComma", custody.CreateKey{Name: "a", KeyID: "a,b"}, "key_id"},
		{"KeyIDWithBlank", custody.CreateKey{Name: "a", KeyID: "a b"}, "key_id"},
		{"KeyIDTooLong", custody.CreateKey{Name: "a", KeyID: strings.Repeat("k", 129)}, "key_id: got 129 bytes"},
		{"UnknownAlgorithm", custody.CreateKey{Name: "a", Algorithm: "none"}, "algorithm: unknown"},
		{"AlgorithmInUpperCase", custody.CreateKey{Name: "a", Algorithm: "HMAC-SHA256"}, "algorithm: unknown"},
		{"SHA1", custody.CreateKey{Name: "a", Algorithm: "hmac-sha1", Material: material}, "hmac-sha1 is for verifying only"},
		{"MD5", custody.CreateKey{Name: "a", Algorithm: "hmac-md5"}, "hmac-md5 is for verifying only"},
		{"A01-EmptyMaterial", custody.CreateKey{Name: "a", Imported: true}, "material: empty"},
		{"A01-EmptyMaterialAllowWeak", custody.CreateKey{Name: "a", Imported: true, AllowWeak: true}, "material: empty"},
		{"WeakMaterial", custody.CreateKey{Name: "a", Material: secret.FromString("0123456789abc")}, "got 13 bytes, want at least 14"},
		{"MaterialTooLong", custody.CreateKey{Name: "a", Material: secret.New(make([]byte, custody.MaxMaterial+1))}, "got 4097 bytes, want at most 4096"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			_, err := h.Create(t.Context(), admin, tt.in)
			wantKind(t, "Create", err, fault.Invalid)
			if got := fault.Public(err); !strings.Contains(got, tt.want) || strings.Contains(got, "0123456789abc") {
				t.Errorf("Create: got message %q, want %q in it and no secret", got, tt.want)
			}
			if log := h.log(t); h.Count() != 0 || len(log) != 0 {
				t.Errorf("after the refusal: got %d keys and entries %v", h.Count(), log)
			}
		})
	}
}

func TestCreateNameTaken(t *testing.T) {
	h := newHouse(t)
	first := h.create(t, "a")
	_, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "a"})
	wantKind(t, "Create again", err, fault.Conflict)
	if k, err := h.Get(tenant, "a"); k != first || err != nil {
		t.Errorf("Get: got %p, %v, want the first key", k, err)
	}
	if err := h.Delete(t.Context(), admin, "a", 0); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	_, err = h.Create(t.Context(), admin, custody.CreateKey{Name: "a"})
	wantKind(t, "Create of a deleted name", err, fault.Conflict)
	if _, err := h.Create(t.Context(), other, custody.CreateKey{Name: "a"}); err != nil {
		t.Errorf("Create in another tenant: %v", err)
	}
	h.checkReopened(t)
}

// Two processes on one store do not see each other's snapshot.
func TestCreateNameTakenElsewhere(t *testing.T) {
	h := newHouse(t)
	second := h.open(t, h.store)
	k := h.create(t, "a")
	_, err := second.Create(t.Context(), admin, custody.CreateKey{Name: "a"})
	wantKind(t, "Create", err, fault.Conflict)
	got, err := second.Get(tenant, "a")
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if diff := cmp.Diff(hexes(k), hexes(got)); diff != "" {
		t.Errorf("secret in the other service differs")
	}
	if _, err := second.Create(t.Context(), admin, custody.CreateKey{Name: "b"}); err != nil {
		t.Errorf("Create with the data key of the other service: %v", err)
	}
}

func hexes(k *custody.Key) []string {
	var all []string
	for _, s := range secrets(k) {
		all = append(all, hex.EncodeToString(s.Expose()))
	}
	return all
}

func TestCreateIsRandom(t *testing.T) {
	h := newHouse(t)
	seen := map[string]bool{}
	for _, name := range []string{"a", "b", "c"} {
		h.create(t, name)
		for _, s := range hexes(h.rotate(t, name)) {
			if seen[s] {
				t.Errorf("a secret was made twice")
			}
			seen[s] = true
		}
	}
}
