package sealhttp_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/sealhttp"
	"github.com/sealwright/sealwright/secret"
)

// inURL and inBody put their tags where an HTTP client must change more than
// headers. The digests were computed with another implementation.
const inURL = `{
  "id": "in-url", "tier": "unverified", "direction": "url", "source": "this project", "doc": "Tag and key ID in the query.",
  "algorithm": "hmac-sha256", "key": {"encoding": "utf8"}, "key_id": {"from": "query:key"},
  "tag": {"from": "query:sig", "encoding": "hex"}, "message": ["{method} {path}\n{body}"],
  "kat": [{"secret": "sealhttp-test-secret-0001", "key_id": "k1", "request": {"method": "POST", "body": "x",
    "url": "https://a.example/p?key=k1&sig=9bfd9635d009f8450891ec6b4d7340d40d44ee65df4b8f7f20a4481ae7ebd65e"}}]
}`

const inBody = `{
  "id": "in-body", "tier": "unverified", "direction": "generic", "source": "this project", "doc": "Tag in a field of the body.",
  "algorithm": "hmac-sha256", "key": {"encoding": "utf8"},
  "tag": {"from": "json:/sig", "encoding": "hex"}, "message": ["{json:/id}"],
  "kat": [{"secret": "sealhttp-test-secret-0001", "request": {"method": "POST", "url": "https://a.example/",
    "body": "{\"id\":7,\"sig\":\"7e39b28d8681b9b44d0862be39b9729549235e27822e9f458ed6f99a906033f0\"}"}}]
}`

