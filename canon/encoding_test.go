package canon_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/canon"
)

var encodings = []canon.Encoding{
	canon.Hex, canon.HexUpper, canon.HexAny, canon.Base64, canon.Base64Raw, canon.Base64URL, canon.Base64URLRaw,
}

// TestEncodingNames holds the names, which stand in definitions, and the
// numbers.
func TestEncodingNames(t *testing.T) {
	names := []string{"hex", "HEX", "hex-any", "base64", "base64-raw", "base64url", "base64url-raw"}
	for i, e := range encodings {
		if int(e) != i+1 || e.String() != names[i] {
			t.Errorf("%d: String = %q, want %q", uint8(e), e, names[i])
		}
		if got, err := canon.ParseEncoding(names[i]); got != e || err != nil {
			t.Errorf("ParseEncoding(%q) = %v, %v", names[i], got, err)
		}
	}
	for _, name := range []string{
		"", " ", "Hex", "HEX ", "hex_any", "Base64", "base64-URL", "base64url-", "base32", "raw", "canon.Encoding(0)",
	} {
		if got, err := canon.ParseEncoding(name); err == nil || got != 0 {
			t.Errorf("ParseEncoding(%q) = %v, %v, want an error", name, got, err)
		}
	}
	for _, e := range []canon.Encoding{0, 8, 255} {
		if got, want := e.String(), fmt.Sprintf("canon.Encoding(%d)", uint8(e)); got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
	}
}

// TestEncodingVectors are the test vectors of RFC 4648 section 10, and bytes
// that the two alphabets write differently.
func TestEncodingVectors(t *testing.T) {
	tests := []struct {
		in                             string
		hex, base64, raw, url, urlOpen string
	}{
		{"", "", "", "", "", ""},
		{"f", "66", "Zg==", "Zg", "Zg==", "Zg"},
		{"fo", "666f", "Zm8=", "Zm8", "Zm8=", "Zm8"},
		{"foo", "666f6f", "Zm9v", "Zm9v", "Zm9v", "Zm9v"},
		{"foob", "666f6f62", "Zm9vYg==", "Zm9vYg", "Zm9vYg==", "Zm9vYg"},
		{"fooba", "666f6f6261", "Zm9vYmE=", "Zm9vYmE", "Zm9vYmE=", "Zm9vYmE"},
		{"foobar", "666f6f626172", "Zm9vYmFy", "Zm9vYmFy", "Zm9vYmFy", "Zm9vYmFy"},
		{"\xfb\xff\xfe", "fbfffe", "+//+", "+//+", "-__-", "-__-"},
		{"\x00\x00", "0000", "AAA=", "AAA", "AAA=", "AAA"},
	}
	for _, tt := range tests {
		for e, want := range map[canon.Encoding]string{
			canon.Hex: tt.hex, canon.HexUpper: strings.ToUpper(tt.hex), canon.HexAny: tt.hex, canon.Base64: tt.base64,
			canon.Base64Raw: tt.raw, canon.Base64URL: tt.url, canon.Base64URLRaw: tt.urlOpen,
		} {
			if got := e.EncodeToString([]byte(tt.in)); got != want {
				t.Errorf("%v of %q = %q, want %q", e, tt.in, got, want)
			}
			if got := string(e.Append([]byte("dst"), []byte(tt.in))); got != "dst"+want {
				t.Errorf("Append of %v = %q", e, got)
			}
			if got, err := e.DecodeString(want); err != nil || string(got) != tt.in {
				t.Errorf("DecodeString of %v %q = %q, %v, want %q", e, want, got, err, tt.in)
			}
		}
	}
}

