package scheme

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// Challenge is the handshake with which a provider checks that a receiver of
// webhooks is willing, or knows the secret. Its answer is safe to give to
// strangers: the token has an alphabet and a length in which no webhook of the
// scheme can be written, so the responder cannot be made to sign one.
type Challenge struct {
	If       []string          `json:"if"`                 // conditions under which a request is a challenge
	Token    string            `json:"token"`              // source of the token
	Chars    string            `json:"chars"`              // digits, hex, word (letters, digits, - and _) or base64
	Min      int               `json:"min,omitempty"`      // least length of the token; default 1
	Max      int               `json:"max"`                // greatest length, at most 256
	Verify   bool              `json:"verify,omitempty"`   // the request itself must be signed
	Expect   *EqualCheck       `json:"expect,omitempty"`   // a value that must be as configured
	Learn    bool              `json:"learn,omitempty"`    // the token becomes the secret, once and only while armed
	Type     string            `json:"type,omitempty"`     // content type of the answer; default text/plain
	Encoding string            `json:"encoding,omitempty"` // of {mac}; default that of the tag
	Body     string            `json:"body,omitempty"`     // {token}, {mac} and {keyid} are replaced
	Headers  map[string]string `json:"headers,omitempty"`  // of the answer, like body
}

// ErrNoChallenge means that a request is no challenge but an ordinary message.
var ErrNoChallenge = errors.New("request is no challenge")

// maxToken is the greatest length of a token in bytes that a definition may
// allow.
const maxToken = 256

var tokenChars = map[string]canon.Set{
	"digits": canon.NewSet("0123456789", false),
	"hex":    canon.NewSet("0123456789abcdefABCDEF", false),
	"word":   canon.NewSet("-_", true),
	"base64": canon.NewSet("+/=-_", true),
}

// Answer is what a responder says. It has status 200.
type Answer struct {
	Type    string // content type
	Headers map[string]string
	Body    string

	// Learned is the secret that the handshake brought; empty for handshakes
	// that bring none. The caller stores it and disarms the endpoint in one step.
	Learned secret.Bytes
}

// Responder answers the challenges of one scheme.
type Responder struct {
	challenge  Challenge
	program    *program
	conditions []condition
	token      source
	expect     *check
	chars      canon.Set
	encoding   canon.Encoding
}

// Responder returns the responder of the definition, or [ErrNoChallenge] if
// the scheme has no handshake.
func (d *Definition) Responder(params Params) (*Responder, error) {
	if d.Challenge == nil {
		return nil, fmt.Errorf("%w: scheme %s has no handshake", ErrNoChallenge, d.ID)
	}
	full, err := d.complete(params)
	if err != nil {
		return nil, err
	}
	p, b, err := d.compile(full)
	if err != nil {
		return nil, err
	}
	r, err := b.responder(d.Challenge)
	if err != nil {
		return nil, fmt.Errorf("scheme %s: challenge: %w", d.ID, err)
	}
	r.program = p
	return r, nil
}

func (b *builder) responder(c *Challenge) (*Responder, error) {
	r := &Responder{challenge: *c, encoding: b.program.tagEnc}
	var ok bool
	if r.chars, ok = tokenChars[c.Chars]; !ok {
		return nil, fmt.Errorf("chars: got %q, want one of %s", c.Chars, strings.Join(slices.Sorted(maps.Keys(tokenChars)), ", "))
	}
	if c.Max < 1 || c.Max > maxToken || c.Min > c.Max {
		return nil, fmt.Errorf("max: got %d, want 1 to %d", c.Max, maxToken)
	}
	var err error
	if r.conditions, err = b.conditions(c.If); err != nil {
		return nil, err
	}
	if len(r.conditions) == 0 {
		return nil, errors.New("if: missing; every request would be a challenge")
	}
	if r.token, err = b.source(c.Token); err != nil {
		return nil, err
	}
	if c.Encoding != "" {
		if r.encoding, err = canon.ParseEncoding(c.Encoding); err != nil {
			return nil, err
		}
	}
	if c.Expect != nil {
		e := *c.Expect
		e.Value = b.def.replacer(b.params).Replace(e.Value)
		if e.Value == "" {
			return nil, fmt.Errorf("the parameter of %q must be configured", c.Expect.Value)
		}
		out, err := b.check(&Check{Equal: &e})
		if err != nil {
			return nil, err
		}
		r.expect = &out
	}
	return r, nil
}

