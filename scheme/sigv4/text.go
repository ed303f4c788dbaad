package sigv4

import (
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// cut is [strings.Cut] for one byte, which it finds faster.
func cut(s string, c byte) (before, after string) {
	if i := strings.IndexByte(s, c); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// trimLeft returns s without blanks and tabs at its beginning.
func trimLeft(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

// isPlain reports whether s has no control characters, tabs included.
func isPlain(s string) bool {
	if canon.Printable(s) {
		return true
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// plain refuses control characters in a text that is signed as it stands: a
// line feed would move the border between lines.
func plain(what, s string) error {
	if !isPlain(s) {
		return sealwright.Refusef(sealwright.ErrMalformed, "%s holds a control character", what)
	}
	return nil
}

// isToken reports whether s is an HTTP token.
func isToken(s string) bool {
	for i := range len(s) {
		if !canon.TokenChars.Has(s[i]) {
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
