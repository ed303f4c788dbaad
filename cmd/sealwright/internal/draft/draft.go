// Package draft starts a scheme file from answers.
//
// It asks, checks the answers, and makes a definition with a known answer of its
// own, so that the file loads at once.
package draft

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

// Answers are what a scheme is made of. Fill them with [Answers.Fill]; the zero
// value has none.
type Answers struct {
	File string // where the scheme will stand; its name is the default of the ID

	id, title, direction, source         string
	tag, prefix, encoding                string
	algorithm, keyEncoding               string
	time, timeFormat, window, key, nonce string
	message                              string
}

// Question asks for one of the Answers.
type Question struct {
	Flag  string  // name of the flag that answers it
	Value *string // the answer; "" means the default

	ask      string // without its question mark
	example  string
	fallback func() string      // the default; nil means empty
	check    func(string) error // of an answer that is not empty; nil means that any will do
	skip     func() bool        // whether the answer does not matter; nil means that it does
}

// Help says what the flag is for, with an example.
func (q *Question) Help() string {
	return q.ask + ", such as " + q.example
}

// Questions returns all questions in their order. They set the fields of a.
func (a *Answers) Questions() []Question {
	timeless := func() bool { return a.time == "" }
	text := func(s string) func() string { return func() string { return s } }
	return []Question{
		{Flag: "id", ask: "ID of the scheme, in lower case with hyphens", example: "acme-v2", Value: &a.id, fallback: func() string { return idOf(a.File) }},
		{Flag: "title", ask: "name of the sender or format", example: "Acme webhooks", Value: &a.title, fallback: func() string { return a.id }},
		{Flag: "direction", ask: "what carries it: webhook, api, url or generic", example: "webhook", Value: &a.direction, fallback: text("webhook"), check: oneOf("webhook", "api", "url", "generic")},
		{Flag: "source", ask: "where its rules are published", example: "https://acme.example/docs/webhooks", Value: &a.source, fallback: text("self-made")},
		{Flag: "tag", ask: "where the signature stands", example: "header:X-Acme-Signature", Value: &a.tag, fallback: text("header:X-Signature"), check: checkPlace},
		{Flag: "prefix", ask: "text before the signature", example: "sha256=", Value: &a.prefix},
		{Flag: "encoding", ask: "how the signature is written: hex, HEX, base64, base64-raw, base64url or base64url-raw", example: "base64", Value: &a.encoding, fallback: text("hex"), check: checkEncoding},
		{Flag: "algorithm", ask: "algorithm: hmac-sha256, hmac-sha384, hmac-sha512 or an older one", example: "hmac-sha512", Value: &a.algorithm, fallback: text("hmac-sha256"), check: checkAlgorithm},
		{Flag: "key-encoding", ask: "how the secret is written: utf8 for text as it is, hex, base64 or base64url", example: "base64", Value: &a.keyEncoding, fallback: text("utf8"), check: checkKeyEncoding},
		{Flag: "time", ask: "where the time stands, empty if there is none", example: "header:X-Acme-Timestamp", Value: &a.time, check: checkPlace},
		{Flag: "time-format", ask: "how the time is written: unix, unix-ms, rfc3339, http-date or another of docs/schemes/format.md", example: "unix-ms", Value: &a.timeFormat, fallback: text("unix"), skip: timeless},
		{Flag: "window", ask: "how old and how far ahead the time may be", example: "300s", Value: &a.window, fallback: text("300s"), check: checkWindow, skip: timeless},
		{Flag: "key-id", ask: "where the ID of the key stands, empty if there is none", example: "header:X-Acme-Key", Value: &a.key, check: checkPlace},
		{Flag: "nonce", ask: "where the nonce or message ID stands, empty if there is none", example: "header:X-Acme-Id", Value: &a.nonce, check: checkPlace},
		{Flag: "message", ask: `what is signed: text with {body}, {time}, {method}, {host}, {target}, {keyid}, {nonce}, {header:NAME}, {json:NAME}; \n is a line feed`, example: `{method}\n{target}\n{time}\n{body}`, Value: &a.message, fallback: func() string {
			if a.time == "" {
				return "{body}"
			}
			return "{time}.{body}"
		}},
	}
}

