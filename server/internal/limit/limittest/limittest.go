// Package limittest holds whoever counts limits to one table, so that a limit
// means the same in a function, in a process and in a script of Redis.
package limittest

import (
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/limit"
)

// Take asks for units at a time that the test chooses.
type Take func(subject string, l limit.Limit, cost int, now time.Time) limit.Use

// step is one question and its answer.
type step struct {
	at        time.Duration // after the start of the case
	cost      int
	wait      time.Duration // want
	remaining int           // want
}

// unit is long, so that nothing expires in Redis, whose clock goes on, during a
// case.
const unit = 10 * time.Second

var three = limit.Limit{Interval: unit, Burst: 3}

// Run checks the counter that open returns, empty, for each case.
func Run(t *testing.T, open func(*testing.T) Take) {
	tests := []struct {
		name  string
		limit limit.Limit
		steps []step
	}{{
		name: "BurstIsExact", limit: three,
		steps: []step{{0, 1, 0, 2}, {0, 1, 0, 1}, {0, 1, 0, 0}, {0, 1, unit, 0}},
	}, {
		name: "BurstAtOnce", limit: three,
		steps: []step{{0, 3, 0, 0}, {0, 1, unit, 0}, {0, 3, 3 * unit, 0}},
	}, {
		name: "RefillIsExact", limit: three,
		steps: []step{
			{0, 3, 0, 0},
			{unit - time.Microsecond, 1, time.Microsecond, 0},
			{unit, 1, 0, 0},
			{unit, 1, unit, 0},
		},
	}, {
		name: "RefillStopsAtTheBurst", limit: three,
		steps: []step{{0, 3, 0, 0}, {time.Hour, 3, 0, 0}, {time.Hour, 1, unit, 0}},
	}, {
		name: "CostAboveBurstIsRefusedAtOnce", limit: three,
		steps: []step{{0, 4, limit.Never, 3}, {time.Hour, 4, limit.Never, 3}, {time.Hour, 3, 0, 0}},
	}, {
		name: "RefusalCostsNothing", limit: three,
		steps: []step{{0, 2, 0, 1}, {0, 2, unit, 1}, {0, 2, unit, 1}, {0, 1, 0, 0}},
	}, {
		name: "CostOfSeveral", limit: limit.Limit{Interval: 10 * time.Millisecond, Burst: 1000},
		steps: []step{{0, 999, 0, 1}, {0, 2, 10 * time.Millisecond, 1}, {10 * time.Millisecond, 2, 0, 0}},
	}, {
		name: "ClockGoesBack", limit: three, // grants no more
		steps: []step{{time.Hour, 3, 0, 0}, {time.Hour - 10*unit, 1, 11 * unit, 0}, {0, 1, time.Hour + unit, 0}, {time.Hour + unit, 1, 0, 0}},
	}, {
		name: "ClockGoesForthAndBack", limit: three,
		steps: []step{{0, 3, 0, 0}, {time.Minute, 3, 0, 0}, {0, 1, time.Minute + unit, 0}},
	}, {
		name: "GivenBack", limit: three,
		steps: []step{{0, 3, 0, 0}, {0, -2, 0, 2}, {0, 2, 0, 0}, {0, 1, unit, 0}},
	}, {
		name: "GivingBackMoreGrantsNoMore", limit: three,
		steps: []step{{0, 1, 0, 2}, {0, -3, 0, 3}, {0, 3, 0, 0}, {0, 1, unit, 0}},
	}, {
		name: "SmallestInterval", limit: limit.Limit{Interval: time.Microsecond, Burst: 10_000_000},
		steps: []step{{0, 10_000_000, 0, 0}, {0, 1, time.Microsecond, 0}, {time.Microsecond, 1, 0, 0}},
	}, {
		name: "QuotaOfAMonth", limit: limit.Limit{Interval: 30 * 24 * time.Hour / 1000, Burst: 1000},
		steps: []step{
			{0, 1000, 0, 0},
			{24 * time.Hour, 33, 0, 0},
			{24 * time.Hour, 1, 34*(30*24*time.Hour/1000) - 24*time.Hour, 0},
			{31 * 24 * time.Hour, 1000, 0, 0},
		},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.UnixMicro(1_800_000_000_000_000) // whole microseconds, in 2027
			take := open(t)
			for i, s := range tt.steps {
				take("other", tt.limit, 1, start) // does not matter to this one
				u := take("subject", tt.limit, s.cost, start.Add(s.at))
				if r := u.Remaining(tt.limit); u.Wait != s.wait || r != s.remaining {
					t.Errorf("step %d: got wait %v, remaining %d, want %v, %d", i, u.Wait, r, s.wait, s.remaining)
				}
			}
		})
	}
}
