package api

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/mac"
)

// ErrSignature means that a text is not a [Signature] in the standard form.
var ErrSignature = errors.New("signature is not in the standard form")

// MaxKeyID is the length in bytes of the longest key ID.
const MaxKeyID = 128

// MaxVersion is the highest version of a key.
const MaxVersion = 1<<31 - 1

// Signature is a tag that says everything about itself: which algorithm made
// it, with which key and which version of the key. Its text is the standard
// form of the platform,
//
//	HMAC-SHA256=<base64>, keyId=<key id>, version=<n>
//
// with this grammar (RFC 5234 and RFC 7405); there is exactly one text for
// each signature:
//
//	signature = algorithm "=" tag %s", keyId=" key-id %s", version=" version
//	algorithm = %s"HMAC-SHA256" / %s"HMAC-SHA384" / %s"HMAC-SHA512"
//	          / %s"HMAC-SHA512-256" / %s"HMAC-SHA3-256"
//	          / %s"SEALWRIGHT-NATIVE-MAC-V1"
//	tag       = <base64 of RFC 4648 section 4 with padding, the unused bits 0,
//	            of as many bytes as a full tag of the algorithm has>
//	key-id    = 1*128( ALPHA / DIGIT / "." / "_" / "~" / "-" )
//	version   = %x31-39 *DIGIT ; 1 to 2147483647
//
// All but the last say that the tag is the HMAC of the message. The last one is
// by a key that never leaves a key service, and its tag is HMAC-SHA-256 of a
// text with the digest of the message (docs/design/native-mac.md).
//
// A signature is a claim: whoever verifies it uses the key that it names, and
// only if key ID, version and algorithm are those of the key.
type Signature struct {
	Algorithm mac.Algorithm // not one of the legacy algorithms
	Native    bool          // the tag is not that of the message; with hmac-sha256 only
	Tag       []byte        // in full, Algorithm.Size bytes
	KeyID     string
	Version   int // 1 or more
}

// algorithmToken returns the text for a, empty if it has none.
func algorithmToken(a mac.Algorithm) string {
	switch a {
	case mac.SHA256:
		return "HMAC-SHA256"
	case mac.SHA384:
		return "HMAC-SHA384"
	case mac.SHA512:
		return "HMAC-SHA512"
	case mac.SHA512_256:
		return "HMAC-SHA512-256"
	case mac.SHA3_256:
		return "HMAC-SHA3-256"
	}
	return ""
}

// nativeToken stands for the algorithm of a signature by a native key.
const nativeToken = "SEALWRIGHT-NATIVE-MAC-V1"

// token returns the text for the algorithm of s, empty if it has none.
func (s Signature) token() string {
	switch {
	case !s.Native:
		return algorithmToken(s.Algorithm)
	case s.Algorithm == mac.SHA256:
		return nativeToken
	}
	return ""
}

const (
	keyIDLabel   = ", keyId="
	versionLabel = ", version="
)

// ParseSignature reads the standard form. Every error wraps [ErrSignature] and
// names the part that is wrong and the byte, counted from 0, where it begins.
func ParseSignature(text string) (Signature, error) {
	algorithm, rest, ok := strings.Cut(text, "=")
	if !ok {
		return Signature{}, wrongPart(0, `no "=" after the algorithm`)
	}
	tag, rest, ok := strings.Cut(rest, keyIDLabel)
	if !ok {
		return Signature{}, wrongPart(len(algorithm)+1, `no %q after the tag`, keyIDLabel)
	}
	keyID, version, ok := strings.Cut(rest, versionLabel)
	keyIDAt := len(algorithm) + 1 + len(tag) + len(keyIDLabel)
	if !ok {
		return Signature{}, wrongPart(keyIDAt, `no %q after the key ID`, versionLabel)
	}
	s := Signature{KeyID: keyID}
	var err error
	if s.Algorithm, s.Native, err = parseAlgorithm(algorithm); err != nil {
		return Signature{}, wrongPart(0, "algorithm: %v", err)
	}
	if s.Tag, err = parseTag(tag, s.Algorithm.Size()); err != nil {
		return Signature{}, wrongPart(len(algorithm)+1, "tag: %v", err)
	}
	if !ValidKeyID(keyID) {
		return Signature{}, wrongPart(keyIDAt, "key ID: got %d bytes, want 1 to %d of A-Z a-z 0-9 . _ ~ -", len(keyID), MaxKeyID)
	}
	if s.Version, err = parseVersion(version); err != nil {
		return Signature{}, wrongPart(keyIDAt+len(keyID)+len(versionLabel), "version: %v", err)
	}
	return s, nil
}

func wrongPart(at int, format string, args ...any) error {
	return fmt.Errorf("%w: at byte %d: %s", ErrSignature, at, fmt.Sprintf(format, args...))
}

func parseAlgorithm(token string) (a mac.Algorithm, native bool, err error) {
	if token == nativeToken {
		return mac.SHA256, true, nil
	}
	for _, a := range mac.Algorithms() {
		if t := algorithmToken(a); t != "" && t == token {
			return a, false, nil
		}
	}
	return 0, false, fmt.Errorf("got %d bytes, want HMAC-SHA256, HMAC-SHA384, HMAC-SHA512, HMAC-SHA512-256, HMAC-SHA3-256 or %s", len(token), nativeToken)
}

// parseTag checks the length first, so that a long text costs nothing. The
// decoder skips line ends, hence the comparison of the lengths after it.
func parseTag(text string, size int) ([]byte, error) {
	if want := base64.StdEncoding.EncodedLen(size); len(text) != want {
		return nil, fmt.Errorf("got %d characters, want %d", len(text), want)
	}
	tag, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(tag) != size {
		return nil, errors.New("not padded base64 with unused bits 0")
	}
	return tag, nil
}

func parseVersion(text string) (int, error) {
	const want = "want 1 to 2147483647 without leading zeros"
	if text == "" || len(text) > 10 || text[0] == '0' || strings.Trim(text, "0123456789") != "" {
		return 0, errors.New(want)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > MaxVersion {
		return 0, errors.New(want)
	}
	return int(n), nil
}

// ValidKeyID reports whether id can stand in a [Signature]: 1 to [MaxKeyID]
// letters and digits of ASCII, dots, underscores, tildes and hyphens.
func ValidKeyID(id string) bool {
	if id == "" || len(id) > MaxKeyID {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9',
			c == '.', c == '_', c == '~', c == '-':
		default:
			return false
		}
	}
	return true
}

// String returns the standard form, or an empty text if s cannot be written
// in it: a legacy algorithm, a tag that is not full, a wrong key ID or version.
func (s Signature) String() string { return string(s.Append(nil)) }

// Append appends the standard form to dst, nothing where [Signature.String] is
// empty.
func (s Signature) Append(dst []byte) []byte {
	token := s.token()
	if token == "" || len(s.Tag) != s.Algorithm.Size() || !ValidKeyID(s.KeyID) || s.Version < 1 || s.Version > MaxVersion {
		return dst
	}
	dst = append(append(dst, token...), '=')
	dst = base64.StdEncoding.AppendEncode(dst, s.Tag)
	dst = append(append(dst, keyIDLabel...), s.KeyID...)
	dst = append(dst, versionLabel...)
	return strconv.AppendInt(dst, int64(s.Version), 10)
}
