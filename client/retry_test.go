package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/client"
)

// wire answers requests from a list; the last entry stands for all later ones.
type wire struct {
	mu       sync.Mutex
	answers  []answer
	requests []*http.Request
	bodies   []string
}

// answer is one of a wire: an error instead of an answer, or a status.
type answer struct {
	err    error
	status int
	retry  string // Retry-After
	body   string
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	body := []byte(nil)
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	w.requests, w.bodies = append(w.requests, r), append(w.bodies, string(body))
	a := w.answers[min(len(w.requests), len(w.answers))-1]
	if a.err != nil {
		return nil, a.err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if a.retry != "" {
		header.Set("Retry-After", a.retry)
	}
	return &http.Response{
		StatusCode: a.status, Header: header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r, Proto: "HTTP/1.1",
	}, nil
}

func wired(w *wire) *client.Client {
	return &client.Client{URL: "https://sealwright.example", HTTP: &http.Client{Transport: w}, Rand: func() float64 { return 0.5 }}
}

var (
	errLost = errors.New("connection reset by peer")
	refused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	good    = answer{status: 200, body: `{"valid":true}`}
)

// TestRetry counts attempts and the time that they take, by a clock that costs
// none. The random part of each wait is half of the step.
func TestRetry(t *testing.T) {
	sign := func(ctx context.Context, c *client.Client) error {
		_, err := c.Sign(ctx, "a", api.Sign{Message: []byte("x")})
		return err
	}
	get := func(ctx context.Context, c *client.Client) error {
		_, err := c.Keys().Get(ctx, "a")
		return err
	}
	create := func(ctx context.Context, c *client.Client) error {
		_, err := c.Keys().Create(ctx, api.CreateKey{Name: "a"})
		return err
	}
	verifyOnce := func(ctx context.Context, c *client.Client) error {
		_, err := c.Leases().Verify(ctx, "a", "l", api.VerifyLease{Tag: "00"})
		return err
	}
	stream := func(ctx context.Context, c *client.Client) error {
		_, err := c.SignStream(ctx, "a", strings.NewReader("x"))
		return err
	}
	remove := func(ctx context.Context, c *client.Client) error { return c.Keys().Delete(ctx, "a") }
	tests := []struct {
		name     string
		do       func(context.Context, *client.Client) error
		answers  []answer
		retry    client.Retry
		attempts int
		took     time.Duration
		want     error // nil means success
	}{
		{"Good", sign, []answer{good}, client.Retry{}, 1, 0, nil},
		{"LostThenGood", sign, []answer{{err: errLost}, good}, client.Retry{}, 2, 50 * time.Millisecond, nil},
		{"StepsDouble", sign, []answer{{err: errLost}}, client.Retry{}, 4, 350 * time.Millisecond, client.ErrUnavailable},
		{"StepsEndAtMaxWait", sign, []answer{{err: errLost}}, client.Retry{Attempts: 5, Step: time.Second, MaxWait: 2 * time.Second}, 5, 3500 * time.Millisecond, errLost},
		{"Never", sign, []answer{{err: errLost}}, client.Retry{Attempts: 1}, 1, 0, client.ErrUnavailable},
		{"RetryAfterIsHonoured", sign, []answer{{status: 503, retry: "3"}, good}, client.Retry{}, 2, 3050 * time.Millisecond, nil},
		{"RetryAfterIsTooLong", sign, []answer{{status: 503, retry: "11"}}, client.Retry{}, 1, 0, client.ErrUnavailable},
		{"RetryAfterOverflows", sign, []answer{{status: 503, retry: "18446744073709551615"}}, client.Retry{}, 1, 0, client.ErrUnavailable},
		{"RetryAfterIsADate", sign, []answer{{status: 503, retry: "Sat, 01 Jan 2000 00:00:02 GMT"}, good}, client.Retry{}, 2, 2050 * time.Millisecond, nil},
		{"RetryAfterHasPassed", sign, []answer{{status: 503, retry: "Fri, 31 Dec 1999 00:00:00 GMT"}, good}, client.Retry{}, 2, 50 * time.Millisecond, nil},
		{"RetryAfterIsNonsense", sign, []answer{{status: 503, retry: "-1"}, good}, client.Retry{}, 2, 50 * time.Millisecond, nil},
		{"RateLimited", create, []answer{{status: 429, retry: "1"}, good}, client.Retry{}, 2, 1050 * time.Millisecond, nil},
		{"RateLimitedForEver", create, []answer{{status: 429}}, client.Retry{}, 1, 0, client.ErrRateLimited},
		{"BadGateway", get, []answer{{status: 502}, good}, client.Retry{}, 2, 50 * time.Millisecond, nil},
		{"GatewayTimeout", get, []answer{{status: 504}, good}, client.Retry{}, 2, 50 * time.Millisecond, nil},
		{"Defect", get, []answer{{status: 500}}, client.Retry{}, 1, 0, nil500{}},
		{"NotFound", get, []answer{{status: 404}}, client.Retry{}, 1, 0, client.ErrNotFound},
		{"Denied", get, []answer{{status: 403}}, client.Retry{}, 1, 0, client.ErrDenied},
		{"Unauthenticated", get, []answer{{status: 401}}, client.Retry{}, 1, 0, client.ErrUnauthenticated},
		{"Invalid", create, []answer{{status: 422}}, client.Retry{}, 1, 0, client.ErrInvalid},
		{"TooLarge", create, []answer{{status: 413}}, client.Retry{}, 1, 0, client.ErrInvalid},
		{"Precondition", remove, []answer{{status: 412}}, client.Retry{}, 1, 0, client.ErrPrecondition},
		{"RedirectIsNotFollowed", get, []answer{{status: 307}}, client.Retry{}, 1, 0, nil500{}},
		{"NonceWasSentByNetHTTP", get, []answer{{status: 409}, good}, client.Retry{}, 2, 50 * time.Millisecond, nil},
		{"NameIsTaken", create, []answer{{status: 409}}, client.Retry{}, 1, 0, client.ErrConflict},
		{"FirstAttemptIsUnderWay", create, []answer{{err: errLost}, {status: 409, retry: "5"}, good}, client.Retry{}, 3, 5150 * time.Millisecond, nil},
		{"CreateWithItsKey", create, []answer{{err: errLost}, {status: 503}, good}, client.Retry{}, 3, 150 * time.Millisecond, nil},
		{"DeletedBefore", remove, []answer{{err: errLost}, {status: 404}}, client.Retry{}, 2, 50 * time.Millisecond, nil},
		{"DeletedByOthers", remove, []answer{{status: 404}}, client.Retry{}, 1, 0, client.ErrNotFound},
		{"UseIsCountedOnce", verifyOnce, []answer{{err: errLost}}, client.Retry{}, 1, 0, client.ErrUnavailable},
		{"UseMayBeCounted", verifyOnce, []answer{{status: 503, retry: "1"}}, client.Retry{}, 1, 0, client.ErrUnavailable},
		{"UseWasNotSent", verifyOnce, []answer{{err: refused}, good}, client.Retry{}, 2, 50 * time.Millisecond, nil},
		{"UseWasRateLimited", verifyOnce, []answer{{status: 429, retry: "1"}, good}, client.Retry{}, 2, 1050 * time.Millisecond, nil},
		{"StreamIsReadOnce", stream, []answer{{status: 429, retry: "1"}}, client.Retry{}, 1, 0, client.ErrRateLimited},
		{"StreamWasNotSent", stream, []answer{{err: refused}}, client.Retry{}, 1, 0, client.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{answers: tt.answers}
				c := wired(w)
				c.Retry = tt.retry
				start := time.Now()
				err := tt.do(t.Context(), c)
				if got := time.Since(start); got != tt.took {
					t.Errorf("took %v, want %v", got, tt.took)
				}
				if len(w.requests) != tt.attempts {
					t.Errorf("%d attempts, want %d", len(w.requests), tt.attempts)
				}
				switch tt.want.(type) {
				case nil500:
					var e *client.Error
					if !errors.As(err, &e) || errors.Is(err, client.ErrUnavailable) || errors.Is(err, client.ErrInvalid) {
						t.Errorf("got %v", err)
					}
				default:
					if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
						t.Errorf("got %v, want %v", err, tt.want)
					}
				}
			})
		})
	}
}

