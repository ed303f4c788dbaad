package secret_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// marker is the secret that must not show up anywhere.
const marker = "Xylophone-quartz-7319/jumbo"

// window is the number of consecutive bytes of a secret that count as a leak.
const window = 6

// numbers writes each byte of s with format, joined by sep.
func numbers(s, format, sep string) string {
	parts := make([]string, len(s))
	for i := range len(s) {
		parts[i] = fmt.Sprintf(format, s[i])
	}
	return strings.Join(parts, sep)
}

// renderings returns the ways in which printers write the bytes of s.
func renderings(s string) []string {
	out := []string{
		s,
		hex.EncodeToString([]byte(s)),
		strings.ToUpper(hex.EncodeToString([]byte(s))),
		base64.StdEncoding.EncodeToString([]byte(s)), // 6 bytes are 8 characters, without padding
		base64.URLEncoding.EncodeToString([]byte(s)),
	}
	for _, format := range []string{
		"%d", "%x", "%X", "0x%02x", "%#x", "%#X", "%o", "%#o", "%O", "%b", "%#b", "%c", "%q", "%U", `\x%02x`, "&#%d;",
	} {
		for _, sep := range []string{" ", ", ", ",", "", "\n"} {
			out = append(out, numbers(s, format, sep))
		}
	}
	return out
}

// leak returns the first rendering of a piece of the marker in out, or "".
func leak(out string) string {
	for i := range len(marker) - window + 1 {
		for _, r := range renderingsOf[i] {
			if strings.Contains(out, r) {
				return r
			}
		}
	}
	return ""
}

var renderingsOf = func() [][]string {
	var all [][]string
	for i := range len(marker) - window + 1 {
		all = append(all, renderings(marker[i:i+window]))
	}
	return all
}()

// TestLeakIsSeen shows that leak sees what a plain value would give away, so
// that the silence of the other tests means something.
func TestLeakIsSeen(t *testing.T) {
	plain := []byte(marker)
	type hidden struct{ b []byte }
	for _, tt := range []struct{ name, out string }{
		{"String", marker},
		{"Piece", "…" + marker[9:15] + "…"},
		{"Quoted", strconv.Quote(marker)},
		{"Decimal", fmt.Sprint(plain)},
		{"UnexportedField", fmt.Sprint(hidden{plain})},
		{"UnexportedFieldGo", fmt.Sprintf("%#v", hidden{plain})},
		{"HexSpaced", fmt.Sprintf("% x", plain)},
		{"HexPrefixed", fmt.Sprintf("%# X", plain)},
		{"Binary", fmt.Sprintf("%b", plain)},
		{"Octal", fmt.Sprintf("%O", plain)},
		{"Characters", fmt.Sprintf("%c", plain)},
		{"Unicode", fmt.Sprintf("%U", plain)},
		{"Base64At0", base64.StdEncoding.EncodeToString(plain)},
		{"Base64At1", base64.StdEncoding.EncodeToString(append([]byte("a"), plain...))},
		{"Base64At2", base64.RawURLEncoding.EncodeToString(append([]byte("ab"), plain...))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if leak(tt.out) == "" {
				t.Errorf("leak(%q) sees nothing", tt.out)
			}
		})
	}
	for _, out := range []string{"", "[secret]", "{open:0x4f2a60}", "%!d(func() []uint8=5188192)"} {
		if got := leak(out); got != "" {
			t.Errorf("leak(%q) = %q, want nothing", out, got)
		}
	}
}
