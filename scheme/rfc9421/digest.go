package rfc9421

import (
	"crypto/sha256"
	"crypto/sha512"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// digests is a set of Content-Digest fields (RFC 9530) that a signature covers
// and that are compared with a body.
type digests uint8

const (
	digestOfHeader         digests = 1 << 0
	digestOfTrailer        digests = 1 << 1
	digestOfRequest        digests = 1 << 2 // of the request that a response answers
	digestOfRequestTrailer digests = 1 << 3
)

// digest returns the field that c binds the body with, 0 if it is none: one
// member of Content-Digest counts only if its algorithm is known.
func (c *component) digest() digests {
	if c.name != contentDigest || c.flags&flagKey != 0 && !knownDigest(c.arg) {
		return 0
	}
	d := digestOfHeader
	if c.flags&flagTr != 0 {
		d = digestOfTrailer
	}
	if c.flags&flagReq != 0 {
		d <<= 2
	}
	return d
}

const (
	sha256Name = "sha-256"
	sha512Name = "sha-512"
)

func knownDigest(algorithm string) bool { return algorithm == sha256Name || algorithm == sha512Name }

// appendDigest appends the base64 of the digest of body.
func appendDigest(dst []byte, algorithm string, body []byte) []byte {
	if algorithm == sha512Name {
		sum := sha512.Sum512(body)
		return canon.Base64.Append(dst, sum[:])
	}
	sum := sha256.Sum256(body)
	return canon.Base64.Append(dst, sum[:])
}

// Check implements [sealwright.Checker]: every known digest of a covered
// Content-Digest must be that of the body, and there must be one.
func (pf *profile) Check(m *sealwright.Message, c *sealwright.Claim) error {
	covered, _ := c.Private.(digests)
	if covered == 0 || covered == digestOfHeader && isDigest(m.Header[digestField], m.Body) {
		return nil
	}
	w := pf.get()
	defer pf.put(w)
	for d := digestOfHeader; d <= digestOfRequestTrailer; d <<= 1 {
		if covered&d == 0 {
			continue
		}
		of, component := m, component{name: contentDigest}
		if d >= digestOfRequest {
			of = m.Request
		}
		if d == digestOfTrailer || d == digestOfRequestTrailer {
			component.flags = flagTr
		}
		if err := w.checkDigest(w.lines(of, &component), of.Body); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) checkDigest(lines []string, body []byte) error {
	if err := w.other.parseDictionary(joined(lines)); err != nil {
		return sealwright.Refusef(sealwright.ErrDigest, "Content-Digest: %v", err)
	}
	known := false
	for i := range w.other.members {
		d := &w.other.members[i]
		if !knownDigest(d.key) {
			continue
		}
		known = true
		var buf [96]byte // base64 of 64 bytes has 88
		want := appendDigest(buf[:0], d.key, body)
		if it := w.other.item(d); it == nil || it.value.kind != kBytes || it.value.text != string(want) {
			return sealwright.Refusef(sealwright.ErrDigest, "%s in Content-Digest is not that of the body", d.key)
		}
	}
	if !known {
		return sealwright.Refusef(sealwright.ErrPolicy, "Content-Digest holds neither sha-256 nor sha-512")
	}
	return nil
}

// isDigest reports whether a Content-Digest is one line with the SHA-256 of
// body and nothing else, as most senders write it.
func isDigest(lines []string, body []byte) bool {
	const before, size = len(sha256Name + "=:"), 44
	if len(lines) != 1 || len(lines[0]) != before+size+1 || lines[0][:before] != sha256Name+"=:" || lines[0][before+size] != ':' {
		return false
	}
	var buf [size]byte
	return string(appendDigest(buf[:0], sha256Name, body)) == lines[0][before:before+size]
}
