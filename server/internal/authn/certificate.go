package authn

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Certificate is the method of client certificates. The listener has verified
// that one leads to an authority when the connection was made; that it has not
// expired is looked at with each request. find returns the caller that has one
// of the names of a certificate, see [CertificateNames].
//
// A certificate that comes with a request through a proxy that [Trust] trusts
// is that of the proxy, and proves nothing about who sends the request. now may
// be nil for time.Now.
func Certificate(find func(names []string) (access.Caller, error), now func() time.Time) Method {
	if now == nil {
		now = time.Now
	}
	return Method{
		Name: "a client certificate",
		Presented: func(r *http.Request) bool {
			return r.TLS != nil && len(r.TLS.PeerCertificates) > 0 && r.Context().Value(transportKey{}) == nil
		},
		Check: func(r *http.Request) (access.Caller, error) {
			if len(r.TLS.VerifiedChains) == 0 {
				return access.Caller{}, fault.New(fault.Denied, "not authenticated: the client certificate was not verified")
			}
			leaf := r.TLS.PeerCertificates[0]
			if at := now(); at.Before(leaf.NotBefore) || at.After(leaf.NotAfter) {
				return access.Caller{}, fault.New(fault.Denied, "not authenticated: the client certificate is good from %v to %v", leaf.NotBefore, leaf.NotAfter)
			}
			return find(CertificateNames(leaf))
		},
	}
}

// CertificateNames returns what a certificate may be known by: its URIs and DNS
// names, and the SHA-256 of its public key (SubjectPublicKeyInfo, RFC 5280) in
// hex, as uri:…, dns:… and spki-sha256:….
func CertificateNames(c *x509.Certificate) []string {
	var names []string
	for _, u := range c.URIs {
		names = append(names, "uri:"+u.String())
	}
	for _, name := range c.DNSNames {
		names = append(names, "dns:"+strings.ToLower(name))
	}
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return append(names, "spki-sha256:"+hex.EncodeToString(sum[:]))
}
