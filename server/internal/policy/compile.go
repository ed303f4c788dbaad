package policy

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// costLimit bounds the work of one expression, in CEL's units, of which a
// comparison is one; a text costs one for each ten bytes. It is what stops an
// expression that takes too long, on every machine at the same place. One that
// cannot cost as much with any [Input] is evaluated without counting, which
// takes most of the time.
const costLimit = 10_000

// decisionCost bounds the work of all expressions of one decision together, in
// the same units. Rules that would go beyond it are not asked: the operation is
// denied. It is some tens of milliseconds.
const decisionCost = 1_000_000

// Set is a compiled policy. It never changes and may be used by many
// goroutines. nil is a policy without rules.
type Set struct {
	rules []*compiled
	index *index
}

// compiled is a rule with its expression.
type compiled struct {
	Rule
	name string      // of the rule with that of its policy, if that has one
	when cel.Program // nil means true
	most uint64      // cost of when with any input; costLimit if it is counted
}

// Len returns the number of rules.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.rules)
}

// Compile makes a set of rules. The error, of kind [fault.Invalid], has all
// faults, each with the number and the ID of its rule.
func Compile(rules []Rule) (*Set, error) {
	return compile("", rules, func(int) string { return "" })
}

// compile makes the rules of a policy with this ID, empty for none. place
// returns what stands in front of an error of the rule with this index.
func compile(policy string, rules []Rule, place func(i int) string) (*Set, error) {
	if len(rules) > MaxRules {
		return nil, fault.New(fault.Invalid, "policy has %d rules, want at most %d", len(rules), MaxRules)
	}
	env, err := environment()
	if err != nil {
		return nil, fault.New(fault.Internal, "policy language cannot be set up").Because(err)
	}
	s := &Set{}
	var errs []error
	seen := map[string]bool{}
	for i, r := range rules {
		c := &compiled{Rule: r, name: r.ID}
		if policy != "" {
			c.name = policy + "/" + r.ID
		}
		err := r.check()
		if err == nil && seen[r.ID] {
			err = errors.New("id: stands twice")
		}
		if err == nil && r.When != "" {
			err = c.compileWhen(env)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%srule %d %q: %w", place(i), i+1, cut(r.ID), err))
		}
		seen[r.ID] = true
		s.rules = append(s.rules, c)
	}
	if len(errs) > 0 {
		return nil, fault.New(fault.Invalid, "%v", errors.Join(errs...))
	}
	s.index = newIndex(s.rules)
	return s, nil
}

// environment declares what expressions see: the fields of [Input].
func environment() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.Variable("classes", cel.ListType(cel.StringType)),
		cel.Variable("labels", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("time", cel.TimestampType),
	}
	for _, name := range []string{"action", "caller", "tenant", "key", "purpose", "algorithm", "environment", "source", "target", "resource", "address"} {
		options = append(options, cel.Variable(name, cel.StringType))
	}
	return cel.NewEnv(options...)
}

func (c *compiled) compileWhen(env *cel.Env) error {
	ast, issues := env.Compile(c.When)
	if err := issues.Err(); err != nil {
		return fmt.Errorf("when: %w", err)
	}
	if ast.OutputType() != cel.BoolType {
		return fmt.Errorf("when: is of type %v, want bool", ast.OutputType())
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	cost, err := env.EstimateCost(ast, sizes{})
	if c.most = cost.Max; err != nil || cost.Max > costLimit {
		options, c.most = append(options, cel.CostLimit(costLimit)), costLimit
	}
	if c.when, err = env.Program(ast, options...); err != nil {
		return fmt.Errorf("when: %w", err)
	}
	return nil
}

// cut bounds a text that somebody else chose, for an error.
func cut(s string) string { return s[:min(len(s), 128)] }

// sizes tells how large variables can be.
type sizes struct{}

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	path := node.Path()
	switch {
	case len(path) == 0:
		return nil
	case len(path) == 1 && path[0] == "classes":
		return &checker.SizeEstimate{Max: MaxClasses}
	case len(path) == 1 && path[0] == "labels":
		return &checker.SizeEstimate{Max: MaxLabels}
	}
	return &checker.SizeEstimate{Max: MaxText}
}

// EstimateCallCost implements checker.CostEstimator.
func (sizes) EstimateCallCost(_, _ string, _ *checker.AstNode, _ []checker.AstNode) *checker.CallEstimate {
	return nil
}

// check finds what is wrong with a rule without its expression.
func (r *Rule) check() error {
	switch {
	case !validID(r.ID):
		return fmt.Errorf("id: want 1 to %d letters, digits, dots, hyphens and underscores", 128)
	case len(r.Reason) > MaxText:
		return fmt.Errorf("reason: got %d bytes, want at most %d", len(r.Reason), MaxText)
	case len(r.When) > MaxExpression:
		return fmt.Errorf("when: got %d bytes, want at most %d", len(r.When), MaxExpression)
	case !r.Deny && r.Use == "" && r.Audit == "" && r.Needs.empty():
		return errors.New("has no effect: want deny, require, use_key or audit")
	case r.Deny && (r.Use != "" || !r.Needs.empty()):
		return errors.New("denies, so require and use_key have no meaning")
	case len(r.Use) > MaxText:
		return fmt.Errorf("use_key: got %d bytes, want at most %d", len(r.Use), MaxText)
	case r.Audit.rank() < 0:
		return fmt.Errorf("audit: got %q, want counted, batched or durable", r.Audit)
	}
	return errors.Join(r.Match.check(), r.Needs.check())
}

func validID(id string) bool {
	return id != "" && len(id) <= 128 && strings.IndexFunc(id, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("._-", c))
	}) < 0
}

func (m *Match) check() error {
	for name, values := range map[string][]string{
		"action": m.Action, "caller": m.Caller, "key": m.Key, "purpose": m.Purpose, "classes": m.Classes, "environment": m.Environment,
	} {
		if len(values) > MaxNames {
			return fmt.Errorf("match.%s: got %d names, want at most %d", name, len(values), MaxNames)
		}
		for _, v := range values {
			if v == "" || len(v) > MaxText || strings.Contains(v[:len(v)-1], "*") {
				return fmt.Errorf("match.%s: got %q, want 1 to %d bytes, with * at the end only", name, v, MaxText)
			}
		}
	}
	return nil
}

func (n *Needs) empty() bool {
	return len(n.Algorithm) == 0 && n.MinStrength == 0 && len(n.Context) == 0
}

func (n *Needs) check() error {
	for _, text := range n.Algorithm {
		if a, err := mac.Parse(text); err != nil || a.Legacy() {
			return fmt.Errorf("require.algorithm: %q does not sign", text)
		}
	}
	if n.MinStrength != 0 && (n.MinStrength < 256 || n.MinStrength > 512) {
		return fmt.Errorf("require.min_strength: got %d bits, want 256 to 512", n.MinStrength)
	}
	if len(n.Context) > MaxNames {
		return fmt.Errorf("require.context: got %d names, want at most %d", len(n.Context), MaxNames)
	}
	for _, name := range n.Context {
		if _, ok := new(Input).field(name); !ok {
			return fmt.Errorf("require.context: got %q, want environment, source, target, resource, classes or labels.NAME", name)
		}
	}
	return nil
}
