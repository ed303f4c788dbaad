package sealhttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/sealhttp"
	"github.com/sealwright/sealwright/secret"
)

const secretText = "sealhttp-test-secret-0001"

var now = time.Unix(1767225600, 0)

func clock() time.Time { return now }

func testRing() *keyring.Ring {
	return keyring.Must(keyring.Key{ID: "k1", Version: 1, Secret: secret.FromString(secretText)})
}

func preset(tb testing.TB, id string, params scheme.Params) sealwright.Scheme {
	tb.Helper()
	s, err := catalogue.New(id, params)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// handler echoes the body and writes what it sees to headers.
func handler(w http.ResponseWriter, r *http.Request) {
	read, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	verdict, ok := sealhttp.VerdictFrom(r.Context())
	w.Header().Set("Seen-Key", fmt.Sprintf("%v %v %s %d", ok, verdict.Valid, verdict.KeyID, verdict.Version))
	w.Header().Set("Seen-Length", fmt.Sprint(r.ContentLength))
	w.Header().Set("Seen-Proto", r.Proto)
	w.Header().Set("Seen-Uri", r.RequestURI)
	_, _ = w.Write(read)
}

// refusals collects what OnRefusal gets.
type refusals struct {
	mu   sync.Mutex
	list []error
}

func (r *refusals) add(_ *http.Request, _ sealwright.Verdict, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, err)
}

// last returns the last refusal, nil if there is none.
func (r *refusals) last() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 0 {
		return nil
	}
	return r.list[len(r.list)-1]
}

// pair is a server that verifies and a client that signs.
type pair struct {
	server   *httptest.Server
	client   *http.Client // signs
	plain    *http.Client // does not
	refusals *refusals
	ring     *keyring.Ring
}

// newPair starts a server. https is with HTTP/2.
func newPair(t *testing.T, s sealwright.Scheme, https bool, next http.HandlerFunc) *pair {
	t.Helper()
	p := &pair{refusals: &refusals{}, ring: testRing()}
	m := &sealhttp.Middleware{
		Verifier: &sealwright.Verifier{Scheme: s, Ring: p.ring}, Now: clock, OnRefusal: p.refusals.add,
	}
	p.server = httptest.NewUnstartedServer(m.Handler(next))
	if https {
		p.server.EnableHTTP2 = true
		p.server.StartTLS()
	} else {
		p.server.Start()
	}
	t.Cleanup(p.server.Close)
	p.plain = p.server.Client()
	signing := *p.plain
	signing.Transport = &sealhttp.Transport{
		Signer: &sealwright.Signer{Scheme: s, Ring: p.ring}, Base: p.plain.Transport, Now: clock,
	}
	p.client = &signing
	return p
}

// do sends a request and returns the response with its body.
func do(t *testing.T, c *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func newRequest(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var schemes = []struct {
	id     string
	params scheme.Params
}{
	{"rfc9421", scheme.Params{"require_nonce": {"true"}}},
	{"rfc9421", scheme.Params{"required": {"@method", "@authority", "@request-target", "@scheme", "content-digest", "content-length"}}},
	{"github", nil},
	{"stripe", nil},
	{"hmac-auth", nil},
}

// TestRoundTrip signs with a Transport and verifies with a Middleware, over
// HTTP/1.1 and over HTTP/2.
func TestRoundTrip(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for i, s := range schemes {
			t.Run(fmt.Sprintf("%s/%s-%d", proto, s.id, i), func(t *testing.T) {
				p := newPair(t, preset(t, s.id, s.params), proto == "HTTP/2.0", handler)
				for _, target := range []string{"/", "", "/a%2Fb//c;d/../e?x=1&y=%2F&z=+&&q", "/%E4%BD%A0?%E4=", "/?"} {
					r := newRequest(t, "POST", p.server.URL+target, strings.NewReader(`{"id":7}`))
					r.Header["X-Two"] = []string{"a", " b, c "}
					resp, body := do(t, p.client, r)
					if resp.StatusCode != http.StatusOK || body != `{"id":7}` {
						t.Fatalf("%s: status %d, body %q, refused for %v", target, resp.StatusCode, body, p.refusals.last())
					}
					if got := resp.Header.Get("Seen-Key"); got != "true true k1 1" {
						t.Errorf("verdict is %s", got)
					}
					if got := resp.Header.Get("Seen-Proto"); got != proto {
						t.Errorf("protocol is %s", got)
					}
					if got := resp.Header.Get("Seen-Length"); got != "8" {
						t.Errorf("ContentLength is %s, want 8", got)
					}
				}
			})
		}
	}
}

// TestNoBody verifies requests without a body.
func TestNoBody(t *testing.T) {
	p := newPair(t, preset(t, "rfc9421", nil), false, handler)
	for _, method := range []string{"", "GET", "DELETE", "POST", "PUT"} {
		for _, body := range []io.Reader{nil, http.NoBody, strings.NewReader("")} {
			resp, _ := do(t, p.client, newRequest(t, method, p.server.URL+"/x", body))
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: status %d, refused for %v", method, resp.StatusCode, p.refusals.last())
			}
			if got := resp.Header.Get("Seen-Length"); got != "0" {
				t.Errorf("%s: ContentLength is %s, want 0", method, got)
			}
		}
	}
}

