// Package pass makes short-lived proofs of who somebody is that every node
// checks by itself: tokens that CI jobs and workloads get in exchange for one
// of their issuer, and the sessions of people.
//
// A [Pass] is signed, not encrypted: whoever holds it can read it. It is
// checked without a call of the store. Whether its caller may still do
// something is looked at each time, so that a caller who is disabled or
// deleted has no more passes at once; one pass alone cannot be revoked.
//
// The keys are made at random, sealed in the store, and replaced by
// themselves. A new key is known for [settle] before it signs, and an old one
// verifies for longer than any pass lives.
package pass

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Kind is what a pass is good for. One of a kind is never taken for another.
type Kind string

// The kinds of passes.
const (
	Token   Kind = "token"   // to the API, as a bearer token
	Session Kind = "session" // of a person, in a cookie
	Login   Kind = "login"   // a login under way; it has no caller
)

// Bounds of passes.
const (
	MaxLife = 24 * time.Hour
	maxText = 8 << 10 // bytes

	prefix = "swe_"
)

// Pass says who somebody is, until when, and who has said so.
type Pass struct {
	ID       string            `json:"id"`               // random, for the log
	Caller   string            `json:"caller,omitempty"` // ID
	Tenant   string            `json:"tenant,omitempty"` // empty for an operator
	Issuer   string            `json:"issuer,omitempty"` // name of the one whose word counted
	Subject  string            `json:"subject,omitempty"`
	Claims   map[string]string `json:"claims,omitempty"` // of the issuer, to which the pass is bound
	IssuedAt time.Time         `json:"iat"`
	Until    time.Time         `json:"exp"`          // exclusive
	Ends     time.Time         `json:"end,omitzero"` // of a session, however often it is renewed
}

// Store is what a [Service] needs of a database. The rules of the methods are
// those of storetest.Store.
type Store interface {
	Load(ctx context.Context, tenant, kind, name string) (store.Record, error)
	Commit(ctx context.Context, c store.Change) (seq int64, err error)
}

// Sealer encrypts secrets of a tenant. It is used by many goroutines.
type Sealer interface {
	// Seal encrypts plain, so that it opens for the same tenant and name only.
	Seal(ctx context.Context, tenant, name string, plain secret.Bytes) ([]byte, error)
	// Open returns what Seal was given.
	Open(ctx context.Context, tenant, name string, sealed []byte) (secret.Bytes, error)
}

// Options are what [Open] needs. Store, Sealer and Caller must not be nil.
type Options struct {
	Store  Store
	Sealer Sealer
	Now    func() time.Time // nil means time.Now

	// Caller returns the caller with this ID of a tenant, none for operators, if
	// it may do anything now. The error is of kind [fault.Denied], or
	// [fault.Unavailable] if this node does not know.
	Caller func(tenant, id string) (access.Caller, error)

	// Current reports whether a key that is not in memory does not exist; nil
	// means that it never does.
	Current func() bool
}

// Service makes and checks passes. Get one from [Open]. It may be used by many
// goroutines.
type Service struct {
	o      Options
	none   *mac.Key   // of nobody
	change sync.Mutex // held while keys are loaded or made
	shown  atomic.Pointer[ring]
	first  bool // Open has made the first key
}

