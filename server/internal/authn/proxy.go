package authn

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Trust makes requests that come from one of the proxies look as they came to
// the proxy: RemoteAddr is the client's, and [Direct] knows whether it used
// TLS. What other peers say about themselves is left alone.
//
// Of X-Forwarded-For, whose lines are one list, the last address counts that is
// not itself one of the proxies: what stands before it the client may have
// written. X-Forwarded-Proto must be http or https, once. A request without
// either is one of the proxy itself, and came without TLS.
func Trust(proxies []netip.Prefix, next http.Handler) http.Handler {
	if len(proxies) == 0 {
		return next
	}
	trusted := func(a netip.Addr) bool {
		for _, p := range proxies {
			if p.Contains(a.Unmap()) {
				return true
			}
		}
		return false
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !trusted(peer.Addr()) {
			next.ServeHTTP(w, r)
			return
		}
		t := Transport{Scheme: "http"}
		if proto := r.Header["X-Forwarded-Proto"]; len(proto) == 1 && proto[0] == "https" {
			t = Transport{Scheme: "https", Secure: true}
		}
		r = r.WithContext(context.WithValue(r.Context(), transportKey{}, t))
		if client, ok := clientOf(r.Header["X-Forwarded-For"], trusted); ok {
			r.RemoteAddr = net.JoinHostPort(client.String(), "0")
		}
		next.ServeHTTP(w, r)
	})
}

// clientOf returns the last address of the list that is not trusted, and false
// if there is none before something that is no address.
func clientOf(lines []string, trusted func(netip.Addr) bool) (netip.Addr, bool) {
	list := strings.Split(strings.Join(lines, ","), ",")
	for i := len(list) - 1; i >= 0; i-- {
		a, err := netip.ParseAddr(strings.TrimSpace(list[i]))
		if err != nil {
			return netip.Addr{}, false
		}
		if !trusted(a) {
			return a.Unmap(), true
		}
	}
	return netip.Addr{}, false
}

type transportKey struct{}
