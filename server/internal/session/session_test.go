package session_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms/local"
	"github.com/sealwright/sealwright/server/internal/oidc"
	"github.com/sealwright/sealwright/server/internal/oidc/oidctest"
	"github.com/sealwright/sealwright/server/internal/pass"
	"github.com/sealwright/sealwright/server/internal/session"
	"github.com/sealwright/sealwright/server/internal/store/memory"
)

// house is a server at which people log in, with a clock, in front of which is
// TLS or not.
type house struct {
	*session.Sessions
	issuer *oidctest.Issuer
	url    string
	client *http.Client // the browser
	log    *bytes.Buffer

	mu       sync.Mutex
	now      time.Time
	disabled bool
	scheme   string
	secure   bool
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{issuer: oidctest.New(t), now: time.Now(), scheme: "http", secure: true, log: &bytes.Buffer{}}
	h.issuer.SetPerson(h.person(nil))
	st := memory.New()
	root, err := local.LoadOrCreate(filepath.Join(t.TempDir(), "root.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := custody.Open(t.Context(), custody.Options{Store: st, Wrapper: root})
	if err != nil {
		t.Fatal(err)
	}
	passes, err := pass.Open(t.Context(), pass.Options{Store: st, Sealer: sealer, Caller: h.caller, Now: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.Handler(http.HandlerFunc(h.page)).ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	h.url = srv.URL
	login, err := oidc.OpenLogin(oidc.LoginConfig{
		Issuer: oidc.Config{Name: "login", URL: h.issuer.URL, Audience: "sealwright", Rules: []oidc.Rule{
			{Match: map[string]string{"groups": "sealwright-operators"}, Caller: "operator:alice"},
		}},
		Redirect: h.url + "/login/callback", Scopes: []string{"groups"},
		Secret: func() (secret.Bytes, error) { return secret.FromString(oidctest.ClientSecret), nil },
	}, h.clock)
	if err != nil {
		t.Fatal(err)
	}
	h.Sessions = session.New(session.Options{
		Passes: passes, Login: login, Idle: 30 * time.Minute, Longest: 2 * time.Hour, Caller: h.caller, Now: h.clock,
		Log: slog.New(slog.NewTextHandler(h.log, nil)), Origin: func(*http.Request) (string, bool) { return h.scheme, h.secure },
	})
	h.client = newBrowser(t)
	return h
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) later(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (h *house) caller(_, id string) (access.Caller, error) {
	if h.disabled {
		return access.Caller{}, fault.New(fault.Denied, "caller %q is disabled", id)
	}
	return access.TenantAdministrator(id, "default"), nil
}

// person are the claims of who logs in at the issuer now.
func (h *house) person(edit func(oidctest.Claims)) oidctest.Claims {
	now := h.clock()
	c := oidctest.Claims{"iss": h.issuer.URL, "sub": "alice", "groups": []string{"staff", "sealwright-operators"}, "iat": now.Unix(), "exp": now.Unix() + 300}
	if edit != nil {
		edit(c)
	}
	return c
}

// page is what is behind a login.
func (h *house) page(w http.ResponseWriter, r *http.Request) {
	if !h.Presented(r) {
		http.Error(w, "nobody", http.StatusUnauthorized)
		return
	}
	c, err := h.Check(r)
	if err != nil {
		http.Error(w, fault.Public(err), http.StatusUnauthorized)
		return
	}
	fmt.Fprintf(w, "%s at %s", c.ID, r.URL.Path)
}

func (h *house) get(t *testing.T, path string) (int, string) {
	t.Helper()
	answer, err := h.client.Get(h.url + path)
	if err != nil {
		t.Fatal(err)
	}
	return body(t, answer)
}

func body(t *testing.T, answer *http.Response) (int, string) {
	t.Helper()
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, strings.TrimSpace(string(text))
}

func (h *house) want(t *testing.T, what, path string, status int, text string) {
	t.Helper()
	if got, body := h.get(t, path); got != status || body != text {
		t.Errorf("%s: got %d %q, want %d %q", what, got, body, status, text)
	}
}

func TestLogin(t *testing.T) {
	h := newHouse(t)
	h.want(t, "before", "/x", 401, "nobody")
	h.want(t, "login", "/login?to=/keys", 200, "operator:alice at /keys")
	h.want(t, "afterwards", "/x", 200, "operator:alice at /x")
	if log := h.log.String(); !strings.Contains(log, `msg="logged in" caller=operator:alice tenant="" issuer=login subject=alice claims=map[groups:sealwright-operators]`) {
		t.Errorf("logged %s", log)
	}
	answer, err := h.client.Post(h.url+"/logout", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := body(t, answer); status != 204 {
		t.Errorf("logout: got %d", status)
	}
	h.want(t, "after the logout", "/x", 401, "nobody")
	h.want(t, "where a login leads to", "/login", 200, "operator:alice at /v1/me")
	for _, to := range []string{"//evil.example.com", "https://evil.example.com", `/\evil.example.com`, "/%0a/evil", "javascript:x", "/" + strings.Repeat("x", 1024)} {
		h.want(t, to, "/login?to="+to, 200, "operator:alice at /v1/me")
	}
}

// The cookies, by how the request came.
func TestCookies(t *testing.T) {
	h := newHouse(t)
	for scheme, want := range map[string]string{"https": "__Host-sealwright-login", "http": "sealwright-login"} {
		h.scheme = scheme
		w := httptest.NewRecorder()
		h.Handler(nil).ServeHTTP(w, httptest.NewRequest("GET", "/login", nil))
		c := w.Result().Cookies()
		if w.Code != 303 || len(c) != 1 || c[0].Name != want || !c[0].HttpOnly || c[0].Secure != (scheme == "https") || c[0].SameSite != http.SameSiteLaxMode ||
			c[0].Path != "/" || c[0].Domain != "" || c[0].MaxAge < 598 || c[0].MaxAge > 600 {
			t.Errorf("%s: got %d, %+v", scheme, w.Code, c)
		}
		q, err := url.Parse(w.Header().Get("Location"))
		if err != nil || q.Query().Get("scope") != "openid groups" || q.Query().Get("code_challenge_method") != "S256" || q.Query().Get("client_id") != "sealwright" {
			t.Errorf("sent to %s", q)
		}
		if w.Header().Get("Cache-Control") != "no-store" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("got header %v", w.Header())
		}
	}
}

// started returns the callback of a login that the browser has begun, with its
// code, before it goes there.
func (h *house) started(t *testing.T, browser *http.Client) *url.URL {
	t.Helper()
	stop := *browser
	stop.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/callback") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	answer, err := stop.Get(h.url + "/login")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = body(t, answer)
	u, err := answer.Location()
	if err != nil || u.Query().Get("code") == "" {
		t.Fatalf("got %v, %v", u, err)
	}
	return u
}

const refusal = "You are not logged in. Try again, or ask an operator."

// Every callback that is not that of a login which this browser has begun is
// refused, always in the same words, and nobody is logged in.
func TestCallbackRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*testing.T, *house, *url.URL)
	}{
		{"StateOfAnother", func(t *testing.T, h *house, u *url.URL) { *u = *h.started(t, newBrowser(t)) }},
		{"NoState", func(_ *testing.T, _ *house, u *url.URL) { edit(u, "state") }},
		{"TwoStates", func(_ *testing.T, _ *house, u *url.URL) { edit(u, "state", u.Query().Get("state"), "x") }},
		{"NoCode", func(_ *testing.T, _ *house, u *url.URL) { edit(u, "code") }},
		{"TwoCodes", func(_ *testing.T, _ *house, u *url.URL) { edit(u, "code", u.Query().Get("code"), "x") }},
		{"WrongCode", func(_ *testing.T, _ *house, u *url.URL) { edit(u, "code", "x") }},
		{"CodeOfAnother", func(t *testing.T, h *house, u *url.URL) {
			edit(u, "code", h.started(t, newBrowser(t)).Query().Get("code")) // of another PKCE challenge
		}},
		{"LongCode", func(_ *testing.T, _ *house, u *url.URL) { edit(u, "code", strings.Repeat("x", 5000)) }},
		{"ReplayedCode", func(t *testing.T, h *house, u *url.URL) {
			other := newBrowser(t)
			other.Jar.SetCookies(u, h.client.Jar.Cookies(u))
			answer, err := other.Get(u.String())
			if err != nil {
				t.Fatal(err)
			}
			if status, text := body(t, answer); status != 200 {
				t.Fatalf("the first use: got %d %s", status, text)
			}
		}},
		{"NoCookie", func(t *testing.T, h *house, _ *url.URL) { h.client = newBrowser(t) }},
		{"TooLate", func(_ *testing.T, h *house, _ *url.URL) { h.later(10 * time.Minute) }},
		{"Disabled", func(_ *testing.T, h *house, _ *url.URL) { h.disabled = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			u := h.started(t, h.client)
			tt.spoil(t, h, u)
			answer, err := h.client.Get(u.String())
			if err != nil {
				t.Fatal(err)
			}
			if status, text := body(t, answer); status != 403 || text != refusal {
				t.Errorf("got %d %q", status, text)
			}
			h.disabled = false
			h.want(t, "afterwards", "/x", 401, "nobody")
			if !strings.Contains(h.log.String(), "not logged in") {
				t.Errorf("logged %s", h.log)
			}
		})
	}
}

// edit replaces a parameter by others.
func edit(u *url.URL, name string, values ...string) {
	q := u.Query()
	q[name] = values
	u.RawQuery = q.Encode()
}

// What the issuer says about a person is checked like any token.
func TestPersonRefused(t *testing.T) {
	for name, claims := range map[string]oidctest.Claims{
		"OtherGroup": {"groups": []string{"staff"}}, "NoGroups": {"groups": nil}, "OtherClient": {"aud": "other"}, "OtherParty": {"azp": "other"},
		"OtherNonce": {"nonce": "x"}, "NoNonce": {"nonce": ""}, "OtherIssuer": {"iss": "https://evil.example.com"}, "Expired": {"iat": 1, "exp": 2}, "NoSubject": {"sub": ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.issuer.SetPerson(h.person(func(c oidctest.Claims) {
				for k, v := range claims {
					c[k] = v
				}
			}))
			h.want(t, "login", "/login", 403, refusal)
			h.want(t, "afterwards", "/x", 401, "nobody")
		})
	}
}

func TestIssuerDown(t *testing.T) {
	h := newHouse(t)
	h.issuer.SetDown(true)
	h.want(t, "down", "/login", 503, "Logging in is not possible now. Try again later.")
	h.issuer.SetDown(false)
	h.later(10 * time.Second)
	h.want(t, "back", "/login", 200, "operator:alice at /v1/me")
}

// A session that is used goes on, until its time is over; one that is idle ends.
func TestSessionEnds(t *testing.T) {
	h := newHouse(t)
	begin := func() {
		t.Helper()
		h.client = newBrowser(t)
		h.issuer.SetPerson(h.person(nil))
		h.want(t, "login", "/login", 200, "operator:alice at /v1/me")
	}
	begin()
	h.later(31 * time.Minute)
	h.wantGone(t, "idle")

	begin()
	for spent := time.Duration(0); spent < 100*time.Minute; spent += 20 * time.Minute {
		h.later(20 * time.Minute)
		h.want(t, "used", "/x", 200, "operator:alice at /x")
	}
	h.later(19 * time.Minute)
	h.want(t, "in its last minute", "/x", 200, "operator:alice at /x")
	h.later(time.Minute)
	h.wantGone(t, "over")

	begin()
	h.disabled = true
	h.wantGone(t, "disabled")
	h.disabled = false
	h.want(t, "enabled again", "/x", 200, "operator:alice at /x")
}

// wantGone checks that the session counts for nothing; the cookie jar has a
// clock of its own.
func (h *house) wantGone(t *testing.T, what string) {
	t.Helper()
	if status, text := h.get(t, "/x"); status != 401 {
		t.Errorf("%s: got %d %s", what, status, text)
	}
}

// TestCSRF: a page of another origin can have a browser send the cookie, and
// gets nothing changed by it.
func TestCSRF(t *testing.T) {
	h := newHouse(t)
	h.want(t, "login", "/login", 200, "operator:alice at /v1/me")
	for _, tt := range []struct {
		name   string
		method string
		header [2]string
		ok     bool
	}{
		{"OwnPage", "POST", [2]string{"Sec-Fetch-Site", "same-origin"}, true},
		{"NoBrowser", "POST", [2]string{}, true},
		{"OwnOrigin", "POST", [2]string{"Origin", "own"}, true},
		{"Reading", "GET", [2]string{"Sec-Fetch-Site", "cross-site"}, true},
		{"OtherSite", "POST", [2]string{"Sec-Fetch-Site", "cross-site"}, false},
		{"OtherHostOfTheSite", "POST", [2]string{"Sec-Fetch-Site", "same-site"}, false},
		{"OtherOrigin", "POST", [2]string{"Origin", "https://evil.example.com"}, false},
		{"NoOrigin", "DELETE", [2]string{"Origin", "null"}, false},
	} {
		for path, status := range map[string]int{"/x": 200, "/logout": 204} {
			if path == "/logout" && tt.method != "POST" {
				continue
			}
			r, err := http.NewRequest(tt.method, h.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.header[1] == "own" {
				tt.header[1] = h.url
			}
			if tt.header[0] != "" {
				r.Header.Set(tt.header[0], tt.header[1])
			}
			for _, c := range h.client.Jar.Cookies(r.URL) {
				r.AddCookie(c)
			}
			answer, err := http.DefaultClient.Do(r) // without a jar: logging out changes nothing here
			if err != nil {
				t.Fatal(err)
			}
			if got, text := body(t, answer); (got == status) != tt.ok {
				t.Errorf("%s at %s: got %d %s", tt.name, path, got, text)
			}
		}
	}
}

// A cookie is refused where others can read it, if it is of another kind, is
// there twice, or was changed.
func TestCookieRefused(t *testing.T) {
	h := newHouse(t)
	begun := h.started(t, h.client)
	login := h.client.Jar.Cookies(begun)[0].Value
	h.want(t, "login", "/login", 200, "operator:alice at /v1/me")
	u, err := url.Parse(h.url)
	if err != nil {
		t.Fatal(err)
	}
	value := ""
	for _, c := range h.client.Jar.Cookies(u) {
		if c.Name == "sealwright" {
			value = c.Value
		}
	}
	check := func(values ...string) error {
		r := httptest.NewRequest("GET", "/", nil)
		for _, v := range values {
			r.AddCookie(&http.Cookie{Name: "sealwright", Value: v})
		}
		_, err := h.Check(r)
		return err
	}
	if err := check(value); err != nil {
		t.Fatal(err)
	}
	for name, values := range map[string][]string{"OfALogin": {login}, "Twice": {value, value}, "Changed": {value[:len(value)-2] + "AA"}, "Empty": {""}, "None": nil} {
		if err := check(values...); !errors.Is(err, fault.Denied) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	h.secure = false
	if err := check(value); !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("in the open: got %v", err)
	}
	h.secure, h.scheme = true, "https"
	if err := check(value); !errors.Is(err, fault.Denied) {
		t.Errorf("of plain HTTP over TLS: got %v", err)
	}
}
