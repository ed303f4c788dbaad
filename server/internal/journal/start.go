package journal

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// found is what was found in the folder at the start.
type found struct {
	state      state
	both, ok   bool // of parseStates
	files      map[span]content
	key        []byte // state.Key of this run
	first      bool   // Options.First
	acceptLoss bool   // Options.AcceptLoss
}

// content is what was found in a file.
type content struct {
	records []record
	end     int64 // where the next record goes
	size    int64
	err     error
}

// plan is what the start makes of it.
type plan struct {
	load bool      // load the files; they are removed otherwise
	bar  time.Time // bar everything until here; zero means nothing
	why  error     // for the operator; nil if there is nothing to say
}

// window is that of the guard; keep is not 0 for messages without a signed
// time.
type window struct{ past, future, keep time.Duration }

// planStart decides what to do at a start. If messages have a signed time, what
// may be forgotten is barred. If they have none, nothing can be barred, and the
// error says so.
func planStart(f found, w window, now time.Time) (plan, error) {
	if f.first && !f.ok && len(f.files) == 0 {
		return plan{load: true}, nil
	}
	damage := f.damage()
	if w.keep != 0 {
		if damage != nil && !f.acceptLoss {
			return plan{}, damage
		}
		return plan{load: true, why: damage}, nil
	}
	all := now.Add(w.future)
	if f.ok && f.state.mark().After(all) {
		all = f.state.mark()
	}
	clean := f.ok && f.both && f.state.Clean && damage == nil
	switch {
	case damage != nil:
		return plan{bar: all, why: fmt.Errorf("messages signed until %v are refused: %w", all.UTC(), damage)}, nil
	case !clean && !f.state.Sync:
		return plan{bar: all, why: fmt.Errorf("messages signed until %v are refused: the last run did not stop cleanly", all.UTC())}, nil
	case w.future <= maxBarrierSkew && now.After(f.state.mark()):
		// Longer than any restart takes. The folder could be an older copy, as in
		// a machine that was set back, and lack what was claimed since.
		return plan{bar: all, why: fmt.Errorf("messages signed until %v are refused: the last run ended more than %v ago", all.UTC(), w.future+markAhead)}, nil
	}
	return plan{load: true, bar: f.state.floor()}, nil
}

// damage returns why the files may lack something that was answered, or nil.
func (f found) damage() error {
	if !f.ok {
		return fmt.Errorf("%w: there is no state of an earlier run", errDamaged)
	}
	if len(f.key) > 0 && !bytes.Equal(f.key, f.state.Key) {
		return fmt.Errorf("%w: it was made under another key", errDamaged)
	}
	var errs []error
	listed := map[span]bool{}
	for _, info := range f.state.Files {
		s := span{info.First, info.Width}
		listed[s] = true
		c, ok := f.files[s]
		have := int64(len(c.records))
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("%w: %s is missing", errDamaged, fileName(s)))
		case c.err == nil && (have < info.Records || f.state.Clean && have != info.Records):
			errs = append(errs, fmt.Errorf("%w: %s has %d records, want %d", errDamaged, fileName(s), have, info.Records))
		}
	}
	for s, c := range f.files {
		// A file that is not listed was being made: nothing in it was answered.
		if c.err != nil && (listed[s] || !f.both) {
			errs = append(errs, fmt.Errorf("%s: %w", fileName(s), c.err))
		}
		if !listed[s] && f.state.Clean {
			errs = append(errs, fmt.Errorf("%w: %s is not listed", errDamaged, fileName(s)))
		}
	}
	return errors.Join(errs...)
}
