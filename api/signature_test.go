package api_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/mac"
)

// The tag is that of RFC 4231, test case 2.
const jefe = "HMAC-SHA256=W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=, keyId=jefe.1, version=1"

func ExampleParseSignature() {
	s, err := api.ParseSignature(jefe)
	fmt.Println(s.Algorithm, s.KeyID, s.Version, len(s.Tag), err)
	fmt.Println(s)
	// Output:
	// hmac-sha256 jefe.1 1 32 <nil>
	// HMAC-SHA256=W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=, keyId=jefe.1, version=1
}

func TestSignatureRoundTrip(t *testing.T) {
	for a, token := range map[mac.Algorithm]string{
		mac.SHA256: "HMAC-SHA256", mac.SHA384: "HMAC-SHA384", mac.SHA512: "HMAC-SHA512",
		mac.SHA512_256: "HMAC-SHA512-256", mac.SHA3_256: "HMAC-SHA3-256",
	} {
		for _, keyID := range []string{"a", "AZaz09._~-", strings.Repeat("k", api.MaxKeyID)} {
			for _, version := range []int{1, 9, 10, api.MaxVersion} {
				want := api.Signature{Algorithm: a, Tag: bytes.Repeat([]byte{0xff}, a.Size()), KeyID: keyID, Version: version}
				text := want.String()
				if !strings.HasPrefix(text, token+"=/////") || !strings.HasSuffix(text, fmt.Sprintf(", keyId=%s, version=%d", keyID, version)) {
					t.Errorf("String: got %s", text)
				}
				got, err := api.ParseSignature(text)
				if err != nil || got.Algorithm != a || !bytes.Equal(got.Tag, want.Tag) || got.KeyID != keyID || got.Version != version {
					t.Errorf("ParseSignature(%s): got %+v, %v", text, got, err)
				}
			}
		}
	}
}

// TestNativeSignature holds that the form of a native key is another one, also
// for the same tag.
func TestNativeSignature(t *testing.T) {
	plain, err := api.ParseSignature(jefe)
	if err != nil || plain.Native {
		t.Fatalf("ParseSignature: got %+v, %v", plain, err)
	}
	native := plain
	native.Native = true
	const want = "SEALWRIGHT-NATIVE-MAC-V1=W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=, keyId=jefe.1, version=1"
	if got := native.String(); got != want {
		t.Errorf("String: got %s, want %s", got, want)
	}
	got, err := api.ParseSignature(want)
	if err != nil || !got.Native || got.Algorithm != mac.SHA256 || got.KeyID != "jefe.1" || got.Version != 1 || !bytes.Equal(got.Tag, plain.Tag) {
		t.Errorf("ParseSignature: got %+v, %v", got, err)
	}
	native.Algorithm = mac.SHA512_256
	if got := native.String(); got != "" {
		t.Errorf("String with another algorithm: got %s, want nothing", got)
	}
	for _, name := range []string{"sealwright-native-mac-v1", "SEALWRIGHT-NATIVE-MAC-V2", "SEALWRIGHT-NATIVE-MAC-V1 "} {
		if _, err := api.ParseSignature(strings.Replace(want, "SEALWRIGHT-NATIVE-MAC-V1", name, 1)); !errors.Is(err, api.ErrSignature) {
			t.Errorf("%s: got %v, want %v", name, err, api.ErrSignature)
		}
	}
}

