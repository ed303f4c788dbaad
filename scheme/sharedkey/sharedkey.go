// Package sharedkey verifies and signs requests of the object stores that sign
// a few header lines, their own headers and a canonical resource: Amazon S3
// (signature version 2), Alibaba OSS and Azure Storage (SharedKey).
//
// The three are one canonicaliser with data: the label in Authorization, the
// prefix of own headers, the lines, and the rules of the resource. The body is
// bound only by Content-MD5, which is compared with it where it is there.
package sharedkey

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

// Options are the data of a definition whose code is sharedkey.
type Options struct {
	Label     string   `json:"label"`                // before the credential in Authorization, such as AWS
	Algorithm string   `json:"algorithm"`            // name of package mac
	Key       string   `json:"key,omitempty"`        // base64 if the secret is decoded; else text
	Prefix    string   `json:"prefix"`               // of own headers, such as x-amz-
	Date      string   `json:"date"`                 // own header that stands for Date
	Lines     []string `json:"lines"`                // headers whose values stand on lines of their own, after the method
	Resource  string   `json:"resource"`             // bucket or account
	Decoded   bool     `json:"decoded,omitempty"`    // the path is signed decoded
	Params    []string `json:"parameters,omitempty"` // query parameters that belong to the resource (bucket)
}

const window = 15 * time.Minute

// maxParameters bounds the query parameters of one request.
const maxParameters = 1000

type shared struct {
	id        string
	options   Options
	algorithm mac.Algorithm
	bucket    string
	lines     []string // canonical names
	date      string   // canonical name
}

var (
	_ sealwright.SigningScheme = (*shared)(nil)
	_ sealwright.Checker       = (*shared)(nil)
	_ sealwright.Warner        = (*shared)(nil)
)

// New returns the scheme of a definition. Its parameter may be bucket, the
// bucket of requests that name it in the host.
func New(d *scheme.Definition, p scheme.Params) (sealwright.Scheme, error) {
	s := &shared{id: d.ID, bucket: p.Get("bucket")}
	dec := json.NewDecoder(bytes.NewReader(d.Options))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s.options); err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	var err error
	if s.algorithm, err = mac.Parse(s.options.Algorithm); err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	if r := s.options.Resource; r != "bucket" && r != "account" {
		return nil, fmt.Errorf("options: resource is %q, want bucket or account", r)
	}
	for _, l := range s.options.Lines {
		s.lines = append(s.lines, canon.HeaderName(l))
	}
	s.date = canon.HeaderName(s.options.Date)
	return s, nil
}

// Name implements [sealwright.Scheme].
func (s *shared) Name() string { return s.id }

// Warnings implements [sealwright.Warner].
func (s *shared) Warnings() []string {
	w := []string{"the body is covered only by Content-MD5, where it is there"}
	if s.algorithm.Legacy() {
		w = append(w, s.algorithm.String()+" is kept for this scheme only")
	}
	return w
}

func single(m *sealwright.Message, name string) (string, error) {
	switch v := m.Header[name]; len(v) {
	case 0:
		return "", nil
	case 1:
		return v[0], nil
	default:
		return "", sealwright.Refusef(sealwright.ErrMalformed, "header %s stands %d times", name, len(v))
	}
}

// Parse implements [sealwright.Scheme].
func (s *shared) Parse(m *sealwright.Message, c *sealwright.Claim) error {
	text, err := single(m, "Authorization")
	if err != nil {
		return err
	}
	credential, ok := strings.CutPrefix(text, s.options.Label+" ")
	if !ok {
		return sealwright.Refusef(sealwright.ErrMissing, "Authorization does not begin with %q", s.options.Label)
	}
	id, tag, ok := strings.Cut(credential, ":")
	if !ok || id == "" || strings.ContainsAny(id, " /\n") {
		return sealwright.Refusef(sealwright.ErrMalformed, "Authorization: want %s ID:SIGNATURE", s.options.Label)
	}
	c.KeyID = id
	if err := s.facts(m, c); err != nil {
		return err
	}
	return c.AddTag(tag, canon.Base64)
}

