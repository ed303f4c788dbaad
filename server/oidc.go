package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/replay"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/authn"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/journal"
	"github.com/sealwright/sealwright/server/internal/oidc"
	"github.com/sealwright/sealwright/server/internal/pass"
	"github.com/sealwright/sealwright/server/internal/session"
	"github.com/sealwright/sealwright/server/internal/store"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

// IssuerFile is an OpenID Connect issuer whose tokens are exchanged for ours;
// see [oidc.Config].
type IssuerFile struct {
	Name       Setting        `yaml:"name"`
	Kind       Setting        `yaml:"kind"` // generic, github, gitlab or kubernetes
	Issuer     Setting        `yaml:"issuer"`
	Audience   Setting        `yaml:"audience"`
	Parties    []Setting      `yaml:"authorized_parties"`
	Algorithms []Setting      `yaml:"algorithms"`
	KeysURL    Setting        `yaml:"jwks_url"`
	KeysFile   Setting        `yaml:"jwks_file"`
	CAFile     Setting        `yaml:"ca_file"`
	TokenLife  Setting        `yaml:"token_life"`
	Rules      []OIDCRuleFile `yaml:"rules"`
}

// OIDCRuleFile says which caller a token stands for; see [oidc.Rule].
type OIDCRuleFile struct {
	Match  map[string]Setting `yaml:"match"`
	Tenant Setting            `yaml:"tenant"` // default, if it is missing
	Caller Setting            `yaml:"caller"`
}

// rule returns the rule, and where it stands.
func (f OIDCRuleFile) rule() (oidc.Rule, Setting) {
	r := oidc.Rule{Match: map[string]string{}, Tenant: f.Tenant.Text, Caller: f.Caller.Text}
	at := f.Caller
	for claim, v := range f.Match {
		r.Match[claim] = v.Text
		if at.Line == 0 || v.Line < at.Line {
			at = v
		}
	}
	if f.Tenant.Line == 0 && !strings.HasPrefix(r.Caller, access.OperatorPrefix) {
		r.Tenant = access.DefaultTenant
	}
	return r, at
}

// issuers checks the issuers, each one and then all together.
func (s *settings) issuers(files []IssuerFile) []oidc.Config {
	var list []oidc.Config
	names, urls := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		c, rules := s.issuer(f)
		if names[c.Name] || urls[c.URL] {
			s.check("oidc."+c.Name, f.Issuer, fmt.Errorf("name or issuer %s stands twice", c.URL))
		}
		names[c.Name], urls[c.URL] = true, true
		s.faults("oidc."+c.Name, c, f.Issuer, rules)
		list = append(list, c)
	}
	return list
}

// faults notes what is wrong with an issuer, with the places of its rules.
func (s *settings) faults(name string, c oidc.Config, issuer Setting, rules []Setting) {
	for _, fault := range c.Check() {
		at := issuer
		if fault.Rule >= 0 {
			at = rules[fault.Rule]
		}
		s.check(name, at, fault.Err)
	}
}

func texts(from []Setting) (list []string) {
	for _, v := range from {
		list = append(list, v.Text)
	}
	return list
}

func (s *settings) issuer(f IssuerFile) (c oidc.Config, rules []Setting) {
	c.Name = f.Name.Text
	text := func(name string, from Setting) string { return s.text("oidc."+c.Name+"."+name, "", from, "") }
	c.Kind, c.URL, c.Audience = oidc.Kind(text("kind", f.Kind)), text("issuer", f.Issuer), text("audience", f.Audience)
	c.Parties, c.Algorithms = texts(f.Parties), texts(f.Algorithms)
	c.KeysURL, c.KeysFile, c.CAFile = text("jwks_url", f.KeysURL), text("jwks_file", f.KeysFile), text("ca_file", f.CAFile)
	c.TokenLife = s.duration("oidc."+c.Name+".token_life", 0, f.TokenLife, pass.MaxTokenLife, pass.MinTokenLife, pass.MaxTokenLife)
	c.Rules, rules = s.oidcRules("oidc."+c.Name, f.Rules)
	return c, rules
}

func (s *settings) oidcRules(name string, files []OIDCRuleFile) (list []oidc.Rule, places []Setting) {
	for i, f := range files {
		rule, at := f.rule()
		if isOperator := strings.HasPrefix(rule.Caller, access.OperatorPrefix); isOperator != (rule.Tenant == "") {
			s.check(name, at, fmt.Errorf("rules[%d]: an operator has no tenant, and everybody else has one", i))
		}
		s.holds(fmt.Sprintf("%s.rules[%d]", name, i), rule.Caller, at)
		list, places = append(list, rule), append(places, at)
	}
	return list, places
}

// replayTokens is the folder in the data folder that remembers which tokens of
// issuers were exchanged.
const replayTokens = "replay-tokens"

// renewEvery is how often the keys of our own tokens are looked at.
const renewEvery = time.Hour

// tokens exchanges tokens of issuers for ours, and checks those; and it lets
// people log in. The zero value is a server without either.
type tokens struct {
	passes   *pass.Service     // nil if there is neither
	sessions *session.Sessions // nil if nobody can log in
	exchange *pass.Exchange    // nil if there are no issuers
	seen     *journal.Journal  // nil if it is Redis that remembers
	log      *slog.Logger
}

