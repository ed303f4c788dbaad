package doctor

import (
	"bytes"
	"errors"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/scheme"
)

// lookAtParts varies the parts of a scheme that is data: the text of the
// signature, the secret, the body, the URL, the headers and the time, the
// signed string, and the computation. It answers if a single change explains the
// value; more are left to lookAtPairs.
func (s *search) lookAtParts() (Diagnosis, bool) {
	probe, err := s.in.Definition.Probe(s.params())
	if err != nil {
		return Diagnosis{}, false
	}
	p := &parts{search: s, probe: probe, seed: maphash.MakeSeed(), known: map[uint64]bool{}}
	p.message = s.in.Message
	if _, ok := s.in.Definition.Params["public_url"]; ok {
		p.useURL()
	}
	p.findTags()
	if len(p.tags) == 0 && len(p.bare) == 0 {
		return Diagnosis{}, false
	}
	if p.keys = guesses(s.in.Secrets, p.probe); len(p.keys) == 0 {
		return Diagnosis{}, false
	}
	s.parts = p
	p.base()
	p.singles()
	if p.best != nil && len(p.best.faults) > 1 {
		return Diagnosis{}, false
	}
	return p.answer()
}

// lookAtPairs goes on with two changes at once.
func (s *search) lookAtPairs() (Diagnosis, bool) {
	if s.parts == nil {
		return Diagnosis{}, false
	}
	if s.parts.best == nil {
		s.parts.pairs()
	}
	return s.parts.answer()
}

// parts is a search over the parts of a scheme.
type parts struct {
	*search
	probe   *scheme.Probe
	message sealwright.Message // with the configured URL in place of the received one
	reading scheme.Reading

	tags  []observation
	extra []fault // the signature stands in another header
	sizes map[int]bool
	bare  map[string]bool // texts of signatures of an unusual length

	keys    []guess
	strings []signed // signed strings, the scheme's own first
	own     int      // how many strings are the scheme's own

	signsURL bool // another URL makes another string
	room     int  // bytes of strings that may still be kept
	known    map[uint64]bool
	seed     maphash.Seed
	best     *match

	bodies   []change
	urls     []address
	rewrites []rewrite
	forms    []form
	sums     []construction
}

// signed is one hypothesis about the signed string.
type signed struct {
	bytes  []byte
	faults []fault
	weight int
	danger bool
}

// match is a hypothesis that reproduces a received value.
type match struct {
	faults []fault
	weight int
	danger bool
	name   string
	bytes  []byte
}

// useURL puts the configured public URL into the message, so that its parts can
// be varied like those of any other.
func (p *parts) useURL() {
	params := p.params()
	configured := params.Get("public_url")
	if configured == "" {
		return
	}
	scheme, host, target, err := sealwright.SplitURL(configured)
	if err != nil {
		return
	}
	if !strings.Contains(target, "?") && p.message.Query() != "" {
		target += "?" + p.message.Query()
	}
	delete(params, "public_url")
	if probe, err := p.in.Definition.Probe(params); err == nil {
		p.probe = probe
		p.message.Scheme, p.message.Host, p.message.Target = scheme, host, target
	}
}

// write returns the signed strings of m under a probe.
func (p *parts) write(probe *scheme.Probe, m *sealwright.Message, r scheme.Reading) [][]byte {
	var out [][]byte
	for n := range probe.Renderings() {
		var b bytes.Buffer
		if err := probe.Write(&b, m, r, n, p.in.Secrets[0].Bytes); err == nil {
			out = append(out, b.Bytes())
		}
	}
	return out
}

// base tries the scheme's own signed string with every secret and every
// computation.
func (p *parts) base() {
	for _, b := range p.write(p.probe, &p.message, p.reading) {
		if h := maphash.Bytes(p.seed, b); !p.known[h] {
			p.known[h] = true
			p.strings = append(p.strings, signed{bytes: b})
		}
	}
	p.own = len(p.strings)
	p.sums = constructions(p.probe.Algorithm(), p.sizes)
	for i := range p.strings {
		for k := range p.keys {
			p.tryKey(&p.strings[i], k)
		}
		for c := range p.sums {
			p.trySum(&p.strings[i], &p.keys[0], &p.sums[c])
		}
		p.appended(&p.strings[i])
	}
}

