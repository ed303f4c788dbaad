package custody

import (
	"context"
	"errors"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Rotate adds a version with a random secret, which signs from now on; the
// others go on verifying. Unless ifVersion is 0, the key must have this
// ETagVersion. The error is of kind [fault.NotFound], [fault.Denied],
// [fault.Invalid] for a key of [MaxVersions], or [fault.Conflict], with
// [ErrPrecondition] if it is about ifVersion.
func (s *Service) Rotate(ctx context.Context, caller access.Caller, name string, ifVersion int64) (*Key, error) {
	return s.change(ctx, caller, access.KeyRotate, name, ifVersion, func(d *dataKey, doc *keyDoc) (detail, error) {
		if len(doc.Versions) >= MaxVersions {
			return nil, fault.New(fault.Invalid, "key %q has %d versions, which is the most a key can have", name, len(doc.Versions))
		}
		algorithm, err := mac.Parse(doc.Algorithm)
		if err != nil {
			return nil, err
		}
		version := doc.Versions[len(doc.Versions)-1].Version + 1
		before := doc.Signing
		doc.Versions = append(doc.Versions, versionDoc{
			Version: version, CreatedAt: s.instant(), Origin: originGenerated,
			Ciphertext: d.seal(generate(algorithm), name, version),
		})
		doc.Signing = version
		return detail{"version": version, "signed_before": before}, nil
	})
}

// Delete ends a key: it neither signs nor verifies, [Service.Get] does not
// find it, and its name stays taken. Errors are those of [Service.Rotate].
func (s *Service) Delete(ctx context.Context, caller access.Caller, name string, ifVersion int64) error {
	_, err := s.change(ctx, caller, access.KeyDelete, name, ifVersion, func(_ *dataKey, doc *keyDoc) (detail, error) {
		doc.DeletedAt = s.instant()
		return nil, nil
	})
	return err
}

// change loads a key, lets next edit it, and commits it, until nobody else
// has changed it in between.
func (s *Service) change(ctx context.Context, caller access.Caller, action access.Action, name string, ifVersion int64,
	next func(*dataKey, *keyDoc) (detail, error),
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
		k, err := s.tryChange(ctx, caller, action, name, ifVersion, next)
		if fault.KindOf(err) != fault.Conflict || errors.Is(err, ErrPrecondition) {
			return k, wrap(err, "%s %q", action, name)
		}
	}
	return nil, busy(name)
}

func (s *Service) tryChange(ctx context.Context, caller access.Caller, action access.Action, name string, ifVersion int64,
	next func(*dataKey, *keyDoc) (detail, error),
) (*Key, error) {
	r, err := s.reload(ctx, caller.Tenant, name)
	if err != nil {
		return nil, err
	}
	doc, _, err := parseKey(r)
	if err != nil {
		return nil, err
	}
	if !doc.DeletedAt.IsZero() {
		return nil, noKey(name)
	}
	if ifVersion != 0 && ifVersion != r.Version {
		return nil, fault.New(fault.Conflict, "key %q has version %d, not %d", name, r.Version, ifVersion).Because(ErrPrecondition)
	}
	d, _, err := s.tenantDataKey(ctx, caller.Tenant)
	if err != nil {
		return nil, err
	}
	about, err := next(d, &doc)
	if err != nil {
		return nil, err
	}
	return s.commitKey(ctx, store.Change{}, d, r, doc, s.entry(caller, string(action), r, about))
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
	if k := s.keys.get(tenant, name); k != nil && k.ETagVersion == r.Version {
		return r, nil
	}
	d, _, err := s.tenantDataKey(ctx, tenant) // exists, since the tenant has a key
	if err != nil {
		return store.Record{}, err
	}
	k, err := s.openKey(d, r)
	if err != nil {
		return store.Record{}, err
	}
	s.keys.put(k)
	return r, nil
}

// commitKey adds the key in doc to c, commits c, and shows the key in the
// snapshot. What is committed was decrypted before, so it can be read again.
func (s *Service) commitKey(ctx context.Context, c store.Change, d *dataKey, prior store.Record, doc keyDoc, e store.Entry) (*Key, error) {
	r, err := record(prior, keyFormat, doc)
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
	c.Entries = append(c.Entries, e)
	if err := s.commit(ctx, c); err != nil {
		return nil, err
	}
	s.keys.put(k)
	return k, nil
}
