package server_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/server"
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

// The same trouble is told once a minute, another one at once.
func TestSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		report := server.Seldom(func(err error) { told = append(told, err.Error()) })
		for i := range 125 {
			report(errors.New("away"))
			if i == 10 {
				report(errors.New("other"))
			}
			time.Sleep(time.Second)
		}
		if want := []string{"away", "other", "away", "away"}; !slices.Equal(told, want) {
			t.Errorf("got %v, want %v", told, want)
		}
	})
}
