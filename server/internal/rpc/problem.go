package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/sealwright/sealwright/proto/sealwright/v1"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// problem is an error that a caller may see as it is. Its code is a word of the
// HTTP API.
type problem struct {
	code, detail string
	kind         kind
}

// kind is what a code is in gRPC and, for the log, in HTTP.
type kind struct {
	code   codes.Code
	status int
}

// kinds is the one table from codes.
var kinds = map[string]kind{
	"malformed":    {codes.InvalidArgument, http.StatusBadRequest},
	"invalid":      {codes.InvalidArgument, http.StatusUnprocessableEntity},
	"unauthorized": {codes.Unauthenticated, http.StatusUnauthorized},
	"denied":       {codes.PermissionDenied, http.StatusForbidden},
	"not-found":    {codes.NotFound, http.StatusNotFound},
	"timeout":      {codes.DeadlineExceeded, http.StatusRequestTimeout},
	"conflict":     {codes.Aborted, http.StatusConflict},
	"too-large":    {codes.ResourceExhausted, http.StatusRequestEntityTooLarge},
	"rate-limited": {codes.ResourceExhausted, http.StatusTooManyRequests},
	"internal":     {codes.Internal, http.StatusInternalServerError},
	"unavailable":  {codes.Unavailable, http.StatusServiceUnavailable},
}

// words maps the kinds of faults to codes.
var words = map[fault.Kind]string{
	fault.NotFound: "not-found", fault.Conflict: "conflict", fault.Invalid: "invalid",
	fault.Denied: "denied", fault.Unavailable: "unavailable", fault.Internal: "internal",
}

func newProblem(code, detail string) *problem {
	return &problem{code: code, detail: detail, kind: kinds[code]}
}

// Error implements error.
func (p *problem) Error() string { return p.detail }

// badItem says what is wrong with a request, and where.
type badItem struct{ location, detail string }

// Error implements error.
func (e *badItem) Error() string { return e.location + ": " + e.detail }

func invalid(location, format string, args ...any) *badItem {
	return &badItem{location, fmt.Sprintf(format, args...)}
}

// problemOf returns what the caller may know of err.
func problemOf(err error) *problem {
	var p *problem
	var bad *badItem
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &bad):
		return newProblem("invalid", bad.Error())
	}
	return newProblem(words[fault.KindOf(err)], fault.Public(err))
}

// status returns p as an error of gRPC. Its one detail has the code only.
func (p *problem) status() error {
	s := status.New(p.kind.code, p.detail)
	if with, err := s.WithDetails(&pb.Problem{Code: p.code}); err == nil {
		s = with
	}
	return s.Err()
}

// received makes a problem of what gRPC says of a request that did not come. The
// end of the requests stays io.EOF.
func received(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	switch s := status.Convert(err); {
	case s.Code() == codes.ResourceExhausted:
		return newProblem("too-large", "a request may have at most "+fmt.Sprint(MaxMessage)+" bytes, or what the server is configured for: upload a larger message")
	case s.Code() == codes.DeadlineExceeded, errors.Is(err, context.DeadlineExceeded):
		return newProblem("timeout", "the deadline of the call has passed")
	case s.Code() == codes.Internal:
		return newProblem("malformed", "the request is not one of this method")
	}
	return newProblem("malformed", "the call ended too early")
}
