package rfc9421

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sealwright/sealwright/canon"
)

// field is a parsed structured field (RFC 9651): a dictionary, a list or an
// item. Members, items and parameters lie in three slices that refer to each
// other by index; they are reused, so that parsing allocates nothing once they
// have grown.
//
// The parser accepts less than the RFC allows in two points, since verifiers
// that disagree on what was signed are a way in: it refuses a key that stands
// twice, where the RFC lets the last one win, and base64 that is not the
// canonical text of its bytes. What it accepts, [field.appendDictionary] and
// its siblings print as the RFC serialises it.
type field struct {
	members []member
	items   []item
	params  []param
}

// span is a half-open range of indexes.
type span struct{ from, to int }

// member is a member of a dictionary or a list: an item, or an inner list.
type member struct {
	key    string // in a dictionary
	inner  bool
	items  span // one item unless inner
	params span // of an inner list; those of an item are its own
}

// item returns the item that m is, nil if it is an inner list.
func (f *field) item(m *member) *item {
	if m.inner {
		return nil
	}
	return &f.items[m.items.from]
}

type item struct {
	value  value
	params span
}

type param struct {
	key   string
	value value
}

// value is a bare item.
type value struct {
	kind kind
	text string // content of text, token and display; base64 of bytes
	num  int64  // integer and date; decimal in thousandths; 1 for true
}

type kind uint8

// The bare items of RFC 9651 section 3.3.
const (
	kInteger kind = 1
	kDecimal kind = 2
	kString  kind = 3
	kToken   kind = 4
	kBytes   kind = 5
	kBoolean kind = 6
	kDate    kind = 7
	kDisplay kind = 8
)

// Limits of one field. They are the least that RFC 9651 wants of a parser, and
// bound the work that a stranger can cause.
const (
	maxField   = 64 << 10 // bytes
	maxMembers = 1024
	maxItems   = 256 // of an inner list
	maxParams  = 256 // of an item
)

// parser walks over the text of a field.
type parser struct {
	*field
	text string
	pos  int
}

func (f *field) start(text string) (parser, error) {
	f.members, f.items, f.params = f.members[:0], f.items[:0], f.params[:0]
	p := parser{field: f, text: text}
	if len(text) > maxField {
		return p, fmt.Errorf("%d bytes, at most %d are allowed", len(text), maxField)
	}
	p.blanks()
	return p, nil
}

// parseDictionary parses a dictionary. An empty text is one without members.
func (f *field) parseDictionary(text string) error {
	p, err := f.start(text)
	if err != nil {
		return err
	}
	if err := p.separated(p.dictionaryMember); err != nil {
		return err
	}
	if key := repeated(len(f.members), func(i int) string { return f.members[i].key }); key != "" {
		return fmt.Errorf("key %q stands twice", key)
	}
	return nil
}

// parseLines parses the lines of a dictionary, none of which is one without
// members.
func (f *field) parseLines(lines []string) error {
	if len(lines) == 0 {
		f.members, f.items, f.params = f.members[:0], f.items[:0], f.params[:0]
		return nil
	}
	return f.parseDictionary(joined(lines))
}

// parseList parses a list. An empty text is one without members.
func (f *field) parseList(text string) error {
	p, err := f.start(text)
	if err != nil {
		return err
	}
	return p.separated(func() (member, error) { return p.member("") })
}

// parseItem parses a single item, which becomes the only member.
func (f *field) parseItem(text string) error {
	p, err := f.start(text)
	if err != nil {
		return err
	}
	it, err := p.parameterised()
	if err != nil {
		return err
	}
	p.blanks()
	if p.pos < len(p.text) {
		return p.errorf("want the end")
	}
	f.items = append(f.items, it)
	f.members = append(f.members, member{items: span{0, 1}})
	return nil
}

// separated parses members with commas between them up to the end.
func (p *parser) separated(next func() (member, error)) error {
	for p.pos < len(p.text) {
		if len(p.members) == maxMembers {
			return p.errorf("more than %d members", maxMembers)
		}
		m, err := next()
		if err != nil {
			return err
		}
		p.members = append(p.members, m)
		p.ows()
		if p.pos == len(p.text) {
			return nil
		}
		if !p.take(',') {
			return p.errorf("want a comma")
		}
		p.ows()
		if p.pos == len(p.text) {
			return p.errorf("want a member after the comma")
		}
	}
	return nil
}

func (p *parser) dictionaryMember() (member, error) {
	key, err := p.key()
	if err != nil {
		return member{}, err
	}
	if p.take('=') {
		return p.member(key)
	}
	params, err := p.parameters()
	if err != nil {
		return member{}, err
	}
	p.items = append(p.items, item{value: value{kind: kBoolean, num: 1}, params: params})
	return member{key: key, items: span{len(p.items) - 1, len(p.items)}}, nil
}

