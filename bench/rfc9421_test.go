package bench_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/http"
	"testing"
	"time"

	remitly "github.com/remitly-oss/httpsig-go"
	"github.com/remitly-oss/httpsig-go/keyman"
	yaronf "github.com/yaronf/httpsign"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/scheme"
)

const (
	label = "sig1"
	nonce = "b3k2pp5k7z50gnwpyemd"
)

// covered are the components of each signature, beside created, nonce and
// keyid.
var covered = []string{"@method", "@target-uri", "content-digest"}

var rfcParams = scheme.Params{"label": {label}, "required": covered, "require_nonce": {"true"}, "require_keyid": {"true"}}

// rfcRequest returns an unsigned request. The escape in its path and the
// missing query are there for remitly/httpsig-go, whose @target-uri has the
// path only if it is escaped, and the query without its question mark.
func rfcRequest() (*http.Request, []byte) {
	body := jsonBody()
	return newRequest(http.MethodPost, "https://api.example.com/orders%2F4711", body), body
}

// rfcVerifiers returns all that verify RFC 9421.
func rfcVerifiers(tb testing.TB) []impl {
	return []impl{ours(tb, "rfc9421", rfcParams, newRing(sharedSecret)), yaronfVerifier(tb), remitlyVerifier(tb)}
}

func yaronfVerifier(tb testing.TB) impl {
	config := yaronf.NewVerifyConfig().SetKeyID(keyID).SetNotOlderThan(time.Hour)
	v, err := yaronf.NewHMACSHA256Verifier([]byte(sharedSecret), config, yaronf.Headers(covered...))
	if err != nil {
		tb.Fatal(err)
	}
	algorithms := []string{yaronf.DigestSha256}
	return impl{"yaronf", func(r *http.Request, _ []byte) error {
		if err := yaronf.VerifyRequest(label, *v, r); err != nil {
			return err
		}
		return yaronf.ValidateContentDigestHeader(r.Header.Values("Content-Digest"), &r.Body, algorithms)
	}}
}

func remitlyVerifier(tb testing.TB) impl {
	profile := remitly.DefaultVerifyProfile
	profile.RequiredMetadata = []remitly.Metadata{remitly.MetaCreated, remitly.MetaKeyID, remitly.MetaNonce}
	profile.CreatedValidDuration = time.Hour
	keys := keyman.NewKeyFetchInMemory(map[string]remitly.KeySpec{
		keyID: {KeyID: keyID, Algo: remitly.Algo_HMAC_SHA256, Secret: []byte(sharedSecret)},
	})
	v, err := remitly.NewVerifier(keys, profile)
	if err != nil {
		tb.Fatal(err)
	}
	return impl{"remitly", func(r *http.Request, _ []byte) error {
		result, err := v.Verify(r)
		if err == nil && !result.Verified {
			return errors.New("not verified")
		}
		return err
	}}
}

// A signer returns the header of the signed request. It leaves r as it is, since
// an [http.RoundTripper] must; those that write to the request get a copy.
type signer struct {
	name string
	sign func(r *http.Request, body []byte) (http.Header, error)
}

// rfcSigners returns all that sign after RFC 9421. A nonce is made for each
// message but by yaronf/httpsign, which repeats that of its configuration.
func rfcSigners(tb testing.TB) []signer {
	s := &sealwright.Signer{Scheme: newScheme(tb, "rfc9421", rfcParams), Ring: newRing(sharedSecret)}
	return []signer{
		{"sealwright", func(r *http.Request, body []byte) (http.Header, error) {
			m, err := s.Sign(message(r, body), time.Now())
			return m.Header, err
		}},
		yaronfSigner(tb),
		remitlySigner(tb),
	}
}

