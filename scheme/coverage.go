package scheme

import (
	"maps"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// conditional reports whether what is covered depends on the message.
func (p *program) conditional() bool {
	found := len(p.times) > 1 || p.time != nil && (p.time.optional || len(p.time.also) > 0)
	for _, r := range p.renderings {
		flat(r, func(s *segment) {
			found = found || len(s.conditions) > 0 || s.headers != nil ||
				s.fields != nil && (s.fields.Repeat == "first" || s.fields.open() || slices.Contains(s.fields.From, "form")) ||
				slices.ContainsFunc(s.pieces, func(pc piece) bool { return pc.first > 0 || pc.decodes() })
		})
	}
	return found || slices.ContainsFunc(p.checks, func(c check) bool { return c.digest != nil && (len(c.conditions) > 0 || c.optional) })
}

// coverage returns what every rendering of m covers.
func (p *program) coverage(m *sealwright.Message, c *sealwright.Claim) sealwright.Coverage {
	return p.common(&covering{m: m, c: c})
}

// best returns what every rendering can cover at its best, whatever the message.
func (p *program) best() sealwright.Coverage { return p.common(atBest()) }

func atBest() *covering {
	return &covering{m: &sealwright.Message{}, c: &sealwright.Claim{}, best: true}
}

// common returns what all renderings cover of what from has.
func (p *program) common(from *covering) sealwright.Coverage {
	var all sealwright.Coverage
	for i, r := range p.renderings {
		cov := p.coverageOf(r, from)
		if i == 0 {
			all = cov.Coverage
			continue
		}
		all = intersect(all, cov.Coverage)
	}
	return all
}

func intersect(a, b sealwright.Coverage) sealwright.Coverage {
	both := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
	}
	return sealwright.Coverage{
		Method: a.Method && b.Method, Path: a.Path && b.Path, Query: a.Query && b.Query, Host: a.Host && b.Host,
		Body: a.Body && b.Body, Time: a.Time && b.Time, KeyID: a.KeyID && b.KeyID,
		Headers: both(a.Headers, b.Headers), Fields: both(a.Fields, b.Fields),
	}
}

// covering collects what the segments of one rendering cover of a message.
type covering struct {
	sealwright.Coverage
	m       *sealwright.Message
	c       *sealwright.Claim
	best    bool     // no message: what can be covered
	sources []source // covered values that Coverage has no name for

	query, body bool // each field is covered, but borders between them can move
}

// coverageOf returns what the segments cover of the message that from has.
func (p *program) coverageOf(list []segment, from *covering) *covering {
	m, c := from.m, from.c
	cov := &covering{m: m, c: c, best: from.best}
	cov.segments(p, list)
	p.key.pieces(func(pc *piece) { cov.piece(p, pc) })
	for i := range p.checks {
		cov.check(p, &p.checks[i])
	}
	for _, t := range p.times {
		at := *p.where(t.value, m, c)
		if cov.covered(p, at) && (cov.best || !t.optional || p.has(at, m, c)) {
			cov.Time = true
		}
	}
	if p.keyID != nil && cov.covered(p, p.keyID.source) {
		cov.KeyID = true
	}
	if !cov.best && !cov.Body && len(m.Body) == 0 {
		cov.Body = p.bodyWouldShow(list, m, c)
	}
	return cov
}

func (cov *covering) segments(p *program, list []segment) {
	for i := range list {
		s := &list[i]
		if !cov.best && !holds(s.conditions, cov.m, cov.c) {
			continue
		}
		for j := range s.pieces {
			cov.piece(p, &s.pieces[j])
		}
		if s.fields != nil {
			cov.fields(p, s.fields)
		}
		if s.headers != nil {
			s.headers.cover(p, cov)
		}
		cov.segments(p, s.group)
	}
}

