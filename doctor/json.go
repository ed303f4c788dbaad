package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// node is a JSON value with the order of its members and the text of its
// numbers.
type node struct {
	kind   byte // one of { [ " 0 and the first letter of true, false and null
	text   string
	names  []string
	values []*node
	from   int // bounds in the document
	to     int
}

const maxDepth = 200

func parseJSON(doc []byte) (*node, error) {
	if !json.Valid(doc) || !utf8.Valid(doc) {
		return nil, errors.New("not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	n, err := readNode(dec, doc, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("more than one value")
	}
	return n, nil
}

func readNode(dec *json.Decoder, doc []byte, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deep")
	}
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	end := int(dec.InputOffset())
	switch v := t.(type) {
	case json.Delim:
		n := &node{kind: byte(v), from: end - 1}
		for dec.More() {
			if v == '{' {
				name, err := dec.Token()
				if err != nil {
					return nil, err
				}
				n.names = append(n.names, name.(string))
			}
			child, err := readNode(dec, doc, depth+1)
			if err != nil {
				return nil, err
			}
			n.values = append(n.values, child)
		}
		_, err := dec.Token()
		n.to = int(dec.InputOffset())
		return n, err
	case string:
		return &node{kind: '"', text: v, to: end}, nil
	case json.Number:
		return &node{kind: '0', text: v.String(), from: end - len(v.String()), to: end}, nil
	case bool:
		return &node{kind: strconv.FormatBool(v)[0], text: strconv.FormatBool(v), to: end}, nil
	}
	return &node{kind: 'n', text: "null", to: end}, nil
}

// style is how an encoder writes JSON. The zero value is compact, without
// escapes, in the order of the document.
type style struct {
	item, name string // after a comma, after a colon
	before     string // before a colon
	indent     string // of each level; "" means one line
	newline    string // of indented text; "" means LF
	sort       bool
	escape     escapes
	number     numbers
}

// escapes are the habits of common encoders.
type escapes struct {
	ascii  bool   // other than ASCII as \uXXXX
	slash  bool   // / as \/
	chars  string // further characters as \uXXXX
	upper  bool   // hex digits in upper case
	quoted bool   // " as \u0022
}

// numbers says how numbers are written.
type numbers byte

const (
	asWritten numbers = iota
	shortest          // 1.50 as 1.5, 136.0 as 136, 1e3 as 1000
	floats            // 136 as 136.0
)

var layouts = []struct {
	who string
	style
}{
	{"compact", style{}},
	{"with blanks after colons and commas", style{item: " ", name: " "}},
	{"with blanks after colons", style{name: " "}},
	{"with blanks after commas", style{item: " "}},
	{"indented by 2", style{name: " ", indent: "  "}},
	{"indented by 4", style{name: " ", indent: "    "}},
	{"indented by tabs", style{name: " ", indent: "\t"}},
	{"indented by 2, with blanks around colons", style{name: " ", before: " ", indent: "  "}},
	{"indented by 2 with CR LF", style{name: " ", indent: "  ", newline: "\r\n"}},
	{"indented by 4 with CR LF", style{name: " ", indent: "    ", newline: "\r\n"}},
	{"indented by 1", style{name: " ", indent: " "}},
	{"indented by 3", style{name: " ", indent: "   "}},
}

var habits = []struct {
	who string
	escapes
}{
	{"", escapes{}},
	{"with \\uXXXX for other than ASCII", escapes{ascii: true}},
	{"with \\uXXXX in upper case for other than ASCII", escapes{ascii: true, upper: true}},
	{"with \\/", escapes{slash: true}},
	{"with \\/ and \\uXXXX", escapes{slash: true, ascii: true}},
	{"with \\u003c, \\u003e and \\u0026", escapes{chars: "<>&\u2028\u2029"}},
	{"with \\u003C, \\u003E and \\u0026", escapes{chars: "<>&\u2028\u2029", upper: true}},
	{"with \\u003c, \\u003e, \\u0026 and other than ASCII escaped", escapes{chars: "<>&", ascii: true}},
	{"as Gson does, with \\u003d and \\u0027", escapes{chars: "<>&='\u2028\u2029"}},
	{"as System.Text.Json does", escapes{chars: "<>&'+`", ascii: true, upper: true, quoted: true}},
	{"with \\u003c, \\u003e, \\u0026 and \\/", escapes{chars: "<>&", slash: true}},
}

