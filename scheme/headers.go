package scheme

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// headers is a compiled [HeadersSegment].
type headers struct {
	HeadersSegment
	list    *value // nil with names or prefix
	derived map[string][]piece
	require [][]string // one of each must be listed
	change  []transform
}

func (b *builder) headers(s *HeadersSegment) (*headers, error) {
	h := &headers{HeadersSegment: *s, derived: map[string][]piece{}}
	if err := b.headerNames(h); err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	if !strings.Contains(s.Line, "{value}") {
		return nil, fmt.Errorf("headers: line %q has no {value}", s.Line)
	}
	if s.From != "" && s.From != "query" {
		return nil, fmt.Errorf("headers: from: got %q, want query or nothing", s.From)
	}
	if s.Case != "" && s.Case != "listed" {
		return nil, fmt.Errorf("headers: case: got %q, want listed or nothing", s.Case)
	}
	var err error
	if h.change, err = valueTransforms(s.Value); err != nil {
		return nil, fmt.Errorf("headers: value: %w", err)
	}
	for name, text := range s.Derived {
		if h.derived[name], err = b.template(text, ""); err != nil {
			return nil, fmt.Errorf("headers: derived %q: %w", name, err)
		}
	}
	return h, nil
}

// headerNames compiles where the names come from.
func (b *builder) headerNames(h *headers) error {
	n := 0
	for _, set := range []bool{h.List != "", h.Names != nil, h.Prefix != ""} {
		if set {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("want exactly one of list, names and prefix")
	}
	for _, r := range h.Require {
		h.require = append(h.require, strings.Split(r, "|"))
	}
	if h.List == "" {
		return nil
	}
	if h.Sep == "" {
		return fmt.Errorf("no separator")
	}
	var err error
	h.list, err = b.value(h.List, "list of signed headers", h.Optional, "")
	return err
}

// valueTransforms compiles what is done to a header value: trim if nothing is
// said, raw for nothing, else transforms joined by |; lower also trims.
func valueTransforms(text string) ([]transform, error) {
	switch text {
	case "":
		text = "trim"
	case "raw":
		return nil, nil
	case "lower":
		text = "trim|lower"
	}
	return findTransforms(strings.Split(text, "|"))
}

// names returns the names that are signed, in the order in which they are
// written.
func (h *headers) names(p *program, m *sealwright.Message, c *sealwright.Claim) ([]string, error) {
	switch {
	case h.Names != nil:
		return h.Names, nil
	case h.Prefix != "":
		return h.prefixed(m), nil
	}
	text, ok, err := p.value(h.list, m, c)
	if err != nil {
		return nil, err
	}
	if !ok || text == "" {
		if h.Optional && len(h.require) == 0 {
			return nil, nil
		}
		return nil, sealwright.Refusef(sealwright.ErrMissing, "%s %v", p.place(h.list.source), errAbsent)
	}
	names, err := splitNames(text, h.Sep)
	if err != nil {
		return nil, err
	}
	for _, need := range h.require {
		if !slices.ContainsFunc(names, func(n string) bool { return containsFold(need, n) }) {
			return nil, sealwright.Refusef(sealwright.ErrPolicy, "header %s is not signed", strings.Join(need, " or "))
		}
	}
	if h.Sort {
		slices.SortStableFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	}
	return names, nil
}

// prefixed returns the lower-case names of all headers with the prefix, sorted.
func (h *headers) prefixed(m *sealwright.Message) []string {
	var names []string
	for name := range m.Header {
		if n := strings.ToLower(name); strings.HasPrefix(n, h.Prefix) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(e string) bool { return strings.EqualFold(e, s) })
}

// get returns the value of the header, or query parameter, name.
func (h *headers) get(m *sealwright.Message, name string) (string, bool, error) {
	if h.From == "query" {
		return listedParameter(m.Query(), name)
	}
	return header(m, canon.HeaderName(name))
}

// listedParameter returns the decoded value of the one parameter whose name, in
// lower case and percent-encoded, is name.
func listedParameter(raw, name string) (value string, found bool, err error) {
	if err := countFields(raw); err != nil {
		return "", false, err
	}
	for _, f := range canon.AppendFields(nil, raw) {
		d, err := f.Decode(true)
		if err != nil || !strings.EqualFold(string(canon.AppendPercent(nil, d.Name, canon.Unreserved)), name) {
			continue
		}
		if found {
			return "", false, sealwright.Refusef(sealwright.ErrMalformed, "query parameter %s stands more than once", name)
		}
		value, found = d.Value, true
	}
	return value, found, nil
}

func (h *headers) write(p *program, w sealwright.Sink, m *sealwright.Message, c *sealwright.Claim) error {
	names, err := h.names(p, m, c)
	if err != nil {
		return err
	}
	join := ""
	for _, name := range names {
		line, skip, err := h.line(p, name, m, c)
		if err != nil {
			return err
		}
		if skip {
			continue
		}
		if _, err := w.WriteString(join); err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
		join = h.Join
	}
	return nil
}

// line returns what is signed for one name; skip is true if it is absent and
// may be.
func (h *headers) line(p *program, name string, m *sealwright.Message, c *sealwright.Claim) (line []byte, skip bool, err error) {
	if t, ok := h.derived[strings.ToLower(name)]; ok {
		line, err = p.render(t, m, c)
		return line, false, err
	}
	text, ok, err := h.get(m, name)
	if err != nil {
		return nil, false, err
	}
	if !ok {
		if h.Names != nil {
			return nil, true, nil
		}
		return nil, false, sealwright.Refusef(sealwright.ErrMalformed, "signed header %s %v", name, errAbsent)
	}
	value := []byte(text)
	for _, t := range h.change {
		if value, err = t(nil, value); err != nil {
			return nil, false, err
		}
	}
	if h.Case != "listed" {
		name = strings.ToLower(name)
	}
	return []byte(strings.NewReplacer("{name}", name, "{value}", string(value)).Replace(h.Line)), false, nil
}

// place writes the list of signed headers unless the message has one.
func (h *headers) place(p *program, m *sealwright.Message, c *sealwright.Claim) error {
	if h.list == nil || p.has(h.list.source, m, c) || !settable(h.list.source) {
		return nil
	}
	names := h.Sign
	if names == nil {
		for _, need := range h.require {
			names = append(names, present(m, need))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return p.putValue(h.list, m, c, strings.Join(names, h.Sep))
}

// present returns the one of the alternatives that is a header of m, else the
// first.
func present(m *sealwright.Message, alternatives []string) string {
	for _, name := range alternatives {
		if m.Header[canon.HeaderName(name)] != nil {
			return name
		}
	}
	return alternatives[0]
}

// lists reports whether a list of signed headers of the first rendering names
// the header.
func (p *program) lists(m *sealwright.Message, c *sealwright.Claim, name string) bool {
	found := false
	flat(p.renderings[0], func(s *segment) {
		if s.headers == nil || found {
			return
		}
		names, err := s.headers.names(p, m, c)
		found = err == nil && containsFold(names, name)
	})
	return found
}

// cover adds what the signed headers cover. At best all that must be listed is
// listed, the first of alternatives.
func (h *headers) cover(p *program, cov *covering) {
	var names []string
	if cov.best && h.list != nil {
		for _, need := range h.require {
			names = append(names, need[0])
		}
	} else {
		var err error
		if names, err = h.names(p, cov.m, cov.c); err != nil {
			return
		}
	}
	for _, n := range names {
		if t, ok := h.derived[strings.ToLower(n)]; ok {
			for i := range t {
				cov.piece(p, &t[i])
			}
			continue
		}
		k := kHeader
		if h.From == "query" {
			k = kQueryParam
		}
		cov.source(p, source{kind: k, arg: headerArg(k, n)})
	}
}

func headerArg(k kind, name string) string {
	if k == kHeader {
		return canon.HeaderName(name)
	}
	return name
}
