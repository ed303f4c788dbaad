package kmstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

// MACSubject is a native MAC under test.
type MACSubject struct {
	MAC     kms.MAC
	Against string // what the tests run against, for the log

	Key, Other string // two keys of the key service
	Unknown    string // a key that it does not have

	// Material is that of Key, for comparison with HMAC in this process; zero
	// if it cannot be known.
	Material secret.Bytes

	// Make is that of [kms.Device]; nil if the key service makes no keys.
	Make func(ctx context.Context, label string) (key string, err error)
}

func digest(message string) kms.Digest {
	return kms.Digest{Tenant: "default", Key: "orders", Version: 1, Sum: sha256.Sum256([]byte(message))}
}

// MAC tests the native MAC of subjects that open returns.
func MAC(t *testing.T, open func(*testing.T) MACSubject) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, MACSubject)
	}{
		{"Verifies", testVerifies},
		{"IsNotHMACOfTheBody", testNotPlain},
		{"Refuses", testMACRefuses},
		{"UnknownKey", testMACUnknownKey},
		{"EndedContext", testMACEndedContext},
		{"InParallel", testMACParallel},
		{"BindsNames", testBindsNames},
		{"LimitOfText", testLimitOfText},
		{"Make", testMake},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			t.Logf("against %s", s.Against)
			test.run(t, s)
		})
	}
}

func sum(t *testing.T, s MACSubject, key, message string) []byte {
	t.Helper()
	tag, err := s.MAC.MAC(t.Context(), key, digest(message))
	if err != nil {
		t.Fatalf("MAC: %v", err)
	}
	return tag
}

func testVerifies(t *testing.T, s MACSubject) {
	tag := sum(t, s, s.Key, "message")
	if len(tag) != sha256.Size {
		t.Errorf("MAC: got %d bytes, want %d", len(tag), sha256.Size)
	}
	if again := sum(t, s, s.Key, "message"); !bytes.Equal(tag, again) {
		t.Errorf("MAC twice: got two tags")
	}
	if ok, err := s.MAC.Verify(t.Context(), s.Key, digest("message"), tag); !ok || err != nil {
		t.Errorf("Verify: got %t, %v", ok, err)
	}
}

// testNotPlain holds that the digest string is signed, and not the message.
func testNotPlain(t *testing.T, s MACSubject) {
	if s.Material.IsZero() {
		t.Skip("the material of the key is not known")
	}
	k, err := mac.New(mac.SHA256, s.Material)
	if err != nil {
		t.Fatal(err)
	}
	tag := sum(t, s, s.Key, "message")
	d := digest("message")
	text, err := d.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		message []byte
		want    bool
	}{{"Text", text, true}, {"Body", []byte("message"), false}, {"RawDigest", d.Sum[:], false}} {
		want, err := k.Sum(nil, c.message)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Equal(tag, want); got != c.want {
			t.Errorf("%s: equal to HMAC in this process: got %t, want %t", c.name, got, c.want)
		}
	}
}

func testMACRefuses(t *testing.T, s MACSubject) {
	tag := sum(t, s, s.Key, "message")
	changed := bytes.Clone(tag)
	changed[0] ^= 1
	for _, c := range []struct {
		name, key, message string
		tag                []byte
	}{
		{"OtherMessage", s.Key, "massage", tag},
		{"OtherKey", s.Other, "message", tag},
		{"Changed", s.Key, "message", changed},
		{"Shortened", s.Key, "message", tag[:16]},
		{"OneByte", s.Key, "message", tag[:1]},
		{"Longer", s.Key, "message", append(bytes.Clone(tag), 0)},
		{"Long", s.Key, "message", bytes.Repeat(tag, 300)},
		{"Empty", s.Key, "message", nil},
	} {
		if ok, err := s.MAC.Verify(t.Context(), c.key, digest(c.message), c.tag); ok || err != nil {
			t.Errorf("%s: got %t, %v, want false and no error", c.name, ok, err)
		}
	}
	if ok, err := s.MAC.Verify(t.Context(), s.Key, digest("message"), tag); !ok || err != nil {
		t.Errorf("Verify after refusals: got %t, %v", ok, err)
	}
}

