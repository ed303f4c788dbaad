//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/postgres"
	"github.com/sealwright/sealwright/server/internal/store/storetest"
)

// alternate asks one store after the other, as the requests of a client reach
// one node after the other.
type alternate struct {
	stores []*postgres.Store
	calls  *atomic.Uint64
}

func openSeveral(t *testing.T, url string, n int) alternate {
	t.Helper()
	a := alternate{calls: new(atomic.Uint64)}
	for range n {
		a.stores = append(a.stores, open(t, url))
	}
	return a
}

func (a alternate) next() *postgres.Store {
	return a.stores[a.calls.Add(1)%uint64(len(a.stores))]
}

func (a alternate) Load(ctx context.Context, tenant, kind, name string) (store.Record, error) {
	return a.next().Load(ctx, tenant, kind, name)
}

func (a alternate) List(ctx context.Context, tenant, kind, afterName string, limit int) ([]store.Record, error) {
	return a.next().List(ctx, tenant, kind, afterName, limit)
}

func (a alternate) Commit(ctx context.Context, c store.Change) (int64, error) {
	return a.next().Commit(ctx, c)
}

func (a alternate) Tail(ctx context.Context, afterSeq int64, limit int) ([]store.Entry, error) {
	return a.next().Tail(ctx, afterSeq, limit)
}

func (a alternate) AddUses(ctx context.Context, uses []store.Use) error {
	return a.next().AddUses(ctx, uses)
}

func (a alternate) Uses(ctx context.Context, tenant, name string) ([]store.Use, error) {
	return a.next().Uses(ctx, tenant, name)
}

func (a alternate) PutLease(ctx context.Context, l store.Lease, e store.Entry) error {
	return a.next().PutLease(ctx, l, e)
}

func (a alternate) Lease(ctx context.Context, tenant, key, id string) (store.Lease, error) {
	return a.next().Lease(ctx, tenant, key, id)
}

func (a alternate) Leases(ctx context.Context, tenant, key, afterID string, limit int) ([]store.Lease, error) {
	return a.next().Leases(ctx, tenant, key, afterID, limit)
}

func (a alternate) SpendLease(ctx context.Context, tenant, key, id string, at time.Time) (bool, error) {
	return a.next().SpendLease(ctx, tenant, key, id, at)
}

func (a alternate) Raise(ctx context.Context, tenant, keyID, profile string, value int64) (bool, error) {
	return a.next().Raise(ctx, tenant, keyID, profile, value)
}

func (a alternate) Rows(ctx context.Context) iter.Seq2[store.Row, error] { return a.next().Rows(ctx) }

func (a alternate) Import(ctx context.Context, rows iter.Seq2[store.Row, error]) (store.Contents, error) {
	return a.next().Import(ctx, rows)
}

func (a alternate) Head(ctx context.Context) (int64, error) { return a.next().Head(ctx) }

func (a alternate) Beat(ctx context.Context, n store.Node) error { return a.next().Beat(ctx, n) }

func (a alternate) Nodes(ctx context.Context) ([]store.Node, error) { return a.next().Nodes(ctx) }

func (a alternate) ClaimAnswer(ctx context.Context, x store.Answer, now time.Time, most int) (store.Answer, error) {
	return a.next().ClaimAnswer(ctx, x, now, most)
}

func (a alternate) KeepAnswer(ctx context.Context, x store.Answer) error {
	return a.next().KeepAnswer(ctx, x)
}

func (a alternate) ReleaseAnswer(ctx context.Context, x store.Answer) error {
	return a.next().ReleaseAnswer(ctx, x)
}

func (a alternate) Answer(ctx context.Context, tenant, caller, key string) (store.Answer, error) {
	return a.next().Answer(ctx, tenant, caller, key)
}

func (a alternate) Leave(ctx context.Context, id string) error { return a.next().Leave(ctx, id) }

