// Package jws verifies and signs compact JSON Web Signatures (RFC 7515) with
// HS256, HS384 and HS512 (RFC 7518 section 3.2).
//
// The algorithm is pinned by the definition and its parameters: the header's
// alg is only compared with it, so neither none nor another family can be
// smuggled in. Header extensions that must be understood (crit) and detached
// payloads are refused. Of the payload, exp, nbf and iat count as time, and a
// claim may hold the digest of the body.
package jws

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
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

// Options are the data of a definition whose code is jws.
type Options struct {
	Header string `json:"header"`           // header that carries the token
	Prefix string `json:"prefix,omitempty"` // before the token, such as "Bearer "; case does not count
	Issuer string `json:"issuer,omitempty"` // the claim iss must have this value
	Body   string `json:"body,omitempty"`   // claim that holds the hex SHA-256 of the body
	Past   string `json:"past,omitempty"`   // how old iat may be where there is no exp; default 300s
	Future string `json:"future,omitempty"` // how far ahead iat and nbf may be; default 300s
}

// maxToken bounds the length of a token in bytes.
const maxToken = 16 << 10

// lifetime is the time that a token signed here lives.
const lifetime = 5 * time.Minute

// unbounded is longer than any token lives; such tokens end by exp.
const unbounded = 200 * 365 * 24 * time.Hour

type token struct {
	id           string
	options      Options
	alg          string
	algorithm    mac.Algorithm
	encoding     canon.Encoding // 0 for utf8
	keyName      string
	past, future time.Duration
}

var (
	_ sealwright.SigningScheme = (*token)(nil)
	_ sealwright.Checker       = (*token)(nil)
	_ sealwright.Warner        = (*token)(nil)
)

var algorithms = map[string]mac.Algorithm{"HS256": mac.SHA256, "HS384": mac.SHA384, "HS512": mac.SHA512}

// New returns the scheme of a definition. Its parameters may be key_encoding
// (utf8 or base64url) and algorithm (HS256, HS384 or HS512; default HS256).
func New(d *scheme.Definition, p scheme.Params) (sealwright.Scheme, error) {
	t := &token{id: d.ID, alg: "HS256", past: 300 * time.Second, future: 300 * time.Second}
	dec := json.NewDecoder(bytes.NewReader(d.Options))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&t.options); err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	t.options.Header = canon.HeaderName(t.options.Header)
	if a := p.Get("algorithm"); a != "" {
		t.alg = a
	}
	var ok bool
	if t.algorithm, ok = algorithms[t.alg]; !ok {
		return nil, fmt.Errorf("parameter algorithm: got %q, want HS256, HS384 or HS512", t.alg)
	}
	if e := p.Get("key_encoding"); e == "base64url" {
		t.encoding = canon.Base64URLRaw
	} else if e != "" && e != "utf8" {
		return nil, fmt.Errorf("parameter key_encoding: got %q, want utf8 or base64url", e)
	}
	for _, w := range []struct {
		text string
		into *time.Duration
	}{{t.options.Past, &t.past}, {t.options.Future, &t.future}} {
		if w.text == "" {
			continue
		}
		v, err := time.ParseDuration(w.text)
		if err != nil {
			return nil, fmt.Errorf("options: %w", err)
		}
		*w.into = v
	}
	t.keyName = fmt.Sprintf("%s %s %v", t.id, t.alg, t.encoding)
	return t, nil
}

// Name implements [sealwright.Scheme].
func (t *token) Name() string { return t.id }

// Warnings implements [sealwright.Warner].
func (t *token) Warnings() []string {
	w := []string{"method, path and query are not covered: a token is good for every request until it expires"}
	if t.options.Body == "" {
		w[0] = "method, path, query and body are not covered: a token is good for every request until it expires"
	}
	return w
}

// Indices of Claim.Values.
const (
	valueInput   = iota // header.payload
	valuePayload        // decoded payload
)