func load(t *testing.T, text string) sealwright.Scheme {
	t.Helper()
	d, err := scheme.Load([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTagElsewhere signs where the tag stands in the URL or in the body.
func TestTagElsewhere(t *testing.T) {
	for _, https := range []bool{false, true} {
		t.Run(fmt.Sprintf("URL/https=%v", https), func(t *testing.T) {
			p := newPair(t, load(t, inURL), https, handler)
			resp, body := do(t, p.client, newRequest(t, "POST", p.server.URL+"/a%2Fb", strings.NewReader("x")))
			if resp.StatusCode != http.StatusOK || body != "x" {
				t.Errorf("status %d, body %q, refused for %v", resp.StatusCode, body, p.refusals.last())
			}
			if got := resp.Header.Get("Seen-Uri"); !strings.HasPrefix(got, "/a%2Fb?key=k1&sig=") {
				t.Errorf("sent to %s", got)
			}
		})
		t.Run(fmt.Sprintf("Body/https=%v", https), func(t *testing.T) {
			p := newPair(t, load(t, inBody), https, handler)
			resp, body := do(t, p.client, newRequest(t, "POST", p.server.URL, strings.NewReader(`{"id": 7}`)))
			if resp.StatusCode != http.StatusOK || !strings.HasPrefix(body, `{"id": 7,"sig":"`) {
				t.Errorf("status %d, body %q, refused for %v", resp.StatusCode, body, p.refusals.last())
			}
		})
	}
}

// capture is a base that keeps what it is to send.
type capture struct{ sent []*http.Request }

func (c *capture) RoundTrip(r *http.Request) (*http.Response, error) {
	c.sent = append(c.sent, r)
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
}

func transport(t *testing.T, id string, base http.RoundTripper) *sealhttp.Transport {
	t.Helper()
	return &sealhttp.Transport{Signer: &sealwright.Signer{Scheme: preset(t, id, nil), Ring: testRing()}, Base: base, Now: clock}
}

// closing is a body that knows whether it was closed.
type closing struct {
	io.Reader
	closed int
}

func (c *closing) Close() error { c.closed++; return nil }

// TestTransportLeavesTheRequest signs a copy.
func TestTransportLeavesTheRequest(t *testing.T) {
	var base capture
	body := &closing{Reader: strings.NewReader("abc")}
	r := newRequest(t, "POST", "https://a.example/x?y", nil)
	r.Body, r.ContentLength = body, 3
	r.Header = http.Header{"x-lower": {" a "}, "X-Two": {"1", "2"}, "Content-Length": {"99"}}
	before := fmt.Sprint(r.Method, r.URL, r.Header, r.ContentLength, r.Host)
	if _, err := transport(t, "rfc9421", &base).RoundTrip(r); err != nil {
		t.Fatal(err)
	}
	if after := fmt.Sprint(r.Method, r.URL, r.Header, r.ContentLength, r.Host); after != before {
		t.Errorf("request is %s, was %s", after, before)
	}
	if body.closed != 1 {
		t.Errorf("body was closed %d times, want once", body.closed)
	}
	sent := base.sent[0]
	for name, want := range map[string]string{"X-Lower": "[a]", "X-Two": "[1 2]", "Content-Length": "[]"} {
		if got := fmt.Sprint(sent.Header[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	for range 2 { // as a retry does
		read, err := io.ReadAll(sent.Body)
		if err != nil || string(read) != "abc" || sent.ContentLength != 3 {
			t.Errorf("sent %q, %v, ContentLength %d", read, err, sent.ContentLength)
		}
		if sent.Body, err = sent.GetBody(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTransportURL signs the target that net/http will write.
func TestTransportURL(t *testing.T) {
	const list = `"@method" "@target-uri"`
	tests := []struct {
		name string
		url  url.URL
		host string
		want string // covered by a signature that verifies
	}{
		{"Plain", url.URL{Scheme: "https", Host: "a.example", Path: "/x", RawQuery: "y=1"}, "", "https://a.example/x?y=1"},
		{"NoPath", url.URL{Scheme: "https", Host: "a.example"}, "", "https://a.example/"},
		{"EmptyQuery", url.URL{Scheme: "https", Host: "a.example", Path: "/", ForceQuery: true}, "", "https://a.example/?"},
		{"RawPath", url.URL{Scheme: "https", Host: "a.example", Path: "/a/b", RawPath: "/a%2Fb"}, "", "https://a.example/a%2Fb"},
		{"Blank", url.URL{Scheme: "https", Host: "a.example", Path: "/a b"}, "", "https://a.example/a%20b"},
		{"Fragment", url.URL{Scheme: "https", Host: "a.example", Path: "/", Fragment: "f"}, "", "https://a.example/"},
		{"User", url.URL{Scheme: "https", Host: "a.example", Path: "/", User: url.UserPassword("u", "p")}, "", "https://a.example/"},
		{"OtherHost", url.URL{Scheme: "https", Host: "10.0.0.1:8443", Path: "/"}, "A.example", "https://A.example/"},
		{"OpaquePath", url.URL{Scheme: "https", Host: "a.example", Opaque: "/%61?b"}, "", "https://a.example/%61?b"},
		{"OpaqueAbsolute", url.URL{Scheme: "https", Host: "a.example", Opaque: "//b.example/%61"}, "", "https://b.example/%61"},
	}
	s := preset(t, "rfc9421", scheme.Params{"required": {"@method", "@target-uri"}})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var base capture
			tr := &sealhttp.Transport{Signer: &sealwright.Signer{Scheme: s, Ring: testRing()}, Base: &base, Now: clock}
			if _, err := tr.RoundTrip(&http.Request{URL: &tt.url, Host: tt.host}); err != nil {
				t.Fatal(err)
			}
			scheme, host, target, err := sealwright.SplitURL(tt.want)
			if err != nil {
				t.Fatal(err)
			}
			v := sealwright.Verifier{Scheme: s, Ring: testRing()}
			if _, err := v.Verify(sealwright.Message{Method: "GET", Scheme: scheme, Host: host, Target: target, Header: base.sent[0].Header}, now); err != nil {
				t.Errorf("does not cover %s: %v (%s)", tt.want, err, list)
			}
		})
	}
}

func TestTransportRefuses(t *testing.T) {
	post := func(body io.Reader, size int64) func(*http.Request) {
		return func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(body), size }
	}
	tests := []struct {
		name   string
		change func(*http.Request)
		want   error
		text   string
	}{
		{"AnnouncedTooLarge", post(broken{}, 17), sealhttp.ErrTooLarge, "17 bytes announced, at most 16"},
		{"TooLarge", post(strings.NewReader("12345678901234567"), -1), sealhttp.ErrTooLarge, "at most 16 bytes"},
		{"TooLargeOfUnknownLength", post(strings.NewReader("12345678901234567"), 0), sealhttp.ErrTooLarge, "at most 16 bytes"},
		{"Unreadable", post(broken{}, 3), nil, "wire is cut"},
		{"Short", post(strings.NewReader("12"), 3), nil, "body has 2 bytes, want 3"},
		{"Long", post(strings.NewReader("1234"), 3), nil, "body has 4 bytes, want 3"},
		{"HostNotASCII", func(r *http.Request) { r.Host = "b\u00fccher.example" }, nil, "punycode"},
		{"HostWithZone", func(r *http.Request) { r.Host, r.URL.Host = "", "[fe80::1%eth0]" }, nil, "zone"},
		{"NoURL", func(r *http.Request) { r.URL = nil }, nil, "no URL"},
		{"Signer", func(r *http.Request) { r.Method = "BAD\nMETHOD" }, sealwright.ErrMalformed, "@method"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var base capture
			tr := transport(t, "rfc9421", &base)
			tr.MaxBody = 16
			r := newRequest(t, "POST", "https://a.example/", nil)
			tt.change(r)
			body := &closing{Reader: r.Body}
			if r.Body != nil {
				r.Body = body
			}
			_, err := tr.RoundTrip(r)
			if err == nil || !strings.Contains(err.Error(), tt.text) || !strings.HasPrefix(err.Error(), "sign request: ") {
				t.Errorf("got %v, want %q in it", err, tt.text)
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if r.Body != nil && body.closed != 1 {
				t.Errorf("body was closed %d times, want once", body.closed)
			}
			if len(base.sent) != 0 {
				t.Error("request was sent")
			}
		})
	}
	for name, tr := range map[string]*sealhttp.Transport{
		"NoSigner": {}, "NoRing": {Signer: &sealwright.Signer{Scheme: preset(t, "github", nil)}}, "NoScheme": {Signer: &sealwright.Signer{Ring: testRing()}},
	} {
		t.Run(name, func(t *testing.T) {
			body := &closing{Reader: strings.NewReader("x")}
			r := newRequest(t, "POST", "https://a.example/", body)
			if _, err := tr.RoundTrip(r); !errors.Is(err, sealwright.ErrConfig) || body.closed != 1 {
				t.Errorf("got %v, closed %d times", err, body.closed)
			}
		})
	}
}

// TestTransportRing asks for the ring at each request.
func TestTransportRing(t *testing.T) {
	p := newPair(t, preset(t, "github", nil), false, handler)
	other := keyring.Must(keyring.Key{ID: "k1", Version: 9, Secret: secret.FromString("another secret of a test")})
	current := other
	client := &http.Client{Transport: &sealhttp.Transport{
		Signer: &sealwright.Signer{Scheme: preset(t, "github", nil), Ring: p.ring}, Ring: func() *keyring.Ring { return current },
	}}
	for _, tt := range []struct {
		ring *keyring.Ring
		want int
	}{{other, http.StatusUnauthorized}, {p.ring, http.StatusOK}} {
		current = tt.ring
		if resp, _ := do(t, client, newRequest(t, "POST", p.server.URL, strings.NewReader("x"))); resp.StatusCode != tt.want {
			t.Errorf("status %d, want %d", resp.StatusCode, tt.want)
		}
	}
}

// TestRedirect signs each step within a host and nothing for another one.
func TestRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another host got %v", r.Header)
	}))
	defer elsewhere.Close()
	p := newPair(t, preset(t, "rfc9421", nil), false, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, "/target", http.StatusTemporaryRedirect)
		case "/get":
			http.Redirect(w, r, "/target", http.StatusSeeOther)
		case "/other":
			http.Redirect(w, r, elsewhere.URL, http.StatusPermanentRedirect)
		default:
			w.Header().Set("Seen-Method", r.Method)
			handler(w, r)
		}
	})
	for _, tt := range []struct{ path, method, body string }{{"/same", "POST", "x"}, {"/get", "GET", ""}} {
		resp, body := do(t, p.client, newRequest(t, "POST", p.server.URL+tt.path, bytes.NewReader([]byte("x"))))
		if resp.StatusCode != http.StatusOK || body != tt.body || resp.Header.Get("Seen-Method") != tt.method {
			t.Errorf("%s: status %d, body %q, method %s, refused for %v", tt.path, resp.StatusCode, body, resp.Header.Get("Seen-Method"), p.refusals.last())
		}
	}
	if _, err := p.client.Do(newRequest(t, "POST", p.server.URL+"/other", strings.NewReader("x"))); !errors.Is(err, sealhttp.ErrRedirect) {
		t.Errorf("got %v, want ErrRedirect", err)
	}
	t.Run("FromHTTPSToHTTP", func(t *testing.T) {
		r := newRequest(t, "GET", "http://a.example/", nil)
		r.Response = &http.Response{Request: newRequest(t, "GET", "https://a.example/", nil)}
		if _, err := transport(t, "github", &capture{}).RoundTrip(r); !errors.Is(err, sealhttp.ErrRedirect) {
			t.Errorf("got %v, want ErrRedirect", err)
		}
		r.URL.Scheme = "https"
		if _, err := transport(t, "github", &capture{}).RoundTrip(r); err != nil {
			t.Error(err)
		}
	})
}

