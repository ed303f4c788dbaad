package limit

import (
	"context"
	"hash/maphash"
	"sync"
	"time"
)

// Bounds of a [Map].
const (
	DefaultEntries = 1 << 20 // about 40 MB when all are in use

	shards     = 256
	firstSweep = 64                     // entries of a shard
	restSweep  = 100 * time.Millisecond // between two sweeps of a full shard
)

// Key names one subject of one rule.
type Key struct {
	Tenant  string
	Rule    string
	Subject string
}

// Map keeps the times of many subjects. An entry is 16 bytes, whatever its
// subject, and is dropped when its time has passed: the subject is then as one
// that never asked.
//
// Nothing else is ever dropped, so nobody can reset a limit by filling the map.
// When a shard is full of entries in use, a subject that has none is told to
// wait for one interval, and those that have one go on.
//
// Its methods may be called by many goroutines. Time is an argument. If the
// caller's times have a monotonic reading, setting the clock changes nothing.
type Map struct {
	seed   maphash.Seed // random, so that nobody can aim at a shard
	start  time.Time
	most   int // entries of a shard
	shards [shards]shard
}

type shard struct {
	mu      sync.Mutex
	tats    map[uint64]int64 // by hash of the key; in microseconds after Map.start
	sweepAt int              // sweep when there are as many entries
	sweptAt int64            // in microseconds
	_       [64]byte         // the next one is another cache line
}

// NewMap returns an empty map for times after start, with room for about that
// many entries; 0 means [DefaultEntries].
func NewMap(start time.Time, entries int) *Map {
	if entries == 0 {
		entries = DefaultEntries
	}
	return &Map{seed: maphash.MakeSeed(), start: start, most: max(entries/shards, 1)}
}

// Take asks for cost units of l for the subject k, as [Limit.Take] does.
func (m *Map) Take(k Key, l Limit, cost int, now time.Time) Use {
	return m.take(k, l, cost, now, true)
}

// Peek returns what Take would, and takes nothing.
func (m *Map) Peek(k Key, l Limit, cost int, now time.Time) Use {
	return m.take(k, l, cost, now, false)
}

// Len returns the number of entries.
func (m *Map) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += len(s.tats)
		s.mu.Unlock()
	}
	return n
}

func (m *Map) take(k Key, l Limit, cost int, now time.Time, store bool) Use {
	hash := m.hash(k)
	at := now.Sub(m.start).Microseconds()
	now = m.start.Add(time.Duration(at) * time.Microsecond) // what a stored time can be compared with
	s := &m.shards[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	var tat time.Time
	stored, ok := s.tats[hash]
	if ok {
		tat = m.start.Add(time.Duration(stored) * time.Microsecond)
	}
	next, wait := l.Take(tat, now, cost)
	if wait > 0 || !store {
		return Use{Ahead: next.Sub(now), Wait: wait}
	}
	if !ok && !s.room(at, m.most) {
		return Use{Ahead: l.Window(), Wait: l.Interval}
	}
	if next.After(now) {
		s.tats[hash] = next.Sub(m.start).Microseconds()
	} else {
		delete(s.tats, hash)
	}
	return Use{Ahead: next.Sub(now)}
}

// room reports whether there is room for one more entry, and drops what has
// passed when the shard has doubled since that was done, so that the cost of it
// is constant for each entry.
func (s *shard) room(now int64, most int) bool {
	if s.tats == nil {
		s.tats = map[uint64]int64{}
		s.sweepAt = min(firstSweep, most)
	}
	if len(s.tats) < s.sweepAt {
		return true
	}
	if len(s.tats) >= most && s.sweptAt > 0 && now-s.sweptAt < restSweep.Microseconds() {
		return false
	}
	s.sweep(now)
	s.sweptAt = max(now, 1)
	s.sweepAt = min(max(2*len(s.tats), firstSweep), most)
	return len(s.tats) < most
}

// sweep drops what has passed. A map never gives memory back, so it is made
// anew when most of it is dropped.
func (s *shard) sweep(now int64) {
	before := len(s.tats)
	for hash, tat := range s.tats {
		if tat <= now {
			delete(s.tats, hash)
		}
	}
	if len(s.tats) > before/4 {
		return
	}
	small := make(map[uint64]int64, 2*len(s.tats))
	for hash, tat := range s.tats {
		small[hash] = tat
	}
	s.tats = small
}

func (m *Map) hash(k Key) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	for _, text := range [...]string{k.Tenant, k.Rule} { // the last one needs no end
		_, _ = h.WriteString(text)
		_ = h.WriteByte(0)
	}
	_, _ = h.WriteString(k.Subject)
	return h.Sum64()
}

// Local is the [Counter] of one process.
type Local struct {
	Map *Map
	Now func() time.Time // nil means time.Now
}

// Take asks for cost units of l for the subject k.
func (l Local) Take(_ context.Context, k Key, limit Limit, cost int) Use {
	now := time.Now
	if l.Now != nil {
		now = l.Now
	}
	return l.Map.Take(k, limit, cost, now())
}
