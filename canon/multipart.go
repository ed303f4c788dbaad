package canon

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// ErrMultipart means that a body is not multipart/form-data in its plain form.
var ErrMultipart = errors.New("bad multipart body")

// MultipartField finds the one part with this field name in a
// multipart/form-data body (RFC 7578) and returns the bounds of its content.
//
// The body must begin with the boundary of contentType, end with its closing
// form, have CRLF around each boundary and at most [MaxFields] parts. Every part
// must have one Content-Disposition with one name; parameters in the extended
// form of RFC 5987 for it, escapes in quotes, folded lines, transfer encodings
// and a name that stands twice are [ErrMultipart] too, since parsers disagree on
// them.
func MultipartField(contentType string, body []byte, name string) (start, end int, found bool, err error) {
	bad := func(what string) (int, int, bool, error) {
		return 0, 0, false, fmt.Errorf("%w: %s", ErrMultipart, what)
	}
	boundary, ok := boundaryOf(contentType)
	if !ok {
		return bad("no single boundary of 1 to 70 characters")
	}
	mark := []byte("\r\n--" + boundary)
	if !bytes.HasPrefix(body, mark[2:]) {
		return bad("does not begin with its boundary")
	}
	at := len(mark) - 2
	for n := 0; !bytes.HasPrefix(body[at:], []byte("--")); n++ {
		size := bytes.Index(body[at:], mark)
		head := bytes.Index(body[at:], []byte("\r\n\r\n"))
		if size < 0 || head < 0 || head+4 > size || !bytes.HasPrefix(body[at:], []byte("\r\n")) {
			return bad("a part has no end or no header")
		}
		part, ok := partName(string(body[at : at+head]))
		switch {
		case !ok:
			return bad(fmt.Sprintf("the header at byte %d is not in the plain form", at))
		case n == MaxFields:
			return bad("too many parts")
		case part == name && found:
			return bad(fmt.Sprintf("field %q stands twice", name))
		case part == name:
			start, end, found = at+head+4, at+size, true
		}
		at += size + len(mark)
	}
	if tail := string(body[at+2:]); tail != "" && tail != "\r\n" {
		return bad("something follows the last part")
	}
	return start, end, found, nil
}

func boundaryOf(contentType string) (string, bool) {
	i := strings.IndexByte(contentType, ';')
	if i < 0 {
		return "", false
	}
	boundary, ok := oneParameter(contentType[i:], "boundary")
	return boundary, ok && len(boundary) >= 1 && len(boundary) <= 70
}

// partName returns the field name in the header of a part.
func partName(head string) (name string, ok bool) {
	found := false
	for line := range strings.SplitSeq(strings.TrimPrefix(head, "\r\n"), "\r\n") {
		field, value, colon := strings.Cut(line, ":")
		value = TrimOWS(value)
		switch {
		case !colon || !isToken(field) || strings.ContainsAny(value, "\r\n"):
			return "", false
		case strings.EqualFold(field, "Content-Transfer-Encoding"):
			if !strings.EqualFold(value, "binary") && !strings.EqualFold(value, "8bit") && !strings.EqualFold(value, "7bit") {
				return "", false
			}
		case strings.EqualFold(field, "Content-Disposition"):
			kind, params := value, ""
			if i := strings.IndexByte(value, ';'); i >= 0 {
				kind, params = TrimOWS(value[:i]), value[i:]
			}
			if name, ok = oneParameter(params, "name"); !ok || found || !strings.EqualFold(kind, "form-data") {
				return "", false
			}
			found = true
		}
	}
	return name, found
}

// oneParameter returns the value of the one parameter with this name, in any
// case, in s, which is a series of ;name=value with tokens or quoted strings
// without escapes.
func oneParameter(s, name string) (value string, ok bool) {
	found := false
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			return value, found
		}
		rest, semicolon := strings.CutPrefix(s, ";")
		n, rest, equals := strings.Cut(strings.TrimLeft(rest, " \t"), "=")
		v, rest, whole := parameterValue(rest)
		if !semicolon || !equals || !isToken(n) || !whole || strings.EqualFold(n, name+"*") {
			return "", false
		}
		if strings.EqualFold(n, name) {
			if found {
				return "", false
			}
			value, found = v, true
		}
		s = rest
	}
}

// parameterValue cuts a token or a quoted string without escapes from s.
func parameterValue(s string) (value, rest string, ok bool) {
	if quoted, isQuoted := strings.CutPrefix(s, `"`); isQuoted {
		value, rest, ok = strings.Cut(quoted, `"`)
		return value, rest, ok && !strings.Contains(value, `\`)
	}
	i := strings.IndexAny(s, "; \t")
	if i < 0 {
		i = len(s)
	}
	return s[:i], s[i:], isToken(s[:i])
}

func isToken(s string) bool {
	for i := range len(s) {
		if !TokenChars.Has(s[i]) {
			return false
		}
	}
	return s != ""
}
