//go:build unix

package postgres_test

import (
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/postgres"
	"github.com/sealwright/sealwright/server/internal/store/sqlite"
	"github.com/sealwright/sealwright/server/internal/store/storetest"
)

func openFile(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func testCopy(t *testing.T, p *peer.Postgres) {
	t.Run("PostgresToPostgres", func(t *testing.T) {
		storetest.RunCopy(t, open(t, p.NewDatabase(t)), open(t, p.NewDatabase(t)))
	})
	t.Run("SQLiteToPostgres", func(t *testing.T) { storetest.RunCopy(t, openFile(t), open(t, p.NewDatabase(t))) })
	t.Run("PostgresToSQLite", func(t *testing.T) { storetest.RunCopy(t, open(t, p.NewDatabase(t)), openFile(t)) })
}

// A copy of more than one batch is whole.
func testCopyMany(t *testing.T, p *peer.Postgres) {
	from, to := openFile(t), open(t, p.NewDatabase(t))
	for i := range 3 {
		var c store.Change
		for j := range 700 {
			one := change(string(rune('a'+i)) + string(rune(0x4e00+j)))
			c.Puts, c.Entries = append(c.Puts, one.Puts...), append(c.Entries, one.Entries...)
		}
		if _, err := from.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	c, err := to.Import(t.Context(), from.Rows(t.Context()))
	if err != nil || c.Records != 2100 || c.Entries != 2100 {
		t.Errorf("Import: got %+v, %v", c, err)
	}
}

// A reader sees a store that is open, as it was at one moment.
func testReader(t *testing.T, p *peer.Postgres) {
	url := p.NewDatabase(t)
	if _, err := postgres.OpenReader(t.Context(), url); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("OpenReader of an empty database: got %v", err)
	}
	s := open(t, url)
	commit(t, s, "a")
	r, err := postgres.OpenReader(t.Context(), url)
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
}
