//go:build unix

package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/postgres"
	"github.com/sealwright/sealwright/server/internal/store/sqlite"
)

func open(t *testing.T, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func closeStore(t *testing.T, s *postgres.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// change puts a new record with one entry.
func change(name string) store.Change {
	return store.Change{
		Puts:    []store.Record{{Tenant: "t", Kind: "k", ID: "id-" + name, Name: name, Format: 1, Doc: []byte("{}")}},
		Entries: []store.Entry{{At: time.Unix(1, 0).UTC(), Caller: "c", Action: "a", Name: name}},
	}
}

func commit(t *testing.T, s *postgres.Store, name string) {
	t.Helper()
	if _, err := s.Commit(t.Context(), change(name)); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// contents returns the names of all records and checks that they are the names
// of all entries, and that the entries have no gap.
func contents(t *testing.T, s *postgres.Store) map[string]bool {
	t.Helper()
	records, err := s.List(t.Context(), "t", "k", "", store.MaxList)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	entries, err := s.Tail(t.Context(), 0, store.MaxList)
	if err != nil {
		t.Fatalf("Tail: %v", err)
	}
	names := map[string]bool{}
	for _, r := range records {
		names[r.Name] = true
	}
	for i, e := range entries {
		if e.Seq != int64(i)+1 || !names[e.Name] {
			t.Errorf("entry %d has seq %d and name %s, record exists: %v", i+1, e.Seq, e.Name, names[e.Name])
		}
	}
	if len(entries) != len(names) {
		t.Errorf("got %d entries and %d records", len(entries), len(names))
	}
	return names
}

// raw connects to the database beside the store, as no user of the package can.
func raw(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server may be gone
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, text string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func wantUnavailable(t *testing.T, what string, err error, text string) {
	t.Helper()
	if !errors.Is(err, fault.Unavailable) || !strings.Contains(fault.Public(err), text) {
		t.Errorf("%s: got %v, want kind unavailable and %q", what, err, text)
	}
}

// TestStore has the tests that can share a server.
func TestStore(t *testing.T) {
	p := peer.StartPostgres(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *peer.Postgres)
	}{
		{"Conformance", testConformance},
		{"SchemaIsThatOfSQLite", testSchemaIsThatOfSQLite},
		{"NewerSchema", testNewerSchema},
		{"SeveralWriters", testSeveralWriters},
		{"OneWinner", testOneWinner},
		{"Pooler", testPooler},
		{"NetworkGone", testNetworkGone},
		{"AnswerNeverComes", testAnswerNeverComes},
		{"Failover", testFailover},
		{"UsesAddUp", testUsesAddUp},
		{"ImportRefusesNodes", testImportRefusesNodes},
		{"ImportKeepsOthersOut", testImportKeepsOthersOut},
		{"ImportWaits", testImportWaits},
		{"MigrateTogether", testMigrateTogether},
		{"MigrateWaits", testMigrateWaits},
		{"OvertakenByNewerSchema", testOvertakenByNewerSchema},
		{"NoDeadlock", testNoDeadlock},
		{"TextsThatCannotBeKept", testTextsThatCannotBeKept},
		{"CommitBreaks", testCommitBreaks},
		{"WriteBreaks", testWriteBreaks},
		{"Kill", testKill},
		{"Settle", testSettle},
		{"Copy", testCopy},
		{"CopyMany", testCopyMany},
		{"Reader", testReader},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, p) })
	}
}

// Both databases have the same tables and columns, beside those that say which
// nodes there are, and what became of a transaction.
func testSchemaIsThatOfSQLite(t *testing.T, p *peer.Postgres) {
	address := p.NewDatabase(t)
	open(t, address)
	rows, err := raw(t, address).Query(t.Context(), `SELECT table_name || '.' || column_name FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%' AND table_name NOT IN ('nodes', 'outcomes')`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var text string
	err = db.QueryRowContext(t.Context(), `SELECT group_concat(t.name || '.' || c.name) FROM sqlite_schema t, pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name NOT LIKE 'goose%' AND t.name NOT LIKE 'sqlite%'`).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(text, ",")
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("columns (-sqlite +postgres):\n%s", diff)
	}
}

