// Package cursor makes the texts with which a client asks for the next page of a
// list.
//
// A cursor is the name to go on after, with a tag over it and its scope, such as
// a tenant. It is opaque to the client, and good for all who have the same
// secret.
package cursor

import (
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Max is the length in characters of the longest cursor.
const Max = 512

// Sealer makes and opens cursors. Get one from [New]. It may be used by many
// goroutines.
type Sealer struct{ key *mac.Key }

// New returns a Sealer with a secret, the zero one for a random one.
func New(s secret.Bytes) (*Sealer, error) {
	if s.IsZero() {
		s = secret.Random(32)
	}
	key, err := mac.New(mac.SHA256, s)
	if err != nil {
		return nil, err
	}
	return &Sealer{key}, nil
}

// Seal returns the cursor of what comes after a name.
func (s *Sealer) Seal(scope, after string) (string, error) {
	tag, err := s.key.Sum(nil, covered(scope, after))
	if err != nil {
		return "", err
	}
	return canon.Base64URLRaw.EncodeToString(append(tag, after...)), nil
}

// Open returns the name to go on after, empty for no cursor. A text that is no
// cursor of the scope is of kind [fault.Invalid].
func (s *Sealer) Open(scope, cursor string) (after string, err error) {
	if cursor == "" {
		return "", nil
	}
	wrong := fault.New(fault.Invalid, "the cursor is not one of this server, or the server was started again: begin without a cursor")
	if len(cursor) > Max {
		return "", wrong
	}
	raw, err := canon.Base64URLRaw.DecodeString(cursor)
	size := mac.SHA256.Size()
	if err != nil || len(raw) < size {
		return "", wrong
	}
	after = string(raw[size:])
	if !s.key.Verify(raw[:size], covered(scope, after)) {
		return "", wrong
	}
	return after, nil
}

// covered joins both unambiguously: neither can hold a zero byte.
func covered(scope, after string) []byte {
	return append(append([]byte(scope), 0), after...)
}
