// Package kms says what key services do for the server: they wrap data keys,
// and they compute MACs with keys that never leave them.
//
// Each provider is an adapter below this package and passes kmstest. All of
// them share the meaning of a key ID and of an error:
//
//   - A key ID is stored beside every blob and names provider and key, as in
//     "pkcs11:root-2026". The text before the first colon is the provider; IDs
//     of kms/local have none.
//   - An error is of kind [fault.Unavailable] if the key service cannot be
//     reached, refuses the server, or has no such key: blob and request may be
//     good. It is of kind [fault.Internal] if the blob, its key ID and its
//     additional data do not belong together, and of kind [fault.Invalid] for
//     what can never succeed, such as an empty or oversized data key.
//     Messages hold no secret, and a context that ends is
//     [fault.Unavailable].
package kms

import (
	"bytes"
	"context"
	"strings"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// MaxPlain is the most bytes that [Wrapper.Wrap] takes. Data keys have 32; AWS
// KMS encrypts up to 4,096.
const MaxPlain = 4096

// Wrapper wraps and unwraps data keys under root keys. It is what custody
// declares under the same name. It may be used by many goroutines.
type Wrapper interface {
	// Wrap encrypts plain, of 1 to [MaxPlain] bytes, bound to aad, and returns
	// the ID of the key that it used.
	Wrap(ctx context.Context, plain secret.Bytes, aad []byte) (blob []byte, keyID string, err error)

	// Unwrap returns what Wrap was given, if keyID, blob and aad are those of
	// one Wrap.
	Unwrap(ctx context.Context, keyID string, blob, aad []byte) (secret.Bytes, error)
}

// MAC computes and verifies with HMAC-SHA-256 keys that never leave the key
// service. It may be used by many goroutines.
//
// It takes a [Digest] and nothing else. A tag is therefore never HMAC(key,
// body), and no other scheme than the platform's own can use such a key.
type MAC interface {
	// MAC returns the 32 bytes HMAC-SHA-256(key, text) of the text of d. A
	// digest without a text is of kind [fault.Invalid].
	MAC(ctx context.Context, key string, d Digest) (tag []byte, err error)

	// Verify reports whether tag is that of MAC. A tag that is not, of any
	// length, is false and no error. The comparison takes constant time, in the
	// key service or here.
	Verify(ctx context.Context, key string, d Digest, tag []byte) (bool, error)
}

// CheckPlain returns an error of kind [fault.Invalid] if plain is empty or
// longer than [MaxPlain].
func CheckPlain(plain secret.Bytes) error {
	if n := plain.Len(); n < 1 || n > MaxPlain {
		return fault.New(fault.Invalid, "data key has %d bytes, want 1 to %d", n, MaxPlain)
	}
	return nil
}

// Chain wraps with one provider and unwraps with several, so that data keys
// can move from one to the other while the server runs.
type Chain struct {
	Primary Wrapper            // wraps
	ByName  map[string]Wrapper // unwrap, by provider; the name of kms/local is empty. Must have the primary
}

// Wrap wraps with the primary.
func (c Chain) Wrap(ctx context.Context, plain secret.Bytes, aad []byte) (blob []byte, keyID string, err error) {
	return c.Primary.Wrap(ctx, plain, aad)
}

// Unwrap unwraps with the provider that keyID names. If the chain does not
// have it the error is of kind [fault.Unavailable].
func (c Chain) Unwrap(ctx context.Context, keyID string, blob, aad []byte) (secret.Bytes, error) {
	w := c.ByName[Provider(keyID)]
	if w == nil {
		return secret.Bytes{}, fault.New(fault.Unavailable, "data key is wrapped with %q, and its key service is not configured", keyID)
	}
	return w.Unwrap(ctx, keyID, blob, aad)
}

// Provider returns the name of the provider in a key ID, which is empty for
// kms/local.
func Provider(keyID string) string {
	name, _, found := strings.Cut(keyID, ":")
	if !found {
		return ""
	}
	return name
}

// Probe has w wrap and unwrap 32 random bytes, and returns the ID of the root
// key that wraps. It returns an error if w does not give them back: a key
// service may be reachable and still refuse one of the two.
func Probe(ctx context.Context, w Wrapper) (keyID string, err error) {
	aad := []byte("sealwright probe")
	plain := secret.Random(32)
	blob, keyID, err := w.Wrap(ctx, plain, aad)
	if err != nil {
		return "", err
	}
	got, err := w.Unwrap(ctx, keyID, blob, aad)
	if err != nil {
		return "", err
	}
	if !bytes.Equal(got.Expose(), plain.Expose()) {
		return "", fault.New(fault.Unavailable, "key service gives back something else than was wrapped with %s", keyID)
	}
	return keyID, nil
}
