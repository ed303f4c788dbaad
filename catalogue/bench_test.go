package catalogue_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

var benchPresets = []string{"github", "stripe", "slack", "standard-webhooks", "shopify", "hmac-auth"}

var benchNow = time.Unix(1767225600, 0)

func benchRing() *keyring.Ring {
	return keyring.Must(keyring.Key{ID: "k1", Version: 1, Secret: secret.FromString("c2VhbHdyaWdodC1iZW5jaG1hcmsta2V5LTAwMDEtMDEyMzQ1Njc4OS1hYmNkZWYw")})
}

// signed returns a signed POST with a body of size bytes.
func signed(tb testing.TB, preset string, size int) (sealwright.Message, *keyring.Ring) {
	tb.Helper()
	ring := benchRing()
	signer := sealwright.Signer{Scheme: catalogue.Must(preset), Ring: ring}
	m, err := signer.Sign(sealwright.Message{
		Method: "POST", Host: "hooks.example.com", Target: "/in?a=1",
		Header: map[string][]string{"Content-Type": {"application/json"}},
		Body:   []byte(`"` + strings.Repeat("x", size-2) + `"`),
	}, benchNow)
	if err != nil {
		tb.Fatal(err)
	}
	return m, ring
}

// BenchmarkVerify verifies a parsed request with a body of 1 KiB. The
// sub-benchmark mac is the bare MAC of 1 KiB for comparison.
func BenchmarkVerify(b *testing.B) {
	b.Run("mac", func(b *testing.B) {
		key, err := mac.New(mac.SHA256, secret.Random(32))
		if err != nil {
			b.Fatal(err)
		}
		message := bytes.Repeat([]byte{'x'}, 1024)
		tag, err := key.Sum(nil, message)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if !key.Verify(tag, message) {
				b.Fatal("does not verify")
			}
		}
	})
	for _, preset := range benchPresets {
		b.Run(preset, func(b *testing.B) {
			m, ring := signed(b, preset, 1024)
			v := sealwright.Verifier{Scheme: catalogue.Must(preset), Ring: ring}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(m, benchNow); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSign signs a request with a body of 1 KiB.
func BenchmarkSign(b *testing.B) {
	for _, preset := range benchPresets {
		b.Run(preset, func(b *testing.B) {
			m, ring := signed(b, preset, 1024)
			m.Header = map[string][]string{"Content-Type": {"application/json"}}
			s := sealwright.Signer{Scheme: catalogue.Must(preset), Ring: ring}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sign(m, benchNow); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
