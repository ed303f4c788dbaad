package rest

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/policy"
	"github.com/sealwright/sealwright/server/internal/quota"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

// problem is an error that a caller may see as it is.
type problem struct{ api.Problem }

// codes are the words for the statuses that the API uses.
var codes = map[int]string{
	http.StatusBadRequest:            "malformed",
	http.StatusUnauthorized:          "unauthorized",
	http.StatusForbidden:             "denied",
	http.StatusNotFound:              "not-found",
	http.StatusMethodNotAllowed:      "method-not-allowed",
	http.StatusRequestTimeout:        "timeout",
	http.StatusConflict:              "conflict",
	http.StatusPreconditionFailed:    "precondition-failed",
	http.StatusRequestEntityTooLarge: "too-large",
	http.StatusUnsupportedMediaType:  "unsupported-media-type",
	http.StatusUnprocessableEntity:   "invalid",
	http.StatusTooManyRequests:       "rate-limited",
	http.StatusInternalServerError:   "internal",
	http.StatusServiceUnavailable:    "unavailable",
}

func newProblem(status int, detail string) *problem {
	return &problem{api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: codes[status], Detail: detail}}
}

// at adds the place of a fault.
func (p *problem) at(location, detail string) *problem {
	p.Errors = append(p.Errors, api.ProblemDetail{Location: location, Detail: detail})
	return p
}

// GetStatus returns the HTTP status. Huma asks for it.
func (p *problem) GetStatus() int { return p.Status }

// ContentType returns the media type of the problem. Huma asks for it.
func (p *problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// statuses maps the kinds of faults.
var statuses = map[fault.Kind]int{
	fault.NotFound:    http.StatusNotFound,
	fault.Conflict:    http.StatusConflict,
	fault.Invalid:     http.StatusUnprocessableEntity,
	fault.Denied:      http.StatusForbidden,
	fault.Unavailable: http.StatusServiceUnavailable,
	fault.Internal:    http.StatusInternalServerError,
}

// problemOf returns what the caller may know of err.
func problemOf(err error) *problem {
	var p *problem
	var b *badBody
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &b):
		return newProblem(b.status, b.Error()).at(b.location, b.detail)
	case errors.Is(err, custody.ErrPrecondition), errors.Is(err, tenant.ErrPrecondition), errors.Is(err, policy.ErrPrecondition), errors.Is(err, quota.ErrPrecondition):
		return newProblem(http.StatusPreconditionFailed, fault.Public(err))
	}
	return newProblem(statuses[fault.KindOf(err)], fault.Public(err))
}

func writeProblem(w http.ResponseWriter, p *problem) {
	w.Header().Set("Content-Type", problemType)
	w.Header().Set("Cache-Control", "no-store")
	tryAgain(w.Header(), p.Status)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may be gone
}

// tryAgain says with an answer of 503 that it may be tried again in a second, if
// nothing else is said.
func tryAgain(h http.Header, status int) {
	if status == http.StatusServiceUnavailable && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "1")
	}
}

func wrongMethod(w http.ResponseWriter, methods []string) error {
	allowed := slices.Clone(methods)
	if slices.Contains(allowed, http.MethodGet) {
		allowed = append(allowed, http.MethodHead)
	}
	slices.Sort(allowed)
	list := strings.Join(allowed, ", ")
	w.Header().Set("Allow", list)
	return newProblem(http.StatusMethodNotAllowed, "this path allows "+list)
}
