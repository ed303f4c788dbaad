package scheme

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// maxParts bounds the parts of a list that are looked at.
const maxParts = 64

func (l *List) check() error {
	if len(l.Parts) == 0 {
		return fmt.Errorf("list: no parts")
	}
	if len(l.Parts)+valueParts > sealwright.MaxValues {
		return fmt.Errorf("list: %d parts, at most %d are possible", len(l.Parts), sealwright.MaxValues-valueParts)
	}
	switch l.Format {
	case "pairs", "quoted", "positional":
	default:
		return fmt.Errorf("list: unknown format %q, want pairs, quoted or positional", l.Format)
	}
	if l.Sep == "" {
		return fmt.Errorf("list: no separator")
	}
	if l.Encoding != "" {
		e, err := canon.ParseEncoding(l.Encoding)
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		l.encoding = e
	}
	if l.Escape != "" && l.Escape != escapePercent {
		return fmt.Errorf("list: escape: got %q, want %s", l.Escape, escapePercent)
	}
	if l.Unknown != "" && l.Unknown != "ignore" && l.Unknown != "refuse" {
		return fmt.Errorf("list: unknown parts: got %q, want ignore or refuse", l.Unknown)
	}
	for i, p := range l.Parts {
		if slices.IndexFunc(l.Parts, func(q Part) bool { return q.Name == p.Name }) != i {
			return fmt.Errorf("list: part %q is listed twice", p.Name)
		}
		if p.Repeat && l.Format == "positional" && i != len(l.Parts)-1 {
			return fmt.Errorf("list: only the last part of a positional list can repeat")
		}
	}
	return nil
}

func (l *List) kv() string {
	if l.KV == "" {
		return "="
	}
	return l.KV
}

// read splits text and calls use for each part that is listed, in the order of
// the text.
func (l *List) read(text string, use func(part int, value string) error) error {
	rest, ok := strings.CutPrefix(text, l.Prefix)
	if !ok {
		return sealwright.Refusef(sealwright.ErrMalformed, "%s does not begin with %q", l.From, strings.TrimSpace(l.Prefix))
	}
	var seen uint64
	for n := 0; rest != ""; n++ {
		if n == maxParts {
			return sealwright.Refusef(sealwright.ErrTooManyTags, "%s has more than %d parts", l.From, maxParts)
		}
		name, value, next, err := l.next(rest, n)
		if err != nil {
			return err
		}
		rest = next
		i := slices.IndexFunc(l.Parts, func(p Part) bool { return p.Name == name })
		if i < 0 {
			if l.Unknown == "ignore" {
				continue
			}
			return sealwright.Refusef(sealwright.ErrMalformed, "%s has an unknown part %q", l.From, name)
		}
		if seen&(1<<i) != 0 && !l.Parts[i].Repeat {
			return sealwright.Refusef(sealwright.ErrMalformed, "%s has the part %q twice", l.From, name)
		}
		seen |= 1 << i
		if want := l.Parts[i].Value; want != "" && value != want && !slices.Contains(l.Parts[i].Or, value) {
			return sealwright.Refusef(sealwright.ErrPolicy, "%s: part %q is %q, want %q", l.From, name, value, want)
		}
		if err := use(i, value); err != nil {
			return err
		}
	}
	for i, p := range l.Parts {
		if seen&(1<<i) == 0 && p.Value != "" && !p.Optional {
			return sealwright.Refusef(sealwright.ErrPolicy, "%s has no part %q", l.From, p.Name)
		}
	}
	return nil
}

// next cuts the first part from rest, which is not empty; n is its number.
func (l *List) next(rest string, n int) (name, value, after string, err error) {
	var piece string
	if l.Format == "quoted" {
		return l.nextQuoted(rest)
	}
	piece, after, found := l.cut(rest)
	if found && after == "" {
		return "", "", "", sealwright.Refusef(sealwright.ErrMalformed, "%s ends with a separator", l.From)
	}
	if l.Blanks {
		after = strings.TrimLeft(after, " ")
	}
	if l.Format == "positional" {
		i := min(n, len(l.Parts)-1)
		if n > i && !l.Parts[i].Repeat {
			return "", "", "", sealwright.Refusef(sealwright.ErrMalformed, "%s has more than %d parts", l.From, len(l.Parts))
		}
		return l.Parts[i].Name, piece, after, nil
	}
	name, value, ok := strings.Cut(piece, l.kv())
	if !ok || name == "" || strings.TrimFunc(name, isToken) != "" {
		return "", "", "", sealwright.Refusef(sealwright.ErrMalformed, "%s: part %d is not name%svalue", l.From, n+1, l.kv())
	}
	return name, value, after, nil
}

