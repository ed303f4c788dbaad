package rest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/rest"
)

// limits returns a limiter with rules, by a clock that stands still.
func limits(t *testing.T, rules ...limit.Rule) *limit.Limiter {
	t.Helper()
	for i := range rules {
		rules[i].Per = limit.Hour
	}
	set, err := limit.NewSet(rules)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	l := limit.NewLimiter(limit.Local{Map: limit.NewMap(now, 0), Now: func() time.Time { return now }})
	l.Replace(set)
	return l
}

// What is counted, and by which rule the last request is refused.
func TestLimits(t *testing.T) {
	const sign, verify = "/v1/keys/a/sign", "/v1/keys/a/verify"
	type ask struct{ method, path, body string }
	one := ask{"POST", sign, `{"text":"a"}`}
	tests := []struct {
		name   string
		rule   limit.Rule
		before []ask
		last   ask
		want   int
		fields [3]string // RateLimit-Policy, RateLimit, Retry-After
	}{
		{"NoRule", limit.Rule{}, nil, one, 200, [3]string{}},
		{"OfAnotherKey", limit.Rule{Scope: limit.ScopeKey, Match: "b", Rate: 1}, []ask{one}, one, 200, [3]string{}},
		{"Within", limit.Rule{Scope: limit.ScopeKey, Rate: 2}, []ask{one}, one, 200, [3]string{`"r";q=2;w=3600`, `"r";r=0;t=1800`, ""}},
		{"Key", limit.Rule{Scope: limit.ScopeKey, Rate: 2}, []ask{one, one}, one, 429, [3]string{`"r";q=2;w=3600`, `"r";r=0;t=1800`, "1800"}},
		{"KeyByVerifying", limit.Rule{Scope: limit.ScopeKey, Rate: 1}, []ask{one}, ask{"POST", verify, `{"text":"a","tag":"00"}`}, 429, [3]string{`"r";q=1;w=3600`, `"r";r=0;t=3600`, "3600"}},
		{"KeyThatIsNotThere", limit.Rule{Scope: limit.ScopeKey, Rate: 1}, []ask{{"POST", "/v1/keys/x/sign", `{"text":"a"}`}}, ask{"POST", "/v1/keys/x/sign", `{"text":"a"}`}, 404, [3]string{}},
		{"Caller", limit.Rule{Scope: limit.ScopeCaller, Rate: 1}, []ask{{"GET", "/v1/keys", ""}}, one, 429, [3]string{`"r";q=1;w=3600`, `"r";r=0;t=3600`, "3600"}},
		{"CallerByWhatIsNotThere", limit.Rule{Scope: limit.ScopeCaller, Rate: 1}, []ask{{"GET", "/v1/nothing", ""}}, one, 429, [3]string{`"r";q=1;w=3600`, `"r";r=0;t=3600`, "3600"}},
		{"Tenant", limit.Rule{Scope: limit.ScopeTenant, Rate: 1}, []ask{one}, one, 429, [3]string{`"r";q=1;w=3600`, `"r";r=0;t=3600`, "3600"}},
		{"Address", limit.Rule{Scope: limit.ScopeAddress, Rate: 1}, []ask{one}, one, 429, [3]string{`"r";q=1;w=3600`, `"r";r=0;t=3600`, "3600"}},
		{"Batch", limit.Rule{Scope: limit.ScopeKey, Rate: 4}, []ask{one}, ask{"POST", sign, `{"items":[{"text":"a"},{"text":"b"},{"text":"c"}]}`}, 200, [3]string{`"r";q=4;w=3600`, `"r";r=0;t=900`, ""}},
		{"BatchOfMore", limit.Rule{Scope: limit.ScopeKey, Rate: 4}, []ask{one, one}, ask{"POST", sign, `{"items":[{"text":"a"},{"text":"b"},{"text":"c"}]}`}, 429, [3]string{`"r";q=4;w=3600`, `"r";r=2;t=900`, "900"}},
		{"BatchAboveTheBurst", limit.Rule{Scope: limit.ScopeKey, Rate: 2}, nil, ask{"POST", sign, `{"items":[{"text":"a"},{"text":"b"},{"text":"c"}]}`}, 429, [3]string{`"r";q=2;w=3600`, `"r";r=2`, ""}},
		{"BatchOfACaller", limit.Rule{Scope: limit.ScopeCaller, Rate: 3}, []ask{one}, ask{"POST", sign, `{"items":[{"text":"a"},{"text":"b"}]}`}, 200, [3]string{`"r";q=3;w=3600`, `"r";r=0;t=1200`, ""}},
		{"Lease", limit.Rule{Scope: limit.ScopeKey, Rate: 1}, []ask{one}, ask{"POST", "/v1/keys/a/leases", `{"ttl":"1h"}`}, 429, [3]string{`"r";q=1;w=3600`, `"r";r=0;t=3600`, "3600"}},
		{"LeaseByVerifying", limit.Rule{Scope: limit.ScopeKey, Rate: 1}, []ask{one}, ask{"POST", "/v1/keys/a/leases/00/verify", `{"text":"a","tag":"00"}`}, 429, [3]string{`"r";q=1;w=3600`, `"r";r=0;t=3600`, "3600"}},
		{"Request", limit.Rule{Scope: limit.ScopeKey, Rate: 1}, []ask{one}, ask{"POST", "/v1/requests/sign", `{"scheme":"body-hex","key":"a","request":{"method":"POST","url":"https://example.com/","body":"a"}}`}, 429, [3]string{`"r";q=1;w=3600`, `"r";r=0;t=3600`, "3600"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var l *limit.Limiter
			f := start(t, func(o *rest.Options) {
				if l = limits(t); tt.rule.Rate > 0 {
					tt.rule.Name = "r"
				}
				o.Limiter = l
			})
			f.must(t, "POST", "/v1/keys", `{"name":"a"}`)
			if tt.rule.Rate > 0 {
				tt.rule.Per = limit.Hour
				set, err := limit.NewSet([]limit.Rule{tt.rule})
				if err != nil {
					t.Fatal(err)
				}
				l.Replace(set)
			}
			for _, a := range tt.before {
				f.do(t, a.method, a.path, a.body)
			}
			got := f.do(t, tt.last.method, tt.last.path, tt.last.body)
			fields := [3]string{got.header.Get("RateLimit-Policy"), got.header.Get("RateLimit"), got.header.Get("Retry-After")}
			if got.status != tt.want || fields != tt.fields {
				t.Errorf("got %d %q, want %d %q: %s", got.status, fields, tt.want, tt.fields, got.body)
			}
			if tt.want == 429 && !strings.Contains(got.body, `"code":"rate-limited"`) {
				t.Errorf("got %s", got.body)
			}
		})
	}
}

