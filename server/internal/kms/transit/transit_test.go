package transit_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/kms/kmstest"
	"github.com/sealwright/sealwright/server/internal/kms/transit"
)

var material = bytes.Repeat([]byte{0x0b}, 32)

func token(text string) func() (secret.Bytes, error) {
	return func() (secret.Bytes, error) { return secret.FromString(text), nil }
}

func open(t *testing.T, c transit.Config) *transit.Client {
	t.Helper()
	client, err := transit.Open(c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return client
}

// client returns a client of f, in which there are keys for everything.
func client(t *testing.T, f *fake) *transit.Client {
	t.Helper()
	f.add("root", nil)
	f.add("root-2", nil)
	f.add("mac", material)
	f.add("mac-2", nil)
	return open(t, transit.Config{Address: f.URL, Key: "root", Token: token(f.token)})
}

func TestWrap(t *testing.T) {
	kmstest.Wrap(t, func(t *testing.T) kmstest.Subject {
		f := newFake(t)
		return kmstest.Subject{
			Wrapper: client(t, f), Against: against, Other: "transit:transit/root-2/1", Unknown: "transit:transit/root-3/1",
			Break: func() {
				f.CloseClientConnections()
				f.Close()
			},
		}
	})
}

func TestMAC(t *testing.T) {
	kmstest.MAC(t, func(t *testing.T) kmstest.MACSubject {
		return kmstest.MACSubject{
			MAC: client(t, newFake(t)), Against: against, Key: "mac/1", Other: "mac-2/1", Unknown: "mac-3/1",
			Material: secret.New(material),
		}
	})
}

// After a rotation new blobs are under the new version, and old ones open until
// the engine retires their version.
func TestRotation(t *testing.T) {
	f := newFake(t)
	c := client(t, f)
	blob, keyID, err := c.Wrap(t.Context(), secret.FromString("data key"), nil)
	if err != nil || keyID != "transit:transit/root/1" {
		t.Fatalf("Wrap: got key ID %q, %v", keyID, err)
	}
	tag, err := c.MAC(t.Context(), "mac/1", kms.Digest{})
	if err != nil {
		t.Fatal(err)
	}
	f.add("root", nil)
	f.add("mac", nil)
	if _, id, err := c.Wrap(t.Context(), secret.FromString("data key"), nil); id != "transit:transit/root/2" || err != nil {
		t.Errorf("Wrap after a rotation: got key ID %q, %v", id, err)
	}
	if got, err := c.Unwrap(t.Context(), keyID, blob, nil); err != nil || string(got.Expose()) != "data key" {
		t.Errorf("Unwrap under the old version: got %d bytes, %v", got.Len(), err)
	}
	if _, err := c.Unwrap(t.Context(), "transit:transit/root/2", blob, nil); fault.KindOf(err) != fault.Internal {
		t.Errorf("Unwrap under another version: got %v, want kind %v", err, fault.Internal)
	}
	for key, want := range map[string]bool{"mac/1": true, "mac/2": false} {
		if ok, err := c.Verify(t.Context(), key, kms.Digest{}, tag); ok != want || err != nil {
			t.Errorf("Verify with %s: got %t, %v, want %t", key, ok, err, want)
		}
	}
	f.keys["root"].oldest = 2
	if _, err := c.Unwrap(t.Context(), keyID, blob, nil); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "too old") {
		t.Errorf("Unwrap under a retired version: got %v, want kind %v", err, fault.Unavailable)
	}
}

func TestReferences(t *testing.T) {
	c := client(t, newFake(t))
	for _, key := range []string{"mac", "mac/", "mac/0", "mac/01", "mac/+1", "mac/1/1", "/1", "../mac/1", "mac/99999999999", "mac/2", "m\x00/1"} {
		if tag, err := c.MAC(t.Context(), key, kms.Digest{}); fault.KindOf(err) != fault.Unavailable || tag != nil {
			t.Errorf("MAC with %q: got %d bytes, %v, want kind %v", key, len(tag), err, fault.Unavailable)
		}
	}
	for _, id := range []string{"transit:other/root/1", "transit:transit/../root/1", "transit:root/1", "transit:transit/root"} {
		if _, err := c.Unwrap(t.Context(), id, []byte("vault:v1:AAAA"), nil); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("Unwrap with %q: got %v, want kind %v", id, err, fault.Unavailable)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	good := transit.Config{Address: "https://localhost", Key: "root", Token: token("t")}
	for want, change := range map[string]func(*transit.Config){
		"transit needs address":     func(c *transit.Config) { c.Address = "" },
		"needs address and token":   func(c *transit.Config) { c.Token = nil },
		`the key "a/b"`:             func(c *transit.Config) { c.Key = "a/b" },
		`the mount "/transit"`:      func(c *transit.Config) { c.Mount = "/transit" },
		`the mount "a/../b"`:        func(c *transit.Config) { c.Mount = "a/../b" },
		"cannot be read from /none": func(c *transit.Config) { c.CAFile = "/none" },
		"no address of a server":    func(c *transit.Config) { c.Address = "http://a b" },
	} {
		c := good
		change(&c)
		if client, err := transit.Open(c); client != nil || fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), want) {
			t.Errorf("Open: got %v, want %s", err, want)
		}
	}
}

