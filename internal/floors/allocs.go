package floors

import (
	"go/ast"
	"go/build/constraint"
	"strings"
)

// allocTest is how tests that count allocations begin, which "make test" runs
// once more without the race detector.
const allocTest = "TestAlloc"

// checkAllocs checks that tests which count allocations are left out under the
// race detector, which allocates itself, and are run without it: neither fails
// at random nor is never run.
func (c *checker) checkAllocs(p *Package) {
	for _, f := range p.Files {
		if !f.Test {
			continue
		}
		withoutRace := !builtWithRace(f)
		for _, decl := range f.Decls {
			d, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			isTest := d.Recv == nil && strings.HasPrefix(d.Name.Name, "Test")
			switch named := strings.HasPrefix(d.Name.Name, allocTest); {
			case withoutRace && isTest && !named:
				c.report(d.Pos(), "%s is not built under the race detector: call it %s… so that it runs without", d.Name.Name, allocTest)
			case !withoutRace && countsAllocs(d):
				c.report(d.Pos(), "%s counts allocations: put it into a file with //go:build !race", d.Name.Name)
			}
		}
	}
}

func countsAllocs(d *ast.FuncDecl) bool {
	found := false
	ast.Inspect(d, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "AllocsPerRun" {
			found = true
		}
		return true
	})
	return found
}

// builtWithRace reports whether the build constraint of f, if any, can hold
// under the race detector, with all other tags or with none.
func builtWithRace(f *File) bool {
	for _, group := range f.Comments {
		if group.Pos() > f.Package {
			return true
		}
		for _, line := range group.List {
			if e, err := constraint.Parse(line.Text); err == nil {
				return e.Eval(func(string) bool { return true }) || e.Eval(func(tag string) bool { return tag == "race" })
			}
		}
	}
	return true
}
