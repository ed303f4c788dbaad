package custody

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/source"
)

// Bounds and default of [Source.Every].
const (
	DefaultReadEvery = time.Hour
	MinReadEvery     = time.Minute
	MaxReadEvery     = 30 * 24 * time.Hour
)

const (
	retryRead     = 5 * time.Minute // after a read that failed, if the next is not due before
	parallelReads = 8               // of one [Service.ReadSources]
)

// Source is where the secret of a key comes from. The key has a copy of it, so
// that it goes on when the source is away.
type Source struct {
	source.Ref
	Every     time.Duration `json:"every_ns"`             // between two reads
	AllowWeak bool          `json:"allow_weak,omitempty"` // takes secrets of 1 to 13 bytes
	Version   string        `json:"version,omitempty"`    // of the secret, as the provider names it, when it had last changed
	ChangedAt time.Time     `json:"changed_at"`           // when that was seen; a new key counts as changed

	reads *reads
}

// Checked returns when this node last read the source, zero if it has not
// since it started, and what was wrong then, empty for nothing. The text is fit
// for the caller.
func (s *Source) Checked() (at time.Time, trouble string) {
	s.reads.mu.Lock()
	defer s.reads.mu.Unlock()
	return s.reads.at, s.reads.trouble
}

// reads is what a node knows of its reads of one source. It is shared by all
// snapshots of the key, and not stored.
type reads struct {
	mu      sync.Mutex
	at      time.Time // of the last one
	next    time.Time
	trouble string
}

func (r *reads) due(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !now.Before(r.next)
}

// note keeps the outcome of a read, of which u, in [0, 1), spreads the next. It
// reports whether there is another trouble than before.
func (r *reads) note(err error, every time.Duration, now time.Time, u float64) (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	trouble := troubleOf(err)
	news = trouble != "" && trouble != r.trouble
	if err != nil {
		every = min(every, retryRead)
	}
	r.at, r.trouble, r.next = now, trouble, now.Add(spread(every, u))
	return news
}

// troubleOf returns what is wrong with a source. That a key is changed by
// others or gone is not.
func troubleOf(err error) string {
	switch fault.KindOf(err) {
	case fault.Conflict, fault.NotFound:
		return ""
	}
	return fault.Public(err)
}

// spread returns 0.9 to 1.1 times d.
func spread(d time.Duration, u float64) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*u))
}

// checkSource returns what [CreateKey.Source] stands for.
func checkSource(in Source) (*Source, error) {
	if err := in.Ref.Check(); err != nil {
		return nil, err
	}
	if in.Every == 0 {
		in.Every = DefaultReadEvery
	}
	if in.Every < MinReadEvery || in.Every > MaxReadEvery {
		return nil, fault.New(fault.Invalid, "source.every: got %v, want %v to %v", in.Every, MinReadEvery, MaxReadEvery)
	}
	return &in, nil
}

// copied is a secret as it was read from its source.
type copied struct {
	secret  secret.Bytes
	version string // of the provider
}

// read reads a secret from its source. What cannot be a key is of kind
// [fault.Invalid].
func (s *Service) read(ctx context.Context, tenant string, from *Source) (copied, error) {
	if s.readSource == nil {
		return copied{}, fault.New(fault.Invalid, "source: no provider is configured")
	}
	p, err := s.readSource(ctx, tenant, from.Ref)
	if err != nil {
		return copied{}, err
	}
	got, err := from.Ref.Secret(p)
	if err != nil {
		return copied{}, err
	}
	return copied{got, p.Version}, checkMaterial("source", got.Len(), from.AllowWeak)
}

// copySource reads the source of a key that is to be made into in.Material, and
// returns it as it will be stored, nil for none.
func (s *Service) copySource(ctx context.Context, tenant string, in *CreateKey) (*Source, error) {
	if in.Source == nil {
		return nil, nil
	}
	from, err := checkSource(*in.Source)
	if err != nil {
		return nil, err
	}
	from.AllowWeak = in.AllowWeak
	got, err := s.read(ctx, tenant, from)
	in.Material, from.Version, from.ChangedAt = got.secret, got.version, s.instant()
	return from, err
}

