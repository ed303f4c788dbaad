//go:build unix

package peer_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sealwright/sealwright/internal/peer"
)

// What was committed survives a crash of the server, and what was not does not.
func TestPostgresRecovers(t *testing.T) {
	p := peer.StartPostgres(t)
	for name, end := range map[string]func(testing.TB){"Crash": p.Crash, "Kill": p.Kill} {
		t.Run(name, func(t *testing.T) {
			url := p.NewDatabase(t)
			conn := connect(t, url)
			for _, text := range []string{"CREATE TABLE a (n int)", "INSERT INTO a VALUES (1)", "BEGIN", "INSERT INTO a VALUES (2)"} {
				if _, err := conn.Exec(t.Context(), text); err != nil {
					t.Fatal(err)
				}
			}
			end(t)
			if err := conn.Ping(t.Context()); err == nil {
				t.Error("the server answers after its end")
			}
			p.Start(t)
			var got int
			if err := connect(t, url).QueryRow(t.Context(), "SELECT sum(n) FROM a").Scan(&got); err != nil || got != 1 {
				t.Errorf("afterwards: got %d, %v, want 1", got, err)
			}
		})
	}
}

// A server that is paused answers nothing, and goes on where it was.
func TestPostgresPauses(t *testing.T) {
	p := peer.StartPostgres(t)
	url := p.NewDatabase(t)
	conn := connect(t, url)
	p.Pause(t)
	answered := make(chan error, 1)
	go func() { answered <- conn.Ping(context.Background()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if c, err := pgx.Connect(ctx, url); err == nil {
		_ = c.Close(t.Context())
		t.Error("a new connection is answered")
	}
	select {
	case err := <-answered:
		t.Errorf("the old connection is answered: %v", err)
	default:
	}
	p.Resume(t)
	if err := <-answered; err != nil {
		t.Errorf("afterwards: %v", err)
	}
	p.Pause(t) // the end of the test ends that too
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server may be gone
	return conn
}
