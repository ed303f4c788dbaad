package limit

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"
)

// Counter keeps how much of its limits each subject has used.
type Counter interface {
	// Take asks for cost units of l for the subject k, as [Limit.Take] does;
	// a negative cost gives back. A counter that is shared and cannot be
	// reached counts on its own: it has no error. It may be called by many
	// goroutines.
	Take(ctx context.Context, k Key, l Limit, cost int) Use
}

// Request is who asks. An empty field is not counted.
type Request struct {
	Tenant  string
	Caller  string
	Key     string
	Address netip.Addr
}

// Limiter takes from all limits that hold for a request. Its methods may be
// called by many goroutines.
type Limiter struct {
	counter Counter
	set     atomic.Pointer[Set]
}

// NewLimiter returns a Limiter with no rules.
func NewLimiter(c Counter) *Limiter { return &Limiter{counter: c} }

// Replace puts s in the place of all rules. What was used of rules that stay is
// kept.
func (l *Limiter) Replace(s *Set) { l.set.Store(s) }

// Result is the answer to a request.
type Result struct {
	OK         bool
	Rule       string        // that refused, or of which the least is left; empty if no rule holds
	Limit      Limit         // of that rule
	Remaining  int           // units of it that can be taken at once
	Reset      time.Duration // until it has one more; 0 if it is whole
	RetryAfter time.Duration // until the units will be there; 0 if OK, or if they never will: the cost is above Limit.Burst
}

// Active reports whether there is any rule.
func (l *Limiter) Active() bool { return l.set.Load() != nil }

// Check takes cost units, at least 1, from every limit that holds for r, or
// from none. Call it after the request was authenticated, and with the key only
// after it was decided that the caller may use it: limits that anybody could use
// up were a weapon against their owners. A key may be added to a request that
// was checked without it with [Limiter.CheckKey].
func (l *Limiter) Check(ctx context.Context, r Request, cost int) Result {
	return l.check(ctx, taking{request: r}, cost)
}

// CheckKey is Check of nothing but the key.
func (l *Limiter) CheckKey(ctx context.Context, tenant, key string, cost int) Result {
	return l.check(ctx, taking{request: Request{Tenant: tenant, Key: key}, keyOnly: true}, cost)
}

// Usage returns what is left of r for a subject in a tenant, and takes nothing.
// The subject of a rule for addresses is that of [Subject]. The error says that r
// is no rule.
func (l *Limiter) Usage(ctx context.Context, tenant string, r Rule, subject string) (Result, error) {
	lim, err := r.Limit()
	if err != nil {
		return Result{}, err
	}
	if r.Scope == ScopeAddress {
		tenant = ""
	}
	use := l.counter.Take(ctx, Key{Tenant: tenant, Rule: r.id(), Subject: subject}, lim, 0)
	return Result{OK: true, Rule: r.Name, Limit: lim, Remaining: use.Remaining(lim), Reset: use.NextUnit(lim)}, nil
}

func (l *Limiter) check(ctx context.Context, t taking, cost int) Result {
	set := l.set.Load()
	if set == nil {
		return Result{OK: true}
	}
	t.ctx, t.counter, t.result = ctx, l.counter, Result{OK: true}
	if n, ok := t.each(set, max(cost, 1), math.MaxInt); !ok {
		t.each(set, -max(cost, 1), n)
	}
	return t.result
}

// taking is one Check under way.
type taking struct {
	ctx     context.Context
	counter Counter
	request Request
	keyOnly bool
	address string
	result  Result
}

// each takes cost from up to most rules that hold, until one refuses, and
// returns from how many it has taken.
func (t *taking) each(set *Set, cost, most int) (n int, ok bool) {
	for _, owner := range [...]string{"", t.request.Tenant} {
		groups := set.groups[owner]
		for i := range groups {
			key, c := t.find(&groups[i])
			if c == nil {
				continue
			}
			if n == most {
				return n, true
			}
			use := t.counter.Take(t.ctx, key, c.limit, cost)
			if cost > 0 {
				t.note(c, use)
			}
			if use.Wait > 0 {
				return n, false
			}
			n++
		}
		if t.request.Tenant == "" {
			break
		}
	}
	return n, true
}

// find returns the rule of g that holds, nil if none does, and whom it counts.
func (t *taking) find(g *group) (Key, *compiled) {
	subject := t.subject(g.scope)
	if subject == "" {
		return Key{}, nil
	}
	c := g.find(subject)
	if c == nil {
		return Key{}, nil
	}
	tenant := t.request.Tenant
	if g.scope == ScopeAddress { // is the same in all tenants
		tenant = ""
	}
	return Key{Tenant: tenant, Rule: c.id, Subject: subject}, c
}

func (t *taking) subject(s Scope) string {
	switch s {
	case ScopeAddress:
		if t.address == "" && t.request.Address.IsValid() {
			t.address = Subject(t.request.Address)
		}
		return t.address
	case ScopeCaller:
		return t.request.Caller
	case ScopeKey:
		return t.request.Key
	}
	if t.keyOnly {
		return ""
	}
	return t.request.Tenant
}

// note keeps the rule that refused, or else the one with the least left.
func (t *taking) note(c *compiled, u Use) {
	remaining := u.Remaining(c.limit)
	if u.Wait == 0 && t.result.Rule != "" && remaining >= t.result.Remaining {
		return
	}
	t.result = Result{OK: u.Wait == 0, Rule: c.name, Limit: c.limit, Remaining: remaining, Reset: u.NextUnit(c.limit)}
	if u.Wait != Never {
		t.result.RetryAfter = u.Wait
	}
}

// Subject returns what limits count of an address: all of IPv4, the first 64
// bits of IPv6, since who has one address there has them all. It is empty for
// no address.
func Subject(a netip.Addr) string {
	if a = a.Unmap().WithZone(""); !a.IsValid() || a.Is4() {
		if !a.IsValid() {
			return ""
		}
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return ""
	}
	return p.String()
}

// SetHeader says in the fields RateLimit-Policy and RateLimit of
// draft-ietf-httpapi-ratelimit-headers-10 what is left, and in Retry-After
// (RFC 9110) when a refused request can succeed. It sets nothing if no rule
// holds.
func (r Result) SetHeader(h http.Header) {
	if r.Rule == "" {
		return
	}
	h.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", r.Rule, r.Limit.Burst, max(seconds(r.Limit.Window()), 1)))
	value := fmt.Sprintf("%q;r=%d", r.Rule, r.Remaining)
	if r.Reset > 0 {
		value += ";t=" + strconv.FormatInt(seconds(r.Reset), 10)
	}
	h.Set("RateLimit", value)
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(seconds(r.RetryAfter), 10))
	}
}

// seconds rounds up: who waits as long as was said succeeds.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
