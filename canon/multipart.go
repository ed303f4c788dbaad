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
// The body must begin with the boundary of contentType, have CRLF around it and
// at most [MaxFields] parts; a name that stands twice is [ErrMultipart] too.
func MultipartField(contentType string, body []byte, name string) (start, end int, found bool, err error) {
	bad := func(what string) (int, int, bool, error) {
		return 0, 0, false, fmt.Errorf("%w: %s", ErrMultipart, what)
	}
	_, boundary, _ := strings.Cut(contentType, "boundary=")
	boundary, _, _ = strings.Cut(boundary, ";")
	boundary = strings.Trim(TrimOWS(boundary), `"`)
	if boundary == "" || len(boundary) > 70 {
		return bad("no boundary of 1 to 70 characters")
	}
	mark := []byte("\r\n--" + boundary)
	if !bytes.HasPrefix(body, mark[2:]) {
		return bad("does not begin with its boundary")
	}
	at := len(mark) - 2
	for n := 0; !bytes.HasPrefix(body[at:], []byte("--")); n++ {
		size := bytes.Index(body[at:], mark)
		head := bytes.Index(body[at:], []byte("\r\n\r\n"))
		switch {
		case size < 0 || head < 0 || head > size || !bytes.HasPrefix(body[at:], []byte("\r\n")):
			return bad("a part has no end or no header")
		case n == MaxFields:
			return bad("too many parts")
		}
		if partName(string(body[at:at+head])) == name {
			if found {
				return bad(fmt.Sprintf("field %q stands twice", name))
			}
			start, end, found = at+head+4, at+size, true
		}
		at += size + len(mark)
	}
	return start, max(start, end), found, nil
}

// partName returns the field name in the header of a part, "" if there is none
// in the plain form.
func partName(head string) string {
	for line := range strings.Lines(head) {
		field, value, _ := strings.Cut(line, ":")
		if !strings.EqualFold(field, "Content-Disposition") {
			continue
		}
		for p := range strings.SplitSeq(value, ";") {
			quoted, ok := strings.CutPrefix(strings.TrimSpace(p), `name="`)
			if ok && strings.IndexByte(quoted, '"') == len(quoted)-1 {
				return quoted[:len(quoted)-1]
			}
		}
	}
	return ""
}
