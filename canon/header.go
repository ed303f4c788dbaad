package canon

import "strings"

// TokenChars are the characters of an HTTP token (RFC 9110 section 5.6.2).
var TokenChars = NewSet("!#$%&'*+-.^_`|~", true)

// HeaderName returns the canonical form of a field name, as net/http writes
// it: the first letter and each letter after a hyphen in upper case, others in
// lower case. A name that is no token is returned unchanged.
func HeaderName(name string) string {
	upper, same := true, true
	for i := range len(name) {
		c := name[i]
		if !TokenChars.Has(c) {
			return name
		}
		if (upper && 'a' <= c && c <= 'z') || (!upper && 'A' <= c && c <= 'Z') {
			same = false
		}
		upper = c == '-'
	}
	if same {
		return name
	}
	b := []byte(name)
	upper = true
	for i, c := range b {
		switch {
		case upper && 'a' <= c && c <= 'z':
			b[i] = c - 'a' + 'A'
		case !upper && 'A' <= c && c <= 'Z':
			b[i] = c - 'A' + 'a'
		}
		upper = c == '-'
	}
	return string(b)
}

// TrimOWS returns s without blanks and tabs at its ends.
func TrimOWS(s string) string { return strings.Trim(s, " \t") }

// AppendFolded appends s with runs of blanks and tabs written as one blank and
// none at the ends.
func AppendFolded(dst []byte, s string) []byte {
	s = TrimOWS(s)
	blank := false
	for i := range len(s) {
		c := s[i]
		if c == ' ' || c == '\t' {
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

// AppendLower appends s with ASCII letters in lower case.
func AppendLower(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// AppendUpper appends s with ASCII letters in upper case.
func AppendUpper(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// Authority returns host in lower case and without the port that is the
// default of the URL scheme: 443 for https, 80 for http. It returns host
// itself if nothing changes. Only ASCII letters have a lower case here, so that
// no other letter can stand for one of them.
func Authority(host, scheme string) string {
	switch scheme {
	case "https", "":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return lower(host)
}

// lower is [AppendLower] for strings; it returns s itself if nothing changes.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return string(AppendLower(nil, s))
		}
	}
	return s
}

// MediaType returns the media type of a Content-Type value, lower case and
// without parameters.
func MediaType(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	return lower(TrimOWS(t))
}
