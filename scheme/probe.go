package scheme

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// Probe reads messages of a scheme without judging them, for finding out why a
// signature does not verify. It makes nothing acceptable: it compares no tags.
type Probe struct {
	def    *Definition
	params Params
	format *Format
	p      *program
}

// ErrNoProbe means that the scheme is code, whose parts cannot be varied.
var ErrNoProbe = errors.New("scheme is code")

// Probe returns a probe of the definition with these parameters, or
// [ErrNoProbe].
func (d *Definition) Probe(params Params) (*Probe, error) {
	full, err := d.complete(params)
	if err != nil {
		return nil, err
	}
	if d.Code != "" {
		return nil, ErrNoProbe
	}
	format, err := d.resolve(full)
	if err != nil {
		return nil, err
	}
	return (&Probe{def: d, params: full, format: format}).compile()
}

func (pr *Probe) compile() (*Probe, error) {
	p, _, err := pr.def.compileFormat(pr.format, pr.params)
	if err != nil {
		return nil, err
	}
	pr.p = p
	return pr, nil
}

// Format returns the format with all parameters in place. It must not be
// changed.
func (pr *Probe) Format() *Format { return pr.format }

// Renderings returns the number of ways to write the covered bytes.
func (pr *Probe) Renderings() int { return len(pr.p.renderings) }

// WithMessage returns a probe that writes other covered bytes, or an error if
// the segments do not compile.
func (pr *Probe) WithMessage(message []Segment) (*Probe, error) {
	format := *pr.format
	format.Message, format.Renderings = message, nil
	return (&Probe{def: pr.def, params: pr.params, format: &format}).compile()
}

// Algorithm returns the pinned algorithm.
func (pr *Probe) Algorithm() mac.Algorithm { return pr.p.algorithm }

// TagSize returns the length of a tag in bytes.
func (pr *Probe) TagSize() int { return pr.p.tagSize }

// Reading is what a message says of its signature, as far as it can be read.
type Reading struct {
	Claim *sealwright.Claim // values for Write, without tags
	Tags  []string          // texts of the tags as they stand, with prefix
	Err   error             // the first thing that is wrong with the form, nil if nothing is
}

// Read returns the texts and values of m. What is missing or malformed is left
// out.
func (pr *Probe) Read(m *sealwright.Message) Reading {
	p := pr.p
	r := Reading{Claim: new(sealwright.Claim)}
	note := func(err error) {
		if r.Err == nil {
			r.Err = err
		}
	}
	if p.list != nil {
		text, ok, err := p.listText(m, r.Claim)
		if err != nil || !ok {
			note(err)
		} else {
			note(p.list.read(text, func(part int, value string) error {
				if part == p.tagPart {
					r.Tags = append(r.Tags, value)
				} else {
					r.Claim.Values[valueParts+part] = value
				}
				return nil
			}))
		}
	}
	for i := range p.tags {
		if p.tags[i].kind == kFamily {
			r.Tags = append(r.Tags, family(m, p.tags[i].arg)...)
		} else if text, ok, err := p.get(&p.tags[i], m, r.Claim); err != nil {
			note(err)
		} else if ok {
			r.Tags = append(r.Tags, text)
		}
	}
	for _, v := range []struct {
		value *value
		index int
	}{{p.keyID, valueKeyID}, {p.nonce, valueNonce}, {p.time, valueTime}} {
		if _, err := p.read(v.value, v.index, m, r.Claim); err != nil {
			note(err)
		}
	}
	return r
}

// Time returns the text of the time, "" if there is none, whether it counts,
// and how it is written: unix, unix-ms and so on.
func (pr *Probe) Time(r Reading) (text, format string) {
	if pr.p.time == nil || !pr.p.fresh {
		return "", ""
	}
	return r.Claim.Values[valueTime], pr.format.Time.Format
}

// SetTime makes r and m carry another text of the time. m.Header belongs to the
// caller.
func (pr *Probe) SetTime(r Reading, m *sealwright.Message, text string) {
	r.Claim.Values[valueTime] = text
	s := pr.p.time.source
	switch s.kind {
	case kPart:
		r.Claim.Values[s.part] = text
	case kHeader:
		m.Header[s.arg] = []string{text}
	}
}

// Fresh reports whether the time is within the scheme's window at now, and the
// instant that it stands for.
func (pr *Probe) Fresh(text string, now time.Time) (fresh bool, at time.Time, err error) {
	at, err = pr.p.clock.format.parse(text)
	if err != nil {
		return false, at, err
	}
	return pr.p.clock.isFresh(text, now), at, nil
}

// Write writes the covered bytes in rendering n under a key of the configured
// text.
func (pr *Probe) Write(w sealwright.Sink, m *sealwright.Message, r Reading, n int, configured secret.Bytes) error {
	r.Claim.Key = &keyring.Key{Secret: configured}
	return pr.p.writeSegments(pr.p.renderings[n], w, m, r.Claim)
}

// Decode returns the bytes that the scheme makes of a configured secret.
func (pr *Probe) Decode(configured secret.Bytes) (secret.Bytes, error) {
	raw, err := pr.p.key.decode(configured)
	return secret.New(raw), err
}

// Derive returns the MAC key that the scheme derives from a decoded secret.
func (pr *Probe) Derive(decoded secret.Bytes, r Reading) (secret.Bytes, error) {
	return pr.p.key.material(pr.p, decoded.Expose(), r.Claim)
}

// SignedHeader reports whether the covered bytes name the header, directly or
// in the list of signed headers that m carries.
func (pr *Probe) SignedHeader(m *sealwright.Message, r Reading, name string) bool {
	cov := pr.p.coverage(m, r.Claim)
	return slices.Contains(cov.Headers, name) || (name == "Host" && cov.Host)
}

// family returns the values of the headers with this name and the numbers 1, 2
// and so on.
func family(m *sealwright.Message, name string) []string {
	var out []string
	for n := 1; ; n++ {
		values := m.Header[name+strconv.Itoa(n)]
		if len(values) == 0 {
			return out
		}
		out = append(out, values...)
	}
}
