// Package session lets people log in with a browser, and keeps them logged in
// by a cookie.
//
// Sessions are stored nowhere: the cookie is a pass that every node checks by
// itself, so there is no number of them to bound. It ends when it is idle, at
// the latest when its time is over, and at once when its caller is disabled.
// Logging out takes the cookie out of the browser; a copy of it goes on until it
// has been idle for long enough.
//
// A cookie is sent by a browser whoever wrote the page, so a request that could
// change something and comes from another origin is refused.
package session

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/pass"
)

// Options are what [New] needs. None may be nil, empty or 0 unless it is said.
type Options struct {
	Passes *pass.Service
	Login  Issuer

	// Origin returns the scheme of the URL in the browser, http or https, and
	// whether nobody on the way could read the request.
	Origin func(*http.Request) (scheme string, secure bool)

	Idle    time.Duration                                  // a session without a request ends after so long
	Longest time.Duration                                  // a session ends after so long; up to [pass.MaxLife]
	Caller  func(tenant, id string) (access.Caller, error) // see [pass.Options]

	Log *slog.Logger
	Now func() time.Time // nil means time.Now
}

// Issuer is where people log in.
type Issuer interface {
	// Begin returns the URL to which the browser is sent, and what Finish needs,
	// which the browser keeps. State comes back from the issuer.
	Begin(ctx context.Context) (url, state string, kept map[string]string, err error)

	// Finish returns who has logged in. The error is of kind [fault.Denied] or
	// [fault.Unavailable].
	Finish(ctx context.Context, kept map[string]string, code string) (pass.Proof, error)
}

// Paths of the pages.
const (
	pathLogin    = "/login"
	pathCallback = "/login/callback"
	pathLogout   = "/logout"

	afterLogin  = "/v1/me"
	attemptLife = 10 * time.Minute
	maxCode     = 4096 // bytes
	maxCookie   = 4000 // bytes of its value
)

// Sessions are the pages and the cookie. Get one from [New].
type Sessions struct {
	o      Options
	origin *http.CrossOriginProtection
}

// New returns sessions.
func New(o Options) *Sessions {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Sessions{o: o, origin: http.NewCrossOriginProtection()}
}

// Cookies. Only a server of the host itself, over TLS, can set one that begins
// with __Host-.
const (
	sessionCookie = "sealwright"
	loginCookie   = "sealwright-login"
)

func (s *Sessions) cookieName(r *http.Request, name string) string {
	if scheme, _ := s.o.Origin(r); scheme == "https" {
		return "__Host-" + name
	}
	return name
}

// cookie returns the value of a cookie that must stand there once.
func (s *Sessions) cookie(r *http.Request, name string) string {
	all := r.CookiesNamed(s.cookieName(r, name))
	if len(all) != 1 {
		return ""
	}
	return all[0].Value
}

// set sets a cookie until a time; the zero time removes it.
func (s *Sessions) set(w http.ResponseWriter, r *http.Request, name, value string, until time.Time) {
	scheme, _ := s.o.Origin(r)
	c := &http.Cookie{Name: s.cookieName(r, name), Value: value, Path: "/", HttpOnly: true, Secure: scheme == "https", SameSite: http.SameSiteLaxMode, MaxAge: -1}
	if !until.IsZero() {
		c.MaxAge = max(int(until.Sub(s.o.Now())/time.Second), 1)
	}
	http.SetCookie(w, c)
}

// Presented reports whether a request has the cookie of a session.
func (s *Sessions) Presented(r *http.Request) bool {
	return len(r.CookiesNamed(s.cookieName(r, sessionCookie))) > 0
}

// Check returns whose session it is. The error is of kind [fault.Denied] or
// [fault.Unavailable].
func (s *Sessions) Check(r *http.Request) (access.Caller, error) {
	c, _, err := s.check(r)
	return c, err
}

func (s *Sessions) check(r *http.Request) (access.Caller, pass.Pass, error) {
	if _, secure := s.o.Origin(r); !secure {
		return access.Caller{}, pass.Pass{}, fault.New(fault.Denied, "not authenticated: a session came without TLS from another machine (%s)", r.RemoteAddr)
	}
	if err := s.origin.Check(r); err != nil {
		return access.Caller{}, pass.Pass{}, fault.New(fault.Denied, "not authenticated").Because(err)
	}
	return s.o.Passes.Authenticate(pass.Session, s.cookie(r, sessionCookie))
}

// Handler returns the pages, and next for everything else.
func (s *Sessions) Handler(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathLogin, s.login)
	mux.HandleFunc("GET "+pathCallback, s.callback)
	mux.HandleFunc("POST "+pathLogout, s.logout)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case pathLogin, pathCallback, pathLogout:
			h := w.Header()
			h.Set("Cache-Control", "no-store")
			h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("X-Content-Type-Options", "nosniff")
			mux.ServeHTTP(w, r)
		default:
			s.renew(w, r)
			next.ServeHTTP(w, r)
		}
	})
}

