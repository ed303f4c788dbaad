package rest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/rest"
)

// claimed is what remembers claims; it answers err.
type claimed struct {
	err      error
	rules    []gate.Rule
	messages []gate.Message
}

func (c *claimed) claim(_ context.Context, _ time.Time, r gate.Rule, m gate.Message) error {
	c.rules, c.messages = append(c.rules, r), append(c.messages, m)
	return c.err
}

func (c *claimed) options(o *rest.Options) { o.Claim = c.claim }

func refusal(reason string, kind fault.Kind, wait time.Duration) error {
	return &gate.Refusal{Reason: reason, RetryAfter: wait, Err: fault.New(kind, "refused as the test says")}
}

// Every refusal of the gate has one answer, and only one of them is valid.
func TestClaimOutcomes(t *testing.T) {
	tests := []struct {
		name       string
		err        error
		status     int
		reason     string
		replay     string
		retryAfter string
	}{
		{"Fresh", nil, 200, "", "fresh", ""},
		{"Replayed", refusal("replayed", fault.Conflict, 0), 200, "replayed", "replayed", ""},
		{"NotIncreasing", refusal("not-increasing", fault.Conflict, 0), 200, "replayed", "replayed", ""},
		{"Full", refusal("full", fault.Unavailable, 20*time.Second), 503, "", "", "20"},
		{"Barred", refusal("barred", fault.Unavailable, 5*time.Second), 503, "", "", "5"},
		{"NotKnown", refusal("unavailable", fault.Unavailable, time.Second), 503, "", "", "1"},
		{"Outside", refusal("outside", fault.Denied, 0), 200, "stale", "", ""},
		{"NoNumber", refusal("nonce-missing", fault.Denied, 0), 200, "malformed", "", ""},
		{"OtherError", errors.New("lost"), 500, "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &claimed{err: tt.err}
			f := start(t, c.options)
			f.withGithub(t)
			a := f.do(t, "POST", "/v1/requests/verify", github(`"claim":true,`, githubTag, githubBody))
			if a.status != tt.status || a.header.Get("Retry-After") != tt.retryAfter {
				t.Fatalf("got %d, retry after %q, %s", a.status, a.header.Get("Retry-After"), a.body)
			}
			if tt.status != 200 {
				return
			}
			v := decode[api.RequestVerdict](t, a)
			if v.Valid != (tt.err == nil) || v.Reason != tt.reason || v.Replay != tt.replay {
				t.Errorf("got %+v", v)
			}
		})
	}
}

// TestA12_ClaimAfterTag: nothing is claimed that does not verify, or that nobody
// asks to claim.
func TestA12_ClaimAfterTag(t *testing.T) {
	c := &claimed{}
	f := start(t, c.options)
	f.withGithub(t)
	for name, body := range map[string]string{
		"WrongTag":  github(`"claim":true,`, "sha256="+strings.Repeat("00", 32), githubBody),
		"OtherBody": github(`"claim":true,`, githubTag, githubBody+"!"),
		"NoTag":     github(`"claim":true,`, "", githubBody),
	} {
		v := decode[api.RequestVerdict](t, f.must(t, "POST", "/v1/requests/verify", body))
		if v.Valid || v.Replay != "" || len(c.messages) != 0 {
			t.Errorf("%s: got %+v and %d claims", name, v, len(c.messages))
		}
	}
	for _, member := range []string{"", `"claim":false,`, `"claim":null,`} {
		v := decode[api.RequestVerdict](t, f.must(t, "POST", "/v1/requests/verify", github(member, githubTag, githubBody)))
		if !v.Valid || v.Replay != "unchecked" || len(c.messages) != 0 {
			t.Errorf("%s: got %+v and %d claims", member, v, len(c.messages))
		}
	}
	refused(t, f.do(t, "POST", "/v1/requests/verify", github(`"claim":true,"now":1767225600,`, githubTag, githubBody)), 422, "invalid", "body.now")
	refused(t, f.do(t, "POST", "/v1/requests/sign", github(`"claim":true,`, "", githubBody)), 422, "invalid", "body.claim")
	if len(c.messages) != 0 {
		t.Errorf("got %d claims of requests that were refused", len(c.messages))
	}
}

// A server that remembers nothing refuses to claim.
func TestClaimWithoutGuard(t *testing.T) {
	f := start(t, nil)
	f.withGithub(t)
	refused(t, f.do(t, "POST", "/v1/requests/verify", github(`"claim":true,`, githubTag, githubBody)), 503, "unavailable", "does not remember")
}

