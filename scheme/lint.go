package scheme

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
)

// Finding is a weakness of a definition.
type Finding struct {
	Rule   string // short name of the rule
	Text   string // what is weak, in a sentence
	Attack string // class of attack that it allows, such as A07; "" for a plain mistake
	Fatal  bool   // a definition with it does not load
}

// ruleCoverage is the rule whose findings a verdict shows as its coverage.
const ruleCoverage = "coverage"

// Findings are the weaknesses of one definition.
type Findings []Finding

// Err returns an error that names every fatal finding, nil if there is none.
func (f Findings) Err() error {
	var errs []error
	for _, x := range f {
		if !x.Fatal {
			continue
		}
		rule := x.Rule
		if x.Attack != "" {
			rule += " (" + x.Attack + ")"
		}
		errs = append(errs, fmt.Errorf("%s: %s", rule, x.Text))
	}
	return errors.Join(errs...)
}

// Lint compiles the definition with the given parameters and returns all that
// is weak about it, the fatal findings first. It does not run the known answers.
func (d *Definition) Lint(params Params) (Findings, error) {
	full, err := d.complete(params)
	if err != nil {
		return nil, err
	}
	var f Findings
	if d.Code != "" {
		f, err = d.lintCode(full)
	} else {
		var b *builder
		if _, b, err = d.compile(full); err == nil {
			f = b.findings()
		}
	}
	if err != nil {
		return nil, err
	}
	f = append(f, d.lintExamples()...)
	slices.SortStableFunc(f, func(a, b Finding) int {
		switch {
		case a.Fatal == b.Fatal:
			return 0
		case a.Fatal:
			return -1
		}
		return 1
	})
	return f, nil
}

// lintCode returns what a canonicaliser in code says of itself, and what it
// leaves open.
func (d *Definition) lintCode(full Params) (Findings, error) {
	s, err := d.code(full)
	if err != nil {
		return nil, err
	}
	f := coverage(d.Covers())
	if w, ok := s.(sealwright.Warner); ok {
		for _, text := range w.Warnings() {
			f = append(f, Finding{Rule: "code", Text: text})
		}
	}
	return f, nil
}

// minSecret is the length in bytes below which a secret can be guessed.
const minSecret = 16

// lintExamples warns of known answers with short secrets: they are what users
// take over.
func (d *Definition) lintExamples() Findings {
	var f Findings
	for i, v := range d.Examples {
		if n := len(v.Secret); n < minSecret {
			f = append(f, Finding{"secret-length", fmt.Sprintf("the secret of known answer %d has %d bytes, want at least %d", i+1, n, minSecret), "A29", false})
		}
	}
	return f
}

// findings returns those of the format, and of the format of responses where
// it is another one.
func (b *builder) findings() Findings {
	f := b.lint()
	if b.response != nil {
		f = append(f, lintTime(b.response)...)
	}
	return f
}

func (b *builder) lint() Findings {
	var f Findings
	for _, rule := range []func(*builder) Findings{
		lintAbsent, lintTime, lintNonce, lintClocks, lintCoverage, lintBorders, lintPlaces, lintReplay, lintRetention, lintStrength, lintSecret,
	} {
		for _, x := range rule(b) {
			if !slices.Contains(f, x) { // renderings repeat each other
				f = append(f, x)
			}
		}
	}
	return f
}

// lintAbsent wants the scheme to have every value that the covered bytes name:
// one that it has not would always be empty.
func lintAbsent(b *builder) Findings {
	p := b.program
	var f Findings
	look := func(pc *piece) {
		missing := ""
		switch k := pc.source.kind; {
		case (k == kTime || k == kUnix) && p.time == nil:
			missing = "time"
		case k == kNonce && p.nonce == nil:
			missing = "nonce"
		case k == kKeyID && p.keyID == nil && p.tag.Owner == "":
			missing = "key_id"
		}
		if missing != "" {
			f = append(f, Finding{Rule: "absent", Text: "message names {" + pc.source.String() + "}, but the scheme has no " + missing, Fatal: true})
		}
	}
	for _, r := range p.renderings {
		flat(r, func(s *segment) {
			for i := range s.pieces {
				look(&s.pieces[i])
			}
		})
	}
	return f
}

