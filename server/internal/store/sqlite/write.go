package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

const (
	// maxBatch is the most changes of one transaction.
	maxBatch = 256
	// checkpointEvery is how often the WAL is emptied if something was written.
	checkpointEvery = 5 * time.Minute
)

// Commit implements storetest.Store.
func (s *Store) Commit(ctx context.Context, c store.Change) (int64, error) {
	if err := c.Check(); err != nil {
		return 0, err
	}
	return s.do(ctx, func(w *writer) (int64, error) { return w.apply(c) })
}

// do sends what apply writes through the writer. If apply returns an error,
// nothing of it is stored.
func (s *Store) do(ctx context.Context, apply func(*writer) (int64, error)) (int64, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	o := &operation{ctx: ctx, apply: apply, done: make(chan struct{})}
	s.writer.operations <- o
	<-o.done
	return o.seq, o.err
}

// operation is one write on its way through the writer, which answers every
// one: it closes done.
type operation struct {
	ctx   context.Context
	apply func(*writer) (int64, error)
	seq   int64
	err   error
	done  chan struct{}
}

// writer owns the connection that writes. Its goroutine runs from newWriter to
// stop.
type writer struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	operations chan *operation
	stopped    chan struct{}
	dirty      bool // written since the last checkpoint
}

const (
	selectRecord = `SELECT id, format, version FROM records WHERE tenant = ? AND kind = ? AND name = ?`
	putRecord    = `INSERT INTO records (tenant, kind, name, id, format, version, doc) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, kind, name) DO UPDATE SET format = excluded.format, version = excluded.version, doc = excluded.doc`
	insertEntry = `INSERT INTO entries (seq, at, tenant, caller, action, kind, record_id, name, detail, reason)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	moveHead = `UPDATE log_head SET seq = seq + ? RETURNING seq`
)

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, unavailable("connect", err)
	}
	w := &writer{
		conn: conn, statements: map[string]*sql.Stmt{},
		operations: make(chan *operation, maxBatch), stopped: make(chan struct{}),
	}
	for _, text := range []string{selectRecord, putRecord, insertEntry, moveHead} {
		if w.statements[text], err = conn.PrepareContext(ctx, text); err != nil {
			return nil, errors.Join(unavailable("prepare", err), conn.Close())
		}
	}
	go w.run()
	return w, nil
}

// stop waits until everything sent to w.operations is answered. Nothing may be
// sent afterwards.
func (w *writer) stop() error {
	close(w.operations)
	<-w.stopped
	var errs []error
	for _, s := range w.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

func (w *writer) run() {
	defer close(w.stopped)
	checkpoint := time.NewTicker(checkpointEvery)
	defer checkpoint.Stop()
	for {
		select {
		case first, ok := <-w.operations:
			if !ok {
				return
			}
			w.commit(w.batch(first))
		case <-checkpoint.C:
			w.checkpoint()
		}
	}
}

// batch returns first and what waits behind it. It does not wait for more: an
// fsync takes long enough for the next batch to gather.
func (w *writer) batch(first *operation) []*operation {
	batch := []*operation{first}
	for len(batch) < maxBatch {
		select {
		case o, ok := <-w.operations:
			if !ok {
				return batch
			}
			batch = append(batch, o)
		default:
			return batch
		}
	}
	return batch
}

// commit answers every operation of batch.
func (w *writer) commit(batch []*operation) {
	if err := w.transaction(batch); err != nil {
		for _, o := range batch {
			if o.err == nil {
				o.seq, o.err = 0, unavailable("commit", err)
			}
		}
	}
	for _, o := range batch {
		close(o.done)
	}
}

// transaction stores the operations that are not refused, or returns an error
// and stores nothing, as far as SQLite can tell.
func (w *writer) transaction(batch []*operation) error {
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for _, o := range batch {
		if err := w.try(o); err != nil {
			return errors.Join(err, w.abort())
		}
	}
	if err := w.exec("COMMIT"); err != nil {
		return errors.Join(err, w.abort())
	}
	w.dirty = true
	return nil
}

// abort ends the transaction. SQLite has done so already after some errors,
// such as a full disk; its complaint that there is none is of no interest.
func (w *writer) abort() error {
	_ = w.exec("ROLLBACK")
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin after rollback: %w", err)
	}
	return w.exec("ROLLBACK")
}

// try applies o, or records in it why it is refused. It returns an error if
// the whole transaction cannot go on.
func (w *writer) try(o *operation) error {
	if err := o.ctx.Err(); err != nil {
		o.err = fault.New(fault.Unavailable, "store was not asked").Because(err)
		return nil
	}
	if err := w.exec("SAVEPOINT operation"); err != nil {
		return err
	}
	if o.err = w.note(o.ctx); o.err == nil {
		o.seq, o.err = o.apply(w)
	}
	if o.err != nil {
		if err := w.exec("ROLLBACK TO operation"); err != nil {
			return errors.Join(o.err, err)
		}
	}
	return w.exec("RELEASE operation")
}

func (w *writer) apply(c store.Change) (seq int64, err error) {
	ctx := context.Background() // what has begun is finished
	for _, r := range c.Puts {
		if err := w.put(ctx, r); err != nil {
			return 0, err
		}
	}
	n := int64(len(c.Entries))
	if err := w.statements[moveHead].QueryRowContext(ctx, n).Scan(&seq); err != nil {
		return 0, unavailable("number entries", err)
	}
	for i, e := range c.Entries {
		e.Seq = seq - n + 1 + int64(i)
		if err := w.insertEntry(ctx, e); err != nil {
			return 0, unavailable("store entry", err)
		}
	}
	return seq, nil
}

func (w *writer) insertEntry(ctx context.Context, e store.Entry) error {
	_, err := w.statements[insertEntry].ExecContext(ctx, e.Seq, e.At.UnixMicro(), e.Tenant, e.Caller,
		e.Action, e.Kind, e.RecordID, e.Name, []byte(e.Detail), e.Reason)
	return err
}

func (w *writer) put(ctx context.Context, r store.Record) error {
	var old store.Record
	err := w.statements[selectRecord].QueryRowContext(ctx, r.Tenant, r.Kind, r.Name).Scan(&old.ID, &old.Format, &old.Version)
	exists := !errors.Is(err, sql.ErrNoRows)
	if exists && err != nil {
		return unavailable("load "+r.Kind, err)
	}
	if err := store.CheckPut(r, old, exists); err != nil {
		return err
	}
	_, err = w.statements[putRecord].ExecContext(ctx, r.Tenant, r.Kind, r.Name, r.ID, r.Format, r.Version+1, r.Doc)
	if err != nil {
		return unavailable("store "+r.Kind, err)
	}
	return nil
}

// checkpoint moves the WAL into the database and empties it. If readers are in
// the way, the next one does it.
func (w *writer) checkpoint() {
	if w.dirty && w.exec("PRAGMA wal_checkpoint(TRUNCATE)") == nil {
		w.dirty = false
	}
}

func (w *writer) exec(text string) error {
	if _, err := w.conn.ExecContext(context.Background(), text); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}
