package custody_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/server/internal/custody"
)

// The form of records is a promise: what one version stores, later ones read.
// This decrypts a key with the standard library alone, from the root key in
// the file to the secret.
func TestStoredForm(t *testing.T) {
	h := newHouse(t)
	if _, err := h.Create(t.Context(), admin, custody.CreateKey{Name: "jefe", KeyID: "jefe.1", Material: secretOf("Jefe"), AllowWeak: true}); err != nil {
		t.Fatalf("Create: %v", err)
	}
	text, err := os.ReadFile(h.root)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(text))
	root := decode(t, lines[len(lines)-1])

	record := h.record(t, "", "datakey", "default")
	doc := document(t, record)
	wrapped, created := doc["wrapped"].(string), "2026-11-03T04:05:06.789012Z"
	want := fmt.Sprintf(`{"root_key_id":%q,"wrapped":%q,"created_at":%q}`, h.wrapper.KeyID(), wrapped, created)
	if string(record.Doc) != want || record.Format != 1 {
		t.Errorf("data key: got format %d, %s, want %s", record.Format, record.Doc, want)
	}
	dataKey := open(t, root, decode(t, wrapped), "\x00\x00\x00\x13sealwright data key\x00\x00\x00\x07default")
	if len(dataKey) != 32 {
		t.Errorf("data key has %d bytes, want 32", len(dataKey))
	}

	record = h.record(t, "default", "key", "jefe")
	ciphertext := versionOf(document(t, record), 0)["ciphertext"].(string)
	want = fmt.Sprintf(`{"name":"jefe","key_id":"jefe.1","algorithm":"hmac-sha256","exportable":false,"created_at":%q,`+
		`"versions":[{"version":1,"state":"active","created_at":%q,"activated_at":%q,"ciphertext":%q,"origin":"imported"}],"signing":1}`,
		created, created, created, ciphertext)
	if string(record.Doc) != want || record.Format != 2 {
		t.Errorf("key: got format %d, %s, want %s", record.Format, record.Doc, want)
	}
	got := open(t, dataKey, decode(t, ciphertext),
		"\x00\x00\x00\x16sealwright key version\x00\x00\x00\x07default\x00\x00\x00\x04jefe\x00\x00\x00\x011")
	if string(got) != "Jefe" {
		t.Errorf("secret: got %d bytes that are not the imported ones", len(got))
	}
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// open decrypts AES-256-GCM with a nonce of 12 bytes in front.
func open(t *testing.T, key, blob []byte, aad string) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := aead.Open(nil, blob[:12], blob[12:], []byte(aad))
	if err != nil {
		t.Fatalf("decrypt: %v", err)
	}
	return plain
}

// A27: nothing that prints a key, a revealed version or a request shows a
// secret.
func TestPrintShowsNoSecret(t *testing.T) {
	h := newHouse(t)
	in := custody.CreateKey{Name: "a", Exportable: true, Material: secretOf("an imported secret, found easily")}
	k, err := h.Create(t.Context(), admin, in)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	if _, err := k.MAC(1); err != nil { // prepared keys are printed too
		t.Fatalf("MAC: %v", err)
	}
	revealed, err := h.Reveal(t.Context(), admin, "a")
	if err != nil {
		t.Fatalf("Reveal: %v", err)
	}
	for _, value := range []any{k, *k, k.Ring, *k.Ring, revealed, in, h.Service} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			checkNoSecret(t, fmt.Sprintf("%s of %T", verb, value), []byte(fmt.Sprintf(verb, value)), k)
		}
		if text, err := json.Marshal(value); err == nil {
			checkNoSecret(t, fmt.Sprintf("JSON of %T", value), text, k)
		}
	}
}

func checkNoSecret(t *testing.T, what string, text []byte, k *custody.Key) {
	t.Helper()
	for _, s := range secrets(k) {
		for _, form := range forms(s) {
			if bytes.Contains(text, form) {
				t.Errorf("%s shows a secret", what)
			}
		}
	}
}
