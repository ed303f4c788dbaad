//go:build pkcs11 && cgo

package pkcs11_test

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
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
		return kmstest.MACSubject{
			MAC: open(t, newToken(t, twoOfEach)), Against: against,
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
		{"NoModule", func(c *pkcs11.Config) { c.Module = "" }, nil, "needs module, token, PIN and key"},
		{"NoPIN", func(c *pkcs11.Config) { c.PIN = secret.Bytes{} }, nil, "needs module, token, PIN and key"},
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
	tag, err := token.MAC(t.Context(), "mac", sha256.Sum256(nil))
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), "can be read out") || tag != nil {
		t.Errorf("MAC with an extractable key: got %d bytes, %v", len(tag), err)
	}
}

// TestClose calls a token that is closed.
func TestClose(t *testing.T) {
	token := open(t, newToken(t, twoOfEach))
	check(t, token.Close())
	check(t, token.Close())
	if _, err := token.MAC(t.Context(), "mac", sha256.Sum256(nil)); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("MAC: got %v, want kind %v", err, fault.Unavailable)
	}
}
