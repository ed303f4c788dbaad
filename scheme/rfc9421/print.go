package rfc9421

import (
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/canon"
)

// appendDictionary appends f, a dictionary, as RFC 9651 section 4.1.2
// serialises it.
func (f *field) appendDictionary(dst []byte) []byte {
	for i := range f.members {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = f.appendEntry(dst, &f.members[i])
	}
	return dst
}

// appendEntry appends a member of a dictionary with its key.
func (f *field) appendEntry(dst []byte, m *member) []byte {
	dst = append(dst, m.key...)
	if it := f.item(m); it != nil && it.value.kind == kBoolean && it.value.num == 1 {
		return f.appendParams(dst, it.params)
	}
	return f.appendMember(append(dst, '='), m)
}

// appendList appends f, a list or an item.
func (f *field) appendList(dst []byte) []byte {
	for i := range f.members {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = f.appendMember(dst, &f.members[i])
	}
	return dst
}

// appendMember appends a member without its key.
func (f *field) appendMember(dst []byte, m *member) []byte {
	if it := f.item(m); it != nil {
		return f.appendItem(dst, it)
	}
	return f.appendParams(f.appendItems(dst, m), m.params)
}

// appendItems appends an inner list without its parameters.
func (f *field) appendItems(dst []byte, m *member) []byte {
	dst = append(dst, '(')
	for i := m.items.from; i < m.items.to; i++ {
		if i > m.items.from {
			dst = append(dst, ' ')
		}
		dst = f.appendItem(dst, &f.items[i])
	}
	return append(dst, ')')
}

func (f *field) appendItem(dst []byte, it *item) []byte {
	return f.appendParams(it.value.append(dst), it.params)
}

func (f *field) appendParams(dst []byte, s span) []byte {
	return appendParams(dst, f.params[s.from:s.to])
}

func appendParams(dst []byte, params []param) []byte {
	for i := range params {
		dst = append(dst, ';')
		dst = append(dst, params[i].key...)
		if v := &params[i].value; v.kind != kBoolean || v.num != 1 {
			dst = v.append(append(dst, '='))
		}
	}
	return dst
}

func (v *value) append(dst []byte) []byte {
	switch v.kind {
	case kInteger:
		return strconv.AppendInt(dst, v.num, 10)
	case kDecimal:
		return appendDecimal(dst, v.num)
	case kString:
		return appendString(dst, v.text)
	case kToken:
		return append(dst, v.text...)
	case kBytes:
		return append(append(append(dst, ':'), v.text...), ':')
	case kBoolean:
		return append(dst, '?', '0'+byte(v.num))
	case kDate:
		return strconv.AppendInt(append(dst, '@'), v.num, 10)
	case kDisplay:
		return appendDisplay(dst, v.text)
	}
	return dst
}

// appendDecimal appends a number of thousandths with one digit after the point
// at the least, and no zero more than that.
func appendDecimal(dst []byte, thousandths int64) []byte {
	if thousandths < 0 {
		dst, thousandths = append(dst, '-'), -thousandths
	}
	dst = append(strconv.AppendInt(dst, thousandths/1000, 10), '.')
	fraction := thousandths % 1000
	dst = append(dst, '0'+byte(fraction/100))
	if fraction%100 != 0 {
		dst = append(dst, '0'+byte(fraction/10%10))
	}
	if fraction%10 != 0 {
		dst = append(dst, '0'+byte(fraction%10))
	}
	return dst
}

// appendString appends printable ASCII in quotes.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	if strings.IndexByte(s, '"') < 0 && strings.IndexByte(s, '\\') < 0 {
		return append(append(dst, s...), '"')
	}
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

func appendDisplay(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '%', '"')
	for i := range len(s) {
		if c := s[i]; c == '%' || c == '"' || c < ' ' || c > '~' {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// printable reports whether a string of a structured field can hold s.
func printable(s string) bool { return canon.Printable(s) }
