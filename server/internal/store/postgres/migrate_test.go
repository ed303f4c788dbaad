//go:build unix

package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/server/internal/store/postgres"
)

// Processes that start at once on a database that is new, or of an older
// version, all come up, and it is migrated once.
func testMigrateTogether(t *testing.T, p *peer.Postgres) {
	for _, from := range []int64{0, 1} {
		url := p.NewDatabase(t)
		if from > 0 {
			if err := postgres.MigrateTo(t.Context(), url, from); err != nil {
				t.Fatal(err)
			}
			exec(t, raw(t, url), `UPDATE log_head SET seq = 0, owner = 'a process'`)
		}
		openTogether(t, url)
		var versions, distinct int
		err := raw(t, url).QueryRow(t.Context(), `SELECT count(*), count(DISTINCT version_id) FROM goose_db_version`).Scan(&versions, &distinct)
		if err != nil || versions != distinct || versions < 3 { // 0, 1, 2 and so on
			t.Errorf("from schema %d: got %d rows of %d versions, %v, want one of each", from, versions, distinct, err)
		}
		commit(t, open(t, url), "a")
	}
}

func openTogether(t *testing.T, url string) {
	t.Helper()
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			s, err := postgres.Open(t.Context(), url, postgres.Options{})
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	group.Wait()
}

// A process that is overtaken by a newer version reads, and writes nothing.
func testOvertakenByNewerSchema(t *testing.T, p *peer.Postgres) {
	url := p.NewDatabase(t)
	s, conn := open(t, url), raw(t, url)
	commit(t, s, "a")
	exec(t, conn, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	_, err := s.Commit(t.Context(), change("b"))
	wantUnavailable(t, "Commit", err, "database was migrated by a newer version of sealwright")
	wantUnavailable(t, "AddUses", s.AddUses(t.Context(), nil), "database was migrated by a newer version of sealwright")
	if got := contents(t, s); len(got) != 1 || !got["a"] {
		t.Errorf("got records %v, want a", got)
	}
	exec(t, conn, `DELETE FROM goose_db_version WHERE version_id = 9999`)
	commit(t, s, "b")
}

// A process waits for another one that migrates, for as long as its context
// allows, and makes nothing meanwhile.
func testMigrateWaits(t *testing.T, p *peer.Postgres) {
	url := p.NewDatabase(t)
	conn := raw(t, url)
	exec(t, conn, fmt.Sprintf(`BEGIN; SELECT pg_advisory_xact_lock(%d)`, int64(postgres.Migrating)))
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := postgres.Open(ctx, url, postgres.Options{})
	wantUnavailable(t, "Open", err, "")
	var exists bool
	if err := conn.QueryRow(t.Context(), `SELECT to_regclass('records') IS NOT NULL`).Scan(&exists); err != nil || exists {
		t.Errorf("there are tables: %v, %v", exists, err)
	}
	exec(t, conn, `ROLLBACK`)
	open(t, url)
}
