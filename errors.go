package sealwright

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Errors that a caller may branch on. A [Verifier] returns an error that wraps
// exactly one of them; outside, all of them should look alike.
var (
	ErrMissing     = errors.New("signature is missing")
	ErrMalformed   = errors.New("signature is malformed")
	ErrTooManyTags = errors.New("too many signatures")
	ErrStale       = errors.New("message is too old")
	ErrFuture      = errors.New("message is from the future")
	ErrUnknownKey  = errors.New("key is unknown")
	ErrMismatch    = errors.New("signature does not match")
	ErrDigest      = errors.New("digest does not match the body")
	ErrPolicy      = errors.New("message does not meet the policy")

	// ErrConfig means that the Verifier or Signer itself cannot work: no scheme,
	// no keys, a secret in the wrong form.
	ErrConfig = errors.New("configuration is unusable")
	// ErrCannotSign means that the scheme verifies only.
	ErrCannotSign = errors.New("scheme cannot sign")
)

// Reason is the one reason why a message was refused, in a word for logs,
// metrics and scripts. It is empty for a valid message.
type Reason string

// The reasons, each with the sentinel of the same meaning.
const (
	ReasonMissing    Reason = "missing-signature" // ErrMissing
	ReasonMalformed  Reason = "malformed"         // ErrMalformed
	ReasonTooMany    Reason = "too-many-tags"     // ErrTooManyTags
	ReasonStale      Reason = "stale"             // ErrStale
	ReasonFuture     Reason = "future"            // ErrFuture
	ReasonUnknownKey Reason = "unknown-key"       // ErrUnknownKey
	ReasonMismatch   Reason = "wrong-signature"   // ErrMismatch
	ReasonDigest     Reason = "digest-mismatch"   // ErrDigest
	ReasonPolicy     Reason = "policy"            // ErrPolicy
	ReasonConfig     Reason = "configuration"     // ErrConfig, or an error of no other reason
)

// ReasonOf returns the reason for err, empty for nil.
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	for _, r := range [...]struct {
		err    error
		reason Reason
	}{
		{ErrMissing, ReasonMissing}, {ErrMalformed, ReasonMalformed}, {ErrTooManyTags, ReasonTooMany},
		{ErrStale, ReasonStale}, {ErrFuture, ReasonFuture}, {ErrUnknownKey, ReasonUnknownKey},
		{ErrMismatch, ReasonMismatch}, {ErrDigest, ReasonDigest}, {ErrPolicy, ReasonPolicy},
	} {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return ReasonConfig
}

// Refusef returns an error that wraps sentinel and says where and what in the
// message was wrong. Schemes use it; the text must hold no secret and no
// expected tag.
func Refusef(sentinel error, format string, args ...any) error {
	return fmt.Errorf("%w: %s", sentinel, fmt.Sprintf(format, args...))
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(e string) bool { return strings.EqualFold(e, s) })
}

func sortedKeys(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
