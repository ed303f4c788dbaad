package scheme

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// condition is a compiled entry of an if list: alternatives of which one must
// hold.
type condition func(m *sealwright.Message, c *sealwright.Claim) bool

// segment is a compiled [Segment].
type segment struct {
	conditions []condition
	pieces     []piece
	fields     *fields
	headers    *headers
}

func (b *builder) segments(list []Segment) ([]segment, error) {
	out := make([]segment, 0, len(list))
	for i := range list {
		s, err := b.segment(&list[i])
		if err != nil {
			return nil, fmt.Errorf("message: segment %d: %w", i+1, err)
		}
		out = append(out, s)
	}
	return out, nil
}

func (b *builder) segment(s *Segment) (segment, error) {
	var out segment
	var err error
	if out.conditions, err = b.conditions(s.If); err != nil {
		return out, err
	}
	switch {
	case s.Fields != nil:
		out.fields, err = b.fields(s.Fields)
	case s.Headers != nil:
		out.headers, err = b.headers(s.Headers)
	default:
		if s.Names != "" && s.Names != "json" && s.Names != "query" {
			return out, fmt.Errorf("names: got %q, want json or query", s.Names)
		}
		out.pieces, err = b.template(s.Text, s.Names)
	}
	return out, err
}

func (b *builder) conditions(list []string) ([]condition, error) {
	var out []condition
	for _, text := range list {
		var any []condition
		for alt := range strings.SplitSeq(text, "|") {
			c, err := b.condition(alt)
			if err != nil {
				return nil, err
			}
			any = append(any, c)
		}
		out = append(out, func(m *sealwright.Message, c *sealwright.Claim) bool {
			return slices.ContainsFunc(any, func(f condition) bool { return f(m, c) })
		})
	}
	return out, nil
}

func (b *builder) condition(text string) (condition, error) {
	if rest, ok := strings.CutPrefix(text, "!"); ok {
		f, err := b.condition(rest)
		if err != nil {
			return nil, err
		}
		return func(m *sealwright.Message, c *sealwright.Claim) bool { return !f(m, c) }, nil
	}
	name, arg, _ := strings.Cut(text, ":")
	switch name {
	case "body":
		return func(m *sealwright.Message, _ *sealwright.Claim) bool { return len(m.Body) > 0 }, nil
	case "form":
		return func(m *sealwright.Message, _ *sealwright.Claim) bool { return isForm(m) }, nil
	case "method":
		return func(m *sealwright.Message, _ *sealwright.Claim) bool { return m.Method == arg }, nil
	case "query":
		if arg == "" {
			return func(m *sealwright.Message, _ *sealwright.Claim) bool { return m.Query() != "" }, nil
		}
	}
	s, err := b.source(text)
	if err != nil {
		return nil, fmt.Errorf("if: %w", err)
	}
	if s.kind == kJSON {
		return func(m *sealwright.Message, _ *sealwright.Claim) bool {
			_, _, found, err := canon.JSONValue(m.Body, s.arg)
			return err == nil && found
		}, nil
	}
	p := b.program
	return func(m *sealwright.Message, c *sealwright.Claim) bool {
		v, ok, err := p.get(&s, m, c)
		return err == nil && ok && v != ""
	}, nil
}

// isForm reports whether the body is a form that has fields.
func isForm(m *sealwright.Message) bool {
	ct, _, err := header(m, "Content-Type")
	return err == nil && len(m.Body) > 0 && canon.MediaType(ct) == "application/x-www-form-urlencoded"
}

func holds(list []condition, m *sealwright.Message, c *sealwright.Claim) bool {
	for _, f := range list {
		if !f(m, c) {
			return false
		}
	}
	return true
}