// renew gives a session that is used its idle time again, when half of it is
// over.
func (s *Sessions) renew(w http.ResponseWriter, r *http.Request) {
	if !s.Presented(r) {
		return
	}
	_, p, err := s.check(r)
	if now := s.o.Now(); err == nil && p.Until.Sub(now) < s.o.Idle/2 && p.Until.Before(p.Ends) {
		_ = s.give(w, r, p) // it goes on with what it has
	}
}

// give sets the cookie of a session that ends at p.Ends.
func (s *Sessions) give(w http.ResponseWriter, r *http.Request, p pass.Pass) error {
	if p.Until = s.o.Now().Add(s.o.Idle); p.Ends.Before(p.Until) {
		p.Until = p.Ends
	}
	text, p, err := s.o.Passes.Issue(pass.Session, p)
	if err != nil {
		return err
	}
	if text.Len() > maxCookie {
		return fault.New(fault.Denied, "the session has %d bytes, of which a browser keeps %d: let rules match less", text.Len(), maxCookie)
	}
	s.set(w, r, sessionCookie, string(text.Expose()), p.Until)
	return nil
}

func (s *Sessions) login(w http.ResponseWriter, r *http.Request) {
	to := r.FormValue("to")
	if !isLocal(to) {
		to = afterLogin
	}
	url, state, kept, err := s.o.Login.Begin(r.Context())
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	kept["state"], kept["to"] = state, to
	text, p, err := s.o.Passes.Issue(pass.Login, pass.Pass{Claims: kept, Until: s.o.Now().Add(attemptLife)})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.set(w, r, loginCookie, string(text.Expose()), p.Until)
	http.Redirect(w, r, url, http.StatusSeeOther)
}

// isLocal reports whether to is a path of this server, which no browser reads
// as something else.
func isLocal(to string) bool {
	return strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") && len(to) <= 1024 &&
		!strings.ContainsFunc(to, func(c rune) bool { return c <= ' ' || c == '\\' || c >= 0x7f })
}

// callback is where the issuer sends the browser back to.
func (s *Sessions) callback(w http.ResponseWriter, r *http.Request) {
	attempt, err := s.o.Passes.Check(pass.Login, s.cookie(r, loginCookie))
	s.set(w, r, loginCookie, "", time.Time{})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	q := r.URL.Query()
	switch state, want := q.Get("state"), attempt.Claims["state"]; {
	case want == "" || len(q["state"]) != 1 || !mac.Equal([]byte(state), []byte(want)):
		s.refuse(w, r, fault.New(fault.Denied, "the state is not that of the attempt"))
		return
	case len(q["code"]) != 1 || len(q.Get("code")) > maxCode:
		s.refuse(w, r, fault.New(fault.Denied, "the issuer sends no code, but error %.100q", q.Get("error")))
		return
	}
	proof, err := s.o.Login.Finish(r.Context(), attempt.Claims, q.Get("code"))
	if err == nil {
		_, err = s.o.Caller(proof.Tenant, proof.Caller)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	p := pass.Pass{
		Caller: proof.Caller, Tenant: proof.Tenant, Issuer: proof.Issuer, Subject: proof.Subject, Claims: proof.Claims, Ends: s.o.Now().Add(s.o.Longest).UTC().Truncate(time.Second),
	}
	if err := s.give(w, r, p); err != nil {
		s.refuse(w, r, err)
		return
	}
	s.o.Log.Info("logged in", "caller", p.Caller, "tenant", p.Tenant, "issuer", p.Issuer, "subject", p.Subject, "claims", p.Claims)
	http.Redirect(w, r, attempt.Claims["to"], http.StatusSeeOther)
}

func (s *Sessions) logout(w http.ResponseWriter, r *http.Request) {
	if err := s.origin.Check(r); err != nil {
		s.refuse(w, r, fault.New(fault.Denied, "another origin").Because(err))
		return
	}
	s.set(w, r, sessionCookie, "", time.Time{})
	w.WriteHeader(http.StatusNoContent)
}

// refuse says the same to whoever cannot log in. The log knows why.
func (s *Sessions) refuse(w http.ResponseWriter, r *http.Request, err error) {
	s.o.Log.Info("not logged in", "path", r.URL.Path, "peer", r.RemoteAddr, "error", err.Error())
	if fault.KindOf(err) == fault.Unavailable {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "Logging in is not possible now. Try again later.", http.StatusServiceUnavailable)
		return
	}
	http.Error(w, "You are not logged in. Try again, or ask an operator.", http.StatusForbidden)
}
