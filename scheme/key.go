package scheme

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

// deriver turns a configured secret into a MAC key.
type deriver struct {
	algorithm mac.Algorithm
	key       Key
	encoding  canon.Encoding // 0 for utf8
	text      []piece        // nil: the secret itself
	steps     []derivation
	dynamic   bool   // depends on the message: must not be kept
	name      string // under which a static key is kept
}

type derivation struct {
	message  []piece // nil with constant or hash
	constant secret.Bytes
	hash     transform
	as       canon.Encoding // 0 for raw
}

func (b *builder) deriver(k *Key, a mac.Algorithm) (*deriver, error) {
	if k == nil {
		return nil, fmt.Errorf("key: missing")
	}
	d := &deriver{algorithm: a, key: *k}
	if k.Encoding != "utf8" {
		e, err := canon.ParseEncoding(k.Encoding)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		d.encoding = e
	}
	if k.Text != "" {
		t, err := b.template(k.Text, "")
		if err != nil {
			return nil, fmt.Errorf("key: text: %w", err)
		}
		d.text = t
		d.dynamic = dynamic(t)
	}
	for i, s := range k.Steps {
		step, err := b.step(s)
		if err != nil {
			return nil, fmt.Errorf("key: step %d: %w", i+1, err)
		}
		d.dynamic = d.dynamic || dynamic(step.message)
		d.steps = append(d.steps, step)
	}
	d.name = fmt.Sprintf("%s %v %#v %q", b.def.ID, a, *k, b.params)
	return d, nil
}

func (b *builder) step(s KeyStep) (derivation, error) {
	var d derivation
	var err error
	n := 0
	if s.HMAC != "" {
		n++
		if d.message, err = b.template(s.HMAC, ""); err != nil {
			return d, err
		}
	}
	if s.Constant != "" {
		n++
		d.constant = secret.FromString(s.Constant)
	}
	if s.Hash != "" {
		n++
		if d.hash = digest(s.Hash); d.hash == nil {
			return d, fmt.Errorf("unknown hash %q", s.Hash)
		}
	}
	if n != 1 {
		return d, fmt.Errorf("want exactly one of hmac, constant and hash")
	}
	if s.As != "" && s.As != "raw" {
		if d.as, err = canon.ParseEncoding(s.As); err != nil {
			return d, err
		}
	}
	return d, nil
}

// pieces calls f for each piece of the templates that the key is made of.
func (d *deriver) pieces(f func(*piece)) {
	for i := range d.text {
		f(&d.text[i])
	}
	for _, s := range d.steps {
		for i := range s.message {
			f(&s.message[i])
		}
	}
}

// dynamic reports whether a template reads anything of the message.
func dynamic(t []piece) bool {
	for _, p := range t {
		if p.source.kind != kLiteral && p.source.kind != kSecret {
			return true
		}
	}
	return false
}

// Key implements [sealwright.Scheme].
func (p *program) Key(k *keyring.Key, c *sealwright.Claim) (*mac.Key, error) {
	d := p.key
	derive := func(s secret.Bytes) (*mac.Key, error) { return d.derive(p, s, c) }
	if d.dynamic {
		return derive(k.Secret)
	}
	return k.Prepared(d.name, derive)
}

func (d *deriver) derive(p *program, s secret.Bytes, c *sealwright.Claim) (*mac.Key, error) {
	raw, err := d.decode(s)
	if err != nil {
		return nil, err
	}
	key, err := d.material(p, raw, c)
	if err != nil {
		return nil, err
	}
	return mac.NewPinned(d.algorithm, key)
}

// material returns the MAC key for a decoded secret, which templates of keys
// see as {secret}.
func (d *deriver) material(p *program, raw []byte, c *sealwright.Claim) (secret.Bytes, error) {
	tc := *c
	tc.Key = &keyring.Key{Secret: secret.New(raw)}
	tc.Scratch = nil
	var m sealwright.Message
	var err error
	if d.text != nil {
		if raw, err = p.render(d.text, &m, &tc); err != nil {
			return secret.Bytes{}, err
		}
	}
	for _, step := range d.steps {
		if raw, err = d.apply(p, step, raw, &m, &tc); err != nil {
			return secret.Bytes{}, err
		}
	}
	return secret.New(raw), nil
}

func (d *deriver) decode(s secret.Bytes) ([]byte, error) {
	text := bytes.TrimPrefix(s.Expose(), []byte(d.key.Strip))
	if slices.Contains(d.key.Refuse, string(text)) {
		return nil, fmt.Errorf("secret is one that everybody knows")
	}
	raw := text
	if d.encoding != 0 {
		var err error
		if raw, err = d.encoding.DecodeString(string(text)); err != nil {
			return nil, fmt.Errorf("secret is %w", err)
		}
	}
	switch n := len(raw); {
	case n == 0:
		return nil, fmt.Errorf("secret is empty")
	case n < d.key.Min:
		return nil, fmt.Errorf("secret has %d bytes, want at least %d", n, d.key.Min)
	case d.key.Max > 0 && n > d.key.Max:
		return nil, fmt.Errorf("secret has %d bytes, want at most %d", n, d.key.Max)
	}
	return raw, nil
}

func (d *deriver) apply(p *program, s derivation, key []byte, m *sealwright.Message, c *sealwright.Claim) ([]byte, error) {
	var out []byte
	var err error
	switch {
	case s.hash != nil:
		out, err = s.hash(nil, key)
	case !s.constant.IsZero():
		out, err = sum(d.algorithm, s.constant, key)
	default:
		var text []byte
		if text, err = p.render(s.message, m, c); err == nil {
			out, err = sum(d.algorithm, secret.New(key), text)
		}
	}
	if err == nil && s.as != 0 {
		out = s.as.Append(nil, out)
	}
	return out, err
}

func sum(a mac.Algorithm, key secret.Bytes, message []byte) ([]byte, error) {
	k, err := mac.NewPinned(a, key)
	if err != nil {
		return nil, err
	}
	return k.Sum(nil, message)
}

// render returns the text of a template.
func (p *program) render(t []piece, m *sealwright.Message, c *sealwright.Claim) ([]byte, error) {
	var b bytes.Buffer
	for i := range t {
		if err := p.write(&t[i], &b, m, c); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
