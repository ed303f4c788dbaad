//go:build !race

package mac_test

import (
	"testing"

	"github.com/sealwright/sealwright/mac"
)

// TestAllocs holds the budget of a prepared key: a MAC allocates nothing. The
// race detector drops pooled states at random, so this is built without it.
func TestAllocs(t *testing.T) {
	message, text := pseudo(1024), string(pseudo(1024))
	each(t, func(t *testing.T, a mac.Algorithm) {
		k := mustKey(t, a, "key")
		tag := mustSum(t, k, string(message))
		var buf [mac.MaxSize]byte
		for name, run := range map[string]func(){
			"Sum": func() {
				if _, err := k.Sum(buf[:0], message[:100], message[100:]); err != nil {
					t.Error(err)
				}
			},
			"Verify": func() {
				if !k.Verify(tag, message) {
					t.Error("does not verify")
				}
			},
			"VerifyWrongTag": func() {
				if k.Verify(buf[:1], message) {
					t.Error("verifies")
				}
			},
			"State": func() {
				s := k.State()
				_, _ = s.WriteString(text)
				if !s.VerifyTruncated(tag[:mac.MinTruncated], mac.MinTruncated) {
					t.Error("does not verify")
				}
				s.Release()
			},
		} {
			if got := testing.AllocsPerRun(1000, run); got != 0 {
				t.Errorf("%s: %v allocations, want 0", name, got)
			}
		}
	})
}
