package sealhttp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/sealhttp"
	"github.com/sealwright/sealwright/secret"
)

// The tests of this file are named after the classes of attack in
// catalogue/attacks.jsonl.

// never is a handler that must not be reached.
func never(t *testing.T) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) { t.Error("the handler was reached") }
}

// signedHeader returns the headers that a scheme adds to a POST of body to
// http://a.example/x.
func signedHeader(t *testing.T, s sealwright.Scheme, body string) http.Header {
	t.Helper()
	signer := sealwright.Signer{Scheme: s, Ring: testRing()}
	m, err := signer.Sign(sealwright.Message{Method: "POST", Scheme: "http", Host: "a.example", Target: "/x?y=1", Body: []byte(body)}, now)
	if err != nil {
		t.Fatal(err)
	}
	return m.Header
}

// attack is a signed POST, changed.
type attack struct {
	name   string
	change func(r *http.Request)
	want   error // the reason in OnRefusal; nil means that the request passes
}

// runAttacks sends each request to a Middleware over HTTP/1.1.
func runAttacks(t *testing.T, s sealwright.Scheme, list []attack) {
	t.Helper()
	var refused refusals
	reached := false
	m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: s, Ring: testRing()}, Now: clock, OnRefusal: refused.add}
	server := httptest.NewServer(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reached = true })))
	defer server.Close()
	list = append([]attack{{"Unchanged", func(*http.Request) {}, nil}}, list...)
	for _, tt := range list {
		t.Run(tt.name, func(t *testing.T) {
			reached = false
			r := newRequest(t, "POST", server.URL+"/x?y=1", strings.NewReader(`{"id":7}`))
			r.Host, r.Header = "a.example", signedHeader(t, s, `{"id":7}`)
			tt.change(r)
			resp, body := do(t, server.Client(), r)
			if tt.want == nil {
				if !reached || resp.StatusCode != http.StatusOK {
					t.Errorf("status %d, reached %v, refused for %v", resp.StatusCode, reached, refused.last())
				}
				return
			}
			if reached {
				t.Fatal("the handler was reached")
			}
			if resp.StatusCode != http.StatusUnauthorized || body != `{"title":"Unauthorized","status":401}`+"\n" {
				t.Errorf("status %d, body %q", resp.StatusCode, body)
			}
			if err := refused.last(); !errors.Is(err, tt.want) {
				t.Errorf("refused for %v, want %v", err, tt.want)
			}
		})
	}
}

func set(name string, lines ...string) func(*http.Request) {
	return func(r *http.Request) {
		delete(r.Header, name)
		if len(lines) > 0 {
			r.Header[name] = lines
		}
	}
}

func TestA02_MissingSignature(t *testing.T) {
	t.Run("github", func(t *testing.T) {
		runAttacks(t, preset(t, "github", nil), []attack{
			{"Absent", set("X-Hub-Signature-256"), sealwright.ErrMissing},
			{"Empty", set("X-Hub-Signature-256", ""), sealwright.ErrMissing},
			{"LabelAlone", set("X-Hub-Signature-256", "sha256="), sealwright.ErrMissing},
			{"NoHeaders", func(r *http.Request) { r.Header = nil }, sealwright.ErrMissing},
			{"InTheQuery", func(r *http.Request) {
				r.URL.RawQuery = "X-Hub-Signature-256=" + r.Header.Get("X-Hub-Signature-256")
				r.Header.Del("X-Hub-Signature-256")
			}, sealwright.ErrMissing},
			{"InATrailer", func(r *http.Request) {
				r.Trailer, r.ContentLength = http.Header{"X-Hub-Signature-256": r.Header["X-Hub-Signature-256"]}, -1
				r.Header = http.Header{}
			}, sealwright.ErrMissing},
		})
	})
	t.Run("rfc9421", func(t *testing.T) {
		runAttacks(t, preset(t, "rfc9421", nil), []attack{
			{"NoSignature", set("Signature"), sealwright.ErrMissing},
			{"NoInput", set("Signature-Input"), sealwright.ErrMissing},
			{"Empty", set("Signature", ""), sealwright.ErrMissing},
		})
	})
}

