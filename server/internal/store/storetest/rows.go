package storetest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Copies is what a store promises whose contents can be copied to another one.
type Copies interface {
	// Rows returns everything that is stored at one moment, in the order of
	// [store.Tally].
	Rows(ctx context.Context) iter.Seq2[store.Row, error]

	// Import stores rows in a store that is empty: all of them, or none if one
	// of them is an error. It returns what is stored then, which it has read
	// back. A store that is not empty is of kind [fault.Conflict].
	Import(ctx context.Context, rows iter.Seq2[store.Row, error]) (store.Contents, error)
}

// Full is a store that promises everything.
type Full interface {
	Store
	Uses
	Leases
	Nonces
	Copies
}

// RunCopy tests every sentence of [Copies] with new and empty stores: from is
// filled and copied to to.
func RunCopy(t *testing.T, from, to Full) {
	fill(t, from)
	all, err := collect(from.Rows(t.Context()))
	if err != nil {
		t.Fatalf("Rows: %v", err)
	}
	want, err := store.Count(from.Rows(t.Context()))
	if err != nil {
		t.Fatalf("Count: %v", err)
	}
	if want.Records != 4 || want.Entries != 6 || want.Uses != 2 || want.Leases != 2 || want.Nonces != 2 {
		t.Errorf("contents: got %+v", want)
	}
	importNothing(t, to, all)
	got, err := to.Import(t.Context(), from.Rows(t.Context()))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Import: %v (-want +got):\n%s", err, diff)
	}
	copied, err := collect(to.Rows(t.Context()))
	if diff := cmp.Diff(all, copied); diff != "" || err != nil {
		t.Errorf("Rows of the copy: %v (-want +got):\n%s", err, diff)
	}
	_, err = to.Import(t.Context(), from.Rows(t.Context()))
	wantKind(t, "Import again", err, fault.Conflict)
	for _, s := range []Store{from, to} { // both go on with the same number
		if seq := mustCommit(t, s, change(put("a", 2))); seq != 7 {
			t.Errorf("Commit after the copy: got seq %d, want 7", seq)
		}
	}
	changed, err := store.Count(to.Rows(t.Context()))
	if err != nil || changed.Checksum == want.Checksum {
		t.Errorf("checksum after a change: got %s, %v, want another one", changed.Checksum, err)
	}
}

// fill stores at least two of everything.
func fill(t *testing.T, s Full) {
	t.Helper()
	platform := put("é", 0)
	platform.Tenant, platform.Format = "", 3
	mustCommit(t, s, change(put("b", 0), put("a", 0), put("B", 0)))
	mustCommit(t, s, store.Change{Puts: []store.Record{platform, put("a", 1)}, Entries: []store.Entry{{At: at, Caller: "c", Action: "a"}}})
	uses := []store.Use{{Tenant: "t", Name: "b", Version: 2, Count: 1 << 40, LastAt: at}, {Tenant: "t", Name: "B", Version: 1, Count: 1, LastAt: at}}
	if err := s.AddUses(t.Context(), uses); err != nil {
		t.Fatalf("AddUses: %v", err)
	}
	limited := store.Lease{Tenant: "t", Key: "k", ID: "l2", Version: 3, Purpose: "api", CreatedAt: at, ExpiresAt: at.Add(time.Hour), MaxUses: 9}
	revoked := store.Lease{Tenant: "t", Key: "k", ID: "l1", Version: 1, CreatedAt: at, ExpiresAt: at.Add(time.Hour), RevokedAt: at.Add(time.Minute)}
	for _, l := range []store.Lease{limited, revoked} {
		if err := s.PutLease(t.Context(), l, note(l.ID)); err != nil {
			t.Fatalf("PutLease: %v", err)
		}
	}
	if ok, err := s.SpendLease(t.Context(), "t", "k", "l2", at); !ok || err != nil {
		t.Fatalf("SpendLease: %v, %v", ok, err)
	}
	for _, keyID := range []string{"b", "B"} {
		if ok, err := s.Raise(t.Context(), "t", keyID, "p", 1<<60); !ok || err != nil {
			t.Fatalf("Raise: %v, %v", ok, err)
		}
	}
}

func collect(rows iter.Seq2[store.Row, error]) (all []store.Row, err error) {
	for r, err := range rows {
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// importNothing imports rows that are broken in the middle or at the end.
func importNothing(t *testing.T, s Full, all []store.Row) {
	t.Helper()
	broken := errors.New("broken")
	breaks := func(n int) iter.Seq2[store.Row, error] {
		return func(yield func(store.Row, error) bool) {
			for _, r := range all[:n] {
				if !yield(r, nil) {
					return
				}
			}
			yield(store.Row{}, broken)
		}
	}
	for _, n := range []int{0, 1, len(all) / 2, len(all)} {
		if _, err := s.Import(t.Context(), breaks(n)); !errors.Is(err, broken) {
			t.Errorf("Import with an error after %d rows: got %v", n, err)
		}
	}
	gap := slices.DeleteFunc(slices.Clone(all), func(r store.Row) bool { return r.Entry != nil && r.Entry.Seq == 2 })
	_, err := s.Import(t.Context(), func(yield func(store.Row, error) bool) {
		for _, r := range gap {
			if !yield(r, nil) {
				return
			}
		}
	})
	wantKind(t, "Import of a log with a gap", err, fault.Invalid)
	if rest, err := collect(s.Rows(t.Context())); len(rest) != 0 || err != nil {
		t.Errorf("after failed imports: got %d rows, %v, want none", len(rest), err)
	}
}
