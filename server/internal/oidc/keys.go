package oidc

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// How often the keys of an issuer are read, and for how long they count.
const (
	askEvery   = 10 * time.Second // at the most
	freshFor   = time.Hour        // then they are read again
	usableFor  = 24 * time.Hour   // then nothing is accepted that they verify
	askTimeout = 5 * time.Second
	maxKeys    = 100 // of an issuer
	maxTried   = 8   // for one token
)

// keySet holds the public keys of an issuer. They are read when a key is asked
// for that is not known, and once an hour, but not more often than every
// askEvery.
type keySet struct {
	issuer     *issuer
	algorithms []jose.SignatureAlgorithm
	now        func() time.Time

	mu      sync.Mutex // held while they are read
	triedAt time.Time  // under mu
	lastErr error      // under mu; of the last try
	shown   atomic.Pointer[keys]
}

// keys do not change.
type keys struct {
	list   []jose.JSONWebKey
	readAt time.Time
}

var _ oidc.KeySet = (*keySet)(nil)

// VerifySignature is that of [oidc.KeySet]. The error is of kind [fault.Denied]
// or [fault.Unavailable].
func (s *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(token, s.algorithms)
	if err != nil {
		return nil, denied("the token is no JWT that is signed with %v", s.algorithms)
	}
	head := jws.Signatures[0].Header
	list, err := s.candidates(ctx, head.KeyID, head.Algorithm)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if payload, err := jws.Verify(list[i].Key); err == nil {
			return payload, nil
		}
	}
	return nil, denied("the signature of the token is not right")
}

// candidates returns the keys that a token may be signed with, one or more.
func (s *keySet) candidates(ctx context.Context, id, algorithm string) ([]jose.JSONWebKey, error) {
	known := s.shown.Load()
	found := known.find(id, algorithm)
	now := s.now()
	if len(found) > 0 && now.Sub(known.readAt) < freshFor {
		return found, nil
	}
	asked, err := s.read(ctx, now, len(found) == 0)
	known = s.shown.Load()
	found = known.find(id, algorithm)
	switch {
	case known != nil && now.Sub(known.readAt) >= usableFor:
		return nil, unavailable("the keys of the issuer are too old").Because(err)
	case len(found) > 0:
		return found, nil
	case err != nil:
		return nil, unavailable("the keys of the issuer cannot be read").Because(err)
	case !asked:
		return nil, unavailable("the keys of the issuer were just read: try again in %v", askEvery)
	}
	return nil, denied("the issuer has no key %q for %s", id, algorithm)
}

// find returns up to maxTried keys. A token without key ID may be signed with
// any of them.
func (k *keys) find(id, algorithm string) (found []jose.JSONWebKey) {
	if k == nil {
		return nil
	}
	for _, key := range k.list {
		if (id == "" || key.KeyID == id) && (key.Algorithm == "" || key.Algorithm == algorithm) && len(found) < maxTried {
			found = append(found, key)
		}
	}
	return found
}

// read reads the keys, unless that was just done: then it returns the last
// error. Without wait it does nothing while another does it.
func (s *keySet) read(ctx context.Context, now time.Time, wait bool) (asked bool, err error) {
	if wait {
		s.mu.Lock()
	} else if !s.mu.TryLock() {
		return false, nil
	}
	defer s.mu.Unlock()
	if !s.triedAt.IsZero() && now.Sub(s.triedAt) < askEvery {
		return false, s.lastErr
	}
	s.triedAt = now
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	text, err := s.issuer.fetch(ctx)
	var list []jose.JSONWebKey
	if err == nil {
		list, err = parseKeys(text)
	}
	if s.lastErr = err; err == nil {
		s.shown.Store(&keys{list: list, readAt: now})
	}
	return true, err
}

// parseKeys reads a JWK set (RFC 7517). Keys that cannot verify signatures are
// left out; secret ones are refused.
func parseKeys(text []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("what the issuer shows is no JWK set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the issuer has %d keys, want at most %d", len(set.Keys), maxKeys)
	}
	var list []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := json.Unmarshal(raw, &key); err != nil {
			continue // of a kind that this program does not know
		}
		if !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" || isShort(key.Key) {
			continue
		}
		list = append(list, key)
	}
	if len(list) == 0 {
		return nil, errors.New("the issuer has no public key to verify signatures with")
	}
	return list, nil
}

// isShort reports whether a key of RSA is shorter than RFC 7518, section 3.3
// allows.
func isShort(key any) bool {
	k, ok := key.(*rsa.PublicKey)
	return ok && k.N.BitLen() < 2048
}

// fetch returns the JWK set as the issuer shows it.
func (i *issuer) fetch(ctx context.Context) ([]byte, error) {
	if i.KeysFile != "" {
		return readFile(i.KeysFile)
	}
	url := i.KeysURL
	if url == "" {
		p, err := oidc.NewProvider(oidc.ClientContext(ctx, i.client), i.URL)
		if err != nil {
			return nil, fmt.Errorf("discover the issuer: %w", err)
		}
		var about struct {
			Keys string `json:"jwks_uri"`
		}
		if err := p.Claims(&about); err != nil {
			return nil, fmt.Errorf("discover the issuer: %w", err)
		}
		if url = about.Keys; checkURL(url) != nil {
			return nil, errors.New("discover the issuer: jwks_uri is not a URL of https")
		}
	}
	return get(ctx, i.client, url)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxDocument {
		return nil, fmt.Errorf("%s has %d bytes, want at most %d", path, info.Size(), maxDocument)
	}
	return os.ReadFile(path)
}

func denied(format string, args ...any) *fault.Error {
	return fault.New(fault.Denied, "not authenticated").Because(fmt.Errorf(format, args...))
}

func unavailable(format string, args ...any) *fault.Error {
	return fault.New(fault.Unavailable, "%s", strings.TrimSpace(fmt.Sprintf(format, args...)))
}
