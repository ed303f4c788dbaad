// Package policy decides what an operation that access allows must fulfil: a
// tenant's rules look at who signs what, with which key, for what and from
// where, and deny it, demand an algorithm or more about it, choose the key, or
// set how it is audited.
//
// A [Set] is compiled once, when it is written, and never changes. Of its
// rules, those whose plain match fields fit are found by an index; only they
// reach their expression in CEL (https://cel.dev). What an expression may cost
// is bounded, and one that fails denies.
package policy

import (
	"cmp"
	"slices"
	"time"

	"github.com/sealwright/sealwright/mac"
)

// Bounds of a policy.
const (
	MaxRules      = 1000 // of a set
	MaxText       = 512  // bytes of an ID, a name and a reason
	MaxNames      = 100  // of one match field, and of required context
	MaxExpression = 4096 // bytes of When

	MaxClasses = 64 // of an operation; one with more is denied
	MaxLabels  = 64
)

// Rule is one rule of a policy. It holds for an operation if all fields of
// Match fit and When is true; both may be left out. Its effects are those that
// are set, at least one.
type Rule struct {
	ID     string            `json:"id" yaml:"id"`                     // unique in the policy: letters, digits, dots, hyphens and underscores
	Reason string            `json:"reason,omitempty" yaml:"reason"`   // for the log and for explanations
	Match  Match             `json:"match,omitzero" yaml:"match"`      //
	When   string            `json:"when,omitempty" yaml:"when"`       // CEL of type bool; empty means true
	Deny   bool              `json:"deny,omitempty" yaml:"deny"`       // refuses the operation
	Use    string            `json:"use_key,omitempty" yaml:"use_key"` // name of the key that is used in place of the one asked for
	Audit  Level             `json:"audit,omitempty" yaml:"audit"`     // how the operation is recorded
	Needs  Needs             `json:"require,omitzero" yaml:"require"`  //
	Labels map[string]string `json:"labels,omitempty" yaml:"labels"`   // of the rule, for people; nothing looks at them
}

// Match are the plain conditions of a rule. A field fits if it is empty or one
// of its values is that of the operation: the same, or the beginning of it if
// the value ends in *. Of the classes of an operation one must fit.
type Match struct {
	Action      []string `json:"action,omitempty" yaml:"action"` // such as key.sign
	Caller      []string `json:"caller,omitempty" yaml:"caller"`
	Key         []string `json:"key,omitempty" yaml:"key"`
	Purpose     []string `json:"purpose,omitempty" yaml:"purpose"`
	Classes     []string `json:"classes,omitempty" yaml:"classes"`
	Environment []string `json:"environment,omitempty" yaml:"environment"`
}

// Needs are what a rule demands of an operation.
type Needs struct {
	Algorithm   []string `json:"algorithm,omitempty" yaml:"algorithm"`       // one of these, such as hmac-sha512
	MinStrength int      `json:"min_strength,omitempty" yaml:"min_strength"` // bits of the tag of the algorithm, 256 to 512; 0 means any
	Context     []string `json:"context,omitempty" yaml:"context"`           // fields that must not be empty: environment, source, target, resource, classes, labels.NAME
}

// Level says how an operation is audited.
type Level string

// The levels, from the least to the most.
const (
	Counted Level = "counted" // per key, caller and outcome
	Batched Level = "batched" // the default
	Durable Level = "durable" // before the answer
)

// rank orders levels; the empty one is the lowest.
func (l Level) rank() int { return slices.Index([]Level{"", Counted, Batched, Durable}, l) }

// Input is what rules see of an operation. Every text may be empty, and has at
// most [MaxText] bytes.
type Input struct {
	Action      string            `json:"action" yaml:"action"`
	Caller      string            `json:"caller" yaml:"caller"`
	Tenant      string            `json:"tenant" yaml:"tenant"`
	Key         string            `json:"key" yaml:"key"` // as the caller named it
	Purpose     string            `json:"purpose" yaml:"purpose"`
	Algorithm   string            `json:"algorithm" yaml:"algorithm"` // of the key
	Environment string            `json:"environment" yaml:"environment"`
	Source      string            `json:"source" yaml:"source"`
	Target      string            `json:"target" yaml:"target"`
	Resource    string            `json:"resource" yaml:"resource"`
	Classes     []string          `json:"classes" yaml:"classes"` // of the data
	Labels      map[string]string `json:"labels" yaml:"labels"`
	Address     string            `json:"address" yaml:"address"` // of the caller
	Time        time.Time         `json:"time" yaml:"time"`
}

