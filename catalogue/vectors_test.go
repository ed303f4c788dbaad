package catalogue_test

import (
	"bufio"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/scheme"
)

// TestVectors runs every line of vectors/: a valid line verifies, covers the
// bytes that it says, and verifies after it was signed again; an invalid line
// is refused.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob("vectors/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		for _, v := range readVectors(t, file) {
			t.Run(v.ID, func(t *testing.T) {
				s, err := catalogue.New(v.Preset, v.Params)
				if err != nil {
					t.Fatal(err)
				}
				if err := v.Run(s); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func readVectors(t *testing.T, file string) []scheme.Vector {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []scheme.Vector
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		v, err := scheme.ParseVector(lines.Bytes())
		if err != nil {
			t.Fatalf("%s:%d: %v", file, n, err)
		}
		out = append(out, v)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