// Fill asks for every answer on stderr and reads it from stdin; if ask is false
// it checks those that are there. Then it puts in the defaults. The error names
// the flag of an answer that is wrong or missing.
func (a *Answers) Fill(ask bool, stdin io.Reader, stderr io.Writer) error {
	lines := bufio.NewScanner(stdin)
	for _, q := range a.Questions() {
		if q.skip != nil && q.skip() {
			continue
		}
		fallback := ""
		if q.fallback != nil {
			fallback = q.fallback()
		}
		if ask {
			if err := q.answer(lines, stderr, fallback); err != nil {
				return err
			}
		} else if err := q.valid(*q.Value); err != nil {
			return fmt.Errorf("--%s: %w", q.Flag, err)
		}
		*q.Value = cmp.Or(*q.Value, fallback)
	}
	return nil
}

// answer asks until there is an answer that will do.
func (q *Question) answer(lines *bufio.Scanner, stderr io.Writer, fallback string) error {
	for {
		fmt.Fprintf(stderr, "%s%s?\n  (for example %s) [%s] ", strings.ToUpper(q.ask[:1]), q.ask[1:], q.example, fallback)
		if !lines.Scan() {
			fmt.Fprintln(stderr)
			return fmt.Errorf("standard input ends before the answer for --%s: %w", q.Flag, cmp.Or(lines.Err(), io.ErrUnexpectedEOF))
		}
		*q.Value = strings.TrimSpace(lines.Text())
		err := q.valid(*q.Value)
		if err == nil {
			return nil
		}
		fmt.Fprintf(stderr, "  %s\n", terminal.Printable(err.Error()))
	}
}

func (q *Question) valid(answer string) error {
	if answer == "" || q.check == nil {
		return nil
	}
	return q.check(answer)
}

func oneOf(values ...string) func(string) error {
	return func(s string) error {
		if slices.Contains(values, s) {
			return nil
		}
		return fmt.Errorf("got %q, want %s", s, strings.Join(values, ", "))
	}
}

var namePattern = regexp.MustCompile(`^[^\s:{}|]+$`)

func checkPlace(s string) error {
	kind, name, ok := strings.Cut(place(s), ":")
	if !ok || !slices.Contains([]string{"header", "query", "json", "form"}, kind) || !namePattern.MatchString(name) {
		return fmt.Errorf("got %q, want header:NAME, query:NAME, json:NAME or form:NAME", s)
	}
	return nil
}

// place returns the source that an answer names.
func place(s string) string {
	if s == "" || strings.Contains(s, ":") {
		return s
	}
	return "header:" + s
}

func checkEncoding(s string) error {
	_, err := canon.ParseEncoding(s)
	return err
}

func checkKeyEncoding(s string) error {
	if s == "utf8" {
		return nil
	}
	return checkEncoding(s)
}

func checkAlgorithm(s string) error {
	_, err := mac.Parse(s)
	return err
}

func checkWindow(s string) error {
	if d, err := time.ParseDuration(s); err != nil || d <= 0 {
		return fmt.Errorf("got %q, want a duration such as 300s or 5m", s)
	}
	return nil
}

// idOf makes an ID of the name of a file.
func idOf(file string) string {
	words := regexp.MustCompile(`[a-z0-9]+`).FindAllString(strings.ToLower(strings.TrimSuffix(filepath.Base(file), ".json")), -1)
	return cmp.Or(strings.Join(words, "-"), "mine")
}

