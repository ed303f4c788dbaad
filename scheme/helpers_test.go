package scheme_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"regexp"

	"github.com/sealwright/sealwright/secret"
)

var hexTag = regexp.MustCompile(`[0-9a-f]{64}`)

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// rawTag, plainTag and derived compute tags without the code under test.
func rawTag(key, message string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(message))
	return h.Sum(nil)
}

func plainTag(key, message string) string { return hex.EncodeToString(rawTag(key, message)) }

func derived(constant, key, message string) string {
	h := hmac.New(sha256.New, []byte(constant))
	h.Write([]byte(key))
	return plainTag(string(h.Sum(nil)), message)
}

func bytesOf(text string) secret.Bytes { return secret.FromString(text) }
