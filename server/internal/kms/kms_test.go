package kms_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

// Digests of "abc" and of nothing are those of FIPS 180-4 examples and of
// `printf ” | sha256sum`.
func TestDigestText(t *testing.T) {
	for message, want := range map[string]string{
		"abc": "sealwright native mac v1\nsha-256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n",
		"":    "sealwright native mac v1\nsha-256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n",
	} {
		got := kms.Digest(sha256.Sum256([]byte(message))).Text()
		if string(got) != want || len(got) != kms.DigestSize {
			t.Errorf("Text of %q: got %q of %d bytes, want %q of %d", message, got, len(got), want, kms.DigestSize)
		}
	}
	if kms.DigestSize > 4096 {
		t.Errorf("DigestSize: got %d, AWS GenerateMac takes 4096", kms.DigestSize)
	}
}

func TestCheckPlain(t *testing.T) {
	for n, want := range map[int]fault.Kind{0: fault.Invalid, 1: 0, kms.MaxPlain: 0, kms.MaxPlain + 1: fault.Invalid} {
		if err := kms.CheckPlain(secret.FromString(strings.Repeat("k", n))); fault.KindOf(err) != want {
			t.Errorf("%d bytes: got %v, want kind %v", n, err, want)
		}
	}
}

func TestProvider(t *testing.T) {
	for id, want := range map[string]string{
		"409a909b22d64a9a": "", "": "", "pkcs11:root": "pkcs11", "awskms:arn:aws:kms:x": "awskms", ":x": "",
	} {
		if got := kms.Provider(id); got != want {
			t.Errorf("Provider(%q): got %q, want %q", id, got, want)
		}
	}
}

// named is a wrapper that says who it is.
type named string

func (n named) Wrap(context.Context, secret.Bytes, []byte) ([]byte, string, error) {
	return []byte(n), string(n) + ":1", nil
}

func (n named) Unwrap(context.Context, string, []byte, []byte) (secret.Bytes, error) {
	return secret.FromString(string(n)), nil
}

func TestChain(t *testing.T) {
	c := kms.Chain{Primary: named("new"), ByName: map[string]kms.Wrapper{"new": named("new"), "": named("local")}}
	if _, id, err := c.Wrap(t.Context(), secret.FromString("k"), nil); id != "new:1" || err != nil {
		t.Errorf("Wrap: got %q, %v", id, err)
	}
	for id, want := range map[string]string{"new:1": "new", "409a909b22d64a9a": "local"} {
		got, err := c.Unwrap(t.Context(), id, nil, nil)
		if string(got.Expose()) != want || err != nil {
			t.Errorf("Unwrap %q: got %q, %v", id, got.Expose(), err)
		}
	}
	_, err := c.Unwrap(t.Context(), "other:1", nil, nil)
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), `"other:1"`) {
		t.Errorf("Unwrap of another provider: got %v", err)
	}
}

func TestProbe(t *testing.T) {
	if _, err := kms.Probe(t.Context(), named("w")); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), "w:1") {
		t.Errorf("Probe of a wrapper that answers something else: got %v", err)
	}
	for name, w := range map[string]failing{"Wrap": {wrap: fault.Unavailable}, "Unwrap": {unwrap: fault.Internal}} {
		if _, err := kms.Probe(t.Context(), w); err == nil || fault.KindOf(err) != cmp.Or(w.wrap, w.unwrap) {
			t.Errorf("Probe with a broken %s: got %v", name, err)
		}
	}
	if id, err := kms.Probe(t.Context(), failing{}); id != "f:1" || err != nil {
		t.Errorf("Probe: got %q, %v", id, err)
	}
}

// failing is a wrapper that wraps nothing, and fails as it is told.
type failing struct{ wrap, unwrap fault.Kind }

func (f failing) Wrap(_ context.Context, plain secret.Bytes, _ []byte) ([]byte, string, error) {
	if f.wrap != 0 {
		return nil, "", f.wrap
	}
	return plain.Expose(), "f:1", nil
}

func (f failing) Unwrap(_ context.Context, _ string, blob, _ []byte) (secret.Bytes, error) {
	if f.unwrap != 0 {
		return secret.Bytes{}, f.unwrap
	}
	return secret.New(blob), nil
}
