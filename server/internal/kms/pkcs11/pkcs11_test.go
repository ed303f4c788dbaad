//go:build pkcs11 && cgo

package pkcs11_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/kms/kmstest"
	"github.com/sealwright/sealwright/server/internal/kms/pkcs11"
)

var material = bytes.Repeat([]byte{0x0b}, 32)

// twoOfEach makes the keys of the conformance tests.
func twoOfEach(t *testing.T, ctx *p11.Ctx, s p11.SessionHandle) {
	for _, label := range []string{"root", "root-2"} {
		makeAES(t, ctx, s, label, keyKind{})
	}
	importMAC(t, ctx, s, "mac", material, keyKind{})
	importMAC(t, ctx, s, "mac-2", bytes.Repeat([]byte{0x0c}, 32), keyKind{})
}

func TestWrap(t *testing.T) {
	kmstest.Wrap(t, func(t *testing.T) kmstest.Subject {
		token := open(t, newToken(t, twoOfEach))
		return kmstest.Subject{
			Wrapper: token, Against: against, Other: "pkcs11:root-2", Unknown: "pkcs11:root-3",
			Break: func() { check(t, token.Close()) },
		}
	})
}

func TestMAC(t *testing.T) {
	kmstest.MAC(t, func(t *testing.T) kmstest.MACSubject {
		token := open(t, newToken(t, twoOfEach))
		return kmstest.MACSubject{
			MAC: token, Against: against, Make: token.MakeKey,
			Key: "mac", Other: "mac-2", Unknown: "mac-3", Material: secret.New(material),
		}
	})
}

func TestOneSession(t *testing.T) {
	c := newToken(t, twoOfEach)
	c.Sessions = 1
	token := open(t, c)
	kmstest.Wrap(t, func(*testing.T) kmstest.Subject {
		return kmstest.Subject{Wrapper: token, Against: against + ", one session", Other: "pkcs11:root-2", Unknown: "pkcs11:root-3"}
	})
	kmstest.MAC(t, func(*testing.T) kmstest.MACSubject {
		return kmstest.MACSubject{MAC: token, Against: against + ", one session", Key: "mac", Other: "mac-2", Unknown: "mac-3", Material: secret.New(material)}
	})
}

// A blob opens after a restart, and with the key that its ID names when
// another one wraps by then.
func TestAfterRestart(t *testing.T) {
	c := newToken(t, twoOfEach)
	first := open(t, c)
	blob, keyID, err := first.Wrap(t.Context(), secret.FromString("data key"), []byte("aad"))
	check(t, err)
	if keyID != "pkcs11:root" || len(blob) != 12+8+16 {
		t.Errorf("Wrap: got key ID %q and %d bytes, want pkcs11:root and 36", keyID, len(blob))
	}
	check(t, first.Close())
	c.Key = "root-2"
	second := open(t, c)
	got, err := second.Unwrap(t.Context(), keyID, blob, []byte("aad"))
	if err != nil || string(got.Expose()) != "data key" {
		t.Errorf("Unwrap: got %d bytes, %v", got.Len(), err)
	}
	if _, keyID, err := second.Wrap(t.Context(), got, nil); keyID != "pkcs11:root-2" || err != nil {
		t.Errorf("Wrap: got key ID %q, %v", keyID, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*pkcs11.Config)
		make   func(*testing.T, *p11.Ctx, p11.SessionHandle) // nil means twoOfEach
		want   string
	}{
		{"NoModule", func(c *pkcs11.Config) { c.Module = "" }, nil, "needs module, token and PIN"},
		{"NoPIN", func(c *pkcs11.Config) { c.PIN = secret.Bytes{} }, nil, "needs module, token and PIN"},
		{"NoSuchModule", func(c *pkcs11.Config) { c.Module = "/nonexistent/p11.so" }, nil, "/nonexistent/p11.so cannot be loaded"},
		{"NoSuchToken", func(c *pkcs11.Config) { c.Token = "other" }, nil, `got 0 PKCS#11 tokens with label "other", want 1`},
		{"WrongPIN", func(c *pkcs11.Config) { c.PIN = secret.FromString("wrong-pin") }, nil, "refuses the login"},
		{"NoSuchKey", func(c *pkcs11.Config) { c.Key = "root-3" }, nil, `has no key "root-3"`},
		{"KeyForMACs", func(c *pkcs11.Config) { c.Key = "mac" }, nil, `has no key "mac" of the type that is needed`},
		{"Twice", nil, func(t *testing.T, ctx *p11.Ctx, s p11.SessionHandle) {
			makeAES(t, ctx, s, "root", keyKind{})
			makeAES(t, ctx, s, "root", keyKind{})
		}, `several keys "root"`},
		{"Extractable", nil, func(t *testing.T, ctx *p11.Ctx, s p11.SessionHandle) {
			makeAES(t, ctx, s, "root", keyKind{extractable: true})
		}, "can be read out"},
		{"Readable", nil, func(t *testing.T, ctx *p11.Ctx, s p11.SessionHandle) {
			makeAES(t, ctx, s, "root", keyKind{readable: true})
		}, "can be read out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.make == nil {
				tt.make = twoOfEach
			}
			c := newToken(t, tt.make)
			if tt.change != nil {
				tt.change(&c)
			}
			token, err := pkcs11.Open(t.Context(), c)
			if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), tt.want) || token != nil {
				t.Errorf("Open: got %v, want %s", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "wrong-pin") {
				t.Errorf("Open: the error shows the PIN: %v", err)
			}
		})
	}
}

