package authn_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/authn"
	"github.com/sealwright/sealwright/server/internal/fault"
)

func TestDirect(t *testing.T) {
	for _, tt := range []struct {
		name, peer string
		tls        bool
		want       authn.Transport
	}{
		{"Loopback", "127.0.0.1:1", false, authn.Transport{Scheme: "http", Secure: true}},
		{"LoopbackNet", "127.8.9.1:1", false, authn.Transport{Scheme: "http", Secure: true}},
		{"LoopbackV6", "[::1]:1", false, authn.Transport{Scheme: "http", Secure: true}},
		{"LoopbackV4InV6", "[::ffff:127.0.0.1]:1", false, authn.Transport{Scheme: "http", Secure: true}},
		{"Neighbour", "192.168.0.1:1", false, authn.Transport{Scheme: "http"}},
		{"LinkLocal", "[fe80::1%eth0]:1", false, authn.Transport{Scheme: "http"}},
		{"Unspecified", "0.0.0.0:1", false, authn.Transport{Scheme: "http"}},
		{"Nothing", "", false, authn.Transport{Scheme: "http"}},
		{"Socket", "@", false, authn.Transport{Scheme: "http"}},
		{"TLS", "192.168.0.1:1", true, authn.Transport{Scheme: "https", Secure: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"for=127.0.0.1;proto=https"}}}
			if tt.tls {
				r.TLS = &tls.ConnectionState{}
			}
			if got := authn.Direct(r); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// local is the transport of requests that nobody else could read.
func local(*http.Request) authn.Transport { return authn.Transport{Scheme: "https", Secure: true} }

func TestBearer(t *testing.T) {
	var asked []string
	kind := func(prefix string) authn.TokenKind {
		return authn.TokenKind{
			Is: func(s string) bool { return strings.HasPrefix(s, prefix) },
			Check: func(s string) (access.Caller, error) {
				asked = append(asked, prefix+" of "+s)
				return access.TenantAdministrator(s, "t"), nil
			},
		}
	}
	secure := true
	m := authn.Bearer(func(*http.Request) authn.Transport { return authn.Transport{Secure: secure} }, kind("a"), kind("ab"), kind("c"))
	for _, tt := range []struct {
		name   string
		header []string
		plain  bool
		want   string // who is asked
		reason string
	}{
		{"FirstKindThatFits", []string{"Bearer abc"}, false, "a of abc", ""},
		{"OtherKind", []string{"bearer c"}, false, "c of c", ""},
		{"NoKind", []string{"Bearer x"}, false, "", "no known kind"},
		{"NoToken", []string{"Bearer"}, false, "", "not of the kind Bearer"},
		{"OtherScheme", []string{"Basic abc"}, false, "", "not of the kind Bearer"},
		{"Twice", []string{"Bearer abc", "Bearer abc"}, false, "", "stands 2 times"},
		{"InTheOpen", []string{"Bearer abc"}, true, "", "without TLS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked, secure = nil, !tt.plain
			r := httptest.NewRequest("GET", "/", nil)
			r.Header["Authorization"] = tt.header
			c, err := authn.Authenticator{m}.Authenticate(r)
			if got := strings.Join(asked, ","); got != tt.want {
				t.Errorf("asked %q, want %q", got, tt.want)
			}
			if tt.reason == "" {
				if err != nil || c.Tenant != "t" {
					t.Errorf("got %+v, %v", c, err)
				}
				return
			}
			if fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), tt.reason) || c.ID != "" {
				t.Errorf("got %+v, %v, want %q", c, err, tt.reason)
			}
			if strings.Contains(err.Error(), "abc") {
				t.Errorf("the reason holds the token: %v", err)
			}
		})
	}
}

// One method decides, and two proofs are none.
func TestAuthenticator(t *testing.T) {
	method := func(name string) authn.Method {
		return authn.Method{
			Name: name, Presented: func(r *http.Request) bool { return r.Header.Get(name) != "" },
			Check: func(*http.Request) (access.Caller, error) { return access.TenantAdministrator(name, "t"), nil },
		}
	}
	a := authn.Authenticator{method("A"), method("B")}
	for _, tt := range []struct {
		name    string
		headers []string
		want    string
		reason  string
	}{
		{"First", []string{"A"}, "A", ""},
		{"Second", []string{"B"}, "B", ""},
		{"None", nil, "", "neither"},
		{"Both", []string{"A", "B"}, "", "both A and B"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			for _, h := range tt.headers {
				r.Header.Set(h, "x")
			}
			c, err := a.Authenticate(r)
			if c.ID != tt.want || (err == nil) != (tt.reason == "") {
				t.Fatalf("got %+v, %v", c, err)
			}
			if err != nil && (fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), tt.reason)) {
				t.Errorf("got %v, want %q", err, tt.reason)
			}
		})
	}
}
