package limit_test

import (
	"context"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/limit"
)

// clock is a time that tests set.
type clock struct{ now time.Time }

func limiter(t *testing.T, rules ...limit.Rule) (*limit.Limiter, *limit.Map, *clock) {
	t.Helper()
	for i := range rules {
		if rules[i].Per == "" {
			rules[i].Per = limit.Hour
		}
	}
	set, err := limit.NewSet(rules)
	if err != nil {
		t.Fatal(err)
	}
	c, m := &clock{epoch}, limit.NewMap(epoch, 0)
	l := limit.NewLimiter(limit.Local{Map: m, Now: func() time.Time { return c.now }})
	l.Replace(set)
	return l, m, c
}

var home = netip.MustParseAddr("192.0.2.1")

// Each scope counts its own subjects, and one rule of each scope and period
// counts: the most exact.
func TestCheck(t *testing.T) {
	type ask struct {
		limit.Request
		cost int
		want string // rule, with ! if it refuses
	}
	req := func(tenant, caller, key string) limit.Request {
		return limit.Request{Tenant: tenant, Caller: caller, Key: key, Address: home}
	}
	tests := []struct {
		name  string
		rules []limit.Rule
		asks  []ask
	}{{
		name: "NoRules",
		asks: []ask{{req("t", "c", "k"), 1, ""}},
	}, {
		name:  "NoneMatches",
		rules: []limit.Rule{{Name: "a", Scope: limit.ScopeKey, Match: "x", Rate: 1}, {Name: "b", Tenant: "u", Scope: limit.ScopeKey, Rate: 1}},
		asks:  []ask{{req("t", "c", "k"), 1, ""}, {req("t", "c", "k"), 9, ""}},
	}, {
		name:  "Caller",
		rules: []limit.Rule{{Name: "a", Scope: limit.ScopeCaller, Rate: 1}},
		asks:  []ask{{req("t", "c", "k"), 1, "a"}, {req("t", "c", "l"), 1, "a!"}, {req("t", "d", "k"), 1, "a"}, {req("u", "c", "k"), 1, "a"}},
	}, {
		name:  "Key",
		rules: []limit.Rule{{Name: "a", Scope: limit.ScopeKey, Rate: 1}},
		asks:  []ask{{req("t", "c", "k"), 1, "a"}, {req("t", "d", "k"), 1, "a!"}, {req("t", "d", "l"), 1, "a"}, {req("u", "c", "k"), 1, "a"}},
	}, {
		name:  "Tenant",
		rules: []limit.Rule{{Name: "a", Scope: limit.ScopeTenant, Rate: 1}},
		asks:  []ask{{req("t", "c", "k"), 1, "a"}, {req("t", "d", "l"), 1, "a!"}, {req("u", "c", "k"), 1, "a"}},
	}, {
		name:  "AddressOfAllTenants",
		rules: []limit.Rule{{Name: "a", Scope: limit.ScopeAddress, Rate: 1}},
		asks:  []ask{{req("t", "c", "k"), 1, "a"}, {req("u", "d", "l"), 1, "a!"}, {limit.Request{Tenant: "t"}, 1, ""}},
	}, {
		name: "MostExactCounts",
		rules: []limit.Rule{
			{Name: "all", Scope: limit.ScopeKey, Rate: 1}, {Name: "pay", Scope: limit.ScopeKey, Match: "pay-*", Rate: 2},
			{Name: "pay-1", Scope: limit.ScopeKey, Match: "pay-1", Rate: 3}, {Name: "pay-x", Scope: limit.ScopeKey, Match: "pay-x*", Rate: 4},
		},
		asks: []ask{
			{req("t", "c", "k"), 2, "all!"}, {req("t", "c", "pay-2"), 2, "pay"}, {req("t", "c", "pay-2"), 1, "pay!"},
			{req("t", "c", "pay-1"), 3, "pay-1"}, {req("t", "c", "pay-x2"), 4, "pay-x"}, {req("t", "c", "pay-"), 2, "pay"},
		},
	}, {
		name:  "EachPeriodCounts",
		rules: []limit.Rule{{Name: "hour", Scope: limit.ScopeKey, Rate: 5}, {Name: "day", Scope: limit.ScopeKey, Match: "k", Per: limit.Day, Rate: 3}},
		asks:  []ask{{req("t", "c", "k"), 3, "day"}, {req("t", "c", "k"), 1, "day!"}, {req("t", "c", "l"), 4, "hour"}},
	}, {
		name: "TenantAndPlatformCount", // so no tenant can grant himself more
		rules: []limit.Rule{
			{Name: "a", Scope: limit.ScopeKey, Rate: 2}, {Name: "a", Tenant: "t", Scope: limit.ScopeKey, Match: "k", Rate: 9}, {Name: "b", Tenant: "t", Scope: limit.ScopeKey, Rate: 1},
		},
		asks: []ask{{req("t", "c", "k"), 3, "a!"}, {req("t", "c", "l"), 2, "b!"}, {req("t", "c", "k"), 2, "a"}},
	}, {
		name:  "CostOfABatch",
		rules: []limit.Rule{{Name: "a", Scope: limit.ScopeKey, Rate: 10}},
		asks:  []ask{{req("t", "c", "k"), 11, "a!"}, {req("t", "c", "k"), 8, "a"}, {req("t", "c", "k"), 3, "a!"}, {req("t", "c", "k"), 2, "a"}},
	}, {
		name:  "NoCostIsOne",
		rules: []limit.Rule{{Name: "a", Scope: limit.ScopeKey, Rate: 1}},
		asks:  []ask{{req("t", "c", "k"), 0, "a"}, {req("t", "c", "k"), -5, "a!"}},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, _, _ := limiter(t, tt.rules...)
			for i, a := range tt.asks {
				r := l.Check(t.Context(), a.Request, a.cost)
				got := r.Rule
				if !r.OK {
					got += "!"
				}
				if got != a.want {
					t.Errorf("ask %d: got %q, want %q", i, got, a.want)
				}
			}
		})
	}
}

