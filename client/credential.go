package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// maxCredential bounds the file of a credential in bytes.
const maxCredential = 4 << 10

// Static returns a [Client] Credential that is always the same.
func Static(credential secret.Bytes) func(context.Context) (secret.Bytes, error) {
	return func(context.Context) (secret.Bytes, error) { return credential, nil }
}

// File returns a [Client] Credential that is read from a file each time, so that
// the file may be replaced. White space around it does not count.
func File(name string) func(context.Context) (secret.Bytes, error) {
	return func(context.Context) (secret.Bytes, error) {
		f, err := os.Open(name)
		if err != nil {
			return secret.Bytes{}, err
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxCredential+1))
		defer clear(text)
		if err != nil {
			return secret.Bytes{}, err
		}
		trimmed := bytes.TrimSpace(text)
		if len(trimmed) == 0 || len(text) > maxCredential {
			return secret.Bytes{}, fmt.Errorf("%s is empty or has more than %d bytes", name, maxCredential)
		}
		return secret.New(trimmed), nil
	}
}

// CredentialText returns a new credential in the form in which it is kept: a
// token as it is, and one that signs as its ID, a colon and its secret.
func CredentialText(k api.Credential) secret.Bytes {
	if k.Kind == "signature" {
		return secret.FromString(k.ID + ":" + k.Secret)
	}
	return secret.FromString(k.Secret)
}

// authorize puts the credential into r. A signature covers the digest of the
// body, so a stream is read twice for it.
func (c *Client) authorize(ctx context.Context, s *settings, r *http.Request, stream io.Reader) error {
	if c.Credential == nil {
		return nil
	}
	credential, err := c.Credential(ctx)
	if err != nil {
		return fmt.Errorf("credential: %w", err)
	}
	text := credential.Expose()
	if len(text) == 0 || bytes.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("credential: it is empty, or has a character that cannot stand in one")
	}
	if !bytes.Contains(text, []byte(":")) {
		if s.remote {
			return errPlaintext("the token would go")
		}
		r.Header.Set("Authorization", "Bearer "+string(text))
		return nil
	}
	signer, err := c.last.of(credential)
	if err != nil {
		return fmt.Errorf("credential: %w", err)
	}
	digest, err := digestOf(r, stream)
	if err != nil {
		return err
	}
	return signer.sign(r, digest, c.now())
}

// digestOf returns the Content-Digest of the body of r, empty if there is none.
func digestOf(r *http.Request, stream io.Reader) (string, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return "", nil
	}
	h := sha256.New()
	if stream == nil {
		body, err := r.GetBody()
		if err != nil {
			return "", err
		}
		_, _ = io.Copy(h, body) // it is in memory
		// net/http would send it again by itself, with the nonce that was used.
		r.GetBody = nil
		return digestText(h.Sum(nil)), nil
	}
	again, ok := stream.(io.ReadSeeker)
	if !ok {
		return "", invalid("a signed request needs a stream that can be read twice, an io.ReadSeeker: save it first, or use a token")
	}
	start, err := again.Seek(0, io.SeekCurrent)
	if err != nil {
		return "", err
	}
	if r.ContentLength, err = io.Copy(h, again); err != nil {
		return "", err
	}
	if _, err := again.Seek(start, io.SeekStart); err != nil {
		return "", err
	}
	if r.ContentLength == 0 {
		r.Body = http.NoBody
		return "", nil
	}
	return digestText(h.Sum(nil)), nil
}

func digestText(sum []byte) string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum) + ":"
}

// lastSigner keeps the signer of the last credential.
type lastSigner struct {
	mu   sync.Mutex
	text secret.Bytes
	s    *signer
}

func (l *lastSigner) of(credential secret.Bytes) (*signer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.s != nil && mac.Equal(l.text.Expose(), credential.Expose()) {
		return l.s, nil
	}
	s, err := newSigner(credential)
	if err != nil {
		return nil, err
	}
	l.text, l.s = credential, s
	return s, nil
}

// signer signs requests in the profile of [api.SignatureParams].
type signer struct {
	ring *keyring.Ring

	mu      sync.Mutex
	schemes map[string]sealwright.Scheme // by what they cover, of which this package has few sets
}

func newSigner(credential secret.Bytes) (*signer, error) {
	id, key, _ := bytes.Cut(credential.Expose(), []byte(":"))
	ring, err := keyring.New(keyring.Key{ID: string(id), Version: 1, Secret: secret.New(key)})
	return &signer{ring: ring, schemes: map[string]sealwright.Scheme{}}, err
}

// scheme returns the scheme that covers these fields and, if there is one, the
// body.
func (s *signer) scheme(body bool, fields []string) (sealwright.Scheme, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strconv.FormatBool(body) + " " + strings.Join(fields, " ")
	if known, ok := s.schemes[name]; ok {
		return known, nil
	}
	scheme, err := catalogue.New("rfc9421", api.SignatureParams(body, fields...))
	if err == nil {
		s.schemes[name] = scheme
	}
	return scheme, err
}

// sign signs the head of r, whose body has this digest; empty means no body.
func (s *signer) sign(r *http.Request, digest string, now time.Time) error {
	scheme, err := s.scheme(digest != "", api.SignedHeaders(r.Header))
	if err != nil {
		return err
	}
	m := sealwright.Message{Method: r.Method, Scheme: r.URL.Scheme, Host: r.URL.Host, Target: r.URL.RequestURI(), Header: r.Header}
	signer := sealwright.Signer{Scheme: scheme, Ring: s.ring}
	signed, err := signer.Sign(m, now) // with the digest of no body
	if err == nil && digest != "" {
		err = s.signDigest(scheme, &signed, digest, now)
	}
	return copyFields(r.Header, signed.Header, err)
}

// signDigest signs m again, with the digest of a body that is not in memory.
func (s *signer) signDigest(scheme sealwright.Scheme, m *sealwright.Message, digest string, now time.Time) error {
	m.Header["Content-Digest"] = []string{digest}
	k, err := s.ring.Signing(now)
	if err != nil {
		return err
	}
	covered, claim, err := sealwright.SignedBytes(scheme, k, *m)
	if err != nil {
		return err
	}
	key, err := scheme.Key(k, claim)
	if err != nil {
		return err
	}
	tag, err := key.Sum(nil, covered[0])
	if err != nil {
		return err
	}
	m.Header["Signature"] = []string{api.SignatureTag + "=:" + base64.StdEncoding.EncodeToString(tag) + ":"}
	return nil
}

// copyFields copies the fields of a signature.
func copyFields(dst, from http.Header, err error) error {
	if err != nil {
		return err
	}
	for _, name := range [...]string{"Content-Digest", "Signature-Input", "Signature"} {
		if values := from[name]; len(values) > 0 {
			dst[name] = values
		}
	}
	return nil
}