// writeSegments writes the segments whose conditions hold.
func (p *program) writeSegments(list []segment, w sealwright.Sink, m *sealwright.Message, c *sealwright.Claim) error {
	for i := range list {
		s := &list[i]
		if !holds(s.conditions, m, c) {
			continue
		}
		for j := range s.pieces {
			if err := p.write(&s.pieces[j], w, m, c); err != nil {
				return err
			}
		}
		if s.fields != nil {
			if err := s.fields.write(p, w, m); err != nil {
				return err
			}
		}
		if s.headers != nil {
			if err := s.headers.write(p, w, m, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// fields is a compiled [FieldsSegment].
type fields struct {
	FieldsSegment
	decode func(canon.Field) (canon.Field, error)
	encode func(dst []byte, s string) []byte
}

func (b *builder) fields(s *FieldsSegment) (*fields, error) {
	f := &fields{FieldsSegment: *s}
	if len(s.From) == 0 {
		return nil, fmt.Errorf("fields: from is empty")
	}
	for _, from := range s.From {
		if from != "query" && from != "form" {
			return nil, fmt.Errorf("fields: from: got %q, want query or form", from)
		}
	}
	switch s.Decode {
	case "", "raw":
		f.decode = func(f canon.Field) (canon.Field, error) { return f, nil }
	case "percent":
		f.decode = func(f canon.Field) (canon.Field, error) { return f.Decode(false) }
	case "form":
		f.decode = func(f canon.Field) (canon.Field, error) { return f.Decode(true) }
	default:
		return nil, fmt.Errorf("fields: decode: got %q, want raw, percent or form", s.Decode)
	}
	switch s.Encode {
	case "", "raw":
		f.encode = func(dst []byte, s string) []byte { return append(dst, s...) }
	case "percent":
		f.encode = func(dst []byte, s string) []byte { return canon.AppendPercent(dst, s, canon.Unreserved) }
	case "form":
		f.encode = canon.AppendForm
	default:
		return nil, fmt.Errorf("fields: encode: got %q, want raw, percent or form", s.Encode)
	}
	if !slices.Contains([]string{"", "none", "name", "pair", "text"}, s.Sort) {
		return nil, fmt.Errorf("fields: sort: got %q, want none, name, pair or text", s.Sort)
	}
	if !slices.Contains([]string{"", "all", "first", "join"}, s.Repeat) {
		return nil, fmt.Errorf("fields: repeat: got %q, want all, first or join", s.Repeat)
	}
	return f, nil
}

// list returns the decoded fields in the order in which they are written.
func (f *fields) list(p *program, m *sealwright.Message) ([]canon.Field, error) {
	var all []canon.Field
	for _, from := range f.From {
		raw := ""
		switch {
		case from == "query":
			raw = p.url(m).Query()
		case isForm(m):
			raw = string(m.Body)
		}
		if err := countFields(raw); err != nil {
			return nil, err
		}
		all = canon.AppendFields(all, raw)
	}
	out := all[:0]
	for _, raw := range all {
		d, err := f.decode(raw)
		if err != nil {
			return nil, sealwright.Refusef(sealwright.ErrMalformed, "parameter %q: %v", raw.Name, err)
		}
		if slices.Contains(f.Omit, d.Name) || (f.DropEmpty && d.Value == "") {
			continue
		}
		if f.LowerName {
			d.Name = strings.ToLower(d.Name)
		}
		out = append(out, d)
	}
	if f.Repeat == "first" || f.Repeat == "join" {
		out = f.merge(out)
	}
	f.sort(out)
	return out, nil
}

func (f *fields) sort(list []canon.Field) {
	switch f.Sort {
	case "name":
		slices.SortStableFunc(list, func(a, b canon.Field) int { return strings.Compare(a.Name, b.Name) })
	case "pair":
		slices.SortStableFunc(list, func(a, b canon.Field) int {
			an, bn := f.encode(nil, a.Name), f.encode(nil, b.Name)
			if c := strings.Compare(string(an), string(bn)); c != 0 {
				return c
			}
			return strings.Compare(string(f.encode(nil, a.Value)), string(f.encode(nil, b.Value)))
		})
	case "text":
		slices.SortStableFunc(list, func(a, b canon.Field) int {
			return strings.Compare(string(f.pair(nil, a)), string(f.pair(nil, b)))
		})
	}
}

// merge keeps one field for each name: its first value, or all joined.
func (f *fields) merge(list []canon.Field) []canon.Field {
	var out []canon.Field
	for _, d := range list {
		i := slices.IndexFunc(out, func(o canon.Field) bool { return o.Name == d.Name })
		switch {
		case i < 0:
			out = append(out, d)
		case f.Repeat == "join":
			out[i].Value += f.RepeatSep + d.Value
		}
	}
	return out
}

func (f *fields) pair(dst []byte, d canon.Field) []byte {
	dst = f.encode(dst, d.Name)
	if d.NoValue && f.Decode != "percent" && f.Decode != "form" {
		return dst
	}
	dst = append(dst, f.KV...)
	return f.encode(dst, d.Value)
}

func (f *fields) write(p *program, w sealwright.Sink, m *sealwright.Message) error {
	list, err := f.list(p, m)
	if err != nil {
		return err
	}
	var b []byte
	for i, d := range list {
		if i > 0 {
			b = append(b, f.Join...)
		}
		b = f.pair(b, d)
	}
	_, err = w.Write(b)
	return err
}

// repeats reports whether a name stands more than once, so that a value is not
// covered.
func (f *fields) repeats(p *program, m *sealwright.Message) bool {
	if f.Repeat != "first" {
		return false
	}
	all := *f
	all.Repeat = ""
	with, err1 := all.list(p, m)
	without, err2 := f.list(p, m)
	return err1 != nil || err2 != nil || len(with) != len(without)
}

// headers is a compiled [HeadersSegment].
type headers struct {
	HeadersSegment
	list    source
	derived map[string][]piece
}

func (b *builder) headers(s *HeadersSegment) (*headers, error) {
	h := &headers{HeadersSegment: *s, derived: map[string][]piece{}}
	var err error
	if h.list, err = b.source(s.List); err != nil {
		return nil, fmt.Errorf("headers: list: %w", err)
	}
	if s.Sep == "" {
		return nil, fmt.Errorf("headers: no separator")
	}
	if !strings.Contains(s.Line, "{value}") {
		return nil, fmt.Errorf("headers: line %q has no {value}", s.Line)
	}
	if !slices.Contains([]string{"", "trim", "fold", "raw", "lower"}, s.Value) {
		return nil, fmt.Errorf("headers: value: got %q, want trim, fold, raw or lower", s.Value)
	}
	for name, text := range s.Derived {
		if h.derived[name], err = b.template(text, ""); err != nil {
			return nil, fmt.Errorf("headers: derived %q: %w", name, err)
		}
	}
	return h, nil
}

// names returns the names that the message lists, in the order in which they
// are written.
func (h *headers) names(p *program, m *sealwright.Message, c *sealwright.Claim) ([]string, error) {
	text, ok, err := p.get(&h.list, m, c)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, sealwright.Refusef(sealwright.ErrMissing, "%s %v", h.list, errAbsent)
	}
	names, err := splitNames(text, h.Sep)
	if err != nil {
		return nil, err
	}
	for _, need := range h.Require {
		if !slices.ContainsFunc(names, func(n string) bool { return oneOf(need, n) }) {
			return nil, sealwright.Refusef(sealwright.ErrPolicy, "header %s is not signed", need)
		}
	}
	if h.Sort {
		slices.SortStableFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	}
	return names, nil
}

// oneOf reports whether name is one of the alternatives a|b, in any case.
func oneOf(alternatives, name string) bool {
	for a := range strings.SplitSeq(alternatives, "|") {
		if strings.EqualFold(a, name) {
			return true
		}
	}
	return false
}

func (h *headers) write(p *program, w sealwright.Sink, m *sealwright.Message, c *sealwright.Claim) error {
	names, err := h.names(p, m, c)
	if err != nil {
		return err
	}
	for i, name := range names {
		if i > 0 {
			if _, err := w.WriteString(h.Join); err != nil {
				return err
			}
		}
		if t, ok := h.derived[strings.ToLower(name)]; ok {
			for j := range t {
				if err := p.write(&t[j], w, m, c); err != nil {
					return err
				}
			}
			continue
		}
		value, ok, err := header(m, canon.HeaderName(name))
		if err != nil {
			return err
		}
		if !ok {
			return sealwright.Refusef(sealwright.ErrMalformed, "signed header %s %v", name, errAbsent)
		}
		line := strings.NewReplacer("{name}", strings.ToLower(name), "{value}", h.value(value)).Replace(h.Line)
		if _, err := w.WriteString(line); err != nil {
			return err
		}
	}
	return nil
}

func (h *headers) value(v string) string {
	switch h.Value {
	case "raw":
		return v
	case "fold":
		return string(canon.AppendFolded(nil, v))
	case "lower":
		return strings.ToLower(canon.TrimOWS(v))
	}
	return canon.TrimOWS(v)
}
