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
// signed string, and the computation. Single changes come first, then pairs.
func (s *search) lookAtParts() (Diagnosis, bool) {
	probe, err := s.in.Definition.Probe(s.params())
	if err != nil {
		return Diagnosis{}, false
	}
	p := &parts{search: s, probe: probe, seed: maphash.MakeSeed(), known: map[uint64]bool{}, macs: map[macKey]*mac.Key{}}
	p.message = s.in.Message
	if _, ok := s.in.Definition.Params["public_url"]; ok {
		p.useURL()
	}
	p.findTags()
	if len(p.tags) == 0 && len(p.bare) == 0 {
		return Diagnosis{}, false
	}
	p.keys = guesses(s.in.Secrets, p.probe)
	p.base()
	p.singles()
	if p.best == nil {
		p.pairs()
	}
	return p.answer()
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
	known   map[uint64]bool
	seed    maphash.Seed
	macs    map[macKey]*mac.Key
	best    *match

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

type macKey struct {
	key       int
	algorithm mac.Algorithm
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

// add keeps a signed string unless it is known.
func (p *parts) add(list []signed, s signed) []signed {
	h := maphash.Bytes(p.seed, s.bytes)
	if p.known[h] {
		return list
	}
	p.known[h] = true
	return append(list, s)
}

// base tries the scheme's own signed string with every secret and every
// computation.
func (p *parts) base() {
	for _, b := range p.write(p.probe, &p.message, p.reading) {
		p.strings = p.add(p.strings, signed{bytes: b})
	}
	for i := range p.strings {
		for k := range p.keys {
			p.tryKey(&p.strings[i], k)
		}
	}
	p.sums = constructions(p.probe.Algorithm(), p.sizes)
	for i := range p.strings {
		for c := range p.sums {
			p.trySum(&p.strings[i], 0, &p.sums[c])
		}
		p.appended(&p.strings[i])
	}
}

// key returns the MAC key of a guess.
func (p *parts) key(k int, a mac.Algorithm) *mac.Key {
	at := macKey{k, a}
	if m, ok := p.macs[at]; ok {
		return m
	}
	var m *mac.Key
	if material, err := p.probe.Derive(p.keys[k].decoded, p.reading); err == nil {
		m, _ = mac.NewPinned(a, material)
	}
	p.macs[at] = m
	return m
}

func (p *parts) tryKey(s *signed, k int) {
	key := p.key(k, p.probe.Algorithm())
	if key == nil || !p.more() {
		return
	}
	var space [mac.MaxSize]byte
	sum, err := key.Sum(space[:0], s.bytes)
	if err != nil {
		return
	}
	g := &p.keys[k]
	p.compare(sum, s, g.name, g.weight, g.danger, g.faults)
}

func (p *parts) trySum(s *signed, k int, c *construction) {
	if len(p.keys) == 0 || !p.more() {
		return
	}
	g := &p.keys[k]
	key := g.decoded.Expose()
	if material, err := p.probe.Derive(g.decoded, p.reading); err == nil {
		key = material.Expose()
	}
	sum := c.sum(key, g.text.Expose(), s.bytes)
	p.compare(sum, s, g.name, g.weight+c.weight, g.danger || c.danger, append(slices.Clone(g.faults), fault{c.cause, c.text}))
}

// compare looks for the value among the received ones and keeps the best match.
func (p *parts) compare(sum []byte, s *signed, name string, weight int, danger bool, faults []fault) {
	if len(sum) == 0 {
		return
	}
	for _, o := range p.tags {
		var cut []fault
		switch {
		case bytes.Equal(o.bytes, sum):
		case len(o.bytes) < len(sum) && len(o.bytes) >= mac.MinTruncated && bytes.HasPrefix(sum, o.bytes):
			cut = []fault{{"sig.truncated", "only the first bytes of the signature arrived"}}
		default:
			continue
		}
		m := &match{faults: slices.Concat(faults, s.faults, p.extra, o.faults, cut), weight: weight + s.weight,
			danger: danger || s.danger, name: name, bytes: s.bytes}
		p.keep(m)
	}
	if len(p.bare) > 0 {
		if f, ok := rewrittenTag(sum, p.bare); ok {
			p.keep(&match{faults: slices.Concat(faults, s.faults, p.extra, []fault{f}), weight: weight + s.weight, danger: danger || s.danger, name: name, bytes: s.bytes})
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
// message followed by the MAC of nothing.
func (p *parts) appended(s *signed) {
	key := p.key(0, p.probe.Algorithm())
	if key == nil {
		return
	}
	empty, err := key.Sum(nil)
	if err != nil {
		return
	}
	for _, text := range p.reading.Tags {
		for _, e := range []canon.Encoding{canon.HexAny, canon.Base64} {
			raw, err := e.DecodeString(strings.TrimPrefix(text, p.probe.Format().Tag.Prefix))
			if err == nil && len(raw) > len(empty) && bytes.HasSuffix(raw, empty) && bytes.HasPrefix(s.bytes, raw[:len(raw)-len(empty)]) {
				p.best = &match{faults: []fault{{"alg.not_hmac", "gave the message to the function that returns the sum: the value is the message followed by the MAC of nothing"}},
					danger: true, name: p.in.Secrets[0].Name, bytes: s.bytes}
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

// singles tries every single change of the signed string.
func (p *parts) singles() {
	ct := ""
	if v := p.message.Header["Content-Type"]; len(v) > 0 {
		ct = v[0]
	}
	p.bodies = bodies(p.message.Body, ct, p.in.MaxMemory/2)
	p.urls = addresses(&p.message, &p.in.Message, p.in.PublicURL, p.in.KnownHosts)
	p.rewrites = rewritten(p.probe, &p.message, p.reading)
	p.forms = forms(p.probe, &p.message)
	for i := range p.bodies {
		p.single(edit{body: &p.bodies[i]})
	}
	for i := range p.urls {
		p.single(edit{url: &p.urls[i]})
	}
	for i := range p.rewrites {
		p.single(edit{rewrite: &p.rewrites[i]})
	}
	for i := range p.forms {
		p.single(edit{form: &p.forms[i]})
	}
}

func (p *parts) single(e edit) {
	for _, s := range p.apply(e) {
		before := len(p.strings)
		p.strings = p.add(p.strings, s)
		if len(p.strings) > before {
			for k := range p.keys {
				if len(p.keys[k].faults) > 0 {
					break // sorted: the configured secret comes first
				}
				p.tryKey(&p.strings[before], k)
			}
		}
	}
}

// pairs tries two changes at once, the likelier combinations first.
func (p *parts) pairs() {
	own := 0
	for own < len(p.strings) && len(p.strings[own].faults) == 0 {
		own++
	}
	for i := own; i < len(p.strings); i++ {
		for k := range p.keys {
			if len(p.keys[k].faults) > 0 {
				p.tryKey(&p.strings[i], k)
			}
		}
	}
	for i := range p.strings[:own] {
		for k := 1; k < len(p.keys); k++ {
			for c := range p.sums {
				p.trySum(&p.strings[i], k, &p.sums[c])
			}
		}
	}
	for i := own; i < len(p.strings) && p.best == nil; i++ {
		for c := range p.sums {
			p.trySum(&p.strings[i], 0, &p.sums[c])
		}
	}
	for _, round := range []func(func(edit)){p.bodyAndForm, p.bodyAndURL, p.urlAndForm, p.timeAndOthers} {
		if p.best != nil {
			return
		}
		round(p.single)
	}
}

func (p *parts) bodyAndForm(try func(edit)) {
	for i := range p.forms {
		for j := range p.bodies {
			if p.tried >= p.in.MaxHypotheses {
				return
			}
			try(edit{body: &p.bodies[j], form: &p.forms[i]})
		}
	}
}

func (p *parts) bodyAndURL(try func(edit)) {
	if !p.signsURL() {
		return
	}
	for i := range p.urls {
		for j := range p.bodies {
			if p.tried >= p.in.MaxHypotheses {
				return
			}
			try(edit{body: &p.bodies[j], url: &p.urls[i]})
		}
	}
}

func (p *parts) urlAndForm(try func(edit)) {
	if !p.signsURL() {
		return
	}
	for i := range p.forms {
		for j := range p.urls {
			if p.tried >= p.in.MaxHypotheses {
				return
			}
			try(edit{url: &p.urls[j], form: &p.forms[i]})
		}
	}
}

func (p *parts) timeAndOthers(try func(edit)) {
	for i := range p.rewrites {
		for j := range p.bodies {
			try(edit{body: &p.bodies[j], rewrite: &p.rewrites[i]})
		}
		for j := range p.forms {
			try(edit{form: &p.forms[j], rewrite: &p.rewrites[i]})
		}
	}
}

// signsURL reports whether the scheme signs anything of the URL.
func (p *parts) signsURL() bool {
	c := p.in.Definition.Covers()
	return c.Host || c.Path || c.Query
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
		}
	}
	return d, true
}

// secretInString reports whether the scheme signs the secret, so that no signed
// string may be shown.
func (p *parts) secretInString() bool {
	for _, s := range segmentsOf(p.probe) {
		if strings.Contains(s.Text, "{secret") {
			return true
		}
	}
	return false
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
		p.singles()
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
