package mac

import (
	"encoding/hex"
	"fmt"

	"github.com/sealwright/sealwright/secret"
)

// knownAnswers are RFC 4231 test case 2, RFC 2202 test case 2, and for SHA-512/256
// and SHA3-256, which no RFC covers, the same input, key "Jefe".
var knownAnswers = map[Algorithm]string{
	SHA256:     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
	SHA384:     "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
	SHA512:     "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
	SHA512_256: "6df7b24630d5ccb2ee335407081a87188c221489768fa2020513b2d593359456",
	SHA3_256:   "c7d4072e788877ae3596bbb0da73b887c9171f93095b294ae857fbe2645e1ba5",
	SHA1:       "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
	MD5:        "750c783e6ab0b503eaa86e310a5db738",
}

// SelfTest computes one known answer for each algorithm and checks that two
// messages have two tags. A program runs it before it trusts this package; it
// catches a build in which the message does not reach the MAC.
func SelfTest() error {
	for _, a := range Algorithms() {
		k, err := NewPinned(a, secret.FromString("Jefe"))
		if err != nil {
			return fmt.Errorf("self-test of %v: %w", a, err)
		}
		got, err := k.Sum(nil, []byte("what do ya want for nothing?"))
		if err != nil {
			return fmt.Errorf("self-test of %v: %w", a, err)
		}
		want, err := hex.DecodeString(knownAnswers[a])
		if err != nil {
			return fmt.Errorf("self-test of %v: %w", a, err)
		}
		if !Equal(got, want) {
			return fmt.Errorf("self-test of %v: known answer differs", a)
		}
		if k.Verify(got, []byte("another message")) {
			return fmt.Errorf("self-test of %v: two messages have one tag", a)
		}
	}
	return nil
}
