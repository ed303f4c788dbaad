// Package mac computes and checks HMAC tags (RFC 2104, FIPS 198-1).
//
// A [Key] is prepared once for an algorithm and a secret and may be used by
// many goroutines. Its keyed states are kept and reused, so [Key.Sum] and
// [Key.Verify] do not allocate once they are warm. [State] takes messages of
// any size piece by piece.
//
// This is the only package of the project that compares tags: [State.Verify]
// for tags and [Equal] for other secrets, both in constant time for equal
// lengths.
//
// SHA-1 and MD5 verify only. A scheme whose definition pins one of them signs
// with [NewPinned].
package mac

import (
	"crypto/hmac"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"sync"

	"github.com/sealwright/sealwright/secret"
)

var (
	// ErrEmptyKey means that a key has no bytes, so that anybody could sign.
	ErrEmptyKey = errors.New("key is empty")
	// ErrUnknownAlgorithm means that no algorithm has the given name or number.
	ErrUnknownAlgorithm = errors.New("unknown algorithm")
	// ErrLegacy means that SHA-1 or MD5 was asked to sign without a scheme that pins it.
	ErrLegacy = errors.New("algorithm is for verifying only")
)

// Key is an algorithm with a secret, ready for use by many goroutines at once.
type Key struct {
	algorithm Algorithm
	pinned    bool
	states    sync.Pool
}

// New prepares a key. A key of a [Algorithm.Legacy] algorithm verifies but
// does not sign. It returns [ErrEmptyKey] if secret has no bytes and
// [ErrUnknownAlgorithm] if a is not valid.
func New(a Algorithm, secret secret.Bytes) (*Key, error) { return newKey(a, secret, false) }

// NewPinned is [New] for a scheme whose published definition pins the
// algorithm: the key signs also with SHA-1 and MD5.
func NewPinned(a Algorithm, secret secret.Bytes) (*Key, error) { return newKey(a, secret, true) }

func newKey(a Algorithm, secret secret.Bytes, pinned bool) (*Key, error) {
	if !a.Valid() {
		return nil, fmt.Errorf("%w %d", ErrUnknownAlgorithm, uint8(a))
	}
	if secret.IsZero() {
		return nil, ErrEmptyKey
	}
	k := &Key{algorithm: a, pinned: pinned}
	k.states.New = func() any {
		return &State{key: k, hash: hmac.New(algorithms[a].new, secret.Expose())}
	}
	return k, nil
}

// Algorithm returns the algorithm that the key was prepared for.
func (k *Key) Algorithm() Algorithm { return k.algorithm }

// CanSign reports whether [State.Sum] returns tags.
func (k *Key) CanSign() bool { return k.pinned || !k.algorithm.Legacy() }

// Sum appends the full tag of the concatenation of parts to dst.
//
// The parts are not separated: Sum(nil, "ab", "c") equals Sum(nil, "a", "bc").
// Callers that join fields must delimit them. It returns [ErrLegacy] if the
// key only verifies.
func (k *Key) Sum(dst []byte, parts ...[]byte) ([]byte, error) {
	s := k.State()
	defer s.Release()
	for _, p := range parts {
		_, _ = s.Write(p)
	}
	return s.Sum(dst)
}

// Verify reports whether tag is the full tag of the concatenation of parts.
func (k *Key) Verify(tag []byte, parts ...[]byte) bool {
	s := k.State()
	defer s.Release()
	for _, p := range parts {
		_, _ = s.Write(p)
	}
	return s.Verify(tag)
}

// State is one MAC in progress. It belongs to one goroutine. Get it from
// [Key.State] and give it back with [State.Release].
type State struct {
	key  *Key
	hash hash.Hash
	tag  []byte // of tagBuf, nil until the message is complete
	buf  [MaxSize]byte
	text [256]byte
}

// State returns a state with an empty message.
func (k *Key) State() *State {
	s := k.states.Get().(*State)
	s.Reset()
	return s
}

// Release gives the state back to its key. It must not be used afterwards.
func (s *State) Release() {
	clear(s.buf[:])
	s.tag = nil
	s.key.states.Put(s)
}

// Reset starts a new message under the same key.
func (s *State) Reset() {
	s.hash.Reset()
	s.tag = nil
}

// Write adds p to the message. It never fails. After [State.Sum] or
// [State.Verify] the message is complete: Write panics, since a tag of half a
// message would be a mistake of the program.
func (s *State) Write(p []byte) (int, error) {
	s.open()
	return s.hash.Write(p)
}

// WriteString is [State.Write] for a string.
func (s *State) WriteString(p string) (int, error) {
	s.open()
	for rest := p; len(rest) > 0; {
		n := copy(s.text[:], rest)
		_, _ = s.hash.Write(s.text[:n])
		rest = rest[n:]
	}
	return len(p), nil
}

func (s *State) open() {
	if s.tag != nil {
		panic("mac: write after the tag was taken")
	}
}

func (s *State) complete() []byte {
	if s.tag == nil {
		s.tag = s.hash.Sum(s.buf[:0])
	}
	return s.tag
}

// Sum completes the message and appends its full tag to dst. It returns
// [ErrLegacy] if the key only verifies.
func (s *State) Sum(dst []byte) ([]byte, error) {
	if !s.key.CanSign() {
		return nil, fmt.Errorf("%w: %v", ErrLegacy, s.key.algorithm)
	}
	return append(dst, s.complete()...), nil
}

// Verify completes the message and reports whether tag is its full tag. It
// may be called for several tags of one message; the MAC is computed once.
func (s *State) Verify(tag []byte) bool { return Equal(s.complete(), tag) }

// MinTruncated is the length in bytes below which no truncated tag is
// accepted.
const MinTruncated = 16

// VerifyTruncated is [State.Verify] for a scheme that declares tags cut to
// their first size bytes. It reports false if size is below [MinTruncated] or
// tag has another length.
func (s *State) VerifyTruncated(tag []byte, size int) bool {
	full := s.complete()
	return size >= MinTruncated && size <= len(full) && Equal(full[:size], tag)
}

// Equal reports whether a and b have the same bytes. Its time depends on the
// lengths alone.
func Equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
