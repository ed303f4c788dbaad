//go:build !race

package rfc9421_test

import (
	"testing"

	"github.com/sealwright/sealwright"
)

// TestAllocations holds the budget of a verification and of a signing.
func TestAllocations(t *testing.T) {
	s := with(t, strict...)
	m := sign(t, s, request(1024))
	v := sealwright.Verifier{Scheme: s, Ring: ring}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := v.Verify(m, now); err != nil {
			t.Fatal(err)
		}
	}); n > 2 {
		t.Errorf("Verify allocates %v times, want 2 at most", n)
	}
	signer := sealwright.Signer{Scheme: s, Ring: ring, Nonce: func() string { return "n" }}
	m = request(1024)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := signer.Sign(m, now); err != nil {
			t.Fatal(err)
		}
	}); n > 7 {
		t.Errorf("Sign allocates %v times, want 7 at most", n)
	}
}
