package sealhttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/sealhttp"
)

func responder(t *testing.T, id string, params scheme.Params) *scheme.Responder {
	t.Helper()
	d, err := catalogue.Definition(id)
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Responder(params)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestResponder answers a handshake, refuses one that is none of the provider's
// (A32), and verifies events as before.
func TestResponder(t *testing.T) {
	x := preset(t, "x", nil)
	m := &sealhttp.Middleware{Verifier: &sealwright.Verifier{Scheme: x, Ring: testRing()}, Responder: responder(t, "x", nil)}
	called := false
	h := m.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	serve := func(r *http.Request) *httptest.ResponseRecorder {
		called = false
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	w := serve(httptest.NewRequest("GET", "/?crc_token=abc", nil))
	if w.Code != http.StatusOK || called || !strings.HasPrefix(w.Body.String(), `{"response_token":"sha256=`) || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("a handshake: %d %s, handler called: %v", w.Code, w.Body, called)
	}
	w = serve(httptest.NewRequest("GET", `/?crc_token=%7B%22a%22:1%7D`, nil))
	if w.Code != http.StatusUnauthorized || called {
		t.Errorf("a forged event as token: %d %s, handler called: %v", w.Code, w.Body, called)
	}
	event := httptest.NewRequest("POST", "/", strings.NewReader(`{"a":1}`))
	if w = serve(event); w.Code != http.StatusUnauthorized || called {
		t.Errorf("an unsigned event: %d, handler called: %v", w.Code, called)
	}
	event = httptest.NewRequest("POST", "/", strings.NewReader(`{"a":1}`))
	event.Header = signedHeader(t, x, `{"a":1}`)
	if w = serve(event); w.Code != http.StatusOK || !called {
		t.Errorf("a signed event: %d, handler called: %v", w.Code, called)
	}
}
