package policy

import (
	"errors"
	"fmt"
	"math/bits"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// Decide says what the rules demand of an operation, in their order: the first
// that denies ends it, as does an expression that fails. Requirements of
// several rules add up, the first that chooses a key counts, and the highest
// audit level. The caller goes on with [Decision.CheckKey] for the key that is
// then used.
func (s *Set) Decide(in *Input) Decision {
	if s.Len() == 0 {
		return Decision{}
	}
	return decideAll([]*Set{s}, in)
}

// Explain is Decide that also says what each rule did. Rules after one that
// denied are not asked.
func (s *Set) Explain(in *Input) (Decision, []Outcome) {
	if s.Len() == 0 {
		return Decision{}, []Outcome{}
	}
	outcomes := make([]Outcome, len(s.rules))
	for i, r := range s.rules {
		outcomes[i].Rule = r.ID
	}
	e := evaluation{in: in, left: decisionCost}
	return s.decide(Decision{}, &e, outcomes), outcomes
}

// decideAll is [Set.Decide] of several sets, as if their rules stood in one.
func decideAll(sets []*Set, in *Input) (d Decision) {
	e := evaluation{in: in, left: decisionCost}
	for _, s := range sets {
		if d = s.decide(d, &e, nil); d.Denied {
			break
		}
	}
	return d
}

// evaluation is the work for one decision.
type evaluation struct {
	in   *Input
	vars interpreter.Activation // nil as long as no expression was asked
	left uint64                 // cost
}

// decide adds to d what the rules demand, and notes in outcomes what happened,
// unless it is nil.
func (s *Set) decide(d Decision, e *evaluation, outcomes []Outcome) Decision {
	if e.in.tooLarge() {
		return Decision{Denied: true, Reason: "the metadata is larger than a policy looks at"}
	}
	var space [2][MaxRules/64 + 1]uint64
	words := (len(s.rules) + 63) / 64
	found := space[0][:words]
	s.index.find(found, space[1][:words], e.in)
	for w, word := range found {
		for ; word != 0; word &= word - 1 {
			i := w*64 + bits.TrailingZeros64(word)
			r, o := s.rules[i], &Outcome{}
			if outcomes != nil {
				o = &outcomes[i]
			}
			o.Matches = true
			if r.when != nil {
				holds, err := r.holds(e)
				if err != nil {
					o.Error, o.Effect = err.Error(), "deny"
					return d.deny(r, "the rule could not be evaluated: "+err.Error())
				}
				if o.When = &holds; !holds {
					continue
				}
			}
			if d = r.apply(d, e.in, o); d.Denied {
				return d
			}
		}
	}
	return d
}

// holds evaluates the expression.
func (r *compiled) holds(e *evaluation) (bool, error) {
	if e.vars == nil {
		e.vars = &activation{in: e.in}
	}
	out, details, err := r.when.Eval(e.vars) // panics are errors
	if err != nil {
		return false, err
	}
	cost := r.most
	if details != nil && details.ActualCost() != nil {
		cost = *details.ActualCost()
	}
	if cost > e.left {
		return false, errors.New("the rules that match cost too much together")
	}
	e.left -= cost
	holds, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("got %T, want bool", out.Value())
	}
	return holds, nil
}

// apply adds what a rule that holds demands.
func (r *compiled) apply(d Decision, in *Input, o *Outcome) Decision {
	if r.Audit.rank() > d.Audit.rank() {
		d.Audit, o.Effect = r.Audit, "audit "+string(r.Audit)
	}
	if r.Deny {
		o.Effect = "deny"
		return d.deny(r, "")
	}
	for _, name := range r.Needs.Context {
		if v, _ := in.field(name); v == "" {
			o.Effect = "deny"
			return d.deny(r, "metadata "+name+" is required")
		}
	}
	if len(r.Needs.Algorithm) > 0 || r.Needs.MinStrength > 0 {
		d.needs, o.Effect = append(d.needs, demand{r, &r.Needs}), "require"
	}
	if r.Use != "" && d.Key == "" {
		d.Key, o.Effect = r.Use, "use_key "+r.Use
	}
	return d
}

// activation gives expressions the fields of an input. A value is made when it
// is asked for first, and serves all rules of a decision.
type activation struct {
	in   *Input
	made [14]ref.Val
}

// Parent implements interpreter.Activation.
func (*activation) Parent() interpreter.Activation { return nil }

// ResolveName implements interpreter.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	in := a.in
	switch name {
	case "action":
		return a.text(0, in.Action)
	case "caller":
		return a.text(1, in.Caller)
	case "tenant":
		return a.text(2, in.Tenant)
	case "key":
		return a.text(3, in.Key)
	case "purpose":
		return a.text(4, in.Purpose)
	case "algorithm":
		return a.text(5, in.Algorithm)
	case "environment":
		return a.text(6, in.Environment)
	case "source":
		return a.text(7, in.Source)
	case "target":
		return a.text(8, in.Target)
	case "resource":
		return a.text(9, in.Resource)
	case "address":
		return a.text(10, in.Address)
	case "classes":
		return a.value(11, func() any { return in.Classes })
	case "labels":
		return a.value(12, func() any { return in.Labels })
	case "time":
		return a.value(13, func() any { return in.Time })
	}
	return nil, false
}

func (a *activation) text(i int, s string) (any, bool) {
	if a.made[i] == nil {
		a.made[i] = types.String(s)
	}
	return a.made[i], true
}

func (a *activation) value(i int, of func() any) (any, bool) {
	if a.made[i] == nil {
		a.made[i] = types.DefaultTypeAdapter.NativeToValue(of())
	}
	return a.made[i], true
}