// key returns the MAC key of a guess.
func (p *parts) key(g *guess) *mac.Key {
	if !g.made {
		g.made = true
		if material, err := p.probe.Derive(g.decoded, p.reading); err == nil {
			g.material = material
			g.mac, _ = mac.NewPinned(p.probe.Algorithm(), material)
		}
	}
	return g.mac
}

func (p *parts) tryKey(s *signed, k int) { p.tryGuess(s, &p.keys[k]) }

func (p *parts) tryGuess(s *signed, g *guess) {
	key := p.key(g)
	if key == nil || !p.more() {
		return
	}
	var space [mac.MaxSize]byte
	if sum, err := key.Sum(space[:0], s.bytes); err == nil {
		p.compare(sum, s, g.name, g.weight, g.danger, g.faults, fault{})
	}
}

func (p *parts) trySum(s *signed, g *guess, c *construction) {
	if !p.more() {
		return
	}
	key := g.decoded.Expose()
	if p.key(g) != nil {
		key = g.material.Expose()
	}
	p.compare(c.sum(key, g.text.Expose(), s.bytes), s, g.name, g.weight+c.weight, g.danger || c.danger, g.faults, fault{c.cause, c.text})
}

// compare looks for the value among the received ones and keeps the best match.
func (p *parts) compare(sum []byte, s *signed, name string, weight int, danger bool, key []fault, construction fault) {
	if len(sum) == 0 {
		return
	}
	match := func(text []fault, last fault) {
		p.keep(&match{faults: slices.Concat(key, joinFaults(construction), s.faults, p.extra, text, joinFaults(last)), weight: weight + s.weight,
			danger: danger || s.danger, name: name, bytes: s.bytes})
	}
	for _, o := range p.tags {
		switch {
		case bytes.Equal(o.bytes, sum):
			match(o.faults, fault{})
		case len(o.bytes) < len(sum) && len(o.bytes) >= mac.MinTruncated && bytes.HasPrefix(sum, o.bytes):
			match(o.faults, fault{"sig.truncated", "only the first bytes of the signature arrived"})
		}
	}
	if len(p.bare) > 0 {
		if f, ok := rewrittenTag(sum, p.bare); ok {
			match(nil, f)
		}
	}
}

// keep keeps the match with the fewest faults, and of those the lightest.
func (p *parts) keep(m *match) {
	if p.best == nil || len(m.faults) < len(p.best.faults) || len(m.faults) == len(p.best.faults) && m.weight < p.best.weight {
		p.best = m
	}
}

// appended finds sum functions that were given the message: the value is the
// message followed by the sum of nothing.
func (p *parts) appended(s *signed) {
	type end struct {
		sum  []byte
		name string
	}
	var ends []end
	for k := range p.keys {
		if key := p.key(&p.keys[k]); key != nil {
			if sum, err := key.Sum(nil); err == nil {
				ends = append(ends, end{sum, p.keys[k].name})
			}
		}
	}
	for _, h := range hashes {
		ends = append(ends, end{h.sum(nil), ""})
	}
	for _, text := range p.reading.Tags {
		for _, e := range []canon.Encoding{canon.HexAny, canon.Base64} {
			raw, err := e.DecodeString(strings.TrimPrefix(text, p.probe.Format().Tag.Prefix))
			if err != nil || !bytes.HasPrefix(raw, s.bytes) {
				continue
			}
			for _, x := range ends {
				if p.more() && bytes.Equal(raw[len(s.bytes):], x.sum) {
					p.keep(&match{faults: []fault{{"alg.not_hmac", "gave the message to the function that returns the sum: the value is the message followed by the sum of nothing"}},
						danger: true, name: x.name, bytes: s.bytes})
				}
			}
		}
	}
}

// edit is one change of the message, without its body's weight.
type edit struct {
	body    *change
	url     *address
	rewrite *rewrite
	form    *form
}