func testMACUnknownKey(t *testing.T, s MACSubject) {
	tag := sum(t, s, s.Key, "message")
	for _, key := range []string{s.Unknown, ""} {
		if got, err := s.MAC.MAC(t.Context(), key, digest("message")); fault.KindOf(err) != fault.Unavailable || got != nil {
			t.Errorf("MAC with %q: got %d bytes, %v, want kind %v", key, len(got), err, fault.Unavailable)
		}
		if ok, err := s.MAC.Verify(t.Context(), key, digest("message"), tag); fault.KindOf(err) != fault.Unavailable || ok {
			t.Errorf("Verify with %q: got %t, %v, want kind %v", key, ok, err, fault.Unavailable)
		}
	}
}

func testMACEndedContext(t *testing.T, s MACSubject) {
	tag := sum(t, s, s.Key, "message")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.MAC.MAC(ctx, s.Key, digest("message")); fault.KindOf(err) != fault.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("MAC: got %v, want kind %v", err, fault.Unavailable)
	}
	if ok, err := s.MAC.Verify(ctx, s.Key, digest("message"), tag); ok || fault.KindOf(err) != fault.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("Verify: got %t, %v, want kind %v", ok, err, fault.Unavailable)
	}
}

func testMACParallel(t *testing.T, s MACSubject) {
	want := sum(t, s, s.Key, "message")
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 4 {
				got, err := s.MAC.MAC(t.Context(), s.Key, digest("message"))
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("MAC: got another tag, %v", err)
				}
				if ok, err := s.MAC.Verify(t.Context(), s.Key, digest("message"), want); !ok || err != nil {
					t.Errorf("Verify: got %t, %v", ok, err)
				}
			}
		})
	}
	group.Wait()
}

// testBindsNames holds that a tag is that of one version of one key of one
// tenant, also where others use the same key of the key service.
func testBindsNames(t *testing.T, s MACSubject) {
	tag := sum(t, s, s.Key, "message")
	for name, change := range map[string]func(*kms.Digest){
		"Tenant":  func(d *kms.Digest) { d.Tenant = "other" },
		"Key":     func(d *kms.Digest) { d.Key = "other" },
		"Version": func(d *kms.Digest) { d.Version = 2 },
		"Borders": func(d *kms.Digest) { d.Tenant, d.Key = "defaul", "torders" },
	} {
		d := digest("message")
		change(&d)
		if ok, err := s.MAC.Verify(t.Context(), s.Key, d, tag); ok || err != nil {
			t.Errorf("another %s: got %t, %v, want false and no error", name, ok, err)
		}
	}
}

// testLimitOfText holds that what a key service might not take is not sent.
func testLimitOfText(t *testing.T, s MACSubject) {
	for name, key := range map[string]string{"Long": string(bytes.Repeat([]byte("k"), kms.MaxText)), "LineFeed": "orders\n1"} {
		d := digest("message")
		d.Key = key
		if tag, err := s.MAC.MAC(t.Context(), s.Key, d); fault.KindOf(err) != fault.Invalid || tag != nil {
			t.Errorf("%s: MAC: got %d bytes, %v, want kind %v", name, len(tag), err, fault.Invalid)
		}
		if ok, err := s.MAC.Verify(t.Context(), s.Key, d, make([]byte, sha256.Size)); fault.KindOf(err) != fault.Invalid || ok {
			t.Errorf("%s: Verify: got %t, %v, want kind %v", name, ok, err, fault.Invalid)
		}
	}
}

// testMake makes two keys with one label each; both work and are not the same.
func testMake(t *testing.T, s MACSubject) {
	if s.Make == nil {
		t.Skip("the subject makes no keys")
	}
	one, err := s.Make(t.Context(), "sealwright-orders-v1-a")
	if err != nil {
		t.Fatalf("Make: %v", err)
	}
	two, err := s.Make(t.Context(), "sealwright-orders-v1-b")
	if err != nil || one == two || one == "" {
		t.Fatalf("Make: got %q and %q, %v", one, two, err)
	}
	tag := sum(t, s, one, "message")
	if ok, err := s.MAC.Verify(t.Context(), one, digest("message"), tag); !ok || err != nil {
		t.Errorf("Verify with the key that was made: got %t, %v", ok, err)
	}
	if ok, err := s.MAC.Verify(t.Context(), two, digest("message"), tag); ok || err != nil {
		t.Errorf("Verify with another key that was made: got %t, %v", ok, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if key, err := s.Make(ctx, "sealwright-orders-v1-c"); fault.KindOf(err) != fault.Unavailable || key != "" {
		t.Errorf("Make with an ended context: got %q, %v, want kind %v", key, err, fault.Unavailable)
	}
}