func (a alternate) Close() error {
	var errs []error
	for _, s := range a.stores {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// testConformance runs every promise with two stores on one database.
func testConformance(t *testing.T, p *peer.Postgres) {
	both := func(t *testing.T) alternate { return openSeveral(t, p.NewDatabase(t), 2) }
	storetest.Run(t, func(t *testing.T) storetest.Store { return both(t) })
	t.Run("Uses", func(t *testing.T) { storetest.RunUses(t, both(t)) })
	t.Run("Leases", func(t *testing.T) { storetest.RunLeases(t, both(t)) })
	t.Run("Nonces", func(t *testing.T) { storetest.RunNonces(t, both(t)) })
	t.Run("Answers", func(t *testing.T) {
		storetest.RunAnswers(t, func(t *testing.T) storetest.AnswerStore { return both(t) })
	})
	t.Run("Nodes", func(t *testing.T) {
		storetest.RunNodes(t, func(t *testing.T) (storetest.NodeStore, func(time.Duration)) {
			s := both(t)
			conn := raw(t, p.URL(s.stores[0].Database()))
			return s, func(d time.Duration) { passTime(t, conn, d) }
		})
	})
}

// Behind PgBouncer, which gives each transaction another session and knows no
// prepared statements, nothing is different.
func testPooler(t *testing.T, p *peer.Postgres) {
	pooled := peer.StartPgBouncer(t, p)
	database := func() string { return pooled.URL(t, p.NewDatabase(t)) + "&default_query_exec_mode=exec" }
	t.Run("Leases", func(t *testing.T) { storetest.RunLeases(t, openSeveral(t, database(), 2)) })
	t.Run("Copy", func(t *testing.T) { storetest.RunCopy(t, openSeveral(t, database(), 2), openSeveral(t, database(), 2)) })
	t.Run("Nodes", func(t *testing.T) {
		s := open(t, database())
		for range 2 {
			if err := s.Beat(t.Context(), store.Node{ID: "a"}); err != nil {
				t.Fatal(err)
			}
		}
		if nodes, err := s.Nodes(t.Context()); err != nil || len(nodes) != 1 {
			t.Errorf("Nodes: got %v, %v", nodes, err)
		}
	})
	t.Run("SeveralWriters", func(t *testing.T) { writeTogether(t, database(), func() {}) })
	t.Run("MigrateTogether", func(t *testing.T) { openTogether(t, database()) })
}

// follow reads a log to its end with one store, while it is written.
func follow(t *testing.T, s *postgres.Store, end int64) (entries []store.Entry) {
	for seq := int64(0); seq < end; {
		page, err := s.Tail(t.Context(), seq, 3)
		if err != nil && !errors.Is(err, fault.Unavailable) {
			t.Errorf("Tail: %v", err)
			return nil
		}
		for _, e := range page { // nothing after an error
			if seq++; e.Seq != seq {
				t.Errorf("Tail: got seq %d, want %d", e.Seq, seq)
				return nil
			}
			entries = append(entries, e)
		}
	}
	return entries
}

const (
	writers = 4
	commits = 50 // of each writer
	shared  = 3  // records that all of them change
)

// write makes commits, each of which changes a shared record and puts a new
// one, and calls done after each.
func write(t *testing.T, s *postgres.Store, writer int, done func()) {
	for i := 0; i < commits; {
		name := fmt.Sprintf("shared-%d", i%shared)
		r, err := s.Load(t.Context(), "t", "k", name)
		if errors.Is(err, fault.NotFound) {
			r, err = store.Record{Tenant: "t", Kind: "k", ID: "id-" + name, Name: name, Format: 1}, nil
		}
		if err == nil {
			r.Doc = fmt.Appendf(nil, `{"n":%d}`, r.Version+1)
			c := change(fmt.Sprintf("%d-%d", writer, i))
			c.Puts = append(c.Puts, r)
			_, err = s.Commit(t.Context(), c)
		}
		switch {
		case err == nil:
			i++
			done()
		case !errors.Is(err, fault.Conflict) && !errors.Is(err, fault.Unavailable):
			t.Errorf("writer %d: %v", writer, err)
			return
		case strings.Contains(err.Error(), "unknown"):
			t.Errorf("writer %d: %v", writer, err)
			return
		}
	}
}

// checkShared checks that no change of the shared records was lost.
func checkShared(t *testing.T, s *postgres.Store) {
	t.Helper()
	var sum int64
	for i := range shared {
		r, err := s.Load(t.Context(), "t", "k", fmt.Sprintf("shared-%d", i))
		if err != nil || string(r.Doc) != fmt.Sprintf(`{"n":%d}`, r.Version) {
			t.Errorf("shared record: got %s at version %d, %v", r.Doc, r.Version, err)
		}
		sum += r.Version
	}
	if sum != writers*commits {
		t.Errorf("shared records were changed %d times, want %d", sum, writers*commits)
	}
}

// writeTogether writes with many stores at once. The followers of all of them
// see the same log, without a gap. It calls half in between.
func writeTogether(t *testing.T, url string, half func()) {
	a := openSeveral(t, url, writers)
	logs := make([][]store.Entry, writers)
	var done atomic.Int64
	reached := make(chan bool)
	var group sync.WaitGroup
	for i, s := range a.stores {
		group.Go(func() {
			write(t, s, i, func() {
				if done.Add(1) == writers*commits/2 {
					close(reached)
				}
			})
		})
		group.Go(func() { logs[i] = follow(t, s, writers*commits) })
	}
	go func() { // also when they end early
		group.Wait()
		if done.Load() < writers*commits/2 {
			close(reached)
		}
	}()
	<-reached
	half()
	group.Wait()
	for i := range logs {
		if diff := cmp.Diff(logs[0], logs[i]); diff != "" {
			t.Errorf("log of store %d (-0 +%d):\n%s", i, i, diff)
		}
	}
	if head, err := a.stores[0].Head(t.Context()); err != nil || head != writers*commits {
		t.Errorf("Head: got %d, %v, want %d", head, err, writers*commits)
	}
	checkShared(t, a.stores[0])
}

func testSeveralWriters(t *testing.T, p *peer.Postgres) {
	writeTogether(t, p.NewDatabase(t), func() {})
}

// The server is killed while several stores write and follow: all of them go
// on, and nothing is lost, done twice or skipped.
func TestServerCrashesUnderSeveral(t *testing.T) {
	p := peer.StartPostgres(t)
	writeTogether(t, p.NewDatabase(t), func() {
		p.Crash(t)
		p.Start(t)
	})
}

// Of two stores that create one name, or change one version, at once, one wins.
func testOneWinner(t *testing.T, p *peer.Postgres) {
	a := openSeveral(t, p.NewDatabase(t), 2)
	for version := range int64(20) {
		var won, lost atomic.Int64
		var group sync.WaitGroup
		for i, s := range a.stores {
			group.Go(func() {
				c := change("a")
				c.Puts[0].Version = version
				c.Puts[0].Doc = fmt.Appendf(nil, `{"by":%d}`, i)
				switch _, err := s.Commit(t.Context(), c); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, fault.Conflict):
					lost.Add(1)
				default:
					t.Errorf("Commit: %v", err)
				}
			})
		}
		group.Wait()
		if won.Load() != 1 || lost.Load() != 1 {
			t.Fatalf("version %d: %d won and %d got a conflict, want 1 and 1", version, won.Load(), lost.Load())
		}
	}
	if log, err := a.Tail(t.Context(), 0, store.MaxList); err != nil || len(log) != 20 {
		t.Errorf("Tail: got %d entries, %v, want 20", len(log), err)
	}
}

