package finding_test

import (
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/finding"
)

func TestDescribeVerdict(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name    string
		verdict sealwright.Verdict
		want    string
	}{{
		name: "Everything",
		verdict: sealwright.Verdict{
			Valid: true, Scheme: "s", KeyID: "k\x1b", Version: 3, Algorithm: 1, At: at, Age: -1500 * time.Millisecond, Expires: at.Add(time.Hour),
			Nonce: "n\nkey  faked", Rendering: "with port", Warnings: []string{"w1", "w2"},
			Covers: sealwright.Coverage{Method: true, Path: true, Query: true, Host: true, Body: true, Time: true, KeyID: true, Headers: []string{"Date"}, Fields: []string{"/id"}},
		},
		want: `valid under s
  key          "k\x1b", version 3, hmac-sha256
  signed       2026-01-01T00:00:00Z, 1.5s after now
  expires      2026-01-01T01:00:00Z
  nonce        n\u000akey  faked
  rendering    with port
  covers       method, path, query, host, body, time, key id, header Date, field /id
  warning      w1
  warning      w2
`,
	}, {
		name:    "Nothing",
		verdict: sealwright.Verdict{Valid: true, Scheme: "s", Version: 1, Algorithm: 1},
		want: `valid under s
  key          version 1, hmac-sha256
  covers       nothing
  leaves open  method, path, query, host, body, time, key id
`,
	}, {
		name: "NotValidProvesNothing",
		verdict: sealwright.Verdict{
			Scheme: "s", Reason: sealwright.ReasonMismatch, Detail: "why", KeyID: "k", At: at, Age: time.Second, Nonce: "n",
			Covers: sealwright.Coverage{Body: true}, Warnings: []string{"w"},
		},
		want: `NOT VALID under s: wrong-signature
  why          why
  key          "k", as claimed
  signed       2026-01-01T00:00:00Z, 1s before now, as claimed
`,
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := finding.DescribeVerdict(tt.verdict, "", false); got != tt.want {
				t.Errorf("got\n%s, want\n%s", got, tt.want)
			}
		})
	}
}

func TestCovered(t *testing.T) {
	tests := []struct {
		name string
		c    sealwright.Coverage
		want string
	}{
		{"Nothing", sealwright.Coverage{}, "nothing"},
		{"OnlyAField", sealwright.Coverage{Fields: []string{"a"}}, "field a"},
		{"AsManyAsAreNamed", sealwright.Coverage{Body: true, Headers: []string{"A", "B"}, Fields: []string{"a", "b"}}, "body, header A, header B, field a, field b"},
		{"OneMore", sealwright.Coverage{Body: true, Headers: []string{"A", "B", "C"}, Fields: []string{"a", "b", "c", "d"}}, "body, 3 headers, 4 fields"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := finding.Covered(tt.c, 2); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
