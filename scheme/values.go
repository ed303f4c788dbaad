package scheme

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
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
