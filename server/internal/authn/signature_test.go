package authn_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/authn"
	"github.com/sealwright/sealwright/server/internal/fault"
)

const (
	id    = "5f1c0b0a9d2e4c7788aa"
	text  = "sws_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	other = "sws_BBECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	body  = `{"text":"hello"}`
)

var now = time.Unix(1767225600, 0)

// house knows one credential and its nonces.
type house struct {
	method  authn.Method
	macs    func() int
	now     time.Time
	seen    map[string]bool
	claimed int
	used    int
	unknown error // of every credential
	full    error // of every claim
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{now: now, seen: map[string]bool{}}
	ring := keyring.Must(keyring.Key{ID: id, Version: 1, Secret: secret.FromString(text)})
	var err error
	h.method, h.macs, err = authn.CountedSignature(authn.Signatures{
		Credential: func(got string) (*keyring.Ring, access.Caller, func(), error) {
			if h.unknown != nil || got != id {
				return nil, access.Caller{}, nil, errors.Join(fault.New(fault.Denied, "credential is not valid"), h.unknown)
			}
			return ring, access.TenantAdministrator("ci", "t"), func() { h.used++ }, nil
		},
		Claim: func(_ context.Context, at time.Time, got, nonce string, signed time.Time) error {
			h.claimed++
			if !at.Equal(h.now) || got != id || nonce == "" || signed.IsZero() {
				t.Errorf("claimed %v %q %q %v", at, got, nonce, signed)
			}
			if h.full != nil {
				return h.full
			}
			if h.seen[nonce] {
				return fault.New(fault.Conflict, "seen")
			}
			h.seen[nonce] = true
			return nil
		},
		Transport: local, Now: func() time.Time { return h.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// signed returns a request that is signed with a profile that edit may loosen.
func signed(t *testing.T, method, url, body, keyID, key string, edit func(scheme.Params)) *http.Request {
	t.Helper()
	return signedHeader(t, method, url, body, keyID, key, nil, edit)
}

// signedWith returns a request that is signed with what its header must have.
func signedWith(t *testing.T, method, url, body string, header http.Header) *http.Request {
	t.Helper()
	return signedHeader(t, method, url, body, id, text, header, nil)
}

func signedHeader(t *testing.T, method, url, body, keyID, key string, header http.Header, edit func(scheme.Params)) *http.Request {
	t.Helper()
	p := scheme.Params(api.SignatureParams(body != "", api.SignedHeaders(header)...))
	if edit != nil {
		edit(p)
	}
	s, err := catalogue.New("rfc9421", p)
	if err != nil {
		t.Fatal(err)
	}
	signer := sealwright.Signer{Scheme: s, Ring: keyring.Must(keyring.Key{ID: keyID, Version: 1, Secret: secret.FromString(key)})}
	_, host, target, err := sealwright.SplitURL(url)
	if err != nil {
		t.Fatal(err)
	}
	m, err := signer.Sign(sealwright.Message{Method: method, Scheme: "https", Host: host, Target: target, Header: header, Body: []byte(body)}, now)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	for name, values := range m.Header {
		r.Header[name] = values
	}
	return r
}

const url = "https://seal.example.com/v1/keys/a/sign?encoding=hex"

func TestSignature(t *testing.T) {
	for _, tt := range []struct{ name, method, url, body string }{
		{"WithBody", "POST", url, body},
		{"WithoutBody", "GET", "https://seal.example.com/v1/keys", ""},
		{"Escaped", "DELETE", "https://seal.example.com/v1/callers/operator%3Aalice", ""},
		{"Port", "POST", "https://seal.example.com:8443/v1/keys", body},
		{"LargeBody", "POST", url, strings.Repeat("x", 1<<20)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			r := signed(t, tt.method, tt.url, tt.body, id, text, nil)
			c, err := h.method.Check(r)
			if err != nil || c.ID != "ci" || h.macs() != 1 || h.claimed != 1 || h.used != 1 {
				t.Fatalf("got %+v, %v; %d MACs, %d claims, %d uses", c, err, h.macs(), h.claimed, h.used)
			}
			if read, err := io.ReadAll(r.Body); err != nil || string(read) != tt.body {
				t.Errorf("body: got %d bytes, %v", len(read), err)
			}
			_, err = h.method.Check(r)
			if fault.KindOf(err) != fault.Conflict || h.used != 1 {
				t.Errorf("again: got %v", err)
			}
		})
	}
}

// What says what a request means passes if it is covered.
func TestSignatureHeader(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		header     http.Header
	}{
		{"Type", body, http.Header{"Content-Type": {"application/json"}}},
		{"TypeOfNothing", "", http.Header{"Content-Type": {"application/json"}}},
		{"All", body, http.Header{
			"Content-Type": {"application/octet-stream"}, "If-Match": {`"1"`}, "If-None-Match": {"*"}, "Idempotency-Key": {"x"},
			"Sealwright-Tenant": {"t"}, "Sealwright-Context": {"a"}, "Sealwright-Anything": {"b"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			r := signedWith(t, "POST", url, tt.body, tt.header)
			r.Header.Set("Accept", "*/*")
			if c, err := h.method.Check(r); err != nil || c.ID != "ci" || h.macs() != 1 || h.claimed != 1 {
				t.Errorf("got %+v, %v; %d MACs, %d claims", c, err, h.macs(), h.claimed)
			}
		})
	}
}

// refusals are requests that prove nobody. Only a right tag claims a nonce.
var refusals = []struct {
	name   string
	make   func(*testing.T, *house) *http.Request
	reason string
	macs   int
}{
	{"OtherSecret", func(t *testing.T, _ *house) *http.Request { return signed(t, "POST", url, body, id, other, nil) }, "does not match", 1},
	{"UnknownCredential", func(t *testing.T, _ *house) *http.Request { return signed(t, "POST", url, body, "nobody", text, nil) }, "credential is not valid", 1},
	{"DisabledCaller", func(t *testing.T, h *house) *http.Request {
		h.unknown = errors.New(`caller "ci" is disabled`)
		return signed(t, "POST", url, body, id, text, nil)
	}, "is disabled", 1},
	{"OtherMethod", func(t *testing.T, _ *house) *http.Request {
		r := signed(t, "POST", url, body, id, text, nil)
		r.Method = "PUT"
		return r
	}, "", 1},
	{"OtherTarget", func(t *testing.T, _ *house) *http.Request {
		r := signed(t, "POST", url, body, id, text, nil)
		r.RequestURI += "&x=1"
		return r
	}, "", 1},
	{"OtherHost", func(t *testing.T, _ *house) *http.Request {
		r := signed(t, "POST", url, body, id, text, nil)
		r.Host = "evil.example.com"
		return r
	}, "", 1},
	{"OtherDigest", func(t *testing.T, _ *house) *http.Request {
		r := signed(t, "POST", url, body, id, text, nil)
		r.Header.Set("Content-Digest", "sha-256=:"+strings.Repeat("A", 43)+"=:")
		return r
	}, "", 1},
	{"Old", func(t *testing.T, h *house) *http.Request {
		h.now = now.Add(authn.Past + time.Second)
		return signed(t, "POST", url, body, id, text, nil)
	}, "signed 5m1s ago", 0},
	{"Ahead", func(t *testing.T, h *house) *http.Request {
		h.now = now.Add(-authn.Future - time.Second)
		return signed(t, "POST", url, body, id, text, nil)
	}, "ahead", 0},
	{"BodyNotCovered", func(t *testing.T, _ *house) *http.Request {
		return signed(t, "POST", url, body, id, text, func(p scheme.Params) { p["required"] = []string{"@method", "@target-uri"} })
	}, "content-digest", 0},
	{"MethodNotCovered", func(t *testing.T, _ *house) *http.Request {
		return signed(t, "GET", url, "", id, text, func(p scheme.Params) { p["required"] = []string{"@target-uri"} })
	}, "@method", 0},
	{"TargetNotCovered", func(t *testing.T, _ *house) *http.Request {
		return signed(t, "GET", url, "", id, text, func(p scheme.Params) { p["required"] = []string{"@method", "@path"} })
	}, "@target-uri", 0},
	{"NoNonce", func(t *testing.T, _ *house) *http.Request {
		return signed(t, "GET", url, "", id, text, func(p scheme.Params) { p["require_nonce"] = []string{"false"} })
	}, "nonce", 0},
	{"OtherTag", func(t *testing.T, _ *house) *http.Request {
		return signed(t, "GET", url, "", id, text, func(p scheme.Params) { p["tag"] = []string{"web-bot-auth"} })
	}, "tag", 0},
	{"NoTag", func(t *testing.T, _ *house) *http.Request {
		return signed(t, "GET", url, "", id, text, func(p scheme.Params) { delete(p, "tag") })
	}, "tag", 0},
	{"OtherLabel", func(t *testing.T, _ *house) *http.Request {
		return signed(t, "GET", url, "", id, text, func(p scheme.Params) { p["label"] = []string{"sig1"} })
	}, "label", 0},
	{"OtherAlgorithm", func(t *testing.T, _ *house) *http.Request {
		r := signed(t, "GET", url, "", id, text, nil)
		r.Header.Set("Signature-Input", r.Header.Get("Signature-Input")+`;alg="ed25519"`)
		return r
	}, "alg", 0},
	{"TenantAdded", func(t *testing.T, _ *house) *http.Request {
		r := signed(t, "GET", url, "", id, text, nil)
		r.Header.Set(api.TenantHeader, "other")
		return r
	}, "does not cover Sealwright-Tenant", 1},
	{"ConditionAdded", func(t *testing.T, _ *house) *http.Request {
		r := signed(t, "GET", url, "", id, text, nil)
		r.Header.Set("If-Match", `"1"`)
		return r
	}, "does not cover If-Match", 1},
	{"IdempotencyKeyAdded", func(t *testing.T, _ *house) *http.Request {
		r := signed(t, "POST", url, body, id, text, nil)
		r.Header.Set("Idempotency-Key", "1")
		return r
	}, "does not cover Idempotency-Key", 1},
	{"TypeAdded", func(t *testing.T, _ *house) *http.Request {
		r := signed(t, "POST", url, body, id, text, nil)
		r.Header.Set("Content-Type", "application/octet-stream")
		return r
	}, "content-type", 0},
	{"TypeOfNothingAdded", func(t *testing.T, _ *house) *http.Request {
		r := signed(t, "GET", url, "", id, text, nil)
		r.Header.Set("Content-Type", "application/octet-stream")
		return r
	}, "does not cover Content-Type", 1},
	{"TypeChanged", func(t *testing.T, _ *house) *http.Request {
		r := signedWith(t, "POST", url, body, http.Header{"Content-Type": {"application/octet-stream"}})
		r.Header.Set("Content-Type", "application/json")
		return r
	}, "does not match", 1},
	{"ContextChanged", func(t *testing.T, _ *house) *http.Request {
		r := signedWith(t, "POST", url, body, http.Header{"Sealwright-Context": {"a"}})
		r.Header.Set("Sealwright-Context", "b")
		return r
	}, "does not match", 1},
	{"TenantTakenAway", func(t *testing.T, _ *house) *http.Request {
		r := signedWith(t, "GET", url, "", http.Header{"Sealwright-Tenant": {"a"}})
		r.Header.Del(api.TenantHeader)
		return r
	}, "sealwright-tenant", 0},
	{"NoSignature", func(t *testing.T, _ *house) *http.Request {
		r := signed(t, "GET", url, "", id, text, nil)
		r.Header.Del("Signature")
		return r
	}, "Signature", 0},
	{"TwoDigests", func(t *testing.T, _ *house) *http.Request {
		r := httptest.NewRequest("POST", url, strings.NewReader(body))
		r.Header.Set("Content-Digest", `sha-256=:`+strings.Repeat("A", 43)+`=:, sha-512=:AAAA:`)
		return resigned(t, r)
	}, "sha-256=:BASE64: alone", 1},
	{"DigestOfNothing", func(t *testing.T, _ *house) *http.Request {
		r := httptest.NewRequest("GET", url, nil)
		r.Header.Set("Content-Digest", `sha-256=:`+strings.Repeat("A", 43)+`=:`)
		return resigned(t, r)
	}, "not the one of Content-Digest", 1},
}

// resigned signs a request with the digest that it has.
func resigned(t *testing.T, r *http.Request) *http.Request {
	t.Helper()
	s, err := catalogue.New("rfc9421", api.SignatureParams(true))
	if err != nil {
		t.Fatal(err)
	}
	k := keyring.Must(keyring.Key{ID: id, Version: 1, Secret: secret.FromString(text)})
	input := `("@method" "@target-uri" "content-digest");created=1767225600;nonce="n";keyid="` + id + `";tag="sealwright"`
	r.Header.Set("Signature-Input", "sealwright="+input)
	r.Header.Set("Signature", "sealwright=:"+strings.Repeat("A", 43)+"=:")
	m := sealwright.Message{Method: r.Method, Scheme: "https", Host: r.Host, Target: r.URL.RequestURI(), Header: r.Header}
	key, err := k.Signing(now)
	if err != nil {
		t.Fatal(err)
	}
	base, _, err := sealwright.SignedBytes(s, key, m)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Signature", "sealwright=:"+tagOf(t, text, base[0])+":")
	return r
}

func TestSignatureRefuses(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			r := tt.make(t, h)
			c, err := h.method.Check(r)
			if fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), tt.reason) || c.ID != "" {
				t.Errorf("got %+v, %v, want %q", c, err, tt.reason)
			}
			if h.macs() != tt.macs || h.claimed != 0 || h.used != 0 {
				t.Errorf("got %d MACs, %d claims and %d uses, want %d MACs", h.macs(), h.claimed, h.used, tt.macs)
			}
		})
	}
}

