package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/rawhttp"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

// result is what one command line did.
type result struct {
	code           int
	stdout, stderr string
}

func execute(stdin io.Reader, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(args, stdin, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// TestHelp checks that every command explains itself with an example, and
// every flag says what it is.
func TestHelp(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		t.Run(strings.ReplaceAll(cmd.CommandPath(), " ", "/"), func(t *testing.T) {
			if cmd.Short == "" || !strings.Contains(cmd.Example, cmd.CommandPath()) {
				t.Errorf("has the summary %q and the example %q", cmd.Short, cmd.Example)
			}
			args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
			if got := execute(nil, args...); got.code != exitOK || got.stderr != "" || !strings.Contains(got.stdout, cmd.Example) {
				t.Errorf("--help gives %+v", got)
			}
		})
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(newRoot())
}

func TestParseInstant(t *testing.T) { // attack A14
	now := time.Unix(1767225600, 0)
	tests := []struct {
		text string
		want string // in RFC 3339; empty if it is refused
	}{
		{"", "2026-01-01T00:00:00Z"},
		{"0", "1970-01-01T00:00:00Z"},
		{"1767225600", "2026-01-01T00:00:00Z"},
		{"01767225600", "2026-01-01T00:00:00Z"},
		{"1767225600.5", "2026-01-01T00:00:00.5Z"},
		{"1767225600.000000001", "2026-01-01T00:00:00.000000001Z"},
		{"1767225600.0000000001", ""},
		{"253402300799", "9999-12-31T23:59:59Z"},
		{"253402300800", ""},
		{"9223372036854775807", ""},
		{"9223372036854775808", ""},
		{"1767225600.", ""},
		{".5", ""},
		{"-1", ""},
		{"+1", ""},
		{" 1", ""},
		{"1 ", ""},
		{"1e9", ""},
		{"0x10", ""},
		{"1_000", ""},
		{"1.5.5", ""},
		{"１", ""},
		{"NaN", ""},
		{"2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"},
		{"2026-01-01T01:00:00.25+01:00", "2026-01-01T00:00:00.25Z"},
		{"2026-01-01", ""},
		{"2026-01-01 00:00:00Z", ""},
		{"2026-01-01T00:00:00", ""},
		{"2026-13-01T00:00:00Z", ""},
		{"now", ""},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := parseInstant(tt.text, now)
			if tt.want == "" {
				if err == nil {
					t.Errorf("got %v, want an error", got)
				}
				return
			}
			if err != nil || got.UTC().Format(time.RFC3339Nano) != tt.want {
				t.Errorf("got %v and %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	names := []string{"adyen", "aws-sigv4", "aws-sigv4-query", "box", "body-hex", "github", "github-sha1", "meta", "svix", "stripe", "zoom"}
	tests := []struct {
		name string
		want []string
	}{
		{"githb", []string{"github"}},
		{"GitHub", []string{"github"}},
		{"gihtub", []string{"github"}},
		{"git", []string{"github", "github-sha1"}},
		{"aws", []string{"aws-sigv4", "aws-sigv4-query"}},
		{"aws-sigv", []string{"aws-sigv4"}},
		{"zoon", []string{"zoom"}},
		{"strp", []string{"stripe"}},
		{"bo", []string{"box"}},
		{"b", nil}, // two letters more than are right
		{"", nil},
		{"xyz", nil}, // three errors
		{"github-sha256", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := nearest(tt.name, names); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := nearest("aaa", []string{"aaa1", "aaa2", "aaa3", "aaa4"}); len(got) != 3 {
		t.Errorf("got %q, want three", got)
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "adc", 1}, {"abc", "ac", 1}, {"abc", "abxc", 1}, {"abc", "acb", 2}, {"kitten", "sitting", 3}}
	for _, tt := range tests {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestCutLineEnd(t *testing.T) {
	tests := []struct {
		text, want string
		dropped    bool
	}{{"", "", false}, {"a", "a", false}, {"a\n", "a", true}, {"a\r\n", "a", true}, {"a\n\n", "a\n", true}, {"a\r\n\r\n", "a\r\n", true}, {"a\r", "a\r", false}, {"a\n\r", "a\n\r", false}, {"\n", "", true}}
	for _, tt := range tests {
		got, dropped := cutLineEnd([]byte(tt.text))
		if string(got) != tt.want || dropped != tt.dropped {
			t.Errorf("cutLineEnd(%q) = %q, %v, want %q, %v", tt.text, got, dropped, tt.want, tt.dropped)
		}
	}
}

func TestVersion(t *testing.T) {
	setting := func(k, v string) debug.BuildSetting { return debug.BuildSetting{Key: k, Value: v} }
	tests := []struct {
		name string
		info debug.BuildInfo
		want string
	}{
		{"Nothing", debug.BuildInfo{}, "devel"},
		{"Module", debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "v1.2.3"},
		{"Commit", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{setting("vcs.revision", "abc"), setting("vcs.modified", "false")}}, "commit abc"},
		{"Changed", debug.BuildInfo{Settings: []debug.BuildSetting{setting("vcs.modified", "true"), setting("vcs.revision", "abc")}}, "commit abc with changes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := version(&tt.info); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestA05 sends what is huge: it is refused in one line or not valid, and
// never more.
func TestA05(t *testing.T) {
	secret := writeFile(t, "secret.txt", "It's a Secret to Everybody")
	verify := func(request io.Reader) result {
		return execute(request, "verify", "--scheme", "github", "--secret-file", secret, "--request", "-")
	}
	t.Run("HeaderOf1MB", func(t *testing.T) {
		got := verify(strings.NewReader("POST / HTTP/1.1\nHost: h\nX-Hub-Signature-256: sha256=" + strings.Repeat("0", 1<<20) + "\n\n"))
		if got.code != exitNotValid || got.stderr != "" || len(got.stdout) > 1000 {
			t.Errorf("code %d with %d and %d bytes, want %d and one short answer", got.code, len(got.stdout), len(got.stderr), exitNotValid)
		}
	})
	t.Run("NameOf1MB", func(t *testing.T) {
		got := verify(strings.NewReader("POST / HTTP/1.1\nHost: h\n" + strings.Repeat("(", 1<<20) + ": a\n\n"))
		if got.code != exitUsage || got.stdout != "" || len(got.stderr) > 1000 {
			t.Errorf("code %d with %d and %d bytes, want %d and one short error", got.code, len(got.stdout), len(got.stderr), exitUsage)
		}
	})
	t.Run("HundredThousandHeaders", func(t *testing.T) {
		got := verify(strings.NewReader("POST / HTTP/1.1\nHost: h\n" + strings.Repeat("X-Hub-Signature-256: sha256=00\n", 100_000) + "\n"))
		if got.code != exitNotValid || got.stderr != "" || len(got.stdout) > 1000 {
			t.Errorf("code %d with %d and %d bytes, want %d and one short answer", got.code, len(got.stdout), len(got.stderr), exitNotValid)
		}
	})
	t.Run("RequestOverTheCap", func(t *testing.T) {
		endless := &zeros{}
		got := verify(io.MultiReader(strings.NewReader("POST / HTTP/1.1\nHost: h\n\n"), endless))
		if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, "has more than 67108864 bytes") {
			t.Errorf("got %+v", got)
		}
		if endless.read > 2*maxRequest {
			t.Errorf("%d bytes were read of a request without end, want at most about %d", endless.read, maxRequest)
		}
	})
	t.Run("SecretOverTheCap", func(t *testing.T) {
		big := writeFile(t, "big.txt", strings.Repeat("a", maxSecret+1))
		got := execute(nil, "verify", "--scheme", "github", "--secret-file", big, "--request", "-")
		if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, "has more than 65536 bytes") {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("StdinThatFails", func(t *testing.T) {
		got := verify(io.MultiReader(strings.NewReader("POST / HTTP/1.1\n"), failing{}))
		if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, "read standard input: broken") {
			t.Errorf("got %+v", got)
		}
	})
}

// zeros is a reader without end.
type zeros struct{ read int }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.read += len(p)
	return len(p), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("broken") }

// TestWriteFails checks that an answer that cannot be written is no success.
func TestWriteFails(t *testing.T) {
	secret := writeFile(t, "secret.txt", "It's a Secret to Everybody")
	request := writeFile(t, "request.http", "POST / HTTP/1.1\nHost: h\nX-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\n\nHello, World!")
	vectors := writeFile(t, "vectors.jsonl", `{"preset":"github","secret":"a","expect":"invalid","request":{"method":"GET","url":"https://h/"}}`)
	job := []string{"--scheme", "github", "--secret-file", secret, "--request", request}
	for _, args := range [][]string{
		append([]string{"verify"}, job...), append([]string{"verify", "--json"}, job...),
		append([]string{"sign"}, job...), append([]string{"sign", "--curl"}, job...),
		{"schemes"}, {"schemes", "--json"}, {"schemes", "show", "github"}, {"schemes", "show", "github", "--json"},
		{"schemes", "test", vectors}, {"version"}, {"schemes", "--refused"}, {"schemes", "--refused", "--json"},
		{"schemes", "explain", "github"}, {"schemes", "lint", "github"}, {"schemes", "lint", "github", "--json"},
		{"doctor", "--scheme", "github", "--secret-file", "live=" + secret, "--request", request},
		{"doctor", "--scheme", "github", "--secret-file", "live=" + secret, "--request", request, "--json"},
		{"send", "--scheme", "github", "--secret-file", secret, "--to", receiver(t).URL + "/ok"},
		{"send", "--scheme", "github", "--secret-file", secret, "--to", receiver(t).URL + "/ok", "--json"},
		{"schemes", "docs", t.TempDir()},
	} {
		t.Run(strings.Join(args[:min(2, len(args))], " "), func(t *testing.T) {
			if got := execute(nil, args...); got.code != exitOK {
				t.Fatalf("with a working output: %+v", got)
			}
			var stderr bytes.Buffer
			if code := run(args, nil, full{}, &stderr); code == exitOK || !strings.Contains(stderr.String(), "disk is full") {
				t.Errorf("code %d and %q", code, stderr.String())
			}
		})
	}
}

// full is an output that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk is full") }

// TestA27 lets every preset fail in every way, and looks for the secret, the
// right tag and the signed bytes in what is printed.
func TestA27(t *testing.T) {
	for _, name := range catalogue.Names() {
		d, err := catalogue.Definition(name)
		if err != nil {
			t.Fatal(err)
		}
		v := d.Examples[0]
		if v.Response != nil {
			continue // no request says it
		}
		t.Run(name, func(t *testing.T) {
			m, err := v.Message()
			if err != nil {
				t.Fatal(err)
			}
			s, err := d.New(v.Params)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range failures(m) {
				forbidden := append(oracle(t, s, &v, f.m), v.Secret)
				for _, secret := range []string{v.Secret, mirror(v.Secret)} {
					for _, now := range []time.Time{v.Time(), v.Time().Add(1e7 * time.Second)} {
						got := judge(t, s, &v, secret, f.m, now)
						checkNothing(t, f.name, got, forbidden)
						if f.name == "as it is" && secret == v.Secret && now.Equal(v.Time()) && got.code != exitOK {
							t.Errorf("as it is: got %+v, want it to be valid", got)
						}
					}
				}
			}
		})
	}
}

// judge verifies m for people and as JSON.
func judge(t *testing.T, s sealwright.Scheme, v *scheme.Vector, key string, m sealwright.Message, now time.Time) result {
	t.Helper()
	j := job{
		scheme: s, now: now, request: rawhttp.Request{Absolute: true, Version: "HTTP/1.1"}.With(m),
		ring: keyring.Must(keyring.Key{ID: v.KeyID, Version: 1, Secret: secret.FromString(key)}),
	}
	var stdout, stderr bytes.Buffer
	code := report(verify(&stdout, j, false), &stderr)
	if again := report(verify(&stdout, j, true), &stderr); again != code {
		t.Errorf("exit code %d as JSON, %d otherwise", again, code)
	}
	return result{code, stdout.String(), stderr.String()}
}

// TestVectorsAsFiles writes the request of every vector as a raw request, with
// an absolute target and with a Host header, and verifies it.
func TestVectorsAsFiles(t *testing.T) {
	files, err := filepath.Glob("../../catalogue/vectors/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			v, err := scheme.ParseVector(line)
			if err != nil {
				t.Fatal(err)
			}
			if v.Response != nil {
				continue // no request says it
			}
			t.Run(v.ID, func(t *testing.T) { verifyAsFile(t, &v) })
		}
	}
}

func verifyAsFile(t *testing.T, v *scheme.Vector) {
	m, err := v.Message()
	if err != nil {
		t.Fatal(err)
	}
	want := exitNotValid
	if v.Expect == "valid" {
		want = exitOK
	}
	secret := writeFile(t, "secret.txt", v.Secret)
	texts := []string{requestText(m.Method+" "+v.Request.URL+" HTTP/1.1\n", v.Request.Headers, m.Body)}
	if m.URLScheme() == "https" && strings.HasPrefix(m.Target, "/") {
		start := m.Method + " " + m.Target + " HTTP/1.1\r\n"
		if m.Header["Host"] == nil {
			start += "Host: " + m.Host + "\r\n"
		}
		texts = append(texts, requestText(start, v.Request.Headers, m.Body))
	}
	for _, text := range texts {
		got := execute(nil, arguments(v, secret, writeFile(t, "request.http", text), seconds(v.Now))...)
		if v.Expect == "invalid" && got.code == exitUsage && got.stdout == "" && strings.Count(got.stderr, "\n") == 1 {
			continue // no request can say it, or the secret is none
		}
		if got.code != want || got.stderr != "" {
			t.Errorf("%q gives %+v, want code %d", text, got, want)
		}
	}
}

func requestText(start string, header map[string][]string, body []byte) string {
	var b strings.Builder
	b.WriteString(start)
	for _, name := range sortedNames(header) {
		for _, value := range header[name] {
			b.WriteString(name + ":" + value + "\n")
		}
	}
	return b.String() + "\n" + string(body)
}

type failure struct {
	name string
	m    sealwright.Message
}

// failures returns m and what breaks it.
func failures(m sealwright.Message) []failure {
	out := []failure{{"as it is", m}}
	add := func(name string, change func(*sealwright.Message)) {
		c := m
		c.Header = make(map[string][]string, len(m.Header))
		for k, v := range m.Header {
			c.Header[k] = slices.Clone(v)
		}
		change(&c)
		out = append(out, failure{name, c})
	}
	add("body", func(m *sealwright.Message) { m.Body = append(bytes.Clone(m.Body), "tampered"...) })
	add("no body", func(m *sealwright.Message) { m.Body = nil })
	add("target", func(m *sealwright.Message) { m.Target += "x=tampered" })
	add("method", func(m *sealwright.Message) { m.Method = "TAMPERED" })
	for name := range m.Header {
		add("no "+name, func(m *sealwright.Message) { delete(m.Header, name) })
		add("two "+name, func(m *sealwright.Message) { m.Header[name] = append(m.Header[name], m.Header[name]...) })
		add("tampered "+name, func(m *sealwright.Message) { m.Header[name][0] += "x" })
		add("empty "+name, func(m *sealwright.Message) { m.Header[name][0] = "" })
	}
	return out
}

// oracle returns what an attacker would like to be told about m: its tag and
// its signed bytes under the right secret, as far as m says nothing of them.
func oracle(t *testing.T, s sealwright.Scheme, v *scheme.Vector, m sealwright.Message) []string {
	t.Helper()
	ring, err := v.Ring()
	if err != nil {
		t.Fatal(err)
	}
	key, err := ring.Signing(v.Time())
	if err != nil {
		t.Fatal(err)
	}
	signed, claim, err := sealwright.SignedBytes(s, key, m)
	if err != nil {
		return nil
	}
	mac, err := s.Key(key, claim)
	if err != nil {
		return nil
	}
	var out []string
	for _, b := range signed {
		tag, err := mac.Sum(nil, b)
		if err != nil {
			t.Fatal(err)
		}
		tag = tag[:16]
		out = append(out, hex.EncodeToString(tag), base64.StdEncoding.EncodeToString(tag)[:20])
		if len(b) >= 16 && !strings.Contains(requestText("", m.Header, nil), string(b)) {
			out = append(out, string(b))
		}
	}
	return out
}

func arguments(v *scheme.Vector, secret, request, now string) []string {
	args := []string{"verify", "--scheme", v.Preset, "--secret-file", secret, "--key-id", v.KeyID, "--now", now, "--request", request}
	for name, values := range v.Params {
		for _, value := range values {
			args = append(args, "--param", name+"="+value)
		}
	}
	return args
}

func checkNothing(t *testing.T, name string, got result, forbidden []string) {
	t.Helper()
	for _, text := range []string{got.stdout, got.stderr} {
		text = strings.ReplaceAll(text, "secret is shorter than 16 bytes", "") // one published secret is "secret"
		for _, f := range forbidden {
			if strings.Contains(text, f) {
				t.Errorf("%s: %q is shown in %q", name, f, text)
			}
		}
	}
}

// mirror returns another secret that is written like s: letters and digits
// change within their kind.
func mirror(s string) string {
	prefix, rest := "", s
	if strings.HasPrefix(s, "whsec_") {
		prefix, rest = "whsec_", s[len("whsec_"):]
	}
	return prefix + strings.Map(func(r rune) rune {
		switch {
		case '0' <= r && r <= '9':
			return '9' - (r - '0')
		case 'a' <= r && r <= 'f':
			return 'f' - (r - 'a')
		case 'A' <= r && r <= 'F':
			return 'F' - (r - 'A')
		}
		return r
	}, rest)
}

func seconds(f float64) string { return fmt.Sprintf("%.3f", f) }

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
