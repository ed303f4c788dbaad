package memory

import (
	"bytes"
	"context"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// ClaimAnswer implements storetest.Answers.
func (s *Store) ClaimAnswer(ctx context.Context, a store.Answer, now time.Time, most int) (store.Answer, error) {
	if err := a.Check(); err != nil {
		return store.Answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return store.Answer{}, err
	}
	id := key{a.Tenant, a.Caller, a.Key}
	if old, ok := s.answers[id]; ok && !old.FreeAt(now) {
		return cloneAnswer(old), nil
	}
	live := 0
	for k, old := range s.answers {
		if !now.Before(old.ExpiresAt) {
			delete(s.answers, k)
		} else if old.Tenant == a.Tenant && k != id {
			live++
		}
	}
	if live >= most {
		return store.Answer{}, store.ErrTooManyAnswers
	}
	s.answers[id] = cloneAnswer(a)
	return cloneAnswer(a), nil
}

// KeepAnswer implements storetest.Answers.
func (s *Store) KeepAnswer(ctx context.Context, a store.Answer) error {
	if err := a.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	id := key{a.Tenant, a.Caller, a.Key}
	if old, ok := s.answers[id]; !ok || old.Owner != a.Owner {
		return store.ErrTakenOver
	}
	s.answers[id] = cloneAnswer(a)
	return nil
}

// ReleaseAnswer implements storetest.Answers.
func (s *Store) ReleaseAnswer(ctx context.Context, a store.Answer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	id := key{a.Tenant, a.Caller, a.Key}
	if old, ok := s.answers[id]; ok && old.Owner == a.Owner && old.State <= a.State {
		delete(s.answers, id)
	}
	return nil
}

// Answer implements storetest.Answers.
func (s *Store) Answer(ctx context.Context, tenant, caller, name string) (store.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return store.Answer{}, err
	}
	a, ok := s.answers[key{tenant, caller, name}]
	if !ok {
		return store.Answer{}, fault.New(fault.NotFound, "no answer to this idempotency key")
	}
	return cloneAnswer(a), nil
}

func cloneAnswer(a store.Answer) store.Answer {
	a.Request, a.Sealed = bytes.Clone(a.Request), bytes.Clone(a.Sealed)
	a.LeaseEnd, a.ExpiresAt = a.LeaseEnd.UTC().Truncate(time.Microsecond), a.ExpiresAt.UTC().Truncate(time.Microsecond)
	return a
}

// claimed returns what the claim of ctx becomes with a write, nil for none.
func (s *Store) claimed(ctx context.Context) (*store.Answer, error) {
	c, ok := store.ClaimOf(ctx)
	if !ok {
		return nil, nil
	}
	a, ok := s.answers[key{c.Tenant, c.Caller, c.Key}]
	if !ok || a.Owner != c.Owner {
		return nil, store.ErrTakenOver
	}
	a.State = store.AnswerCommitted
	return &a, nil
}

func (s *Store) note(claim *store.Answer) {
	if claim != nil {
		s.answers[key{claim.Tenant, claim.Caller, claim.Key}] = *claim
	}
}
