package floors

import (
	"go/ast"
	"go/token"
)

// checkShape checks sizes and descriptions.
func (c *checker) checkShape(pkg string, code []*File) {
	lines, described := 0, false
	for _, f := range code {
		lines += f.Lines
		described = described || f.Doc != nil
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				c.checkFunc(d)
			case *ast.GenDecl:
				c.checkDecl(pkg, d)
			}
		}
	}
	if !described {
		c.report(code[0].Package, "package %s has no package comment", pkg)
	}
	if lines > maxPackage && !c.excepted("Large", c.Large, pkg) {
		c.report(code[0].Package, "package %s has %d lines of code, want at most %d", pkg, lines, maxPackage)
	}
}

func (c *checker) checkFunc(d *ast.FuncDecl) {
	length := c.line(d.End()) - c.line(d.Pos()) + 1
	c.lengths = append(c.lengths, length)
	if length > maxFunction {
		c.report(d.Pos(), "func %s has %d lines, want at most %d", d.Name.Name, length, maxFunction)
	}
	if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || receiver(d).IsExported()) {
		c.report(d.Pos(), "%s is exported and not described", d.Name.Name)
	}
}

func (c *checker) line(at token.Pos) int { return c.tree.Fset.Position(at).Line }

// receiver returns the name of the type that the method d belongs to.
func receiver(d *ast.FuncDecl) *ast.Ident {
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x
		default:
			return &ast.Ident{}
		}
	}
}

// checkDecl checks that exported names have a comment of their own or of their
// group, and that interfaces are small.
func (c *checker) checkDecl(pkg string, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
				c.report(s.Pos(), "%s is exported and not described", s.Name.Name)
			}
			if i, ok := s.Type.(*ast.InterfaceType); ok {
				c.checkInterface(pkg, s.Name, i)
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					c.report(name.Pos(), "%s is exported and not described", name.Name)
				}
			}
		}
	}
}

func (c *checker) checkInterface(pkg string, name *ast.Ident, i *ast.InterfaceType) {
	methods := 0
	for _, m := range i.Methods.List {
		methods += len(m.Names)
	}
	if methods > maxInterface && !c.excepted("Interfaces", c.Interfaces, pkg+"."+name.Name) {
		c.report(name.Pos(), "interface %s has %d methods, want at most %d", name.Name, methods, maxInterface)
	}
}
