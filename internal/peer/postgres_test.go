//go:build unix

package peer_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sealwright/sealwright/internal/peer"
)

// What was committed survives a crash of the server, and what was not does not.
func TestPostgresRecovers(t *testing.T) {
	p := peer.StartPostgres(t)
	url := p.NewDatabase(t)
	conn := connect(t, url)
	for _, text := range []string{"CREATE TABLE a (n int)", "INSERT INTO a VALUES (1)", "BEGIN", "INSERT INTO a VALUES (2)"} {
		if _, err := conn.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	p.Crash(t)
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("the server answers after a crash")
	}
	p.Start(t)
	var got int
	if err := connect(t, url).QueryRow(t.Context(), "SELECT sum(n) FROM a").Scan(&got); err != nil || got != 1 {
		t.Errorf("after the crash: got %d, %v, want 1", got, err)
	}
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