// TestHandlerSeesTheRequest compares what a handler sees behind a Middleware
// with what it sees without one.
func TestHandlerSeesTheRequest(t *testing.T) {
	var seen []string
	look := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if n, again := r.Body.Read(make([]byte, 1)); n != 0 || again != io.EOF {
			t.Errorf("read behind the end: %d, %v", n, again)
		}
		if err := r.Body.Close(); err != nil {
			t.Error(err)
		}
		seen = append(seen, fmt.Sprintln(r.Method, r.RequestURI, r.URL, r.Host, r.ContentLength, r.TransferEncoding, r.Header, r.Trailer, string(b), err))
	})
	m := &sealhttp.Middleware{
		Verifier: &sealwright.Verifier{Scheme: preset(t, "github", nil), Ring: testRing()},
	}
	signer := sealwright.Signer{Scheme: preset(t, "github", nil), Ring: testRing()}
	body := "some text"
	signed, err := signer.Sign(sealwright.Message{Method: "POST", Body: []byte(body)}, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range []http.Handler{look, m.Handler(look)} {
		server := httptest.NewServer(next)
		for _, chunked := range []bool{false, true} {
			r := newRequest(t, "POST", server.URL+"/a%2Fb?c", strings.NewReader(body))
			r.Host = "hooks.example.com"
			r.Header = signed.Header
			if chunked {
				r.ContentLength = -1
				r.Body = io.NopCloser(strings.NewReader(body))
				r.Trailer = http.Header{"X-Trailer": {"t"}}
			}
			if resp, _ := do(t, server.Client(), r); resp.StatusCode != http.StatusOK {
				t.Errorf("status %d", resp.StatusCode)
			}
		}
		server.Close()
	}
	if len(seen) != 4 || seen[0] != seen[2] || seen[1] != seen[3] {
		t.Errorf("handlers saw\n%s", strings.Join(seen, "\n"))
	}
}

// TestTarget verifies requests by what stood in their request line, whatever
// else says something of a URL.
func TestTarget(t *testing.T) {
	s := preset(t, "rfc9421", scheme.Params{"required": {"@target-uri"}})
	tests := []struct {
		name, line, host, want string
	}{
		{"Origin", "/a?b=%2f", "example.com", "http://example.com/a?b=%2f"},
		{"NotCleaned", "//a/../b/./c%2F", "example.com", "http://example.com//a/../b/./c%2F"},
		{"TwoQuestionMarks", "/a?b?c", "example.com", "http://example.com/a?b?c"},
		{"AbsoluteForm", "http://example.com/a?b", "other.example.com", "http://example.com/a?b"},
		{"AbsoluteFormUpper", "HTTP://example.com:8080/a", "example.com", "http://example.com:8080/a"},
		{"AbsoluteFormNoPath", "http://example.com?b", "example.com", "http://example.com/?b"},
		{"Port", "/", "example.com:8080", "http://example.com:8080/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var refused refusals
			m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: s, Ring: testRing()}, Now: clock, OnRefusal: refused.add}
			server := httptest.NewServer(m.Handler(http.HandlerFunc(handler)))
			defer server.Close()
			_, host, target, err := sealwright.SplitURL(tt.want)
			if err != nil {
				t.Fatal(err)
			}
			signer := sealwright.Signer{Scheme: s, Ring: testRing()}
			signed, err := signer.Sign(sealwright.Message{Method: "GET", Scheme: "http", Host: host, Target: target}, now)
			if err != nil {
				t.Fatal(err)
			}
			status := raw(t, server, "GET "+tt.line+" HTTP/1.1\r\nHost: "+tt.host+"\r\nConnection: close\r\n"+lines(signed.Header)+"\r\n")
			if status != http.StatusOK {
				t.Errorf("status %d, refused for %v", status, refused.last())
			}
		})
	}
}

