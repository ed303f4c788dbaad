package rfc9421_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/scheme/rfc9421"
)

// TestField prints what it has parsed. The texts are those of RFC 9651 section
// 3 and of its edges.
func TestField(t *testing.T) {
	tests := []struct {
		name, kind, text, want string
	}{
		{"ListOfTokens", "list", "sugar, tea, rum", "sugar, tea, rum"},
		{"ListEmpty", "list", "", ""},
		{"ListBlanksAndTabs", "list", "  a \t,\tb  ", "a, b"},
		{"ListOfLists", "list", `("foo" "bar"), ("baz"), ("bat" "one"), ()`, `("foo" "bar"), ("baz"), ("bat" "one"), ()`},
		{"ListBlanksInside", "list", `(  "foo"   "bar"  );q=1`, `("foo" "bar");q=1`},
		{"ListParameters", "list", `("foo"; a=1;b=2);lvl=5, ("bar" "baz");lvl=1`, `("foo";a=1;b=2);lvl=5, ("bar" "baz");lvl=1`},
		{"ListAnyKinds", "list", `a, "b", 1, 1.5, :YQ==:, ?0, @1, %"x"`, `a, "b", 1, 1.5, :YQ==:, ?0, @1, %"x"`},
		{"Dictionary", "dictionary", `en="Applepie", da=:w4ZibGV0w6ZydGU=:`, `en="Applepie", da=:w4ZibGV0w6ZydGU=:`},
		{"DictionaryEmpty", "dictionary", "   ", ""},
		{"DictionaryBooleans", "dictionary", "a=?0, b, c; foo=bar", "a=?0, b, c;foo=bar"},
		{"DictionaryTrue", "dictionary", "a=?1, b=?1;x=?1;y=?0", "a, b;x;y=?0"},
		{"DictionaryMixed", "dictionary", "rating=1.5, feelings=(joy sadness)", "rating=1.5, feelings=(joy sadness)"},
		{"DictionaryKeys", "dictionary", "*a=1, a-_.*0=2", "*a=1, a-_.*0=2"},
		{"Integer", "item", "42", "42"},
		{"IntegerNegative", "item", "-042", "-42"},
		{"IntegerZero", "item", "-0", "0"},
		{"IntegerLongest", "item", "999999999999999", "999999999999999"},
		{"Decimal", "item", "4.5", "4.5"},
		{"DecimalZeros", "item", "-00.500", "-0.5"},
		{"DecimalWhole", "item", "1.000", "1.0"},
		{"DecimalThousandth", "item", "0.002", "0.002"},
		{"DecimalHundredth", "item", "0.020", "0.02"},
		{"DecimalLongest", "item", "999999999999.999", "999999999999.999"},
		{"String", "item", `"hello world"`, `"hello world"`},
		{"StringEmpty", "item", `""`, `""`},
		{"StringEscapes", "item", `"a\"b\\c"`, `"a\"b\\c"`},
		{"Token", "item", "foo123/456:*", "foo123/456:*"},
		{"TokenStar", "item", "*", "*"},
		{"Bytes", "item", ":cHJldGVuZCB0aGlzIGlzIGJpbmFyeSBjb250ZW50Lg==:", ":cHJldGVuZCB0aGlzIGlzIGJpbmFyeSBjb250ZW50Lg==:"},
		{"BytesEmpty", "item", "::", "::"},
		{"Boolean", "item", "?1", "?1"},
		{"Date", "item", "@1659578233", "@1659578233"},
		{"DateNegative", "item", "@-62135596800", "@-62135596800"},
		{"Display", "item", `%"This is intended for display to %c3%bcsers."`, `%"This is intended for display to %c3%bcsers."`},
		{"DisplayNeedlessEscape", "item", `%"%41%25%22"`, `%"A%25%22"`},
		{"ItemParameters", "item", `5; foo=bar;  b;c=?1`, `5;foo=bar;b;c`},
		{"ItemBlanks", "item", "  5  ", "5"},
		{"ParameterManyKeys", "item", "1" + many(20, ";k%d=1"), "1" + many(20, ";k%d=1")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := rfc9421.Reprint(tt.kind, tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			again, err := rfc9421.Reprint(tt.kind, got)
			if err != nil || again != got {
				t.Errorf("second time: got %q, %v, want %q", again, err, got)
			}
		})
	}
}

