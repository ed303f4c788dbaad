package custody

import (
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// shards is how many parts the snapshot has. A new name copies one part.
const shards = 64

type keyName struct{ tenant, name string }

// snapshot holds the keys of all tenants, deleted ones too. Readers take no
// lock: a part is an immutable map of pointers, of which a change of a key
// swaps one.
type snapshot struct {
	seed  maphash.Seed
	parts [shards]part
	live  atomic.Int64 // keys that are not deleted
	waits atomic.Int64 // keys of which a version is pending

	mu    sync.RWMutex
	names map[string][]string // by tenant, sorted
}

type part struct {
	// change is held while this process changes a key of the part, in the store
	// and here: changes of one key would only get in each other's way. That can
	// take long, so what others have changed is shown without it.
	change sync.Mutex
	set    sync.Mutex // held while keys is changed
	keys   atomic.Pointer[map[keyName]*atomic.Pointer[Key]]
}

func newSnapshot() *snapshot {
	s := &snapshot{seed: maphash.MakeSeed(), names: map[string][]string{}}
	for i := range s.parts {
		s.parts[i].keys.Store(&map[keyName]*atomic.Pointer[Key]{})
	}
	return s
}

func (s *snapshot) part(name string) *part {
	return &s.parts[maphash.String(s.seed, name)%shards]
}

// get returns nil if there is no such key.
func (s *snapshot) get(tenant, name string) *Key {
	slot := (*s.part(name).keys.Load())[keyName{tenant, name}]
	if slot == nil {
		return nil
	}
	return slot.Load()
}

// fill puts keys into an empty snapshot that nobody reads yet.
func (s *snapshot) fill(keys []*Key) {
	for _, k := range keys {
		slot := new(atomic.Pointer[Key])
		slot.Store(k)
		(*s.part(k.Name).keys.Load())[keyName{k.Tenant, k.Name}] = slot
		s.names[k.Tenant] = append(s.names[k.Tenant], k.Name)
		s.live.Add(alive(k))
		s.waits.Add(waiting(k))
	}
	for _, names := range s.names {
		slices.Sort(names)
	}
}

// put adds a key or replaces an older state of it. Who puts k has told nobody
// of it yet.
func (s *snapshot) put(k *Key) {
	p := s.part(k.Name)
	p.set.Lock()
	defer p.set.Unlock()
	if old := s.get(k.Tenant, k.Name); old == nil || old.ETagVersion <= k.ETagVersion {
		s.replace(p, k)
	}
}

// putAfter is put if the key is still shown as before, nil for not at all.
func (s *snapshot) putAfter(before, k *Key) {
	p := s.part(k.Name)
	p.set.Lock()
	defer p.set.Unlock()
	if s.get(k.Tenant, k.Name) == before {
		s.replace(p, k)
	}
}

// replace is put for the one that holds p.set.
func (s *snapshot) replace(p *part, k *Key) {
	keys, name := *p.keys.Load(), keyName{k.Tenant, k.Name}
	if slot := keys[name]; slot != nil {
		k.adopt(slot.Load())
		old := slot.Swap(k)
		s.live.Add(alive(k) - alive(old))
		s.waits.Add(waiting(k) - waiting(old))
		return
	}
	slot := new(atomic.Pointer[Key])
	slot.Store(k)
	next := maps.Clone(keys)
	next[name] = slot
	p.keys.Store(&next)
	s.live.Add(alive(k))
	s.waits.Add(waiting(k))

	s.mu.Lock()
	defer s.mu.Unlock()
	names := s.names[k.Tenant]
	at, _ := slices.BinarySearch(names, k.Name)
	s.names[k.Tenant] = slices.Insert(names, at, k.Name)
}

// adopt makes k, of which nobody knows yet, go on with what another state of the
// key counts, also since k was made.
func (k *Key) adopt(other *Key) {
	copy(k.usage, other.usage)
	if k.Source != nil && other.Source != nil && k.Source != other.Source {
		k.Source.reads = other.Source.reads
	}
}

func alive(k *Key) int64 {
	if k.Deleted {
		return 0
	}
	return 1
}

func waiting(k *Key) int64 {
	if k.Deleted || k.pending() == 0 {
		return 0
	}
	return 1
}

// list returns up to limit keys that f takes, with names after after.
func (s *snapshot) list(tenant, after string, limit int, f func(*Key) bool) []*Key {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := s.names[tenant]
	at, found := slices.BinarySearch(names, after)
	if found {
		at++
	}
	page := make([]*Key, 0, min(limit, len(names)-at))
	for _, name := range names[at:] {
		if len(page) == limit {
			break
		}
		if k := s.get(tenant, name); f(k) {
			page = append(page, k)
		}
	}
	return page
}

func (s *snapshot) count() int { return int(s.live.Load()) }

// all returns every key, deleted ones too, in no order.
func (s *snapshot) all() []*Key {
	var all []*Key
	for i := range s.parts {
		for _, slot := range *s.parts[i].keys.Load() {
			all = append(all, slot.Load())
		}
	}
	return all
}

// due returns the keys to which something is to be done at now.
func (s *snapshot) due(now time.Time) []*Key {
	var due []*Key
	for i := range s.parts {
		for _, slot := range *s.parts[i].keys.Load() {
			if k := slot.Load(); !k.due.IsZero() && !now.Before(k.due) {
				due = append(due, k)
			}
		}
	}
	return due
}