// A body that was changed, cut or made longer is refused at its end, in pieces
// of any size, and never read in full before.
func TestSignatureBody(t *testing.T) {
	for _, tt := range []struct{ name, sent string }{
		{"Changed", strings.ToUpper(body)},
		{"Cut", body[:len(body)-1]},
		{"Longer", body + "\n"},
		{"Chunked", body + body},
	} {
		for _, size := range []int{1, 7, 4096} {
			t.Run(tt.name, func(t *testing.T) {
				h := newHouse(t)
				r := signed(t, "POST", url, body, id, text, nil)
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(tt.sent)), -1
				if _, err := h.method.Check(r); err != nil {
					t.Fatalf("the head: %v", err)
				}
				var read bytes.Buffer
				var err error
				for p := make([]byte, size); err == nil; {
					var n int
					n, err = r.Body.Read(p)
					read.Write(p[:n])
				}
				if fault.KindOf(err) != fault.Denied || read.Len() != len(tt.sent) {
					t.Errorf("got %v after %d bytes", err, read.Len())
				}
			})
		}
	}
}

// What a store of nonces cannot say is told, and the caller is not accepted.
func TestSignatureClaims(t *testing.T) {
	h := newHouse(t)
	h.full = fault.New(fault.Unavailable, "full")
	c, err := h.method.Check(signed(t, "GET", url, "", id, text, nil))
	if fault.KindOf(err) != fault.Unavailable || c.ID != "" || h.used != 0 {
		t.Errorf("got %+v, %v", c, err)
	}
}

// The boundary instants of the window belong to it.
func TestSignatureWindow(t *testing.T) {
	for _, at := range []time.Duration{authn.Past, 0, -authn.Future} {
		h := newHouse(t)
		h.now = now.Add(at)
		if _, err := h.method.Check(signed(t, "GET", url, "", id, text, nil)); err != nil {
			t.Errorf("at %v: %v", at, err)
		}
	}
}
