// Package finding says, for people and in JSON, what verification, lint and the
// doctor have found.
package finding

import (
	"fmt"
	"strings"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/scheme"
)

// Lint is what there is to say about a scheme. Make it with [NewLint].
type Lint struct {
	Scheme   string        `json:"scheme"` // ID; the name of the file if that cannot be read as a scheme
	Loads    bool          `json:"loads"`
	Findings []LintFinding `json:"findings"`
}

// LintFinding is one weakness.
type LintFinding struct {
	Rule     string `json:"rule"`
	Fatal    bool   `json:"fatal"`
	Text     string `json:"text"`
	Attack   string `json:"attack,omitempty"`
	Weakness string `json:"weakness,omitempty"` // the class of attack in words
	Mend     string `json:"mend,omitempty"`
}

// Rules of findings beside those of package scheme.
const (
	RuleLoad        = "load"
	RuleKnownAnswer = "known-answer"
)

// NewLint returns a report without findings.
func NewLint(scheme string) *Lint {
	return &Lint{Scheme: scheme, Loads: true, Findings: []LintFinding{}}
}

// Add adds a finding.
func (r *Lint) Add(f scheme.Finding) {
	r.Loads = r.Loads && !f.Fatal
	mend := f.Mend()
	switch f.Rule {
	case RuleLoad:
		mend = "see docs/schemes/format.md for the members, their values and the parameters"
	case RuleKnownAnswer:
		mend = "give kat a secret and a request with the signature that was made with it; 'sealwright verify' tries single requests"
	}
	r.Findings = append(r.Findings, LintFinding{Rule: f.Rule, Fatal: f.Fatal, Text: f.Text, Attack: f.Attack, Weakness: f.Weakness(), Mend: mend})
}

// Text returns the report for people.
func (r *Lint) Text(colour bool) string {
	var b strings.Builder
	fatal := 0
	for _, f := range r.Findings {
		kind := "warning"
		if f.Fatal {
			fatal++
			kind = terminal.Paint("FATAL", terminal.Red, colour)
		}
		fmt.Fprintf(&b, "%s %s: %s\n", kind, f.Rule, terminal.Lines(strings.ReplaceAll(f.Text, "\n", "\n  ")))
		if f.Attack != "" {
			fmt.Fprintf(&b, "  allows  %s, %s\n", f.Attack, f.Weakness)
		}
		if f.Mend != "" {
			fmt.Fprintf(&b, "  mend    %s\n", f.Mend)
		}
	}
	state := terminal.Paint("loads", terminal.Green, colour)
	if !r.Loads {
		state = terminal.Paint("does NOT load", terminal.Red, colour)
	}
	fmt.Fprintf(&b, "%s %s: %s, %d fatal\n", terminal.Printable(r.Scheme), state, count(len(r.Findings), "weakness", "weaknesses"), fatal)
	return b.String()
}
