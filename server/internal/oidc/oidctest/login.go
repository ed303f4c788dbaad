package oidctest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
)

// grant is what a code stands for.
type grant struct {
	claims    Claims
	client    string
	redirect  string
	challenge string
}

// authorize answers like an issuer at which somebody is logged in already.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("nonce") == "" {
		http.Error(w, "want a code with PKCE and a nonce", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	i.mu.Lock()
	claims := Claims{"nonce": q.Get("nonce"), "aud": q.Get("client_id")}
	for name, v := range i.person {
		claims[name] = v
	}
	i.codes[code] = grant{claims: claims, client: q.Get("client_id"), redirect: q.Get("redirect_uri"), challenge: q.Get("code_challenge")}
	i.mu.Unlock()
	back := url.Values{"code": {code}, "state": {q.Get("state")}}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

// token gives the token for a code, once.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	code := r.PostFormValue("code")
	g, ok := i.codes[code]
	delete(i.codes, code)
	i.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	_, password, _ := r.BasicAuth()
	password, _ = url.QueryUnescape(password) // RFC 6749, section 2.3.1
	if !ok || g.redirect != r.PostFormValue("redirect_uri") || base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge || password != ClientSecret {
		w.WriteHeader(http.StatusBadRequest)
		reply(w, map[string]string{"error": "invalid_grant"})
		return
	}
	reply(w, map[string]any{"access_token": "none", "token_type": "Bearer", "id_token": i.Sign(g.claims)})
}
