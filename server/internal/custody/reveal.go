package custody

import (
	"context"
	"errors"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

func isPrecondition(err error) bool { return errors.Is(err, ErrPrecondition) }

// Revealed is the secret of one version.
type Revealed struct {
	Version  int
	Material secret.Bytes
}

// Reveal returns the secrets of all versions of an exportable key, ascending.
// An entry about it is stored first: if that fails nothing is revealed. The
// error is of kind [fault.NotFound], or [fault.Denied] for a key that is not
// exportable, which leaves an entry too.
func (s *Service) Reveal(ctx context.Context, caller access.Caller, name string) ([]Revealed, error) {
	if !ValidName(name) {
		return nil, noKey(name)
	}
	if err := s.allow(ctx, caller, access.KeyReveal, name); err != nil {
		return nil, err
	}
	part := s.keys.part(name)
	part.change.Lock()
	defer part.change.Unlock()
	r, err := s.reload(ctx, caller.Tenant, name)
	if err != nil {
		return nil, wrap(err, "%s %q", access.KeyReveal, name)
	}
	k, err := s.Get(caller.Tenant, name)
	if err != nil {
		return nil, err
	}
	if !k.Exportable {
		return nil, s.refuse(ctx, caller, access.KeyReveal, name, fault.New(fault.Denied, "key %q is not exportable", name))
	}
	e := s.entry(caller, string(access.KeyReveal), r, detail{"versions": len(k.Versions)})
	if err := s.commit(ctx, store.Change{Entries: []store.Entry{e}}); err != nil {
		return nil, wrap(err, "%s %q", access.KeyReveal, name)
	}
	revealed := make([]Revealed, 0, k.Ring.Len())
	for _, v := range k.Ring.Keys() {
		revealed = append(revealed, Revealed{Version: v.Version, Material: v.Secret})
	}
	return revealed, nil
}

// Rewrap wraps the data keys of all tenants again under the newest root key,
// while keys go on signing, and returns how many were not under it before.
// Afterwards older root keys are needed only for older copies of the store. If
// it fails half-way, it may be repeated.
func (s *Service) Rewrap(ctx context.Context, caller access.Caller) (n int, err error) {
	if err := access.Allow(caller, access.RootRewrap, access.DefaultTenant, ""); err != nil {
		return 0, s.refuse(ctx, caller, access.RootRewrap, "", err)
	}
	err = each(ctx, s.store, "", kindDataKey, func(r store.Record) error {
		done, err := s.rewrap(ctx, caller, r)
		if done {
			n++
		}
		return wrap(err, "wrap data key of tenant %q again", r.Name)
	})
	return n, err
}

// rewrap reports whether r was wrapped again.
func (s *Service) rewrap(ctx context.Context, caller access.Caller, r store.Record) (bool, error) {
	for range attempts {
		done, err := s.tryRewrap(ctx, caller, r)
		if fault.KindOf(err) != fault.Conflict {
			return done, err
		}
		if r, err = s.store.Load(ctx, "", kindDataKey, r.Name); err != nil {
			return false, err
		}
	}
	return false, fault.New(fault.Conflict, "data key is being changed by others, try again")
}

func (s *Service) tryRewrap(ctx context.Context, caller access.Caller, r store.Record) (bool, error) {
	doc, err := parseDataKey(r)
	if err != nil {
		return false, err
	}
	key, err := s.wrapper.Unwrap(ctx, doc.RootKeyID, doc.Wrapped, dataKeyAAD(r.Name))
	if err != nil {
		return false, err
	}
	blob, rootKeyID, err := s.wrapper.Wrap(ctx, key, dataKeyAAD(r.Name))
	if err != nil || rootKeyID == doc.RootKeyID {
		return false, err
	}
	about := detail{"from": doc.RootKeyID, "to": rootKeyID}
	doc.RootKeyID, doc.Wrapped = rootKeyID, blob
	next, err := record(r, dataKeyFormat, doc)
	if err != nil {
		return false, err
	}
	err = s.commit(ctx, store.Change{Puts: []store.Record{next}, Entries: []store.Entry{s.entry(caller, string(access.RootRewrap), r, about)}})
	return err == nil, err
}
