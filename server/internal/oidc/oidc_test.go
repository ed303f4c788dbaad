package oidc_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/oidc"
	"github.com/sealwright/sealwright/server/internal/oidc/oidctest"
)

const audience = "https://seal.example.com"

var start = time.Date(2026, 11, 3, 4, 5, 6, 0, time.UTC)

// house is a verifier of one issuer, with a clock.
type house struct {
	*oidc.Issuers
	issuer *oidctest.Issuer
	now    time.Time
}

func newHouse(t *testing.T, edit func(*oidc.Config)) *house {
	t.Helper()
	h := &house{issuer: oidctest.New(t), now: start}
	c := oidc.Config{Name: "github", Kind: oidc.GitHub, URL: h.issuer.URL, Audience: audience, Rules: []oidc.Rule{
		{Match: map[string]string{"repository_id": "74", "repository_owner_id": "65", "ref": "refs/heads/main"}, Tenant: "default", Caller: "ci"},
		{Match: map[string]string{"repository_id": "74", "repository_owner_id": "65", "ref": "refs/tags/v*"}, Tenant: "default", Caller: "release"},
	}}
	if edit != nil {
		edit(&c)
	}
	var err error
	if h.Issuers, err = oidc.Open([]oidc.Config{c}, func() time.Time { return h.now }); err != nil {
		t.Fatal(err)
	}
	return h
}

// claims returns those of a good token, changed by edit.
func (h *house) claims(edit func(oidctest.Claims)) oidctest.Claims {
	c := h.issuer.GitHub(audience, h.now)
	if edit != nil {
		edit(c)
	}
	return c
}

func (h *house) token(edit func(oidctest.Claims)) string { return h.issuer.Sign(h.claims(edit)) }

func set(name string, v any) func(oidctest.Claims) { return func(c oidctest.Claims) { c[name] = v } }

func without(name string) func(oidctest.Claims) { return func(c oidctest.Claims) { delete(c, name) } }

func refused(t *testing.T, err error, kind fault.Kind, reason string) {
	t.Helper()
	if fault.KindOf(err) != kind || !strings.Contains(err.Error(), reason) {
		t.Errorf("got %v, want one of kind %v with %q", err, kind, reason)
	}
	if kind == fault.Denied && fault.Public(err) != "not authenticated" {
		t.Errorf("to the outside: got %q", fault.Public(err))
	}
}

func TestGoodToken(t *testing.T) {
	h := newHouse(t, nil)
	got, err := h.Verify(t.Context(), h.token(nil))
	if err != nil {
		t.Fatal(err)
	}
	if got.Issuer != "github" || got.Caller != "ci" || got.Tenant != "default" || got.Subject != "repo:octo-org/octo-repo:ref:refs/heads/main" ||
		!got.IssuedAt.Equal(start) || !got.Until.Equal(start.Add(5*time.Minute)) || !strings.HasPrefix(got.TokenID, "jti:") {
		t.Errorf("got %+v", got)
	}
	if want := map[string]string{"repository_id": "74", "repository_owner_id": "65", "ref": "refs/heads/main"}; !maps.Equal(got.Claims, want) {
		t.Errorf("claims: got %v, want %v", got.Claims, want)
	}
	got, err = h.Verify(t.Context(), h.token(set("ref", "refs/tags/v1.2")))
	if err != nil || got.Caller != "release" || got.Claims["ref"] != "refs/tags/v1.2" {
		t.Errorf("by a prefix: got %+v, %v", got, err)
	}
}

