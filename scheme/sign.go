package scheme

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// Prepare implements [sealwright.SigningScheme].
func (p *program) Prepare(m *sealwright.Message, c *sealwright.Claim, f sealwright.Facts) error {
	if p.response != nil && m.Status != 0 {
		return p.response.Prepare(m, c, f)
	}
	p.keepList(m, c)
	if err := p.placeValues(m, c, f); err != nil {
		return err
	}
	if err := p.placeLists(m, c); err != nil {
		return err
	}
	for i := range p.checks {
		if err := p.checks[i].place(p, m, c); err != nil {
			return err
		}
	}
	p.dropTags(m)
	if p.usesHead {
		values := slices.Clone(c.Values[valueParts : valueParts+len(p.list.Parts)])
		values[p.tagPart] = ""
		c.Values[valueHead] = p.list.write(values) + p.list.Sep
	}
	return p.facts(m, c)
}

// placeLists writes the lists of signed headers.
func (p *program) placeLists(m *sealwright.Message, c *sealwright.Claim) error {
	var err error
	for _, r := range p.renderings {
		flat(r, func(s *segment) {
			if s.headers != nil && err == nil {
				err = s.headers.place(p, m, c)
			}
		})
	}
	return err
}

// dropTags removes tags of an earlier signature from other places than the one
// that is written.
func (p *program) dropTags(m *sealwright.Message) {
	for i, s := range p.tags {
		switch {
		case s.kind == kHeader && i > 0:
			delete(m.Header, s.arg)
		case s.kind == kFamily:
			for n := 2; n <= sealwright.MaxTags; n++ {
				delete(m.Header, s.arg+strconv.Itoa(n))
			}
		}
	}
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
	if p.tag.Owner != "" {
		if f.KeyID == "" {
			return sealwright.Refusef(sealwright.ErrConfig, "scheme %s carries a key ID with the tag: give the key one", p.id)
		}
		c.Values[valueKeyID] = f.KeyID
	}
	if v := p.keyID; v != nil {
		if f.KeyID == "" && !v.optional && !p.has(v.source, m, c) {
			return sealwright.Refusef(sealwright.ErrConfig, "scheme %s carries a key ID in %s: give the key one", p.id, p.place(v.source))
		}
		if f.KeyID != "" {
			if err := p.putValue(v, m, c, f.KeyID); err != nil {
				return err
			}
		}
	}
	if v := p.nonce; v != nil && !v.optional && !p.has(v.source, m, c) {
		nonce := f.Nonce
		if v.digits { // which has to grow
			nonce = strconv.FormatInt(f.Now.UnixMicro(), 10)
		}
		if err := p.putValue(v, m, c, nonce); err != nil {
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
	t := p.signedTime()
	if t == nil {
		return nil
	}
	from := p.where(t.value, m, c)
	if t.optional && len(p.times) == 1 && !p.has(*from, m, c) {
		return nil
	}
	clock := t.clock
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
	return p.put(*from, m, c, clock.text(now), clock.format.json)
}

// signedTime returns the place of the time that a signer writes: the first that
// the covered bytes can hold. It is nil if the scheme has no time.
func (p *program) signedTime() *timed {
	for i := range p.times {
		if p.alwaysCovers(p.times[i].source) {
			return &p.times[i]
		}
	}
	if len(p.times) == 0 {
		return nil
	}
	return &p.times[0]
}

// putValue writes text to the place of v, encoded as v is.
func (p *program) putValue(v *value, m *sealwright.Message, c *sealwright.Claim, text string) error {
	if v.decode {
		text = escape(escapePercent, text)
	}
	return p.put(v.source, m, c, text, false)
}

func (p *program) has(s source, m *sealwright.Message, c *sealwright.Claim) bool {
	text, ok, err := p.get(&s, m, c)
	return ok && text != "" && err == nil
}

// Attach implements [sealwright.SigningScheme].
func (p *program) Attach(m *sealwright.Message, c *sealwright.Claim, tag []byte) error {
	if p.response != nil && m.Status != 0 {
		return p.response.Attach(m, c, tag)
	}
	text := p.tagEnc.EncodeToString(tag)
	if p.tag.Text == "hex" {
		text = p.tagEnc.EncodeToString([]byte(canon.Hex.EncodeToString(tag)))
	}
	text = p.tag.Prefix + escape(p.tag.Escape, text)
	if p.tag.Owner != "" {
		text = c.Values[valueKeyID] + p.tag.Owner + text
	}
	if p.tagPart < 0 {
		return p.put(p.tags[0], m, c, text, false)
	}
	c.Values[valueParts+p.tagPart] = text
	list := p.list.write(c.Values[valueParts : valueParts+len(p.list.Parts)])
	if err := p.checkList(c, list); err != nil {
		return err
	}
	return p.putList(m, c, list)
}

// checkList reads what putList will write: a key ID, a nonce or a parameter that
// holds a separator of the list must not become another part.
func (p *program) checkList(c *sealwright.Claim, text string) error {
	bad := sealwright.Refusef(sealwright.ErrConfig, "%s: a value holds a separator of the list", p.list.From)
	err := p.list.read(text, func(part int, value string) error {
		want := c.Values[valueParts+part]
		if value != want && !(p.list.Parts[part].Repeat && slices.Contains(strings.Split(want, "\n"), value)) {
			return bad
		}
		return nil
	})
	if err != nil {
		return bad
	}
	return nil
}

// putList writes the list to the place where the message has one, else to the
// first.
func (p *program) putList(m *sealwright.Message, c *sealwright.Claim, text string) error {
	at, _, _, err := p.listAt(m, c)
	if err != nil {
		return err
	}
	prefix := p.places[at].prefix
	text = strings.TrimPrefix(text, p.list.Prefix)
	if p.list.encoding != 0 {
		text = p.list.encoding.EncodeToString([]byte(text))
	}
	return p.put(p.places[at].source, m, c, escape(p.list.Escape, prefix+text), false)
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
	if s.request {
		if !p.has(s, m, c) {
			return sealwright.Refusef(sealwright.ErrMalformed, "%s %v", s, errAbsent)
		}
		return nil // it is what it is
	}
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
		query, err := putField(m.Query(), s.arg, text)
		if err != nil {
			return err
		}
		m.Target = m.Path() + "?" + query
	case kForm:
		return putForm(m, s.arg, text)
	case kJSON:
		return p.putJSON(m, s.arg, text, number)
	case kEither:
		if _, _, found, err := canon.JSONValue(p.jsonDocument(m), jsonPointer(s.arg)); err == nil && found {
			return p.putJSON(m, jsonPointer(s.arg), text, number)
		}
		m.Header[canon.HeaderName(s.arg)] = []string{text}
	case kLiteral: // a constant of the definition
	default:
		return putRare(s, m, text)
	}
	return nil
}

// putRare is put for the places that few schemes have.
func putRare(s source, m *sealwright.Message, text string) error {
	switch s.kind {
	case kFamily:
		m.Header[s.arg+"1"] = []string{text}
	case kLine:
		m.Body = canon.PutLine(m.Body, s.arg, text)
	case kXML:
		body, err := canon.PutXML(m.Body, s.arg, text)
		if err != nil {
			return sealwright.Refusef(sealwright.ErrMalformed, "body: %v", err)
		}
		m.Body = body
	case kSegment:
		_, segment, tail, ok := cutPath(m.Path(), s.part)
		if !ok {
			return sealwright.Refusef(sealwright.ErrMalformed, "path has no segment %d", s.part)
		}
		before := m.Target[:len(m.Path())-len(tail)-len(segment)]
		m.Target = before + text + m.Target[len(before)+len(segment):]
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
// else at the end. All other bytes stay. A name that stands twice is refused, as
// it would be when reading.
func putField(raw, name, value string) (string, error) {
	pair := string(canon.AppendPercent(nil, name, canon.Unreserved)) + "=" +
		string(canon.AppendPercent(nil, value, valueChars))
	before, after, found := cutField(raw, name)
	if !found {
		if raw != "" {
			pair = raw + "&" + pair
		}
		return pair, nil
	}
	if _, _, twice := cutField(after, name); twice {
		return "", sealwright.Refusef(sealwright.ErrMalformed, "%s stands more than once", name)
	}
	return before + pair + after, nil
}

// putJSON sets the scalar at pointer in the message's document.
func (p *program) putJSON(m *sealwright.Message, pointer, text string, number bool) error {
	doc, err := setJSON(p.jsonDocument(m), pointer, text, number)
	if err != nil {
		return err
	}
	if p.document != "" && (isForm(m) || isMultipart(m)) {
		return putForm(m, p.document, string(doc))
	}
	m.Body = doc
	return nil
}

// setJSON returns doc with the scalar at pointer set to text, in its place if it
// is there, else as the last member of its object.
func setJSON(doc []byte, pointer, text string, number bool) ([]byte, error) {
	quoted, err := json.Marshal(text)
	if err != nil {
		return nil, sealwright.Refusef(sealwright.ErrConfig, "body at %s: %v", pointer, err)
	}
	raw, at, found, err := canon.JSONValue(doc, pointer)
	if err != nil {
		return nil, sealwright.Refusef(sealwright.ErrMalformed, "body: %v", err)
	}
	if found {
		if number && raw[0] != '"' {
			quoted = []byte(text)
		}
		return slices.Concat(doc[:at], quoted, doc[at+len(raw):]), nil
	}
	if number {
		quoted = []byte(text)
	}
	parent := pointer[:strings.LastIndexByte(pointer, '/')]
	object, at, found, err := canon.JSONValue(doc, parent)
	if err != nil || !found || object[0] != '{' {
		return nil, sealwright.Refusef(sealwright.ErrMalformed, "body has no object at %q for the field %s", parent, pointer)
	}
	token := strings.NewReplacer("~1", "/", "~0", "~").Replace(pointer[len(parent)+1:])
	name, err := json.Marshal(token)
	if err != nil {
		return nil, err
	}
	member := fmt.Appendf(nil, "%s:%s}", name, quoted)
	end := at + len(object) - 1 // of the closing brace
	if strings.TrimSpace(string(object[1:len(object)-1])) != "" {
		member = slices.Concat([]byte(","), member)
	}
	return slices.Concat(doc[:end], member, doc[end+1:]), nil
}

// place writes the constant or the digest that the check demands.
func (ck *check) place(p *program, m *sealwright.Message, c *sealwright.Claim) error {
	if ck.refuse != "" || ck.start != nil || !settable(ck.source) || !holds(ck.conditions, m, c) {
		return nil
	}
	if ck.same != nil {
		return ck.placeSame(p, m, c)
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

// placeSame gives a part of the list that has no value the value of the source
// that it must equal.
func (ck *check) placeSame(p *program, m *sealwright.Message, c *sealwright.Claim) error {
	if ck.source.kind != kPart || ck.begins || p.has(ck.source, m, c) {
		return nil
	}
	text, _, err := p.get(ck.same, m, c)
	if err != nil {
		return err
	}
	return p.put(ck.source, m, c, text, false)
}
