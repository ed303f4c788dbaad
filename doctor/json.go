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
	inline     bool   // arrays on one line, and blanks inside empty brackets
	order      order
	escape     escapes
	number     numbers
}

// order is the order of an object's members.
type order byte

const (
	asParsed  order = iota
	byName          // sorted
	byLength        // the shorter name first, as databases store it
	byInteger       // names that are integers first, as JavaScript has it
)

// escapes are the habits of common encoders.
type escapes struct {
	ascii  bool   // other than ASCII as \uXXXX
	slash  bool   // / as \/
	chars  string // further characters as \uXXXX
	upper  bool   // hex digits in upper case
	quoted bool   // " as \u0022
	closer bool   // </ as <\/
	mixed  bool   // hex digits of chars and quotes in upper case, of others in lower case
}

// numbers says how numbers are written.
type numbers byte

const (
	asWritten numbers = iota
	shortest          // as JavaScript does: 1.50 as 1.5, 136.0 as 136, 1e3 as 1000, 2^53+1 as 2^53
	repr              // as Python and Ruby do: 1.50 as 1.5, 1e5 as 100000.0, integers as they are
	floats            // 136 as 136.0
	doubles           // as Java does: 136 as 136.0, 1760000000 as 1.76E9
	fractions         // as Java does with numbers that have a fraction alone
)

var layouts = []struct {
	who string
	style
}{
	{"compact", style{}},
	{"with blanks after colons and commas", style{item: " ", name: " "}},
	{"indented by 2", style{name: " ", indent: "  "}},
	{"indented by 4", style{name: " ", indent: "    "}},
	{"with blanks after colons", style{name: " "}},
	{"with blanks after commas", style{item: " "}},
	{"indented by tabs", style{name: " ", indent: "\t"}},
	{"indented as Jackson does", style{name: " ", before: " ", indent: "  ", inline: true}},
	{"indented by 2, with blanks around colons", style{name: " ", before: " ", indent: "  "}},
	{"indented by 3, with blanks around colons", style{name: " ", before: " ", indent: "   "}},
	{"indented by 4, with blanks around colons", style{name: " ", before: " ", indent: "    "}},
	{"indented by 2 with CR LF", style{name: " ", indent: "  ", newline: "\r\n"}},
	{"indented by 4 with CR LF", style{name: " ", indent: "    ", newline: "\r\n"}},
	{"indented by tabs with CR LF", style{name: " ", indent: "\t", newline: "\r\n"}},
	{"indented as Jackson does with CR LF", style{name: " ", before: " ", indent: "  ", inline: true, newline: "\r\n"}},
	{"indented by 2, with blanks at line ends", style{item: " ", name: " ", indent: "  "}},
	{"indented by 4, with blanks at line ends", style{item: " ", name: " ", indent: "    "}},
	{"indented by 1", style{name: " ", indent: " "}},
	{"indented by 3", style{name: " ", indent: "   "}},
	{"with blanks around colons and after commas", style{item: " ", name: " ", before: " "}},
	{"on lines without indent", style{name: " ", newline: "\n", indent: "\x00"}},
}

