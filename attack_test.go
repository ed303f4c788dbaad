package sealwright_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
)

// TestA14_ZeroTime: a covered time that is none is not one that is always
// fresh, whatever the scheme says.
func TestA14_ZeroTime(t *testing.T) {
	for _, tt := range []struct {
		name  string
		claim func(*sealwright.Claim)
		want  error
	}{
		{"NoTime", func(*sealwright.Claim) {}, nil},
		{"CoveredButZero", func(c *sealwright.Claim) { c.Covers.Time = true }, sealwright.ErrStale},
		{"CoveredExpiry", func(c *sealwright.Claim) { c.Covers.Time, c.Expires = true, now.Add(time.Second) }, nil},
		{"CoveredTime", func(c *sealwright.Claim) { c.Covers.Time, c.At = true, now }, nil},
	} {
		v := sealwright.Verifier{Scheme: fake{claim: tt.claim}, Ring: ring}
		if _, err := v.Verify(tagged("body", "the second secret", ""), now); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestA25_LineBreaksInHeads: nothing that a signer writes begins a line of its
// own.
func TestA25_LineBreaksInHeads(t *testing.T) {
	for _, tt := range []struct {
		name, id, host, target, header string
		fails                          bool
	}{
		{"Plain", "k1", "h", "/a b?é", "a\tb", false},
		{"KeyID", "k1\r\nX-Admin: 1", "h", "/", "", true},
		{"ZeroByte", "k1\x00", "h", "/", "", true},
		{"Host", "k1", "h\nX-Admin: 1", "/", "", true},
		{"Target", "k1", "h", "/ HTTP/1.1\r\nX-Admin: 1", "", true},
		{"Header", "k1", "h", "/", "a\nb", true},
	} {
		s := sealwright.Signer{Scheme: fake{}, Ring: keyring.Must(key(tt.id, 1, "the first secret"))}
		m := sealwright.Message{Method: "POST", Host: tt.host, Target: tt.target, Header: map[string][]string{"X": {tt.header}}}
		if _, err := s.Sign(m, now); (err != nil) != tt.fails || err != nil && !errors.Is(err, sealwright.ErrMalformed) {
			t.Errorf("%s: error is %v", tt.name, err)
		}
	}
}

// TestA15_FieldsHaveACase: a covered field is not another of the same letters.
func TestA15_FieldsHaveACase(t *testing.T) {
	have := sealwright.Coverage{Fields: []string{"/amount"}}
	for name, missing := range map[string]int{"/amount": 0, "/Amount": 1} {
		if got := have.Missing(sealwright.Coverage{Fields: []string{name}}); len(got) != missing {
			t.Errorf("%s: missing %v, want %d", name, got, missing)
		}
	}
}
