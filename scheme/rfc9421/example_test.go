package rfc9421_test

import (
	"fmt"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

// A profile that demands method, target, body, time, nonce and key ID.
func Example() {
	s, err := catalogue.New("rfc9421", scheme.Params{
		"label":         {"sig1"},
		"required":      {"@method", "@target-uri", "content-digest"},
		"require_nonce": {"true"},
		"require_keyid": {"true"},
		"max_age":       {"60"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ring := keyring.Must(keyring.Key{ID: "k1", Version: 1, Secret: secret.FromString("rfc9421-example-shared-secret-0001")})
	now := time.Unix(1767225600, 0)
	signer := sealwright.Signer{Scheme: s, Ring: ring, Nonce: func() string { return "b3k2pp5k7z50gnwpyemd" }} // by default random

	m, err := signer.Sign(sealwright.Message{
		Method: "POST", Scheme: "https", Host: "api.example.com", Target: "/orders?x=1", Body: []byte(`{"id":7}`),
	}, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"Content-Digest", "Signature-Input", "Signature"} {
		fmt.Println(name+":", m.Header[name][0])
	}

	v := sealwright.Verifier{Scheme: s, Ring: ring}
	verdict, err := v.Verify(m, now.Add(time.Minute))
	fmt.Println(verdict.KeyID, verdict.Nonce, verdict.Age, verdict.Covers.Body, err)

	m.Body = []byte(`{"id":8}`)
	_, err = v.Verify(m, now)
	fmt.Println(err)
	// Output:
	// Content-Digest: sha-256=:o8kOO3RI0j2erOvQ6/FcrhAOIfmyxojz+dI47c0m1n8=:
	// Signature-Input: sig1=("@method" "@target-uri" "content-digest");created=1767225600;nonce="b3k2pp5k7z50gnwpyemd";keyid="k1"
	// Signature: sig1=:/F98iJ2/lG37P1y3zM2eTEuheFIg2H1I7uQ0LTOmugU=:
	// k1 b3k2pp5k7z50gnwpyemd 1m0s true <nil>
	// digest does not match the body: sha-256 in Content-Digest is not that of the body
}
