// Package oidctest is an OpenID Connect issuer for tests, with real HTTP.
package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Claims are the payload of a token.
type Claims map[string]any

// Issuer makes tokens. Its methods may be called by many goroutines.
type Issuer struct {
	URL string

	t        testing.TB
	server   *httptest.Server
	mu       sync.Mutex
	keys     []jose.JSONWebKey // private ones; the last one signs
	requests int               // for keys
	down     bool
	body     []byte // instead of the keys
	codes    map[string]grant
	person   Claims // who logs in
}

// ClientSecret is the secret of every client that asks for the token of a code.
const ClientSecret = "secret of the client"

// SetPerson says who logs in from now on: the claims of the token.
func (i *Issuer) SetPerson(c Claims) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.person = c
}

// New starts an issuer with a key of RSA.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{t: t, codes: map[string]grant{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /keys", i.showKeys)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.token)
	i.server = httptest.NewServer(mux)
	t.Cleanup(i.server.Close)
	i.URL = i.server.URL
	i.AddKey("RS256")
	return i
}

// AddKey adds a key for RS256 or ES256, which signs from now on, and returns its
// ID.
func (i *Issuer) AddKey(algorithm string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	id := fmt.Sprintf("key-%d", len(i.keys)+1)
	var key any
	if algorithm == "ES256" {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			i.t.Fatal(err)
		}
		key = k
	} else {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			i.t.Fatal(err)
		}
		key = k
	}
	i.keys = append(i.keys, jose.JSONWebKey{Key: key, KeyID: id, Algorithm: algorithm, Use: "sig"})
	return id
}

// Public returns the public key that signs.
func (i *Issuer) Public() crypto.PublicKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	public := i.keys[len(i.keys)-1].Public()
	return public.Key
}

// DropKeys forgets all keys but the newest n.
func (i *Issuer) DropKeys(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[len(i.keys)-n:]
}

// SetDown makes the issuer answer 503, or again what it should.
func (i *Issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// SetKeys makes the issuer answer body instead of its keys; nil ends that.
func (i *Issuer) SetKeys(body []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.body = body
}

// Requests returns how often the keys were asked for.
func (i *Issuer) Requests() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests
}

// JWKS returns the public keys as the issuer shows them.
func (i *Issuer) JWKS() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.jwks()
}

func (i *Issuer) jwks() []byte {
	if i.body != nil {
		return i.body
	}
	var set jose.JSONWebKeySet
	for _, k := range i.keys {
		set.Keys = append(set.Keys, k.Public())
	}
	text, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return text
}

// Sign returns a token with these claims and the newest key.
func (i *Issuer) Sign(claims Claims) string {
	i.t.Helper()
	i.mu.Lock()
	k := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	return Sign(i.t, jose.SignatureAlgorithm(k.Algorithm), k, claims)
}

// Sign returns a token that any key signs.
func Sign(t testing.TB, algorithm jose.SignatureAlgorithm, key any, claims Claims) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// GitHub returns the claims of a token of GitHub Actions as its documentation
// has them, issued at now, for five minutes.
// https://docs.github.com/en/actions/concepts/security/openid-connect
func (i *Issuer) GitHub(audience string, now time.Time) Claims {
	return Claims{
		"iss": i.URL, "aud": audience, "sub": "repo:octo-org/octo-repo:ref:refs/heads/main", "jti": fmt.Sprint(now.UnixNano()),
		"iat": now.Unix(), "nbf": now.Unix() - 5, "exp": now.Unix() + 300,
		"repository": "octo-org/octo-repo", "repository_id": "74", "repository_owner": "octo-org", "repository_owner_id": "65",
		"ref": "refs/heads/main", "ref_type": "branch", "workflow": "release", "event_name": "push",
	}
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	if i.refuses(w) {
		return
	}
	reply(w, map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
		"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
	})
}

func (i *Issuer) showKeys(w http.ResponseWriter, _ *http.Request) {
	if i.refuses(w) {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.requests++
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(i.jwks())
}

func (i *Issuer) refuses(w http.ResponseWriter) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down {
		http.Error(w, "down", http.StatusServiceUnavailable)
	}
	return i.down
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
