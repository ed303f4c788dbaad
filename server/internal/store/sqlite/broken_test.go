package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store/sqlite"
)

// commitMany commits n changes at the same time, while another writer holds
// the lock, so that they come in batches. Names of every third begin with
// "bad". It returns the errors by name.
func commitMany(t *testing.T, s *sqlite.Store, path, run string) map[string]error {
	t.Helper()
	const n = 60
	tx, err := raw(t, path).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	errs := map[string]error{}
	for i := range n {
		name := fmt.Sprintf("good-%s-%d", run, i)
		if i%3 == 0 {
			name = "bad" + strings.TrimPrefix(name, "good")
		}
		group.Go(func() {
			_, err := s.Commit(t.Context(), change(name))
			mu.Lock()
			defer mu.Unlock()
			errs[name] = err
		})
	}
	if err := tx.Rollback(); err != nil {
		t.Fatalf("Rollback: %v", err)
	}
	group.Wait()
	return errs
}

// checkTold checks that what was reported is what is stored.
func checkTold(t *testing.T, s *sqlite.Store, errs map[string]error) {
	t.Helper()
	stored := contents(t, s)
	for name, err := range errs {
		if (err == nil) != stored[name] {
			t.Errorf("%s: got error %v, stored: %v", name, err, stored[name])
		}
		if err != nil && !errors.Is(err, fault.Unavailable) {
			t.Errorf("%s: got %v, want kind unavailable", name, err)
		}
	}
}

// A write that breaks in the middle of a change breaks nothing else, however
// much SQLite rolls back of itself: the statement, or the whole transaction.
func TestWriteBreaks(t *testing.T) {
	for _, raise := range []string{"ABORT", "FAIL", "ROLLBACK"} {
		for _, table := range []string{"records", "entries"} {
			t.Run(raise+"/"+table, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "s.db")
				s := open(t, path)
				db := raw(t, path)
				exec(t, db, fmt.Sprintf(`CREATE TRIGGER broken AFTER INSERT ON %s WHEN NEW.name LIKE 'bad%%'
					BEGIN SELECT RAISE(%s, 'broken'); END`, table, raise))
				errs := commitMany(t, s, path, "1")
				checkTold(t, s, errs)
				for name, err := range errs {
					bad := strings.HasPrefix(name, "bad")
					if bad && err == nil {
						t.Errorf("%s: got no error", name)
					}
					if !bad && err != nil && raise != "ROLLBACK" {
						t.Errorf("%s, which shares a transaction with broken ones: got %v", name, err)
					}
				}
				exec(t, db, `DROP TRIGGER broken`)
				for name, err := range commitMany(t, s, path, "2") {
					if err != nil {
						t.Errorf("%s, after the repair: got %v", name, err)
					}
				}
				closeStore(t, s)
				contents(t, open(t, path))
			})
		}
	}
}

// A full disk refuses changes, and the store works again when there is room.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	commit(t, s, "first")
	pages, err := s.Pragma("page_count")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pragma("max_page_count = " + pages); err != nil {
		t.Fatal(err)
	}
	full := false
	for run := 0; !full && run < 50; run++ {
		errs := commitMany(t, s, path, fmt.Sprint(run))
		checkTold(t, s, errs)
		for _, err := range errs {
			full = full || err != nil
		}
	}
	if !full {
		t.Fatalf("the disk never got full")
	}
	if _, err := s.Pragma("max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	for name, err := range commitMany(t, s, path, "room") {
		if err != nil {
			t.Errorf("%s, with room again: got %v", name, err)
		}
	}
	closeStore(t, s)
	if got := contents(t, open(t, path)); !got["first"] || !got["good-room-1"] {
		t.Errorf("after opening again: a record is missing")
	}
}

// When COMMIT itself fails, nothing of the transaction is stored, and the next
// one begins afresh.
func TestCommitFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	if _, err := s.Pragma("foreign_keys = 1; PRAGMA foreign_keys;"); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	exec(t, db, `CREATE TABLE parent (id INTEGER PRIMARY KEY)`)
	exec(t, db, `CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)`)
	exec(t, db, `CREATE TRIGGER broken AFTER INSERT ON entries WHEN NEW.name LIKE 'bad%'
		BEGIN INSERT INTO child VALUES (1); END`) // the parent is missed at COMMIT
	errs := commitMany(t, s, path, "1")
	checkTold(t, s, errs)
	if err := errs["bad-1-0"]; err == nil || !strings.Contains(err.Error(), "FOREIGN KEY") {
		t.Errorf("bad-1-0: got %v", err)
	}
	exec(t, db, `DROP TRIGGER broken`)
	for name, err := range commitMany(t, s, path, "2") {
		if err != nil {
			t.Errorf("%s, after the repair: got %v", name, err)
		}
	}
}

// A commit that waits behind others is not made any more when its caller has
// given up.
func TestGivenUpWhileWaiting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	tx, err := raw(t, path).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for i := range sqlite.MaxQueued + 20 { // more than one batch takes
		group.Go(func() {
			_, err := s.Commit(ctx, change(fmt.Sprint(i)))
			if !errors.Is(err, fault.Unavailable) || !errors.Is(err, context.Canceled) {
				t.Errorf("Commit: got %v, want kind unavailable and context.Canceled", err)
			}
		})
	}
	for s.Queued() == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := tx.Rollback(); err != nil {
		t.Fatalf("Rollback: %v", err)
	}
	group.Wait()
	if got := contents(t, s); len(got) != 0 {
		t.Errorf("got records %v, want none", got)
	}
}

// Close waits also for commits that have no room in the queue yet.
func TestCloseWaitsForAFullQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	db := raw(t, path)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	const n = 3 * sqlite.MaxQueued
	errs := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { _, errs[i] = s.Commit(t.Context(), change(fmt.Sprint(i))) })
	}
	for s.Queued() < sqlite.MaxQueued {
		runtime.Gosched()
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	if err := tx.Rollback(); err != nil {
		t.Fatalf("Rollback: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	group.Wait()
	stored, done := contents(t, open(t, path)), 0
	for i, err := range errs {
		if (err == nil) != stored[fmt.Sprint(i)] {
			t.Errorf("commit %d: got error %v, stored: %v", i, err, stored[fmt.Sprint(i)])
		}
		if err == nil {
			done++
		} else if !strings.Contains(err.Error(), "store is closed") {
			t.Errorf("commit %d: got %v", i, err)
		}
	}
	if done < sqlite.MaxQueued {
		t.Errorf("%d commits were made, want at least the %d that waited", done, sqlite.MaxQueued)
	}
}