func (p *parser) member(key string) (member, error) {
	if p.peek() == '(' {
		return p.innerList(key)
	}
	it, err := p.parameterised()
	if err != nil {
		return member{}, err
	}
	p.items = append(p.items, it)
	return member{key: key, items: span{len(p.items) - 1, len(p.items)}}, nil
}

func (p *parser) innerList(key string) (member, error) {
	p.pos++ // the parenthesis
	m := member{key: key, inner: true, items: span{from: len(p.items)}}
	for {
		p.blanks()
		if p.take(')') {
			break
		}
		if len(p.items)-m.items.from == maxItems {
			return m, p.errorf("more than %d items", maxItems)
		}
		it, err := p.parameterised()
		if err != nil {
			return m, err
		}
		p.items = append(p.items, it)
		if c := p.peek(); c != ' ' && c != ')' {
			return m, p.errorf("want a blank or a closing parenthesis")
		}
	}
	m.items.to = len(p.items)
	var err error
	m.params, err = p.parameters()
	return m, err
}

func (p *parser) parameterised() (item, error) {
	v, err := p.bare()
	if err != nil {
		return item{}, err
	}
	params, err := p.parameters()
	return item{value: v, params: params}, err
}

func (p *parser) parameters() (span, error) {
	s := span{from: len(p.params)}
	for p.take(';') {
		if len(p.params)-s.from == maxParams {
			return s, p.errorf("more than %d parameters", maxParams)
		}
		p.blanks()
		key, err := p.key()
		if err != nil {
			return s, err
		}
		v := value{kind: kBoolean, num: 1}
		if p.take('=') {
			if v, err = p.bare(); err != nil {
				return s, err
			}
		}
		p.params = append(p.params, param{key, v})
	}
	s.to = len(p.params)
	list := p.params[s.from:]
	if key := repeated(len(list), func(i int) string { return list[i].key }); key != "" {
		return s, p.errorf("parameter %q stands twice", key)
	}
	return s, nil
}

// repeated returns a key that n keys hold twice, or "". It sorts many keys, so
// that a long list costs no square of its length.
func repeated(n int, key func(int) string) string {
	const few = 16
	if n <= few {
		for i := range n {
			for j := range i {
				if key(i) == key(j) {
					return key(i)
				}
			}
		}
		return ""
	}
	keys := make([]string, n)
	for i := range keys {
		keys[i] = key(i)
	}
	slices.Sort(keys)
	for i, k := range keys[1:] {
		if k == keys[i] {
			return k
		}
	}
	return ""
}

func (p *parser) key() (string, error) {
	start := p.pos
	if c := p.peek(); c != '*' && (c < 'a' || c > 'z') {
		return "", p.errorf("want a key")
	}
	for p.pos < len(p.text) && keyChar(p.text[p.pos]) {
		p.pos++
	}
	return p.text[start:p.pos], nil
}

func keyChar(c byte) bool {
	return 'a' <= c && c <= 'z' || digit(c) || c == '_' || c == '-' || c == '.' || c == '*'
}

// isKey reports whether s is a key: of a dictionary or a parameter.
func isKey(s string) bool {
	p := parser{text: s}
	key, err := p.key()
	return err == nil && key == s
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// bare parses a bare item; its first character says which kind it is.
func (p *parser) bare() (value, error) {
	switch c := p.peek(); {
	case c == '"':
		return p.stringValue()
	case c == '-' || digit(c):
		return p.number()
	case c == '*' || letter(c):
		return p.tokenValue()
	case c == ':':
		return p.bytesValue()
	case c == '?':
		return p.booleanValue()
	case c == '@':
		return p.dateValue()
	case c == '%':
		return p.displayValue()
	}
	return value{}, p.errorf("want a value")
}

func (p *parser) stringValue() (value, error) {
	p.pos++
	start := p.pos
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; {
		case c == '"':
			p.pos++
			return value{kind: kString, text: p.text[start : p.pos-1]}, nil
		case c == '\\':
			return p.escapedString(start)
		case c < ' ' || c > '~':
			return value{}, p.errorf("character %#02x in a string", c)
		}
		p.pos++
	}
	return value{}, p.errorf("string without its end")
}

// escapedString goes on at the first backslash of a string.
func (p *parser) escapedString(start int) (value, error) {
	content := []byte(p.text[start:p.pos])
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		p.pos++
		switch {
		case c == '"':
			return value{kind: kString, text: string(content)}, nil
		case c == '\\':
			next := p.peek()
			if next != '"' && next != '\\' {
				return value{}, p.errorf("want a quote or backslash after the backslash")
			}
			content = append(content, next)
			p.pos++
		case c < ' ' || c > '~':
			return value{}, p.errorf("character %#02x in a string", c)
		default:
			content = append(content, c)
		}
	}
	return value{}, p.errorf("string without its end")
}

