package scheme

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/mac"
)

// program is a compiled definition: a [sealwright.SigningScheme].
type program struct {
	id        string
	algorithm mac.Algorithm
	key       *deriver
	public    *sealwright.Message // URL of the parameter public_url; nil means as received

	list     *List
	listFrom source
	places   []listPlace // of the list: listFrom and others
	usesHead bool        // the text of the list before the tag is needed
	signs    [][]piece   // templates of the list's parts, for signing
	payload  *payload
	document string // form field with the JSON document

	tag     Tag
	tags    []source
	tagPart int // index of the list's part, -1 if the tag stands elsewhere
	tagEnc  canon.Encoding
	forms   []tagForm // in which a tag may be written, tagEnc first
	tagSize int

	keyID *value
	nonce *value
	time  *value
	clock clock
	times []timed // time with clock, and alternatives
	fresh bool    // the time is covered, so it counts

	response *program // for responses; nil means that they are read like requests

	checks     []check
	renderings [][]segment
	names      []string

	covers   sealwright.Coverage // if static
	static   bool
	warnings []string
}

var (
	_ sealwright.SigningScheme = (*program)(nil)
	_ sealwright.Checker       = (*program)(nil)
	_ sealwright.Warner        = (*program)(nil)
	_ sealwright.Truncated     = (*program)(nil)
)

// value is a compiled place of a time, nonce or key ID.
type value struct {
	source   source
	also     []source // looked at in this order, after source
	what     string
	optional bool
	forbid   string
	decode   bool // percent-encoded
	digits   bool // a number, of digits only
}

// timed is a place of a time, with its format and window.
type timed struct {
	*value
	clock clock
}

// tagForm is a compiled [TagForm].
type tagForm struct {
	prefix   string
	encoding canon.Encoding
}

type check struct {
	conditions []condition
	source     source
	input      piece // with equal: the source and its transforms
	equal      string
	same       *source // instead of equal
	begins     bool    // with equal and same: more may follow behind a slash
	start      []piece // instead of equal: what the value must begin with
	refuse     string
	digest     transform // nil for equal and refuse
	prefix     string
	encoding   canon.Encoding
	of         []piece
	optional   bool
}

// builder compiles a definition with parameters.
type builder struct {
	def     *Definition
	params  Params
	format  *Format
	program *program

	response *builder // nil if there is none
}

// compile returns the program of d with complete parameters.
func (d *Definition) compile(params Params) (*program, *builder, error) {
	format, err := d.resolve(params)
	if err != nil {
		return nil, nil, err
	}
	return d.compileFormat(format, params)
}

func (d *Definition) compileFormat(format *Format, params Params) (*program, *builder, error) {
	b := &builder{def: d, params: params, format: format, program: &program{id: d.ID, tagPart: -1}}
	for _, step := range []func() error{
		b.start, b.buildList, b.buildPayload, b.buildTag, b.buildValues, b.buildKey, b.buildChecks, b.buildMessage, b.buildResponse,
	} {
		if err := step(); err != nil {
			return nil, nil, fmt.Errorf("scheme %s: %w", d.ID, err)
		}
	}
	return b.program, b, nil
}

// resolve applies the variants that the parameters choose, and replaces
// ${name} in all texts.
func (d *Definition) resolve(params Params) (*Format, error) {
	data, err := json.Marshal(d.Format)
	if err != nil {
		return nil, err
	}
	format := new(Format)
	if err := json.Unmarshal(data, format); err != nil {
		return nil, err
	}
	for _, v := range d.Variants {
		if !v.applies(params) {
			continue
		}
		data, err := json.Marshal(v.Format)
		if err != nil {
			return nil, err
		}
		if v.Message != nil {
			format.Renderings = nil
		}
		if err := json.Unmarshal(data, format); err != nil { // members that are set replace
			return nil, err
		}
	}
	if data, err = json.Marshal(format); err != nil {
		return nil, err
	}
	var tree any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	if data, err = json.Marshal(substitute(tree, d, params, d.replacer(params))); err != nil {
		return nil, err
	}
	*format = Format{}
	if err := json.Unmarshal(data, format); err != nil {
		return nil, err
	}
	return format, nil
}

