package scheme

import (
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// conditional reports whether what is covered depends on the message.
func (p *program) conditional() bool {
	for _, r := range p.renderings {
		for i := range r {
			if s := &r[i]; len(s.conditions) > 0 || s.headers != nil || (s.fields != nil && s.fields.Repeat == "first") {
				return true
			}
		}
	}
	if p.time != nil && (p.time.optional || len(p.time.also) > 0) {
		return true
	}
	return slices.ContainsFunc(p.checks, func(c check) bool { return c.digest != nil && (len(c.conditions) > 0 || c.optional) })
}

// coverage returns what every rendering of m covers. For a message of no
// method it says what the scheme can cover at its best.
func (p *program) coverage(m *sealwright.Message, c *sealwright.Claim) sealwright.Coverage {
	var all sealwright.Coverage
	for i, r := range p.renderings {
		cov := p.coverageOf(r, m, c)
		if i == 0 {
			all = cov
			continue
		}
		all = intersect(all, cov)
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

func (p *program) coverageOf(list []segment, m *sealwright.Message, c *sealwright.Claim) sealwright.Coverage {
	var cov sealwright.Coverage
	best := m.Method == "" && m.Status == 0
	for i := range list {
		s := &list[i]
		if !best && !holds(s.conditions, m, c) {
			continue
		}
		for j := range s.pieces {
			p.cover(&cov, s.pieces[j].source)
		}
		if s.fields != nil {
			p.coverFields(&cov, s.fields, m, best)
		}
		if s.headers != nil {
			p.coverHeaders(&cov, s.headers, m, c, best)
		}
	}
	for i := range p.checks {
		ck := &p.checks[i]
		if !p.covered(&cov, ck.source) {
			continue
		}
		if ck.same != nil && len(ck.conditions) == 0 && !ck.begins {
			p.cover(&cov, *ck.same) // it cannot change without the covered value
		}
		if ck.digest == nil {
			continue
		}
		if best || (holds(ck.conditions, m, c) && (!ck.optional || p.present(ck, m, c))) {
			cov.Body = true
		}
	}
	if p.time != nil && p.covered(&cov, *p.where(p.time, m, c)) {
		cov.Time = best || !p.time.optional || c.Values[valueTime] != ""
	}
	if p.keyID != nil && p.covered(&cov, p.keyID.source) {
		cov.KeyID = true
	}
	if !best && len(m.Body) == 0 && p.bodyWouldShow() {
		cov.Body = true
	}
	return cov
}

// bodyWouldShow reports whether adding a body to a message without one would
// be noticed: a required digest exists for every kind of body.
func (p *program) bodyWouldShow() bool {
	return slices.ContainsFunc(p.checks, func(c check) bool { return c.digest != nil && !c.optional })
}

func (p *program) present(ck *check, m *sealwright.Message, c *sealwright.Claim) bool {
	_, ok, err := p.get(&ck.source, m, c)
	return ok && err == nil
}

// cover adds what a source in the message covers.
func (p *program) cover(cov *sealwright.Coverage, s source) {
	received := p.public == nil
	switch s.kind {
	case kMethod:
		cov.Method = true
	case kHost, kHostname, kHostport:
		cov.Host = cov.Host || received
	case kPath:
		cov.Path = cov.Path || received
	case kQuery, kQueryWithout, kQueryBefore:
		cov.Query = cov.Query || received
	case kTarget:
		cov.Path, cov.Query = cov.Path || received, cov.Query || received
	case kURL:
		cov.Host, cov.Path, cov.Query = cov.Host || received, cov.Path || received, cov.Query || received
	case kBody, kBodyWithout:
		cov.Body = true
	case kTime:
		if p.time != nil {
			cov.Time = true
			if len(p.time.also) == 0 {
				p.cover(cov, p.time.source)
			}
		}
	case kNonce:
		if p.nonce != nil {
			p.cover(cov, p.nonce.source)
		}
	case kKeyID:
		cov.KeyID = true
	case kPart:
		cov.Time = cov.Time || (p.time != nil && p.time.source == s)
		cov.KeyID = cov.KeyID || (p.keyID != nil && p.keyID.source == s)
		if p.payload != nil && p.payload.source == s {
			p.cover(cov, p.listFrom)
		}
	case kHeader:
		if s.arg == "Host" {
			cov.Host = true
			return
		}
		cov.Headers = addOnce(cov.Headers, s.arg)
	case kQueryParam, kForm, kJSON, kEither, kArg:
		cov.Fields = addOnce(cov.Fields, s.arg)
	}
}

// covered reports whether the value at s is part of what cov covers.
func (p *program) covered(cov *sealwright.Coverage, s source) bool {
	switch s.kind {
	case kHeader:
		return slices.Contains(cov.Headers, s.arg)
	case kQueryParam:
		return cov.Query || slices.Contains(cov.Fields, s.arg) || (p.public != nil && p.signsURL())
	case kForm, kJSON, kEither:
		return cov.Body || slices.Contains(cov.Fields, s.arg)
	case kArg:
		return (cov.Query && cov.Body) || slices.Contains(cov.Fields, s.arg)
	case kPayload:
		return p.covered(cov, p.payload.source)
	case kPart:
		if p.payload != nil && p.payload.source == s {
			return p.covered(cov, p.listFrom)
		}
		return (p.time != nil && p.time.source == s && cov.Time) || (p.keyID != nil && p.keyID.source == s && cov.KeyID)
	}
	return false
}

// signsURL reports whether the query of the request is signed in spite of a
// configured URL, because that has no query of its own.
func (p *program) signsURL() bool {
	for _, r := range p.renderings {
		for i := range r {
			for _, pc := range r[i].pieces {
				if k := pc.source.kind; (k == kURL || k == kTarget || k == kQuery || k == kQueryWithout || k == kQueryBefore) && p.public.Query() == "" {
					return true
				}
			}
		}
	}
	return false
}

func (p *program) coverFields(cov *sealwright.Coverage, f *fields, m *sealwright.Message, best bool) {
	if !best && f.repeats(p, m) {
		return
	}
	if slices.Contains(f.From, "query") {
		cov.Query = cov.Query || p.public == nil
	}
	if slices.Contains(f.From, "form") && (best || isForm(m)) {
		cov.Body = true
	}
}

func (p *program) coverHeaders(cov *sealwright.Coverage, h *headers, m *sealwright.Message, c *sealwright.Claim, best bool) {
	names := h.Require
	if !best {
		var err error
		if names, err = h.names(p, m, c); err != nil {
			return
		}
	}
	for _, n := range names {
		n, _, _ = strings.Cut(n, "|")
		if t, ok := h.derived[n]; ok {
			for i := range t {
				p.cover(cov, t[i].source)
			}
			continue
		}
		p.cover(cov, source{kind: kHeader, arg: canon.HeaderName(n)})
	}
}

func addOnce(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