// number parses an integer of up to 15 digits, or a decimal of up to 12 digits,
// a point and up to 3 digits.
func (p *parser) number() (value, error) {
	sign := int64(1)
	if p.take('-') {
		sign = -1
	}
	whole, n := p.digits()
	if n == 0 {
		return value{}, p.errorf("want a digit")
	}
	if !p.take('.') {
		if n > 15 {
			return value{}, p.errorf("integer of %d digits, at most 15 are allowed", n)
		}
		return value{kind: kInteger, num: sign * whole}, nil
	}
	if n > 12 {
		return value{}, p.errorf("decimal with %d digits before the point, at most 12 are allowed", n)
	}
	fraction, n := p.digits()
	if n == 0 || n > 3 {
		return value{}, p.errorf("decimal with %d digits after the point, want 1 to 3", n)
	}
	for ; n < 3; n++ {
		fraction *= 10
	}
	return value{kind: kDecimal, num: sign * (whole*1000 + fraction)}, nil
}

// digits returns the number that the next digits are, and how many these are.
// The number is meaningless if they are more than 15.
func (p *parser) digits() (number int64, n int) {
	start := p.pos
	for p.pos < len(p.text) && digit(p.text[p.pos]) {
		if p.pos-start < 15 {
			number = number*10 + int64(p.text[p.pos]-'0')
		}
		p.pos++
	}
	return number, p.pos - start
}

func (p *parser) tokenValue() (value, error) {
	start := p.pos
	for p.pos < len(p.text) {
		if c := p.text[p.pos]; !canon.TokenChars.Has(c) && c != ':' && c != '/' {
			break
		}
		p.pos++
	}
	return value{kind: kToken, text: p.text[start:p.pos]}, nil
}

func (p *parser) bytesValue() (value, error) {
	p.pos++
	end := strings.IndexByte(p.text[p.pos:], ':')
	if end < 0 {
		return value{}, p.errorf("byte sequence without its end")
	}
	content := p.text[p.pos : p.pos+end]
	if !canonicalBase64(content) {
		return value{}, p.errorf("byte sequence is not canonical base64")
	}
	p.pos += end + 1
	return value{kind: kBytes, text: content}, nil
}

// base64Chars has the digits of base64 (RFC 4648 section 4) but for padding.
var base64Chars = func() (has [256]bool) {
	set := canon.NewSet("+/", true)
	for c := range has {
		has[c] = set.Has(byte(c))
	}
	return has
}()

// canonicalBase64 reports whether s is what base64 with padding makes of some
// bytes.
func canonicalBase64(s string) bool {
	if len(s)%4 != 0 {
		return false
	}
	body := strings.TrimSuffix(strings.TrimSuffix(s, "="), "=")
	for i := range len(body) {
		if !base64Chars[body[i]] {
			return false
		}
	}
	switch len(s) - len(body) { // the bits of the last digit that stand for nothing are 0
	case 1:
		return strings.IndexByte("AEIMQUYcgkosw048", body[len(body)-1]) >= 0
	case 2:
		return strings.IndexByte("AQgw", body[len(body)-1]) >= 0
	}
	return true
}

func (p *parser) booleanValue() (value, error) {
	p.pos++
	switch {
	case p.take('0'):
		return value{kind: kBoolean}, nil
	case p.take('1'):
		return value{kind: kBoolean, num: 1}, nil
	}
	return value{}, p.errorf("want 0 or 1")
}

func (p *parser) dateValue() (value, error) {
	p.pos++
	v, err := p.number()
	if err != nil {
		return v, err
	}
	if v.kind != kInteger {
		return v, p.errorf("date is not an integer")
	}
	v.kind = kDate
	return v, nil
}

// displayValue parses a display string: printable ASCII in which %xx, lower
// case, stands for the bytes of UTF-8.
func (p *parser) displayValue() (value, error) {
	p.pos++
	if !p.take('"') {
		return value{}, p.errorf("want a quote")
	}
	var content []byte
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		p.pos++
		switch {
		case c == '"':
			if !utf8.Valid(content) {
				return value{}, p.errorf("display string is not UTF-8")
			}
			return value{kind: kDisplay, text: string(content)}, nil
		case c == '%':
			var b [1]byte
			if _, err := canon.Hex.Decode(b[:], p.text[p.pos:min(p.pos+2, len(p.text))]); err != nil || p.pos+2 > len(p.text) {
				return value{}, p.errorf("want two lower-case hex digits after the percent sign")
			}
			content = append(content, b[0])
			p.pos += 2
		case c < ' ' || c > '~':
			return value{}, p.errorf("character %#02x in a display string", c)
		default:
			content = append(content, c)
		}
	}
	return value{}, p.errorf("display string without its end")
}

// peek returns the next character, or 0, which no field may hold, at the end.
func (p *parser) peek() byte {
	if p.pos == len(p.text) {
		return 0
	}
	return p.text[p.pos]
}

func (p *parser) take(c byte) bool {
	if p.pos < len(p.text) && p.text[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *parser) blanks() {
	for p.take(' ') {
	}
}

// ows moves behind blanks and tabs.
func (p *parser) ows() {
	for p.take(' ') || p.take('\t') {
	}
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("byte %d: %s", p.pos, fmt.Sprintf(format, args...))
}