// Every claim that counts is wrong once.
func TestClaimsRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		edit   func(oidctest.Claims)
		reason string
	}{
		{"Issuer", set("iss", "https://evil.example.com"), "no known issuer"},
		{"IssuerWithSlash", func(c oidctest.Claims) { c["iss"] = c["iss"].(string) + "/" }, "no known issuer"},
		{"IssuerIsNoText", set("iss", 1), "no known issuer"},
		{"NoIssuer", without("iss"), "no known issuer"},
		{"Audience", set("aud", "https://other.example.com"), "aud: got"},
		{"AudiencePrefix", set("aud", audience+"/"), "aud: got"},
		{"AudienceBesideAnother", set("aud", []string{audience, "https://other.example.com"}), "aud: got"},
		{"NoAudience", without("aud"), "aud: got"},
		{"AudienceInList", set("aud", []any{[]string{audience}}), "aud: got"},
		{"Party", set("azp", "somebody"), "azp: got"},
		{"PartyIsNoText", set("azp", 7), "azp is no text"},
		{"NoSubject", without("sub"), "sub is missing"},
		{"NoExpiry", without("exp"), "iat or exp is missing"},
		{"NoIssuedAt", without("iat"), "iat or exp is missing"},
		{"ExpiryIsText", set("exp", "1793681406"), "exp is no time"},
		{"ExpiryIsHuge", set("exp", 1e30), "exp is no time"},
		{"ExpiryIsNegative", set("exp", -1), "exp is no time"},
		{"IssuedAhead", set("iat", start.Add(31*time.Second).Unix()), "iat is 31s ahead"},
		{"NotYet", set("nbf", start.Add(31*time.Second).Unix()), "nbf is 31s ahead"},
		{"Expired", func(c oidctest.Claims) {
			c["iat"], c["exp"] = start.Add(-time.Hour).Unix(), start.Add(-oidc.Skew).Unix()
		}, "expired 30s ago"},
		{"ExpiryBeforeIssue", set("exp", start.Unix()), "lives for 0s"},
		{"LivesForDays", set("exp", start.Add(oidc.MaxLife+time.Second).Unix()), "lives for 24h0m1s"},
		{"OtherRepository", set("repository_id", "75"), "matches no rule"},
		{"RepositoryNamedAgainByOthers", func(c oidctest.Claims) { c["repository_id"], c["repository_owner_id"] = "9000", "9001" }, "matches no rule"},
		{"OtherOwner", set("repository_owner_id", "66"), "matches no rule"},
		{"OtherBranch", set("ref", "refs/heads/main2"), "matches no rule"},
		{"PullRequest", set("ref", "refs/pull/1/merge"), "matches no rule"},
		{"NoRef", without("ref"), "matches no rule"},
		{"EmptyRef", set("ref", ""), "matches no rule"},
		{"RefIsObject", set("ref", map[string]string{"refs/heads/main": "refs/heads/main"}), "matches no rule"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, nil)
			got, err := h.Verify(t.Context(), h.token(tt.edit))
			refused(t, err, fault.Denied, tt.reason)
			if got.Caller != "" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// The boundary instants of the times of a token, and claims in other forms.
func TestClaimsAccepted(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(oidctest.Claims)
	}{
		{"AudienceInList", set("aud", []string{audience})},
		{"PartyIsAudience", set("azp", audience)},
		{"AuthorizedParty", set("azp", "friend")},
		{"IssuedAhead", set("iat", start.Add(oidc.Skew).Unix())},
		{"NotBeforeAhead", set("nbf", start.Add(oidc.Skew).Unix())},
		{"NoNotBefore", without("nbf")},
		{"JustExpired", func(c oidctest.Claims) {
			c["iat"], c["exp"] = start.Add(-time.Hour).Unix(), start.Add(-oidc.Skew+time.Second).Unix()
		}},
		{"LivesForADay", set("exp", start.Add(oidc.MaxLife).Unix())},
		{"NumberForID", set("repository_id", 74)},
		{"FractionOfASecond", set("iat", float64(start.UnixMilli())/1000)},
		{"RepositoryRenamed", set("repository", "octo-org/new-name")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, func(c *oidc.Config) { c.Parties = []string{"friend"} })
			if _, err := h.Verify(t.Context(), h.token(tt.edit)); err != nil {
				t.Error(err)
			}
		})
	}
}

// unsigned makes a token by hand.
func unsigned(header string, claims oidctest.Claims, signature string) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(header)) + "." + enc(payload) + "." + signature
}

