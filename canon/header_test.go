package canon_test

import (
	"fmt"
	"net/textproto"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/canon"
)

func TestHeaderName(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"Nothing", "", ""},
		{"Canonical", "Content-Type", "Content-Type"},
		{"Lower", "content-type", "Content-Type"},
		{"Upper", "CONTENT-TYPE", "Content-Type"},
		{"Mixed", "x-hUB-signature-256", "X-Hub-Signature-256"},
		{"OneLetter", "d", "D"},
		{"Hyphens", "--a--b-", "--A--B-"},
		{"DigitFirst", "x-1abc", "X-1abc"},
		{"Underscore", "x_y-z", "X_y-Z"},
		{"OtherTokenChars", "!#$%&'*+.^`|~a", "!#$%&'*+.^`|~a"},
		{"KnownException", "etag", "Etag"},
		{"Blank", "content type", "content type"},
		{"BlankBehind", "host ", "host "},
		{"Colon", "host:", "host:"},
		{"PseudoHeader", ":path", ":path"},
		{"RequestTarget", "(request-target)", "(request-target)"},
		{"DerivedComponent", "@method", "@method"},
		{"LineFeed", "host\n", "host\n"},
		{"NUL", "host\x00", "host\x00"},
		{"KelvinSign", "\u212aey", "\u212aey"},
		{"HighByte", "host\xff", "host\xff"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := canon.HeaderName(tt.in); got != tt.want {
				t.Errorf("HeaderName(%q) = %q, want %q", tt.in, got, tt.want)
			}
			if got := canon.HeaderName(tt.want); got != tt.want {
				t.Errorf("HeaderName(%q) = %q: not stable", tt.want, got)
			}
			if std := textproto.CanonicalMIMEHeaderKey(tt.in); std != tt.want {
				t.Errorf("net/textproto says %q, want %q", std, tt.want)
			}
		})
	}
}

// FuzzHeaderName holds the function against net/textproto, so that an
// http.Header may be used as it is.
func FuzzHeaderName(f *testing.F) {
	for _, s := range []string{"", "content-type", "X-Hub", "a b", "x_y", "\xff", "ETag", "WWW-Authenticate"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if got, want := canon.HeaderName(name), textproto.CanonicalMIMEHeaderKey(name); got != want {
			t.Errorf("HeaderName(%q) = %q, net/textproto says %q", name, got, want)
		}
	})
}

func TestHeaderNameAllBytes(t *testing.T) {
	for c := range 256 {
		s := string([]byte{byte(c)})
		for _, in := range []string{s, "a" + s + "b", "A" + s + "b", "A-" + s} {
			if got, want := canon.HeaderName(in), textproto.CanonicalMIMEHeaderKey(in); got != want {
				t.Errorf("HeaderName(%q) = %q, net/textproto says %q", in, got, want)
			}
		}
	}
}

func TestBlanks(t *testing.T) {
	tests := []struct{ name, in, trimmed, folded string }{
		{"Nothing", "", "", ""},
		{"OnlyBlanks", " \t ", "", ""},
		{"Ends", " \ta b\t ", "a b", "a b"},
		{"Run", "a  \t b", "a  \t b", "a b"},
		{"Runs", "a  b\t\tc", "a  b\t\tc", "a b c"},
		{"OneTab", "a\tb", "a\tb", "a b"},
		{"LineFeedIsNoBlank", "a \n b\n", "a \n b\n", "a \n b\n"},
		{"NoBreakSpaceIsNoBlank", "\u00a0a\u00a0", "\u00a0a\u00a0", "\u00a0a\u00a0"},
		{"Quoted", `"a  b"`, `"a  b"`, `"a b"`},
		{"NotUTF8", "\xff  \xfe", "\xff  \xfe", "\xff \xfe"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := canon.TrimOWS(tt.in); got != tt.trimmed {
				t.Errorf("TrimOWS(%q) = %q, want %q", tt.in, got, tt.trimmed)
			}
			if got := string(canon.AppendFolded([]byte("dst"), tt.in)); got != "dst"+tt.folded {
				t.Errorf("AppendFolded(%q) = %q, want %q", tt.in, got, "dst"+tt.folded)
			}
		})
	}
}

