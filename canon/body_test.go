package canon_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sealwright/sealwright/canon"
)

// pairs writes fields as text.
func pairs(list []canon.Field) string {
	var out []string
	for _, f := range list {
		out = append(out, f.Name+"="+f.Value)
	}
	return strings.Join(out, "|")
}

func TestLineFields(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"Nothing", "", ""},
		{"OnlyEmptyLines", "\r\n\n\r\n", ""},
		{"CRLF", "h=1\r\nt=2\r\n", "h=1|t=2"},
		{"LF", "h=1\nt=2\n", "h=1|t=2"},
		{"NoLineEndAtTheEnd", "h=1\r\nt=2", "h=1|t=2"},
		{"EmptyLinesBetween", "\r\nh=1\r\n\r\nt=2\r\n\r\n", "h=1|t=2"},
		{"EqualsInValue", "h=a=b==\r\n", "h=a=b=="},
		{"EmptyValue", "h=\r\n", "h="},
		{"BlanksAreKept", "h = 1 \r\n", "h = 1 "},
		{"OneCarriageReturnOnly", "h=1\r\r\n", "h=1\r"},
		{"NamesDifferInCase", "h=1\nH=2", "h=1|H=2"},
		{"NotUTF8", "h=\xff", "h=\xff"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := canon.LineFields([]byte(tt.in))
			if err != nil || pairs(got) != tt.want {
				t.Errorf("LineFields(%q) = %q, %v, want %q", tt.in, pairs(got), err, tt.want)
			}
		})
	}
}

// manyLines returns n lines with names of their own.
func manyLines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "n%d=x\n", i)
	}
	return b.String()
}

func TestLineFieldsRefused(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"NoEquals", "h=1\r\n\r\nx\r\n", "line 3 is not name=value"},
		{"NoName", "=1", "line 1 is not name=value"},
		{"Blank", "h=1\n \n", "line 2 is not name=value"},
		{"Duplicate", "h=1\r\nt=2\r\nh=1\r\n", `line 3: "h" stands twice`},
		{"TooMany", manyLines(canon.MaxFields + 1), "more than 1000 lines"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := canon.LineFields([]byte(tt.in))
			if err == nil || err.Error() != tt.want || got != nil {
				t.Errorf("LineFields = %q, %v, want %s", pairs(got), err, tt.want)
			}
		})
	}
	if got, err := canon.LineFields([]byte(manyLines(canon.MaxFields))); err != nil || len(got) != canon.MaxFields {
		t.Errorf("the most lines: %d, %v", len(got), err)
	}
}

func TestPutLine(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"Nothing", "", "h=new\r\n"},
		{"First", "h=1\r\nt=2\r\n", "h=new\r\nt=2\r\n"},
		{"Last", "t=2\r\nh=1", "t=2\r\nh=new"},
		{"KeepsLineFeed", "h=1\nt=2\n", "h=new\nt=2\n"},
		{"NotThere", "t=2\n", "h=new\r\nt=2\n"},
		{"EqualsInValue", "h=a=b\n", "h=new\n"},
		{"LongerName", "hh=1\n", "h=new\r\nhh=1\n"},
		{"NameWithoutEquals", "h\n", "h=new\r\nh\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.in)
			if got := string(canon.PutLine(in, "h", "new")); got != tt.want {
				t.Errorf("PutLine(%q) = %q, want %q", tt.in, got, tt.want)
			}
			if string(in) != tt.in {
				t.Errorf("PutLine changed its argument to %q", in)
			}
		})
	}
}

func TestXMLFields(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"NoChildren", "<xml></xml>", ""},
		{"Text", "<xml><a>1</a></xml>", "a=1"},
		{"CDATA", "<xml><a><![CDATA[1]]></a></xml>", "a=1"},
		{"CDATAWithMarkup", "<xml><a><![CDATA[<b>&amp;]]</b>]]></a></xml>", "a=<b>&amp;]]</b>"},
		{"EmptyCDATA", "<xml><a><![CDATA[]]></a></xml>", "a="},
		{"EmptyText", "<xml><a></a></xml>", "a="},
		{"InOrder", "<xml><b>2</b><a>1</a></xml>", "b=2|a=1"},
		{"BlanksBetween", " <xml>\r\n\t<a>1</a>\n <b>2</b>\n</xml>\n", "a=1|b=2"},
		{"BlanksInText", "<xml><a> 1 \n</a></xml>", "a= 1 \n"},
		{"Declaration", `<?xml version="1.0" encoding="UTF-8"?>` + "\n<xml><a>1</a></xml>", "a=1"},
		{"GreaterInText", "<xml><a>1>0</a></xml>", "a=1>0"},
		{"Names", "<r-1><a.b_c-9>1</a.b_c-9><azAZ0>2</azAZ0></r-1>", "a.b_c-9=1|azAZ0=2"},
		{"ChildLikeRoot", "<xml><xml>1</xml></xml>", "xml=1"},
		{"CaseOfNames", "<xml><a>1</a><A>2</A></xml>", "a=1|A=2"},
		{"UTF8", "<xml><a>é€</a></xml>", "a=é€"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := canon.XMLFields([]byte(tt.in))
			if err != nil || pairs(got) != tt.want {
				t.Errorf("XMLFields = %q, %v, want %q", pairs(got), err, tt.want)
			}
		})
	}
}