// apply returns the signed strings of the message with the changes.
func (p *parts) apply(e edit) []signed {
	m, r, probe := p.message, p.reading, p.probe
	var out signed
	note := func(cause, text string, weight int, danger bool) {
		out.faults = append(out.faults, fault{cause, text})
		out.weight += weight
		out.danger = out.danger || danger
	}
	if e.body != nil {
		m.Body = e.body.body
		note(e.body.cause, e.body.text, e.body.weight, e.body.danger)
	}
	if e.url != nil {
		m.Scheme, m.Host, m.Target = e.url.scheme, e.url.host, e.url.target
		note(e.url.cause, e.url.text, e.url.weight, false)
		if e.url.also.cause != "" {
			note(e.url.also.cause, e.url.also.text, 0, false)
		}
	}
	if e.form != nil {
		probe = e.form.probe
		note(e.form.cause, e.form.text, e.form.weight, e.form.danger)
	}
	if w := e.rewrite; w != nil {
		m = withHeader(m)
		if w.header != "" {
			m.Header[w.header] = []string{w.value}
		}
		note(w.cause, w.text, w.weight, false)
	}
	if e.url != nil || e.rewrite != nil || (e.body != nil && p.readsBody()) {
		r = p.probe.Read(&m)
	}
	if w := e.rewrite; w != nil && w.header == "" {
		probe.SetTime(r, &m, w.value)
	}
	var list []signed
	for _, b := range p.write(probe, &m, r) {
		s := out
		s.bytes = b
		list = append(list, s)
	}
	if e.url != nil && e.url.scheme == "" { // the URL template wrote ://
		for i := range list {
			list[i].bytes = bytes.Replace(list[i].bytes, []byte("https://"), nil, 1)
		}
	}
	return list
}

// readsBody reports whether time, nonce or key ID stand in the body.
func (p *parts) readsBody() bool {
	f := p.probe.Format()
	return f.Time != nil && strings.HasPrefix(f.Time.From, "json:") || f.Nonce != nil && strings.HasPrefix(f.Nonce.From, "json:")
}

// singles tries single changes of the signed string, of the body first, until
// one explains the value. What is of no use is never made.
func (p *parts) singles() {
	p.room = p.in.MaxMemory / 2
	for _, stage := range []func(){p.bodySingles, p.urlSingles, p.headerSingles, p.formSingles, p.texts} {
		if p.best != nil || p.done() {
			return
		}
		stage()
	}
}

func (p *parts) bodySingles() {
	p.bodies = bodies(p.message.Body, p.search.header("Content-Type"), p.in.MaxMemory/2)
	for i := range p.bodies {
		p.single(edit{body: &p.bodies[i]})
	}
}

func (p *parts) urlSingles() {
	p.urls = addresses(&p.message, &p.in.Message, p.in.PublicURL, p.in.KnownHosts)
	before := len(p.known)
	for i := range p.urls {
		p.single(edit{url: &p.urls[i]})
	}
	p.signsURL = len(p.known) > before
}

func (p *parts) headerSingles() {
	p.rewrites = rewritten(p.probe, &p.message, p.reading)
	for i := range p.rewrites {
		p.single(edit{rewrite: &p.rewrites[i]})
	}
}

func (p *parts) formSingles() {
	p.forms = forms(p.probe, &p.message)
	for i := range p.forms {
		p.single(edit{form: &p.forms[i]})
	}
}

// single tries the strings of an edit with the configured secret, and keeps
// those that are new for pairs with other secrets.
func (p *parts) single(e edit) {
	if p.done() {
		return
	}
	for _, s := range p.apply(e) {
		p.keepString(s)
	}
}

func (p *parts) keepString(s signed) {
	h := maphash.Bytes(p.seed, s.bytes)
	if p.known[h] {
		return
	}
	p.known[h] = true
	p.try(&s)
	if p.room -= len(s.bytes); p.room > 0 {
		p.strings = append(p.strings, s)
	}
}

// try computes the MAC of a string with the configured secret.
func (p *parts) try(s *signed) {
	for k := range p.keys {
		if len(p.keys[k].faults) > 0 {
			return // sorted: the configured secret comes first
		}
		p.tryKey(s, k)
	}
}

// texts tries changes of the signed string as a whole.
func (p *parts) texts() {
	for _, own := range slices.Clone(p.strings[:p.own]) {
		for _, t := range wholeTexts(own.bytes) {
			p.keepString(signed{bytes: t.body, faults: []fault{{t.cause, t.text}}, weight: t.weight, danger: t.danger})
		}
	}
}

