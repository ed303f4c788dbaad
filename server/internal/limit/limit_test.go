package limit_test

import (
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/limit/limittest"
)

// The table holds for the function that everything else is compared with.
func TestTake(t *testing.T) {
	limittest.Run(t, func(t *testing.T) limittest.Take {
		tats := map[string]time.Time{}
		return func(subject string, l limit.Limit, cost int, now time.Time) limit.Use {
			next, wait := l.Take(tats[subject], now, cost)
			tats[subject] = next
			return limit.Use{Ahead: next.Sub(now), Wait: wait}
		}
	})
}

func TestTakeLeavesWhatWasRefused(t *testing.T) {
	l := limit.Limit{Interval: time.Second, Burst: 2}
	now := time.UnixMicro(1_800_000_000_000_000)
	tat := now.Add(90 * time.Second)
	if next, wait := l.Take(tat, now, 1); !next.Equal(tat) || wait != 89*time.Second {
		t.Errorf("got %v, %v", next.Sub(now), wait)
	}
	if next, wait := l.Take(time.Time{}, now, 3); !next.IsZero() || wait != limit.Never {
		t.Errorf("got %v, %v", next, wait)
	}
}

func TestUse(t *testing.T) {
	l := limit.Limit{Interval: 10 * time.Second, Burst: 5}
	tests := []struct {
		name      string
		ahead     time.Duration
		remaining int
		next      time.Duration
	}{
		{"Whole", 0, 5, 0},
		{"Past", -time.Hour, 5, 0},
		{"OneTaken", 10 * time.Second, 4, 10 * time.Second},
		{"AlmostBack", time.Microsecond, 4, time.Microsecond},
		{"UsedUp", 50 * time.Second, 0, 10 * time.Second},
		{"UsedUpAWhileAgo", 43 * time.Second, 0, 3 * time.Second},
		{"LimitWasHigher", 57 * time.Second, 0, 17 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := limit.Use{Ahead: tt.ahead}
			if r, n := u.Remaining(l), u.NextUnit(l); r != tt.remaining || n != tt.next {
				t.Errorf("got %d remaining, next in %v, want %d, %v", r, n, tt.remaining, tt.next)
			}
		})
	}
}
