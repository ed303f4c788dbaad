package scheme

import (
	"bytes"
	"encoding/json"
	"strings"
)

// resolve applies the variants that the parameters choose, and replaces
// ${name} in all texts.
func (d *Definition) resolve(params Params) (*Format, error) {
	data, err := json.Marshal(d.Format)
	if err != nil {
		return nil, err
	}
	format := new(Format)
	if err := json.Unmarshal(data, format); err != nil {
		return nil, err
	}
	for _, v := range d.Variants {
		if !v.applies(params) {
			continue
		}
		data, err := json.Marshal(v.Format)
		if err != nil {
			return nil, err
		}
		if v.Message != nil {
			format.Renderings = nil
		}
		if err := json.Unmarshal(data, format); err != nil { // members that are set replace
			return nil, err
		}
	}
	if data, err = json.Marshal(format); err != nil {
		return nil, err
	}
	var tree any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	if data, err = json.Marshal(substitute(tree, d, params, d.replacer(params))); err != nil {
		return nil, err
	}
	*format = Format{}
	if err := json.Unmarshal(data, format); err != nil {
		return nil, err
	}
	return format, nil
}

func (v *Variant) applies(params Params) bool {
	for name, want := range v.If {
		if params.Get(name) != want {
			return false
		}
	}
	return true
}

// replacer replaces ${name} by the value of the parameter, once: a value that
// holds such a text is not looked at again.
func (d *Definition) replacer(params Params) *strings.Replacer {
	var pairs []string
	for _, name := range d.paramNames() {
		pairs = append(pairs, "${"+name+"}", params.Get(name))
	}
	return strings.NewReplacer(pairs...)
}

func substitute(node any, d *Definition, params Params, replace *strings.Replacer) any {
	switch n := node.(type) {
	case string:
		return replace.Replace(n)
	case []any:
		out := make([]any, 0, len(n))
		for _, e := range n {
			if values, ok := spliced(e, d, params); ok {
				out = append(out, values...)
			} else {
				out = append(out, substitute(e, d, params, replace))
			}
		}
		return out
	case map[string]any:
		for k := range n {
			n[k] = substitute(n[k], d, params, replace)
		}
	}
	return node
}

// spliced returns the values of the list parameter that an element of a list
// stands for, if it is nothing but such a parameter.
func spliced(e any, d *Definition, params Params) ([]any, bool) {
	text, _ := e.(string)
	for name, decl := range d.Params {
		if decl.List && text == "${"+name+"}" {
			out := []any{}
			for _, v := range params[name] {
				out = append(out, v)
			}
			return out, true
		}
	}
	return nil, false
}