func (n *node) print(s style) []byte {
	p := printer{style: s}
	p.node(n, 0)
	return p.out
}

type printer struct {
	style
	out []byte
}

func (p *printer) line(depth int) {
	if p.indent == "" {
		return
	}
	if p.newline == "" {
		p.out = append(p.out, '\n')
	}
	p.out = append(p.out, p.newline...)
	for range depth {
		p.out = append(p.out, p.indent...)
	}
}

func (p *printer) node(n *node, depth int) {
	switch n.kind {
	case '{', '[':
		p.nested(n, depth)
	case '"':
		p.str(n.text)
	case '0':
		p.out = append(p.out, number(n.text, p.number)...)
	default:
		p.out = append(p.out, n.text...)
	}
}

func (p *printer) nested(n *node, depth int) {
	p.out = append(p.out, n.kind)
	order := make([]int, len(n.values))
	for i := range order {
		order[i] = i
	}
	if p.sort && n.kind == '{' {
		slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(n.names[a], n.names[b]) })
	}
	for i, at := range order {
		if i > 0 {
			p.out = append(p.out, ',')
			if p.indent == "" {
				p.out = append(p.out, p.item...)
			}
		}
		p.line(depth + 1)
		if n.kind == '{' {
			p.str(n.names[at])
			p.out = append(append(append(p.out, p.before...), ':'), p.name...)
		}
		p.node(n.values[at], depth+1)
	}
	if len(order) > 0 {
		p.line(depth)
	}
	p.out = append(p.out, n.kind+2) // ] and } follow [ and { by two
}

func (p *printer) str(s string) {
	p.out = append(p.out, '"')
	for _, r := range s {
		switch {
		case r == '"' && !p.escape.quoted:
			p.out = append(p.out, `\"`...)
		case r == '\\':
			p.out = append(p.out, `\\`...)
		case r == '\n':
			p.out = append(p.out, `\n`...)
		case r == '\r':
			p.out = append(p.out, `\r`...)
		case r == '\t':
			p.out = append(p.out, `\t`...)
		case r == '\b':
			p.out = append(p.out, `\b`...)
		case r == '\f':
			p.out = append(p.out, `\f`...)
		case r == '/' && p.escape.slash:
			p.out = append(p.out, `\/`...)
		case r < 0x20, r == '"', r > 0x7e && p.escape.ascii, strings.ContainsRune(p.escape.chars, r):
			p.unicode(r)
		default:
			p.out = utf8.AppendRune(p.out, r)
		}
	}
	p.out = append(p.out, '"')
}

func (p *printer) unicode(r rune) {
	format := `\u%04x`
	if p.escape.upper {
		format = `\u%04X`
	}
	if r > 0xffff {
		r -= 0x10000
		p.out = fmt.Appendf(p.out, format, 0xd800+r>>10)
		r = 0xdc00 + r&0x3ff
	}
	p.out = fmt.Appendf(p.out, format, r)
}

func number(text string, how numbers) string {
	whole := strings.TrimLeft(text, "-0123456789") == ""
	switch {
	case how == floats && whole:
		return text + ".0"
	case how == shortest && !whole:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return text
		}
		if f > -1e21 && f < 1e21 {
			return strconv.FormatFloat(f, 'f', -1, 64)
		}
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return text
}

// json covers JSON that was parsed and written again.
func (b *bodyList) json(doc *node) {
	compact := doc.print(style{})
	for _, sorted := range []bool{false, true} {
		for _, how := range []numbers{asWritten, shortest, floats} {
			for li, l := range layouts {
				for hi, h := range habits {
					s := l.style
					s.escape, s.sort, s.number = h.escapes, sorted, how
					weight := 4
					for _, odd := range []bool{sorted, how != asWritten, li > 1, hi > 5} {
						if odd {
							weight++
						}
					}
					b.addJSON(weight, doc, compact, s, strings.TrimSpace("JSON "+l.who+" "+h.who))
				}
			}
		}
	}
	b.parts(doc)
	b.reprs(doc)
}

