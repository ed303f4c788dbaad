// Package oidc knows workloads and people by the tokens of OpenID Connect
// issuers: jobs of GitHub Actions and GitLab, service accounts of Kubernetes,
// and any issuer by its settings.
//
// A token is looked at as follows, and the first fault ends it: its size, its
// issuer, its algorithm, its signature, issuer and audience, its times, and the
// rules that say which caller it is. What it is signed with is said by the
// settings and the keys of the issuer, never by the token. That a token is used
// once only is not decided here.
//
// To the outside every error of kind [fault.Denied] is the same; the cause is
// for the log.
package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/server/internal/pass"
)

// Bounds of tokens.
const (
	MaxToken = 16 << 10       // bytes
	MaxLife  = 24 * time.Hour // from iat to exp
	Skew     = 30 * time.Second
)

// Issuers verifies tokens of several issuers. Get one from [Open]. It may be
// used by many goroutines.
type Issuers struct {
	byURL map[string]*issuer
	now   func() time.Time
}

// issuer is one that was checked.
type issuer struct {
	Config
	keys   *keySet
	client *client
}

// Open returns the verifier of tokens of all issuers. It asks none of them for
// anything yet. A nil now means time.Now.
func Open(list []Config, now func() time.Time) (*Issuers, error) {
	if now == nil {
		now = time.Now
	}
	all := &Issuers{byURL: map[string]*issuer{}, now: now}
	for _, c := range list {
		if faults := c.Check(); len(faults) > 0 {
			return nil, fmt.Errorf("issuer %q: %w", c.Name, faults[0].Err)
		}
		if all.byURL[c.URL] != nil {
			return nil, fmt.Errorf("issuer %q: %s is there twice", c.Name, c.URL)
		}
		i, err := open(c, now)
		if err != nil {
			return nil, fmt.Errorf("issuer %q: %w", c.Name, err)
		}
		all.byURL[c.URL] = i
	}
	return all, nil
}

func open(c Config, now func() time.Time) (*issuer, error) {
	client, err := newClient(c.CAFile)
	if err != nil {
		return nil, err
	}
	i := &issuer{Config: c, client: client}
	i.keys = &keySet{issuer: i, now: now}
	for _, a := range c.algorithms() {
		i.keys.algorithms = append(i.keys.algorithms, jose.SignatureAlgorithm(a))
	}
	return i, nil
}

// Is reports whether a text has the form of a signed JWT: three parts of which
// the first begins like a JSON object.
func Is(token string) bool {
	return strings.HasPrefix(token, "eyJ") && strings.Count(token, ".") == 2
}

// Verify returns whom a token proves. The error is of kind [fault.Denied], or
// [fault.Unavailable] if the keys of the issuer are not known now.
func (all *Issuers) Verify(ctx context.Context, token string) (pass.Proof, error) {
	if len(token) > MaxToken {
		return pass.Proof{}, denied("the token has %d bytes, want at most %d", len(token), MaxToken)
	}
	url, err := issuerOf(token)
	if err != nil {
		return pass.Proof{}, err
	}
	i := all.byURL[url]
	if i == nil {
		return pass.Proof{}, denied("the token is of no known issuer")
	}
	claims, std, err := i.verify(ctx, token, all.now())
	if err != nil {
		return pass.Proof{}, err
	}
	return i.proof(claims, std)
}

// proof applies the rules.
func (i *issuer) proof(claims map[string]any, std standard) (pass.Proof, error) {
	rule, bound, ok := find(i.Rules, claims)
	if !ok {
		return pass.Proof{}, denied("the token of issuer %q for %q matches no rule", i.Name, std.subject)
	}
	return pass.Proof{
		Issuer: i.Name, IssuerURL: i.URL, Subject: std.subject, Tenant: rule.Tenant, Caller: rule.Caller, Claims: bound,
		TokenID: std.tokenID, IssuedAt: std.issuedAt, Until: std.expires, Life: i.TokenLife,
	}, nil
}

