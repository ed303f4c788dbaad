package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
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

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/rawhttp"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
)

// maxShown is how many bytes of an answer's body are read and shown.
const maxShown = 64 << 10

func newSend() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send --scheme NAME --secret-file FILE --to URL",
		Short: "Send a signed example delivery to a URL",
		Long: `Send a delivery as the provider would, signed with your secret, to test a
receiver without the provider. It is the example of the scheme with a new time
and nonce; --event puts another body into it.

The request, the answer and the time it took are printed. Redirects are not
followed: providers do not follow them either.

Exit codes: 0 the answer is a 2xx, 1 it is another or there is none, 2 wrong usage
or input that cannot be read.`,
		Example: `  sealwright send --scheme github --secret-file secret.txt --to http://127.0.0.1:3000/hook
  sealwright send --scheme stripe --secret-file secret.txt --to https://staging.example/hook --event event.json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := f.sign(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return f.deliver(cmd.Context(), cmd.OutOrStdout(), r)
		},
	}
	f.add(cmd)
	return cmd
}

type sendFlags struct {
	library    libraryFlag
	scheme     string
	secretFile string
	keyID      string
	params     []string
	to         string
	event      string
	method     string
	timeout    time.Duration
	asJSON     bool
}

func (f *sendFlags) add(cmd *cobra.Command) {
	f.library.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.scheme, "scheme", "", "`NAME` of a scheme, or FILE.json with a definition")
	flags.StringVar(&f.secretFile, "secret-file", "", "`FILE` with the secret")
	flags.StringVar(&f.keyID, "key-id", "", "`ID` of the key, where the scheme carries one")
	flags.StringArrayVar(&f.params, "param", nil, "parameter of the scheme as `NAME=VALUE`; repeat it for more, also for a list")
	flags.StringVar(&f.to, "to", "", "`URL` to send to")
	flags.StringVar(&f.event, "event", "", "`FILE` with the body, as it is (default that of the scheme's example)")
	flags.StringVar(&f.method, "method", "", "`METHOD` of the request (default that of the scheme's example)")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "`DURATION` to wait for the answer")
	flags.BoolVar(&f.asJSON, "json", false, "print request and answer as JSON")
}

// sign reads everything that the flags name and returns the signed delivery.
func (f *sendFlags) sign(stderr io.Writer) (sealwright.Message, error) {
	var m sealwright.Message
	if f.timeout <= 0 {
		return m, fmt.Errorf("--timeout: got %v, want more than 0s", f.timeout)
	}
	d, err := f.library.definition(f.scheme)
	if err != nil {
		return m, err
	}
	params, err := parseParams(f.params)
	if err != nil {
		return m, err
	}
	s, err := d.New(params)
	if err != nil {
		return m, err
	}
	if f.secretFile == "" {
		return m, errors.New("no secret: put it in a file and give --secret-file FILE")
	}
	secret, err := readSecret(f.secretFile, stderr)
	if err != nil {
		return m, err
	}
	ring, err := keyring.New(keyring.Key{ID: f.keyID, Version: 1, Secret: secret})
	if err != nil {
		return m, err
	}
	signer := sealwright.Signer{Scheme: s, Ring: ring}
	m, err = f.signWith(&signer, d, params, false)
	if errors.Is(err, sealwright.ErrMalformed) { // there are values that only the sender can know
		m, err = f.signWith(&signer, d, params, true)
	}
	return m, err
}

func (f *sendFlags) signWith(signer *sealwright.Signer, d *scheme.Definition, params scheme.Params, whole bool) (sealwright.Message, error) {
	m, err := f.delivery(d, params, whole)
	if err != nil {
		return m, err
	}
	if m, err = signer.Sign(m, time.Now()); err != nil {
		return m, fmt.Errorf("sign the delivery: %w", err)
	}
	return m, nil
}

// delivery returns the unsigned request. The whole example has also the values
// that a signer makes anew where it can, and its query if the URL has none.
func (f *sendFlags) delivery(d *scheme.Definition, params scheme.Params, whole bool) (sealwright.Message, error) {
	m, err := template(d, params, whole)
	if err != nil {
		return m, err
	}
	query := m.Query()
	if m.Scheme, m.Host, m.Target, err = splitTarget(f.to); err != nil {
		return m, fmt.Errorf("--to: %w", err)
	}
	if whole && query != "" && !strings.Contains(m.Target, "?") {
		m.Target += "?" + query
	}
	m.Method = strings.ToUpper(cmp.Or(f.method, m.Method))
	if f.event != "" {
		if m.Body, err = readFile("event", f.event, maxRequest); err != nil {
			return m, err
		}
		if json.Valid(m.Body) {
			m.Header["Content-Type"] = []string{"application/json"}
		}
	}
	m.Header["User-Agent"] = []string{"sealwright"}
	return m, nil
}

// splitTarget returns the parts of the URL of a receiver.
func splitTarget(text string) (scheme, host, target string, err error) {
	if text == "" {
		return "", "", "", errors.New("no URL: give that of the receiver, such as http://127.0.0.1:3000/hook")
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", "", "", err
	}
	if u.User != nil || u.Fragment != "" {
		return "", "", "", fmt.Errorf("got %q, want a URL without user and fragment", u.Redacted())
	}
	scheme, host, target, err = sealwright.SplitURL(text)
	if err == nil && !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	return scheme, host, target, err
}

// template returns the example of d with these parameters, else its first one.
// If whole is false it is without the headers that a signer makes anew; of a
// scheme in code only the type of the content stays then.
func template(d *scheme.Definition, params scheme.Params, whole bool) (sealwright.Message, error) {
	m := sealwright.Message{Method: http.MethodPost, Header: map[string][]string{}}
	if len(d.Examples) > 0 {
		same := func(v scheme.Vector) bool { return maps.EqualFunc(v.Params, params, slices.Equal) }
		example := &d.Examples[max(0, slices.IndexFunc(d.Examples, same))]
		var err error
		if m, err = example.Request.Message(); err != nil {
			return m, err
		}
	}
	made := madeHeaders(d, params)
	for name := range m.Header {
		if name == "Host" || name == "Content-Length" || !whole && name != "Content-Type" && (made == nil || made[name]) {
			delete(m.Header, name)
		}
	}
	if len(m.Body) == 0 && m.Method != http.MethodGet && d.Direction == "webhook" {
		m.Body = []byte(`{"id":"evt_example","type":"example.created"}`)
		m.Header["Content-Type"] = []string{"application/json"}
	}
	return m, nil
}

// madeHeaders returns the headers that a signer of d writes; nil if d is code.
func madeHeaders(d *scheme.Definition, params scheme.Params) map[string]bool {
	probe, err := d.Probe(params)
	if err != nil {
		return nil
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
	made := map[string]bool{}
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

// deliver sends m, and prints it, the answer and the time it took.
func (f *sendFlags) deliver(ctx context.Context, stdout io.Writer, m sealwright.Message) error {
	request, err := httpRequest(ctx, m)
	if err != nil {
		return err
	}
	if !f.asJSON {
		if _, err := io.WriteString(stdout, marked("> ", rawText(m))); err != nil {
			return err
		}
	}
	out, err := exchange(request, f.timeout)
	if f.asJSON {
		out.Request = scheme.NewRequest(m)
		if err := printJSON(stdout, out); err != nil {
			return err
		}
	}
	if err != nil {
		return refusedError{fmt.Errorf("send to %s: %w", m.Host, err)}
	}
	if !f.asJSON {
		if _, err := io.WriteString(stdout, out.text(coloured(stdout))); err != nil {
			return err
		}
	}
	if out.Response.Status/100 != 2 {
		return errNotValid
	}
	return nil
}

// rawText returns m as it goes over the wire.
func rawText(m sealwright.Message) string {
	header := maps.Clone(m.Header)
	header["Content-Length"] = []string{strconv.Itoa(len(m.Body))}
	m.Header = header
	return string(rawhttp.Request{Version: "HTTP/1.1"}.With(m).Append(nil))
}

// httpRequest returns m for sending.
func httpRequest(ctx context.Context, m sealwright.Message) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, m.Method, m.URL(), bytes.NewReader(m.Body))
	if err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	if got := r.URL.RequestURI(); got != m.Target {
		return nil, fmt.Errorf("send: the target %q cannot be sent as it is, but as %q", m.Target, got)
	}
	for name, values := range m.Header {
		r.Header[name] = values
	}
	r.Host = m.Host
	return r, nil
}

// delivered is what came of a delivery.
type delivered struct {
	Request      scheme.Request `json:"request"`
	Response     *answer        `json:"response"` // null if there is none
	Error        string         `json:"error,omitempty"`
	Milliseconds float64        `json:"milliseconds"`
}

// answer is a response, with the beginning of its body.
type answer struct {
	Status     int         `json:"status"`
	Headers    http.Header `json:"headers"`
	Body       string      `json:"body,omitempty"`
	BodyBase64 string      `json:"body_base64,omitempty"` // instead of body, if that is no text
	Cut        bool        `json:"cut,omitempty"`         // the body has more than 64 KiB

	line string // status line
	body []byte
}

// exchange sends r once and reads the answer.
func exchange(r *http.Request, timeout time.Duration) (delivered, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true
	transport.DisableKeepAlives = true
	client := http.Client{
		Timeout: timeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	start := time.Now()
	var out delivered
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

func readAnswer(response *http.Response) (*answer, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxShown+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	a := &answer{Status: response.StatusCode, Headers: response.Header, line: response.Proto + " " + response.Status}
	if len(body) > maxShown {
		body, a.Cut = body[:maxShown], true
	}
	if a.body = body; utf8.Valid(body) {
		a.Body = string(body)
	} else {
		a.BodyBase64 = base64.StdEncoding.EncodeToString(body)
	}
	return a, nil
}

// text returns the answer for people, after the request.
func (d delivered) text(colour bool) string {
	a := d.Response
	var b strings.Builder
	b.WriteString(a.line + "\n")
	for _, name := range sortedNames(a.Headers) {
		for _, value := range a.Headers[name] {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	b.WriteString("\n" + string(a.body))
	text := marked("< ", b.String())
	if a.Cut {
		text += fmt.Sprintf("the body goes on after these %d bytes\n", maxShown)
	}
	state, ink := "delivered", green
	if a.Status/100 != 2 {
		state, ink = "NOT ACCEPTED", red
	}
	return text + fmt.Sprintf("%s: %d after %.1f ms\n", paint(state, ink, colour), a.Status, d.Milliseconds)
}

// marked returns the lines of s, each behind a mark and without anything that
// could steer a terminal.
func marked(mark, s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		b.WriteString(strings.TrimRight(mark+printable(line), " ") + "\n")
	}
	return b.String()
}
