// Package pkcs11 wraps data keys and computes MACs with keys in a PKCS#11
// token, such as an HSM.
//
// Data keys are encrypted with CKM_AES_GCM under an AES-256 key, and MACs are
// CKM_SHA256_HMAC with generic secret keys. All keys must be sensitive and not
// extractable: a key that the token would give out is refused. Keys are found by
// their label, which must be the label of one key only.
//
// A blob is the 12 bytes of the nonce, the ciphertext and 16 bytes of tag. The
// nonce is random, or what the token chose instead. One key may wrap 2^32 blobs
// (NIST SP 800-38D, section 8.3).
//
// The package needs cgo and the build tag pkcs11. In other builds [Open] returns
// an error that says so.
package pkcs11

import (
	"errors"
	"time"

	"github.com/sealwright/sealwright/secret"
)

// Name is the provider in key IDs, which are "pkcs11:" and a label.
const Name = "pkcs11"

// ErrLogin means that the token has refused the PIN. It is not tried again, for
// tokens lock themselves after a few wrong ones.
var ErrLogin = errors.New("PIN was refused")

// Config says which token and which key. Module, Token and PIN must be set.
type Config struct {
	Module string       // path of the library of the token's maker
	Token  string       // label of the token
	PIN    secret.Bytes // of the user
	Key    string       // label of the AES-256 key that wraps; empty if none is to

	Sessions int           // how many calls run at once; 0 means 8
	Wait     time.Duration // for a free session; 0 means 10 s
}
