package authn_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"testing"
)

// tagOf computes a tag without the code that is tested.
func tagOf(t *testing.T, key string, base []byte) string {
	t.Helper()
	h := hmac.New(sha256.New, []byte(key))
	h.Write(base)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
