package transit_test

import (
	"testing"

	"github.com/openbao/openbao/api/v2"

	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/kms/kmstest"
	"github.com/sealwright/sealwright/server/internal/kms/transit"
)

// TestBao runs the conformance tests against a real transit engine, with a token
// that may do what docs/operate/kms.md asks for and no more.
func TestBao(t *testing.T) {
	const against = "the server that SEALWRIGHT_BAO names, in development mode: no TLS and no seals"
	b := peer.StartBao(t)
	config := api.DefaultConfig()
	config.Address = b.URL
	admin, err := api.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	admin.SetToken(b.Token)
	if err := admin.Sys().MountWithContext(t.Context(), "transit", &api.MountInput{Type: "transit"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"root", "root-2", "mac", "mac-2"} {
		if _, err := admin.Logical().WriteWithContext(t.Context(), "transit/keys/"+name, nil); err != nil {
			t.Fatal(err)
		}
	}
	const policy = `path "transit/encrypt/*" { capabilities = ["update"] }
path "transit/decrypt/*" { capabilities = ["update"] }
path "transit/hmac/*" { capabilities = ["update"] }
path "transit/verify/*" { capabilities = ["update"] }`
	if err := admin.Sys().PutPolicyWithContext(t.Context(), "sealwright", policy); err != nil {
		t.Fatal(err)
	}
	made, err := admin.Auth().Token().CreateWithContext(t.Context(), &api.TokenCreateRequest{Policies: []string{"sealwright"}})
	if err != nil {
		t.Fatal(err)
	}
	client := func(t *testing.T, address string) *transit.Client {
		return open(t, transit.Config{Address: address, Key: "root", Token: token(made.Auth.ClientToken)})
	}
	t.Run("Wrap", func(t *testing.T) {
		kmstest.Wrap(t, func(t *testing.T) kmstest.Subject {
			address, away := b.Proxy(t)
			return kmstest.Subject{
				Wrapper: client(t, address), Against: against, Break: away,
				Other: "transit:transit/root-2/1", Unknown: "transit:transit/root-3/1",
			}
		})
	})
	t.Run("MAC", func(t *testing.T) {
		kmstest.MAC(t, func(t *testing.T) kmstest.MACSubject {
			return kmstest.MACSubject{
				MAC: client(t, b.URL), Against: against, Key: "mac/1", Other: "mac-2/1", Unknown: "mac-3/1", Material: secret.Bytes{},
			}
		})
	})
}
