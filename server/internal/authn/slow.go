package authn

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/limit"
)

// Slow returns authenticate for addresses that do not fail too often. For others
// the error is a [limit.TooMany], before anything is looked at, also of an
// attempt that would succeed. Only errors of kind [fault.Denied] are failures.
// This machine is never slowed down: a proxy on it is everybody. now may be nil
// for time.Now.
func Slow(authenticate func(*http.Request) (access.Caller, error), f *limit.Failures, now func() time.Time) func(*http.Request) (access.Caller, error) {
	if now == nil {
		now = time.Now
	}
	return func(r *http.Request) (access.Caller, error) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		from := peer.Addr().Unmap()
		if err != nil || from.IsLoopback() {
			return authenticate(r)
		}
		if wait := f.Allowed(from, "", now()); wait > 0 {
			return access.Caller{}, limit.TooMany{Wait: wait}
		}
		caller, err := authenticate(r)
		if fault.KindOf(err) == fault.Denied {
			f.Failed(from, "", now())
		}
		return caller, err
	}
}