// Parse implements [sealwright.Scheme].
func (t *token) Parse(m *sealwright.Message, c *sealwright.Claim) error {
	text, err := t.text(m)
	if err != nil {
		return err
	}
	input, tag, _ := cutLast(text)
	head, payload, ok := strings.Cut(input, ".")
	if !ok || head == "" || payload == "" || tag == "" || strings.Contains(payload, ".") {
		return sealwright.Refusef(sealwright.ErrMalformed, "%s: a token has three parts, header.payload.signature", t.options.Header)
	}
	if err := t.header(head, c); err != nil {
		return err
	}
	if err := t.claims(payload, c); err != nil {
		return err
	}
	c.Values[valueInput] = input
	return c.AddTag(tag, canon.Base64URLRaw)
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// text returns the token of the message.
func (t *token) text(m *sealwright.Message) (string, error) {
	values := m.Header[t.options.Header]
	switch {
	case len(values) == 0:
		return "", sealwright.Refusef(sealwright.ErrMissing, "no header %s", t.options.Header)
	case len(values) > 1:
		return "", sealwright.Refusef(sealwright.ErrMalformed, "header %s stands %d times", t.options.Header, len(values))
	}
	text, prefix := values[0], t.options.Prefix
	if len(text) > maxToken {
		return "", sealwright.Refusef(sealwright.ErrMalformed, "%s has more than %d bytes", t.options.Header, maxToken)
	}
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return "", sealwright.Refusef(sealwright.ErrMissing, "%s does not begin with %q", t.options.Header, strings.TrimSpace(prefix))
	}
	return text[len(prefix):], nil
}

// member returns the text of a top-level scalar of a JSON document.
func member(doc []byte, name string) (string, bool, error) {
	raw, _, found, err := canon.JSONValue(doc, "/"+name)
	if err != nil || !found {
		return "", false, err
	}
	text, err := canon.JSONText(raw)
	return text, err == nil, err
}

func document(part, what string) ([]byte, error) {
	doc, err := canon.Base64URLRaw.DecodeString(part)
	if err != nil {
		return nil, sealwright.Refusef(sealwright.ErrMalformed, "%s of the token: %v", what, err)
	}
	if !json.Valid(doc) || bytes.TrimLeft(doc, " \t\r\n")[0] != '{' {
		return nil, sealwright.Refusef(sealwright.ErrMalformed, "%s of the token is no JSON object", what)
	}
	return doc, nil
}

func (t *token) header(part string, c *sealwright.Claim) error {
	doc, err := document(part, "header")
	if err != nil {
		return err
	}
	alg, _, err := member(doc, "alg")
	if err != nil {
		return sealwright.Refusef(sealwright.ErrMalformed, "header of the token: %v", err)
	}
	if alg != t.alg {
		return sealwright.Refusef(sealwright.ErrPolicy, "the token names the algorithm %q, want %q", alg, t.alg)
	}
	for _, name := range []string{"crit", "b64", "jku", "jwk", "x5u", "x5c"} {
		if _, _, found, err := canon.JSONValue(doc, "/"+name); err != nil || found {
			return sealwright.Refusef(sealwright.ErrPolicy, "the token has the header %q, which is not supported", name)
		}
	}
	kid, found, err := member(doc, "kid")
	if err != nil {
		return sealwright.Refusef(sealwright.ErrMalformed, "header of the token: %v", err)
	}
	if found && kid != "" {
		c.KeyID, c.Covers.KeyID = kid, true
	}
	return nil
}

func (t *token) claims(part string, c *sealwright.Claim) error {
	doc, err := document(part, "payload")
	if err != nil {
		return err
	}
	c.Values[valuePayload] = string(doc)
	if t.options.Issuer != "" {
		if iss, _, err := member(doc, "iss"); err != nil || iss != t.options.Issuer {
			return sealwright.Refusef(sealwright.ErrPolicy, "the token is issued by %q, want %q", iss, t.options.Issuer)
		}
	}
	if t.options.Body != "" {
		c.Covers.Body = true
	}
	exp, hasExp, err := instant(doc, "exp")
	if err != nil {
		return err
	}
	iat, hasIat, err := instant(doc, "iat")
	if err != nil {
		return err
	}
	nbf, hasNbf, err := instant(doc, "nbf")
	if err != nil {
		return err
	}
	if hasExp {
		c.Expires = exp
	}
	if hasIat {
		c.At = iat
	}
	if hasNbf && nbf.After(c.At) {
		c.At = nbf
	}
	c.Past, c.Future = t.past, t.future
	if hasExp || !hasIat {
		c.Past = unbounded
	}
	c.Covers.Time = hasExp || hasIat
	return nil
}

