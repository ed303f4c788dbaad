package scheme

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

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
