package authn_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/sealwright/sealwright/server/internal/authn"
)

func TestTrust(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")}
	secure, plain := authn.Transport{Scheme: "https", Secure: true}, authn.Transport{Scheme: "http"}
	tests := []struct {
		name       string
		peer       string
		proto      []string
		forwarded  []string
		want       authn.Transport
		wantRemote string
	}{
		{name: "StrangerIsNotBelieved", peer: "192.0.2.9:1", proto: []string{"https"}, forwarded: []string{"127.0.0.1"}, want: plain, wantRemote: "192.0.2.9:1"},
		{name: "OverTLS", peer: "10.0.0.1:1", proto: []string{"https"}, forwarded: []string{"192.0.2.1"}, want: secure, wantRemote: "192.0.2.1:0"},
		{name: "WithoutTLS", peer: "10.0.0.1:1", proto: []string{"http"}, forwarded: []string{"192.0.2.1"}, want: plain, wantRemote: "192.0.2.1:0"},
		{name: "ProxyOnThisMachineSaysNothing", peer: "127.0.0.1:1", want: plain, wantRemote: "127.0.0.1:1"},
		{name: "ClientWroteTheFirst", peer: "10.0.0.1:1", proto: []string{"https"}, forwarded: []string{"127.0.0.1, 192.0.2.1"}, want: secure, wantRemote: "192.0.2.1:0"},
		{name: "ClientWroteALine", peer: "10.0.0.1:1", proto: []string{"https"}, forwarded: []string{"127.0.0.1", "192.0.2.1, 10.9.9.9"}, want: secure, wantRemote: "192.0.2.1:0"},
		{name: "ProtoTwice", peer: "10.0.0.1:1", proto: []string{"https", "https"}, want: plain, wantRemote: "10.0.0.1:1"},
		{name: "ProtoList", peer: "10.0.0.1:1", proto: []string{"https, http"}, want: plain, wantRemote: "10.0.0.1:1"},
		{name: "NoAddress", peer: "10.0.0.1:1", proto: []string{"https"}, forwarded: []string{"192.0.2.1, unknown"}, want: secure, wantRemote: "10.0.0.1:1"},
		{name: "IPv6", peer: "10.0.0.1:1", proto: []string{"https"}, forwarded: []string{"2001:db8::1"}, want: secure, wantRemote: "[2001:db8::1]:0"},
		{name: "MappedProxy", peer: "[::ffff:10.0.0.1]:1", proto: []string{"https"}, forwarded: []string{"::ffff:192.0.2.1"}, want: secure, wantRemote: "192.0.2.1:0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = tt.peer
			r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-For"] = tt.proto, tt.forwarded
			authn.Trust(proxies, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if got := authn.Direct(r); got != tt.want || r.RemoteAddr != tt.wantRemote {
					t.Errorf("got %+v from %s, want %+v from %s", got, r.RemoteAddr, tt.want, tt.wantRemote)
				}
			})).ServeHTTP(nil, r)
		})
	}
}

func TestTrustNobody(t *testing.T) {
	h := http.NewServeMux()
	if got := authn.Trust(nil, h); got != http.Handler(h) {
		t.Errorf("Trust of no proxy: got another handler")
	}
}
