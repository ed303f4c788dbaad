package rest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sealwright/sealwright/api"
)

// message is one message to sign or to verify, as it stands in the body. A
// member that is absent or null is nil, an empty text is not.
type message struct {
	base64    []byte // member message, not yet decoded
	text      []byte
	tag       []byte
	signature []byte
	encoding  []byte
	metadata  *api.Metadata // within its bounds
	purpose   []byte        // of the whole body only, like context and bind
	context   []byte
	bind      bool // the metadata is signed too
}

// batch is the body of sign or verify.
type batch struct {
	message
	items   []message // of the batch
	isBatch bool      // items was given, perhaps empty
}

// member is a set of members of an object.
type member uint16

const (
	memberMessage member = 1 << iota
	memberText
	memberTag
	memberSignature
	memberEncoding
	memberItems
	memberPurpose
	memberContext
	memberMetadata
	memberBind

	signMembers   = memberMessage | memberText | memberEncoding | memberMetadata
	verifyMembers = signMembers | memberTag | memberSignature
	wholeMembers  = memberItems | memberPurpose | memberContext | memberBind // of the whole body only
)

// memberOf returns the member with exactly this name, 0 for none.
func memberOf(name []byte) member {
	switch string(name) {
	case "message":
		return memberMessage
	case "text":
		return memberText
	case "tag":
		return memberTag
	case "signature":
		return memberSignature
	case "encoding":
		return memberEncoding
	case "items":
		return memberItems
	case "purpose":
		return memberPurpose
	case "context":
		return memberContext
	case "metadata":
		return memberMetadata
	case "bind_metadata":
		return memberBind
	}
	return 0
}

// badBody says what is wrong with a body, and where.
type badBody struct {
	status   int    // 400 if it is no JSON, 422 if it is not what is asked for, 413 for too many items
	location string // such as body.items[3].text
	detail   string
}

func (e *badBody) Error() string { return e.location + ": " + e.detail }

// decoder reads the body of sign and verify in one pass. It takes what
// encoding/json takes for the same members, without what encoding/json forgives:
// other spellings of a name, names that stand twice, unknown names, text that is
// not UTF-8, and half of a surrogate pair. It needs no memory of its own: texts
// are parts of data, which is overwritten where an escape makes them shorter.
type decoder struct {
	data []byte
	pos  int
	item int // index of the item that is read, -1 outside items
}

// decodeBatch reads data into b, whose items are reused. allowed are the
// members of a message; maxItems is the most items.
func decodeBatch(data []byte, b *batch, allowed member, maxItems int) error {
	*b = batch{items: b.items[:0]}
	d := decoder{data: data, item: -1}
	seen, err := d.object(allowed|wholeMembers, &b.message, func() error { return d.list(b, allowed, maxItems) })
	if err != nil {
		return err
	}
	d.space()
	if d.pos != len(d.data) {
		return d.syntax("more follows after the object")
	}
	b.isBatch = seen&memberItems != 0
	return nil
}

// object reads an object into m and returns the members that it has and that
// are not null. items reads the value of the member items.
func (d *decoder) object(allowed member, m *message, items func() error) (seen member, err error) {
	d.space()
	if !d.take('{') {
		return 0, d.wrongType("", "an object")
	}
	named := member(0)
	d.space()
	if d.take('}') {
		return 0, nil
	}
	for {
		which, err := d.memberName(allowed, named)
		if err != nil {
			return 0, err
		}
		named |= which
		isNull, err := d.value(which, m, items)
		if err != nil {
			return 0, err
		}
		if !isNull {
			seen |= which
		}
		d.space()
		if d.take('}') {
			return seen, nil
		}
		if !d.take(',') {
			return 0, d.syntax("no comma and no } after a member")
		}
		d.space()
	}
}

// memberName reads a name with its colon.
func (d *decoder) memberName(allowed, named member) (member, error) {
	start := d.pos
	if d.pos == len(d.data) || d.data[d.pos] != '"' {
		return 0, d.syntax("no name of a member")
	}
	name, err := d.str("")
	if err != nil {
		return 0, err
	}
	which := memberOf(name) & allowed
	if which == 0 {
		return 0, d.refuse(http.StatusUnprocessableEntity, "", "unknown member at byte %d", start)
	}
	if which&named != 0 {
		return 0, d.refuse(http.StatusBadRequest, nameOf(which), "stands twice, again at byte %d", start)
	}
	d.space()
	if !d.take(':') {
		return 0, d.syntax("no colon after the name of a member")
	}
	return which, nil
}

