package redis

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sealwright/sealwright/server/internal/limit"
)

// take is limit.Limit.Take with the clock of the server. ARGV: interval in
// microseconds, burst, cost, now in microseconds or empty, and how many units to
// take instead of cost if there are as many. It returns how many were taken and,
// in microseconds, how long to wait and how far ahead the time is. Numbers stay
// below 2^53 until the year 2255.
var take = redis.NewScript(`
local now = tonumber(ARGV[4])
if not now then local t = redis.call('TIME'); now = t[1] * 1000000 + t[2] end
local stored = tonumber(redis.call('GET', KEYS[1]) or now)
local tat = stored
if tat < now then tat = now end
local units = tonumber(ARGV[5])
local horizon = now + ARGV[1] * ARGV[2]
if tat + ARGV[1] * units > horizon then units = tonumber(ARGV[3]) end
local new = tat + ARGV[1] * units
if units > 0 and new > horizon then return {0, new - horizon, stored - now} end
if new > now then
  redis.call('SET', KEYS[1], string.format('%.0f', new), 'PX', math.ceil((new - now) / 1000) + 1)
else
  redis.call('DEL', KEYS[1])
end
return {units, 0, new - now}`)

// Bounds of what a node takes in advance.
const (
	maxLease   = 50          // units
	leaseTime  = time.Second // unused units are lost then
	retryAfter = time.Second // after Redis did not answer
	maxLeases  = 1 << 16     // subjects; further ones ask each time
)

// Limits counts limits for all nodes. A busy node takes up to 50 units in
// advance, up to a tenth of the burst; what it does not use within a second is
// lost. While Redis is away, each node grants its part of the rate.
type Limits struct {
	client *Client
	local  *limit.Map
	nodes  func() int

	mu     sync.Mutex
	leases map[limit.Key]*lease
}

var _ limit.Counter = (*Limits)(nil)

// lease is what a node knows of one subject.
type lease struct {
	units   int       // taken and not used
	until   time.Time // then units are lost, and the rest of this may be dropped
	size    int       // units that were taken in advance the last time
	asking  bool      // somebody asks for more
	full    time.Time // when the whole burst is there, if nobody takes more
	refused time.Time // until then cost is refused
	cost    int
}

// Limits returns a counter of limits. nodes says how many nodes there are, for
// the time when Redis is away; nil means one.
func (c *Client) Limits(nodes func() int) *Limits {
	if nodes == nil {
		nodes = func() int { return 1 }
	}
	return &Limits{client: c, local: limit.NewMap(c.o.Now(), 0), nodes: nodes, leases: map[limit.Key]*lease{}}
}

// Take asks for cost units of l for the subject k.
func (l *Limits) Take(ctx context.Context, k limit.Key, lim limit.Limit, cost int) limit.Use {
	now := l.client.o.Now()
	switch {
	case cost > lim.Burst:
		return limit.Use{Ahead: l.ahead(k, now), Wait: limit.Never}
	case l.client.limits.open(now):
		return l.alone(k, lim, cost, now)
	case cost <= 0:
		return l.ask(ctx, k, lim, cost, 0, now)
	}
	use, extra, ok := l.spend(k, lim, cost, now)
	if ok {
		return use
	}
	return l.ask(ctx, k, lim, cost, extra, now)
}

// ahead returns what was known when the subject was asked for the last time.
func (l *Limits) ahead(k limit.Key, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.leases[k]; e != nil {
		return e.full.Sub(now)
	}
	return 0
}

// spend answers from what is known here. Otherwise it says how many units to ask
// for in advance. That is more than 0 for one caller at a time.
func (l *Limits) spend(k limit.Key, lim limit.Limit, cost int, now time.Time) (use limit.Use, extra int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.leases[k]
	if e == nil {
		return use, 0, false
	}
	ahead := e.full.Sub(now) - time.Duration(e.units)*lim.Interval
	live := now.Before(e.until)
	switch {
	case live && e.units >= cost:
		e.units -= cost
		return limit.Use{Ahead: ahead + time.Duration(cost)*lim.Interval}, 0, true
	case cost >= e.cost && now.Before(e.refused):
		return limit.Use{Ahead: ahead, Wait: e.refused.Sub(now)}, 0, true
	case e.asking: // one asks for all
		return use, 0, false
	case live: // used up in time
		e.size = min(max(2*e.size, 1), maxLease, lim.Burst/10)
	default:
		e.size = 0
	}
	e.asking = e.size > 0
	return use, e.size, false
}