func TestXMLFieldsRefused(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "<n%d></n%d>", i, i)
		}
		return "<xml>" + b.String() + "</xml>"
	}
	tests := []struct{ name, in string }{
		{"Nothing", ""},
		{"Text", "x"},
		{"NotUTF8", "<xml><a>\xff</a></xml>"},
		{"ByteOrderMark", "\ufeff<xml><a>1</a></xml>"},
		{"NotClosed", "<xml><a>1</a>"},
		{"ChildNotClosed", "<xml><a>1</xml>"},
		{"ClosedByOther", "<xml><a>1</b></xml>"},
		{"RootClosedByOther", "<xml><a>1</a></xmlx>"},
		{"BlankInEndTag", "<xml><a>1</a ></xml>"},
		{"EmptyElement", "<xml><a/></xml>"},
		{"EmptyRoot", "<xml/>"},
		{"TwoRoots", "<xml></xml><xml></xml>"},
		{"TextBehindRoot", "<xml></xml>x"},
		{"TextInRoot", "<xml>x<a>1</a></xml>"},
		{"Attribute", `<xml><a x="1">1</a></xml>`},
		{"RootAttribute", `<xml x="1"><a>1</a></xml>`},
		{"Namespace", "<xml><n:a>1</n:a></xml>"},
		{"Nested", "<xml><a><b>1</b></a></xml>"},
		{"Entity", "<xml><a>&amp;</a></xml>"},
		{"CharacterReference", "<xml><a>&#49;</a></xml>"},
		{"DocumentType", "<!DOCTYPE xml [<!ENTITY e SYSTEM 'file:///x'>]><xml><a>1</a></xml>"},
		{"Comment", "<xml><!-- x --><a>1</a></xml>"},
		{"CommentInText", "<xml><a>1<!-- x --></a></xml>"},
		{"CommentBeforeRoot", "<!-- x --><xml><a>1</a></xml>"},
		{"ProcessingInstruction", "<xml><?x y?><a>1</a></xml>"},
		{"TwoDeclarations", `<?xml version="1.0"?><?xml version="1.0"?><xml></xml>`},
		{"DeclarationNotClosed", `<?xml version="1.0"`},
		{"CDATANotClosed", "<xml><a><![CDATA[1</a></xml>"},
		{"TwoCDATA", "<xml><a><![CDATA[1]]><![CDATA[2]]></a></xml>"},
		{"TextAndCDATA", "<xml><a>1<![CDATA[2]]></a></xml>"},
		{"CDATAAndText", "<xml><a><![CDATA[1]]>2</a></xml>"},
		{"NameWithLetterBeyondASCII", "<xml><é>1</é></xml>"},
		{"EmptyName", "<xml><>1</></xml>"},
		{"Duplicate", "<xml><a>1</a><b>2</b><a>1</a></xml>"},
		{"TooMany", many(canon.MaxFields + 1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := canon.XMLFields([]byte(tt.in))
			if !errors.Is(err, canon.ErrXML) || got != nil {
				t.Errorf("XMLFields = %q, %v, want %v", pairs(got), err, canon.ErrXML)
			}
			if out, err := canon.PutXML([]byte(tt.in), "a", "x"); !errors.Is(err, canon.ErrXML) || out != nil {
				t.Errorf("PutXML = %q, %v, want %v", out, err, canon.ErrXML)
			}
		})
	}
	if got, err := canon.XMLFields([]byte(many(canon.MaxFields))); err != nil || len(got) != canon.MaxFields {
		t.Errorf("the most elements: %d, %v", len(got), err)
	}
}

