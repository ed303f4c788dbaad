package canon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sealwright/sealwright/canon"
)

// TestJSONValuePointers walks the example of RFC 6901 section 5.
func TestJSONValuePointers(t *testing.T) {
	doc := []byte(`{
      "foo": ["bar", "baz"],
      "": 0,
      "a/b": 1,
      "c%d": 2,
      "e^f": 3,
      "g|h": 4,
      "i\\j": 5,
      "k\"l": 6,
      " ": 7,
      "m~n": 8
   }`)
	tests := []struct{ pointer, want string }{
		{"", string(doc)},
		{"/foo", `["bar", "baz"]`},
		{"/foo/0", `"bar"`},
		{"/", "0"},
		{"/a~1b", "1"},
		{"/c%d", "2"},
		{"/e^f", "3"},
		{"/g|h", "4"},
		{`/i\j`, "5"},
		{`/k"l`, "6"},
		{"/ ", "7"},
		{"/m~0n", "8"},
	}
	for _, tt := range tests {
		raw, at, found, err := canon.JSONValue(doc, tt.pointer)
		if err != nil || !found || string(raw) != tt.want {
			t.Errorf("JSONValue at %q = %s, %v, %v, want %s", tt.pointer, raw, found, err, tt.want)
		}
		if !bytes.HasPrefix(doc[at:], raw) {
			t.Errorf("offset %d of %q is wrong", at, tt.pointer)
		}
	}
}

