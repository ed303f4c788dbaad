package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Run tests every sentence of [Store] on stores that open returns, each of
// which must be new and empty. It closes them.
func Run(t *testing.T, open func(*testing.T) Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Store)
	}{
		{"Load/ReturnsWhatWasPut", testLoad},
		{"Load/NotFound", testLoadNotFound},
		{"Load/IsACopy", testLoadCopies},
		{"List/Pages", testListPages},
		{"List/SortsByBytes", testListSorts},
		{"List/KeepsTenantsAndKindsApart", testListApart},
		{"List/Limit", testListLimit},
		{"Commit/AllOrNothing", testCommitAllOrNothing},
		{"Commit/RaisesVersion", testCommitRaisesVersion},
		{"Commit/Conflict", testCommitConflict},
		{"Commit/NewerFormat", testCommitNewerFormat},
		{"Commit/Invalid", testCommitInvalid},
		{"Commit/EntriesWithoutPuts", testCommitEntriesOnly},
		{"Commit/NumbersWithoutGap", testCommitNumbers},
		{"Commit/NumbersWithoutGapInParallel", testCommitParallel},
		{"Commit/OneWinnerInParallel", testCommitOneWinner},
		{"Commit/EndedContext", testCommitEndedContext},
		{"Commit/ContextEndsDuring", testCommitContextEndsDuring},
		{"Tail/ReturnsWhatWasCommitted", testTail},
		{"Tail/Pages", testTailPages},
		{"Tail/NeverSkips", testTailNeverSkips},
		{"Close/WaitsForCommits", testCloseWaits},
		{"Close/ThenUnavailable", testClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			test.run(t, s)
		})
	}
}

// at is the time of the entries that note makes.
var at = time.Date(2026, 11, 3, 4, 5, 6, 789012000, time.UTC)

// put returns a record of tenant "t" and kind "k" for a change.
func put(name string, version int64) store.Record {
	return store.Record{
		Tenant: "t", Kind: "k", ID: "id-" + name, Name: name, Format: 1, Version: version,
		Doc: fmt.Appendf(nil, `{"name": %q, "after": %d}`, name, version),
	}
}

// note returns an entry with every field filled.
func note(name string) store.Entry {
	return store.Entry{
		At: at, Tenant: "t", Caller: "c", Action: "k.put", Kind: "k", RecordID: "id-" + name, Name: name,
		Detail: []byte(`{"n": 1}`), Reason: "because",
	}
}

func change(records ...store.Record) store.Change {
	c := store.Change{Puts: records}
	for _, r := range records {
		c.Entries = append(c.Entries, note(r.Name))
	}
	return c
}

func mustCommit(t *testing.T, s Store, c store.Change) int64 {
	t.Helper()
	seq, err := s.Commit(t.Context(), c)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return seq
}

func wantKind(t *testing.T, what string, err error, want fault.Kind) {
	t.Helper()
	if got := fault.KindOf(err); got != want {
		t.Errorf("%s: got error %v of kind %v, want kind %v", what, err, got, want)
	}
}

// entries returns the whole log and checks that it has no gap.
func entries(t *testing.T, s Store) []store.Entry {
	t.Helper()
	var all []store.Entry
	for {
		page, err := s.Tail(t.Context(), int64(len(all)), store.MaxList)
		if err != nil {
			t.Fatalf("Tail: %v", err)
		}
		all = append(all, page...)
		if len(page) < store.MaxList {
			break
		}
	}
	for i, e := range all {
		if e.Seq != int64(i)+1 {
			t.Fatalf("entry %d of the log has seq %d", i+1, e.Seq)
		}
	}
	return all
}

func testLoad(t *testing.T, s Store) {
	want := put("a", 0)
	platform := put("a", 0)
	platform.Tenant, platform.ID, platform.Format = "", "other", 3
	mustCommit(t, s, store.Change{Puts: []store.Record{want, platform}, Entries: []store.Entry{note("a")}})
	for _, want := range []store.Record{want, platform} {
		want.Version = 1
		got, err := s.Load(t.Context(), want.Tenant, want.Kind, want.Name)
		if err != nil {
			t.Fatalf("Load: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Load (-want +got):\n%s", diff)
		}
	}
}

func testLoadNotFound(t *testing.T, s Store) {
	mustCommit(t, s, change(put("a", 0)))
	for _, key := range [][3]string{{"t", "k", "b"}, {"t", "other", "a"}, {"other", "k", "a"}, {"", "k", "a"}, {"t", "k", "A"}, {"t", "k", ""}} {
		_, err := s.Load(t.Context(), key[0], key[1], key[2])
		wantKind(t, fmt.Sprintf("Load(%q)", key), err, fault.NotFound)
	}
}

