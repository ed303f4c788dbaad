package floors

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Tree is the source of a module.
type Tree struct {
	Fset     *token.FileSet
	Packages []*Package // by path
}

// Package is a directory with Go files.
type Package struct {
	Path  string // below the module; "." is its root
	Files []*File
}

// File is a Go file with its syntax.
type File struct {
	*ast.File
	Test  bool // the name ends in _test.go
	Lines int  // with code: neither blank nor only a comment
}

// Load parses all Go files below the root of fsys, whatever their build tags
// say. It leaves out what the go command leaves out: testdata, names that begin
// with a dot or an underscore, and nested modules. It returns an error if a
// file cannot be read or parsed.
func Load(fsys fs.FS) (*Tree, error) {
	tree := &Tree{Fset: token.NewFileSet()}
	byPath := map[string]*Package{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && leftOut(fsys, name):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		f, err := tree.parse(fsys, name)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		p := byPath[dir]
		if p == nil {
			p = &Package{Path: dir}
			byPath[dir] = p
			tree.Packages = append(tree.Packages, p)
		}
		p.Files = append(p.Files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read source: %w", err)
	}
	slices.SortFunc(tree.Packages, func(a, b *Package) int { return strings.Compare(a.Path, b.Path) })
	return tree, nil
}

func leftOut(fsys fs.FS, dir string) bool {
	base := path.Base(dir)
	if base == "testdata" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	return err == nil
}

func (t *Tree) parse(fsys fs.FS, name string) (*File, error) {
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	f, err := parser.ParseFile(t.Fset, name, src, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	return &File{
		File:  f,
		Test:  strings.HasSuffix(name, "_test.go"),
		Lines: codeLines(src),
	}, nil
}

// codeLines returns the number of lines of src that hold more than a comment.
func codeLines(src []byte) int {
	fset := token.NewFileSet()
	file := fset.AddFile("", fset.Base(), len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, 0)
	n, last := 0, 0
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return n
		}
		if tok == token.SEMICOLON && text == "\n" {
			continue // not in the source
		}
		first := file.Line(pos)
		end := first + strings.Count(text, "\n") // of a raw string
		n += end - max(last, first-1)
		last = end
	}
}

// code returns the files that are no tests.
func (p *Package) code() []*File {
	return slices.DeleteFunc(slices.Clone(p.Files), func(f *File) bool { return f.Test })
}

// imports returns the import paths of f with the name by which f uses them.
func (f *File) imports() map[string]string {
	out := map[string]string{}
	for _, spec := range f.Imports {
		p := importPath(spec)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		out[p] = name
	}
	return out
}

func importPath(spec *ast.ImportSpec) string { return strings.Trim(spec.Path.Value, "\"`") }
