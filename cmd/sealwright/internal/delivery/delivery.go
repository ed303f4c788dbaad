// Package delivery sends signed example deliveries, as a provider would.
package delivery

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/rawhttp"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/scheme"
)

// MaxShown is how many bytes of an answer's body are read and shown.
const MaxShown = 64 << 10

// ErrRequest means that HTTP cannot carry the request, so nothing was sent.
var ErrRequest = errors.New("cannot be sent")

// Template returns the example of d with these parameters, else its first one.
// If whole is false it is without the headers that a signer makes anew; of a
// scheme in code only the type of the content stays then.
func Template(d *scheme.Definition, params scheme.Params, whole bool) (sealwright.Message, error) {
	m := sealwright.Message{Method: http.MethodPost, Header: map[string][]string{}}
	made := madeHeaders(d, params)
	if len(d.Examples) > 0 {
		same := func(v scheme.Vector) bool { return maps.EqualFunc(v.Params, params, slices.Equal) }
		example := &d.Examples[max(0, slices.IndexFunc(d.Examples, same))]
		var err error
		if m, err = example.Request.Message(); err != nil {
			return m, err
		}
		maps.Copy(made, madeHeaders(d, example.Params)) // also those of other parameters
	}
	code := d.Code != ""
	for name := range m.Header {
		if name == "Host" || name == "Content-Length" || !whole && name != "Content-Type" && (code || made[name]) {
			delete(m.Header, name)
		}
	}
	if len(m.Body) == 0 && m.Method != http.MethodGet && d.Direction == "webhook" {
		m.Body = []byte(`{"id":"evt_example","type":"example.created"}`)
		m.Header["Content-Type"] = []string{"application/json"}
	}
	return m, nil
}

// madeHeaders returns the headers that a signer of d writes, none if d is code.
func madeHeaders(d *scheme.Definition, params scheme.Params) map[string]bool {
	made := map[string]bool{}
	probe, err := d.Probe(params)
	if err != nil {
		return made
	}
	f := probe.Format()
	sources := append([]string{f.Tag.From}, f.Tag.Also...)
	if f.List != nil {
		sources = append(sources, f.List.From)
		for _, a := range f.List.Also {
			sources = append(sources, a.From)
		}
	}
	if f.KeyID != nil {
		sources = append(sources, f.KeyID.From)
	}
	if f.Nonce != nil {
		sources = append(sources, f.Nonce.From)
	}
	if f.Time != nil {
		sources = append(append(sources, f.Time.From), f.Time.Also...)
		for _, t := range f.Time.Or {
			sources = append(sources, t.From)
		}
	}
	for _, s := range sources {
		if name, ok := strings.CutPrefix(s, "header:"); ok {
			name, _, _ = strings.Cut(name, "|")
			made[http.CanonicalHeaderKey(name)] = true
		}
		if name, ok := strings.CutPrefix(s, "field:"); ok {
			made[http.CanonicalHeaderKey(name)] = true
		}
	}
	return made
}

// Text returns m as it goes over the wire.
func Text(m sealwright.Message) string {
	header := maps.Clone(m.Header)
	header["Content-Length"] = []string{strconv.Itoa(len(m.Body))}
	m.Header = header
	return string(rawhttp.Request{Version: "HTTP/1.1"}.With(m).Append(nil))
}

// httpRequest returns m for sending.
func httpRequest(ctx context.Context, m sealwright.Message) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, m.Method, m.URL(), bytes.NewReader(m.Body))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrRequest, err)
	}
	if got := r.URL.RequestURI(); got != m.Target {
		return nil, fmt.Errorf("%w: the target %q can be sent as %q only", ErrRequest, m.Target, got)
	}
	for name, values := range m.Header {
		r.Header[name] = values
	}
	r.Host = m.Host
	return r, nil
}

// Result is what came of a delivery.
type Result struct {
	Request      scheme.Request `json:"request"`
	Response     *Answer        `json:"response"` // null if there is none
	Error        string         `json:"error,omitempty"`
	Milliseconds float64        `json:"milliseconds"`
}

// Answer is a response, with the beginning of its body.
type Answer struct {
	Status     int         `json:"status"`
	Headers    http.Header `json:"headers"`
	Body       string      `json:"body,omitempty"`
	BodyBase64 string      `json:"body_base64,omitempty"` // instead of body, if that is no text
	Cut        bool        `json:"cut,omitempty"`         // the body has more than 64 KiB

	line string // status line
	body []byte
}

// Send sends m once and reads the answer, for timeout at most. It follows no
// redirect. Without an answer it returns an error, and what Result can say.
func Send(ctx context.Context, m sealwright.Message, timeout time.Duration) (Result, error) {
	out := Result{Request: scheme.NewRequest(m)}
	r, err := httpRequest(ctx, m)
	if err != nil {
		return out, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true
	transport.DisableKeepAlives = true
	client := http.Client{
		Timeout: timeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	start := time.Now()
	response, err := client.Do(r)
	if err == nil {
		defer response.Body.Close()
		out.Response, err = readAnswer(response)
	}
	out.Milliseconds = float64(time.Since(start).Microseconds()) / 1000
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the URL, which may hold the signature
	}
	if err != nil {
		out.Error = err.Error()
	}
	return out, err
}

func readAnswer(response *http.Response) (*Answer, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxShown+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	a := &Answer{Status: response.StatusCode, Headers: response.Header, line: response.Proto + " " + response.Status}
	if len(body) > MaxShown {
		body, a.Cut = body[:MaxShown], true
	}
	if a.body = body; utf8.Valid(body) {
		a.Body = string(body)
	} else {
		a.BodyBase64 = base64.StdEncoding.EncodeToString(body)
	}
	return a, nil
}

// Text returns the answer for people.
func (d Result) Text(colour bool) string {
	a := d.Response
	var b strings.Builder
	b.WriteString(a.line + "\n")
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		for _, value := range a.Headers[name] {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	b.WriteString("\n" + string(a.body))
	text := terminal.Marked("< ", b.String())
	if a.Cut {
		text += fmt.Sprintf("the body goes on after these %d bytes\n", MaxShown)
	}
	state, ink := "delivered", terminal.Green
	if a.Status/100 != 2 {
		state, ink = "NOT ACCEPTED", terminal.Red
	}
	return text + fmt.Sprintf("%s: %d after %.1f ms\n", terminal.Paint(state, ink, colour), a.Status, d.Milliseconds)
}
