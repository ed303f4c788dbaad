//go:build !race

package authn_test

import (
	"net/http"
	"testing"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/authn"
)

// bearerOnly knows one token, as cheaply as can be.
func bearerOnly(tb testing.TB) (authn.Authenticator, *http.Request) {
	tb.Helper()
	signature, err := authn.Signature(authn.Signatures{Transport: authn.Direct})
	if err != nil {
		tb.Fatal(err)
	}
	caller := access.Administrator()
	a := authn.Authenticator{authn.Bearer(authn.Direct, authn.TokenKind{
		Is:    func(s string) bool { return s == "x" },
		Check: func(string) (access.Caller, error) { return caller, nil },
	}), signature}
	return a, &http.Request{RemoteAddr: "127.0.0.1:40123", Header: http.Header{"Authorization": {"Bearer x"}}}
}

func TestAllocsBearer(t *testing.T) {
	a, r := bearerOnly(t)
	if got := testing.AllocsPerRun(100, func() {
		if _, err := a.Authenticate(r); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func BenchmarkBearer(b *testing.B) {
	a, r := bearerOnly(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
}
