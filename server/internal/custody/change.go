package custody

import (
	"context"
	"errors"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// change loads a key, lets next edit it, and commits it, until nobody else
// has changed it in between. What next notes becomes entries; if it notes
// nothing, nothing is stored.
func (s *Service) change(ctx context.Context, caller access.Caller, action access.Action, name string, ifVersion int64,
	next func(*edit) error,
) (*Key, error) {
	if !ValidName(name) {
		return nil, noKey(name)
	}
	if err := s.allow(ctx, caller, action, name); err != nil {
		return nil, err
	}
	part := s.keys.part(name)
	part.change.Lock()
	defer part.change.Unlock()
	for range attempts {
		k, err := s.tryChange(ctx, caller, name, ifVersion, next)
		if fault.KindOf(err) != fault.Conflict || errors.Is(err, ErrPrecondition) || errors.Is(err, keyring.ErrTransition) {
			return k, wrap(err, "%s %q", action, name)
		}
	}
	return nil, busy(name)
}

func (s *Service) tryChange(ctx context.Context, caller access.Caller, name string, ifVersion int64, next func(*edit) error) (*Key, error) {
	r, err := s.reload(ctx, caller.Tenant, name)
	if err != nil {
		return nil, err
	}
	e := edit{now: s.instant(), keep: s.grace, wait: s.destroyWait}
	if e.doc, _, err = parseKey(r); err != nil {
		return nil, err
	}
	if ifVersion != 0 && ifVersion != r.Version {
		return nil, fault.New(fault.Conflict, "key %q has version %d, not %d", name, r.Version, ifVersion).Because(ErrPrecondition)
	}
	if e.data, _, err = s.tenantDataKey(ctx, caller.Tenant); err != nil {
		return nil, err
	}
	if err := e.expire(); err != nil {
		return nil, err
	}
	if err := next(&e); err != nil {
		return nil, err
	}
	if len(e.notes) == 0 {
		return s.keys.get(caller.Tenant, name), nil
	}
	entries := make([]store.Entry, len(e.notes))
	for i, n := range e.notes {
		entries[i] = s.entry(caller, n.action, r, n.about)
	}
	return s.commitKey(ctx, store.Change{}, e.data, r, e.doc, entries...)
}

// reload reads a key from the store and shows it in the snapshot if that has
// another state: another process, or a commit whose answer was lost, wrote it.
func (s *Service) reload(ctx context.Context, tenant, name string) (store.Record, error) {
	r, err := s.store.Load(ctx, tenant, kindKey, name)
	if err != nil {
		if fault.KindOf(err) == fault.NotFound {
			err = noKey(name)
		}
		return store.Record{}, err
	}
	return r, s.show(ctx, r)
}

// show shows the key in r in the snapshot if that has another state.
func (s *Service) show(ctx context.Context, r store.Record) error {
	if k := s.keys.get(r.Tenant, r.Name); k != nil && k.ETagVersion == r.Version {
		return nil
	}
	d, _, err := s.tenantDataKey(ctx, r.Tenant) // exists, since the tenant has a key
	if err != nil {
		return err
	}
	k, err := s.openKey(d, r)
	if err != nil {
		return err
	}
	s.keys.put(k)
	return nil
}

// commitKey adds the key in doc to c, commits c, and shows the key in the
// snapshot. What is committed was decrypted before, so it can be read again.
func (s *Service) commitKey(ctx context.Context, c store.Change, d *dataKey, prior store.Record, doc keyDoc, entries ...store.Entry) (*Key, error) {
	r, err := record(prior, doc.format(), doc)
	if err != nil {
		return nil, err
	}
	stored := r
	stored.Version++
	k, err := s.openKey(d, stored)
	if err != nil {
		return nil, err
	}
	c.Puts = append(c.Puts, r)
	c.Entries = append(c.Entries, entries...)
	if k.seq, err = s.commitAt(ctx, c); err != nil {
		return nil, err
	}
	s.keys.put(k)
	return k, nil
}
