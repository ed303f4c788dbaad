package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sealwright/sealwright/api"
)

// What an [*Error] wraps, for [errors.Is].
var (
	ErrInvalid         = errors.New("request is not valid")                       // 400, 405, 408, 413, 415, 422
	ErrUnauthenticated = errors.New("caller is not known")                        // 401
	ErrDenied          = errors.New("caller may not do this")                     // 403
	ErrNotFound        = errors.New("there is no such thing")                     // 404
	ErrConflict        = errors.New("conflicts with what is there")               // 409
	ErrPrecondition    = errors.New("has been changed")                           // 412
	ErrRateLimited     = errors.New("is more than the limit allows")              // 429
	ErrUnavailable     = errors.New("server cannot do it now, or is not reached") // 502, 503, 504, and no answer
)

// Other errors.
var (
	// ErrNotValid means that a message is not authentic. Who has sent it should
	// learn no more than that.
	ErrNotValid = errors.New("message is not authentic")

	// ErrPlaintext means that a secret would go over the network in clear.
	ErrPlaintext = errors.New("connection is not encrypted")

	// ErrStale means that a [KeyCache] or [LeaseSigner] has not heard of the
	// server for so long that it must not be used.
	ErrStale = errors.New("what is known is too old")

	errNotModified = errors.New("not modified")
)

// Error is a refusal of the server, or that there was no answer.
type Error struct {
	Op string // what was being done

	// Problem is what the server says. Status is 0 if there was no answer, and
	// Code is empty if it came from elsewhere, such as a proxy.
	api.Problem

	RetryAfter time.Duration // after which to try again; 0 means that nothing is said
	Err        error         // why there was no answer
}

// Error returns what was being done, and what the server says.
func (e *Error) Error() string {
	switch {
	case e.Err != nil:
		return e.Op + ": " + e.Err.Error()
	case e.RequestID == "":
		return fmt.Sprintf("%s: %d: %s", e.Op, e.Status, e.Problem.Error())
	}
	return fmt.Sprintf("%s: %d: %s (request %s)", e.Op, e.Status, e.Problem.Error(), e.RequestID)
}

// Unwrap returns the sentinel of the status, and the cause if there was no
// answer.
func (e *Error) Unwrap() []error {
	var list []error
	if kind := kindOf(e.Status); kind != nil {
		list = append(list, kind)
	}
	if e.Err != nil {
		list = append(list, e.Err)
	}
	return list
}

func kindOf(status int) error {
	switch status {
	case http.StatusUnauthorized:
		return ErrUnauthenticated
	case http.StatusForbidden:
		return ErrDenied
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusConflict:
		return ErrConflict
	case http.StatusPreconditionFailed:
		return ErrPrecondition
	case http.StatusTooManyRequests:
		return ErrRateLimited
	case 0, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return ErrUnavailable
	}
	if status/100 == 4 {
		return ErrInvalid
	}
	return nil
}

// refused returns the error of an answer that is no success.
func refused(op string, resp *http.Response, answer []byte, now time.Time) error {
	e := &Error{Op: op}
	if err := json.Unmarshal(answer, &e.Problem); err != nil || e.Detail == "" {
		e.Problem = api.Problem{Detail: http.StatusText(resp.StatusCode)}
	}
	e.Status = resp.StatusCode
	if e.RequestID == "" {
		e.RequestID = resp.Header.Get("X-Request-Id")
	}
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	return e
}

// retryAfter reads seconds or a date (RFC 9110 section 10.2.3), 0 if it is
// neither.
func retryAfter(text string, now time.Time) time.Duration {
	const most = 1 << 30 // seconds
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return time.Duration(min(n, most)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// unanswered returns the error of an attempt without an answer. If the caller
// has given up, that is the reason and nothing is said about the server.
func unanswered(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return &Error{Op: op, Err: err}
}

// unsent reports whether err says that not one byte has left.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// invalid is an error of a call that is not even sent.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

func errPlaintext(what string) error {
	return fmt.Errorf("%w: %s in clear: use https, or http on one machine only", ErrPlaintext, what)
}
