package kms_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

// The digest of "abc" is that of the FIPS 180-4 examples. The text is the
// example of docs/design/native-mac.md, whose tag was computed with OpenSSL:
//
//	printf 'sealwright-native-mac-v1\nhmac-sha256\ndefault\norders\n1\n%s\n' \
//	  ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad |
//	  openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f
func TestDigestText(t *testing.T) {
	d := kms.Digest{Tenant: "default", Key: "orders", Version: 1, Sum: sha256.Sum256([]byte("abc"))}
	const want = "sealwright-native-mac-v1\nhmac-sha256\ndefault\norders\n1\n" +
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
	text, err := d.Text()
	if string(text) != want || err != nil {
		t.Errorf("Text: got %q, %v, want %q", text, err, want)
	}
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i)
	}
	k, err := mac.New(mac.SHA256, secret.New(key))
	if err != nil {
		t.Fatal(err)
	}
	tag, err := k.Sum(nil, text)
	if got := hex.EncodeToString(tag); got != vector || err != nil {
		t.Errorf("HMAC of the text: got %s, %v, want %s", got, err, vector)
	}
}

// vector is the tag of docs/design/native-mac.md.
const vector = "3cf8b988f97247f187a3b73bdac527629916784ec4b0fcc1acaac5e5a1199438"

// TestDocument runs the commands of docs/design/native-mac.md with the real
// OpenSSL: they print the tag that stands below them.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../../docs/design/native-mac.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```sh\n")
	commands, rest, ok := strings.Cut(rest, "```\n")
	if !ok || !strings.Contains(rest, vector) {
		t.Fatalf("the page has no commands, or not the tag %s below them", vector)
	}
	if _, err := exec.LookPath("openssl"); err != nil {
		peer.Missing(t, "needs openssl")
	}
	out, err := exec.Command("sh", "-ec", commands).CombinedOutput()
	if got := strings.TrimSpace(string(out)); got != vector || err != nil {
		t.Errorf("the commands print %s, %v, want %s", got, err, vector)
	}
	tag, err := hex.DecodeString(vector)
	if err != nil {
		t.Fatal(err)
	}
	form := api.Signature{Algorithm: mac.SHA256, Native: true, Tag: tag, KeyID: "orders", Version: 1}.String()
	if !strings.Contains(string(text), form) {
		t.Errorf("the page does not have %s", form)
	}
}

// TestDigestLimits has texts at the limit of AWS, and names that would move
// the border of a line.
func TestDigestLimits(t *testing.T) {
	rest := len("sealwright-native-mac-v1\nhmac-sha256\n\n\n1\n") + 2*sha256.Size + 1
	for name, c := range map[string]struct {
		d    kms.Digest
		want fault.Kind
	}{
		"Longest":        {kms.Digest{Key: strings.Repeat("k", kms.MaxText-rest), Version: 1}, 0},
		"TooLong":        {kms.Digest{Key: strings.Repeat("k", kms.MaxText-rest+1), Version: 1}, fault.Invalid},
		"LineInKey":      {kms.Digest{Key: "a\nb", Version: 1}, fault.Invalid},
		"LineInTenant":   {kms.Digest{Tenant: "a\n", Version: 1}, fault.Invalid},
		"CarriageReturn": {kms.Digest{Key: "a\r", Version: 1}, 0}, // no border
	} {
		text, err := c.d.Text()
		if fault.KindOf(err) != c.want || (text == nil) != (err != nil) {
			t.Errorf("%s: got %d bytes, %v, want kind %v", name, len(text), err, c.want)
		}
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
