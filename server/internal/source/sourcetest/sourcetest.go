// Package sourcetest tests what package source promises of every provider.
//
// A provider calls [Run] and says against what: a real server, or a double with
// its limits.
package sourcetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/source"
)

// Subject is a source under test.
type Subject struct {
	Source  source.Source
	Against string // what the tests run against, for the log

	Name  string // of a secret that is not there yet
	Other string // of a second one
	Field string // where Set puts the text; empty means the whole payload

	// Set stores a text as the current payload, or in its field.
	Set func(t *testing.T, name, text string)

	// Remove takes a secret away.
	Remove func(t *testing.T, name string)

	// Versions says whether payloads have versions.
	Versions bool

	// Strange are names that the provider must not be asked for; those that no
	// provider may be asked for are added.
	Strange []string

	// Break makes the provider unreachable for the rest of the test.
	Break func()
}

// Run tests the subjects that open returns.
func Run(t *testing.T, open func(*testing.T) Subject) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"Fetch", testFetch},
		{"Change", testChange},
		{"Unknown", testUnknown},
		{"Removed", testRemoved},
		{"Strange", testStrange},
		{"EndedContext", testEndedContext},
		{"InParallel", testParallel},
		{"Away", testAway},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			t.Logf("against %s", s.Against)
			test.run(t, s)
		})
	}
}

// fetch returns the text and the version under name.
func fetch(t *testing.T, s Subject, name string) (text, version string) {
	t.Helper()
	p, err := s.Source.Fetch(t.Context(), name)
	if err != nil {
		t.Fatalf("Fetch %q: %v", name, err)
	}
	if p.Fields != (s.Field != "") {
		t.Errorf("Fetch %q: got fields %t, the field is %q", name, p.Fields, s.Field)
	}
	got, err := source.Ref{Field: s.Field}.Secret(p)
	if err != nil {
		t.Fatalf("Secret of %q: %v", name, err)
	}
	return string(got.Expose()), p.Version
}

// testFetch stores texts and gets them back, byte for byte.
func testFetch(t *testing.T, s Subject) {
	for _, text := range []string{"secret", "with a line feed\n", `{"a":"b"}`, "\u00e9<&>\u2028", strings.Repeat("s", 4096)} {
		s.Set(t, s.Name, text)
		if got, version := fetch(t, s, s.Name); got != text || (version != "") != s.Versions {
			t.Errorf("Fetch: got %q of version %q, want %q, versions %t", got, version, text, s.Versions)
		}
	}
}

// testChange sees a change, with another version, and nothing of another
// secret.
func testChange(t *testing.T, s Subject) {
	s.Set(t, s.Name, "one")
	s.Set(t, s.Other, "other")
	_, first := fetch(t, s, s.Name)
	if _, again := fetch(t, s, s.Name); again != first {
		t.Errorf("version of an unchanged secret: got %q, then %q", first, again)
	}
	s.Set(t, s.Name, "two")
	got, second := fetch(t, s, s.Name)
	if got != "two" || s.Versions && second == first {
		t.Errorf("Fetch after a change: got %q of version %q, before %q", got, second, first)
	}
	if got, _ := fetch(t, s, s.Other); got != "other" {
		t.Errorf("Fetch of the other: got %q", got)
	}
}

// refused checks the kind of an error, and that it shows nothing.
func refused(t *testing.T, what string, p source.Payload, err error, want fault.Kind) {
	t.Helper()
	if fault.KindOf(err) != want || p.Bytes.Len() != 0 {
		t.Errorf("%s: got %d bytes, %v, want kind %v", what, p.Bytes.Len(), err, want)
	}
	if err != nil && strings.Contains(err.Error(), "TOPSECRET") {
		t.Errorf("%s: the error shows the secret: %v", what, err)
	}
}

func testUnknown(t *testing.T, s Subject) {
	s.Set(t, s.Other, "TOPSECRET")
	p, err := s.Source.Fetch(t.Context(), s.Name)
	refused(t, "Fetch of an unknown secret", p, err, fault.Invalid)
	if !strings.Contains(fault.Public(err), s.Name) {
		t.Errorf("Fetch of an unknown secret: got %q, which does not name it", fault.Public(err))
	}
}

func testRemoved(t *testing.T, s Subject) {
	s.Set(t, s.Name, "TOPSECRET")
	s.Remove(t, s.Name)
	p, err := s.Source.Fetch(t.Context(), s.Name)
	refused(t, "Fetch of a removed secret", p, err, fault.Invalid)
}

func testStrange(t *testing.T, s Subject) {
	for _, name := range append([]string{"", "a/../b", "/a", "a?b=c", "a b", "a%2fb", "a#b", "a\n"}, s.Strange...) {
		p, err := s.Source.Fetch(t.Context(), name)
		refused(t, "Fetch of "+name, p, err, fault.Invalid)
	}
}

func testEndedContext(t *testing.T, s Subject) {
	s.Set(t, s.Name, "TOPSECRET")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p, err := s.Source.Fetch(ctx, s.Name)
	refused(t, "Fetch with an ended context", p, err, fault.Unavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Fetch with an ended context: got %v, want %v in the chain", err, context.Canceled)
	}
}

func testParallel(t *testing.T, s Subject) {
	s.Set(t, s.Name, "one")
	s.Set(t, s.Other, "two")
	var group sync.WaitGroup
	for i := range 16 {
		name, want := s.Name, "one"
		if i%2 == 1 {
			name, want = s.Other, "two"
		}
		group.Go(func() {
			p, err := s.Source.Fetch(t.Context(), name)
			if err != nil {
				t.Errorf("Fetch: %v", err)
				return
			}
			if got, err := (source.Ref{Field: s.Field}).Secret(p); err != nil || string(got.Expose()) != want {
				t.Errorf("Fetch: got %q, %v, want %q", got.Expose(), err, want)
			}
		})
	}
	group.Wait()
}

func testAway(t *testing.T, s Subject) {
	s.Set(t, s.Name, "TOPSECRET")
	s.Break()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p, err := s.Source.Fetch(ctx, s.Name)
	refused(t, "Fetch without the provider", p, err, fault.Unavailable)
}