// TestScheme takes the scheme of the URL from the connection or the setting,
// never from the request.
func TestScheme(t *testing.T) {
	s := preset(t, "rfc9421", scheme.Params{"required": {"@scheme"}})
	for _, tt := range []struct {
		name, setting, signed string
		want                  int
	}{
		{"Connection", "", "http", http.StatusOK},
		{"ConnectionIsNot", "", "https", http.StatusUnauthorized},
		{"Setting", "https", "https", http.StatusOK},
		{"SettingIsNot", "https", "http", http.StatusUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: s, Ring: testRing()}, Now: clock, Scheme: tt.setting}
			server := httptest.NewServer(m.Handler(http.HandlerFunc(handler)))
			defer server.Close()
			signer := sealwright.Signer{Scheme: s, Ring: testRing()}
			signed, err := signer.Sign(sealwright.Message{Method: "GET", Scheme: tt.signed, Host: "x", Target: "/"}, now)
			if err != nil {
				t.Fatal(err)
			}
			r := newRequest(t, "GET", server.URL, nil)
			r.Header = signed.Header
			r.Header["X-Forwarded-Proto"] = []string{tt.signed}
			if resp, _ := do(t, server.Client(), r); resp.StatusCode != tt.want {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.want)
			}
		})
	}
}

// TestMiddlewareRing asks for the ring at each request.
func TestMiddlewareRing(t *testing.T) {
	s := preset(t, "github", nil)
	current := keyring.Must(keyring.Key{ID: "k2", Version: 2, Secret: secret.FromString("another secret of a test")})
	m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: s, Ring: testRing()}, Ring: func() *keyring.Ring { return current }}
	h := m.Handler(http.HandlerFunc(handler))
	signer := sealwright.Signer{Scheme: s}
	for _, tt := range []struct {
		name string
		ring *keyring.Ring
		want int
	}{
		{"Current", current, http.StatusOK},
		{"OfTheVerifier", testRing(), http.StatusUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			signed, err := signer.SignRing(tt.ring, sealwright.Message{Method: "POST", Body: []byte("x")}, now)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest("POST", "/", strings.NewReader("x"))
			r.Header = signed.Header
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d", w.Code, tt.want)
			}
		})
	}
	t.Run("None", func(t *testing.T) {
		current = nil
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader("x")))
		if w.Code != http.StatusUnauthorized {
			t.Errorf("status %d, want 401", w.Code)
		}
	})
}

// TestBodyBreaksOff answers 400 to a body that ends too early.
func TestBodyBreaksOff(t *testing.T) {
	p := newPair(t, preset(t, "github", nil), false, func(http.ResponseWriter, *http.Request) { t.Error("handler was called") })
	for name, text := range map[string]string{
		"BadChunk": "POST / HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=00\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			if status := raw(t, p.server, text); status != http.StatusBadRequest {
				t.Errorf("status %d, want 400", status)
			}
		})
	}
	w := httptest.NewRecorder()
	m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: preset(t, "github", nil), Ring: testRing()}, OnRefusal: p.refusals.add}
	r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("abc"), broken{}))
	r.Header.Set("X-Hub-Signature-256", "sha256=00")
	m.Handler(http.HandlerFunc(handler)).ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest {
		t.Errorf("status %d, want 400", w.Code)
	}
	if err := p.refusals.last(); err == nil || !strings.Contains(err.Error(), "body is unreadable: wire is cut") {
		t.Errorf("refused for %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("wire is cut") }

func TestVerdictFromNothing(t *testing.T) {
	if verdict, ok := sealhttp.VerdictFrom(context.Background()); ok || verdict.Valid {
		t.Errorf("got %v, %v, want none", verdict, ok)
	}
}

// TestLargeBody lets a body of exactly the cap through.
func TestLargeBody(t *testing.T) {
	s := preset(t, "github", nil)
	for _, tt := range []struct {
		name    string
		maxBody int64
		size    int
		want    int
	}{
		{"Default", 0, 1 << 20, http.StatusOK},
		{"DefaultOver", 0, 1<<20 + 1, http.StatusRequestEntityTooLarge},
		{"Cap", 10, 10, http.StatusOK},
		{"CapOver", 10, 11, http.StatusRequestEntityTooLarge},
		{"Huge", 1<<63 - 1, 3 << 20, http.StatusOK},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/chunked=%v", tt.name, chunked), func(t *testing.T) {
				m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: s, Ring: testRing()}, MaxBody: tt.maxBody}
				server := httptest.NewServer(m.Handler(http.HandlerFunc(handler)))
				defer server.Close()
				body := bytes.Repeat([]byte("x"), tt.size)
				signer := sealwright.Signer{Scheme: s, Ring: testRing()}
				signed, err := signer.Sign(sealwright.Message{Method: "POST", Body: body}, now)
				if err != nil {
					t.Fatal(err)
				}
				r := newRequest(t, "POST", server.URL, bytes.NewReader(body))
				r.Header = signed.Header
				if chunked {
					r.ContentLength = -1
				}
				resp, got := do(t, server.Client(), r)
				if resp.StatusCode != tt.want {
					t.Fatalf("status %d, want %d", resp.StatusCode, tt.want)
				}
				if tt.want == http.StatusOK && got != string(body) {
					t.Errorf("handler got %d bytes, want %d", len(got), len(body))
				}
			})
		}
	}
}
