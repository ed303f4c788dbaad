package server

import (
	"encoding/json"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/policy"
)

// PolicyFile is a policy in a file, with its tests. Get one from
// [ParsePolicyFile]. It needs no server.
type PolicyFile struct {
	rules []api.PolicyRule
	file  policy.File
	set   *policy.Set
}

// ParsePolicyFile reads and compiles a policy in YAML, of which JSON is a part.
// The error has all faults, one a line, with the lines of the file.
func ParsePolicyFile(text []byte) (*PolicyFile, error) {
	f, err := policy.Parse(text)
	if err != nil {
		return nil, err
	}
	p := &PolicyFile{file: f}
	if p.set, err = f.Compile(); err != nil {
		return nil, err
	}
	plain, err := json.Marshal(f.Rules)
	if err == nil {
		err = json.Unmarshal(plain, &p.rules)
	}
	if err != nil {
		return nil, fault.New(fault.Internal, "the rules cannot be translated").Because(err)
	}
	return p, nil
}

// Rules returns the rules as the API has them.
func (p *PolicyFile) Rules() []api.PolicyRule { return p.rules }

// Tests returns how many tests the file has.
func (p *PolicyFile) Tests() int { return len(p.file.Tests) }

// Run returns what the tests of the file found wrong, one text for each test
// that failed.
func (p *PolicyFile) Run() []string { return p.file.Run(p.set) }

// Explain says what the policy says about an operation, and why.
func (p *PolicyFile) Explain(in api.PolicyInput) api.PolicyExplanation {
	d, outcomes := p.set.ExplainInput(policy.InputOf(in))
	return d.Explanation(outcomes)
}
