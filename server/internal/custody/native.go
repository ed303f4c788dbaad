package custody

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

// MaxDeviceKey is the most bytes of the name of a key at a key service.
const MaxDeviceKey = 512

// deviceRest is how long a scheduled rotation waits after a key service made no
// key for it.
const deviceRest = time.Minute

// deviceTurns is the time over which nodes spread the scheduled rotations of
// native keys, so that not each of them makes a key of which one is used.
const deviceTurns = 10 * time.Second

// ErrNative means that a key is native: what was asked needs its secret, which
// never leaves the key service.
var ErrNative = errors.New("key is native")

// NativeKey names a key that never leaves its key service.
type NativeKey struct {
	Provider string `json:"provider"` // of [Options.Devices]
	Key      string `json:"key"`      // as the provider names it
}

// String returns provider and key with a colon between them, and nothing for
// the zero value.
func (n NativeKey) String() string {
	if n == (NativeKey{}) {
		return ""
	}
	return n.Provider + ":" + n.Key
}

// check returns an error of kind [fault.Invalid] for a name that no key service
// has.
func (n NativeKey) check() error {
	bad := strings.ContainsFunc(n.Key, func(r rune) bool { return !unicode.IsPrint(r) })
	if len(n.Key) > MaxDeviceKey || bad || !utf8.ValidString(n.Key) {
		return fault.New(fault.Invalid, "native.key: got %d bytes, want at most %d that can be printed", len(n.Key), MaxDeviceKey)
	}
	return nil
}

// checkNative returns an error of kind [fault.Invalid] for what a native key
// cannot be.
func (in CreateKey) checkNative(a mac.Algorithm) error {
	switch {
	case in.Native == nil:
		return nil
	case in.Imported || !in.Material.IsZero():
		return fault.New(fault.Invalid, "native: a key that never leaves its key service has no material")
	case in.Exportable:
		return fault.New(fault.Invalid, "exportable: a native key never leaves its key service")
	case a != mac.SHA256:
		return fault.New(fault.Invalid, "algorithm: got %v, a native key has hmac-sha256", a)
	}
	return in.Native.check()
}

// devices are the key services for native keys.
type devices struct {
	byName map[string]kms.Device
	first  string // if none is named; empty for none
}

// find returns a device, or an error of kind [fault.Invalid] that says which
// there are.
func (d *devices) find(provider string) (kms.Device, error) {
	device, ok := d.byName[provider]
	switch names := slices.Sorted(maps.Keys(d.byName)); {
	case ok:
		return device, nil
	case len(names) == 0:
		return device, fault.New(fault.Invalid, "native.provider: no key service for native keys is configured")
	case provider == "":
		return device, fault.New(fault.Invalid, "native.provider: want one of %s", strings.Join(names, ", "))
	default:
		return device, fault.New(fault.Invalid, "native.provider: the configuration has no section for this one, want one of %s", strings.Join(names, ", "))
	}
}

// makes reports whether a key service makes keys.
func (d *devices) makes(provider string) bool { return d.byName[provider].Make != nil }

// order is a native key that is needed for a version. It is obtained once, also
// if the change is tried again.
type order struct {
	devices  *devices
	asked    NativeKey // empty members: what the key has, and a key that is made
	rest     bool      // the key service has failed a moment ago
	obtained NativeKey
	made     bool
}

// order returns an order for a key that is asked for; nil means one that the key
// service makes.
func (s *Service) order(asked *NativeKey) *order {
	o := &order{devices: &s.devices}
	if asked != nil {
		o.asked = *asked
	}
	return o
}

// orderFor returns the order of a key that is created, with the key obtained if
// it is native.
func (s *Service) orderFor(ctx context.Context, in CreateKey) (*order, error) {
	o := s.order(in.Native)
	if in.Native == nil {
		return o, nil
	}
	_, err := o.obtain(ctx, in.Name, 1, s.devices.first)
	return o, err
}

// obtain returns the key for a version of the key name: the one that was asked
// for, or one that it makes. It has been tried.
func (o *order) obtain(ctx context.Context, name string, version int, provider string) (NativeKey, error) {
	if o.obtained != (NativeKey{}) {
		return o.obtained, nil
	}
	n := NativeKey{Provider: cmp.Or(o.asked.Provider, provider), Key: o.asked.Key}
	device, err := o.devices.find(n.Provider)
	if err != nil {
		return NativeKey{}, err
	}
	if n.Key == "" {
		if device.Make == nil {
			return NativeKey{}, fault.New(fault.Invalid, "native.key: is needed, since %s makes no keys for us", n.Provider)
		}
		if n.Key, err = device.Make(ctx, label(name, version)); err != nil {
			return NativeKey{}, err
		}
		o.made = true
	}
	o.obtained = n
	if err := probe(ctx, device, n.Key); err != nil {
		return NativeKey{}, err
	}
	return n, nil
}

