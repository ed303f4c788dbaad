package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/scheme"
)

// libraryFlag says where the schemes of the user are.
type libraryFlag struct{ folder string }

func (f *libraryFlag) add(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&f.folder, "schemes", "", "`DIR` with scheme files of yours, which are known by their IDs beside the presets")
}

// library holds the schemes that a command knows by name: the presets, and
// those of a folder of the user.
type library struct {
	own   map[string]*scheme.Definition // of the folder, by ID
	files map[string]string             // where they stand
}

// load reads every .json file of the folder. A file never replaces a preset or
// another file.
func (f *libraryFlag) load() (*library, error) {
	l := &library{own: map[string]*scheme.Definition{}, files: map[string]string{}}
	if f.folder == "" {
		return l, nil
	}
	entries, err := os.ReadDir(f.folder)
	if err != nil {
		return nil, fmt.Errorf("read schemes: %w", err)
	}
	presets := catalogue.Names()
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		file := filepath.Join(f.folder, e.Name())
		d, err := readScheme(file)
		if err != nil {
			return nil, err
		}
		if slices.Contains(presets, d.ID) {
			return nil, fmt.Errorf("scheme in %s: the id %q is that of a preset; give yours another one", file, d.ID)
		}
		if first, ok := l.files[d.ID]; ok {
			return nil, fmt.Errorf("scheme in %s: the id %q is that of %s too; give one of them another one", file, d.ID, first)
		}
		l.own[d.ID], l.files[d.ID] = d, file
	}
	return l, nil
}

// names returns the IDs of all schemes, sorted.
func (l *library) names() []string {
	names := append(catalogue.Names(), sortedNames(l.own)...)
	slices.Sort(names)
	return names
}

// definition returns the scheme of that name, or the one in a file if name is a
// path or ends with .json.
func (l *library) definition(name string) (*scheme.Definition, error) {
	if name == "" {
		return nil, errors.New("no scheme: give --scheme NAME; 'sealwright schemes' lists the names")
	}
	if isFile(name) {
		return readScheme(name)
	}
	return l.named(name)
}

// definition returns the scheme that a command names as its argument.
func (f *libraryFlag) definition(name string) (*scheme.Definition, error) {
	l, err := f.load()
	if err != nil {
		return nil, err
	}
	return l.definition(name)
}

func isFile(name string) bool {
	return strings.HasSuffix(name, ".json") || strings.ContainsAny(name, `/\`)
}

// named returns the scheme of that name. Of a format that is refused the error
// says why.
func (l *library) named(name string) (*scheme.Definition, error) {
	if d := l.own[name]; d != nil {
		return d, nil
	}
	if slices.Contains(catalogue.Names(), name) {
		return catalogue.Definition(name)
	}
	if r, ok := catalogue.Refused(name); ok {
		return nil, refusal(r)
	}
	return nil, unknownScheme(name, l.names())
}

func readScheme(file string) (*scheme.Definition, error) {
	data, err := readFile("scheme", file, maxScheme)
	if err != nil {
		return nil, err
	}
	d, err := scheme.Load(data, catalogue.Codes())
	if err != nil {
		return nil, fmt.Errorf("scheme in %s: %w", file, err)
	}
	return d, nil
}

// refusal says why there is no such scheme.
func refusal(r catalogue.Refusal) error {
	instead := ""
	if r.Instead != "" {
		instead = "; instead: " + r.Instead
	}
	return fmt.Errorf("no scheme %q: %s (%s) is no HMAC: %s%s", r.Name, r.Title, r.Construction, r.Reason, instead)
}
