package catalogue_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/scheme"
)

// TestTier holds the two tiers: a verified preset has a valid line from a
// published source in its file of vectors. Every preset has valid and invalid
// lines.
func TestTier(t *testing.T) {
	files, err := filepath.Glob("vectors/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	published, valid, invalid := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, file := range files {
		for _, v := range readVectors(t, file) {
			if v.Expect == "invalid" {
				invalid[v.Preset] = true
				continue
			}
			valid[v.Preset] = true
			if slices.Contains([]string{"read", "confirmed", "recalled"}, v.SourceStatus) {
				published[v.Preset] = true
			}
		}
	}
	for _, id := range catalogue.Names() {
		d, err := catalogue.Definition(id)
		if err != nil {
			t.Fatal(err)
		}
		if d.Tier == scheme.Verified && !published[id] {
			t.Errorf("%s: is verified without a published vector", id)
		}
		if !valid[id] || !invalid[id] {
			t.Errorf("%s: has valid vectors: %v, invalid ones: %v", id, valid[id], invalid[id])
		}
	}
}
