package sealhttp

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/keyring"
)

// ErrRedirect means that a redirect led to another host, or from https to http.
// What is sent there is not signed: a signature that does not cover the host
// could be used against the first one.
var ErrRedirect = errors.New("redirect to another host is not signed")

// Transport is a round tripper that signs requests. Its fields must not change
// once RoundTrip was called.
//
// What a request has already of what its scheme covers, such as a nonce or the
// payload of a token, is signed as it is. A proxy that passes on requests of
// others takes their Authorization and signature headers out first.
//
// It reads the body into memory, so that the request can be sent again:
// connections that break are retried as without it, and each step of a redirect
// within one host is signed anew.
type Transport struct {
	Signer *sealwright.Signer
	Base   http.RoundTripper // sends what is signed; nil means http.DefaultTransport

	// Ring returns the keys for the next request. Nil means the Signer's ring.
	Ring func() *keyring.Ring

	MaxBody int64            // longest body in bytes; 0 means DefaultMaxBody
	Now     func() time.Time // nil means time.Now
}

// RoundTrip implements [http.RoundTripper]. The request is not changed; a copy
// of it is signed and sent. It returns an error of package sealwright if the
// request cannot be signed, [ErrTooLarge] or [ErrRedirect].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	signed, err := t.sign(r)
	if err != nil {
		return nil, fmt.Errorf("sign request: %w", err)
	}
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	return base.RoundTrip(signed)
}

// sign returns a signed copy of r, whose body it reads and closes.
func (t *Transport) sign(r *http.Request) (*http.Request, error) {
	read, err := t.readBody(r)
	if err != nil {
		return nil, err
	}
	if t.Signer == nil {
		return nil, sealwright.Refusef(sealwright.ErrConfig, "no signer")
	}
	if err := checkRedirect(r); err != nil {
		return nil, err
	}
	out := r.Clone(r.Context())
	setBody(out, read)
	message, err := outgoing(out, read)
	if err != nil {
		return nil, err
	}
	ring := t.Signer.Ring
	if t.Ring != nil {
		ring = t.Ring()
	}
	now := time.Now
	if t.Now != nil {
		now = t.Now
	}
	signed, err := t.Signer.SignRing(ring, message, now())
	if err != nil {
		return nil, err
	}
	return out, apply(out, &message, &signed)
}

// readBody reads and closes the body of r.
func (t *Transport) readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	size := r.ContentLength
	if size == 0 {
		size = -1 // of a client it means that the length is unknown
	}
	read, err := readBody(r.Body, size, limit(t.MaxBody))
	if err := errors.Join(err, r.Body.Close()); err != nil {
		return nil, err
	}
	if size >= 0 && int64(len(read)) != size {
		return nil, fmt.Errorf("body has %d bytes, want %d as ContentLength says", len(read), size)
	}
	return read, nil
}

func checkRedirect(r *http.Request) error {
	if r.Response == nil || r.Response.Request == nil { // not a redirect
		return nil
	}
	from, to := r.Response.Request.URL, r.URL
	if !strings.EqualFold(from.Host, to.Host) || from.Scheme == "https" && to.Scheme != "https" {
		return fmt.Errorf("%w: from %s://%s to %s://%s", ErrRedirect, from.Scheme, from.Host, to.Scheme, to.Host)
	}
	return nil
}

// setBody gives r a body that can be read again. Its length is known, unless
// trailers follow it.
func setBody(r *http.Request, b []byte) {
	r.Body = newBody(b)
	r.GetBody = func() (io.ReadCloser, error) { return newBody(b), nil }
	r.ContentLength, r.TransferEncoding = int64(len(b)), nil
	if len(r.Trailer) > 0 && len(b) > 0 {
		r.ContentLength = -1
	}
}

// outgoing returns r as net/http will send it and the other side will see it.
// What net/http adds by itself, such as User-Agent, is not in it.
func outgoing(r *http.Request, read []byte) (sealwright.Message, error) {
	if r.URL == nil {
		return sealwright.Message{}, errors.New("request has no URL")
	}
	host, target := splitTarget(r.URL.RequestURI())
	if host == "" {
		host = r.Host
	}
	if host == "" {
		host = r.URL.Host
	}
	if strings.IndexFunc(host, func(c rune) bool { return c > '~' || c == '%' }) >= 0 {
		// net/http would send it in another form.
		return sealwright.Message{}, fmt.Errorf("host %q is not plain ASCII: write it in punycode, and without a zone", host)
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	header := http.Header(sealwright.CanonicalHeader(r.Header))
	for _, lines := range header {
		for i := range lines {
			lines[i] = canon.TrimOWS(lines[i])
		}
	}
	header.Del("Content-Length") // net/http writes its own
	if r.ContentLength > 0 || r.ContentLength == 0 && slices.Contains([]string{"POST", "PUT", "PATCH"}, method) {
		header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	return sealwright.Message{
		Method: method, Scheme: strings.ToLower(r.URL.Scheme), Host: host, Target: target,
		Header: header, Body: read, Trailer: r.Trailer,
	}, nil
}

// apply changes r, which message was made of, into what signed says.
func apply(r *http.Request, message, signed *sealwright.Message) error {
	r.Header = http.Header(signed.Header)
	r.Header.Del("Content-Length")
	if signed.Host != message.Host {
		r.Host = signed.Host
	}
	if !slices.Equal(signed.Body, message.Body) {
		setBody(r, signed.Body)
	}
	if signed.Target == message.Target {
		return nil
	}
	u := *r.URL
	path, query, force := strings.Cut(signed.Target, "?")
	unescaped, err := url.PathUnescape(path)
	if err != nil {
		return fmt.Errorf("signed path: %w", err)
	}
	u.Opaque, u.Path, u.RawPath, u.RawQuery, u.ForceQuery = "", unescaped, path, query, force
	if got := u.RequestURI(); got != signed.Target {
		return fmt.Errorf("signed target %q would be sent as %q", signed.Target, got)
	}
	r.URL = &u
	return nil
}