// Counts that several stores add at once, in any order, add up.
func testUsesAddUp(t *testing.T, p *peer.Postgres) {
	a := openSeveral(t, p.NewDatabase(t), writers)
	at := time.Unix(1, 0).UTC()
	var group sync.WaitGroup
	for i, s := range a.stores {
		group.Go(func() {
			for j := range 25 {
				uses := []store.Use{{Tenant: "t", Name: "a", Version: 1, Count: 1}, {Tenant: "t", Name: "b", Version: 1, Count: 2}}
				for k := range uses {
					uses[k].LastAt = at.Add(time.Duration(i*25+j) * time.Second)
				}
				if i%2 == 0 {
					uses[0], uses[1] = uses[1], uses[0]
				}
				if err := s.AddUses(t.Context(), uses); err != nil {
					t.Errorf("AddUses: %v", err)
				}
			}
		})
	}
	group.Wait()
	for name, want := range map[string]int64{"a": 100, "b": 200} {
		got, err := a.Uses(t.Context(), "t", name)
		if diff := cmp.Diff([]store.Use{{Tenant: "t", Name: name, Version: 1, Count: want, LastAt: at.Add(99 * time.Second)}}, got); diff != "" || err != nil {
			t.Errorf("Uses: %v (-want +got):\n%s", err, diff)
		}
	}
}

