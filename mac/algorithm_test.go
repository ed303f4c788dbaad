package mac_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/mac"
)

// TestAlgorithms holds the numbers, which are stored, and the names, which are
// written into definitions.
func TestAlgorithms(t *testing.T) {
	tests := []struct {
		a      mac.Algorithm
		number uint8
		name   string
		size   int
		legacy bool
	}{
		{mac.SHA256, 1, "hmac-sha256", 32, false},
		{mac.SHA384, 2, "hmac-sha384", 48, false},
		{mac.SHA512, 3, "hmac-sha512", 64, false},
		{mac.SHA512_256, 4, "hmac-sha512-256", 32, false},
		{mac.SHA3_256, 5, "hmac-sha3-256", 32, false},
		{mac.SHA1, 6, "hmac-sha1", 20, true},
		{mac.MD5, 7, "hmac-md5", 16, true},
	}
	all := mac.Algorithms()
	if len(all) != len(tests) {
		t.Fatalf("Algorithms has %d, want %d", len(all), len(tests))
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if all[i] != tt.a {
				t.Errorf("Algorithms()[%d] = %v, want %v", i, all[i], tt.a)
			}
			if uint8(tt.a) != tt.number {
				t.Errorf("number = %d, want %d: stored numbers must not change", uint8(tt.a), tt.number)
			}
			if got := tt.a.String(); got != tt.name {
				t.Errorf("String = %q, want %q", got, tt.name)
			}
			if got, err := mac.Parse(tt.name); got != tt.a || err != nil {
				t.Errorf("Parse(%q) = %v, %v", tt.name, got, err)
			}
			if got := tt.a.Size(); got != tt.size || got > mac.MaxSize {
				t.Errorf("Size = %d, want %d, at most %d", got, tt.size, mac.MaxSize)
			}
			if !tt.a.Valid() || tt.a.Legacy() != tt.legacy {
				t.Errorf("Valid = %v, Legacy = %v, want true, %v", tt.a.Valid(), tt.a.Legacy(), tt.legacy)
			}
		})
	}
}

func TestAlgorithmInvalid(t *testing.T) {
	for _, a := range []mac.Algorithm{0, 8, 9, 128, 255} {
		if a.Valid() || a.Legacy() || a.Size() != 0 {
			t.Errorf("%d: Valid = %v, Legacy = %v, Size = %d", uint8(a), a.Valid(), a.Legacy(), a.Size())
		}
		if got := a.String(); !strings.HasPrefix(got, "mac.Algorithm(") {
			t.Errorf("%d: String = %q", uint8(a), got)
		}
		if _, err := mac.Parse(a.String()); err == nil {
			t.Errorf("Parse(%q) has no error", a.String())
		}
	}
}

// TestA06AlgorithmNames checks that a name is taken exactly or not at all:
// there is no default and no second spelling.
func TestA06AlgorithmNames(t *testing.T) {
	for _, name := range []string{
		"", " ", "none", "NONE", "sha256", "SHA256", "HMAC-SHA256", "Hmac-Sha256", "hmac-sha256 ", " hmac-sha256",
		"hmac-sha256\n", "hmac-sha256\x00", "hmac_sha256", "hmacsha256", "HS256", "hmac-sha-256", "hmac-sha224",
		"hmac-sha3-512", "hmac-sha512/256", "hmac-sm3", "md5", "sha1", "1", "hmac-sha256,hmac-md5",
	} {
		a, err := mac.Parse(name)
		if !errors.Is(err, mac.ErrUnknownAlgorithm) || a != 0 {
			t.Errorf("Parse(%q) = %v, %v, want %v", name, a, err, mac.ErrUnknownAlgorithm)
		}
	}
	if _, err := mac.Parse("hmac-\x1b[31m"); err == nil || strings.ContainsRune(err.Error(), '\x1b') {
		t.Errorf("error shows control characters as they are: %v", err)
	}
}
