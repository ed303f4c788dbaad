package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// Times of a [KeyCache].
const (
	spacing  = 100 * time.Millisecond // between two looks that messages cause
	giveUp   = 5 * time.Second        // of a look
	cooldown = time.Second            // after a failure, in which no message causes a look
)

// KeyCache keeps a copy of a key in this process, to verify and to sign without
// a round trip. The key must be exportable, and the caller must be allowed to
// reveal it: who holds a copy can sign for ever, so wherever that is not wanted
// use [LeaseSigner] and [Client.Verify]. Purposes, policies and limits of the
// server do not see what is done here.
//
// Call Refresh once, and Run in a goroutine of its own. It asks for changes each
// Interval, with the ETag, and Verify and VerifySignature ask at once when a
// message was signed by a version that is not known, so no valid message is
// refused after a rotation. What is revoked is refused after the next look.
//
// A message waits for such a look for ten seconds at the very most, while the
// server hangs.
//
// Its fields must not change once it was used, and it must not be copied; any
// number of goroutines may use it.
type KeyCache struct {
	Client *Client
	Key    string // name of the key

	Interval time.Duration // between two looks of Run, up to a tenth less or more; 0 means 30 seconds

	// MaxAge is how long after the last look that was answered the key is used.
	// From then on it is refused with [ErrStale], since a revocation could have
	// been missed. 0 means 15 minutes.
	MaxAge time.Duration

	// OnError is told why a look of Run brought nothing. Nil means that nobody is.
	OnError func(error)

	copy   atomic.Pointer[keyCopy]
	turn   sync.Mutex // is held by the look that is under way
	mu     sync.Mutex
	queued *look // has not begun yet
	ended  ended // the last look

	revoked map[int]bool // versions; guarded by turn
}

// ended says how the last look of a [KeyCache] went.
type ended struct {
	at  time.Time
	err error
}

// look is one question to the server, for all who wait for it.
type look struct {
	done   chan struct{}
	err    error // after done
	broken bool  // after done: whoever made it gave up, so err says nothing
}

// keyCopy is what a look has brought.
type keyCopy struct {
	about     api.Key
	etag      string
	algorithm mac.Algorithm
	ring      *keyring.Ring // versions that verify; nil if there are none
	newest    int           // version, also of those that do not verify
	at        time.Time     // before the server was asked
}

// Ring returns the versions that verify, of which the active one signs. It is
// nil, and then everything is refused, before the first look and when the last
// one is older than MaxAge. It is what Ring of [sealhttp.Middleware] asks for;
// OnRefusal may then call [KeyCache.Refresh], see docs/use/client.md.
//
// [sealhttp.Middleware]: https://pkg.go.dev/github.com/sealwright/sealwright/sealhttp#Middleware
func (c *KeyCache) Ring() *keyring.Ring {
	k, err := c.fresh()
	if err != nil {
		return nil
	}
	return k.ring
}

// fresh returns the copy, or an error if it must not be used.
func (c *KeyCache) fresh() (*keyCopy, error) {
	k := c.copy.Load()
	if k == nil {
		return nil, fmt.Errorf("key %q: %w: it was not fetched yet", c.Key, ErrStale)
	}
	maxAge := c.MaxAge
	if maxAge == 0 {
		maxAge = 15 * time.Minute
	}
	if age := elapsed(k.at, c.Client.now()); age >= maxAge {
		return nil, fmt.Errorf("key %q: %w: it is %v old, want less than %v", c.Key, ErrStale, age.Round(time.Second), maxAge)
	}
	if k.ring == nil {
		return nil, fmt.Errorf("key %q: %w", c.Key, sealwright.ErrUnknownKey)
	}
	return k, nil
}

// Verify checks a message under the scheme of v, whose ring does not count. If
// no version that is known made its tag it looks whether there is a new one,
// not more often than ten times a second. The error is that of
// [sealwright.Verifier.Verify], [ErrStale], or [ErrUnavailable] if it is not
// known whether there is a new version.
func (c *KeyCache) Verify(ctx context.Context, v *sealwright.Verifier, m sealwright.Message) (sealwright.Verdict, error) {
	k, err := c.fresh()
	if err != nil {
		return sealwright.Verdict{}, err
	}
	verdict, err := v.VerifyRing(k.ring, m, c.Client.now())
	if !errors.Is(err, sealwright.ErrMismatch) && !errors.Is(err, sealwright.ErrUnknownKey) {
		return verdict, err
	}
	after, changed := c.follow(ctx, k)
	if changed != nil {
		return sealwright.Verdict{}, changed
	}
	if after.ring == k.ring {
		return verdict, err
	}
	return v.VerifyRing(after.ring, m, c.Client.now())
}

