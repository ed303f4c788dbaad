package rest

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/canon"
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
func (a *API) bound(x *exchange) (done func()) {
	ctx, cancel := context.WithTimeout(x.r.Context(), a.o.Limits.Device)
	x.r = x.r.WithContext(ctx)
	return cancel
}

// checkNative verifies the message with this digest. The error is of kind
// [fault.Unavailable] if it is not known whether it is valid.
func (x *exchange) checkNative(key *custody.Key, c claim, sum [sha256.Size]byte) (verdict, error) {
	ctx := x.r.Context()
	if c.tag == nil {
		err := key.VerifyNativeSignature(ctx, c.signature, sum)
		switch {
		case err == nil:
			return verdict{valid: true, version: c.signature.Version}, nil
		case errors.Is(err, sealwright.ErrMismatch), errors.Is(err, sealwright.ErrUnknownKey), errors.Is(err, sealwright.ErrPolicy):
			return refusal(c.signature.Version, err), nil
		}
		return verdict{}, err
	}
	version, ok, err := key.VerifyNative(ctx, c.tag, sum)
	if err != nil {
		return verdict{}, err
	}
	if ok {
		return verdict{valid: true, version: version}, nil
	}
	if version, ok := key.NativeRevokedBy(ctx, c.tag, sum); ok {
		return revoked(key, version), nil
	}
	return refusal(0, sealwright.ErrMismatch), key.Unsure()
}

// digestStream reads the body, of any size, and returns its digest.
func (a *API) digestStream(x *exchange) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	if err := a.stream(x, h); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// signNativeStream is signStream for a native key.
func (a *API) signNativeStream(x *exchange, key *custody.Key, encoding canon.Encoding) error {
	sum, err := a.digestStream(x)
	if err != nil {
		return err
	}
	defer a.bound(x)()
	tag, version, err := key.SignNative(x.r.Context(), sum)
	if err != nil {
		return err
	}
	x.op.Version = version
	x.out = x.out[:0]
	x.signed(key, tag, version, encoding)
	x.reply()
	return nil
}

// verifyNativeStream is verifyStream for a native key.
func (a *API) verifyNativeStream(x *exchange, key *custody.Key, c claim) error {
	sum, err := a.digestStream(x)
	if err != nil {
		return err
	}
	defer a.bound(x)()
	v, err := x.checkNative(key, c, sum)
	if err != nil {
		return err
	}
	x.answer(key, v)
	return nil
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