func (v *Variant) applies(params Params) bool {
	for name, want := range v.If {
		if params.Get(name) != want {
			return false
		}
	}
	return true
}

// replacer replaces ${name} by the value of the parameter, once: a value that
// holds such a text is not looked at again.
func (d *Definition) replacer(params Params) *strings.Replacer {
	var pairs []string
	for _, name := range d.paramNames() {
		pairs = append(pairs, "${"+name+"}", params.Get(name))
	}
	return strings.NewReplacer(pairs...)
}

func substitute(node any, d *Definition, params Params, replace *strings.Replacer) any {
	switch n := node.(type) {
	case string:
		return replace.Replace(n)
	case []any:
		out := make([]any, 0, len(n))
		for _, e := range n {
			if values, ok := spliced(e, d, params); ok {
				out = append(out, values...)
			} else {
				out = append(out, substitute(e, d, params, replace))
			}
		}
		return out
	case map[string]any:
		for k := range n {
			n[k] = substitute(n[k], d, params, replace)
		}
	}
	return node
}

// spliced returns the values of the list parameter that an element of a list
// stands for, if it is nothing but such a parameter.
func spliced(e any, d *Definition, params Params) ([]any, bool) {
	text, _ := e.(string)
	for name, decl := range d.Params {
		if decl.List && text == "${"+name+"}" {
			out := []any{}
			for _, v := range params[name] {
				out = append(out, v)
			}
			return out, true
		}
	}
	return nil, false
}

