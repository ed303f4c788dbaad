package finding

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/rawhttp"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
)

// DescribeVerdict returns the verdict for people. What was not verified is not shown
// as covered.
func DescribeVerdict(v sealwright.Verdict, hint string, colour bool) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-12s %s\n", name, terminal.Printable(value))
		}
	}
	if v.Valid {
		b.WriteString(terminal.Paint("valid", terminal.Green, colour) + " under " + v.Scheme + "\n")
	} else {
		b.WriteString(terminal.Paint("NOT VALID", terminal.Red, colour) + " under " + v.Scheme + ": " + string(v.Reason) + "\n")
		line("why", v.Detail)
		line("try", hint)
	}
	line("key", keyOf(v))
	line("signed", signedAt(v))
	if !v.Expires.IsZero() {
		line("expires", v.Expires.UTC().Format(time.RFC3339))
	}
	if !v.Valid {
		return b.String()
	}
	line("nonce", v.Nonce)
	line("rendering", v.Rendering)
	line("covers", Covered(v.Covers, math.MaxInt))
	line("leaves open", Open(v.Covers))
	for _, w := range v.Warnings {
		line("warning", w)
	}
	return b.String()
}

// Hint says what to look at first, for the most common causes.
func Hint(v sealwright.Verdict, r rawhttp.Request) string {
	switch v.Reason {
	case sealwright.ReasonMismatch, sealwright.ReasonDigest:
		n := r.Message.Header["Content-Length"]
		if has := strconv.Itoa(len(r.Message.Body)); len(n) == 1 && n[0] != has {
			return "the body in the file has " + has + " bytes, but Content-Length says " + n[0]
		}
	case sealwright.ReasonUnknownKey:
		return "name the key with --key-id, as the request does"
	case sealwright.ReasonStale, sealwright.ReasonFuture:
		return "give --now to verify as of another time"
	}
	return ""
}

func keyOf(v sealwright.Verdict) string {
	var parts []string
	if v.KeyID != "" {
		parts = append(parts, strconv.Quote(v.KeyID))
	}
	if v.Version == 0 {
		if v.KeyID != "" {
			parts = append(parts, "as claimed")
		}
		return strings.Join(parts, ", ")
	}
	return strings.Join(append(parts, "version "+strconv.Itoa(v.Version), v.Algorithm.String()), ", ")
}

func signedAt(v sealwright.Verdict) string {
	if v.At.IsZero() {
		return ""
	}
	age := v.Age.Round(time.Millisecond)
	text := fmt.Sprintf("%s, %v before now", v.At.UTC().Format(time.RFC3339Nano), age)
	if age < 0 {
		text = fmt.Sprintf("%s, %v after now", v.At.UTC().Format(time.RFC3339Nano), -age)
	}
	if !v.Valid && v.Reason != sealwright.ReasonStale && v.Reason != sealwright.ReasonFuture {
		text += ", as claimed"
	}
	return text
}

// part is one part of a request that a signature may cover.
type part struct {
	name string
	is   func(sealwright.Coverage) bool
}

func parts() []part {
	return []part{
		{"method", func(c sealwright.Coverage) bool { return c.Method }},
		{"path", func(c sealwright.Coverage) bool { return c.Path }},
		{"query", func(c sealwright.Coverage) bool { return c.Query }},
		{"host", func(c sealwright.Coverage) bool { return c.Host }},
		{"body", func(c sealwright.Coverage) bool { return c.Body }},
		{"time", func(c sealwright.Coverage) bool { return c.Time }},
		{"key id", func(c sealwright.Coverage) bool { return c.KeyID }},
	}
}

// Covered returns what c covers, by name; "nothing" if that is so. Of more than
// most headers, and of more than most fields, it gives the number.
func Covered(c sealwright.Coverage, most int) string {
	var out []string
	for _, p := range parts() {
		if p.is(c) {
			out = append(out, p.name)
		}
	}
	for _, l := range []struct {
		name  string
		names []string
	}{{"header", c.Headers}, {"field", c.Fields}} {
		if len(l.names) > most {
			out = append(out, fmt.Sprintf("%d %ss", len(l.names), l.name))
			continue
		}
		for _, n := range l.names {
			out = append(out, l.name+" "+n)
		}
	}
	if out == nil {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

// Open returns what c does not cover, by name.
func Open(c sealwright.Coverage) string {
	var out []string
	for _, p := range parts() {
		if !p.is(c) {
			out = append(out, p.name)
		}
	}
	return strings.Join(out, ", ")
}
