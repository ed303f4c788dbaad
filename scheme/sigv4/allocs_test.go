//go:build !race

package sigv4_test

import (
	"testing"

	"github.com/sealwright/sealwright"
)

// TestAllocations bounds what verifying costs, which must not grow unseen.
func TestAllocations(t *testing.T) {
	s := aws(t, "dynamodb")
	m := signed(t, s, benchmarkRequest(true))
	v := sealwright.Verifier{Scheme: s, Ring: ring(keyID)}
	got := testing.AllocsPerRun(200, func() {
		if _, err := v.Verify(m, now); err != nil {
			t.Fatal(err)
		}
	})
	if got > 4 {
		t.Errorf("verify allocates %v times, want at most 4", got)
	}
}
