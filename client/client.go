// Package client calls a Sealwright server, and signs and verifies in its own
// process with keys that come from one.
//
// A [Client] has a method for each common operation, and [Client.Do] for all
// others. It repeats what may be repeated, waits as long as the server asks, and
// gives up before it makes an overload worse. Every refusal is an [*Error].
//
// Two types need no round trip for each message: a [LeaseSigner] signs with a
// lease, a short-lived derived key, and a [KeyCache] verifies with a key that
// the caller may reveal, and follows its rotations.
//
// Secrets are [secret.Bytes]: they are not printed by accident. The package needs the
// standard library only.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/secret"
)

// maxAnswer bounds the answers of a server in bytes: what a batch of the
// largest size can be answered with.
const maxAnswer = 32 << 20

// Client talks to one server. Its fields must not change once it was used, and it
// must not be copied; any number of goroutines may use it. Only URL is needed.
type Client struct {
	// URL of the server, http or https, with the path below which /v1 is.
	URL string

	// Credential returns a token, or a credential that signs requests, as its
	// ID, a colon and its secret (docs/operate/callers.md). It is called for each
	// attempt, so a credential may be replaced while the client is used. Nil
	// means that none is sent. See [Static] and [File].
	Credential func(context.Context) (secret.Bytes, error)

	Tenant string // in which an operator acts; empty means that of the caller

	// HTTP sends. Nil means a client of its own, which keeps 64 connections.
	// Redirects are never followed: they would carry a credential elsewhere.
	HTTP *http.Client

	Timeout time.Duration // of one attempt, without streams; 0 means 30 seconds
	Retry   Retry

	// Plaintext allows to send tokens to another machine, and to take secrets
	// from it, over http. It is for networks that encrypt by themselves.
	Plaintext bool

	Now  func() time.Time // nil means time.Now
	Rand func() float64   // in [0, 1); nil means that of math/rand/v2

	once  sync.Once
	ready settings
	wrong error // why there are no settings
	spent budget
	last  lastSigner
}

// settings are what the fields of a [Client] come to.
type settings struct {
	base   string // URL without a slash at the end
	http   *http.Client
	remote bool // what is sent can be read on the way
}

func (c *Client) settings() (*settings, error) {
	c.once.Do(func() { c.ready, c.wrong = c.settle() })
	return &c.ready, c.wrong
}

func (c *Client) settle() (settings, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return settings{}, fmt.Errorf("%w: URL of the server: want one such as https://sealwright.example", ErrInvalid)
	}
	s := settings{base: strings.TrimRight(c.URL, "/"), http: &http.Client{}}
	if c.HTTP != nil {
		*s.http = *c.HTTP
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t = t.Clone()
		t.MaxIdleConnsPerHost = 64
		s.http.Transport = t
	}
	s.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.remote = u.Scheme == "http" && !c.Plaintext && !isLoopback(u.Hostname())
	return s, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c *Client) random() float64 {
	if c.Rand != nil {
		return c.Rand()
	}
	return rand.Float64()
}

// call is one operation.
type call struct {
	op           string // what is being done, for errors
	method, path string
	header       http.Header
	in           any           // sent as JSON; nil means no body
	stream       io.Reader     // sent as it is, instead of in
	out          any           // for the JSON of the answer; nil means that there is none
	answer       *http.Header  // for the header of the answer, also of one of 304
	repeat       repeatability // after an attempt of which it is not known what became of it
	secret       bool          // the answer holds a secret
}

// Do sends in as JSON to a path such as /v1/callers, nothing if in is nil, and
// reads the answer into out, unless that is nil. It is for operations without a
// method of their own; package api has the types.
//
// What is not POST may be repeated. POST is sent with an Idempotency-Key, so
// that the server does it once.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	q := call{op: method + " " + path, method: method, path: path, in: in, out: out, repeat: repeatable}
	if method == http.MethodPost {
		q.repeat = keyed
	}
	return c.do(ctx, q)
}

// do makes attempts until one is answered or nothing speaks for another one.
func (c *Client) do(ctx context.Context, q call) error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	if q.secret && s.remote {
		return fmt.Errorf("%s: %w", q.op, errPlaintext("the secret would come"))
	}
	var body []byte
	if q.in != nil {
		if body, err = json.Marshal(q.in); err != nil {
			return fmt.Errorf("%s: %w", q.op, err)
		}
	}
	if q.repeat == keyed {
		q.header = q.header.Clone()
		if q.header == nil {
			q.header = http.Header{}
		}
		q.header.Set(idempotencyKey, newIdempotencyKey())
	}
	for attempt := 1; ; attempt++ {
		err := c.try(ctx, s, q, body)
		if err == nil {
			c.spent.answered()
			return nil
		}
		if attempt > 1 && q.method == http.MethodDelete && errors.Is(err, ErrNotFound) {
			return nil // an attempt before this one has done it
		}
		wait, again := c.Retry.next(attempt, q.repeat, err, c.random())
		if !again || !c.spent.take() || !pause(ctx, wait) {
			return err
		}
	}
}

// pause waits for d and reports whether ctx still lasts then. It does not wait
// at all if ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// try makes one attempt. Its errors are [*Error], apart from those that another
// attempt would end with too.
func (c *Client) try(ctx context.Context, s *settings, q call, body []byte) error {
	attempt := ctx
	if q.stream == nil {
		timeout := c.Timeout
		if timeout == 0 {
			timeout = 30 * time.Second
		}
		var cancel context.CancelFunc
		attempt, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	r, err := c.request(attempt, s, q, body)
	if err != nil {
		return fmt.Errorf("%s: %w", q.op, err)
	}
	resp, err := s.http.Do(r)
	if err != nil {
		return unanswered(ctx, q.op, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return unanswered(ctx, q.op, err)
	}
	if q.secret {
		defer clear(answer)
	}
	return q.read(resp, answer, c.now())
}

// Check returns an error if the fields of c, or the credential that it gets, let
// no call be made: [ErrInvalid], [ErrPlaintext] or one of Credential. It calls
// nobody else.
func (c *Client) Check(ctx context.Context) error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	_, err = c.request(ctx, s, call{method: http.MethodGet, path: "/"}, nil)
	return err
}

// request returns the request of one attempt, signed or with the token.
func (c *Client) request(ctx context.Context, s *settings, q call, body []byte) (*http.Request, error) {
	var reader io.Reader
	switch {
	case q.stream != nil:
		reader = io.NopCloser(q.stream) // net/http would close it
	case q.in != nil:
		reader = bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, s.base+q.path, reader)
	if err != nil {
		return nil, err
	}
	for name, values := range q.header {
		r.Header[name] = values
	}
	if q.in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.Tenant != "" {
		r.Header.Set(api.TenantHeader, c.Tenant)
	}
	return r, c.authorize(ctx, s, r, q.stream)
}

// read takes the answer.
func (q *call) read(resp *http.Response, answer []byte, now time.Time) error {
	if len(answer) > maxAnswer {
		return fmt.Errorf("%s: the answer has more than %d MiB", q.op, maxAnswer>>20)
	}
	if q.answer != nil {
		*q.answer = resp.Header
	}
	if resp.StatusCode == http.StatusNotModified && q.header.Get("If-None-Match") != "" {
		return errNotModified
	}
	if resp.StatusCode/100 != 2 {
		return refused(q.op, resp, answer, now)
	}
	if q.out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, q.out); err != nil {
		// The text of err could repeat a part of a secret.
		return fmt.Errorf("%s: the answer is not one of a Sealwright server", q.op)
	}
	return nil
}
