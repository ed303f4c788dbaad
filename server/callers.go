package server

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/authn"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/journal"
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
func authenticator(callers *tenant.Service, admin *authn.AdminToken, o *once, more ...authn.TokenKind) (authn.Authenticator, error) {
	signature, err := authn.Signature(authn.Signatures{Credential: callers.BySignature, Claim: o.claim, Transport: authn.Direct})
	if err != nil {
		return nil, err
	}
	kinds := append([]authn.TokenKind{{Is: tenant.IsToken, Check: callers.ByToken}}, more...)
	kinds = append(kinds, authn.TokenKind{Is: func(string) bool { return true }, Check: admin.Check})
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

// openJournal remembers on this node which nonces were used.
func openJournal(c Config, callers *tenant.Service, log *slog.Logger) (*journal.Journal, error) {
	return journal.Open(journal.Options{
		Dir:   filepath.Join(c.Data, replayFolder),
		Guard: replay.Options{Past: authn.Past, Future: authn.Future},
		First: !callers.Sign(), // nothing that could be sent again
		Alarm: func(err error) { log.Warn("replay journal", "error", err.Error()) },
	})
}

// once lets each nonce of a credential pass once, on all nodes that share the
// claims. It loads the key of the IDs with the first of them: a store in which
// nobody signs requests has none.
type once struct {
	db     database
	keys   *custody.Service
	claims gate.Claims

	mu   sync.Mutex
	gate atomic.Pointer[gate.Gate]
}

// claim is that of [authn.Signatures].
func (o *once) claim(ctx context.Context, now time.Time, id, nonce string, at time.Time) error {
	g, err := o.open(ctx)
	if err != nil {
		return fault.New(fault.Unavailable, "it is not known whether the request was sent before").Because(err)
	}
	return g.Check(ctx, now, gate.Rule{Profile: "api", Past: authn.Past}, gate.Message{KeyID: id, Nonce: nonce, At: at})
}

func (o *once) open(ctx context.Context) (*gate.Gate, error) {
	if g := o.gate.Load(); g != nil {
		return g, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if g := o.gate.Load(); g != nil {
		return g, nil
	}
	s, err := sharedSecret(ctx, o.db, o.keys, "nonces")
	if err != nil {
		return nil, err
	}
	key, err := replay.NewKey(s)
	if err != nil {
		return nil, err
	}
	o.gate.Store(&gate.Gate{Key: key, Claims: o.claims})
	return o.gate.Load(), nil
}