// What one rule refuses is given back to the others.
func TestCheckTakesAllOrNothing(t *testing.T) {
	l, m, _ := limiter(t, limit.Rule{Name: "caller", Scope: limit.ScopeCaller, Rate: 10}, limit.Rule{Name: "tenant", Scope: limit.ScopeTenant, Rate: 3})
	for range 50 {
		l.Check(t.Context(), limit.Request{Tenant: "t", Caller: "c"}, 2)
	}
	u := m.Peek(limit.Key{Tenant: "t", Rule: "platform:caller", Subject: "c"}, limit.Limit{Interval: 6 * time.Minute, Burst: 10}, 0, epoch)
	if u.Ahead != 12*time.Minute {
		t.Errorf("got %v used, want the 12m of two units", u.Ahead)
	}
	if r := l.Check(t.Context(), limit.Request{Tenant: "u", Caller: "c"}, 1); !r.OK {
		t.Errorf("another tenant: got %+v", r)
	}
	if n := m.Len(); n != 4 {
		t.Errorf("got %d entries, want 4", n)
	}
}

// A key that is checked later counts once, and nothing else does.
func TestCheckKey(t *testing.T) {
	l, m, _ := limiter(t, limit.Rule{Name: "key", Scope: limit.ScopeKey, Rate: 2}, limit.Rule{Name: "tenant", Scope: limit.ScopeTenant, Rate: 9}, limit.Rule{Name: "caller", Scope: limit.ScopeCaller, Rate: 9})
	if r := l.Check(t.Context(), limit.Request{Tenant: "t", Caller: "c"}, 1); !r.OK || r.Remaining != 8 {
		t.Errorf("got %+v", r)
	}
	if r := l.CheckKey(t.Context(), "t", "k", 2); !r.OK || r.Rule != "key" {
		t.Errorf("got %+v", r)
	}
	if r := l.CheckKey(t.Context(), "t", "k", 1); r.OK {
		t.Errorf("got %+v", r)
	}
	if r := l.Check(t.Context(), limit.Request{Tenant: "t", Caller: "c"}, 1); !r.OK || r.Remaining != 7 || m.Len() != 3 {
		t.Errorf("got %+v, %d entries", r, m.Len())
	}
}

