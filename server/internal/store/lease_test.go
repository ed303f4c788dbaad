package store_test

import (
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/store"
)

func TestLeaseStateAt(t *testing.T) {
	end := time.Date(2026, 11, 3, 4, 5, 6, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		lease store.Lease
		at    time.Time
		want  store.LeaseState
	}{
		{"LastInstant", store.Lease{ExpiresAt: end}, end.Add(-1), store.LeaseValid},
		{"End", store.Lease{ExpiresAt: end}, end, store.LeaseExpired},
		{"OneLeft", store.Lease{ExpiresAt: end, MaxUses: 2, Used: 1}, end.Add(-1), store.LeaseValid},
		{"UsedUp", store.Lease{ExpiresAt: end, MaxUses: 2, Used: 2}, end.Add(-1), store.LeaseUsedUp},
		{"WithoutLimit", store.Lease{ExpiresAt: end, Used: 9}, end.Add(-1), store.LeaseValid},
		{"Revoked", store.Lease{ExpiresAt: end, RevokedAt: end}, end.Add(-1), store.LeaseRevoked},
		{"RevokedAndExpired", store.Lease{ExpiresAt: end, RevokedAt: end}, end.Add(1), store.LeaseRevoked},
	} {
		if got := tt.lease.StateAt(tt.at); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}
