// Package sqlite is a store in one SQLite file. It promises what
// storetest.Store says, also when the process or the machine stops at any
// moment: the file is in WAL mode with synchronous=FULL, so a commit is
// acknowledged after fsync.
//
// One goroutine writes, and puts the changes that wait for it into one
// transaction, each under its own savepoint: they share an fsync, and one that
// is refused does not touch the others. Readers have their own connections,
// which cannot write. One process opens a file, held by a lock on a file beside
// it.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// The driver runs the values of _pragma as SQL, so these are constants, and
// the path is escaped.
const (
	writerOptions = "?_txlock=immediate" +
		"&_pragma=busy_timeout(5000)" + // milliseconds
		"&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)" +
		"&_pragma=wal_autocheckpoint(1000)" + // pages
		"&_pragma=trusted_schema(0)"
	readerOptions = "?_pragma=busy_timeout(5000)&_pragma=query_only(1)&_pragma=trusted_schema(0)"
)

// readers is the most connections that read at the same time.
const readers = 4

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a store in one file. Get one from [Open].
type Store struct {
	lock   *os.File
	read   *sql.DB
	write  *sql.DB
	writer *writer

	mu     sync.RWMutex
	closed bool
	calls  sync.WaitGroup // calls of methods under way
	done   error          // of the first Close
}

// Open opens the database file at path, creates it with mode 0600 if there is
// none, and brings its schema up to date. The folder must exist. The error is
// of kind [fault.Unavailable] if another process has the file open, or if a
// newer version of sealwright wrote it; neither changes the file.
func Open(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, unavailable("open database", err)
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	s := &Store{lock: lock}
	if err := s.open(ctx, path); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, errors.Join(err, s.release()))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, path string) (err error) {
	if err := createFile(path); err != nil {
		return unavailable("create file", err)
	}
	if s.write, err = connect(path, writerOptions, 1); err != nil {
		return err
	}
	if s.read, err = connect(path, readerOptions, readers); err != nil {
		return err
	}
	if err := migrate(ctx, s.write); err != nil {
		return err
	}
	if s.writer, err = newWriter(ctx, s.write); err != nil {
		return err
	}
	return nil
}

func connect(path, options string, connections int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+options)
	if err != nil {
		return nil, unavailable("connect", err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// createFile makes an empty file, which SQLite takes as an empty database,
// because SQLite itself would make one that others can read.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// migrate brings the schema up to date. It writes nothing if there is nothing
// to do, or if the schema is newer than this version knows.
func migrate(ctx context.Context, db *sql.DB) error {
	p, err := provider(db)
	if err != nil {
		return err
	}
	have, known, err := p.GetVersions(ctx)
	if err != nil {
		return unavailable("read schema version", err)
	}
	if have > known {
		return fault.New(fault.Unavailable,
			"database has schema %d, this version of sealwright knows up to %d: it was written by a newer version", have, known)
	}
	if _, err := p.Up(ctx); err != nil {
		return unavailable("migrate schema", err)
	}
	return nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fault.New(fault.Internal, "migrations are missing").Because(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fault.New(fault.Internal, "migrations cannot be read").Because(err)
	}
	return p, nil
}

// enter counts a call in, unless the store is closed; leave counts it out.
func (s *Store) enter(ctx context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fault.New(fault.Unavailable, "store is closed")
	}
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Unavailable, "store was not asked").Because(err)
	}
	s.calls.Add(1)
	return nil
}

func (s *Store) leave() { s.calls.Done() }

// Close implements storetest.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return s.done
	}
	s.closed = true
	s.mu.Unlock()
	s.calls.Wait()
	s.done = s.release()
	return s.done
}

// release closes what is open. The lock goes last, and its file stays: another
// process may wait for it.
func (s *Store) release() error {
	var errs []error
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.stop())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	if err := errors.Join(append(errs, s.lock.Close())...); err != nil {
		return unavailable("close database", err)
	}
	return nil
}

func unavailable(doing string, err error) error {
	return fault.New(fault.Unavailable, "the store cannot be used now: %s", doing).Because(err)
}
