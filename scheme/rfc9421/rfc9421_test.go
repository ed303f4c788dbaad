package rfc9421_test

import (
	"bufio"
	"os"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

var now = time.Unix(1767225600, 0)

var ring = keyring.Must(keyring.Key{ID: "k1", Version: 1, Secret: secret.FromString("rfc9421-example-shared-secret-0001")})

// definition returns the definition of the catalogue, which is checked.
func definition(tb testing.TB) *scheme.Definition {
	tb.Helper()
	d, err := catalogue.Definition("rfc9421")
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// with returns the scheme with parameters, given as pairs of name and value; a
// name may be repeated.
func with(tb testing.TB, pairs ...string) sealwright.SigningScheme {
	tb.Helper()
	params := scheme.Params{}
	for i := 0; i < len(pairs); i += 2 {
		params[pairs[i]] = append(params[pairs[i]], pairs[i+1])
	}
	s, err := definition(tb).New(params)
	if err != nil {
		tb.Fatal(err)
	}
	return s.(sealwright.SigningScheme)
}

// TestVectors runs the vectors of the catalogue: a valid one verifies, covers
// the bytes that it says and gives the same tag when it is signed again; an
// invalid one is refused.
func TestVectors(t *testing.T) {
	f, err := os.Open("../../catalogue/vectors/rfc9421.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := definition(t)
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		v, err := scheme.ParseVector(lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		t.Run(v.ID, func(t *testing.T) {
			s, err := d.New(v.Params)
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Run(s); err != nil {
				t.Error(err)
			}
			if v.Reason != "" && v.Reason != "tampered" {
				verdict, _ := v.Verify(s)
				if string(verdict.Reason) != v.Reason {
					t.Errorf("reason is %q (%s), want %q", verdict.Reason, verdict.Detail, v.Reason)
				}
			}
		})
	}
	if n < 8 {
		t.Errorf("%d vectors, want 8 at least", n)
	}
}
