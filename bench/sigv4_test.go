package bench_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/scheme/sigv4"
)

const (
	region = "us-east-1"
	// awsSecret is the one of the AWS documentation.
	awsSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	// unsigned keeps the hash of the body out of both sides.
	unsigned = "UNSIGNED-PAYLOAD"
)

// An awsCall is a request to a service of AWS.
type awsCall struct {
	name    string
	service string
	method  string
	url     string
	header  map[string]string
	payload string // what stands for the hash of the body; empty: it is computed and declared
	body    string
}

var awsCalls = []awsCall{{
	name: "object", service: "s3", method: http.MethodGet, payload: unsigned,
	url: "https://bucket.s3.us-east-1.amazonaws.com/photos/2026/a.jpg",
}, {
	name: "call", service: "dynamodb", method: http.MethodPost, payload: unsigned,
	url:    "https://dynamodb.us-east-1.amazonaws.com/",
	header: map[string]string{"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.GetItem"},
	body:   `{"TableName":"orders","Key":{"id":{"S":"4711x"}}}`,
}, {
	name: "metadata", service: "dynamodb", method: http.MethodPost, payload: unsigned,
	url: "https://example.org/bucket/key-._~,!@%23$%25%5E&*()",
	header: map[string]string{
		"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "prefix.Operation",
		"X-Amz-Meta-Other-Header": "some-value=!@#$%^&* (+)", "X-Amz-Meta-Other-Header_with_underscore": "some-value=!@#$%^&* (+)",
	},
	body: "{}",
}, {
	name: "hashed", service: "dynamodb", method: http.MethodPost,
	url:    "https://dynamodb.us-east-1.amazonaws.com/",
	header: map[string]string{"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.GetItem"},
	body:   `{"TableName":"orders","Key":{"id":{"S":"4711x"}}}`,
}}

// request returns the unsigned request and what stands for the hash of its
// body.
func (c *awsCall) request() (r *http.Request, payload string) {
	r = newRequest(c.method, c.url, []byte(c.body))
	r.Header.Del("Content-Type")
	for name, value := range c.header {
		r.Header.Set(name, value)
	}
	if payload = c.payload; payload == "" {
		sum := sha256.Sum256([]byte(c.body))
		payload = hex.EncodeToString(sum[:])
	}
	r.Header.Set("X-Amz-Content-Sha256", payload)
	r.ContentLength = -1 // otherwise the SDK signs that field, which a Message has in no header
	return r, payload
}

func (c *awsCall) sign(r *http.Request, s *v4.Signer, payload string) error {
	credentials := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: awsSecret}
	return s.SignHTTP(r.Context(), credentials, r, payload, c.service, region, time.Now())
}

// signed returns the request as the SDK signs it.
func (c *awsCall) signed(tb testing.TB) *http.Request {
	tb.Helper()
	r, payload := c.request()
	if err := c.sign(r, v4.NewSigner(), payload); err != nil {
		tb.Fatal(err)
	}
	return r
}

func (c *awsCall) params() scheme.Params {
	return scheme.Params{"region": {region}, "service": {c.service}}
}

// TestSigV4 holds that ours accepts what the SDK signs, and refuses it changed.
func TestSigV4(t *testing.T) {
	for _, c := range awsCalls {
		t.Run("request="+c.name, func(t *testing.T) {
			i := ours(t, "aws-sigv4", c.params(), newRing(awsSecret))
			r, body := c.signed(t), []byte(c.body)
			if err := i.verify(r, body); err != nil {
				t.Fatal(err)
			}
			for _, name := range names(r.Header) {
				changed := copyOf(r, body)
				value := []byte(changed.Header.Get(name))
				value[len(value)-1] = flip(value[len(value)-1])
				changed.Header.Set(name, string(value))
				if i.verify(changed, body) == nil {
					t.Errorf("accepts %s: %s", name, value)
				}
			}
			if c.payload == "" && i.verify(r, body[1:]) == nil {
				t.Error("accepts another body")
			}
		})
	}
}

// BenchmarkSigV4 has ours verify (impl=sealwright) what the SDK signs
// (impl=aws-sdk). impl=bare is the cryptography alone: SHA-256 of the canonical
// request, HMAC of the string to sign. Except for request=hashed, where ours
// also compares the declared hash with the body, the hash of the body is
// outside both sides.
func BenchmarkSigV4(b *testing.B) {
	for _, c := range awsCalls {
		b.Run("request="+c.name, func(b *testing.B) {
			b.Run("impl=bare", c.bare)
			verifyAll(b, []impl{ours(b, "aws-sigv4", c.params(), newRing(awsSecret))}, c.signed(b), []byte(c.body))
			b.Run("impl=aws-sdk", func(b *testing.B) {
				s := v4.NewSigner()
				r, payload := c.request()
				b.ReportAllocs()
				for b.Loop() {
					if err := c.sign(r, s, payload); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func (c *awsCall) bare(b *testing.B) {
	s, m := newScheme(b, "aws-sigv4", c.params()), message(c.signed(b), []byte(c.body))
	canonical, err := sigv4.CanonicalRequest(s, m)
	if err != nil {
		b.Fatal(err)
	}
	toSign, _, err := sealwright.SignedBytes(s, nil, m)
	if err != nil {
		b.Fatal(err)
	}
	h := hmac.New(sha256.New, []byte(awsSecret)) // any key costs the same
	var buf [sha256.Size]byte
	b.ReportAllocs()
	for b.Loop() {
		sum := sha256.Sum256(canonical)
		h.Reset()
		h.Write(toSign[0])
		if h.Sum(buf[:0])[0] == 0 && sum[0] == 1 && sum[1] == 2 && sum[2] == 3 && sum[3] == 4 {
			b.Fatal("an unlikely hash")
		}
	}
}
