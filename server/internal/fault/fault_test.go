package fault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/sealwright/sealwright/server/internal/fault"
)

var kinds = map[fault.Kind]string{
	fault.NotFound: "not found", fault.Conflict: "conflict", fault.Invalid: "invalid",
	fault.Denied: "denied", fault.Unavailable: "unavailable", fault.Internal: "internal",
}

func TestKindsAreErrors(t *testing.T) {
	for k, text := range kinds {
		err := fmt.Errorf("outer: %w", fault.New(k, "message").Because(errors.New("cause")))
		for other := range kinds {
			if got := errors.Is(err, other); got != (k == other) {
				t.Errorf("errors.Is(an error of kind %v, %v): got %v", k, other, got)
			}
		}
		if k.Error() != text {
			t.Errorf("Error of kind %d: got %q, want %q", k, k.Error(), text)
		}
	}
	for _, k := range []fault.Kind{0, 7, 255} {
		if got, want := k.Error(), fmt.Sprintf("fault.Kind(%d)", k); got != want {
			t.Errorf("Error of an invalid kind: got %q, want %q", got, want)
		}
	}
}

func TestKindOfAndPublic(t *testing.T) {
	cause := errors.New("secret place of the program")
	tests := []struct {
		name   string
		err    error
		kind   fault.Kind
		public string
	}{
		{"Nil", nil, 0, ""},
		{"Error", fault.New(fault.NotFound, "no key %q", "a"), fault.NotFound, `no key "a"`},
		{"CauseIsNotShown", fault.New(fault.Unavailable, "try later").Because(cause), fault.Unavailable, "try later"},
		{"WrappingIsNotShown", fmt.Errorf("create: %w", fault.New(fault.Invalid, "name")), fault.Invalid, "name"},
		{"OutermostCounts", fault.New(fault.Denied, "no").Because(fault.New(fault.NotFound, "hidden")), fault.Denied, "no"},
		{"InternalIsNotShown", fault.New(fault.Internal, "key damaged").Because(cause), fault.Internal, "internal error"},
		{"ForeignError", cause, fault.Internal, "internal error"},
		{"KindAlone", fmt.Errorf("x: %w", fault.Conflict), fault.Conflict, "conflict"},
		{"Cancelled", fmt.Errorf("x: %w", context.Canceled), fault.Unavailable, "unavailable"},
		{"DeadlineExceeded", context.DeadlineExceeded, fault.Unavailable, "unavailable"},
		{"Joined", errors.Join(cause, fault.New(fault.Denied, "no")), fault.Denied, "no"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fault.KindOf(tt.err); got != tt.kind {
				t.Errorf("KindOf: got %v, want %v", got, tt.kind)
			}
			if got := fault.Public(tt.err); got != tt.public {
				t.Errorf("Public: got %q, want %q", got, tt.public)
			}
		})
	}
}

func TestBecause(t *testing.T) {
	cause := errors.New("cause")
	plain := fault.New(fault.NotFound, "no key")
	caused := plain.Because(cause)
	if plain.Err != nil || plain.Error() != "no key" {
		t.Errorf("Because changed the error it was called on: %v", plain)
	}
	if !errors.Is(caused, cause) || caused.Error() != "no key: cause" {
		t.Errorf("Because: got %v", caused)
	}
}
