package server

import (
	"context"
	"net/http"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/authn"
	"github.com/sealwright/sealwright/server/internal/cluster/redis"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

// openCallers opens tenants and callers, whose secrets are sealed by keys.
func openCallers(ctx context.Context, db database, keys *custody.Service, nodes cluster) (*tenant.Service, error) {
	o := tenant.Options{Store: db, Sealer: keys}
	if nodes.node != nil {
		o.Usable, o.Current = nodes.node.Usable, nodes.node.Current
	}
	return tenant.Open(ctx, o)
}

// authenticator knows callers by a bearer token, that of the administrator
// among them, or by a signature. Further kinds of tokens stand before the last
// one, which takes every text; further methods stand beside these.
func authenticator(c limitsConfig, callers *tenant.Service, admin *authn.AdminToken, n *nonces) (func(*http.Request) (access.Caller, error), error) {
	signature, err := authn.Signature(authn.Signatures{Credential: callers.BySignature, Claim: n.claim, Transport: authn.Direct})
	if err != nil {
		return nil, err
	}
	bearer := authn.Bearer(authn.Direct,
		authn.TokenKind{Is: tenant.IsToken, Check: callers.ByToken},
		authn.TokenKind{Is: func(string) bool { return true }, Check: admin.Check},
	)
	who := authn.Authenticator{bearer, signature}
	if !c.failures {
		return who.Authenticate, nil
	}
	return authn.Slow(who.Authenticate, limit.NewFailures(limit.NewMap(time.Now(), 0)), nil), nil
}

// nonces lets each nonce of a credential pass once.
type nonces struct {
	key    *replay.Key
	claims gate.Claims
}

// openNonces remembers nonces in Redis if there is one, else in local. All nodes
// of a Redis need one key.
func openNonces(ctx context.Context, db database, keys *custody.Service, local memoryClaims, shared *redis.Client) (*nonces, error) {
	if shared == nil {
		key, err := replay.NewKey(secret.Random(replay.KeySize))
		return &nonces{key: key, claims: local}, err
	}
	material, err := sharedSecret(ctx, db, keys, "nonces")
	if err != nil {
		return nil, err
	}
	key, err := replay.NewKey(material)
	return &nonces{key: key, claims: shared}, err
}

// newMemoryClaims bars what could have been accepted before this process was
// started.
func newMemoryClaims(start time.Time) (memoryClaims, error) {
	guard, err := replay.New(replay.Options{Past: authn.Past, Future: authn.Future})
	if err != nil {
		return memoryClaims{}, err
	}
	guard.Bar(start.Add(authn.Future))
	return memoryClaims{guard}, nil
}

// memoryClaims are claims that end with the process.
type memoryClaims struct{ guard *replay.Guard }

// Claim implements [gate.Claims].
func (m memoryClaims) Claim(_ context.Context, now time.Time, c gate.Claim) (replay.Outcome, error) {
	return m.guard.Claim(now, c.At, c.ID.Short(), c.Owner), nil
}

func (n *nonces) claim(ctx context.Context, now time.Time, id, nonce string, at time.Time) error {
	outcome, err := n.claims.Claim(ctx, now, gate.Claim{
		ID: n.key.ID("api", id, nonce), Owner: n.key.ID("api", id).Short(), At: at, Until: at.Add(authn.Past),
	})
	switch {
	case err != nil:
		return fault.New(fault.Unavailable, "it is not known whether the request was sent before").Because(err)
	case outcome == replay.Fresh:
		return nil
	case outcome == replay.Replayed:
		return fault.New(fault.Conflict, "the request was sent before: sign it again, with another nonce")
	case outcome == replay.Barred:
		return fault.New(fault.Unavailable, "the request was signed before this server was started, or up to %v later: sign it again then", authn.Future)
	}
	return fault.New(fault.Unavailable, "there is no room to remember the request: sign it again later").Because(fault.New(fault.Internal, "outcome %v", outcome))
}
