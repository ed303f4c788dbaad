package client

import (
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"time"
)

// Retry says how often and after which time a call is tried again.
//
// Only that is repeated which does no harm if it was done already: what changes
// nothing, what may be done twice, and POST with an Idempotency-Key, which the
// client makes. An answer of 429 says that nothing was done, so everything may be repeated.
// The client waits as long as Retry-After says, and a random time up to the
// step of the attempt.
//
// All calls of a client together repeat at most ten times and, beyond that, one
// time for ten calls that succeed, so that an overload is not made worse.
type Retry struct {
	Attempts int           // of one call, the first one included; 0 means 4
	Step     time.Duration // before the second attempt, doubled for each more; 0 means 100 ms
	MaxWait  time.Duration // longest wait; a Retry-After that is longer ends the call; 0 means 10 s
}

// repeatability says whether an operation may be repeated when it is not known
// whether it was done.
type repeatability uint8

const (
	once       repeatability = iota // it must not; it may if it is known that nothing was done
	never                           // it cannot be repeated at all
	repeatable                      // it may
	keyed                           // it may with its Idempotency-Key
)

const idempotencyKey = "Idempotency-Key"

// newIdempotencyKey returns a random key, as a String of RFC 9651.
func newIdempotencyKey() string { return `"` + rand.Text() + `"` }

// next decides after an attempt, counted from 1, that ended with err. The wait
// has a random part, u in [0, 1) times the step.
func (r Retry) next(attempt int, may repeatability, err error, u float64) (wait time.Duration, again bool) {
	r = r.withDefaults()
	var e *Error
	if attempt >= r.Attempts || may == never || !errors.As(err, &e) || !worthwhile(e, may) || e.RetryAfter > r.MaxWait {
		return 0, false
	}
	return min(e.RetryAfter+time.Duration(u*float64(r.step(attempt))), r.MaxWait), true
}

func (r Retry) withDefaults() Retry {
	if r.Attempts == 0 {
		r.Attempts = 4
	}
	if r.Step == 0 {
		r.Step = 100 * time.Millisecond
	}
	if r.MaxWait == 0 {
		r.MaxWait = 10 * time.Second
	}
	return r
}

// step returns the longest random wait after an attempt.
func (r Retry) step(attempt int) time.Duration {
	step := r.Step
	for range attempt - 1 {
		if step >= r.MaxWait {
			break
		}
		step *= 2
	}
	return min(step, r.MaxWait)
}

// worthwhile reports whether another attempt is allowed, and may end better.
func worthwhile(e *Error, may repeatability) bool {
	switch e.Status {
	case http.StatusTooManyRequests:
		return e.RetryAfter > 0 // otherwise it can never be granted
	case 0:
		return may != once || unsent(e.Err)
	case http.StatusConflict:
		// net/http sends a request without a body again if a connection breaks, and
		// a signed one is then refused for its nonce.
		// With an Idempotency-Key it means that the first attempt is under way, if it
		// says when to ask again.
		return may == repeatable || may == keyed && e.RetryAfter > 0
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return may != once
	}
	return false
}

// budget counts what all calls of a client may still repeat. The zero value has
// its full size.
type budget struct {
	mu   sync.Mutex
	used int // tenths of a repetition
}

const (
	fullBudget = 100 // tenths of a repetition
	repetition = 10
)

// answered gives back a tenth of a repetition.
func (b *budget) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used = max(0, b.used-1)
}

// take reports whether there is one more repetition.
func (b *budget) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+repetition > fullBudget {
		return false
	}
	b.used += repetition
	return true
}
