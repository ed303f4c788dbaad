package kms

import (
	"crypto/sha256"
	"encoding/hex"
)

// DigestSize is the length of [Digest.Text] in bytes, the same for every
// message and far below the smallest limit of a provider, the 4,096 bytes that
// AWS GenerateMac takes.
const DigestSize = len(digestPrefix) + 2*sha256.Size + 1

// digestPrefix keeps tags of digests apart from those of other messages.
const digestPrefix = "sealwright native mac v1\nsha-256="

// Digest is the SHA-256 of a message, which is what native MACs sign: key
// services take short messages only. It is written as
//
//	Digest(sha256.Sum256(message))
type Digest [sha256.Size]byte

// Text returns the signed bytes: the line "sealwright native mac v1", and the
// line "sha-256=" with 64 lower case hex digits, each with a newline.
func (d Digest) Text() []byte {
	b := make([]byte, 0, DigestSize)
	b = append(b, digestPrefix...)
	b = hex.AppendEncode(b, d[:])
	return append(b, '\n')
}
