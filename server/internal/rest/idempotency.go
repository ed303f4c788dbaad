package rest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/idempotency"
	"github.com/sealwright/sealwright/server/internal/store"
)

const (
	headerIdempotencyKey = "Idempotency-Key"
	headerReplayed       = "Idempotent-Replayed" // true on an answer that was kept
)

// Codes of problems with an idempotency key, beside those of [codes].
const (
	codeReused     = "idempotency-key-reused"
	codeInProgress = "idempotency-in-progress"
	codeAnswerLost = "idempotency-answer-lost"
)

// How operations are repeated. A POST that is in neither list changes something.
var (
	// signingOperations change nothing.
	signingOperations = []string{"sign", "requests.sign"}
	// readingOperations neither change nor sign, or have no caller yet. They take
	// no notice of a key. A verification by a lease spends a use each time.
	readingOperations = []string{"verify", "requests.verify", "leases.verify", "doctor", "keys.reveal", "keys.export", "policies.explain", opExchange}
)

// repeatable reports whether an operation knows idempotency keys.
func repeatable(method, name string) bool {
	return method == http.MethodPost && name != unknownOperation && !slices.Contains(readingOperations, name)
}

// once makes a handler that does what h does once for each idempotency key.
func once(method, name string, h handler) handler {
	if !repeatable(method, name) {
		return h
	}
	signs := slices.Contains(signingOperations, name)
	return func(a *API, x *exchange) error {
		field, given, err := oneHeader(x.r.Header, headerIdempotencyKey)
		switch {
		case err != nil:
			return err
		case !given:
			return h(a, x)
		case a.o.Answers == nil:
			return newProblem(http.StatusUnprocessableEntity, "this server keeps no answers: leave the header "+headerIdempotencyKey+" out")
		}
		key, err := idempotency.ParseKey(field)
		if err != nil {
			return newProblem(http.StatusBadRequest, fault.Public(err)).at("header."+headerIdempotencyKey, "malformed")
		}
		r := idempotency.Request{Tenant: x.caller.Tenant, Caller: x.caller.ID, Key: key}
		if signs {
			return a.signOnce(x, r, name, h)
		}
		return a.changeOnce(x, r, h)
	}
}

// changeOnce claims the key before h changes something.
func (a *API) changeOnce(x *exchange, r idempotency.Request, h handler) error {
	digest := digestOf(x.r)
	forget, err := a.readAhead(x, a.o.Limits.Body, digest)
	if err != nil {
		return err
	}
	defer forget()
	r.Digest = digest.Sum(nil)
	work, kept, err := a.o.Answers.Begin(x.r.Context(), r)
	if err != nil {
		return x.idempotencyProblem(err)
	}
	if kept != nil {
		x.replay(kept)
		return nil
	}
	ctx := x.r.Context()
	x.r = x.r.WithContext(work.Context(ctx))
	rec, err := a.capture(x, h)
	defer clear(rec.body)
	status := rec.status
	if err != nil {
		status = problemOf(err).Status
	}
	if e := work.End(context.WithoutCancel(ctx), rec.answer(status)); e != nil {
		a.o.Log.Error("cannot keep an answer", "op", x.op.Name, "request_id", x.op.RequestID, "error", e.Error())
	}
	if err == nil {
		rec.send()
	}
	return err
}

// signOnce keeps what h answers. The message of a stream is not in memory, so
// whether it is the same is known only when it was read.
func (a *API) signOnce(x *exchange, r idempotency.Request, name string, h handler) error {
	kind, err := kindOf(x.r.Header)
	if err != nil {
		return err
	}
	digest, streams := digestOf(x.r), kind == rawBody && name == "sign"
	if streams {
		x.r.Body = hashed{x.r.Body, digest}
	} else {
		forget, err := a.readAhead(x, a.o.Limits.BatchBody, digest)
		if err != nil {
			return err
		}
		defer forget()
	}
	kept, err := a.o.Answers.Find(x.r.Context(), r)
	if err != nil {
		return x.idempotencyProblem(err)
	}
	if kept != nil {
		if streams {
			if err := a.readAll(x, io.Discard); err != nil {
				return err
			}
		}
		answer, err := kept.To(digest.Sum(nil))
		if err != nil {
			return x.idempotencyProblem(err)
		}
		x.replay(answer)
		return nil
	}
	rec, err := a.capture(x, h)
	if err != nil {
		return err
	}
	if rec.status >= http.StatusBadRequest {
		rec.send()
		return nil
	}
	r.Digest = digest.Sum(nil)
	answer, err := a.o.Answers.Keep(x.r.Context(), r, rec.answer(rec.status))
	if err != nil {
		x.op.Status = 0 // nothing was sent
		return x.idempotencyProblem(err)
	}
	x.send(answer)
	return nil
}