func TestJSONValue(t *testing.T) {
	const nested = `{"a": {"b": [10, {"c": "x"}, [], "s,]}"]}, "n": null, "f": false, "big": 12345678901234567890.50e+3}`
	tests := []struct {
		name    string
		doc     string
		pointer string
		want    string // empty: not found
	}{
		{"Scalar", ` 42 `, "", "42"},
		{"ScalarString", ` "x" `, "", `"x"`},
		{"ScalarHasNoMembers", `42`, "/a", ""},
		{"StringHasNoMembers", `"abc"`, "/0", ""},
		{"NullHasNoMembers", `null`, "/a", ""},
		{"Deep", nested, "/a/b/1/c", `"x"`},
		{"Object", nested, "/a/b/1", `{"c": "x"}`},
		{"Array", nested, "/a/b", `[10, {"c": "x"}, [], "s,]}"]`},
		{"EmptyArray", nested, "/a/b/2", `[]`},
		{"StringOfBrackets", nested, "/a/b/3", `"s,]}"`},
		{"Null", nested, "/n", "null"},
		{"False", nested, "/f", "false"},
		{"NumberAsWritten", nested, "/big", "12345678901234567890.50e+3"},
		{"Missing", nested, "/x", ""},
		{"MissingBelow", nested, "/a/x", ""},
		{"BelowScalar", nested, "/a/b/0/x", ""},
		{"BelowMissing", nested, "/x/y", ""},
		{"IndexBehindTheEnd", nested, "/a/b/4", ""},
		{"IndexInEmptyArray", `[]`, "/0", ""},
		{"IndexWithZero", nested, "/a/b/00", ""},
		{"IndexWithSign", nested, "/a/b/+0", ""},
		{"NegativeIndex", nested, "/a/b/-1", ""},
		{"HyphenIndex", nested, "/a/b/-", ""},
		{"EmptyIndex", nested, "/a/b/", ""},
		{"HugeIndex", nested, "/a/b/99999999999999999999999", ""},
		{"FullWidthIndex", nested, "/a/b/０", ""},
		{"MemberLikeIndex", `{"0": 1}`, "/0", "1"},
		{"EmptyObject", `{}`, "/a", ""},
		{"EmptyName", `{"": {"": 1}}`, "//", "1"},
		{"CaseMatters", `{"A": 1}`, "/a", ""},
		{"EscapedName", `{"\u0061\n": 1}`, "/a\n", "1"},
		{"EscapedQuote", `{"a\"": 1, "b": "\\\""}`, "/b", `"\\\""`},
		{"EscapedBackslashAtEnd", `{"a\\": 1, "b": 2}`, `/a\`, "1"},
		{"TildeEscapes", `{"~1": 1, "/": 2, "~": 3}`, "/~01", "1"},
		{"SlashEscape", `{"~1": 1, "/": 2, "~": 3}`, "/~1", "2"},
		{"TildeEscape", `{"~1": 1, "/": 2, "~": 3}`, "/~0", "3"},
		{"SurrogatePair", `{"\ud83d\ude00": 1}`, "/😀", "1"},
		{"AllBlanks", "\r\n\t {\r\n\t \"a\"\r\n\t :\r\n\t 1\r\n\t ,\"b\" : [ 1 , 2 ]\r\n\t }\r\n\t ", "/b/1", "2"},
		{"NoBlanks", `{"a":{"b":[1,2,{"c":3}]},"d":4}`, "/a/b/2/c", "3"},
		{"NumberBeforeBrace", `{"a":-1.5e-7}`, "/a", "-1.5e-7"},
		{"NumberBeforeComma", `[1,2]`, "/0", "1"},
		{"TrueBeforeBracket", `[[true]]`, "/0/0", "true"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw, at, found, err := canon.JSONValue([]byte(tt.doc), tt.pointer)
			if err != nil {
				t.Fatal(err)
			}
			if found != (tt.want != "") || string(raw) != tt.want {
				t.Errorf("JSONValue = %q, %v, want %q", raw, found, tt.want)
			}
			if found && tt.doc[at:at+len(raw)] != tt.want {
				t.Errorf("offset %d is wrong", at)
			}
			if !found && (at != 0 || raw != nil) {
				t.Errorf("not found, but %q at %d", raw, at)
			}
		})
	}
}

func TestJSONValueRefused(t *testing.T) {
	tests := []struct{ name, doc, pointer string }{
		{"Nothing", "", ""},
		{"Blanks", " \n", ""},
		{"Cut", `{"a": 1`, "/a"},
		{"CutString", `{"a": "x`, "/a"},
		{"TwoValues", `{"a": 1} {"a": 2}`, "/a"},
		{"TrailingText", `{"a": 1}x`, "/a"},
		{"TrailingComma", `{"a": 1,}`, "/a"},
		{"SingleQuotes", `{'a': 1}`, "/a"},
		{"NoQuotes", `{a: 1}`, "/a"},
		{"Comment", `{"a": 1} // x`, "/a"},
		{"NaN", `{"a": NaN}`, "/a"},
		{"LeadingZero", `{"a": 01}`, "/a"},
		{"LeadingPlus", `{"a": +1}`, "/a"},
		{"PointAlone", `{"a": 1.}`, "/a"},
		{"ControlCharacter", "{\"a\": \"\n\"}", "/a"},
		{"BadEscape", `{"a": "\x"}`, "/a"},
		{"ByteOrderMark", "\ufeff{\"a\": 1}", "/a"},
		{"NotUTF8", "{\"a\": \"\xff\"}", "/a"},
		{"NotUTF8Elsewhere", "{\"a\": 1, \"b\": \"\xc3\"}", "/a"},
		{"NotUTF8InName", "{\"a\": 1, \"\xff\": 2}", "/a"},
		{"UTF16", "{\x00\"\x00a\x00\"\x00", "/a"},
		{"TooDeep", strings.Repeat("[", 20000) + strings.Repeat("]", 20000), "/0"},
		{"PointerWithoutSlash", `{"a": 1}`, "a"},
		{"PointerFragment", `{"a": 1}`, "#/a"},
		{"TildeAlone", `{"~": 1}`, "/~"},
		{"TildeTwo", `{"~2": 1}`, "/~2"},
		{"TildesBeforeEscape", `{"~~": 1}`, "/~~01"},
		{"TildeAtEndOfPart", `{"a": {"b": 1}}`, "/a~/b"},

		{"Duplicate", `{"a": 1, "a": 2}`, "/a"},
		{"DuplicateOfSameValue", `{"a": 1, "a": 1}`, "/a"},
		{"DuplicateFarApart", `{"a": 1, "b": {"a": 3}, "c": [], "a": 2}`, "/a"},
		{"DuplicateEscaped", `{"a": 1, "\u0061": 2}`, "/a"},
		{"DuplicateOnTheWay", `{"x": {"a": 1}, "x": {"b": 2}}`, "/x/a"},
		{"DuplicateBelow", `{"x": {"a": 1, "a": 2}}`, "/x/a"},
		{"DuplicateInElement", `[{"a": 1, "a": 2}]`, "/0/a"},
		{"DuplicateEmptyName", `{"": 1, "": 2}`, "/"},
		{"DuplicateThreeTimes", `{"a": 1, "a": 2, "a": 3}`, "/a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw, at, found, err := canon.JSONValue([]byte(tt.doc), tt.pointer)
			if !errors.Is(err, canon.ErrJSON) {
				t.Errorf("error %v, want %v", err, canon.ErrJSON)
			}
			if raw != nil || at != 0 || found {
				t.Errorf("got %q at %d, %v beside an error", raw, at, found)
			}
		})
	}
}

// TestJSONValueOtherDuplicates: members that nobody asked for may stand twice;
// parsers agree on the value that was asked for.
func TestJSONValueOtherDuplicates(t *testing.T) {
	for _, doc := range []string{
		`{"x": 1, "a": 7, "x": 2}`, `{"a": 7, "b": {"a": 1, "a": 2}}`, `{"b": [{"c": 1, "c": 1}], "a": 7}`, `{"A": 1, "a": 7}`,
	} {
		if raw, _, found, err := canon.JSONValue([]byte(doc), "/a"); err != nil || !found || string(raw) != "7" {
			t.Errorf("JSONValue(%s) = %s, %v, %v", doc, raw, found, err)
		}
	}
}

func TestJSONValueDeep(t *testing.T) {
	const depth = 2000
	doc := strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth)
	raw, at, found, err := canon.JSONValue([]byte(doc), strings.Repeat("/a", depth))
	if err != nil || !found || string(raw) != "1" || at != 5*depth {
		t.Errorf("JSONValue = %q at %d, %v, %v", raw, at, found, err)
	}
}

func TestJSONText(t *testing.T) {
	tests := []struct {
		name string
		raw  string
		want string
		ok   bool
	}{
		{"String", `"00:11"`, "00:11", true},
		{"EmptyString", `""`, "", true},
		{"Escapes", `"\"\\\/\b\f\n\r\t\u00e9"`, "\"\\/\b\f\n\r\té", true},
		{"SurrogatePair", `"\ud83d\ude00"`, "😀", true},
		{"NUL", `"\u0000"`, "\x00", true},
		{"LoneSurrogate", `"\ud800"`, "\ufffd", true},
		{"Integer", `1767225600`, "1767225600", true},
		{"NumberAsWritten", `1.50E+02`, "1.50E+02", true},
		{"BigNumber", `12345678901234567890`, "12345678901234567890", true},
		{"NegativeZero", `-0`, "-0", true},
		{"True", `true`, "true", true},
		{"False", `false`, "false", true},
		{"Null", `null`, "", true},
		{"Object", `{}`, "", false},
		{"Array", `[1]`, "", false},
		{"Nothing", ``, "", false},
		{"OpenString", `"x`, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := canon.JSONText([]byte(tt.raw))
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("JSONText(%s) = %q, %v, want %q, success %v", tt.raw, got, err, tt.want, tt.ok)
			}
			if err != nil && !errors.Is(err, canon.ErrJSON) {
				t.Errorf("error %v, want %v", err, canon.ErrJSON)
			}
		})
	}
}

