package server

import (
	"context"
	"net/http"
	"time"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/authn"
	"github.com/sealwright/sealwright/server/internal/custody"
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
// among them, by a signature, or by a client certificate. Further kinds of tokens stand before the last
// one, which takes every text; further methods stand beside these.
//
// A node that is cut off for too long does not take the token of the
// administrator either: it could have been replaced.
func authenticator(callers *tenant.Service, admin *authn.AdminToken, nodes cluster, seen *guard, more ...authn.TokenKind) (authn.Authenticator, error) {
	signature, err := authn.Signature(authn.Signatures{Credential: callers.BySignature, Claim: seen.request, Transport: authn.Direct})
	if err != nil {
		return nil, err
	}
	kinds := append([]authn.TokenKind{{Is: tenant.IsToken, Check: callers.ByToken}}, more...)
	kinds = append(kinds, authn.TokenKind{Is: func(string) bool { return true }, Check: func(token string) (access.Caller, error) {
		if nodes.node != nil {
			if err := nodes.node.Usable(); err != nil {
				return access.Caller{}, err
			}
		}
		return admin.Check(token)
	}})
	return authn.Authenticator{authn.Bearer(authn.Direct, kinds...), signature, authn.Certificate(callers.ByCertificate, nil)}, nil
}

// authenticate is how somebody is known by a request.
type authenticate = func(*http.Request) (access.Caller, error)

// slowDown returns what slows addresses down that fail too often, in everything
// that it was called for together.
func slowDown(c limitsConfig) func(authenticate) authenticate {
	if !c.failures {
		return func(a authenticate) authenticate { return a }
	}
	failures := limit.NewFailures(limit.NewMap(time.Now(), 0))
	return func(a authenticate) authenticate { return authn.Slow(a, failures, nil) }
}