// check adds what a check binds to a covered value: the body by its digest, or
// another place of the same value.
func (cov *covering) check(p *program, ck *check) {
	if !cov.covered(p, ck.source) {
		return
	}
	if ck.same != nil && len(ck.conditions) == 0 && !ck.begins {
		cov.source(p, *ck.same) // it cannot change without the covered value
	}
	if ck.digest == nil {
		return
	}
	if cov.best || (holds(ck.conditions, cov.m, cov.c) && (!ck.optional || p.has(ck.source, cov.m, cov.c))) {
		cov.Body = true
	}
}

// bodyWouldShow reports whether adding a body, of whatever type, to a message
// without one would be noticed.
func (p *program) bodyWouldShow(list []segment, m *sealwright.Message, c *sealwright.Claim) bool {
	with := *m
	with.Body = []byte("a=b")
	with.Header = maps.Clone(m.Header)
	if with.Header == nil {
		with.Header = map[string][]string{}
	}
	for _, ct := range []string{"application/x-www-form-urlencoded", "application/octet-stream"} {
		with.Header["Content-Type"] = []string{ct}
		cov := &covering{m: &with, c: c}
		cov.segments(p, list)
		if !cov.Body && !slices.ContainsFunc(p.checks, func(ck check) bool {
			return (ck.refuse != "" || ck.digest != nil && !ck.optional && cov.covered(p, ck.source)) && holds(ck.conditions, &with, c)
		}) {
			return false
		}
	}
	return true
}

// alwaysCovers reports whether every rendering can cover the value at s.
func (p *program) alwaysCovers(s source) bool {
	return !slices.ContainsFunc(p.renderings, func(r []segment) bool {
		return !p.coverageOf(r, atBest()).covered(p, s)
	})
}

// piece adds what a piece of a template covers.
func (cov *covering) piece(p *program, pc *piece) {
	if pc.first > 0 && !cov.best && (pc.source.kind == kBody && len(cov.m.Body) >= pc.first || pc.source.kind != kBody) {
		return // only its beginning counts, and a body of that length may be the beginning of a longer one
	}
	if !cov.best && pc.decodes() && pc.moves(p, cov.m, cov.c) {
		cov.query = cov.query || pc.source.kind != kPath && pc.source.kind != kPathTail
		return
	}
	cov.source(p, pc.source)
}

// decodes reports whether the piece is a part of the target whose
// percent-encoding is undone.
func (pc *piece) decodes() bool {
	return slices.Contains([]kind{kPath, kPathTail, kQuery, kQueryWithout, kQueryBefore, kTarget, kURL}, pc.source.kind) &&
		slices.ContainsFunc(pc.names, func(name string) bool { return strings.HasPrefix(name, "decode") })
}

// moves reports whether a separator of the target comes out of the decoding, so
// that the same bytes are signed for a target with other borders.
func (pc *piece) moves(p *program, m *sealwright.Message, c *sealwright.Claim) bool {
	raw, _, err := p.get(&pc.source, m, c)
	if err != nil {
		return true
	}
	text, err := canon.Unescape(raw, false)
	return err != nil || slices.ContainsFunc([]string{"/", "?", "&", "=", "#"}, func(border string) bool {
		return strings.Count(raw, border) != strings.Count(text, border)
	})
}

