package custody_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// RFC 4231, test case 2.
const (
	jefeMessage = "what do ya want for nothing?"
	jefeTag     = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	jefeForm    = "HMAC-SHA256=W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=, keyId=jefe.1, version=1"
)

func jefe(t *testing.T, h *house) *custody.Key {
	t.Helper()
	k, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "jefe", KeyID: "jefe.1", Material: secretOf("Jefe"), AllowWeak: true})
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return k
}

func TestSignKnownAnswer(t *testing.T) {
	k := jefe(t, newHouse(t))
	for _, parts := range [][]string{{jefeMessage}, {jefeMessage[:5], "", jefeMessage[5:]}} {
		var message [][]byte
		for _, p := range parts {
			message = append(message, []byte(p))
		}
		tag, version, err := k.Sign([]byte("x"), message...)
		if err != nil || version != 1 || tag[0] != 'x' || hex.EncodeToString(tag[1:]) != jefeTag {
			t.Errorf("Sign(x, %q): got %x, version %d, %v", parts, tag, version, err)
		}
	}
	tag, _ := hex.DecodeString(jefeTag)
	if got := k.Signature(tag, 1).String(); got != jefeForm {
		t.Errorf("Signature: got %s, want %s", got, jefeForm)
	}
}

func TestVerify(t *testing.T) {
	k := jefe(t, newHouse(t))
	full, _ := hex.DecodeString(jefeTag)
	changed := append([]byte{full[0] ^ 1}, full[1:]...)
	tests := []struct {
		name    string
		tag     []byte
		version int
		message string
		ok      bool
		want    int
	}{
		{"Named", full, 1, jefeMessage, true, 1},
		{"AnyVersion", full, 0, jefeMessage, true, 1},
		{"OtherMessage", full, 1, jefeMessage + " ", false, 1},
		{"OtherMessageAnyVersion", full, 0, "", false, 0},
		{"NoSuchVersion", full, 2, jefeMessage, false, 2},
		{"NegativeVersion", full, -1, jefeMessage, false, -1},
		{"A02-NoTag", nil, 1, jefeMessage, false, 1},
		{"A02-NoTagAnyVersion", nil, 0, jefeMessage, false, 0},
		{"A03-Longer", append(full[:32:32], 0), 0, jefeMessage, false, 0},
		{"Changed", changed, 0, jefeMessage, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := k.Verify(tt.tag, tt.version, []byte(tt.message)); got != tt.want || ok != tt.ok {
				t.Errorf("Verify: got version %d, %v, want %d, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
	for n := range full {
		if _, ok := k.Verify(full[:n], 0, []byte(jefeMessage)); ok {
			t.Errorf("A03: Verify takes a tag of %d bytes", n)
		}
	}
}

func TestVerifySignature(t *testing.T) {
	h := newHouse(t)
	jefe(t, h)
	k := h.rotate(t, "jefe")
	tag, _ := hex.DecodeString(jefeTag)
	good := k.Signature(tag, 1)
	tests := []struct {
		name   string
		change func(*api.Signature)
		want   error
	}{
		{"Good", func(*api.Signature) {}, nil},
		{"A25-OtherKeyID", func(s *api.Signature) { s.KeyID = "jefe" }, sealwright.ErrUnknownKey},
		{"NoKeyID", func(s *api.Signature) { s.KeyID = "" }, sealwright.ErrUnknownKey},
		{"A06-OtherAlgorithmOfThisLength", func(s *api.Signature) { s.Algorithm = mac.SHA512_256 }, sealwright.ErrPolicy},
		{"A06-LegacyAlgorithm", func(s *api.Signature) { s.Algorithm = mac.MD5 }, sealwright.ErrPolicy},
		{"NoAlgorithm", func(s *api.Signature) { s.Algorithm = 0 }, sealwright.ErrPolicy},
		{"OtherVersion", func(s *api.Signature) { s.Version = 2 }, sealwright.ErrMismatch},
		{"NoSuchVersion", func(s *api.Signature) { s.Version = 3 }, sealwright.ErrUnknownKey},
		{"VersionZeroIsNotAny", func(s *api.Signature) { s.Version = 0 }, sealwright.ErrUnknownKey},
		{"NegativeVersion", func(s *api.Signature) { s.Version = -1 }, sealwright.ErrUnknownKey},
		{"A03-ShortTag", func(s *api.Signature) { s.Tag = s.Tag[:16] }, sealwright.ErrMismatch},
		{"A02-NoTag", func(s *api.Signature) { s.Tag = nil }, sealwright.ErrMismatch},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := good
			tt.change(&s)
			if err := k.VerifySignature(s, []byte(jefeMessage)); !errors.Is(err, tt.want) {
				t.Errorf("VerifySignature: got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestMACOfSignatureStreams(t *testing.T) {
	k := jefe(t, newHouse(t))
	s, err := api.ParseSignature(jefeForm)
	if err != nil {
		t.Fatalf("ParseSignature: %v", err)
	}
	m, err := k.MACFor(s)
	if err != nil {
		t.Fatalf("MACFor: %v", err)
	}
	state := m.State()
	defer state.Release()
	for _, c := range []byte(jefeMessage) {
		_, _ = state.Write([]byte{c})
	}
	if !state.Verify(s.Tag) {
		t.Errorf("Verify of a streamed message: got false")
	}
}

func TestMAC(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	k := h.rotate(t, "a")
	signing, err := k.MAC(0)
	if err != nil {
		t.Fatalf("MAC(0): %v", err)
	}
	for version, same := range map[int]bool{1: false, 2: true} {
		m, err := k.MAC(version)
		if err != nil || (m == signing) != same {
			t.Errorf("MAC(%d): got the one that signs: %v, %v, want %v", version, m == signing, err, same)
		}
		if again, err := k.MAC(version); again != m || err != nil {
			t.Errorf("MAC(%d) again: prepared anew, %v", version, err)
		}
	}
	for _, version := range []int{-1, 3} {
		_, err := k.MAC(version)
		wantKind(t, fmt.Sprintf("MAC(%d)", version), err, fault.NotFound)
	}
}

// A version outside its window neither signs nor verifies.
func TestWindow(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	first := h.rotate(t, "a")
	opens, closes := start.Add(time.Hour), start.Add(2*time.Hour)
	h.edit(t, tenant, "key", "a", func(doc map[string]any) {
		versionOf(doc, 0)["not_before"], versionOf(doc, 0)["not_after"] = opens, closes
		versionOf(doc, 1)["not_after"] = closes
	})
	k, err := h.open(t, h.store).Get(tenant, "a")
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if v := k.Versions; !v[0].NotBefore.Equal(opens) || !v[0].NotAfter.Equal(closes) || !v[1].NotAfter.Equal(closes) {
		t.Errorf("Versions: got %+v", v)
	}
	message := []byte("m")
	var tags [3][]byte
	for version := 1; version <= 2; version++ {
		m, err := first.MAC(version)
		if err != nil {
			t.Fatalf("MAC: %v", err)
		}
		if tags[version], err = m.Sum(nil, message); err != nil {
			t.Fatalf("Sum: %v", err)
		}
	}
	for _, tt := range []struct {
		name   string
		now    time.Time
		old    bool
		signer bool
	}{
		{"BeforeNotBefore", opens.Add(-1), false, true},
		{"AtNotBefore", opens, true, true},
		{"BeforeNotAfter", closes.Add(-1), true, true},
		{"AtNotAfter", closes, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.now = tt.now
			for version, want := range map[int]bool{1: tt.old, 2: tt.signer} {
				for _, asked := range []int{0, version} {
					if _, ok := k.Verify(tags[version], asked, message); ok != want {
						t.Errorf("Verify of version %d asked for %d: got %v, want %v", version, asked, ok, want)
					}
				}
				_, err := k.MACFor(k.Signature(tags[version], version))
				if (err == nil) != want || (err != nil && !errors.Is(err, sealwright.ErrUnknownKey)) {
					t.Errorf("MACFor version %d: got %v", version, err)
				}
			}
			if _, _, err := k.Sign(nil, message); (err == nil) != tt.signer {
				t.Errorf("Sign: got %v", err)
			}
		})
	}
}

// A tag that names no version is tried with a bounded number of versions; one
// that names it is verified however old the version is.
func TestVerifyTriesABoundedNumber(t *testing.T) {
	h := newHouse(t)
	k := h.create(t, "a")
	tags := make([][]byte, 1, 12)
	for range 11 {
		tag, _, err := k.Sign(nil, []byte("m"))
		if err != nil {
			t.Fatalf("Sign: %v", err)
		}
		tags = append(tags, tag)
		k = h.rotate(t, "a")
	}
	for version := 1; version < len(tags); version++ {
		want := version > k.Signing-keyring.MaxCandidates
		if got, ok := k.Verify(tags[version], 0, []byte("m")); ok != want || (ok && got != version) {
			t.Errorf("Verify of version %d of %d, any version: got %d, %v, want %v", version, k.Signing, got, ok, want)
		}
		if _, ok := k.Verify(tags[version], version, []byte("m")); !ok {
			t.Errorf("Verify of version %d, named: got false", version)
		}
	}
}
