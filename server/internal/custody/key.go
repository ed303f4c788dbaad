package custody

import (
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Key is one key with all its versions at one moment. It never changes and is
// shared: a rotation makes another one.
type Key struct {
	Tenant      string
	Name        string // unique in the tenant, also after the key is deleted
	ID          string // as it stands in signatures
	Algorithm   mac.Algorithm
	Exportable  bool // Reveal returns the secret
	CreatedAt   time.Time
	Deleted     bool
	ETagVersion int64         // 1 for a new key, one more with every change
	Ring        *keyring.Ring // nil for a native key
	Versions    []VersionInfo // ascending; not to be changed
	Signing     int           // the version that signs
	Purpose     string        // what it may be used for; empty means everything
	Schedule    *Schedule     // nil means none; not to be changed
	Source      *Source       // where its secret comes from; nil means nowhere else; not to be changed

	now     func() time.Time
	current func() bool   // as in [Options.Current]
	home    *Service      // that shows the key; nil for one that cannot be read
	seq     int64         // of the commit of this process that made it; 0 if it was loaded
	unread  error         // why the key cannot be used: what is stored could not be read
	due     time.Time     // when something is to be done to it; zero means never
	usage   []*usage      // of each of Versions
	revoked *keyring.Ring // nil if no version is revoked
	devices *devices      // nil if the key is not native
}

// ErrRevoked means that a message was signed with a version that is revoked:
// with a secret that others know.
var ErrRevoked = errors.New("key version is revoked")

// VersionInfo is what may be known about one version of a key. A time is zero
// if it has not come.
type VersionInfo struct {
	Version     int           // 1 or more
	State       keyring.State // as it is stored, see [VersionInfo.StateAt]
	CreatedAt   time.Time
	ActivatedAt time.Time
	RetiredAt   time.Time
	RevokedAt   time.Time
	DestroyAt   time.Time // when the waiting period ends
	DestroyedAt time.Time
	NotBefore   time.Time // inclusive; zero means no limit
	NotAfter    time.Time // exclusive; zero means no limit; of a version in grace, the end of that
	Signs       bool
	Bytes       int       // length of the secret; 0 once it is destroyed, and of a native key
	Native      NativeKey // zero if it is not native, and once it is destroyed
}

// StateAt returns the state at t: a version whose grace period is over counts
// as retired, also before that is stored.
func (v *VersionInfo) StateAt(t time.Time) keyring.State {
	if v.State == keyring.Grace && !v.NotAfter.IsZero() && !t.Before(v.NotAfter) {
		return keyring.Retired
	}
	return v.State
}

// State returns the state of a version now, empty if there is none.
func (k *Key) State(version int) keyring.State {
	state, _ := k.Standing(version)
	return state
}

// Standing is [Key.State] and, of a version in grace, the end of that, which is
// exclusive; the time is zero in every other state.
func (k *Key) Standing(version int) (state keyring.State, until time.Time) {
	for i := len(k.Versions) - 1; i >= 0; i-- {
		v := &k.Versions[i]
		if v.Version != version {
			continue
		}
		if state = v.StateAt(k.now()); state == keyring.Grace {
			until = v.NotAfter
		}
		return state, until
	}
	return "", time.Time{}
}

// MAC returns the prepared MAC key of a version, of the one that signs for 0.
// It allocates nothing once it was called for the version. The error is of
// kind [fault.NotFound] if the key has no such version or it does not verify
// now, with [ErrRevoked] if it is revoked, and that of [Key.Unsure] if it could
// have it.
func (k *Key) MAC(version int) (*mac.Key, error) { return k.macAt(version, k.now()) }

func (k *Key) macAt(version int, now time.Time) (*mac.Key, error) {
	if err := k.refuseNative("sign or verify a message itself"); err != nil {
		return nil, err
	}
	if version == 0 {
		version = k.Signing
	}
	v, err := k.Ring.Version(version)
	if err != nil {
		return nil, k.absent(version, err)
	}
	if !v.ValidAt(now) {
		return nil, fault.New(fault.NotFound, "version %d of key %q is not valid now", version, k.Name)
	}
	return k.prepared(v)
}

// absent says why a version is not in the ring.
func (k *Key) absent(version int, err error) error {
	switch state := k.State(version); state {
	case "":
		if err := k.Unsure(); err != nil {
			return err
		}
		return fault.New(fault.NotFound, "key %q has no version %d", k.Name, version).Because(err)
	case keyring.Revoked:
		return fault.New(fault.NotFound, "version %d of key %q is revoked", version, k.Name).Because(ErrRevoked)
	default:
		return fault.New(fault.NotFound, "version %d of key %q is %s", version, k.Name, state).Because(err)
	}
}

// Unsure returns an error of kind [fault.Unavailable] if k could have a version
// that this node has not heard of: a tag that none of its versions made may be
// right all the same. A version that is here is sure.
func (k *Key) Unsure() error {
	if k.current == nil || k.current() {
		return nil
	}
	return fault.New(fault.Unavailable, "this node does not know whether key %q has other versions, since it does not reach the database", k.Name)
}

func (k *Key) prepared(v *keyring.Key) (*mac.Key, error) {
	m, err := v.Prepared(k.Algorithm.String(), func(s secret.Bytes) (*mac.Key, error) {
		return mac.New(k.Algorithm, s)
	})
	if err != nil {
		return nil, fault.New(fault.Internal, "version %d of key %q cannot be used", v.Version, k.Name).Because(err)
	}
	return m, nil
}

// Sign appends the tag of the concatenation of message to dst, made with the
// version that signs. The parts are not separated, see [mac.Key.Sum].
func (k *Key) Sign(dst []byte, message ...[]byte) (tag []byte, version int, err error) {
	now := k.now()
	m, err := k.macAt(0, now)
	if err != nil {
		return nil, 0, err
	}
	if tag, err = m.Sum(dst, message...); err == nil {
		k.used(k.Signing, now)
	}
	return tag, k.Signing, err
}

// Verify reports whether tag is the full tag of message, and with which
// version. Version 0 tries the versions that are valid now: the one that
// signs, then the newest, [keyring.MaxCandidates] in all. Without success it
// returns the version it was given; whether others than those that this node
// knows could have made the tag says [Key.Unsure].
func (k *Key) Verify(tag []byte, version int, message []byte) (int, bool) {
	now := k.now()
	if version != 0 {
		m, err := k.macAt(version, now)
		if err != nil || !m.Verify(tag, message) {
			return version, false
		}
		k.used(version, now)
		return version, true
	}
	var space [keyring.MaxCandidates]*keyring.Key
	for _, v := range k.Ring.AppendCandidates(space[:0], "", now) {
		if m, err := k.prepared(v); err == nil && m.Verify(tag, message) {
			k.used(v.Version, now)
			return v.Version, true
		}
	}
	return 0, false
}

// RevokedBy returns the revoked version that made tag for message, and whether
// there is one. It is for the reason of a refusal: the tag is not valid.
func (k *Key) RevokedBy(tag, message []byte) (version int, ok bool) {
	for _, v := range k.RevokedVersions() {
		if m, err := k.prepared(v); err == nil && m.Verify(tag, message) {
			version, ok = v.Version, true
		}
	}
	return version, ok
}

// RevokedVersions returns the newest revoked versions, at most
// [keyring.MaxCandidates]. They serve to say why a tag is refused, and for
// nothing else.
func (k *Key) RevokedVersions() []*keyring.Key {
	return k.revoked.AppendCandidates(nil, "", time.Time{})
}

// RevokedMAC is [Key.MAC] for a version of [Key.RevokedVersions].
func (k *Key) RevokedMAC(v *keyring.Key) (*mac.Key, error) { return k.prepared(v) }

// Signature returns the standard form of a tag that [Key.Sign] made with
// version.
func (k *Key) Signature(tag []byte, version int) api.Signature {
	return api.Signature{Algorithm: k.Algorithm, Native: k.Native(), Tag: tag, KeyID: k.ID, Version: version}
}

// MACFor returns the MAC key that a signature in the standard form names, if
// its key ID, version and algorithm are those of k. There is no other way to
// verify such a signature. The error wraps [sealwright.ErrUnknownKey] for
// another key ID or a version that does not exist or is not valid now, and
// [sealwright.ErrPolicy] for another algorithm.
func (k *Key) MACFor(s api.Signature) (*mac.Key, error) {
	if err := k.names(s); err != nil {
		return nil, err
	}
	m, err := k.MAC(s.Version)
	return m, unknown(err)
}

// names returns a refusal if s is not by this key, or not in its way.
func (k *Key) names(s api.Signature) error {
	if s.KeyID != k.ID {
		return sealwright.Refusef(sealwright.ErrUnknownKey, "signature names key ID %q, the key has %q", s.KeyID, k.ID)
	}
	if s.Algorithm != k.Algorithm {
		return sealwright.Refusef(sealwright.ErrPolicy, "signature names %v, the key has %v", s.Algorithm, k.Algorithm)
	}
	if s.Native != k.Native() {
		return sealwright.Refusef(sealwright.ErrPolicy, "signature of a native key: %t, the key is one: %t", s.Native, k.Native())
	}
	if s.Version < 1 {
		return sealwright.Refusef(sealwright.ErrUnknownKey, "signature names version %d", s.Version)
	}
	return nil
}

// unknown makes a refusal of the error that a version does not verify.
func unknown(err error) error {
	switch {
	case fault.KindOf(err) != fault.NotFound:
		return err
	case errors.Is(err, ErrRevoked):
		return revokedError{fault.Public(err)}
	}
	return fmt.Errorf("%w: %s", sealwright.ErrUnknownKey, fault.Public(err))
}

// VerifySignature returns nil if s is the signature of message by k. Otherwise
// the error is that of [Key.MACFor], or wraps [sealwright.ErrMismatch].
func (k *Key) VerifySignature(s api.Signature, message []byte) error {
	m, err := k.MACFor(s)
	if err != nil {
		return err
	}
	if !m.Verify(s.Tag, message) {
		return sealwright.ErrMismatch
	}
	k.Used(s.Version)
	return nil
}