// digestOf begins the digest of everything that says what a request asks. The
// body follows.
func digestOf(r *http.Request) hash.Hash {
	h := sha256.New()
	fields := []string{r.Method, r.URL.Path, r.URL.RawQuery}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if name != "Content-Type" && name != "If-Match" && !strings.HasPrefix(name, "Sealwright-") {
			continue
		}
		fields = append(fields, name)
		fields = append(fields, strconv.Itoa(len(r.Header[name])))
		fields = append(fields, r.Header[name]...)
	}
	for _, f := range fields {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(f)))
		h.Write(size[:])
		h.Write([]byte(f))
	}
	return h
}

// readAhead reads the body into the digest and gives the request a copy of it,
// which forget clears.
func (a *API) readAhead(x *exchange, limit int64, digest hash.Hash) (forget func(), err error) {
	if err := a.readBody(x, limit); err != nil {
		return nil, err
	}
	digest.Write(x.body)
	body := bytes.Clone(x.body)
	x.r.Body, x.r.ContentLength = memory{bytes.NewReader(body)}, int64(len(body))
	return func() { clear(body) }, nil
}

// hashed is a body whose bytes go into a digest too.
type hashed struct {
	io.ReadCloser
	digest hash.Hash
}

// Read is that of [io.Reader].
func (h hashed) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	h.digest.Write(p[:n])
	return n, err
}

// capture runs h and returns what it answered, which is not sent yet.
func (a *API) capture(x *exchange, h handler) (*recorder, error) {
	rec := &recorder{ResponseWriter: x.w}
	x.w = rec
	defer func() { x.w = rec.ResponseWriter }() // also when h panics
	return rec, h(a, x)
}

// recorder keeps an answer. Its header is that of the real one.
type recorder struct {
	http.ResponseWriter
	status int
	body   []byte
}

// Unwrap lets [http.ResponseController] find the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	r.body = append(r.body, p...)
	return len(p), nil
}

// keptHeaders belong to an answer, and not to one sending of it.
var keptHeaders = []string{"Content-Type", "Cache-Control", "Etag", "Location"}

func (r *recorder) answer(status int) idempotency.Answer {
	out := idempotency.Answer{Status: status, Header: map[string]string{}, Body: secret.New(r.body)}
	for _, name := range keptHeaders {
		if v := r.Header().Get(name); v != "" {
			out.Header[name] = v
		}
	}
	return out
}

// send sends what was kept back.
func (r *recorder) send() {
	if r.status != 0 {
		r.ResponseWriter.WriteHeader(r.status)
	}
	_, _ = r.ResponseWriter.Write(r.body) // the client may be gone
}

// replay sends an answer that was kept before.
func (x *exchange) replay(answer *idempotency.Answer) {
	x.w.Header().Set(headerReplayed, "true")
	x.op.Reason = "repeated"
	x.send(answer)
}

func (x *exchange) send(answer *idempotency.Answer) {
	h := x.w.Header()
	h.Del("Content-Length") // perhaps of another answer
	for name, value := range answer.Header {
		h.Set(name, value)
	}
	x.op.Status = answer.Status
	x.w.WriteHeader(answer.Status)
	if answer.Body.Len() > 0 {
		_, _ = x.w.Write(answer.Body.Expose()) // the client may be gone
	}
}

// idempotencyProblem gives the errors of package idempotency words of their own.
func (x *exchange) idempotencyProblem(err error) error {
	status, code := http.StatusConflict, ""
	switch {
	case errors.Is(err, idempotency.ErrReused):
		status, code = http.StatusUnprocessableEntity, codeReused
	case errors.Is(err, idempotency.ErrBusy):
		code = codeInProgress
		x.w.Header().Set("Retry-After", "5")
	case errors.Is(err, idempotency.ErrLost):
		code = codeAnswerLost
	case errors.Is(err, store.ErrTooManyAnswers):
		x.w.Header().Set("Retry-After", "3600")
		return newProblem(http.StatusTooManyRequests, fault.Public(err))
	default:
		return err
	}
	p := newProblem(status, fault.Public(err))
	p.Code = code
	return p
}
