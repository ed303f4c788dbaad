package sqlite_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/sqlite"
	"github.com/sealwright/sealwright/server/internal/store/storetest"
)

func open(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func closeStore(t *testing.T, s *sqlite.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// raw connects to the database beside the store, as no user of the package can.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_txlock=immediate")
	if err != nil {
		t.Fatalf("sql.Open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

func exec(t *testing.T, db *sql.DB, text string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// change puts a new record with one entry.
func change(name string) store.Change {
	return store.Change{
		Puts:    []store.Record{{Tenant: "t", Kind: "k", ID: "id-" + name, Name: name, Format: 1, Doc: []byte("{}")}},
		Entries: []store.Entry{{At: time.Unix(1, 0).UTC(), Caller: "c", Action: "a", Name: name}},
	}
}

func commit(t *testing.T, s *sqlite.Store, name string) {
	t.Helper()
	if _, err := s.Commit(t.Context(), change(name)); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// contents returns the names of all records and checks that they are the names
// of all entries, and that the entries have no gap.
func contents(t *testing.T, s *sqlite.Store) map[string]bool {
	t.Helper()
	noted := map[string]bool{}
	for last, done := int64(0), false; !done; {
		page, err := s.Tail(t.Context(), last, store.MaxList)
		if err != nil {
			t.Fatalf("Tail: %v", err)
		}
		for _, e := range page {
			if last++; e.Seq != last {
				t.Fatalf("Tail: got seq %d, want %d", e.Seq, last)
			}
			noted[e.Name] = true
		}
		done = len(page) < store.MaxList
	}
	stored := map[string]bool{}
	for after, done := "", false; !done; {
		page, err := s.List(t.Context(), "t", "k", after, store.MaxList)
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		for _, r := range page {
			after = r.Name
			stored[r.Name] = true
		}
		done = len(page) < store.MaxList
	}
	if diff := cmp.Diff(stored, noted); diff != "" {
		t.Errorf("records and entries differ (-records +entries):\n%s", diff)
	}
	return stored
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store { return open(t, filepath.Join(t.TempDir(), "s.db")) })
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	want := map[string]bool{}
	for i := range 3 {
		s := open(t, path)
		if diff := cmp.Diff(want, contents(t, s)); diff != "" {
			t.Errorf("open %d (-want +got):\n%s", i, diff)
		}
		name := fmt.Sprint(i)
		commit(t, s, name)
		want[name] = true
		closeStore(t, s)
	}
}

// What was acknowledged while the store was being closed is there afterwards.
func TestCloseKeepsWhatWasAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	const n = 100
	var group sync.WaitGroup
	errs := make([]error, n)
	first := make(chan bool, n)
	for i := range n {
		group.Go(func() {
			_, errs[i] = s.Commit(t.Context(), change(fmt.Sprint(i)))
			first <- true
		})
	}
	<-first
	closeStore(t, s)
	group.Wait()
	got := contents(t, open(t, path))
	for i, err := range errs {
		if acknowledged := err == nil; got[fmt.Sprint(i)] != acknowledged {
			t.Errorf("commit %d: got error %v, then stored: %v", i, err, !acknowledged)
		}
	}
}

func TestOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	_, err := sqlite.Open(t.Context(), path)
	if !errors.Is(err, fault.Unavailable) || !strings.Contains(fault.Public(err), "open in another process") {
		t.Errorf("Open again: got %v", err)
	}
	commit(t, s, "a")
	closeStore(t, s)
	open(t, path)
}

// Paths are data: nothing in them reaches the settings of the connection.
func TestPath(t *testing.T) {
	for _, name := range []string{
		"plain.db", "with blank.db", "a?_pragma=user_version(7)&x=.db", "a#b.db", "a%20b.db", "a%3fb.db", "ä;b'c\".db", ":memory:", "file:x.db",
	} {
		t.Run(url.QueryEscape(name), func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, filepath.Join(dir, name))
			commit(t, s, "a")
			if v, err := s.Pragma("user_version"); v != "0" || err != nil {
				t.Errorf("user_version: got %s, %v, want 0", v, err)
			}
			closeStore(t, s)
			var got []string
			files, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				got = append(got, f.Name())
			}
			if diff := cmp.Diff([]string{name, name + ".lock"}, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if got := contents(t, open(t, filepath.Join(dir, name))); !got["a"] {
				t.Errorf("after opening again: got %v, want a", got)
			}
		})
	}
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	s := open(t, "s.db")
	commit(t, s, "a")
	closeStore(t, s)
	if _, err := os.Stat("s.db"); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := sqlite.Open(t.Context(), filepath.Join(dir, "no", "s.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open in a folder that does not exist: got %v", err)
	}
	if _, err := sqlite.Open(t.Context(), dir); err == nil {
		t.Errorf("Open of a folder: got no error")
	}
	path := filepath.Join(dir, "text.db")
	text := []byte(strings.Repeat("not a database\n", 1000))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), path)
	if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "not a database") {
		t.Errorf("Open of a text: got %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, text) {
		t.Errorf("Open of a text changed it, %v", err)
	}
}

