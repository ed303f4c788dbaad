package rest_test

import (
	"strings"
	"testing"
)

// The reference names every operation, and its policy lets nothing in from
// elsewhere. It needs no token.
func TestReference(t *testing.T) {
	f := start(t, nil)
	a := f.must(t, "GET", "/docs", "", "Authorization", "")
	if got := a.header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("got Content-Type %s", got)
	}
	if got := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("got Content-Security-Policy %s", got)
	}
	for _, want := range []string{"POST /v1/keys/{name}/sign", `id="keys.rotate"`, `id="schema-Problem"`, "Idempotency-Key", "curl -sS", "<td>429</td>"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	for _, bad := range []string{"<script", " src=", "http-equiv", "ZgotmplZ"} {
		if strings.Contains(a.body, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	refused(t, f.do(t, "POST", "/docs", ""), 405, "method-not-allowed", "GET")
}
