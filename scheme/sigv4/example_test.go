package sigv4_test

import (
	"fmt"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/scheme/sigv4"
	"github.com/sealwright/sealwright/secret"
)

// A definition of one's own: the shape of AWS Signature Version 4 with other
// names. The ready ones are in package catalogue.
func Example() {
	definition := &scheme.Definition{ID: "acme", Options: []byte(`{
		"form": "header", "algorithm": "ACME1-HMAC-SHA256", "hash": "sha256", "key_prefix": "ACME1",
		"scope": "{yyyymmdd}/{region}/acme_request", "header": "Authorization",
		"date": "X-Acme-Date", "date_format": "iso-basic", "window": "300",
		"path": "once", "query_values": "encoded", "header_values": "folded",
		"require": ["host"], "sign": ["host", "x-acme-*"], "payload": {}
	}`)}
	s, err := sigv4.New(definition, scheme.Params{"region": {"eu"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ring := keyring.Must(keyring.Key{ID: "k1", Version: 1, Secret: secret.FromString("an example secret of some length")})
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	signer := sealwright.Signer{Scheme: s, Ring: ring}
	m, err := signer.Sign(sealwright.Message{Method: "GET", Host: "api.acme.example", Target: "/orders?limit=2"}, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier := sealwright.Verifier{Scheme: s, Ring: ring}
	verdict, err := verifier.Verify(m, now)
	fmt.Println(verdict.KeyID, verdict.Covers.Query, err)
	request, _ := sigv4.CanonicalRequest(s, m)
	fmt.Println(string(request))
	// Output:
	// k1 true <nil>
	// GET
	// /orders
	// limit=2
	// host:api.acme.example
	// x-acme-date:20260102T030405Z
	//
	// host;x-acme-date
	// e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
}
