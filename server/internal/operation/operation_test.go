package operation_test

import (
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/operation"
)

func TestEnd(t *testing.T) {
	start := time.Unix(1000, 0)
	tests := []struct {
		name   string
		status int
		before string
		want   string
	}{
		{"Done", 200, "", operation.OK},
		{"Said", 200, operation.Invalid, operation.Invalid},
		{"Redirect", 399, "", operation.OK},
		{"Refused", 400, "", operation.Refused},
		{"LastRefusal", 499, operation.Valid, operation.Refused},
		{"Error", 500, operation.OK, operation.Error},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := operation.Report{Status: tt.status, Outcome: tt.before, Start: start}
			r.End(start.Add(time.Second))
			if r.Outcome != tt.want || r.Duration != time.Second {
				t.Errorf("got %s after %v, want %s after 1s", r.Outcome, r.Duration, tt.want)
			}
		})
	}
}

// IDs of two processes differ, and so do those of one.
func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 2 {
		ids := operation.NewIDs()
		for range 100 {
			seen[ids.Next()] = true
		}
	}
	if len(seen) != 200 {
		t.Errorf("got %d different IDs, want 200", len(seen))
	}
}
