package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/operation"
)

// Operation is one request below /v1 as it ended.
type Operation = operation.Report

// unknownOperation is the name of what is no operation.
const unknownOperation = "none"

// exchange is one request with its answer. It is reused, with its buffers.
type exchange struct {
	w      http.ResponseWriter
	r      *http.Request
	caller access.Caller
	op     Operation
	cancel context.CancelFunc // of the time for key services; nil if none is asked

	body    []byte // as it was read
	content []byte // a decoded message
	out     []byte // the answer
	batch   batch  // the decoded body of sign and verify
	bound   []byte // a message with its metadata
	tag     [64]byte
}

// maxKept is the size in bytes of a buffer that is kept for the next request:
// that of a batch of 100 messages of 1 KiB in base64 fits in.
const maxKept = 256 << 10

func (x *exchange) begin(w http.ResponseWriter, r *http.Request, op Operation) {
	x.w, x.r, x.op = w, r, op
}

// put gives x back. Messages and tags do not outlive their request.
func (a *API) put(x *exchange) {
	*x = exchange{body: kept(x.body), content: kept(x.content), bound: kept(x.bound), out: kept(x.out), batch: batch{items: keptItems(x.batch.items)}}
	a.exchanges.Put(x)
}

func kept(b []byte) []byte {
	if cap(b) > maxKept {
		return nil
	}
	clear(b)
	return b[:0]
}

func keptItems(items []message) []message {
	clear(items[:cap(items)])
	return items[:0]
}

// operation makes a handler of h that demands a known caller who may do one of
// actions, and reports what happened.
func (a *API) operation(name string, actions []access.Action, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x := a.exchanges.Get().(*exchange)
		x.begin(w, r, Operation{Name: name, RequestID: a.requests.Next(), Start: a.o.Now()})
		w.Header()["X-Request-Id"] = []string{x.op.RequestID}
		a.guard(x, actions, h)
		a.finish(x)
		a.put(x)
	}
}

// guard authenticates, decides whether the operation is for the caller at all,
// and calls h. It turns errors and panics into problems.
func (a *API) guard(x *exchange, actions []access.Action, h handler) {
	defer func() {
		if p := recover(); p != nil {
			a.o.Log.Error("panic", "op", x.op.Name, "request_id", x.op.RequestID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			a.fail(x, newProblem(http.StatusInternalServerError, "internal error"))
		}
	}()
	var err error
	if x.op.Name != opExchange { // whose token is looked at by its handler
		err = a.identify(x)
	}
	if err == nil {
		err = a.take(x, 1)
	}
	if err == nil {
		err = mayAny(x.caller, actions)
	}
	if err == nil {
		err = h(a, x)
	}
	if err != nil {
		a.fail(x, err)
	}
}

// identify finds out who calls, and in which tenant.
func (a *API) identify(x *exchange) error {
	caller, err := a.o.Authenticate(x.r)
	if err != nil {
		return a.unknown(x, err)
	}
	x.caller, x.op.Caller = caller, caller.ID
	name, given, err := oneHeader(x.r.Header, api.TenantHeader)
	if err != nil || !given {
		return err
	}
	x.caller, err = a.o.Tenants.Enter(caller, name)
	return err
}

// unknown returns what who is not authenticated may know: that the request was
// sent before, which only its sender can learn, or that this node cannot tell,
// or else always the same. The log knows why.
func (a *API) unknown(x *exchange, err error) error {
	var many limit.TooMany
	if errors.As(err, &many) { // the log has the operation, and no more
		x.w.Header().Set("Retry-After", "1")
		return newProblem(http.StatusTooManyRequests, "too many attempts from this address have failed: try again later")
	}
	switch fault.KindOf(err) {
	case fault.Conflict, fault.Unavailable:
		return err
	case fault.Denied:
	default:
		a.o.Log.Error("cannot authenticate", "op", x.op.Name, "request_id", x.op.RequestID, "error", err.Error())
		return unauthenticated(x.w)
	}
	a.o.Log.Info("not authenticated", "op", x.op.Name, "request_id", x.op.RequestID, "peer", x.r.RemoteAddr, "error", err.Error())
	return unauthenticated(x.w)
}

func unauthenticated(w http.ResponseWriter) error {
	w.Header().Set("WWW-Authenticate", `Bearer realm="sealwright"`)
	return newProblem(http.StatusUnauthorized, "a valid token or signature is needed: see Authorization and Signature-Input in the description of the API")
}

// fail answers with the problem that err is, if there is no answer yet.
func (a *API) fail(x *exchange, err error) {
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, p) {
		a.o.Log.Error("operation failed", "op", x.op.Name, "request_id", x.op.RequestID, "error", err.Error())
	}
	x.op.Reason = p.Code
	if x.op.Status != 0 {
		return
	}
	x.op.Status = p.Status
	p.RequestID = x.op.RequestID
	tryLater(x.w.Header(), err)
	writeProblem(x.w, p)
}

// finish reports the operation.
func (a *API) finish(x *exchange) {
	x.op.End(a.o.Now())
	if a.o.Record != nil {
		a.o.Record(x.op)
	}
}

// jsonType is shared by all answers, which only read it.
var jsonType = []string{"application/json"}

// reply sends x.out as a JSON answer with status 200.
func (x *exchange) reply() {
	x.op.Status = http.StatusOK
	h := x.w.Header()
	h["Content-Type"] = jsonType
	if len(x.out) > 2048 { // net/http counts up to here by itself
		h["Content-Length"] = []string{strconv.Itoa(len(x.out))}
	}
	_, _ = x.w.Write(x.out) // the client may be gone
}

// bodyKind says how the body of sign and verify is to be read.
type bodyKind uint8

const (
	jsonBody bodyKind = iota
	rawBody
)

// kindOf reads Content-Type and Content-Encoding. A body without a type is
// taken for JSON.
func kindOf(h http.Header) (bodyKind, error) {
	if e := h["Content-Encoding"]; len(e) > 1 || (len(e) == 1 && !strings.EqualFold(e[0], "identity")) {
		return 0, newProblem(http.StatusUnsupportedMediaType, "Content-Encoding is not supported: send the body as it is")
	}
	switch t := h["Content-Type"]; {
	case len(t) == 0:
		return jsonBody, nil
	case len(t) > 1:
		return 0, newProblem(http.StatusBadRequest, "Content-Type stands twice")
	case t[0] == "application/json":
		return jsonBody, nil
	default:
		switch canon.MediaType(t[0]) {
		case "application/json":
			return jsonBody, nil
		case "application/octet-stream":
			return rawBody, nil
		}
	}
	return 0, newProblem(http.StatusUnsupportedMediaType, "Content-Type is not one that this operation reads: send application/json")
}

// oneHeader returns the value of a header that may stand once, and whether it
// stands there.
func oneHeader(h http.Header, name string) (string, bool, error) {
	switch v := h[name]; len(v) {
	case 0:
		return "", false, nil
	case 1:
		return v[0], true, nil
	}
	return "", false, newProblem(http.StatusBadRequest, "header "+name+" stands twice").at("header."+name, "stands twice")
}
