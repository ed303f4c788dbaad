// Package store has the nouns of the control plane's database: a [Record] is
// one document, an [Entry] says who did what to it, and a [Change] commits
// records and entries together or not at all.
//
// It is pure. The stores are memory, sqlite and postgres; what they promise stands at
// storetest.Store.
package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// Limits of what a store takes.
const (
	MaxDoc     = 1 << 20 // bytes of Record.Doc and of Entry.Detail
	MaxText    = 512     // bytes of every other text
	MaxList    = 1000    // records or entries of one List or Tail
	MaxPuts    = 1000    // of one Change
	MaxEntries = 1000    // of one Change
)

// Record is one document, unique by tenant, kind and name.
type Record struct {
	Tenant  string // empty for records of the platform itself
	Kind    string
	ID      string // never changes and is never reused
	Name    string
	Format  int    // of Doc, 1 or more; see [Record.CheckFormat]
	Version int64  // in a Put: as loaded, 0 if it must not exist; as loaded: 1 or more
	Doc     []byte // JSON
}

// CheckFormat returns an error of kind [fault.Unavailable] if the record was
// written in a newer format than known, the newest that the caller can read.
func (r Record) CheckFormat(known int) error {
	if r.Format > known {
		return fault.New(fault.Unavailable,
			"%s %q has format %d, this version of sealwright knows up to %d: it was written by a newer version",
			r.Kind, r.Name, r.Format, known)
	}
	return nil
}

// Entry is one line of the log of what was done. It never holds a secret.
type Entry struct {
	Seq      int64     // given by the store: 1, 2, 3 and so on without a gap
	At       time.Time // stored in microseconds, UTC
	Tenant   string    // empty for the platform itself
	Caller   string
	Action   string
	Kind     string // of the record, like the next two; may be empty
	RecordID string
	Name     string
	Detail   json.RawMessage // a JSON value, or nothing
	Reason   string          // why it was refused; empty if it was done
}

// Change is what one decision stores, all of it or nothing.
type Change struct {
	Puts    []Record // each with the version it was loaded at
	Entries []Entry  // at least one
}

// Check returns an error of kind [fault.Invalid] if no store may take c: it
// has no entries, so that what happened would be forgotten, puts one record
// twice, or leaves out or overfills a field.
func (c Change) Check() error {
	if len(c.Entries) == 0 {
		return fault.New(fault.Invalid, "change of %d records has no entries", len(c.Puts))
	}
	if len(c.Puts) > MaxPuts || len(c.Entries) > MaxEntries {
		return fault.New(fault.Invalid, "change has %d records and %d entries, want at most %d of each",
			len(c.Puts), len(c.Entries), MaxPuts)
	}
	type key struct{ tenant, kind, name string }
	seen := make(map[key]bool, len(c.Puts))
	for i, r := range c.Puts {
		if err := r.check(); err != nil {
			return fault.New(fault.Invalid, "record %d of the change: %v", i, err)
		}
		k := key{r.Tenant, r.Kind, r.Name}
		if seen[k] {
			return fault.New(fault.Invalid, "record %d of the change: %s %q is put twice", i, r.Kind, r.Name)
		}
		seen[k] = true
	}
	for i, e := range c.Entries {
		if err := e.check(); err != nil {
			return fault.New(fault.Invalid, "entry %d of the change: %v", i, err)
		}
	}
	return nil
}

func (r Record) check() error {
	switch {
	case r.Kind == "" || r.ID == "" || r.Name == "":
		return fmt.Errorf("kind %q, id %q and name %q must not be empty", r.Kind, r.ID, r.Name)
	case r.Format < 1 || r.Version < 0:
		return fmt.Errorf("format %d and version %d must be at least 1 and 0", r.Format, r.Version)
	case len(r.Doc) > MaxDoc:
		return fmt.Errorf("document has %d bytes, want at most %d", len(r.Doc), MaxDoc)
	case !json.Valid(r.Doc):
		return fmt.Errorf("document is not JSON")
	}
	return checkTexts(r.Tenant, r.Kind, r.ID, r.Name)
}

func (e Entry) check() error {
	switch {
	case e.Caller == "" || e.Action == "":
		return fmt.Errorf("caller %q and action %q must not be empty", e.Caller, e.Action)
	case e.At.IsZero():
		return fmt.Errorf("time is zero")
	case len(e.Detail) > MaxDoc:
		return fmt.Errorf("detail has %d bytes, want at most %d", len(e.Detail), MaxDoc)
	case len(e.Detail) > 0 && !json.Valid(e.Detail):
		return fmt.Errorf("detail is not JSON")
	}
	return checkTexts(e.Tenant, e.Caller, e.Action, e.Kind, e.RecordID, e.Name, e.Reason)
}

func checkTexts(texts ...string) error {
	for _, s := range texts {
		if len(s) > MaxText {
			return fmt.Errorf("text of %d bytes, want at most %d", len(s), MaxText)
		}
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return fmt.Errorf("text %q is not UTF-8 without NUL, which not every database can keep", s)
		}
	}
	return nil
}

// CheckPut returns an error of kind [fault.Conflict] if put cannot follow
// stored, the record of the same tenant, kind and name: it was loaded at
// another version, has another ID, or an older format. exists is false if
// there is no such record.
func CheckPut(put, stored Record, exists bool) error {
	switch {
	case !exists && put.Version != 0:
		return fault.New(fault.Conflict, "%s %q does not exist", put.Kind, put.Name)
	case exists && put.Version == 0:
		return fault.New(fault.Conflict, "%s %q exists already", put.Kind, put.Name)
	case exists && put.Version != stored.Version:
		return fault.New(fault.Conflict, "%s %q has changed since version %d", put.Kind, put.Name, put.Version)
	case exists && put.ID != stored.ID:
		return fault.New(fault.Conflict, "%s %q is another one", put.Kind, put.Name)
	case exists && put.Format < stored.Format:
		return fault.New(fault.Conflict, "%s %q has a newer format", put.Kind, put.Name)
	}
	return nil
}

// CheckLimit returns an error of kind [fault.Invalid] if limit is outside 1 to
// [MaxList].
func CheckLimit(limit int) error {
	if limit < 1 || limit > MaxList {
		return fault.New(fault.Invalid, "limit is %d, want 1 to %d", limit, MaxList)
	}
	return nil
}