func testLoadCopies(t *testing.T, s Store) {
	c := change(put("a", 0))
	mustCommit(t, s, c)
	clear(c.Puts[0].Doc)
	clear(c.Entries[0].Detail)
	got, err := s.Load(t.Context(), "t", "k", "a")
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	clear(got.Doc)
	got, err = s.Load(t.Context(), "t", "k", "a")
	if err != nil || string(got.Doc) != string(put("a", 0).Doc) {
		t.Errorf("Load after the caller changed its slices: got %q, %v", got.Doc, err)
	}
	if e := entries(t, s); string(e[0].Detail) != `{"n": 1}` {
		t.Errorf("Tail after the caller changed its slices: got %q", e[0].Detail)
	}
}

func testListPages(t *testing.T, s Store) {
	for _, name := range []string{"d", "b", "a", "e", "c"} {
		mustCommit(t, s, change(put(name, 0)))
	}
	for _, test := range []struct {
		after string
		limit int
		want  string
	}{
		{"", 2, "ab"}, {"b", 2, "cd"}, {"d", 2, "e"}, {"e", 2, ""}, {"bb", 1, "c"}, {"", 5, "abcde"}, {"", store.MaxList, "abcde"},
	} {
		page, err := s.List(t.Context(), "t", "k", test.after, test.limit)
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		var got strings.Builder
		for _, r := range page {
			got.WriteString(r.Name)
			want := put(r.Name, 0)
			want.Version = 1
			if diff := cmp.Diff(want, r); diff != "" {
				t.Errorf("List (-want +got):\n%s", diff)
			}
		}
		if got.String() != test.want {
			t.Errorf("List(%q, %d): got %q, want %q", test.after, test.limit, got.String(), test.want)
		}
	}
}

