// Package idempotency gives a request that is sent twice with the same
// idempotency key (draft-ietf-httpapi-idempotency-key-header-07) one answer, on
// any node of a store.
//
// An operation that changes something is claimed first ([Service.Begin]). Its
// writes carry the claim ([Work.Context]), so that the store notes in the same
// transaction that something was committed, and refuses to write if another has
// taken over. So it is done at most once: a request whose node died before it
// committed anything is taken over by the next one with its key, and one whose
// node died between commit and answer is [ErrLost].
//
// An operation that changes nothing, such as signing, is not claimed. It is
// done, and its answer kept if there is none yet ([Service.Keep]): one write, and
// of several requests at once all get the answer that was kept first.
//
// Answers are kept encrypted, since some reveal a secret.
package idempotency

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Bounds of what is kept.
const (
	KeepFor   = 24 * time.Hour
	MaxKept   = 10_000           // answers of one tenant
	leaseTime = 2 * time.Minute  // for one operation; it is done all the same if nobody takes it over
	waitTime  = 10 * time.Second // for the answer to another request
	firstPoll = 10 * time.Millisecond
	lastPoll  = 200 * time.Millisecond
)

// Errors that callers may want to tell apart. Beside them there is
// [store.ErrTooManyAnswers].
var (
	ErrReused = fault.New(fault.Invalid, "the idempotency key was used for another request: use a new one for each")
	ErrBusy   = fault.New(fault.Conflict, "the first request with this idempotency key is still being worked on: send it again later")
	ErrLost   = fault.New(fault.Conflict, "the first request with this idempotency key was done, or a part of it, and its answer was lost: look what is there, and use a new key for what is missing")
)

// Store is what a [Service] needs of a database. The rules of the methods are
// those of storetest.Answers.
type Store interface {
	ClaimAnswer(ctx context.Context, a store.Answer, now time.Time, most int) (store.Answer, error)
	KeepAnswer(ctx context.Context, a store.Answer) error
	ReleaseAnswer(ctx context.Context, a store.Answer) error
	Answer(ctx context.Context, tenant, caller, key string) (store.Answer, error)
}

// Sealer encrypts secrets of a tenant. It is used by many goroutines.
type Sealer interface {
	// Seal encrypts plain, so that it opens for the same tenant and name only.
	Seal(ctx context.Context, tenant, name string, plain secret.Bytes) ([]byte, error)
	// Open returns what Seal was given.
	Open(ctx context.Context, tenant, name string, sealed []byte) (secret.Bytes, error)
}

// Service keeps answers. Its fields must not change once it is used; it may be
// used by many goroutines.
type Service struct {
	Store  Store
	Sealer Sealer
	Now    func() time.Time // nil means time.Now
	Wait   time.Duration    // for the answer to another request; 0 means 10 seconds
	Most   int              // answers of one tenant; 0 means [MaxKept]
}

// Request is one with an idempotency key.
type Request struct {
	Tenant string
	Caller string
	Key    string
	Digest []byte // of everything that is asked; two requests with the same are the same
}

// Answer is what was answered.
type Answer struct {
	Status int               // of HTTP
	Header map[string]string // those that belong to the answer
	Body   secret.Bytes      // since it may reveal one
}

// Kept is an answer of which it is not known yet whether it is to the same
// request.
type Kept struct {
	digest []byte
	answer Answer
}

// To returns the answer if it is to a request with this digest, and [ErrReused]
// otherwise.
func (k *Kept) To(digest []byte) (*Answer, error) {
	if !bytes.Equal(k.digest, digest) {
		return nil, ErrReused
	}
	return &k.answer, nil
}

// Find returns the kept answer to the key of r, whose digest need not be known,
// or nil if there is none. It waits for one that is being worked on; errors are
// [ErrBusy], [ErrLost] and those of the store.
func (s *Service) Find(ctx context.Context, r Request) (*Kept, error) {
	a, err := s.Store.Answer(ctx, r.Tenant, r.Caller, r.Key)
	if err == nil {
		a, err = s.await(ctx, a)
	}
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return nil, nil
	case err != nil:
		return nil, err
	case a.FreeAt(s.now()):
		return nil, nil
	}
	return s.open(ctx, a)
}

// await returns a when it is kept or free.
func (s *Service) await(ctx context.Context, a store.Answer) (store.Answer, error) {
	limit, poll := s.Wait, firstPoll
	if limit == 0 {
		limit = waitTime
	}
	deadline := time.Now().Add(limit)
	for {
		switch {
		case a.State == store.AnswerKept || a.FreeAt(s.now()):
			return a, nil
		case a.State == store.AnswerCommitted && !s.now().Before(a.LeaseEnd):
			return a, ErrLost
		case time.Until(deadline) <= 0:
			return a, ErrBusy
		}
		select {
		case <-ctx.Done():
			return a, fault.New(fault.Unavailable, "wait for the first request with this idempotency key").Because(ctx.Err())
		case <-time.After(poll):
		}
		poll = min(2*poll, lastPoll)
		var err error
		if a, err = s.Store.Answer(ctx, a.Tenant, a.Caller, a.Key); err != nil {
			return a, err
		}
	}
}

