// Package limit says who may ask for how much in which time.
//
// A [Limit] is GCRA, the generic cell rate algorithm: one instant for each
// subject says all about its past, so a limit has no windows whose edges let
// twice as much through. [Limit.Take] is a pure function. A [Map] keeps the
// instants of one process, in bounded memory; package redis keeps them for many
// nodes and falls back to a Map. A [Limiter] finds the rules for a request and
// takes from each. A [Failures] slows down who cannot say who he is.
//
// Quotas of a day or a month are limits with a long interval: they come back
// unit by unit instead of all at midnight.
//
// A limit is no security boundary: what must not happen twice is the business
// of the replay guard.
package limit

import (
	"math"
	"time"
)

// Never is how long to wait for more units than the burst: waiting does not
// help.
const Never time.Duration = math.MaxInt64

// Limit allows Burst units at once and one more each Interval. The zero value
// is invalid: get one from [Rule.Limit].
type Limit struct {
	Interval time.Duration // for one unit; whole microseconds, at least 1
	Burst    int           // units; at least 1
}

// Take asks for cost units at now. tat is the stored time, zero if none. It
// returns the time to store and 0, or tat unchanged and how long to wait, which
// is [Never] for a cost above the burst. A negative cost gives units back and
// is never refused.
func (l Limit) Take(tat, now time.Time, cost int) (next time.Time, wait time.Duration) {
	if cost > l.Burst {
		return tat, Never
	}
	next = tat
	if tat.Before(now) {
		next = now
	}
	next = next.Add(time.Duration(cost) * l.Interval)
	if wait = next.Sub(now) - l.Window(); wait > 0 && cost > 0 {
		return tat, wait
	}
	return next, 0
}

// Window is how long a full burst takes to come back.
func (l Limit) Window() time.Duration { return time.Duration(l.Burst) * l.Interval }

// Use is what is known of a subject after it asked.
type Use struct {
	Ahead time.Duration // until all of the burst is there again; 0 or less means now
	Wait  time.Duration // 0 if the units were taken; otherwise for how long they will not be there
}

// Remaining is how many units can be taken at once.
func (u Use) Remaining(l Limit) int {
	used := (max(u.Ahead, 0) + l.Interval - 1) / l.Interval
	return max(l.Burst-int(used), 0)
}

// NextUnit is how long it takes until one more unit than now is there, 0 if all
// are.
func (u Use) NextUnit(l Limit) time.Duration {
	if u.Ahead <= 0 {
		return 0
	}
	if over := u.Ahead - l.Window(); over > 0 { // the limit was higher before
		return over + l.Interval
	}
	return (u.Ahead-1)%l.Interval + 1
}