func testNewerSchema(t *testing.T, p *peer.Postgres) {
	address := p.NewDatabase(t)
	s := open(t, address)
	commit(t, s, "a")
	closeStore(t, s)
	conn := raw(t, address)
	exec(t, conn, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	_, err := postgres.Open(t.Context(), address, postgres.Options{})
	wantUnavailable(t, "Open", err, "database has schema 9999, this version of sealwright knows up to 4")
	exec(t, conn, `DELETE FROM goose_db_version WHERE version_id = 9999`)
	if got := contents(t, open(t, address)); !got["a"] {
		t.Errorf("afterwards: got records %v", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	p := peer.StartPostgres(t)
	conn := raw(t, p.URL("postgres"))
	exec(t, conn, `CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'`)
	_, err := postgres.Open(t.Context(), p.URL("latin"), postgres.Options{})
	wantUnavailable(t, "Open", err, "database has encoding LATIN1, want UTF8")
	_, err = postgres.Open(t.Context(), p.URL("nothing"), postgres.Options{})
	wantUnavailable(t, "Open", err, "connect")
	if _, err := postgres.Open(t.Context(), "postgres://%zz", postgres.Options{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("Open: got %v, want kind invalid", err)
	}
	address := p.NewDatabase(t)
	exec(t, conn, `ALTER SYSTEM SET fsync = off`)
	exec(t, conn, `SELECT pg_reload_conf()`)
	for err = nil; err == nil || !strings.Contains(err.Error(), "fsync=off"); { // until the server has read it
		s, e := postgres.Open(t.Context(), address, postgres.Options{})
		if err = e; err == nil {
			closeStore(t, s)
		}
	}
	wantUnavailable(t, "Open", err, "so it can lose what it has acknowledged")
}

// What a role turned off for itself is on for commits of the store.
func TestCommitsAreSynchronous(t *testing.T) {
	p := peer.StartPostgres(t)
	address := p.NewDatabase(t)
	exec(t, raw(t, p.URL("postgres")), `ALTER ROLE ALL SET synchronous_commit = off`)
	s := open(t, address)
	exec(t, raw(t, address), `CREATE TABLE seen (value text);
		CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES (current_setting(''synchronous_commit'')); RETURN NULL; END';
		CREATE TRIGGER see AFTER INSERT ON entries EXECUTE FUNCTION see();
		CREATE CONSTRAINT TRIGGER see AFTER UPDATE ON leases DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION see()`)
	at := time.Unix(1, 0)
	l := store.Lease{Tenant: "t", Key: "k", ID: "l", Version: 1, CreatedAt: at, ExpiresAt: at.Add(time.Hour), MaxUses: 1}
	if err := s.PutLease(t.Context(), l, change("a").Entries[0]); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.SpendLease(t.Context(), "t", "k", "l", at); !ok || err != nil {
		t.Fatalf("SpendLease: %v, %v", ok, err)
	}
	rows, err := raw(t, address).Query(t.Context(), `SELECT value FROM seen`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || !slices.Equal(got, []string{"on", "on"}) {
		t.Errorf("synchronous_commit: got %q, %v, want on, twice", got, err)
	}
}

// Changes of the same records in different orders do not lock each other out.
func testNoDeadlock(t *testing.T, p *peer.Postgres) {
	s := openSeveral(t, p.NewDatabase(t), 2)
	a, b := change("a"), change("b")
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for done := 0; done < 5; {
				puts := []store.Record{a.Puts[0], b.Puts[0]}
				for j := range puts {
					if r, err := s.Load(t.Context(), "t", "k", puts[j].Name); err == nil {
						puts[j].Version = r.Version
					}
				}
				if i%2 == 0 {
					slices.Reverse(puts)
				}
				_, err := s.Commit(t.Context(), store.Change{Puts: puts, Entries: append(a.Entries[:1:1], b.Entries...)})
				if err != nil && !errors.Is(err, fault.Conflict) {
					t.Errorf("Commit: %v", err)
					return
				}
				if err == nil {
					done++
				}
			}
		})
	}
	group.Wait()
	if r, err := s.Load(t.Context(), "t", "k", "a"); err != nil || r.Version != 40 {
		t.Errorf("Load: got version %d, %v, want 40", r.Version, err)
	}
}

// Names that PostgreSQL cannot keep are not there, and are no error of it.
func testTextsThatCannotBeKept(t *testing.T, p *peer.Postgres) {
	s := open(t, p.NewDatabase(t))
	for _, name := range []string{"a\x00b", "\xff"} {
		if _, err := s.Load(t.Context(), "t", "k", name); !errors.Is(err, fault.NotFound) {
			t.Errorf("Load of %q: got %v, want kind not found", name, err)
		}
		if _, err := s.Lease(t.Context(), "t", "k", name); !errors.Is(err, fault.NotFound) {
			t.Errorf("Lease %q: got %v, want kind not found", name, err)
		}
		if ok, err := s.SpendLease(t.Context(), "t", "k", name, time.Now()); ok || err != nil {
			t.Errorf("SpendLease %q: got %v, %v, want false", name, ok, err)
		}
		if _, err := s.List(t.Context(), "t", "k", name, 1); !errors.Is(err, fault.Invalid) {
			t.Errorf("List after %q: got %v, want kind invalid", name, err)
		}
		if _, err := s.Leases(t.Context(), "t", "k", name, 1); !errors.Is(err, fault.Invalid) {
			t.Errorf("Leases after %q: got %v, want kind invalid", name, err)
		}
		if uses, err := s.Uses(t.Context(), "t", name); len(uses) != 0 || err != nil {
			t.Errorf("Uses of %q: got %v, %v, want none", name, uses, err)
		}
	}
}

// passTime lets time pass for nodes, by taking it from their beats.
func passTime(t *testing.T, conn *pgx.Conn, d time.Duration) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), `UPDATE nodes SET beat_at = beat_at - $1::interval`, d); err != nil {
		t.Fatal(err)
	}
}
