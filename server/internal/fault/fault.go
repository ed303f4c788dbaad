// Package fault gives every error of the server a kind, a message fit for the
// caller, and a cause for the log only.
//
// A transport maps kinds to its codes in one table and shows [Public]; nothing
// else of an error leaves the process.
package fault

import (
	"context"
	"errors"
	"fmt"
)

// Kind says what a caller can do about an error. A kind is an error itself, so
// that errors.Is(err, fault.Conflict) works. The zero value is invalid.
type Kind uint8

// The six kinds.
const (
	NotFound    Kind = 1 // what was named does not exist, or not for this caller
	Conflict    Kind = 2 // exists already, or has changed since it was read: read again
	Invalid     Kind = 3 // the request can never succeed as it is
	Denied      Kind = 4 // the caller may not do this
	Unavailable Kind = 5 // cannot be done now; the outcome of a write may be unknown
	Internal    Kind = 6 // a defect or damaged data; the message is not shown
)

// Error returns the name of the kind.
func (k Kind) Error() string {
	switch k {
	case NotFound:
		return "not found"
	case Conflict:
		return "conflict"
	case Invalid:
		return "invalid"
	case Denied:
		return "denied"
	case Unavailable:
		return "unavailable"
	case Internal:
		return "internal"
	}
	return fmt.Sprintf("fault.Kind(%d)", uint8(k))
}

// Error is an error of one kind.
type Error struct {
	Kind    Kind
	Message string // fit for the caller: no secret, no place in the program
	Err     error  // the cause, for the log only; may be nil
}

// New returns an error of kind k with a message fit for the caller.
func New(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// Because returns a copy of e with err as its cause.
func (e *Error) Because(err error) *Error {
	caused := *e
	caused.Err = err
	return &caused
}

// Error returns the message and the cause. It is for the log; see [Public].
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Is reports whether target is the kind of e.
func (e *Error) Is(target error) bool { return target == e.Kind }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost [Error] or [Kind] in the chain of
// err. It is [Unavailable] for an expired or cancelled context, [Internal] for
// any other error, and 0 for nil.
func KindOf(err error) Kind {
	if err == nil {
		return 0
	}
	var e *Error
	var k Kind
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.As(err, &k):
		return k
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Unavailable
	}
	return Internal
}

// Public returns what the caller may see of err: the message of the outermost
// [Error], or only the name of the kind. Of an [Internal] error it is always
// "internal error". It is empty for nil.
func Public(err error) string {
	if err == nil {
		return ""
	}
	var e *Error
	switch k := KindOf(err); {
	case k == Internal:
		return "internal error"
	case errors.As(err, &e):
		return e.Message
	default:
		return k.Error()
	}
}
