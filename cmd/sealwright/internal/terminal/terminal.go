// Package terminal makes text fit to be shown: what a message holds was chosen
// by a stranger, and must not steer the terminal.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
)

// Printable returns s with everything escaped that could steer a terminal, line
// ends too.
func Printable(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if strings.IndexFunc(s, Steers) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if Steers(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Lines is [Printable] for text of several lines.
func Lines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = Printable(line)
	}
	return strings.Join(lines, "\n")
}

// Marked returns the lines of s, each printable and behind a mark. A line may
// end with CR LF.
func Marked(mark, s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		b.WriteString(strings.TrimRight(mark+Printable(line), " ") + "\n")
	}
	return b.String()
}

// Steers reports whether r is more than a character to see.
func Steers(r rune) bool { return !unicode.IsPrint(r) }

// Colours of a terminal (ECMA-48).
const (
	Red    = "31"
	Green  = "32"
	Yellow = "33"
)

// Paint returns s in bold and in the colour, if on.
func Paint(s, colour string, on bool) string {
	if !on {
		return s
	}
	return "\x1b[1;" + colour + "m" + s + "\x1b[0m"
}

// Coloured reports whether w is a terminal whose user has not asked for plain
// text (no-color.org).
func Coloured(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
