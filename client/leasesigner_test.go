package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/client"
)

func TestLeaseSigner(t *testing.T) {
	_, c := start(t)
	create(t, c, api.CreateKey{Name: "a", Algorithm: "hmac-sha512"})
	s := &client.LeaseSigner{Client: c, Key: "a", TTL: time.Hour}
	if _, err := s.Sign([]byte("x")); !errors.Is(err, client.ErrStale) {
		t.Errorf("no lease: got %v", err)
	}
	if _, ok := s.Lease(); ok {
		t.Error("there is a lease")
	}
	if err := s.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, err := s.Sign([]byte("he"), []byte("llo"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(tag client.LeaseTag, text, want string) {
		t.Helper()
		v, err := c.Leases().Verify(t.Context(), tag.Key, tag.Lease, tag.Verify([]byte(text)))
		if v.Valid != (want == "") || v.Reason != want || (err == nil) != v.Valid {
			t.Errorf("got %+v, %v, want reason %q", v, err, want)
		}
	}
	check(first, "hello", "")
	check(first, "hellO", "wrong-signature")
	if err := s.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, err := s.Sign([]byte("hello"))
	if err != nil || second.Lease == first.Lease {
		t.Fatalf("renewed: got %+v, %v", second, err)
	}
	check(first, "hello", "") // may still be on its way
	check(second, "hello", "")
	if err := c.Leases().Revoke(t.Context(), "a", second.Lease); err != nil {
		t.Fatal(err)
	}
	check(second, "hello", "lease-revoked")
	if err := (&client.LeaseSigner{Client: c, Key: "none"}).Renew(t.Context()); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("no such key: got %v", err)
	}
}

// lessor grants leases of a minute by its own clock, which is far off, while it
// is not away.
type lessor struct {
	away   atomic.Bool
	grants atomic.Int64
}

func (l *lessor) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.away.Load() {
		return nil, errLost
	}
	now := time.Now().Add(-10000 * time.Hour)
	body, _ := json.Marshal(api.Lease{
		ID: "l", Key: "a", Algorithm: "hmac-sha256", CreatedAt: now, ExpiresAt: now.Add(time.Minute), Material: []byte("secret of the lease"),
	})
	l.grants.Add(1)
	return &http.Response{StatusCode: 201, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(body))), Request: r}, nil
}

// TestLeaseSignerRuns follows a lease of a minute by a clock that costs no time.
func TestLeaseSignerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lessor{}
		var failures atomic.Int64
		s := &client.LeaseSigner{
			Client: &client.Client{URL: "https://sealwright.example", HTTP: &http.Client{Transport: l}, Retry: client.Retry{Attempts: 1}},
			Key:    "a", TTL: time.Minute, OnError: func(error) { failures.Add(1) },
		}
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- s.Run(ctx) }()
		at := func(d time.Duration, grants int64, want error) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if _, err := s.Sign([]byte("x")); !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("got %v, want %v", err, want)
			}
			if got := l.grants.Load(); got != grants {
				t.Errorf("%d leases, want %d", got, grants)
			}
		}
		at(0, 1, nil)
		at(39*time.Second, 1, nil)
		at(time.Second, 2, nil) // two thirds
		l.away.Store(true)
		at(60*time.Second-1, 2, nil)
		at(1, 2, client.ErrStale)
		at(time.Hour, 2, client.ErrStale)
		if n := failures.Load(); n < 1800 || n > 3700 {
			t.Errorf("%d attempts in an hour, want one in each one to two seconds", n)
		}
		l.away.Store(false)
		at(2*time.Second, 3, nil)
		at(40*time.Second, 4, nil)
		stop()
		if err := <-ran; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: got %v", err)
		}
	})
}
