package server

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/scheme"
)

// schemes are the presets and those of the operator's folder, by ID. They do
// not change after they were loaded.
type schemes map[string]*scheme.Definition

// maxScheme is the size in bytes of the largest scheme file.
const maxScheme = 1 << 20

// loadSchemes loads every preset, which runs its known answers, and every
// .json file of folder; empty means no folder.
func loadSchemes(folder string) (schemes, error) {
	all := schemes{}
	for _, id := range catalogue.Names() {
		d, err := catalogue.Definition(id)
		if err != nil {
			return nil, fmt.Errorf("self-test of the catalogue: %w", err)
		}
		all[id] = d
	}
	if folder == "" {
		return all, nil
	}
	if _, err := os.ReadDir(folder); err != nil {
		return nil, fmt.Errorf("read schemes: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("read schemes: %w", err)
	}
	for _, file := range files {
		d, err := loadScheme(file)
		if err != nil {
			return nil, fmt.Errorf("scheme file %s: %w", file, err)
		}
		if all[d.ID] != nil {
			return nil, fmt.Errorf("scheme file %s: id %q is taken", file, d.ID)
		}
		all[d.ID] = d
	}
	return all, nil
}

func loadScheme(file string) (*scheme.Definition, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxScheme {
		return nil, fmt.Errorf("got %d bytes, want at most %d", info.Size(), maxScheme)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return scheme.Load(data, catalogue.Codes())
}
