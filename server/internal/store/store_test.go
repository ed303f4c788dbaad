package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

func record() store.Record {
	return store.Record{Tenant: "t", Kind: "k", ID: "1", Name: "a", Format: 1, Doc: []byte("{}")}
}

func entry() store.Entry {
	return store.Entry{At: time.Unix(1, 0), Tenant: "t", Caller: "c", Action: "a"}
}

func TestChangeCheck(t *testing.T) {
	long := strings.Repeat("x", store.MaxText+1)
	full := strings.Repeat("x", store.MaxText)
	doc := func(n int) []byte { return []byte(`"` + strings.Repeat("x", n-2) + `"`) }
	one := func(change func(*store.Record)) store.Change {
		r := record()
		change(&r)
		return store.Change{Puts: []store.Record{record(), r}, Entries: []store.Entry{entry()}}
	}
	noted := func(change func(*store.Entry)) store.Change {
		e := entry()
		change(&e)
		return store.Change{Entries: []store.Entry{entry(), e}}
	}
	many := func(puts, entries int) store.Change {
		var c store.Change
		for i := range puts {
			r := record()
			r.Name = fmt.Sprint(i)
			c.Puts = append(c.Puts, r)
		}
		for range entries {
			c.Entries = append(c.Entries, entry())
		}
		return c
	}
	tests := []struct {
		name   string
		change store.Change
		want   string // in the error; empty means none
	}{
		{"EntryOnly", noted(func(*store.Entry) {}), ""},
		{"OtherName", one(func(r *store.Record) { r.Name = "b" }), ""},
		{"OtherKind", one(func(r *store.Record) { r.Kind = "l" }), ""},
		{"OtherTenant", one(func(r *store.Record) { r.Tenant = "" }), ""},
		{"LongestTexts", one(func(r *store.Record) { r.Name, r.ID, r.Kind, r.Tenant = full, full, full, full }), ""},
		{"LongestDocument", one(func(r *store.Record) { r.Name, r.Doc = "b", doc(store.MaxDoc) }), ""},
		{"MostOfEach", many(store.MaxPuts, store.MaxEntries), ""},
		{"Empty", store.Change{}, "change of 0 records has no entries"},
		{"PutsWithoutEntries", store.Change{Puts: []store.Record{record()}}, "change of 1 records has no entries"},
		{"TooManyPuts", many(store.MaxPuts+1, 1), "1001 records and 1 entries"},
		{"TooManyEntries", many(0, store.MaxEntries+1), "0 records and 1001 entries"},
		{"Twice", one(func(r *store.Record) { r.ID = "2" }), `record 1 of the change: k "a" is put twice`},
		{"NoKind", one(func(r *store.Record) { r.Kind = "" }), "record 1 of the change: kind"},
		{"NoID", one(func(r *store.Record) { r.ID = "" }), "record 1 of the change: kind"},
		{"NoName", one(func(r *store.Record) { r.Name = "" }), "record 1 of the change: kind"},
		{"FormatZero", one(func(r *store.Record) { r.Name, r.Format = "b", 0 }), "format 0"},
		{"VersionNegative", one(func(r *store.Record) { r.Name, r.Version = "b", -1 }), "version -1"},
		{"DocumentMissing", one(func(r *store.Record) { r.Name, r.Doc = "b", nil }), "document is not JSON"},
		{"DocumentIsNotJSON", one(func(r *store.Record) { r.Name, r.Doc = "b", []byte("{}{}") }), "document is not JSON"},
		{"DocumentTooLong", one(func(r *store.Record) { r.Name, r.Doc = "b", doc(store.MaxDoc+1) }), "document has 1048577 bytes"},
		{"NameTooLong", one(func(r *store.Record) { r.Name = long }), "text of 513 bytes"},
		{"NameWithNUL", one(func(r *store.Record) { r.Name = "b\x00" }), `text "b\x00" is not UTF-8 without NUL`},
		{"ReasonNotUTF8", noted(func(e *store.Entry) { e.Reason = "\xff" }), `text "\xff" is not UTF-8 without NUL`},
		{"TenantTooLong", one(func(r *store.Record) { r.Tenant = long }), "text of 513 bytes"},
		{"NoCaller", noted(func(e *store.Entry) { e.Caller = "" }), "entry 1 of the change: caller"},
		{"NoAction", noted(func(e *store.Entry) { e.Action = "" }), "entry 1 of the change: caller"},
		{"NoTime", noted(func(e *store.Entry) { e.At = time.Time{} }), "time is zero"},
		{"ReasonTooLong", noted(func(e *store.Entry) { e.Reason = long }), "text of 513 bytes"},
		{"DetailIsNotJSON", noted(func(e *store.Entry) { e.Detail = []byte("x") }), "detail is not JSON"},
		{"DetailTooLong", noted(func(e *store.Entry) { e.Detail = doc(store.MaxDoc + 1) }), "detail has 1048577 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.change.Check()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("Check: %v", err)
			case tt.want != "" && (!errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Check: got %v, want kind invalid and %q", err, tt.want)
			}
		})
	}
}

func TestCheckPut(t *testing.T) {
	stored := record()
	stored.Version, stored.Format = 3, 2
	put := func(version int64, id string, format int) store.Record {
		r := record()
		r.Version, r.ID, r.Format = version, id, format
		return r
	}
	tests := []struct {
		name   string
		put    store.Record
		exists bool
		want   string // in the error; empty means none
	}{
		{"New", put(0, "1", 1), false, ""},
		{"Next", put(3, "1", 2), true, ""},
		{"NewerFormat", put(3, "1", 3), true, ""},
		{"NewButExists", put(0, "1", 2), true, "exists already"},
		{"GoneMeanwhile", put(3, "1", 2), false, "does not exist"},
		{"Stale", put(2, "1", 2), true, "has changed since version 2"},
		{"Ahead", put(4, "1", 2), true, "has changed since version 4"},
		{"AnotherID", put(3, "2", 2), true, "is another one"},
		{"OlderFormat", put(3, "1", 1), true, "has a newer format"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			old := stored
			if !tt.exists {
				old = store.Record{}
			}
			err := store.CheckPut(tt.put, old, tt.exists)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("CheckPut: %v", err)
			case tt.want != "" && (!errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("CheckPut: got %v, want kind conflict and %q", err, tt.want)
			}
		})
	}
}

func TestCheckFormat(t *testing.T) {
	r := record()
	r.Format = 2
	for known, want := range map[int]bool{1: false, 2: true, 3: true} {
		if err := r.CheckFormat(known); (err == nil) != want || (err != nil && !errors.Is(err, fault.Unavailable)) {
			t.Errorf("CheckFormat(%d) of format 2: got %v", known, err)
		}
	}
}

func TestCheckLimit(t *testing.T) {
	for limit, want := range map[int]bool{-1: false, 0: false, 1: true, store.MaxList: true, store.MaxList + 1: false} {
		if err := store.CheckLimit(limit); (err == nil) != want || (err != nil && !errors.Is(err, fault.Invalid)) {
			t.Errorf("CheckLimit(%d): got %v", limit, err)
		}
	}
}
