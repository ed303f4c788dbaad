package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Leases is what a store promises that keeps leases. All methods may be called
// by many goroutines.
type Leases interface {
	// PutLease stores a lease that is not there yet with no uses, and of one
	// that is there only that it is revoked, once; either with e or not at all.
	// It may forget leases that expired [store.KeepLeases] before e. What
	// [store.Lease.Check] or the rules of entries refuse is of kind
	// [fault.Invalid].
	PutLease(ctx context.Context, l store.Lease, e store.Entry) error

	// Lease returns a lease, or an error of kind [fault.NotFound].
	Lease(ctx context.Context, tenant, key, id string) (store.Lease, error)

	// Leases returns up to limit leases of a key whose IDs come after afterID,
	// sorted. The limit is that of [Store.List].
	Leases(ctx context.Context, tenant, key, afterID string, limit int) ([]store.Lease, error)

	// SpendLease counts one use and returns true, or returns false and counts
	// nothing if the lease is not [store.LeaseValid] at at, or not there. A use
	// that was granted survives the end of the process, unless the store is in
	// memory. After an error it may be counted or not.
	SpendLease(ctx context.Context, tenant, key, id string, at time.Time) (bool, error)
}

// RunLeases tests every sentence of [Leases] on a new and empty store.
func RunLeases(t *testing.T, s interface {
	Leases
	Store
}) {
	l := leaseTest{s: s, t: t, at: time.Date(2026, 11, 3, 4, 5, 6, 789012000, time.UTC)}
	l.putAndList()
	l.spend()
	l.refusals()
	l.parallel()
	l.forget()
	l.closed()
}

type leaseTest struct {
	s interface {
		Leases
		Store
	}
	t  *testing.T
	at time.Time
}

func (l leaseTest) lease(id string, maxUses int64) store.Lease {
	return store.Lease{
		Tenant: "t", Key: "k", ID: id, Version: 3, Purpose: "api", CreatedAt: l.at, ExpiresAt: l.at.Add(time.Hour), MaxUses: maxUses,
	}
}

func (l leaseTest) entry() store.Entry {
	return store.Entry{At: l.at, Tenant: "t", Caller: "c", Action: "lease.create", Kind: "lease", Name: "k"}
}

func (l leaseTest) put(lease store.Lease) {
	l.t.Helper()
	if err := l.s.PutLease(l.t.Context(), lease, l.entry()); err != nil {
		l.t.Fatalf("PutLease: %v", err)
	}
}

func (l leaseTest) want(id string, want store.Lease) {
	l.t.Helper()
	got, err := l.s.Lease(l.t.Context(), "t", "k", id)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		l.t.Errorf("Lease %s: %v (-want +got):\n%s", id, err, diff)
	}
}

func (l leaseTest) putAndList() {
	var want []store.Lease
	for i := range 5 {
		lease := l.lease(fmt.Sprintf("l%d", i), 0)
		l.put(lease)
		want = append(want, lease)
	}
	elsewhere := l.lease("l9", 0)
	elsewhere.Key = "other"
	l.put(elsewhere)
	for _, lease := range want {
		l.want(lease.ID, lease)
	}
	page, err := l.s.Leases(l.t.Context(), "t", "k", "l1", 2)
	if diff := cmp.Diff(want[2:4], page); diff != "" || err != nil {
		l.t.Errorf("Leases: %v (-want +got):\n%s", err, diff)
	}
	if page, err := l.s.Leases(l.t.Context(), "t", "k", "", store.MaxList); err != nil || len(page) != 5 {
		l.t.Errorf("Leases: got %d, %v, want 5", len(page), err)
	}
	if log, err := l.s.Tail(l.t.Context(), 0, 10); err != nil || len(log) != 6 || log[5].Seq != 6 || log[0].Action != "lease.create" {
		l.t.Errorf("entries: got %v, %v", log, err)
	}
	revoked := want[0]
	revoked.RevokedAt = l.at.Add(time.Minute)
	l.put(revoked)
	l.want("l0", revoked)
	again := revoked
	again.RevokedAt = l.at.Add(time.Hour)
	again.MaxUses = 99
	l.put(again)
	l.want("l0", revoked)
}