var habits = []struct {
	who string
	escapes
}{
	{"", escapes{}},
	{"with \\uXXXX for other than ASCII", escapes{ascii: true}},
	{"with \\/ and \\uXXXX", escapes{slash: true, ascii: true}},
	{"with \\/", escapes{slash: true}},
	{"with \\u003c, \\u003e and \\u0026", escapes{chars: "<>&\u2028\u2029"}},
	{"with \\uXXXX in upper case for other than ASCII", escapes{ascii: true, upper: true}},
	{"with \\u003C, \\u003E and \\u0026", escapes{chars: "<>&\u2028\u2029", upper: true}},
	{"with \\u003c, \\u003e, \\u0026 and other than ASCII escaped", escapes{chars: "<>&", ascii: true}},
	{"with \\u003C, \\u003E, \\u0026 and other than ASCII escaped", escapes{chars: "<>&", ascii: true, upper: true}},
	{"as Gson does, with \\u003d and \\u0027", escapes{chars: "<>&='\u2028\u2029"}},
	{"as System.Text.Json does", escapes{chars: "<>&'+`", ascii: true, upper: true, quoted: true}},
	{"as System.Text.Json does for HTML", escapes{chars: "<>&'+`", upper: true, quoted: true}},
	{"with \\u0027, \\u003c, \\u003e and \\u0026", escapes{chars: "<>&'"}},
	{"as Newtonsoft.Json does for HTML", escapes{chars: "<>&'", quoted: true}},
	{"as Newtonsoft.Json does for HTML, with other than ASCII escaped", escapes{chars: "<>&'", quoted: true, ascii: true}},
	{"as PHP's JSON_HEX_… do", escapes{chars: "<>&'", quoted: true, slash: true, ascii: true, mixed: true}},
	{"as PHP's JSON_HEX_… do, without \\/", escapes{chars: "<>&'", quoted: true, mixed: true}},
	{"with \\u0022", escapes{quoted: true}},
	{"with \\u003c, \\u003e, \\u0026 and \\/", escapes{chars: "<>&", slash: true}},
	{"with <\\/", escapes{closer: true}},
	{"with \\/ and \\uXXXX in upper case", escapes{slash: true, ascii: true, upper: true}},
	{"with \\u2028 and \\u2029", escapes{chars: "\u2028\u2029"}},
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
	if p.indent == "\x00" {
		return
	}
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
	inline := p.inline && n.kind == '['
	switch {
	case p.inline && len(n.values) == 0:
		p.out = append(p.out, ' ')
	case inline:
		p.out = append(p.out, ' ')
		depth--
	}
	for i, at := range n.sorted(p.order) {
		if i > 0 {
			p.out = append(append(p.out, ','), p.item...)
		}
		if inline && i > 0 {
			p.out = append(p.out, ' ')
		}
		if !inline {
			p.line(depth + 1)
		}
		if n.kind == '{' {
			p.str(n.names[at])
			p.out = append(append(append(p.out, p.before...), ':'), p.name...)
		}
		p.node(n.values[at], depth+1)
	}
	switch {
	case len(n.values) == 0:
	case inline:
		p.out = append(p.out, ' ')
	default:
		p.line(depth)
	}
	p.out = append(p.out, n.kind+2) // ] and } follow [ and { by two
}

// sorted returns the indexes of the members in an order.
func (n *node) sorted(how order) []int {
	list := make([]int, len(n.values))
	for i := range list {
		list[i] = i
	}
	if n.kind != '{' || how == asParsed {
		return list
	}
	slices.SortStableFunc(list, func(a, b int) int {
		x, y := n.names[a], n.names[b]
		switch how {
		case byLength:
			if d := len(x) - len(y); d != 0 {
				return d
			}
		case byInteger:
			return index(x) - index(y)
		}
		return strings.Compare(x, y)
	})
	return list
}

