package scheme

import (
	"errors"

	"github.com/sealwright/sealwright"
)

// Types of the format; see the files of the engine.
type (
	Key       struct{}
	List      struct{}
	Tag       struct{}
	Time      struct{}
	Nonce     struct{}
	Header    struct{}
	Check     struct{}
	Segment   struct{}
	Rendering struct{}
)

// Load reads a definition from JSON, checks it by the lint rules and runs its
// known answers. codes are the canonicalisers that exist in code, by name; nil
// means none.
func Load(data []byte, codes map[string]Constructor) (*Definition, error) {
	d := new(Definition)
	if err := strictJSON(data, d); err != nil {
		return nil, err
	}
	d.codes = codes
	return d, nil
}

// New returns the scheme with the given parameters.
func (d *Definition) New(p Params) (sealwright.Scheme, error) {
	full, err := d.complete(p)
	if err != nil {
		return nil, err
	}
	if d.Code != "" {
		return d.codes[d.Code](d, full)
	}
	return nil, errors.New("not built yet")
}
