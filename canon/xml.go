package canon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxFields bounds the parameters, elements or lines of one message that are
// looked at.
const MaxFields = 1000

// ErrXML means that a document is not flat XML.
var ErrXML = errors.New("not flat XML")

// XMLFields returns the children of the root element of doc in their order.
//
// The document must be UTF-8 of one root element whose children hold text or
// one CDATA section. Attributes, entities, comments, processing instructions
// other than a leading declaration, document types, deeper elements, names that
// stand twice and more than [MaxFields] children are [ErrXML], so that there is
// one way to read it.
func XMLFields(doc []byte) ([]Field, error) {
	list, _, err := flatXML(doc)
	if err != nil {
		return nil, err
	}
	out := make([]Field, len(list))
	for i, e := range list {
		out[i] = e.Field
	}
	return out, nil
}

// PutXML returns doc with the text of the child name set to value, as the last
// child if there is none. It returns [ErrXML] as [XMLFields] does, or if value
// cannot stand in a CDATA section.
func PutXML(doc []byte, name, value string) ([]byte, error) {
	list, end, err := flatXML(doc)
	if err != nil {
		return nil, err
	}
	if strings.Contains(value, "]]>") || !utf8.ValidString(value) || strings.TrimFunc(name, isXMLName) != "" || name == "" {
		return nil, fmt.Errorf("%w: element %q cannot be written", ErrXML, name)
	}
	text := "<![CDATA[" + value + "]]>"
	for _, e := range list {
		if e.Name == name {
			return slices.Concat(doc[:e.start], []byte(text), doc[e.end:]), nil
		}
	}
	return slices.Concat(doc[:end], []byte("<"+name+">"+text+"</"+name+">"), doc[end:]), nil
}

// xmlElement is one child of the root element, with the place of what stands
// between its tags.
type xmlElement struct {
	Field
	start, end int
}

// flatXML returns the children of the root element and the offset of its end
// tag.
func flatXML(doc []byte) (list []xmlElement, end int, err error) {
	bad := func(what string) ([]xmlElement, int, error) { return nil, 0, fmt.Errorf("%w: %s", ErrXML, what) }
	s := string(doc)
	if !utf8.ValidString(s) {
		return bad("not UTF-8")
	}
	rest, ok := skipDeclaration(trimXML(s))
	if !ok {
		return bad("the declaration does not end")
	}
	root, rest, ok := startTag(rest)
	if !ok {
		return bad("no root element of the form <name>")
	}
	seen := map[string]bool{}
	for {
		rest = trimXML(rest)
		if after, ok := strings.CutPrefix(rest, "</"+root+">"); ok {
			if trimXML(after) != "" {
				return bad("something follows the root element")
			}
			return list, len(s) - len(rest), nil
		}
		e, after, ok := element(rest, len(s)-len(rest))
		switch {
		case !ok:
			return bad(fmt.Sprintf("byte %d does not begin an element <name>text</name>", len(s)-len(rest)))
		case len(list) == MaxFields:
			return bad("too many elements")
		case seen[e.Name]:
			return bad(fmt.Sprintf("element %q stands twice", e.Name))
		}
		seen[e.Name] = true
		list, rest = append(list, e), after
	}
}

func trimXML(s string) string { return strings.TrimLeft(s, " \t\r\n") }

func skipDeclaration(s string) (after string, ok bool) {
	if !strings.HasPrefix(s, "<?xml ") {
		return s, true
	}
	_, after, ok = strings.Cut(s, "?>")
	return trimXML(after), ok
}

// startTag cuts <name> from s.
func startTag(s string) (name, after string, ok bool) {
	s, open := strings.CutPrefix(s, "<")
	name, after, closed := strings.Cut(s, ">")
	if !open || !closed || name == "" || strings.TrimFunc(name, isXMLName) != "" {
		return "", "", false
	}
	return name, after, true
}

func isXMLName(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-' || r == '.'
}

// element cuts <name>text</name> from s, which begins at offset at.
func element(s string, at int) (e xmlElement, after string, ok bool) {
	name, rest, ok := startTag(s)
	if !ok {
		return e, "", false
	}
	e.start = at + len(s) - len(rest)
	text, closing := rest, "</"+name+">"
	if cdata, ok := strings.CutPrefix(rest, "<![CDATA["); ok {
		if text, after, ok = strings.Cut(cdata, "]]>"); !ok || !strings.HasPrefix(after, closing) {
			return e, "", false
		}
	} else {
		i := strings.IndexByte(rest, '<')
		if i < 0 || strings.ContainsRune(rest[:i], '&') || !strings.HasPrefix(rest[i:], closing) {
			return e, "", false
		}
		text, after = rest[:i], rest[i:]
	}
	e.Field = Field{Name: name, Value: text}
	e.end = at + len(s) - len(after)
	return e, after[len(closing):], true
}
