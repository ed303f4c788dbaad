package replay

import (
	"encoding/binary"
	"fmt"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// KeySize is the length of a guard key in bytes.
const KeySize = 32

// ID stands for one use of a nonce: the first 16 bytes of an HMAC of what it
// belongs to. It tells nothing of the nonce.
type ID [16]byte

// Short returns the first 8 bytes, which is what a [Guard] keeps. It is never 0.
func (id ID) Short() uint64 {
	return max(binary.BigEndian.Uint64(id[:]), 1)
}

// Key makes IDs. It is secret, so that nobody can look for two nonces with the
// same ID. It may be used by many goroutines.
type Key struct{ key *mac.Key }

// NewKey returns a key of [KeySize] bytes. Another length is an error. What was
// claimed under another key is not known under this one.
func NewKey(b secret.Bytes) (*Key, error) {
	if b.Len() != KeySize {
		return nil, fmt.Errorf("guard key has %d bytes, want %d", b.Len(), KeySize)
	}
	k, err := mac.New(mac.SHA256, b)
	if err != nil {
		return nil, err
	}
	return &Key{k}, nil
}

// ID returns the ID of fields, each written with its length, so that none can
// reach into the next: by convention the profile, the key ID and the nonce,
// with whatever else makes the nonce unique in front. It does not allocate.
func (k *Key) ID(fields ...string) ID {
	s := k.key.State()
	defer s.Release()
	for _, f := range fields {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(f)))
		_, _ = s.WriteString(string(size[:])) // writing never fails; as a string it needs no allocation
		_, _ = s.WriteString(f)
	}
	var sum [32]byte
	_, _ = s.Sum(sum[:0]) // SHA-256 is never refused
	return ID(sum[:16])
}