// TestRetry sends the whole request again when a kept connection turns out to
// be dead, as net/http does for requests whose body can be read again.
func TestRetry(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bodies := make(chan string, 8)
	done := make(chan struct{})
	go func() { // answers one request on each connection and drops the next one unanswered
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(c)
			for n := range 2 {
				r, err := http.ReadRequest(in)
				if err != nil {
					break
				}
				b, err := io.ReadAll(r.Body)
				bodies <- fmt.Sprintf("%s %v %v", b, r.Header.Get("X-Hub-Signature-256") != "", err)
				if n == 0 {
					_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
				}
			}
			c.Close()
		}
	}()
	base := &http.Transport{}
	client := &http.Client{Transport: transport(t, "github", base)}
	for range 2 {
		r := newRequest(t, "POST", "http://"+listener.Addr().String(), io.NopCloser(strings.NewReader("body")))
		r.Header.Set("Idempotency-Key", "1")
		if resp, _ := do(t, client, r); resp.StatusCode != http.StatusNoContent {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	base.CloseIdleConnections()
	listener.Close()
	<-done
	close(bodies)
	n := 0
	for b := range bodies {
		n++
		if b != "body true <nil>" {
			t.Errorf("server got %s", b)
		}
	}
	if n != 3 {
		t.Errorf("server got %d requests, want 3: one was sent again", n)
	}
}

// TestTrailers signs a trailer that is covered and sends it.
func TestTrailers(t *testing.T) {
	s := preset(t, "rfc9421", scheme.Params{"required": {"@method", "x-sum;tr"}})
	p := newPair(t, s, false, handler)
	r := newRequest(t, "POST", p.server.URL, io.NopCloser(strings.NewReader("x")))
	r.ContentLength = -1
	r.Trailer = http.Header{"X-Sum": {"17"}}
	if resp, _ := do(t, p.client, r); resp.StatusCode != http.StatusOK || resp.Header.Get("Seen-Length") != "-1" {
		t.Errorf("status %d, length %s, refused for %v", resp.StatusCode, resp.Header.Get("Seen-Length"), p.refusals.last())
	}
}
