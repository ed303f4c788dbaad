package canon_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/canon"
)

const (
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	alnum   = letters + "0123456789"
)

// TestSets spells out every set, byte by byte.
func TestSets(t *testing.T) {
	tests := []struct {
		name string
		set  canon.Set
		want string
	}{
		{"Zero", canon.Set{}, ""},
		{"Empty", canon.NewSet("", false), ""},
		{"OnlyLettersAndDigits", canon.NewSet("", true), alnum},
		{"WithoutLetters", canon.NewSet("-.", false), "-."},
		{"Edges", canon.NewSet("\x00\x3f\x40\x7f\x80\xbf\xc0\xff", false), "\x00\x3f\x40\x7f\x80\xbf\xc0\xff"},
		{"Unreserved", canon.Unreserved, alnum + "-._~"},
		{"PathChars", canon.PathChars, alnum + "-._~/"},
		{"URIComponent", canon.URIComponent, alnum + "-_.!~*'()"},
		{"URI", canon.URI, alnum + "-_.!~*'();,/?:@&=+$#"},
		{"FormChars", canon.FormChars, alnum + "*-._"},
		{"TokenChars", canon.TokenChars, alnum + "!#$%&'*+-.^_`|~"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for c := range 256 {
				want := strings.IndexByte(tt.want, byte(c)) >= 0
				if got := tt.set.Has(byte(c)); got != want {
					t.Errorf("Has(%q) = %v, want %v", byte(c), got, want)
				}
			}
		})
	}
}

func TestAppendPercent(t *testing.T) {
	tests := []struct {
		name string
		set  canon.Set
		in   string
		want string
	}{
		{"Nothing", canon.Unreserved, "", ""},
		{"AllKept", canon.Unreserved, "aZ09-._~", "aZ09-._~"},
		{"Blank", canon.Unreserved, "a b", "a%20b"},
		{"Plus", canon.Unreserved, "a+b", "a%2Bb"},
		{"Slash", canon.Unreserved, "a/b", "a%2Fb"},
		{"SlashKept", canon.PathChars, "a/b c", "a/b%20c"},
		{"PercentItself", canon.PathChars, "100%25", "100%2525"},
		{"UpperCaseDigits", canon.Unreserved, "\xab\xcd\xef", "%AB%CD%EF"},
		{"NUL", canon.Unreserved, "\x00", "%00"},
		{"UTF8", canon.Unreserved, "é€", "%C3%A9%E2%82%AC"},
		{"NotUTF8", canon.Unreserved, "\xff\xfe", "%FF%FE"},
		{"Tilde", canon.URIComponent, "~!*'()", "~!*'()"},
		// MDN, encodeURI and encodeURIComponent of the same text.
		{"EncodeURI", canon.URI, ";,/?:@&=+$#-_.!~*'() A", ";,/?:@&=+$#-_.!~*'()%20A"},
		{"EncodeURIComponent", canon.URIComponent, ";,/?:@&=+$#", "%3B%2C%2F%3F%3A%40%26%3D%2B%24%23"},
		{"NothingKept", canon.Set{}, "Az", "%41%7A"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(canon.AppendPercent([]byte("dst"), tt.in, tt.set)); got != "dst"+tt.want {
				t.Errorf("AppendPercent(%q) = %q, want %q", tt.in, got, "dst"+tt.want)
			}
		})
	}
}

func TestAppendForm(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"Nothing", "", ""},
		{"Blank", "a b", "a+b"},
		{"Plus", "a+b", "a%2Bb"},
		{"AllKept", "aZ09*-._", "aZ09*-._"},
		{"Tilde", "~", "%7E"},
		{"Separators", "&=;%", "%26%3D%3B%25"},
		{"LineEnd", "\r\n", "%0D%0A"},
		{"UTF8", "ü", "%C3%BC"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(canon.AppendForm([]byte("dst"), tt.in)); got != "dst"+tt.want {
				t.Errorf("AppendForm(%q) = %q, want %q", tt.in, got, "dst"+tt.want)
			}
		})
	}
}

