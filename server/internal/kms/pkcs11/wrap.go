//go:build pkcs11 && cgo

package pkcs11

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"

	p11 "github.com/miekg/pkcs11"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

// aeadDecryptFailed is CKR_AEAD_DECRYPT_FAILED of PKCS#11 3.0.
const aeadDecryptFailed = p11.Error(0x35)

// Wrap encrypts plain under the key of the configuration. See [kms.Wrapper].
func (t *Token) Wrap(ctx context.Context, plain secret.Bytes, aad []byte) (blob []byte, keyID string, err error) {
	if err := kms.CheckPlain(plain); err != nil {
		return nil, "", err
	}
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	if t.config.Key == "" {
		return nil, "", fault.New(fault.Unavailable, "PKCS#11 token %q has no key to wrap with", t.config.Token)
	}
	err = t.with(ctx, func(s *session) error {
		key, err := t.find(s, object{p11.CKK_AES, t.config.Key})
		if err != nil {
			return err
		}
		params := p11.NewGCMParams(nonce, aad, 8*tagSize)
		defer params.Free()
		if err := t.module.EncryptInit(s.handle, gcm(params), key); err != nil {
			return t.unavailable("does not encrypt", err)
		}
		sealed, err := t.module.Encrypt(s.handle, plain.Expose())
		if err != nil {
			return t.unavailable("does not encrypt", err)
		}
		used := params.IV() // some tokens choose the nonce themselves
		if len(used) != nonceSize || len(sealed) != plain.Len()+tagSize {
			return fault.New(fault.Unavailable, "PKCS#11 token %q: got a nonce of %d bytes and %d bytes for %d, want %d and %d",
				t.config.Token, len(used), len(sealed), plain.Len(), nonceSize, plain.Len()+tagSize)
		}
		blob = slices.Concat(used, sealed)
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return blob, Name + ":" + t.config.Key, nil
}

// Unwrap decrypts blob under the key that keyID names. See [kms.Wrapper].
func (t *Token) Unwrap(ctx context.Context, keyID string, blob, aad []byte) (plain secret.Bytes, err error) {
	label, ok := strings.CutPrefix(keyID, Name+":")
	if !ok {
		return secret.Bytes{}, fault.New(fault.Unavailable, "data key is wrapped with %q, want a key of PKCS#11", keyID)
	}
	err = t.with(ctx, func(s *session) error {
		key, err := t.find(s, object{p11.CKK_AES, label})
		if err != nil {
			return err
		}
		if len(blob) <= nonceSize+tagSize {
			return fault.New(fault.Internal, "unwrap with %s: got %d bytes, want more than %d", keyID, len(blob), nonceSize+tagSize)
		}
		params := p11.NewGCMParams(blob[:nonceSize], aad, 8*tagSize)
		defer params.Free()
		if err := t.module.DecryptInit(s.handle, gcm(params), key); err != nil {
			return t.unavailable("does not decrypt", err)
		}
		opened, err := t.module.Decrypt(s.handle, blob[nonceSize:])
		if err != nil {
			return t.notOpened(keyID, err)
		}
		plain = keep(opened)
		return nil
	})
	return plain, err
}

// notOpened tells a blob that does not belong here from a token that is not
// well. Tokens name the former in different ways; SoftHSM says
// CKR_GENERAL_ERROR, as for other things, and so does not count as a sign that
// the token is away.
func (t *Token) notOpened(keyID string, err error) error {
	var code p11.Error
	if errors.As(err, &code) {
		switch code {
		case p11.CKR_ENCRYPTED_DATA_INVALID, p11.CKR_ENCRYPTED_DATA_LEN_RANGE, aeadDecryptFailed,
			p11.CKR_DATA_INVALID, p11.CKR_SIGNATURE_INVALID, p11.CKR_GENERAL_ERROR:
			return fault.New(fault.Internal, "unwrap with %s: the blob was changed or belongs elsewhere", keyID).Because(err)
		}
	}
	return t.unavailable("does not decrypt", err)
}

func gcm(p *p11.GCMParams) []*p11.Mechanism {
	return []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, p)}
}