func TestPutXML(t *testing.T) {
	tests := []struct {
		name  string
		doc   string
		field string
		value string
		want  string // empty: refused
	}{
		{"Text", "<xml><a>1</a><b>2</b></xml>", "a", "x", "<xml><a><![CDATA[x]]></a><b>2</b></xml>"},
		{"CDATA", "<xml><a><![CDATA[1]]></a></xml>", "a", "x", "<xml><a><![CDATA[x]]></a></xml>"},
		{"Empty", "<xml><a></a></xml>", "a", "x", "<xml><a><![CDATA[x]]></a></xml>"},
		{"NotThere", "<?xml version=\"1.0\"?> <xml>\n<a>1</a>\n</xml>\n", "b", "x", "<?xml version=\"1.0\"?> <xml>\n<a>1</a>\n<b><![CDATA[x]]></b></xml>\n"},
		{"MarkupInValue", "<xml></xml>", "a", "<b>&", "<xml><a><![CDATA[<b>&]]></a></xml>"},
		{"EndOfCDATAInValue", "<xml></xml>", "a", "x]]>y", ""},
		{"ValueNotUTF8", "<xml></xml>", "a", "\xff", ""},
		{"NameWithMarkup", "<xml></xml>", "a><b", "x", ""},
		{"NoName", "<xml></xml>", "", "x", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := canon.PutXML([]byte(tt.doc), tt.field, tt.value)
			if tt.want == "" {
				if !errors.Is(err, canon.ErrXML) || got != nil {
					t.Errorf("PutXML = %q, %v, want %v", got, err, canon.ErrXML)
				}
				return
			}
			if err != nil || string(got) != tt.want {
				t.Errorf("PutXML = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// readXML returns the children of the root element as encoding/xml reads them.
func readXML(doc []byte) (list []canon.Field, err error) {
	d := xml.NewDecoder(bytes.NewReader(doc))
	depth := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth++; depth == 2 {
				list = append(list, canon.Field{Name: token.Name.Local})
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 2 {
				list[len(list)-1].Value += string(token)
			}
		}
	}
}

// FuzzXML: what is read is what encoding/xml reads, and what is put in is read
// again and changes nothing else.
func FuzzXML(f *testing.F) {
	f.Add([]byte("<?xml version='1.0'?><xml>\n<a>1</a><b><![CDATA[<]]></b></xml>"), "x")
	f.Add([]byte("<xml></xml>"), "]]")
	f.Fuzz(func(t *testing.T, doc []byte, value string) {
		got, err := canon.XMLFields(doc)
		if err != nil {
			if !errors.Is(err, canon.ErrXML) {
				t.Fatalf("error %v, want %v", err, canon.ErrXML)
			}
			return
		}
		if want, err := readXML(doc); err == nil && !bytes.ContainsRune(doc, '\r') && !slices.Equal(got, want) {
			t.Errorf("%q: got %q, encoding/xml says %q", doc, pairs(got), pairs(want))
		}
		put, err := canon.PutXML(doc, "put-in", value)
		if err != nil {
			return
		}
		again, err := canon.XMLFields(put)
		if err != nil {
			if len(got) == canon.MaxFields {
				return
			}
			t.Fatalf("%q does not read back: %v", put, err)
		}
		i := slices.IndexFunc(again, func(f canon.Field) bool { return f.Name == "put-in" })
		if i < 0 || again[i].Value != value {
			t.Fatalf("%q put into %q is %q", value, doc, pairs(again))
		}
		others := func(f canon.Field) bool { return f.Name == "put-in" }
		if !slices.Equal(slices.DeleteFunc(again, others), slices.DeleteFunc(got, others)) {
			t.Fatalf("%q put into %q changed others: %q", value, doc, pairs(again))
		}
	})
}

func TestAppendNFKD(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want string
		ok   bool
	}{
		{"Nothing", "", "", true},
		{"ASCII", "a\x00~\n", "a\x00~\n", true},
		{"Composed", "éÅ", "e\u0301A\u030a", true},
		{"Decomposed", "e\u0301", "e\u0301", true},
		{"Compatibility", "½", "1\u20442", true},
		{"LatinExtended", "ŻżŁ", "Z\u0307z\u0307Ł", true},
		{"LongS", "ſ", "s", true},
		{"NotDecomposed", "æØß", "æØß", true},
		{"AccentFirst", "\u0301e", "\u0301e", true},
		{"AccentAfterPlainCharacter", "a\u0301b\u0302", "a\u0301b\u0302", true},
		{"FirstAccent", "a\u0300", "a\u0300", true},
		{"LastAccent", "a\u033f", "a\u033f", true},
		{"BeforeAccents", "a\u02ff", "", false},
		{"SecondAccent", "e\u0301\u0302", "", false},
		{"AccentBehindComposed", "é\u0327", "", false},
		{"AccentBehindDiaeresis", "¨\u0301", "", false},
		{"AccentThatDecomposes", "a\u0340", "", false},
		{"Ligature", "ﬁ", "", false},
		{"BehindLatin", "\u0180", "", false},
		{"Greek", "α", "", false},
		{"Hangul", "한", "", false},
		{"FullWidth", "Ａ", "", false},
		{"NotUTF8", "a\xff", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := canon.AppendNFKD([]byte("dst"), tt.in)
			if !tt.ok {
				if !errors.Is(err, canon.ErrNormalise) || got != nil {
					t.Errorf("AppendNFKD(%q) = %q, %v, want %v", tt.in, got, err, canon.ErrNormalise)
				}
				return
			}
			if err != nil || string(got) != "dst"+tt.want {
				t.Errorf("AppendNFKD(%q) = %q, %v, want %q", tt.in, got, err, "dst"+tt.want)
			}
		})
	}
}

// TestNFKDTable holds all characters that are known, one a line, against the
// hash of the same lines made with golang.org/x/text/unicode/norm (Unicode
// 15.0.0).
func TestNFKDTable(t *testing.T) {
	const want = "74d7ec7fd3e113052ae4a52d65ebc786859df8990fd957ee028684b7890a5346"
	h := sha256.New()
	for r := rune(0); r <= 0x17f; r++ {
		text, err := canon.AppendNFKD(nil, string(r))
		if err != nil {
			t.Errorf("U+%04X: %v", r, err)
		}
		fmt.Fprintf(h, "%04X %s\n", r, text)
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
		t.Errorf("hash of the table %s, want %s", got, want)
	}
}

func TestAppendJSONString(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"Nothing", "", `""`},
		{"Plain", "a/b<&>'", `"a/b<&>'"`},
		{"QuoteAndBackslash", `"\`, `"\"\\"`},
		{"ShortEscapes", "\b\t\n\f\r", `"\b\t\n\f\r"`},
		{"OtherControls", "\x00\x0b\x1f", "\"\\u0000\\u000b\\u001f\""},
		{"Delete", "\x7f", "\"\x7f\""},
		{"UTF8", "é€😀", `"é€😀"`},
		{"LineSeparators", "\u2028\u2029", "\"\u2028\u2029\""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := canon.AppendJSONString([]byte("dst"), tt.in); err != nil || string(got) != "dst"+tt.want {
				t.Errorf("AppendJSONString(%q) = %s, %v, want %s", tt.in, got, err, "dst"+tt.want)
			}
		})
	}
	if got, err := canon.AppendJSONString(nil, "a\xff"); !errors.Is(err, canon.ErrJSON) || got != nil {
		t.Errorf("AppendJSONString of no UTF-8 = %q, %v, want %v", got, err, canon.ErrJSON)
	}
}

// FuzzText: quoted text reads back and is written as encoding/json writes it
// without its HTML escapes; AppendPlus agrees with net/url; NFKD is stable.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a\"\\\n", "\x00\x1f", "\u2028", "é\u0301", "a b+~*", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, err := canon.AppendJSONString(nil, s)
		if (err == nil) != utf8.ValidString(s) {
			t.Fatalf("AppendJSONString(%q): %v", s, err)
		}
		if err == nil {
			var b bytes.Buffer
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(false)
			if err := e.Encode(s); err != nil {
				t.Fatal(err)
			}
			var back string
			if err := json.Unmarshal(text, &back); err != nil || back != s {
				t.Errorf("%q is %s, which reads as %q, %v", s, text, back, err)
			}
			want := strings.TrimSuffix(b.String(), "\n")
			if !strings.ContainsAny(s, "\u2028\u2029") && string(text) != want {
				t.Errorf("AppendJSONString(%q) = %s, encoding/json says %s", s, text, want)
			}
		}
		if got, want := string(canon.AppendPlus(nil, s)), url.QueryEscape(s); got != want {
			t.Errorf("AppendPlus(%q) = %q, net/url says %q", s, got, want)
		}
		if once, err := canon.AppendNFKD(nil, s); err == nil && !strings.ContainsAny(string(once), "\u2044\u03bc\u02bc") {
			if twice, err := canon.AppendNFKD(nil, string(once)); err != nil || !bytes.Equal(twice, once) {
				t.Errorf("%q normalises to %q and then to %q, %v", s, once, twice, err)
			}
		}
	})
}
