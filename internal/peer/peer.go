// Package peer starts real servers for tests, each in a folder of its own and
// until the test ends. It is for tests only.
//
// A server that is not installed skips the test with a reason. With
// SEALWRIGHT_REQUIRE_PEERS set, as under make test, it fails it.
package peer

import (
	"os"
	"testing"
	"time"
)

const startTimeout = time.Minute

// Missing ends a test for which a real server is not there.
func Missing(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("SEALWRIGHT_REQUIRE_PEERS") != "" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
