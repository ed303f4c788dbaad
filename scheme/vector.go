package scheme

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/secret"
)

// Vector is one HTTP request with a signature and what must come of it. Files
// of vectors hold one JSON object per line; docs/schemes/vectors.md explains
// the members.
type Vector struct {
	Preset          string    `json:"preset,omitempty"`
	ID              string    `json:"id,omitempty"`
	Params          Params    `json:"params,omitempty"`
	Secret          string    `json:"secret"`
	KeyID           string    `json:"key_id,omitempty"`
	Now             float64   `json:"now,omitempty"` // Unix seconds; 0 if the scheme carries no time
	Request         Request   `json:"request"`
	Response        *Response `json:"response,omitempty"` // the signed message, where it is a response
	SignedString    *string   `json:"signed_string,omitempty"`
	SignedStringB64 string    `json:"signed_string_base64,omitempty"`
	Signature       string    `json:"signature,omitempty"`
	Expect          string    `json:"expect,omitempty"` // valid or invalid; empty means valid
	Reason          string    `json:"reason,omitempty"`
	Source          string    `json:"source,omitempty"`
	SourceStatus    string    `json:"source_status,omitempty"`
	Assembled       bool      `json:"assembled,omitempty"`
	LenientTarget   bool      `json:"lenient_target,omitempty"`
	BodyUnknown     bool      `json:"body_unknown,omitempty"`
	Note            string    `json:"note,omitempty"`
}

// Request is an HTTP request in JSON.
type Request struct {
	Method     string              `json:"method"`
	URL        string              `json:"url"` // absolute; the target byte for byte as on the wire
	Headers    map[string][]string `json:"headers,omitempty"`
	Body       string              `json:"body,omitempty"`
	BodyBase64 string              `json:"body_base64,omitempty"` // instead of body
}

// Response is an HTTP response in JSON.
type Response struct {
	Status     int                 `json:"status"`
	Headers    map[string][]string `json:"headers,omitempty"`
	Body       string              `json:"body,omitempty"`
	BodyBase64 string              `json:"body_base64,omitempty"`
}

// Message returns the request as a [sealwright.Message].
func (r *Request) Message() (sealwright.Message, error) {
	scheme, host, target, err := sealwright.SplitURL(r.URL)
	if err != nil {
		return sealwright.Message{}, err
	}
	if r.Method == "" {
		return sealwright.Message{}, errors.New("request has no method")
	}
	body, err := body(r.Body, r.BodyBase64)
	if err != nil {
		return sealwright.Message{}, err
	}
	return sealwright.Message{
		Method: r.Method, Scheme: scheme, Host: host, Target: target,
		Header: sealwright.CanonicalHeader(r.Headers), Body: body,
	}, nil
}

// NewRequest returns m as JSON shows it.
func NewRequest(m sealwright.Message) Request {
	r := Request{Method: m.Method, URL: m.URL(), Headers: m.Header}
	if s := string(m.Body); strings.ToValidUTF8(s, "") == s {
		r.Body = s
	} else {
		r.BodyBase64 = base64.StdEncoding.EncodeToString(m.Body)
	}
	return r
}

func body(text, b64 string) ([]byte, error) {
	if b64 == "" {
		return []byte(text), nil
	}
	if text != "" {
		return nil, errors.New("both body and body_base64 are given")
	}
	b, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		return nil, fmt.Errorf("body_base64: %w", err)
	}
	return b, nil
}

// Message returns what the vector's signature is on: the request, or the
// response with its request.
func (v *Vector) Message() (sealwright.Message, error) {
	m, err := v.Request.Message()
	if err != nil || v.Response == nil {
		return m, err
	}
	b, err := body(v.Response.Body, v.Response.BodyBase64)
	if err != nil {
		return sealwright.Message{}, err
	}
	return sealwright.Message{
		Status: v.Response.Status, Header: sealwright.CanonicalHeader(v.Response.Headers), Body: b, Request: &m,
	}, nil
}

// Time returns the instant at which the vector is verified, the Unix epoch if
// it names none.
func (v *Vector) Time() time.Time {
	return time.UnixMicro(int64(v.Now * 1e6))
}

