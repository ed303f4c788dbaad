package policy

import "strings"

// places is a set of rules, by their place.
type places []uint64

func (b places) set(i int) { b[i/64] |= 1 << (i % 64) }

func (b places) or(c places) {
	for i := range c {
		b[i] |= c[i]
	}
}

// dimension finds the rules that one match field fits, without looking at each.
type dimension struct {
	any      places            // rules without this field
	exact    map[string]places // by value
	prefixes []prefix
}

type prefix struct {
	text  string
	rules places
}

// add notes what rule i of n wants of this field.
func (d *dimension) add(i, n int, values []string) {
	words := (n + 63) / 64
	if d.any == nil {
		d.any, d.exact = make(places, words), map[string]places{}
	}
	if len(values) == 0 {
		d.any.set(i)
	}
	for _, v := range values {
		if text, ok := strings.CutSuffix(v, "*"); ok {
			d.prefix(text, words).set(i)
			continue
		}
		if d.exact[v] == nil {
			d.exact[v] = make(places, words)
		}
		d.exact[v].set(i)
	}
}

func (d *dimension) prefix(text string, words int) places {
	for _, p := range d.prefixes {
		if p.text == text {
			return p.rules
		}
	}
	d.prefixes = append(d.prefixes, prefix{text, make(places, words)})
	return d.prefixes[len(d.prefixes)-1].rules
}

// fit puts into found the rules that fit one of values.
func (d *dimension) fit(found places, values ...string) {
	copy(found, d.any)
	for _, v := range values {
		found.or(d.exact[v])
		for i := range d.prefixes {
			if strings.HasPrefix(v, d.prefixes[i].text) {
				found.or(d.prefixes[i].rules)
			}
		}
	}
}

// index has a dimension for each field of [Match].
type index [6]dimension

func newIndex(rules []*compiled) *index {
	x := new(index)
	for i, r := range rules {
		m := &r.Match
		for d, values := range [...][]string{m.Action, m.Caller, m.Key, m.Purpose, m.Classes, m.Environment} {
			x[d].add(i, len(rules), values)
		}
	}
	return x
}

// find puts into found the rules all of whose match fields fit in. It needs
// space for as many.
func (x *index) find(found, space places, in *Input) {
	x[0].fit(found, in.Action)
	x.narrow(1, found, space, in.Caller)
	x.narrow(2, found, space, in.Key)
	x.narrow(3, found, space, in.Purpose)
	x.narrow(4, found, space, in.Classes...)
	x.narrow(5, found, space, in.Environment)
}

// narrow takes out of found what dimension d does not fit.
func (x *index) narrow(d int, found, space places, values ...string) {
	x[d].fit(space, values...)
	for i := range found {
		found[i] &= space[i]
	}
}
