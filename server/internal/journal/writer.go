package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// chunk is by how much a file grows. It is filled with zeros and synced before
// it is used, so that a sync of records changes no length.
const chunk = 64 << 10

// writer owns the files. Its goroutine runs from Open to Close.
type writer struct {
	j       *Journal
	width   uint32 // of new files in seconds
	files   map[span]*claimFile
	stateAt *os.File
	state   state // the last one that was written
	room    []record

	failing, full, behind bool // the alarm was given
}

// claimFile is an open file of claims.
type claimFile struct {
	f       *os.File
	end     int64 // where the next record goes
	size    int64
	records int64
	buf     []byte
}

func (w *writer) run() {
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.j.wake:
			w.flush()
		case <-flush.C:
			w.flush()
		case <-tick.C:
			w.tick()
		case <-w.j.poke:
			w.tick()
		case <-w.j.stop:
			w.j.ended = w.finish()
			close(w.j.done)
			return
		}
	}
}

// note tells of the first of several failures. What failed may be on the disk or
// not: it was not answered, it stays in the guard, and what is written next goes
// to the same place.
func (w *writer) note(err error) {
	if err != nil && !w.failing {
		w.j.o.Alarm(fmt.Errorf("replay journal in %s cannot be written, messages are refused: %w", w.j.o.Dir, err))
	}
	w.failing = err != nil
}

// flush writes the records that wait, and answers those who wait for them.
func (w *writer) flush() {
	j := w.j
	j.mu.Lock()
	records, s := j.pending, j.batch
	if len(records) == 0 {
		j.mu.Unlock()
		return
	}
	j.pending, j.batch = w.room[:0], newStep()
	j.mu.Unlock()
	err := w.write(records)
	if err != nil {
		for _, f := range w.files {
			f.buf = f.buf[:0]
		}
		j.mu.Lock()
		j.spoiled = true
		j.mu.Unlock()
	}
	w.note(err)
	s.end(err)
	w.room = records
}

