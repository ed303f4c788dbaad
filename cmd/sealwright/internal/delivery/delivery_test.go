package delivery_test

import (
	"context"
	"errors"
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
	"github.com/sealwright/sealwright/cmd/sealwright/internal/delivery"
	"github.com/sealwright/sealwright/scheme"
)

func TestTemplate(t *testing.T) {
	tests := []struct {
		preset  string
		params  scheme.Params
		whole   bool
		headers []string
		body    string
	}{
		{"github", nil, false, nil, "Hello, World!"},
		{"github", nil, true, []string{"X-Hub-Signature-256"}, "Hello, World!"},
		{"stripe", nil, false, []string{"Content-Type"}, `{"id":"evt_7Qk2"`},
		{"mercado-pago", nil, false, []string{"Content-Type", "X-Request-Id"}, `{"action"`},
		{"rfc9421", nil, false, []string{"Content-Type"}, `{"id":"evt_7Qk2"`}, // code: the digest is made anew
		{"body-hex", scheme.Params{"header": {"X-Mine"}}, false, nil, "{"},    // the example has another header
	}
	for _, tt := range tests {
		t.Run(tt.preset, func(t *testing.T) {
			d, err := catalogue.Definition(tt.preset)
			if err != nil {
				t.Fatal(err)
			}
			m, err := delivery.Template(d, tt.params, tt.whole)
			if err != nil {
				t.Fatal(err)
			}
			got := slices.Sorted(maps.Keys(m.Header))
			if !slices.Equal(got, tt.headers) || !strings.HasPrefix(string(m.Body), tt.body) {
				t.Errorf("headers are %q, body is %q, want %q and %q", got, m.Body, tt.headers, tt.body)
			}
		})
	}
}

// TestTemplateWithoutExample makes a delivery of a scheme whose example has no
// body.
func TestTemplateWithoutExample(t *testing.T) {
	for direction, want := range map[string]string{"webhook": `{"id":"evt_example","type":"example.created"}`, "api": ""} {
		d := &scheme.Definition{ID: "x", Direction: direction, Code: "none"}
		m, err := delivery.Template(d, nil, false)
		if err != nil || m.Method != http.MethodPost || string(m.Body) != want {
			t.Errorf("%s: got %s with %q and %v, want %q", direction, m.Method, m.Body, err, want)
		}
	}
}

func message(t *testing.T, url, method string) sealwright.Message {
	t.Helper()
	s, host, target, err := sealwright.SplitURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return sealwright.Message{Method: method, Scheme: s, Host: host, Target: target, Header: map[string][]string{"X-Sig": {"a"}}, Body: []byte("body")}
}

func TestSend(t *testing.T) {
	var seen *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, strings.Repeat("a", delivery.MaxShown))
	}))
	t.Cleanup(server.Close)

	m := message(t, server.URL+"/a%2Fb/../c?x=%20&y=1;2", "PUT")
	out, err := delivery.Send(context.Background(), m, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if seen.RequestURI != m.Target || seen.Method != "PUT" || seen.Host != m.Host || seen.Header.Get("X-Sig") != "a" || string(body) != "body" || seen.Header.Get("Accept-Encoding") != "" {
		t.Errorf("the receiver saw %s %s with %v and %q", seen.Method, seen.RequestURI, seen.Header, body)
	}
	if out.Response.Status != http.StatusFound || len(out.Response.Body) != delivery.MaxShown || out.Response.Cut || out.Error != "" {
		t.Errorf("got %d with %d bytes, cut %v, %q", out.Response.Status, len(out.Response.Body), out.Response.Cut, out.Error)
	}
}

// TestSendRefuses asks for what HTTP cannot carry. Nothing is sent.
func TestSendRefuses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("something was sent") }))
	t.Cleanup(server.Close)
	tests := []struct {
		name   string
		change func(*sealwright.Message)
	}{
		{"Method", func(m *sealwright.Message) { m.Method = "P T" }},
		{"TargetWithBlank", func(m *sealwright.Message) { m.Target = "/a b" }},
		{"TargetWithLineFeed", func(m *sealwright.Message) { m.Target = "/a\nb" }},
		{"BrokenEscape", func(m *sealwright.Message) { m.Target = "/%zz" }},
		{"HeaderWithLineFeed", func(m *sealwright.Message) { m.Header["X-Sig"] = []string{"a\r\nX-B: b"} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := message(t, server.URL+"/", "POST")
			tt.change(&m)
			if out, err := delivery.Send(context.Background(), m, time.Minute); err == nil || out.Response != nil {
				t.Errorf("got %+v and %v, want an error", out, err)
			}
		})
	}
}

func TestSendWithoutReceiver(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	m := message(t, server.URL+"/?sig=tag-of-the-request", "POST")
	server.Close()
	out, err := delivery.Send(context.Background(), m, time.Minute)
	if err == nil || errors.Is(err, delivery.ErrRequest) || out.Response != nil || out.Error != err.Error() || out.Request.URL != m.URL() {
		t.Errorf("got %+v and %v", out, err)
	}
	if strings.Contains(out.Error, "tag-of-the-request") {
		t.Errorf("the error holds the URL: %s", out.Error)
	}
}

func TestText(t *testing.T) {
	m := message(t, "https://h:8443/a?b", "POST")
	const want = "POST /a?b HTTP/1.1\nContent-Length: 4\nHost: h:8443\nX-Sig: a\n\nbody"
	if got := delivery.Text(m); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if m.Header["Content-Length"] != nil {
		t.Error("the message was changed")
	}
}
