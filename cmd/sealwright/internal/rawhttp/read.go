package rawhttp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// maxNotes is the most remarks that [Read] makes.
const maxNotes = 20

// Read is [Parse] for requests that are broken, to find out why: it takes all
// that it understands, and returns a remark, with the number of the line, for
// everything that Parse refuses. Names and values of headers are kept as they
// stand; a line that is no header is left out; of two Host headers the first
// gives the host. A request without an empty line has no body.
//
// The error says that data is empty, or that the first line has no target.
func Read(data []byte) (Request, []string, error) {
	if len(data) == 0 {
		return Request{}, nil, errors.New("the request is empty")
	}
	var r reader
	head, body, ok := cutHead(string(data))
	if !ok {
		if len(head) > 1 && head[len(head)-1] == "" { // what follows the last line end
			head = head[:len(head)-1]
		}
		r.note(len(head), errors.New("no empty line ends the headers, so there is no body"))
	}
	r.CRLF = strings.HasSuffix(head[0], "\r")
	if err := r.first(strings.TrimSuffix(head[0], "\r")); err != nil {
		return Request{}, nil, fmt.Errorf("line 1: %w", err)
	}
	for i, line := range head[1:] {
		r.header(i+2, strings.TrimSuffix(line, "\r"))
	}
	for _, f := range r.Fields {
		name := canon.HeaderName(f.Name)
		r.Message.Header[name] = append(r.Message.Header[name], f.Value)
	}
	if !r.Absolute {
		r.authority()
	}
	r.Message.Body = []byte(body)
	return r.Request, r.notes, nil
}

// reader is a request in the making.
type reader struct {
	Request
	notes []string
}

func (r *reader) note(line int, err error) {
	if len(r.notes) < maxNotes {
		r.notes = append(r.notes, fmt.Sprintf("line %d of the request: %v", line, err))
	}
}

// first reads the request line.
func (r *reader) first(line string) error {
	strict := r.requestLine(line)
	if strict == nil {
		return nil
	}
	method, target, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ")
	target = strings.Trim(target, " \t")
	version := "HTTP/1.1"
	if i := strings.LastIndexByte(target, ' '); i >= 0 && strings.HasPrefix(target[i+1:], "HTTP/") {
		target, version = strings.TrimRight(target[:i], " "), target[i+1:]
	}
	if method == "" || target == "" || strings.HasPrefix(target, "HTTP/") {
		return strict
	}
	r.note(1, strict)
	r.Version, r.Absolute = version, false
	r.Message = sealwright.Message{Method: method, Target: target, Scheme: "https", Header: map[string][]string{}}
	if scheme, host, rest, err := sealwright.SplitURL(target); err == nil {
		r.Absolute = true
		r.Message.Scheme, r.Message.Host, r.Message.Target = scheme, host, rest
	}
	return nil
}

// header reads the line with this number of the head.
func (r *reader) header(number int, line string) {
	if line == "" {
		return // the CR of an empty line that was cut off
	}
	f, strict := parseField(line)
	if strict == nil {
		r.Fields = append(r.Fields, f)
		return
	}
	r.note(number, strict)
	if (line[0] == ' ' || line[0] == '\t') && len(r.Fields) > 0 {
		last := &r.Fields[len(r.Fields)-1]
		last.Value = canon.TrimOWS(last.Value + " " + canon.TrimOWS(line))
		return
	}
	if name, value, ok := strings.Cut(line, ":"); ok && strings.Trim(name, " \t") != "" {
		r.Fields = append(r.Fields, Field{Name: strings.Trim(name, " \t"), Value: canon.TrimOWS(value)})
	}
}

// authority takes the host from the first Host header.
func (r *reader) authority() {
	hosts := r.Message.Header["Host"]
	if len(hosts) == 0 {
		r.note(1, errors.New("no Host header, and the target is no absolute URL, so the host is not known"))
		return
	}
	if len(hosts) > 1 {
		r.note(1, fmt.Errorf("%d Host headers; the first counts", len(hosts)))
	}
	r.Message.Host = hosts[0]
	if err := checkHost(hosts[0]); err != nil {
		r.note(1, err)
	}
}