func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestFieldRefuses(t *testing.T) {
	tests := []struct {
		name, kind, text, want string // want is a part of the error
	}{
		{"ListTrailingComma", "list", "a,", "byte 2: want a member after the comma"},
		{"ListLeadingComma", "list", ",a", "byte 0: want a value"},
		{"ListLeadingTab", "list", "\ta", "byte 0: want a value"},
		{"ListNoComma", "list", "a b", "byte 2: want a comma"},
		{"ListInList", "list", "((a))", "byte 1: want a value"},
		{"InnerListOpen", "list", "(a", "want a blank or a closing parenthesis"},
		{"InnerListComma", "list", "(a, b)", "byte 2: want a blank or a closing parenthesis"},
		{"InnerListTab", "list", "(a\tb)", "want a blank or a closing parenthesis"},
		{"InnerListTouching", "list", `("a""b")`, "byte 4: want a blank or a closing parenthesis"},
		{"DictionaryUpperKey", "dictionary", "A=1", "byte 0: want a key"},
		{"DictionaryDigitKey", "dictionary", "1a=1", "byte 0: want a key"},
		{"DictionaryNoValue", "dictionary", "a=", "byte 2: want a value"},
		{"DictionaryBlankValue", "dictionary", "a= 1", "byte 2: want a value"},
		{"DictionaryRepeatedKey", "dictionary", "a=1, b=2, a=1", `key "a" stands twice`},
		{"DictionaryRepeatedAmongMany", "dictionary", many(40, "k%d, ") + "k7", `key "k7" stands twice`},
		{"ParameterRepeated", "item", "1;a=1;b;a=2", `parameter "a" stands twice`},
		{"ParameterRepeatedAmongMany", "item", "1" + many(40, ";k%d") + ";k0", `parameter "k0" stands twice`},
		{"ParameterUpper", "item", "1;A", "byte 2: want a key"},
		{"ParameterBlankBefore", "item", "1 ;a", "byte 2: want the end"},
		{"ItemEmpty", "item", "", "byte 0: want a value"},
		{"ItemTwo", "item", "1 2", "byte 2: want the end"},
		{"ItemNUL", "item", "\x00", "byte 0: want a value"},
		{"IntegerSign", "item", "+5", "byte 0: want a value"},
		{"IntegerLonely", "item", "-", "byte 1: want a digit"},
		{"IntegerTooLong", "item", "1000000000000000", "integer of 16 digits"},
		{"IntegerExponent", "item", "1e9", "byte 1: want the end"},
		{"IntegerHex", "item", "0x10", "byte 1: want the end"},
		{"DecimalPointFirst", "item", ".5", "byte 0: want a value"},
		{"DecimalPointLast", "item", "5.", "decimal with 0 digits after the point"},
		{"DecimalTooFine", "item", "1.1234", "decimal with 4 digits after the point"},
		{"DecimalTooLong", "item", "1234567890123.1", "decimal with 13 digits before the point"},
		{"StringOpen", "item", `"abc`, "string without its end"},
		{"StringEscapeAtEnd", "item", `"abc\`, "want a quote or backslash"},
		{"StringEscapeUnknown", "item", `"\n"`, "want a quote or backslash"},
		{"StringControl", "item", "\"a\tb\"", "character 0x09 in a string"},
		{"StringNotASCII", "item", `"ü"`, "character 0xc3 in a string"},
		{"StringNotASCIIAfterEscape", "item", `"\\ü"`, "character 0xc3 in a string"},
		{"StringOpenAfterEscape", "item", `"\\`, "string without its end"},
		{"BytesOpen", "item", ":YQ==", "byte sequence without its end"},
		{"BytesNoPadding", "item", ":YQ:", "not canonical base64"},
		{"BytesTooMuchPadding", "item", ":YWE==:", "not canonical base64"},
		{"BytesPaddingOnly", "item", ":====:", "not canonical base64"},
		{"BytesUnusedBits", "item", ":YR==:", "not canonical base64"},
		{"BytesUnusedBitsOne", "item", ":YWF=:", "not canonical base64"},
		{"BytesURL", "item", ":_-__:", "not canonical base64"},
		{"BytesBlank", "item", ":YQ== :", "not canonical base64"},
		{"BooleanTwo", "item", "?2", "want 0 or 1"},
		{"BooleanOpen", "item", "?", "want 0 or 1"},
		{"DateDecimal", "item", "@1.5", "date is not an integer"},
		{"DateEmpty", "item", "@", "want a digit"},
		{"DisplayNoQuote", "item", "%abc", "want a quote"},
		{"DisplayOpen", "item", `%"abc`, "display string without its end"},
		{"DisplayUpperHex", "item", `%"%C3%BC"`, "two lower-case hex digits"},
		{"DisplayHalfEscape", "item", `%"%c`, "two lower-case hex digits"},
		{"DisplayNotUTF8", "item", `%"%ff"`, "not UTF-8"},
		{"DisplayControl", "item", "%\"\n\"", "character 0x0a in a display string"},
		{"TooLong", "item", `"` + strings.Repeat("x", 64<<10) + `"`, "65538 bytes, at most 65536"},
		{"TooManyMembers", "dictionary", many(1025, "k%d,") + "z", "more than 1024 members"},
		{"TooManyItems", "list", "(" + strings.Repeat("1 ", 257) + ")", "more than 256 items"},
		{"TooManyParameters", "item", "1" + many(257, ";k%d"), "more than 256 parameters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := rfc9421.Reprint(tt.kind, tt.text)
			if err == nil {
				t.Fatalf("accepted as %q", got)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
		})
	}
}

// TestFieldLimits parses as much as RFC 9651 section 3 wants every parser to
// take.
func TestFieldLimits(t *testing.T) {
	tests := []struct{ name, kind, text string }{
		{"Members", "dictionary", strings.TrimSuffix(many(1024, "k%d, "), ", ")},
		{"Items", "list", "(" + strings.TrimSpace(strings.Repeat("1 ", 256)) + ")"},
		{"Parameters", "item", "1" + many(256, ";k%d")},
		{"Bytes", "item", ":" + strings.Repeat("QUFB", 16384/3+1) + ":"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := rfc9421.Reprint(tt.kind, tt.text); err != nil || got != tt.text {
				t.Errorf("got %.80q, %v", got, err)
			}
		})
	}
}

// FuzzField wants that what was printed parses again and prints the same.
func FuzzField(f *testing.F) {
	for _, text := range []string{
		`sig1=("@method" "@target-uri");created=1;keyid="k\"1"`, `a, b;x=?0, c=(1 2.50 "x" :YQ==: tok ?1 @5 %"%c3%bc")`,
		`1;a=1.5;b`, `%"%25"`, `("a";b "c" )`, "  ", `a=(`, "a=1,\t b",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []string{"dictionary", "list", "item"} {
			once, err := rfc9421.Reprint(kind, text)
			if err != nil {
				continue
			}
			if len(once) > 64<<10 {
				continue // printed it is longer than a field may be
			}
			twice, err := rfc9421.Reprint(kind, once)
			if err != nil || once != twice {
				t.Errorf("%s %q: printed %q, then %q, %v", kind, text, once, twice, err)
			}
		}
	})
}