// facts reads the time and says what is covered.
func (s *shared) facts(m *sealwright.Message, c *sealwright.Claim) error {
	name := s.date
	if len(m.Header[name]) == 0 { // as line has it: an empty one stands for Date too
		name = "Date"
	}
	text, err := single(m, name)
	if err != nil {
		return err
	}
	at, err := date(text)
	if err != nil || at.Unix() < 0 { // the zero time would stand for no time at all
		return sealwright.Refusef(sealwright.ErrMalformed, "header %s is absent or no date", name)
	}
	c.At, c.Past, c.Future = at, window, window
	sum, err := single(m, "Content-Md5")
	if err != nil {
		return err
	}
	_, isDigest := md5Of(sum)
	account := s.options.Resource == "account"
	c.Covers = sealwright.Coverage{Method: true, Path: true, Time: true, KeyID: account, Query: account, Body: isDigest}
	for _, l := range s.lines {
		if len(m.Header[l]) > 0 && (l != "Date" || name == "Date") {
			c.Covers.Headers = append(c.Covers.Headers, l)
		}
	}
	c.Covers.Headers = append(c.Covers.Headers, s.ownHeaders(m)...)
	return nil
}

// date reads an HTTP date, or one with a numeric zone (RFC 2822) as older
// clients of S3 write it.
func date(text string) (time.Time, error) {
	if strings.HasSuffix(text, " GMT") {
		return time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", text)
	}
	return time.Parse("Mon, 02 Jan 2006 15:04:05 -0700", text)
}

// md5Of returns the raw digest of a Content-MD5 value.
func md5Of(text string) ([]byte, bool) {
	raw, err := canon.Base64.DecodeString(text)
	return raw, err == nil && len(raw) == md5.Size
}

// ownHeaders returns the names that begin with the prefix, sorted by their
// lower-case form.
func (s *shared) ownHeaders(m *sealwright.Message) []string {
	var names []string
	for name := range m.Header {
		if strings.HasPrefix(strings.ToLower(name), s.options.Prefix) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return names
}

// Key implements [sealwright.Scheme].
func (s *shared) Key(k *keyring.Key, _ *sealwright.Claim) (*mac.Key, error) {
	return k.Prepared(s.id, func(sec secret.Bytes) (*mac.Key, error) {
		if s.options.Key != "base64" {
			return mac.NewPinned(s.algorithm, sec)
		}
		raw, err := canon.Base64.DecodeString(string(sec.Expose()))
		if err != nil {
			return nil, fmt.Errorf("secret is %w", err)
		}
		return mac.NewPinned(s.algorithm, secret.New(raw))
	})
}

// Write implements [sealwright.Scheme].
func (s *shared) Write(w sealwright.Sink, m *sealwright.Message, c *sealwright.Claim, _ int) error {
	out := append(c.Scratch[:0], m.Method...)
	for _, name := range s.lines {
		out = append(out, '\n')
		value, err := s.line(m, name)
		if err != nil {
			return err
		}
		out = append(out, value...)
	}
	out = append(out, '\n')
	for _, name := range s.ownHeaders(m) {
		out = canon.AppendLower(out, name)
		out = append(out, ':')
		for i, v := range m.Header[name] {
			if i > 0 {
				out = append(out, ',')
			}
			if strings.ContainsAny(v, "\r\n") {
				return sealwright.Refusef(sealwright.ErrMalformed, "header %s holds a line break", name)
			}
			out = canon.AppendFolded(out, v)
		}
		out = append(out, '\n')
	}
	out, err := s.resource(out, m, c)
	if err != nil {
		return err
	}
	c.Scratch = out[:0]
	_, err = w.Write(out)
	return err
}

// line returns the value of a header that stands on a line of its own.
func (s *shared) line(m *sealwright.Message, name string) (string, error) {
	value, err := single(m, name)
	if err != nil {
		return "", err
	}
	switch name {
	case "Date":
		if len(m.Header[s.date]) > 0 {
			return "", nil
		}
	case "Content-Length":
		if value == "" && len(m.Body) > 0 {
			return strconv.Itoa(len(m.Body)), nil
		}
		if value == "0" {
			return "", nil
		}
	}
	if strings.ContainsAny(value, "\r\n") {
		return "", sealwright.Refusef(sealwright.ErrMalformed, "header %s holds a line break", name)
	}
	return value, nil
}

func (s *shared) resource(out []byte, m *sealwright.Message, c *sealwright.Claim) ([]byte, error) {
	if strings.Count(m.Query(), "&") >= maxParameters {
		return nil, sealwright.Refusef(sealwright.ErrMalformed, "more than %d parameters", maxParameters)
	}
	path := m.Path()
	if path == "" {
		path = "/"
	}
	if s.options.Decoded {
		var err error
		if path, err = canon.Unescape(path, false); err != nil {
			return nil, sealwright.Refusef(sealwright.ErrMalformed, "path: %v", err)
		}
	}
	if s.options.Resource == "account" {
		out = append(append(append(out, '/'), c.KeyID...), path...)
		return appendAccount(out, m.Query())
	}
	if s.bucket != "" {
		out = append(append(out, '/'), s.bucket...)
	}
	return s.appendListed(append(out, path...), m.Query())
}

// appendListed appends the query parameters that belong to the resource.
func (s *shared) appendListed(out []byte, query string) ([]byte, error) {
	var list []canon.Field
	for _, f := range canon.AppendFields(nil, query) {
		if !slices.Contains(s.options.Params, f.Name) {
			continue
		}
		d, err := f.Decode(true)
		if err != nil {
			return nil, sealwright.Refusef(sealwright.ErrMalformed, "parameter %s: %v", f.Name, err)
		}
		if slices.ContainsFunc(list, func(o canon.Field) bool { return o.Name == d.Name }) {
			return nil, sealwright.Refusef(sealwright.ErrMalformed, "parameter %s stands more than once", f.Name)
		}
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b canon.Field) int { return strings.Compare(a.Name, b.Name) })
	for i, f := range list {
		sep := byte('&')
		if i == 0 {
			sep = '?'
		}
		out = append(append(out, sep), f.Name...)
		if f.Value != "" {
			out = append(append(out, '='), f.Value...)
		}
	}
	return out, nil
}