// maxWeight is the greatest weight of two changes that are tried together.
const maxWeight = 20

// pairs tries two changes at once, those with the smallest weight first.
func (p *parts) pairs() {
	if p.near(); p.best != nil || p.done() {
		return
	}
	for _, c := range compressed(p.message.Body) {
		p.once(edit{body: &c})
	}
	strings := byWeight(p.strings[p.own:], func(s *signed) int { return s.weight })
	keys := byWeight(p.keys, func(g *guess) int {
		if len(g.faults) == 0 {
			return -1
		}
		return g.weight
	})
	sums := byWeight(p.sums, func(c *construction) int { return c.weight })
	bodies := byWeight(p.bodies, func(c *change) int { return c.weight })
	urls := byWeight(p.urls, func(a *address) int { return a.weight })
	forms := byWeight(p.forms, func(f *form) int { return f.weight })
	rewrites := byWeight(p.rewrites, func(r *rewrite) int { return r.weight })
	both := byWeight(combined(&p.message, p.urls), func(a *address) int { return a.weight })
	for w := 2; w <= maxWeight; w++ {
		for _, u := range both[w] {
			p.once(edit{url: u})
		}
		for i := 1; i < w && i < len(strings); i++ {
			each(p, strings[i], keys[w-i], func(s *signed, g *guess) { p.tryGuess(s, g) })
			each(p, strings[i], sums[w-i], func(s *signed, c *construction) { p.trySum(s, &p.keys[0], c) })
			each(p, keys[i], sums[w-i], func(g *guess, c *construction) {
				for j := range p.strings[:p.own] {
					p.trySum(&p.strings[j], g, c)
				}
			})
			each(p, forms[i], bodies[w-i], func(f *form, b *change) { p.once(edit{form: f, body: b}) })
			each(p, rewrites[i], bodies[w-i], func(r *rewrite, b *change) { p.once(edit{rewrite: r, body: b}) })
			each(p, rewrites[i], forms[w-i], func(r *rewrite, f *form) { p.once(edit{rewrite: r, form: f}) })
			if p.signsURL {
				each(p, urls[i], bodies[w-i], func(u *address, b *change) { p.once(edit{url: u, body: b}) })
				each(p, urls[i], forms[w-i], func(u *address, f *form) { p.once(edit{url: u, form: f}) })
			}
		}
		if p.best != nil || p.done() {
			return
		}
	}
}

// byWeight sorts pointers to the elements of a list by weight, which is between
// 1 and maxWeight; others are left out.
func byWeight[T any](list []T, weight func(*T) int) [maxWeight + 1][]*T {
	var out [maxWeight + 1][]*T
	for i := range list {
		if w := weight(&list[i]); w > 0 && w <= maxWeight {
			out[w] = append(out[w], &list[i])
		}
	}
	return out
}

// each calls f with every pair of the lists until the search is over.
func each[A, B any](p *parts, as []*A, bs []*B, f func(*A, *B)) {
	for _, a := range as {
		for _, b := range bs {
			if p.done() {
				return
			}
			f(a, b)
		}
	}
}

// done reports whether the search has reached a bound.
func (p *parts) done() bool { return p.tried >= p.in.MaxHypotheses || p.stopped }

// once tries an edit without keeping its strings.
func (p *parts) once(e edit) {
	if p.done() {
		return
	}
	for _, s := range p.apply(e) {
		p.try(&s)
	}
}

// near tries times that differ little from the one that was sent.
func (p *parts) near() {
	text, _ := p.probe.Time(p.reading)
	if text == "" {
		return
	}
	for _, t := range nearTimes(text) {
		if p.best != nil || p.done() {
			return
		}
		p.once(edit{rewrite: &rewrite{cause: "msg.timestamp_format", text: "signed the time " + t + " and sent " + text, weight: 5, value: t}})
	}
}

