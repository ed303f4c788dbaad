// Package rawhttp reads and writes HTTP requests as text files, the way
// packet captures, debuggers and test suites show them.
//
// A signature covers bytes, so nothing is decoded, normalised or repaired:
// target, order, spelling and values stay as they are, and the body is
// everything after the empty line. What a receiver could read in two ways is
// refused with the number of the line.
//
// The grammar is that of RFC 9112 with two liberties: lines may also end with
// a line feed alone, and the target may hold blanks, number signs and bytes
// above 127, which clients do send.
package rawhttp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// Request is an HTTP request as a file shows it. Get one from [Parse].
type Request struct {
	Message  sealwright.Message // Header holds Fields by canonical name
	Fields   []Field            // header fields in order, as spelled
	Absolute bool               // the target has absolute form, so it gives the URL
	Version  string             // HTTP/1.1 or HTTP/1.0
	CRLF     bool               // the first line ends with CR and LF, so all are written that way
}

// Field is one header field. The value has no blanks and tabs at its ends.
type Field struct {
	Name, Value string
}

// Parse reads a request. The URL is the target if that is an absolute one;
// otherwise the scheme is https, and there must be exactly one Host header. The
// body is everything after the first empty line, whatever Content-Length says.
//
// Parse refuses with the line, counted from 1: a first line that is not method,
// target and version; header names that are no tokens; blanks before the colon;
// folded headers; control characters; a second Host; and a head that ends
// without an empty line. It shares no memory with data.
func Parse(data []byte) (Request, error) {
	if len(data) == 0 {
		return Request{}, errors.New("the request is empty")
	}
	head, body, ok := cutHead(string(data))
	if !ok {
		return Request{}, fmt.Errorf("line %d: no empty line ends the headers", len(head))
	}
	r := Request{CRLF: strings.HasSuffix(head[0], "\r")}
	for i := range head {
		head[i] = strings.TrimSuffix(head[i], "\r")
	}
	if err := r.requestLine(head[0]); err != nil {
		return Request{}, fmt.Errorf("line 1: %w", err)
	}
	for i, line := range head[1:] {
		f, err := parseField(line)
		if err != nil {
			return Request{}, fmt.Errorf("line %d: %w", i+2, err)
		}
		if err := r.host(f); err != nil {
			return Request{}, fmt.Errorf("line %d: %w", i+2, err)
		}
		name := canon.HeaderName(f.Name)
		r.Message.Header[name] = append(r.Message.Header[name], f.Value)
		r.Fields = append(r.Fields, f)
	}
	if r.Message.Host == "" {
		return Request{}, errors.New("no Host header, and the target is no absolute URL")
	}
	r.Message.Body = []byte(body)
	return r, nil
}

// cutHead returns the lines before the first empty one, with their CR, and
// what follows it. If there is no empty line it returns all lines and false.
func cutHead(data string) (head []string, body string, ok bool) {
	for {
		line, rest, more := strings.Cut(data, "\n")
		if !more {
			return append(head, line), "", false
		}
		if len(head) > 0 && (line == "" || line == "\r") {
			return head, rest, true
		}
		head = append(head, line)
		data = rest
	}
}

func (r *Request) requestLine(line string) error {
	method, rest, _ := strings.Cut(line, " ")
	i := strings.LastIndexByte(rest, ' ')
	if i < 0 {
		return fmt.Errorf("got %s, want method, target and version, such as POST /hook HTTP/1.1", clip(line))
	}
	target, version := rest[:i], rest[i+1:]
	if !token(method) {
		return fmt.Errorf("method %s is no token", clip(method))
	}
	if version != "HTTP/1.1" && version != "HTTP/1.0" {
		return fmt.Errorf("version: got %s, want HTTP/1.1", clip(version))
	}
	if target == "" || strings.Trim(target, " ") != target {
		return errors.New("want one blank each between method, target and version")
	}
	if i := strings.IndexFunc(target, control); i >= 0 {
		return fmt.Errorf("target holds the control character %#02x", target[i])
	}
	r.Version = version
	r.Message = sealwright.Message{Method: method, Target: target, Scheme: "https", Header: map[string][]string{}}
	if target[0] == '/' {
		return nil
	}
	r.Absolute = true
	var err error
	if r.Message.Scheme, r.Message.Host, r.Message.Target, err = sealwright.SplitURL(target); err != nil {
		return fmt.Errorf("target %s is neither a path that begins with / nor an absolute http or https URL", clip(target))
	}
	return checkHost(r.Message.Host)
}