// nil500 stands for an error of no sentinel.
type nil500 struct{ error }

// TestIdempotencyKey holds that the key is the same for all attempts of a call,
// another one for each call, and not there where nothing is stored for it.
func TestIdempotencyKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answers: []answer{{err: errLost}, {status: 503}, good}}
		c := wired(w)
		for range 2 {
			if _, err := c.Keys().Rotate(t.Context(), "a", api.RotateKey{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Do(t.Context(), "POST", "/v1/callers", nil, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Sign(t.Context(), "a", api.Sign{Message: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Leases().Create(t.Context(), "a", api.CreateLease{TTL: "1m"}); err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, r := range w.requests {
			keys = append(keys, r.Header.Get("Idempotency-Key"))
		}
		if len(keys) != 7 {
			t.Fatalf("%d requests, want 7", len(keys))
		}
		if len(keys[0]) < 20 || keys[1] != keys[0] || keys[2] != keys[0] {
			t.Errorf("attempts of one call: got %q", keys[:3])
		}
		if keys[3] == keys[0] || keys[4] == keys[3] || keys[4] == "" {
			t.Errorf("calls: got %q", keys[2:5])
		}
		if keys[5] != "" || keys[6] != "" {
			t.Errorf("sign and lease: got %q", keys[5:])
		}
	})
}

// TestBudget holds that a server that fails gets at most ten requests more than
// calls, and that calls that succeed fill the budget again.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answers: []answer{{status: 503}}}
		c := wired(w)
		for range 100 {
			if _, err := c.Keys().Get(t.Context(), "a"); !errors.Is(err, client.ErrUnavailable) {
				t.Fatalf("got %v", err)
			}
		}
		if len(w.requests) != 110 {
			t.Errorf("%d requests of 100 calls, want 110", len(w.requests))
		}
		w.answers = []answer{good}
		for range 10 {
			if _, err := c.Keys().Get(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		}
		w.answers = []answer{{status: 503}}
		before := len(w.requests)
		for range 10 {
			_, _ = c.Keys().Get(t.Context(), "a")
		}
		if got := len(w.requests) - before; got != 11 {
			t.Errorf("%d requests of 10 calls after 10 good ones, want 11", got)
		}
	})
}

func TestContextEndsTheWaiting(t *testing.T) {
	t.Run("DeadlineBeforeTheNextAttempt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{answers: []answer{{status: 503, retry: "5"}}}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			start := time.Now()
			_, err := wired(w).Keys().Get(ctx, "a")
			if !errors.Is(err, client.ErrUnavailable) || time.Since(start) != 0 {
				t.Errorf("got %v after %v, want the answer of the server at once", err, time.Since(start))
			}
		})
	})
	t.Run("Cancelled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{answers: []answer{{status: 503, retry: "5"}}}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			start := time.Now()
			_, err := wired(w).Keys().Get(ctx, "a")
			if !errors.Is(err, client.ErrUnavailable) || time.Since(start) != time.Second || len(w.requests) != 1 {
				t.Errorf("got %v after %v and %d requests", err, time.Since(start), len(w.requests))
			}
		})
	})
	t.Run("GivenUpIsNoWordAboutTheServer", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := wired(&wire{answers: []answer{{err: errLost}}}).Keys().Get(ctx, "a")
		if !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("Timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hangs := roundTripper(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
			c := &client.Client{URL: "https://sealwright.example", HTTP: &http.Client{Transport: hangs}, Retry: client.Retry{Attempts: 1}}
			start := time.Now()
			_, err := c.Keys().Get(t.Context(), "a")
			if !errors.Is(err, client.ErrUnavailable) || time.Since(start) != 30*time.Second {
				t.Errorf("got %v after %v", err, time.Since(start))
			}
		})
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestErrorText(t *testing.T) {
	problem := `{"title":"Not Found","status":404,"code":"not-found","detail":"no key \"a\"","request_id":"r-1"}`
	w := &wire{answers: []answer{{status: 404, body: problem}, {status: 502, body: "<html>"}, {err: errLost}, {status: 200, body: `{"name":"s3cret`}}}
	c := wired(w)
	c.Retry.Attempts = 1
	for _, want := range []string{
		`get key "a": 404: no key "a" (request r-1)`,
		`get key "a": 502: Bad Gateway`,
		`get key "a": connection reset by peer`,
		`get key "a": the answer is not one of a Sealwright server`,
	} {
		_, err := c.Keys().Get(t.Context(), "a")
		if fmt.Sprint(err) != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	var e *client.Error
	_, err := wired(&wire{answers: []answer{{status: 404, body: problem}}}).Keys().Get(t.Context(), "a")
	if !errors.As(err, &e) || e.Status != 404 || e.Code != "not-found" || e.RequestID != "r-1" {
		t.Errorf("got %+v", e)
	}
}
