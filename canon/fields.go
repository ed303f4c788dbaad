package canon

import "strings"

// Field is one name and value of a query or a form.
type Field struct {
	Name, Value string
	NoValue     bool // the name stood without an equals sign
}

// AppendFields splits raw at each & and its pieces at their first =, without
// decoding, and appends them to dst. Empty pieces are left out.
func AppendFields(dst []Field, raw string) []Field {
	for len(raw) > 0 {
		piece, rest, _ := strings.Cut(raw, "&")
		raw = rest
		if piece == "" {
			continue
		}
		name, value, ok := strings.Cut(piece, "=")
		dst = append(dst, Field{Name: name, Value: value, NoValue: !ok})
	}
	return dst
}

// Decode returns f with name and value percent-decoded, + as a blank if plus
// is true.
func (f Field) Decode(plus bool) (Field, error) {
	name, err := Unescape(f.Name, plus)
	if err != nil {
		return f, err
	}
	value, err := Unescape(f.Value, plus)
	if err != nil {
		return f, err
	}
	f.Name, f.Value = name, value
	return f, nil
}
