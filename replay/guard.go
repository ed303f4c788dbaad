package replay

import (
	"fmt"
	"iter"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultCapacity is how many claims a [Guard] holds where nothing else is
// said. They take 85 MB at the most.
const DefaultCapacity = 4_000_000

// MaxCapacity is the most claims that a [Guard] may be made for.
const MaxCapacity = 1 << 30

// shareOfOwner is the part of the capacity that one owner may hold: one of so
// many.
const shareOfOwner = 4

const (
	shardCount = 256
	perWindow  = 16 // buckets of the longer side of the window
	firstSlots = 8  // of a table; a power of two
)

// Options say what a [Guard] remembers, and for how long.
type Options struct {
	// Past and Future are the window of messages with a signed time, both
	// inclusive: how old one may be, and how far its time may be ahead. Their sum
	// is above 0 and up to a year.
	Past, Future time.Duration

	// Keep, if not 0, makes a guard for messages without a signed time: each is
	// remembered for this long after it came. Past and Future are 0 then.
	Keep time.Duration

	// Capacity is the most claims that are held at the same time, up to
	// [MaxCapacity]; 0 means [DefaultCapacity]. One owner holds up to a quarter.
	Capacity int
}

// Guard remembers claims in memory. It may be used by many goroutines. Get one
// from [New].
//
// Claims are kept in buckets by their signed time, which a replay cannot
// change, and a bucket is dropped as a whole when nothing in it can pass any
// more. Nothing is dropped before. The guard looks at no clock: the latest now
// that it was given counts, so a clock that goes back brings nothing back that
// was forgotten.
type Guard struct {
	past, future time.Duration
	width        int64 // of a bucket in µs
	arrival      bool  // buckets are those of now
	capacity     int64

	live    atomic.Int64
	floor   atomic.Int64 // number of the newest bucket that is gone
	swept   atomic.Int64 // floor of the last sweep of all shards
	newest  atomic.Int64 // number of the newest bucket, if arrival
	barrier atomic.Int64 // in µs since 1970
	shares  shares
	shards  [shardCount]shard
}

// shard is the part of the claims that begin with one byte.
type shard struct {
	mu      sync.Mutex
	swept   int64    // floor of the last sweep
	buckets []bucket // by number, modulo the length
	_       [24]byte // to the end of the cache line
}

// New returns an empty guard.
func New(o Options) (*Guard, error) {
	const most = 366 * 24 * time.Hour
	arrival := o.Keep != 0
	if arrival && (o.Past != 0 || o.Future != 0) {
		return nil, fmt.Errorf("guard: got a window and %v to keep, want one of them", o.Keep)
	}
	if arrival {
		o.Past = o.Keep
	}
	if o.Past < 0 || o.Past > most || o.Future < 0 || o.Future > most || o.Past+o.Future == 0 || o.Past+o.Future > most {
		return nil, fmt.Errorf("guard: got a window of %v and %v, want above 0 and up to %v together", o.Past, o.Future, most)
	}
	if o.Capacity < 0 || o.Capacity > MaxCapacity {
		return nil, fmt.Errorf("guard: got a capacity of %d, want up to %d", o.Capacity, MaxCapacity)
	}
	if o.Capacity == 0 {
		o.Capacity = DefaultCapacity
	}
	width := max((max(o.Past, o.Future) / perWindow).Microseconds(), time.Second.Microseconds())
	// The window reaches over so many buckets, with a second of it cut in two.
	count := int((o.Past+o.Future+time.Second).Microseconds()/width) + 2
	g := &Guard{
		past: o.Past, future: o.Future, width: width, arrival: arrival, capacity: int64(o.Capacity),
		shares: newShares(count, int64(max(o.Capacity/shareOfOwner, 1))),
	}
	for _, v := range []*atomic.Int64{&g.floor, &g.swept, &g.newest, &g.barrier} {
		v.Store(math.MinInt64)
	}
	for i := range g.shards {
		g.shards[i].swept, g.shards[i].buckets = math.MinInt64, make([]bucket, count)
	}
	return g, nil
}

// Claim claims what a message uses up, once: of any number of equal claims one
// is [Fresh]. The message was verified at now and signed at at, which does not
// count for a guard with [Options.Keep]. claim is [ID.Short] of what is used
// up. owner stands for those who share one part of the room, such as the users
// of one key; 0 stands for nobody, who has no limit but the capacity.
//
// An owner may hold a few claims too many when many come at the same time. It
// is counted by four hashes of owner, so that two owners share their room with
// a chance below 1 in 10⁸, and that after [Guard.Load] starts with none.
func (g *Guard) Claim(now, at time.Time, claim, owner uint64) Outcome {
	if g.arrival {
		at = now
	} else if at.Before(now.Add(-g.past)) || at.After(now.Add(g.future)) {
		return Outside
	}
	claim = max(claim, 1)
	g.expire(now)
	if g.live.Load() >= g.capacity {
		g.sweepAll()
	}
	n := g.number(at)
	if g.arrival {
		n = raise(&g.newest, n)
	}
	s := &g.shards[claim>>56]
	s.mu.Lock()
	defer s.mu.Unlock()
	// Under the lock, because what is at or below the floor may be swept by now.
	if n <= g.floor.Load() || at.UnixMicro() <= g.barrier.Load() {
		return Barred
	}
	b := g.bucket(s, n)
	switch {
	case b == nil:
		return Barred
	case g.seen(s, b, claim):
		return Replayed
	case g.live.Add(1) > g.capacity:
		g.live.Add(-1)
		return Full
	case owner != 0 && !g.shares.take(owner, n, g.floor.Load(), g.live.Load()):
		g.live.Add(-1)
		return FullShare
	}
	b.insert(claim)
	return Fresh
}

// Load takes a claim that a guard before this one has made: at is when its
// message was signed, or came in a guard with [Options.Keep], to the second. It
// reports false if at is ahead of the window at now, so that the claim cannot
// be kept: the caller bars it. What has left the window is not kept either.
// Capacity and barrier do not count.
func (g *Guard) Load(now, at time.Time, claim uint64) bool {
	if g.arrival && at.After(now) {
		at = now // the clock has gone back; it is kept for longer
	}
	if at.After(now.Add(g.future)) {
		return false
	}
	claim = max(claim, 1)
	g.expire(now)
	n := g.number(at)
	if g.arrival {
		raise(&g.newest, n)
	}
	s := &g.shards[claim>>56]
	s.mu.Lock()
	defer s.mu.Unlock()
	if n <= g.floor.Load() {
		return true
	}
	b := g.bucket(s, n)
	if b == nil {
		return false
	}
	if !g.seen(s, b, claim) {
		g.live.Add(1)
		b.insert(claim)
	}
	return true
}

// Bar bars every message that was signed at t or before, for good. It never
// lifts an earlier bar. In a guard with [Options.Keep] it bars everything until
// t.
func (g *Guard) Bar(t time.Time) {
	at := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		at++
	}
	raise(&g.barrier, at)
}

