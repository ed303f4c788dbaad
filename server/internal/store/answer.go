package store

import (
	"context"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// MaxAnswer is the most bytes of a kept answer, encrypted.
const MaxAnswer = 256 << 10

// AnswerState says how far the request is that an [Answer] is of.
type AnswerState int

// The states of an answer.
const (
	AnswerPending   AnswerState = 1 // nothing was committed
	AnswerCommitted AnswerState = 2 // a change was committed; what was answered is not known
	AnswerKept      AnswerState = 3
)

// Answer is what was answered to a request with an idempotency key, or who works
// on it. Times are in microseconds, UTC.
type Answer struct {
	Tenant string
	Caller string
	Key    string // that the caller chose; unique for the caller in the tenant

	Request   []byte // digest of what was asked
	Owner     string // who works on it, or did; used once
	State     AnswerState
	LeaseEnd  time.Time // exclusive; from then on another may take over what is pending
	ExpiresAt time.Time // exclusive; from then on it is as if it were not there
	Sealed    []byte    // the answer, encrypted; of a kept one only
}

// FreeAt reports whether the key of a can be claimed at now.
func (a Answer) FreeAt(now time.Time) bool {
	return !now.Before(a.ExpiresAt) || a.State == AnswerPending && !now.Before(a.LeaseEnd)
}

// Check returns an error of kind [fault.Invalid] if no store may take a.
func (a Answer) Check() error {
	if a.Tenant == "" || a.Caller == "" || a.Key == "" || a.Owner == "" || a.ExpiresAt.IsZero() {
		return fault.New(fault.Invalid, "answer has no tenant, caller, key, owner or end")
	}
	if a.State < AnswerPending || a.State > AnswerKept || (a.State == AnswerKept) != (len(a.Sealed) > 0) || len(a.Sealed) > MaxAnswer || len(a.Request) > MaxText {
		return fault.New(fault.Invalid, "answer in state %d has %d bytes, of a digest of %d", a.State, len(a.Sealed), len(a.Request))
	}
	if err := checkTexts(a.Tenant, a.Caller, a.Key, a.Owner); err != nil {
		return fault.New(fault.Invalid, "answer: %v", err)
	}
	return nil
}

// ErrTooManyAnswers is the cause of the error, of kind [fault.Unavailable], of a
// store that keeps as many answers of a tenant as it may.
var ErrTooManyAnswers = fault.New(fault.Unavailable, "too many idempotency keys of the tenant are in use, try again later")

type claimKey struct{}

// WithClaim returns a ctx with which writes are done on behalf of the request of
// a, which was claimed. A store commits them only if the claim is still that of
// a.Owner, and in the same transaction notes that something was committed. If
// another has taken over, the error is of kind [fault.Conflict] and nothing is
// written.
func WithClaim(ctx context.Context, a Answer) context.Context {
	return context.WithValue(ctx, claimKey{}, a)
}

// ClaimOf returns what [WithClaim] was given.
func ClaimOf(ctx context.Context) (Answer, bool) {
	a, ok := ctx.Value(claimKey{}).(Answer)
	return a, ok
}

// ErrTakenOver is the cause of the error for a write on behalf of a request that
// another works on.
var ErrTakenOver = fault.New(fault.Conflict, "the request took too long: another one with the same idempotency key is worked on")