// TestAlgorithmConfusion: what signs is said by the settings and the keys of the
// issuer only.
func TestAlgorithmConfusion(t *testing.T) {
	h := newHouse(t, nil)
	public, err := x509.MarshalPKIXPublicKey(h.issuer.Public())
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	other := oidctest.New(t)
	claims := h.claims(nil)
	own := jose.JSONWebKey{Key: mustKey(t), KeyID: "key-1", Algorithm: "RS256"}
	embedding, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: own}, &jose.SignerOptions{EmbedJWK: true})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	embedded, err := embedding.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	withKey, err := embedded.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	good := h.issuer.Sign(claims)
	parts := strings.Split(good, ".")
	for _, tt := range []struct{ name, token string }{
		{"None", unsigned(`{"alg":"none"}`, claims, "")},
		{"NoneWithKeyID", unsigned(`{"alg":"none","kid":"key-1"}`, claims, "")},
		{"NoneInOtherLetters", unsigned(`{"alg":"nOnE","kid":"key-1"}`, claims, "")},
		{"NoAlgorithm", unsigned(`{"kid":"key-1"}`, claims, parts[2])},
		{"HS256WithPublicKeyInDER", oidctest.Sign(t, jose.HS256, jose.JSONWebKey{Key: public, KeyID: "key-1"}, claims)},
		{"HS256WithPublicKeyInPEM", oidctest.Sign(t, jose.HS256, jose.JSONWebKey{Key: asPEM, KeyID: "key-1"}, claims)},
		{"HS256WithJWK", oidctest.Sign(t, jose.HS256, jose.JSONWebKey{Key: h.issuer.JWKS(), KeyID: "key-1"}, claims)},
		{"ES256HeaderOverRSA", unsigned(`{"alg":"ES256","kid":"key-1"}`, claims, parts[2])},
		{"RS384HeaderOverRS256", unsigned(`{"alg":"RS384","kid":"key-1"}`, claims, parts[2])},
		{"PS256WithTheSameKey", oidctest.Sign(t, jose.PS256, own, claims)},
		{"KeyOfAnotherIssuer", other.Sign(claims)},
		{"KeyOfTheToken", withKey},
		{"OtherClaims", parts[0] + "." + strings.Split(unsigned("", h.claims(set("ref", "x")), ""), ".")[1] + "." + parts[2]},
		{"NoSignature", parts[0] + "." + parts[1] + "."},
		{"CutSignature", good[:len(good)-4]},
		{"MoreParts", good + ".x"},
		{"NoJWT", "token"},
		{"Empty", ""},
		{"JSONForm", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`},
		{"PayloadIsList", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`[]`)) + "." + parts[2]},
		{"Critical", unsigned(`{"alg":"RS256","kid":"key-1","crit":["x"],"x":1}`, claims, parts[2])},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := h.Verify(t.Context(), tt.token)
			refused(t, err, fault.Denied, "")
		})
	}
	if _, err := h.Verify(t.Context(), good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func mustKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// An issuer that is set to ES256 does not take RS256, with keys of both kinds.
func TestAlgorithmIsThatOfTheSettings(t *testing.T) {
	h := newHouse(t, func(c *oidc.Config) { c.Algorithms = []string{"ES256"} })
	_, err := h.Verify(t.Context(), h.token(nil))
	refused(t, err, fault.Denied, "signed with [ES256]")
	h.issuer.AddKey("ES256")
	if _, err := h.Verify(t.Context(), h.token(nil)); err != nil {
		t.Errorf("ES256: %v", err)
	}
}

// A token that is too large is refused before it is parsed, and the issuer is
// not asked.
func TestOversizedToken(t *testing.T) {
	h := newHouse(t, nil)
	_, err := h.Verify(t.Context(), h.token(set("x", strings.Repeat("x", oidc.MaxToken))))
	refused(t, err, fault.Denied, "want at most 16384")
	if n := h.issuer.Requests(); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

// A token is named by its jti, and one without by what is in it, however that is
// written.
func TestTokenID(t *testing.T) {
	h := newHouse(t, nil)
	id := func(token string) string {
		t.Helper()
		got, err := h.Verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		return got.TokenID
	}
	if a, b := id(h.token(set("jti", "a"))), id(h.token(set("jti", "a"))); a != b || a != "jti:a" {
		t.Errorf("the same jti: got %q and %q", a, b)
	}
	token := h.token(without("jti"))
	if a, b := id(token), id(h.token(without("jti"))); a != b || !strings.HasPrefix(a, "sha256:") {
		t.Errorf("the same claims: got %q and %q", a, b)
	}
	if a, b := id(token), id(h.token(func(c oidctest.Claims) { delete(c, "jti"); c["run"] = 2 })); a == b {
		t.Errorf("other claims: got %q twice", a)
	}
	h.issuer.AddKey("RS256") // another signature of the same claims
	h.now = h.now.Add(11 * time.Second)
	if a, b := id(token), id(h.issuer.Sign(h.claims(func(c oidctest.Claims) {
		delete(c, "jti")
		c["iat"], c["nbf"], c["exp"] = start.Unix(), start.Unix()-5, start.Unix()+300
	}))); a != b {
		t.Errorf("another key: got %q and %q", a, b)
	}
}

// New keys are found when they are used, removed ones are forgotten within an
// hour, and a stranger with invented key IDs makes the server ask once in ten
// seconds only.
func TestKeyRotation(t *testing.T) {
	h := newHouse(t, nil)
	old := h.token(nil)
	check := func(token string, kind fault.Kind, requests int) {
		t.Helper()
		_, err := h.Verify(t.Context(), token)
		if fault.KindOf(err) != kind || h.issuer.Requests() != requests {
			t.Errorf("got %v and %d requests, want kind %v and %d", err, h.issuer.Requests(), kind, requests)
		}
	}
	check(old, 0, 1)
	check(old, 0, 1)
	h.issuer.AddKey("RS256")
	check(h.token(nil), fault.Unavailable, 1) // it was asked just now
	h.now = h.now.Add(10 * time.Second)
	check(h.token(nil), 0, 2)
	check(h.token(nil), 0, 2)
	check(old, 0, 2)

	stranger := unsigned(`{"alg":"RS256","kid":"invented"}`, h.claims(nil), "AAAA")
	for range 20 {
		check(stranger, fault.Unavailable, 2)
	}
	h.now = h.now.Add(10 * time.Second)
	check(stranger, fault.Denied, 3)

	h.issuer.DropKeys(1)
	h.now = h.now.Add(time.Hour)
	check(h.token(nil), 0, 4)
	check(oidctest.Sign(t, jose.RS256, jose.JSONWebKey{Key: mustKey(t), KeyID: "key-1"}, h.claims(nil)), fault.Unavailable, 4)
}

// While the issuer is down, known keys are used for a day, and what would need
// others is 503 and not 401.
func TestIssuerDown(t *testing.T) {
	h := newHouse(t, nil)
	h.issuer.SetDown(true)
	_, err := h.Verify(t.Context(), h.token(nil))
	refused(t, err, fault.Unavailable, "cannot be read")
	h.issuer.SetDown(false)
	_, err = h.Verify(t.Context(), h.token(nil))
	refused(t, err, fault.Unavailable, "cannot be read") // not asked again yet
	h.now = h.now.Add(10 * time.Second)
	if _, err := h.Verify(t.Context(), h.token(nil)); err != nil {
		t.Fatal(err)
	}
	h.issuer.SetDown(true)
	for _, later := range []time.Duration{time.Second, time.Hour, 22 * time.Hour} {
		h.now = h.now.Add(later)
		if _, err := h.Verify(t.Context(), h.token(nil)); err != nil {
			t.Errorf("after %v: %v", later, err)
		}
	}
	h.now = h.now.Add(2 * time.Hour)
	_, err = h.Verify(t.Context(), h.token(nil))
	refused(t, err, fault.Unavailable, "too old")
}

// Keys that an issuer shows and that make no sense are as if it were down.
func TestBadKeys(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	shortKey, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: short.Public(), KeyID: "key-1"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, body string }{
		{"ShortRSA", string(shortKey)},
		{"NoJSON", "<html>"},
		{"Empty", `{}`},
		{"NoKeys", `{"keys":[]}`},
		{"Secret", `{"keys":[{"kty":"oct","kid":"key-1","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`},
		{"ForEncryption", `{"keys":[{"kty":"EC","crv":"P-256","use":"enc","kid":"key-1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`},
		{"Huge", `{"keys":[` + strings.Repeat(`{"kty":"EC"},`, 1<<17) + `{}]}`},
		{"Many", `{"keys":[` + strings.Repeat(`{"kty":"EC"},`, 100) + `{}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, nil)
			h.issuer.SetKeys([]byte(tt.body))
			_, err := h.Verify(t.Context(), h.token(nil))
			refused(t, err, fault.Unavailable, "cannot be read")
		})
	}
}

// A key in a file needs no issuer that answers, and is read again.
func TestKeysFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jwks.json")
	h := newHouse(t, func(c *oidc.Config) { c.KeysFile = file })
	h.issuer.SetDown(true)
	_, err := h.Verify(t.Context(), h.token(nil))
	refused(t, err, fault.Unavailable, "no such file")
	write := func() {
		t.Helper()
		if err := os.WriteFile(file, h.issuer.JWKS(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	h.now = h.now.Add(10 * time.Second)
	if _, err := h.Verify(t.Context(), h.token(nil)); err != nil {
		t.Fatal(err)
	}
	h.issuer.AddKey("RS256")
	write()
	h.now = h.now.Add(10 * time.Second)
	if _, err := h.Verify(t.Context(), h.token(nil)); err != nil {
		t.Error(err)
	}
	if n := h.issuer.Requests(); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestKeysURL(t *testing.T) {
	h := newHouse(t, func(c *oidc.Config) { c.URL, c.KeysURL = "https://issuer.example.com", c.URL+"/keys" })
	if _, err := h.Verify(t.Context(), h.token(set("iss", "https://issuer.example.com"))); err != nil {
		t.Error(err)
	}
}

// Many tokens at the same time ask the issuer once.
func TestConcurrent(t *testing.T) {
	h := newHouse(t, nil)
	token := h.token(nil)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if _, err := h.Verify(context.Background(), token); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := h.issuer.Requests(); n != 1 {
		t.Errorf("the issuer was asked %d times, want once", n)
	}
}

func TestKubernetesClaims(t *testing.T) {
	h := newHouse(t, func(c *oidc.Config) {
		c.Kind = oidc.Kubernetes
		c.Rules = []oidc.Rule{{Tenant: "default", Caller: "pod", Match: map[string]string{
			"kubernetes.io/namespace": "prod", "kubernetes.io/serviceaccount/uid": "0d2a", "kubernetes.io/serviceaccount/name": "seal*",
		}}}
	})
	// As in https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#schema-for-service-account-private-claims
	account := map[string]any{"name": "sealer", "uid": "0d2a"}
	token := func(ns string, account map[string]any) string {
		return h.token(set("kubernetes.io", map[string]any{"namespace": ns, "serviceaccount": account}))
	}
	got, err := h.Verify(t.Context(), token("prod", account))
	if err != nil || got.Caller != "pod" || got.Claims["kubernetes.io/serviceaccount/name"] != "sealer" {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = h.Verify(t.Context(), token("dev", account))
	refused(t, err, fault.Denied, "matches no rule")
	_, err = h.Verify(t.Context(), token("prod", map[string]any{"name": "sealer", "uid": "made again"}))
	refused(t, err, fault.Denied, "matches no rule")
}

func TestGroups(t *testing.T) {
	h := newHouse(t, func(c *oidc.Config) {
		c.Kind = oidc.Generic
		c.Rules = []oidc.Rule{
			{Match: map[string]string{"https://example.com/groups": "admins"}, Caller: "operator:alice"},
			{Match: map[string]string{"sub": "bob", "email_verified": "true"}, Tenant: "default", Caller: "bob"},
		}
	})
	got, err := h.Verify(t.Context(), h.token(set("https://example.com/groups", []any{"users", "admins"})))
	if err != nil || got.Caller != "operator:alice" || got.Tenant != "" {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = h.Verify(t.Context(), h.token(func(c oidctest.Claims) { c["sub"], c["email_verified"] = "bob", true }))
	if err != nil || got.Caller != "bob" {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = h.Verify(t.Context(), h.token(set("https://example.com/groups", []any{"administrators"})))
	refused(t, err, fault.Denied, "matches no rule")
}

func TestConfigRefused(t *testing.T) {
	match := func(pairs ...string) []oidc.Rule {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return []oidc.Rule{{Match: m, Caller: "c"}}
	}
	for _, tt := range []struct {
		name string
		edit func(*oidc.Config)
		want string
	}{
		{"NoName", func(c *oidc.Config) { c.Name = "" }, "name is missing"},
		{"NoAudience", func(c *oidc.Config) { c.Audience = "" }, "audience is missing"},
		{"Kind", func(c *oidc.Config) { c.Kind = "gitea" }, "kind: got"},
		{"PlainHTTP", func(c *oidc.Config) { c.URL = "http://issuer.example.com" }, "issuer: is not a URL of https"},
		{"Password", func(c *oidc.Config) { c.URL = "https://a:b@issuer.example.com" }, "issuer: is not a URL"},
		{"NoIssuer", func(c *oidc.Config) { c.URL = "" }, "issuer: is not a URL"},
		{"NoIssuerButAFile", func(c *oidc.Config) { c.URL, c.KeysFile = "", "f" }, "issuer is missing"},
		{"None", func(c *oidc.Config) { c.Algorithms = []string{"none"} }, `algorithms: got "none"`},
		{"HS256", func(c *oidc.Config) { c.Algorithms = []string{"RS256", "HS256"} }, `algorithms: got "HS256"`},
		{"TwoPlacesOfKeys", func(c *oidc.Config) { c.KeysFile, c.KeysURL = "a", "https://b" }, "both jwks_url and jwks_file"},
		{"PlainKeys", func(c *oidc.Config) { c.KeysURL = "http://issuer.example.com/keys" }, "jwks_url: is not"},
		{"Authorities", func(c *oidc.Config) { c.CAFile = "no such file" }, "ca_file"},
		{"NoRules", func(c *oidc.Config) { c.Rules = nil }, "rules: got 0"},
		{"NoCaller", func(c *oidc.Config) { c.Rules[0].Caller = "" }, "rules[0]: caller is missing"},
		{"NoMatch", func(c *oidc.Config) { c.Kind, c.Rules = oidc.Generic, match() }, "got 0 claims"},
		{"OnlyPrefixes", func(c *oidc.Config) { c.Kind, c.Rules = oidc.Generic, match("sub", "repo:octo-org/*") }, "no claim has one value only"},
		{"AsteriskInside", func(c *oidc.Config) { c.Kind, c.Rules = oidc.Generic, match("sub", "a*b") }, "asterisk at its end"},
		{"EmptyValue", func(c *oidc.Config) { c.Kind, c.Rules = oidc.Generic, match("sub", "") }, "asterisk at its end"},
		{"RepositoryByName", func(c *oidc.Config) { c.Rules = match("repository", "octo-org/octo-repo", "ref", "refs/heads/main") }, "repository_id is missing"},
		{"RepositoryIDIsName", func(c *oidc.Config) {
			c.Rules = match("repository_id", "octo-repo", "repository_owner_id", "65", "ref", "refs/heads/main")
		}, "repository_id: got"},
		{"RepositoryIDIsPrefix", func(c *oidc.Config) {
			c.Rules = match("repository_id", "7*", "repository_owner_id", "65", "ref", "refs/heads/main")
		}, "repository_id: got"},
		{"NoOwner", func(c *oidc.Config) { c.Rules = match("repository_id", "74", "ref", "refs/heads/main") }, "repository_owner_id is missing"},
		{"NoRef", func(c *oidc.Config) { c.Rules = match("repository_id", "74", "repository_owner_id", "65") }, "ref is missing"},
		{"GitLabByPath", func(c *oidc.Config) { c.Kind, c.Rules = oidc.GitLab, match("project_path", "g/p", "ref", "main") }, "project_id is missing"},
		{"GitLabNoNamespace", func(c *oidc.Config) { c.Kind, c.Rules = oidc.GitLab, match("project_id", "1", "ref", "main") }, "namespace_id is missing"},
		{"KubernetesNoUID", func(c *oidc.Config) { c.Kind, c.Rules = oidc.Kubernetes, match("kubernetes.io/namespace", "a") }, "uid is missing"},
		{"KubernetesAnyNamespace", func(c *oidc.Config) {
			c.Kind, c.Rules = oidc.Kubernetes, match("kubernetes.io/namespace", "*", "kubernetes.io/serviceaccount/uid", "a")
		}, "want one namespace"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := oidc.Config{Name: "a", Kind: oidc.GitHub, URL: "https://issuer.example.com", Audience: "b",
				Rules: match("repository_id", "74", "repository_owner_id", "65", "ref", "*")}
			if _, err := oidc.Open([]oidc.Config{c}, nil); err != nil {
				t.Fatalf("before: %v", err)
			}
			tt.edit(&c)
			if _, err := oidc.Open([]oidc.Config{c}, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	c := oidc.Config{Name: "a", Kind: oidc.Generic, URL: "https://issuer.example.com", Audience: "b", Rules: match("sub", "x")}
	if _, err := oidc.Open([]oidc.Config{c, c}, nil); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("the same issuer: got %v", err)
	}
}

// No text makes it panic.
func FuzzVerify(f *testing.F) {
	all, err := oidc.Open([]oidc.Config{{Name: "a", URL: "https://issuer.example.com", Audience: "b", KeysFile: os.DevNull,
		Rules: []oidc.Rule{{Match: map[string]string{"sub": "a"}, Caller: "c"}}}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(unsigned(`{"alg":"RS256"}`, oidctest.Claims{"iss": "https://issuer.example.com"}, "AAAA"))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		if got, err := all.Verify(context.Background(), token); err == nil || got.Caller != "" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}
