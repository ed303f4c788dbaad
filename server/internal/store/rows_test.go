package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

func tally(t *testing.T, rows ...store.Row) store.Contents {
	t.Helper()
	c, err := store.Count(func(yield func(store.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatalf("Count: %v", err)
	}
	return c
}

// Every field of a row counts, and so does where one ends and the next begins.
func TestTallyChecksum(t *testing.T) {
	at := time.Date(2026, 11, 3, 4, 5, 6, 789012000, time.UTC)
	rec := func(edit func(*store.Record)) store.Row {
		r := record()
		r.Version = 1
		edit(&r)
		return store.Row{Record: &r}
	}
	ent := func(edit func(*store.Entry)) store.Row {
		e := entry()
		e.Seq = 1
		edit(&e)
		return store.Row{Entry: &e}
	}
	use := func(edit func(*store.Use)) store.Row {
		u := store.Use{Tenant: "t", Name: "n", Version: 1, Count: 2, LastAt: at}
		edit(&u)
		return store.Row{Use: &u}
	}
	lease := func(edit func(*store.Lease)) store.Row {
		l := store.Lease{Tenant: "t", Key: "k", ID: "i", Version: 1, CreatedAt: at, ExpiresAt: at, MaxUses: 5, Used: 1}
		edit(&l)
		return store.Row{Lease: &l}
	}
	nonce := func(edit func(*store.Nonce)) store.Row {
		n := store.Nonce{Tenant: "t", KeyID: "k", Profile: "p", Value: 1}
		edit(&n)
		return store.Row{Nonce: &n}
	}
	rows := map[string]store.Row{
		"Nonce": nonce(func(*store.Nonce) {}), "Nonce.Tenant": nonce(func(n *store.Nonce) { n.Tenant = "u" }), "Nonce.KeyID": nonce(func(n *store.Nonce) { n.KeyID = "l" }),
		"Nonce.Profile": nonce(func(n *store.Nonce) { n.Profile = "q" }), "Nonce.Value": nonce(func(n *store.Nonce) { n.Value = 2 }),
		"Record": rec(func(*store.Record) {}), "Record.Tenant": rec(func(r *store.Record) { r.Tenant = "" }),
		"Record.Kind": rec(func(r *store.Record) { r.Kind = "l" }), "Record.ID": rec(func(r *store.Record) { r.ID = "2" }),
		"Record.Name": rec(func(r *store.Record) { r.Name = "b" }), "Record.Format": rec(func(r *store.Record) { r.Format = 2 }),
		"Record.Version": rec(func(r *store.Record) { r.Version = 2 }), "Record.Doc": rec(func(r *store.Record) { r.Doc = []byte("{ }") }),
		"Record.Boundary": rec(func(r *store.Record) { r.Tenant, r.Kind = "", "tk" }),
		"Entry":           ent(func(*store.Entry) {}), "Entry.At": ent(func(e *store.Entry) { e.At = at }),
		"Entry.Tenant": ent(func(e *store.Entry) { e.Tenant = "u" }), "Entry.Caller": ent(func(e *store.Entry) { e.Caller = "d" }),
		"Entry.Action": ent(func(e *store.Entry) { e.Action = "b" }), "Entry.Kind": ent(func(e *store.Entry) { e.Kind = "k" }),
		"Entry.RecordID": ent(func(e *store.Entry) { e.RecordID = "k" }), "Entry.Name": ent(func(e *store.Entry) { e.Name = "k" }),
		"Entry.Detail": ent(func(e *store.Entry) { e.Detail = []byte("{}") }), "Entry.Detail spaced": ent(func(e *store.Entry) { e.Detail = []byte("{ }") }),
		"Entry.Reason": ent(func(e *store.Entry) { e.Reason = "k" }),
		"Use":          use(func(*store.Use) {}), "Use.Tenant": use(func(u *store.Use) { u.Tenant = "u" }), "Use.Name": use(func(u *store.Use) { u.Name = "m" }),
		"Use.Version": use(func(u *store.Use) { u.Version = 2 }), "Use.Count": use(func(u *store.Use) { u.Count = 3 }),
		"Use.LastAt": use(func(u *store.Use) { u.LastAt = at.Add(time.Microsecond) }),
		"Lease":      lease(func(*store.Lease) {}), "Lease.Tenant": lease(func(l *store.Lease) { l.Tenant = "u" }),
		"Lease.Key": lease(func(l *store.Lease) { l.Key = "l" }), "Lease.ID": lease(func(l *store.Lease) { l.ID = "j" }),
		"Lease.Version": lease(func(l *store.Lease) { l.Version = 2 }), "Lease.Purpose": lease(func(l *store.Lease) { l.Purpose = "api" }),
		"Lease.CreatedAt": lease(func(l *store.Lease) { l.CreatedAt = at.Add(1000) }), "Lease.ExpiresAt": lease(func(l *store.Lease) { l.ExpiresAt = at.Add(1000) }),
		"Lease.MaxUses": lease(func(l *store.Lease) { l.MaxUses = 6 }), "Lease.Used": lease(func(l *store.Lease) { l.Used = 2 }),
		"Lease.RevokedAt": lease(func(l *store.Lease) { l.RevokedAt = at }),
	}
	seen := map[string]string{}
	for name, r := range rows {
		c := tally(t, r)
		if again := tally(t, r); again != c {
			t.Errorf("%s: got %+v and %+v", name, c, again)
		}
		if other := seen[c.Checksum]; other != "" {
			t.Errorf("%s has the checksum of %s", name, other)
		}
		seen[c.Checksum] = name
	}
	all := tally(t, rows["Record"], rows["Entry"], rows["Use"], rows["Lease"])
	if all.Records != 1 || all.Entries != 1 || all.Uses != 1 || all.Leases != 1 || seen[all.Checksum] != "" {
		t.Errorf("all together: got %+v", all)
	}
	if err := store.CheckCopy(all, all); err != nil {
		t.Errorf("CheckCopy of the same: %v", err)
	}
	if err := store.CheckCopy(all, tally(t, rows["Record"])); !errors.Is(err, fault.Internal) {
		t.Errorf("CheckCopy of another: got %v, want kind internal", err)
	}
}

func TestTallyRefuses(t *testing.T) {
	first := entry()
	for name, r := range map[string]store.Row{"Empty": {}, "GapInLog": {Entry: &first}} { // seq 0
		if err := store.NewTally().Add(r); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v, want kind invalid", name, err)
		}
	}
	broken := errors.New("broken")
	_, err := store.Count(func(yield func(store.Row, error) bool) { yield(store.Row{}, broken) })
	if !errors.Is(err, broken) {
		t.Errorf("Count: got %v, want the error of the rows", err)
	}
}