func TestCase(t *testing.T) {
	tests := []struct{ name, in, lower, upper string }{
		{"Nothing", "", "", ""},
		{"Letters", "aBzZ", "abzz", "ABZZ"},
		{"NextToLetters", "@[`{", "@[`{", "@[`{"},
		{"Digits", "0-9_", "0-9_", "0-9_"},
		{"KelvinSignIsNoK", "\u212aK", "\u212ak", "\u212aK"},
		{"DottedIIsNoI", "\u0130I", "\u0130i", "\u0130I"},
		{"LongSIsNoS", "\u017fs", "\u017fs", "\u017fS"},
		{"OtherLettersStay", "ÄäÉ", "ÄäÉ", "ÄäÉ"},
		{"NotUTF8", "\xffA\xc3", "\xffa\xc3", "\xffA\xc3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(canon.AppendLower([]byte("Dst"), tt.in)); got != "Dst"+tt.lower {
				t.Errorf("AppendLower(%q) = %q, want %q", tt.in, got, "Dst"+tt.lower)
			}
			if got := string(canon.AppendUpper([]byte("Dst"), tt.in)); got != "Dst"+tt.upper {
				t.Errorf("AppendUpper(%q) = %q, want %q", tt.in, got, "Dst"+tt.upper)
			}
		})
	}
}

func TestAuthority(t *testing.T) {
	tests := []struct{ name, host, scheme, want string }{
		{"Nothing", "", "https", ""},
		{"NoPort", "example.com", "https", "example.com"},
		{"Case", "EXAMPLE.com", "https", "example.com"},
		{"FirstLetter", "xAx", "https", "xax"},
		{"LastLetter", "xZx", "https", "xzx"},
		{"DefaultPort", "Example.com:443", "https", "example.com"},
		{"DefaultPortOfNoScheme", "example.com:443", "", "example.com"},
		{"DefaultPortOfHTTP", "example.com:80", "http", "example.com"},
		{"PortOfOtherScheme", "example.com:80", "https", "example.com:80"},
		{"PortOfOtherSchemeHTTP", "example.com:443", "http", "example.com:443"},
		{"UnknownScheme", "example.com:443", "wss", "example.com:443"},
		{"SchemeInUpperCase", "example.com:443", "HTTPS", "example.com:443"},
		{"OtherPort", "example.com:8443", "https", "example.com:8443"},
		{"LongerPort", "example.com:4430", "https", "example.com:4430"},
		{"PortTwice", "example.com:443:443", "https", "example.com:443"},
		{"PortWithZero", "example.com:0443", "https", "example.com:0443"},
		{"IPv6", "[2001:DB8::443]", "https", "[2001:db8::443]"},
		{"IPv6Port", "[2001:DB8::1]:443", "https", "[2001:db8::1]"},
		{"TrailingDot", "example.com.", "https", "example.com."},
		{"A07KelvinSign", "\u212aelvin.example", "https", "\u212aelvin.example"},
		{"A07DottedI", "\u0130.example", "https", "\u0130.example"},
		{"A07NotUTF8", "a\xff.example", "https", "a\xff.example"},
		{"A07OtherNotUTF8", "A\xfe.example", "https", "a\xfe.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := canon.Authority(tt.host, tt.scheme); got != tt.want {
				t.Errorf("Authority(%q, %q) = %q, want %q", tt.host, tt.scheme, got, tt.want)
			}
		})
	}
}

func TestMediaType(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"Nothing", "", ""},
		{"Plain", "application/json", "application/json"},
		{"Case", "Application/JSON", "application/json"},
		{"Parameters", "text/plain; charset=UTF-8", "text/plain"},
		{"Blanks", " \ttext/plain\t ;x", "text/plain"},
		{"OnlyParameters", ";charset=utf-8", ""},
		{"Suffix", "application/x-www-form-urlencoded;a;b", "application/x-www-form-urlencoded"},
		{"CommaIsNoSeparator", "text/plain, text/html", "text/plain, text/html"},
		{"KelvinSignIsNoK", "\u212a/x", "\u212a/x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := canon.MediaType(tt.in); got != tt.want {
				t.Errorf("MediaType(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

// FuzzHeaderValue: folding and case are stable, touch nothing else and lose no
// letter.
func FuzzHeaderValue(f *testing.F) {
	for _, s := range []string{"", " a  b ", "\t", "Ä \xff", "A\u212a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		folded := string(canon.AppendFolded(nil, s))
		if again := string(canon.AppendFolded(nil, folded)); again != folded {
			t.Errorf("%q folds to %q and then to %q", s, folded, again)
		}
		words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' })
		if want := strings.Join(words, " "); folded != want {
			t.Errorf("%q folds to %q, want %q", s, folded, want)
		}
		lower, upper := string(canon.AppendLower(nil, s)), string(canon.AppendUpper(nil, s))
		if len(lower) != len(s) || len(upper) != len(s) || string(canon.AppendLower(nil, upper)) != lower {
			t.Errorf("%q is %q and %q", s, lower, upper)
		}
		if host := canon.Authority(s, "wss"); host != lower {
			t.Errorf("Authority(%q) = %q, want %q", s, host, lower)
		}
	})
}

func ExampleHeaderName() {
	fmt.Println(canon.HeaderName("x-hub-signature-256"))
	// Output: X-Hub-Signature-256
}