// members returns how often name stands in the object raw, and its last value.
func members(raw []byte, name string) (value json.RawMessage, count int) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, 0
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, 0
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, 0
		}
		if key == name {
			value, count = v, count+1
		}
	}
	return value, count
}

// lookup is the oracle of JSONValue, made of encoding/json.
func lookup(doc []byte, pointer string) (raw json.RawMessage, found, ok bool) {
	if !utf8.Valid(doc) || json.Unmarshal(doc, &raw) != nil {
		return nil, false, false
	}
	if pointer == "" {
		return raw, true, true
	}
	if pointer[0] != '/' {
		return nil, false, false
	}
	for part := range strings.SplitSeq(pointer[1:], "/") {
		name := strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		if strings.Count(part, "~") != strings.Count(part, "~0")+strings.Count(part, "~1") {
			return nil, false, false
		}
		var elements []json.RawMessage
		if json.Unmarshal(raw, &elements) == nil && raw[0] == '[' {
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(elements) || strconv.Itoa(i) != name {
				return nil, false, true
			}
			raw = elements[i]
			continue
		}
		value, count := members(raw, name)
		if count > 1 {
			return nil, false, false
		}
		if count == 0 {
			return nil, false, true
		}
		raw = value
	}
	return raw, true, true
}

// FuzzJSONValue holds the function against encoding/json: the same values, the
// same refusals, duplicates refused, no panic.
func FuzzJSONValue(f *testing.F) {
	for _, doc := range []string{
		`{"a": {"b": [1, "x", {"c": null}]}}`, `{"a": 1, "a": 2}`, `{"\u0061": 1}`, ` [ ] `, `"x"`, `{"a`, "\xff", `{"~": {"/": 1}}`,
		`[[[[1.5e3]]], {}]`, `{"a":"\\\""}`, `{"a": 1, "b": {"a": 2, "a": 3}}`,
	} {
		for _, pointer := range []string{"", "/a", "/a/b/2/c", "/0/0/0/0", "/~0/~1", "a", "//", "/~2"} {
			f.Add([]byte(doc), pointer)
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte, pointer string) {
		raw, at, found, err := canon.JSONValue(doc, pointer)
		if err != nil && !errors.Is(err, canon.ErrJSON) {
			t.Fatalf("error %v, want %v", err, canon.ErrJSON)
		}
		want, wantFound, ok := lookup(doc, pointer)
		if (err == nil) != ok || found != wantFound || !bytes.Equal(raw, want) {
			t.Fatalf("JSONValue(%q, %q) = %q, %v, %v, want %q, %v, success %v", doc, pointer, raw, found, err, want, wantFound, ok)
		}
		if !found {
			return
		}
		if !bytes.Equal(doc[at:at+len(raw)], raw) {
			t.Fatalf("offset %d of %q in %q is wrong", at, raw, doc)
		}
		checkText(t, raw)
	})
}