func TestMACKeyIsKept(t *testing.T) {
	token := open(t, newToken(t, func(t *testing.T, ctx *p11.Ctx, s p11.SessionHandle) {
		makeAES(t, ctx, s, "root", keyKind{})
		importMAC(t, ctx, s, "mac", material, keyKind{extractable: true})
	}))
	tag, err := token.MAC(t.Context(), "mac", kms.Digest{})
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), "can be read out") || tag != nil {
		t.Errorf("MAC with an extractable key: got %d bytes, %v", len(tag), err)
	}
}

// TestMakeKey looks at what was made as an administrator does: the key stays in
// the token, and serves for MACs alone.
func TestMakeKey(t *testing.T) {
	c := newToken(t, twoOfEach)
	c.Key = "" // the server wraps elsewhere
	token := open(t, c)
	if blob, _, err := token.Wrap(t.Context(), secret.FromString("k"), nil); fault.KindOf(err) != fault.Unavailable || blob != nil {
		t.Errorf("Wrap without a key: got %d bytes, %v, want kind %v", len(blob), err, fault.Unavailable)
	}
	key, err := token.MakeKey(t.Context(), "made")
	check(t, err)
	for _, label := range []string{"made", "mac", ""} {
		if again, err := token.MakeKey(t.Context(), label); fault.KindOf(err) != fault.Unavailable || again != "" {
			t.Errorf("MakeKey with the label %q, which is taken or empty: got %q, %v", label, again, err)
		}
	}
	tag, err := token.MAC(t.Context(), key, kms.Digest{})
	check(t, err)
	check(t, token.Close())
	fill(t, c, func(t *testing.T, ctx *p11.Ctx, s p11.SessionHandle) {
		check(t, ctx.FindObjectsInit(s, []*p11.Attribute{p11.NewAttribute(p11.CKA_LABEL, "made")}))
		found, _, err := ctx.FindObjects(s, 2)
		check(t, err)
		if len(found) != 1 {
			t.Fatalf("got %d keys, want 1", len(found))
		}
		for attribute, want := range map[uint]byte{
			p11.CKA_SENSITIVE: 1, p11.CKA_EXTRACTABLE: 0, p11.CKA_ALWAYS_SENSITIVE: 1, p11.CKA_NEVER_EXTRACTABLE: 1,
			p11.CKA_LOCAL: 1, p11.CKA_PRIVATE: 1, p11.CKA_SIGN: 1, p11.CKA_ENCRYPT: 0, p11.CKA_WRAP: 0,
		} {
			got, err := ctx.GetAttributeValue(s, found[0], []*p11.Attribute{p11.NewAttribute(attribute, nil)})
			if err != nil || len(got[0].Value) != 1 || got[0].Value[0] != want {
				t.Errorf("attribute %#x: got %v, %v, want %d", attribute, got, err, want)
			}
		}
		if _, err := ctx.GetAttributeValue(s, found[0], []*p11.Attribute{p11.NewAttribute(p11.CKA_VALUE, nil)}); err == nil {
			t.Error("the token gives the value out")
		}
	})
	again := open(t, c) // after a restart
	if ok, err := again.Verify(t.Context(), key, kms.Digest{}, tag); !ok || err != nil {
		t.Errorf("Verify after a restart: got %t, %v", ok, err)
	}
}