// New rules keep what was used.
func TestReplace(t *testing.T) {
	rule := limit.Rule{Name: "a", Scope: limit.ScopeKey, Rate: 2, Per: limit.Hour}
	l, _, _ := limiter(t, rule)
	r := limit.Request{Tenant: "t", Key: "k"}
	l.Check(t.Context(), r, 2)
	rule.Burst = 3
	set, err := limit.NewSet([]limit.Rule{rule, {Name: "b", Scope: limit.ScopeKey, Rate: 9, Per: limit.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	l.Replace(set)
	if a, b := l.Check(t.Context(), r, 1), l.Check(t.Context(), r, 1); !a.OK || b.OK {
		t.Errorf("got %+v, %+v", a, b)
	}
	l.Replace(nil)
	if a := l.Check(t.Context(), r, 1); a != (limit.Result{OK: true}) {
		t.Errorf("got %+v", a)
	}
}

// The fields are those of draft-ietf-httpapi-ratelimit-headers-10.
func TestSetHeader(t *testing.T) {
	l, _, c := limiter(t, limit.Rule{Name: "per-key", Scope: limit.ScopeKey, Rate: 60, Per: limit.Minute, Burst: 100})
	r := limit.Request{Tenant: "t", Key: "k"}
	fields := func(cost int) map[string]string {
		h := http.Header{}
		l.Check(context.Background(), r, cost).SetHeader(h)
		all := map[string]string{}
		for name := range h {
			all[name] = h.Get(name)
		}
		return all
	}
	const policy = `"per-key";q=100;w=100`
	tests := []struct {
		name string
		cost int
		want map[string]string
	}{
		{"First", 1, map[string]string{"Ratelimit-Policy": policy, "Ratelimit": `"per-key";r=99;t=1`}},
		{"Last", 99, map[string]string{"Ratelimit-Policy": policy, "Ratelimit": `"per-key";r=0;t=1`}},
		{"Refused", 3, map[string]string{"Ratelimit-Policy": policy, "Ratelimit": `"per-key";r=0;t=1`, "Retry-After": "3"}},
		{"Never", 101, map[string]string{"Ratelimit-Policy": policy, "Ratelimit": `"per-key";r=0;t=1`}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, fields(tt.cost)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	c.now = c.now.Add(2*time.Second + 300*time.Millisecond)
	if diff := cmp.Diff("3", fields(5)["Retry-After"]); diff != "" {
		t.Errorf("2.7 s are left (-want +got):\n%s", diff)
	}
	c.now = c.now.Add(700 * time.Millisecond) // 3 s after the refusal, as it was told
	if got := fields(3)["Retry-After"]; got != "" {
		t.Errorf("who waited as told is refused for %s", got)
	}
	l.Replace(nil)
	if got := fields(1); len(got) > 0 {
		t.Errorf("without rules: got %v", got)
	}
}

func TestSubject(t *testing.T) {
	tests := []struct{ name, address, want string }{
		{"IPv4", "192.0.2.1", "192.0.2.1"},
		{"IPv4InIPv6", "::ffff:192.0.2.1", "192.0.2.1"},
		{"IPv6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"IPv6Zone", "fe80::1%eth0", "fe80::/64"},
		{"None", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var a netip.Addr
			if tt.address != "" {
				a = netip.MustParseAddr(tt.address)
			}
			if got := limit.Subject(a); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	rules := []limit.Rule{
		{Name: "key", Scope: limit.ScopeKey, Rate: 1_000_000, Per: limit.Second}, {Name: "caller", Scope: limit.ScopeCaller, Rate: 1_000_000, Per: limit.Second},
		{Name: "tenant", Scope: limit.ScopeTenant, Rate: 1_000_000, Per: limit.Second},
	}
	for n := range len(rules) + 1 {
		b.Run("rules="+string(rune('0'+n)), func(b *testing.B) {
			set, err := limit.NewSet(rules[:n])
			if err != nil {
				b.Fatal(err)
			}
			l := limit.NewLimiter(limit.Local{Map: limit.NewMap(time.Now(), 0)})
			l.Replace(set)
			r := limit.Request{Tenant: "t", Caller: "c", Key: "k"}
			b.ReportAllocs()
			for b.Loop() {
				l.Check(b.Context(), r, 1)
			}
		})
	}
}
