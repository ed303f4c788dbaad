package catalogue_test

import (
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