// index is the place of a name among JavaScript's integer names, which come
// before the others.
func index(name string) int {
	if n, err := strconv.ParseUint(name, 10, 31); err == nil && strconv.FormatUint(n, 10) == name {
		return int(n)
	}
	return 1 << 31
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
		case r == '/' && (p.escape.slash || p.escape.closer && bytes.HasSuffix(p.out, []byte("<"))):
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
	if p.escape.upper || p.escape.mixed && r < 0x80 {
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
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || how == asWritten {
		return text
	}
	switch how {
	case shortest:
		if whole && len(text) < 16 {
			return text
		}
		return javaScript(f)
	case repr:
		if !whole {
			return python(f)
		}
	case floats:
		if whole {
			return text + ".0"
		}
	case doubles:
		return java(f)
	case fractions:
		if !whole {
			return java(f)
		}
	}
	return text
}

func abs(f float64) float64 { return max(f, -f) }

// javaScript writes a number as ECMAScript's Number.toString does.
func javaScript(f float64) string {
	if f == 0 {
		return "0"
	}
	if a := abs(f); a >= 1e-6 && a < 1e21 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return exponent(f, "e", "+", 1)
}

// python writes a float as Python's repr does.
func python(f float64) string {
	if a := abs(f); f == 0 || a >= 1e-4 && a < 1e16 {
		return point(strconv.FormatFloat(f, 'f', -1, 64))
	}
	return exponent(f, "e", "+", 2)
}

// java writes a double as Java's Double.toString does.
func java(f float64) string {
	if a := abs(f); f == 0 || a >= 1e-3 && a < 1e7 {
		return point(strconv.FormatFloat(f, 'f', -1, 64))
	}
	mantissa, exp, _ := strings.Cut(exponent(f, "E", "", 1), "E")
	return point(mantissa) + "E" + exp
}

// point adds .0 to a whole number.
func point(s string) string {
	if strings.Contains(s, ".") {
		return s
	}
	return s + ".0"
}

// exponent writes f with an exponent of at least digits digits.
func exponent(f float64, e, plus string, digits int) string {
	mantissa, exp, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	sign := plus
	if exp[0] == '-' {
		sign = "-"
	}
	n := strings.TrimLeft(exp[1:], "0")
	for len(n) < digits {
		n = "0" + n
	}
	return mantissa + e + sign + n
}

// json covers JSON that was parsed and written again. Only those ways to write
// it are tried that make a difference to this document.
func (b *bodyList) json(doc *node) {
	trees := []struct {
		who string
		doc *node
	}{
		{"", doc},
		{", with [] for empty objects", doc.edit(func(n *node) *node { return n.emptied('{', '[') })},
		{", with {} for empty arrays", doc.edit(func(n *node) *node { return n.emptied('[', '{') })},
		{", without null members", doc.edit(func(n *node) *node { return n.without(func(_ int, v *node) bool { return v.kind == 'n' }) })},
		{", without duplicate members", doc.edit((*node).unique)},
	}
	plain := doc.print(style{})
	for i, t := range trees {
		if i > 0 && bytes.Equal(t.doc.print(style{}), plain) {
			continue
		}
		w := &writer{list: b, doc: t.doc, who: t.who, compact: plain, odd: i > 0}
		w.write()
	}
	b.parts(doc)
	b.reprs(doc)
	b.trimmed(doc)
}

// writer writes one document in all ways that differ.
type writer struct {
	list    *bodyList
	doc     *node
	who     string // what was done to the document
	odd     bool   // something was
	compact []byte // the document that was seen
}

func (w *writer) write() {
	base := w.doc.print(style{})
	known := func() func(style) bool {
		seen := map[string]bool{}
		return func(s style) bool {
			text := string(w.doc.print(s))
			old := seen[text]
			seen[text] = true
			return old
		}
	}
	var orders []order
	old := known()
	for o := asParsed; o <= byInteger; o++ {
		if !old(style{order: o}) {
			orders = append(orders, o)
		}
	}
	var nums []numbers
	old = known()
	for n := asWritten; n <= fractions; n++ {
		if !old(style{number: n}) {
			nums = append(nums, n)
		}
	}
	old = known()
	for h, habit := range habits {
		if old(style{escape: habit.escapes}) {
			continue
		}
		for _, o := range orders {
			for _, n := range nums {
				for l, layout := range layouts {
					s := layout.style
					s.escape, s.order, s.number = habit.escapes, o, n
					weight := 4
					for _, odd := range []bool{o != asParsed, n != asWritten, l > 3, h > 4, w.odd} {
						if odd {
							weight++
						}
					}
					w.add(weight, base, s, strings.TrimSpace("JSON "+layout.who+" "+habit.who))
				}
			}
		}
	}
}

// add adds one way to write the document and finds out which kind of difference
// to the seen text it makes.
func (w *writer) add(weight int, base []byte, s style, who string) {
	if w.list.room <= 0 {
		return
	}
	text := w.doc.print(s)
	cause, what := "body.json_reserialized", "signed the "+who+w.who
	switch {
	case w.odd:
	case s.order != asParsed && !bytes.Equal(w.doc.print(style{order: s.order}), base):
		what += ", with members in another order"
	case s.number != asWritten:
		cause, what = "body.json_number", "signed numbers in another form, in the "+who
	case layout(text) == layout(w.list.seen):
		cause = "body.json_escaping"
	}
	w.list.add(weight, cause, what, text)
	w.list.add(weight+2, cause, what+" and a line feed at the end", append(bytes.Clone(text), '\n'))
	w.list.add(weight+3, cause, what+" and CR LF at the end", append(bytes.Clone(text), "\r\n"...))
}

// edit returns a copy of the tree, changed from the leaves up.
func (n *node) edit(f func(*node) *node) *node {
	c := *n
	c.values = make([]*node, len(n.values))
	for i, v := range n.values {
		c.values[i] = v.edit(f)
	}
	return f(&c)
}

// emptied turns an empty value of one kind into one of the other.
func (n *node) emptied(from, to byte) *node {
	if n.kind == from && len(n.values) == 0 {
		n.kind = to
	}
	return n
}

// without returns an object without the members that f names.
func (n *node) without(f func(i int, v *node) bool) *node {
	if n.kind != '{' {
		return n
	}
	c := *n
	c.names, c.values = nil, nil
	for i, v := range n.values {
		if !f(i, v) {
			c.names, c.values = append(c.names, n.names[i]), append(c.values, v)
		}
	}
	return &c
}

// unique keeps of members with one name the last value, in the place of the
// first, as most parsers do.
func (n *node) unique() *node {
	if n.kind != '{' {
		return n
	}
	last := map[string]*node{}
	for i, v := range n.values {
		last[n.names[i]] = v
	}
	done := map[string]bool{}
	c := n.without(func(i int, _ *node) bool {
		again := done[n.names[i]]
		done[n.names[i]] = true
		return again
	})
	for i := range c.values {
		c.values[i] = last[c.names[i]]
	}
	return c
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

// maxParts is how many parts of a document are tried alone.
const maxParts = 64

// partStyles are the ways to write a part.
var partStyles = []struct {
	who string
	style
}{
	{"compact", style{}},
	{"with blanks", style{item: " ", name: " "}},
	{"with sorted members", style{order: byName}},
	{"with blanks and sorted members", style{item: " ", name: " ", order: byName}},
	{"with \\uXXXX", style{escape: escapes{ascii: true}}},
	{"with blanks and \\uXXXX", style{item: " ", name: " ", escape: escapes{ascii: true}}},
	{"with sorted members and \\uXXXX", style{order: byName, escape: escapes{ascii: true}}},
	{"with \\/", style{escape: escapes{slash: true}}},
	{"with \\/ and \\uXXXX", style{escape: escapes{slash: true, ascii: true}}},
	{"with \\u003c, \\u003e and \\u0026", style{escape: escapes{chars: "<>&"}}},
	{"indented by 2", style{name: " ", indent: "  "}},
	{"indented by 4", style{name: " ", indent: "    "}},
}

// parts covers senders that sign only a part of the document.
func (b *bodyList) parts(doc *node) {
	b.part(doc, "", new(int))
	for i := range min(len(doc.values), maxParts) {
		if doc.kind != '{' {
			break
		}
		rest := doc.without(func(j int, _ *node) bool { return i == j })
		for _, s := range partStyles[:6] {
			b.add(7, "body.partial", "signed the JSON without its member "+doc.names[i]+", "+s.who, rest.print(s.style))
		}
	}
	for _, n := range []int{32, 64, 100, 128, 200, 255, 256, 500, 512, 1000, 1024, 2048, 4096, 8192} {
		if n < len(b.seen) {
			b.add(8, "body.partial", fmt.Sprintf("signed only the first %d bytes of the body", n), b.seen[:n])
		}
	}
}

func (b *bodyList) part(n *node, path string, count *int) {
	for i, v := range n.values {
		if *count++; *count > maxParts {
			return
		}
		at := path + "/" + strconv.Itoa(i)
		if n.kind == '{' {
			at = path + "/" + n.names[i]
		}
		switch v.kind {
		case '{', '[':
			b.add(6, "body.partial", "signed only "+at, b.seen[v.from:v.to])
			for j, s := range partStyles {
				b.add(6+min(j, 1), "body.partial", "signed only "+at+", "+s.who, v.print(s.style))
			}
			b.part(v, at, count)
		default:
			b.add(7, "body.partial", "signed only the text of "+at, []byte(v.text))
		}
	}
}

// trimmed covers frameworks that trim the strings of a parsed document.
func (b *bodyList) trimmed(doc *node) {
	for i, end := range doc.strings(b.seen, nil) {
		if i == maxParts {
			return
		}
		for _, blank := range []string{" ", `\n`} {
			b.add(6, "body.params_trimmed", "signed a string with white space that was trimmed", slices.Concat(b.seen[:end], []byte(blank), b.seen[end:]))
		}
	}
}

// strings returns the offsets of the ends of string values in the text.
func (n *node) strings(text []byte, out []int) []int {
	if n.kind == '"' && n.to > 0 && n.to <= len(text) {
		out = append(out, n.to-1)
	}
	for _, v := range n.values {
		out = v.strings(text, out)
	}
	return out
}

// reprs covers the text forms that languages give to objects.
func (b *bodyList) reprs(doc *node) {
	for _, r := range []struct {
		who string
		textForm
	}{
		{"Python's str() of the parsed body", textForm{sep: ": ", yes: "True", no: "False", null: "None", quote: pythonQuote}},
		{"Ruby's inspect of the parsed body", textForm{sep: "=>", yes: "true", no: "false", null: "nil", quote: rubyQuote}},
		{"Ruby's inspect of the parsed body", textForm{sep: " => ", yes: "true", no: "false", null: "nil", quote: rubyQuote}},
		{"Java's toString of the parsed body", textForm{sep: "=", yes: "true", no: "false", null: "null", quote: bare}},
	} {
		b.add(7, "body.str_repr", "signed "+r.who, r.node(nil, doc))
	}
	b.add(7, "body.str_repr", "signed Go's text of the parsed body", goText(nil, doc))
	b.add(7, "body.str_repr", "signed Python's b'…' text of the body", []byte("b"+pythonBytes(b.seen)))
	quoted := new(node)
	quoted.kind, quoted.text = '"', string(b.seen)
	b.add(7, "body.str_repr", "signed the body as a JSON string", quoted.print(style{}))
	b.add(7, "body.str_repr", "signed the body as a JSON string with \\uXXXX", quoted.print(style{escape: escapes{ascii: true}}))
	b.add(7, "body.str_repr", "signed the body as a JSON string with \\/ and \\uXXXX", quoted.print(style{escape: escapes{ascii: true, slash: true}}))
}

// goText writes a document as fmt writes a map.
func goText(dst []byte, n *node) []byte {
	switch n.kind {
	case 'n':
		return append(dst, "<nil>"...)
	case '{', '[':
	default:
		return append(dst, n.text...)
	}
	if n.kind == '{' {
		dst = append(dst, "map"...)
	}
	dst = append(dst, '[')
	for i, at := range n.sorted(byName) {
		if i > 0 {
			dst = append(dst, ' ')
		}
		if n.kind == '{' {
			dst = append(append(dst, n.names[at]...), ':')
		}
		dst = goText(dst, n.values[at])
	}
	return append(dst, ']')
}

// pythonBytes writes bytes as Python does, without the b.
func pythonBytes(b []byte) string {
	q := byte('\'')
	if bytes.IndexByte(b, '\'') >= 0 && bytes.IndexByte(b, '"') < 0 {
		q = '"'
	}
	out := []byte{q}
	for _, c := range b {
		switch {
		case c == q, c == '\\':
			out = append(out, '\\', c)
		case c == '\n':
			out = append(out, `\n`...)
		case c == '\r':
			out = append(out, `\r`...)
		case c == '\t':
			out = append(out, `\t`...)
		case c < 0x20, c >= 0x7f:
			out = fmt.Appendf(out, `\x%02x`, c)
		default:
			out = append(out, c)
		}
	}
	return string(append(out, q))
}

// textForm is how a language writes an object as text.
type textForm struct {
	sep, yes, no, null string
	quote              func(string) string
}

func (r textForm) node(dst []byte, n *node) []byte {
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