// source adds what a source in the message covers.
func (cov *covering) source(p *program, s source) {
	received := p.public == nil
	if s.request {
		cov.sources = append(cov.sources, s)
		return
	}
	switch s.kind {
	case kMethod:
		cov.Method = true
	case kHost, kHostname, kHostport:
		cov.Host = cov.Host || received
	case kPath, kPathTail:
		cov.Path = cov.Path || received
	case kQuery, kQueryWithout, kQueryBefore:
		cov.Query = cov.Query || received
	case kTarget:
		cov.Path, cov.Query = cov.Path || received, cov.Query || received
	case kURL:
		cov.Host, cov.Path, cov.Query = cov.Host || received, cov.Path || received, cov.Query || received
	case kBody, kBodyWithout, kContent:
		cov.Body = true
	case kTime, kUnix:
		cov.value(p, p.time)
	case kNonce:
		cov.value(p, p.nonce)
	case kKeyID:
		cov.value(p, p.keyID)
		cov.KeyID = true
	case kPart:
		cov.part(p, s)
	case kHead:
		for i := range p.list.Parts {
			if i != p.tagPart {
				cov.part(p, source{kind: kPart, arg: p.list.Parts[i].Name, part: valueParts + i})
			}
		}
	case kHeader:
		if s.arg == "Host" {
			cov.Host = true
			return
		}
		cov.Headers = addOnce(cov.Headers, s.arg)
	case kQueryParam, kForm, kJSON, kEither, kArg, kXML, kLine:
		cov.Fields = addOnce(cov.Fields, s.arg)
	}
}

// value adds the place of a time, nonce or key ID that is in the message.
func (cov *covering) value(p *program, v *value) {
	if v != nil {
		cov.source(p, *p.where(v, cov.m, cov.c))
	}
}

func (cov *covering) part(p *program, s source) {
	cov.sources = append(cov.sources, s)
	cov.KeyID = cov.KeyID || (p.keyID != nil && p.keyID.source == s)
	if p.payload != nil && p.payload.source == s {
		cov.source(p, p.listFrom)
	}
}

// covered reports whether the value at s is part of what cov covers.
func (cov *covering) covered(p *program, s source) bool {
	if s.request {
		return slices.Contains(cov.sources, s)
	}
	switch s.kind {
	case kHeader:
		return slices.Contains(cov.Headers, s.arg) || s.arg == "Host" && cov.Host
	case kQueryParam:
		return cov.Query || cov.query || slices.Contains(cov.Fields, s.arg) || (p.public != nil && p.signsURL())
	case kForm, kJSON, kEither, kXML, kLine:
		return cov.Body || cov.body || slices.Contains(cov.Fields, s.arg)
	case kArg:
		return slices.Contains(cov.Fields, s.arg) || cov.argument(p, s)
	case kPayload:
		return cov.covered(p, p.payload.source)
	case kPart:
		if p.payload != nil && p.payload.source == s {
			return cov.covered(p, p.listFrom)
		}
		return slices.Contains(cov.sources, s)
	}
	return false
}

// argument reports whether the part of the message that holds the argument s
// is covered as a whole.
func (cov *covering) argument(p *program, s source) bool {
	inQuery := p.has(source{kind: kQueryParam, arg: s.arg}, cov.m, cov.c)
	query, body := cov.Query || cov.query, cov.Body || cov.body
	return (query && body) || !cov.best && (inQuery && query || !inQuery && body)
}

// signsURL reports whether the query of the request is signed in spite of a
// configured URL, because that has no query of its own.
func (p *program) signsURL() bool {
	if p.public.Query() != "" {
		return false
	}
	found := false
	for _, r := range p.renderings {
		flat(r, func(s *segment) {
			found = found || slices.ContainsFunc(s.pieces, func(pc piece) bool {
				return slices.Contains([]kind{kURL, kTarget, kQuery, kQueryWithout, kQueryBefore}, pc.source.kind)
			})
		})
	}
	return found
}

func (cov *covering) fields(p *program, f *fields) {
	if f.Write == "names" || !cov.best && f.repeats(p, cov.m, cov.c) {
		return
	}
	query, body := &cov.Query, &cov.Body
	if !cov.best && f.open() && f.moves(p, cov.m, cov.c) {
		query, body = &cov.query, &cov.body
	}
	for _, from := range f.From {
		switch {
		case from == "query":
			*query = *query || p.public == nil
		case from == "form" && (cov.best || isForm(cov.m)), from == "xml", from == "lines":
			*body = true
		}
	}
	for _, a := range f.add {
		for i := range a.value {
			cov.piece(p, &a.value[i])
		}
	}
}

func addOnce(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
