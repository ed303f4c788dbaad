//go:build pkcs11 && cgo

package pkcs11_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/kms/pkcs11"
)

const (
	pin     = "123456"
	against = "SoftHSM2, a real PKCS#11 token in software"
)

// modules are where Debian, Fedora and Homebrew put SoftHSM2.
var modules = []string{
	"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so",
	"/usr/local/lib/softhsm/libsofthsm2.so", "/opt/homebrew/lib/softhsm/libsofthsm2.so",
}

// module returns the path of SoftHSM2, or of what SEALWRIGHT_PKCS11_MODULE
// names, and ends the test if there is none.
func module(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("SEALWRIGHT_PKCS11_MODULE"); path != "" {
		return path
	}
	for _, path := range modules {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	peer.Missing(t, "needs SoftHSM2 (package softhsm2), or the path of its library in SEALWRIGHT_PKCS11_MODULE")
	return ""
}

// newToken makes a token in a folder of its own, with the keys of make, and
// returns the configuration that opens it.
func newToken(t *testing.T, make func(*testing.T, *p11.Ctx, p11.SessionHandle)) pkcs11.Config {
	t.Helper()
	c := pkcs11.Config{Module: module(t), Token: "test", PIN: secret.FromString(pin), Key: "root"}
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	tokens := filepath.Join(dir, "tokens")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+tokens+"\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	if _, err := exec.LookPath("softhsm2-util"); err != nil {
		peer.Missing(t, "needs softhsm2-util (package softhsm2)")
	}
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", c.Token, "--pin", pin, "--so-pin", "654321").CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v\n%s", err, out)
	}
	fill(t, c, make)
	return c
}

// fill runs make in a session of an administrator with the token of c.
func fill(t *testing.T, c pkcs11.Config, make func(*testing.T, *p11.Ctx, p11.SessionHandle)) {
	t.Helper()
	ctx := p11.New(c.Module)
	if ctx == nil {
		t.Fatalf("%s cannot be loaded", c.Module)
	}
	defer ctx.Destroy()
	check(t, ctx.Initialize())
	defer func() { check(t, ctx.Finalize()) }()
	slots, err := ctx.GetSlotList(true)
	check(t, err)
	for _, slot := range slots {
		info, err := ctx.GetTokenInfo(slot)
		check(t, err)
		if info.Label != c.Token {
			continue
		}
		s, err := ctx.OpenSession(slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
		check(t, err)
		check(t, ctx.Login(s, p11.CKU_USER, pin))
		make(t, ctx, s)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keyKind is a key to be made. Its zero value is sensitive and not extractable.
type keyKind struct{ readable, extractable bool }

func template(class uint, label string, kind keyKind) []*p11.Attribute {
	return []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY), p11.NewAttribute(p11.CKA_KEY_TYPE, class),
		p11.NewAttribute(p11.CKA_LABEL, label), p11.NewAttribute(p11.CKA_TOKEN, true), p11.NewAttribute(p11.CKA_PRIVATE, true),
		p11.NewAttribute(p11.CKA_SENSITIVE, !kind.readable), p11.NewAttribute(p11.CKA_EXTRACTABLE, kind.extractable),
	}
}

func makeAES(t *testing.T, ctx *p11.Ctx, s p11.SessionHandle, label string, kind keyKind) {
	t.Helper()
	_, err := ctx.GenerateKey(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_GEN, nil)}, append(template(p11.CKK_AES, label, kind),
		p11.NewAttribute(p11.CKA_VALUE_LEN, 32), p11.NewAttribute(p11.CKA_ENCRYPT, true), p11.NewAttribute(p11.CKA_DECRYPT, true)))
	check(t, err)
}

// importMAC puts material into the token, as an administrator who knows it.
func importMAC(t *testing.T, ctx *p11.Ctx, s p11.SessionHandle, label string, material []byte, kind keyKind) {
	t.Helper()
	_, err := ctx.CreateObject(s, append(template(p11.CKK_GENERIC_SECRET, label, kind),
		p11.NewAttribute(p11.CKA_VALUE, material), p11.NewAttribute(p11.CKA_SIGN, true), p11.NewAttribute(p11.CKA_VERIFY, true)))
	check(t, err)
}

func open(t *testing.T, c pkcs11.Config) *pkcs11.Token {
	t.Helper()
	token, err := pkcs11.Open(t.Context(), c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := token.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return token
}
