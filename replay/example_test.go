package replay_test

import (
	"fmt"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/secret"
)

// A guard beside a Verifier whose messages have a signed time and a nonce.
func Example() {
	key, err := replay.NewKey(secret.Random(replay.KeySize)) // keep it for as long as the claims
	if err != nil {
		fmt.Println(err)
		return
	}
	guard, err := replay.New(replay.Options{Past: 5 * time.Minute, Future: 5 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	signed := now.Add(-time.Second)
	for _, nonce := range []string{"a", "b", "a"} { // of messages whose tag was verified
		id := key.ID("our-api", "key-1", nonce)
		owner := key.ID("our-api", "key-1")
		fmt.Println(nonce, guard.Claim(now, signed, id.Short(), owner.Short()))
	}
	fmt.Println("yesterday's", guard.Claim(now, now.Add(-24*time.Hour), key.ID("our-api", "key-1", "c").Short(), 0))
	// Output:
	// a fresh
	// b fresh
	// a replayed
	// yesterday's outside
}
