// Package canon holds the canonical forms that signature schemes are made of:
// tag encodings, percent-encoding, parameter lists, header names and values,
// and strict reading of single JSON fields.
//
// Everything here is a pure function of its arguments. Parsers refuse what is
// not canonical instead of guessing.
package canon

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
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

func (e Encoding) base64() *base64.Encoding {
	switch e {
	case Base64:
		return base64.StdEncoding
	case Base64Raw:
		return base64.RawStdEncoding
	case Base64URL:
		return base64.URLEncoding
	case Base64URLRaw:
		return base64.RawURLEncoding
	}
	return nil
}

// Append appends the text of src to dst. It panics if e is invalid.
func (e Encoding) Append(dst, src []byte) []byte {
	switch e {
	case Hex, HexAny:
		return hex.AppendEncode(dst, src)
	case HexUpper:
		const digits = "0123456789ABCDEF"
		for _, b := range src {
			dst = append(dst, digits[b>>4], digits[b&15])
		}
		return dst
	}
	return e.base64().AppendEncode(dst, src)
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
		digits := &nibbles[e]
		for i := 0; i < len(text); i += 2 {
			hi, lo := digits[text[i]], digits[text[i+1]]
			if hi|lo > 15 {
				return 0, fmt.Errorf("not %v at byte %d", e, i)
			}
			dst[i/2] = hi<<4 | lo
		}
		return len(text) / 2, nil
	case Base64, Base64Raw, Base64URL, Base64URLRaw:
		if i := strings.IndexAny(text, "\r\n"); i >= 0 { // encoding/base64 would skip them
			return 0, fmt.Errorf("not %v at byte %d", e, i)
		}
		enc := e.base64()
		if enc.DecodedLen(len(text)) > len(dst)+2 {
			return 0, errTooLong
		}
		var in, out [256]byte
		src, room := in[:0], out[:]
		if len(text) > len(in) {
			src, room = make([]byte, 0, len(text)), make([]byte, enc.DecodedLen(len(text)))
		}
		n, err := enc.Strict().Decode(room, append(src, text...))
		if err != nil {
			return 0, fmt.Errorf("not %v: %w", e, err)
		}
		if n > len(dst) {
			return 0, errTooLong
		}
		return copy(dst, room[:n]), nil
	}
	return 0, fmt.Errorf("unknown encoding %d", uint8(e))
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