func (l leaseTest) spends(id string, at time.Time, want bool) {
	l.t.Helper()
	if got, err := l.s.SpendLease(l.t.Context(), "t", "k", id, at); got != want || err != nil {
		l.t.Errorf("SpendLease %s: got %v, %v, want %v", id, got, err, want)
	}
}

func (l leaseTest) spend() {
	lease := l.lease("spend", 2)
	l.put(lease)
	l.spends("spend", lease.ExpiresAt, false)
	l.spends("spend", lease.ExpiresAt.Add(-time.Microsecond), true)
	l.spends("spend", l.at, true)
	l.spends("spend", l.at, false)
	l.put(lease) // does not begin again
	l.spends("spend", l.at, false)
	lease.Used = 2
	l.want("spend", lease)
	l.spends("l0", l.at, false) // revoked
	l.spends("none", l.at, false)
}

func (l leaseTest) refusals() {
	ctx := l.t.Context()
	_, err := l.s.Lease(ctx, "u", "k", "l1")
	wantKind(l.t, "Lease of another tenant", err, fault.NotFound)
	_, err = l.s.Lease(ctx, "t", "other", "l1")
	wantKind(l.t, "Lease of another key", err, fault.NotFound)
	_, err = l.s.Leases(ctx, "t", "k", "", 0)
	wantKind(l.t, "Leases with limit 0", err, fault.Invalid)
	wantKind(l.t, "PutLease without an entry", l.s.PutLease(ctx, l.lease("x", 0), store.Entry{}), fault.Invalid)
	wantKind(l.t, "PutLease of nothing", l.s.PutLease(ctx, store.Lease{}, l.entry()), fault.Invalid)
	wantKind(l.t, "PutLease with negative uses", l.s.PutLease(ctx, l.lease("x", -1), l.entry()), fault.Invalid)
	_, err = l.s.Lease(ctx, "t", "k", "x")
	wantKind(l.t, "Lease that was refused", err, fault.NotFound)
}

// parallel spends one lease from many sides: as many succeed as it has uses.
func (l leaseTest) parallel() {
	l.put(l.lease("parallel", 40))
	var granted atomic.Int64
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			ok, err := l.s.SpendLease(l.t.Context(), "t", "k", "parallel", l.at)
			if err != nil {
				l.t.Errorf("SpendLease: %v", err)
			}
			if ok {
				granted.Add(1)
			}
		})
	}
	group.Wait()
	if granted.Load() != 40 {
		l.t.Errorf("%d uses were granted, want 40", granted.Load())
	}
}

func (l leaseTest) forget() {
	old := l.lease("old", 0)
	old.ExpiresAt = l.at.Add(-store.KeepLeases)
	l.put(old)
	l.put(l.lease("new", 0))
	l.want("old", old) // not yet longer than that
	late := l.entry()
	late.At = l.at.Add(time.Second)
	if err := l.s.PutLease(l.t.Context(), l.lease("newer", 0), late); err != nil {
		l.t.Fatalf("PutLease: %v", err)
	}
	_, err := l.s.Lease(l.t.Context(), "t", "k", "old")
	wantKind(l.t, "Lease that expired long ago", err, fault.NotFound)
	l.want("new", l.lease("new", 0))
}

func (l leaseTest) closed() {
	if err := l.s.Close(); err != nil {
		l.t.Fatalf("Close: %v", err)
	}
	ctx := l.t.Context()
	wantKind(l.t, "PutLease after Close", l.s.PutLease(ctx, l.lease("x", 0), l.entry()), fault.Unavailable)
	_, err := l.s.SpendLease(ctx, "t", "k", "new", l.at)
	wantKind(l.t, "SpendLease after Close", err, fault.Unavailable)
	_, err = l.s.Leases(ctx, "t", "k", "", 1)
	wantKind(l.t, "Leases after Close", err, fault.Unavailable)
	_, err = l.s.Lease(ctx, "t", "k", "new")
	wantKind(l.t, "Lease after Close", err, fault.Unavailable)
}
