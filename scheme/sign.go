package scheme

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// Prepare implements [sealwright.SigningScheme].
func (p *program) Prepare(m *sealwright.Message, c *sealwright.Claim, f sealwright.Facts) error {
	p.keepList(m, c)
	if err := p.placeValues(m, c, f); err != nil {
		return err
	}
	for i := range p.checks {
		if err := p.checks[i].place(p, m, c); err != nil {
			return err
		}
	}
	for _, r := range p.renderings {
		for i := range r {
			if h := r[i].headers; h != nil {
				if err := h.place(p, m, c); err != nil {
					return err
				}
			}
		}
	}
	for _, s := range p.tags[min(1, len(p.tags)):] { // others than the first: of an earlier signature
		if s.kind == kHeader {
			delete(m.Header, s.arg)
		}
	}
	return p.facts(m, c)
}

// keepList reads the parts of a list that the message has already, so that
// signing again keeps its time and nonce. A list that does not parse is
// forgotten.
func (p *program) keepList(m *sealwright.Message, c *sealwright.Claim) {
	if p.list == nil {
		return
	}
	text, ok, err := p.listText(m, c)
	if !ok || err != nil {
		return
	}
	err = p.list.read(text, func(part int, value string) error {
		if part != p.tagPart {
			c.Values[valueParts+part] = value
		}
		return nil
	})
	if err != nil {
		clear(c.Values[valueParts:])
	}
}

func (p *program) placeValues(m *sealwright.Message, c *sealwright.Claim, f sealwright.Facts) error {
	if err := p.placeParts(m, c); err != nil {
		return err
	}
	if v := p.keyID; v != nil {
		if f.KeyID == "" && !v.optional && !p.has(v.source, m, c) {
			return sealwright.Refusef(sealwright.ErrConfig, "scheme %s carries a key ID in %s: give the key one", p.id, p.place(v.source))
		}
		if f.KeyID != "" {
			if err := p.put(v.source, m, c, f.KeyID, false); err != nil {
				return err
			}
		}
	}
	if v := p.nonce; v != nil && !v.optional && !p.has(v.source, m, c) {
		if err := p.put(v.source, m, c, f.Nonce, false); err != nil {
			return err
		}
	}
	return p.placeTime(m, c, f.Now)
}

// placeParts gives the parts of the list their constants and, where they have
// none, what the definition says of signing.
func (p *program) placeParts(m *sealwright.Message, c *sealwright.Claim) error {
	if p.list == nil {
		return nil
	}
	for i, part := range p.list.Parts {
		value := &c.Values[valueParts+i]
		if part.Value != "" {
			*value = part.Value
		}
		if *value != "" || len(p.signs[i]) == 0 {
			continue
		}
		text, err := p.render(p.signs[i], m, c)
		if err != nil {
			return err
		}
		*value = string(text)
	}
	return nil
}

func (p *program) placeTime(m *sealwright.Message, c *sealwright.Claim, now time.Time) error {
	v := p.time
	if v == nil {
		return nil
	}
	from := p.where(v, m, c)
	if v.optional && !p.has(*from, m, c) {
		return nil
	}
	clock := p.clock
	if w := clock.window; w != nil {
		past, err := w.past(p, m, c, clock.past)
		if err != nil {
			return err
		}
		clock.past = past
	}
	if text, ok, err := p.get(from, m, c); err == nil && ok && clock.isFresh(text, now) {
		return nil
	}
	at := now
	if p.clock.expires {
		at = now.Add(p.clock.past)
	}
	return p.put(*from, m, c, p.clock.format.format(at), p.clock.format.json)
}

func (p *program) has(s source, m *sealwright.Message, c *sealwright.Claim) bool {
	text, ok, err := p.get(&s, m, c)
	return ok && text != "" && err == nil
}

// Attach implements [sealwright.SigningScheme].
func (p *program) Attach(m *sealwright.Message, c *sealwright.Claim, tag []byte) error {
	text := p.tagEnc.EncodeToString(tag)
	if p.tag.Text == "hex" {
		text = p.tagEnc.EncodeToString([]byte(canon.Hex.EncodeToString(tag)))
	}
	text = p.tag.Prefix + escape(p.tag.Escape, text)
	if p.tagPart < 0 {
		return p.put(p.tags[0], m, c, text, false)
	}
	c.Values[valueParts+p.tagPart] = text
	list := p.list.write(c.Values[valueParts : valueParts+len(p.list.Parts)])
	return p.put(p.listFrom, m, c, escape(p.list.Escape, list), false)
}

func escape(how, text string) string {
	if how == "" {
		return text
	}
	return string(canon.AppendPercent(nil, text, canon.Unreserved))
}