// TestA30NotCanonical: there is one text for each value, and every other is
// refused.
func TestA30NotCanonical(t *testing.T) {
	tests := []struct {
		name string
		e    canon.Encoding
		text string
	}{
		{"UpperInLower", canon.Hex, "AB"},
		{"MixedInLower", canon.Hex, "aB"},
		{"LowerInUpper", canon.HexUpper, "ab"},
		{"MixedInUpper", canon.HexUpper, "Ab"},
		{"OddLength", canon.Hex, "abc"},
		{"OddLengthAny", canon.HexAny, "ABc"},
		{"OneDigit", canon.HexUpper, "0"},
		{"Prefix", canon.HexAny, "0x61"},
		{"LetterBehindF", canon.HexAny, "6g"},
		{"LetterBeforeA", canon.HexAny, "6@"},
		{"SignBehind9", canon.Hex, "6:"},
		{"SignBefore0", canon.Hex, "/6"},
		{"BlankBefore", canon.Hex, " 61"},
		{"BlankBehind", canon.Hex, "61 "},
		{"BlankWithin", canon.Hex, "61 2"},
		{"LineFeed", canon.Hex, "61\n2"},
		{"NUL", canon.Hex, "61\x00\x00"},
		{"FullWidthDigit", canon.Hex, "６1"},
		{"PercentEscape", canon.Hex, "%61"},

		{"NoPadding", canon.Base64, "Zg"},
		{"HalfPadding", canon.Base64, "Zg="},
		{"TooMuchPadding", canon.Base64, "Zg==="},
		{"FourPadding", canon.Base64, "Zg======"},
		{"PaddingOnWhole", canon.Base64, "Zm9v===="},
		{"PaddingAlone", canon.Base64, "===="},
		{"OnePaddingAlone", canon.Base64, "="},
		{"PaddingWithin", canon.Base64, "Zg==Zg=="},
		{"PaddingFirst", canon.Base64, "=Zg="},
		{"PaddingInRaw", canon.Base64Raw, "Zg=="},
		{"PaddingInRaw3", canon.Base64Raw, "Zm8="},
		{"PaddingInURLRaw", canon.Base64URLRaw, "Zg=="},
		{"NoPaddingInURL", canon.Base64URL, "Zg"},
		{"OneCharacter", canon.Base64Raw, "Z"},
		{"OneCharacterMore", canon.Base64Raw, "Zm9vZ"},
		{"BitsBehindTheEnd", canon.Base64, "Zh=="},
		{"LastBitBehindTheEnd", canon.Base64, "Zm9="},
		{"BitsBehindTheEndRaw", canon.Base64Raw, "Zh"},
		{"BitsBehindTheEndURL", canon.Base64URL, "Zm9="},
		{"BitsBehindTheEndURLRaw", canon.Base64URLRaw, "Zn"},
		{"URLAlphabet", canon.Base64, "-__-"},
		{"URLAlphabetRaw", canon.Base64Raw, "-__-"},
		{"StandardAlphabet", canon.Base64URL, "+//+"},
		{"StandardAlphabetRaw", canon.Base64URLRaw, "+//+"},
		{"MixedAlphabets", canon.Base64, "+_/+"},
		{"BlankForPlus", canon.Base64, " //+"},
		{"LineFeedBehind", canon.Base64, "Zm9v\n"},
		{"LineFeedWithin", canon.Base64, "Zm9v\nZm9v"},
		{"CarriageReturn", canon.Base64, "Zm9v\r\nZm9v"},
		{"LineFeedAlone", canon.Base64, "\n"},
		{"LineFeedInPadding", canon.Base64, "Zg=\n="},
		{"LineFeedInURLRaw", canon.Base64URLRaw, "Zm9v\n"},
		{"BlankBehindBase64", canon.Base64, "Zm9v "},
		{"Tab", canon.Base64, "Zm9v\t"},
		{"NULBehind", canon.Base64, "Zm9v\x00"},
		{"EncodedPadding", canon.Base64, "Zg%3D%3D"},
		{"NotASCII", canon.Base64, "Zm9é"},
		{"HighByte", canon.Base64, "Zm9\xff"},

		{"NoEncoding", 0, "61"},
		{"UnknownEncoding", 8, "61"},
		{"UnknownEncodingOfNothing", 255, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := tt.e.DecodeString(tt.text); err == nil || got != nil {
				t.Errorf("DecodeString(%q) = %q, %v, want an error", tt.text, got, err)
			}
			var dst [64]byte
			if n, err := tt.e.Decode(dst[:], tt.text); err == nil || n != 0 {
				t.Errorf("Decode(%q) = %d, %v, want an error", tt.text, n, err)
			}
		})
	}
}

// canonical reports whether text is what e writes for raw, in any case for
// HexAny.
func canonical(e canon.Encoding, text string, raw []byte) bool {
	if e == canon.HexAny {
		return strings.EqualFold(text, hex.EncodeToString(raw))
	}
	return text == e.EncodeToString(raw)
}

