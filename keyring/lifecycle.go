package keyring

import (
	"errors"
	"fmt"
)

// ErrTransition means that an event cannot happen to a key version in its
// state.
var ErrTransition = errors.New("key version is in another state")

// State is where a key version is in its life. It is stored as its word. The
// zero value is that of a version which does not exist yet.
type State string

// The states.
const (
	Pending   State = "pending"   // known to verifiers, does not sign yet
	Active    State = "active"    // signs; one version of a key
	Grace     State = "grace"     // has been replaced, still verifies
	Retired   State = "retired"   // archived: verifies nothing, can be restored
	Revoked   State = "revoked"   // compromised: refused for good, with its own reason
	Destroyed State = "destroyed" // the material is gone, the record is kept
)

// Signs reports whether a version in this state signs.
func (s State) Signs() bool { return s == Active }

// Verifies reports whether tags by a version in this state are taken. A pending
// one verifies already, since another node may have promoted it a moment ago.
func (s State) Verifies() bool { return s == Pending || s == Active || s == Grace }

// Event is something that happens to a key version. The zero value is none.
type Event string

// The events.
const (
	Add             Event = "add"              // a version comes to be
	Promote         Event = "promote"          // it begins to sign
	Supersede       Event = "supersede"        // another one signs from now on
	Expire          Event = "expire"           // its grace period is over
	Retire          Event = "retire"           // an operator archives it
	Restore         Event = "restore"          // an operator lets it verify again
	Revoke          Event = "revoke"           // its secret is known to others
	ScheduleDestroy Event = "schedule_destroy" // the waiting period begins
	CancelDestroy   Event = "cancel_destroy"   // and is broken off
	Destroy         Event = "destroy"          // the material is removed
)

// transitions has every event that can happen, with the states before and
// after it.
var transitions = map[Event]map[State]State{
	Add:             {"": Pending},
	Promote:         {Pending: Active},
	Supersede:       {Active: Grace},
	Expire:          {Grace: Retired},
	Retire:          {Pending: Retired, Grace: Retired},
	Restore:         {Retired: Grace},
	Revoke:          {Pending: Revoked, Active: Revoked, Grace: Revoked, Retired: Revoked},
	ScheduleDestroy: {Retired: Retired, Revoked: Revoked},
	CancelDestroy:   {Retired: Retired, Revoked: Revoked},
	Destroy:         {Retired: Destroyed, Revoked: Destroyed},
}

// Next returns the state of a version after an event. What it does not allow
// wraps [ErrTransition]: the version that signs must be superseded or revoked
// before it can go, what verifies must be retired or revoked before it can be
// destroyed, and nothing leads out of revoked but destruction, which is final.
func Next(s State, e Event) (State, error) {
	next, ok := transitions[e][s]
	if !ok {
		return s, fmt.Errorf("%s a version that is %s: %w", e, s.word(), ErrTransition)
	}
	return next, nil
}

func (s State) word() string {
	if s == "" {
		return "not there"
	}
	return string(s)
}