// BarredUntil returns the last instant that is barred, zero if nothing is.
func (g *Guard) BarredUntil() time.Time {
	at := g.barrier.Load()
	if at == math.MinInt64 {
		return time.Time{}
	}
	return time.UnixMicro(at)
}

// Len returns the number of claims that are held. It is compared with
// [Guard.Capacity] for an alarm before the guard is full.
func (g *Guard) Len() int { return int(g.live.Load()) }

// Capacity returns the most claims that are held.
func (g *Guard) Capacity() int { return int(g.capacity) }

// All returns the claims that are held, each with the first second of its
// bucket. What is claimed meanwhile may be missing.
func (g *Guard) All() iter.Seq2[time.Time, uint64] {
	return func(yield func(time.Time, uint64) bool) {
		var copied []uint64
		for i := range g.shards {
			s := &g.shards[i]
			for j := range s.buckets {
				s.mu.Lock()
				b := &s.buckets[j]
				start := time.UnixMicro(b.number * g.width).UTC().Add(time.Second - time.Microsecond).Truncate(time.Second)
				live := b.number > g.floor.Load()
				copied = append(copied[:0], b.slots...)
				s.mu.Unlock()
				if !live {
					continue
				}
				for _, c := range copied {
					if c != 0 && !yield(start, c) {
						return
					}
				}
			}
		}
	}
}