func hmac() []*p11.Mechanism {
	return []*p11.Mechanism{p11.NewMechanism(p11.CKM_SHA256_HMAC, nil)}
}

// MAC computes a tag with the generic secret key of this label. See [kms.MAC].
func (t *Token) MAC(ctx context.Context, key string, d kms.Digest) (tag []byte, err error) {
	text, err := d.Text()
	if err != nil {
		return nil, err
	}
	err = t.with(ctx, func(s *session) error {
		h, err := t.find(s, object{p11.CKK_GENERIC_SECRET, key})
		if err != nil {
			return err
		}
		if err := t.module.SignInit(s.handle, hmac(), h); err != nil {
			return t.unavailable("does not sign", err)
		}
		got, err := t.module.Sign(s.handle, text)
		if err != nil {
			return t.unavailable("does not sign", err)
		}
		if len(got) != sha256.Size {
			return fault.New(fault.Unavailable, "PKCS#11 token %q: got a tag of %d bytes, want %d", t.config.Token, len(got), sha256.Size)
		}
		tag = got
		return nil
	})
	return tag, err
}

// Verify computes the tag in the token and compares it here, in constant time:
// what C_Verify of a token does is not known, and that of SoftHSM2 stops at the
// first byte that differs. See [kms.MAC].
func (t *Token) Verify(ctx context.Context, key string, d kms.Digest, tag []byte) (bool, error) {
	want, err := t.MAC(ctx, key, d)
	return err == nil && mac.Equal(want, tag), err
}

// MakeKey makes a generic secret key of 32 random bytes in the token, sensitive
// and not extractable, for MACs only. The label is its name; one that is taken
// is of kind [fault.Unavailable].
func (t *Token) MakeKey(ctx context.Context, label string) (key string, err error) {
	err = t.with(ctx, func(s *session) error {
		found, err := t.search(s, object{p11.CKK_GENERIC_SECRET, label})
		if err != nil {
			return err
		}
		if len(found) > 0 || label == "" {
			return fault.New(fault.Unavailable, "PKCS#11 token %q does not make the key %q: the label is empty or taken", t.config.Token, label)
		}
		return t.generate(label)
	})
	if err != nil {
		return "", err
	}
	return label, nil
}

// generate makes a key in a session that may write.
func (t *Token) generate(label string) error {
	slot, err := t.slot()
	if err != nil {
		return err
	}
	h, err := t.module.OpenSession(slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
	if err != nil {
		return t.unavailable("cannot open a session that writes", err)
	}
	_, err = t.module.GenerateKey(h, []*p11.Mechanism{p11.NewMechanism(p11.CKM_GENERIC_SECRET_KEY_GEN, nil)}, []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY), p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_GENERIC_SECRET),
		p11.NewAttribute(p11.CKA_LABEL, label), p11.NewAttribute(p11.CKA_VALUE_LEN, sha256.Size),
		p11.NewAttribute(p11.CKA_TOKEN, true), p11.NewAttribute(p11.CKA_PRIVATE, true),
		p11.NewAttribute(p11.CKA_SENSITIVE, true), p11.NewAttribute(p11.CKA_EXTRACTABLE, false),
		p11.NewAttribute(p11.CKA_SIGN, true), p11.NewAttribute(p11.CKA_VERIFY, true),
		p11.NewAttribute(p11.CKA_ENCRYPT, false), p11.NewAttribute(p11.CKA_DECRYPT, false),
		p11.NewAttribute(p11.CKA_WRAP, false), p11.NewAttribute(p11.CKA_UNWRAP, false),
	})
	if err = errors.Join(err, t.module.CloseSession(h)); err != nil {
		return t.unavailable("does not make a key", err)
	}
	return nil
}
