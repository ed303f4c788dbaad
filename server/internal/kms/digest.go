package kms

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// Construction is the name of what native MACs sign, and the first line of it.
const Construction = "sealwright-native-mac-v1"

// MaxText is the most bytes of a text to sign. It is what AWS GenerateMac
// takes, the smallest limit of all providers. The names of tenants and keys
// keep texts far below it.
const MaxText = 4096

// Digest is what a native MAC signs in the place of a message: its SHA-256,
// since key services take short messages only, and whose key is used. The names
// are bound, so that two keys which share a key of the key service do not share
// tags.
type Digest struct {
	Tenant  string
	Key     string            // name in the tenant
	Version int               // of the key, 1 or more; 0 only in the probe of a key
	Sum     [sha256.Size]byte // SHA-256 of the message
}

// Text returns the signed bytes, six lines that each end with a line feed: the
// construction, "hmac-sha256", the tenant, the name of the key, the version in
// decimal digits and the digest in lower-case hex. docs/design/native-mac.md has
// an example.
//
// A name with a line feed, and a text of more than [MaxText] bytes, are of kind
// [fault.Invalid].
func (d Digest) Text() ([]byte, error) {
	if strings.Contains(d.Tenant, "\n") || strings.Contains(d.Key, "\n") {
		return nil, fault.New(fault.Invalid, "names of tenants and keys with a line feed cannot be signed")
	}
	b := make([]byte, 0, 256)
	for _, line := range [...]string{Construction, "hmac-sha256", d.Tenant, d.Key, strconv.Itoa(d.Version)} {
		b = append(append(b, line...), '\n')
	}
	b = append(hex.AppendEncode(b, d.Sum[:]), '\n')
	if len(b) > MaxText {
		return nil, fault.New(fault.Invalid, "text to sign has %d bytes, want at most %d", len(b), MaxText)
	}
	return b, nil
}
