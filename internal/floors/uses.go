package floors

import (
	"go/ast"
	"go/token"
	"slices"
)

// clock are the functions of package time that look at the clock or wait.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// tagImports are packages that compute or compare tags.
var tagImports = []string{"crypto/hmac", "crypto/subtle"}

// checkUses checks who sees key material, who computes and compares tags, who
// looks at the clock, and who runs code before main.
func (c *checker) checkUses(pkg string, code []*File) {
	for _, f := range code {
		for _, spec := range f.Imports {
			if p := importPath(spec); slices.Contains(tagImports, p) && !c.excepted("Tags", c.Tags, pkg) {
				c.report(spec.Pos(), "package %s imports %s: tags are computed and compared in package mac only", pkg, p)
			}
		}
		times := f.imports()["time"]
		ast.Inspect(f.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" && !c.excepted("Inits", c.Inits, pkg) {
					c.report(n.Pos(), "package %s has func init", pkg)
				}
			case *ast.SelectorExpr:
				if n.Sel.Name == "Expose" && !c.excepted("Expose", c.Expose, pkg) {
					c.report(n.Pos(), "package %s calls Expose: add it with its reason to Expose in internal/floors/floors.go, or do without", pkg)
				}
				if c.Groups[pkg] == Ground && selects(n, times) && slices.Contains(clock, n.Sel.Name) {
					c.report(n.Pos(), "package %s (ground) calls time.%s: the time is an argument", pkg, n.Sel.Name)
				}
			}
			return true
		})
	}
}

// selects reports whether n is a name of the package that the file calls name.
func selects(n *ast.SelectorExpr, name string) bool {
	id, ok := n.X.(*ast.Ident)
	return ok && name != "" && id.Name == name && id.Obj == nil
}

// changing are types of package variables that change by their methods.
var changing = map[string][]string{
	"sync":        {"Map", "Mutex", "RWMutex", "Once", "WaitGroup", "Cond"},
	"sync/atomic": {"Bool", "Int32", "Int64", "Uint32", "Uint64", "Uintptr", "Pointer", "Value"},
}

// checkVars reports package variables that a function assigns to, in whole or
// in part, of this package or of another, and those of a type that is made to
// change. It does not see what happens through a pointer.
func (c *checker) checkVars(pkg string, code []*File) {
	vars := map[string]bool{}
	for _, f := range code {
		for _, spec := range topVars(f) {
			for _, name := range spec.Names {
				vars[name.Name] = name.Name != "_"
				if isChanging(f, spec.Type) && !c.excepted("Vars", c.Vars, pkg+"."+name.Name) {
					c.report(name.Pos(), "package variable %s is made to change", name.Name)
				}
			}
		}
	}
	for _, f := range code {
		imports := map[string]bool{}
		for _, name := range f.imports() {
			imports[name] = true
		}
		for _, decl := range f.Decls {
			eachAssigned(decl, func(e ast.Expr) {
				id, field := root(e)
				if id == nil {
					return
				}
				isOwn := vars[id.Name] && (id.Obj == nil || id.Obj == f.Scope.Lookup(id.Name))
				isOther := field && imports[id.Name] && id.Obj == nil
				if (isOwn || isOther) && !c.excepted("Vars", c.Vars, pkg+"."+id.Name) {
					c.report(e.Pos(), "package variable %s is changed", id.Name)
				}
			})
		}
	}
}

func topVars(f *File) []*ast.ValueSpec {
	var out []*ast.ValueSpec
	for _, decl := range f.Decls {
		if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
			for _, spec := range d.Specs {
				out = append(out, spec.(*ast.ValueSpec))
			}
		}
	}
	return out
}

func isChanging(f *File, t ast.Expr) bool {
	if i, ok := t.(*ast.IndexExpr); ok { // atomic.Pointer[T]
		t = i.X
	}
	sel, ok := t.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	for p, name := range f.imports() {
		if selects(sel, name) && slices.Contains(changing[p], sel.Sel.Name) {
			return true
		}
	}
	return false
}

// eachAssigned calls do for everything below n that is assigned to: on the left
// of = and the like, by ++ and --, by range, or by clear, copy and delete.
func eachAssigned(n ast.Node, do func(ast.Expr)) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					do(e)
				}
			}
		case *ast.IncDecStmt:
			do(n.X)
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				do(n.Key)
				if n.Value != nil {
					do(n.Value)
				}
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && id.Obj == nil && len(n.Args) > 0 &&
				(id.Name == "clear" || id.Name == "copy" || id.Name == "delete") {
				do(n.Args[0])
			}
		}
		return true
	})
}

// root returns the identifier with which e begins, and whether e selects
// something of it.
func root(e ast.Expr) (id *ast.Ident, field bool) {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x, field
		case *ast.SelectorExpr:
			e, field = x.X, true
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil, false
		}
	}
}
