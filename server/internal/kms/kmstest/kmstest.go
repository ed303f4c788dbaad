// Package kmstest tests what package kms promises of every key service.
//
// A provider calls [Wrap] and, if it has native MACs, [MAC], and says against
// what: a real server, or a double with its limits.
package kmstest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

// Subject is a wrapper under test.
type Subject struct {
	Wrapper kms.Wrapper
	Against string // what the tests run against, for the log

	Other   string // ID of another key of the same key service; empty leaves that test out
	Unknown string // ID of a key that the key service does not have

	// Break makes the key service unreachable for the rest of the test; nil if
	// it cannot be, as for one in the same process.
	Break func()
}

const plain = "a data key of thirty-two bytes.."

// Wrap tests the wrapper of subjects that open returns.
func Wrap(t *testing.T, open func(*testing.T) Subject) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"RoundTrip", testRoundTrip},
		{"Sizes", testSizes},
		{"BlobsDiffer", testBlobsDiffer},
		{"Refuses", testRefuses},
		{"OtherKey", testOtherKey},
		{"EndedContext", testEndedContext},
		{"InParallel", testParallel},
		{"Away", testAway},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			t.Logf("against %s", s.Against)
			test.run(t, s)
		})
	}
}

func wrap(t *testing.T, s Subject, text, aad string) (blob []byte, keyID string) {
	t.Helper()
	blob, keyID, err := s.Wrapper.Wrap(t.Context(), secret.FromString(text), []byte(aad))
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	return blob, keyID
}

func testRoundTrip(t *testing.T, s Subject) {
	for _, aad := range []string{"aad", "", "\x00\x00\x00\x01\xff", strings.Repeat("a", 300)} {
		blob, keyID := wrap(t, s, plain, aad)
		if keyID == "" || bytes.Contains(blob, []byte(plain[:8])) {
			t.Errorf("Wrap: got key ID %q and a blob of %d bytes, want an ID and nothing in clear", keyID, len(blob))
		}
		got, err := s.Wrapper.Unwrap(t.Context(), keyID, blob, []byte(aad))
		if err != nil || string(got.Expose()) != plain {
			t.Errorf("Unwrap with aad %q: got %d bytes, %v", aad, got.Len(), err)
		}
	}
}

func testSizes(t *testing.T, s Subject) {
	for _, n := range []int{1, 31, 64, kms.MaxPlain} {
		text := string(bytes.Repeat([]byte{0xfe}, n))
		blob, keyID := wrap(t, s, text, "aad")
		got, err := s.Wrapper.Unwrap(t.Context(), keyID, blob, []byte("aad"))
		if err != nil || string(got.Expose()) != text {
			t.Errorf("%d bytes: got %d bytes, %v", n, got.Len(), err)
		}
	}
	for _, n := range []int{0, kms.MaxPlain + 1} {
		blob, _, err := s.Wrapper.Wrap(t.Context(), secret.FromString(strings.Repeat("k", n)), nil)
		if fault.KindOf(err) != fault.Invalid || blob != nil {
			t.Errorf("Wrap of %d bytes: got %d bytes, %v, want kind %v", n, len(blob), err, fault.Invalid)
		}
	}
}

func testBlobsDiffer(t *testing.T, s Subject) {
	one, id := wrap(t, s, plain, "aad")
	two, again := wrap(t, s, plain, "aad")
	if bytes.Equal(one, two) || id != again {
		t.Errorf("Wrap twice: got equal blobs %t, key IDs %q and %q", bytes.Equal(one, two), id, again)
	}
}

