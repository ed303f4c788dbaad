package scheme

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/mac"
)

// program is a compiled definition: a [sealwright.SigningScheme].
type program struct {
	id        string
	algorithm mac.Algorithm
	key       *deriver
	public    *sealwright.Message // URL of the parameter public_url; nil means as received

	list     *List
	listFrom source
	places   []listPlace // of the list: listFrom and others
	usesHead bool        // the text of the list before the tag is needed
	signs    [][]piece   // templates of the list's parts, for signing
	payload  *payload
	document string // form field with the JSON document

	tag     Tag
	tags    []source
	tagPart int // index of the list's part, -1 if the tag stands elsewhere
	tagEnc  canon.Encoding
	forms   []tagForm // in which a tag may be written, tagEnc first
	tagSize int

	keyID *value
	nonce *value
	time  *value
	clock clock
	times []timed // time with clock, and alternatives
	fresh bool    // the time is covered, so it counts

	response *program // for responses; nil means that they are read like requests

	checks     []check
	renderings [][]segment
	names      []string

	covers   sealwright.Coverage // if static
	static   bool
	warnings []string
}

var (
	_ sealwright.SigningScheme = (*program)(nil)
	_ sealwright.Checker       = (*program)(nil)
	_ sealwright.Warner        = (*program)(nil)
	_ sealwright.Truncated     = (*program)(nil)
)

// Name implements [sealwright.Scheme].
func (p *program) Name() string { return p.id }

// Warnings implements [sealwright.Warner].
func (p *program) Warnings() []string { return p.warnings }

// TagSize implements [sealwright.Truncated].
func (p *program) TagSize() int { return p.tagSize }

// Parse implements [sealwright.Scheme].
func (p *program) Parse(m *sealwright.Message, c *sealwright.Claim) error {
	if p.response != nil && m.Status != 0 {
		return p.response.Parse(m, c)
	}
	if p.list != nil {
		if err := p.readList(m, c); err != nil {
			return err
		}
	}
	for i := range p.tags {
		if p.tags[i].kind == kFamily {
			if err := p.addFamily(m, c, p.tags[i].arg); err != nil {
				return err
			}
			continue
		}
		text, ok, err := p.get(&p.tags[i], m, c)
		if err != nil {
			return err
		}
		if ok {
			if err := p.addTags(c, text); err != nil {
				return err
			}
		}
	}
	if c.Tags() == 0 {
		return sealwright.Refusef(sealwright.ErrMissing, "no tag in %s", p.tag.From)
	}
	return p.facts(m, c)
}

// Write implements [sealwright.Scheme].
func (p *program) Write(w sealwright.Sink, m *sealwright.Message, c *sealwright.Claim, n int) error {
	if p.response != nil && m.Status != 0 {
		return p.response.Write(w, m, c, n)
	}
	return p.writeSegments(p.renderings[n], w, m, c)
}

// New returns the scheme with the given parameters. Parameters that the
// definition does not have, or values that it does not allow, are errors.
func (d *Definition) New(params Params) (sealwright.Scheme, error) {
	full, err := d.complete(params)
	if err != nil {
		return nil, err
	}
	if d.Code != "" {
		return d.code(full)
	}
	p, b, err := d.compile(full)
	if err != nil {
		return nil, err
	}
	findings := b.findings()
	if err := findings.Err(); err != nil {
		return nil, fmt.Errorf("scheme %s: %w", d.ID, err)
	}
	for _, f := range findings {
		if f.Rule != ruleCoverage { // the verdict's Covers says it
			p.warnings = append(p.warnings, f.Text)
		}
	}
	return p, nil
}

func (d *Definition) code(full Params) (sealwright.Scheme, error) {
	construct, ok := d.codes[d.Code]
	if !ok {
		names := slices.Sorted(maps.Keys(d.codes))
		return nil, fmt.Errorf("scheme %s: code %q does not exist, there are %s", d.ID, d.Code, strings.Join(names, ", "))
	}
	s, err := construct(d, full)
	if err != nil {
		return nil, fmt.Errorf("scheme %s: %w", d.ID, err)
	}
	return s, nil
}
