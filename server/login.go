package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sealwright/sealwright/server/internal/authn"
	"github.com/sealwright/sealwright/server/internal/oidc"
	"github.com/sealwright/sealwright/server/internal/pass"
	"github.com/sealwright/sealwright/server/internal/session"
)

// LoginFile says where people log in with a browser. The secret of the client is
// named, as env:NAME, file:PATH or cred:NAME.
type LoginFile struct {
	URL        Setting        `yaml:"url"` // of this server, as browsers see it
	Issuer     Setting        `yaml:"issuer"`
	ClientID   Setting        `yaml:"client_id"`
	Secret     Setting        `yaml:"client_secret"`
	Algorithms []Setting      `yaml:"algorithms"`
	Scopes     []Setting      `yaml:"scopes"` // beside openid
	CAFile     Setting        `yaml:"ca_file"`
	Idle       Setting        `yaml:"idle"`
	Longest    Setting        `yaml:"longest"`
	Rules      []OIDCRuleFile `yaml:"rules"`
}

// loginConfig is a LoginFile that was checked.
type loginConfig struct {
	oidc.LoginConfig
	idle, longest time.Duration
}

// Bounds and defaults of sessions.
const (
	defaultIdle    = 30 * time.Minute
	defaultLongest = 12 * time.Hour
	minIdle        = 5 * time.Minute
)

// login returns nil if nobody can log in.
func (s *settings) login(f LoginFile) *loginConfig {
	c := &loginConfig{LoginConfig: oidc.LoginConfig{Issuer: oidc.Config{Name: "login"}}}
	text := func(name string, from Setting) string { return s.text("login."+name, "", from, "") }
	base := text("url", f.URL)
	c.Issuer.URL, c.Issuer.Audience, c.Issuer.CAFile = text("issuer", f.Issuer), text("client_id", f.ClientID), text("ca_file", f.CAFile)
	if base == "" && c.Issuer.URL == "" && len(f.Rules) == 0 {
		return nil
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || remote(u.Host)) || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		s.check("login.url", f.URL, fmt.Errorf("got %q, want the URL of this server, such as https://seal.example.com", base))
	}
	c.Redirect = strings.TrimSuffix(base, "/") + "/login/callback"
	if name := text("client_secret", f.Secret); name != "" {
		c.Secret, err = reference(name)
		s.check("login.client_secret", f.Secret, err)
	}
	c.Issuer.Algorithms, c.Scopes = texts(f.Algorithms), texts(f.Scopes)
	c.idle = s.duration("login.idle", 0, f.Idle, defaultIdle, minIdle, pass.MaxLife)
	c.longest = s.duration("login.longest", 0, f.Longest, defaultLongest, minIdle, pass.MaxLife)
	if c.idle > c.longest {
		s.check("login.idle", f.Idle, errors.New("is longer than login.longest"))
	}
	var rules []Setting
	c.Issuer.Rules, rules = s.oidcRules("login", f.Rules)
	s.faults("login", c.Issuer, f.Issuer, rules)
	return c
}

// openLogin opens the pages with which people log in.
func (t *tokens) openLogin(c *loginConfig, caller callerByID) error {
	if c == nil {
		return nil
	}
	login, err := oidc.OpenLogin(c.LoginConfig, nil)
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	t.sessions = session.New(session.Options{
		Passes: t.passes, Login: login, Idle: c.idle, Longest: c.longest, Caller: caller, Log: t.log,
		Origin: func(r *http.Request) (string, bool) {
			o := authn.Direct(r)
			return o.Scheme, o.Secure
		},
	})
	return nil
}

// methods are the ways to prove who one is that it knows beside bearer tokens.
func (t *tokens) methods() []authn.Method {
	if t.sessions == nil {
		return nil
	}
	return []authn.Method{{Name: "a session", Presented: t.sessions.Presented, Check: t.sessions.Check}}
}

// pages returns next with the pages with which people log in, if there are any.
func (t *tokens) pages(next http.Handler) http.Handler {
	if t.sessions == nil {
		return next
	}
	return t.sessions.Handler(next)
}
