package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/servertest"
)

// TestScheduledRotation waits for a rotation that a schedule asks for.
func TestScheduledRotation(t *testing.T) {
	s := servertest.Start(t)
	if status, _, answer := s.Do(t, "POST", "/v1/keys", `{"name":"due"}`); status/100 != 2 {
		t.Fatalf("create: %d %s", status, answer)
	}
	at := time.Now().Add(time.Second).UTC().Format(time.RFC3339)
	if status, _, answer := s.Do(t, "POST", "/v1/keys/due/schedule", `{"at":"`+at+`"}`); status/100 != 2 {
		t.Fatalf("schedule: %d %s", status, answer)
	}
	for range 600 { // a minute on the slowest machine
		if _, _, answer := s.Do(t, "GET", "/v1/keys/due", ""); strings.Contains(answer, `"version":2,`) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	_, _, answer := s.Do(t, "GET", "/v1/keys/due", "")
	t.Errorf("the key is not rotated: %s", answer)
}
