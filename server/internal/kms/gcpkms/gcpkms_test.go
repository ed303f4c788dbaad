package gcpkms_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
	"github.com/sealwright/sealwright/server/internal/kms/gcpkms"
	"github.com/sealwright/sealwright/server/internal/kms/kmstest"
)

var material = bytes.Repeat([]byte{0x0b}, 32)

func id(name, version string) string { return ring + name + "/cryptoKeyVersions/" + version }

// open returns a client of f, in which there are keys for everything.
func open(t *testing.T, f *fake) *gcpkms.Client {
	t.Helper()
	f.add("root", nil)
	f.add("root-2", nil)
	f.add("mac", material)
	f.add("mac-2", nil)
	c, err := gcpkms.Open(t.Context(), gcpkms.Config{Key: ring + "root", Timeout: 5 * time.Second, Options: f.options()})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

func TestWrap(t *testing.T) {
	kmstest.Wrap(t, func(t *testing.T) kmstest.Subject {
		f := newFake(t)
		return kmstest.Subject{
			Wrapper: open(t, f), Against: against, Other: "gcpkms:" + id("root-2", "1"), Unknown: "gcpkms:" + id("root-3", "1"),
			Break: f.server.Stop,
		}
	})
}

func TestMAC(t *testing.T) {
	kmstest.MAC(t, func(t *testing.T) kmstest.MACSubject {
		return kmstest.MACSubject{
			MAC: open(t, newFake(t)), Against: against,
			Key: id("mac", "1"), Other: id("mac-2", "1"), Unknown: id("mac", "2"), Material: secret.New(material),
		}
	})
}

func TestRotation(t *testing.T) {
	f := newFake(t)
	c := open(t, f)
	blob, first, err := c.Wrap(t.Context(), secret.FromString("data key"), nil)
	if err != nil || first != "gcpkms:"+id("root", "1") {
		t.Fatalf("Wrap: got key ID %q, %v", first, err)
	}
	f.add("root", nil)
	if _, second, err := c.Wrap(t.Context(), secret.FromString("data key"), nil); err != nil || second != "gcpkms:"+id("root", "2") {
		t.Errorf("Wrap after a rotation: got key ID %q, %v", second, err)
	}
	if got, err := c.Unwrap(t.Context(), first, blob, nil); err != nil || string(got.Expose()) != "data key" {
		t.Errorf("Unwrap under the old version: got %d bytes, %v", got.Len(), err)
	}
}

// TestDamaged holds that every checksum is looked at, in both directions.
func TestDamaged(t *testing.T) {
	f := newFake(t)
	c := open(t, f)
	blob, keyID, err := c.Wrap(t.Context(), secret.FromString("data key"), []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	tag, err := c.MAC(t.Context(), id("mac", "1"), kms.Digest{})
	if err != nil {
		t.Fatal(err)
	}
	wrap := func() error {
		_, _, err := c.Wrap(t.Context(), secret.FromString("data key"), []byte("aad"))
		return err
	}
	unwrap := func() error {
		got, err := c.Unwrap(t.Context(), keyID, blob, []byte("aad"))
		if !got.IsZero() {
			t.Errorf("Unwrap: got %d bytes", got.Len())
		}
		return err
	}
	sign := func() error {
		_, err := c.MAC(t.Context(), id("mac", "1"), kms.Digest{})
		return err
	}
	verify := func() error {
		ok, err := c.Verify(t.Context(), id("mac", "1"), kms.Digest{}, tag)
		if ok {
			t.Error("Verify: got true")
		}
		return err
	}
	for _, tt := range []struct {
		damage string
		call   func() error
	}{
		{"Ciphertext", wrap}, {"Plaintext", wrap}, {"AAD", wrap}, {"Decrypted", unwrap},
		{"Mac", sign}, {"Data", sign}, {"Name", sign}, {"Mac", verify}, {"Data", verify}, {"Success", verify},
	} {
		f.damage = tt.damage
		if err := tt.call(); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), "damaged on the way") {
			t.Errorf("%s: got %v, want kind %v", tt.damage, err, fault.Unavailable)
		}
	}
}

func TestReferences(t *testing.T) {
	c := open(t, newFake(t))
	for _, key := range []string{"mac", ring + "mac", id("mac", ""), id("mac", "0"), id("mac", "1/x"), "/" + id("mac", "1")} {
		if _, err := c.MAC(t.Context(), key, kms.Digest{}); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("MAC with %q: got %v, want kind %v", key, err, fault.Unavailable)
		}
		if _, err := c.Unwrap(t.Context(), "gcpkms:"+key, []byte("blob"), nil); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("Unwrap with %q: got %v, want kind %v", key, err, fault.Unavailable)
		}
	}
}

// TestNoKeyToWrap has a client for MACs alone.
func TestNoKeyToWrap(t *testing.T) {
	f := newFake(t)
	f.add("mac", material)
	c, err := gcpkms.Open(t.Context(), gcpkms.Config{Timeout: 5 * time.Second, Options: f.options()})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer c.Close()
	if _, err := c.MAC(t.Context(), id("mac", "1"), kms.Digest{}); err != nil {
		t.Errorf("MAC: %v", err)
	}
	if blob, _, err := c.Wrap(t.Context(), secret.FromString("k"), nil); fault.KindOf(err) != fault.Unavailable || blob != nil {
		t.Errorf("Wrap: got %d bytes, %v, want kind %v", len(blob), err, fault.Unavailable)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, key := range []string{"root", ring, id("root", "1"), ring + "root/"} {
		c, err := gcpkms.Open(t.Context(), gcpkms.Config{Key: key})
		if c != nil || fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Public(err), "got the key") {
			t.Errorf("Open with %q: got %v, want kind %v", key, err, fault.Unavailable)
		}
	}
}
