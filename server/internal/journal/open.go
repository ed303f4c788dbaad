package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Names in the folder.
const (
	lockName  = "lock"
	stateName = "state"
	suffix    = ".claims"
)

func fileName(s span) string { return fmt.Sprintf("%d-%d%s", s.first, s.width, suffix) }

// parseName returns the span of a file with this name.
func parseName(name string) (s span, ok bool) {
	if _, err := fmt.Sscanf(name, "%d-%d", &s.first, &s.width); err != nil {
		return span{}, false
	}
	return s, fileName(s) == name && s.width > 0
}

// Open opens the journal in a folder. What earlier runs claimed is loaded, or
// barred if it may not be complete; see the design of the guard for when. The
// error is of kind [fault.Unavailable] if another process has the folder, or if
// the journal is damaged and nothing can be barred because its messages have no
// signed time; see [Options.AcceptLoss].
func Open(o Options) (*Journal, error) {
	o, err := o.resolve()
	if err != nil {
		return nil, err
	}
	guard, err := replay.New(o.Guard)
	if err != nil {
		return nil, fault.New(fault.Invalid, "replay journal: %v", err)
	}
	j := &Journal{
		o: o, w: window{o.Guard.Past, o.Guard.Future, o.Guard.Keep}, guard: guard,
		poke: make(chan struct{}, 1), wake: make(chan struct{}, 1), batch: newStep(), raised: newStep(),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, unavailable("make folder", err)
	}
	if j.lock, err = lockFile(filepath.Join(o.Dir, lockName)); err != nil {
		return nil, err
	}
	longest := max(j.w.past, j.w.future, j.w.keep)
	w := &writer{j: j, width: uint32(longest/perWindow/time.Second) + 1, files: map[span]*claimFile{}}
	if err := w.start(o.Now()); err != nil {
		return nil, fmt.Errorf("open replay journal %s: %w", o.Dir, errors.Join(err, w.release()))
	}
	go w.run()
	return j, nil
}

// start brings guard and folder to where claims can be made. Before the first
// of them the state on the disk says that the run is under way.
func (w *writer) start(now time.Time) error {
	j := w.j
	f, err := read(j.o.Dir)
	if err != nil {
		return unavailable("read", err)
	}
	f.first, f.acceptLoss = j.o.First, j.o.AcceptLoss
	if j.o.Key != nil {
		name := j.o.Key.ID("sealwright replay journal")
		f.key = name[:]
	}
	p, err := planStart(f, j.w, now)
	if err != nil {
		return unavailable("messages without signed time could be replayed", err)
	}
	if p.why != nil {
		j.o.Alarm(p.why)
	}
	w.state = state{
		Seq:    f.state.Seq,
		Key:    f.key,
		MarkAt: max(f.state.MarkAt, now.Add(j.w.future+markAhead).UnixMicro()),
		Floor:  max(f.state.Floor, now.Add(-j.w.past-j.w.keep).UnixMicro()),
	}
	if !p.bar.IsZero() {
		w.bar(p.bar)
	}
	if p.load {
		w.load(f, now)
		if err := w.reopen(f); err != nil {
			return unavailable("open files", err)
		}
	}
	if err := w.openState(); err != nil {
		return unavailable("write state", err)
	}
	if err := w.clear(f); err != nil {
		return unavailable("remove files", err)
	}
	j.mark.Store(w.state.MarkAt)
	j.latest.Store(now.Unix())
	w.watch(now)
	return nil
}

// bar bars everything that was signed until t, also in later runs: what is
// barred is not kept.
func (w *writer) bar(t time.Time) {
	w.j.guard.Bar(t)
	w.state.Floor = max(w.state.Floor, t.UnixMicro())
	w.state.MarkAt = max(w.state.MarkAt, t.UnixMicro())
}

// load fills the guard. What it cannot hold because the clock went back is
// barred.
func (w *writer) load(f found, now time.Time) {
	for _, c := range f.files {
		for _, r := range c.records {
			at := time.Unix(int64(r.second), 0)
			if !w.j.guard.Load(now, at, r.claim) {
				w.bar(f.state.mark())
			}
		}
	}
}

// reopen opens the files that were read, to write on in them. A file that is
// damaged, which the caller accepts, is left behind.
func (w *writer) reopen(f found) error {
	for s, c := range f.files {
		if c.err != nil {
			continue
		}
		file, err := os.OpenFile(filepath.Join(w.j.o.Dir, fileName(s)), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		w.files[s] = &claimFile{f: file, end: c.end, size: c.size, records: int64(len(c.records))}
	}
	return nil
}

// openState opens or makes the file of the two states, and writes both.
func (w *writer) openState() error {
	var err error
	if w.stateAt, err = os.OpenFile(filepath.Join(w.j.o.Dir, stateName), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	for range 2 {
		if err := w.putState(w.state); err != nil {
			return err
		}
	}
	return w.syncDir()
}

// clear removes files that are not written on.
func (w *writer) clear(f found) error {
	for s := range f.files {
		if w.files[s] != nil {
			continue
		}
		if err := os.Remove(filepath.Join(w.j.o.Dir, fileName(s))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// read reads what is in a folder. Files with other names are left alone.
func read(dir string) (found, error) {
	f := found{files: map[span]content{}}
	text, err := os.ReadFile(filepath.Join(dir, stateName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return found{}, err
	}
	f.state, f.both, f.ok = parseStates(text)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return found{}, err
	}
	for _, e := range entries {
		s, ok := parseName(e.Name())
		if !ok || !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return found{}, err
		}
		c := content{size: int64(len(b))}
		c.records, c.end, c.err = parseFile(b, s)
		f.files[s] = c
	}
	return f, nil
}