func testListSorts(t *testing.T, s Store) {
	want := []string{"-", "A", "Z", "a", "a-b", "a.b", "aa", "é"}
	for i := range want {
		mustCommit(t, s, change(put(want[(i*3)%len(want)], 0)))
	}
	page, err := s.List(t.Context(), "t", "k", "", 100)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	got := make([]string, len(page))
	for i, r := range page {
		got[i] = r.Name
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
}

func testListApart(t *testing.T, s Store) {
	other, kind := put("b", 0), put("c", 0)
	other.Tenant, kind.Kind = "u", "l"
	mustCommit(t, s, change(put("a", 0), other, kind))
	page, err := s.List(t.Context(), "t", "k", "", 100)
	if err != nil || len(page) != 1 || page[0].Name != "a" {
		t.Errorf("List: got %v, %v, want only a", page, err)
	}
}

func testListLimit(t *testing.T, s Store) {
	mustCommit(t, s, change(put("a", 0)))
	for _, limit := range []int{-1, 0, store.MaxList + 1} {
		_, err := s.List(t.Context(), "t", "k", "", limit)
		wantKind(t, fmt.Sprintf("List with limit %d", limit), err, fault.Invalid)
		_, err = s.Tail(t.Context(), 0, limit)
		wantKind(t, fmt.Sprintf("Tail with limit %d", limit), err, fault.Invalid)
	}
}

func testCommitAllOrNothing(t *testing.T, s Store) {
	mustCommit(t, s, change(put("b", 0)))
	for name, c := range map[string]store.Change{
		"StaleIsLast":  change(put("a", 0), put("c", 0), put("b", 0)),
		"StaleIsFirst": change(put("b", 7), put("a", 0)),
	} {
		_, err := s.Commit(t.Context(), c)
		wantKind(t, name, err, fault.Conflict)
		_, err = s.Load(t.Context(), "t", "k", "a")
		wantKind(t, name+": Load", err, fault.NotFound)
		if n := len(entries(t, s)); n != 1 {
			t.Errorf("%s: log has %d entries, want 1", name, n)
		}
	}
	seq := mustCommit(t, s, change(put("a", 0), put("b", 1)))
	if seq != 3 {
		t.Errorf("Commit after refused ones: got seq %d, want 3", seq)
	}
}

func testCommitRaisesVersion(t *testing.T, s Store) {
	for version := range int64(3) {
		mustCommit(t, s, change(put("a", version)))
		got, err := s.Load(t.Context(), "t", "k", "a")
		if err != nil || got.Version != version+1 || string(got.Doc) != string(put("a", version).Doc) {
			t.Errorf("Load after a put of version %d: got version %d, %s, %v", version, got.Version, got.Doc, err)
		}
	}
}

func testCommitConflict(t *testing.T, s Store) {
	mustCommit(t, s, change(put("a", 0)))
	mustCommit(t, s, change(put("a", 1)))
	another := put("a", 2)
	another.ID = "another"
	for name, r := range map[string]store.Record{
		"Exists": put("a", 0), "Older": put("a", 1), "Newer": put("a", 3), "NeverWas": put("b", 1), "AnotherID": another,
	} {
		_, err := s.Commit(t.Context(), change(r))
		wantKind(t, name, err, fault.Conflict)
	}
	if n := len(entries(t, s)); n != 2 {
		t.Errorf("log has %d entries, want 2", n)
	}
}

func testCommitNewerFormat(t *testing.T, s Store) {
	newer := put("a", 0)
	newer.Format = 2
	mustCommit(t, s, change(newer))
	_, err := s.Commit(t.Context(), change(put("a", 1)))
	wantKind(t, "Commit of an older format", err, fault.Conflict)
	got, err := s.Load(t.Context(), "t", "k", "a")
	if err != nil || got.Format != 2 {
		t.Errorf("Load: got format %d, %v, want 2", got.Format, err)
	}
	newer.Version = 1
	mustCommit(t, s, change(newer))
}

func testCommitInvalid(t *testing.T, s Store) {
	bad := put("c", 0)
	bad.Doc = []byte("{")
	for name, c := range map[string]store.Change{
		"Empty":          {},
		"PutsWithoutLog": {Puts: []store.Record{put("a", 0)}},
		"Twice":          change(put("a", 0), put("a", 0)),
		"BadDocument":    change(put("a", 0), bad),
	} {
		_, err := s.Commit(t.Context(), c)
		wantKind(t, name, err, fault.Invalid)
	}
	if page, err := s.List(t.Context(), "t", "k", "", 10); err != nil || len(page) != 0 || len(entries(t, s)) != 0 {
		t.Errorf("after refused changes: got records %v, %v", page, err)
	}
}

func testCommitEntriesOnly(t *testing.T, s Store) {
	seq := mustCommit(t, s, store.Change{Entries: []store.Entry{note("a"), note("b")}})
	if got := entries(t, s); seq != 2 || len(got) != 2 || got[1].Name != "b" {
		t.Errorf("Commit of two entries: got seq %d and %v", seq, got)
	}
}

func testCommitNumbers(t *testing.T, s Store) {
	want := int64(0)
	for i := range 5 {
		c := store.Change{}
		for j := range i + 1 {
			c.Entries = append(c.Entries, note(fmt.Sprintf("%d-%d", i, j)))
		}
		want += int64(len(c.Entries))
		if seq := mustCommit(t, s, c); seq != want {
			t.Errorf("Commit %d: got seq %d, want %d", i, seq, want)
		}
	}
	all := entries(t, s)
	for i, want := range []string{"0-0", "1-0", "1-1", "2-0", "2-1", "2-2"} {
		if all[i].Name != want {
			t.Errorf("entry %d: got %s, want %s", i+1, all[i].Name, want)
		}
	}
}

// testCommitParallel mixes changes that are refused with ones that are not:
// neither may take a number from another.
func testCommitParallel(t *testing.T, s Store) {
	const workers, each = 8, 20
	mustCommit(t, s, change(put("taken", 0)))
	var mu sync.Mutex
	names := map[int64]string{1: "taken"}
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range each {
				name := fmt.Sprintf("%d-%d", w, i)
				if _, err := s.Commit(t.Context(), change(put(name+"x", 0), put("taken", 0))); fault.KindOf(err) != fault.Conflict {
					t.Errorf("Commit of a taken name: got %v", err)
				}
				seq, err := s.Commit(t.Context(), change(put(name, 0)))
				if err != nil {
					t.Errorf("Commit: %v", err)
				}
				mu.Lock()
				names[seq] = name
				mu.Unlock()
			}
		})
	}
	group.Wait()
	all := entries(t, s)
	if len(all) != workers*each+1 {
		t.Errorf("log has %d entries, want %d", len(all), workers*each+1)
	}
	for _, e := range all {
		if names[e.Seq] != e.Name {
			t.Errorf("entry %d is about %s, its commit was about %q", e.Seq, e.Name, names[e.Seq])
		}
	}
}

func testCommitOneWinner(t *testing.T, s Store) {
	const workers = 8
	for version := range int64(5) {
		won := make(chan int, workers)
		var group sync.WaitGroup
		for w := range workers {
			group.Go(func() {
				_, err := s.Commit(t.Context(), change(put("a", version)))
				switch fault.KindOf(err) {
				case 0:
					won <- w
				case fault.Conflict:
				default:
					t.Errorf("Commit: %v", err)
				}
			})
		}
		group.Wait()
		if len(won) != 1 {
			t.Fatalf("version %d was put %d times", version, len(won))
		}
	}
}