// checkText holds JSONText of a valid value against encoding/json.
func checkText(t *testing.T, raw []byte) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("value %q is not valid: %v", raw, err)
	}
	text, err := canon.JSONText(raw)
	switch v := v.(type) {
	case map[string]any, []any:
		if !errors.Is(err, canon.ErrJSON) {
			t.Fatalf("JSONText(%q) = %q, %v, want %v", raw, text, err, canon.ErrJSON)
		}
	case nil:
		if err != nil || text != "" {
			t.Fatalf("JSONText(%q) = %q, %v", raw, text, err)
		}
	default:
		if err != nil || text != fmt.Sprint(v) {
			t.Fatalf("JSONText(%q) = %q, %v, want %q", raw, text, err, fmt.Sprint(v))
		}
	}
}

func ExampleJSONValue() {
	body := []byte(`{"device": {"mac": "00:11:22", "seen": 1767225600}}`)
	for _, pointer := range []string{"/device/mac", "/device/seen", "/device/name"} {
		raw, _, found, err := canon.JSONValue(body, pointer)
		if err != nil || !found {
			fmt.Println(found, err)
			continue
		}
		fmt.Println(canon.JSONText(raw))
	}
	// Output:
	// 00:11:22 <nil>
	// 1767225600 <nil>
	// false <nil>
}