// waitForLock returns when a session of the database waits for a lock.
func waitForLock(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	for waiting, end := false, time.Now().Add(time.Minute); !waiting; {
		if time.Now().After(end) {
			t.Fatal("nobody waits for a lock")
		}
		err := conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
			WHERE NOT l.granted AND a.datname = current_database())`).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func oneRow(r store.Row) iter.Seq2[store.Row, error] {
	return func(yield func(store.Row, error) bool) { yield(r, nil) }
}

func imported() iter.Seq2[store.Row, error] {
	e := change("imported").Entries[0]
	e.Seq = 1
	return oneRow(store.Row{Entry: &e})
}

// A store that a node uses is not written over.
func testImportRefusesNodes(t *testing.T, p *peer.Postgres) {
	a := openSeveral(t, p.NewDatabase(t), 2)
	if err := a.stores[0].Beat(t.Context(), store.Node{ID: "n", About: "process 1 on keys1"}); err != nil {
		t.Fatal(err)
	}
	_, err := a.stores[1].Import(t.Context(), imported())
	wantUnavailable(t, "Import", err, "database is in use by process 1 on keys1: stop every server")
	if head, err := a.Head(t.Context()); head != 0 || err != nil {
		t.Errorf("Head: got %d, %v", head, err)
	}
	if err := a.stores[0].Leave(t.Context(), "n"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.stores[1].Import(t.Context(), imported()); err != nil {
		t.Errorf("Import afterwards: %v", err)
	}
}

// A server that starts during an import waits for its end.
func testImportKeepsOthersOut(t *testing.T, p *peer.Postgres) {
	url := p.NewDatabase(t)
	a, conn := openSeveral(t, url, 2), raw(t, url)
	var group sync.WaitGroup
	var seq int64
	var beaten atomic.Bool
	_, err := a.stores[0].Import(t.Context(), func(yield func(store.Row, error) bool) {
		group.Go(func() {
			if err := a.stores[1].Beat(t.Context(), store.Node{ID: "n"}); err != nil {
				t.Errorf("Beat: %v", err)
			}
			beaten.Store(true)
			var err error
			if seq, err = a.stores[1].Commit(t.Context(), change("a")); err != nil {
				t.Errorf("Commit: %v", err)
			}
		})
		waitForLock(t, conn)
		imported()(yield)
		if beaten.Load() {
			t.Error("a node has got in during the import")
		}
	})
	group.Wait()
	if err != nil || seq != 2 {
		t.Errorf("Import: %v; Commit: got seq %d, want 2", err, seq)
	}
}

// An import waits for a change under way, which then is there.
func testImportWaits(t *testing.T, p *peer.Postgres) {
	url := p.NewDatabase(t)
	s, conn, writer := open(t, url), raw(t, url), raw(t, url)
	exec(t, writer, `BEGIN; INSERT INTO records (tenant, kind, name, id, format, version, doc) VALUES ('t', 'k', 'a', 'id-a', 1, 1, '{}')`)
	ended := make(chan error, 1)
	go func() {
		_, err := s.Import(t.Context(), imported())
		ended <- err
	}()
	waitForLock(t, conn)
	exec(t, writer, `UPDATE log_head SET seq = seq + 1; INSERT INTO entries VALUES (1, 1, '', 'c', 'a', '', '', 'a', NULL, ''); COMMIT`)
	if err := <-ended; !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "store is not empty") {
		t.Errorf("Import: got %v, want kind conflict: store is not empty", err)
	}
	if got := contents(t, s); len(got) != 1 || !got["a"] {
		t.Errorf("got records %v, want a", got)
	}
}
