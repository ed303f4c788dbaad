package keyring_test

import (
	"errors"
	"testing"

	"github.com/sealwright/sealwright/keyring"
)

var (
	allStates = []keyring.State{
		"", keyring.Pending, keyring.Active, keyring.Grace, keyring.Retired, keyring.Revoked, keyring.Destroyed,
		"PENDING", "unknown",
	}
	allEvents = []keyring.Event{
		keyring.Add, keyring.Promote, keyring.Supersede, keyring.Expire, keyring.Retire, keyring.Restore, keyring.Revoke,
		keyring.ScheduleDestroy, keyring.CancelDestroy, keyring.Destroy, "", "unknown",
	}
)

// TestNext has every state and every event: what does not stand in the table
// is refused.
func TestNext(t *testing.T) {
	type step struct {
		state keyring.State
		event keyring.Event
	}
	want := map[step]keyring.State{
		{"", "add"}:                     "pending",
		{"pending", "promote"}:          "active",
		{"pending", "retire"}:           "retired",
		{"pending", "revoke"}:           "revoked",
		{"active", "supersede"}:         "grace",
		{"active", "revoke"}:            "revoked",
		{"grace", "expire"}:             "retired",
		{"grace", "retire"}:             "retired",
		{"grace", "revoke"}:             "revoked",
		{"retired", "restore"}:          "grace",
		{"retired", "revoke"}:           "revoked",
		{"retired", "schedule_destroy"}: "retired",
		{"retired", "cancel_destroy"}:   "retired",
		{"retired", "destroy"}:          "destroyed",
		{"revoked", "schedule_destroy"}: "revoked",
		{"revoked", "cancel_destroy"}:   "revoked",
		{"revoked", "destroy"}:          "destroyed",
	}
	seen := 0
	for _, state := range allStates {
		for _, event := range allEvents {
			got, err := keyring.Next(state, event)
			next, ok := want[step{state, event}]
			switch {
			case !ok && (!errors.Is(err, keyring.ErrTransition) || got != state):
				t.Errorf("Next(%q, %q): got %q, %v, want %q and ErrTransition", state, event, got, err, state)
			case ok && (err != nil || got != next):
				t.Errorf("Next(%q, %q): got %q, %v, want %q", state, event, got, err, next)
			case ok:
				seen++
			}
		}
	}
	if seen != len(want) {
		t.Errorf("%d of %d wanted transitions were tried", seen, len(want))
	}
}

func TestNextSaysWhatIsWrong(t *testing.T) {
	_, err := keyring.Next(keyring.Revoked, keyring.Restore)
	if got, want := err.Error(), "restore a version that is revoked: key version is in another state"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err = keyring.Next("", keyring.Promote)
	if got, want := err.Error(), "promote a version that is not there: key version is in another state"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStateSignsAndVerifies(t *testing.T) {
	for _, s := range allStates {
		signs := s == keyring.Active
		verifies := s == keyring.Pending || s == keyring.Active || s == keyring.Grace
		if s.Signs() != signs || s.Verifies() != verifies {
			t.Errorf("%q: got signs %v, verifies %v, want %v, %v", s, s.Signs(), s.Verifies(), signs, verifies)
		}
	}
}
