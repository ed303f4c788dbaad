package rest

import (
	"net/http"
	"net/netip"

	"github.com/sealwright/sealwright/server/internal/limit"
)

// take counts units of the caller, his tenant and his address.
func (a *API) take(x *exchange, units int) error {
	if a.o.Limiter == nil || !a.o.Limiter.Active() {
		return nil
	}
	r := limit.Request{Tenant: x.caller.Tenant, Caller: x.caller.ID}
	if from, err := netip.ParseAddrPort(x.r.RemoteAddr); err == nil {
		r.Address = from.Addr()
	}
	return limited(x, a.o.Limiter.Check(x.r.Context(), r, units))
}

// takeKey counts units of a key that the caller may use.
func (a *API) takeKey(x *exchange, key string, units int) error {
	if a.o.Limiter == nil || !a.o.Limiter.Active() {
		return nil
	}
	return limited(x, a.o.Limiter.CheckKey(x.r.Context(), x.caller.Tenant, key, units))
}

// takeItems counts the items of a batch, of which the first one was counted as
// the request. No items are one message.
func (a *API) takeItems(x *exchange, key string, items int) error {
	if items > 1 {
		if err := a.take(x, items-1); err != nil {
			return err
		}
	}
	return a.takeKey(x, key, max(items, 1))
}

// limited says in the header what is left: of the limit of which the least is
// left, or that refuses. The last one that was asked counts.
func limited(x *exchange, r limit.Result) error {
	r.SetHeader(x.w.Header())
	if r.OK {
		return nil
	}
	if r.RetryAfter == 0 {
		return newProblem(http.StatusTooManyRequests, "this is more at once than the limit allows")
	}
	return newProblem(http.StatusTooManyRequests, "this is more than the limit allows: try again later")
}
