// Package sigv4 is the canonicaliser of the schemes that have the shape of AWS
// Signature Version 4.
//
// They sign a short string that holds the hash of a canonical request: method,
// path, query, named headers and the hash of the body, one part per line. The
// differences between providers are data, see [Options]; [New] makes a scheme
// that verifies and signs from them. The algorithm, the labels and the end of
// the scope are pinned by the definition, never taken from the request.
//
// Bodies that are signed in chunks, or with a trailer, are refused: the tag of
// such a request covers its head only. Signature Version 4A is not HMAC and is
// not offered.
//
// The rules are those of AWS, "Create a signed AWS API request", and of the
// providers that the definitions name as their source.
package sigv4

import (
	"crypto/sha256"
	"crypto/sha512"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

var (
	_ scheme.Constructor       = New
	_ sealwright.SigningScheme = (*dialect)(nil)
	_ sealwright.Checker       = (*dialect)(nil)
	_ sealwright.Warner        = (*dialect)(nil)
)

// Places in [sealwright.Claim.Values].
const (
	atScope    = iota // date, region, service and end, as the request has them
	atTime            // the time as the string to sign has it
	atHeaders         // names of the signed headers, sorted, joined by ;
	atPayload         // last line of the canonical request; empty: the hash of the body
	atDeclared        // hash of the body that the request declares and Check compares
	atForm            // inURL for a signed URL
	atComplete        // not empty: the canonical request has its last line
)

const inURL = "url"

// Name implements [sealwright.Scheme].
func (d *dialect) Name() string { return d.id }

// Warnings implements [sealwright.Warner].
func (d *dialect) Warnings() []string { return d.warnings }

// Parse implements [sealwright.Scheme].
func (d *dialect) Parse(m *sealwright.Message, c *sealwright.Claim) error {
	var p presented
	if err := d.find(m, &p); err != nil {
		return err
	}
	if err := d.fill(m, c, &p); err != nil {
		return err
	}
	return c.AddTag(p.signature, canon.Hex)
}

// Key implements [sealwright.Scheme]. The derived key is kept under the scope,
// so it is derived once a day for each region and service.
func (d *dialect) Key(k *keyring.Key, c *sealwright.Claim) (*mac.Key, error) {
	scope := c.Values[atScope]
	return k.PreparedFor(d.keyName, scope, func(s secret.Bytes) (*mac.Key, error) { return d.derive(s, scope) })
}

// derive returns the key for the secret after the prefix and one HMAC over
// each part of the scope.
func (d *dialect) derive(s secret.Bytes, scope string) (*mac.Key, error) {
	if s.IsZero() {
		return nil, mac.ErrEmptyKey
	}
	step := secret.New(append([]byte(d.keyPrefix), s.Expose()...))
	for len(d.scope) > 0 {
		part, rest, more := strings.Cut(scope, "/")
		k, err := mac.New(d.mac, step)
		if err != nil {
			return nil, err
		}
		next, err := k.Sum(nil, []byte(part))
		if err != nil {
			return nil, err
		}
		step = secret.New(next)
		if !more {
			break
		}
		scope = rest
	}
	return mac.New(d.mac, step)
}

// Write implements [sealwright.Scheme]: it writes the string to sign.
func (d *dialect) Write(w sealwright.Sink, m *sealwright.Message, c *sealwright.Claim, _ int) error {
	request := d.request(m, c)
	buf := append(request, d.algorithm...)
	buf = append(buf, '\n')
	if !d.untimed {
		buf = append(buf, c.Values[atTime]...)
		buf = append(buf, '\n')
	}
	if len(d.scope) > 0 {
		buf = append(buf, c.Values[atScope]...)
		buf = append(buf, '\n')
	}
	buf = d.appendHash(buf, request)
	_, err := w.Write(buf[len(request):])
	c.Scratch = buf[:len(request)]
	return err
}

// request returns the canonical request, which Parse or Prepare has built but
// for its last line. The body is hashed at most once for a message.
func (d *dialect) request(m *sealwright.Message, c *sealwright.Claim) []byte {
	if c.Values[atComplete] == "" {
		c.Values[atComplete] = "yes"
		if line := c.Values[atPayload]; line != "" {
			c.Scratch = append(c.Scratch, line...)
		} else {
			c.Scratch = d.appendHash(c.Scratch, m.Body)
		}
	}
	return c.Scratch
}

// Check implements [sealwright.Checker]: a declared hash of the body must be
// that of the body.
func (d *dialect) Check(m *sealwright.Message, c *sealwright.Claim) error {
	declared := c.Values[atDeclared]
	if declared == "" {
		return nil
	}
	var buf [2 * mac.MaxSize]byte
	if string(d.appendHash(buf[:0], m.Body)) != declared {
		return sealwright.Refusef(sealwright.ErrDigest, "body of %d bytes is not the one that %s declares", len(m.Body), d.payload)
	}
	return nil
}

func (d *dialect) hash(data []byte) string {
	var buf [2 * mac.MaxSize]byte
	return string(d.appendHash(buf[:0], data))
}

// appendHash appends the hash of data in lower-case hex.
func (d *dialect) appendHash(dst, data []byte) []byte {
	if d.mac == mac.SHA512 {
		sum := sha512.Sum512(data)
		return canon.Hex.Append(dst, sum[:])
	}
	sum := sha256.Sum256(data)
	return canon.Hex.Append(dst, sum[:])
}

// CanonicalRequest returns the canonical request of m, whose hash is what the
// tag covers. It helps to find out why a signature does not match. It returns
// [sealwright.ErrConfig] if s was not made by [New], and what Parse returns for
// a message that carries no signature.
func CanonicalRequest(s sealwright.Scheme, m sealwright.Message) ([]byte, error) {
	d, ok := s.(*dialect)
	if !ok {
		return nil, sealwright.Refusef(sealwright.ErrConfig, "scheme has no canonical request")
	}
	var c sealwright.Claim
	if err := d.Parse(&m, &c); err != nil {
		return nil, err
	}
	return d.request(&m, &c), nil
}