// cut splits rest at the first separator.
func (l *List) cut(rest string) (piece, after string, found bool) {
	if l.Run == "" {
		return strings.Cut(rest, l.Sep)
	}
	i := strings.IndexAny(rest, l.Run)
	if i < 0 {
		return rest, "", false
	}
	return rest[:i], strings.TrimLeft(rest[i:], l.Run), true
}

// head returns the text of a list of pairs up to the value of its last part,
// which must be the last of the text, and without the name of that part.
func (l *List) head(text string) (string, error) {
	last := l.Parts[len(l.Parts)-1].Name + l.kv()
	i := strings.LastIndex(text, l.Sep) + len(l.Sep)
	if i < len(l.Sep) || !strings.HasPrefix(text[i:], last) {
		return "", sealwright.Refusef(sealwright.ErrMalformed, "%s does not end with %s", l.From, last)
	}
	return text[:i], nil
}

// nextQuoted reads name="value" (RFC 9110 section 11.2), or name=value for a
// part that may be bare. Escapes are the two of a quoted-string, \" and \\.
func (l *List) nextQuoted(rest string) (name, value, after string, err error) {
	bad := func(what string) (string, string, string, error) {
		return "", "", "", sealwright.Refusef(sealwright.ErrMalformed, "%s: %s", l.From, what)
	}
	name, rest, ok := strings.Cut(rest, "=")
	if !ok || name == "" || strings.TrimFunc(name, isToken) != "" {
		return bad(`want name="value"`)
	}
	if rest, ok = strings.CutPrefix(rest, `"`); !ok {
		if !slices.ContainsFunc(l.Parts, func(p Part) bool { return p.Bare && p.Name == name }) {
			return bad(`want name="value"`)
		}
		end := len(rest) - len(strings.TrimLeftFunc(rest, isToken))
		value, after, err = l.afterValue(rest, end)
		return name, value, after, err
	}
	end := strings.IndexAny(rest, `"\`)
	if end < 0 {
		return bad("a quote is not closed")
	}
	value, after = rest[:end], rest[end:]
	if after[0] == '\\' {
		if value, after, ok = unquote(rest); !ok {
			return bad("a quote is not closed")
		}
	}
	_, after, err = l.afterValue(after, 1)
	return name, value, after, err
}

// afterValue cuts text at end and takes the separator, if anything follows.
func (l *List) afterValue(text string, end int) (value, after string, err error) {
	value, after = text[:end], text[end:]
	if after == "" {
		return value, "", nil
	}
	next, ok := strings.CutPrefix(strings.TrimLeft(after, " "), l.Sep)
	if next = strings.TrimLeft(next, " "); !ok || next == "" {
		return "", "", sealwright.Refusef(sealwright.ErrMalformed, "%s: want %q and another part after a value", l.From, l.Sep)
	}
	return value, next, nil
}

// unquote returns the unescaped text before the closing quote, and the rest
// from that quote on.
func unquote(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// write returns the list with these values; a part without a value is left out.
// A part that repeats has its values separated by line feeds, which no value
// can hold.
func (l *List) write(values []string) string {
	var b strings.Builder
	b.WriteString(l.Prefix)
	first := true
	for i, p := range l.Parts {
		if values[i] == "" && !p.Empty {
			continue
		}
		for v := range strings.SplitSeq(values[i], "\n") {
			if !first {
				b.WriteString(l.Sep)
				if l.Blanks {
					b.WriteByte(' ')
				}
			}
			first = false
			l.writePart(&b, p, v)
		}
	}
	return b.String()
}

func (l *List) writePart(b *strings.Builder, p Part, value string) {
	name := p.Name
	switch {
	case l.Format == "positional":
		b.WriteString(value)
	case l.Format == "quoted" && !p.Bare:
		b.WriteString(name)
		b.WriteString(`="`)
		for i := range len(value) {
			if value[i] == '"' || value[i] == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(value[i])
		}
		b.WriteByte('"')
	default:
		b.WriteString(name)
		b.WriteString(l.kv())
		b.WriteString(value)
	}
}

// splitNames splits a list of header names and refuses empty and repeated ones.
func splitNames(text, sep string) ([]string, error) {
	var names []string
	for n := range strings.SplitSeq(text, sep) {
		n = canon.TrimOWS(n)
		if n == "" {
			return nil, sealwright.Refusef(sealwright.ErrMalformed, "an empty name in the list of signed headers")
		}
		if slices.ContainsFunc(names, func(o string) bool { return strings.EqualFold(o, n) }) {
			return nil, sealwright.Refusef(sealwright.ErrMalformed, "signed header %q is listed twice", n)
		}
		if len(names) == maxParts {
			return nil, sealwright.Refusef(sealwright.ErrMalformed, "more than %d signed headers", maxParts)
		}
		names = append(names, n)
	}
	return names, nil
}
