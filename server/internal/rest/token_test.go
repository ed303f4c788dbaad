package rest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/rest"
)

// exchanges takes the token good, and others for what they are called.
func exchanges(o *rest.Options) {
	o.Exchange = func(_ *http.Request, token string) (api.AccessToken, error) {
		switch token {
		case "good":
			return api.AccessToken{Token: "swe_x", Caller: "ci", Tenant: "default", ExpiresAt: time.Unix(1, 0).UTC(), ExpiresIn: 600}, nil
		case "used":
			return api.AccessToken{}, fault.New(fault.Conflict, "the token was exchanged before")
		case "away":
			return api.AccessToken{}, fault.New(fault.Unavailable, "the keys of the issuer cannot be read").Because(fault.New(fault.Internal, "dial tcp"))
		case "broken":
			return api.AccessToken{}, fault.New(fault.Internal, "disk ate the page")
		}
		return api.AccessToken{}, fault.New(fault.Denied, "not authenticated").Because(fault.New(fault.Denied, "matches no rule of ours"))
	}
}

func TestExchangeToken(t *testing.T) {
	f := start(t, exchanges)
	for name, a := range map[string]answer{
		"Body":   f.do(t, "POST", "/v1/token", `{"token":"good"}`, "Authorization", ""),
		"Bearer": f.do(t, "POST", "/v1/token", "", "Authorization", "Bearer good"),
		"Spelt":  f.do(t, "POST", "/v1/token", "", "Authorization", "bearer good"),
	} {
		var got api.AccessToken
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 || got.Token != "swe_x" || got.Caller != "ci" || got.ExpiresIn != 600 {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
		if a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got Cache-Control %q", name, a.header.Get("Cache-Control"))
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if op := f.ops[len(f.ops)-1]; op.Name != "token.exchange" || op.Caller != "ci" || op.Outcome != "ok" {
		t.Errorf("reported %+v", op)
	}
}

func TestExchangeTokenRefuses(t *testing.T) {
	f := start(t, exchanges)
	long := strings.Repeat("x", 20<<10)
	for _, tt := range []struct {
		name, body, authorization string
		status                    int
		code, detail              string
	}{
		{"Wrong", `{"token":"other"}`, "", 401, "unauthorized", "a valid token"},
		{"WrongBearer", "", "Bearer other", 401, "unauthorized", "a valid token"},
		{"Broken", `{"token":"broken"}`, "", 401, "unauthorized", "a valid token"},
		{"Used", `{"token":"used"}`, "", 409, "conflict", "exchanged before"},
		{"IssuerAway", `{"token":"away"}`, "", 503, "unavailable", "the keys of the issuer cannot be read"},
		{"Nothing", "", "", 422, "invalid", "a token is needed"},
		{"EmptyToken", `{"token":""}`, "", 422, "invalid", "a token is needed"},
		{"OtherScheme", "", "Basic good", 422, "invalid", "a token is needed"},
		{"Both", `{"token":"good"}`, "Bearer good", 400, "malformed", "both"},
		{"Surplus", `{"token":"good","x":1}`, "", 422, "invalid", "unknown member"},
		{"Large", `{"token":"` + long + `"}`, "", 413, "too-large", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := f.do(t, "POST", "/v1/token", tt.body, "Authorization", tt.authorization)
			refused(t, a, tt.status, tt.code, tt.detail)
			for _, hidden := range []string{"no rule", "dial", "disk", "swe_"} {
				if strings.Contains(a.body, hidden) {
					t.Errorf("tells %q", a.body)
				}
			}
		})
	}
	if !strings.Contains(f.log.String(), "matches no rule of ours") {
		t.Errorf("the log has no reason: %s", f.log)
	}
}

// A server without issuers answers as to a wrong token.
func TestExchangeWithoutIssuers(t *testing.T) {
	f := start(t, nil)
	refused(t, f.do(t, "POST", "/v1/token", `{"token":"good"}`, "Authorization", ""), 401, "unauthorized", "a valid token")
}

// Everybody who is known may ask who it is, and nobody else.
func TestMe(t *testing.T) {
	f := start(t, cast)
	for who, want := range map[string]string{
		"clerk": `{"id":"clerk","tenant":"default","operator":false,"actions":[]}`,
		"home":  `{"id":"boss","tenant":"home","operator":false,"actions":["key.create",`,
	} {
		if a := f.do(t, "GET", "/v1/me", "", "Authorization", who); a.status != 200 || !strings.HasPrefix(a.body, want) || strings.Contains(a.body, "tenant.create") {
			t.Errorf("%s: got %d %s", who, a.status, a.body)
		}
	}
	if a := f.do(t, "GET", "/v1/me", ""); a.status != 200 || !strings.Contains(a.body, `"operator":true`) || !strings.Contains(a.body, `"tenant.create"`) {
		t.Errorf("got %d %s", a.status, a.body)
	}
	refused(t, f.do(t, "GET", "/v1/me", "", "Authorization", "Bearer x"), 401, "unauthorized", "")
}