func testRefuses(t *testing.T, s Subject) {
	blob, keyID := wrap(t, s, plain, "aad")
	changed := bytes.Clone(blob)
	changed[len(changed)-1] ^= 1
	tests := []struct {
		name, keyID string
		blob, aad   string
		want        fault.Kind
	}{
		{"OtherAAD", keyID, string(blob), "aae", fault.Internal},
		{"NoAAD", keyID, string(blob), "", fault.Internal},
		{"LongerAAD", keyID, string(blob), "aad\x00", fault.Internal},
		{"Changed", keyID, string(changed), "aad", fault.Internal},
		{"Shortened", keyID, string(blob[:len(blob)-1]), "aad", fault.Internal},
		{"OneByte", keyID, "x", "aad", fault.Internal},
		{"Empty", keyID, "", "aad", fault.Internal},
		{"UnknownKey", s.Unknown, string(blob), "aad", fault.Unavailable},
		{"NoKeyID", "", string(blob), "aad", fault.Unavailable},
		{"OtherProvider", "elsewhere:" + keyID, string(blob), "aad", fault.Unavailable},
	}
	for _, tt := range tests {
		got, err := s.Wrapper.Unwrap(t.Context(), tt.keyID, []byte(tt.blob), []byte(tt.aad))
		if fault.KindOf(err) != tt.want || !got.IsZero() {
			t.Errorf("%s: got %d bytes, error %v of kind %v, want kind %v", tt.name, got.Len(), err, fault.KindOf(err), tt.want)
		}
		if err != nil && strings.Contains(err.Error(), plain[:8]) {
			t.Errorf("%s: the error shows what was wrapped: %v", tt.name, err)
		}
	}
	if got, err := s.Wrapper.Unwrap(t.Context(), keyID, blob, []byte("aad")); err != nil || string(got.Expose()) != plain {
		t.Errorf("Unwrap after refusals: got %d bytes, %v", got.Len(), err)
	}
}

func testOtherKey(t *testing.T, s Subject) {
	if s.Other == "" {
		t.Skip("the subject has one key")
	}
	blob, _ := wrap(t, s, plain, "aad")
	got, err := s.Wrapper.Unwrap(t.Context(), s.Other, blob, []byte("aad"))
	if fault.KindOf(err) != fault.Internal || !got.IsZero() {
		t.Errorf("Unwrap with %s: got %d bytes, error %v, want kind %v", s.Other, got.Len(), err, fault.Internal)
	}
}

func testEndedContext(t *testing.T, s Subject) {
	blob, keyID := wrap(t, s, plain, "aad")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Wrapper.Wrap(ctx, secret.FromString(plain), nil); fault.KindOf(err) != fault.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("Wrap: got %v, want kind %v", err, fault.Unavailable)
	}
	if _, err := s.Wrapper.Unwrap(ctx, keyID, blob, []byte("aad")); fault.KindOf(err) != fault.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("Unwrap: got %v, want kind %v", err, fault.Unavailable)
	}
}

func testParallel(t *testing.T, s Subject) {
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			text, aad := strings.Repeat(string(rune('a'+i)), 32), strings.Repeat("x", i+1)
			for range 4 {
				blob, keyID, err := s.Wrapper.Wrap(t.Context(), secret.FromString(text), []byte(aad))
				if err != nil {
					t.Errorf("Wrap: %v", err)
					return
				}
				got, err := s.Wrapper.Unwrap(t.Context(), keyID, blob, []byte(aad))
				if err != nil || string(got.Expose()) != text {
					t.Errorf("Unwrap: got %d bytes, %v", got.Len(), err)
				}
			}
		})
	}
	group.Wait()
}

// away is the most that a call may take once the key service is gone.
const away = 30 * time.Second

func testAway(t *testing.T, s Subject) {
	if s.Break == nil {
		t.Skip("the subject cannot be away")
	}
	blob, keyID := wrap(t, s, plain, "aad")
	s.Break()
	ctx, cancel := context.WithTimeout(t.Context(), away)
	defer cancel()
	if _, _, err := s.Wrapper.Wrap(ctx, secret.FromString(plain), nil); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Wrap: got %v, want kind %v", err, fault.Unavailable)
	}
	if _, err := s.Wrapper.Unwrap(ctx, keyID, blob, []byte("aad")); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Unwrap: got %v, want kind %v", err, fault.Unavailable)
	}
	if ctx.Err() != nil {
		t.Errorf("the calls gave up only after %v", away)
	}
}