// VerifySignature checks a signature in the standard form, as [Client.Verify]
// does. The error is nil exactly if the verdict is valid, and otherwise wraps
// [ErrNotValid], [ErrStale], or [ErrUnavailable] if the signature names a
// version that is not known and the server does not say whether there is one.
func (c *KeyCache) VerifySignature(ctx context.Context, signature string, message []byte) (api.Verdict, error) {
	k, err := c.fresh()
	if err != nil {
		return api.Verdict{}, err
	}
	claim, err := api.ParseSignature(signature)
	if err != nil {
		reason := sealwright.ReasonMalformed
		if signature == "" {
			reason = sealwright.ReasonMissing
		}
		return k.refuse(claim, reason, err.Error())
	}
	// Versions only ever get higher, so a lower one will not come.
	if claim.Version > k.newest && claim.KeyID == k.about.KeyID {
		if k, err = c.follow(ctx, k); err != nil {
			return api.Verdict{}, err
		}
	}
	return k.check(claim, message, c.Client.now())
}

// Sign returns the signature of a message in the standard form, by the version
// that signs.
func (c *KeyCache) Sign(message []byte) (api.Signature, error) {
	k, err := c.fresh()
	if err != nil {
		return api.Signature{}, err
	}
	v, err := k.ring.Signing(c.Client.now())
	if err != nil || !k.signs(v.Version) {
		return api.Signature{}, fmt.Errorf("key %q: no version signs now", c.Key)
	}
	m, err := k.prepared(v)
	if err != nil {
		return api.Signature{}, fmt.Errorf("key %q: %w", c.Key, err)
	}
	tag, err := m.Sum(nil, message)
	if err != nil {
		return api.Signature{}, fmt.Errorf("key %q: %w", c.Key, err)
	}
	return api.Signature{Algorithm: k.algorithm, Tag: tag, KeyID: k.about.KeyID, Version: v.Version}, nil
}

// signs reports whether a version is the one that signs. A ring always has one
// that does, so it says nothing.
func (k *keyCopy) signs(version int) bool { return version == k.about.Version }

func (k *keyCopy) prepared(v *keyring.Key) (*mac.Key, error) {
	return v.Prepared(k.about.Algorithm, func(s secret.Bytes) (*mac.Key, error) { return mac.New(k.algorithm, s) })
}

// check decides about a well-formed signature.
func (k *keyCopy) check(claim api.Signature, message []byte, now time.Time) (api.Verdict, error) {
	switch {
	case claim.Native || claim.Algorithm != k.algorithm:
		return k.refuse(claim, sealwright.ReasonPolicy, "the key has algorithm "+k.about.Algorithm)
	case claim.KeyID != k.about.KeyID:
		return k.refuse(claim, sealwright.ReasonUnknownKey, fmt.Sprintf("key ID %q", claim.KeyID))
	}
	v, err := k.ring.Version(claim.Version)
	if err != nil || !v.ValidAt(now) {
		return k.refuse(claim, sealwright.ReasonUnknownKey, fmt.Sprintf("version %d", claim.Version))
	}
	m, err := k.prepared(v)
	if err != nil {
		return api.Verdict{}, err
	}
	if !m.Verify(claim.Tag, message) {
		return k.refuse(claim, sealwright.ReasonMismatch, sealwright.ErrMismatch.Error())
	}
	out := k.verdict(claim)
	out.Valid = true
	for _, about := range k.about.Versions {
		if about.Version == claim.Version {
			out.State = about.State
		}
	}
	return out, nil
}

func (k *keyCopy) verdict(claim api.Signature) api.Verdict {
	return api.Verdict{Key: k.about.Name, KeyID: k.about.KeyID, Version: claim.Version, Algorithm: k.about.Algorithm}
}

func (k *keyCopy) refuse(claim api.Signature, reason sealwright.Reason, detail string) (api.Verdict, error) {
	out := k.verdict(claim)
	out.Reason, out.Detail = string(reason), detail
	return out, notValid(false, out.Reason)
}

// follow returns what a look brings that began after the call. It is for
// messages that k, the copy until now, does not know the key of, so strangers
// can cause it: all of them together get ten looks a second, and none in the
// second after one that failed.
func (c *KeyCache) follow(ctx context.Context, k *keyCopy) (*keyCopy, error) {
	c.mu.Lock()
	last := c.ended
	c.mu.Unlock()
	now := c.Client.now()
	if last.err != nil && elapsed(last.at, now) < cooldown {
		return nil, last.err
	}
	if err := c.look(ctx, true); err != nil {
		return nil, err
	}
	return c.fresh()
}

// Refresh asks the server whether the key has changed, and takes the change. An
// error leaves the copy as it was, unless the server says that there is no such
// key: then nothing is verified until there is. [ErrDenied] means that the key
// is not exportable, or that the caller may not see or reveal it.
func (c *KeyCache) Refresh(ctx context.Context) error { return c.look(ctx, false) }

// look waits for a look that has not begun yet, and makes it if nobody else
// does.
func (c *KeyCache) look(ctx context.Context, follows bool) error {
	for {
		c.mu.Lock()
		l := c.queued
		if l == nil {
			l = &look{done: make(chan struct{})}
			c.queued = l
			c.mu.Unlock()
			c.perform(ctx, l, follows)
			return l.err
		}
		c.mu.Unlock()
		select {
		case <-l.done:
		case <-ctx.Done():
			return fmt.Errorf("refresh key %q: %w", c.Key, context.Cause(ctx))
		}
		if !l.broken {
			return l.err
		}
	}
}