// TestNoKeyToWrap has a client for MACs alone.
func TestNoKeyToWrap(t *testing.T) {
	f := newFake(t)
	f.add("mac", material)
	c := open(t, transit.Config{Address: f.URL, Token: token(f.token)})
	if _, err := c.MAC(t.Context(), "mac/1", kms.Digest{}); err != nil {
		t.Errorf("MAC: %v", err)
	}
	if blob, _, err := c.Wrap(t.Context(), secret.FromString("k"), nil); fault.KindOf(err) != fault.Unavailable || blob != nil {
		t.Errorf("Wrap: got %d bytes, %v, want kind %v", len(blob), err, fault.Unavailable)
	}
}

// TestToken holds that the token is asked for each time, and stays out of
// errors, as the environment stays out of requests.
func TestToken(t *testing.T) {
	t.Setenv("BAO_TOKEN", "of-the-environment")
	t.Setenv("VAULT_NAMESPACE", "of-the-environment")
	f := newFake(t)
	client(t, f)
	current, fail := "wrong-token", error(nil)
	c := open(t, transit.Config{Address: f.URL, Key: "root", Namespace: "ns", Token: func() (secret.Bytes, error) {
		return secret.FromString(current), fail
	}})
	_, _, err := c.Wrap(t.Context(), secret.FromString("k"), nil)
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "permission denied") || strings.Contains(err.Error(), current) {
		t.Errorf("Wrap with a wrong token: got %v", err)
	}
	current = f.token
	if _, _, err := c.Wrap(t.Context(), secret.FromString("k"), nil); err != nil {
		t.Errorf("Wrap with the new token: %v", err)
	}
	if got := f.seen[len(f.seen)-1].Get("X-Vault-Namespace"); got != "ns" {
		t.Errorf("namespace: got %q, want ns", got)
	}
	fail = errors.New("no token")
	if _, _, err := c.Wrap(t.Context(), secret.FromString("k"), nil); fault.KindOf(err) != fault.Unavailable || !errors.Is(err, fail) {
		t.Errorf("Wrap without a token: got %v", err)
	}
}

// TestAnswers has answers that a server should not give: none is taken for a
// result.
func TestAnswers(t *testing.T) {
	for _, body := range []string{
		``, `{}`, `null`, `{"data":null}`, `{"data":{}}`, `{"data":{"ciphertext":"AAAA","plaintext":"*","hmac":"vault:v1:AAAA","valid":"true"}}`,
		`{"data":{"ciphertext":"vault:vx:AAAA","plaintext":"","hmac":"vault:v2:` + strings.Repeat("A", 43) + `=","valid":1}}`, `<html>`,
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		c := open(t, transit.Config{Address: s.URL, Key: "root", Token: token("t")})
		_, _, wrap := c.Wrap(t.Context(), secret.FromString("k"), nil)
		_, unwrap := c.Unwrap(t.Context(), "transit:transit/root/1", []byte("vault:v1:AAAA"), nil)
		_, sum := c.MAC(t.Context(), "mac/1", kms.Digest{})
		ok, verify := c.Verify(t.Context(), "mac/1", kms.Digest{}, make([]byte, 32))
		for name, err := range map[string]error{"Wrap": wrap, "Unwrap": unwrap, "MAC": sum, "Verify": verify} {
			if fault.KindOf(err) != fault.Unavailable || ok {
				t.Errorf("%s with %q: got %v, want kind %v", name, body, err, fault.Unavailable)
			}
		}
		s.Close()
	}
}

// A server that does not answer is given up.
func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer s.Close()
	defer close(release)
	c := open(t, transit.Config{Address: s.URL, Key: "root", Token: token("t"), Timeout: time.Millisecond})
	if _, _, err := c.Wrap(t.Context(), secret.FromString("k"), nil); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Wrap: got %v, want kind %v", err, fault.Unavailable)
	}
}
