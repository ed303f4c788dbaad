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

// construction says of an answer that its tag is not that of the message; it is
// nothing for an ordinary key.
func (x *exchange) construction(key *custody.Key) {
	if key.Native() {
		x.out = append(x.out, `,"covers":"`+covers+`","construction":"`+kms.Construction+`"`...)
	}
}

// bound ends the context of a request for a native key after the time that it
// has for the key service; the function that it returns frees what that holds.
func (a *API) bound(x *exchange, key *custody.Key) (done func()) {
	if !key.Native() {
		return func() {}
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), a.o.Limits.Device)
	x.r = x.r.WithContext(ctx)
	return cancel
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
