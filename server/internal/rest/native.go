package rest

import (
	"context"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

// covers is what tags by native keys cover.
const covers = "digest"

// construction says of an answer what its tag covers, where that is not the
// message alone.
func (x *exchange) construction(u use) {
	if u.key.Native() {
		x.out = append(x.out, `,"covers":"`+covers+`","construction":"`+kms.Construction+`"`...)
	}
	if u.prefix != nil {
		x.out = append(x.out, `,"bound":true`...)
	}
}

// bind ends the context of a request for native keys after the time that it
// has for key services, from the first of them. What that holds frees
// [exchange.unbind].
func (a *API) bind(x *exchange, key *custody.Key) {
	if !key.Native() || x.cancel != nil {
		return
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), a.o.Limits.Device)
	x.r, x.cancel = x.r.WithContext(ctx), cancel
}

func (x *exchange) unbind() {
	if x.cancel != nil {
		x.cancel()
	}
}

// readNative returns nil for nothing.
func readNative(in *api.NativeKey) *custody.NativeKey {
	if in == nil {
		return nil
	}
	return &custody.NativeKey{Provider: in.Provider, Key: in.Key}
}

// nativeOf returns nil for no native key.
func nativeOf(n custody.NativeKey) *api.NativeKey {
	if n == (custody.NativeKey{}) {
		return nil
	}
	return &api.NativeKey{Provider: n.Provider, Key: n.Key}
}

// foreign refuses a native key for the schemes of others.
func (a *API) foreign(ctx context.Context, k *custody.Key) error {
	err := k.RefuseForeign()
	if err == nil {
		return nil
	}
	return a.fails(ctx, fault.New(fault.KindOf(err), "%s: its tags cover a digest, in the construction %s; use /v1/keys/%s/sign and verify",
		fault.Public(err), kms.Construction, k.Name).Because(err))
}
