// Package scheme is the engine that turns data into wire formats.
//
// A [Definition] says in JSON where a format puts its tag, time, nonce and key
// ID, which bytes the tag covers, how the secret is read, which algorithm
// counts and how fresh a message must be. [Definition.New] compiles it, with
// the user's parameters, into a [sealwright.Scheme] that signs and verifies and
// writes the covered bytes straight into the MAC. [Load] refuses definitions
// that break a rule which stops a known class of attack, and those whose own
// examples do not verify.
//
// What data cannot say is code: a definition names its canonicaliser, and the
// caller of Load gives the list of those that exist.
//
// The format is described in docs/schemes and by catalogue/schema.json.
package scheme

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
)

// Tier says what a definition rests on.
type Tier string

// The tiers.
const (
	Verified   Tier = "verified"   // a published vector passes
	Unverified Tier = "unverified" // written from documentation alone
)

// Definition is a scheme as data. It must not change after [Load].
type Definition struct {
	Schema    string           `json:"$schema,omitempty"`
	ID        string           `json:"id"`                // lower case with hyphens
	Title     string           `json:"title,omitempty"`   // name of the provider or format
	Tier      Tier             `json:"tier"`              //
	Direction string           `json:"direction"`         // webhook, api, url or generic
	Source    string           `json:"source"`            // where the rules are published
	Doc       string           `json:"doc"`               // what the scheme does, in a sentence or two
	Limits    []string         `json:"limits,omitempty"`  // what it does not protect, what surprises
	Params    map[string]Param `json:"params,omitempty"`  // what the user may or must configure
	Code      string           `json:"code,omitempty"`    // canonicaliser in code; then Format is its own business
	Options   json.RawMessage  `json:"options,omitempty"` // of the canonicaliser
	Format                     // the scheme itself
	Variants  []Variant        `json:"variants,omitempty"`  // other formats, chosen by parameters
	Challenge *Challenge       `json:"challenge,omitempty"` // handshake of the provider
	Examples  []Vector         `json:"kat"`                 // known answers, checked by Load

	codes map[string]Constructor
}

// Increasing reports whether the nonce of d, in any of its variants, is a number
// that is above all earlier ones of its key: then the highest one is remembered,
// and not each of them.
func (d *Definition) Increasing() bool {
	increasing := func(f Format) bool { return f.Nonce != nil && f.Nonce.Mode == "increasing" }
	return increasing(d.Format) || slices.ContainsFunc(d.Variants, func(v Variant) bool { return increasing(v.Format) })
}

// Param describes one parameter of a definition.
type Param struct {
	Doc      string   `json:"doc"`
	Default  string   `json:"default,omitempty"`
	Required bool     `json:"required,omitempty"`
	List     bool     `json:"list,omitempty"`   // may be given more than once
	Values   []string `json:"values,omitempty"` // the allowed ones; empty means any
}

// Params are the values of a definition's parameters. A parameter that is no
// list has one value.
type Params map[string][]string

// Get returns the first value of the parameter, or "".
func (p Params) Get(name string) string {
	if v := p[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// UnmarshalJSON reads an object of strings, numbers, booleans and lists of
// them.
func (p *Params) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	out := Params{}
	for name, r := range raw {
		var list []json.RawMessage
		if len(r) > 0 && r[0] == '[' {
			if err := json.Unmarshal(r, &list); err != nil {
				return err
			}
		} else {
			list = []json.RawMessage{r}
		}
		values := make([]string, 0, len(list))
		for _, e := range list {
			v, err := scalar(e)
			if err != nil {
				return fmt.Errorf("parameter %q: %w", name, err)
			}
			values = append(values, v)
		}
		out[name] = values
	}
	*p = out
	return nil
}

func scalar(raw json.RawMessage) (string, error) {
	switch {
	case len(raw) > 0 && raw[0] == '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case len(raw) > 0 && (raw[0] == '{' || raw[0] == '[' || raw[0] == 'n'):
		return "", fmt.Errorf("want a string, number or boolean")
	}
	return string(raw), nil
}

// Constructor makes a scheme whose canonicaliser is code. It gets the
// definition and the complete parameters: checked, with defaults filled in.
type Constructor func(d *Definition, p Params) (sealwright.Scheme, error)

// Variant replaces parts of the format when parameters have given values.
type Variant struct {
	If map[string]string `json:"if"` // parameter to value; all must hold
	Format
}

// complete checks p against the declared parameters and fills in defaults.
func (d *Definition) complete(p Params) (Params, error) {
	out := Params{}
	for name, values := range p {
		decl, ok := d.Params[name]
		if !ok {
			return nil, fmt.Errorf("scheme %s has no parameter %q%s", d.ID, name, d.paramHint())
		}
		if len(values) != 1 && !decl.List {
			return nil, fmt.Errorf("parameter %q: got %d values, want one", name, len(values))
		}
		for _, v := range values {
			if len(decl.Values) > 0 && !slices.Contains(decl.Values, v) {
				return nil, fmt.Errorf("parameter %q: got %q, want one of %s", name, v, strings.Join(decl.Values, ", "))
			}
		}
		out[name] = slices.Clone(values)
	}
	for _, name := range d.paramNames() {
		decl := d.Params[name]
		if _, ok := out[name]; ok {
			continue
		}
		if decl.Required {
			return nil, fmt.Errorf("scheme %s needs the parameter %q: %s", d.ID, name, decl.Doc)
		}
		if decl.Default != "" {
			if decl.List {
				out[name] = strings.Fields(decl.Default)
			} else {
				out[name] = []string{decl.Default}
			}
		}
	}
	return out, nil
}

func (d *Definition) paramNames() []string {
	names := make([]string, 0, len(d.Params))
	for n := range d.Params {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func (d *Definition) paramHint() string {
	if len(d.Params) == 0 {
		return ": it takes none"
	}
	return ": it has " + strings.Join(d.paramNames(), ", ")
}

// strictJSON decodes one JSON value and refuses unknown members and anything
// behind the value. Errors name line and column.
func strictJSON(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		offset := dec.InputOffset()
		switch e := err.(type) {
		case *json.SyntaxError:
			offset = e.Offset
		case *json.UnmarshalTypeError:
			offset = e.Offset
		}
		line, column := position(data, offset)
		return fmt.Errorf("line %d, column %d: %w", line, column, err)
	}
	if dec.More() {
		line, column := position(data, dec.InputOffset())
		return fmt.Errorf("line %d, column %d: more than one JSON value", line, column)
	}
	return nil
}

func position(data []byte, offset int64) (line, column int) {
	head := data[:min(int(offset), len(data))]
	return bytes.Count(head, []byte("\n")) + 1, len(head) - bytes.LastIndexByte(head, '\n')
}