func yaronfSigner(tb testing.TB) signer {
	config := yaronf.NewSignConfig().SignAlg(false).SetKeyID(keyID).SetNonce(nonce)
	s, err := yaronf.NewHMACSHA256Signer([]byte(sharedSecret), config, yaronf.Headers(covered...))
	if err != nil {
		tb.Fatal(err)
	}
	algorithms := []string{yaronf.DigestSha256}
	return signer{"yaronf", func(r *http.Request, _ []byte) (http.Header, error) {
		r = withHeader(r)
		digest, err := yaronf.GenerateContentDigestHeader(&r.Body, algorithms)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Digest", digest)
		input, signature, err := yaronf.SignRequest(label, *s, r)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Signature-Input", input)
		r.Header.Set("Signature", signature)
		return r.Header, nil
	}}
}

// withHeader returns r with a header and a body of its own.
func withHeader(r *http.Request) *http.Request {
	out := *r
	out.Header = r.Header.Clone()
	out.Body, _ = r.GetBody()
	return &out
}

func remitlySigner(tb testing.TB) signer {
	s, err := remitly.NewSigner(remitly.SigningProfile{
		Algorithm: remitly.Algo_HMAC_SHA256,
		Fields:    remitly.Fields(covered...),
		Metadata:  []remitly.Metadata{remitly.MetaCreated, remitly.MetaNonce, remitly.MetaKeyID},
		Label:     label,
	}, remitly.SigningKey{Secret: []byte(sharedSecret), MetaKeyID: keyID})
	if err != nil {
		tb.Fatal(err)
	}
	return signer{"remitly", func(r *http.Request, _ []byte) (http.Header, error) {
		r = withHeader(r)
		err := s.Sign(r)
		return r.Header, err
	}}
}

// TestRFC9421 holds that everybody accepts what everybody signs, and refuses
// it changed.
func TestRFC9421(t *testing.T) {
	for _, s := range rfcSigners(t) {
		r, body := rfcRequest()
		var err error
		if r.Header, err = s.sign(r, body); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		for _, v := range rfcVerifiers(t) {
			t.Run("signer="+s.name+"/verifier="+v.name, func(t *testing.T) {
				testImpl(t, v, r, body, "Content-Digest", "Signature", "Signature-Input")
			})
		}
	}
}

// BenchmarkRFC9421Verify verifies a POST of 1 KiB that covers method, target URI
// and digest of the body, which is compared with it. impl=bare is the
// cryptography alone: SHA-256 of the body, HMAC of the signature base.
func BenchmarkRFC9421Verify(b *testing.B) {
	r, body := rfcRequest()
	s := newScheme(b, "rfc9421", rfcParams)
	r = signed(b, s, newRing(sharedSecret), r, body)
	b.Run("impl=bare", func(b *testing.B) { bare(b, s, r, body) })
	verifyAll(b, rfcVerifiers(b), r, body)
}

// BenchmarkRFC9421Sign signs the message of [BenchmarkRFC9421Verify].
func BenchmarkRFC9421Sign(b *testing.B) {
	b.Run("impl=bare", func(b *testing.B) {
		r, body := rfcRequest()
		s := newScheme(b, "rfc9421", rfcParams)
		bare(b, s, signed(b, s, newRing(sharedSecret), r, body), body)
	})
	for _, s := range rfcSigners(b) {
		b.Run("impl="+s.name, func(b *testing.B) {
			r, body := rfcRequest()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.sign(r, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func bare(b *testing.B, s sealwright.Scheme, r *http.Request, body []byte) {
	base, claim, err := sealwright.SignedBytes(s, nil, message(r, body))
	if err != nil {
		b.Fatal(err)
	}
	want := sha256.Sum256(body)
	h := hmac.New(sha256.New, []byte(sharedSecret))
	var buf [sha256.Size]byte
	b.ReportAllocs()
	for b.Loop() {
		got := sha256.Sum256(body)
		h.Reset()
		h.Write(base[0])
		if !hmac.Equal(h.Sum(buf[:0]), claim.Tag(0)) || got != want {
			b.Fatal("does not verify")
		}
	}
}
