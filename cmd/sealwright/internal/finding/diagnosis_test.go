package finding_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/finding"
	"github.com/sealwright/sealwright/doctor"
)

// TestDiagnosisJSON checks that the members that have to be there are there,
// also when there is nothing to say.
func TestDiagnosisJSON(t *testing.T) {
	text, err := json.Marshal(finding.NewDiagnosis(doctor.Diagnosis{Verdict: doctor.Unknown}))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"verdict":"unknown","cause":"","danger":false,"explanation":"","fix":"","hypotheses":0,"secrets":0,"diff":null}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestDescribeDiagnosis(t *testing.T) {
	tests := []struct {
		name string
		d    doctor.Diagnosis
		want string
	}{{
		name: "Everything",
		d: doctor.Diagnosis{
			Verdict: doctor.Proven, Cause: "body.newlines", Cause2: "secret.whitespace", Secret: "live\x1b[2J", Danger: true, Explanation: "why", Fix: "first\n  second",
			Notes: []string{"n1", "n2"}, Hypotheses: 12, Secrets: 2,
			Diff: &doctor.Diff{Offset: 3, Signed: "abc\ndef", Seen: "abc\r\ndef", SignedBytes: 7, SeenBytes: 8},
		},
		want: `PROVEN: body.newlines and secret.whitespace (github)
  DANGER   what was received authenticates nothing, or exposes a secret
  why      why
  secret   live\u001b[2J
  diff     at byte 3: 7 bytes were signed, 8 were seen
           signed abc\ndef
           seen   abc\r\ndef
                      ^^
  fix      first
             second
  note     n1
  note     n2
  tried    12 hypotheses with 2 secrets in 1.2ms
`,
	}, {
		name: "Nothing",
		d:    doctor.Diagnosis{Verdict: doctor.Unknown, Explanation: "none of 3"},
		want: `UNKNOWN (github)
  why      none of 3
  tried    0 hypotheses with 0 secrets in 1.2ms
`,
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := finding.DescribeDiagnosis(tt.d, "github", 1234*time.Microsecond, false); got != tt.want {
				t.Errorf("got\n%s, want\n%s", got, tt.want)
			}
		})
	}
}
