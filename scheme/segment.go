package scheme

import (
	"bytes"
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
	group      []segment
	then       []transform // of the whole text
	hashed     bool        // by one of then
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
	case s.Group != nil:
		out.group, err = b.segments(s.Group)
	default:
		if s.Names != "" && s.Names != "json" && s.Names != "query" {
			return out, fmt.Errorf("names: got %q, want json or query", s.Names)
		}
		out.pieces, err = b.template(s.Text, s.Names)
	}
	if err != nil {
		return out, err
	}
	out.hashed = slices.ContainsFunc(s.Then, func(name string) bool { return digests[name] != nil })
	out.then, err = findTransforms(s.Then)
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
	case "listed":
		return func(m *sealwright.Message, c *sealwright.Claim) bool { return b.program.lists(m, c, arg) }, nil
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
			_, _, found, err := canon.JSONValue(b.program.jsonDocument(m), s.arg)
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
		var err error
		if len(s.then) > 0 {
			err = p.writeChanged(s, w, m, c)
		} else {
			err = p.writeSegment(s, w, m, c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *program) writeSegment(s *segment, w sealwright.Sink, m *sealwright.Message, c *sealwright.Claim) error {
	for j := range s.pieces {
		if err := p.write(&s.pieces[j], w, m, c); err != nil {
			return err
		}
	}
	switch {
	case s.fields != nil:
		return s.fields.write(p, w, m, c)
	case s.headers != nil:
		return s.headers.write(p, w, m, c)
	}
	return p.writeSegments(s.group, w, m, c)
}

// writeChanged writes the text of the segment after its transforms.
func (p *program) writeChanged(s *segment, w sealwright.Sink, m *sealwright.Message, c *sealwright.Claim) error {
	var b bytes.Buffer
	if err := p.writeSegment(s, &b, m, c); err != nil {
		return err
	}
	text := b.Bytes()
	for _, t := range s.then {
		var err error
		if text, err = t(nil, text); err != nil {
			return err
		}
	}
	_, err := w.Write(text)
	return err
}

// flat calls f for each segment of list and of the groups in it.
func flat(list []segment, f func(*segment)) {
	for i := range list {
		f(&list[i])
		flat(list[i].group, f)
	}
}

// fields is a compiled [FieldsSegment].
type fields struct {
	FieldsSegment
	decode     func(canon.Field) (canon.Field, error)
	encode     func(dst []byte, s string) []byte
	encodeName func(dst []byte, s string) []byte
	add        []addedField
}

// addedField is a field that is signed but not sent as one.
type addedField struct {
	name  string
	value []piece
}

func (b *builder) fields(s *FieldsSegment) (*fields, error) {
	f := &fields{FieldsSegment: *s}
	if len(s.From) == 0 {
		return nil, fmt.Errorf("fields: from is empty")
	}
	for _, from := range s.From {
		if !slices.Contains([]string{"query", "form", "xml", "lines"}, from) {
			return nil, fmt.Errorf("fields: from: got %q, want query, form, xml or lines", from)
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
	var err error
	if f.encode, err = encoder(s.Encode); err != nil {
		return nil, fmt.Errorf("fields: encode: %w", err)
	}
	f.encodeName = f.encode
	if s.EncodeName != "" {
		if f.encodeName, err = encoder(s.EncodeName); err != nil {
			return nil, fmt.Errorf("fields: encode_name: %w", err)
		}
	}
	for name, text := range s.Add {
		value, err := b.template(text, "")
		if err != nil {
			return nil, fmt.Errorf("fields: add: %q: %w", name, err)
		}
		f.add = append(f.add, addedField{name, value})
	}
	slices.SortFunc(f.add, func(a, b addedField) int { return strings.Compare(a.name, b.name) })
	if !slices.Contains([]string{"", "pairs", "names", "values"}, s.Write) {
		return nil, fmt.Errorf("fields: write: got %q, want pairs, names or values", s.Write)
	}
	if !slices.Contains([]string{"", "none", "name", "pair", "text"}, s.Sort) {
		return nil, fmt.Errorf("fields: sort: got %q, want none, name, pair or text", s.Sort)
	}
	if !slices.Contains([]string{"", "all", "first", "join"}, s.Repeat) {
		return nil, fmt.Errorf("fields: repeat: got %q, want all, first or join", s.Repeat)
	}
	return f, nil
}

// encoder returns the transform with this name for texts that any bytes may
// stand in, so that it cannot fail; form means percent-form.
func encoder(name string) (func(dst []byte, s string) []byte, error) {
	switch name {
	case "", "raw":
		return func(dst []byte, s string) []byte { return append(dst, s...) }, nil
	case "form":
		name = "percent-form"
	}
	t, err := findTransform(name)
	if err != nil {
		return nil, err
	}
	if _, err := t(nil, []byte("\xff%")); err != nil {
		return nil, fmt.Errorf("transform %q refuses some texts", name)
	}
	return func(dst []byte, s string) []byte {
		out, _ := t(nil, []byte(s))
		return append(dst, out...)
	}, nil
}

// list returns the decoded fields in the order in which they are written.
func (f *fields) list(p *program, m *sealwright.Message, c *sealwright.Claim) ([]canon.Field, error) {
	all, err := f.read(p, m)
	if err != nil {
		return nil, err
	}
	out := all[:0]
	for _, d := range all {
		if slices.Contains(f.Omit, d.Name) || (f.DropEmpty && d.Value == "") {
			continue
		}
		if f.LowerName {
			d.Name = strings.ToLower(d.Name)
		}
		out = append(out, d)
	}
	for _, a := range f.add {
		value, err := p.render(a.value, m, c)
		if err != nil {
			return nil, err
		}
		out = append(out, canon.Field{Name: a.name, Value: string(value)})
	}
	if f.Repeat == "first" || f.Repeat == "join" {
		out = f.merge(out)
	}
	f.sort(out)
	return out, nil
}

// read returns the fields of all places, decoded.
func (f *fields) read(p *program, m *sealwright.Message) ([]canon.Field, error) {
	var all []canon.Field
	for _, from := range f.From {
		var list []canon.Field
		var err error
		switch {
		case from == "xml" || from == "lines":
			list, err = bodyFields(m, from)
		case from == "query":
			list, err = f.parse(p.url(m).Query())
		case isForm(m):
			list, err = f.parse(string(m.Body))
		}
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// parse splits the text of a query or form and decodes its fields.
func (f *fields) parse(raw string) ([]canon.Field, error) {
	if err := countFields(raw); err != nil {
		return nil, err
	}
	list := canon.AppendFields(nil, raw)
	for i, one := range list {
		d, err := f.decode(one)
		if err != nil {
			return nil, sealwright.Refusef(sealwright.ErrMalformed, "parameter %q: %v", one.Name, err)
		}
		list[i] = d
	}
	return list, nil
}

func (f *fields) sort(list []canon.Field) {
	switch f.Sort {
	case "name":
		slices.SortStableFunc(list, func(a, b canon.Field) int { return strings.Compare(a.Name, b.Name) })
	case "pair":
		slices.SortStableFunc(list, func(a, b canon.Field) int {
			an, bn := f.encodeName(nil, a.Name), f.encodeName(nil, b.Name)
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
	switch f.Write {
	case "names":
		return f.encodeName(dst, d.Name)
	case "values":
		return f.encode(dst, d.Value)
	}
	dst = f.encodeName(dst, d.Name)
	if d.NoValue && f.Decode != "percent" && f.Decode != "form" {
		return dst
	}
	dst = append(dst, f.KV...)
	return f.encode(dst, d.Value)
}

func (f *fields) write(p *program, w sealwright.Sink, m *sealwright.Message, c *sealwright.Claim) error {
	list, err := f.list(p, m, c)
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
func (f *fields) repeats(p *program, m *sealwright.Message, c *sealwright.Claim) bool {
	if f.Repeat != "first" {
		return false
	}
	all := *f
	all.Repeat = ""
	with, err1 := all.list(p, m, c)
	without, err2 := f.list(p, m, c)
	return err1 != nil || err2 != nil || len(with) != len(without)
}

// open reports whether names and values are written decoded and as they are, so
// that one may hold what separates it from the next. Where nothing separates
// them at all, lint says so.
func (f *fields) open() bool {
	raw := func(name string) bool { return name == "" || name == "raw" }
	decoded := !raw(f.Decode) || slices.Contains(f.From, "xml") || slices.Contains(f.From, "lines")
	return f.DropEmpty || decoded && f.Join != "" && (raw(f.Encode) || f.EncodeName == "raw")
}

// moves reports whether a name or value holds a separator, or a field is left
// out because it is empty.
func (f *fields) moves(p *program, m *sealwright.Message, c *sealwright.Claim) bool {
	list, err := f.list(p, m, c)
	if err == nil && f.DropEmpty {
		var all []canon.Field
		all, err = f.read(p, m)
		if slices.ContainsFunc(all, func(d canon.Field) bool { return d.Value == "" }) {
			return true
		}
	}
	return err != nil || f.Join != "" && slices.ContainsFunc(list, func(d canon.Field) bool {
		return strings.Contains(d.Name+d.Value, f.Join) || f.KV != "" && strings.Contains(d.Name, f.KV)
	})
}
