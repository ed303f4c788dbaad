//go:build !race

package custody_test

import (
	"testing"
)

// The race detector empties pools at random, so budgets are checked without it.
func TestAllocations(t *testing.T) {
	h := newHouse(t)
	h.create(t, "a")
	k := h.rotate(t, "a")
	message := make([]byte, 1024)
	tag, version, err := k.Sign(nil, message)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	s := k.Signature(tag, version)
	buf := make([]byte, 0, 256)
	for name, run := range map[string]func(){
		"Get":             func() { _, _ = h.Get(tenant, "a") },
		"Sign":            func() { _, _, _ = k.Sign(buf, message) },
		"VerifyNamed":     func() { k.Verify(tag, version, message) },
		"VerifyAny":       func() { k.Verify(tag, 0, message) },
		"VerifySignature": func() { _ = k.VerifySignature(s, message) },
		"AppendSignature": func() { k.Signature(tag, version).Append(buf) },
	} {
		if got := testing.AllocsPerRun(100, run); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, got)
		}
	}
}