// sourceOf returns from with what is known of its reads. A source that is new
// here was read by whoever stored it, and is read again within its period.
func (s *Service) sourceOf(from *Source, tenant, name string) *Source {
	if from == nil {
		return nil
	}
	if old := s.keys.get(tenant, name); old != nil && old.Source != nil {
		from.reads = old.Source.reads
		return from
	}
	from.reads = &reads{next: s.now().Add(time.Duration(float64(from.Every) * s.rand()))}
	return from
}

// errSourced tells [Service.Rotate] that the secret of a key is made elsewhere.
var errSourced = errors.New("key has a source")

// rotateFromSource is [Service.Rotate] for a key with a source: it reads the
// source now. If that has the secret that signs, nothing changes.
func (s *Service) rotateFromSource(ctx context.Context, caller access.Caller, name string, ifVersion int64, r Rotation) (*Key, error) {
	if r.Native != nil {
		return nil, fault.New(fault.Invalid, "native: key %q has a source, and does not become native", name)
	}
	if !r.At.IsZero() {
		return nil, fault.New(fault.Invalid, "at: the secret of key %q changes at its source, and every read follows", name)
	}
	k, _, err := s.copyNow(ctx, caller, name, ifVersion, r)
	return k, err
}

// copyNow reads the source of a key and takes what it has. It reports whether
// there is another trouble than at the read before.
//
// The version of the key is looked up before the source is read, and nothing is
// stored if it has changed until then: otherwise a slow read could put an older
// secret in the place of a newer one.
func (s *Service) copyNow(ctx context.Context, caller access.Caller, name string, ifVersion int64, r Rotation) (k *Key, news bool, err error) {
	for range attempts {
		if k, err = s.stored(ctx, caller.Tenant, name); err != nil {
			return nil, false, err
		}
		from := k.Source
		got, err := s.read(ctx, caller.Tenant, from)
		if err == nil {
			k, err = s.change(ctx, caller, access.KeyRotate, name, cmp.Or(ifVersion, k.ETagVersion), func(e *edit) error {
				if err := e.alive(); err != nil {
					return err
				}
				e.why = r.Why
				return e.take(ctx, got, r, s.nodes == nil)
			})
		}
		if ifVersion == 0 && errors.Is(err, ErrPrecondition) {
			continue // somebody was faster, perhaps with the same secret
		}
		if ctx.Err() == nil {
			news = from.reads.note(err, from.Every, s.instant(), s.rand())
		}
		return k, news, wrap(err, "source of key %q", name)
	}
	return nil, false, busy(name)
}

// stored returns a key as it is in the store now.
func (s *Service) stored(ctx context.Context, tenant, name string) (*Key, error) {
	part := s.keys.part(name)
	part.change.Lock()
	defer part.change.Unlock()
	_, err := s.reload(ctx, tenant, name)
	return s.keys.get(tenant, name), err
}

// take adds a version with a secret of the source and lets it sign, if no
// version does or will that has it.
func (e *edit) take(ctx context.Context, got copied, r Rotation, alone bool) error {
	var signs, pending *versionDoc
	for i := range e.doc.Versions {
		v := &e.doc.Versions[i]
		same, err := e.has(v, got.secret)
		switch {
		case err != nil:
			return err
		case !same:
		case v.State == keyring.Revoked:
			return fault.New(fault.Invalid, "source: it has the secret of version %d of key %q, which is revoked: change it there", v.Version, e.doc.Name)
		case v.State == keyring.Active:
			signs = v
		case v.State == keyring.Pending:
			pending = v
		}
	}
	switch {
	case signs != nil && r.RevokeCurrent:
		return e.conflict(keyring.ErrTransition, "the source of key %q still has the secret of version %d: change it there, then rotate again", e.doc.Name, signs.Version)
	case signs != nil, pending != nil && !r.RevokeCurrent:
		return nil
	case pending != nil:
		return e.promote(pending, true)
	}
	e.source = got.secret
	v, err := e.add(ctx, r.grace(e.keep))
	if err != nil {
		return err
	}
	from := e.doc.Source
	from.Version, from.ChangedAt = got.version, e.now
	e.note("key.source", detail{"version": v.Version, "provider": from.Provider, "name": from.Name, "source_version": got.version})
	if !alone && !r.RevokeCurrent {
		return nil
	}
	return e.promote(v, r.RevokeCurrent)
}

