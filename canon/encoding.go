// Package canon holds the canonical forms that signature schemes are made of:
// tag encodings, percent-encoding, parameter lists, header names and values,
// and strict reading of single JSON fields.
//
// Everything here is a pure function of its arguments. Parsers refuse what is
// not canonical instead of guessing.
package canon

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Encoding is the text form of a tag, a key or a digest. The zero value is
// invalid.
type Encoding uint8

// The encodings. All of them are strict: one text for each value. HexAny is
// the exception for formats whose senders do not agree on a case.
const (
	Hex          Encoding = 1 // lower case
	HexUpper     Encoding = 2
	HexAny       Encoding = 3 // either case, also mixed
	Base64       Encoding = 4 // RFC 4648 section 4, padded
	Base64Raw    Encoding = 5 // without padding
	Base64URL    Encoding = 6 // RFC 4648 section 5, padded
	Base64URLRaw Encoding = 7 // without padding
)

var encodingNames = [...]string{
	Hex: "hex", HexUpper: "HEX", HexAny: "hex-any", Base64: "base64", Base64Raw: "base64-raw",
	Base64URL: "base64url", Base64URLRaw: "base64url-raw",
}

// ParseEncoding returns the encoding with this exact name: hex, HEX, hex-any,
// base64, base64-raw, base64url or base64url-raw.
func ParseEncoding(name string) (Encoding, error) {
	for e, n := range encodingNames {
		if n == name && n != "" {
			return Encoding(e), nil
		}
	}
	return 0, fmt.Errorf("unknown encoding %q", name)
}

// String returns the name that [ParseEncoding] reads.
func (e Encoding) String() string {
	if int(e) >= len(encodingNames) || e == 0 {
		return fmt.Sprintf("canon.Encoding(%d)", uint8(e))
	}
	return encodingNames[e]
}

var errTooLong = errors.New("longer than allowed")

// The encodings refuse bits behind the end; encoding is the same with and
// without Strict.
var (
	base64Std    = base64.StdEncoding.Strict()
	base64StdRaw = base64.RawStdEncoding.Strict()
	base64URL    = base64.URLEncoding.Strict()
	base64URLRaw = base64.RawURLEncoding.Strict()
)

func (e Encoding) base64() *base64.Encoding {
	switch e {
	case Base64:
		return base64Std
	case Base64Raw:
		return base64StdRaw
	case Base64URL:
		return base64URL
	case Base64URLRaw:
		return base64URLRaw
	}
	return nil
}

// Append appends the text of src to dst. It panics if e is invalid.
func (e Encoding) Append(dst, src []byte) []byte {
	switch e {
	case Hex, HexAny:
		return appendHex(dst, src, &hexPairs)
	case HexUpper:
		return appendHex(dst, src, &hexUpperPairs)
	}
	return e.base64().AppendEncode(dst, src)
}

// pairs has the two digits of each byte.
type pairs [256][2]byte

var hexPairs, hexUpperPairs = pairsOf("0123456789abcdef"), pairsOf(upperHex)

func pairsOf(digits string) (out pairs) {
	for i := range out {
		out[i] = [2]byte{digits[i>>4], digits[i&15]}
	}
	return out
}

func appendHex(dst, src []byte, digits *pairs) []byte {
	start := len(dst)
	dst = slices.Grow(dst, 2*len(src))[:start+2*len(src)]
	out := dst[start:]
	for _, b := range src {
		out[0], out[1] = digits[b][0], digits[b][1]
		out = out[2:]
	}
	return dst
}

// EncodeToString returns the text of src. It panics if e is invalid.
func (e Encoding) EncodeToString(src []byte) string { return string(e.Append(nil, src)) }

// Decode writes the bytes that text stands for to dst and returns their
// number. It returns an error if dst is too short or text is anything but the
// one canonical form: other letters, blanks, line breaks, wrong padding, bits
// behind the end.
func (e Encoding) Decode(dst []byte, text string) (int, error) {
	switch e {
	case Hex, HexUpper, HexAny:
		if len(text)%2 != 0 {
			return 0, fmt.Errorf("not %v: odd length %d", e, len(text))
		}
		if len(text)/2 > len(dst) {
			return 0, errTooLong
		}
		return e.decodeHex(dst[:len(text)/2], text)
	case Base64, Base64Raw, Base64URL, Base64URLRaw:
		return e.decodeBase64(dst, text)
	}
	return 0, fmt.Errorf("unknown encoding %d", uint8(e))
}

func (e Encoding) decodeBase64(dst []byte, text string) (int, error) {
	for _, c := range [...]byte{'\r', '\n'} { // encoding/base64 would skip them
		if i := strings.IndexByte(text, c); i >= 0 {
			return 0, fmt.Errorf("not %v at byte %d", e, i)
		}
	}
	enc := e.base64()
	size := enc.DecodedLen(len(text))
	if size > len(dst)+2 {
		return 0, errTooLong
	}
	var in [128]byte
	src, room := append(in[:0], text...), dst
	if size > len(dst) { // perhaps for padding only
		room = make([]byte, size)
	}
	n, err := enc.Decode(room, src)
	if err != nil {
		return 0, fmt.Errorf("not %v: %w", e, err)
	}
	if n > len(dst) {
		return 0, errTooLong
	}
	return copy(dst, room[:n]), nil
}

// decodeHex fills dst from twice as many digits. Lower-case ones are read eight
// at a time, since tags in hex are the most frequent.
func (e Encoding) decodeHex(dst []byte, text string) (int, error) {
	n, digits := 0, &nibbles[e]
	for e == Hex && n+4 <= len(dst) {
		four, ok := fourOfHex(text[2*n:])
		if !ok {
			break // below, which finds the place
		}
		binary.LittleEndian.PutUint32(dst[n:], four)
		n += 4
	}
	for ; n < len(dst); n++ {
		hi, lo := digits[text[2*n]], digits[text[2*n+1]]
		if hi|lo > 15 {
			return 0, fmt.Errorf("not %v at byte %d", e, 2*n)
		}
		dst[n] = hi<<4 | lo
	}
	return n, nil
}

// fourOfHex returns the bytes that the first eight lower-case digits of s stand
// for, the first one lowest. It works on all digits at once, each in its byte of
// a word: a letter has the bit 0x40, and what came out must, written as digits
// again, be what went in.
func fourOfHex(s string) (four uint32, ok bool) {
	const ones = 0x0101010101010101
	in := word(s)
	x := in&(0x0f*ones) + 9*(in>>6&ones)
	above9 := (x + 0x76*ones) >> 7 & ones
	if x+'0'*ones+('a'-'0'-10)*above9 != in || x&(0x10*ones) != 0 {
		return 0, false
	}
	x = (x<<4 | x>>8) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x | x>>16), true
}

// nibbles has the value of each hex digit, 0xff for other bytes, in the
// encodings that are hex.
var nibbles = func() (t [HexAny + 1][256]byte) {
	for e := range t {
		for c := range 256 {
			t[e][c] = 0xff
		}
		for i := range byte(16) {
			if Encoding(e) != HexUpper {
				t[e]["0123456789abcdef"[i]] = i
			}
			if Encoding(e) != Hex {
				t[e][upperHex[i]] = i
			}
		}
	}
	return t
}()

func (e Encoding) nibble(c byte) byte { return nibbles[e][c] }

// DecodeString returns the bytes that text stands for, as [Encoding.Decode]
// does, at any length.
func (e Encoding) DecodeString(text string) ([]byte, error) {
	dst := make([]byte, len(text)+1)
	n, err := e.Decode(dst, text)
	if err != nil {
		return nil, err
	}
	return dst[:n], nil
}