// host takes the authority from f if it is the Host header and the target does
// not give it.
func (r *Request) host(f Field) error {
	if !strings.EqualFold(f.Name, "Host") {
		return nil
	}
	if len(r.Message.Header["Host"]) > 0 {
		return errors.New("a second Host header")
	}
	if r.Absolute {
		return nil
	}
	r.Message.Host = f.Value
	return checkHost(f.Value)
}

// hostChars are those of an authority without user information (RFC 3986
// section 3.2).
var hostChars = canon.NewSet("-._~!$&'()*+,;=%:[]", true)

func checkHost(host string) error {
	if host == "" {
		return errors.New("the host is empty")
	}
	for i := range len(host) {
		if !hostChars.Has(host[i]) {
			return fmt.Errorf("host %s: %q cannot stand in a host", clip(host), host[i])
		}
	}
	return nil
}

func parseField(line string) (Field, error) {
	if line[0] == ' ' || line[0] == '\t' {
		return Field{}, errors.New("a folded header: write it on one line")
	}
	name, value, ok := strings.Cut(line, ":")
	switch {
	case !ok:
		return Field{}, errors.New("a header without a colon")
	case name != strings.TrimRight(name, " \t"):
		return Field{}, fmt.Errorf("header %s: blank before the colon", clip(strings.TrimRight(name, " \t")))
	case !token(name):
		return Field{}, fmt.Errorf("header name %s is no token", clip(name))
	}
	value = canon.TrimOWS(value)
	if i := strings.IndexFunc(value, func(c rune) bool { return c != '\t' && control(c) }); i >= 0 {
		return Field{}, fmt.Errorf("header %s: value holds the control character %#02x", clip(name), value[i])
	}
	return Field{Name: name, Value: value}, nil
}

func control(c rune) bool { return c < ' ' || c == 0x7f }

func token(s string) bool {
	for i := range len(s) {
		if !canon.TokenChars.Has(s[i]) {
			return false
		}
	}
	return s != ""
}

// clip returns the first bytes of s in quotes, for errors.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

// Append appends r as a file to dst. [Parse] reads it back as it is.
func (r Request) Append(dst []byte) []byte {
	end := "\n"
	if r.CRLF {
		end = "\r\n"
	}
	target := r.Message.Target
	if r.Absolute {
		target = r.Message.URL()
	}
	dst = append(dst, r.Message.Method+" "+target+" "+r.Version+end...)
	for _, f := range r.Fields {
		dst = append(dst, f.Name...)
		dst = append(dst, ':')
		if f.Value != "" {
			dst = append(append(dst, ' '), f.Value...)
		}
		dst = append(dst, end...)
	}
	return append(append(dst, end...), r.Message.Body...)
}

// With returns r with what a signer made of its message. Fields keep their
// order and spelling, new ones follow, sorted by name. A Content-Length that
// was right follows a body that has changed.
func (r Request) With(m sealwright.Message) Request {
	out := r
	out.Message = m
	out.Message.Header = make(map[string][]string, len(m.Header))
	left := make(map[string][]string, len(m.Header))
	for name, values := range m.Header {
		name = canon.HeaderName(name)
		left[name] = append(left[name], values...)
	}
	if !r.Absolute {
		left["Host"] = []string{m.Host}
	}
	if n := left["Content-Length"]; len(n) == 1 && n[0] == strconv.Itoa(len(r.Message.Body)) && !bytes.Equal(r.Message.Body, m.Body) {
		left["Content-Length"] = []string{strconv.Itoa(len(m.Body))}
	}
	out.Fields = nil
	add := func(name, value string) {
		c := canon.HeaderName(name)
		out.Fields = append(out.Fields, Field{Name: name, Value: value})
		out.Message.Header[c] = append(out.Message.Header[c], value)
		left[c] = left[c][1:]
	}
	for _, f := range r.Fields {
		if values := left[canon.HeaderName(f.Name)]; len(values) > 0 {
			add(f.Name, values[0])
		}
	}
	for _, name := range sortedNames(left) {
		for _, value := range left[name] {
			add(name, value)
		}
	}
	return out
}

func sortedNames(header map[string][]string) []string {
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
