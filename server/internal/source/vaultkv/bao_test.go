package vaultkv_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/openbao/openbao/api/v2"

	"github.com/sealwright/sealwright/internal/peer"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/source/sourcetest"
	"github.com/sealwright/sealwright/server/internal/source/vaultkv"
)

// The policy of docs/operate/sources.md, for both versions of the engine.
const policy = `path "secret/data/team/*" { capabilities = ["read"] }
path "kv1/team/*" { capabilities = ["read"] }`

// bao is a real OpenBao or Vault with both engines, and a token that may only
// read.
type bao struct {
	*peer.Bao
	admin  *api.Client
	reader string
}

func startBao(t *testing.T) *bao {
	t.Helper()
	b := &bao{Bao: peer.StartBao(t)}
	settings := api.NewConfig()
	settings.Address = b.URL
	var err error
	if b.admin, err = api.NewClient(settings); err != nil {
		t.Fatal(err)
	}
	b.admin.SetToken(b.Token)
	if err := b.admin.Sys().MountWithContext(t.Context(), "kv1", &api.MountInput{Type: "kv", Options: map[string]string{"version": "1"}}); err != nil {
		t.Fatal(err)
	}
	if err := b.admin.Sys().PutPolicyWithContext(t.Context(), "reader", policy); err != nil {
		t.Fatal(err)
	}
	token, err := b.admin.Auth().Token().CreateWithContext(t.Context(), &api.TokenCreateRequest{Policies: []string{"reader"}})
	if err != nil {
		t.Fatal(err)
	}
	b.reader = token.Auth.ClientToken
	return b
}

// put stores fields; nil deletes the newest version.
func (b *bao) put(t *testing.T, version int, name string, fields map[string]any) {
	t.Helper()
	var err error
	switch v1, v2 := b.admin.KVv1("kv1"), b.admin.KVv2("secret"); {
	case version == 1 && fields == nil:
		err = v1.Delete(t.Context(), name)
	case version == 1:
		err = v1.Put(t.Context(), name, fields)
	case fields == nil:
		err = v2.Delete(t.Context(), name)
	default:
		_, err = v2.Put(t.Context(), name, fields)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestBao runs the conformance tests against a real server, with the policy
// that the documentation asks for.
func TestBao(t *testing.T) {
	b := startBao(t)
	var n atomic.Int32
	for version, mount := range map[int]string{1: "kv1", 2: "secret"} {
		t.Run(fmt.Sprintf("Version%d", version), func(t *testing.T) {
			sourcetest.Run(t, func(t *testing.T) sourcetest.Subject {
				address, away := b.Proxy(t)
				prefix := fmt.Sprintf("team/%d/", n.Add(1))
				return sourcetest.Subject{
					Source:  open(t, vaultkv.Config{Address: address, Mount: mount, Version: version, Token: token(b.reader)}),
					Against: "the server that SEALWRIGHT_BAO names, in development mode: no TLS and no seals",
					Name:    prefix + "a", Other: prefix + "b", Field: "hmac", Versions: version == 2,
					Set: func(t *testing.T, name, text string) {
						b.put(t, version, name, map[string]any{"user": "u", "hmac": text, "number": 1})
					},
					Remove: func(t *testing.T, name string) { b.put(t, version, name, nil) },
					Break:  away,
				}
			})
		})
	}
	t.Run("NotAllowed", func(t *testing.T) {
		b.put(t, 2, "other/a", map[string]any{"hmac": "TOPSECRET"})
		_, err := open(t, vaultkv.Config{Address: b.URL, Token: token(b.reader)}).Fetch(t.Context(), "other/a")
		if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), "Forbidden") {
			t.Errorf("Fetch outside of the policy: got %v", err)
		}
	})
	t.Run("OtherVersion", func(t *testing.T) { // of the engine than the configuration says
		for version, mount := range map[int]string{2: "kv1", 1: "secret"} {
			b.put(t, 3-version, "team/a", map[string]any{"hmac": "TOPSECRET"})
			p, err := open(t, vaultkv.Config{Address: b.URL, Mount: mount, Version: version, Token: token(b.Token)}).Fetch(t.Context(), "team/a")
			if err == nil || p.Bytes.Len() != 0 {
				t.Errorf("Fetch as version %d: got %d bytes, %v", version, p.Bytes.Len(), err)
			}
		}
	})
}
