//go:build !race

package telemetry_test

import (
	"testing"

	"github.com/sealwright/sealwright/server/internal/telemetry"
)

// TestAllocsRecord holds the hot path to its budget.
func TestAllocsRecord(t *testing.T) {
	r := telemetry.New(telemetry.Options{Output: &discard{}})
	for range 2000 {
		r.Record(signed)
	}
	if got := testing.AllocsPerRun(1000, func() { r.Record(signed) }); got > 0 {
		t.Errorf("got %v allocations for a line, want 0", got)
	}
}

type discard struct{}

func (*discard) Write(p []byte) (int, error) { return len(p), nil }
