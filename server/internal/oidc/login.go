package oidc

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/pass"
)

// Login lets people log in at an issuer: the authorization code flow of OpenID
// Connect Core 1.0 with PKCE (RFC 7636), state and nonce. Get one from
// [OpenLogin]. It may be used by many goroutines.
type Login struct {
	c      LoginConfig
	issuer *issuer
	now    func() time.Time

	mu       sync.Mutex // held while the endpoints are looked for
	triedAt  time.Time
	foundAt  time.Time
	lastErr  error
	provider *oidc.Provider
}

// LoginConfig says where people log in, and for which callers. Of Issuer the
// audience is the client ID.
type LoginConfig struct {
	Issuer   Config
	Secret   func() (secret.Bytes, error) // of the client; nil means that it has none
	Redirect string                       // URL of the callback
	Scopes   []string                     // beside openid
}

// OpenLogin asks the issuer for nothing yet. A nil now means time.Now.
func OpenLogin(c LoginConfig, now func() time.Time) (*Login, error) {
	if now == nil {
		now = time.Now
	}
	if faults := c.Issuer.Check(); len(faults) > 0 {
		return nil, faults[0].Err
	}
	if err := checkURL(c.Redirect); err != nil {
		return nil, err
	}
	i, err := open(c.Issuer, now)
	if err != nil {
		return nil, err
	}
	return &Login{c: c, issuer: i, now: now}, nil
}

// Begin returns the URL to which a browser is sent, the state with which it must
// come back, and what [Login.Finish] needs, which belongs into the browser that
// has begun. The error is of kind [fault.Unavailable] if the issuer cannot be
// asked where that is.
func (l *Login) Begin(ctx context.Context) (url, state string, kept map[string]string, err error) {
	o, err := l.client(ctx)
	if err != nil {
		return "", "", nil, err
	}
	state = rand.Text()
	kept = map[string]string{"nonce": rand.Text(), "verifier": oauth2.GenerateVerifier()}
	return o.AuthCodeURL(state, oidc.Nonce(kept["nonce"]), oauth2.S256ChallengeOption(kept["verifier"])), state, kept, nil
}

// Finish returns who has logged in, for the code with which the issuer has sent
// the browser back. The state must have been compared. The error is of kind
// [fault.Denied] or [fault.Unavailable].
func (l *Login) Finish(ctx context.Context, kept map[string]string, code string) (pass.Proof, error) {
	o, err := l.client(ctx)
	if err != nil {
		return pass.Proof{}, err
	}
	ctx = oidc.ClientContext(ctx, l.issuer.client)
	t, err := o.Exchange(ctx, code, oauth2.VerifierOption(kept["verifier"]))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < http.StatusInternalServerError:
		return pass.Proof{}, denied("the issuer refuses the code: %s", refused.ErrorCode)
	case err != nil:
		return pass.Proof{}, unavailable("the issuer cannot be asked about the code").Because(err)
	}
	token, _ := t.Extra("id_token").(string)
	if len(token) > MaxToken {
		return pass.Proof{}, denied("the token has %d bytes, want at most %d", len(token), MaxToken)
	}
	claims, std, err := l.issuer.verify(ctx, token, l.now())
	if err != nil {
		return pass.Proof{}, err
	}
	if nonce, _ := claims["nonce"].(string); kept["nonce"] == "" || !mac.Equal([]byte(nonce), []byte(kept["nonce"])) {
		return pass.Proof{}, denied("the nonce of the token is not that of the attempt")
	}
	return l.issuer.proof(claims, std)
}

// client returns the client with the endpoints of the issuer, which are looked
// for once an hour.
func (l *Login) client(ctx context.Context) (*oauth2.Config, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now.Sub(l.foundAt) >= freshFor && now.Sub(l.triedAt) >= askEvery {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		defer cancel()
		l.triedAt = now
		var p *oidc.Provider
		if p, l.lastErr = oidc.NewProvider(oidc.ClientContext(ctx, l.issuer.client), l.issuer.URL); l.lastErr == nil {
			l.foundAt, l.provider = now, p
		}
	}
	if l.provider == nil {
		return nil, unavailable("the issuer cannot be asked where to log in").Because(l.lastErr)
	}
	o := &oauth2.Config{ClientID: l.c.Issuer.Audience, Endpoint: l.provider.Endpoint(), RedirectURL: l.c.Redirect,
		Scopes: append([]string{oidc.ScopeOpenID}, slices.Clone(l.c.Scopes)...)}
	if checkURL(o.Endpoint.AuthURL) != nil || checkURL(o.Endpoint.TokenURL) != nil {
		return nil, unavailable("the issuer cannot be asked where to log in").Because(errors.New("its endpoints are not URLs of https"))
	}
	o.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if l.c.Secret == nil { // a public client, whose proof is the verifier
		o.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	} else {
		s, err := l.c.Secret()
		if err != nil {
			return nil, fault.New(fault.Unavailable, "the secret of the client cannot be read").Because(err)
		}
		o.ClientSecret = string(s.Expose())
	}
	return o, nil
}
