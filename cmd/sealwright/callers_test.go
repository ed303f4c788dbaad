package main

import (
	"crypto/sha256"
	"encoding/base64"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/secret"
)

func callersPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operate/callers.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestCallersExample makes the worked example of the page once more.
func TestCallersExample(t *testing.T) {
	page := callersPage(t)
	const body = `{"text":"hello"}`
	digest := sha256.Sum256([]byte(body))
	scheme, err := catalogue.New("rfc9421", api.SignatureParams(true, "content-type"))
	if err != nil {
		t.Fatal(err)
	}
	key := keyring.Must(keyring.Key{ID: "5f1c0b0a9d2e4c7788aa", Version: 1, Secret: secret.FromString("sws_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")})
	signer := sealwright.Signer{Scheme: scheme, Ring: key, Nonce: func() string { return "b3k2pp5k7z50gnwpyemd" }}
	m, err := signer.Sign(sealwright.Message{
		Method: "POST", Scheme: "http", Host: "127.0.0.1:8470", Target: "/v1/keys/orders/sign", Body: []byte(body),
		Header: map[string][]string{"Content-Type": {"application/json"}},
	}, time.Unix(1767225600, 0))
	if err != nil {
		t.Fatal(err)
	}
	signing, err := key.Signing(time.Unix(1767225600, 0))
	if err != nil {
		t.Fatal(err)
	}
	base, _, err := sealwright.SignedBytes(scheme, signing, m)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Content-Digest: sha-256=:" + base64.StdEncoding.EncodeToString(digest[:]) + ":\n",
		"Signature-Input: " + m.Header["Signature-Input"][0] + "\n", "Signature: " + m.Header["Signature"][0] + "\n", "```\n" + string(base[0]) + "\n```\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks\n%s", want)
		}
	}
}
