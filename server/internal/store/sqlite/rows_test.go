package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/sqlite"
	"github.com/sealwright/sealwright/server/internal/store/storetest"
)

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	storetest.RunCopy(t, open(t, filepath.Join(dir, "from.db")), open(t, filepath.Join(dir, "to.db")))
}

// A reader sees a store that is open, as it was at one moment.
func TestReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	commit(t, s, "a")
	r, err := sqlite.OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rows := 0
	for row, err := range r.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if rows == 0 {
			commit(t, s, "b")
		}
		if row.Record != nil && row.Record.Name != "a" || row.Entry != nil && row.Entry.Name != "a" {
			t.Errorf("got %+v, which was committed later", row)
		}
		rows++
	}
	if rows != 2 {
		t.Errorf("got %d rows, want 2", rows)
	}
	if c, err := store.Count(r.Rows(t.Context())); err != nil || c.Entries != 2 {
		t.Errorf("Rows again: got %+v, %v", c, err)
	}
}

func TestReaderRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := sqlite.OpenReader(t.Context(), filepath.Join(dir, "none.db")); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("no file: got %v", err)
	}
	path := filepath.Join(dir, "s.db")
	closeStore(t, open(t, path))
	exec(t, raw(t, path), `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	if _, err := sqlite.OpenReader(t.Context(), path); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("older schema: got %v", err)
	}
}
