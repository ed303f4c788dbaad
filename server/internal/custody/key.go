package custody

import (
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
	ETagVersion int64 // 1 for a new key, one more with every change
	Ring        *keyring.Ring
	Versions    []VersionInfo // ascending; not to be changed
	Signing     int           // the version that signs

	now func() time.Time
}

// VersionInfo is what may be known about one version of a key.
type VersionInfo struct {
	Version   int // 1 or more
	CreatedAt time.Time
	NotBefore time.Time // inclusive; zero means no limit
	NotAfter  time.Time // exclusive; zero means no limit
	Signs     bool
	Bytes     int // length of the secret
}

// MAC returns the prepared MAC key of a version, of the one that signs for 0.
// It allocates nothing once it was called for the version. The error is of
// kind [fault.NotFound] if the key has no such version or it is not valid now.
func (k *Key) MAC(version int) (*mac.Key, error) {
	if version == 0 {
		version = k.Signing
	}
	v, err := k.Ring.Version(version)
	if err != nil {
		return nil, fault.New(fault.NotFound, "key %q has no version %d", k.Name, version).Because(err)
	}
	if !v.ValidAt(k.now()) {
		return nil, fault.New(fault.NotFound, "version %d of key %q is not valid now", version, k.Name)
	}
	return k.prepared(v)
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
	m, err := k.MAC(0)
	if err != nil {
		return nil, 0, err
	}
	tag, err = m.Sum(dst, message...)
	return tag, k.Signing, err
}

// Verify reports whether tag is the full tag of message, and with which
// version. Version 0 tries the versions that are valid now: the one that
// signs, then the newest, [keyring.MaxCandidates] in all. Without success it
// returns the version it was given.
func (k *Key) Verify(tag []byte, version int, message []byte) (int, bool) {
	if version != 0 {
		m, err := k.MAC(version)
		return version, err == nil && m.Verify(tag, message)
	}
	var space [keyring.MaxCandidates]*keyring.Key
	for _, v := range k.Ring.AppendCandidates(space[:0], "", k.now()) {
		if m, err := k.prepared(v); err == nil && m.Verify(tag, message) {
			return v.Version, true
		}
	}
	return 0, false
}

// Signature returns the standard form of a tag that [Key.Sign] made with
// version.
func (k *Key) Signature(tag []byte, version int) api.Signature {
	return api.Signature{Algorithm: k.Algorithm, Tag: tag, KeyID: k.ID, Version: version}
}

// MACFor returns the MAC key that a signature in the standard form names, if
// its key ID, version and algorithm are those of k. There is no other way to
// verify such a signature. The error wraps [sealwright.ErrUnknownKey] for
// another key ID or a version that does not exist or is not valid now, and
// [sealwright.ErrPolicy] for another algorithm.
func (k *Key) MACFor(s api.Signature) (*mac.Key, error) {
	if s.KeyID != k.ID {
		return nil, sealwright.Refusef(sealwright.ErrUnknownKey, "signature names key ID %q, the key has %q", s.KeyID, k.ID)
	}
	if s.Algorithm != k.Algorithm {
		return nil, sealwright.Refusef(sealwright.ErrPolicy, "signature names %v, the key has %v", s.Algorithm, k.Algorithm)
	}
	if s.Version < 1 {
		return nil, sealwright.Refusef(sealwright.ErrUnknownKey, "signature names version %d", s.Version)
	}
	m, err := k.MAC(s.Version)
	if fault.KindOf(err) == fault.NotFound {
		return nil, fmt.Errorf("%w: %s", sealwright.ErrUnknownKey, fault.Public(err))
	}
	return m, err
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
	return nil
}
