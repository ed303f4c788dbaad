package sigv4

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// fillRequest builds the canonical request up to its last line.
func (d *dialect) fillRequest(m *sealwright.Message, c *sealwright.Claim, p *presented) error {
	if m.Method == "" || strings.ContainsFunc(m.Method, func(r rune) bool { return r > 0x7f || !canon.TokenChars.Has(byte(r)) }) {
		return sealwright.Refusef(sealwright.ErrMalformed, "method %q is no token", clip(m.Method))
	}
	buf := c.Scratch[:0]
	if d.upper {
		buf = canon.AppendUpper(buf, m.Method)
	} else {
		buf = append(buf, m.Method...)
	}
	buf = append(buf, '\n')
	var err error
	if buf, err = d.appendPath(buf, m.Path(), c, p); err != nil {
		return err
	}
	buf = append(buf, '\n')
	if buf, err = d.appendQuery(buf, m.Query(), c, p); err != nil {
		return err
	}
	buf = append(buf, '\n')
	if buf, err = d.appendHeaders(buf, m, c); err != nil {
		return err
	}
	buf = append(buf, '\n')
	buf = append(buf, c.Values[atHeaders]...)
	c.Scratch = append(buf, '\n')
	return nil
}

func (d *dialect) isObjectStore(service string) bool { return slices.Contains(d.objectStore, service) }

// appendPath appends the canonical path. The path is covered only if it came
// in the form that is signed: another form of the same path has the same tag.
func (d *dialect) appendPath(dst []byte, path string, c *sealwright.Claim, p *presented) ([]byte, error) {
	if path == "" {
		path = "/"
	}
	if path[0] != '/' {
		return dst, sealwright.Refusef(sealwright.ErrMalformed, "path %q does not begin with a slash", clip(path))
	}
	mode := d.path
	if d.isObjectStore(p.service) {
		mode = PathOnce
	}
	start := len(dst)
	var err error
	switch mode {
	case PathNormalEncoded:
		c.Covers.Path = isNormal(path)
		return appendNormal(dst, path, true), nil
	case PathRawEncoded:
		c.Covers.Path = true
		return canon.AppendPercent(dst, path, canon.PathChars), nil
	case PathNormal:
		c.Covers.Path = isNormal(path)
		dst, err = appendNormal(dst, path, false), plain("path", path)
	case PathRaw:
		c.Covers.Path = true
		dst, err = append(dst, path...), plain("path", path)
	default:
		dst, err = appendOnce(dst, path)
		c.Covers.Path = string(dst[start:]) == path
		if mode == PathOnceSlash && dst[len(dst)-1] != '/' {
			dst = append(dst, '/')
		} else if mode == PathOnceSlash {
			c.Covers.Path = c.Covers.Path && path == "/"
		}
	}
	return dst, err
}

// appendNormal appends path without empty and dot segments. A slash at its end
// is kept. With encode every byte but unreserved ones is escaped.
func appendNormal(dst []byte, path string, encode bool) []byte {
	start := len(dst)
	for rest := path; rest != ""; {
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		switch segment {
		case "", ".":
		case "..":
			dst = dst[:start+max(0, bytes.LastIndexByte(dst[start:], '/'))]
		default:
			dst = append(dst, '/')
			if encode {
				dst = canon.AppendPercent(dst, segment, canon.Unreserved)
			} else {
				dst = append(dst, segment...)
			}
		}
	}
	if len(dst) == start || path[len(path)-1] == '/' {
		dst = append(dst, '/')
	}
	return dst
}

// isNormal reports whether normalising leaves path as it is.
func isNormal(path string) bool {
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return true
	}
	return string(appendNormal(nil, path, false)) == path
}

// appendOnce appends path decoded and encoded once. An escaped slash stays
// escaped, because it is data and no border of segments.
func appendOnce(dst []byte, path string) ([]byte, error) {
	for {
		before, after, found := cutEscapedSlash(path)
		var err error
		if dst, err = appendEncoded(dst, before, canon.PathChars, false, false); err != nil {
			return dst, sealwright.Refusef(sealwright.ErrMalformed, "path: %v", err)
		}
		if !found {
			return dst, nil
		}
		dst = append(dst, "%2F"...)
		path = after
	}
}

func cutEscapedSlash(path string) (before, after string, found bool) {
	for i := 0; i+2 < len(path); i++ {
		if path[i] == '%' && path[i+1] == '2' && (path[i+2] == 'F' || path[i+2] == 'f') {
			return path[:i], path[i+3:], true
		}
	}
	return path, "", false
}

// appendEncoded appends s with its escapes decoded and every byte outside keep
// encoded. With plus, + is a blank. A percent sign that begins no escape is an
// error, or with lenient a percent sign.
func appendEncoded(dst []byte, s string, keep canon.Set, plus, lenient bool) ([]byte, error) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case keep.Has(c):
			dst = append(dst, c)
			continue
		case c == '+' && plus:
			c = ' '
		case c == '%':
			b, ok := unescape(s[i:])
			if ok {
				c = b
				i += 2
			} else if !lenient {
				return dst, errEscape(i)
			}
		}
		if keep.Has(c) {
			dst = append(dst, c)
			continue
		}
		const digits = "0123456789ABCDEF"
		dst = append(dst, '%', digits[c>>4], digits[c&15])
	}
	return dst, nil
}