// TestA30OneCharacterElse puts every byte in every place of short texts:
// whatever decodes is the canonical text of what it decodes to.
func TestA30OneCharacterElse(t *testing.T) {
	for _, e := range encodings {
		t.Run(e.String(), func(t *testing.T) {
			accepted, refused := 0, 0
			for _, raw := range []string{"\x00", "\xff", "fo", "\xfb\xff", "foo", "foob"} {
				text := []byte(e.EncodeToString([]byte(raw)))
				for i := range text {
					for c := range 256 {
						other := bytes.Clone(text)
						other[i] = byte(c)
						got, err := e.DecodeString(string(other))
						if err != nil {
							refused++
							continue
						}
						accepted++
						if !canonical(e, string(other), got) {
							t.Errorf("%q decodes to %x, which is %q", other, got, e.EncodeToString(got))
						}
						if e != canon.HexAny && string(got) == raw && !bytes.Equal(other, text) {
							t.Errorf("%q and %q both decode to %x", other, text, raw)
						}
					}
				}
			}
			if accepted == 0 || refused == 0 {
				t.Errorf("%d texts were accepted and %d refused", accepted, refused)
			}
		})
	}
}

// TestHexPairs tries all pairs of bytes.
func TestHexPairs(t *testing.T) {
	digits := map[canon.Encoding]string{
		canon.Hex: "0123456789abcdef", canon.HexUpper: "0123456789ABCDEF", canon.HexAny: "0123456789abcdefABCDEF",
	}
	for e, allowed := range digits {
		for pair := range 1 << 16 {
			text := string([]byte{byte(pair >> 8), byte(pair)})
			want := strings.IndexByte(allowed, text[0]) >= 0 && strings.IndexByte(allowed, text[1]) >= 0
			got, err := e.DecodeString(text)
			if (err == nil) != want {
				t.Fatalf("%v: DecodeString(%q) = %x, %v, want success %v", e, text, got, err, want)
			}
			if want && !canonical(e, text, got) {
				t.Fatalf("%v: %q decodes to %x", e, text, got)
			}
		}
	}
}

// TestDecodeRoom: a text of more bytes than dst has room for is an error, and
// nothing is written behind dst.
func TestDecodeRoom(t *testing.T) {
	for _, e := range encodings {
		t.Run(e.String(), func(t *testing.T) {
			for n := range 70 {
				raw := bytes.Repeat([]byte{0xa5}, n)
				text := e.EncodeToString(raw)
				for room := range 70 {
					buf := bytes.Repeat([]byte{0x11}, room+4)
					got, err := e.Decode(buf[:room], text)
					if n > room && (err == nil || got != 0) {
						t.Fatalf("%d bytes into %d: %d, %v, want an error", n, room, got, err)
					}
					if n <= room && (err != nil || !bytes.Equal(buf[:got], raw)) {
						t.Fatalf("%d bytes into %d: %d, %v", n, room, got, err)
					}
					if !bytes.Equal(buf[room:], []byte{0x11, 0x11, 0x11, 0x11}) {
						t.Fatalf("%d bytes into %d: wrote behind the end", n, room)
					}
				}
			}
		})
	}
}

// TestDecodeLong: the length of the text decides nothing but room.
func TestDecodeLong(t *testing.T) {
	for _, e := range encodings {
		for _, n := range []int{127, 128, 129, 191, 192, 193, 255, 256, 257, 5000} {
			raw := bytes.Repeat([]byte{0, 0xff, 0x3e}, n)[:n]
			if got, err := e.DecodeString(e.EncodeToString(raw)); err != nil || !bytes.Equal(got, raw) {
				t.Errorf("%v of %d bytes: %v", e, n, err)
			}
		}
		var tag [64]byte
		huge := strings.Repeat("AAAA", 1<<18)
		if n, err := e.Decode(tag[:], huge); err == nil || n != 0 {
			t.Errorf("%v of 1 MiB into a tag = %d, %v, want an error", e, n, err)
		}
	}
}

