package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/client"
	"github.com/sealwright/sealwright/sealhttp"
)

// cached returns a cache of key a that has been refreshed.
func cached(t *testing.T, c *client.Client) *client.KeyCache {
	t.Helper()
	cache := &client.KeyCache{Client: c, Key: "a"}
	if err := cache.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return cache
}

func signed(t *testing.T, c *client.Client, text string) string {
	t.Helper()
	s, err := c.Sign(t.Context(), "a", api.Sign{Message: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return s.Signature
}

// TestKeyCacheSignatures compares what is decided here with what the server
// decides.
func TestKeyCacheSignatures(t *testing.T) {
	_, c := start(t)
	create(t, c, api.CreateKey{Name: "a", Exportable: true})
	create(t, c, api.CreateKey{Name: "b"})
	cache := cached(t, c)
	good := signed(t, c, "x")
	other, err := c.Sign(t.Context(), "b", api.Sign{Message: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"Good": good, "Empty": "", "NoForm": "x", "OtherKey": other.Signature,
		"OtherVersion":   strings.Replace(good, "version=1", "version=2", 1),
		"OtherAlgorithm": strings.Replace(good, "HMAC-SHA256=", "HMAC-SHA3-256=", 1),
		"Native":         strings.Replace(good, "HMAC-SHA256=", "SEALWRIGHT-NATIVE-MAC-V1=", 1),
		"OtherMessage":   signed(t, c, "y"),
	} {
		want, wantErr := c.Verify(t.Context(), "a", api.Verify{Message: []byte("x"), Signature: &text})
		got, err := cache.VerifySignature(t.Context(), text, []byte("x"))
		if got.Valid != want.Valid || got.Reason != want.Reason || got.State != want.State || got.Version != want.Version ||
			errors.Is(err, client.ErrNotValid) != errors.Is(wantErr, client.ErrNotValid) || (err == nil) != got.Valid {
			t.Errorf("%s: got %+v, %v\nwant %+v, %v", name, got, err, want, wantErr)
		}
	}
	s, err := cache.Sign([]byte("x"))
	if err != nil || s.String() != good {
		t.Errorf("sign: got %v, %v, want %s", s, err, good)
	}
}

// counting counts the requests that reach a server, and can break them.
type counting struct {
	*httptest.Server
	gets, reveals atomic.Int64
	broken        atomic.Bool // answers nothing
	late          atomic.Bool // does what it is asked for, and loses the answer
}

// through returns a proxy to the server of c, and a client of it.
func through(t *testing.T, c *client.Client) (*counting, *client.Client) {
	t.Helper()
	target, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &counting{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.broken.Load() {
			panic(http.ErrAbortHandler)
		}
		if r.Method == http.MethodGet {
			p.gets.Add(1)
		} else if strings.HasSuffix(r.URL.Path, "/reveal") {
			p.reveals.Add(1)
		}
		if p.late.Swap(false) {
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p, &client.Client{URL: p.URL, Credential: c.Credential, Retry: client.Retry{Step: time.Millisecond}}
}

// TestRotationWhileVerifying signs at the server and verifies here, in several
// goroutines, while the key is rotated. Nobody refreshes.
func TestRotationWhileVerifying(t *testing.T) {
	_, c := start(t)
	create(t, c, api.CreateKey{Name: "a", Exportable: true})
	cache := cached(t, c)
	scheme := &sealwright.Verifier{Scheme: catalogue.Must("github")}
	var work sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range 3 {
		work.Go(func() {
			for ctx.Err() == nil {
				s, err := c.Sign(t.Context(), "a", api.Sign{Message: []byte("x")})
				if err != nil {
					t.Error(err)
					return
				}
				if v, err := cache.VerifySignature(t.Context(), s.Signature, []byte("x")); err != nil || v.Version != s.Version {
					t.Errorf("by version %d: got %+v, %v", s.Version, v, err)
				}
				h := http.Header{"X-Hub-Signature-256": {"sha256=" + s.Tag}}
				if _, err := cache.Verify(t.Context(), scheme, sealwright.Message{Header: h, Body: []byte("x")}); err != nil {
					t.Errorf("request by version %d: %v", s.Version, err)
				}
			}
		})
	}
	for range 5 {
		if _, err := c.Keys().Rotate(t.Context(), "a", api.RotateKey{}); err != nil {
			t.Error(err)
		}
	}
	stop()
	work.Wait()
	if s := signed(t, c, "x"); !strings.HasSuffix(s, "version=6") {
		t.Errorf("got %s", s)
	} else if _, err := cache.VerifySignature(t.Context(), s, []byte("x")); err != nil {
		t.Error(err)
	}
}

func TestRevokedIsRefusedAfterTheRefresh(t *testing.T) {
	_, c := start(t)
	create(t, c, api.CreateKey{Name: "a", Exportable: true})
	old := signed(t, c, "x")
	if _, err := c.Keys().Rotate(t.Context(), "a", api.RotateKey{}); err != nil {
		t.Fatal(err)
	}
	cache := cached(t, c)
	if v, err := cache.VerifySignature(t.Context(), old, []byte("x")); err != nil || v.State != "grace" {
		t.Errorf("in grace: got %+v, %v", v, err)
	}
	if _, err := c.Keys().Revoke(t.Context(), "a", 1, ""); err != nil {
		t.Fatal(err)
	}
	if err := cache.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, err := cache.VerifySignature(t.Context(), old, []byte("x")); !errors.Is(err, client.ErrNotValid) || v.Reason != "unknown-key" {
		t.Errorf("revoked: got %+v, %v", v, err)
	}
	if err := c.Keys().Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := cache.Refresh(t.Context()); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("deleted: got %v", err)
	}
	if cache.Ring() != nil {
		t.Error("deleted: the ring is still there")
	}
}

// TestRevokedStaysRevoked is about servers that have not heard of a revocation
// yet, or were put back.
func TestRevokedStaysRevoked(t *testing.T) {
	key := func(versions string) answer {
		return answer{status: 200, body: `{"name":"a","key_id":"a","algorithm":"hmac-sha256","version":2,"versions":[` + versions + `]}`}
	}
	const one, two = `{"version":1,"state":"grace"}`, `{"version":2,"state":"active"}`
	reveal := answer{status: 200, body: `{"versions":[{"version":1,"material":"AAAAAAAAAAAAAAAAAAAAAA=="},{"version":2,"material":"AQEBAQEBAQEBAQEBAQEBAQ=="}]}`}
	w := &wire{answers: []answer{
		key(one + "," + two), reveal,
		key(`{"version":1,"state":"revoked"},` + two), reveal,
		key(one + "," + two), reveal,
		key(two),
	}}
	cache := &client.KeyCache{Client: wired(w), Key: "a"}
	for i, want := range []int{2, 1, 1, 1} {
		err := cache.Refresh(t.Context())
		if got := cache.Ring().Len(); got != want {
			t.Errorf("look %d: %d versions, want %d", i, got, want)
		}
		if older := i == 3; errors.Is(err, client.ErrUnavailable) != older {
			t.Errorf("look %d: got %v", i, err)
		}
	}
}

// TestKeyCacheAsksLittle counts what a server is asked.
func TestKeyCacheAsksLittle(t *testing.T) {
	_, c := start(t)
	create(t, c, api.CreateKey{Name: "a", Exportable: true})
	p, proxied := through(t, c)
	cache := cached(t, proxied)
	if err := cache.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.gets.Load() != 2 || p.reveals.Load() != 1 {
		t.Errorf("unchanged: %d gets and %d reveals, want 2 and 1", p.gets.Load(), p.reveals.Load())
	}
	bad := strings.Replace(signed(t, c, "x"), "version=1", "version=7", 1)
	start := time.Now()
	var strangers sync.WaitGroup
	for range 50 {
		strangers.Go(func() {
			if _, err := cache.VerifySignature(t.Context(), bad, []byte("x")); !errors.Is(err, client.ErrNotValid) {
				t.Errorf("got %v", err)
			}
		})
	}
	strangers.Wait()
	if looks, most := p.gets.Load()-2, int64(2+time.Since(start)/(100*time.Millisecond)); looks > most || p.reveals.Load() != 1 {
		t.Errorf("50 strangers: %d looks, want %d at most; %d reveals", looks, most, p.reveals.Load()-1)
	}
	older := strings.Replace(bad, "version=7", "version=1", 1)
	before := p.gets.Load()
	if _, err := cache.VerifySignature(t.Context(), older, []byte("y")); !errors.Is(err, client.ErrNotValid) || p.gets.Load() != before {
		t.Errorf("a version that is known: got %v and %d looks", err, p.gets.Load()-before)
	}
}

// TestServerAway verifies on until the copy is too old, and says of what it does
// not know that it does not know it.
func TestServerAway(t *testing.T) {
	_, c := start(t)
	create(t, c, api.CreateKey{Name: "a", Exportable: true})
	p, proxied := through(t, c)
	var ahead atomic.Int64
	proxied.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	cache := cached(t, proxied)
	cache.MaxAge = 10 * time.Minute
	good := signed(t, c, "x")
	if _, err := c.Keys().Rotate(t.Context(), "a", api.RotateKey{}); err != nil {
		t.Fatal(err)
	}
	newer := signed(t, c, "x")
	p.broken.Store(true)
	for range 2 { // the second is refused without a question
		if v, err := cache.VerifySignature(t.Context(), newer, []byte("x")); !errors.Is(err, client.ErrUnavailable) || v.Valid {
			t.Errorf("a version that is not known: got %+v, %v", v, err)
		}
	}
	if err := cache.Refresh(t.Context()); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("refresh: got %v", err)
	}
	ahead.Store(int64(10*time.Minute - 30*time.Second)) // the test itself takes some time
	if v, err := cache.VerifySignature(t.Context(), good, []byte("x")); err != nil || !v.Valid {
		t.Errorf("just before its end: got %+v, %v", v, err)
	}
	ahead.Store(int64(10 * time.Minute))
	if v, err := cache.VerifySignature(t.Context(), good, []byte("x")); !errors.Is(err, client.ErrStale) || v.Valid || cache.Ring() != nil {
		t.Errorf("too old: got %+v, %v", v, err)
	}
	if _, err := cache.Sign([]byte("x")); !errors.Is(err, client.ErrStale) {
		t.Errorf("sign: got %v", err)
	}
	p.broken.Store(false)
	if err := cache.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, err := cache.VerifySignature(t.Context(), newer, []byte("x")); err != nil || !v.Valid {
		t.Errorf("there again: got %+v, %v", v, err)
	}
}

func TestKeyCacheRefuses(t *testing.T) {
	_, c := start(t)
	create(t, c, api.CreateKey{Name: "sealed"})
	for name, want := range map[string]error{"sealed": client.ErrDenied, "none": client.ErrNotFound, "": client.ErrInvalid} {
		cache := &client.KeyCache{Client: c, Key: name}
		if err := cache.Refresh(t.Context()); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", name, err, want)
		}
		if _, err := cache.Verify(t.Context(), &sealwright.Verifier{Scheme: catalogue.Must("github")}, sealwright.Message{}); !errors.Is(err, client.ErrStale) {
			t.Errorf("%q: verify: got %v", name, err)
		}
		if cache.Ring() != nil {
			t.Errorf("%q: there is a ring", name)
		}
	}
}

// TestKeyCacheWithMiddleware uses the cache as the source of keys of an HTTP
// server, and follows a rotation in Run.
func TestKeyCacheWithMiddleware(t *testing.T) {
	_, c := start(t)
	create(t, c, api.CreateKey{Name: "a", Exportable: true})
	cache := &client.KeyCache{Client: c, Key: "a", Interval: 10 * time.Millisecond}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- cache.Run(ctx) }()
	hook := sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: catalogue.Must("github")}, Ring: cache.Ring}
	server := httptest.NewServer(hook.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	defer server.Close()
	for version := 1; version <= 2; version++ {
		s, err := c.Sign(t.Context(), "a", api.Sign{Message: []byte("x")})
		if err != nil || s.Version != version {
			t.Fatalf("got %+v, %v", s, err)
		}
		for status := 0; status != http.StatusOK; { // until Run has looked
			r, _ := http.NewRequestWithContext(t.Context(), "POST", server.URL, strings.NewReader("x"))
			r.Header.Set("X-Hub-Signature-256", "sha256="+s.Tag)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			status = resp.StatusCode
		}
		if _, err := c.Keys().Rotate(t.Context(), "a", api.RotateKey{}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-ran; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: got %v", err)
	}
}

// TestWaitersOutliveWhoGaveUp joins a look of somebody who gives up.
func TestWaitersOutliveWhoGaveUp(t *testing.T) {
	_, c := start(t)
	create(t, c, api.CreateKey{Name: "a", Exportable: true})
	cache := &client.KeyCache{Client: c, Key: "a"}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var all sync.WaitGroup
	for i := range 20 {
		ctx := t.Context()
		if i%2 == 0 {
			ctx = gone
		}
		all.Go(func() {
			if err := cache.Refresh(ctx); ctx == gone != errors.Is(err, context.Canceled) && err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	if cache.Ring().Len() != 1 {
		t.Error("there is no key")
	}
}