// tooLarge reports whether in has more than expressions were made for.
func (in *Input) tooLarge() bool {
	if len(in.Classes) > MaxClasses || len(in.Labels) > MaxLabels {
		return true
	}
	for _, s := range in.Classes {
		if len(s) > MaxText {
			return true
		}
	}
	for k, v := range in.Labels {
		if len(k) > MaxText || len(v) > MaxText {
			return true
		}
	}
	return max(len(in.Caller), len(in.Key), len(in.Purpose), len(in.Environment), len(in.Source), len(in.Target), len(in.Resource), len(in.Address)) > MaxText
}

// field returns the value of a field of [Needs.Context], and whether there is
// such a field. Of classes it is the first.
func (in *Input) field(name string) (string, bool) {
	switch name {
	case "environment":
		return in.Environment, true
	case "source":
		return in.Source, true
	case "target":
		return in.Target, true
	case "resource":
		return in.Resource, true
	case "classes":
		if len(in.Classes) == 0 {
			return "", true
		}
		return in.Classes[0], true
	}
	if label, ok := cutLabel(name); ok {
		return in.Labels[label], true
	}
	return "", false
}

func cutLabel(name string) (string, bool) {
	const prefix = "labels."
	if len(name) <= len(prefix) || name[:len(prefix)] != prefix {
		return "", false
	}
	return name[len(prefix):], true
}

// Decision is what the rules say about an operation. The zero value lets it
// happen as it was asked for.
type Decision struct {
	Denied bool   `json:"denied"`
	Rule   string `json:"rule,omitempty"`    // that denied, with its policy and a slash in front if that has an ID
	Reason string `json:"reason,omitempty"`  // why, for the log
	Key    string `json:"use_key,omitempty"` // to use in place of the one asked for; empty means that one
	Audit  Level  `json:"audit,omitempty"`   // empty means the default

	needs []demand
}

// demand is what one rule demands of the key that is used.
type demand struct {
	rule  *compiled
	needs *Needs
}

// CheckKey returns d, denied if a rule demands another algorithm than that of
// the key that will be used, whose tags have size bytes.
func (d Decision) CheckKey(algorithm string, size int) Decision {
	for _, n := range d.needs {
		switch {
		case len(n.needs.Algorithm) > 0 && !slices.Contains(n.needs.Algorithm, algorithm):
			return d.deny(n.rule, "algorithm "+algorithm+" is not one that is required")
		case size*8 < n.needs.MinStrength:
			return d.deny(n.rule, "algorithm "+algorithm+" is weaker than required")
		}
	}
	return d
}

// withAlgorithm is CheckKey for a key of which nothing else is known, if it is
// the one that is used.
func (d Decision) withAlgorithm(name string) Decision {
	a, err := mac.Parse(name)
	if err != nil || d.Denied || d.Key != "" {
		return d
	}
	return d.CheckKey(a.String(), a.Size())
}

func (d Decision) deny(r *compiled, why string) Decision {
	d.Denied, d.Rule, d.Reason = true, r.name, cmp.Or(r.Reason, why)
	if r.Reason != "" && why != "" {
		d.Reason = r.Reason + ": " + why
	}
	return d
}

// Outcome says what one rule did with an operation.
type Outcome struct {
	Rule    string `json:"rule"`
	Matches bool   `json:"matches"`          // all fields of Match fit
	When    *bool  `json:"when,omitempty"`   // what the expression said; nil if it was not asked
	Error   string `json:"error,omitempty"`  // of the expression
	Effect  string `json:"effect,omitempty"` // what the rule did; empty if nothing
}