// Definition returns the scheme as JSON, with a known answer that was signed
// with it: it loads, or an error says which answer does not fit.
func (a *Answers) Definition() ([]byte, error) {
	message := strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(a.message)
	d := &scheme.Definition{
		ID: a.id, Title: a.title, Tier: scheme.Unverified, Direction: a.direction, Source: a.source,
		Doc: fmt.Sprintf("HMAC (%s) of %s, as %s in %s.", strings.TrimPrefix(a.algorithm, "hmac-"), a.message, a.encoding, place(a.tag)),
		Format: scheme.Format{
			Algorithm: a.algorithm,
			Key:       &scheme.Key{Encoding: a.keyEncoding},
			Tag:       &scheme.Tag{From: place(a.tag), Prefix: a.prefix, Encoding: a.encoding},
			Nonce:     &scheme.Nonce{From: "tag", Keep: "72h"},
			Message:   []scheme.Segment{{Text: message}},
		},
	}
	if a.time != "" {
		d.Time = &scheme.Time{From: place(a.time), Format: a.timeFormat, Past: a.window, Future: a.window}
		d.Nonce.Keep = ""
	}
	if a.key != "" {
		d.KeyID = &scheme.Value{From: place(a.key)}
	}
	if a.nonce != "" {
		d.Nonce = &scheme.Nonce{From: place(a.nonce)}
	}
	v, err := a.example(d, message)
	if err != nil {
		return nil, err
	}
	d.Examples = []scheme.Vector{v}
	text, err := encode(d)
	if err != nil {
		return nil, err
	}
	_, err = scheme.Load(text, catalogue.Codes())
	return text, err
}

func encode(d *scheme.Definition) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(d)
	return b.Bytes(), err
}

// exampleAt is the instant of the known answer.
var exampleAt = time.Unix(1767225600, 0)

// example signs an example request with d.
func (a *Answers) example(d *scheme.Definition, message string) (scheme.Vector, error) {
	text, err := encode(d)
	if err != nil {
		return scheme.Vector{}, err
	}
	parsed, err := scheme.Parse(text, catalogue.Codes())
	if err != nil {
		return scheme.Vector{}, err
	}
	s, err := parsed.New(nil)
	if err != nil {
		return scheme.Vector{}, err
	}
	v := scheme.Vector{Secret: exampleSecret(a.keyEncoding), Source: "self-made by sealwright schemes new"}
	if a.key != "" {
		v.KeyID = "key-1"
	}
	if a.time != "" {
		v.Now = float64(exampleAt.Unix())
	}
	ring, err := keyring.New(keyring.Key{ID: v.KeyID, Version: 1, Secret: secret.FromString(v.Secret)})
	if err != nil {
		return v, err
	}
	signer := sealwright.Signer{Scheme: s, Ring: ring, Nonce: func() string { return "msg_0001" }}
	signed, err := signer.Sign(a.sample(message), exampleAt)
	if err != nil {
		return v, fmt.Errorf("sign the known answer: %w", err)
	}
	v.Request = scheme.NewRequest(signed)
	return v, nil
}

// exampleSecret returns a secret of 32 bytes in its text form.
func exampleSecret(encoding string) string {
	const raw = "an-example-secret-with-32-bytes!"
	e, err := canon.ParseEncoding(encoding)
	if err != nil {
		return raw // utf8
	}
	return e.EncodeToString([]byte(raw))
}

var sources = regexp.MustCompile(`\{(header|query|json|form):([^}|?]+)`)

// sample returns a request that has everything that message reads and a signer
// does not write.
func (a *Answers) sample(message string) sealwright.Message {
	m := sealwright.Message{
		Method: "POST", Scheme: "https", Host: "example.com", Target: "/hook",
		Header: map[string][]string{"Content-Type": {"application/json"}},
	}
	written := []string{place(a.tag), place(a.time), place(a.key), place(a.nonce)}
	document := map[string]string{"id": "evt_0001", "type": "example.created"}
	var query, form []string
	for _, match := range sources.FindAllStringSubmatch(message, -1) {
		kind, name := match[1], match[2]
		if slices.Contains(written, kind+":"+name) {
			continue
		}
		switch kind {
		case "header":
			m.Header[canon.HeaderName(name)] = []string{"example"}
		case "query":
			query = append(query, string(canon.AppendPercent(nil, name, canon.Unreserved))+"=example")
		case "form":
			form = append(form, string(canon.AppendPercent(nil, name, canon.Unreserved))+"=example")
		default:
			document[strings.TrimPrefix(name, "/")] = "example"
		}
	}
	if query != nil {
		m.Target += "?" + strings.Join(query, "&")
	}
	m.Body, _ = json.Marshal(document) // strings can be written
	if form != nil || slices.ContainsFunc(written, func(s string) bool { return strings.HasPrefix(s, "form:") }) {
		m.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
		m.Body = []byte(strings.Join(append([]string{"id=evt_0001"}, form...), "&"))
	}
	return m
}
