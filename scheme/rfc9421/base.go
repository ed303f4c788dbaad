package rfc9421

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

var (
	errAbsent = errors.New("it is not in the message")
	errTarget = errors.New("the request target is not in origin form")
)

// appendBase appends the signature base (RFC 9421 section 2.5) of the
// signature that in describes and w.components lists.
func (w *work) appendBase(dst []byte, m *sealwright.Message, in *member) ([]byte, error) {
	var err error
	w.ids = w.ids[:0]
	for i := range w.components {
		start := len(dst)
		dst = w.input.appendItem(dst, &w.input.items[in.items.from+i])
		w.ids = append(w.ids, span{start, len(dst)})
		dst = append(dst, ": "...)
		if dst, err = w.appendValue(dst, m, &w.components[i]); err != nil {
			return dst, fmt.Errorf("component %s: %w", dst[start:w.ids[i].to], err)
		}
		dst = append(dst, '\n')
	}
	dst = append(dst, `"@signature-params": (`...)
	for i, id := range w.ids {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, dst[id.from:id.to]...)
	}
	return w.input.appendParams(append(dst, ')'), in.params), nil
}

// appendValue appends the value of a component. Derived components are never
// looked up among the fields: their names cannot be names of fields.
func (w *work) appendValue(dst []byte, m *sealwright.Message, c *component) ([]byte, error) {
	if c.flags&flagReq != 0 {
		if m.Status == 0 {
			return dst, errors.New("parameter req in a request")
		}
		if m.Request == nil {
			return dst, errors.New("the request of the response is not known")
		}
		m = m.Request
	}
	if c.name[0] == '@' {
		return w.appendDerived(dst, m, c)
	}
	return w.appendField(dst, m, c)
}

// appendDerived appends the value of a derived component (RFC 9421 section
// 2.2). An empty target stands for a slash, as it does on the wire.
func (w *work) appendDerived(dst []byte, m *sealwright.Message, c *component) ([]byte, error) {
	if c.name == "@status" {
		if m.Status < 100 || m.Status > 999 {
			return dst, errors.New("the message is no response")
		}
		return strconv.AppendInt(dst, int64(m.Status), 10), nil
	}
	if m.Status != 0 {
		return dst, errors.New("a response has it with the parameter req only")
	}
	switch c.name {
	case "@method":
		return appendVisible(dst, m.Method)
	case "@authority":
		return appendHost(dst, canon.Authority(m.Host, strings.ToLower(m.URLScheme())))
	case "@scheme":
		return appendVisible(dst, strings.ToLower(m.URLScheme()))
	case "@target-uri":
		return appendURI(dst, m)
	case "@request-target":
		return appendTarget(dst, m.Target)
	}
	path, query, err := originForm(m.Target)
	if err != nil {
		return dst, err
	}
	switch c.name {
	case "@path":
		return appendVisible(dst, path)
	case "@query":
		if query == "" {
			query = "?"
		}
		return appendVisible(dst, query)
	}
	return w.appendQueryParam(dst, strings.TrimPrefix(query, "?"), c.arg)
}

// appendURI appends the target URI (RFC 9110 section 7.1), host and target as
// they were received. The asterisk form has neither path nor query.
func appendURI(dst []byte, m *sealwright.Message) ([]byte, error) {
	dst, err := appendVisible(dst, m.URLScheme())
	if err != nil {
		return dst, err
	}
	if dst, err = appendHost(append(dst, "://"...), m.Host); err != nil {
		return dst, fmt.Errorf("host: %w", err)
	}
	if m.Target == "*" {
		return dst, nil
	}
	if _, _, err := originForm(m.Target); err != nil {
		return dst, err
	}
	return appendTarget(dst, m.Target)
}

// appendHost appends an authority. It refuses what could pass for a part of
// another component of a URL.
func appendHost(dst []byte, host string) ([]byte, error) {
	for i := range len(host) {
		switch host[i] {
		case '/', '?', '#', '@', '\\', ' ':
			return dst, fmt.Errorf("%.64q is no authority", host)
		}
	}
	return appendVisible(dst, host)
}