func nameOf(which member) string {
	switch which {
	case memberMessage:
		return "message"
	case memberText:
		return "text"
	case memberTag:
		return "tag"
	case memberSignature:
		return "signature"
	case memberEncoding:
		return "encoding"
	case memberPurpose:
		return "purpose"
	case memberContext:
		return "context"
	case memberMetadata:
		return "metadata"
	case memberBind:
		return "bind_metadata"
	}
	return "items"
}

// value reads the value of a member into m.
func (d *decoder) value(which member, m *message, items func() error) (isNull bool, err error) {
	d.space()
	if isNull, err = d.null(); isNull || err != nil {
		return isNull, err
	}
	switch which {
	case memberItems:
		return false, items()
	case memberMetadata:
		m.metadata, err = d.metadata("metadata")
		return false, err
	case memberBind:
		m.bind, err = d.boolean("bind_metadata")
		return false, err
	}
	text, err := d.text(nameOf(which))
	if err != nil {
		return false, err
	}
	switch which {
	case memberMessage:
		m.base64 = text
	case memberText:
		m.text = text
	case memberTag:
		m.tag = text
	case memberSignature:
		m.signature = text
	case memberEncoding:
		m.encoding = text
	case memberPurpose:
		m.purpose = text
	case memberContext:
		m.context = text
	}
	return false, nil
}

// list reads the value of items.
func (d *decoder) list(b *batch, allowed member, maxItems int) error {
	if !d.take('[') {
		return d.wrongType("items", "an array")
	}
	d.space()
	if d.take(']') {
		return nil
	}
	for {
		if len(b.items) == maxItems {
			return d.refuse(http.StatusRequestEntityTooLarge, "items", "more than %d items", maxItems)
		}
		d.item = len(b.items)
		var m message
		if _, err := d.object(allowed, &m, nil); err != nil {
			return err
		}
		d.item = -1
		b.items = append(b.items, m)
		d.space()
		if d.take(']') {
			return nil
		}
		if !d.take(',') {
			return d.syntax("no comma and no ] after an item")
		}
	}
}

// text reads a string, and refuses every other value.
func (d *decoder) text(name string) ([]byte, error) {
	if d.pos == len(d.data) || d.data[d.pos] != '"' {
		return nil, d.wrongType(name, "a string")
	}
	return d.str(name)
}

// boolean reads true or false.
func (d *decoder) boolean(name string) (bool, error) {
	switch rest := d.data[d.pos:]; {
	case bytes.HasPrefix(rest, []byte("true")):
		d.pos += len("true")
		return true, nil
	case bytes.HasPrefix(rest, []byte("false")):
		d.pos += len("false")
		return false, nil
	}
	return false, d.wrongType(name, "a boolean")
}

func (d *decoder) space() {
	for d.pos < len(d.data) {
		switch d.data[d.pos] {
		case ' ', '\t', '\r', '\n':
			d.pos++
		default:
			return
		}
	}
}

func (d *decoder) take(c byte) bool {
	if d.pos < len(d.data) && d.data[d.pos] == c {
		d.pos++
		return true
	}
	return false
}

// null takes null if it stands here.
func (d *decoder) null() (bool, error) {
	if d.pos == len(d.data) || d.data[d.pos] != 'n' {
		return false, nil
	}
	if !bytes.HasPrefix(d.data[d.pos:], []byte("null")) {
		return false, d.syntax("not a JSON value")
	}
	d.pos += len("null")
	return true, nil
}

// str reads a string, of the member name for the place of an error.
func (d *decoder) str(name string) ([]byte, error) {
	start := d.pos + 1
	rest := d.data[start:]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		d.pos = len(d.data)
		return nil, d.syntax("a string does not end")
	}
	text := rest[:end:end]
	if printable(text) { // no escape either: a backslash is not printable
		d.pos = start + end + 1
		return text, nil
	}
	return d.escaped(name, start)
}

