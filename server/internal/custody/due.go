package custody

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Nodes knows what the nodes of a cluster have loaded. It is used by one
// goroutine at a time.
type Nodes interface {
	// Head returns the seq of the last change that is committed.
	Head(ctx context.Context) (int64, error)

	// Applied returns the seq up to which every live node has applied all
	// changes. A node that is not counted must know a later change before it
	// serves.
	Applied(ctx context.Context) (int64, error)
}

// stepEvery and flushEvery are the pace of [Service.Run].
const (
	stepEvery  = time.Second
	flushEvery = 10 * time.Second
)

// Run does what is due until ctx ends: it promotes pending versions, rotates on
// schedule, ends grace periods, destroys after the waiting period, and stores
// how often versions were used. Verification does not depend on it: the end of
// a grace period counts at once. Sources are read beside that, since a slow one
// must not delay a promotion. What failed is told to report, also by two
// goroutines at once, and tried again. It returns nil.
func (s *Service) Run(ctx context.Context, report func(error)) error {
	var reading sync.WaitGroup
	if s.readSource != nil {
		reading.Go(func() { s.followSources(ctx, report) })
	}
	defer reading.Wait()
	step, flush := time.NewTicker(stepEvery), time.NewTicker(flushEvery)
	defer step.Stop()
	defer flush.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
			defer cancel()
			tell(report, s.Flush(last))
			return nil
		case <-step.C:
			tell(report, s.Step(ctx))
		case <-flush.C:
			tell(report, s.Flush(ctx))
		}
	}
}

// followSources reads sources when they are due, until ctx ends.
func (s *Service) followSources(ctx context.Context, report func(error)) {
	tick := time.NewTicker(stepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			tell(report, s.ReadSources(ctx))
		}
	}
}

func tell(report func(error), err error) {
	if err != nil {
		report(err)
	}
}

// Step does once what is due now, for all keys, and returns what failed.
func (s *Service) Step(ctx context.Context) error {
	s.step.Lock()
	defer s.step.Unlock()
	now := s.instant()
	due := s.keys.due(now)
	errs := []error{s.readAgain(ctx, now)}
	known, err := s.confirm(ctx, due)
	errs = append(errs, wrap(err, "ask what nodes have"))
	for _, k := range due {
		if ctx.Err() != nil {
			break
		}
		errs = append(errs, s.stepKey(ctx, k, known[keyName{k.Tenant, k.Name}]))
	}
	return errors.Join(errs...)
}

// stepKey does what is due to k, of which the pending version known, 0 for none,
// may be promoted. That another node did it at the same time is no error.
func (s *Service) stepKey(ctx context.Context, k *Key, known int) error {
	order := s.order(nil)
	order.rest = s.now().Before(s.deviceRest) || s.nodes != nil && k.Schedule != nil && s.now().Before(k.Schedule.At.Add(s.turn))
	changed, err := s.change(ctx, access.System(k.Tenant), access.KeyRotate, k.Name, 0, func(e *edit) error {
		e.order = order
		if e.alive() != nil {
			e.notes = nil // deleted a moment ago: it is left as it is
			return nil
		}
		return e.step(ctx, known > 0 && e.doc.Signing == k.Signing, known, s.promoteAfter, s.nodes == nil)
	})
	if err != nil && k.Native() {
		s.deviceRest = s.now().Add(deviceRest)
	}
	if s.nodes != nil && fault.KindOf(err) == fault.Conflict {
		err = nil
	}
	return order.unused(changed, err)
}

// bound is the seq of a change at or before which a version was added.
type bound struct {
	version int
	seq     int64
}

// confirm returns the pending versions of keys that every live node has. With
// an error it returns those of which that is known. The caller holds s.step.
func (s *Service) confirm(ctx context.Context, keys []*Key) (map[keyName]int, error) {
	known, bounds := map[keyName]int{}, map[keyName]bound{}
	defer func() { s.bounds = bounds }()
	var head int64
	for _, k := range keys {
		name, version := keyName{k.Tenant, k.Name}, k.pending()
		switch b, ok := s.bounds[name]; {
		case version == 0:
		case s.nodes == nil:
			known[name] = version
		case ok && b.version == version:
			bounds[name] = b
		case k.seq > 0:
			bounds[name] = bound{version, k.seq}
		default: // k is in memory, so its change is at or before the last one
			if head == 0 {
				var err error
				if head, err = s.nodes.Head(ctx); err != nil {
					return known, err
				}
			}
			bounds[name] = bound{version, head}
		}
	}
	if len(bounds) == 0 {
		return known, nil
	}
	applied, err := s.nodes.Applied(ctx)
	if err != nil {
		return known, err
	}
	for name, b := range bounds {
		if b.seq <= applied {
			known[name] = b.version
		}
	}
	return known, nil
}

// pending returns the version that is to be promoted, 0 for none.
func (k *Key) pending() int {
	for i := range k.Versions {
		if v := &k.Versions[i]; v.State == keyring.Pending {
			return v.Version
		}
	}
	return 0
}

// step does what is due to one key: expired versions are retired already.
func (e *edit) step(ctx context.Context, confirmed bool, known int, promoteAfter time.Duration, alone bool) error {
	if v := e.doc.pending(); v != nil {
		if confirmed && v.Version == known || !e.now.Before(v.CreatedAt.Add(promoteAfter)) {
			if err := e.promote(v, false); err != nil {
				return err
			}
		}
	}
	for i := range e.doc.Versions {
		v := &e.doc.Versions[i]
		if at := v.DestroyAt; !at.IsZero() && !e.now.Before(at) {
			if err := e.happen(v, keyring.Destroy); err != nil {
				return err
			}
		}
	}
	return e.follow(ctx, alone)
}

// follow rotates if the schedule says so. Rotations that were missed are made
// up for by one. A schedule that cannot go on ends.
func (e *edit) follow(ctx context.Context, alone bool) error {
	next := e.doc.Schedule
	if next == nil || e.now.Before(next.At) || e.doc.pending() != nil || e.doc.Native && e.order.rest {
		return nil
	}
	if len(e.doc.Versions) >= MaxVersions {
		e.doc.Schedule = nil
		e.note("key.schedule", detail{"ended": true, "because": "the key has as many versions as a key can have"})
		return nil
	}
	if err := e.rotate(ctx, Rotation{Grace: &next.Grace}, alone); err != nil {
		return err
	}
	if next.Every == 0 {
		e.doc.Schedule = nil
		return nil
	}
	after := *next
	if after.At = next.At.Add(next.Every); !after.At.After(e.now) {
		after.At = e.now.Add(next.Every)
	}
	e.doc.Schedule = &after
	return nil
}
