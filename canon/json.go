package canon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrJSON means that a document is not one valid JSON value, or names a member
// twice on the way to the value that was asked for.
var ErrJSON = errors.New("bad JSON")

// JSONValue finds the value at an RFC 6901 pointer in doc and returns its
// bytes and their offset; found is false if there is none. The whole document
// must be valid UTF-8 JSON. A member name that stands twice in an object on
// the way is [ErrJSON], since parsers disagree on which one counts.
func JSONValue(doc []byte, pointer string) (raw []byte, offset int, found bool, err error) {
	if !json.Valid(doc) || !utf8.Valid(doc) {
		return nil, 0, false, fmt.Errorf("%w: not one valid value", ErrJSON)
	}
	s := scanner{doc: doc}
	s.space()
	start := s.pos
	s.value()
	at, end := start, s.pos
	for pointer != "" {
		rest, ok := strings.CutPrefix(pointer, "/")
		if !ok {
			return nil, 0, false, fmt.Errorf("%w: pointer %q does not begin with a slash", ErrJSON, pointer)
		}
		part, _, _ := strings.Cut(rest, "/")
		pointer = rest[len(part):]
		token, err := pointerToken(part)
		if err != nil {
			return nil, 0, false, err
		}
		s.pos = at
		at, end, found, err = s.child(token)
		if err != nil || !found {
			return nil, 0, false, err
		}
	}
	return doc[at:end], at, true, nil
}

// pointerToken returns the member name or index that a part of a pointer stands
// for, ~1 as a slash and ~0 as a tilde.
func pointerToken(part string) (string, error) {
	if !strings.Contains(part, "~") {
		return part, nil
	}
	var token []byte
	for i := 0; i < len(part); i++ {
		c := part[i]
		if c == '~' {
			i++
			switch {
			case i < len(part) && part[i] == '0':
			case i < len(part) && part[i] == '1':
				c = '/'
			default:
				return "", fmt.Errorf("%w: pointer part %q has a tilde without 0 or 1 behind it", ErrJSON, part)
			}
		}
		token = append(token, c)
	}
	return string(token), nil
}

// JSONText returns the text form of the scalar raw: the content of a string,
// the digits of a number as written, true, false, and nothing for null. It
// returns [ErrJSON] for an object or an array.
func JSONText(raw []byte) (string, error) {
	switch {
	case len(raw) == 0:
		return "", fmt.Errorf("%w: no value", ErrJSON)
	case raw[0] == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", fmt.Errorf("%w: %w", ErrJSON, err)
		}
		return s, nil
	case raw[0] == '{' || raw[0] == '[':
		return "", fmt.Errorf("%w: not a scalar", ErrJSON)
	case raw[0] == 'n':
		return "", nil
	}
	return string(raw), nil
}

// scanner walks over a document that json.Valid has accepted.
type scanner struct {
	doc []byte
	pos int
}

func (s *scanner) space() {
	for s.pos < len(s.doc) && strings.IndexByte(" \t\r\n", s.doc[s.pos]) >= 0 {
		s.pos++
	}
}

// value moves behind the value that begins at pos.
func (s *scanner) value() {
	depth := 0
	for s.pos < len(s.doc) {
		switch c := s.doc[s.pos]; c {
		case '"':
			s.str()
			if depth == 0 {
				return
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return
			}
			depth--
			if depth == 0 {
				s.pos++
				return
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return
			}
		}
		s.pos++
	}
}

// str moves behind the string that begins at pos and returns it with quotes.
func (s *scanner) str() []byte {
	start := s.pos
	for s.pos++; s.doc[s.pos] != '"'; s.pos++ {
		if s.doc[s.pos] == '\\' {
			s.pos++
		}
	}
	s.pos++
	return s.doc[start:s.pos]
}

// child returns the bounds of the member or element token of the value at pos.
func (s *scanner) child(token string) (at, end int, found bool, err error) {
	switch s.doc[s.pos] {
	case '{':
		return s.member(token)
	case '[':
		if token == "" || (token[0] == '0' && len(token) > 1) || strings.TrimLeft(token, "0123456789") != "" {
			return 0, 0, false, nil
		}
		want, err := strconv.Atoi(token)
		if err != nil {
			return 0, 0, false, nil
		}
		s.pos++
		for i := 0; ; i++ {
			s.space()
			if s.doc[s.pos] == ']' {
				return 0, 0, false, nil
			}
			start := s.pos
			s.value()
			if i == want {
				return start, s.pos, true, nil
			}
			s.space()
			if s.doc[s.pos] == ',' {
				s.pos++
			}
		}
	}
	return 0, 0, false, nil
}

func (s *scanner) member(token string) (at, end int, found bool, err error) {
	s.pos++
	for {
		s.space()
		if s.doc[s.pos] == '}' {
			return at, end, found, nil
		}
		asked, err := isName(s.str(), token)
		if err != nil {
			return 0, 0, false, err
		}
		s.space()
		s.pos++ // colon
		s.space()
		start := s.pos
		s.value()
		if asked {
			if found {
				return 0, 0, false, fmt.Errorf("%w: member %q stands twice", ErrJSON, token)
			}
			at, end, found = start, s.pos, true
		}
		s.space()
		if s.doc[s.pos] == ',' {
			s.pos++
		}
	}
}

// isName reports whether the member name raw, with quotes, stands for token.
func isName(raw []byte, token string) (bool, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1:len(raw)-1]) == token, nil
	}
	name, err := JSONText(raw)
	return name == token, err
}

// AppendJSONString appends s as JSON.stringify of ECMAScript writes a string:
// characters from U+0020 on as they are, except the quote and the backslash. It
// returns [ErrJSON] if s is not UTF-8.
func AppendJSONString(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("%w: text is not UTF-8", ErrJSON)
	}
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ':
			dst = append(dst, c)
		case strings.IndexByte("\b\t\n\f\r", c) >= 0:
			dst = append(dst, '\\', "btn_fr"[c-'\b'])
		default:
			dst = fmt.Appendf(dst, `\u%04x`, c)
		}
	}
	return append(dst, '"'), nil
}
