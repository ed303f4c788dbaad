package sharedkey_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/secret"
)

const signedAt = "Wed, 28 Jan 2026 12:00:00 GMT"

// datedRequest returns a request of preset, signed with a key of 32 bytes.
func datedRequest(t *testing.T, preset string, m sealwright.Message) (sealwright.Verifier, sealwright.Message, time.Time) {
	t.Helper()
	now, err := time.Parse(time.RFC1123, signedAt)
	if err != nil {
		t.Fatal(err)
	}
	ring := keyring.Must(keyring.Key{ID: "id", Version: 1, Secret: secret.FromString("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")})
	signer := sealwright.Signer{Scheme: catalogue.Must(preset), Ring: ring}
	out, err := signer.Sign(m, now)
	if err != nil {
		t.Fatal(err)
	}
	return sealwright.Verifier{Scheme: signer.Scheme, Ring: ring}, out, now
}

// TestA10_DateOfTwo: where X-Amz-Date stands for Date, the latter is neither
// signed nor claimed, and an empty one does not make an unsigned Date count.
func TestA10_DateOfTwo(t *testing.T) {
	v, m, now := datedRequest(t, "aws-s3-sigv2", sealwright.Message{Method: "GET", Host: "b.example", Target: "/b/o", Header: map[string][]string{
		"X-Amz-Date": {signedAt}, "Date": {signedAt},
	}})
	m.Header["Date"] = []string{"Thu, 01 Jan 1970 00:00:00 GMT"}
	verdict, err := v.Verify(m, now)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(verdict.Covers.Headers, "Date") {
		t.Errorf("covers %v, although Date is not signed", verdict.Covers.Headers)
	}
	m.Header["X-Amz-Date"] = []string{""}
	if _, err := v.Verify(m, now); !errors.Is(err, sealwright.ErrMalformed) {
		t.Errorf("empty X-Amz-Date: error is %v, want %v", err, sealwright.ErrMalformed)
	}
}

// TestA16_QueryTakenAway: parameters that are no part of the resource are not
// signed, so a message without any cannot say that it never had some.
func TestA16_QueryTakenAway(t *testing.T) {
	v, m, now := datedRequest(t, "aws-s3-sigv2", sealwright.Message{Method: "GET", Host: "b.example", Target: "/b?max-keys=1", Header: map[string][]string{}})
	m.Target = "/b"
	verdict, err := v.Verify(m, now)
	if err != nil {
		t.Fatal(err)
	}
	if verdict.Covers.Query {
		t.Error("claims the query, of which a parameter was taken away")
	}
}

// TestA07_LineBreaks: a line break in a value is not the border of the next.
func TestA07_LineBreaks(t *testing.T) {
	v, m, now := datedRequest(t, "azure-storage-sharedkey", sealwright.Message{Method: "GET", Host: "id.blob.example", Target: "/c?a=1&b=2", Header: map[string][]string{
		"X-Ms-Version": {"2026-01-01"}, "X-Ms-Meta-A": {"1"},
	}})
	moved := m
	moved.Target = "/c?a=1%0Ab:2"
	if _, err := v.Verify(moved, now); !errors.Is(err, sealwright.ErrMalformed) {
		t.Errorf("parameter in the value of another: error is %v, want %v", err, sealwright.ErrMalformed)
	}
	moved = m
	moved.Header = map[string][]string{"Authorization": m.Header["Authorization"], "X-Ms-Date": m.Header["X-Ms-Date"], "X-Ms-Meta-A": {"1\nx-ms-version:2026-01-01"}}
	if _, err := v.Verify(moved, now); !errors.Is(err, sealwright.ErrMalformed) {
		t.Errorf("header in the value of another: error is %v, want %v", err, sealwright.ErrMalformed)
	}
}
