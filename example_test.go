package sealwright_test

import (
	"fmt"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/secret"
)

// A delivery of GitHub's documentation is verified.
func ExampleVerifier() {
	ring := keyring.Must(keyring.Key{ID: "hook", Version: 1, Secret: secret.FromString("It's a Secret to Everybody")})
	v := sealwright.Verifier{Scheme: catalogue.Must("github"), Ring: ring}
	header := map[string][]string{
		"X-Hub-Signature-256": {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
	}
	verdict, err := v.Verify(sealwright.Message{Method: "POST", Header: header, Body: []byte("Hello, World!")}, time.Now())
	fmt.Println(verdict.KeyID, verdict.Covers.Body, verdict.Covers.Time, err)

	verdict, err = v.Verify(sealwright.Message{Method: "POST", Header: header, Body: []byte("Hello, Mallory!")}, time.Now())
	fmt.Println(verdict.Reason, err)
	// Output:
	// hook true false <nil>
	// wrong-signature signature does not match
}

// A request is signed in the format of Stripe's webhooks.
func ExampleSigner() {
	ring := keyring.Must(keyring.Key{ID: "hook", Version: 1, Secret: secret.FromString("whsec_example_secret")})
	s := sealwright.Signer{Scheme: catalogue.Must("stripe"), Ring: ring}
	m, err := s.Sign(sealwright.Message{Method: "POST", Host: "shop.example", Target: "/hook", Body: []byte("{}")}, time.Unix(1767225600, 0))
	fmt.Println(m.Header["Stripe-Signature"][0], err)
	// Output:
	// t=1767225600,v1=743089d2420a914fafa2204f557b96472ce75c24b96d7eaa971d01eb261f383d <nil>
}

// During a rotation two versions verify and one signs.
func ExampleSigner_rotation() {
	ring := keyring.Must(keyring.Key{ID: "k1", Version: 1, Secret: secret.FromString("the first secret of all")})
	scheme := catalogue.Must("hmac-auth")
	now := time.Now()
	signer := sealwright.Signer{Scheme: scheme, Ring: ring}
	old, err := signer.Sign(sealwright.Message{Method: "GET", Host: "api.example", Target: "/"}, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	next, err := ring.Add(keyring.Key{ID: "k1", Version: 2, Secret: secret.FromString("the second secret of all")})
	if err != nil {
		fmt.Println(err)
		return
	}
	if next, err = next.Promote("k1", 2); err != nil {
		fmt.Println(err)
		return
	}
	v := sealwright.Verifier{Scheme: scheme, Ring: next}
	verdict, err := v.Verify(old, now)
	fmt.Println(verdict.Valid, verdict.KeyID, verdict.Version, err)
	// Output:
	// true k1 1 <nil>
}
