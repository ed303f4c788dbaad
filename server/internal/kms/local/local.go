// Package local wraps keys with AES-256-GCM under root keys that stand in a
// file.
//
// The file is text: one root key a line, 32 bytes in padded base64; blank
// lines and lines that begin with # are skipped. The last key wraps, all of
// them unwrap. To rotate the root key, add one with [Add], let every running
// process [Wrapper.Reload], wrap again what was wrapped, and delete the old line.
//
// Beside every wrapped blob the caller keeps the ID of the root key, so that a
// wrong or missing root key is told apart from damaged data.
//
// Nonces are random, 96 bits: one root key may wrap 2^32 blobs (NIST SP
// 800-38D, section 8.3), which a platform with one blob for each tenant does
// not reach.
package local

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

const (
	// KeySize is the length of a root key in bytes.
	KeySize = 32
	// MaxKeys is the most root keys of one file.
	MaxKeys = 64
)

// rootKey is one line of the file.
type rootKey struct {
	id   string
	aead cipher.AEAD // puts a random nonce in front of what it seals
}

// Wrapper wraps and unwraps under the root keys of one file. It may be used by
// many goroutines.
type Wrapper struct {
	path  string
	fixed bool // path is not that of a file
	keys  atomic.Pointer[[]rootKey]
}

// KeyID returns the ID of the root key that wraps: the first 8 bytes, in hex,
// of its HMAC-SHA256 of "sealwright root key id".
func (w *Wrapper) KeyID() string {
	keys := *w.keys.Load()
	return keys[len(keys)-1].id
}

// Wrap returns plain encrypted under the newest root key, and the ID of that
// key. The blob opens only together with the same aad. See [kms.Wrapper].
func (w *Wrapper) Wrap(ctx context.Context, plain secret.Bytes, aad []byte) (blob []byte, keyID string, err error) {
	if err := errors.Join(kms.CheckPlain(plain), ctx.Err()); err != nil {
		return nil, "", err
	}
	keys := *w.keys.Load()
	k := keys[len(keys)-1]
	return k.aead.Seal(nil, nil, plain.Expose(), aad), k.id, nil
}

// Unwrap returns what was wrapped under the root key keyID with aad. The error
// is of kind [fault.Unavailable] if the file has no such key, and of kind
// [fault.Internal] if the blob or the aad is not the one of Wrap.
func (w *Wrapper) Unwrap(ctx context.Context, keyID string, blob, aad []byte) (secret.Bytes, error) {
	if err := ctx.Err(); err != nil {
		return secret.Bytes{}, err
	}
	keys := *w.keys.Load()
	for _, k := range keys {
		if k.id != keyID {
			continue
		}
		plain, err := k.aead.Open(nil, nil, blob, aad)
		if err != nil {
			return secret.Bytes{}, fault.New(fault.Internal, "unwrap with root key %s of %s: the blob was changed or belongs elsewhere", keyID, w.path).Because(err)
		}
		defer clear(plain)
		return secret.New(plain), nil
	}
	return secret.Bytes{}, fault.New(fault.Unavailable, "%s, the store was made with %s", describe(w.path, keys), keyID)
}

// describe names the keys of a file, the newest first.
func describe(path string, keys []rootKey) string {
	if len(keys) == 1 {
		return fmt.Sprintf("root key in %s has id %s", path, keys[0].id)
	}
	ids := make([]string, 0, len(keys))
	for i := len(keys) - 1; i >= 0; i-- {
		ids = append(ids, keys[i].id)
	}
	return fmt.Sprintf("root keys in %s have ids %s", path, strings.Join(ids, " and "))
}

// parse reads the text of a file of root keys. Errors name the line and show
// nothing of it.
func parse(text []byte) ([]rootKey, error) {
	var keys []rootKey
	for n, line := range bytes.Split(text, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		k, err := parseKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		for _, other := range keys {
			if other.id == k.id {
				return nil, fmt.Errorf("line %d: root key %s stands there twice", n+1, k.id)
			}
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 || len(keys) > MaxKeys {
		return nil, fmt.Errorf("got %d root keys, want 1 to %d", len(keys), MaxKeys)
	}
	return keys, nil
}

func parseKey(line []byte) (rootKey, error) {
	raw, err := base64.StdEncoding.Strict().AppendDecode(nil, line)
	if err != nil {
		return rootKey{}, fmt.Errorf("not a root key in padded base64, such as openssl rand -base64 %d makes", KeySize)
	}
	defer clear(raw)
	if len(raw) != KeySize {
		return rootKey{}, fmt.Errorf("root key has %d bytes, want %d", len(raw), KeySize)
	}
	return newRootKey(secret.New(raw))
}

func newRootKey(root secret.Bytes) (rootKey, error) {
	k, err := mac.New(mac.SHA256, root)
	if err != nil {
		return rootKey{}, err
	}
	id, err := k.Sum(nil, []byte("sealwright root key id"))
	if err != nil {
		return rootKey{}, err
	}
	block, err := aes.NewCipher(root.Expose())
	if err != nil {
		return rootKey{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return rootKey{}, err
	}
	return rootKey{id: hex.EncodeToString(id[:8]), aead: aead}, nil
}
