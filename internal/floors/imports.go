package floors

import (
	"path"
	"slices"
	"strings"
)

// impure are packages of the standard library that do I/O or talk to the
// system. With each goes everything below it.
var impure = []string{"net", "os", "log", "database", "syscall"}

func (c *checker) checkImports(pkg string, code []*File) {
	group, ok := c.Groups[pkg]
	if !ok {
		c.report(code[0].Package, "package %s has no floor: add it to Groups in internal/floors/floors.go", pkg)
		return
	}
	for _, name := range []string{code[0].Name.Name, path.Base(pkg)} {
		if slices.Contains(forbiddenNames, name) {
			c.report(code[0].Package, "package name %s says nothing: name it after what is inside", name)
			break
		}
	}
	for _, f := range code {
		for _, spec := range f.Imports {
			imported := importPath(spec)
			why := c.forbidden(group, imported)
			if why == "" || c.excepted("Imports", c.Imports, pkg+" "+imported) {
				continue
			}
			c.report(spec.Pos(), "package %s (%v) imports %s: %s", pkg, group, imported, why)
		}
	}
}

// forbidden returns why a package of group must not import the path, or "".
func (c *checker) forbidden(group Group, imported string) string {
	switch own, isOwn := c.own(imported); {
	case isOwn:
		to, ok := c.Groups[own]
		switch {
		case !ok:
			return "it has no floor, add it to Groups in internal/floors/floors.go"
		case !group.mayImport(to):
			return "that is " + to.String() + ", and imports go down"
		}
	case !standard(imported):
		if group == Ground || group == Doors {
			return "only the standard library is allowed here"
		}
	case group == Ground:
		if first, _, _ := strings.Cut(imported, "/"); slices.Contains(impure, first) {
			return "ground does no I/O"
		}
	}
	return ""
}

// own returns the path below the module of one of its packages.
func (c *checker) own(imported string) (string, bool) {
	if imported == c.Module {
		return ".", true
	}
	return strings.CutPrefix(imported, c.Module+"/")
}

// standard reports whether an import path is one of the standard library: no
// dot in its first element.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}