// write appends records to their files. In mode [Sync] they are on the disk
// afterwards.
func (w *writer) write(records []record) error {
	var last span
	var f *claimFile
	for _, r := range records {
		if f == nil || !last.holds(r.second) {
			var err error
			last = spanOf(r.second, w.width)
			if f, err = w.file(last); err != nil {
				return err
			}
		}
		f.buf = appendRecord(f.buf, r)
	}
	for s, f := range w.files {
		for len(f.buf) > 0 {
			if err := w.append(s, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// append writes a part of what f has to write: up to the end of a page, if each
// has to be on the disk before the next.
func (w *writer) append(s span, f *claimFile) error {
	sync := w.j.o.Mode == Sync
	n := int64(len(f.buf))
	if sync {
		n = min(n, pageSize-f.end%pageSize)
	}
	if f.end+n+recordSize > f.size { // a record of zeros is left at the end
		if err := w.grow(s, f, n); err != nil {
			return err
		}
	}
	err := w.j.o.act("write "+fileName(s), func() error {
		_, err := f.f.WriteAt(f.buf[:n], f.end)
		return err
	})
	if err != nil {
		return err
	}
	if sync {
		if err := w.j.o.act("sync "+fileName(s), f.f.Sync); err != nil {
			return err
		}
	}
	f.end += n
	f.records += n / recordSize
	f.buf = append(f.buf[:0], f.buf[n:]...)
	return nil
}

// grow makes room for n bytes more than f has.
func (w *writer) grow(s span, f *claimFile, n int64) error {
	room := (n/chunk + 1) * chunk
	err := w.j.o.act("grow "+fileName(s), func() error {
		_, err := f.f.WriteAt(make([]byte, room), f.size)
		return err
	})
	if err == nil {
		err = w.j.o.act("sync "+fileName(s), f.f.Sync)
	}
	if err == nil {
		f.size += room
	}
	return err
}

// file returns the file for s, and makes it. A new one is in the state before
// anything in it is answered, so that it is missed.
func (w *writer) file(s span) (*claimFile, error) {
	if f := w.files[s]; f != nil {
		return f, nil
	}
	f, err := w.create(s)
	if err != nil {
		return nil, err
	}
	w.files[s] = f
	if w.j.o.Mode == Sync {
		err = w.putState(w.state)
	}
	if err != nil { // made again for the next claim
		delete(w.files, s)
		return nil, errors.Join(err, f.f.Close())
	}
	return f, nil
}

// create makes an empty file.
func (w *writer) create(s span) (*claimFile, error) {
	f := &claimFile{end: recordSize, size: chunk}
	err := w.j.o.act("make "+fileName(s), func() (err error) {
		f.f, err = os.OpenFile(filepath.Join(w.j.o.Dir, fileName(s)), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
		return err
	})
	if err == nil {
		err = w.j.o.act("write header "+fileName(s), func() error {
			_, err := f.f.WriteAt(appendHeader(make([]byte, 0, chunk), s)[:chunk], 0)
			return err
		})
	}
	if err == nil {
		err = w.j.o.act("sync "+fileName(s), f.f.Sync)
	}
	if err == nil {
		err = w.syncDir()
	}
	if err != nil && f.f != nil {
		err = errors.Join(err, f.f.Close())
	}
	return f, err
}

// tick raises the mark, and removes files of which nothing can pass any more.
func (w *writer) tick() {
	j := w.j
	err := w.raise(j.o.Now())
	w.note(err)
	j.mu.Lock()
	s := j.raised
	j.raised = newStep()
	j.mu.Unlock()
	s.end(err)
}

func (w *writer) raise(now time.Time) error {
	j := w.j
	ahead := now.Add(j.w.future)
	if now.After(w.state.mark()) && j.w.keep == 0 {
		w.bar(ahead)
		j.o.Alarm(fmt.Errorf("messages signed until %v are refused: nothing has run for more than %v, so this machine may have been set back", ahead.UTC(), j.w.future+markAhead))
	}
	w.watch(now)
	next := w.state
	next.MarkAt = max(next.MarkAt, ahead.Add(markAhead).UnixMicro())
	next.Floor = max(next.Floor, now.Add(-j.w.past-j.w.keep).UnixMicro())
	if err := w.putState(next); err != nil {
		return err
	}
	j.latest.Store(max(j.latest.Load(), now.Unix()))
	j.mark.Store(next.MarkAt)
	j.guard.Expire(now)
	return w.removeOld()
}

// watch tells of a guard that is filling up and of a clock that went back, once
// for each time.
func (w *writer) watch(now time.Time) {
	j := w.j
	full := j.guard.Len()*100 > j.guard.Capacity()*alarmAt
	if full && !w.full {
		j.o.Alarm(fmt.Errorf("replay guard is filling up: %d of %d claims; messages are refused when it is full", j.guard.Len(), j.guard.Capacity()))
	}
	back := w.state.mark().Sub(now)
	behind := back > j.w.past+j.w.keep+j.w.future+markAhead
	if behind && !w.behind {
		j.o.Alarm(fmt.Errorf("clock is %v behind what it was: messages are refused until it is there again", back.Round(time.Second)))
	}
	w.full, w.behind = full, behind
}

// removeOld removes the files of which the state says that they may be
// forgotten.
func (w *writer) removeOld() error {
	for s, f := range w.files {
		if s.end() > w.state.floor().Unix() || len(f.buf) > 0 {
			continue
		}
		delete(w.files, s)
		err := w.j.o.act("remove "+fileName(s), func() error { return errors.Join(f.f.Close(), os.Remove(f.f.Name())) })
		if err != nil {
			return err
		}
	}
	return nil
}

// putState writes s with what is in the files, over the older of the two
// states.
func (w *writer) putState(s state) error {
	s.Seq++
	s.Sync = w.j.o.Mode == Sync
	s.Files = s.Files[:0:0]
	for span, f := range w.files {
		s.Files = append(s.Files, fileInfo{span.first, span.width, f.records})
	}
	slices.SortFunc(s.Files, func(a, b fileInfo) int { return int(int64(a.First) - int64(b.First)) })
	slot, err := appendState(nil, s)
	if err != nil {
		return err
	}
	err = w.j.o.act("write state", func() error {
		_, err := w.stateAt.WriteAt(slot, int64(s.Seq%2)*slotSize)
		return err
	})
	if err != nil {
		return err
	}
	if err := w.j.o.act("sync state", w.stateAt.Sync); err != nil {
		return err
	}
	w.state = s
	return nil
}

// finish writes what is left, and last that all of it is there.
func (w *writer) finish() error {
	w.flush()
	w.j.mu.Lock()
	err := errSpoiled
	if !w.j.spoiled {
		err = nil
	}
	w.j.mu.Unlock()
	if err == nil {
		err = w.finishClean()
	}
	return errors.Join(err, w.release())
}

func (w *writer) finishClean() error {
	for s, f := range w.files {
		if err := w.j.o.act("sync "+fileName(s), f.f.Sync); err != nil {
			return err
		}
	}
	if err := w.syncDir(); err != nil {
		return err
	}
	last := w.state
	last.Clean = true
	return w.putState(last)
}

// release closes what is open. The lock goes last, and its file stays: another
// process may wait for it.
func (w *writer) release() error {
	var errs []error
	for _, f := range w.files {
		errs = append(errs, f.f.Close())
	}
	if w.stateAt != nil {
		errs = append(errs, w.stateAt.Close())
	}
	return errors.Join(append(errs, w.j.lock.Close())...)
}

// syncDir makes the names in the folder durable.
func (w *writer) syncDir() error {
	return w.j.o.act("sync folder", func() error {
		d, err := os.Open(w.j.o.Dir)
		if err != nil {
			return err
		}
		return errors.Join(d.Sync(), d.Close())
	})
}
