package finding

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/doctor"
)

// Diagnosis is an answer of the doctor as JSON has it.
type Diagnosis struct {
	Verdict     doctor.Verdict `json:"verdict"`
	Cause       string         `json:"cause"` // "" if none is known
	Cause2      string         `json:"cause2,omitempty"`
	Secret      string         `json:"secret,omitempty"`
	Danger      bool           `json:"danger"`
	Explanation string         `json:"explanation"`
	Fix         string         `json:"fix"`
	Notes       []string       `json:"notes,omitempty"`
	Hypotheses  int            `json:"hypotheses"`
	Secrets     int            `json:"secrets"`
	Diff        *doctor.Diff   `json:"diff"` // null if there is none
}

// NewDiagnosis returns d with every member that has to be there.
func NewDiagnosis(d doctor.Diagnosis) Diagnosis {
	return Diagnosis{
		Verdict: d.Verdict, Cause: d.Cause, Cause2: d.Cause2, Secret: d.Secret, Danger: d.Danger, Explanation: d.Explanation,
		Fix: d.Fix, Notes: d.Notes, Hypotheses: d.Hypotheses, Secrets: d.Secrets, Diff: d.Diff,
	}
}

// verdictWords are the headlines of the verdicts.
var verdictWords = map[doctor.Verdict]struct{ text, colour string }{
	doctor.Proven:   {"PROVEN", terminal.Red},
	doctor.Fine:     {"REQUEST IS FINE", terminal.Green},
	doctor.Time:     {"TIME", terminal.Yellow},
	doctor.Evidence: {"EVIDENCE, NO PROOF", terminal.Yellow},
	doctor.Unknown:  {"UNKNOWN", terminal.Red},
}

// DescribeDiagnosis returns the answer for people; name is that of the scheme.
func DescribeDiagnosis(d doctor.Diagnosis, name string, took time.Duration, colour bool) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-8s %s\n", name, strings.ReplaceAll(terminal.Lines(value), "\n", "\n           "))
		}
	}
	words := verdictWords[d.Verdict]
	b.WriteString(terminal.Paint(cmp.Or(words.text, string(d.Verdict)), words.colour, colour))
	if d.Cause != "" {
		b.WriteString(": " + terminal.Printable(d.Cause))
	}
	if d.Cause2 != "" {
		b.WriteString(" and " + terminal.Printable(d.Cause2))
	}
	b.WriteString(" (" + terminal.Printable(name) + ")\n")
	if d.Danger {
		b.WriteString("  " + terminal.Paint("DANGER", terminal.Red, colour) + "   what was received authenticates nothing, or exposes a secret\n")
	}
	line("why", d.Explanation)
	line("secret", d.Secret)
	if d.Diff != nil {
		line("diff", describeDiff(d.Diff))
	}
	line("fix", d.Fix)
	for _, n := range d.Notes {
		line("note", n)
	}
	line("tried", fmt.Sprintf("%s with %s in %v", count(d.Hypotheses, "hypothesis", "hypotheses"), count(d.Secrets, "secret", "secrets"), took.Round(100*time.Microsecond)))
	return b.String()
}

// describeDiff returns both texts, one above the other, with a mark below what
// differs.
func describeDiff(d *doctor.Diff) string {
	signed, seen := visible(d.Signed), visible(d.Seen)
	start, end := common(signed, seen)
	n := max(1, utf8.RuneCountInString(signed)-start-end, utf8.RuneCountInString(seen)-start-end)
	return fmt.Sprintf("at byte %d: %d bytes were signed, %d were seen\nsigned %s\nseen   %s\n       %s%s",
		d.Offset, d.SignedBytes, d.SeenBytes, signed, seen, strings.Repeat(" ", start), strings.Repeat("^", n))
}

// visible returns s on one line, with line ends and tabs that can be seen.
func visible(s string) string {
	return terminal.Printable(strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s))
}

// common returns how many characters a and b have in common at their beginnings
// and, of the rest, at their ends.
func common(a, b string) (start, end int) {
	x, y := []rune(a), []rune(b)
	for start < len(x) && start < len(y) && x[start] == y[start] {
		start++
	}
	for end < len(x)-start && end < len(y)-start && x[len(x)-1-end] == y[len(y)-1-end] {
		end++
	}
	return start, end
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
