//go:build !pkcs11 || !cgo

package pkcs11_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/kms/pkcs11"
)

func TestAbsent(t *testing.T) {
	token, err := pkcs11.Open(t.Context(), pkcs11.Config{Module: "/none", Token: "t", Key: "k"})
	_, _, wrap := token.Wrap(t.Context(), secret.FromString("k"), nil)
	_, unwrap := token.Unwrap(t.Context(), "pkcs11:k", nil, nil)
	_, sum := token.MAC(t.Context(), "k", kms.Digest{})
	ok, verify := token.Verify(t.Context(), "k", kms.Digest{}, nil)
	key, made := token.MakeKey(t.Context(), "k")
	for name, err := range map[string]error{"Open": err, "Wrap": wrap, "Unwrap": unwrap, "MAC": sum, "Verify": verify, "MakeKey": made} {
		if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), "-tags pkcs11") {
			t.Errorf("%s: got %v, want what to build", name, err)
		}
	}
	if token != nil || ok || key != "" {
		t.Errorf("got a token %v, verified %t", token, ok)
	}
	if err := token.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
