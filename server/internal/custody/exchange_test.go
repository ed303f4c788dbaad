package custody_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// openssl returns a function that runs openssl in a folder of its own.
func openssl(t *testing.T) (dir string, run func(args ...string)) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("SEALWRIGHT_REQUIRE_PEERS") != "" {
			t.Fatalf("openssl is needed: %v", err)
		}
		t.Skipf("openssl is not installed: %v", err)
	}
	dir = t.TempDir()
	return dir, func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A partner opens an export with openssl alone, with the commands that
// docs/operate/keys.md shows.
func TestExportOpensWithOpenSSL(t *testing.T) {
	dir, run := openssl(t)
	run("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072", "-out", "partner.key")
	run("pkey", "-in", "partner.key", "-pubout", "-out", "partner.pub")

	h := newHouse(t)
	k, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "a", Exportable: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.AddRecipient(t.Context(), admin, "partner", string(read(t, dir, "partner.pub"))); err != nil {
		t.Fatalf("AddRecipient: %v", err)
	}
	derived, err := k.Derive("customer-42")
	if err != nil {
		t.Fatal(err)
	}
	for context, want := range map[string]*custody.Key{"": k, "customer-42": derived} {
		got, err := h.Export(t.Context(), admin, "a", "partner", 0, context)
		if err != nil || got.Version != 1 {
			t.Fatalf("Export: got version %d, %v", got.Version, err)
		}
		write(t, dir, "wrapped.bin", got.Wrapped)
		run("pkeyutl", "-decrypt", "-inkey", "partner.key", "-in", "wrapped.bin", "-out", "secret.bin",
			"-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256")
		if !bytes.Equal(read(t, dir, "secret.bin"), want.Ring.Keys()[0].Secret.Expose()) {
			t.Errorf("context %q: openssl opens another secret", context)
		}
	}
}

// pemOf returns a public key of this size.
func pemOf(t *testing.T, bits int) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// ed25519PEM is the public key of RFC 8410 section 10.1.
const ed25519PEM = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
`

func TestRecipients(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	one, two := pemOf(t, 3072), pemOf(t, 3072)
	r, err := h.AddRecipient(ctx, admin, "partner", one)
	if err != nil || r.PublicKey != one || r.Bits != 3072 || len(r.Fingerprint) != 64 {
		t.Fatalf("AddRecipient: got %+v, %v", r, err)
	}
	_, err = h.AddRecipient(ctx, admin, "partner", two)
	wantKind(t, "a key in place of another", err, fault.Conflict)
	list, err := h.Recipients(ctx, admin)
	if diff := cmp.Diff([]custody.Recipient{r}, list); diff != "" || err != nil {
		t.Errorf("Recipients: %v (-want +got):\n%s", err, diff)
	}
	if list, err := h.Recipients(ctx, other); err != nil || len(list) != 0 {
		t.Errorf("Recipients of another tenant: got %v, %v", list, err)
	}
	if err := h.RemoveRecipient(ctx, admin, "partner"); err != nil {
		t.Fatalf("RemoveRecipient: %v", err)
	}
	wantKind(t, "RemoveRecipient again", h.RemoveRecipient(ctx, admin, "partner"), fault.NotFound)
	if list, err := h.Recipients(ctx, admin); err != nil || len(list) != 0 {
		t.Errorf("Recipients: got %v, %v", list, err)
	}
	if r, err := h.AddRecipient(ctx, admin, "partner", two); err != nil || r.PublicKey != two {
		t.Errorf("AddRecipient after RemoveRecipient: got %+v, %v", r, err)
	}
	var actions []string
	for _, e := range h.log(t) {
		actions = append(actions, e.Action)
	}
	if diff := cmp.Diff([]string{"recipient.add", "recipient.remove", "recipient.add"}, actions); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	for name, text := range map[string]string{
		"Empty": "", "NoPEM": "key", "Private": strings.ReplaceAll(one, "PUBLIC", "PRIVATE"), "NotRSA": ed25519PEM,
		"Short": pemOf(t, 2048), "Cut": one[:200] + one[len(one)-60:], "Long": one + strings.Repeat("\n", 16<<10),
	} {
		_, err := h.AddRecipient(ctx, admin, "other", text)
		wantKind(t, name, err, fault.Invalid)
	}
	_, err = h.AddRecipient(ctx, admin, "UPPER", one)
	wantKind(t, "name", err, fault.Invalid)
	nobody := access.Caller{ID: "c", Tenant: tenant}
	_, err = h.AddRecipient(ctx, nobody, "other", one)
	wantKind(t, "AddRecipient without role", err, fault.Denied)
	wantKind(t, "RemoveRecipient without role", h.RemoveRecipient(ctx, nobody, "partner"), fault.Denied)
}

func TestExportRefuses(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	h.create(t, "a")
	if _, err := h.Create(ctx, admin, custody.CreateKey{Name: "open", Exportable: true, Material: secretOf(strings.Repeat("s", 400))}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.AddRecipient(ctx, admin, "partner", pemOf(t, 3072)); err != nil {
		t.Fatal(err)
	}
	export := func(c access.Caller, name, to string, version int, context string) error {
		_, err := h.Export(ctx, c, name, to, version, context)
		return err
	}
	wantKind(t, "a key that is not exportable", export(admin, "a", "partner", 0, ""), fault.Denied)
	wantKind(t, "a secret that is too long", export(admin, "open", "partner", 0, ""), fault.Invalid)
	wantKind(t, "no key", export(admin, "none", "partner", 0, ""), fault.NotFound)
	wantKind(t, "no recipient", export(admin, "open", "nobody", 0, ""), fault.NotFound)
	wantKind(t, "no version", export(admin, "open", "partner", 9, ""), fault.NotFound)
	wantKind(t, "a context that is too long", export(admin, "a", "partner", 0, strings.Repeat("c", 300)), fault.Invalid)
	wantKind(t, "no role", export(access.Caller{ID: "c", Tenant: tenant}, "open", "partner", 0, ""), fault.Denied)
	wantKind(t, "another tenant", export(other, "open", "partner", 0, ""), fault.NotFound)
	if err := export(admin, "a", "partner", 0, "customer-42"); err != nil {
		t.Errorf("a derived key: %v", err)
	}
	log := h.log(t)
	if e := log[len(log)-1]; e.Action != "key.export" || e.Name != "a" || !strings.Contains(string(e.Detail), `"context":"customer-42"`) ||
		!strings.Contains(string(e.Detail), `"recipient":"partner"`) {
		t.Errorf("last entry: got %+v %s", e, e.Detail)
	}
	h.store.Fail(lost)
	got, err := h.Export(ctx, admin, "a", "partner", 0, "customer-42")
	if err == nil || got.Wrapped != nil {
		t.Errorf("exported although the entry is not stored: %v", err)
	}
}