// Keep keeps answer for r and returns it, or returns the answer that is kept
// already. Use it for what changes nothing, after [Service.Find]. An answer of more
// than [store.MaxAnswer] bytes is of kind [fault.Invalid]. Other errors are
// those of [Service.Begin].
func (s *Service) Keep(ctx context.Context, r Request, answer Answer) (*Answer, error) {
	mine := s.claimOf(r)
	mine.State = store.AnswerKept
	var err error
	if mine.Sealed, err = s.seal(ctx, r, answer); err != nil {
		return nil, err
	}
	kept, err := s.claim(ctx, mine)
	switch {
	case err != nil:
		return nil, err
	case kept == nil:
		return &answer, nil
	}
	return kept.To(r.Digest)
}

// Work is an operation that was claimed.
type Work struct {
	s     *Service
	r     Request
	claim store.Answer
}

// Begin claims r, or returns the answer that is kept. One that is being worked
// on is waited for. Errors are [ErrReused], [ErrBusy], [ErrLost],
// [store.ErrTooManyAnswers] and those of the store.
func (s *Service) Begin(ctx context.Context, r Request) (*Work, *Answer, error) {
	mine := s.claimOf(r)
	kept, err := s.claim(ctx, mine)
	if err != nil {
		return nil, nil, err
	}
	if kept == nil {
		return &Work{s, r, mine}, nil, nil
	}
	answer, err := kept.To(r.Digest)
	return nil, answer, err
}

func (s *Service) claimOf(r Request) store.Answer {
	now := s.now()
	return store.Answer{
		Tenant: r.Tenant, Caller: r.Caller, Key: r.Key, Request: r.Digest, Owner: rand.Text(), State: store.AnswerPending,
		LeaseEnd: now.Add(leaseTime), ExpiresAt: now.Add(KeepFor),
	}
}

// claim returns nil if mine is stored, else what is kept.
func (s *Service) claim(ctx context.Context, mine store.Answer) (*Kept, error) {
	most := s.Most
	if most == 0 {
		most = MaxKept
	}
	for {
		a, err := s.Store.ClaimAnswer(ctx, mine, s.now(), most)
		switch {
		case err != nil:
			return nil, err
		case a.Owner == mine.Owner:
			return nil, nil
		case !bytes.Equal(a.Request, mine.Request):
			return nil, ErrReused
		}
		a, err = s.await(ctx, a)
		switch {
		case fault.KindOf(err) == fault.NotFound || err == nil && a.FreeAt(s.now()): // released, or its node has died
			continue
		case err != nil:
			return nil, err
		}
		return s.open(ctx, a)
	}
}

// Context returns a ctx for everything that the operation writes.
func (w *Work) Context(ctx context.Context) context.Context { return store.WithClaim(ctx, w.claim) }

// End says how the operation ended. A status below 400 keeps the answer; one
// below 500 says that nothing was done, so that the key is free again; of
// another it is not known, so the key is free only if nothing was committed. If
// End returns an error, others get [ErrLost], or may try again if nothing was
// committed.
func (w *Work) End(ctx context.Context, answer Answer) error {
	c := w.claim
	switch {
	case answer.Status >= 500:
		c.State = store.AnswerPending
		return w.s.Store.ReleaseAnswer(ctx, c)
	case answer.Status >= 400:
		c.State = store.AnswerCommitted
		return w.s.Store.ReleaseAnswer(ctx, c)
	}
	var err error
	if c.Sealed, err = w.s.seal(ctx, w.r, answer); err != nil {
		return err
	}
	c.State = store.AnswerKept
	return w.s.Store.KeepAnswer(ctx, c)
}

// plainAnswer is how an answer is kept.
type plainAnswer struct {
	Status int               `json:"status"`
	Header map[string]string `json:"header,omitempty"`
	Body   []byte            `json:"body,omitempty"`
}

// sealedName binds an answer to the request that it is of.
func sealedName(caller, key string) string {
	return "idempotency " + strconv.Quote(caller) + " " + strconv.Quote(key)
}

func (s *Service) seal(ctx context.Context, r Request, a Answer) ([]byte, error) {
	text, err := json.Marshal(plainAnswer{a.Status, a.Header, a.Body.Expose()})
	if err != nil {
		return nil, err
	}
	defer clear(text)
	sealed, err := s.Sealer.Seal(ctx, r.Tenant, sealedName(r.Caller, r.Key), secret.New(text))
	if err != nil {
		return nil, fmt.Errorf("keep answer: %w", err)
	}
	if len(sealed) > store.MaxAnswer {
		return nil, fault.New(fault.Invalid, "the answer is too large to be kept for an idempotency key: ask for less at once")
	}
	return sealed, nil
}

func (s *Service) open(ctx context.Context, a store.Answer) (*Kept, error) {
	plain, err := s.Sealer.Open(ctx, a.Tenant, sealedName(a.Caller, a.Key), a.Sealed)
	if err != nil {
		return nil, err
	}
	var p plainAnswer
	if err := json.Unmarshal(plain.Expose(), &p); err != nil {
		return nil, fault.New(fault.Internal, "kept answer is damaged") // the cause may show a part of it
	}
	defer clear(p.Body)
	return &Kept{a.Request, Answer{p.Status, p.Header, secret.New(p.Body)}}, nil
}

func (s *Service) now() time.Time {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	return now().UTC().Truncate(time.Microsecond)
}
