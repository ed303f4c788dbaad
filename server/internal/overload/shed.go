// Package overload keeps a server at work that is asked for more than it can do:
// a [Shedder] bounds how much is worked on and waits, and a [Listener] how fast
// one address opens connections.
package overload

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/api"
)

// queuePatience is how long a request waits for others to end.
const queuePatience = time.Second

// Shedder is a handler that works on a bounded number of requests at a time,
// lets a bounded number of others wait, in the order in which they came, and refuses the
// newest when there are more: what is worked on or waits is answered in time,
// whatever else is asked for.
type Shedder struct {
	next    http.Handler
	slots   chan struct{} // has one element for each request that is worked on
	queue   int64         // requests that may wait
	waiting atomic.Int64
	refused atomic.Int64
}

// NewShedder returns a handler that gives next at most concurrency requests, 1 or
// more, at a time, while up to queue others wait, for a second at most.
func NewShedder(next http.Handler, concurrency, queue int) *Shedder {
	return &Shedder{next: next, slots: make(chan struct{}, concurrency), queue: int64(queue)}
}

// Refused returns how many requests were refused since the start.
func (s *Shedder) Refused() int64 { return s.refused.Load() }

// ServeHTTP answers a request, or refuses it with 503. Health and metrics are
// always answered: they are needed most when nothing else is.
func (s *Shedder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz", "/readyz", "/metrics":
		s.next.ServeHTTP(w, r)
		return
	}
	if !s.Enter(r.Context()) {
		writeOverload(w, http.StatusServiceUnavailable, "unavailable", "the server has too much to do")
		return
	}
	defer s.Leave()
	s.next.ServeHTTP(w, r)
}

// Enter waits for a turn as a request does, and reports whether it came in time:
// call [Shedder.Leave] then. It is for work that is no HTTP request. A channel
// hands a free slot to who waits for the longest.
func (s *Shedder) Enter(ctx context.Context) bool {
	if s.enter(ctx) {
		return true
	}
	s.refused.Add(1)
	return false
}

// Leave ends what Enter began.
func (s *Shedder) Leave() { <-s.slots }

func (s *Shedder) enter(ctx context.Context) bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
	}
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > s.queue {
		return false
	}
	patience := time.NewTimer(queuePatience)
	defer patience.Stop()
	select {
	case s.slots <- struct{}{}:
		return true
	case <-patience.C:
	case <-ctx.Done():
	}
	return false
}

// writeOverload answers with a problem and asks to come back in a second.
func writeOverload(w http.ResponseWriter, status int, code, detail string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Retry-After", strconv.Itoa(1))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}) // the client may have gone
}