// callerByID is that of [pass.Options].
type callerByID = func(tenant, id string) (access.Caller, error)

// openTokens opens the exchange, if there are issuers, and the login.
func openTokens(ctx context.Context, c Config, db database, keys *custody.Service, callers *tenant.Service, nodes cluster, used *guard, log *slog.Logger) (*tokens, error) {
	if len(c.issuers) == 0 && c.login == nil {
		return &tokens{}, nil
	}
	o := pass.Options{Store: db, Sealer: keys, Caller: callers.ByID}
	if nodes.node != nil {
		o.Current = nodes.node.Current
	}
	passes, err := pass.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	t := &tokens{log: log, passes: passes}
	if err := t.openLogin(c.login, callers.ByID); err != nil {
		return nil, err
	}
	return t, t.openExchange(c, used)
}

// openExchange opens the exchange, if there are issuers. Redis remembers what
// was exchanged if there is one, else this node.
func (t *tokens) openExchange(c Config, used *guard) error {
	if len(c.issuers) == 0 {
		return nil
	}
	issuers, err := oidc.Open(c.issuers, nil)
	if err != nil {
		return err
	}
	var claims gate.Claims = used.shared
	if used.shared == nil {
		if t.seen, err = journal.Open(journal.Options{
			Dir: filepath.Join(c.Data, replayTokens), Mode: journal.Sync, Key: used.gate.Key, First: t.passes.First(),
			Guard: replay.Options{Past: rememberFor, Future: oidc.Skew, Capacity: 1 << 20},
			Alarm: used.alarm("journal of exchanged tokens"),
		}); err != nil {
			return err
		}
		claims = t.seen
	}
	g := &gate.Gate{Key: used.gate.Key, Claims: claims}
	t.exchange = &pass.Exchange{Passes: t.passes, Verify: issuers.Verify, Once: func(ctx context.Context, now time.Time, p pass.Proof) error {
		return exchangedOnce(used.counted(g.Check(ctx, now, gate.Rule{Profile: "oidc", Past: rememberFor}, gate.Message{
			KeyID: p.IssuerURL, Nonce: p.TokenID, At: p.IssuedAt,
		})))
	}}
	return nil
}

// rememberFor is how long after its issue a token can pass.
const rememberFor = oidc.MaxLife + oidc.Skew

// exchangedOnce says about tokens what the gate says about messages.
func exchangedOnce(err error) error {
	switch fault.KindOf(err) {
	case fault.Conflict:
		return fault.New(fault.Conflict, "the token was exchanged before: get another one").Because(err)
	case fault.Unavailable:
		return fault.New(fault.Unavailable, "it is not known whether the token was exchanged before: get another one and try again").Because(err)
	}
	return err
}

// kinds are the bearer tokens that it knows.
func (t *tokens) kinds() []authn.TokenKind {
	if t.passes == nil {
		return nil
	}
	return []authn.TokenKind{{Is: pass.Is, Check: func(text string) (access.Caller, error) {
		c, _, err := t.passes.Authenticate(pass.Token, text)
		return c, err
	}}}
}

// give is that of [rest.Options], nil if there are no issuers. Who fails too
// often is slowed down by slow.
func (t *tokens) give(slow func(authenticate) authenticate) func(*http.Request, string) (api.AccessToken, error) {
	if t.exchange == nil {
		return nil
	}
	return func(r *http.Request, token string) (out api.AccessToken, err error) {
		_, err = slow(func(r *http.Request) (access.Caller, error) {
			out, err = t.token(r, token)
			return access.Caller{}, err
		})(r)
		return out, err
	}
}

func (t *tokens) token(r *http.Request, token string) (api.AccessToken, error) {
	if !authn.Direct(r).Secure {
		return api.AccessToken{}, fault.New(fault.Denied, "not authenticated: a token came without TLS from another machine (%s), where others can read it", r.RemoteAddr)
	}
	text, p, err := t.exchange.Token(r.Context(), token)
	if err != nil {
		return api.AccessToken{}, err
	}
	t.log.Info("token exchanged", "caller", p.Caller, "tenant", p.Tenant, "issuer", p.Issuer, "subject", p.Subject, "claims", p.Claims, "token_id", p.ID)
	return api.AccessToken{
		Token: string(text.Expose()), Caller: p.Caller, Tenant: p.Tenant, ExpiresAt: p.Until, ExpiresIn: int(p.Until.Sub(p.IssuedAt) / time.Second),
	}, nil
}

// apply follows the keys that other nodes make.
func (t *tokens) apply(ctx context.Context, page []store.Entry) error {
	if t.passes == nil {
		return nil
	}
	return t.passes.Apply(ctx, page)
}

// start makes new keys in time until the function that it returns is called.
func (t *tokens) start(ctx context.Context) (stop func()) {
	if t.passes == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		for tick := time.NewTicker(renewEvery); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
			}
			if err := t.passes.Renew(ctx); err != nil && ctx.Err() == nil {
				t.log.Error("cannot renew the keys of tokens", "error", err.Error())
			}
		}
	})
	return func() {
		cancel()
		group.Wait()
	}
}

// Close ends what openTokens has opened.
func (t *tokens) Close() error {
	if t.seen == nil {
		return nil
	}
	return t.seen.Close()
}