// lintTime wants the time under the tag, and no window without a bound.
func lintTime(b *builder) Findings {
	p := b.program
	accepted := b.format.UnsignedTime
	if p.clock.window != nil && !p.alwaysCovers(p.clock.window.source) {
		return Findings{{"unsigned-window", "the window in " + p.place(p.clock.window.source) + " is outside the signed bytes, so anybody can widen it", "A35", true}}
	}
	switch {
	case accepted != "" && accepted != "accepted-risk":
		return Findings{{"unsigned-time", fmt.Sprintf("unsigned_time is %q, want accepted-risk", accepted), "A09", true}}
	case p.time == nil:
		return nil
	case p.fresh:
		return nil
	case accepted == "":
		return Findings{{"unsigned-time", "the time in " + p.place(p.time.source) + " is outside the signed bytes, so anybody can change it", "A09", true}}
	}
	return Findings{{"unsigned-time", "the time in " + p.place(p.time.source) + " is not signed, so it does not count", "A09", false}}
}

// lintNonce wants the nonce under the tag: one that anybody can change makes
// no message unique.
func lintNonce(b *builder) Findings {
	p := b.program
	if p.nonce == nil || p.alwaysCovers(p.nonce.source) {
		return nil
	}
	return Findings{{"unsigned-nonce", "the nonce in " + p.place(p.nonce.source) + " is outside the signed bytes, so anybody can change it", "A11", true}}
}

// lintClocks warns of a time that can stand in several places.
func lintClocks(b *builder) Findings {
	p := b.program
	var places []string
	for _, t := range p.times {
		places = append(places, p.place(t.source))
		for _, s := range t.also {
			places = append(places, p.place(s))
		}
	}
	if len(places) < 2 {
		return nil
	}
	return Findings{{"clocks", "the time can stand in " + strings.Join(places, " or ") + ", and only one of them counts", "A10", false}}
}

// lintCoverage warns of everything that a signature does not protect.
func lintCoverage(b *builder) Findings {
	f := coverage(b.program.covers)
	if b.program.keyID != nil && !b.program.covers.KeyID {
		f = append(f, Finding{ruleCoverage, "the key ID is not covered by the signature", "A25", false})
	}
	return f
}

// coverage warns of what cov leaves open.
func coverage(cov sealwright.Coverage) Findings {
	var f Findings
	warn := func(covered bool, what, attack string) {
		if !covered {
			f = append(f, Finding{ruleCoverage, what + " not covered by the signature", attack, false})
		}
	}
	warn(cov.Body, "the body is", "A15")
	warn(cov.Method, "the method is", "A16")
	warn(cov.Path && cov.Host, "host or path are", "A16")
	warn(cov.Query, "the query is", "A16")
	return f
}

// lintBorders warns of variable fields whose border can move: the left one may
// hold the text that separates it from the right one.
func lintBorders(b *builder) Findings {
	var f Findings
	for _, r := range b.program.renderings {
		w := borders{p: b.program}
		w.walk(r)
		f = append(f, w.found...)
	}
	return f
}

// borders walks over segments and remembers the last variable field, and the
// text behind it.
type borders struct {
	p     *program
	found Findings
	left  *piece
	gap   string
}

func (w *borders) walk(list []segment) {
	for i := range list {
		s := &list[i]
		switch {
		case s.group != nil && s.hashed: // like text of one length
			inner := borders{p: w.p}
			inner.walk(s.group)
			w.found = append(w.found, inner.found...)
			continue
		case s.group != nil:
			w.walk(s.group)
			continue
		case s.fields != nil || s.headers != nil:
			w.next(nil) // their own separators are the definition's business
			if s.fields != nil && (s.fields.Join == "" || s.fields.KV == "" && s.fields.Write != "names" && s.fields.Write != "values") && s.fields.Encode == "" {
				w.found = append(w.found, Finding{"borders", "parameters are joined without separators, so bytes can move between names and values", "A07", false})
			}
			continue
		}
		for j := range s.pieces {
			if pc := &s.pieces[j]; pc.source.kind == kLiteral {
				w.gap += pc.source.arg
			} else {
				w.next(pc)
			}
		}
	}
}

// next takes a field that follows the last one.
func (w *borders) next(pc *piece) {
	if w.left != nil && ambiguous(w.p, w.left, w.gap) {
		w.found = append(w.found, border(w.p, w.left, w.gap))
	}
	w.left, w.gap = pc, ""
}

func border(p *program, left *piece, gap string) Finding {
	how := "nothing separates it from the next field"
	if gap != "" {
		how = fmt.Sprintf("it can hold the separator %q", gap)
	}
	return Finding{"borders", p.place(left.source) + " has no sure end: " + how, "A07", false}
}

