package doctor

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// construction is another computation than the HMAC of the scheme.
type construction struct {
	cause, text string
	weight      int
	danger      bool
	sum         func(key, text, message []byte) []byte // nil if it cannot be computed
}

func hmacOf(a mac.Algorithm, key, message []byte) []byte {
	k, err := mac.NewPinned(a, secret.New(key))
	if err != nil {
		return nil
	}
	sum, err := k.Sum(nil, message)
	if err != nil {
		return nil
	}
	return sum
}

var hashes = []struct {
	name string
	size int
	sum  func([]byte) []byte
}{
	{"SHA-256", 32, func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }},
	{"SHA-1", 20, func(b []byte) []byte { s := sha1.Sum(b); return s[:] }},
	{"MD5", 16, func(b []byte) []byte { s := md5.Sum(b); return s[:] }},
	{"SHA-512", 64, func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }},
	{"SHA-384", 48, func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }},
}

// constructions returns the computations whose results have one of the sizes
// that were received, in bytes.
func constructions(pinned mac.Algorithm, sizes map[int]bool) []construction {
	var out []construction
	for _, a := range mac.Algorithms() {
		if !sizes[a.Size()] {
			continue
		}
		if a != pinned {
			out = append(out, construction{cause: "alg.wrong", text: "used " + a.String() + ", not " + pinned.String(), weight: 3,
				sum: func(key, _, message []byte) []byte { return hmacOf(a, key, message) }})
		}
		out = append(out, construction{cause: "alg.args_swapped", text: "swapped key and message", weight: 3,
			sum: func(key, _, message []byte) []byte { return hmacOf(a, message, key) }},
			construction{cause: "alg.args_swapped", text: "swapped key and message", weight: 3,
				sum: func(_, text, message []byte) []byte { return hmacOf(a, message, text) }})
	}
	out = append(out, plain(sizes)...)
	return append(out, twice(pinned, sizes)...)
}

// plain are bare hashes, without HMAC.
func plain(sizes map[int]bool) []construction {
	var out []construction
	cat := func(parts ...[]byte) []byte {
		var b []byte
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	for _, h := range hashes {
		if !sizes[h.size] {
			continue
		}
		add := func(text string, danger bool, join func(key, message []byte) []byte) {
			out = append(out, construction{cause: "alg.not_hmac", text: "used " + h.name + " of " + text + ", which is no HMAC", weight: 4, danger: danger,
				sum: func(_, text, message []byte) []byte { return h.sum(join(text, message)) }})
			if !danger {
				out = append(out, construction{cause: "alg.not_hmac", text: "used " + h.name + " of " + text + ", decoded, which is no HMAC", weight: 5,
					sum: func(key, text, message []byte) []byte {
						if bytes.Equal(key, text) {
							return nil
						}
						return h.sum(join(key, message))
					}})
			}
		}
		add("the message alone, without any secret", true, func(_, m []byte) []byte { return m })
		add("secret and message", false, func(k, m []byte) []byte { return cat(k, m) })
		add("message and secret", false, func(k, m []byte) []byte { return cat(m, k) })
		add("secret, message and secret", false, func(k, m []byte) []byte { return cat(k, m, k) })
		for _, sep := range []string{":", ".", "|", "\n", "&"} {
			add("secret and message, joined by "+quote(sep), false, func(k, m []byte) []byte { return cat(k, []byte(sep), m) })
			add("message and secret, joined by "+quote(sep), false, func(k, m []byte) []byte { return cat(m, []byte(sep), k) })
		}
		add("secret and hash of the message", false, func(k, m []byte) []byte { return cat(k, h.sum(m)) })
		add("secret and hex hash of the message", false, func(k, m []byte) []byte { return cat(k, []byte(hex.EncodeToString(h.sum(m)))) })
		add("hex hash of the message, and secret", false, func(k, m []byte) []byte { return cat([]byte(hex.EncodeToString(h.sum(m))), k) })
		add("the hex hash of the message", true, func(_, m []byte) []byte { return []byte(hex.EncodeToString(h.sum(m))) })
		add("the hash of the message", true, func(_, m []byte) []byte { return h.sum(m) })
	}
	return out
}

// twice are HMACs with a hash before or after.
func twice(pinned mac.Algorithm, sizes map[int]bool) []construction {
	if !sizes[pinned.Size()] {
		return nil
	}
	var out []construction
	add := func(text string, sum func(key, message []byte) []byte) {
		out = append(out, construction{cause: "alg.not_hmac", text: text, weight: 5,
			sum: func(key, _, message []byte) []byte { return sum(key, message) }})
	}
	for _, h := range hashes {
		add("signed the hex "+h.name+" of the message (hashed twice)", func(k, m []byte) []byte {
			return hmacOf(pinned, k, []byte(hex.EncodeToString(h.sum(m))))
		})
		add("signed the raw "+h.name+" of the message (hashed twice)", func(k, m []byte) []byte { return hmacOf(pinned, k, h.sum(m)) })
		add("signed the base64 "+h.name+" of the message (hashed twice)", func(k, m []byte) []byte {
			return hmacOf(pinned, k, []byte(base64.StdEncoding.EncodeToString(h.sum(m))))
		})
		add("used the "+h.name+" of the secret as key", func(k, m []byte) []byte { return hmacOf(pinned, h.sum(k), m) })
		add("used the hex "+h.name+" of the secret as key", func(k, m []byte) []byte {
			return hmacOf(pinned, []byte(hex.EncodeToString(h.sum(k))), m)
		})
	}
	add("computed the HMAC of the HMAC", func(k, m []byte) []byte { return hmacOf(pinned, k, hmacOf(pinned, k, m)) })
	for _, h := range hashes {
		if h.size == pinned.Size() {
			add("computed the "+h.name+" of the HMAC", func(k, m []byte) []byte { return h.sum(hmacOf(pinned, k, m)) })
			add("computed the "+h.name+" of the hex HMAC", func(k, m []byte) []byte { return h.sum([]byte(hex.EncodeToString(hmacOf(pinned, k, m)))) })
		}
	}
	add("computed the HMAC of the hex HMAC", func(k, m []byte) []byte {
		return hmacOf(pinned, k, []byte(hex.EncodeToString(hmacOf(pinned, k, m))))
	})
	return out
}
