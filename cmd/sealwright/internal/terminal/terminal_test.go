package terminal_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

func TestPrintable(t *testing.T) {
	tests := []struct{ text, want string }{
		{"Käufer – 好 \"x\"", "Käufer – 好 \"x\""},
		{"\x1b[2J", `\u001b[2J`},
		{"a\nkey b\r\t", `a\u000akey b\u000d\u0009`},
		{"\u009b2J\u202e\u200b", `\u009b2J\u202e\u200b`},
		{"a\x9bb", "a\ufffdb"},
		{"\x00\x7f", `\u0000\u007f`},
	}
	for _, tt := range tests {
		if got := terminal.Printable(tt.text); got != tt.want {
			t.Errorf("Printable(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestLines(t *testing.T) {
	if got, want := terminal.Lines("a\x1b\n\nb\r\n"), "a\\u001b\n\nb\\u000d\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMarked(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{"a", "> a\n"},
		{"a\r\n\r\nb\x1b\n", "> a\n>\n> b\\u001b\n"},
		{"a\rb", "> a\\u000db\n"},
	}
	for _, tt := range tests {
		if got := terminal.Marked("> ", tt.text); got != tt.want {
			t.Errorf("Marked(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestPaint(t *testing.T) {
	if got := terminal.Paint("a", terminal.Red, false); got != "a" {
		t.Errorf("got %q without colours", got)
	}
	if got, want := terminal.Paint("a", terminal.Red, true), "\x1b[1;31ma\x1b[0m"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestColoured(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if terminal.Coloured(f) || terminal.Coloured(new(bytes.Buffer)) {
		t.Error("a file or a buffer is coloured")
	}
}
