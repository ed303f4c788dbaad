//go:build unix

package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store/postgres"
)

func openHeld(t *testing.T, url string, hold time.Duration) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, postgres.Options{Hold: hold})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func testSecondProcessIsRefused(t *testing.T, p *peer.Postgres) {
	url := p.NewDatabase(t)
	first, err := postgres.Open(t.Context(), url, postgres.Options{Hold: 12 * time.Second, About: "the first"})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, first)
	_, err = postgres.Open(t.Context(), url, postgres.Options{Hold: 12 * time.Second})
	wantUnavailable(t, "the second", err, "database is in use by the first: one server process at a time can use it")
	commit(t, first, "a")
	if got := contents(t, first); !got["a"] {
		t.Errorf("the first: got records %v", got)
	}
}

// A process that closes its store leaves the place at once, however long a hold
// is; one that was killed leaves it after that time.
func testPlaceIsLeft(t *testing.T, p *peer.Postgres) {
	url := p.NewDatabase(t)
	closeStore(t, openHeld(t, url, time.Hour))
	closeStore(t, openHeld(t, url, time.Hour))
	exec(t, raw(t, url), `UPDATE holder SET owner = 'killed', about = 'a killed process'`)
	openHeld(t, url, 300*time.Millisecond)
}

func testOnlyOneTakesAFreePlace(t *testing.T, p *peer.Postgres) {
	url := p.NewDatabase(t)
	const n = 5
	type result struct {
		s   *postgres.Store
		err error
	}
	results := make(chan result)
	for range n {
		go func() {
			s, err := postgres.Open(t.Context(), url, postgres.Options{Hold: 12 * time.Second})
			results <- result{s, err}
		}()
	}
	taken := 0
	for range n {
		if r := <-results; r.err == nil {
			taken++
			defer closeStore(t, r.s)
		} else if !errors.Is(r.err, fault.Unavailable) {
			t.Errorf("Open: got %v, want kind unavailable", r.err)
		}
	}
	if taken != 1 {
		t.Errorf("%d took the place, want 1", taken)
	}
}

// A process whose place was taken notices, and answers nothing any more.
func testPlaceIsTaken(t *testing.T, p *peer.Postgres) {
	url := p.NewDatabase(t)
	s := openHeld(t, url, 300*time.Millisecond)
	exec(t, raw(t, url), `UPDATE holder SET owner = 'other'`)
	<-s.Lost()
	_, err := s.Commit(t.Context(), change("a"))
	wantUnavailable(t, "Commit", err, "another process has taken the database")
	_, err = s.Load(t.Context(), "t", "k", "a")
	wantUnavailable(t, "Load", err, "another process has taken the database")
}

// A process that has not noticed yet cannot commit.
func testFence(t *testing.T, p *peer.Postgres) {
	url := p.NewDatabase(t)
	s := openHeld(t, url, time.Hour)
	commit(t, s, "a")
	exec(t, raw(t, url), `UPDATE log_head SET owner = 'other'`)
	_, err := s.Commit(t.Context(), change("b"))
	wantUnavailable(t, "Commit", err, "another process has taken the database")
	if got := contents(t, s); got["b"] || !got["a"] {
		t.Errorf("got records %v, want only a", got)
	}
}

// A process that cannot reach the database gives up its place before another
// one could take it.
func TestPlaceIsLostWithoutDatabase(t *testing.T) {
	p := peer.StartPostgres(t)
	s := openHeld(t, p.NewDatabase(t), time.Second)
	p.Crash(t)
	<-s.Lost()
	_, err := s.Load(t.Context(), "t", "k", "a")
	wantUnavailable(t, "Load", err, "another process has taken the database, or could have")
}
