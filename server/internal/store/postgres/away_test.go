//go:build unix

package postgres_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/postgres"
)

// patience is for how long these tests let a store wait. It is long enough for
// what works, also on a busy machine.
const patience = 3 * time.Second

func openImpatient(t *testing.T, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, postgres.Options{Timeout: patience})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

// wantAllUnavailable calls everything at once while the database does not
// answer. That the calls end is the test; how soon depends on the machine.
func wantAllUnavailable(t *testing.T, s *postgres.Store) {
	t.Helper()
	ctx, at := t.Context(), time.Unix(1, 0)
	l := store.Lease{Tenant: "t", Key: "k", ID: "l", Version: 1, CreatedAt: at, ExpiresAt: at.Add(time.Hour)}
	calls := map[string]func() error{
		"Load":       func() error { _, err := s.Load(ctx, "t", "k", "a"); return err },
		"List":       func() error { _, err := s.List(ctx, "t", "k", "", 1); return err },
		"Tail":       func() error { _, err := s.Tail(ctx, 0, 1); return err },
		"Head":       func() error { _, err := s.Head(ctx); return err },
		"Commit":     func() error { _, err := s.Commit(ctx, change("b")); return err },
		"PutLease":   func() error { return s.PutLease(ctx, l, change("b").Entries[0]) },
		"SpendLease": func() error { _, err := s.SpendLease(ctx, "t", "k", "l", at); return err },
		"AddUses":    func() error { return s.AddUses(ctx, []store.Use{{Tenant: "t", Name: "a", LastAt: at}}) },
		"Beat":       func() error { return s.Beat(ctx, store.Node{ID: "n"}) },
		"Nodes":      func() error { _, err := s.Nodes(ctx); return err },
		"Leave":      func() error { return s.Leave(ctx, "n") },
		"Raise":      func() error { _, err := s.Raise(ctx, "t", "k", "p", 1); return err },
		"Import":     func() error { _, err := s.Import(ctx, imported()); return err },
	}
	type answer struct {
		name string
		err  error
	}
	answers := make(chan answer, len(calls))
	for name, call := range calls {
		go func() { answers <- answer{name, call()} }()
	}
	late := time.After(time.Minute)
	for range calls {
		select {
		case a := <-answers:
			wantUnavailable(t, a.name, a.err, "")
		case <-late:
			t.Fatal("calls do not end")
		}
	}
}

// commitAgain commits when the database is back, which some connections may not
// know yet.
func commitAgain(t *testing.T, s *postgres.Store, name string) {
	t.Helper()
	var err error
	for range 20 {
		if _, err = s.Commit(t.Context(), change(name)); err == nil {
			return
		}
		wantUnavailable(t, "Commit", err, "")
	}
	t.Fatalf("the database is back and is not used: %v", err)
}

// The server is stopped by SIGSTOP: every call ends, the store too, and it goes
// on when the server does.
func TestServerHangs(t *testing.T) {
	p := peer.StartPostgres(t)
	address := p.NewDatabase(t)
	s, other := openImpatient(t, address), openImpatient(t, address)
	commit(t, s, "a")
	commit(t, other, "other")
	p.Pause(t)
	wantAllUnavailable(t, s)
	closeStore(t, other)
	p.Resume(t)
	commitAgain(t, s, "c")
	if got := contents(t, s); !got["a"] || !got["c"] || got["b"] {
		t.Errorf("got records %v, want a and c, and not b", got)
	}
}

// The network swallows everything, also what is under way when it is back: the
// same, over new connections.
func testNetworkGone(t *testing.T, p *peer.Postgres) {
	t.Parallel()
	x, address := startProxy(t, p)
	s := openImpatient(t, address)
	commit(t, s, "a")
	x.gone.Store(true)
	wantAllUnavailable(t, s)
	x.gone.Store(false)
	commitAgain(t, s, "c")
	if got := contents(t, s); !got["a"] || !got["c"] || got["b"] {
		t.Errorf("got records %v, want a and c, and not b", got)
	}
}

// The answer to a COMMIT never comes, on a connection that stays open: it is
// found out that it is stored.
func testAnswerNeverComes(t *testing.T, p *peer.Postgres) {
	t.Parallel()
	x, address := startProxy(t, p)
	s := openImpatient(t, address)
	commit(t, s, "a")
	x.next.Store(int32(swallow))
	commit(t, s, "b")
	if fate(x.next.Load()) != pass {
		t.Error("the proxy saw no COMMIT")
	}
	if got := contents(t, s); !got["b"] {
		t.Errorf("got records %v, want a and b", got)
	}
}

// Connections to a server that has become a standby are given up.
func testFailover(t *testing.T, p *peer.Postgres) {
	address := p.NewDatabase(t)
	s, conn := open(t, address), raw(t, address)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	exec(t, conn, `ALTER DATABASE `+name+` SET default_transaction_read_only = on`)
	for what, write := range map[string]func() error{
		"Commit": func() error { _, err := s.Commit(t.Context(), change("a")); return err },
		"Beat":   func() error { return s.Beat(t.Context(), store.Node{ID: "n"}) },
	} {
		exec(t, conn, `ALTER DATABASE `+name+` SET default_transaction_read_only = on`)
		exec(t, conn, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		for err = nil; err == nil || !strings.Contains(err.Error(), "read-only"); {
			err = write() // the first may find its connection ended
		}
		wantUnavailable(t, what, err, "")
		exec(t, conn, `ALTER DATABASE `+name+` RESET default_transaction_read_only`)
		if err := write(); err != nil {
			t.Errorf("%s after the server is a primary again: %v", what, err)
		}
	}
}