// ambiguous reports whether the text of left can hold gap, or its length varies
// and there is no gap.
func ambiguous(p *program, left *piece, gap string) bool {
	for _, name := range left.names {
		if digests[name] != nil {
			return false // of one length
		}
	}
	if gap == "" {
		return left.source.kind != kMethod // methods end before a slash or a scheme
	}
	switch left.source.kind {
	case kBody, kBodyWithout, kContent, kJSON, kForm, kQueryParam, kEither, kArg, kPayload, kSecret, kXML, kLine, kHead:
		return true
	case kTime:
		return !p.clock.format.digits && strings.ContainsAny(gap[:1], "-:., TZ+0123456789")
	case kNonce:
		return p.nonce == nil || !strings.Contains(p.nonce.forbid, gap[:1]) && gap[0] > ' '
	case kKeyID:
		return p.keyID == nil || !strings.Contains(p.keyID.forbid, gap[:1]) && gap[0] > ' '
	case kPart, kHeader:
		if p.time != nil && left.source == p.time.source {
			return !p.clock.format.digits
		}
		return gap[0] > ' ' // a header value may hold any visible character
	case kMethod:
		return false
	case kPath, kSegment, kPathTail, kPathHead:
		return gap[0] > ' ' && gap[0] != '?'
	case kQuery, kQueryWithout, kQueryBefore, kTarget, kURL:
		return gap[0] > ' ' && gap[0] != '#'
	case kHost, kHostname, kHostport:
		return gap[0] != '/' && gap[0] > ' '
	case kScheme:
		return false
	}
	return false
}

// lintPlaces warns where query and form are signed as one.
func lintPlaces(b *builder) Findings {
	var f Findings
	for _, r := range b.program.renderings {
		flat(r, func(s *segment) {
			if s.fields != nil && len(s.fields.From) > 1 {
				f = append(f, Finding{"places", "the signed bytes do not say where a parameter stood, so it can move between " + strings.Join(s.fields.From, " and "), "A07", false})
			}
		})
	}
	return f
}

// lintReplay warns of schemes without anything that makes a message unique or
// old.
func lintReplay(b *builder) Findings {
	p := b.program
	timed := p.fresh && (!p.time.optional || len(p.times) > 1) // one of several times has to be there
	if timed || p.nonce != nil {
		return nil
	}
	if b.format.Nonce != nil && b.format.Nonce.From == "tag" {
		return Findings{{"replay", "no time and no nonce: a message can be replayed as soon as its tag is forgotten", "A11", false}}
	}
	return Findings{{"replay", "neither time, nonce nor memory of tags: a message can be replayed for ever", "A11", false}}
}

// lintRetention wants nonces remembered for at least as long as a message with
// them is fresh.
func lintRetention(b *builder) Findings {
	n := b.format.Nonce
	if n == nil || n.Keep == "" {
		return nil
	}
	keep, err := time.ParseDuration(n.Keep)
	if err != nil || keep <= 0 {
		return Findings{{"retention", fmt.Sprintf("keep is %q, want a duration above 0s, such as 72h", n.Keep), "A13", true}}
	}
	if !b.program.fresh {
		return nil
	}
	for _, t := range b.program.times {
		window := t.clock.past + t.clock.future
		if t.clock.window != nil {
			window = max(t.clock.past, t.clock.window.max) + t.clock.future
		}
		if keep < window {
			return Findings{{"retention", fmt.Sprintf("nonces are kept for %v, but a message is fresh for up to %v, so it can be replayed", keep, window), "A13", true}}
		}
	}
	return nil
}

func lintStrength(b *builder) Findings {
	p := b.program
	var f Findings
	if p.algorithm.Legacy() {
		f = append(f, Finding{"algorithm", p.algorithm.String() + " is kept for this scheme only", "A06", false})
	}
	if p.tagSize < p.algorithm.Size() {
		f = append(f, Finding{"truncated", fmt.Sprintf("tags are cut to %d bytes", p.tagSize), "A03", false})
	}
	if p.tagEnc.String() == "hex-any" {
		f = append(f, Finding{"lenient", "tags are accepted in either case", "A30", false})
	}
	if p.tag.Escape != "" {
		f = append(f, Finding{"lenient", "tags are accepted with any percent-encoding", "A30", false})
	}
	if p.tag.Padded {
		f = append(f, Finding{"lenient", "tags are accepted with and without padding", "A30", false})
	}
	return f
}

// lintSecret warns where the secret stands in the signed bytes.
func lintSecret(b *builder) Findings {
	for _, r := range b.program.renderings {
		found := false
		flat(r, func(s *segment) {
			found = found || slices.ContainsFunc(s.pieces, func(pc piece) bool { return pc.source.kind == kSecret })
		})
		if found {
			return Findings{{"secret", "the secret is part of the signed bytes, which must never be logged", "A27", false}}
		}
	}
	return nil
}