// signed returns the body of a verification of a request that the API has
// signed, with more members in front.
func (f *fixture) signed(t *testing.T, members, of string) string {
	t.Helper()
	s := decode[api.SignedRequest](t, f.must(t, "POST", "/v1/requests/sign", of))
	r, err := json.Marshal(s.Request)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(of, `"request":`)
	if !ok {
		t.Fatal("there is no request")
	}
	return strings.Replace(head, "{", "{"+members, 1) + `"request":` + string(r) + `}`
}

// TestA25_ClaimOfKey: what is claimed belongs to the key of the server, whatever
// ID the caller gives it, to its context, its tenant and its scheme.
func TestA25_ClaimOfKey(t *testing.T) {
	c := &claimed{}
	f := start(t, c.options)
	f.withGithub(t)
	secret := base64.StdEncoding.EncodeToString([]byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	f.must(t, "POST", "/v1/keys", `{"name":"std","key_id":"K","material":"`+secret+`"}`)
	const post = `"request":{"method":"POST","url":"https://example.com/hook","body":"{}"}}`
	ask := func(body string) (gate.Rule, gate.Message) {
		t.Helper()
		c.rules, c.messages = nil, nil
		if v := decode[api.RequestVerdict](t, f.must(t, "POST", "/v1/requests/verify", body)); !v.Valid || v.Replay != "fresh" || len(c.messages) != 1 {
			t.Fatalf("got %+v and %d claims", v, len(c.messages))
		}
		return c.rules[0], c.messages[0]
	}
	std := f.signed(t, `"claim":true,`, `{"scheme":"standard-webhooks","key":"std",`+post)
	r, m := ask(std)
	if r != (gate.Rule{Profile: "scheme:standard-webhooks"}) || m.Tenant != "default" || m.KeyID != "K" || m.Nonce == "" || len(m.Tag) != 32 || time.Since(m.At) > time.Minute {
		t.Errorf("got %+v, %+v", r, m)
	}
	if _, again := ask(strings.Replace(std, "{", `{"key_id":"other",`, 1)); again.KeyID != m.KeyID || again.Nonce != m.Nonce {
		t.Errorf("under another ID: got %+v, want %+v", again, m)
	}
	if _, other := ask(f.signed(t, `"claim":true,`, `{"scheme":"github","key":"hook","context":"customer-1",`+post)); other.KeyID != "hook/customer-1" {
		t.Errorf("of a context: got %+v", other)
	}
	if r, m := ask(github(`"claim":true,`, githubTag, githubBody)); r.Profile != "scheme:github" || m.KeyID != "hook" || m.Nonce != "" || len(m.Tag) != 32 || !m.At.IsZero() {
		t.Errorf("without nonce and time: got %+v, %+v", r, m)
	}
	if r, m := ask(f.signed(t, `"claim":true,`, `{"scheme":"bitfinex","key":"hook",`+post)); !r.Increasing || len(m.Nonce) != 16 {
		t.Errorf("increasing: got %+v, %+v", r, m)
	}
}

// What is signed ahead of the window of the guard is not yet fresh, and what is
// signed before it is stale.
func TestClaimOutside(t *testing.T) {
	c := &claimed{err: refusal("outside", fault.Denied, 0)}
	now := time.Now()
	f := start(t, func(o *rest.Options) {
		c.options(o)
		o.Now = func() time.Time { return now }
	})
	secret := base64.StdEncoding.EncodeToString([]byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	f.must(t, "POST", "/v1/keys", `{"name":"std","material":"`+secret+`"}`)
	body := f.signed(t, `"claim":true,`, `{"scheme":"standard-webhooks","key":"std","request":{"method":"POST","url":"https://example.com/hook","body":"{}"}}`)
	for reason, d := range map[string]time.Duration{"stale": time.Minute, "future": -time.Minute} {
		now = now.Add(d)
		if v := decode[api.RequestVerdict](t, f.must(t, "POST", "/v1/requests/verify", body)); v.Valid || v.Reason != reason {
			t.Errorf("got %+v, want %s", v, reason)
		}
		now = now.Add(-d)
	}
}

// A signed request that may have been sent before is told when to sign it anew.
func TestRetryAfterOfAuthentication(t *testing.T) {
	f := start(t, func(o *rest.Options) {
		o.Authenticate = func(*http.Request) (access.Caller, error) {
			return access.Caller{}, refusal("barred", fault.Unavailable, 4500*time.Millisecond)
		}
	})
	if a := f.do(t, "GET", "/v1/keys", ""); a.status != 503 || a.header.Get("Retry-After") != "5" {
		t.Errorf("got %d, retry after %q", a.status, a.header.Get("Retry-After"))
	}
}