// number returns the number of the bucket of t. It depends on the second of t
// only, so that a claim that was stored with its second finds its bucket again.
func (g *Guard) number(t time.Time) int64 {
	at := t.Unix() * time.Second.Microseconds()
	n := at / g.width
	if at%g.width < 0 {
		n--
	}
	return n
}

// Expire drops what cannot pass at now or later. Claims do so too, each in the
// part of the guard that it looks at; who calls Expire now and then gets the
// memory back also while no claims come.
func (g *Guard) Expire(now time.Time) {
	g.expire(now)
	g.sweepAll()
}

// expire raises the floor. What is at or below it is gone, whether it was swept
// or not.
func (g *Guard) expire(now time.Time) {
	raise(&g.floor, g.number(now.Add(-g.past))-1)
}

// sweepAll sweeps every shard, once for each floor.
func (g *Guard) sweepAll() {
	floor, swept := g.floor.Load(), g.swept.Load()
	if swept >= floor || !g.swept.CompareAndSwap(swept, floor) {
		return
	}
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		g.sweep(s)
		s.mu.Unlock()
	}
}

// sweep gives up the tables of s that are gone. It is called with the lock of s.
func (g *Guard) sweep(s *shard) {
	floor := g.floor.Load()
	if s.swept == floor {
		return
	}
	s.swept = floor
	for i := range s.buckets {
		if b := &s.buckets[i]; b.slots != nil && b.number <= floor {
			g.live.Add(-int64(b.count))
			*b = bucket{}
		}
	}
}

// bucket returns bucket n, which is above the floor, or nil if another one that
// is not gone is in its place. It is called with the lock of s.
func (g *Guard) bucket(s *shard, n int64) *bucket {
	g.sweep(s)
	b := &s.buckets[modulo(n, int64(len(s.buckets)))]
	if b.slots == nil {
		b.number = n
	}
	if b.number != n {
		return nil
	}
	return b
}

// seen reports whether claim is in b, or in any bucket if the time of the
// message does not tell which. It is called with the lock of s.
func (g *Guard) seen(s *shard, b *bucket, claim uint64) bool {
	if !g.arrival {
		return b.has(claim)
	}
	for i := range s.buckets { // those that are left after a sweep
		if s.buckets[i].has(claim) {
			return true
		}
	}
	return false
}

// bucket is the set of the claims of a span of time: a hash table with linear
// probing. A claim is a hash already. 0 is an empty slot.
type bucket struct {
	number int64
	count  int
	slots  []uint64 // a power of two, or nil
}

func (b *bucket) has(claim uint64) bool {
	if b.slots == nil {
		return false
	}
	mask := uint64(len(b.slots) - 1)
	for i := claim & mask; b.slots[i] != 0; i = (i + 1) & mask {
		if b.slots[i] == claim {
			return true
		}
	}
	return false
}

// insert adds a claim that is not there. The table grows at a load of 3/4.
func (b *bucket) insert(claim uint64) {
	if 4*(b.count+1) > 3*len(b.slots) {
		old := b.slots
		b.slots = make([]uint64, max(2*len(old), firstSlots))
		for _, c := range old {
			if c != 0 {
				b.put(c)
			}
		}
	}
	b.put(claim)
	b.count++
}

func (b *bucket) put(claim uint64) {
	mask := uint64(len(b.slots) - 1)
	i := claim & mask
	for b.slots[i] != 0 {
		i = (i + 1) & mask
	}
	b.slots[i] = claim
}

// raise makes v at least n and returns it.
func raise(v *atomic.Int64, n int64) int64 {
	for {
		old := v.Load()
		if n <= old {
			return old
		}
		if v.CompareAndSwap(old, n) {
			return n
		}
	}
}

// modulo returns n modulo count, from 0 also for a negative n.
func modulo(n, count int64) int64 { return ((n % count) + count) % count }