// instant returns a NumericDate (RFC 7519 section 2).
func instant(doc []byte, name string) (time.Time, bool, error) {
	raw, _, found, err := canon.JSONValue(doc, "/"+name)
	if err != nil {
		return time.Time{}, false, sealwright.Refusef(sealwright.ErrMalformed, "payload of the token: %v", err)
	}
	if !found {
		return time.Time{}, false, nil
	}
	whole, _, _ := strings.Cut(string(raw), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n < 0 || n > 253402300799 || strings.TrimLeft(string(raw), "0123456789.") != "" {
		return time.Time{}, false, sealwright.Refusef(sealwright.ErrMalformed, "claim %s is no time in seconds", name)
	}
	return time.Unix(n, 0), true, nil
}

// Key implements [sealwright.Scheme].
func (t *token) Key(k *keyring.Key, _ *sealwright.Claim) (*mac.Key, error) {
	return k.Prepared(t.keyName, func(s secret.Bytes) (*mac.Key, error) {
		if t.encoding == 0 {
			return mac.New(t.algorithm, s)
		}
		raw, err := t.encoding.DecodeString(string(s.Expose()))
		if err != nil {
			return nil, fmt.Errorf("secret is %w", err)
		}
		return mac.New(t.algorithm, secret.New(raw))
	})
}

// Write implements [sealwright.Scheme].
func (t *token) Write(w sealwright.Sink, _ *sealwright.Message, c *sealwright.Claim, _ int) error {
	_, err := w.WriteString(c.Values[valueInput])
	return err
}

// Check implements [sealwright.Checker]: it compares the digest claim with the
// body.
func (t *token) Check(m *sealwright.Message, c *sealwright.Claim) error {
	if t.options.Body == "" {
		return nil
	}
	got, _, err := member([]byte(c.Values[valuePayload]), t.options.Body)
	if err != nil {
		return sealwright.Refusef(sealwright.ErrMalformed, "payload of the token: %v", err)
	}
	if got != bodyDigest(m.Body) {
		return sealwright.Refusef(sealwright.ErrDigest, "claim %s is not the digest of the body", t.options.Body)
	}
	return nil
}

func bodyDigest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// Prepare implements [sealwright.SigningScheme]. A payload that the message has
// already is kept while it is fresh; else there is one with the claims that the
// definition needs, iat and exp.
func (t *token) Prepare(m *sealwright.Message, c *sealwright.Claim, f sealwright.Facts) error {
	input, ok := t.kept(m, f)
	if !ok {
		head := map[string]any{"alg": t.alg, "typ": "JWT"}
		if f.KeyID != "" {
			head["kid"] = f.KeyID
		}
		claims := map[string]any{"iat": f.Now.Unix(), "exp": f.Now.Add(lifetime).Unix()}
		if t.options.Issuer != "" {
			claims["iss"] = t.options.Issuer
		}
		if t.options.Body != "" {
			claims[t.options.Body] = bodyDigest(m.Body)
		}
		parts := make([]string, 2)
		for i, v := range []any{head, claims} {
			doc, err := json.Marshal(v)
			if err != nil {
				return sealwright.Refusef(sealwright.ErrConfig, "%v", err)
			}
			parts[i] = base64.RawURLEncoding.EncodeToString(doc)
		}
		input = parts[0] + "." + parts[1]
	}
	head, payload, _ := strings.Cut(input, ".")
	if err := t.header(head, c); err != nil {
		return err
	}
	if err := t.claims(payload, c); err != nil {
		return err
	}
	c.Values[valueInput] = input
	return nil
}

// kept returns the signing input of the message's own token if that is fresh and
// of the same key and body.
func (t *token) kept(m *sealwright.Message, f sealwright.Facts) (string, bool) {
	text, err := t.text(m)
	if err != nil {
		return "", false
	}
	var c sealwright.Claim
	if err := t.Parse(m, &c); err != nil || (c.KeyID != f.KeyID && c.KeyID != "") || t.Check(m, &c) != nil {
		return "", false
	}
	if !c.Expires.IsZero() && f.Now.After(c.Expires) {
		return "", false
	}
	if age := f.Now.Sub(c.At); !c.At.IsZero() && (age > c.Past || age < -c.Future) {
		return "", false
	}
	input, _, ok := cutLast(text)
	return input, ok
}

// Attach implements [sealwright.SigningScheme].
func (t *token) Attach(m *sealwright.Message, c *sealwright.Claim, tag []byte) error {
	m.Header[t.options.Header] = []string{t.options.Prefix + c.Values[valueInput] + "." + base64.RawURLEncoding.EncodeToString(tag)}
	return nil
}
