package catalogue_test

import (
	"slices"
	"testing"

	"github.com/sealwright/sealwright/catalogue"
)

// TestLoad loads every preset, which lints it and runs its known answers.
func TestLoad(t *testing.T) {
	for _, id := range catalogue.Names() {
		t.Run(id, func(t *testing.T) {
			d, err := catalogue.Definition(id)
			if err != nil {
				t.Fatal(err)
			}
			if d.ID != id {
				t.Errorf("ID is %q, want the name of the file", d.ID)
			}
		})
	}
}

func TestNamesSorted(t *testing.T) {
	if names := catalogue.Names(); !slices.IsSorted(names) {
		t.Errorf("got %q, want them sorted", names)
	}
}
