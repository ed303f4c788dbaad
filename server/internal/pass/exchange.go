package pass

import (
	"context"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Lives of tokens.
const (
	MinTokenLife = 5 * time.Minute
	MaxTokenLife = 10 * time.Minute // also the default
)

// Proof is what the token of an issuer proves.
type Proof struct {
	Issuer    string // name in the settings
	IssuerURL string
	Subject   string
	Tenant    string // of the caller; empty for an operator
	Caller    string // ID
	TokenID   string // names the token among all of its issuer
	IssuedAt  time.Time
	Until     time.Time         // exclusive
	Claims    map[string]string // by which the caller was found, with their values
	Life      time.Duration     // of the pass; 0 means MaxTokenLife
}

// Exchange gives passes for tokens of issuers. Its fields must not be nil and
// not change.
type Exchange struct {
	Passes *Service

	// Verify returns what a token proves. The error is of kind [fault.Denied] or
	// [fault.Unavailable].
	Verify func(ctx context.Context, token string) (Proof, error)

	// Once returns nil for the first of all uses of a token that was verified at
	// now, and an error of kind [fault.Conflict] or [fault.Unavailable] for
	// others.
	Once func(ctx context.Context, now time.Time, p Proof) error
}

// Token returns a pass of kind [Token] for a token of an issuer. It ends with
// that token, or before. The token is used up last: not by a caller that may do
// nothing now. Errors are those of Verify and Once.
func (e *Exchange) Token(ctx context.Context, token string) (secret.Bytes, Pass, error) {
	p, err := e.Verify(ctx, token)
	if err != nil {
		return secret.Bytes{}, Pass{}, err
	}
	if _, err := e.Passes.o.Caller(p.Tenant, p.Caller); err != nil {
		return secret.Bytes{}, Pass{}, err
	}
	now := e.Passes.o.Now()
	life := p.Life
	if life == 0 {
		life = MaxTokenLife
	}
	until := now.Add(life)
	if p.Until.Before(until) {
		until = p.Until
	}
	if until.Sub(now) < time.Second {
		return secret.Bytes{}, Pass{}, fault.New(fault.Denied, "not authenticated: the token of issuer %q ends now", p.Issuer)
	}
	if err := e.Once(ctx, now, p); err != nil {
		return secret.Bytes{}, Pass{}, err
	}
	return e.Passes.Issue(Token, Pass{Caller: p.Caller, Tenant: p.Tenant, Issuer: p.Issuer, Subject: p.Subject, Claims: p.Claims, Until: until})
}