// has reports whether s is the secret of v.
func (e *edit) has(v *versionDoc, s secret.Bytes) (bool, error) {
	if v.State == keyring.Destroyed {
		return false, nil
	}
	own, err := e.data.open(v.Ciphertext, e.doc.Name, v.Version)
	return err == nil && mac.Equal(own.Expose(), s.Expose()), err
}

// ReadSources reads once the sources that are due, and takes the secrets that
// have changed. What failed is returned, unless it failed in the same way
// before. A provider that is away is left alone for the rest of the call, so
// that it does not hold up the others. A node whose keys must not be used reads
// nothing.
func (s *Service) ReadSources(ctx context.Context) error {
	if s.Usable() != nil {
		return nil
	}
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		errs  []error
		away  = map[string]bool{} // providers
		room  = make(chan struct{}, parallelReads)
	)
	due, _ := s.keys.sourced(s.now())
	for _, k := range due {
		room <- struct{}{}
		mu.Lock()
		skip := away[k.Source.Provider] || ctx.Err() != nil
		mu.Unlock()
		if skip {
			<-room
			continue
		}
		group.Go(func() {
			defer func() { <-room }()
			news, err := s.readDue(ctx, k)
			mu.Lock()
			defer mu.Unlock()
			away[k.Source.Provider] = away[k.Source.Provider] || fault.KindOf(err) == fault.Unavailable
			if news {
				errs = append(errs, err)
			}
		})
	}
	group.Wait()
	_, troubled := s.keys.sourced(s.now())
	s.troubled.Store(int64(troubled))
	return errors.Join(errs...)
}

// SourceTroubles returns how many keys had a source that could not be used
// after the last [Service.ReadSources].
func (s *Service) SourceTroubles() int { return int(s.troubled.Load()) }

// readDue reads the source of k. That costs the store nothing if the secret has
// not changed.
func (s *Service) readDue(ctx context.Context, k *Key) (news bool, err error) {
	got, err := s.read(ctx, k.Tenant, k.Source)
	if err == nil && !k.uses(got.secret) {
		_, news, err = s.copyNow(ctx, access.System(k.Tenant), k.Name, 0, Rotation{})
		return news, err
	}
	if ctx.Err() == nil {
		news = k.Source.reads.note(err, k.Source.Every, s.instant(), s.rand())
	}
	return news, wrap(err, "source of key %q", k.Name)
}

// uses reports whether s is the secret of the version that signs or will.
func (k *Key) uses(s secret.Bytes) bool {
	for i := range k.Versions {
		v := &k.Versions[i]
		if v.State != keyring.Active && v.State != keyring.Pending {
			continue
		}
		if own, err := k.Ring.Version(v.Version); err == nil && mac.Equal(own.Secret.Expose(), s.Expose()) {
			return true
		}
	}
	return false
}

// sourced returns the keys whose source is to be read at now, and how many have
// one that could not be used.
func (s *snapshot) sourced(now time.Time) (due []*Key, troubled int) {
	for i := range s.parts {
		for _, slot := range *s.parts[i].keys.Load() {
			k := slot.Load()
			if k.Source == nil || k.Deleted {
				continue
			}
			if k.Source.reads.due(now) {
				due = append(due, k)
			}
			if _, trouble := k.Source.Checked(); trouble != "" {
				troubled++
			}
		}
	}
	return due, troubled
}