// printable reports whether s has only ASCII from blank to tilde, and no
// backslash. It looks at eight bytes at a time.
func printable(s []byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for len(s) >= 8 {
		x := binary.LittleEndian.Uint64(s)
		slash := x ^ ones*'\\'
		if (x|(x-ones*' ')|(x+ones)|(slash-ones))&high != 0 {
			return false
		}
		s = s[8:]
	}
	for _, c := range s {
		if c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

// escaped reads the string whose content begins at start, and writes its value
// over it.
func (d *decoder) escaped(name string, start int) ([]byte, error) {
	out := start
	for d.pos = start; d.pos < len(d.data); {
		switch c := d.data[d.pos]; {
		case c == '"':
			d.pos++
			return d.data[start:out:out], nil
		case c == '\\':
			n, err := d.escape(name, d.data[out:out])
			if err != nil {
				return nil, err
			}
			out += n
		case c < ' ':
			return nil, d.syntax("control character in a string")
		case c < utf8.RuneSelf:
			d.data[out] = c
			d.pos++
			out++
		default:
			r, n := utf8.DecodeRune(d.data[d.pos:])
			if r == utf8.RuneError && n == 1 {
				return nil, d.refuse(http.StatusBadRequest, name, "not UTF-8 at byte %d", d.pos)
			}
			out += copy(d.data[out:], d.data[d.pos:d.pos+n])
			d.pos += n
		}
	}
	return nil, d.syntax("a string does not end")
}

// escape reads one escape sequence, appends its value to dst, which lies
// before it, and returns the length of the value.
func (d *decoder) escape(name string, dst []byte) (int, error) {
	if d.pos+1 == len(d.data) {
		return 0, d.syntax("a string does not end")
	}
	const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	c := d.data[d.pos+1]
	for i := range len(from) {
		if from[i] == c {
			d.pos += 2
			return len(append(dst, to[i])), nil
		}
	}
	if c != 'u' {
		return 0, d.syntax("unknown escape in a string")
	}
	at := d.pos
	r, ok := d.hex4()
	if !ok {
		return 0, d.syntax(`\u without four hex digits`)
	}
	if utf16.IsSurrogate(r) {
		low, ok := rune(0), false
		if bytes.HasPrefix(d.data[d.pos:], []byte(`\u`)) {
			low, ok = d.hex4()
		}
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return 0, d.refuse(http.StatusBadRequest, name, "half of a surrogate pair at byte %d", at)
		}
	}
	return len(utf8.AppendRune(dst, r)), nil
}

// hex4 reads \u and four digits.
func (d *decoder) hex4() (rune, bool) {
	if len(d.data)-d.pos < 6 {
		return 0, false
	}
	var r rune
	for _, c := range d.data[d.pos+2 : d.pos+6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	d.pos += 6
	return r, true
}

// wrongType says that the value here is not of the wanted type, or that there
// is no value.
func (d *decoder) wrongType(name, want string) error {
	if d.pos == len(d.data) {
		return d.syntax("ends too early")
	}
	got := "not a JSON value"
	switch c := d.data[d.pos]; {
	case c == '{':
		got = "an object"
	case c == '[':
		got = "an array"
	case c == '"':
		got = "a string"
	case c == 't' || c == 'f':
		got = "a boolean"
	case c == 'n':
		got = "null"
	case c == '-' || ('0' <= c && c <= '9'):
		got = "a number"
	default:
		return d.syntax(got)
	}
	return d.refuse(http.StatusUnprocessableEntity, name, "got %s at byte %d, want %s", got, d.pos, want)
}

func (d *decoder) syntax(what string) error {
	return d.refuse(http.StatusBadRequest, "", "bad JSON at byte %d: %s", d.pos, what)
}

func (d *decoder) refuse(status int, name, format string, args ...any) error {
	location := "body"
	if d.item >= 0 {
		location = itemLocation(d.item)
	}
	if name != "" {
		location += "." + name
	}
	return &badBody{status: status, location: location, detail: fmt.Sprintf(format, args...)}
}

func itemLocation(index int) string { return fmt.Sprintf("body.items[%d]", index) }
