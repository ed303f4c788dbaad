package rawhttp

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// longestBody is the length in bytes of the longest body that stands in the
// curl command itself: Linux refuses single arguments above 128 KiB.
const longestBody = 64 << 10

// Curl returns a command for a POSIX shell, with a line feed at its end, that
// sends r with curl: the same method, URL, headers and body, byte for byte.
// Content-Length and a Host header that repeats the URL are left to curl. A
// body that is no text, or a long one, goes through base64.
func (r Request) Curl() string {
	var b strings.Builder
	body := r.Message.Body
	piped := len(body) > longestBody || !text(body)
	if piped {
		b.WriteString("printf %s " + quote(base64.StdEncoding.EncodeToString(body)) + " | base64 -d | ")
	}
	b.WriteString("curl")
	for _, option := range r.options() {
		b.WriteString(" " + option)
	}
	b.WriteString(" " + quote(r.curlURL()))
	for _, f := range r.Fields {
		if !r.leaveOut(f) {
			b.WriteString(" \\\n  -H " + quote(headerLine(f)))
		}
	}
	if len(body) > 0 && r.Message.Header["Content-Type"] == nil {
		b.WriteString(" \\\n  -H 'Content-Type:'") // else curl adds one
	}
	switch {
	case piped:
		b.WriteString(" \\\n  --data-binary @-")
	case len(body) > 0:
		b.WriteString(" \\\n  --data-raw " + quote(string(body)))
	}
	return b.String() + "\n"
}

// options returns the ones that say how the request line is written.
func (r Request) options() []string {
	out := []string{"-X " + quote(r.Message.Method)}
	if r.Message.Method == "HEAD" && len(r.Message.Body) == 0 {
		out[0] = "--head" // with -X curl waits for a body
	}
	switch target := r.Message.Target; {
	case !plainTarget(target):
		out = append(out, "--request-target "+quote(target))
	case strings.ContainsAny(target, "{}[]"):
		out = append(out, "--globoff")
	}
	return out
}

// curlURL returns the URL, without a target that curl would change; then an
// option gives the target.
func (r Request) curlURL() string {
	if plainTarget(r.Message.Target) {
		return r.Message.URL()
	}
	return r.Message.URLScheme() + "://" + r.Message.Host + "/"
}

// plainTarget reports whether curl sends the target as it is: no dot
// segments, fragment, blanks or bytes above 127.
func plainTarget(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	if strings.Contains(path, "/.") || strings.Contains(strings.ToLower(path), "/%2e") {
		return false
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7f || c == '#' || c == '\\' {
			return false
		}
	}
	return true
}

func (r Request) leaveOut(f Field) bool {
	switch {
	case strings.EqualFold(f.Name, "Content-Length"):
		return true
	case strings.EqualFold(f.Name, "Host"):
		return f.Value == r.Message.Host
	}
	return false
}

// headerLine returns f as curl wants it: a semicolon stands for an empty value.
func headerLine(f Field) string {
	if f.Value == "" {
		return f.Name + ";"
	}
	return f.Name + ": " + f.Value
}

// text reports whether b can stand in a command line and be read there.
func text(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c == 0x7f || (c < ' ' && c != '\n' && c != '\t') {
			return false
		}
	}
	return true
}

// quote returns s as one word of a POSIX shell.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
