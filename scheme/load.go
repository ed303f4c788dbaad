package scheme

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/sealwright/sealwright"
)

var idGrammar = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Load reads a definition from JSON, checks it by the lint rules and runs its
// known answers; a definition that fails either is refused. codes are the
// canonicalisers that exist in code, by name; nil means none.
func Load(data []byte, codes map[string]Constructor) (*Definition, error) {
	d, err := Parse(data, codes)
	if err != nil {
		return nil, err
	}
	if err := d.Check(); err != nil {
		return nil, err
	}
	return d, nil
}

// Parse reads a definition without running its known answers, for callers that
// trust the data, such as presets that the build has checked.
func Parse(data []byte, codes map[string]Constructor) (*Definition, error) {
	d := new(Definition)
	if err := strictJSON(data, d); err != nil {
		return nil, err
	}
	d.codes = codes
	if !idGrammar.MatchString(d.ID) {
		return nil, fmt.Errorf("id: got %q, want lower-case words joined by hyphens", d.ID)
	}
	if d.Tier != Verified && d.Tier != Unverified {
		return nil, fmt.Errorf("tier: got %q, want verified or unverified", d.Tier)
	}
	if d.Doc == "" || d.Source == "" {
		return nil, errors.New("doc and source must say what the scheme is and where it is published")
	}
	return d, nil
}

// Check compiles the definition with the parameters of each of its known
// answers, which runs the lint rules, and verifies them.
func (d *Definition) Check() error {
	if len(d.Examples) == 0 {
		return errors.New("kat: a definition needs at least one known answer")
	}
	for i := range d.Examples {
		v := &d.Examples[i]
		s, err := d.New(v.Params)
		if err != nil {
			return err
		}
		if err := v.Run(s); err != nil {
			return fmt.Errorf("known answer %d: %w", i+1, err)
		}
	}
	return nil
}

// Covers returns what a signature of the scheme protects at its best, with the
// parameters of the first known answer.
func (d *Definition) Covers() sealwright.Coverage {
	if d.Code == "" {
		if full, err := d.complete(d.exampleParams()); err == nil {
			if p, _, err := d.compile(full); err == nil {
				return p.covers
			}
		}
		return sealwright.Coverage{}
	}
	if len(d.Examples) > 0 {
		if s, err := d.New(d.exampleParams()); err == nil {
			verdict, _ := d.Examples[0].Verify(s)
			return verdict.Covers
		}
	}
	return sealwright.Coverage{}
}

// Warnings returns the weaknesses of the scheme, each a sentence.
func (d *Definition) Warnings() []string {
	s, err := d.New(d.exampleParams())
	if err != nil {
		return nil
	}
	if w, ok := s.(sealwright.Warner); ok {
		return w.Warnings()
	}
	return nil
}

func (d *Definition) exampleParams() Params {
	if len(d.Examples) == 0 {
		return nil
	}
	return d.Examples[0].Params
}