// ask asks Redis for cost units, and if there are as many for extra ones.
func (l *Limits) ask(ctx context.Context, k limit.Key, lim limit.Limit, cost, extra int, now time.Time) limit.Use {
	ctx, cancel := context.WithTimeout(ctx, l.client.o.Timeout)
	defer cancel()
	taken, use, err := run(ctx, l.client.db, k, lim, cost, cost+extra, "")
	if err != nil {
		l.stopAsking(k, extra)
		if context.Cause(ctx) != context.Canceled { // the caller has gone
			l.client.limits.trip(now)
			l.client.lookNow()
		}
		return l.alone(k, lim, cost, now)
	}
	l.client.limits.reset()
	if cost > 0 {
		l.stopAsking(k, extra)
		more := max(taken-cost, 0)
		l.remember(k, more, cost, use, now)
		use.Ahead -= time.Duration(more) * lim.Interval
	}
	return use
}

// run calls the script. A now that is empty is the clock of the server.
func run(ctx context.Context, db redis.Scripter, k limit.Key, lim limit.Limit, cost, units int, now string) (int, limit.Use, error) {
	key := "sw:l:" + k.Tenant + "/" + k.Rule + "/" + k.Subject
	r, err := take.Run(ctx, db, []string{key}, lim.Interval.Microseconds(), lim.Burst, cost, now, units).Int64Slice()
	if err != nil {
		return 0, limit.Use{}, err
	}
	return int(r[0]), limit.Use{Wait: time.Duration(r[1]) * time.Microsecond, Ahead: time.Duration(r[2]) * time.Microsecond}, nil
}

// remember keeps what Redis answered, and extra units.
func (l *Limits) remember(k limit.Key, extra, cost int, use limit.Use, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.leases[k]
	if e == nil {
		if len(l.leases) >= maxLeases && !l.sweep(now) {
			return
		}
		e = &lease{}
		l.leases[k] = e
	}
	if !now.Before(e.until) {
		e.units = 0
	}
	e.full, e.until, e.cost, e.refused = now.Add(use.Ahead), now.Add(leaseTime), cost, time.Time{}
	if use.Wait > 0 { // somebody may give back: ask again soon
		e.refused = now.Add(min(use.Wait, leaseTime))
		return
	}
	e.units += extra
}

// sweep drops what is over. It reports whether that made room.
func (l *Limits) sweep(now time.Time) bool {
	for k, e := range l.leases {
		if !e.asking && !now.Before(e.until) {
			delete(l.leases, k)
		}
	}
	return len(l.leases) < maxLeases
}

// stopAsking lets others ask for units in advance, after one who did.
func (l *Limits) stopAsking(k limit.Key, extra int) {
	if extra == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.leases[k]; e != nil {
		e.asking = false
	}
}

// alone counts the part of this node. What costs more than that part of the
// burst passes, and has to be waited for afterwards.
func (l *Limits) alone(k limit.Key, lim limit.Limit, cost int, now time.Time) limit.Use {
	n := max(l.nodes(), 1)
	lim.Interval *= time.Duration(n)
	lim.Burst = max(lim.Burst/n, cost, 1)
	return l.local.Take(k, lim, cost, now)
}

// breaker says for how long not to ask again. The zero value lets everybody
// ask.
type breaker struct{ until atomic.Int64 } // in nanoseconds since 1970; 0 for not

// open reports whether not to ask. When its time has passed one may try.
func (b *breaker) open(now time.Time) bool {
	until := b.until.Load()
	switch {
	case until == 0:
		return false
	case now.UnixNano() < until:
		return true
	}
	return !b.until.CompareAndSwap(until, now.Add(retryAfter).UnixNano())
}

func (b *breaker) trip(now time.Time) { b.until.Store(now.Add(retryAfter).UnixNano()) }

// reset costs no write while nothing is wrong.
func (b *breaker) reset() {
	if b.until.Load() != 0 {
		b.until.Store(0)
	}
}
