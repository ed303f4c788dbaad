package finding_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/finding"
	"github.com/sealwright/sealwright/scheme"
)

func TestLintText(t *testing.T) {
	r := finding.NewLint("own\x1b")
	r.Add(scheme.Finding{Rule: "truncated", Text: "cut", Attack: "A03"})
	if !r.Loads {
		t.Error("a warning keeps it from loading")
	}
	const warned = "warning truncated: cut\n  allows  A03, prefix of a tag, tag of another length\n  mend    send the whole tag in a scheme of your own\n" + `own\u001b` + " loads: 1 weakness, 0 fatal\n"
	if got := r.Text(false); got != warned {
		t.Errorf("got\n%s, want\n%s", got, warned)
	}
	r.Add(scheme.Finding{Rule: finding.RuleLoad, Text: "line 1\x1b\nline 2", Fatal: true})
	r.Add(scheme.Finding{Rule: "truncated", Text: "cut", Attack: "A03"})
	if r.Loads {
		t.Error("a fatal finding does not keep it from loading, or a warning undoes it")
	}
	const fatal = "FATAL load: line 1\\u001b\n  line 2\n  mend    see docs/schemes/format.md for the members, their values and the parameters\n"
	if got := r.Text(false); !strings.Contains(got, fatal) {
		t.Errorf("got\n%s, want in it\n%s", got, fatal)
	}
}
