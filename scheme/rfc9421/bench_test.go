package rfc9421_test

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/mac"
)

// request returns an unsigned POST with a body of size bytes.
func request(size int) sealwright.Message {
	return sealwright.Message{
		Method: "POST", Scheme: "https", Host: "api.example.com", Target: "/orders?x=1&y=%2F",
		Header: map[string][]string{"Content-Type": {"application/json"}},
		Body:   []byte(`"` + strings.Repeat("x", size-2) + `"`),
	}
}

// strict is the profile that covers method, target and body, and demands time,
// nonce and key ID.
var strict = []string{"require_nonce", "true", "require_keyid", "true", "label", "sig1"}

// BenchmarkVerify verifies a POST of 1 KiB that covers @method, @target-uri and
// content-digest, with created, nonce and keyid. The sub-benchmark bare is the
// cryptography alone: SHA-256 of the body and HMAC of the signature base.
func BenchmarkVerify(b *testing.B) {
	s := with(b, strict...)
	m := sign(b, s, request(1024))
	b.Run("bare", func(b *testing.B) { bare(b, s, m) })
	b.Run("verify", func(b *testing.B) {
		v := sealwright.Verifier{Scheme: s, Ring: ring}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(m, now); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSign signs the message of [BenchmarkVerify].
func BenchmarkSign(b *testing.B) {
	s := with(b, strict...)
	b.Run("bare", func(b *testing.B) { bare(b, s, sign(b, s, request(1024))) })
	b.Run("sign", func(b *testing.B) {
		signer := sealwright.Signer{Scheme: s, Ring: ring, Nonce: func() string { return "b3k2pp5k7z50gnwpyemd" }}
		m := request(1024)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := signer.Sign(m, now); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func bare(b *testing.B, s sealwright.Scheme, m sealwright.Message) {
	key, err := ring.Signing(now)
	if err != nil {
		b.Fatal(err)
	}
	base, claim, err := sealwright.SignedBytes(s, key, m)
	if err != nil {
		b.Fatal(err)
	}
	k, err := mac.New(mac.SHA256, key.Secret)
	if err != nil {
		b.Fatal(err)
	}
	want := sha256.Sum256(m.Body)
	b.ReportAllocs()
	for b.Loop() {
		got := sha256.Sum256(m.Body)
		if !k.Verify(claim.Tag(0), base[0]) || !bytes.Equal(got[:], want[:]) {
			b.Fatal("does not verify")
		}
	}
}

func sign(tb testing.TB, s sealwright.Scheme, m sealwright.Message) sealwright.Message {
	tb.Helper()
	signer := sealwright.Signer{Scheme: s, Ring: ring, Nonce: func() string { return "b3k2pp5k7z50gnwpyemd" }}
	out, err := signer.Sign(m, now)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}