// put writes text to its place. number means that it is a JSON number where the
// place is a JSON field that is not a string already.
func (p *program) put(s source, m *sealwright.Message, c *sealwright.Claim, text string, number bool) error {
	switch s.kind {
	case kPart:
		c.Values[s.part] = text
	case kHeader:
		if s.arg == "Host" {
			m.Host = text
			return nil
		}
		if strings.ContainsAny(text, "\r\n\x00") {
			return sealwright.Refusef(sealwright.ErrConfig, "header %s: value holds a line break", s.arg)
		}
		m.Header[s.arg] = []string{text}
	case kArg:
		return p.putArgument(s, m, c, text)
	case kQueryParam:
		path, query := m.Path(), putField(m.Query(), s.arg, text)
		m.Target = path + "?" + query
	case kForm:
		m.Body = []byte(putField(string(m.Body), s.arg, text))
		m.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
	case kJSON:
		return putJSON(m, s.arg, text, number)
	case kEither:
		if _, _, found, err := canon.JSONValue(m.Body, jsonPointer(s.arg)); err == nil && found {
			return putJSON(m, jsonPointer(s.arg), text, number)
		}
		m.Header[canon.HeaderName(s.arg)] = []string{text}
	case kLiteral: // a constant of the definition
	default:
		return sealwright.Refusef(sealwright.ErrCannotSign, "%s cannot be written", s)
	}
	return nil
}

// putArgument writes text to the form if the message has one without the name
// in its query, else to the query.
func (p *program) putArgument(s source, m *sealwright.Message, c *sealwright.Claim, text string) error {
	place := source{kind: kQueryParam, arg: s.arg}
	if isForm(m) && !p.has(place, m, c) {
		place.kind = kForm
	}
	return p.put(place, m, c, text, false)
}

// valueChars are left as they are in a value: an equals sign, which ends base64,
// can only end a name.
var valueChars = canon.NewSet("-._~=", true)

// putField sets the field name of a query or form, in its place if it is there,
// else at the end.
func putField(raw, name, value string) string {
	pair := string(canon.AppendPercent(nil, name, canon.Unreserved)) + "=" +
		string(canon.AppendPercent(nil, value, valueChars))
	var out []string
	done := false
	for piece := range strings.SplitSeq(raw, "&") {
		n, _, _ := strings.Cut(piece, "=")
		if decoded, err := canon.Unescape(n, true); err == nil && decoded == name && piece != "" {
			if !done {
				out = append(out, pair)
			}
			done = true
			continue
		}
		if piece != "" {
			out = append(out, piece)
		}
	}
	if !done {
		out = append(out, pair)
	}
	return strings.Join(out, "&")
}

// putJSON sets the scalar at pointer, in its place if it is there, else as the
// last member of its object.
func putJSON(m *sealwright.Message, pointer, text string, number bool) error {
	quoted, err := json.Marshal(text)
	if err != nil {
		return sealwright.Refusef(sealwright.ErrConfig, "body at %s: %v", pointer, err)
	}
	raw, at, found, err := canon.JSONValue(m.Body, pointer)
	if err != nil {
		return sealwright.Refusef(sealwright.ErrMalformed, "body: %v", err)
	}
	if found {
		if number && raw[0] != '"' {
			quoted = []byte(text)
		}
		m.Body = slices.Concat(m.Body[:at], quoted, m.Body[at+len(raw):])
		return nil
	}
	if number {
		quoted = []byte(text)
	}
	parent := pointer[:strings.LastIndexByte(pointer, '/')]
	object, at, found, err := canon.JSONValue(m.Body, parent)
	if err != nil || !found || object[0] != '{' {
		return sealwright.Refusef(sealwright.ErrMalformed, "body has no object at %q for the field %s", parent, pointer)
	}
	token := strings.NewReplacer("~1", "/", "~0", "~").Replace(pointer[len(parent)+1:])
	name, err := json.Marshal(token)
	if err != nil {
		return err
	}
	member := fmt.Appendf(nil, "%s:%s}", name, quoted)
	end := at + len(object) - 1 // of the closing brace
	if strings.TrimSpace(string(object[1:len(object)-1])) != "" {
		member = slices.Concat([]byte(","), member)
	}
	m.Body = slices.Concat(m.Body[:end], member, m.Body[end+1:])
	return nil
}

// place writes the constant or the digest that the check demands.
func (ck *check) place(p *program, m *sealwright.Message, c *sealwright.Claim) error {
	if ck.refuse != "" || ck.same != nil || !settable(ck.source) || !holds(ck.conditions, m, c) {
		return nil
	}
	if ck.digest == nil {
		if p.has(ck.source, m, c) {
			return nil // the check itself says whether it is the right one
		}
		return p.put(ck.source, m, c, ck.equal, false)
	}
	if ck.optional && !p.has(ck.source, m, c) {
		return nil
	}
	text, err := ck.value(p, m, c)
	if err != nil {
		return err
	}
	return p.put(ck.source, m, c, text, false)
}

// place writes the list of signed headers unless the message has one.
func (h *headers) place(p *program, m *sealwright.Message, c *sealwright.Claim) error {
	if p.has(h.list, m, c) || !settable(h.list) {
		return nil
	}
	want := h.Sign
	if want == nil {
		want = h.Require
	}
	names := make([]string, len(want))
	for i, alternatives := range want {
		names[i] = present(m, alternatives)
	}
	return p.put(h.list, m, c, strings.Join(names, h.Sep), false)
}

// present returns the one of a|b that is a header of m, else the first.
func present(m *sealwright.Message, alternatives string) string {
	for name := range strings.SplitSeq(alternatives, "|") {
		if m.Header[canon.HeaderName(name)] != nil {
			return name
		}
	}
	name, _, _ := strings.Cut(alternatives, "|")
	return name
}
