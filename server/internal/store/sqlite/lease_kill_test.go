package sqlite_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/store/sqlite"
)

// spends stands in front of the path for a child that spends a lease.
const spends = "spend:"

var leaseNow = time.Date(2026, 11, 3, 4, 5, 6, 0, time.UTC)

// spendForever prints a line for each use that is granted, and goes on trying
// when none are left.
func spendForever(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	failed := make(chan error)
	var mu sync.Mutex
	for range 4 {
		go func() {
			for {
				ok, err := s.SpendLease(ctx, "t", "k", "l", leaseNow)
				if err != nil {
					failed <- err
					return
				}
				if ok {
					mu.Lock()
					fmt.Println("ok use")
					mu.Unlock()
				}
			}
		}()
	}
	return <-failed
}

// A process that is killed at any moment has granted no use twice: what it
// answered is counted, and what is left is no more than the limit.
func TestKillSpendsLease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	const maxUses = 400
	s := open(t, path)
	l := store.Lease{Tenant: "t", Key: "k", ID: "l", Version: 1, CreatedAt: leaseNow, ExpiresAt: leaseNow.Add(time.Hour), MaxUses: maxUses}
	e := store.Entry{At: leaseNow, Tenant: "t", Caller: "c", Action: "lease.create"}
	if err := s.PutLease(t.Context(), l, e); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	granted := int64(0)
	for range 6 {
		granted += int64(len(killAfter(t, spends+path, 1+rand.IntN(40))))
		s := open(t, path)
		l, err := s.Lease(t.Context(), "t", "k", "l")
		if err != nil || l.Used < granted || l.Used > maxUses {
			t.Fatalf("%d uses were granted and %d are counted, %v", granted, l.Used, err)
		}
		closeStore(t, s)
		if l.Used > maxUses-50 {
			break // none may be left for the next child to be killed at
		}
	}
	s = open(t, path)
	for ok := true; ok; {
		var err error
		if ok, err = s.SpendLease(t.Context(), "t", "k", "l", leaseNow); err != nil {
			t.Fatal(err)
		}
		if ok {
			granted++
		}
	}
	if granted > maxUses || granted == 0 {
		t.Errorf("%d uses were granted in all, the limit is %d", granted, maxUses)
	}
}
