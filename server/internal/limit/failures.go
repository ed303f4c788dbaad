package limit

import (
	"fmt"
	"net/netip"
	"time"
)

// Failures slows down who fails to say who he is: 10 times a second from one
// address, after 50 at once, and once a second for one caller from one address,
// after 10 at once. Only failures count, so who succeeds is never slowed down by
// what he does.
//
// A caller alone, from wherever, is never locked: anybody could do that to
// anybody.
//
// Its methods may be called by many goroutines. When its [Map] is full, the
// failures of further addresses do not count.
type Failures struct{ counts *Map }

// The limits of [Failures].
const (
	failuresOfAddress = "address"
	failuresOfCaller  = "caller"
)

var (
	addressFailures = Limit{Interval: 100 * time.Millisecond, Burst: 50}
	callerFailures  = Limit{Interval: time.Second, Burst: 10}
)

// TooMany is the error of an attempt that is not looked at.
type TooMany struct {
	Wait time.Duration // until one is
}

// Error implements error. It is for the log.
func (e TooMany) Error() string {
	return fmt.Sprintf("too many failed attempts: not looked at for %v", e.Wait)
}

// NewFailures returns a Failures that counts in m.
func NewFailures(m *Map) *Failures { return &Failures{counts: m} }

// Allowed returns 0 if an attempt from this address may be looked at now, and
// otherwise how long it may not. Call it before any work, and once more with
// the caller when the attempt names one; until then caller is empty. It counts
// nothing.
func (f *Failures) Allowed(from netip.Addr, caller string, now time.Time) (wait time.Duration) {
	address := Subject(from)
	wait = f.counts.Peek(Key{Rule: failuresOfAddress, Subject: address}, addressFailures, 1, now).Wait
	if caller != "" {
		wait = max(wait, f.counts.Peek(Key{Tenant: caller, Rule: failuresOfCaller, Subject: address}, callerFailures, 1, now).Wait)
	}
	return wait
}

// Failed counts a failed attempt, in the name of caller if it named one,
// whether that caller exists or not.
func (f *Failures) Failed(from netip.Addr, caller string, now time.Time) {
	address := Subject(from)
	f.counts.Take(Key{Rule: failuresOfAddress, Subject: address}, addressFailures, 1, now)
	if caller != "" {
		f.counts.Take(Key{Tenant: caller, Rule: failuresOfCaller, Subject: address}, callerFailures, 1, now)
	}
}