// Verify checks the vector's message with s and returns the verdict, and an
// error if the message cannot be read or the secret cannot be used.
func (v *Vector) Verify(s sealwright.Scheme) (sealwright.Verdict, error) {
	m, err := v.Message()
	if err != nil {
		return sealwright.Verdict{}, err
	}
	ring, err := v.Ring()
	if err != nil {
		return sealwright.Verdict{}, err
	}
	verifier := sealwright.Verifier{Scheme: s, Ring: ring}
	verdict, err := verifier.Verify(m, v.Time())
	if errors.Is(err, sealwright.ErrConfig) {
		return verdict, err
	}
	return verdict, nil
}

// Ring returns a ring with the secret of the vector.
func (v *Vector) Ring() (*keyring.Ring, error) {
	return keyring.New(keyring.Key{ID: v.KeyID, Version: 1, Secret: secret.FromString(v.Secret)})
}

// Run verifies the vector with s and, where it expects a valid signature, also
// signs the message again. It returns nil if everything is as the vector says,
// and an error that says what is not.
func (v *Vector) Run(s sealwright.Scheme) error {
	if _, err := v.Message(); err != nil {
		return fmt.Errorf("unreadable: %w", err)
	}
	verdict, err := v.Verify(s)
	if v.Expect == "invalid" {
		if err == nil && verdict.Valid {
			return errors.New("verifies, but must be refused: " + v.Reason)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if !verdict.Valid {
		return fmt.Errorf("refused: %s", verdict.Detail)
	}
	return v.sign(s, verdict.Rendering)
}

// sign checks that the covered bytes are those of the vector, and that signing
// the message again, with the time and nonce that it has, gives one of its tags
// and a message that verifies. A message that was signed in another than the
// first rendering gets another tag.
func (v *Vector) sign(s sealwright.Scheme, rendering string) error {
	m, err := v.Message()
	if err != nil {
		return err
	}
	ring, err := v.Ring()
	if err != nil {
		return err
	}
	key, err := ring.Signing(v.Time())
	if err != nil {
		return err
	}
	signed, claim, err := sealwright.SignedBytes(s, key, m)
	if err != nil {
		return err
	}
	if want, ok, err := v.signedString(); err != nil {
		return err
	} else if ok && !slices.ContainsFunc(signed, func(b []byte) bool { return bytes.Equal(b, want) }) {
		return fmt.Errorf("covered bytes are %q, want %q", signed[0], want)
	}
	if _, ok := s.(sealwright.SigningScheme); !ok {
		return nil
	}
	signer := sealwright.Signer{Scheme: s, Ring: ring}
	again, err := signer.Sign(m, v.Time())
	if err != nil {
		return fmt.Errorf("sign again: %w", err)
	}
	verifier := sealwright.Verifier{Scheme: s, Ring: ring}
	if _, err := verifier.Verify(again, v.Time()); err != nil {
		return fmt.Errorf("verify after signing again: %w", err)
	}
	_, fresh, err := sealwright.SignedBytes(s, key, again)
	if err != nil {
		return err
	}
	first := len(claim.Renderings) == 0 || rendering == "" || rendering == claim.Renderings[0]
	if first && !hasTag(claim, fresh.Tag(0)) {
		return errors.New("signing again gives another tag")
	}
	return nil
}

func hasTag(c *sealwright.Claim, tag []byte) bool {
	for i := range c.Tags() {
		if bytes.Equal(c.Tag(i), tag) {
			return true
		}
	}
	return false
}

func (v *Vector) signedString() ([]byte, bool, error) {
	if v.SignedStringB64 != "" {
		b, err := base64.StdEncoding.DecodeString(v.SignedStringB64)
		return b, true, err
	}
	if v.SignedString != nil {
		return []byte(*v.SignedString), true, nil
	}
	return nil, false, nil
}

// ParseVector reads one line of a vector file. Unknown members are allowed:
// vector files may say more than the engine needs.
func ParseVector(line []byte) (Vector, error) {
	var v Vector
	if err := json.Unmarshal(line, &v); err != nil {
		return v, err
	}
	if v.Preset == "" {
		return v, errors.New("vector names no preset")
	}
	if v.Expect != "valid" && v.Expect != "invalid" {
		return v, fmt.Errorf("expect: got %q, want valid or invalid", v.Expect)
	}
	return v, nil
}
