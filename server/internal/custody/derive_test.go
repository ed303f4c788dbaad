package custody_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// hkdfSHA256 is RFC 5869 sections 2.2 and 2.3 for 32 bytes and no salt.
func hkdfSHA256(key []byte, info string) []byte {
	sum := func(key []byte, parts ...string) []byte {
		h := hmac.New(sha256.New, key)
		for _, p := range parts {
			h.Write([]byte(p))
		}
		return h.Sum(nil)
	}
	return sum(sum(make([]byte, 32), string(key)), info, "\x01")
}

// The derivation is a promise: a customer who has a derived secret signs with
// it elsewhere.
func TestDerive(t *testing.T) {
	h := newHouse(t)
	k, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "a", Material: secretOf("It's a Secret to Everybody")})
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	d, err := k.Derive("customer-42")
	if err != nil {
		t.Fatalf("Derive: %v", err)
	}
	tag, version, err := d.Sign(nil, []byte("m"))
	if err != nil || version != 1 {
		t.Fatalf("Sign: got version %d, %v", version, err)
	}
	m := hmac.New(sha256.New, hkdfSHA256([]byte("It's a Secret to Everybody"), "\x00\x00\x00\x16sealwright derived key\x00\x00\x00\x0bcustomer-42"))
	m.Write([]byte("m"))
	if want := m.Sum(nil); string(tag) != string(want) {
		t.Errorf("got tag %s, want %s", hex.EncodeToString(tag), hex.EncodeToString(want))
	}
	if _, ok := k.Verify(tag, 0, []byte("m")); ok {
		t.Error("the root key takes the tag of a customer")
	}
	for _, other := range []string{"customer-43", "customer-4", "customer-42 ", "Customer-42"} {
		o, err := k.Derive(other)
		if err != nil {
			t.Fatalf("Derive: %v", err)
		}
		if _, ok := o.Verify(tag, 0, []byte("m")); ok {
			t.Errorf("%q takes the tag of another customer", other)
		}
	}
	rotated, err := h.rotate(t, "a").Derive("customer-42")
	if err != nil {
		t.Fatalf("Derive: %v", err)
	}
	if v, ok := rotated.Verify(tag, 0, []byte("m")); !ok || v != 1 {
		t.Errorf("after a rotation: got %d, %v", v, ok)
	}
	if _, v, err := rotated.Sign(nil, []byte("m")); err != nil || v != 2 {
		t.Errorf("Sign after a rotation: got version %d, %v", v, err)
	}
	h.do(t, "revoke", 1)
	k, _ = h.Get(tenant, "a")
	if rotated, err = k.Derive("customer-42"); err != nil {
		t.Fatalf("Derive: %v", err)
	}
	if _, ok := rotated.Verify(tag, 0, []byte("m")); ok {
		t.Error("a tag derived from a revoked version is valid")
	}
	if v, ok := rotated.RevokedBy(tag, []byte("m")); !ok || v != 1 {
		t.Errorf("RevokedBy: got %d, %v", v, ok)
	}
	if err := rotated.VerifySignature(d.Signature(tag, 1), []byte("m")); !errors.Is(err, custody.ErrRevoked) {
		t.Errorf("VerifySignature: got %v", err)
	}
}

func TestDeriveSize(t *testing.T) {
	h := newHouse(t)
	for algorithm, want := range map[string]int{"hmac-sha256": 32, "hmac-sha384": 64, "hmac-sha512": 64, "hmac-sha3-256": 32} {
		k, err := h.Create(t.Context(), admin, custody.CreateKey{Name: algorithm, Algorithm: algorithm})
		if err != nil {
			t.Fatalf("Create: %v", err)
		}
		d, err := k.Derive("c")
		if err != nil || d.Ring.Keys()[0].Secret.Len() != want {
			t.Errorf("%s: got %v, %v", algorithm, d, err)
		}
	}
}

func TestDeriveRefuses(t *testing.T) {
	k := newHouse(t).create(t, "a")
	for _, context := range []string{"", strings.Repeat("c", custody.MaxContext+1), "\xff"} {
		_, err := k.Derive(context)
		wantKind(t, "Derive", err, fault.Invalid)
	}
	if _, err := k.Derive(strings.Repeat("c", custody.MaxContext)); err != nil {
		t.Errorf("longest context: %v", err)
	}
}

func TestPurpose(t *testing.T) {
	h := newHouse(t)
	hook, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "hook", Purpose: "webhook"})
	if err != nil || hook.Purpose != "webhook" {
		t.Fatalf("Create: got %v, %v", hook, err)
	}
	all := h.create(t, "all")
	for _, tt := range []struct {
		key     *custody.Key
		purpose string
		want    fault.Kind
	}{
		{hook, "webhook", 0}, {hook, "", 0}, {hook, "api", fault.Denied}, {hook, "Webhook", fault.Invalid}, {hook, "fun", fault.Invalid},
		{all, "", 0}, {all, "api", 0}, {all, "fun", fault.Invalid},
	} {
		wantKind(t, tt.key.Name+" for "+tt.purpose, tt.key.CheckPurpose(tt.purpose), tt.want)
	}
	_, err = h.Create(t.Context(), admin, custody.CreateKey{Name: "fun", Purpose: "fun"})
	wantKind(t, "Create for fun", err, fault.Invalid)
	fresh := h.open(t, h.store)
	if k, err := fresh.Get(tenant, "hook"); err != nil || k.Purpose != "webhook" {
		t.Errorf("stored is %v, %v", k, err)
	}
	if k, err := h.Rotate(t.Context(), admin, "hook", 0, custody.Rotation{}); err != nil || k.Purpose != "webhook" {
		t.Errorf("rotated is %v, %v", k, err)
	}
}