// issuerOf returns what a token says that its issuer is. Nothing in it is
// trusted yet.
func issuerOf(token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", denied("the token is no JWT: it has %d parts, want 3", len(parts))
	}
	payload, err := canon.Base64URLRaw.DecodeString(parts[1])
	if err != nil {
		return "", denied("the payload of the token is not base64url")
	}
	claims, err := parseClaims(payload)
	if err != nil {
		return "", denied("the token is no JWT: %v", err)
	}
	url, _ := claims["iss"].(string)
	return url, nil
}

// verify checks everything that is not said by rules.
func (i *issuer) verify(ctx context.Context, token string, now time.Time) (map[string]any, standard, error) {
	payload, err := i.keys.VerifySignature(ctx, token)
	if err != nil {
		return nil, standard{}, fmt.Errorf("issuer %q: %w", i.Name, err)
	}
	claims, err := parseClaims(payload)
	if err != nil {
		return nil, standard{}, denied("the token of issuer %q: %w", i.Name, err)
	}
	std, err := standardOf(claims)
	if err == nil {
		err = std.check(i.Config, now)
	}
	if err != nil {
		return nil, standard{}, denied("the token of issuer %q: %w", i.Name, err)
	}
	if std.tokenID = "jti:" + std.tokenID; std.tokenID == "jti:" {
		// What was signed names it: how that is written could be varied.
		sum := sha256.Sum256(payload)
		std.tokenID = "sha256:" + hex.EncodeToString(sum[:])
	}
	return claims, std, nil
}

// standard are the claims of RFC 7519 and azp.
type standard struct {
	issuer, subject, party, tokenID string
	audience                        []string
	issuedAt, notBefore, expires    time.Time
}

func standardOf(claims map[string]any) (s standard, err error) {
	for name, to := range map[string]*string{"iss": &s.issuer, "sub": &s.subject, "azp": &s.party, "jti": &s.tokenID} {
		v, there := claims[name]
		text, ok := v.(string)
		if there && (!ok || len(text) > maxValue) {
			return s, fmt.Errorf("%s is no text of up to %d bytes", name, maxValue)
		}
		*to = text
	}
	for name, to := range map[string]*time.Time{"iat": &s.issuedAt, "nbf": &s.notBefore, "exp": &s.expires} {
		v, there := claims[name]
		if !there {
			continue
		}
		n, _ := v.(json.Number)
		f, err := n.Float64()
		if err != nil || f < 1 || f > math.MaxInt32*4 {
			return s, fmt.Errorf("%s is no time", name)
		}
		*to = time.UnixMilli(int64(f * 1000))
	}
	s.audience = textsOf(claims["aud"])
	return s, nil
}

// check compares with the settings and the clock.
func (s standard) check(c Config, now time.Time) error {
	switch {
	case s.issuer != c.URL:
		return fmt.Errorf("iss: got %q, want %q", s.issuer, c.URL)
	case len(s.audience) != 1 || s.audience[0] != c.Audience:
		return fmt.Errorf("aud: got %q, want %q alone", s.audience, c.Audience)
	case s.party != "" && s.party != c.Audience && !slices.Contains(c.Parties, s.party):
		return fmt.Errorf("azp: got %q, want one of the authorized parties", s.party)
	case s.subject == "":
		return errors.New("sub is missing")
	case s.issuedAt.IsZero() || s.expires.IsZero():
		return errors.New("iat or exp is missing")
	case s.expires.Sub(s.issuedAt) <= 0 || s.expires.Sub(s.issuedAt) > MaxLife:
		return fmt.Errorf("the token lives for %v, want above 0 and up to %v", s.expires.Sub(s.issuedAt), MaxLife)
	case s.issuedAt.After(now.Add(Skew)):
		return fmt.Errorf("iat is %v ahead, want at most %v", s.issuedAt.Sub(now), Skew)
	case s.notBefore.After(now.Add(Skew)):
		return fmt.Errorf("nbf is %v ahead, want at most %v", s.notBefore.Sub(now), Skew)
	case !now.Before(s.expires.Add(Skew)):
		return fmt.Errorf("expired %v ago", now.Sub(s.expires))
	}
	return nil
}
