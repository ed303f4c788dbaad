// Package catalogue holds the presets: one definition for each wire format.
package catalogue

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/scheme/jws"
	"github.com/sealwright/sealwright/scheme/oauth1"
	"github.com/sealwright/sealwright/scheme/rfc9421"
	"github.com/sealwright/sealwright/scheme/sharedkey"
	"github.com/sealwright/sealwright/scheme/sigv4"
)

//go:embed *.json
var files embed.FS

// Codes returns the canonicalisers that are code, by the name that
// definitions use.
func Codes() map[string]scheme.Constructor {
	return map[string]scheme.Constructor{
		"jws":       jws.New,
		"oauth1":    oauth1.New,
		"rfc9421":   rfc9421.New,
		"sharedkey": sharedkey.New,
		"sigv4":     sigv4.New,
	}
}

// Names returns the IDs of all presets, sorted.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // the embedded file system cannot fail
	}
	var names []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".json"); ok && id != "schema" {
			names = append(names, id)
		}
	}
	slices.Sort(names) // the order of files has adyen-banking.json before adyen.json
	return names
}

// Definition returns the preset with this ID.
func Definition(id string) (*scheme.Definition, error) {
	data, err := files.ReadFile(id + ".json")
	if err != nil || id == "schema" {
		return nil, fmt.Errorf("no preset %q", id)
	}
	d, err := scheme.Load(data, Codes())
	if err != nil {
		return nil, fmt.Errorf("preset %s: %w", id, err)
	}
	return d, nil
}

// New returns the scheme of a preset with parameters, nil for none.
func New(id string, p scheme.Params) (sealwright.Scheme, error) {
	d, err := Definition(id)
	if err != nil {
		return nil, err
	}
	return d.New(p)
}

// Must returns the scheme of a preset without parameters. It panics if there is
// none; it is for constants and tests.
func Must(id string) sealwright.Scheme {
	s, err := New(id, nil)
	if err != nil {
		panic(err)
	}
	return s
}
