package doctor_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/doctor"
	"github.com/sealwright/sealwright/secret"
)

const (
	testSecret = "test-secret-of-the-doctor-01"
	testTime   = "1785000000"
)

var testNow = time.Unix(1785000002, 0)

func sum(h func() hash.Hash, key, message string) []byte {
	m := hmac.New(h, []byte(key))
	m.Write([]byte(message))
	return m.Sum(nil)
}

func mac256(key, message string) []byte { return sum(sha256.New, key, message) }

// bodyHex is a request of the scheme body-hex with a tag as text.
func bodyHex(body, tag string) doctor.Input {
	return input("body-hex", testSecret, "POST", "https://in.acme.test/hook?a=1", body, "X-HMAC-Signature", tag, "Content-Type", "application/json")
}

// signedBody is a request of body-hex whose sender signed another text.
func signedBody(seen, signed string) doctor.Input {
	return bodyHex(seen, hex.EncodeToString(mac256(testSecret, signed)))
}

// input builds an input; pairs are names and values of headers.
func input(id, key, method, url, body string, pairs ...string) doctor.Input {
	d, err := catalogue.Definition(id)
	if err != nil {
		panic(err)
	}
	scheme, host, target, err := sealwright.SplitURL(url)
	if err != nil {
		panic(err)
	}
	header := map[string][]string{}
	for i := 0; i < len(pairs); i += 2 {
		header[pairs[i]] = append(header[pairs[i]], pairs[i+1])
	}
	return doctor.Input{
		Definition: d, Now: testNow, MaxTime: time.Minute,
		Message: sealwright.Message{Method: method, Scheme: scheme, Host: host, Target: target, Header: sealwright.CanonicalHeader(header), Body: []byte(body)},
		Secrets: []doctor.Secret{{Name: "configured", Bytes: secret.FromString(key)}},
	}
}

// want is what a diagnosis must say.
type want struct {
	name   string
	in     doctor.Input
	cause  string // proven; "" means that nothing is
	says   string // part of the explanation
	danger bool
}

func check(t *testing.T, tests []want) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.cause == "" && tt.in.MaxHypotheses == 0 {
				tt.in.MaxHypotheses = 5_000 // more would find nothing, and take long
			}
			d := doctor.Diagnose(context.Background(), tt.in)
			if tt.cause == "" {
				if d.Verdict != doctor.Unknown && d.Verdict != doctor.Evidence {
					t.Fatalf("got %s %s, want nothing proven: %s", d.Verdict, d.Cause, d.Explanation)
				}
			} else if d.Verdict != doctor.Proven || d.Cause != tt.cause {
				t.Fatalf("got %s %s, want proven %s: %s", d.Verdict, d.Cause, tt.cause, d.Explanation)
			}
			if !strings.Contains(d.Explanation, tt.says) {
				t.Errorf("explanation is %q, want %q in it", d.Explanation, tt.says)
			}
			if d.Danger != tt.danger {
				t.Errorf("danger is %v, want %v: %s", d.Danger, tt.danger, d.Explanation)
			}
		})
	}
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func hash256(parts ...string) []byte {
	s := sha256.Sum256([]byte(strings.Join(parts, "")))
	return s[:]
}

func hash512(text string) []byte { s := sha512.Sum512([]byte(text)); return s[:] }

func mac1(key, message string) []byte { return sum(sha1.New, key, message) }

func repeat(s string, n int) string { return string(bytes.Repeat([]byte(s), n)) }
