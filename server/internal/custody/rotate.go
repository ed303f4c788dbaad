package custody

import (
	"context"
	"errors"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Bounds and defaults of rotations.
const (
	DefaultGrace       = 7 * 24 * time.Hour
	MinGrace           = time.Second // as default; a rotation may ask for none
	MaxGrace           = 5 * 366 * 24 * time.Hour
	DefaultPromote     = 5 * time.Minute // see [Options.PromoteAfter]
	MinPromote         = 10 * time.Second
	MaxPromote         = 24 * time.Hour
	DefaultDestroyWait = 7 * 24 * time.Hour // see [Options.DestroyWait]
	MinDestroyWait     = time.Hour
	MaxDestroyWait     = 366 * 24 * time.Hour
	MinEvery           = time.Hour // between two scheduled rotations
	MaxWhy             = 200       // bytes of a reason for an entry
)

// Rotation says how a key is rotated. The zero value is: now, with the default
// grace period.
type Rotation struct {
	Grace         *time.Duration // how long the old version verifies on, 0 to [MaxGrace]; nil means the default
	At            time.Time      // zero means now; otherwise it is only scheduled
	RevokeCurrent bool           // the secret is known to others: revoke the old version in the same commit
	Why           string         // for the log, at most [MaxWhy] bytes

	// Native is the key of the new version of a native key. Members that are
	// empty, and nil, mean the key service that signs until now, and a key that
	// it makes.
	Native *NativeKey
}

// Schedule is when a key is rotated without being asked.
type Schedule struct {
	At    time.Time     `json:"at"`                 // of the next rotation
	Every time.Duration `json:"every_ns,omitempty"` // 0 means once
	Grace time.Duration `json:"grace_ns"`
}

// Rotate adds a version with a random secret, or the next native key, and promotes it as soon as every
// live node knows it, see [Options.Nodes]; without other nodes, at once. The
// version that signed until then verifies for the grace period. An emergency,
// with RevokeCurrent, waits for nobody.
//
// The secret of a key with a source is not random: the source is read. If it
// has still the same secret, nothing changes, which is no error except in an
// emergency.
//
// Unless ifVersion is 0, the key must have this ETagVersion. The error is of
// kind [fault.NotFound], [fault.Denied], [fault.Invalid] for a key of
// [MaxVersions] or a wrong [Rotation], or [fault.Conflict], with
// [ErrPrecondition] if it is about ifVersion and [keyring.ErrTransition] if a
// rotation is half finished. It is of kind [fault.Unavailable] also if the key
// service of a native key makes none.
func (s *Service) Rotate(ctx context.Context, caller access.Caller, name string, ifVersion int64, r Rotation) (*Key, error) {
	if err := r.check(s.now()); err != nil {
		return nil, err
	}
	order := s.order(r.Native)
	k, err := s.change(ctx, caller, access.KeyRotate, name, ifVersion, func(e *edit) error {
		if err := e.alive(); err != nil {
			return err
		}
		if e.doc.Source != nil {
			return errSourced
		}
		if err := e.checkNative(&s.devices, r); err != nil {
			return err
		}
		e.why, e.order = r.Why, order
		if !r.At.IsZero() {
			next := Schedule{At: r.At.UTC().Truncate(time.Microsecond), Grace: r.grace(e.keep)}
			if old := e.doc.Schedule; old != nil && old.Every > 0 { // goes on from there
				next.Every, next.Grace = old.Every, r.grace(old.Grace)
			}
			if err := next.checkOverlap(); err != nil {
				return err
			}
			return e.schedule(&next)
		}
		return e.rotate(ctx, r, s.nodes == nil)
	})
	if errors.Is(err, errSourced) {
		return s.rotateFromSource(ctx, caller, name, ifVersion, r)
	}
	return k, order.unused(k, err)
}

func (r Rotation) check(now time.Time) error {
	switch {
	case r.Grace != nil && (*r.Grace < 0 || *r.Grace > MaxGrace):
		return fault.New(fault.Invalid, "grace: got %v, want 0 to %v", *r.Grace, MaxGrace)
	case r.RevokeCurrent && r.Grace != nil:
		return fault.New(fault.Invalid, "revoke_current: a revoked version has no grace")
	case r.RevokeCurrent && !r.At.IsZero():
		return fault.New(fault.Invalid, "revoke_current: an emergency is not scheduled, leave at out")
	case !r.At.IsZero() && !r.At.After(now):
		return fault.New(fault.Invalid, "at: got %s, which is not ahead", r.At.UTC().Format(time.RFC3339))
	}
	return checkWhy(r.Why)
}

func checkWhy(why string) error {
	if len(why) > MaxWhy {
		return fault.New(fault.Invalid, "why: got %d bytes, want at most %d", len(why), MaxWhy)
	}
	return nil
}

func (r Rotation) grace(fallback time.Duration) time.Duration {
	if r.Grace == nil {
		return fallback
	}
	return *r.Grace
}

// rotate adds a version and, if nobody has to learn of it first, promotes it.
// In an emergency a version that is pending already is as good as a new one.
func (e *edit) rotate(ctx context.Context, r Rotation, alone bool) error {
	var err error
	v := e.doc.pending()
	if v == nil || !r.RevokeCurrent {
		v, err = e.add(ctx, r.grace(e.keep))
	}
	if err != nil || !alone && !r.RevokeCurrent {
		return err
	}
	return e.promote(v, r.RevokeCurrent)
}

// maxOverlap is how many versions in grace a schedule may keep: beside them the
// version that signs and one that is pending are tried.
const maxOverlap = keyring.MaxCandidates - 2

// checkOverlap refuses a grace in which not all versions would be tried.
func (s *Schedule) checkOverlap() error {
	if s.Every == 0 || s.Grace <= maxOverlap*s.Every {
		return nil
	}
	return fault.New(fault.Invalid, "grace: got %s for a rotation every %s, want %s at most: of more versions not all would be tried",
		api.FormatDuration(s.Grace), api.FormatDuration(s.Every), api.FormatDuration(maxOverlap*s.Every))
}

// SetSchedule rotates a key at set.At and then, unless set.Every is 0, every
// set.Every; nil ends the schedule. A zero set.At means after set.Every, a
// negative set.Grace the default. A grace is at most [maxOverlap] times
// set.Every, so that all versions in it are tried; the default is shortened to
// that. Errors are those of [Service.Rotate].
func (s *Service) SetSchedule(ctx context.Context, caller access.Caller, name string, ifVersion int64, set *Schedule) (*Key, error) {
	return s.change(ctx, caller, access.KeyRotate, name, ifVersion, func(e *edit) error {
		if err := e.alive(); err != nil {
			return err
		}
		if set == nil {
			return e.schedule(nil)
		}
		if e.doc.Source != nil {
			return fault.New(fault.Invalid, "the secret of key %q changes at its source, and every read follows", name)
		}
		if err := e.checkSchedule(&s.devices); err != nil {
			return err
		}
		next := *set
		next.At = next.At.UTC().Truncate(time.Microsecond)
		if next.At.IsZero() && next.Every > 0 {
			next.At = e.now.Add(next.Every)
		}
		if next.Grace < 0 {
			next.Grace = e.keep
			if next.Every > 0 {
				next.Grace = min(e.keep, maxOverlap*next.Every)
			}
		}
		switch {
		case next.Every != 0 && (next.Every < MinEvery || next.Every > MaxGrace):
			return fault.New(fault.Invalid, "every: got %v, want %v to %v", next.Every, MinEvery, MaxGrace)
		case !next.At.After(e.now):
			return fault.New(fault.Invalid, "at: got no time that is ahead")
		case next.Grace > MaxGrace:
			return fault.New(fault.Invalid, "grace: got %v, want 0 to %v", next.Grace, MaxGrace)
		}
		if err := next.checkOverlap(); err != nil {
			return err
		}
		return e.schedule(&next)
	})
}

func (e *edit) schedule(next *Schedule) error {
	if next == nil {
		if e.doc.Schedule != nil {
			e.doc.Schedule = nil
			e.note("key.schedule", detail{"ended": true})
		}
		return nil
	}
	e.doc.Schedule = next
	e.note("key.schedule", detail{"at": next.At.Format(time.RFC3339), "every": next.Every.String(), "grace": next.Grace.String()})
	return nil
}

// Promote lets a pending version sign before all nodes are known to have it.
// The error is of kind [fault.Conflict] if it is not pending.
func (s *Service) Promote(ctx context.Context, caller access.Caller, name string, ifVersion int64, version int, why string) (*Key, error) {
	return s.changeVersion(ctx, caller, access.KeyPromote, name, ifVersion, version, why, func(e *edit, v *versionDoc) error {
		return e.promote(v, false)
	})
}

// Revoke refuses a version for good, at once. The version that signs cannot go
// without a successor: that is [Rotation.RevokeCurrent], and otherwise of kind
// [fault.Conflict].
func (s *Service) Revoke(ctx context.Context, caller access.Caller, name string, ifVersion int64, version int, why string) (*Key, error) {
	return s.changeVersion(ctx, caller, access.KeyRevoke, name, ifVersion, version, why, func(e *edit, v *versionDoc) error {
		if v.State.Signs() {
			return e.conflict(keyring.ErrTransition,
				"version %d of key %q signs: rotate with revoke_current, which revokes it and lets a new one sign", version, name)
		}
		return e.happen(v, keyring.Revoke)
	})
}

// Retire archives a version: it verifies nothing until it is restored.
func (s *Service) Retire(ctx context.Context, caller access.Caller, name string, ifVersion int64, version int, why string) (*Key, error) {
	return s.changeVersion(ctx, caller, access.KeyRetire, name, ifVersion, version, why, func(e *edit, v *versionDoc) error {
		return e.happen(v, keyring.Retire)
	})
}

// RestoreVersion lets a retired version verify again, for another grace period
// of the default length. One that is to be destroyed is of kind
// [fault.Conflict].
func (s *Service) RestoreVersion(ctx context.Context, caller access.Caller, name string, ifVersion int64, version int, why string) (*Key, error) {
	return s.changeVersion(ctx, caller, access.KeyRestore, name, ifVersion, version, why, func(e *edit, v *versionDoc) error {
		if !v.DestroyAt.IsZero() {
			return e.conflict(keyring.ErrTransition, "version %d of key %q is to be destroyed: cancel that first", version, name)
		}
		v.GraceUntil = e.now.Add(e.keep)
		return e.happen(v, keyring.Restore)
	})
}

// Destroy begins the waiting period after which the material of a retired or
// revoked version is removed. Once that is over, the material goes by itself,
// or with a second call. In between it is of kind [fault.Conflict].
func (s *Service) Destroy(ctx context.Context, caller access.Caller, name string, ifVersion int64, version int, why string) (*Key, error) {
	return s.changeVersion(ctx, caller, access.KeyDestroy, name, ifVersion, version, why, func(e *edit, v *versionDoc) error {
		switch {
		case v.DestroyAt.IsZero():
			return e.happen(v, keyring.ScheduleDestroy)
		case e.now.Before(v.DestroyAt):
			return e.conflict(keyring.ErrTransition, "version %d of key %q will be destroyed at %s, not before",
				version, name, v.DestroyAt.Format(time.RFC3339))
		}
		return e.happen(v, keyring.Destroy)
	})
}

// CancelDestroy breaks off the waiting period of [Service.Destroy]. Without
// one it is of kind [fault.Conflict].
func (s *Service) CancelDestroy(ctx context.Context, caller access.Caller, name string, ifVersion int64, version int, why string) (*Key, error) {
	return s.changeVersion(ctx, caller, access.KeyDestroy, name, ifVersion, version, why, func(e *edit, v *versionDoc) error {
		if v.DestroyAt.IsZero() {
			return e.conflict(keyring.ErrTransition, "version %d of key %q is not about to be destroyed", version, name)
		}
		return e.happen(v, keyring.CancelDestroy)
	})
}

// changeVersion is change for one version of a key that is not deleted.
func (s *Service) changeVersion(ctx context.Context, caller access.Caller, action access.Action, name string, ifVersion int64,
	version int, why string, next func(*edit, *versionDoc) error,
) (*Key, error) {
	if err := checkWhy(why); err != nil {
		return nil, err
	}
	return s.change(ctx, caller, action, name, ifVersion, func(e *edit) error {
		if err := e.alive(); err != nil {
			return err
		}
		v, err := e.version(version)
		if err != nil {
			return err
		}
		e.why = why
		return next(e, v)
	})
}

// Delete ends a key: it neither signs nor verifies, [Service.Get] does not
// find it, and its name stays taken. [Service.Restore] brings it back. Errors
// are those of [Service.Rotate].
func (s *Service) Delete(ctx context.Context, caller access.Caller, name string, ifVersion int64) error {
	_, err := s.change(ctx, caller, access.KeyDelete, name, ifVersion, func(e *edit) error {
		if err := e.alive(); err != nil {
			return err
		}
		e.doc.DeletedAt = e.now
		e.note(string(access.KeyDelete), nil)
		return nil
	})
	return err
}

// Restore brings a deleted key back as it was, without the versions whose
// grace period is over. A key that is not deleted is of kind [fault.Conflict].
func (s *Service) Restore(ctx context.Context, caller access.Caller, name string, why string) (*Key, error) {
	if err := checkWhy(why); err != nil {
		return nil, err
	}
	return s.change(ctx, caller, access.KeyRestore, name, 0, func(e *edit) error {
		if e.doc.DeletedAt.IsZero() {
			return e.conflict(keyring.ErrTransition, "key %q is not deleted", name)
		}
		e.doc.DeletedAt, e.why = time.Time{}, why
		e.note("key.restore", nil)
		return nil
	})
}
