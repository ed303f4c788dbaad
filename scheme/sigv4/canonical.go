package sigv4

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// fillRequest builds the canonical request up to its last line.
func (d *dialect) fillRequest(m *sealwright.Message, c *sealwright.Claim, p *presented) error {
	if !isToken(m.Method) {
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
	path, query := cut(m.Target, '?')
	if buf, err = d.appendPath(buf, path, c, p); err != nil {
		return err
	}
	buf = append(buf, '\n')
	if buf, err = d.appendQuery(buf, query, c, p); err != nil {
		return err
	}
	buf = append(buf, '\n')
	if buf, err = d.appendHeaders(buf, m, c, p); err != nil {
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
	if mode != PathOnceSlash && isCanonical(path) {
		c.Covers.Path = true
		return append(dst, path...), nil
	}
	start := len(dst)
	var err error
	switch mode {
	case PathNormalEncoded:
		if c.Covers.Path = isNormal(path); c.Covers.Path {
			return appendPercent(dst, path, &pathChars), nil
		}
		return appendNormal(dst, path, true), nil
	case PathRawEncoded:
		c.Covers.Path = true
		return appendPercent(dst, path, &pathChars), nil
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

// isCanonical reports whether every way to write the path, except for a slash
// at the end, leaves path as it is: it has no byte to encode and no segment to
// remove.
func isCanonical(path string) bool {
	before := byte(0)
	for i := range len(path) {
		c := path[i]
		if !pathChars[c] || before == '/' && (c == '/' || c == '.') {
			return false
		}
		before = c
	}
	return true
}

// appendNormal appends path without empty and dot segments. A slash at its end
// is kept. With encode every byte but unreserved ones is escaped.
func appendNormal(dst []byte, path string, encode bool) []byte {
	start := len(dst)
	for rest := path; rest != ""; {
		var segment string
		segment, rest = cut(rest, '/')
		switch segment {
		case "", ".":
		case "..":
			dst = dst[:start+max(0, bytes.LastIndexByte(dst[start:], '/'))]
		default:
			dst = append(dst, '/')
			if encode {
				dst = appendPercent(dst, segment, &unreserved)
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
		if dst, err = appendEncoded(dst, before, &pathChars, false, false); err != nil {
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

// table says of each byte whether percent-encoding leaves it as it is.
type table [256]bool

var (
	unreserved = tableOf(canon.Unreserved)
	pathChars  = tableOf(canon.PathChars)
)

func tableOf(set canon.Set) (t table) {
	for c := range t {
		t[c] = set.Has(byte(c))
	}
	return t
}

// kept returns the length of the longest beginning of s that stays as it is.
func (t *table) kept(s string) int {
	for i := range len(s) {
		if !t[s[i]] {
			return i
		}
	}
	return len(s)
}

func appendEscape(dst []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[c>>4], digits[c&15])
}

// appendPercent is [canon.AppendPercent], faster where little is encoded.
func appendPercent(dst []byte, s string, keep *table) []byte {
	for s != "" {
		n := keep.kept(s)
		dst = append(dst, s[:n]...)
		if s = s[n:]; s != "" {
			dst = appendEscape(dst, s[0])
			s = s[1:]
		}
	}
	return dst
}

// appendEncoded appends s with its escapes decoded and every byte outside keep
// encoded. With plus, + is a blank. A percent sign that begins no escape is an
// error, or with lenient a percent sign.
func appendEncoded(dst []byte, s string, keep *table, plus, lenient bool) ([]byte, error) {
	for rest := s; rest != ""; {
		n := keep.kept(rest)
		dst = append(dst, rest[:n]...)
		if rest = rest[n:]; rest == "" {
			break
		}
		c, width := rest[0], 1
		switch {
		case c == '+' && plus:
			c = ' '
		case c == '%':
			if b, ok := unescape(rest); ok {
				c, width = b, 3
			} else if !lenient {
				return dst, fmt.Errorf("bad percent escape at byte %d", len(s)-len(rest))
			}
		}
		rest = rest[width:]
		if keep[c] {
			dst = append(dst, c)
		} else {
			dst = appendEscape(dst, c)
		}
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
	if query == "" {
		return dst, nil
	}
	start := len(dst)
	var space [24]pair
	pairs := space[:0]
	form := d.queryMode == QueryForm
	for query != "" {
		var field string
		field, query = cut(query, '&')
		name, value := cut(field, '=')
		if field == "" || d.leftOut(name, c, p) {
			continue
		}
		if len(pairs) > 0 {
			dst = append(dst, '&')
		}
		next := pair{start: len(dst)}
		var err error
		if dst, err = appendEncoded(dst, name, &unreserved, form, form); err != nil {
			return dst, sealwright.Refusef(sealwright.ErrMalformed, "query: name: %v", err)
		}
		next.name = len(dst)
		dst = append(dst, '=')
		if dst, err = appendEncoded(dst, value, &unreserved, form, form); err != nil {
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

// appendHeaders appends one line for each signed header and notes what the
// list covers. The names must rise, so none stands twice.
func (d *dialect) appendHeaders(dst []byte, m *sealwright.Message, c *sealwright.Claim, p *presented) ([]byte, error) {
	list := p.headers
	if d.unsorted {
		list = sorted(list)
	}
	c.Values[atHeaders] = list
	n := strings.Count(list, ";") + 1
	if n > maxSigned {
		return dst, sealwright.Refusef(sealwright.ErrMalformed, "SignedHeaders: got %d names, want at most %d", n, maxSigned)
	}
	c.Covers.Headers = make([]string, 0, n)
	var required uint32
	before := ""
	for range n {
		var name string
		name, list = cut(list, ';')
		canonical := canonicalName(name)
		if canonical == "" {
			return dst, sealwright.Refusef(sealwright.ErrMalformed, "SignedHeaders: %q is no header name in lower case", clip(name))
		}
		if name <= before {
			return dst, sealwright.Refusef(sealwright.ErrMalformed, "SignedHeaders: %q after %q, want each name once, in order", clip(name), clip(before))
		}
		var err error
		if dst, err = d.appendHeader(dst, m, c, name, canonical); err != nil {
			return dst, err
		}
		for i, r := range d.require {
			if r == name {
				required |= 1 << i
			}
		}
		before = name
	}
	for i, r := range d.require {
		if required&(1<<i) == 0 && !(p.query && strings.EqualFold(r, d.date)) {
			return dst, sealwright.Refusef(sealwright.ErrPolicy, "SignedHeaders: %s must be signed", r)
		}
	}
	return dst, nil
}

// canonicalName returns a header name in lower case in the form of net/http,
// or "" if it is none. The names that most requests sign cost no allocation.
func canonicalName(name string) string {
	switch name {
	case "host":
		return "Host"
	case "accept":
		return "Accept"
	case "content-type":
		return "Content-Type"
	case "content-md5":
		return "Content-Md5"
	case "content-length":
		return "Content-Length"
	case "content-encoding":
		return "Content-Encoding"
	case "date":
		return "Date"
	case "range":
		return "Range"
	case "user-agent":
		return "User-Agent"
	case "x-amz-content-sha256":
		return "X-Amz-Content-Sha256"
	case "x-amz-date":
		return "X-Amz-Date"
	case "x-amz-security-token":
		return "X-Amz-Security-Token"
	case "x-amz-target":
		return "X-Amz-Target"
	case "x-amz-user-agent":
		return "X-Amz-User-Agent"
	case "x-goog-content-sha256":
		return "X-Goog-Content-Sha256"
	case "x-goog-date":
		return "X-Goog-Date"
	case "x-acs-action":
		return "X-Acs-Action"
	case "x-acs-content-sha256":
		return "X-Acs-Content-Sha256"
	case "x-acs-date":
		return "X-Acs-Date"
	case "x-acs-signature-nonce":
		return "X-Acs-Signature-Nonce"
	case "x-acs-version":
		return "X-Acs-Version"
	case "x-sdk-date":
		return "X-Sdk-Date"
	case "x-date":
		return "X-Date"
	case "x-content-sha256":
		return "X-Content-Sha256"
	}
	var space [64]byte
	out, first := append(space[:0], name...), true
	for i, c := range out {
		if nameChars[c] == 0 {
			return ""
		}
		if first {
			out[i] = firstChars[c]
		}
		first = c == '-'
	}
	return string(out)
}

// nameChars has the characters of a header name in lower case, and firstChars
// what net/http makes of them at the beginning and after a hyphen; 0 for others.
var nameChars, firstChars = func() (lower, first [256]byte) {
	for c := range 256 {
		if canon.TokenChars.Has(byte(c)) && (c < 'A' || c > 'Z') {
			lower[c], first[c] = byte(c), byte(c)
		}
	}
	for c := 'a'; c <= 'z'; c++ {
		first[c] = byte(c - 'a' + 'A')
	}
	return lower, first
}()

// appendHeader appends the line of one header. A header of the message by the
// name of Host is never signed: the host is that of the message.
func (d *dialect) appendHeader(dst []byte, m *sealwright.Message, c *sealwright.Claim, name, canonical string) ([]byte, error) {
	dst = append(dst, name...)
	dst = append(dst, ':')
	if name == "host" {
		if err := checkHost(m); err != nil {
			return dst, err
		}
		c.Covers.Host = true
		dst, err := d.appendValue(dst, name, m.Host)
		return append(dst, '\n'), err
	}
	values := m.Header[canonical]
	if len(values) == 0 {
		return dst, sealwright.Refusef(sealwright.ErrPolicy, "SignedHeaders: the request has no header %s", clip(name))
	}
	c.Covers.Headers = append(c.Covers.Headers, canonical)
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = d.appendValue(dst, name, v); err != nil {
			return dst, err
		}
	}
	return append(dst, '\n'), nil
}

func checkHost(m *sealwright.Message) error {
	if m.Host == "" {
		return sealwright.Refusef(sealwright.ErrPolicy, "SignedHeaders: the request has no host")
	}
	for _, v := range m.Header["Host"] {
		if v != m.Host {
			return sealwright.Refusef(sealwright.ErrPolicy, "header Host is not the host of the request")
		}
	}
	return nil
}

func (d *dialect) appendValue(dst []byte, name, v string) ([]byte, error) {
	if d.headerMode != HeaderLower && canon.Visible(v) {
		return append(dst, v...), nil
	}
	folded, control := inspect(v)
	if control >= 0 {
		return dst, sealwright.Refusef(sealwright.ErrMalformed, "header %s: control character at byte %d", clip(name), control)
	}
	switch {
	case d.headerMode == HeaderLower:
		return canon.AppendLower(dst, canon.TrimOWS(v)), nil
	case folded:
		return append(dst, v...), nil
	case d.headerMode == HeaderQuoted:
		return appendQuoted(dst, v), nil
	case d.headerMode == HeaderTrim:
		return append(dst, canon.TrimOWS(v)...), nil
	}
	return canon.AppendFolded(dst, v), nil
}

// inspect reports whether trimming and folding leave v as it is, and the place
// of the first control character that is no tab, or -1.
func inspect(v string) (folded bool, control int) {
	folded = true
	for i := range len(v) {
		c := v[i]
		if c-0x21 < 0x7f-0x21 || c >= 0x80 {
			continue
		}
		if c != ' ' && c != '\t' {
			return false, i
		}
		folded = folded && c == ' ' && i > 0 && i < len(v)-1 && v[i-1] != ' '
	}
	return folded, -1
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
