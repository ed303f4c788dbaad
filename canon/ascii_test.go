package canon_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/canon"
)

// TestVisible holds every byte at every place of texts that are read eight
// bytes at a time.
func TestVisible(t *testing.T) {
	for _, size := range []int{1, 7, 8, 9, 16, 20} {
		for at := range size {
			for c := range 256 {
				text := []byte(strings.Repeat("!~", size)[:size])
				text[at] = byte(c)
				if got, want := canon.Visible(string(text)), '!' <= c && c <= '~'; got != want {
					t.Errorf("Visible(%q) = %v, want %v", text, got, want)
				}
				if got, want := canon.Printable(string(text)), ' ' <= c && c <= '~'; got != want {
					t.Errorf("Printable(%q) = %v, want %v", text, got, want)
				}
			}
		}
	}
	if !canon.Visible("") || !canon.Printable("") {
		t.Error("an empty text is refused")
	}
}