// appendAccount appends all query parameters, one on each line, with the values
// of a repeated one sorted and joined by commas.
func appendAccount(out []byte, query string) ([]byte, error) {
	values := map[string][]string{}
	var names []string
	for _, f := range canon.AppendFields(nil, query) {
		d, err := f.Decode(true)
		if err != nil {
			return nil, sealwright.Refusef(sealwright.ErrMalformed, "parameter %s: %v", f.Name, err)
		}
		if strings.ContainsAny(d.Name+d.Value, "\r\n") { // it could be read as another parameter
			return nil, sealwright.Refusef(sealwright.ErrMalformed, "parameter %s holds a line break", f.Name)
		}
		name := strings.ToLower(d.Name)
		if values[name] == nil {
			names = append(names, name)
		}
		values[name] = append(values[name], d.Value)
	}
	slices.Sort(names)
	for _, name := range names {
		slices.Sort(values[name])
		out = append(append(append(append(out, '\n'), name...), ':'), strings.Join(values[name], ",")...)
	}
	return out, nil
}

// Check implements [sealwright.Checker].
func (s *shared) Check(m *sealwright.Message, _ *sealwright.Claim) error {
	text, err := single(m, "Content-Md5")
	if err != nil {
		return err
	}
	if want, ok := md5Of(text); ok {
		if got := md5.Sum(m.Body); !bytes.Equal(got[:], want) {
			return sealwright.Refusef(sealwright.ErrDigest, "Content-MD5 is not the digest of the body")
		}
	}
	return nil
}

// Prepare implements [sealwright.SigningScheme].
func (s *shared) Prepare(m *sealwright.Message, c *sealwright.Claim, f sealwright.Facts) error {
	c.KeyID = f.KeyID
	if text, err := single(m, "Authorization"); err == nil && c.KeyID == "" {
		if credential, ok := strings.CutPrefix(text, s.options.Label+" "); ok {
			c.KeyID, _, _ = strings.Cut(credential, ":")
		}
	}
	if c.KeyID == "" {
		return sealwright.Refusef(sealwright.ErrConfig, "scheme %s carries a key ID in Authorization: give the key one", s.id)
	}
	signed := len(m.Header["Authorization"]) > 0 // then what it covers is kept
	delete(m.Header, "Authorization")
	name := s.date
	if len(m.Header[name]) == 0 && (len(m.Header["Date"]) > 0 || s.options.Resource == "bucket") {
		name = "Date"
	}
	at, err := date(strings.Join(m.Header[name], ","))
	if age := f.Now.Sub(at); err != nil || age > window || age < -window {
		m.Header[name] = []string{f.Now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
	}
	if len(m.Body) > 0 && len(m.Header["Content-Md5"]) == 0 && !signed {
		sum := md5.Sum(m.Body)
		m.Header["Content-Md5"] = []string{base64.StdEncoding.EncodeToString(sum[:])}
	}
	return s.facts(m, c)
}

// Attach implements [sealwright.SigningScheme].
func (s *shared) Attach(m *sealwright.Message, c *sealwright.Claim, tag []byte) error {
	m.Header["Authorization"] = []string{s.options.Label + " " + c.KeyID + ":" + base64.StdEncoding.EncodeToString(tag)}
	return nil
}
