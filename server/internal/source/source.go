// Package source says how secrets that live elsewhere are named and read: in a
// secret manager, from which the server takes a copy.
//
// Each provider is an adapter below this package and passes sourcetest. All of
// them share the meaning of an error: it is of kind [fault.Invalid] if there is
// no such secret or it is none that can be used, and [fault.Unavailable] if the
// provider cannot be reached or refuses the server, also if the context ends.
// Messages hold no secret.
package source

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Bounds of references and of what they refer to.
const (
	MaxName    = 512     // bytes
	MaxField   = 256     // bytes
	MaxPayload = 1 << 16 // bytes, as AWS and Google Cloud have it
)

// Encodings of a secret in its payload.
const (
	Raw    = "raw"    // the bytes as they stand, a line feed at the end too
	Base64 = "base64" // padded, of RFC 4648 section 4
	Hex    = "hex"    // in upper or lower case
)

// Ref names a secret.
type Ref struct {
	Provider string `json:"provider"`
	Name     string `json:"name"`            // as the provider names it
	Field    string `json:"field,omitempty"` // member of the JSON object that the payload is; empty means the whole payload
	Encoding string `json:"encoding,omitempty"`
}

// Payload is what a provider keeps under a name.
type Payload struct {
	Bytes   secret.Bytes
	Version string // as the provider names it; empty if it has no versions
	Fields  bool   // Bytes is a JSON object by the nature of the provider, of which a reference names a field
}

// Source is one provider. It may be used by many goroutines.
type Source interface {
	// Fetch returns the current payload under name.
	Fetch(ctx context.Context, name string) (Payload, error)
}

// Check returns an error of kind [fault.Invalid] if r cannot name a secret. It
// does not know the providers.
func (r Ref) Check() error {
	switch {
	case r.Provider == "":
		return fault.New(fault.Invalid, "source.provider: is missing")
	case !ValidName(r.Name):
		return fault.New(fault.Invalid, "source.name: got %d bytes, want 1 to %d of A-Z a-z 0-9 / _ + = . @ : -, without empty, . or .. parts between slashes", len(r.Name), MaxName)
	case len(r.Field) > MaxField || !utf8.ValidString(r.Field) || strings.ContainsFunc(r.Field, isControl):
		return fault.New(fault.Invalid, "source.field: got %d bytes, want at most %d of UTF-8 without control characters", len(r.Field), MaxField)
	}
	switch r.Encoding {
	case "", Raw, Base64, Hex:
		return nil
	}
	return fault.New(fault.Invalid, "source.encoding: unknown, want %s (default), %s or %s", Raw, Base64, Hex)
}

// ValidName reports whether a provider may be asked for name: 1 to [MaxName]
// bytes of the characters that AWS takes, and colons for ARNs. No name leads
// out of the place where it begins.
func ValidName(name string) bool {
	if name == "" || len(name) > MaxName {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("/_+=.@:-", c) >= 0:
		default:
			return false
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

func isControl(c rune) bool { return c < ' ' || c == 0x7f }

// Secret returns the secret that r names in p. The error is of kind
// [fault.Invalid].
func (r Ref) Secret(p Payload) (secret.Bytes, error) {
	switch n := p.Bytes.Len(); {
	case n > MaxPayload:
		return secret.Bytes{}, fault.New(fault.Invalid, "source: the payload has %d bytes, want at most %d", n, MaxPayload)
	case r.Field != "":
		return r.field(p.Bytes.Expose())
	case p.Fields:
		return secret.Bytes{}, fault.New(fault.Invalid, "source.field: is missing, a secret of %s has fields", r.Provider)
	}
	return r.decode(p.Bytes.Expose())
}

// field returns the secret in a member of an object. What is wrong with the
// object is not told, since the error would show some of it.
func (r Ref) field(doc []byte) (secret.Bytes, error) {
	raw, _, found, err := canon.JSONValue(doc, "/"+pointer.Replace(r.Field))
	switch {
	case err != nil || !bytes.HasPrefix(bytes.TrimLeft(doc, " \t\r\n"), []byte("{")):
		return secret.Bytes{}, fault.New(fault.Invalid, "source.field: the payload is no JSON object that has the field %q once", r.Field)
	case !found:
		return secret.Bytes{}, fault.New(fault.Invalid, "source.field: the payload has no field %q", r.Field)
	}
	text, err := canon.JSONText(raw)
	if err != nil || raw[0] != '"' {
		return secret.Bytes{}, fault.New(fault.Invalid, "source.field: field %q is not a text", r.Field)
	}
	return r.decode([]byte(text))
}

var pointer = strings.NewReplacer("~", "~0", "/", "~1") // RFC 6901 section 3

func (r Ref) decode(text []byte) (secret.Bytes, error) {
	var b []byte
	var err error
	switch r.Encoding {
	case "", Raw:
		return nonEmpty(text)
	case Base64:
		b, err = canon.Base64.DecodeString(line(text))
	default:
		b, err = hex.DecodeString(line(text))
	}
	defer clear(b)
	if err != nil {
		return secret.Bytes{}, fault.New(fault.Invalid, "source.encoding: the secret is not %s", r.Encoding)
	}
	return nonEmpty(b)
}

// line returns text without one line feed at the end, which is no part of an
// encoding.
func line(text []byte) string { return strings.TrimSuffix(string(text), "\n") }

func nonEmpty(b []byte) (secret.Bytes, error) {
	if len(b) == 0 {
		return secret.Bytes{}, fault.New(fault.Invalid, "source: the secret is empty, anybody could sign with it")
	}
	return secret.New(b), nil
}