// A stream of bytes counts as one message.
func TestLimitsOfStreams(t *testing.T) {
	f := start(t, func(o *rest.Options) { o.Limiter = limits(t, limit.Rule{Name: "r", Scope: limit.ScopeKey, Rate: 1}) })
	f.must(t, "POST", "/v1/keys", `{"name":"a"}`)
	for i, want := range []int{200, 429} {
		if got := f.do(t, "POST", "/v1/keys/a/sign", "abc", "Content-Type", "application/octet-stream"); got.status != want {
			t.Errorf("request %d: got %d, want %d", i, got.status, want)
		}
	}
}

// Who is not known uses up nothing.
func TestLimitsOfStrangers(t *testing.T) {
	f := start(t, func(o *rest.Options) {
		o.Limiter = limits(t, limit.Rule{Name: "r", Scope: limit.ScopeTenant, Rate: 1}, limit.Rule{Name: "a", Scope: limit.ScopeAddress, Rate: 1})
	})
	for range 10 {
		if got := f.do(t, "GET", "/v1/keys", "", "Authorization", "Bearer wrong"); got.status != 401 || got.header.Get("RateLimit") != "" {
			t.Fatalf("got %d %q", got.status, got.header.Get("RateLimit"))
		}
	}
	if got := f.do(t, "GET", "/v1/keys", ""); got.status != 200 {
		t.Errorf("got %d", got.status)
	}
}

// Who has failed too often is told nothing but that.
func TestA38_TooMany(t *testing.T) {
	f := start(t, func(o *rest.Options) {
		o.Authenticate = func(*http.Request) (access.Caller, error) {
			return access.Caller{}, limit.TooMany{Wait: time.Millisecond}
		}
	})
	got := f.do(t, "GET", "/v1/keys", "")
	if got.status != 429 || got.header.Get("Retry-After") != "1" || !strings.Contains(got.body, `"code":"rate-limited"`) {
		t.Errorf("got %+v", got)
	}
}

// Who may not use a key does not use up its limit.
func TestLimitsOfKeysOfOthers(t *testing.T) {
	f := start(t, func(o *rest.Options) {
		o.Limiter = limits(t, limit.Rule{Name: "r", Scope: limit.ScopeKey, Rate: 1})
		inner := o.Authenticate
		o.Authenticate = func(r *http.Request) (access.Caller, error) {
			if r.Header.Get("Authorization") == "Bearer nobody" {
				return access.Caller{ID: "nobody", Tenant: access.DefaultTenant}, nil
			}
			return inner(r)
		}
	})
	f.must(t, "POST", "/v1/keys", `{"name":"a"}`)
	for range 5 {
		if got := f.do(t, "POST", "/v1/keys/a/sign", `{"text":"a"}`, "Authorization", "Bearer nobody"); got.status == 200 || got.status == 429 {
			t.Fatalf("got %d", got.status)
		}
	}
	if got := f.do(t, "POST", "/v1/keys/a/sign", `{"text":"a"}`); got.status != 200 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
