package custody

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/server/internal/store"
)

// UseStore keeps how often versions were used.
type UseStore interface {
	// AddUses adds the counts and keeps the later of the times.
	AddUses(ctx context.Context, uses []store.Use) error

	// Uses returns what is known of the versions of a key, ascending.
	Uses(ctx context.Context, tenant, name string) ([]store.Use, error)
}

// usage counts the uses of one version since the last flush. It is shared by
// all snapshots of the key.
type usage struct {
	count atomic.Int64
	last  atomic.Int64 // microseconds since 1970
}

// usageOf returns the counters of the versions of k, those of the key that is
// shown where it has them.
func (s *Service) usageOf(k *Key) []*usage {
	list := make([]*usage, len(k.Versions))
	var before []*usage
	if old := s.keys.get(k.Tenant, k.Name); old != nil {
		before = old.usage
	}
	fresh := make([]usage, max(0, len(list)-len(before)))
	for i := range list {
		if i < len(before) {
			list[i] = before[i]
		} else {
			list[i] = &fresh[i-len(before)]
		}
	}
	return list
}

// Used notes that a tag was made or found valid with a version. [Key.Sign] and
// the methods of Key that verify call it themselves; who uses a MAC key of
// [Key.MAC] does.
func (k *Key) Used(version int) { k.used(version, k.now()) }

func (k *Key) used(version int, now time.Time) {
	for i := len(k.Versions) - 1; i >= 0; i-- {
		if k.Versions[i].Version == version {
			u := k.usage[i]
			u.count.Add(1)
			if at := now.UnixMicro(); at-u.last.Load() >= int64(time.Second/time.Microsecond) {
				u.last.Store(at) // to the second: a busy key is not written each time
			}
			return
		}
	}
}

// Flush stores the uses since the last time, in batches of [store.MaxPuts].
func (s *Service) Flush(ctx context.Context) error {
	if s.uses == nil {
		return nil
	}
	s.flush.Lock()
	defer s.flush.Unlock()
	var batch []store.Use
	var counters []*usage
	send := func() error {
		err := s.uses.AddUses(ctx, batch)
		if err != nil { // counted again the next time; twice if only the answer was lost
			for i, u := range counters {
				u.count.Add(batch[i].Count)
			}
			err = fmt.Errorf("store uses of %d versions: %w", len(batch), err)
		}
		batch, counters = batch[:0], counters[:0]
		return err
	}
	for _, k := range s.keys.all() {
		for i, u := range k.usage {
			n := u.count.Swap(0)
			if n == 0 {
				continue
			}
			batch = append(batch, store.Use{
				Tenant: k.Tenant, Name: k.Name, Version: k.Versions[i].Version, Count: n, LastAt: time.UnixMicro(u.last.Load()).UTC(),
			})
			if counters = append(counters, u); len(batch) == store.MaxPuts {
				if err := send(); err != nil {
					return err
				}
			}
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return send()
}

// Uses returns the count and the time of the last use of the versions of k that
// were used, by all nodes. What another node has not stored yet is missing.
func (s *Service) Uses(ctx context.Context, k *Key) (map[int]store.Use, error) {
	s.flush.Lock()
	defer s.flush.Unlock()
	uses := map[int]store.Use{}
	if s.uses != nil {
		stored, err := s.uses.Uses(ctx, k.Tenant, k.Name)
		if err != nil {
			return nil, wrap(err, "load uses of key %q", k.Name)
		}
		for _, u := range stored {
			uses[u.Version] = u
		}
	}
	for i, u := range k.usage {
		n := u.count.Load()
		if n == 0 {
			continue
		}
		version := k.Versions[i].Version
		sum := uses[version]
		sum.Tenant, sum.Name, sum.Version = k.Tenant, k.Name, version
		sum.Count += n
		if at := time.UnixMicro(u.last.Load()).UTC(); at.After(sum.LastAt) {
			sum.LastAt = at
		}
		uses[version] = sum
	}
	return uses, nil
}
