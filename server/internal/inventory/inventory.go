// Package inventory reads a data catalogue: which classes of data a resource
// has, such as pii or financial. It stands in a file or is served over HTTP by a
// product that keeps such catalogues, and policies look at the classes.
//
// A [Source] reads the whole catalogue once in a while and answers from memory.
// What it cannot read or parse leaves the last good one in use; before there is
// one, what has to be looked up is unavailable, not without classes.
package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sealwright/sealwright/api"
)

// Bounds of a catalogue.
const (
	MaxBytes     = 4 << 20
	MaxResources = 100_000
)

// Catalogue maps names of resources to classes. It does not change. nil has no
// resources.
type Catalogue struct {
	exact    map[string][]string
	prefixes map[string][]string // without the asterisk
	lengths  []int               // of the prefixes, each once
}

// Parse reads a catalogue in YAML, of which JSON is a part:
//
//	resources:
//	  orders.payments: [financial, pii]
//	  hr.*: [pii]
//
// Unknown and repeated names are errors, with their lines. A name is exact, or
// ends in an asterisk for all that begin so. It has at most
// [api.MaxMetadataText] bytes and up to [api.MaxMetadataCount] classes, as in
// [api.Metadata].
func Parse(text []byte) (*Catalogue, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("data catalogue: got %d bytes, want at most %d", len(text), MaxBytes)
	}
	var file struct {
		Resources map[string][]string `yaml:"resources"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	err := d.Decode(&file)
	if err == nil && d.Decode(new(yaml.Node)) != io.EOF {
		err = errors.New("more than one document")
	}
	if err != nil { // also one that is empty: it was likely cut
		return nil, fmt.Errorf("data catalogue: %s", goType.ReplaceAllString(err.Error(), ""))
	}
	if len(file.Resources) > MaxResources {
		return nil, fmt.Errorf("data catalogue: got %d resources, want at most %d", len(file.Resources), MaxResources)
	}
	c := &Catalogue{exact: map[string][]string{}, prefixes: map[string][]string{}}
	for name, classes := range file.Resources {
		if err := c.add(name, classes); err != nil {
			return nil, fmt.Errorf("data catalogue: resource %q: %w", name[:min(len(name), 64)], err)
		}
	}
	return c, nil
}

// goType is what the decoder tells of types of this program.
var goType = regexp.MustCompile(` (in type|into) .*`)

func (c *Catalogue) add(name string, classes []string) error {
	m := api.Metadata{Resource: name, Classes: classes}
	if err := m.Check(); err != nil {
		return err
	}
	prefix, isPrefix := strings.CutSuffix(name, "*")
	switch {
	case name == "" || strings.Contains(prefix, "*"):
		return errors.New("want a name, with * at the end only")
	case !isPrefix:
		c.exact[name] = classes
		return nil
	}
	c.prefixes[prefix] = classes
	if n := len(prefix); !slices.Contains(c.lengths, n) {
		c.lengths = append(c.lengths, n)
	}
	return nil
}

// Classes returns the classes of a resource: those of its name and of all that
// it begins with, together, sorted. It is none for a resource that nothing is
// known about.
func (c *Catalogue) Classes(resource string) []string {
	if c == nil {
		return nil
	}
	all := slices.Clone(c.exact[resource])
	for _, n := range c.lengths {
		if n <= len(resource) {
			all = append(all, c.prefixes[resource[:n]]...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Len returns how many names the catalogue has.
func (c *Catalogue) Len() int {
	if c == nil {
		return 0
	}
	return len(c.exact) + len(c.prefixes)
}
