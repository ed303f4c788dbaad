package scheme

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/mac"
)

// tagForm is a compiled [TagForm].
type tagForm struct {
	prefix   string
	encoding canon.Encoding
}

func (b *builder) buildList() error {
	l := b.format.List
	if l == nil {
		return nil
	}
	if err := l.check(); err != nil {
		return err
	}
	b.program.list = l
	for _, part := range l.Parts {
		t, err := b.template(part.Sign, "")
		if err != nil {
			return fmt.Errorf("list: part %q: %w", part.Name, err)
		}
		b.program.signs = append(b.program.signs, t)
	}
	for _, place := range append([]ListPlace{{l.From, l.Prefix}}, l.Also...) {
		s, err := b.source(place.From)
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		b.program.places = append(b.program.places, listPlace{s, place.Prefix})
	}
	b.program.listFrom = b.program.places[0].source
	return nil
}

func (b *builder) buildTag() error {
	t, p := b.format.Tag, b.program
	if t == nil {
		return errors.New("tag: missing")
	}
	p.tag = *t
	var err error
	if p.tagEnc, err = canon.ParseEncoding(t.Encoding); err != nil {
		return fmt.Errorf("tag: %w", err)
	}
	if t.Escape != "" && t.Escape != escapePercent {
		return fmt.Errorf("tag: escape: got %q, want %s", t.Escape, escapePercent)
	}
	p.tagSize = p.algorithm.Size()
	if t.Size != "" {
		n, err := strconv.Atoi(t.Size)
		if err != nil || n < mac.MinTruncated || n > p.tagSize {
			return fmt.Errorf("tag: size %q: want %d to %d bytes", t.Size, mac.MinTruncated, p.tagSize)
		}
		p.tagSize = n
	}
	if err := b.tagForms(t); err != nil {
		return fmt.Errorf("tag: %w", err)
	}
	for _, from := range append([]string{t.From}, t.Also...) {
		s, err := b.source(from)
		if err != nil {
			return fmt.Errorf("tag: %w", err)
		}
		if s.kind == kPart {
			p.tagPart = s.part - valueParts
			continue
		}
		if !settable(s) {
			return fmt.Errorf("tag: %s cannot hold a tag", s)
		}
		p.tags = append(p.tags, s)
	}
	return nil
}

// tagForms compiles the ways in which a tag may be written.
func (b *builder) tagForms(t *Tag) error {
	for _, f := range append([]TagForm{{t.Prefix, t.Encoding}}, t.Or...) {
		e, err := canon.ParseEncoding(f.Encoding)
		if err != nil {
			return err
		}
		b.program.forms = append(b.program.forms, tagForm{f.Prefix, e})
	}
	return nil
}

func settable(s source) bool {
	switch s.kind {
	case kHeader, kQueryParam, kForm, kJSON, kEither, kArg, kPart, kXML, kLine, kFamily:
		return !s.request
	case kSegment:
		return s.part > 0
	}
	return false
}

// escapePercent is the only escape around lists and tags.
const escapePercent = "percent"

func (p *program) readList(m *sealwright.Message, c *sealwright.Claim) error {
	text, ok, err := p.listText(m, c)
	if err != nil {
		return err
	}
	if !ok || text == "" {
		return sealwright.Refusef(sealwright.ErrMissing, "%s %v", p.list.From, errAbsent)
	}
	if p.usesHead {
		if c.Values[valueHead], err = p.list.head(text); err != nil {
			return err
		}
	}
	err = p.list.read(text, func(part int, value string) error {
		if part == p.tagPart {
			return p.addTags(c, value)
		}
		c.Values[valueParts+part] = value
		return nil
	})
	if err != nil {
		return err
	}
	for i, part := range p.list.Parts {
		if i != p.tagPart && !part.Optional && !part.Empty && part.Value == "" && c.Values[valueParts+i] == "" {
			return sealwright.Refusef(sealwright.ErrMalformed, "%s has no part %q", p.list.From, part.Name)
		}
	}
	return nil
}

// listPlace is a compiled [ListPlace].
type listPlace struct {
	source source
	prefix string
}