func TestParseSignatureRefuses(t *testing.T) {
	replace := func(old, new string) string { return strings.Replace(jefe, old, new, 1) }
	tests := []struct {
		name string
		text string
		want string // in the error
	}{
		{"A02-Empty", "", `at byte 0: no "="`},
		{"A02-LabelOnly", "HMAC-SHA256=", `at byte 12: no ", keyId="`},
		{"A02-EmptyTag", replace("W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=", ""), "at byte 12: tag: got 0 characters, want 44"},
		{"A03-ShortTag", replace("W9zB", ""), "at byte 12: tag: got 40 characters, want 44"},
		{"A03-LongTag", replace("W9zB", "W9zBW9zB"), "at byte 12: tag: got 48 characters, want 44"},
		{"A03-TagOfAnotherHash", replace("HMAC-SHA256", "HMAC-SHA512"), "at byte 12: tag: got 44 characters, want 88"},
		{"A06-UnknownAlgorithm", replace("HMAC-SHA256", "none"), "at byte 0: algorithm"},
		{"A06-EmptyAlgorithm", replace("HMAC-SHA256", ""), "at byte 0: algorithm"},
		{"A06-LowerCase", replace("HMAC-SHA256", "hmac-sha256"), "at byte 0: algorithm"},
		{"A06-TrailingBlank", replace("HMAC-SHA256", "HMAC-SHA256 "), "at byte 0: algorithm"},
		{"A06-SHA1", replace("HMAC-SHA256", "HMAC-SHA1"), "at byte 0: algorithm"},
		{"A06-MD5", replace("HMAC-SHA256", "HMAC-MD5"), "at byte 0: algorithm"},
		{"A30-UnusedBits", replace("sOEM=", "sOEN="), "tag: not padded base64"},
		{"A30-NoPadding", replace("sOEM=", "sOEM"), "tag: got 43 characters"},
		{"A30-Base64URL", replace("W9zB", "W9_B"), "tag: not padded base64"},
		{"A30-NewlineForALetter", replace("W9zB", "W9\nB"), "tag: not padded base64"},
		{"A30-FourNewlines", replace("W9zB", "\r\n\r\n"), "tag: not padded base64"},
		{"A30-BlankAfterEquals", replace("SHA256=", "SHA256= "), "tag: got 45 characters"},
		{"A30-Percent", replace("sOEM=", "sOEM%3D"), "tag: got 46 characters"},
		{"NoKeyID", replace(", keyId=jefe.1", ""), `no ", keyId="`},
		{"EmptyKeyID", replace("jefe.1", ""), "at byte 64: key ID"},
		{"KeyIDInQuotes", replace("jefe.1", `"jefe.1"`), "at byte 64: key ID"},
		{"KeyIDWithNewline", replace("jefe.1", "jefe\n1"), "at byte 64: key ID"},
		{"KeyIDWithComma", replace("jefe.1", "jefe,1"), "at byte 64: key ID"},
		{"KeyIDTooLong", replace("jefe.1", strings.Repeat("k", 129)), "key ID: got 129 bytes"},
		{"KeyIDInOtherCase", replace("keyId", "keyid"), `no ", keyId="`},
		{"A19-KeyIDTwice", replace("jefe.1", "jefe.1, keyId=other"), "at byte 64: key ID"},
		{"NoVersion", replace(", version=1", ""), `at byte 64: no ", version="`},
		{"EmptyVersion", replace("version=1", "version="), "at byte 80: version"},
		{"VersionZero", replace("version=1", "version=0"), "at byte 80: version"},
		{"VersionWithLeadingZero", replace("version=1", "version=01"), "at byte 80: version"},
		{"VersionWithSign", replace("version=1", "version=+1"), "at byte 80: version"},
		{"VersionNegative", replace("version=1", "version=-1"), "at byte 80: version"},
		{"VersionInHex", replace("version=1", "version=0x1"), "at byte 80: version"},
		{"VersionFullWidthDigit", replace("version=1", "version=１"), "at byte 80: version"},
		{"VersionTooHigh", replace("version=1", "version=2147483648"), "at byte 80: version"},
		{"VersionOverflows", replace("version=1", "version=99999999999999999999"), "at byte 80: version"},
		{"A19-VersionTwice", jefe + ", version=1", "at byte 80: version"},
		{"TrailingBlank", jefe + " ", "at byte 80: version"},
		{"TrailingNewline", jefe + "\n", "at byte 80: version"},
		{"LeadingBlank", " " + jefe, "at byte 0: algorithm"},
		{"NoBlankAfterComma", strings.ReplaceAll(jefe, ", ", ","), `no ", keyId="`},
		{"TwoBlanksAfterComma", strings.Replace(jefe, ", ", ",  ", 1), `no ", keyId="`},
		{"OtherOrder", "HMAC-SHA256=W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=, version=1, keyId=jefe.1", `at byte 75: no ", version="`},
		{"A05-NUL", replace("jefe.1", "jefe\x00"), "key ID"},
		{"A05-Huge", replace("W9zB", strings.Repeat("W9zB", 1<<18)), "tag: got 1048616 characters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := api.ParseSignature(tt.text)
			if !errors.Is(err, api.ErrSignature) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseSignature: got error %v, want %s", err, tt.want)
			}
			if s.Tag != nil || s.KeyID != "" || s.Version != 0 || s.Algorithm != 0 {
				t.Errorf("ParseSignature: got %+v beside the error", s)
			}
		})
	}
}

