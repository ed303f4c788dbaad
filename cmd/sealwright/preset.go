package main

import (
	"fmt"
	"strings"

	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/scheme"
)

func unknownScheme(name string, names []string) error {
	hint := ""
	near := nearest(name, names)
	if len(near) == 0 {
		near = nearest(name, refusedNames())
	}
	if len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "? "
	}
	return fmt.Errorf("no scheme %q; %s'sealwright schemes' lists the names, and a file is named with .json at its end", name, hint)
}

func refusedNames() []string {
	var names []string
	for _, r := range catalogue.Refusals() {
		names = append(names, r.Name)
	}
	return names
}

// nearest returns up to three of names that name was likely meant to be: those
// with the fewest typing errors, two at most, or with name at their beginning,
// which counts as two.
func nearest(name string, names []string) []string {
	const most = 3
	best := 2
	name = strings.ToLower(name)
	var near []string
	for _, n := range names {
		far := distance(name, n)
		if len(name) >= 3 && strings.HasPrefix(n, name) {
			far = min(far, 2)
		}
		if far > best || far >= len(name) {
			continue
		}
		if far < best {
			best, near = far, nil
		}
		near = append(near, n)
	}
	return near[:min(most, len(near))]
}

// distance returns the Levenshtein distance between a and b in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// parseParams reads NAME=VALUE pairs. A name that stands several times is a
// list.
func parseParams(pairs []string) (scheme.Params, error) {
	p := scheme.Params{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--param: got %q, want NAME=VALUE", pair)
		}
		p[name] = append(p[name], value)
	}
	return p, nil
}
