package floors

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strings"
)

// checker collects what breaks the rules.
type checker struct {
	Rules
	tree     *Tree
	findings []string
	needed   map[string]bool // exceptions that were needed, by list and key
	lengths  []int           // of all functions, in lines
}

// Check returns what in the tree breaks the rules, each as file:line: text, in
// the order of packages and files. Nothing means that the tree keeps to them.
func Check(r Rules, tree *Tree) []string {
	c := &checker{Rules: r, tree: tree, needed: map[string]bool{}}
	for _, p := range tree.Packages {
		c.checkAllocs(p)
		code := c.written(p)
		if len(code) == 0 {
			continue
		}
		c.checkImports(p.Path, code)
		c.checkUses(p.Path, code)
		c.checkVars(p.Path, code)
		c.checkShape(p.Path, code)
	}
	c.checkP90()
	c.checkExceptions()
	return c.findings
}

func (c *checker) report(at token.Pos, format string, args ...any) {
	c.findings = append(c.findings, c.tree.Fset.Position(at).String()+": "+fmt.Sprintf(format, args...))
}

// written returns the files of p that are no tests, and that a person wrote
// where the others are excepted.
func (c *checker) written(p *Package) []*File {
	return slices.DeleteFunc(p.code(), func(f *File) bool {
		return ast.IsGenerated(f.File) && c.excepted("Generated", c.Generated, p.Path)
	})
}

// excepted reports whether list, by name, has an exception for key.
func (c *checker) excepted(name string, list map[string]string, key string) bool {
	_, ok := list[key]
	if ok {
		c.needed[name+" "+key] = true
	}
	return ok
}

func (c *checker) checkP90() {
	if len(c.lengths) == 0 {
		return
	}
	slices.Sort(c.lengths)
	if got := c.lengths[len(c.lengths)*9/10]; got > p90Function {
		c.findings = append(c.findings, fmt.Sprintf("functions: nine of ten have up to %d lines, want %d", got, p90Function))
	}
}

// checkExceptions reports those that nothing needed, if their package exists,
// and those without a reason.
func (c *checker) checkExceptions() {
	exists := map[string]bool{}
	for _, p := range c.tree.Packages {
		exists[p.Path] = true
	}
	for _, list := range []struct {
		name    string
		entries map[string]string
	}{
		{"Imports", c.Imports}, {"Expose", c.Expose}, {"Tags", c.Tags}, {"Inits", c.Inits},
		{"Vars", c.Vars}, {"Interfaces", c.Interfaces}, {"Large", c.Large}, {"Generated", c.Generated},
	} {
		for _, key := range slices.Sorted(maps.Keys(list.entries)) {
			if strings.TrimSpace(list.entries[key]) == "" {
				c.findings = append(c.findings, fmt.Sprintf("floors: exception %q in %s has no reason", key, list.name))
			}
			if exists[packageOf(key)] && !c.needed[list.name+" "+key] {
				c.findings = append(c.findings, fmt.Sprintf("floors: exception %q in %s is not needed", key, list.name))
			}
		}
	}
}

// packageOf returns the package in the key of an exception.
func packageOf(key string) string {
	key, _, _ = strings.Cut(key, " ")
	dir, base := "", key
	if i := strings.LastIndexByte(key, '/'); i >= 0 {
		dir, base = key[:i+1], key[i+1:]
	}
	name, _, dotted := strings.Cut(base, ".")
	if dotted && name == "" { // the root
		return "."
	}
	return dir + name
}
