package canon

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// LineFields returns the lines name=value of body, which end with LF or CRLF.
// Empty lines are left out. A line of another form, a name that stands twice
// and more than [MaxFields] lines are errors.
func LineFields(body []byte) ([]Field, error) {
	var out []Field
	seen := map[string]bool{}
	number := 0
	for line := range strings.Lines(string(body)) {
		number++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		switch {
		case !ok || name == "":
			return nil, fmt.Errorf("line %d is not name=value", number)
		case seen[name]:
			return nil, fmt.Errorf("line %d: %q stands twice", number, name)
		case len(out) == MaxFields:
			return nil, fmt.Errorf("more than %d lines", MaxFields)
		}
		seen[name] = true
		out = append(out, Field{Name: name, Value: value})
	}
	return out, nil
}

// PutLine returns body with the line name set to name=value, as the first line
// if there is none.
func PutLine(body []byte, name, value string) []byte {
	var out []byte
	found := false
	for line := range bytes.Lines(body) {
		if n, _, ok := bytes.Cut(line, []byte("=")); ok && string(n) == name {
			end := line[len(bytes.TrimRight(line, "\r\n")):]
			line, found = slices.Concat([]byte(name+"="+value), end), true
		}
		out = append(out, line...)
	}
	if !found {
		out = slices.Concat([]byte(name+"="+value+"\r\n"), out)
	}
	return out
}