func TestSignatureThatCannotBeWritten(t *testing.T) {
	good, err := api.ParseSignature(jefe)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*api.Signature){
		"Zero":            func(s *api.Signature) { *s = api.Signature{} },
		"LegacyAlgorithm": func(s *api.Signature) { s.Algorithm, s.Tag = mac.SHA1, s.Tag[:20] },
		"NoAlgorithm":     func(s *api.Signature) { s.Algorithm = 0 },
		"ShortTag":        func(s *api.Signature) { s.Tag = s.Tag[:31] },
		"NoTag":           func(s *api.Signature) { s.Tag = nil },
		"NoKeyID":         func(s *api.Signature) { s.KeyID = "" },
		"BadKeyID":        func(s *api.Signature) { s.KeyID = "a, version=2" },
		"VersionZero":     func(s *api.Signature) { s.Version = 0 },
		"VersionTooHigh":  func(s *api.Signature) { s.Version = api.MaxVersion + 1 },
	} {
		s := good
		change(&s)
		if got := s.String(); got != "" {
			t.Errorf("%s: String: got %s, want nothing", name, got)
		}
		if got := s.Append([]byte("x")); string(got) != "x" {
			t.Errorf("%s: Append to x: got %s, want x", name, got)
		}
	}
}

// FuzzSignature checks that a text that parses is the one text of its
// signature, and that errors wrap ErrSignature.
func FuzzSignature(f *testing.F) {
	f.Add(jefe)
	f.Add("HMAC-SHA512-256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=, keyId=~, version=2147483647")
	f.Add("HMAC-SHA384=, keyId=, version=")
	f.Add("SEALWRIGHT-NATIVE-MAC-V1=W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=, keyId=a, version=1")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := api.ParseSignature(text)
		if err != nil {
			if !errors.Is(err, api.ErrSignature) {
				t.Errorf("ParseSignature(%q): got %v, want ErrSignature", text, err)
			}
			return
		}
		if got := s.String(); got != text {
			t.Errorf("ParseSignature(%q).String() = %q", text, got)
		}
	})
}

// FuzzSignatureValue checks that a value that can be written is read as it
// was.
func FuzzSignatureValue(f *testing.F) {
	f.Add(uint8(1), []byte(strings.Repeat("t", 32)), "k", 1)
	f.Add(uint8(3), []byte(strings.Repeat("t", 64)), "a, version=2", 1)
	f.Fuzz(func(t *testing.T, a uint8, tag []byte, keyID string, version int) {
		s := api.Signature{Algorithm: mac.Algorithm(a), Tag: tag, KeyID: keyID, Version: version}
		text := s.String()
		if text == "" {
			return
		}
		got, err := api.ParseSignature(text)
		if err != nil || got.Algorithm != s.Algorithm || !bytes.Equal(got.Tag, tag) || got.KeyID != keyID || got.Version != version {
			t.Errorf("ParseSignature(%q) = %+v, %v, want %+v", text, got, err, s)
		}
	})
}