// addJSON adds one way to write the document and finds out which kind of
// difference to the seen text it makes.
func (b *bodyList) addJSON(weight int, doc *node, compact []byte, s style, who string) {
	text := doc.print(s)
	cause, what := "body.json_reserialized", "signed the "+who
	switch {
	case s.sort && !bytes.Equal(doc.print(style{sort: true}), compact):
		what += ", with sorted members"
	case s.number != asWritten && !bytes.Equal(doc.print(style{number: s.number}), compact):
		cause, what = "body.json_number", "signed numbers in another form, in the "+who
	case layout(text) == layout(b.seen):
		cause = "body.json_escaping"
	}
	b.add(weight, cause, what, text)
	b.add(weight+2, cause, what+" and a line feed at the end", append(bytes.Clone(text), '\n'))
}

// layout is a JSON text with its strings taken out.
func layout(doc []byte) string {
	var out []byte
	for i := 0; i < len(doc); i++ {
		out = append(out, doc[i])
		if doc[i] != '"' {
			continue
		}
		for i++; i < len(doc) && doc[i] != '"'; i++ {
			if doc[i] == '\\' {
				i++
			}
		}
	}
	return string(out)
}

const maxParts = 64

// parts covers senders that sign only a part of the document.
func (b *bodyList) parts(doc *node) {
	count := 0
	var walk func(n *node, path string)
	walk = func(n *node, path string) {
		for i, v := range n.values {
			if count++; count > maxParts {
				return
			}
			at := path + "/" + strconv.Itoa(i)
			if n.kind == '{' {
				at = path + "/" + n.names[i]
			}
			switch v.kind {
			case '{', '[':
				b.add(6, "body.partial", "signed only "+at, b.seen[v.from:v.to])
				b.add(6, "body.partial", "signed only "+at+", compact", v.print(style{}))
				b.add(7, "body.partial", "signed only "+at+", with blanks", v.print(style{item: " ", name: " "}))
				b.add(7, "body.partial", "signed only "+at+", with sorted members", v.print(style{sort: true}))
				b.add(7, "body.partial", "signed only "+at+", with \\/ and \\uXXXX", v.print(style{escape: escapes{slash: true, ascii: true}}))
				walk(v, at)
			case '"':
				if len(v.text) > 1 {
					b.add(7, "body.partial", "signed only the text of "+at, []byte(v.text))
				}
			}
		}
	}
	walk(doc, "")
}

// reprs covers the text forms that languages give to objects.
func (b *bodyList) reprs(doc *node) {
	for _, r := range []struct {
		who string
		repr
	}{
		{"Python's str() of the parsed body", repr{sep: ": ", yes: "True", no: "False", null: "None", quote: pythonQuote}},
		{"Ruby's inspect of the parsed body", repr{sep: "=>", yes: "true", no: "false", null: "nil", quote: rubyQuote}},
		{"Ruby's inspect of the parsed body", repr{sep: " => ", yes: "true", no: "false", null: "nil", quote: rubyQuote}},
		{"Java's toString of the parsed body", repr{sep: "=", yes: "true", no: "false", null: "null", quote: bare}},
	} {
		b.add(7, "body.str_repr", "signed "+r.who, r.node(nil, doc))
	}
	b.add(7, "body.str_repr", "signed Python's b'…' text of the body", slices.Concat([]byte("b'"), b.seen, []byte("'")))
	if quoted, err := json.Marshal(string(b.seen)); err == nil {
		b.add(7, "body.str_repr", "signed the body as a JSON string", quoted)
	}
}

type repr struct {
	sep, yes, no, null string
	quote              func(string) string
}

func (r repr) node(dst []byte, n *node) []byte {
	switch n.kind {
	case '"':
		return append(dst, r.quote(n.text)...)
	case '0':
		return append(dst, n.text...)
	case 't':
		return append(dst, r.yes...)
	case 'f':
		return append(dst, r.no...)
	case 'n':
		return append(dst, r.null...)
	}
	dst = append(dst, n.kind)
	for i, v := range n.values {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if n.kind == '{' {
			dst = append(append(dst, r.quote(n.names[i])...), r.sep...)
		}
		dst = r.node(dst, v)
	}
	return append(dst, n.kind+2)
}

func bare(s string) string { return s }

func rubyQuote(s string) string { return strconv.Quote(s) }

func pythonQuote(s string) string {
	q := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = `"`
	}
	s = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s)
	if q == "'" {
		s = strings.ReplaceAll(s, "'", `\'`)
	}
	return q + s + q
}