// pair is one parameter in a buffer: its name is [start, name), its value
// [name+1, end).
type pair struct{ start, name, end int }

// appendQuery appends the canonical query: the parameters sorted by encoded
// name, then by encoded value.
//
// The query is covered unless the session token was left out or a name stands
// more than once with different values, since their order is not signed.
func (d *dialect) appendQuery(dst []byte, query string, c *sealwright.Claim, p *presented) ([]byte, error) {
	c.Covers.Query = true
	if d.queryMode == QueryRaw {
		return append(dst, query...), plain("query", query)
	}
	start := len(dst)
	var space [24]pair
	pairs := space[:0]
	form := d.queryMode == QueryForm
	for query != "" {
		var field string
		field, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(field, "=")
		if field == "" || d.leftOut(name, c, p) {
			continue
		}
		if len(pairs) > 0 {
			dst = append(dst, '&')
		}
		next := pair{start: len(dst)}
		var err error
		if dst, err = appendEncoded(dst, name, canon.Unreserved, form, form); err != nil {
			return dst, sealwright.Refusef(sealwright.ErrMalformed, "query: name: %v", err)
		}
		next.name = len(dst)
		dst = append(dst, '=')
		if dst, err = appendEncoded(dst, value, canon.Unreserved, form, form); err != nil {
			return dst, sealwright.Refusef(sealwright.ErrMalformed, "query: value of %q: %v", clip(name), err)
		}
		next.end = len(dst)
		pairs = append(pairs, next)
	}
	dst, repeats := sortPairs(dst, start, pairs)
	c.Covers.Query = c.Covers.Query && !repeats
	return dst, nil
}

// leftOut reports whether the parameter of that raw name is not signed.
func (d *dialect) leftOut(name string, c *sealwright.Claim, p *presented) bool {
	if !p.query {
		return false
	}
	if name == d.names[paramToken] && d.omitToken {
		c.Covers.Query = false
		return true
	}
	return name == d.names[paramSignature]
}

// sortPairs sorts the pairs that begin at start of buf and reports whether a
// name stands twice with different values.
func sortPairs(buf []byte, start int, pairs []pair) ([]byte, bool) {
	order := func(a, b pair) int {
		return cmp.Or(bytes.Compare(buf[a.start:a.name], buf[b.start:b.name]), bytes.Compare(buf[a.name:a.end], buf[b.name:b.end]))
	}
	if !slices.IsSortedFunc(pairs, order) {
		slices.SortFunc(pairs, order)
		end := len(buf)
		for i, p := range pairs {
			if i > 0 {
				buf = append(buf, '&')
			}
			at := len(buf)
			buf = append(buf, buf[p.start:p.end]...)
			pairs[i] = pair{start: start + at - end, name: start + at - end + p.name - p.start, end: start + len(buf) - end}
		}
		copy(buf[start:], buf[end:])
		buf = buf[:start+len(buf)-end]
	}
	for i := 1; i < len(pairs); i++ {
		a, b := pairs[i-1], pairs[i]
		if bytes.Equal(buf[a.start:a.name], buf[b.start:b.name]) && !bytes.Equal(buf[a.name:a.end], buf[b.name:b.end]) {
			return buf, true
		}
	}
	return buf, false
}

// appendHeaders appends one line for each signed header.
func (d *dialect) appendHeaders(dst []byte, m *sealwright.Message, c *sealwright.Claim) ([]byte, error) {
	next := 0
	for rest, more := c.Values[atHeaders], true; more; {
		var name string
		name, rest, more = strings.Cut(rest, ";")
		dst = append(dst, name...)
		dst = append(dst, ':')
		if name == "host" {
			if err := plain("host", m.Host); err != nil {
				return dst, err
			}
			dst = append(d.appendValue(dst, m.Host), '\n')
			continue
		}
		for i, v := range m.Header[c.Covers.Headers[next]] {
			if err := plain(name, v); err != nil {
				return dst, err
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = d.appendValue(dst, v)
		}
		next++
		dst = append(dst, '\n')
	}
	return dst, nil
}

func (d *dialect) appendValue(dst []byte, v string) []byte {
	switch d.headerMode {
	case HeaderQuoted:
		return appendQuoted(dst, v)
	case HeaderTrim:
		return append(dst, canon.TrimOWS(v)...)
	case HeaderLower:
		return canon.AppendLower(dst, canon.TrimOWS(v))
	}
	return canon.AppendFolded(dst, v)
}

// appendQuoted is [canon.AppendFolded] that keeps runs of blanks between double
// quotes.
func appendQuoted(dst []byte, v string) []byte {
	quoted, blank := false, false
	for _, c := range []byte(canon.TrimOWS(v)) {
		isBlank := c == ' ' || c == '\t'
		if c == '"' {
			quoted = !quoted
		}
		if isBlank && !quoted {
			blank = true
			continue
		}
		if blank {
			dst = append(dst, ' ')
			blank = false
		}
		dst = append(dst, c)
	}
	return dst
}
