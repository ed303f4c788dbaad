package custody_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// A message that takes long does not outlive its key: who holds a stream open
// gets neither a tag nor a valid verdict from what has ended meanwhile.
func TestStreamOutlived(t *testing.T) {
	none := time.Duration(0)
	for _, tt := range []struct {
		name   string
		end    func(*testing.T, *house)
		reason sealwright.Reason // of the verdict; empty for an error
		signs  bool
	}{
		{"Revoked", func(t *testing.T, h *house) {
			rotated(t, h, "a", custody.Rotation{RevokeCurrent: true})
		}, custody.ReasonRevoked, false},
		{"NoGrace", func(t *testing.T, h *house) {
			rotated(t, h, "a", custody.Rotation{Grace: &none})
		}, sealwright.ReasonUnknownKey, false},
		{"GraceOver", func(t *testing.T, h *house) {
			rotated(t, h, "a", custody.Rotation{})
			h.now = h.now.Add(custody.DefaultGrace)
		}, sealwright.ReasonUnknownKey, false},
		{"Deleted", func(t *testing.T, h *house) {
			if err := h.Delete(t.Context(), admin, "a", 0); err != nil {
				t.Fatal(err)
			}
		}, "", false},
		{"InGrace", func(t *testing.T, h *house) {
			rotated(t, h, "a", custody.Rotation{})
		}, "", true},
		{"Unchanged", func(*testing.T, *house) {}, "", true},
	} {
		for _, context := range []string{"", "customer-1"} {
			t.Run(tt.name+context, func(t *testing.T) {
				h := newHouse(t)
				k := h.create(t, "a")
				if context != "" {
					var err error
					if k, err = k.Derive(context); err != nil {
						t.Fatal(err)
					}
				}
				tag, version, err := k.Sign(nil, []byte("hello"))
				if err != nil {
					t.Fatal(err)
				}
				sign, err := k.SignStream()
				if err != nil {
					t.Fatal(err)
				}
				defer sign.Close()
				claims := []custody.Claim{{Tag: tag}, {Signature: api.Signature{Algorithm: k.Algorithm, Tag: tag, KeyID: k.ID, Version: version}}}
				var checks []*custody.Stream
				for _, c := range claims {
					s, err := k.CheckStream(c)
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
					_, _ = s.Write([]byte("hello"))
					checks = append(checks, s)
				}
				_, _ = sign.Write([]byte("hello"))
				tt.end(t, h)
				got, _, err := sign.Sign(t.Context(), nil)
				if tt.signs != (err == nil) || err != nil && (fault.KindOf(err) != fault.NotFound || len(got) > 0) {
					t.Errorf("Sign: got %d bytes, %v, want a tag: %t", len(got), err, tt.signs)
				}
				for i, s := range checks {
					v, err := s.Check(t.Context())
					if v.Valid != tt.signs || v.Reason != tt.reason || (err != nil) != (!tt.signs && tt.reason == "") {
						t.Errorf("Check %d: got %+v, %v", i, v, err)
					}
				}
			})
		}
	}
}

// A native key is asked as it is at the end.
func TestStreamOutlivedNative(t *testing.T) {
	h, _, _ := newNativeHouse(t)
	k, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "n", Native: &custody.NativeKey{}})
	if err != nil {
		t.Fatal(err)
	}
	tag, _, err := k.SignNative(t.Context(), sha256.Sum256([]byte("hello")))
	if err != nil {
		t.Fatal(err)
	}
	sign, err := k.SignStream()
	if err != nil {
		t.Fatal(err)
	}
	check, err := k.CheckStream(custody.Claim{Tag: tag})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = sign.Write([]byte("hello"))
	_, _ = check.Write([]byte("hello"))
	rotated(t, h, "n", custody.Rotation{RevokeCurrent: true})
	if _, version, err := sign.Sign(t.Context(), nil); err != nil || version != 2 {
		t.Errorf("Sign: got version %d, %v, want 2", version, err)
	}
	if v, err := check.Check(t.Context()); err != nil || v.Valid || v.Reason != custody.ReasonRevoked {
		t.Errorf("Check: got %+v, %v, want a revoked key", v, err)
	}
}

func rotated(t *testing.T, h *house, name string, r custody.Rotation) {
	t.Helper()
	if _, err := h.Rotate(t.Context(), admin, name, 0, r); err != nil {
		t.Fatal(err)
	}
}