// label names a key that is made for a version, for who looks at the key
// service. It has at most 40 bytes, which is what small tokens keep, and is not
// used a second time.
func label(name string, version int) string {
	return "sealwright-" + name[:min(len(name), 16)] + "-" + strconv.Itoa(version) + "-" + newID()[:8]
}

// probe has a key make and verify the tag of a version that no key has.
func probe(ctx context.Context, d kms.Device, key string) error {
	tag, err := d.MAC.MAC(ctx, key, kms.Digest{})
	if err != nil {
		return err
	}
	ok, err := d.Verify(ctx, key, kms.Digest{}, tag)
	if err == nil && !ok {
		err = fault.New(fault.Unavailable, "key service does not verify what it signed")
	}
	return err
}

// unused adds to err that a key was made which k, the key as it is stored now,
// does not have: it failed, or somebody else was faster. k is nil beside an
// error.
func (o *order) unused(k *Key, err error) error {
	switch {
	case !o.made || err == nil && k != nil && slices.ContainsFunc(k.Versions, func(v VersionInfo) bool { return v.Native == o.obtained }):
		return err
	case err == nil:
		return fault.New(fault.Conflict, "%s was made for a rotation and is not used, since another node was faster", o.obtained)
	}
	return fault.New(fault.KindOf(err), "%s; %s was made for it and is not used", fault.Public(err), o.obtained).Because(err)
}

// signingProvider returns the key service of the version that signs.
func (d *keyDoc) signingProvider() string {
	for i := range d.Versions {
		if v := &d.Versions[i]; v.Version == d.Signing && v.Native != nil {
			return v.Native.Provider
		}
	}
	return ""
}

// checkNative returns an error of kind [fault.Invalid] if a rotation does not
// fit the key: what never leaves a key service stays so, and so does the rest.
func (e *edit) checkNative(d *devices, r Rotation) error {
	switch {
	case r.Native != nil && !e.doc.Native:
		return fault.New(fault.Invalid, "native: key %q is not native, and does not become so", e.doc.Name)
	case r.Native != nil && !r.At.IsZero():
		return fault.New(fault.Invalid, "native: a scheduled rotation makes its key then, leave at or native out")
	case r.Native != nil && r.RevokeCurrent && e.doc.pending() != nil:
		return fault.New(fault.Invalid, "native: version %d of key %q is pending and takes over, leave native out", e.doc.pending().Version, e.doc.Name)
	case r.Native != nil:
		return r.Native.check()
	case !r.At.IsZero():
		return e.checkSchedule(d)
	}
	return nil
}

// checkSchedule returns an error of kind [fault.Invalid] if nobody would make
// the key of a scheduled rotation.
func (e *edit) checkSchedule(d *devices) error {
	if p := e.doc.signingProvider(); e.doc.Native && !d.makes(p) {
		return fault.New(fault.Invalid, "key %q cannot be rotated on schedule: %s makes no keys for us, so each rotation must name one", e.doc.Name, p)
	}
	return nil
}

// Native reports whether the secrets of k never leave a key service. Such a key
// signs digests, in the construction [kms.Construction], with [Key.SignNative]
// and [Key.VerifyNative]; [Key.Verify] finds nothing valid, and everything else
// that needs a secret is of kind [fault.Invalid] with [ErrNative].
func (k *Key) Native() bool { return k.devices != nil }

// refuseNative returns an error of kind [fault.Invalid] for a native key.
func (k *Key) refuseNative(what string) error {
	if k.devices == nil {
		return nil
	}
	return fault.New(fault.Invalid, "key %q is native, its secret never leaves the key service: it cannot %s", k.Name, what).Because(ErrNative)
}

// RefuseForeign returns an error of kind [fault.Invalid] with [ErrNative] if k
// cannot sign under the schemes of others, which have no digest of ours.
func (k *Key) RefuseForeign() error { return k.refuseNative("sign or verify under this scheme") }

// nativeAt returns a version that verifies now. Errors are those of [Key.MAC].
func (k *Key) nativeAt(version int, now time.Time) (*VersionInfo, error) {
	for i := range k.Versions {
		v := &k.Versions[i]
		if v.Version != version || !v.StateAt(now).Verifies() {
			continue
		}
		if !v.isCurrent(now) {
			return nil, fault.New(fault.NotFound, "version %d of key %q is not valid now", version, k.Name)
		}
		return v, nil
	}
	return nil, k.absent(version, keyring.ErrNotFound)
}

// isCurrent reports whether now lies in the window of v.
func (v *VersionInfo) isCurrent(now time.Time) bool {
	return (v.NotBefore.IsZero() || !now.Before(v.NotBefore)) && (v.NotAfter.IsZero() || now.Before(v.NotAfter))
}

