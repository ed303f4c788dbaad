package sealwright

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
)

// Signer signs messages of one scheme with the signing key of a ring. Its
// fields must not change once Sign was called; it may be used by many
// goroutines.
type Signer struct {
	Scheme Scheme // a [SigningScheme]
	Ring   *keyring.Ring
	Nonce  func() string // nil means 16 random bytes in base64url

	work sync.Pool // of *work
}

// Sign returns m with the signature in its place. m itself is not changed, but
// the result shares what signing leaves as it is, such as the body.
//
// A covered time, nonce or message ID that m has already is kept, the time
// only while it is fresh at now; of a token (JWS) its whole payload. So m must
// be the caller's own: who signs a message that came from outside takes its old
// signature, and all that such a signature covers, out of it first.
func (s *Signer) Sign(m Message, now time.Time) (Message, error) {
	return s.SignRing(s.Ring, m, now)
}

// SignRing is [Signer.Sign] with another ring of keys.
func (s *Signer) SignRing(ring *keyring.Ring, m Message, now time.Time) (Message, error) {
	scheme, ok := s.Scheme.(SigningScheme)
	if !ok {
		if s.Scheme == nil {
			return Message{}, Refusef(ErrConfig, "no scheme")
		}
		return Message{}, fmt.Errorf("%w: %s", ErrCannotSign, s.Scheme.Name())
	}
	k, err := ring.Signing(now)
	if err != nil {
		return Message{}, Refusef(ErrConfig, "%v", err)
	}
	header := make(map[string][]string, len(m.Header)+4)
	for name, values := range m.Header {
		header[name] = slices.Clip(values)
	}
	m.Header = header

	w := getWork(&s.work)
	defer putWork(&s.work, w)
	w.m = m
	if err := scheme.Prepare(&w.m, &w.c, Facts{KeyID: k.ID, Now: now, Nonce: s.nonce()}); err != nil {
		return Message{}, err
	}
	w.c.Key = k
	key, err := scheme.Key(k, &w.c)
	if err != nil {
		return Message{}, Refusef(ErrConfig, "key %q version %d: %v", k.ID, k.Version, err)
	}
	state := key.State()
	defer state.Release()
	if err := scheme.Write(state, &w.m, &w.c, 0); err != nil {
		return Message{}, err
	}
	var buf [mac.MaxSize]byte
	tag, err := state.Sum(buf[:0])
	if err != nil {
		return Message{}, Refusef(ErrConfig, "%v", err)
	}
	if t, ok := s.Scheme.(Truncated); ok {
		tag = tag[:t.TagSize()]
	}
	if err := scheme.Attach(&w.m, &w.c, tag); err != nil {
		return Message{}, err
	}
	if err := checkLines(&w.m); err != nil {
		return Message{}, err
	}
	return w.m, nil
}

// checkLines refuses line breaks and zero bytes in the head of m: what a key ID,
// a nonce or a parameter brings there must not begin a line of its own.
func checkLines(m *Message) error {
	if breaksLine(m.Method) || breaksLine(m.Host) || breaksLine(m.Target) {
		return Refusef(ErrMalformed, "request line or host holds a line break or a zero byte")
	}
	for name, values := range m.Header {
		for _, v := range values {
			if breaksLine(v) {
				return Refusef(ErrMalformed, "header %s holds a line break or a zero byte", name)
			}
		}
	}
	return nil
}

func breaksLine(s string) bool { return !canon.Printable(s) && strings.ContainsAny(s, "\r\n\x00") }

func (s *Signer) nonce() string {
	if s.Nonce != nil {
		return s.Nonce()
	}
	var b [16]byte
	_, _ = rand.Read(b[:])
	var text [22]byte
	return string(base64.RawURLEncoding.AppendEncode(text[:0], b[:]))
}

// SignedBytes returns the bytes that the tag of m covers under k, one entry for
// each rendering, and the claim. It is for tests and for finding faults: some
// schemes put the secret into the signed bytes, so they must not be logged.
func SignedBytes(s Scheme, k *keyring.Key, m Message) ([][]byte, *Claim, error) {
	c := &Claim{Key: k}
	if err := s.Parse(&m, c); err != nil {
		return nil, nil, err
	}
	out := make([][]byte, max(1, len(c.Renderings)))
	for n := range out {
		var b bytes.Buffer
		if err := s.Write(&b, &m, c, n); err != nil {
			return nil, nil, err
		}
		out[n] = b.Bytes()
	}
	return out, c, nil
}
