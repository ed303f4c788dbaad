package floors

// Measures are sizes of a group of packages.
type Measures struct {
	Packages int
	Code     int // lines of code without tests
	Tests    int // lines of code of tests
	Imports  int // of packages of the module, without tests, each once for each importing package
}

// Measure returns the sizes of each group in the tree.
func Measure(r Rules, tree *Tree) map[Group]Measures {
	c := checker{Rules: r}
	out := map[Group]Measures{}
	for _, p := range tree.Packages {
		group := r.Groups[p.Path]
		m := out[group]
		m.Packages++
		own := map[string]bool{}
		for _, f := range p.Files {
			if f.Test {
				m.Tests += f.Lines
				continue
			}
			m.Code += f.Lines
			for imported := range f.imports() {
				if path, ok := c.own(imported); ok {
					own[path] = true
				}
			}
		}
		m.Imports += len(own)
		out[group] = m
	}
	return out
}
