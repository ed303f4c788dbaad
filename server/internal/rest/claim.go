package rest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/gate"
)

// noClaims refuses: nobody remembers anything.
func noClaims(context.Context, time.Time, gate.Rule, gate.Message) error {
	return fault.New(fault.Unavailable, "this server does not remember which messages were used")
}

// checkClaim refuses a claim at a time that the caller names: what is remembered
// goes by the clock of the server.
func checkClaim(in *api.HTTPRequest) error {
	if in.Claim && len(in.Now) > 0 && string(in.Now) != "null" {
		return problemOf(invalid("body.now", "a message is claimed at the time of the server: leave it out"))
	}
	return nil
}

// claim uses up the message of w, whose verdict is v, if it is valid and that was
// asked for. It returns the verdict, and what it says about a replay. An error
// means that it is not known whether the message was used before.
func (a *API) claim(ctx context.Context, in *api.HTTPRequest, w *work, v sealwright.Verdict) (sealwright.Verdict, string, error) {
	switch {
	case !v.Valid:
		return v, "", nil
	case !in.Claim:
		return v, api.ReplayUnchecked, nil
	}
	key := w.key.ID // that of the server: a caller could give the message another one each time
	if in.Context != "" {
		key += "/" + in.Context // no ID has a slash
	}
	m := gate.Message{Tenant: w.key.Tenant, KeyID: key, Nonce: v.Nonce, Tag: v.Tag.Bytes(), Expires: v.Expires}
	if v.Covers.Time {
		m.At = v.At
	}
	r := gate.Rule{Profile: "scheme:" + in.Scheme, Increasing: a.o.Schemes[in.Scheme].Increasing()}
	err := a.o.Claim(ctx, w.now, r, m)
	switch fault.KindOf(err) {
	case 0:
		return v, api.ReplayFresh, nil
	case fault.Conflict:
		return refused(v, api.ReasonReplayed, err), api.ReplayReplayed, nil
	case fault.Denied:
		return refused(v, unclaimable(err, m.At, w.now), err), "", nil
	}
	return v, "", err
}

func refused(v sealwright.Verdict, reason sealwright.Reason, err error) sealwright.Verdict {
	v.Valid, v.Reason, v.Detail = false, reason, fault.Public(err)
	return v
}

// unclaimable says why a message can never be claimed: it is signed at a time
// for which nothing is remembered, or has no nonce that is one.
func unclaimable(err error, at, now time.Time) sealwright.Reason {
	var r *gate.Refusal
	switch {
	case errors.As(err, &r) && r.Reason == gate.ReasonNonce:
		return sealwright.ReasonMalformed
	case at.After(now):
		return sealwright.ReasonFuture
	}
	return sealwright.ReasonStale
}

// tryLater says in the header when a refusal of the gate may have passed.
func tryLater(h http.Header, err error) {
	var r *gate.Refusal
	if errors.As(err, &r) && r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((r.RetryAfter+time.Second-1)/time.Second)))
	}
}
