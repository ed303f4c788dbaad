package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// pageLinks are the links from one page to another.
var pageLinks = regexp.MustCompile(`\]\(([a-z0-9./-]+\.md)\)`)

// TestPresetPages checks that the pages in docs are those of today's presets,
// and that their links lead somewhere.
func TestPresetPages(t *testing.T) {
	const folder = "../../docs/schemes/presets"
	want, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatalf("%v; run: make docs", err)
	}
	got := map[string]bool{}
	for _, e := range entries {
		got[e.Name()] = true
		if _, ok := want[e.Name()]; !ok {
			t.Errorf("%s is the page of no preset; run: make docs", e.Name())
		}
	}
	for name, page := range want {
		if !got[name] {
			t.Errorf("%s is missing; run: make docs", name)
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(text) != page {
			t.Errorf("%s is not fresh; run: make docs", name)
		}
		for _, link := range pageLinks.FindAllStringSubmatch(page, -1) {
			if _, err := os.Stat(filepath.Join(folder, link[1])); err != nil {
				t.Errorf("%s: link to nowhere: %v", name, err)
			}
		}
	}
}
