// Package keyring holds immutable sets of key versions: one signs, several
// verify.
//
// A [Ring] never changes. [Ring.Add], [Ring.Promote], [Ring.Retire] and
// [Ring.Remove] return a new ring, so a ring may be shared by any number of
// goroutines and swapped with one atomic pointer. Rotation is two steps: Add a
// version that verifies, wait until every verifier has it, then Promote it.
//
// The package does no I/O and knows no clock: the time is an argument.
package keyring

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// MaxCandidates is the most keys that one verification tries. It bounds the
// work that a stranger can cause.
const MaxCandidates = 8

var (
	// ErrNoKeys means that a ring would have no key.
	ErrNoKeys = errors.New("key ring has no keys")
	// ErrEmptySecret means that a key has a secret of no bytes.
	ErrEmptySecret = errors.New("secret is empty")
	// ErrDuplicate means that a key ID and version stand in a ring already.
	ErrDuplicate = errors.New("key version is in the ring already")
	// ErrNotFound means that no key of the ring has the ID and version.
	ErrNotFound = errors.New("no such key version")
	// ErrSigns means that the key that signs cannot be retired or removed.
	ErrSigns = errors.New("key version is the one that signs")
	// ErrNoTime means that a key was to be retired at the zero time, which
	// would be no limit at all.
	ErrNoTime = errors.New("no time is given")
)

// Key is one version of a secret.
type Key struct {
	ID        string // as it stands on the wire; several versions may share it
	Version   int    // 1 or more within a platform; 0 if versions are not used
	Secret    secret.Bytes
	NotBefore time.Time // inclusive; zero means no limit
	NotAfter  time.Time // exclusive; zero means no limit

	prepared *prepared // of this secret, shared by the rings that come from the one with the key
}

// ValidAt reports whether t lies in the key's window.
func (k *Key) ValidAt(t time.Time) bool {
	return (k.NotBefore.IsZero() || !t.Before(k.NotBefore)) &&
		(k.NotAfter.IsZero() || t.Before(k.NotAfter))
}

// maxPrepared bounds the MAC keys that are kept for one key. A key is used
// under few schemes; dated derivations (SigV4) add one for each day in the
// window.
const maxPrepared = 16

// prepared is read without a lock: its list is never changed, only replaced.
type prepared struct {
	mu   sync.Mutex // of those who replace the list
	keys atomic.Pointer[[]preparedKey]
}

type preparedKey struct {
	name, part string
	key        *mac.Key
}

func (p *prepared) all() []preparedKey {
	if list := p.keys.Load(); list != nil {
		return *list
	}
	return nil
}

func (p *prepared) find(name, part string) *mac.Key {
	list := p.all()
	for i := range list {
		if e := &list[i]; e.part == part && e.name == name {
			return e.key
		}
	}
	return nil
}

// Prepared returns the MAC key that make returns for the key's secret and
// keeps it under name, so that the next call with the same name is cheap. A
// scheme uses it for keys that it decodes or derives; name must tell apart
// everything that make depends on. At most 16 MAC keys are kept, the oldest
// one gives way. A key that is in no ring keeps nothing.
func (k *Key) Prepared(name string, make func(secret.Bytes) (*mac.Key, error)) (*mac.Key, error) {
	return k.PreparedFor(name, "", make)
}

// PreparedFor is [Key.Prepared] under a name of two parts, of which the second
// may come from the message, such as the scope of a derived key. They need not
// be joined to one string.
func (k *Key) PreparedFor(name, part string, make func(secret.Bytes) (*mac.Key, error)) (*mac.Key, error) {
	p := k.prepared
	if p == nil {
		return make(k.Secret)
	}
	if m := p.find(name, part); m != nil {
		return m, nil
	}
	m, err := make(k.Secret)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if kept := p.find(name, part); kept != nil {
		return kept, nil
	}
	kept := p.all()
	if len(kept) == maxPrepared {
		kept = kept[1:]
	}
	next := append(slices.Clip(kept), preparedKey{name: name, part: strings.Clone(part), key: m})
	p.keys.Store(&next)
	return m, nil
}

// Ring is an immutable set of keys. A nil ring and the zero value have no keys
// and verify nothing. The keys that its methods point to belong to the ring and
// must not be changed.
type Ring struct {
	keys []Key
	sign int // index of the key that signs
}

// New returns a ring of keys, of which the first signs. It returns
// [ErrNoKeys], [ErrEmptySecret] or [ErrDuplicate].
func New(keys ...Key) (*Ring, error) {
	if len(keys) == 0 {
		return nil, ErrNoKeys
	}
	r := &Ring{}
	for _, k := range keys {
		next, err := r.Add(k)
		if err != nil {
			return nil, err
		}
		r = next
	}
	return r, nil
}

// Must is [New] for constants and tests: it panics on an error.
func Must(keys ...Key) *Ring {
	r, err := New(keys...)
	if err != nil {
		panic(err)
	}
	return r
}

