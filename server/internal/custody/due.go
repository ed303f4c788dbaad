package custody

import (
	"context"
	"errors"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/server/internal/access"
)

// Nodes knows what the other nodes of a cluster have loaded. It is used by one
// goroutine.
type Nodes interface {
	// Have reports whether every live node has the key at least at this
	// ETagVersion.
	Have(ctx context.Context, tenant, name string, version int64) (bool, error)
}

// stepEvery and flushEvery are the pace of [Service.Run].
const (
	stepEvery  = time.Second
	flushEvery = 10 * time.Second
)

// Run does what is due until ctx ends: it promotes pending versions, rotates on
// schedule, ends grace periods, destroys after the waiting period, and stores
// how often versions were used. Verification does not depend on it: the end of
// a grace period counts at once. What failed is told to report, and
// tried again. It returns nil.
func (s *Service) Run(ctx context.Context, report func(error)) error {
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

func tell(report func(error), err error) {
	if err != nil {
		report(err)
	}
}

// Step does once what is due now, for all keys, and returns what failed.
func (s *Service) Step(ctx context.Context) error {
	now := s.instant()
	var errs []error
	for _, k := range s.keys.due(now) {
		if ctx.Err() != nil {
			break
		}
		errs = append(errs, s.stepKey(ctx, k))
	}
	return errors.Join(errs...)
}

func (s *Service) stepKey(ctx context.Context, k *Key) error {
	known, err := s.known(ctx, k)
	if err != nil {
		return wrap(err, "ask nodes about key %q", k.Name)
	}
	_, err = s.change(ctx, access.System(k.Tenant), access.KeyRotate, k.Name, 0, func(e *edit) error {
		if e.alive() != nil {
			e.notes = nil // deleted a moment ago: it is left as it is
			return nil
		}
		return e.step(known >= 0 && e.doc.Signing == k.Signing, known, s.promoteAfter, s.nodes == nil)
	})
	return err
}

// known returns the pending version of k that every live node has, -1 for none.
func (s *Service) known(ctx context.Context, k *Key) (int, error) {
	for _, v := range k.Versions {
		if v.State != keyring.Pending {
			continue
		}
		if s.nodes == nil {
			return v.Version, nil
		}
		have, err := s.nodes.Have(ctx, k.Tenant, k.Name, k.ETagVersion)
		if have && err == nil {
			return v.Version, nil
		}
		return -1, err
	}
	return -1, nil
}

// step does what is due to one key: expired versions are retired already.
func (e *edit) step(confirmed bool, known int, promoteAfter time.Duration, alone bool) error {
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
	return e.follow(alone)
}

// follow rotates if the schedule says so. Rotations that were missed are made
// up for by one. A schedule that cannot go on ends.
func (e *edit) follow(alone bool) error {
	next := e.doc.Schedule
	if next == nil || e.now.Before(next.At) || e.doc.pending() != nil {
		return nil
	}
	if len(e.doc.Versions) >= MaxVersions {
		e.doc.Schedule = nil
		e.note("key.schedule", detail{"ended": true, "because": "the key has as many versions as a key can have"})
		return nil
	}
	if err := e.rotate(Rotation{Grace: &next.Grace}, alone); err != nil {
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
