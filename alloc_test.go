//go:build !race

package sealwright_test

import (
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

func TestAllocsVerify(t *testing.T) {
	v := sealwright.Verifier{Scheme: prepared{fake{}}, Ring: ring}
	m := tagged("body", "the second secret", "")
	if _, err := v.Verify(m, now); err != nil {
		t.Fatal(err)
	}
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := v.Verify(m, now); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations for each verification, want none", allocs)
	}
}

// prepared is a fake that keeps its MAC keys, as schemes do.
type prepared struct{ fake }

func (p prepared) Key(k *keyring.Key, c *sealwright.Claim) (*mac.Key, error) {
	return k.Prepared("fake", func(secret.Bytes) (*mac.Key, error) { return p.fake.Key(k, c) })
}

func (prepared) Warnings() []string { return nil }
