package canon

import (
	"fmt"
	"strings"
)

// Set is a set of bytes that percent-encoding leaves as they are.
type Set [4]uint64

// NewSet returns a set of the bytes of s and, if alnum, ASCII letters and digits.
func NewSet(s string, alnum bool) Set {
	var set Set
	for i := range len(s) {
		set[s[i]>>6] |= 1 << (s[i] & 63)
	}
	if alnum {
		for c := byte('0'); c <= 'z'; c++ {
			if c <= '9' || ('A' <= c && c <= 'Z') || 'a' <= c {
				set[c>>6] |= 1 << (c & 63)
			}
		}
	}
	return set
}

// Has reports whether c is in the set.
func (s Set) Has(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }

// The sets that schemes name.
var (
	Unreserved   = NewSet("-._~", true)                 // RFC 3986 section 2.3
	PathChars    = NewSet("-._~/", true)                // unreserved and slash
	URIComponent = NewSet("-_.!~*'()", true)            // encodeURIComponent of ECMAScript
	URI          = NewSet("-_.!~*'();,/?:@&=+$#", true) // encodeURI of ECMAScript
	FormChars    = NewSet("*-._", true)                 // application/x-www-form-urlencoded of WHATWG; a blank becomes +
)

const upperHex = "0123456789ABCDEF"

// AppendPercent appends s with every byte outside keep as %XX, upper case.
func AppendPercent(dst []byte, s string, keep Set) []byte {
	for i := range len(s) {
		if c := s[i]; keep.Has(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// AppendForm appends s as a form encoder writes it: a blank as +, other bytes
// outside [FormChars] as %XX.
func AppendForm(dst []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			dst = append(dst, '+')
		case FormChars.Has(c):
			dst = append(dst, c)
		default:
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// AppendPlus appends s with a blank as + and other bytes outside [Unreserved] as
// %XX.
func AppendPlus(dst []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			dst = append(dst, '+')
		case Unreserved.Has(c):
			dst = append(dst, c)
		default:
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// AppendUnescaped appends s with %XX decoded, and with + as a blank if plus is
// true. A % that does not begin an escape is an error.
func AppendUnescaped(dst []byte, s string, plus bool) ([]byte, error) {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) {
				return dst, fmt.Errorf("bad percent escape at byte %d", i)
			}
			hi, lo := HexAny.nibble(s[i+1]), HexAny.nibble(s[i+2])
			if hi > 15 || lo > 15 {
				return dst, fmt.Errorf("bad percent escape at byte %d", i)
			}
			dst = append(dst, hi<<4|lo)
			i += 2
		case c == '+' && plus:
			dst = append(dst, ' ')
		default:
			dst = append(dst, c)
		}
	}
	return dst, nil
}

// Unescape is [AppendUnescaped] for strings; it returns s itself if there is
// nothing to decode.
func Unescape(s string, plus bool) (string, error) {
	if !strings.Contains(s, "%") && !(plus && strings.Contains(s, "+")) {
		return s, nil
	}
	b, err := AppendUnescaped(nil, s, plus)
	return string(b), err
}