// A database of a newer version is refused and left as it is.
func TestNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	commit(t, s, "a")
	closeStore(t, s)
	db := raw(t, path)
	exec(t, db, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	exec(t, db, `PRAGMA wal_checkpoint(TRUNCATE)`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sqlite.Open(t.Context(), path)
	if !errors.Is(err, fault.Unavailable) || !strings.Contains(fault.Public(err), "database has schema 9999, this version of sealwright knows up to 5") {
		t.Errorf("Open: got %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("Open changed the file, %v", err)
	}
}

// Opening and closing without a commit changes no byte.
func TestOpenChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	commit(t, s, "a")
	closeStore(t, s)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	contents(t, s)
	closeStore(t, s)
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed, %v", err)
	}
}

func TestFilesAreClosedToOthers(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "s.db"))
	commit(t, s, "a")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, %v, want 0600", f.Name(), info.Mode(), err)
		}
		got = append(got, f.Name())
	}
	if diff := cmp.Diff([]string{"s.db", "s.db-shm", "s.db-wal", "s.db.lock"}, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestSettings(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "s.db"))
	for name, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000", "wal_autocheckpoint": "1000",
		"trusted_schema": "0", "query_only": "0",
	} {
		if got, err := s.Pragma(name); got != want || err != nil {
			t.Errorf("%s of the writer: got %s, %v, want %s", name, got, err, want)
		}
	}
	_, err := s.Reader().ExecContext(t.Context(), `UPDATE log_head SET seq = 7`)
	if err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("a write by a reader: got %v", err)
	}
}

// Times are integers of microseconds, so that nothing depends on a driver's
// text.
func TestTimesAreMicroseconds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	c := change("a")
	c.Entries[0].At = time.Date(2026, 11, 3, 4, 5, 6, 789012999, time.FixedZone("", -3600))
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	var kind string
	var at int64
	err := raw(t, path).QueryRowContext(t.Context(), `SELECT typeof(at), at FROM entries`).Scan(&kind, &at)
	if want := c.Entries[0].At.UnixMicro(); err != nil || kind != "integer" || at != want {
		t.Errorf("at: got %s %d, %v, want integer %d", kind, at, err, want)
	}
}

// Commits wait for a writer that is not ours, such as a backup.
func TestBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	tx, err := raw(t, path).BeginTx(t.Context(), nil) // immediate, so it holds the write lock
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			if _, err := s.Commit(t.Context(), change(fmt.Sprint(i))); err != nil {
				t.Errorf("Commit: %v", err)
			}
		})
	}
	if got := contents(t, s); len(got) != 0 {
		t.Errorf("while the write lock is held: got records %v", got)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatalf("Rollback: %v", err)
	}
	group.Wait()
	if got := contents(t, s); len(got) != 50 {
		t.Errorf("got %d records, want 50", len(got))
	}
}

func TestCheckpointEmptiesTheWAL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	for i := range 20 {
		commit(t, s, fmt.Sprint(i))
		contents(t, s) // readers leave nothing open
	}
	s.Checkpoint()
	info, err := os.Stat(path + "-wal")
	if err != nil || info.Size() != 0 {
		t.Errorf("WAL: got %d bytes, %v, want 0", info.Size(), err)
	}
	if got := contents(t, s); len(got) != 20 {
		t.Errorf("got %d records, want 20", len(got))
	}
}

// A copy made with VACUUM INTO while the store is open is a database of its own.
func TestBackup(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "s.db"), filepath.Join(dir, "backup.db")
	s := open(t, path)
	commit(t, s, "before")
	exec(t, raw(t, path), `VACUUM INTO '`+backup+`'`)
	commit(t, s, "after")
	if diff := cmp.Diff(map[string]bool{"before": true}, contents(t, open(t, backup))); diff != "" {
		t.Errorf("backup (-want +got):\n%s", diff)
	}
}