func appendTarget(dst []byte, target string) ([]byte, error) {
	if target == "" || target[0] == '?' {
		dst = append(dst, '/')
	}
	if target == "" {
		return dst, nil
	}
	return appendVisible(dst, target)
}

// originForm splits a request target; query is empty or begins with a question
// mark.
func originForm(target string) (path, query string, err error) {
	path = target
	if i := strings.IndexByte(target, '?'); i >= 0 {
		path, query = target[:i], target[i:]
	}
	if path == "" {
		return "/", query, nil
	}
	if path[0] != '/' {
		return "", "", errTarget
	}
	return path, query, nil
}

// appendVisible appends the value of a derived component: printable ASCII
// that neither begins nor ends with a blank, and is not empty.
func appendVisible(dst []byte, s string) ([]byte, error) {
	if s == "" {
		return dst, errAbsent
	}
	if !printable(s) || s[0] == ' ' || s[len(s)-1] == ' ' {
		return dst, fmt.Errorf("%.64q is not printable ASCII without blanks at its ends", s)
	}
	return append(dst, s...), nil
}

// appendQueryParam appends the value of the only parameter name of query,
// decoded and encoded again (RFC 9421 section 2.2.8).
func (w *work) appendQueryParam(dst []byte, query, name string) ([]byte, error) {
	if len(query) > maxField {
		return dst, fmt.Errorf("query of %d bytes, at most %d are allowed", len(query), maxField)
	}
	want := string(appendFormDecoded(nil, name))
	if string(canon.AppendPercent(nil, want, canon.FormChars)) != name {
		return dst, errors.New("the name is not in its encoded form")
	}
	found := false
	for query != "" {
		piece, rest, _ := strings.Cut(query, "&")
		query = rest
		n, v, _ := strings.Cut(piece, "=")
		if w.text = appendFormDecoded(w.text[:0], n); piece == "" || string(w.text) != want {
			continue
		}
		if found {
			return dst, errors.New("the parameter stands twice")
		}
		found = true
		if w.text = appendFormDecoded(w.text[:0], v); !utf8.Valid(w.text) {
			return dst, errors.New("the parameter is not UTF-8")
		}
		dst = canon.AppendPercent(dst, string(w.text), canon.FormChars)
	}
	if !found {
		return dst, errAbsent
	}
	return dst, nil
}

