package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/store"
)

// Uses is what a store promises that keeps how often versions of keys were
// used. All methods may be called by many goroutines.
type Uses interface {
	// AddUses adds the counts and keeps the later of the times, for all uses or
	// for none.
	AddUses(ctx context.Context, uses []store.Use) error

	// Uses returns what is known of the versions of a key, ascending.
	Uses(ctx context.Context, tenant, name string) ([]store.Use, error)

	// Close is that of [Store].
	Close() error
}

// RunUses tests every sentence of [Uses] on a new and empty store.
func RunUses(t *testing.T, s Uses) {
	at := time.Date(2026, 11, 3, 4, 5, 6, 789012000, time.UTC)
	add := func(uses ...store.Use) {
		t.Helper()
		if err := s.AddUses(t.Context(), uses); err != nil {
			t.Fatalf("AddUses: %v", err)
		}
	}
	want := func(tenant, name string, want ...store.Use) {
		t.Helper()
		got, err := s.Uses(t.Context(), tenant, name)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Uses of %s, %s: %v (-want +got):\n%s", tenant, name, err, diff)
		}
	}
	want("t", "a")
	add(store.Use{Tenant: "t", Name: "a", Version: 2, Count: 5, LastAt: at}, store.Use{Tenant: "t", Name: "a", Version: 1, Count: 1, LastAt: at},
		store.Use{Tenant: "u", Name: "a", Version: 1, Count: 7, LastAt: at}, store.Use{Tenant: "t", Name: "ab", Version: 1, Count: 9, LastAt: at})
	add()
	add(store.Use{Tenant: "t", Name: "a", Version: 1, Count: 1 << 40, LastAt: at.Add(time.Hour)}, store.Use{Tenant: "t", Name: "a", Version: 2, Count: 1, LastAt: at.Add(-time.Hour)})
	want("t", "a", store.Use{Tenant: "t", Name: "a", Version: 1, Count: 1<<40 + 1, LastAt: at.Add(time.Hour)}, store.Use{Tenant: "t", Name: "a", Version: 2, Count: 6, LastAt: at})
	want("u", "a", store.Use{Tenant: "u", Name: "a", Version: 1, Count: 7, LastAt: at})
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := s.AddUses(t.Context(), nil); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("AddUses after Close: got %v", err)
	}
	if _, err := s.Uses(t.Context(), "t", "a"); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Uses after Close: got %v", err)
	}
}