// listAt returns the number of the place that holds the list, and its text
// there. Two lists are refused. Without any it returns the first place.
func (p *program) listAt(m *sealwright.Message, c *sealwright.Claim) (place int, text string, ok bool, err error) {
	if text, ok, err = p.get(&p.listFrom, m, c); err != nil || len(p.places) == 1 {
		return 0, text, ok, err
	}
	found := ok && strings.HasPrefix(text, p.list.Prefix)
	for i := 1; i < len(p.places); i++ {
		other, there, err := p.get(&p.places[i].source, m, c)
		if err != nil {
			return 0, "", false, err
		}
		if !there || !strings.HasPrefix(other, p.places[i].prefix) {
			continue
		}
		if found {
			return 0, "", false, sealwright.Refusef(sealwright.ErrMalformed, "both %s and %s hold a signature", p.places[place].source, p.places[i].source)
		}
		place, text, ok, found = i, other, true, true
	}
	return place, text, ok, nil
}

// listText returns the text of the list, without its escapes and its encoding
// and with the prefix of its first place.
func (p *program) listText(m *sealwright.Message, c *sealwright.Claim) (string, bool, error) {
	place, text, ok, err := p.listAt(m, c)
	if err != nil || !ok {
		return text, ok, err
	}
	if place > 0 {
		text = p.list.Prefix + strings.TrimPrefix(text, p.places[place].prefix)
	}
	if p.list.Escape != "" {
		if text, err = canon.Unescape(text, false); err != nil {
			return "", false, sealwright.Refusef(sealwright.ErrMalformed, "%s: %v", p.list.From, err)
		}
	}
	if inner, ok := strings.CutPrefix(text, p.list.Prefix); ok && p.list.encoding != 0 {
		b, err := p.list.encoding.DecodeString(inner)
		if err != nil {
			return "", false, sealwright.Refusef(sealwright.ErrMalformed, "%s: %v", p.list.From, err)
		}
		text = p.list.Prefix + string(b)
	}
	return text, true, nil
}

// addFamily adds the tags of the headers with this name and the numbers 1, 2
// and so on, up to the first that is absent.
func (p *program) addFamily(m *sealwright.Message, c *sealwright.Claim, name string) error {
	for n := 1; ; n++ {
		text, ok, err := header(m, name+strconv.Itoa(n))
		if err != nil || !ok {
			return err
		}
		if err := p.addTags(c, text); err != nil {
			return err
		}
	}
}

// addTags adds the tag, or the tags, that text holds.
func (p *program) addTags(c *sealwright.Claim, text string) error {
	if p.tag.Split == "" {
		return p.addTag(c, text)
	}
	for text != "" {
		one, rest, _ := strings.Cut(text, p.tag.Split)
		if err := p.addTag(c, canon.TrimOWS(one)); err != nil {
			return err
		}
		text = rest
	}
	return nil
}

func (p *program) addTag(c *sealwright.Claim, text string) error {
	if p.tag.Owner != "" {
		id, rest, ok := strings.Cut(text, p.tag.Owner)
		if !ok || id == "" {
			return sealwright.Refusef(sealwright.ErrMalformed, "signature in %s names no key", p.tag.From)
		}
		c.Values[valueKeyID], text = id, rest
	}
	for _, f := range p.forms[1:] {
		if err := p.addForm(c, f, text); err == nil || !errors.Is(err, sealwright.ErrMalformed) {
			return err
		}
	}
	return p.addForm(c, p.forms[0], text)
}

// addForm adds a tag that is written in the form f.
func (p *program) addForm(c *sealwright.Claim, f tagForm, text string) error {
	body, ok := strings.CutPrefix(text, f.prefix)
	if !ok {
		if text == "" {
			return sealwright.Refusef(sealwright.ErrMissing, "signature in %s is empty", p.tag.From)
		}
		return sealwright.Refusef(sealwright.ErrMalformed, "signature in %s does not begin with %q", p.tag.From, f.prefix)
	}
	if p.tag.Escape != "" {
		var err error
		if body, err = canon.Unescape(body, false); err != nil {
			return sealwright.Refusef(sealwright.ErrMalformed, "signature: %v", err)
		}
	}
	if p.tag.Padded {
		body = strings.TrimRight(body, "=")
	}
	if p.tag.Text == "hex" {
		inner, err := f.encoding.DecodeString(body)
		if err != nil {
			return sealwright.Refusef(sealwright.ErrMalformed, "signature: %v", err)
		}
		return c.AddTag(string(inner), canon.Hex)
	}
	if p.tag.Owner != "" {
		return c.AddTagOf(c.Values[valueKeyID], body, f.encoding)
	}
	return c.AddTag(body, f.encoding)
}