// perform makes the look l. One that messages wait for does not end with ctx, since
// its other messages would suffer from that, but after five seconds.
func (c *KeyCache) perform(ctx context.Context, l *look, follows bool) {
	defer close(l.done)
	c.turn.Lock()
	defer c.turn.Unlock()
	if follows {
		ctx = context.WithoutCancel(ctx)
		c.mu.Lock()
		last := c.ended.at
		c.mu.Unlock()
		sleep(ctx, min(spacing-elapsed(last, c.Client.now()), spacing))
	}
	c.mu.Lock()
	c.queued = nil // who comes now may know of something newer
	c.mu.Unlock()
	bounded, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	l.err = c.fetch(bounded)
	if l.err != nil && ctx.Err() != nil {
		l.broken = true
		return
	}
	if l.err != nil && bounded.Err() != nil {
		l.err = &Error{Op: c.refreshing(), Err: fmt.Errorf("no answer within %v", giveUp)}
	}
	c.mu.Lock()
	c.ended = ended{at: c.Client.now(), err: l.err}
	c.mu.Unlock()
}

func (c *KeyCache) refreshing() string { return fmt.Sprintf("refresh key %q", c.Key) }

// fetch asks the server. The caller holds c.turn.
func (c *KeyCache) fetch(ctx context.Context) error {
	before := c.copy.Load()
	etag := ""
	if before != nil {
		etag = before.etag
	}
	// The second answer is about a moment after the first. If the key was changed
	// between them they do not fit, and are asked for again.
	for range 3 {
		at := c.Client.now()
		about, newETag, err := c.Client.Keys().find(ctx, c.Key, etag)
		if errors.Is(err, errNotModified) {
			same := *before
			same.at = at
			c.copy.Store(&same)
			return nil
		}
		if err != nil {
			c.drop(err)
			return err
		}
		if before != nil && len(about.Versions) < len(before.about.Versions) {
			return &Error{Op: c.refreshing(), Err: errors.New("the server answers with an older state of the key than before")}
		}
		materials, err := c.Client.Keys().Reveal(ctx, c.Key)
		if err != nil {
			c.drop(err)
			return err
		}
		next, fits, err := c.join(about, materials)
		if err != nil {
			return fmt.Errorf("refresh key %q: %w", c.Key, err)
		}
		if !fits {
			etag = ""
			continue
		}
		next.etag, next.at = newETag, at
		c.copy.Store(next)
		return nil
	}
	return &Error{Op: c.refreshing(), Err: errors.New("the key changes all the time")}
}

// drop forgets the key if the server itself says that there is none.
func (c *KeyCache) drop(err error) {
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusNotFound && e.Code == "not-found" {
		c.copy.Store(nil)
	}
}

// join makes a copy of the two answers. It fits if there is a secret for each
// version that verifies. A version that was revoked once stays so, also if the
// answer is one of a server that has not heard of it yet.
func (c *KeyCache) join(about api.Key, materials []Material) (*keyCopy, bool, error) {
	k := &keyCopy{about: about}
	var err error
	if k.algorithm, err = mac.Parse(about.Algorithm); err != nil || k.algorithm.Legacy() {
		return nil, false, fmt.Errorf("algorithm %q is not one that signs", about.Algorithm)
	}
	secrets := make(map[int]secret.Bytes, len(materials))
	for _, m := range materials {
		secrets[m.Version] = m.Secret
	}
	var keys []keyring.Key
	for _, v := range about.Versions {
		k.newest = max(k.newest, v.Version)
		state := keyring.State(v.State)
		if state == keyring.Revoked {
			if c.revoked == nil {
				c.revoked = map[int]bool{}
			}
			c.revoked[v.Version] = true
		}
		if !state.Verifies() || c.revoked[v.Version] {
			continue
		}
		s, ok := secrets[v.Version]
		if !ok {
			return nil, false, nil
		}
		keys = append(keys, keyring.Key{ID: about.KeyID, Version: v.Version, Secret: s, NotBefore: instant(v.NotBefore), NotAfter: instant(v.NotAfter)})
	}
	if len(keys) == 0 {
		return k, true, nil
	}
	if k.ring, err = keyring.New(keys...); err != nil {
		return nil, false, err
	}
	if signing, err := k.ring.Promote(about.KeyID, about.Version); err == nil {
		k.ring = signing
	}
	return k, true, nil
}

func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// Run looks for changes each Interval until ctx ends, and returns the error of
// ctx. Before the first look that succeeds it tries each second.
func (c *KeyCache) Run(ctx context.Context) error {
	for {
		if err := c.Refresh(ctx); err != nil && ctx.Err() == nil && c.OnError != nil {
			c.OnError(err)
		}
		wait := c.Interval
		if wait == 0 {
			wait = 30 * time.Second
		}
		wait += time.Duration((c.Client.random() - 0.5) / 5 * float64(wait))
		if c.copy.Load() == nil {
			wait = min(wait, time.Second)
		}
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}
