package authn_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/authn"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/limit"
)

// A thousand wrong attempts from one address cost the work of 50, and those of
// others go on.
func TestA38_Slow(t *testing.T) {
	tests := []struct {
		name   string
		from   string
		err    error
		looked int // at of 1000
	}{
		{"Wrong", "192.0.2.1:1", fault.New(fault.Denied, "wrong"), 50},
		{"Right", "192.0.2.1:1", nil, 1000},
		{"Replay", "192.0.2.1:1", fault.New(fault.Conflict, "seen"), 1000},
		{"NotKnown", "192.0.2.1:1", fault.New(fault.Unavailable, "away"), 1000},
		{"ThisMachine", "127.0.0.1:1", fault.New(fault.Denied, "wrong"), 1000},
		{"ThisMachineIPv6", "[::1]:1", fault.New(fault.Denied, "wrong"), 1000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now, looked := time.Now(), 0
			check := authn.Slow(func(*http.Request) (access.Caller, error) {
				looked++
				return access.Caller{ID: "a"}, tt.err
			}, limit.NewFailures(limit.NewMap(now, 0)), func() time.Time { return now })
			ask := func(from string) error {
				_, err := check(&http.Request{RemoteAddr: from})
				return err
			}
			var many limit.TooMany
			for i := range 1000 {
				if err := ask(tt.from); errors.As(err, &many) != (i >= tt.looked) {
					t.Fatalf("attempt %d: got %v", i, err)
				}
			}
			if looked != tt.looked {
				t.Errorf("got %d looked at, want %d", looked, tt.looked)
			}
			if err := ask("192.0.2.2:1"); !errors.Is(err, tt.err) {
				t.Errorf("another address: got %v", err)
			}
			now = now.Add(many.Wait)
			if err := ask(tt.from); errors.As(err, new(limit.TooMany)) {
				t.Errorf("after %v: got %v", many.Wait, err)
			}
		})
	}
}
