// Package secret holds bytes that are not printed by accident.
//
// A [Bytes] keeps its content behind a function value, so that fmt, log/slog,
// encoding/json, encoding/gob and printers built on reflection show only
// [Redacted]. The single way to the content is [Bytes.Expose]; a test of the
// project lists every package that may call it, with the reason.
//
// It does not protect against a debugger, a core dump or swapping.
package secret

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what every printer shows in place of a secret.
const Redacted = "[secret]"

// Bytes is an immutable secret of any length. The zero value is empty. Two
// values cannot be compared with ==; a secret is compared by what it signs.
type Bytes struct {
	open func() []byte
}

// New returns a secret with a copy of b. The caller may wipe b afterwards.
func New(b []byte) Bytes {
	if len(b) == 0 {
		return Bytes{}
	}
	own := bytes.Clone(b)
	return Bytes{open: func() []byte { return own }}
}

// FromString returns a secret with the bytes of s.
func FromString(s string) Bytes { return New([]byte(s)) }

// Random returns a secret of n bytes from the system's random source, which
// does not fail on the platforms that Go 1.24 and later support.
func Random(n int) Bytes {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return Bytes{open: func() []byte { return b }}
}

// Expose returns the content. The caller must neither change nor keep it
// longer than it needs it, and must never print it.
func (b Bytes) Expose() []byte {
	if b.open == nil {
		return nil
	}
	return b.open()
}

// Len returns the number of bytes.
func (b Bytes) Len() int { return len(b.Expose()) }

// IsZero reports whether the secret has no bytes.
func (b Bytes) IsZero() bool { return b.Len() == 0 }

// String returns [Redacted].
func (b Bytes) String() string { return Redacted }

// GoString returns [Redacted].
func (b Bytes) GoString() string { return Redacted }

// Format writes [Redacted] for every verb and flag.
func (b Bytes) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// LogValue returns [Redacted].
func (b Bytes) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText returns [Redacted]; text encoders, XML and map keys use it.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON returns [Redacted] as a JSON string.
func (b Bytes) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalBinary returns [Redacted].
func (b Bytes) MarshalBinary() ([]byte, error) { return []byte(Redacted), nil }

// GobEncode returns [Redacted].
func (b Bytes) GobEncode() ([]byte, error) { return []byte(Redacted), nil }

// MarshalYAML returns [Redacted] for YAML encoders.
func (b Bytes) MarshalYAML() (any, error) { return Redacted, nil }