// Open loads the keys, and makes the first one if there is none.
func Open(ctx context.Context, o Options) (*Service, error) {
	if o.Store == nil || o.Sealer == nil || o.Caller == nil {
		return nil, fault.New(fault.Internal, "passes have no store, no sealer or no callers")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Current == nil {
		o.Current = func() bool { return true }
	}
	none, err := mac.New(mac.SHA256, secret.Random(keyBytes))
	if err != nil {
		return nil, err
	}
	s := &Service{o: o, none: none}
	if err := s.Renew(ctx); err != nil {
		return nil, fmt.Errorf("open the keys of passes: %w", err)
	}
	return s, nil
}

// First reports whether [Open] has made the first key of the store, so that
// there was no pass before.
func (s *Service) First() bool { return s.first }

// Issue returns a pass as text, signed. It fills in ID and IssuedAt. The error
// is of kind [fault.Invalid] if it ends now, or lives too long.
func (s *Service) Issue(kind Kind, p Pass) (secret.Bytes, Pass, error) {
	now := s.o.Now()
	p.IssuedAt, p.Until = now.UTC().Truncate(time.Second), p.Until.UTC().Truncate(time.Second)
	if life := p.Until.Sub(now); life <= 0 || life > MaxLife {
		return secret.Bytes{}, Pass{}, fault.New(fault.Invalid, "pass: lives for %v, want above 0 and up to %v", life, MaxLife)
	}
	p.ID = randomID()
	payload, err := json.Marshal(p)
	if err != nil {
		return secret.Bytes{}, Pass{}, fault.New(fault.Internal, "pass cannot be written").Because(err)
	}
	k := s.shown.Load().signing(now)
	signed := k.id + "." + canon.Base64URLRaw.EncodeToString(payload)
	tag, err := k.key.Sum(nil, purpose(kind), []byte(signed))
	if err != nil {
		return secret.Bytes{}, Pass{}, err
	}
	text := prefix + signed + "." + canon.Base64URLRaw.EncodeToString(tag)
	if len(text) > maxText {
		return secret.Bytes{}, Pass{}, fault.New(fault.Invalid, "pass: has %d bytes, want at most %d", len(text), maxText)
	}
	return secret.FromString(text), p, nil
}

// purpose stands in front of what is signed. It ends with a byte that no text of
// a pass has.
func purpose(kind Kind) []byte { return []byte("sealwright pass " + string(kind) + "\x00") }

// Is reports whether a text has the form of a pass.
func Is(text string) bool { return strings.HasPrefix(text, prefix) && strings.Count(text, ".") == 2 }

var errUnknown = fault.New(fault.Denied, "pass is not valid")

// Check returns the pass that a text of this kind is, if it is good now. The
// error is of kind [fault.Denied], always the same to the outside, or
// [fault.Unavailable] if this node does not know the key. Whatever is wrong, one
// MAC is computed, unless the text is too large.
func (s *Service) Check(kind Kind, text string) (Pass, error) {
	body, ok := strings.CutPrefix(text, prefix)
	parts := strings.Split(body, ".")
	if !ok || len(text) > maxText || len(parts) != 3 {
		return Pass{}, refusal("it has not the form of one")
	}
	now, key := s.o.Now(), s.none
	k := s.shown.Load().find(parts[0])
	if k != nil {
		key = k.key
	}
	tag, err := canon.Base64URLRaw.DecodeString(parts[2])
	state := key.State()
	defer state.Release()
	_, _ = state.Write(purpose(kind))
	_, _ = state.WriteString(parts[0] + "." + parts[1])
	good := state.Verify(tag)
	switch {
	case k == nil && !s.o.Current():
		return Pass{}, fault.New(fault.Unavailable, "this node does not know whether the token is good, since it does not reach the database")
	case k == nil:
		return Pass{}, refusal("no key %q", parts[0][:min(len(parts[0]), 2*idBytes)])
	case !good || err != nil:
		return Pass{}, refusal("wrong tag, or of another kind than %s", kind)
	}
	var p Pass
	payload, err := canon.Base64URLRaw.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &p)
	}
	if err != nil {
		return Pass{}, refusal("payload: %v", err)
	}
	if !now.Before(p.Until) {
		return Pass{}, refusal("pass %s of %q has expired", p.ID, p.Caller)
	}
	return p, nil
}

// Authenticate is [Service.Check] that also returns the caller of the pass, as
// it is now.
func (s *Service) Authenticate(kind Kind, text string) (access.Caller, Pass, error) {
	p, err := s.Check(kind, text)
	if err != nil {
		return access.Caller{}, Pass{}, err
	}
	c, err := s.o.Caller(p.Tenant, p.Caller)
	switch fault.KindOf(err) {
	case 0:
		return c, p, nil
	case fault.Unavailable:
		return access.Caller{}, Pass{}, err
	}
	return access.Caller{}, Pass{}, refusal("pass %s: %v", p.ID, err)
}

func refusal(format string, args ...any) error {
	return errUnknown.Because(fmt.Errorf(format, args...))
}