// appendFormDecoded appends raw as the WHATWG URL standard decodes a form: + is
// a blank, and a percent sign that begins no escape stands for itself.
func appendFormDecoded(dst []byte, raw string) []byte {
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			var b [1]byte
			if i+2 < len(raw) {
				if _, err := canon.HexAny.Decode(b[:], raw[i+1:i+3]); err == nil {
					c, i = b[0], i+2
				}
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// appendField appends the value of a field (RFC 9421 section 2.1).
func (w *work) appendField(dst []byte, m *sealwright.Message, c *component) ([]byte, error) {
	lines := w.lines(m, c)
	switch {
	case len(lines) == 0:
		return dst, errAbsent
	case c.flags&flagBS != 0:
		return w.appendWrapped(dst, lines)
	case c.flags&flagKey != 0:
		return w.appendKey(dst, lines, c.arg)
	case c.flags&flagSF != 0:
		return w.appendStrict(dst, lines)
	}
	return appendLines(dst, lines)
}

// appendLines appends a field as it stands.
func appendLines(dst []byte, lines []string) ([]byte, error) {
	if len(lines) == 0 {
		return dst, errAbsent
	}
	var err error
	for i, line := range lines {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if dst, err = appendLine(dst, line, false); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// lines returns the lines of the field, none if it is absent. The host is no
// header of a Message.
func (w *work) lines(m *sealwright.Message, c *component) []string {
	h := m.Header
	switch {
	case c.flags&flagTr != 0:
		h = m.Trailer
	case c.name == "host":
		if m.Host == "" {
			return nil
		}
		w.host[0] = m.Host
		return w.host[:]
	}
	var buf [64]byte
	name := append(buf[:0], c.name...) // in the form of net/http
	upper := true
	for i, b := range name {
		if upper && 'a' <= b && b <= 'z' {
			name[i] = b - 'a' + 'A'
		}
		upper = b == '-'
	}
	return h[string(name)]
}

// appendLine appends one line of a field without blanks at its ends. A line
// that was folded (RFC 9112 section 5.2) becomes one line. Characters outside
// ASCII are refused unless any is true; control characters always are.
func appendLine(dst []byte, line string, anyByte bool) ([]byte, error) {
	if line == "" || line[0] > ' ' && line[len(line)-1] > ' ' && printable(line) { // as is to be expected
		return append(dst, line...), nil
	}
	start := len(dst)
	line = strings.Trim(line, " \t\r\n")
	for i := 0; i < len(line); i++ {
		b := line[i]
		switch {
		case b == '\r' || b == '\n':
			n := fold(line[i:])
			if n == 0 {
				return dst, errors.New("it holds a line break")
			}
			for len(dst) > start && (dst[len(dst)-1] == ' ' || dst[len(dst)-1] == '\t') {
				dst = dst[:len(dst)-1]
			}
			b, i = ' ', i+n-1
		case b < ' ' && b != '\t' || b == 0x7f:
			return dst, errors.New("it holds a control character")
		case b >= 0x80 && !anyByte:
			return dst, errors.New("it is not ASCII; the parameter bs covers such a field")
		}
		dst = append(dst, b)
	}
	return dst, nil
}

// fold returns the length of the line break and the blanks at the beginning of
// s that fold a line, 0 if they do not.
func fold(s string) int {
	rest := strings.TrimPrefix(s, "\r")
	rest, ok := strings.CutPrefix(rest, "\n")
	blank := strings.TrimLeft(rest, " \t")
	if !ok || len(blank) == len(rest) {
		return 0
	}
	return len(s) - len(blank)
}

// appendWrapped appends each line as a byte sequence.
func (w *work) appendWrapped(dst []byte, lines []string) ([]byte, error) {
	var err error
	for i, line := range lines {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if w.text, err = appendLine(w.text[:0], line, true); err != nil {
			return dst, err
		}
		dst = append(canon.Base64.Append(append(dst, ':'), w.text), ':')
	}
	return dst, nil
}

// appendKey appends the member key of a dictionary.
func (w *work) appendKey(dst []byte, lines []string, key string) ([]byte, error) {
	if err := w.other.parseDictionary(joined(lines)); err != nil {
		return dst, fmt.Errorf("no dictionary: %w", err)
	}
	m := w.other.find(key)
	if m == nil {
		return dst, errAbsent
	}
	return w.other.appendMember(dst, m), nil
}

// appendStrict appends a structured field as RFC 9651 serialises it. What kind
// of field it is need not be known: a text that is both a dictionary and a list
// is serialised to the same text as either, and an item is a list of one.
func (w *work) appendStrict(dst []byte, lines []string) ([]byte, error) {
	text := joined(lines)
	if w.other.parseDictionary(text) == nil {
		return w.other.appendDictionary(dst), nil
	}
	if err := w.other.parseList(text); err != nil {
		return dst, fmt.Errorf("no structured field: %w", err)
	}
	return w.other.appendList(dst), nil
}

// find returns the member of a dictionary, nil if there is none.
func (f *field) find(key string) *member {
	for i := range f.members {
		if f.members[i].key == key {
			return &f.members[i]
		}
	}
	return nil
}

// joined returns the lines of a field as one (RFC 9110 section 5.2).
func joined(lines []string) string {
	if len(lines) == 1 {
		return lines[0]
	}
	return strings.Join(lines, ", ")
}
