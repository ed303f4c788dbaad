package mac

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"fmt"
	"hash"
)

// Algorithm names an HMAC with one hash function. The zero value is invalid.
// The numbers are stored and never change their meaning.
type Algorithm uint8

// The algorithms of RFC 2104 HMAC that this package computes. SHA1 and MD5
// are [Algorithm.Legacy].
const (
	SHA256     Algorithm = 1 // 32-byte tags
	SHA384     Algorithm = 2 // 48-byte tags
	SHA512     Algorithm = 3 // 64-byte tags
	SHA512_256 Algorithm = 4 // 32-byte tags
	SHA3_256   Algorithm = 5 // 32-byte tags
	SHA1       Algorithm = 6 // 20-byte tags, legacy
	MD5        Algorithm = 7 // 16-byte tags, legacy
)

// MaxSize is the length in bytes of the longest tag of any [Algorithm].
const MaxSize = 64

var algorithms = [...]struct {
	name string
	size int
	new  func() hash.Hash
}{
	SHA256:     {"hmac-sha256", sha256.Size, sha256.New},
	SHA384:     {"hmac-sha384", sha512.Size384, sha512.New384},
	SHA512:     {"hmac-sha512", sha512.Size, sha512.New},
	SHA512_256: {"hmac-sha512-256", sha512.Size256, sha512.New512_256},
	SHA3_256:   {"hmac-sha3-256", 32, func() hash.Hash { return sha3.New256() }},
	SHA1:       {"hmac-sha1", sha1.Size, sha1.New},
	MD5:        {"hmac-md5", md5.Size, md5.New},
}

// Algorithms returns every algorithm in the order of its number.
func Algorithms() []Algorithm {
	return []Algorithm{SHA256, SHA384, SHA512, SHA512_256, SHA3_256, SHA1, MD5}
}

// Parse returns the algorithm with this exact name, such as hmac-sha256. It
// returns [ErrUnknownAlgorithm] for any other text: there is no default.
func Parse(name string) (Algorithm, error) {
	for _, a := range Algorithms() {
		if algorithms[a].name == name {
			return a, nil
		}
	}
	return 0, fmt.Errorf("%w %q", ErrUnknownAlgorithm, name)
}

// Valid reports whether a is one of the constants of this package.
func (a Algorithm) Valid() bool { return a >= SHA256 && a <= MD5 }

// Legacy reports whether a is kept only for schemes of others that pin it.
func (a Algorithm) Legacy() bool { return a == SHA1 || a == MD5 }

// Size returns the length of a full tag in bytes, 0 for an invalid a.
func (a Algorithm) Size() int {
	if !a.Valid() {
		return 0
	}
	return algorithms[a].size
}

// String returns the name that [Parse] reads.
func (a Algorithm) String() string {
	if !a.Valid() {
		return fmt.Sprintf("mac.Algorithm(%d)", uint8(a))
	}
	return algorithms[a].name
}
