package authn

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Signatures are what [Signature] needs. Only Now may be nil.
type Signatures struct {
	// Credential returns the key of a credential, and whose it is if a signature
	// verifies; used is called then. The error is of kind [fault.Denied] or
	// [fault.Unavailable].
	Credential func(id string) (ring *keyring.Ring, caller access.Caller, used func(), err error)

	// Claim uses up a nonce of a credential, which was signed at the time at and
	// verified at now. It is called only for a signature that verifies. The error
	// is of kind [fault.Conflict] if the nonce was used before, and
	// [fault.Unavailable] if that is not known.
	Claim func(ctx context.Context, now time.Time, id, nonce string, at time.Time) error

	Transport func(*http.Request) Transport
	Now       func() time.Time // nil means time.Now
}

// The window of signatures, inclusive. It is that of [api.SignatureParams].
const (
	Past   = 300 * time.Second
	Future = 5 * time.Second
)

// Signature is the method of signed requests, see [api.SignatureParams].
//
// The head decides: method, URI, digest, and the fields of [api.SignedHeaders]
// are verified before the body is read, and the body is compared with its digest while the operation reads it.
// So a request is never larger in memory than its operation allows, and a body
// that was changed is refused before anything is done with it.
func Signature(o Signatures) (Method, error) {
	s, err := newSignatures(o)
	if err != nil {
		return Method{}, err
	}
	return s.method(), nil
}

func newSignatures(o Signatures) (*signatures, error) {
	s := &signatures{Signatures: o}
	if s.Now == nil {
		s.Now = time.Now
	}
	for i, params := range [...]map[string][]string{
		api.SignatureParams(false), api.SignatureParams(true), api.SignatureParams(true, "content-type"),
	} {
		scheme, err := catalogue.New("rfc9421", params)
		if err != nil {
			return nil, err
		}
		s.verifiers[i] = &sealwright.Verifier{Scheme: headOnly{scheme}}
	}
	s.nobody = keyring.Must(keyring.Key{ID: " ", Version: 1, Secret: secret.Random(32)})
	return s, nil
}

func (s *signatures) method() Method {
	return Method{
		Name:      "a signature",
		Presented: func(r *http.Request) bool { return len(r.Header["Signature"])+len(r.Header["Signature-Input"]) > 0 },
		Check:     s.check,
	}
}

type signatures struct {
	Signatures
	verifiers [3]*sealwright.Verifier // without a body, with one, and with one that has a type
	nobody    *keyring.Ring           // has no key that a credential could have
}

// headOnly hides that a scheme also compares the body with its digest: the body
// is not there yet.
type headOnly struct{ sealwright.Scheme }

func (s *signatures) check(r *http.Request) (access.Caller, error) {
	m := sealwright.Message{Method: r.Method, Scheme: s.Transport(r).Scheme, Host: r.Host, Target: targetOf(r), Header: r.Header}
	verifier := s.verifierOf(r)
	var claim sealwright.Claim
	if err := verifier.Scheme.Parse(&m, &claim); err != nil {
		return access.Caller{}, denied(err)
	}
	ring, caller, used, unknown := s.Credential(claim.KeyID)
	if unknown != nil {
		ring = s.nobody
	}
	now := s.Now()
	verdict, err := verifier.VerifyRing(ring, m, now)
	if unknown != nil {
		return access.Caller{}, unknown
	}
	if err == nil {
		err = checkHeader(r.Header, verdict.Covers.Headers)
	}
	if err != nil {
		return access.Caller{}, denied(err)
	}
	if verdict.Covers.Body {
		if err := checkBody(r); err != nil {
			return access.Caller{}, err
		}
	}
	if err := s.Claim(r.Context(), now, verdict.KeyID, verdict.Nonce, verdict.At); err != nil {
		return access.Caller{}, err
	}
	used()
	return caller, nil
}

// verifierOf demands of what nearly all requests have that it is covered; what
// others have is seen by checkHeader.
func (s *signatures) verifierOf(r *http.Request) *sealwright.Verifier {
	switch {
	case r.ContentLength == 0:
		return s.verifiers[0]
	case len(r.Header["Content-Type"]) == 0:
		return s.verifiers[1]
	}
	return s.verifiers[2]
}

// checkHeader returns an error if a field that says what the request means is
// not among the covered ones: somebody on the way could have put it there.
func checkHeader(header http.Header, covered []string) error {
	for name := range header {
		if api.IsSignedHeader(name) && !slices.ContainsFunc(covered, func(c string) bool { return strings.EqualFold(c, name) }) {
			return fmt.Errorf("%w: the signature does not cover %s", sealwright.ErrPolicy, name)
		}
	}
	return nil
}

func denied(err error) error {
	return fault.New(fault.Denied, "not authenticated").Because(err)
}

// targetOf returns the target of the request line byte for byte, without the
// authority that it may have: net/http has put that into r.Host.
func targetOf(r *http.Request) string {
	uri := r.RequestURI
	if uri == "" { // it came over no wire
		return r.URL.RequestURI()
	}
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(uri) > len(scheme) && strings.EqualFold(uri[:len(scheme)], scheme) {
			if _, _, target, err := sealwright.SplitURL(scheme + uri[len(scheme):]); err == nil {
				return target
			}
		}
	}
	return uri
}

// checkBody replaces the body of r by one that is compared with Content-Digest,
// whose only form here is one sha-256.
func checkBody(r *http.Request) error {
	lines := r.Header["Content-Digest"]
	if len(lines) != 1 {
		return denied(errors.New("Content-Digest stands in several lines"))
	}
	text, before := strings.CutPrefix(lines[0], "sha-256=:")
	text, after := strings.CutSuffix(text, ":")
	want, err := canon.Base64.DecodeString(text)
	if !before || !after || err != nil || len(want) != sha256.Size {
		return denied(errors.New("Content-Digest is not sha-256=:BASE64: alone"))
	}
	b := &signedBody{ReadCloser: r.Body, hash: sha256.New(), want: want}
	if r.ContentLength == 0 {
		return b.compare()
	}
	r.Body = b
	return nil
}

// signedBody is compared with its digest at its end.
type signedBody struct {
	io.ReadCloser
	hash hash.Hash
	want []byte
}

// Read returns io.EOF only if the whole body is the one that was signed.
func (b *signedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.hash.Write(p[:n])
	if err == io.EOF {
		if wrong := b.compare(); wrong != nil {
			return n, wrong
		}
	}
	return n, err
}

func (b *signedBody) compare() error {
	if !mac.Equal(b.hash.Sum(nil), b.want) {
		return denied(errors.New("the body is not the one of Content-Digest"))
	}
	return nil
}
