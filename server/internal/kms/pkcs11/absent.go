//go:build !pkcs11 || !cgo

package pkcs11

import (
	"context"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

var (
	_ kms.Wrapper = (*Token)(nil)
	_ kms.MAC     = (*Token)(nil)
)

// errAbsent is the error of everything in this build.
func errAbsent() error {
	return fault.New(fault.Unavailable, "this program was built without PKCS#11: build it with cgo and -tags pkcs11")
}

// Token stands for a token that this build cannot use.
type Token struct{}

// Open returns an error of kind [fault.Unavailable].
func Open(context.Context, Config) (*Token, error) { return nil, errAbsent() }

// Close does nothing.
func (*Token) Close() error { return nil }

// Wrap returns an error of kind [fault.Unavailable].
func (*Token) Wrap(context.Context, secret.Bytes, []byte) (blob []byte, keyID string, err error) {
	return nil, "", errAbsent()
}

// Unwrap returns an error of kind [fault.Unavailable].
func (*Token) Unwrap(context.Context, string, []byte, []byte) (secret.Bytes, error) {
	return secret.Bytes{}, errAbsent()
}

// MAC returns an error of kind [fault.Unavailable].
func (*Token) MAC(context.Context, string, kms.Digest) ([]byte, error) { return nil, errAbsent() }

// Verify returns an error of kind [fault.Unavailable].
func (*Token) Verify(context.Context, string, kms.Digest, []byte) (bool, error) {
	return false, errAbsent()
}

// MakeKey returns an error of kind [fault.Unavailable].
func (*Token) MakeKey(context.Context, string) (string, error) { return "", errAbsent() }
