package sealhttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
)

// Middleware lets only signed requests through. Its fields must not change once
// Handler was called.
type Middleware struct {
	Verifier *sealwright.Verifier // nil refuses everything

	// Ring returns the keys for the next request, so that a rotation needs no
	// new Middleware. Nil means the Verifier's ring.
	Ring func() *keyring.Ring

	// Responder answers the handshakes of the provider, such as the CRC of X or
	// the URL validation of Zoom, before they are verified as events. A challenge
	// that must not be answered is refused. Handshakes that bring a key are not
	// answered here. Nil means that there are none.
	Responder *scheme.Responder

	// Claims remembers which messages were used, so that none passes twice. Nil
	// means that repetitions pass.
	Claims Claims

	MaxBody int64            // longest body in bytes; 0 means DefaultMaxBody
	Scheme  string           // of the URL that was signed, https or http; "" means https for TLS and http otherwise
	Now     func() time.Time // nil means time.Now

	// OnRefusal is called before a request is refused, with the verdict as far
	// as there is one and the reason: an error of package sealwright,
	// ErrTooLarge, ErrReplayed, ErrNotRemembered, or one of reading the body. It is for logs and metrics: none
	// of it may reach the client. Nil means that refusals are silent.
	OnRefusal func(*http.Request, sealwright.Verdict, error)
}

// Handler returns a handler that calls next for requests that verify and
// answers all others itself: 413 for a body over the cap, 400 for one that
// breaks off, and otherwise 401, always the same, whatever the reason. Only who
// has sent a message that verifies gets 409 if it was used before, so as not to
// send it again, and 503 if that is not known.
//
// next gets the body as it was received, and finds the verdict with
// [VerdictFrom].
func (m *Middleware) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		verdict, read, answer, err := m.verify(w, r)
		if err == nil && answer != nil {
			respond(w, answer)
			return
		}
		if err != nil {
			if m.OnRefusal != nil {
				m.OnRefusal(r, verdict, err)
			}
			refuse(w, status(err))
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), verdictKey{}, verdict))
		r.Body = newBody(read)
		next.ServeHTTP(w, r)
	})
}

// verify returns the verdict on r and its body, or the answer to a handshake.
func (m *Middleware) verify(w http.ResponseWriter, r *http.Request) (sealwright.Verdict, []byte, *scheme.Answer, error) {
	if m.Verifier == nil || m.Verifier.Scheme == nil {
		return sealwright.Verdict{}, nil, nil, sealwright.Refusef(sealwright.ErrConfig, "no verifier")
	}
	message := m.message(r)
	if s, ok := m.Verifier.Scheme.(headReader); ok && m.Responder == nil && s.Unsigned(&message) {
		err := sealwright.Refusef(sealwright.ErrMissing, "no signature in the head of the request")
		return sealwright.Verdict{Scheme: m.Verifier.Scheme.Name(), Reason: sealwright.ReasonOf(err), Detail: err.Error()}, nil, nil, err
	}
	maxBody := limit(m.MaxBody)
	read, err := readBody(http.MaxBytesReader(w, r.Body, maxBody), r.ContentLength, maxBody)
	if err != nil {
		return sealwright.Verdict{}, nil, nil, err
	}
	message.Body, message.Trailer = read, r.Trailer
	ring := m.Verifier.Ring
	if m.Ring != nil {
		ring = m.Ring()
	}
	now := time.Now
	if m.Now != nil {
		now = m.Now
	}
	if m.Responder != nil {
		answer, err := m.Responder.Respond(message, ring, false, now())
		if err == nil {
			return sealwright.Verdict{}, nil, &answer, nil
		}
		if !errors.Is(err, scheme.ErrNoChallenge) {
			return sealwright.Verdict{Scheme: m.Verifier.Scheme.Name(), Reason: sealwright.ReasonOf(err), Detail: err.Error()}, nil, nil, err
		}
	}
	at := now()
	verdict, err := m.Verifier.VerifyRing(ring, message, at)
	if err == nil { // never before: a stranger would use up what others may send
		err = claim(r.Context(), m.Claims, at, verdict)
	}
	return verdict, read, nil, err
}

// respond writes the answer to a handshake.
func respond(w http.ResponseWriter, a *scheme.Answer) {
	h := w.Header()
	h.Set("Content-Type", a.Type)
	h.Set("X-Content-Type-Options", "nosniff") // the text comes from the request
	for name, value := range a.Headers {
		h.Set(name, value)
	}
	_, _ = io.WriteString(w, a.Body) // the client may be gone
}

// message returns the head of r as it was on the wire.
func (m *Middleware) message(r *http.Request) sealwright.Message {
	urlScheme := m.Scheme
	if urlScheme == "" {
		urlScheme = "http"
		if r.TLS != nil {
			urlScheme = "https"
		}
	}
	uri := r.RequestURI
	if uri == "" { // a request that came over no wire
		uri = r.URL.RequestURI()
	}
	_, target := splitTarget(uri) // net/http has put an authority into r.Host
	return sealwright.Message{Method: r.Method, Scheme: urlScheme, Host: r.Host, Target: target, Header: r.Header}
}

// headReader is a scheme that can say of some messages, without their body,
// that they are not signed. Those are refused before the body is read.
type headReader interface {
	// Unsigned reports whether m certainly has no signature. It does not look
	// at the body and the trailers of m.
	Unsigned(m *sealwright.Message) bool
}

// status returns the answer to a refusal.
func status(err error) int {
	switch {
	case errors.Is(err, ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errBody):
		return http.StatusBadRequest
	case errors.Is(err, ErrReplayed):
		return http.StatusConflict
	case errors.Is(err, ErrNotRemembered):
		return http.StatusServiceUnavailable
	}
	return http.StatusUnauthorized
}

// retryAfter is how many seconds a client is asked to wait that got a 503.
const retryAfter = "5"

// refuse writes a problem (RFC 9457) that says no more than the status.
func refuse(w http.ResponseWriter, status int) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Signature") // RFC 9110 section 15.5.2 wants one
	}
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`{"title":"` + http.StatusText(status) + `","status":` + strconv.Itoa(status) + "}\n")) // the client may be gone
}

type verdictKey struct{}

// VerdictFrom returns the verdict on the request with this context. ok is false
// if the request passed no [Middleware].
func VerdictFrom(ctx context.Context) (verdict sealwright.Verdict, ok bool) {
	verdict, ok = ctx.Value(verdictKey{}).(sealwright.Verdict)
	return verdict, ok
}
