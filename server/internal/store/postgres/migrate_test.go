//go:build unix

package postgres_test

import (
	"fmt"
	"sync"
	"testing"

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
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				s, err := postgres.Open(t.Context(), url, postgres.Options{})
				if err != nil {
					t.Errorf("Open from schema %d: %v", from, err)
					return
				}
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
		group.Wait()
		var versions, distinct int
		err := raw(t, url).QueryRow(t.Context(), `SELECT count(*), count(DISTINCT version_id) FROM goose_db_version`).Scan(&versions, &distinct)
		if err != nil || versions != 3 || distinct != 3 {
			t.Errorf("from schema %d: got %d rows of %d versions, %v, want 0, 1 and 2", from, versions, distinct, err)
		}
		commit(t, open(t, url), "a")
	}
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

// A process waits for another one that migrates.
func testMigrateWaits(t *testing.T, p *peer.Postgres) {
	url := p.NewDatabase(t)
	holder, conn := raw(t, url), raw(t, url)
	exec(t, holder, fmt.Sprintf(`BEGIN; SELECT pg_advisory_xact_lock(%d)`, int64(postgres.Migrating)))
	ended := make(chan error, 1)
	go func() {
		s, err := postgres.Open(t.Context(), url, postgres.Options{})
		if err == nil {
			err = s.Close()
		}
		ended <- err
	}()
	waitForLock(t, conn)
	exec(t, holder, `ROLLBACK`)
	if err := <-ended; err != nil {
		t.Errorf("Open: %v", err)
	}
}
