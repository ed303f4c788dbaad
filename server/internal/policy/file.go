package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// File is the form of a policy in a file, with its tests.
type File struct {
	Rules []Rule `yaml:"rules"`
	Tests []Test `yaml:"tests"`

	lines []int // of the rules
}

// Test is one operation and what is to be decided about it.
type Test struct {
	Name  string `yaml:"name"`
	Input Input  `yaml:"input"`
	// Strength is the size in bits of the tags of the key that will be used; 0
	// means that of the algorithm of the input, if the rules choose no other key.
	Strength int  `yaml:"strength"`
	Want     Want `yaml:"want"`
}

// Want is a decision as a test writes it down.
type Want struct {
	Denied bool   `yaml:"denied"`
	Rule   string `yaml:"rule"` // that denied; empty means any, if denied
	Key    string `yaml:"use_key"`
	Audit  Level  `yaml:"audit"`
}

// Parse reads a file strictly: unknown and repeated names are errors, with
// their lines, of kind [fault.Invalid].
func Parse(text []byte) (File, error) {
	var f File
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	err := d.Decode(&f)
	if err == nil {
		if err = d.Decode(new(yaml.Node)); err == nil {
			err = errors.New("more than one document")
		}
	}
	if err != nil && err != io.EOF {
		return File{}, fault.New(fault.Invalid, "%s", goType.ReplaceAllString(err.Error(), ""))
	}
	f.lines = linesOfRules(text)
	return f, nil
}

// linesOfRules returns the line of each rule of a file that was parsed.
func linesOfRules(text []byte) (lines []int) {
	var found struct {
		Rules []yaml.Node `yaml:"rules"`
	}
	if yaml.Unmarshal(text, &found) == nil {
		for _, n := range found.Rules {
			lines = append(lines, n.Line)
		}
	}
	return lines
}

// Compile is [Compile] of the rules of f, whose errors have lines.
func (f File) Compile() (*Set, error) {
	return compile("", f.Rules, func(i int) string {
		if i >= len(f.lines) {
			return ""
		}
		return fmt.Sprintf("line %d: ", f.lines[i])
	})
}

// goType is what the decoder tells of types of this program.
var goType = regexp.MustCompile(` (in type|into) \S+`)

// Run returns what the tests of f found wrong, one text for each test that
// failed, in their order.
func (f File) Run(s *Set) []string {
	var failed []string
	for i, t := range f.Tests {
		if diff := t.run(s); diff != "" {
			failed = append(failed, fmt.Sprintf("test %d %q: %s", i+1, t.Name, diff))
		}
	}
	return failed
}

func (t *Test) run(s *Set) string {
	d := s.Decide(&t.Input)
	switch {
	case d.Denied:
	case t.Strength != 0:
		d = d.CheckKey(t.Input.Algorithm, t.Strength/8)
	default:
		d = d.withAlgorithm(t.Input.Algorithm)
	}
	w := t.Want
	switch {
	case d.Denied != w.Denied:
		return fmt.Sprintf("got %s, want %s", word(d.Denied, d.Rule, d.Reason), word(w.Denied, w.Rule, ""))
	case w.Rule != "" && d.Rule != w.Rule:
		return fmt.Sprintf("got denied by rule %q, want by rule %q", d.Rule, w.Rule)
	case !d.Denied && d.Key != w.Key:
		return fmt.Sprintf("got use_key %q, want %q", d.Key, w.Key)
	case d.Audit != w.Audit:
		return fmt.Sprintf("got audit %q, want %q", d.Audit, w.Audit)
	}
	return ""
}

func word(denied bool, rule, reason string) string {
	if !denied {
		return "allowed"
	}
	text := "denied"
	if rule != "" {
		text += fmt.Sprintf(" by rule %q", rule)
	}
	if reason != "" {
		text += " (" + reason + ")"
	}
	return text
}
