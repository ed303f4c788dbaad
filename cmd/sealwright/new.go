package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

func newSchemesNew() *cobra.Command {
	var a answers
	cmd := &cobra.Command{
		Use:   "new FILE",
		Short: "Start a scheme file from answers",
		Long: `Start a scheme file from answers. Without flags the questions are asked on
standard input, each with an example and a default, which an empty line takes;
with a flag none is asked, and what no flag says has its default.

A place is header:NAME, query:NAME or json:NAME; a bare NAME is a header. The
file gets a known answer of its own, so that it loads at once. A file that
exists is not overwritten.`,
		Example: `  sealwright schemes new acme.json
  sealwright schemes new acme.json --tag header:X-Acme-Signature --prefix sha256= \
    --time header:X-Acme-Timestamp --message '{time}.{body}'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || !strings.HasSuffix(args[0], ".json") {
				return fmt.Errorf("want one name of a file that ends with .json; see '%s --help'", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			file := args[0]
			if _, err := os.Lstat(file); err == nil {
				return fmt.Errorf("%s exists; name another file", file)
			}
			a.file = file
			if err := a.fill(asked(cmd), cmd.InOrStdin(), cmd.ErrOrStderr()); err != nil {
				return err
			}
			text, err := a.definition()
			if err != nil {
				return fmt.Errorf("no scheme comes of these answers: %w", err)
			}
			if err := create(file, text); err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), next(printable(file)))
			return err
		},
	}
	for _, q := range a.questions() {
		cmd.Flags().StringVar(q.value, q.flag, "", q.help())
	}
	return cmd
}

// asked reports whether questions have to be asked: no answer came as a flag.
func asked(cmd *cobra.Command) bool {
	var a answers
	return !slices.ContainsFunc(a.questions(), func(q question) bool { return cmd.Flags().Changed(q.flag) })
}

// create writes a file that must not exist.
func create(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write scheme: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write scheme: %w", err)
	}
	return nil
}

func next(file string) string {
	return fmt.Sprintf(`wrote %[1]s: it loads, and its known answer verifies
next:
  sealwright schemes lint %[1]s
  sealwright schemes explain %[1]s
  sealwright verify --scheme %[1]s --secret-file SECRET --request DELIVERY.http
Then replace the known answer in kat by a delivery that the sender has signed.
`, file)
}

// answers are what a scheme is made of.
type answers struct {
	file string // where the scheme will stand

	id, title, direction, source         string
	tag, prefix, encoding                string
	algorithm, keyEncoding               string
	time, timeFormat, window, key, nonce string
	message                              string
}

// question asks for one of the answers.
type question struct {
	flag     string
	ask      string // without its question mark
	example  string
	value    *string
	fallback func() string      // the default; nil means empty
	check    func(string) error // of an answer that is not empty; nil means that any will do
	skip     func() bool        // whether the answer does not matter; nil means that it does
}

func (q *question) help() string {
	return "`" + strings.ToUpper(q.flag) + "`: " + q.ask + ", such as " + q.example
}

// questions returns all questions in their order. They set the fields of a.
func (a *answers) questions() []question {
	timeless := func() bool { return a.time == "" }
	text := func(s string) func() string { return func() string { return s } }
	return []question{
		{flag: "id", ask: "ID of the scheme, in lower case with hyphens", example: "acme-v2", value: &a.id, fallback: func() string { return idOf(a.file) }},
		{flag: "title", ask: "name of the sender or format", example: "Acme webhooks", value: &a.title, fallback: func() string { return a.id }},
		{flag: "direction", ask: "what carries it: webhook, api, url or generic", example: "webhook", value: &a.direction, fallback: text("webhook"), check: oneOf("webhook", "api", "url", "generic")},
		{flag: "source", ask: "where its rules are published", example: "https://acme.example/docs/webhooks", value: &a.source, fallback: text("self-made")},
		{flag: "tag", ask: "where the signature stands", example: "header:X-Acme-Signature", value: &a.tag, fallback: text("header:X-Signature"), check: checkPlace},
		{flag: "prefix", ask: "text before the signature", example: "sha256=", value: &a.prefix},
		{flag: "encoding", ask: "how the signature is written: hex, HEX, base64, base64-raw, base64url or base64url-raw", example: "base64", value: &a.encoding, fallback: text("hex"), check: checkEncoding},
		{flag: "algorithm", ask: "algorithm: hmac-sha256, hmac-sha384, hmac-sha512 or an older one", example: "hmac-sha512", value: &a.algorithm, fallback: text("hmac-sha256"), check: checkAlgorithm},
		{flag: "key-encoding", ask: "how the secret is written: utf8 for text as it is, hex, base64 or base64url", example: "base64", value: &a.keyEncoding, fallback: text("utf8"), check: checkKeyEncoding},
		{flag: "time", ask: "where the time stands, empty if there is none", example: "header:X-Acme-Timestamp", value: &a.time, check: checkPlace},
		{flag: "time-format", ask: "how the time is written: unix, unix-ms, rfc3339, http-date or another of docs/schemes/format.md", example: "unix-ms", value: &a.timeFormat, fallback: text("unix"), skip: timeless},
		{flag: "window", ask: "how old and how far ahead the time may be", example: "300s", value: &a.window, fallback: text("300s"), check: checkWindow, skip: timeless},
		{flag: "key-id", ask: "where the ID of the key stands, empty if there is none", example: "header:X-Acme-Key", value: &a.key, check: checkPlace},
		{flag: "nonce", ask: "where the nonce or message ID stands, empty if there is none", example: "header:X-Acme-Id", value: &a.nonce, check: checkPlace},
		{flag: "message", ask: `what is signed: text with {body}, {time}, {method}, {host}, {target}, {keyid}, {nonce}, {header:NAME}, {json:NAME}; \n is a line feed`, example: `{method}\n{target}\n{time}\n{body}`, value: &a.message, fallback: func() string {
			if a.time == "" {
				return "{body}"
			}
			return "{time}.{body}"
		}},
	}
}

// fill asks for every answer, or takes what the flags say, and puts in the
// defaults.
func (a *answers) fill(ask bool, stdin io.Reader, stderr io.Writer) error {
	lines := bufio.NewScanner(stdin)
	for _, q := range a.questions() {
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
		} else if err := q.valid(*q.value); err != nil {
			return fmt.Errorf("--%s: %w", q.flag, err)
		}
		*q.value = cmp.Or(*q.value, fallback)
	}
	return nil
}

// answer asks until there is an answer that will do.
func (q *question) answer(lines *bufio.Scanner, stderr io.Writer, fallback string) error {
	for {
		fmt.Fprintf(stderr, "%s%s?\n  (for example %s) [%s] ", strings.ToUpper(q.ask[:1]), q.ask[1:], q.example, fallback)
		if !lines.Scan() {
			fmt.Fprintln(stderr)
			return fmt.Errorf("standard input ends before the answer for --%s: %w", q.flag, cmp.Or(lines.Err(), io.ErrUnexpectedEOF))
		}
		*q.value = strings.TrimSpace(lines.Text())
		err := q.valid(*q.value)
		if err == nil {
			return nil
		}
		fmt.Fprintf(stderr, "  %s\n", printable(err.Error()))
	}
}

func (q *question) valid(answer string) error {
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

// definition returns the scheme as JSON, with a known answer that was signed
// with it.
func (a *answers) definition() ([]byte, error) {
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
	err := printJSON(&b, d)
	return b.Bytes(), err
}

// exampleAt is the instant of the known answer.
var exampleAt = time.Unix(1767225600, 0)

// example signs an example request with d.
func (a *answers) example(d *scheme.Definition, message string) (scheme.Vector, error) {
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
func (a *answers) sample(message string) sealwright.Message {
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
