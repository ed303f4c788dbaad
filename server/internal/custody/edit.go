package custody

import (
	"context"
	"slices"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// edit is a change of one key under way: the document as it will be stored,
// and what there will be entries about. It does no I/O but that of its order.
type edit struct {
	doc   keyDoc
	data  *dataKey
	now   time.Time
	keep  time.Duration // grace period if none is given
	wait  time.Duration // before material is destroyed
	why   string        // given by the caller, for the entries
	order *order        // of a native key, for the version that is added; asks the key service

	source secret.Bytes // of a key with a source, for the version that is added

	notes []note
}

type note struct {
	action string
	about  detail
}

func (e *edit) note(action string, about detail) {
	if e.why != "" {
		if about == nil {
			about = detail{}
		}
		about["why"] = e.why
	}
	e.notes = append(e.notes, note{action, about})
}

// alive returns an error of kind [fault.NotFound] for a deleted key.
func (e *edit) alive() error {
	if !e.doc.DeletedAt.IsZero() {
		return noKey(e.doc.Name)
	}
	return nil
}

// version returns a version, or an error of kind [fault.NotFound].
func (e *edit) version(version int) (*versionDoc, error) {
	for i := range e.doc.Versions {
		if v := &e.doc.Versions[i]; v.Version == version {
			return v, nil
		}
	}
	return nil, fault.New(fault.NotFound, "key %q has no version %d", e.doc.Name, version)
}

// happen lets an event happen to a version. What the state does not allow is
// of kind [fault.Conflict] and wraps [keyring.ErrTransition].
func (e *edit) happen(v *versionDoc, event keyring.Event) error {
	from := v.State
	to, err := keyring.Next(from, event)
	if err != nil {
		return e.conflict(err, "version %d of key %q is %s: it cannot %s", v.Version, e.doc.Name, from, words[event])
	}
	v.State = to
	switch event {
	case keyring.Promote:
		v.ActivatedAt, e.doc.Signing, v.Grace = e.now, v.Version, 0
	case keyring.Expire:
		v.RetiredAt = v.GraceUntil
	case keyring.Retire:
		v.RetiredAt = e.now
	case keyring.Restore:
		v.RetiredAt = time.Time{}
	case keyring.Revoke:
		v.RevokedAt = e.now
	case keyring.ScheduleDestroy:
		v.DestroyAt = e.now.Add(e.wait)
	case keyring.CancelDestroy:
		v.DestroyAt = time.Time{}
	}
	about := detail{"version": v.Version, "to": string(to)}
	if v.Native != nil && (event == keyring.Add || event == keyring.Destroy) {
		about["native"] = v.Native.String() // for who is to look after it there
	}
	if event == keyring.Destroy {
		v.DestroyedAt, v.DestroyAt, v.Ciphertext, v.Native = e.now, time.Time{}, nil, nil
	}
	if from != "" {
		about["from"] = string(from)
	}
	e.note("version."+string(event), about)
	return nil
}

func (e *edit) conflict(cause error, format string, args ...any) error {
	return fault.New(fault.Conflict, format, args...).Because(cause)
}

// words say what a version cannot do.
var words = map[keyring.Event]string{
	keyring.Promote: "be promoted", keyring.Supersede: "be superseded", keyring.Expire: "expire", keyring.Retire: "be retired",
	keyring.Restore: "be restored", keyring.Revoke: "be revoked", keyring.ScheduleDestroy: "be destroyed",
	keyring.CancelDestroy: "be kept, since nothing is to destroy it", keyring.Destroy: "be destroyed",
}

// expire retires the versions whose grace period is over.
func (e *edit) expire() error {
	why := e.why
	e.why = ""
	defer func() { e.why = why }()
	for i := range e.doc.Versions {
		v := &e.doc.Versions[i]
		if v.State == keyring.Grace && !v.GraceUntil.IsZero() && !e.now.Before(v.GraceUntil) {
			if err := e.happen(v, keyring.Expire); err != nil {
				return err
			}
		}
	}
	return nil
}

// add adds a pending version with a random secret, the native key of the order,
// or what the source has.
func (e *edit) add(ctx context.Context, grace time.Duration) (*versionDoc, error) {
	if n := len(e.doc.Versions); n >= MaxVersions {
		return nil, fault.New(fault.Invalid, "key %q has %d versions, which is the most a key can have", e.doc.Name, n)
	}
	if v := e.doc.pending(); v != nil {
		return nil, e.conflict(keyring.ErrTransition,
			"version %d of key %q is pending: wait until all nodes have it, or promote, retire or revoke it", v.Version, e.doc.Name)
	}
	version := e.doc.Versions[len(e.doc.Versions)-1].Version + 1
	next := versionDoc{Version: version, CreatedAt: e.now, Grace: grace}
	switch {
	case e.doc.Native:
		native, err := e.order.obtain(ctx, e.doc.Name, version, e.doc.signingProvider())
		if err != nil {
			return nil, err
		}
		for i := range e.doc.Versions {
			if v := &e.doc.Versions[i]; v.nativeKey() == native {
				return nil, fault.New(fault.Invalid, "native.key: version %d of key %q has this one, name another", v.Version, e.doc.Name)
			}
		}
		next.Origin, next.Native = originNative, &native
	case e.doc.Source != nil && e.source.IsZero():
		return nil, errSourced
	case e.doc.Source != nil:
		next.Origin, next.Ciphertext = originSourced, e.data.seal(e.source, e.doc.Name, version)
	default:
		algorithm, err := mac.Parse(e.doc.Algorithm)
		if err != nil {
			return nil, err
		}
		next.Origin, next.Ciphertext = originGenerated, e.data.seal(generate(algorithm), e.doc.Name, version)
	}
	e.doc.Versions = append(e.doc.Versions, next)
	v := &e.doc.Versions[len(e.doc.Versions)-1]
	return v, e.happen(v, keyring.Add)
}

// promote lets a pending version sign. The one before it goes on verifying for
// the grace period, or is revoked.
func (e *edit) promote(v *versionDoc, revokeCurrent bool) error {
	before, err := e.version(e.doc.Signing)
	if err != nil {
		return err
	}
	grace := v.Grace
	if err := e.happen(v, keyring.Promote); err != nil {
		return err
	}
	if revokeCurrent {
		return e.happen(before, keyring.Revoke)
	}
	before.GraceUntil = e.now.Add(grace)
	if err := e.happen(before, keyring.Supersede); err != nil || grace > 0 {
		return err
	}
	return e.expire()
}

// pending returns the version that is to be promoted, or nil.
func (d *keyDoc) pending() *versionDoc {
	i := slices.IndexFunc(d.Versions, func(v versionDoc) bool { return v.State == keyring.Pending })
	if i < 0 {
		return nil
	}
	return &d.Versions[i]
}

// due returns when something is to be done to the key without being asked,
// zero for never.
func (d *keyDoc) due() time.Time {
	var due time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	for i := range d.Versions {
		switch v := &d.Versions[i]; v.State {
		case keyring.Pending:
			sooner(v.CreatedAt)
		case keyring.Grace:
			sooner(v.GraceUntil)
		case keyring.Retired, keyring.Revoked:
			sooner(v.DestroyAt)
		}
	}
	if d.Schedule != nil {
		sooner(d.Schedule.At)
	}
	return due
}

// end returns the first instant at which the version no longer verifies.
func (v *versionDoc) end() time.Time {
	if g := v.GraceUntil; v.State == keyring.Grace && !g.IsZero() && (v.NotAfter.IsZero() || g.Before(v.NotAfter)) {
		return g
	}
	return v.NotAfter
}

func (v *versionDoc) info() VersionInfo {
	return VersionInfo{
		Version: v.Version, State: v.State, CreatedAt: v.CreatedAt, ActivatedAt: v.ActivatedAt, RetiredAt: v.RetiredAt,
		RevokedAt: v.RevokedAt, DestroyAt: v.DestroyAt, DestroyedAt: v.DestroyedAt,
		NotBefore: v.NotBefore, NotAfter: v.end(), Signs: v.State.Signs(), Native: v.nativeKey(),
	}
}

// nativeKey returns the zero value if there is none.
func (v *versionDoc) nativeKey() NativeKey {
	if v.Native == nil {
		return NativeKey{}
	}
	return *v.Native
}