func TestUnescape(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want string // without plus
		plus string // with plus
		err  string
	}{
		{"Nothing", "", "", "", ""},
		{"Plain", "a-b", "a-b", "a-b", ""},
		{"Upper", "%C3%A9", "é", "é", ""},
		{"Lower", "%c3%a9", "é", "é", ""},
		{"Mixed", "%c3%A9", "é", "é", ""},
		{"Plus", "a+b", "a+b", "a b", ""},
		{"EncodedPlus", "a%2Bb+", "a+b+", "a+b ", ""},
		{"EncodedPercentOnce", "%2541", "%41", "%41", ""},
		{"NUL", "%00", "\x00", "\x00", ""},
		{"HighByte", "%FF", "\xff", "\xff", ""},
		{"AtTheEnd", "x%41", "xA", "xA", ""},
		{"PercentAlone", "%", "", "", "at byte 0"},
		{"PercentAtTheEnd", "ab%", "", "", "at byte 2"},
		{"OneDigit", "a%4", "", "", "at byte 1"},
		{"NoDigits", "%zz", "", "", "at byte 0"},
		{"SecondNoDigit", "ok%41%4g", "", "", "at byte 5"},
		{"TwoPercents", "%%41", "", "", "at byte 0"},
		{"SignedDigit", "%+1", "", "", "at byte 0"},
		{"BlankDigit", "% 1", "", "", "at byte 0"},
		{"UnicodeEscape", "%u0041", "", "", "at byte 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for plus, want := range map[bool]string{false: tt.want, true: tt.plus} {
				got, err := canon.Unescape(tt.in, plus)
				b, err2 := canon.AppendUnescaped([]byte("dst"), tt.in, plus)
				if tt.err != "" {
					for _, err := range []error{err, err2} {
						if err == nil || !strings.Contains(err.Error(), tt.err) {
							t.Errorf("plus %v: error %v, want one %s", plus, err, tt.err)
						}
					}
					continue
				}
				if err != nil || got != want {
					t.Errorf("Unescape(%q, %v) = %q, %v, want %q", tt.in, plus, got, err, want)
				}
				if err2 != nil || string(b) != "dst"+want {
					t.Errorf("AppendUnescaped(%q, %v) = %q, %v, want %q", tt.in, plus, b, err2, "dst"+want)
				}
			}
		})
	}
}

// FuzzPercent: encoded text has one form, decodes to what it was, and agrees
// with net/url where that knows the form.
func FuzzPercent(f *testing.F) {
	for _, s := range []string{"", "a b+c", "é/%41", "\x00\xff", "%zz", "100%", "~*"} {
		f.Add(s)
	}
	sets := []canon.Set{canon.Unreserved, canon.PathChars, canon.URIComponent, canon.URI, canon.FormChars, {}}
	f.Fuzz(func(t *testing.T, s string) {
		for i, set := range sets {
			text := string(canon.AppendPercent(nil, s, set))
			if got, err := canon.Unescape(text, false); err != nil || got != s {
				t.Errorf("set %d: %q is %q, which decodes to %q, %v", i, s, text, got, err)
			}
		}
		form := string(canon.AppendForm(nil, s))
		if got, err := canon.Unescape(form, true); err != nil || got != s {
			t.Errorf("form: %q is %q, which decodes to %q, %v", s, form, got, err)
		}
		escaped := url.QueryEscape(s)
		if got, want := string(canon.AppendPercent(nil, s, canon.Unreserved)), strings.ReplaceAll(escaped, "+", "%20"); got != want {
			t.Errorf("AppendPercent(%q) = %q, net/url says %q", s, got, want)
		}
		if want := strings.NewReplacer("~", "%7E", "%2A", "*").Replace(escaped); form != want {
			t.Errorf("AppendForm(%q) = %q, net/url says %q", s, form, want)
		}
		for plus, oracle := range map[bool]func(string) (string, error){false: url.PathUnescape, true: url.QueryUnescape} {
			got, err := canon.Unescape(s, plus)
			want, wantErr := oracle(s)
			if (err == nil) != (wantErr == nil) || err == nil && got != want {
				t.Errorf("Unescape(%q, %v) = %q, %v, net/url says %q, %v", s, plus, got, err, want, wantErr)
			}
		}
	})
}

func ExampleAppendPercent() {
	fmt.Printf("%s\n", canon.AppendPercent(nil, "a b/ü", canon.PathChars))
	fmt.Printf("%s\n", canon.AppendForm(nil, "a b/ü"))
	// Output:
	// a%20b/%C3%BC
	// a+b%2F%C3%BC
}