// TestWrongPIN holds that a refused PIN has its own error.
func TestWrongPIN(t *testing.T) {
	c := newToken(t, twoOfEach)
	c.PIN, c.Key = secret.FromString("wrong-pin"), ""
	if token, err := pkcs11.Open(t.Context(), c); token != nil || !errors.Is(err, pkcs11.ErrLogin) || strings.Contains(err.Error(), "wrong-pin") {
		t.Errorf("Open: got %v, want %v", err, pkcs11.ErrLogin)
	}
}

// TestPINChanged changes the PIN under a server that uses the token: it goes on
// in its session, and once that is closed tries the old PIN one time only.
func TestPINChanged(t *testing.T) {
	c := newToken(t, twoOfEach)
	c.Sessions = 1
	token := open(t, c)
	admin := p11.New(c.Module) // shares the state of the library with the token
	defer admin.Destroy()
	slots, err := admin.GetSlotList(true)
	check(t, err)
	s, err := admin.OpenSession(slots[0], p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
	check(t, err)
	check(t, admin.SetPIN(s, pin, "another-pin"))
	check(t, admin.CloseSession(s))
	if _, err := token.MAC(t.Context(), "mac", kms.Digest{}); err != nil {
		t.Errorf("MAC in an open session: %v", err)
	}
	if _, err := token.MAC(t.Context(), "mac-3", kms.Digest{}); err == nil || errors.Is(err, pkcs11.ErrLogin) {
		t.Errorf("MAC with an unknown key: got %v", err)
	}
	for _, want := range []string{"refuses the login", "is not asked again"} {
		if _, err := token.MAC(t.Context(), "mac", kms.Digest{}); fault.KindOf(err) != fault.Unavailable || !errors.Is(err, pkcs11.ErrLogin) || !strings.Contains(err.Error(), want) {
			t.Errorf("MAC with the old PIN: got %v, want %s", err, want)
		}
	}
}

// TestRemoved removes the token under a server that uses it: calls fail, and
// nothing is said about a tag.
func TestRemoved(t *testing.T) {
	c := newToken(t, twoOfEach)
	token := open(t, c)
	tag, err := token.MAC(t.Context(), "mac", kms.Digest{})
	check(t, err)
	check(t, os.RemoveAll(filepath.Join(filepath.Dir(os.Getenv("SOFTHSM2_CONF")), "tokens")))
	if got, err := token.MAC(t.Context(), "mac", kms.Digest{}); fault.KindOf(err) != fault.Unavailable || got != nil {
		t.Errorf("MAC: got %d bytes, %v, want kind %v", len(got), err, fault.Unavailable)
	}
	if ok, err := token.Verify(t.Context(), "mac", kms.Digest{}, tag); fault.KindOf(err) != fault.Unavailable || ok {
		t.Errorf("Verify: got %t, %v, want kind %v", ok, err, fault.Unavailable)
	}
	if key, err := token.MakeKey(t.Context(), "made"); fault.KindOf(err) != fault.Unavailable || key != "" {
		t.Errorf("MakeKey: got %q, %v, want kind %v", key, err, fault.Unavailable)
	}
}

// TestClose calls a token that is closed.
func TestClose(t *testing.T) {
	token := open(t, newToken(t, twoOfEach))
	check(t, token.Close())
	check(t, token.Close())
	if _, err := token.MAC(t.Context(), "mac", kms.Digest{}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("MAC: got %v, want kind %v", err, fault.Unavailable)
	}
}
