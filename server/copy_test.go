package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server"
	"github.com/sealwright/sealwright/server/servertest"
)

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

// A backup is made while the server runs, leaves nothing beside its file, and
// is never written over another one.
func TestBackupStore(t *testing.T) {
	s := servertest.Start(t)
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"a"}`)
	dir := t.TempDir()
	at, file := "sqlite:"+filepath.Join(s.Data, "sealwright.db"), filepath.Join(dir, "a.db")
	first, err := server.BackupStore(t.Context(), at, file)
	if err != nil || first.Records == 0 || len(first.Checksum) != 64 {
		t.Fatalf("BackupStore: %+v, %v", first, err)
	}
	if _, err := server.BackupStore(t.Context(), at, file); err == nil || !strings.Contains(err.Error(), "a.db exists already") {
		t.Errorf("BackupStore again: got %v", err)
	}
	if diff := cmp.Diff([]string{"a.db"}, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	restored, err := server.RestoreStore(t.Context(), file, "sqlite:"+filepath.Join(dir, "b.db"))
	if restored != first || err != nil {
		t.Errorf("RestoreStore: got %+v, %v, want %+v", restored, err, first)
	}
	if diff := cmp.Diff([]string{"a.db", "b.db"}, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	must[api.Key](t, s, "POST", "/v1/keys", `{"name":"b"}`)
	second, err := server.BackupStore(t.Context(), at, filepath.Join(dir, "c.db"))
	if err != nil || second.Checksum == first.Checksum || second.Records != first.Records+1 {
		t.Errorf("BackupStore of more: got %+v, %v", second, err)
	}
}

func TestStoreFunctionsRefuse(t *testing.T) {
	dir := t.TempDir()
	good, none := "sqlite:"+filepath.Join(dir, "good.db"), "sqlite:"+filepath.Join(dir, "none.db")
	if err := server.MigrateStore(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(dir, "damaged.db")
	if err := os.WriteFile(damaged, []byte(strings.Repeat("not a database, ", 300)), 0o600); err != nil {
		t.Fatal(err)
	}
	before := names(t, dir)
	new := filepath.Join(dir, "new.db")
	for name, call := range map[string]func() (server.StoreContents, error){
		"BackupOfNothing":   func() (server.StoreContents, error) { return server.BackupStore(t.Context(), none, new) },
		"BackupOfDamaged":   func() (server.StoreContents, error) { return server.BackupStore(t.Context(), "sqlite:"+damaged, new) },
		"BackupOfMemory":    func() (server.StoreContents, error) { return server.BackupStore(t.Context(), "memory", new) },
		"BackupWithoutPath": func() (server.StoreContents, error) { return server.BackupStore(t.Context(), "sqlite", new) },
		"BackupToNoFolder":  func() (server.StoreContents, error) { return server.BackupStore(t.Context(), good, dir+"/a/b.db") },
		"RestoreOfNothing": func() (server.StoreContents, error) {
			return server.RestoreStore(t.Context(), dir+"/none.db", "sqlite:"+new)
		},
		"RestoreOfDamaged":   func() (server.StoreContents, error) { return server.RestoreStore(t.Context(), damaged, "sqlite:"+new) },
		"RestoreOverAnother": func() (server.StoreContents, error) { return server.RestoreStore(t.Context(), dir+"/good.db", good) },
		"RestoreToMemory": func() (server.StoreContents, error) {
			return server.RestoreStore(t.Context(), dir+"/good.db", "memory")
		},
		"CopyOfNothing": func() (server.StoreContents, error) { return server.CopyStore(t.Context(), none, "sqlite:"+new) },
		"CopyToItself":  func() (server.StoreContents, error) { return server.CopyStore(t.Context(), good, good) },
		"CopyWithPassword": func() (server.StoreContents, error) {
			return server.CopyStore(t.Context(), good, "postgres://u:hunter2@localhost/keys")
		},
	} {
		if c, err := call(); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %+v, %v", name, c, err)
		}
		if diff := cmp.Diff(before, names(t, dir)); diff != "" {
			t.Errorf("%s: files (-want +got):\n%s", name, diff)
		}
	}
}
