package bench_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

const keyID = "k1"

// sharedSecret is 64 bytes, as yaronf/httpsign demands.
const sharedSecret = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDEF"

func newRing(text string) *keyring.Ring {
	return keyring.Must(keyring.Key{ID: keyID, Version: 1, Secret: secret.FromString(text)})
}

// jsonBody returns a JSON text of 1 KiB.
func jsonBody() []byte {
	const head, tail = `{"id":"evt_0001","object":"event","note":"`, `"}`
	return []byte(head + strings.Repeat("x", 1024-len(head)-len(tail)) + tail)
}

// newRequest returns a request as a server has it.
func newRequest(method, url string, body []byte) *http.Request {
	r := httptest.NewRequest(method, url, bytes.NewReader(body))
	r.RequestURI = r.URL.RequestURI()
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Header.Set("Content-Type", "application/json")
	return r
}

// message returns r with its body as sealwright takes it. It is part of what is
// measured.
func message(r *http.Request, body []byte) sealwright.Message {
	return sealwright.Message{Method: r.Method, Host: r.Host, Target: r.RequestURI, Header: r.Header, Body: body}
}

// An impl is one implementation that verifies. Those that read the body from
// the request leave a fresh reader there, so that the next call finds it.
type impl struct {
	name   string
	verify func(r *http.Request, body []byte) error
}

// ours returns the implementation under test.
func ours(tb testing.TB, preset string, params scheme.Params, ring *keyring.Ring) impl {
	v := &sealwright.Verifier{Scheme: newScheme(tb, preset, params), Ring: ring}
	return impl{"sealwright", func(r *http.Request, body []byte) error {
		_, err := v.Verify(message(r, body), time.Now())
		return err
	}}
}

func newScheme(tb testing.TB, preset string, params scheme.Params) sealwright.SigningScheme {
	tb.Helper()
	s, err := catalogue.New(preset, params)
	if err != nil {
		tb.Fatal(err)
	}
	return s.(sealwright.SigningScheme)
}

// signed returns r with the headers that our signer adds.
func signed(tb testing.TB, s sealwright.Scheme, ring *keyring.Ring, r *http.Request, body []byte) *http.Request {
	tb.Helper()
	signer := sealwright.Signer{Scheme: s, Ring: ring}
	m, err := signer.Sign(message(r, body), time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	r.Header = m.Header
	return r
}

// verifyAll measures each implementation with the same request.
func verifyAll(b *testing.B, impls []impl, r *http.Request, body []byte) {
	for _, i := range impls {
		b.Run("impl="+i.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := i.verify(r, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// copyOf returns r with its own header and a body to read.
func copyOf(r *http.Request, body []byte) *http.Request {
	out := r.Clone(r.Context())
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	out.Body, _ = out.GetBody()
	return out
}

// testImpl holds an implementation against r, twice, and against r with one
// byte of the body or of one of the fields changed.
func testImpl(t *testing.T, i impl, r *http.Request, body []byte, fields ...string) {
	t.Helper()
	again := copyOf(r, body)
	for n := range 2 {
		if err := i.verify(again, body); err != nil {
			t.Errorf("call %d: %v", n+1, err)
		}
	}
	other := bytes.Replace(body, []byte("x"), []byte("y"), 1)
	if i.verify(copyOf(r, other), other) == nil {
		t.Error("accepts another body")
	}
	for _, name := range fields {
		changed := copyOf(r, body)
		value := []byte(changed.Header.Get(name))
		at := len(value) - len(value)/3 // within the tag, where that is all there is
		value[at] = flip(value[at])
		changed.Header.Set(name, string(value))
		if i.verify(changed, body) == nil {
			t.Errorf("accepts %s: %s", name, value)
		}
	}
}

// flip returns another digit, which hex and base64 have too.
func flip(c byte) byte {
	if c == '1' {
		return '2'
	}
	return '1'
}

// names returns the names of a header in order.
func names(h http.Header) []string { return slices.Sorted(maps.Keys(h)) }