// Len returns the number of keys.
func (r *Ring) Len() int { return len(r.all()) }

// Keys returns a copy of the keys in the order in which they were added.
func (r *Ring) Keys() []Key { return slices.Clone(r.all()) }

func (r *Ring) all() []Key {
	if r == nil {
		return nil
	}
	return r.keys
}

// Signing returns the key that signs. It returns [ErrNoKeys] if the ring is
// empty and [ErrNotFound] if t is outside the key's window.
func (r *Ring) Signing(t time.Time) (*Key, error) {
	if r.Len() == 0 {
		return nil, ErrNoKeys
	}
	k := &r.keys[r.sign]
	if !k.ValidAt(t) {
		return nil, fmt.Errorf("%w: version %d of key %q signs but is not valid at %s",
			ErrNotFound, k.Version, k.ID, t.UTC().Format(time.RFC3339))
	}
	return k, nil
}

// AppendCandidates appends the keys that may verify a message of time t to
// dst and returns it. An empty id stands for a message that names no key. The
// key that signs comes first, the others newest first, [MaxCandidates] at the
// most.
func (r *Ring) AppendCandidates(dst []*Key, id string, t time.Time) []*Key {
	if r.Len() == 0 {
		return dst
	}
	room := MaxCandidates
	for i := len(r.keys); i >= 0 && room > 0; i-- {
		n := i
		if i == len(r.keys) {
			n = r.sign
		} else if i == r.sign {
			continue // was first
		}
		if k := &r.keys[n]; (id == "" || k.ID == id) && k.ValidAt(t) {
			dst = append(dst, k)
			room--
		}
	}
	return dst
}

// Version returns the key with this version, of several the one that was added
// first, or [ErrNotFound].
func (r *Ring) Version(version int) (*Key, error) {
	keys := r.all()
	for i := range keys {
		if keys[i].Version == version {
			return &keys[i], nil
		}
	}
	return nil, fmt.Errorf("%w: version %d", ErrNotFound, version)
}

func (r *Ring) find(id string, version int) (int, error) {
	for i, k := range r.all() {
		if k.ID == id && k.Version == version {
			return i, nil
		}
	}
	return 0, fmt.Errorf("version %d of key %q: %w", version, id, ErrNotFound)
}

// findOther is find for a key that does not sign.
func (r *Ring) findOther(id string, version int) (int, error) {
	i, err := r.find(id, version)
	if err == nil && i == r.sign {
		err = fmt.Errorf("version %d of key %q: %w", version, id, ErrSigns)
	}
	return i, err
}

// Add returns a ring with k added. It verifies; it signs only if it is the
// first key. It returns [ErrEmptySecret] or [ErrDuplicate].
func (r *Ring) Add(k Key) (*Ring, error) {
	if k.Secret.IsZero() {
		return nil, fmt.Errorf("version %d of key %q: %w", k.Version, k.ID, ErrEmptySecret)
	}
	if _, err := r.find(k.ID, k.Version); err == nil {
		return nil, fmt.Errorf("version %d of key %q: %w", k.Version, k.ID, ErrDuplicate)
	}
	k.prepared = &prepared{} // k may be a copy of another key, with another secret
	next := &Ring{keys: append(r.Keys(), k)}
	if r != nil {
		next.sign = r.sign
	}
	return next, nil
}

// Promote returns a ring in which the key with this ID and version signs. It
// returns [ErrNotFound] if there is none.
func (r *Ring) Promote(id string, version int) (*Ring, error) {
	i, err := r.find(id, version)
	if err != nil {
		return nil, err
	}
	return &Ring{keys: r.keys, sign: i}, nil
}

// Retire returns a ring in which the key verifies only until at, exclusive. A
// key that ends earlier keeps its end. It returns [ErrNotFound], [ErrSigns] for
// the key that signs, or [ErrNoTime] if at is zero.
func (r *Ring) Retire(id string, version int, at time.Time) (*Ring, error) {
	i, err := r.findOther(id, version)
	if err != nil {
		return nil, err
	}
	if at.IsZero() {
		return nil, fmt.Errorf("retire version %d of key %q: %w", version, id, ErrNoTime)
	}
	next := &Ring{keys: slices.Clone(r.keys), sign: r.sign}
	if end := &next.keys[i].NotAfter; end.IsZero() || at.Before(*end) {
		*end = at
	}
	return next, nil
}

// Remove returns a ring without the key. It returns [ErrNotFound], or
// [ErrSigns] for the key that signs.
func (r *Ring) Remove(id string, version int) (*Ring, error) {
	i, err := r.findOther(id, version)
	if err != nil {
		return nil, err
	}
	next := &Ring{keys: slices.Delete(slices.Clone(r.keys), i, i+1), sign: r.sign}
	if i < r.sign {
		next.sign--
	}
	return next, nil
}
