package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/sealwright/sealwright/server/internal/pass"
)

// maxDocument is the most bytes of what an issuer answers.
const maxDocument = 1 << 20

// Config says whose tokens are accepted, and for whom they stand.
type Config struct {
	Name       string   // for the log and for claims; unique
	Kind       Kind     // empty means [Generic]
	URL        string   // the iss of its tokens, byte for byte; of https, or of this machine
	Audience   string   // the only aud of its tokens
	Parties    []string // the azp of its tokens may also be one of these
	Algorithms []string // empty means RS256
	KeysURL    string   // of the JWK set; empty means discovery
	KeysFile   string   // with the JWK set, read again when it is needed
	CAFile     string   // PEM; empty means the authorities of the system
	Rules      []Rule   // the first that matches counts

	TokenLife time.Duration // of what a token is exchanged for; 0 means [pass.MaxTokenLife]
}

// allowed are the algorithms whose keys can be shown. HS256 and none are no such.
func allowed() []string {
	return []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}
}

func (c Config) algorithms() []string {
	if len(c.Algorithms) == 0 {
		return []string{oidc.RS256}
	}
	return c.Algorithms
}

// Fault is something that is wrong with a [Config].
type Fault struct {
	Rule int // index of the rule; -1 if it is of none
	Err  error
}

// Check returns everything that is wrong with c.
func (c Config) Check() (faults []Fault) {
	for _, err := range c.checkIssuer() {
		faults = append(faults, Fault{-1, err})
	}
	for i, r := range c.Rules {
		if err := r.check(c.Kind); err != nil {
			faults = append(faults, Fault{i, fmt.Errorf("rules[%d]: %w", i, err)})
		}
	}
	return faults
}

func (c Config) checkIssuer() (errs []error) {
	if c.Name == "" {
		errs = append(errs, errors.New("name is missing"))
	}
	if !slices.Contains([]Kind{"", Generic, GitHub, GitLab, Kubernetes}, c.Kind) {
		errs = append(errs, fmt.Errorf("kind: got %q, want %s, %s, %s or %s", c.Kind, Generic, GitHub, GitLab, Kubernetes))
	}
	if err := checkURL(c.URL); err != nil && c.KeysFile == "" {
		errs = append(errs, fmt.Errorf("issuer: %w", err))
	} else if c.URL == "" {
		errs = append(errs, errors.New("issuer is missing"))
	}
	if c.Audience == "" {
		errs = append(errs, errors.New("audience is missing"))
	}
	if len(c.Rules) == 0 || len(c.Rules) > MaxRules {
		errs = append(errs, fmt.Errorf("rules: got %d, want 1 to %d", len(c.Rules), MaxRules))
	}
	if c.TokenLife != 0 && (c.TokenLife < pass.MinTokenLife || c.TokenLife > pass.MaxTokenLife) {
		errs = append(errs, fmt.Errorf("token_life: got %v, want %v to %v", c.TokenLife, pass.MinTokenLife, pass.MaxTokenLife))
	}
	for _, a := range c.Algorithms {
		if !slices.Contains(allowed(), a) {
			errs = append(errs, fmt.Errorf("algorithms: got %q, want some of %s", a, strings.Join(allowed(), ", ")))
		}
	}
	if c.KeysURL != "" && c.KeysFile != "" {
		errs = append(errs, errors.New("both jwks_url and jwks_file are given, want one of them"))
	}
	if c.KeysURL != "" {
		if err := checkURL(c.KeysURL); err != nil {
			errs = append(errs, fmt.Errorf("jwks_url: %w", err))
		}
	}
	return errs
}

// checkURL refuses what others could answer for: everything but https, unless it
// is of this machine.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return errors.New("is not a URL such as https://issuer.example.com")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return errors.New("is not a URL of https")
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// client asks issuers.
type client = http.Client

// newClient returns one that trusts the authorities in the file, reads bounded
// answers, and follows no redirect to where others could answer.
func newClient(caFile string) (*client, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: askTimeout}).DialContext,
		TLSHandshakeTimeout: askTimeout, MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: askTimeout, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s has no certificate", caFile)
		}
	}
	return &client{Transport: bounded{t}, Timeout: askTimeout, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) >= 3 || checkURL(r.URL.String()) != nil {
			return errors.New("redirected too often, or to a URL that is not of https")
		}
		return nil
	}}, nil
}

// bounded cuts what is read of an answer.
type bounded struct{ next http.RoundTripper }

// RoundTrip is that of [http.RoundTripper].
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, maxDocument+1), answer.Body}
	}
	return answer, err
}

// get returns the body of an answer of 200.
func get(ctx context.Context, c *client, url string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the issuer: %w", err)
	}
	r.Header.Set("Accept", "application/json")
	answer, err := c.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask the issuer: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask the issuer: %w", err)
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("ask the issuer: got status %d, want 200", answer.StatusCode)
	case len(text) > maxDocument:
		return nil, fmt.Errorf("ask the issuer: the answer has more than %d bytes", maxDocument)
	}
	return text, nil
}
