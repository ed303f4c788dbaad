package custody

import (
	"crypto/hkdf"
	"crypto/sha256"
	"unicode/utf8"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// MaxContext is the most bytes of a context.
const MaxContext = 256

// Derive returns the key that belongs to context, such as the ID of a customer:
// like k, but with another secret in each version. Nothing is stored, so there
// may be any number of contexts; what happens to a version of k happens to it
// in all of them.
//
// A secret is HKDF (RFC 5869) with SHA-256 and no salt of the secret of the
// version; info is "sealwright derived key" and context, each after its length
// in 4 bytes, big endian. It has 64 bytes for hmac-sha384 and hmac-sha512, and
// 32 otherwise.
//
// A native key, a context of no bytes, more than [MaxContext], or not in UTF-8 is of kind
// [fault.Invalid].
func (k *Key) Derive(context string) (*Key, error) {
	if n := len(context); n == 0 || n > MaxContext || !utf8.ValidString(context) {
		return nil, fault.New(fault.Invalid, "context: got %d bytes, want 1 to %d of UTF-8", n, MaxContext)
	}
	return k.derived(string(additionalData("sealwright derived key", context)))
}

// Bound returns the key for messages to which metadata is bound: like k, which
// may be that of a context, but with another secret in each version. So no
// message alone has the tag of a message with metadata, whatever it begins with.
//
// A secret is made as that of [Key.Derive]; info is "sealwright bound metadata"
// after its length. A native key is of kind [fault.Invalid].
func (k *Key) Bound() (*Key, error) {
	return k.derived(string(additionalData("sealwright bound metadata")))
}

// derived returns the key whose secrets are derived from those of k with info.
func (k *Key) derived(info string) (*Key, error) {
	if err := k.refuseNative("be derived"); err != nil {
		return nil, err
	}
	derived := *k
	var err error
	if derived.Ring, err = deriveRing(k.Ring, k.Algorithm, info); err != nil {
		return nil, fault.New(fault.Internal, "key %q cannot be derived", k.Name).Because(err)
	}
	if k.revoked != nil {
		derived.revoked, err = deriveRing(k.revoked, k.Algorithm, info)
	}
	if err == nil {
		derived.Ring, err = derived.Ring.Promote(k.ID, k.Signing)
	}
	if err != nil {
		return nil, fault.New(fault.Internal, "key %q cannot be derived", k.Name).Because(err)
	}
	return &derived, nil
}

func deriveRing(ring *keyring.Ring, a mac.Algorithm, info string) (*keyring.Ring, error) {
	keys := ring.Keys()
	for i := range keys {
		var err error
		if keys[i].Secret, err = derive(keys[i].Secret, a, info); err != nil {
			return nil, err
		}
	}
	return keyring.New(keys...)
}

// derive returns a secret of the size that keys of a have.
func derive(s secret.Bytes, a mac.Algorithm, info string) (secret.Bytes, error) {
	b, err := hkdf.Key(sha256.New, s.Expose(), nil, info, generatedSize(a))
	if err != nil {
		return secret.Bytes{}, err
	}
	defer clear(b)
	return secret.New(b), nil
}