func TestA03_PrefixOrLength(t *testing.T) {
	s := preset(t, "github", nil)
	tag := signedHeader(t, s, `{"id":7}`).Get("X-Hub-Signature-256")
	var list []attack
	for n := len("sha256=") + 2; n < len(tag); n += 2 {
		list = append(list, attack{fmt.Sprintf("Prefix%d", n), set("X-Hub-Signature-256", tag[:n]), sealwright.ErrMismatch})
	}
	list = append(list, attack{"Longer", set("X-Hub-Signature-256", tag+"00"), sealwright.ErrMismatch},
		attack{"OfSHA512", set("X-Hub-Signature-256", "sha256="+strings.Repeat("00", 64)), sealwright.ErrMismatch})
	runAttacks(t, s, list)
}

func TestA05_Crash(t *testing.T) {
	long := strings.Repeat("x", 900_000) // a header that net/http lets through
	for _, id := range []string{"github", "stripe", "rfc9421", "hmac-auth", "slack", "aws-sigv4"} {
		t.Run(id, func(t *testing.T) {
			params := scheme.Params{}
			if id == "aws-sigv4" {
				params = nil
			}
			s := preset(t, id, params)
			m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: s, Ring: testRing()}, Now: clock}
			server := httptest.NewServer(m.Handler(never(t)))
			defer server.Close()
			for _, name := range []string{"X-Hub-Signature-256", "Stripe-Signature", "Signature", "Signature-Input", "Authorization", "X-Slack-Signature", "X-Slack-Request-Timestamp", "X-Amz-Date"} {
				for _, value := range []string{"\xff\xfe\x80", "sha256=zz", "t=,v1=", `sig1=("`, ":", ",,,,", "=", strings.Repeat("a=(),", 9999), long, "HMAC ", "AWS4-HMAC-SHA256 "} {
					r := newRequest(t, "POST", server.URL, strings.NewReader("{"))
					r.Header = http.Header{name: {value}}
					if name != "Signature" {
						r.Header["Signature"] = []string{"sig1=:AAAA:"}
					}
					resp, _ := do(t, server.Client(), r)
					if resp.StatusCode != http.StatusUnauthorized {
						t.Errorf("%s: %.20q: status %d", name, value, resp.StatusCode)
					}
				}
			}
		})
	}
	t.Run("NoVerifier", func(t *testing.T) {
		for _, m := range []*sealhttp.Middleware{{}, {Verifier: &sealwright.Verifier{}}, {Verifier: &sealwright.Verifier{Scheme: preset(t, "github", nil)}}} {
			w := httptest.NewRecorder()
			m.Handler(never(t)).ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader("x")))
			if w.Code != http.StatusUnauthorized {
				t.Errorf("status %d, want 401", w.Code)
			}
		}
	})
}

