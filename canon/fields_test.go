package canon_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/canon"
)

func TestAppendFields(t *testing.T) {
	type f = canon.Field
	tests := []struct {
		name string
		in   string
		want []f
	}{
		{"Nothing", "", nil},
		{"One", "a=1", []f{{"a", "1", false}}},
		{"InOrder", "b=2&a=1", []f{{"b", "2", false}, {"a", "1", false}}},
		{"Duplicates", "a=1&a=2&a=1", []f{{"a", "1", false}, {"a", "2", false}, {"a", "1", false}}},
		{"NoValue", "a", []f{{"a", "", true}}},
		{"EmptyValue", "a=", []f{{"a", "", false}}},
		{"EmptyName", "=1", []f{{"", "1", false}}},
		{"EqualsAlone", "=", []f{{"", "", false}}},
		{"EqualsInValue", "a=b=c=", []f{{"a", "b=c=", false}}},
		{"EmptyPieces", "&&a=1&&b=2&", []f{{"a", "1", false}, {"b", "2", false}}},
		{"OnlySeparators", "&&&", nil},
		{"SemicolonIsNoSeparator", "a=1;b=2", []f{{"a", "1;b=2", false}}},
		{"NotDecoded", "a%3D1=%26+x", []f{{"a%3D1", "%26+x", false}}},
		{"QuestionMarkBelongsToName", "?a=1", []f{{"?a", "1", false}}},
		{"NotUTF8", "\xff=\xfe", []f{{"\xff", "\xfe", false}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := canon.AppendFields(nil, tt.in); !slices.Equal(got, tt.want) {
				t.Errorf("AppendFields(%q) = %+v, want %+v", tt.in, got, tt.want)
			}
			first := f{Name: "first"}
			if got := canon.AppendFields([]f{first}, tt.in); got[0] != first || !slices.Equal(got[1:], tt.want) {
				t.Errorf("behind another field: %+v", got)
			}
		})
	}
}

func TestFieldDecode(t *testing.T) {
	type f = canon.Field
	tests := []struct {
		name string
		in   f
		plus bool
		want f
		ok   bool
	}{
		{"Plain", f{"a", "1", false}, true, f{"a", "1", false}, true},
		{"Both", f{"%61", "%31", false}, true, f{"a", "1", false}, true},
		{"NoValueStays", f{"%61", "", true}, false, f{"a", "", true}, true},
		{"Plus", f{"a+b", "c+d", false}, true, f{"a b", "c d", false}, true},
		{"PlusKept", f{"a+b", "c+d", false}, false, f{"a+b", "c+d", false}, true},
		{"Separators", f{"%26", "%3D", false}, true, f{"&", "=", false}, true},
		{"BadName", f{"%6", "1", false}, true, f{"%6", "1", false}, false},
		{"BadValue", f{"%61", "%", false}, true, f{"%61", "%", false}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.in.Decode(tt.plus)
			if (err == nil) != tt.ok || got != tt.want {
				t.Errorf("Decode = %+v, %v, want %+v, success %v", got, err, tt.want, tt.ok)
			}
		})
	}
}

// FuzzFields: nothing but empty pieces is lost, and net/url reads the same
// fields where it reads the text at all.
func FuzzFields(f *testing.F) {
	for _, s := range []string{"", "a=1&b", "&&=&", "a=b=c&a=2", "a%3D=+%2B", "a;b", "%zz=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		fields := canon.AppendFields(nil, raw)
		var pieces []string
		decoded, decodes := url.Values{}, true
		for _, field := range fields {
			piece := field.Name + "=" + field.Value
			if field.NoValue {
				piece = field.Name
			}
			pieces = append(pieces, piece)
			d, err := field.Decode(true)
			decodes = decodes && err == nil
			decoded[d.Name] = append(decoded[d.Name], d.Value)
		}
		kept := slices.DeleteFunc(strings.Split(raw, "&"), func(s string) bool { return s == "" })
		if !slices.Equal(pieces, kept) {
			t.Errorf("%q: got pieces %q, want %q", raw, pieces, kept)
		}
		want, err := url.ParseQuery(raw)
		if strings.Contains(raw, ";") {
			return // net/url refuses it
		}
		if (err == nil) != decodes {
			t.Errorf("%q: decodes %v, net/url says %v", raw, decodes, err)
		}
		if err == nil && fmt.Sprint(decoded) != fmt.Sprint(want) {
			t.Errorf("%q: got %v, net/url says %v", raw, decoded, want)
		}
	})
}

func ExampleAppendFields() {
	for _, f := range canon.AppendFields(nil, "b=2&a=%31&flag") {
		f, err := f.Decode(true)
		fmt.Println(f.Name, f.Value, f.NoValue, err)
	}
	// Output:
	// b 2 false <nil>
	// a 1 false <nil>
	// flag  true <nil>
}