func testCommitEndedContext(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Commit(ctx, change(put("a", 0)))
	wantKind(t, "Commit", err, fault.Unavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Commit: got %v, want context.Canceled in the chain", err)
	}
	_, err = s.Load(ctx, "t", "k", "a")
	wantKind(t, "Load", err, fault.Unavailable)
	_, err = s.List(ctx, "t", "k", "", 1)
	wantKind(t, "List", err, fault.Unavailable)
	_, err = s.Tail(ctx, 0, 1)
	wantKind(t, "Tail", err, fault.Unavailable)
	_, err = s.Load(t.Context(), "t", "k", "a")
	wantKind(t, "Load afterwards", err, fault.NotFound)
}

// testCommitContextEndsDuring cancels at any moment: an error means nothing is
// stored, no error means that it is.
func testCommitContextEndsDuring(t *testing.T, s Store) {
	const n = 200
	var group sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		ctx, cancel := context.WithCancel(t.Context())
		group.Go(cancel)
		group.Go(func() { _, errs[i] = s.Commit(ctx, change(put(fmt.Sprint(i), 0))) })
	}
	group.Wait()
	for i, err := range errs {
		_, loadErr := s.Load(t.Context(), "t", "k", fmt.Sprint(i))
		if (err == nil) != (loadErr == nil) {
			t.Errorf("commit %d: got error %v, then Load: %v", i, err, loadErr)
		}
	}
	entries(t, s)
}

func testTail(t *testing.T, s Store) {
	full, least := note("a"), store.Entry{At: at.Add(time.Microsecond), Caller: "c", Action: "a"}
	zone := note("b")
	zone.At = at.Add(999 * time.Nanosecond).In(time.FixedZone("", 3600))
	mustCommit(t, s, store.Change{Entries: []store.Entry{full, least, zone}})
	want := []store.Entry{full, least, note("b")}
	for i := range want {
		want[i].Seq = int64(i) + 1
	}
	if diff := cmp.Diff(want, entries(t, s)); diff != "" {
		t.Errorf("Tail (-want +got):\n%s", diff)
	}
}

func testTailPages(t *testing.T, s Store) {
	for range 5 {
		mustCommit(t, s, store.Change{Entries: []store.Entry{note("a")}})
	}
	for _, test := range []struct {
		after int64
		limit int
		want  []int64
	}{
		{0, 2, []int64{1, 2}}, {2, 2, []int64{3, 4}}, {4, 2, []int64{5}}, {5, 2, nil}, {99, 2, nil}, {-1, 1, []int64{1}},
	} {
		page, err := s.Tail(t.Context(), test.after, test.limit)
		if err != nil {
			t.Fatalf("Tail: %v", err)
		}
		var got []int64
		for _, e := range page {
			got = append(got, e.Seq)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("Tail(%d, %d) (-want +got):\n%s", test.after, test.limit, diff)
		}
	}
}

// testTailNeverSkips follows the log while it is written.
func testTailNeverSkips(t *testing.T, s Store) {
	const workers, each = 4, 25
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range each {
				if _, err := s.Commit(t.Context(), change(put(fmt.Sprintf("%d-%d", w, i), 0))); err != nil {
					t.Errorf("Commit: %v", err)
				}
			}
		})
	}
	for last := int64(0); last < workers*each && !t.Failed(); {
		page, err := s.Tail(t.Context(), last, 7)
		if err != nil {
			t.Errorf("Tail: %v", err)
			break
		}
		for _, e := range page {
			if e.Seq != last+1 {
				t.Errorf("Tail: got seq %d after %d", e.Seq, last)
			}
			last = e.Seq
		}
	}
	group.Wait()
}

func testCloseWaits(t *testing.T, s Store) {
	const n = 50
	var group sync.WaitGroup
	begun := make(chan bool, n)
	for i := range n {
		group.Go(func() {
			begun <- true
			_, err := s.Commit(t.Context(), change(put(fmt.Sprint(i), 0)))
			if k := fault.KindOf(err); k != 0 && k != fault.Unavailable {
				t.Errorf("Commit during Close: %v", err)
			}
		})
	}
	for range n / 2 {
		<-begun
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	group.Wait()
}

func testClosed(t *testing.T, s Store) {
	mustCommit(t, s, change(put("a", 0)))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	_, err := s.Load(t.Context(), "t", "k", "a")
	wantKind(t, "Load", err, fault.Unavailable)
	_, err = s.List(t.Context(), "t", "k", "", 1)
	wantKind(t, "List", err, fault.Unavailable)
	_, err = s.Commit(t.Context(), change(put("a", 1)))
	wantKind(t, "Commit", err, fault.Unavailable)
	_, err = s.Tail(t.Context(), 0, 1)
	wantKind(t, "Tail", err, fault.Unavailable)
}
