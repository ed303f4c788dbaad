package custody

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// RootKeyUse is how much is wrapped under one root key.
type RootKeyUse struct {
	RootKeyID string
	DataKeys  int
}

// CountRootKeys counts the data keys in st by the root key under which they are
// wrapped, in the order of the IDs. It is empty for a store without keys: a
// start that finds no root key makes a new one only then.
func CountRootKeys(ctx context.Context, st Store) ([]RootKeyUse, error) {
	counts := map[string]int{}
	err := each(ctx, st, "", kindDataKey, func(r store.Record) error {
		doc, err := parseDataKey(r)
		counts[doc.RootKeyID]++
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count data keys by root key: %w", err)
	}
	uses := make([]RootKeyUse, 0, len(counts))
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		uses = append(uses, RootKeyUse{id, counts[id]})
	}
	return uses, nil
}

// RootKeys counts the data keys of all tenants, see [CountRootKeys].
func (s *Service) RootKeys(ctx context.Context, caller access.Caller) ([]RootKeyUse, error) {
	if err := s.decide(ctx, caller, access.RootRead, access.Target{}); err != nil {
		return nil, err
	}
	return CountRootKeys(ctx, s.store)
}

// AllowRewrap returns nil if caller may [Service.Rewrap]; a refusal leaves an
// entry.
func (s *Service) AllowRewrap(ctx context.Context, caller access.Caller) error {
	return s.decide(ctx, caller, access.RootRewrap, access.Target{})
}

// Rewrap wraps the data keys of all tenants again under the newest root key,
// while keys go on signing, and returns how many were not under it before.
// Afterwards older root keys are needed only for older copies of the store. If
// it fails half-way, it may be repeated: what is done is not done again.
func (s *Service) Rewrap(ctx context.Context, caller access.Caller) (n int, err error) {
	if err := s.AllowRewrap(ctx, caller); err != nil {
		return 0, err
	}
	newest := "" // the root key that was found to wrap
	err = each(ctx, s.store, "", kindDataKey, func(r store.Record) error {
		id, done, err := s.rewrap(ctx, caller, r, newest)
		if newest = id; done {
			n++
		}
		return wrap(err, "wrap data key of tenant %q again", r.Name)
	})
	return n, err
}

// rewrap returns the root key that wraps now, and whether r was under another
// one before. A record that is under newest already is left alone.
func (s *Service) rewrap(ctx context.Context, caller access.Caller, r store.Record, newest string) (id string, done bool, err error) {
	for range attempts {
		id, done, err = s.tryRewrap(ctx, caller, r, newest)
		if fault.KindOf(err) != fault.Conflict {
			return id, done, err
		}
		if r, err = s.store.Load(ctx, "", kindDataKey, r.Name); err != nil {
			return "", false, err
		}
	}
	return "", false, fault.New(fault.Conflict, "data key is being changed by others, try again")
}

func (s *Service) tryRewrap(ctx context.Context, caller access.Caller, r store.Record, newest string) (id string, done bool, err error) {
	doc, err := parseDataKey(r)
	if err != nil || doc.RootKeyID == newest {
		return newest, false, err
	}
	key, err := s.wrapper.Unwrap(ctx, doc.RootKeyID, doc.Wrapped, dataKeyAAD(r.Name))
	if err != nil {
		return "", false, err
	}
	blob, id, err := s.wrapper.Wrap(ctx, key, dataKeyAAD(r.Name))
	if err != nil || id == doc.RootKeyID {
		return id, false, err
	}
	about := detail{"from": doc.RootKeyID, "to": id}
	doc.RootKeyID, doc.Wrapped = id, blob
	next, err := record(r, dataKeyFormat, doc)
	if err != nil {
		return "", false, err
	}
	err = s.commit(ctx, store.Change{Puts: []store.Record{next}, Entries: []store.Entry{s.entry(caller, string(access.RootRewrap), r, about)}})
	return id, err == nil, err
}