func TestA15_BodyNotBound(t *testing.T) {
	for _, id := range []string{"github", "rfc9421"} {
		t.Run(id, func(t *testing.T) {
			want := map[string]error{"github": sealwright.ErrMismatch, "rfc9421": sealwright.ErrDigest}[id]
			body := func(b string) func(*http.Request) {
				return func(r *http.Request) {
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader(b)), int64(len(b))
					r.GetBody = nil
				}
			}
			chunked := func(r *http.Request) {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{"id":8}`)), -1
			}
			runAttacks(t, preset(t, id, nil), []attack{
				{"Changed", body(`{"id":8}`), want},
				{"Longer", body(`{"id":7} `), want},
				{"Shorter", body(`{"id":7`), want},
				{"Dropped", func(r *http.Request) { r.Body, r.ContentLength = nil, 0 }, want},
				{"ChangedAndChunked", chunked, want},
			})
		})
	}
}

func TestA16_TargetNotBound(t *testing.T) {
	target := func(to string) func(*http.Request) {
		return func(r *http.Request) { r.URL.Opaque, r.URL.RawQuery = to, "" }
	}
	runAttacks(t, preset(t, "rfc9421", nil), []attack{
		{"Query", target("/x?y=2"), sealwright.ErrMismatch},
		{"NoQuery", target("/x"), sealwright.ErrMismatch},
		{"Dots", target("/z/%2e%2e/x?y=1"), sealwright.ErrMismatch},
		{"DotSegment", target("/./x?y=1"), sealwright.ErrMismatch},
		{"Slashes", target("/x/?y=1"), sealwright.ErrMismatch},
		{"Escaped", target("/%78?y=1"), sealwright.ErrMismatch},
		{"Case", target("/X?y=1"), sealwright.ErrMismatch},
		{"Semicolon", target("/x;z?y=1"), sealwright.ErrMismatch},
		{"AbsoluteFormOfAnotherHost", target("//evil.example/x?y=1"), sealwright.ErrMismatch},
		{"AbsoluteForm", target("//a.example/x?y=1"), nil}, // the same target
		{"Host", func(r *http.Request) { r.Host = "evil.example" }, sealwright.ErrMismatch},
		{"Port", func(r *http.Request) { r.Host = "a.example:81" }, sealwright.ErrMismatch},
		{"Method", func(r *http.Request) { r.Method = "PUT" }, sealwright.ErrMismatch},
		{"ForwardedHost", func(r *http.Request) {
			r.Host = "evil.example"
			r.Header.Set("X-Forwarded-Host", "a.example")
			r.Header.Set("Forwarded", "host=a.example")
		}, sealwright.ErrMismatch},
		{"MethodOverride", func(r *http.Request) {
			r.Method = "PUT"
			r.Header.Set("X-Http-Method-Override", "POST")
		}, sealwright.ErrMismatch},
	})
	t.Run("HTTP2", func(t *testing.T) {
		s := preset(t, "rfc9421", nil)
		p := newPair(t, s, true, handler)
		r := newRequest(t, "POST", p.server.URL+"/x?y=1", strings.NewReader(`{"id":7}`))
		r.Host = "a.example"
		if resp, _ := do(t, p.client, r); resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d, refused for %v", resp.StatusCode, p.refusals.last())
		}
		stale := r.Clone(context.Background())
		stale.Header = signedHeader(t, s, `{"id":7}`) // for http, not https
		stale.Body = io.NopCloser(strings.NewReader(`{"id":7}`))
		if resp, _ := do(t, p.plain, stale); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("signed for http and sent by https: status %d", resp.StatusCode)
		}
	})
}

func TestA19_Duplicates(t *testing.T) {
	twice := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = append(r.Header[name], r.Header[name][0]) }
	}
	runAttacks(t, preset(t, "github", nil), []attack{
		{"Twice", twice("X-Hub-Signature-256"), sealwright.ErrMalformed},
		{"OtherSpelling", func(r *http.Request) { r.Header["x-hub-signature-256"] = r.Header["X-Hub-Signature-256"] }, sealwright.ErrMalformed},
		{"GoodThenBad", func(r *http.Request) {
			r.Header["X-Hub-Signature-256"] = append(r.Header["X-Hub-Signature-256"], "sha256=00")
		}, sealwright.ErrMalformed},
		{"Joined", func(r *http.Request) { r.Header["X-Hub-Signature-256"][0] += ", sha256=00" }, sealwright.ErrMalformed},
		{"Underscores", func(r *http.Request) {
			r.Header["X_Hub_Signature_256"] = r.Header["X-Hub-Signature-256"]
			delete(r.Header, "X-Hub-Signature-256")
		}, sealwright.ErrMissing},
		{"Connection", func(r *http.Request) { r.Header.Set("Connection", "X-Hub-Signature-256") }, nil}, // says nothing to us
	})
	t.Run("hmac-auth", func(t *testing.T) {
		runAttacks(t, preset(t, "hmac-auth", nil), []attack{
			{"AuthorizationTwice", twice("Authorization"), sealwright.ErrMalformed},
			{"ProxyAuthorizationAlone", func(r *http.Request) {
				r.Header["Proxy-Authorization"] = r.Header["Authorization"]
				delete(r.Header, "Authorization")
			}, sealwright.ErrMissing},
			{"ParameterTwice", func(r *http.Request) {
				r.Header["Authorization"][0] += `, timestamp="1"`
			}, sealwright.ErrMalformed},
		})
	})
	t.Run("HostTwice", func(t *testing.T) {
		m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: preset(t, "rfc9421", nil), Ring: testRing()}}
		server := httptest.NewServer(m.Handler(never(t)))
		defer server.Close()
		if status := raw(t, server, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"); status != http.StatusBadRequest {
			t.Errorf("status %d, want 400", status)
		}
	})
}

// endless is a body that never ends and counts what is read of it.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read.Add(int64(len(p)))
	return len(p), nil
}

func (e *endless) Close() error { return nil }

func TestA24_CostBeforeAuthentication(t *testing.T) {
	const maxBody = 1 << 20
	github := preset(t, "github", nil)
	t.Run("TenGigabytesChunked", func(t *testing.T) {
		var refused refusals
		m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: github, Ring: testRing()}, OnRefusal: refused.add}
		server := httptest.NewServer(m.Handler(never(t)))
		defer server.Close()
		body := &endless{}
		r := newRequest(t, "POST", server.URL, nil)
		r.Body, r.ContentLength = io.NopCloser(io.LimitReader(body, 10<<30)), -1
		r.Header = signedHeader(t, github, "x")
		resp, err := server.Client().Do(r)
		if err == nil { // otherwise the connection was cut while the client wrote
			resp.Body.Close()
			if resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("status %d, want 413", resp.StatusCode)
			}
		}
		server.Close() // waits for the handler
		if err := refused.last(); !errors.Is(err, sealhttp.ErrTooLarge) {
			t.Errorf("refused for %v, want ErrTooLarge", err)
		}
		if n := body.read.Load(); n > 64*maxBody {
			t.Errorf("the client got rid of %d bytes", n)
		}
	})
	t.Run("ReadsOneByteOverTheCap", func(t *testing.T) {
		m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: github, Ring: testRing()}}
		body := &endless{}
		r := httptest.NewRequest("POST", "/", body)
		r.ContentLength, r.Header = -1, signedHeader(t, github, "x")
		w := httptest.NewRecorder()
		m.Handler(never(t)).ServeHTTP(w, r)
		if n := body.read.Load(); w.Code != http.StatusRequestEntityTooLarge || n > maxBody+1 {
			t.Errorf("status %d after %d bytes, want 413 after %d at most", w.Code, n, maxBody+1)
		}
	})
	t.Run("AnnouncedIsNotRead", func(t *testing.T) {
		m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: github, Ring: testRing()}}
		body := &endless{}
		r := httptest.NewRequest("POST", "/", body)
		r.ContentLength, r.Header = maxBody+1, signedHeader(t, github, "x")
		w := httptest.NewRecorder()
		m.Handler(never(t)).ServeHTTP(w, r)
		if n := body.read.Load(); w.Code != http.StatusRequestEntityTooLarge || n != 0 {
			t.Errorf("status %d after %d bytes, want 413 after none", w.Code, n)
		}
	})
	t.Run("UnsignedIsNotRead", func(t *testing.T) {
		m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: preset(t, "rfc9421", nil), Ring: testRing()}}
		body := &endless{}
		r := httptest.NewRequest("POST", "/", body)
		r.ContentLength = 100
		w := httptest.NewRecorder()
		m.Handler(never(t)).ServeHTTP(w, r)
		if n := body.read.Load(); w.Code != http.StatusUnauthorized || n != 0 {
			t.Errorf("status %d after %d bytes, want 401 after none", w.Code, n)
		}
	})
	t.Run("NoContinueForTheUnsigned", func(t *testing.T) {
		m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: preset(t, "rfc9421", nil), Ring: testRing()}}
		server := httptest.NewServer(m.Handler(never(t)))
		defer server.Close()
		if status := raw(t, server, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"); status != http.StatusUnauthorized {
			t.Errorf("status %d, want 401", status)
		}
		if status := raw(t, server, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\nSignature: a\r\nSignature-Input: a\r\n\r\n"); status != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d, want 413", status)
		}
	})
	t.Run("AnnouncedGetsNoRoom", func(t *testing.T) {
		m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: github, Ring: testRing()}, MaxBody: 1 << 40}
		r := httptest.NewRequest("POST", "/", strings.NewReader("x"))
		r.ContentLength = 1 << 40 // would not fit
		w := httptest.NewRecorder()
		m.Handler(never(t)).ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("status %d, want 401", w.Code)
		}
	})
	t.Run("GzipBombStaysPacked", func(t *testing.T) {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(make([]byte, 64<<20)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		p := newPair(t, github, false, handler)
		r := newRequest(t, "POST", p.server.URL, bytes.NewReader(packed.Bytes()))
		r.Header.Set("Content-Encoding", "gzip")
		resp, body := do(t, p.client, r)
		if resp.StatusCode != http.StatusOK || body != packed.String() {
			t.Errorf("status %d, %d bytes, want the %d of the wire; refused for %v", resp.StatusCode, len(body), packed.Len(), p.refusals.last())
		}
	})
}

// leaks returns texts that must appear nowhere outside: the secret, and the
// right tag and the signed string of a message with this body.
func leaks(t *testing.T, s sealwright.Scheme, body string) []string {
	t.Helper()
	key, err := testRing().Signing(now)
	if err != nil {
		t.Fatal(err)
	}
	m := sealwright.Message{Method: "POST", Scheme: "http", Host: "a.example", Target: "/x?y=1", Header: signedHeader(t, s, body), Body: []byte(body)}
	signed, claim, err := sealwright.SignedBytes(s, key, m)
	if err != nil {
		t.Fatal(err)
	}
	tag := claim.Tag(0)
	return []string{secretText, string(signed[0]), fmt.Sprintf("%x", tag), fmt.Sprintf("%X", tag),
		base64.StdEncoding.EncodeToString(tag), base64.RawURLEncoding.EncodeToString(tag), fmt.Sprint(tag)}
}

func TestA27_Leaks(t *testing.T) {
	for _, id := range []string{"github", "rfc9421", "stripe"} {
		t.Run(id, func(t *testing.T) {
			s := preset(t, id, nil)
			secrets := leaks(t, s, `{"id":8}`)
			var logged bytes.Buffer
			m := &sealhttp.Middleware{
				Verifier: &sealwright.Verifier{Scheme: s, Ring: testRing()}, Now: clock,
				OnRefusal: func(_ *http.Request, v sealwright.Verdict, err error) {
					log.New(&logged, "", 0).Printf("%v %+v %#v %s", err, v, v, v.Detail)
				},
			}
			h := m.Handler(never(t))
			for _, change := range []func(*http.Request){
				func(*http.Request) {},
				func(r *http.Request) { r.Header = http.Header{} },
				func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256=xx") },
				func(r *http.Request) { r.Header.Set("Signature", "sig1=:AAAA:") },
				func(r *http.Request) { r.ContentLength = 1 << 40 },
			} {
				// The headers are for another body: the right tags must not be told.
				r := httptest.NewRequest("POST", "http://a.example/x?y=1", strings.NewReader(`{"id":8}`))
				r.Header = signedHeader(t, s, `{"id":7}`)
				change(r)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				fmt.Fprintln(&logged, w.Code, w.Header(), w.Body)
			}
			for _, text := range secrets {
				if strings.Contains(logged.String(), text) {
					t.Errorf("%q is in\n%s", text, &logged)
				}
			}
			if logged.Len() == 0 {
				t.Error("nothing was logged")
			}
		})
	}
}

func TestA28_EnumerationOfKeys(t *testing.T) {
	s := preset(t, "rfc9421", nil)
	var refused refusals
	m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: s, Ring: testRing()}, Now: clock, OnRefusal: refused.add}
	server := httptest.NewServer(m.Handler(never(t)))
	defer server.Close()
	var answers []string
	var reasons []error
	for _, id := range []string{"k1", "unknown"} {
		ring := keyring.Must(keyring.Key{ID: id, Version: 1, Secret: secret.FromString("another secret of a test")})
		signer := sealwright.Signer{Scheme: s, Ring: ring}
		signed, err := signer.Sign(sealwright.Message{Method: "GET", Scheme: "http", Host: "a.example", Target: "/"}, now)
		if err != nil {
			t.Fatal(err)
		}
		r := newRequest(t, "GET", server.URL, nil)
		r.Host, r.Header = "a.example", signed.Header
		resp, body := do(t, server.Client(), r)
		resp.Header.Del("Date")
		answers = append(answers, fmt.Sprint(resp.Status, resp.Header, body))
		reasons = append(reasons, refused.last())
	}
	if answers[0] != answers[1] {
		t.Errorf("a wrong tag gets\n%s\nand an unknown key\n%s", answers[0], answers[1])
	}
	if !errors.Is(reasons[0], sealwright.ErrMismatch) || !errors.Is(reasons[1], sealwright.ErrUnknownKey) {
		t.Errorf("reasons are %v", reasons)
	}
}

func TestA34_Reserialisation(t *testing.T) {
	const signed = "{\"b\": 1, \"a\": \"\u00fc/\"}"
	for _, id := range []string{"github", "rfc9421", "stripe"} {
		t.Run(id, func(t *testing.T) {
			s := preset(t, id, nil)
			for _, tt := range []struct{ name, body string }{
				{"Minified", "{\"b\":1,\"a\":\"\u00fc/\"}"},
				{"Pretty", "{\n  \"b\": 1,\n  \"a\": \"\u00fc/\"\n}"},
				{"Escaped", `{"b": 1, "a": "\u00fc/"}`},
				{"EscapedSlash", "{\"b\": 1, \"a\": \"\u00fc\\/\"}"},
				{"KeyOrder", "{\"a\": \"\u00fc/\", \"b\": 1}"},
				{"ByteOrderMark", "\ufeff" + signed},
				{"FinalLineFeed", signed + "\n"},
				{"CRLF", signed + "\r\n"},
				{"Decomposed", "{\"b\": 1, \"a\": \"u\u0308/\"}"},
				{"Latin1", "{\"b\": 1, \"a\": \"\xfc/\"}"},
			} {
				t.Run(tt.name, func(t *testing.T) {
					m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: s, Ring: testRing()}, Now: clock}
					for _, body := range []string{signed, tt.body} {
						reached := false
						h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
							read, err := io.ReadAll(r.Body)
							reached = err == nil && string(read) == signed
						}))
						r := httptest.NewRequest("POST", "http://a.example/x?y=1", strings.NewReader(body))
						r.Header = signedHeader(t, s, signed)
						h.ServeHTTP(httptest.NewRecorder(), r)
						if reached != (body == signed) {
							t.Errorf("%q: reached %v", body, reached)
						}
					}
				})
			}
		})
	}
}

func TestA37_BypassByFallback(t *testing.T) {
	runAttacks(t, preset(t, "rfc9421", nil), []attack{
		{"OtherCredentials", func(r *http.Request) {
			r.Header = http.Header{}
			r.SetBasicAuth("admin", "admin")
		}, sealwright.ErrMissing},
		{"OtherScheme", func(r *http.Request) {
			r.Header = signedHeader(t, preset(t, "github", nil), `{"id":7}`)
		}, sealwright.ErrMissing},
		{"BadSignatureAndOtherCredentials", func(r *http.Request) {
			r.Header.Set("Signature", "sig1=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:")
			r.SetBasicAuth("admin", "admin")
		}, sealwright.ErrMismatch},
		{"Options", func(r *http.Request) { r.Method, r.Header = "OPTIONS", http.Header{"Origin": {"https://x.example"}} }, sealwright.ErrMissing},
		{"Head", func(r *http.Request) { r.Method, r.Header, r.Body, r.ContentLength = "TRACE", http.Header{}, nil, 0 }, sealwright.ErrMissing},
		{"ForgedVerdict", func(r *http.Request) { r.Header = http.Header{"Sealwright-Verdict": {"valid"}} }, sealwright.ErrMissing},
	})
}