func (b *builder) start() error {
	p, f := b.program, b.format
	p.document = f.Document
	var err error
	if p.algorithm, err = mac.Parse(f.Algorithm); err != nil {
		return fmt.Errorf("algorithm: %w", err)
	}
	if u := b.params.Get("public_url"); u != "" {
		scheme, host, target, err := sealwright.SplitURL(u)
		if err != nil {
			return fmt.Errorf("parameter public_url: %w", err)
		}
		p.public = &sealwright.Message{Scheme: scheme, Host: host, Target: target}
	}
	return nil
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

func (b *builder) buildValues() error {
	f, p := b.format, b.program
	var err error
	if v := f.KeyID; v != nil && b.set(v.If) {
		if p.keyID, err = b.value(v.From, "key ID", v.Optional, v.Forbid); err != nil {
			return err
		}
	}
	if v := f.Nonce; v != nil && v.Mode != "" && v.Mode != "unique" && v.Mode != "increasing" {
		return fmt.Errorf("nonce: mode: got %q, want unique or increasing", v.Mode)
	}
	if v := f.Nonce; v != nil && b.set(v.If) && v.From != "tag" {
		if p.nonce, err = b.value(v.From, "nonce", v.Optional, v.Forbid); err != nil {
			return err
		}
		p.nonce.digits = v.Mode == "increasing"
	}
	if f.Time == nil || !b.set(f.Time.If) {
		return nil
	}
	for _, v := range append([]Time{*f.Time}, f.Time.Or...) {
		t, err := b.timed(&v, len(f.Time.Or) > 0)
		if err != nil {
			return err
		}
		p.times = append(p.times, t)
	}
	p.time, p.clock = p.times[0].value, p.times[0].clock
	return nil
}

// timed compiles one place of a time, which may be absent if there are others.
func (b *builder) timed(v *Time, others bool) (timed, error) {
	var t timed
	var err error
	if t.value, err = b.value(v.From, "time", v.Optional || others, ""); err != nil {
		return t, err
	}
	for _, from := range v.Also {
		also, err := b.value(from, "time", v.Optional, "")
		if err != nil {
			return t, err
		}
		t.also = append(t.also, also.source)
	}
	if t.clock, err = v.compile(); err == nil && v.Window != nil {
		t.clock.window, err = b.window(v.Window)
	}
	return t, err
}

// set reports whether the parameter is set, or none is asked for.
func (b *builder) set(param string) bool { return param == "" || b.params.Get(param) != "" }

func (b *builder) value(from, what string, optional bool, forbid string) (*value, error) {
	from, decode := strings.CutSuffix(from, "|decode")
	s, err := b.source(from)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if !settable(s) && !s.request && s.kind != kLiteral && s.kind != kPayload {
		return nil, fmt.Errorf("%s: %s cannot hold it", what, s)
	}
	return &value{source: s, what: what, optional: optional, forbid: forbid, decode: decode}, nil
}

func (b *builder) buildKey() error {
	var err error
	b.program.key, err = b.deriver(b.format.Key, b.program.algorithm)
	return err
}

func (b *builder) buildChecks() error {
	for i, c := range b.format.Checks {
		out, err := b.check(&c)
		if err != nil {
			return fmt.Errorf("check %d: %w", i+1, err)
		}
		b.program.checks = append(b.program.checks, out)
	}
	return nil
}

func (b *builder) check(c *Check) (check, error) {
	var out check
	var err error
	if out.conditions, err = b.conditions(c.If); err != nil {
		return out, err
	}
	switch {
	case c.Equal != nil && c.Digest == nil && c.Refuse == "":
		err = b.equalCheck(&out, c.Equal)
	case c.Digest != nil && c.Equal == nil && c.Refuse == "":
		err = b.digestCheck(&out, c.Digest)
	case c.Refuse != "" && c.Equal == nil && c.Digest == nil:
		out.refuse = c.Refuse
	default:
		err = errors.New("want exactly one of equal, digest and refuse")
	}
	return out, err
}

func (b *builder) equalCheck(out *check, e *EqualCheck) error {
	var err error
	out.equal, out.begins = e.Value, e.Prefix
	if e.Begins != "" {
		if e.Value != "" || e.Same != "" {
			return errors.New("equal: begins and another one are given")
		}
		if out.start, err = b.template(e.Begins, ""); err != nil {
			return err
		}
	}
	if e.Same != "" {
		if e.Value != "" {
			return errors.New("equal: both value and same are given")
		}
		s, err := b.source(e.Same)
		if err != nil {
			return err
		}
		out.same = &s
	}
	out.input, err = b.piece(e.From, "")
	out.source = out.input.source
	return err
}

func (b *builder) digestCheck(out *check, d *DigestCheck) error {
	var err error
	if out.source, err = b.source(d.From); err != nil {
		return err
	}
	if out.digest = digest(d.Hash); out.digest == nil {
		return fmt.Errorf("unknown hash %q", d.Hash)
	}
	if out.encoding, err = canon.ParseEncoding(d.Encoding); err != nil {
		return err
	}
	out.prefix, out.optional = d.Prefix, d.Optional
	of := d.Of
	if of == "" {
		of = "{body}"
	}
	out.of, err = b.template(of, "")
	return err
}

func (b *builder) buildMessage() error {
	f, p := b.format, b.program
	list := f.Renderings
	if len(list) == 0 {
		list = []Rendering{{Message: f.Message}}
	} else if f.Message != nil {
		return errors.New("both message and renderings are given")
	}
	if len(list) > sealwright.MaxRenderings {
		return fmt.Errorf("%d renderings, at most %d are possible", len(list), sealwright.MaxRenderings)
	}
	for _, r := range list {
		if r.Message == nil {
			return errors.New("message: missing; an empty message is written as []")
		}
		segments, err := b.segments(r.Message)
		if err != nil {
			return err
		}
		p.renderings = append(p.renderings, segments)
		p.names = append(p.names, r.Name)
	}
	p.static = !p.conditional()
	if err := b.checkHead(); err != nil {
		return err
	}
	p.covers = p.best()
	p.fresh = p.time != nil && p.covers.Time
	return nil
}

// checkHead refuses a message with the head of a list in which the tag may
// stand before other parts.
func (b *builder) checkHead() error {
	p := b.program
	if p.usesHead && (p.list == nil || p.list.Format != "pairs" || p.tagPart != len(p.list.Parts)-1) {
		return errors.New("message: head needs a list of pairs whose last part is the tag")
	}
	return nil
}

// Name implements [sealwright.Scheme].
func (p *program) Name() string { return p.id }

// Warnings implements [sealwright.Warner].
func (p *program) Warnings() []string { return p.warnings }

// TagSize implements [sealwright.Truncated].
func (p *program) TagSize() int { return p.tagSize }

// Parse implements [sealwright.Scheme].
func (p *program) Parse(m *sealwright.Message, c *sealwright.Claim) error {
	if p.response != nil && m.Status != 0 {
		return p.response.Parse(m, c)
	}
	if p.list != nil {
		if err := p.readList(m, c); err != nil {
			return err
		}
	}
	for i := range p.tags {
		if p.tags[i].kind == kFamily {
			if err := p.addFamily(m, c, p.tags[i].arg); err != nil {
				return err
			}
			continue
		}
		text, ok, err := p.get(&p.tags[i], m, c)
		if err != nil {
			return err
		}
		if ok {
			if err := p.addTags(c, text); err != nil {
				return err
			}
		}
	}
	if c.Tags() == 0 {
		return sealwright.Refusef(sealwright.ErrMissing, "no tag in %s", p.tag.From)
	}
	return p.facts(m, c)
}

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

// facts reads key ID, time and nonce, makes the checks that need no digest, and
// says what is covered. The list is read already.
func (p *program) facts(m *sealwright.Message, c *sealwright.Claim) error {
	var err error
	if c.KeyID, err = p.read(p.keyID, valueKeyID, m, c); err != nil {
		return err
	}
	if c.Nonce, err = p.read(p.nonce, valueNonce, m, c); err != nil {
		return err
	}
	if p.tag.Owner != "" && c.Tags() == 1 {
		c.KeyID = c.Values[valueKeyID]
	}
	at := ""
	if len(p.times) == 1 {
		if at, err = p.read(p.time, valueTime, m, c); err != nil {
			return err
		}
	}
	if p.fresh && at != "" {
		if err := p.setTime(&p.times[0], at, m, c); err != nil {
			return err
		}
	}
	for i := range p.checks {
		if err := p.checks[i].policy(p, m, c); err != nil {
			return err
		}
	}
	c.Renderings = p.names
	c.Covers = p.covers
	if p.static {
		return nil
	}
	c.Covers = p.coverage(m, c)
	if p.fresh && len(p.times) > 1 {
		return p.signedTimes(m, c)
	}
	if p.fresh && at != "" && !c.Covers.Time {
		return p.unsignedTime(m, c)
	}
	return nil
}

// unsignedTime returns why the time of the message is not covered.
func (p *program) unsignedTime(m *sealwright.Message, c *sealwright.Claim) error {
	var why error
	for _, r := range p.renderings {
		flat(r, func(s *segment) {
			if s.headers != nil && why == nil {
				_, why = s.headers.names(p, m, c)
			}
		})
	}
	if why != nil {
		return why
	}
	return sealwright.Refusef(sealwright.ErrPolicy, "the time in %s is not signed", p.place(*p.where(p.time, m, c)))
}

// signedTimes reads the times that the message signs. The first counts, and
// every expiry; a message that signs none is refused.
func (p *program) signedTimes(m *sealwright.Message, c *sealwright.Claim) error {
	for i := range p.times {
		t := &p.times[i]
		text, ok, err := p.value(t.value, m, c)
		if err != nil {
			return err
		}
		if !ok || text == "" || !p.isSigned(*p.where(t.value, m, c), m, c) || !t.clock.expires && !c.At.IsZero() {
			continue
		}
		if c.Values[valueTime] == "" {
			c.Values[valueTime] = text
		}
		if err := p.setTime(t, text, m, c); err != nil {
			return err
		}
	}
	if c.At.IsZero() && c.Expires.IsZero() {
		return p.unsignedTime(m, c)
	}
	return nil
}

// isSigned reports whether every rendering of m covers the value at s.
func (p *program) isSigned(s source, m *sealwright.Message, c *sealwright.Claim) bool {
	return !slices.ContainsFunc(p.renderings, func(r []segment) bool { return !p.coverageOf(r, &covering{m: m, c: c}).covered(p, s) })
}

// setTime fills the claim with the time that text says.
func (p *program) setTime(t *timed, text string, m *sealwright.Message, c *sealwright.Claim) error {
	at, end, err := t.clock.parse(text)
	if err != nil {
		return sealwright.Refusef(sealwright.ErrMalformed, "%s: %v", t.source, err)
	}
	switch {
	case t.clock.expires:
		c.Expires, c.Ahead = at, t.clock.future
	case t.clock.span:
		c.At, c.Past, c.Future, c.Expires = at, end.Sub(at), defaultWindow, end
		if c.Past > t.clock.future {
			return sealwright.Refusef(sealwright.ErrPolicy, "%s spans %v, allowed are %v", p.place(t.source), c.Past, t.clock.future)
		}
	default:
		c.At, c.Past, c.Future = at, t.clock.past, t.clock.future
		if t.clock.window != nil {
			c.Past, err = t.clock.window.past(p, m, c, c.Past)
		}
	}
	return err
}

// where returns the first source of v that has a value, or the main one.
func (p *program) where(v *value, m *sealwright.Message, c *sealwright.Claim) *source {
	if len(v.also) == 0 || p.has(v.source, m, c) {
		return &v.source
	}
	for i := range v.also {
		if p.has(v.also[i], m, c) {
			return &v.also[i]
		}
	}
	return &v.source
}

// value returns the text of v, decoded.
func (p *program) value(v *value, m *sealwright.Message, c *sealwright.Claim) (string, bool, error) {
	text, ok, err := p.get(p.where(v, m, c), m, c)
	if err != nil || !v.decode {
		return text, ok, err
	}
	if text, err = canon.Unescape(text, false); err != nil {
		return "", false, sealwright.Refusef(sealwright.ErrMalformed, "%s in %s: %v", v.what, p.place(v.source), err)
	}
	return text, ok, nil
}

// read returns the value and keeps it in c.Values.
func (p *program) read(v *value, index int, m *sealwright.Message, c *sealwright.Claim) (string, error) {
	if v == nil {
		return "", nil
	}
	text, ok, err := p.value(v, m, c)
	if err != nil {
		return "", err
	}
	if !ok || text == "" {
		if v.optional {
			return "", nil
		}
		return "", sealwright.Refusef(sealwright.ErrMalformed, "%s in %s %v", v.what, p.place(v.source), errAbsent)
	}
	if v.forbid != "" && strings.ContainsAny(text, v.forbid) {
		return "", sealwright.Refusef(sealwright.ErrMalformed, "%s in %s holds one of %q", v.what, p.place(v.source), v.forbid)
	}
	if v.digits && strings.Trim(text, "0123456789") != "" {
		return "", sealwright.Refusef(sealwright.ErrMalformed, "%s in %s is no number", v.what, p.place(v.source))
	}
	c.Values[index] = text
	return text, nil
}

// payload is a compiled [Payload].
type payload struct {
	source   source
	encoding canon.Encoding
	json     bool
}

func (b *builder) buildPayload() error {
	d := b.format.Payload
	if d == nil {
		return nil
	}
	out := &payload{json: d.Format == "json"}
	var err error
	if out.source, err = b.source(d.From); err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	switch d.Encoding {
	case "base64":
		out.encoding = canon.Base64Raw
	case "base64url":
		out.encoding = canon.Base64URLRaw
	default:
		return fmt.Errorf("payload: encoding: got %q, want base64 or base64url", d.Encoding)
	}
	if d.Format != "json" && d.Format != "form" {
		return fmt.Errorf("payload: format: got %q, want json or form", d.Format)
	}
	b.program.payload = out
	return nil
}

// field returns the text of one field of the document.
func (d *payload) field(p *program, name string, m *sealwright.Message, c *sealwright.Claim) (string, bool, error) {
	text, ok, err := p.get(&d.source, m, c)
	if err != nil || !ok {
		return "", false, err
	}
	text = strings.TrimRight(strings.NewReplacer("\r", "", "\n", "").Replace(text), "=")
	doc, err := d.encoding.DecodeString(text)
	if err != nil {
		return "", false, sealwright.Refusef(sealwright.ErrMalformed, "%s: %v", p.place(d.source), err)
	}
	if d.json {
		return jsonField(doc, name)
	}
	return field(string(doc), name, "payload field")
}

// place names a source for people.
func (p *program) place(s source) string {
	if s.kind == kPart {
		return fmt.Sprintf("part %q of %s", p.list.Parts[s.part-valueParts].Name, p.list.From)
	}
	return s.String()
}

// policy makes the check unless it needs a digest, which comes after the tag.
func (ck *check) policy(p *program, m *sealwright.Message, c *sealwright.Claim) error {
	if ck.digest != nil || !holds(ck.conditions, m, c) {
		return nil
	}
	if ck.refuse != "" {
		return sealwright.Refusef(sealwright.ErrPolicy, "%s", ck.refuse)
	}
	text, ok, err := p.get(&ck.source, m, c)
	if err != nil {
		return err
	}
	if ok && len(ck.input.transforms) > 0 {
		out, err := p.text(&ck.input, m, c)
		if err != nil {
			return err
		}
		text = string(out)
	}
	want := ck.equal
	if ck.start != nil {
		start, err := p.render(ck.start, m, c)
		if err == nil && (!ok || !strings.HasPrefix(text, string(start))) {
			err = sealwright.Refusef(sealwright.ErrPolicy, "%s is %q, want one that begins with %q", p.place(ck.source), text, start)
		}
		return err
	}
	if ck.same != nil {
		if want, _, err = p.get(ck.same, m, c); err != nil {
			return err
		}
	}
	rest, match := strings.CutPrefix(text, want)
	if !ok || !match || rest != "" && !(ck.begins && (rest[0] == '/' || strings.HasSuffix(want, "/"))) {
		return sealwright.Refusef(sealwright.ErrPolicy, "%s is %q, want %q", p.place(ck.source), text, want)
	}
	return nil
}

// Check implements [sealwright.Checker]: it compares digests with the body.
func (p *program) Check(m *sealwright.Message, c *sealwright.Claim) error {
	if p.response != nil && m.Status != 0 {
		return p.response.Check(m, c)
	}
	for i := range p.checks {
		ck := &p.checks[i]
		if ck.digest == nil || !holds(ck.conditions, m, c) {
			continue
		}
		text, ok, err := p.get(&ck.source, m, c)
		if err != nil {
			return err
		}
		if !ok {
			if ck.optional {
				continue
			}
			return sealwright.Refusef(sealwright.ErrPolicy, "digest of the body in %s %v", p.place(ck.source), errAbsent)
		}
		want, err := ck.value(p, m, c)
		if err != nil {
			return err
		}
		if text != want {
			return sealwright.Refusef(sealwright.ErrDigest, "%s is not the digest of the body", p.place(ck.source))
		}
	}
	return nil
}

// value returns the digest as the message must carry it.
func (ck *check) value(p *program, m *sealwright.Message, c *sealwright.Claim) (string, error) {
	in := m.Body
	if len(ck.of) != 1 || ck.of[0].source.kind != kBody || len(ck.of[0].transforms) > 0 {
		var err error
		if in, err = p.render(ck.of, m, c); err != nil {
			return "", err
		}
	}
	sum, err := ck.digest(nil, in)
	if err != nil {
		return "", err
	}
	return ck.prefix + ck.encoding.EncodeToString(sum), nil
}

// Write implements [sealwright.Scheme].
func (p *program) Write(w sealwright.Sink, m *sealwright.Message, c *sealwright.Claim, n int) error {
	if p.response != nil && m.Status != 0 {
		return p.response.Write(w, m, c, n)
	}
	return p.writeSegments(p.renderings[n], w, m, c)
}

// New returns the scheme with the given parameters. Parameters that the
// definition does not have, or values that it does not allow, are errors.
func (d *Definition) New(params Params) (sealwright.Scheme, error) {
	full, err := d.complete(params)
	if err != nil {
		return nil, err
	}
	if d.Code != "" {
		return d.code(full)
	}
	p, b, err := d.compile(full)
	if err != nil {
		return nil, err
	}
	findings := b.findings()
	if err := findings.Err(); err != nil {
		return nil, fmt.Errorf("scheme %s: %w", d.ID, err)
	}
	for _, f := range findings {
		if f.Rule != ruleCoverage { // the verdict's Covers says it
			p.warnings = append(p.warnings, f.Text)
		}
	}
	return p, nil
}

func (d *Definition) code(full Params) (sealwright.Scheme, error) {
	construct, ok := d.codes[d.Code]
	if !ok {
		names := slices.Sorted(maps.Keys(d.codes))
		return nil, fmt.Errorf("scheme %s: code %q does not exist, there are %s", d.ID, d.Code, strings.Join(names, ", "))
	}
	s, err := construct(d, full)
	if err != nil {
		return nil, fmt.Errorf("scheme %s: %w", d.ID, err)
	}
	return s, nil
}
