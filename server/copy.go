package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/postgres"
	"github.com/sealwright/sealwright/server/internal/store/sqlite"
)

// StoreContents says what a store keeps: how many records, entries, uses,
// leases and nonces, and the SHA-256 of all of it in hex, which is the same for stores of
// all kinds with the same contents.
type StoreContents = store.Contents

// Stores of the functions below are sqlite:PATH or postgres://HOST/DATABASE,
// as in [Config].

// MigrateStore brings the schema of a store up to date, as the start of a
// server does, and makes it if there is none. It refuses a file that a server
// uses; servers of an older version that use a database write no more.
func MigrateStore(ctx context.Context, at string) error {
	_, err := withStore(ctx, at, func(database) (StoreContents, error) { return StoreContents{}, nil })
	return err
}

// BackupStore writes everything that is in a store at one moment to a new SQLite
// file, also while a server uses the store. The file is there only when it is
// whole.
func BackupStore(ctx context.Context, at, file string) (StoreContents, error) {
	from, err := openReader(ctx, at)
	if err != nil {
		return StoreContents{}, err
	}
	c, err := newFile(ctx, file, from.Rows(ctx))
	return c, errors.Join(err, from.Close())
}

// RestoreStore stores what is in a file of [BackupStore] in a store that is
// empty or not there yet, and that no server uses.
func RestoreStore(ctx context.Context, file, at string) (StoreContents, error) {
	from, err := sqlite.OpenReader(ctx, file)
	if err != nil {
		return StoreContents{}, err
	}
	c, err := fill(ctx, at, from.Rows(ctx))
	return c, errors.Join(err, from.Close())
}

// CopyStore stores what is in one store in another one that is empty or not
// there yet, and that no server uses. A file must not be in use either. A
// database may be: what is changed while it is copied is not in the copy.
func CopyStore(ctx context.Context, from, to string) (StoreContents, error) {
	p, err := mustExist(from)
	if err != nil {
		return StoreContents{}, err
	}
	if p.url != "" {
		db, err := openReader(ctx, from)
		if err != nil {
			return StoreContents{}, err
		}
		c, err := fill(ctx, to, db.Rows(ctx))
		return c, errors.Join(err, db.Close())
	}
	return withStore(ctx, from, func(db database) (StoreContents, error) {
		return fill(ctx, to, db.(source).Rows(ctx))
	})
}

// source is a store that can be copied, target one that it can be copied to.
type (
	source interface {
		Rows(context.Context) iter.Seq2[store.Row, error]
		Close() error
	}
	target interface {
		Import(context.Context, iter.Seq2[store.Row, error]) (store.Contents, error)
	}
)

// parseLasting is parsePlace for a store that outlives the process.
func parseLasting(at string) (place, error) {
	p, err := parsePlace(at, "")
	if err == nil && (p.memory || at == "sqlite") {
		err = fmt.Errorf("got %q, want sqlite:PATH or postgres://HOST/DATABASE", at)
	}
	if err != nil {
		return place{}, fmt.Errorf("store: %w", err)
	}
	return p, nil
}

// mustExist is parseLasting with an error for a file that is not there, which
// opening it would make.
func mustExist(at string) (place, error) {
	p, err := parseLasting(at)
	if err == nil && p.file != "" {
		_, err = os.Stat(p.file)
	}
	return p, err
}

func openReader(ctx context.Context, at string) (source, error) {
	p, err := parseLasting(at)
	switch {
	case err != nil:
		return nil, err
	case p.url != "":
		return postgres.OpenReader(ctx, p.url)
	}
	return sqlite.OpenReader(ctx, p.file)
}

// withStore opens a store for as long as use takes.
func withStore(ctx context.Context, at string, use func(database) (StoreContents, error)) (StoreContents, error) {
	if _, err := parseLasting(at); err != nil {
		return StoreContents{}, err
	}
	db, err := openStore(ctx, Config{Store: at})
	if err != nil {
		return StoreContents{}, err
	}
	c, err := use(db)
	return c, errors.Join(err, db.Close())
}

// fill stores rows in the store at.
func fill(ctx context.Context, at string, rows iter.Seq2[store.Row, error]) (StoreContents, error) {
	p, err := parseLasting(at)
	if err != nil {
		return StoreContents{}, err
	}
	if p.file != "" {
		return newFile(ctx, p.file, rows)
	}
	return withStore(ctx, at, func(db database) (StoreContents, error) { return db.(target).Import(ctx, rows) })
}

// newFile stores rows in a new SQLite file, which has its name only when it is
// whole and on the disk.
func newFile(ctx context.Context, path string, rows iter.Seq2[store.Row, error]) (c StoreContents, err error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return c, errors.Join(fmt.Errorf("%s exists already", path), err)
	}
	partial := path + ".partial"
	db, err := sqlite.Open(ctx, partial)
	if err != nil {
		return c, err
	}
	defer func() { // while the lock file is there, nobody else makes this file
		if err != nil {
			err = errors.Join(err, os.Remove(partial))
		}
		err = errors.Join(err, os.Remove(partial+".lock"))
	}()
	c, err = db.Import(ctx, rows)
	if err = errors.Join(err, db.Close()); err != nil {
		return c, err
	}
	if err := os.Rename(partial, path); err != nil {
		return c, err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return c, err
	}
	return c, errors.Join(dir.Sync(), dir.Close())
}