// Respond answers m. It returns [ErrNoChallenge] if m is an ordinary message,
// and an error of package sealwright for a challenge that must not be answered:
// a token outside its grammar, a missing signature, a wrong configured value,
// or a handshake that would replace a key. armed says that the endpoint waits
// for its key; it counts only for schemes that learn it, where ring is nil.
func (r *Responder) Respond(m sealwright.Message, ring *keyring.Ring, armed bool, now time.Time) (Answer, error) {
	var c sealwright.Claim
	if !holds(r.conditions, &m, &c) {
		return Answer{}, ErrNoChallenge
	}
	token, ok, err := r.program.get(&r.token, &m, &c)
	if err != nil {
		return Answer{}, err
	}
	if !ok {
		return Answer{}, sealwright.Refusef(sealwright.ErrMalformed, "challenge has no token")
	}
	if err := r.grammar(token); err != nil {
		return Answer{}, err
	}
	if r.expect != nil {
		got, _, err := r.program.get(&r.expect.source, &m, &c)
		if err != nil {
			return Answer{}, err
		}
		if !mac.Equal([]byte(got), []byte(r.expect.equal)) {
			return Answer{}, sealwright.Refusef(sealwright.ErrPolicy, "%s is not the configured one", r.program.place(r.expect.source))
		}
	}
	if r.challenge.Learn {
		return r.learn(token, ring, armed)
	}
	if r.challenge.Verify {
		v := sealwright.Verifier{Scheme: r.program, Ring: ring}
		if _, err := v.Verify(m, now); err != nil {
			return Answer{}, err
		}
	}
	text, id := "", ""
	if r.usesMAC() {
		if text, id, err = r.mac(token, ring, now); err != nil {
			return Answer{}, err
		}
	}
	return r.answer(token, text, id), nil
}

func (r *Responder) grammar(token string) error {
	if n := len(token); n < max(1, r.challenge.Min) || n > r.challenge.Max {
		return sealwright.Refusef(sealwright.ErrPolicy, "token of the challenge has %d bytes, want %d to %d", n, max(1, r.challenge.Min), r.challenge.Max)
	}
	for i := range len(token) {
		if !r.chars.Has(token[i]) {
			return sealwright.Refusef(sealwright.ErrPolicy, "token of the challenge has a character outside its alphabet at byte %d", i)
		}
	}
	return nil
}

func (r *Responder) learn(token string, ring *keyring.Ring, armed bool) (Answer, error) {
	if ring != nil && ring.Len() > 0 {
		return Answer{}, sealwright.Refusef(sealwright.ErrPolicy, "the endpoint has its key already: a handshake cannot replace it")
	}
	if !armed {
		return Answer{}, sealwright.Refusef(sealwright.ErrPolicy, "the endpoint does not wait for a key")
	}
	a := r.answer(token, "", "")
	a.Learned = secret.FromString(token)
	return a, nil
}

func (r *Responder) usesMAC() bool {
	texts := append(slices.Collect(maps.Values(r.challenge.Headers)), r.challenge.Body)
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "{mac}") })
}

func (r *Responder) mac(token string, ring *keyring.Ring, now time.Time) (text, id string, err error) {
	k, err := ring.Signing(now)
	if err != nil {
		return "", "", sealwright.Refusef(sealwright.ErrConfig, "%v", err)
	}
	key, err := r.program.Key(k, new(sealwright.Claim))
	if err != nil {
		return "", "", sealwright.Refusef(sealwright.ErrConfig, "%v", err)
	}
	sum, err := key.Sum(nil, []byte(token))
	if err != nil {
		return "", "", sealwright.Refusef(sealwright.ErrConfig, "%v", err)
	}
	return r.encoding.EncodeToString(sum), k.ID, nil
}

func (r *Responder) answer(token, mac, id string) Answer {
	fill := strings.NewReplacer("{token}", token, "{mac}", mac, "{keyid}", id)
	a := Answer{Type: r.challenge.Type, Body: fill.Replace(r.challenge.Body), Headers: map[string]string{}}
	if a.Type == "" {
		a.Type = "text/plain; charset=utf-8"
	}
	for name, text := range r.challenge.Headers {
		a.Headers[canon.HeaderName(name)] = fill.Replace(text)
	}
	return a
}
