package custody

import (
	"context"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Rewrap wraps the data keys of all tenants again under the newest root key,
// while keys go on signing, and returns how many were not under it before.
// Afterwards older root keys are needed only for older copies of the store. If
// it fails half-way, it may be repeated.
func (s *Service) Rewrap(ctx context.Context, caller access.Caller) (n int, err error) {
	if err := access.Allow(caller, access.RootRewrap, access.Target{}); err != nil {
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
