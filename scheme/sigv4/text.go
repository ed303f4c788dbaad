package sigv4

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// isPlain reports whether s has no control characters, tabs included.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// plain refuses control characters other than tabs in a text that is signed as
// it stands: a line feed would move the border between lines.
func plain(what, s string) error {
	for i := range len(s) {
		if c := s[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return sealwright.Refusef(sealwright.ErrMalformed, "%s: control character at byte %d", clip(what), i)
		}
	}
	return nil
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isDigit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isHeaderName reports whether s is an HTTP token without upper-case letters.
func isHeaderName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !canon.TokenChars.Has(c) || ('A' <= c && c <= 'Z') {
			return false
		}
	}
	return s != ""
}

// unescape reads the escape that s begins with.
func unescape(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	var b [1]byte
	n, err := canon.HexAny.Decode(b[:], s[1:3])
	return b[0], err == nil && n == 1
}

func errEscape(at int) error { return fmt.Errorf("bad percent escape at byte %d", at) }

// sorted returns the names of a list in order.
func sorted(list string) string {
	names := strings.Split(list, ";")
	if slices.IsSorted(names) {
		return list
	}
	slices.Sort(names)
	return strings.Join(names, ";")
}

// clip bounds what an error repeats of a message.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

// isCredentialPart reports whether s can stand between the slashes of a
// credential.
func isCredentialPart(s string) bool {
	return s != "" && !strings.Contains(s, "/") && isKeyID(s)
}

// isKeyID reports whether s can stand before the scope of a credential in a
// header.
func isKeyID(s string) bool {
	return s != "" && isPlain(s) && !strings.Contains(s, ",") && canon.TrimOWS(s) == s
}
