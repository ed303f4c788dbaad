//go:build unix

package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

// TestPostgres runs servers on a real PostgreSQL.
func TestPostgres(t *testing.T) {
	p := peer.StartPostgres(t)
	t.Run("Restart", func(t *testing.T) { testPostgresRestart(t, p.NewDatabase(t)) })
	t.Run("Move", func(t *testing.T) { testMove(t, p.NewDatabase(t), p.NewDatabase(t)) })
	t.Run("Crash", func(t *testing.T) { testPostgresCrash(t, p) }) // last: others would not come back
}

// verifies checks that a server of the root key and token in data knows key a
// and what it signed before.
func verifies(t *testing.T, c server.Config, signature string) *servertest.Server {
	t.Helper()
	s := servertest.StartConfig(t, c)
	if v := must[api.Verdict](t, s, "POST", "/v1/keys/a/verify", `{"text":"a","signature":"`+signature+`"}`); !v.Valid {
		t.Errorf("got %+v", v)
	}
	return s
}

// A server comes back with its keys, and the schema can be migrated while it
// runs.
func testPostgresRestart(t *testing.T, address string) {
	first := servertest.StartConfig(t, server.Config{Store: address})
	must[api.Key](t, first, "POST", "/v1/keys", `{"name":"a"}`)
	signed := must[api.Signed](t, first, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
	if _, err := os.Stat(filepath.Join(first.Data, "sealwright.db")); err == nil {
		t.Error("there is a SQLite file")
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	verifies(t, server.Config{Store: address, Data: first.Data}, signed.Signature)
	if err := server.MigrateStore(t.Context(), address); err != nil {
		t.Errorf("MigrateStore while it runs: got %v", err)
	}
}

// testMove moves a server from SQLite to PostgreSQL, backs that up while it
// runs, and restores the backup to SQLite and to PostgreSQL.
func testMove(t *testing.T, first, second string) {
	ctx, dir := t.Context(), t.TempDir()
	s := servertest.Start(t)
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	signed := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
	from := "sqlite:" + filepath.Join(s.Data, "sealwright.db")
	if _, err := server.CopyStore(ctx, from, first); err == nil || !strings.Contains(err.Error(), "open in another process") {
		t.Errorf("CopyStore while the server runs: got %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	copied, err := server.CopyStore(ctx, from, first)
	if err != nil || copied.Records == 0 || copied.Entries == 0 {
		t.Fatalf("CopyStore: %+v, %v", copied, err)
	}
	if _, err := server.CopyStore(ctx, from, first); err == nil || !strings.Contains(err.Error(), "store is not empty") {
		t.Errorf("CopyStore again: got %v", err)
	}
	moved := verifies(t, server.Config{Store: first, Data: s.Data}, signed.Signature)
	file := filepath.Join(dir, "backup.db")
	saved, err := server.BackupStore(ctx, first, file)
	if err != nil {
		t.Fatalf("BackupStore: %v", err)
	}
	if again, err := server.CopyStore(ctx, first, "sqlite:"+filepath.Join(dir, "copy.db")); again.Records != saved.Records || again.Entries != saved.Entries || err != nil { // not uses, which the server writes from time to time
		t.Errorf("CopyStore from a database while the server runs: got %+v, %v, want %+v", again, err, saved)
	}
	if _, err := server.RestoreStore(ctx, file, first); err == nil || !strings.Contains(err.Error(), "database is in use by process") {
		t.Errorf("RestoreStore while the server runs: got %v", err)
	}
	must[api.Key](t, moved, "POST", "/v1/keys", `{"name":"later"}`)
	if err := moved.Stop(); err != nil {
		t.Fatal(err)
	}
	restored := filepath.Join(dir, "restored.db")
	for _, at := range []string{second, "sqlite:" + restored} {
		got, err := server.RestoreStore(ctx, file, at)
		if diff := cmp.Diff(saved, got); diff != "" || err != nil {
			t.Errorf("RestoreStore: %v (-want +got):\n%s", err, diff)
		}
		r := verifies(t, server.Config{Store: at, Data: s.Data}, signed.Signature)
		if list := must[api.KeyList](t, r, "GET", "/v1/keys", ""); len(list.Items) != 1 {
			t.Errorf("got %+v, want the key that was there at the backup", list)
		}
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// While PostgreSQL is away keys sign and verify, changes are refused, and when
// it is back they are made again.
func testPostgresCrash(t *testing.T, p *peer.Postgres) {
	s := servertest.StartConfig(t, server.Config{Store: p.NewDatabase(t)})
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	p.Crash(t)
	signed := must[api.Signed](t, s, "POST", "/v1/keys/a/sign", `{"text":"a"}`)
	if v := must[api.Verdict](t, s, "POST", "/v1/keys/a/verify", `{"text":"a","signature":"`+signed.Signature+`"}`); !v.Valid {
		t.Errorf("while PostgreSQL is away: got %+v", v)
	}
	if status, _, body := s.Do(t, "POST", "/v1/keys", `{"name":"b"}`); status != 503 {
		t.Errorf("a change while PostgreSQL is away: got %d %s, want 503", status, body)
	}
	p.Start(t)
	for status := 0; status != 201; { // a few connections may still be broken
		var body string
		if status, _, body = s.Do(t, "POST", "/v1/keys", `{"name":"b"}`); status != 201 && status != 503 {
			t.Fatalf("a change afterwards: got %d %s", status, body)
		}
	}
}