// TestDecodeErrors: an error names the encoding and the place and not the text,
// which may be a key.
func TestDecodeErrors(t *testing.T) {
	tests := []struct {
		e    canon.Encoding
		text string
		want string
	}{
		{canon.Hex, "secret", "not hex at byte 0"},
		{canon.Hex, "00secrets0", "not hex at byte 2"},
		{canon.HexUpper, "00secret", "not HEX at byte 2"},
		{canon.HexAny, "abc", "not hex-any: odd length 3"},
		{canon.Base64, "secret\n=", "not base64 at byte 6"},
		{canon.Base64, "se.ret==", "not base64: illegal base64 data at input byte 2"},
		{canon.Base64URLRaw, "sec=", "not base64url-raw: illegal base64 data at input byte 3"},
		{9, "secret", "unknown encoding 9"},
	}
	for _, tt := range tests {
		_, err := tt.e.DecodeString(tt.text)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%v of %q: error %v, want %s", tt.e, tt.text, err, tt.want)
		}
	}
}

// FuzzDecode: what decodes is canonical, and agrees with the standard library.
func FuzzDecode(f *testing.F) {
	for _, e := range encodings {
		f.Add(uint8(e), e.EncodeToString([]byte("foob")))
		f.Add(uint8(e), e.EncodeToString(bytes.Repeat([]byte{0xfb}, 300)))
	}
	f.Add(uint8(canon.Base64), "Zh==")
	f.Add(uint8(canon.Hex), "aB")
	std := map[canon.Encoding]*base64.Encoding{
		canon.Base64: base64.StdEncoding, canon.Base64Raw: base64.RawStdEncoding,
		canon.Base64URL: base64.URLEncoding, canon.Base64URLRaw: base64.RawURLEncoding,
	}
	f.Fuzz(func(t *testing.T, number uint8, text string) {
		e := encodings[int(number)%len(encodings)]
		got, err := e.DecodeString(text)
		if err == nil && !canonical(e, text, got) {
			t.Errorf("%v: %q decodes to %x, which is %q", e, text, got, e.EncodeToString(got))
		}
		var oracle []byte
		var oracleErr error
		if s := std[e]; s != nil {
			oracle, oracleErr = s.DecodeString(text)
		} else {
			oracle, oracleErr = hex.DecodeString(text)
		}
		if err == nil && (oracleErr != nil || !bytes.Equal(got, oracle)) {
			t.Errorf("%v: %q decodes to %x, the standard library says %x, %v", e, text, got, oracle, oracleErr)
		}
		if err != nil && oracleErr == nil && canonical(e, text, oracle) {
			t.Errorf("%v: canonical %q is refused: %v", e, text, err)
		}
	})
}

// FuzzEncode: every value survives the way there and back.
func FuzzEncode(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("\x00\xff\xfe"))
	f.Add(bytes.Repeat([]byte("long"), 100))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, e := range encodings {
			text := e.EncodeToString(raw)
			if got, err := e.DecodeString(text); err != nil || !bytes.Equal(got, raw) {
				t.Errorf("%v: %x is %q, which decodes to %x, %v", e, raw, text, got, err)
			}
			dst := make([]byte, len(raw))
			if n, err := e.Decode(dst, text); err != nil || n != len(raw) || !bytes.Equal(dst, raw) {
				t.Errorf("%v: Decode into exact room = %d, %v", e, n, err)
			}
		}
	})
}

func ExampleEncoding_Decode() {
	var tag [64]byte
	for _, text := range []string{"00ff", "00FF", "00f"} {
		n, err := canon.Hex.Decode(tag[:], text)
		fmt.Println(n, err)
	}
	// Output:
	// 2 <nil>
	// 0 not hex at byte 2
	// 0 not hex: odd length 3
}

// TestHexWords holds every byte at every place of sixteen digits against
// package hex, since digits are read eight at a time.
func TestHexWords(t *testing.T) {
	for at := range 16 {
		for c := range 256 {
			text := []byte("0123456789abcdef")
			text[at] = byte(c)
			var got [8]byte
			n, err := canon.Hex.Decode(got[:], string(text))
			want, wantErr := hex.DecodeString(string(text))
			if 'A' <= c && c <= 'F' {
				wantErr = hex.InvalidByteError(c) // package hex reads either case
			}
			if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got[:n], want) {
				t.Errorf("%q: got %x, %v, want %x, %v", text, got[:n], err, want, wantErr)
			}
		}
	}
}