// ask calls the key service of a version. An error that the key service gives
// is of kind [fault.Unavailable] and names neither its key nor its place.
func (k *Key) ask(v *VersionInfo, call func(kms.Device, kms.Digest) error, sum [sha256.Size]byte) error {
	device, ok := k.devices.byName[v.Native.Provider]
	if !ok {
		return fault.New(fault.Unavailable, "key service %s, which has version %d of key %q, is not configured", v.Native.Provider, v.Version, k.Name)
	}
	err := call(device, kms.Digest{Tenant: k.Tenant, Key: k.Name, Version: v.Version, Sum: sum})
	if err == nil || fault.KindOf(err) != fault.Unavailable {
		return err
	}
	return fault.New(fault.Unavailable, "key service %s, which has version %d of key %q, cannot be used now", v.Native.Provider, v.Version, k.Name).Because(err)
}

// SignNative returns the tag of the message with this SHA-256, made by the
// version that signs in its key service, for which it waits. The error is that
// of [Key.MAC], or of kind [fault.Unavailable].
func (k *Key) SignNative(ctx context.Context, sum [sha256.Size]byte) (tag []byte, version int, err error) {
	now := k.now()
	v, err := k.nativeAt(k.Signing, now)
	if err != nil {
		return nil, 0, err
	}
	err = k.ask(v, func(d kms.Device, m kms.Digest) (err error) {
		tag, err = d.MAC.MAC(ctx, v.Native.Key, m)
		return err
	}, sum)
	if err != nil {
		return nil, 0, err
	}
	k.used(v.Version, now)
	return tag, v.Version, nil
}

// VerifyNative is [Key.Verify] for the message with this SHA-256, and asks the
// key service of each version that it tries. An error is of kind
// [fault.Unavailable]: whether the tag is valid is not known. See [Key.Unsure]
// for what it does not find valid.
func (k *Key) VerifyNative(ctx context.Context, tag []byte, sum [sha256.Size]byte) (version int, ok bool, err error) {
	now := k.now()
	var failed error
	for _, v := range k.natives(func(v *VersionInfo) bool { return v.StateAt(now).Verifies() && v.isCurrent(now) }) {
		ok, err := k.verifiedBy(ctx, v, tag, sum)
		switch {
		case err != nil:
			failed = errors.Join(failed, err)
		case ok:
			k.used(v.Version, now)
			return v.Version, true, nil
		}
	}
	return 0, false, failed
}

func (k *Key) verifiedBy(ctx context.Context, v *VersionInfo, tag []byte, sum [sha256.Size]byte) (ok bool, err error) {
	err = k.ask(v, func(d kms.Device, m kms.Digest) (err error) {
		ok, err = d.Verify(ctx, v.Native.Key, m, tag)
		return err
	}, sum)
	return ok && err == nil, err
}

// natives returns the versions that a test passes, the one that signs first,
// then the newest, [keyring.MaxCandidates] in all.
func (k *Key) natives(passes func(*VersionInfo) bool) []*VersionInfo {
	var list []*VersionInfo
	for i := range k.Versions {
		if v := &k.Versions[i]; v.Native != (NativeKey{}) && passes(v) {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b *VersionInfo) int {
		switch {
		case a.Signs:
			return -1
		case b.Signs:
			return 1
		}
		return cmp.Compare(b.Version, a.Version)
	})
	return list[:min(len(list), keyring.MaxCandidates)]
}

// NativeRevokedBy is [Key.RevokedBy] for a native key. A key service that
// cannot say is taken for no: the tag is not valid in any case.
func (k *Key) NativeRevokedBy(ctx context.Context, tag []byte, sum [sha256.Size]byte) (version int, ok bool) {
	for _, v := range k.natives(func(v *VersionInfo) bool { return v.State == keyring.Revoked }) {
		if ok, err := k.verifiedBy(ctx, v, tag, sum); ok && err == nil {
			return v.Version, true
		}
	}
	return 0, false
}

// VerifyNativeSignature is [Key.VerifySignature] for a native key. An error of
// kind [fault.Unavailable] means that it is not known whether s is valid.
func (k *Key) VerifyNativeSignature(ctx context.Context, s api.Signature, sum [sha256.Size]byte) error {
	if err := k.names(s); err != nil {
		return err
	}
	now := k.now()
	v, err := k.nativeAt(s.Version, now)
	if err != nil {
		return unknown(err)
	}
	ok, err := k.verifiedBy(ctx, v, s.Tag, sum)
	if err != nil {
		return err
	}
	if !ok {
		return sealwright.ErrMismatch
	}
	k.used(v.Version, now)
	return nil
}
