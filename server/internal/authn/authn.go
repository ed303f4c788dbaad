// Package authn finds out who sends a request to the API.
//
// There is a list of [Method]s: bearer tokens ([Bearer]) and signatures
// ([Signature]). Another way to prove who one is, such as a client certificate,
// is another Method; another kind of token is another [TokenKind]. Of each
// request exactly one method decides, and a request that carries proofs for two
// is refused.
//
// Errors say precisely what was wrong, for the log. To the outside every error
// of kind [fault.Denied] is the same answer.
package authn

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Method is one way to prove who sends a request.
type Method struct {
	Name string // for the log

	// Presented reports whether a request carries a proof of this kind, right or
	// wrong.
	Presented func(*http.Request) bool

	// Check returns who the proof is of. The error is of kind [fault.Denied],
	// [fault.Conflict] if the request was seen before, or [fault.Unavailable].
	// Check may replace the body of the request by one whose Read returns an
	// error of kind [fault.Denied] if the body is not the one that was signed.
	Check func(*http.Request) (access.Caller, error)
}

// Authenticator asks its methods. It may be used by many goroutines.
type Authenticator []Method

// Authenticate returns who sends r. Errors are those of [Method.Check].
func (a Authenticator) Authenticate(r *http.Request) (access.Caller, error) {
	var found *Method
	for i := range a {
		if !a[i].Presented(r) {
			continue
		}
		if found != nil {
			return access.Caller{}, fault.New(fault.Denied, "not authenticated: both %s and %s are given", found.Name, a[i].Name)
		}
		found = &a[i]
	}
	if found == nil {
		return access.Caller{}, fault.New(fault.Denied, "not authenticated: neither a token nor a signature is given")
	}
	return found.Check(r)
}

// Transport is how a request came.
type Transport struct {
	Scheme string // of the URL that the client used: http or https
	Secure bool   // nobody on the way could read it
}

// Direct is the [Transport] of a request that came from the client itself: it
// is secure over TLS, and from this machine. Of one that came through a proxy
// of [Trust] it is what the proxy says.
func Direct(r *http.Request) Transport {
	if t, ok := r.Context().Value(transportKey{}).(Transport); ok {
		return t
	}
	if r.TLS != nil {
		return Transport{Scheme: "https", Secure: true}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return Transport{Scheme: "http", Secure: err == nil && peer.Addr().Unmap().IsLoopback()}
}

// TokenKind is one kind of bearer tokens.
type TokenKind struct {
	Is    func(token string) bool // whether a text has the form of this kind
	Check func(token string) (access.Caller, error)
}

// Bearer is the method of bearer tokens (RFC 6750, section 2.1). The first kind
// whose form a token has decides about it. A token that others could read on
// its way is refused whatever it is worth.
func Bearer(transport func(*http.Request) Transport, kinds ...TokenKind) Method {
	return Method{
		Name:      "a token",
		Presented: func(r *http.Request) bool { return len(r.Header["Authorization"]) > 0 },
		Check: func(r *http.Request) (access.Caller, error) {
			values := r.Header["Authorization"]
			if len(values) != 1 {
				return access.Caller{}, fault.New(fault.Denied, "not authenticated: Authorization stands %d times", len(values))
			}
			kind, token, ok := strings.Cut(values[0], " ")
			if !ok || !strings.EqualFold(kind, "Bearer") {
				return access.Caller{}, fault.New(fault.Denied, "not authenticated: Authorization is not of the kind Bearer")
			}
			if !transport(r).Secure {
				return access.Caller{}, fault.New(fault.Denied, "not authenticated: a token came without TLS from another machine (%s), where others can read it: put TLS in front, or sign requests", r.RemoteAddr)
			}
			for _, k := range kinds {
				if k.Is(token) {
					return k.Check(token)
				}
			}
			return access.Caller{}, fault.New(fault.Denied, "not authenticated: the token is of no known kind")
		},
	}
}