// answer turns the best match into a diagnosis.
func (p *parts) answer() (Diagnosis, bool) {
	m := p.best
	if m == nil {
		return Diagnosis{}, false
	}
	if len(m.faults) == 0 {
		return p.goodMAC(m), true
	}
	d := Diagnosis{Verdict: Proven, Cause: m.faults[0].cause, Secret: m.name, Danger: m.danger, Explanation: explain(m.faults, m.danger)}
	if len(m.faults) > 1 {
		d.Cause2 = m.faults[1].cause
	}
	if len(m.faults) > 2 {
		d.Verdict = Evidence
		d.Explanation = "Three changes at once reproduce the value, which is a hint and no proof. " + d.Explanation
	}
	if own := p.strings[0].bytes; !bytes.Equal(own, m.bytes) && !p.secretInString() {
		d.Diff = diff(m.bytes, own)
	}
	if text, _ := p.probe.Time(p.reading); text != "" {
		if fresh, at, err := p.probe.Fresh(text, p.in.Now); err == nil && !fresh {
			d.Explanation += " The time is outside the window, too: it is " + p.in.Now.Sub(at).String() + " old."
			if d.Cause2 == "" {
				d.Cause2 = "time.clock_skew"
			}
		}
	}
	return d, true
}

// secretInString reports whether the scheme signs the secret, so that no signed
// string may be shown.
func (p *parts) secretInString() bool {
	format := p.probe.Format()
	lists := [][]scheme.Segment{format.Message}
	for _, r := range format.Renderings {
		lists = append(lists, r.Message)
	}
	return slices.ContainsFunc(lists, func(list []scheme.Segment) bool {
		return anySegment(list, func(s *scheme.Segment) bool { return strings.Contains(s.Text, "secret") })
	})
}

// goodMAC answers for a message whose tag is right as it stands.
func (p *parts) goodMAC(m *match) Diagnosis {
	text, _ := p.probe.Time(p.reading)
	if text != "" {
		fresh, at, err := p.probe.Fresh(text, p.in.Now)
		if err != nil || !fresh {
			if err != nil && p.probe.Format().Time != nil {
				if unit, ok := wrongUnit(text, at, p.in.Now); ok {
					return Diagnosis{Verdict: Time, Cause: "time.unit", Secret: m.name, Explanation: "The MAC is right, but the time is written in " + unit + "."}
				}
			}
			return p.timeFault(m.name, at, text)
		}
	}
	sch, err := p.in.Definition.New(p.params())
	if err != nil {
		return Diagnosis{Verdict: Unknown, Explanation: err.Error()}
	}
	ring, err := p.ring(sch, p.in.Secrets[0].Bytes)
	if err != nil {
		return Diagnosis{Verdict: Unknown, Explanation: err.Error()}
	}
	v := sealwright.Verifier{Scheme: sch, Ring: ring}
	_, err = v.Verify(p.in.Message, p.in.Now)
	if errors.Is(err, sealwright.ErrDigest) {
		if d, ok := p.digest(&v, m); ok {
			return d
		}
	}
	return Diagnosis{Verdict: Evidence, Cause: causeOf(err), Secret: m.name,
		Explanation: "The MAC is right, but the verifier refuses the message for another reason: " + err.Error() + "."}
}

// causeOf maps the reason of a refusal to the nearest cause.
func causeOf(err error) string {
	switch sealwright.ReasonOf(err) {
	case sealwright.ReasonDigest:
		return "body.json_reserialized"
	case sealwright.ReasonUnknownKey:
		return "secret.wrong_endpoint"
	case sealwright.ReasonMissing:
		return "header.missing"
	}
	return "msg.format"
}

// digest looks for the body that the covered digest stands for.
func (p *parts) digest(v *sealwright.Verifier, m *match) (Diagnosis, bool) {
	if p.bodies == nil {
		p.bodies = bodies(p.message.Body, p.search.header("Content-Type"), p.in.MaxMemory/2)
	}
	for i := range p.bodies {
		b := &p.bodies[i]
		if !p.more() {
			break
		}
		changed := p.in.Message
		changed.Body = b.body
		if _, err := v.Verify(changed, p.in.Now); err == nil {
			f := []fault{{b.cause, b.text}}
			return Diagnosis{Verdict: Proven, Cause: b.cause, Secret: m.name, Danger: b.danger,
				Explanation: explain(f, b.danger) + " The covered digest of the body shows it.", Diff: diff(b.body, p.in.Message.Body)}, true
		}
	}
	return Diagnosis{}, false
}
