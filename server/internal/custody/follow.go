package custody

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

const (
	// readAgainEvery is how often what could not be read is tried again.
	readAgainEvery = 5 * time.Second
	// openTimeout is how long a data key may take to be unwrapped while other
	// changes wait.
	openTimeout = 3 * time.Second
)

// Apply shows what others have changed: it loads each key that page has an
// entry about, unless this process made that change itself. An error means that
// the store could not be read, and page has to come again; that does no harm.
//
// A key that cannot be read as it is now stored, since its data key does not
// open, its record is damaged or of a newer version of sealwright, is refused
// here by [Service.Get], tried again by [Service.Step], and keeps no other key
// waiting.
//
// Entries about data keys change nothing here: one that is wrapped again stays
// the same, and one that is new is loaded with the first key of its tenant.
func (s *Service) Apply(ctx context.Context, page []store.Entry) error {
	done := map[keyName]bool{}
	closed := map[string]error{} // tenants whose data key did not open, and why
	for _, e := range page {
		name := keyName{e.Tenant, e.Name}
		if e.Kind != kindKey || e.Reason != "" || done[name] {
			continue
		}
		loaded, err := s.refresh(ctx, name, e.Seq, closed)
		if err != nil {
			return wrap(err, "load key %q again", e.Name)
		}
		done[name] = loaded
	}
	return nil
}

// Refresh shows a key as it is in the store now. It is for callers who seem to
// know of a change that this node has not heard of yet; who they are and what
// they may do was decided before. Without such a key the error is of kind
// [fault.NotFound].
func (s *Service) Refresh(ctx context.Context, tenant, name string) error {
	if !ValidName(name) {
		return noKey(name)
	}
	_, err := s.reload(ctx, tenant, name)
	return wrap(err, "load key %q again", name)
}

// refresh loads a key from the store, unless the one that is shown is of this
// process and has the entry seq in it. It reports whether it did.
func (s *Service) refresh(ctx context.Context, name keyName, seq int64, closed map[string]error) (bool, error) {
	shown := s.keys.get(name.tenant, name.name)
	if shown != nil && seq <= shown.seq {
		return false, nil
	}
	r, err := s.store.Load(ctx, name.tenant, kindKey, name.name)
	if fault.KindOf(err) == fault.NotFound {
		return true, nil // an entry about a key that was not made
	}
	if err != nil {
		return true, err
	}
	err = closed[name.tenant]
	if err == nil {
		err = s.showInTime(ctx, r)
	}
	if err != nil && s.dataKey(name.tenant) == nil {
		closed[name.tenant] = err
	}
	s.note(name, shown, err)
	return true, nil
}

func (s *Service) showInTime(ctx context.Context, r store.Record) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	return s.show(ctx, r)
}

// note remembers whether a key could be read. One that could not is shown as
// one that cannot be used, unless a newer state has come meanwhile.
func (s *Service) note(name keyName, shown *Key, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.unread, name)
		return
	}
	s.unread[name] = struct{}{}
	blank := Key{Tenant: name.tenant, Name: name.name, Ring: new(keyring.Ring), now: s.now}
	if shown != nil {
		blank = *shown
		blank.usage = slices.Clone(shown.usage) // also uses that are not stored yet
	}
	blank.Deleted, blank.due, blank.ETagVersion, blank.seq, blank.unread = true, time.Time{}, 0, 0, err
	s.keys.putAfter(shown, &blank)
}

// readAgain tries the keys that could not be read, and says why they still
// cannot.
func (s *Service) readAgain(ctx context.Context, now time.Time) error {
	s.mu.Lock()
	var names []keyName
	if !now.Before(s.again) {
		for name := range s.unread {
			names = append(names, name)
		}
	}
	s.mu.Unlock()
	if len(names) == 0 {
		return nil
	}
	s.again = now.Add(readAgainEvery)
	var errs []error
	closed := map[string]error{}
	for _, name := range names {
		_, err := s.refresh(ctx, name, unknownSeq, closed)
		if k := s.keys.get(name.tenant, name.name); err == nil && k != nil {
			err = k.unread
		}
		errs = append(errs, wrap(err, "read key %q", name.name))
	}
	return errors.Join(errs...)
}

// unknownSeq is after every entry.
const unknownSeq = 1<<63 - 1

// Waiting reports whether a version of some key waits until all nodes have it.
func (s *Service) Waiting() bool { return s.keys.waits.Load() > 0 }

func (s *Service) dataKey(tenant string) *dataKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dataKeys[tenant]
}
