package policy

import "github.com/sealwright/sealwright/api"

// InputOf returns the operation that somebody asks about.
func InputOf(b api.PolicyInput) Input {
	in := Input{
		Action: b.Action, Caller: b.Caller, Key: b.Key, Purpose: b.Purpose, Algorithm: b.Algorithm, Environment: b.Environment,
		Source: b.Source, Target: b.Target, Resource: b.Resource, Classes: b.Classes, Labels: b.Labels, Address: b.Address,
	}
	if b.Time != nil {
		in.Time = *b.Time
	}
	return in
}

// Explanation returns d with what each rule did.
func (d Decision) Explanation(outcomes []Outcome) api.PolicyExplanation {
	out := api.PolicyExplanation{
		Allowed: !d.Denied, Rule: d.Rule, Reason: d.Reason, Key: d.Key, Audit: string(d.Audit), Outcomes: make([]api.PolicyOutcome, len(outcomes)),
	}
	for _, n := range d.needs {
		out.Demands = append(out.Demands, api.PolicyDemand{Rule: n.rule.name, PolicyNeeds: api.PolicyNeeds(*n.needs)})
	}
	for i, o := range outcomes {
		out.Outcomes[i] = api.PolicyOutcome(o)
	}
	return out
}

// ExplainInput is [Set.Explain] of what somebody asks about, with the demands on
// the key checked as by [Service.Explain].
func (s *Set) ExplainInput(in Input) (Decision, []Outcome) {
	d, outcomes := s.Explain(&in)
	return d.withAlgorithm(in.Algorithm), outcomes
}
