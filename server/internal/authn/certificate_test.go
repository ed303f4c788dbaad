package authn_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/authn"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/tlsfiles/tlstest"
)

func TestCertificate(t *testing.T) {
	leaf := tlstest.NewCA(t).Client(func(c *x509.Certificate) { c.DNSNames = []string{"CI.example.com"} }, "spiffe://example.com/ci").Leaf
	at := time.Now()
	var asked []string
	m := authn.Certificate(func(names []string) (access.Caller, error) {
		asked = names
		return access.TenantAdministrator("ci", "t"), nil
	}, func() time.Time { return at })
	request := func(verified bool) *http.Request {
		r := httptest.NewRequest("GET", "/", nil)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
		if verified {
			r.TLS.VerifiedChains = [][]*x509.Certificate{{leaf}}
		}
		return r
	}
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	want := []string{"uri:spiffe://example.com/ci", "dns:ci.example.com", "spki-sha256:" + hex.EncodeToString(sum[:])}
	for _, instant := range []time.Time{leaf.NotBefore, at, leaf.NotAfter} {
		at, asked = instant, nil
		if c, err := (authn.Authenticator{m}).Authenticate(request(true)); err != nil || c.ID != "ci" || !slices.Equal(asked, want) {
			t.Errorf("at %v: got %+v, %v, asked for %q", instant, c, err, asked)
		}
	}
	// The connection may be older than the end of the certificate.
	for _, instant := range []time.Time{leaf.NotBefore.Add(-1), leaf.NotAfter.Add(1)} {
		at, asked = instant, nil
		if c, err := m.Check(request(true)); fault.KindOf(err) != fault.Denied || c.ID != "" || asked != nil {
			t.Errorf("at %v: got %+v, %v", instant, c, err)
		}
	}
	at = leaf.NotBefore
	if _, err := m.Check(request(false)); fault.KindOf(err) != fault.Denied {
		t.Errorf("not verified: got %v", err)
	}
	for name, r := range map[string]*http.Request{"Plain": httptest.NewRequest("GET", "/", nil), "NoCertificate": request(true)} {
		if name == "NoCertificate" {
			r.TLS.PeerCertificates = nil
		} else {
			r.TLS = nil
		}
		if _, err := (authn.Authenticator{m}).Authenticate(r); err == nil || !strings.Contains(err.Error(), "neither") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	both := request(true)
	both.Header.Set("Authorization", "Bearer x")
	bearer := authn.Bearer(local, authn.TokenKind{Is: func(string) bool { return true }})
	if _, err := (authn.Authenticator{bearer, m}).Authenticate(both); err == nil || !strings.Contains(err.Error(), "both a token and a client certificate") {
		t.Errorf("with a token: got %v", err)
	}
}

// The certificate of a proxy proves nothing about who sends a request through
// it.
func TestCertificateOfProxy(t *testing.T) {
	leaf := tlstest.NewCA(t).Client(nil, "spiffe://example.com/proxy").Leaf
	m := authn.Certificate(func([]string) (access.Caller, error) { return access.Administrator(), nil }, nil)
	var got bool
	h := authn.Trust([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = m.Presented(r) }))
	for peer, want := range map[string]bool{"192.0.2.1:1": false, "198.51.100.1:1": true} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = peer
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf}}}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != want {
			t.Errorf("from %s: got %v, want %v", peer, got, want)
		}
	}
}
