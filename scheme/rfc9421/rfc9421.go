// Package rfc9421 is the scheme of HTTP Message Signatures (RFC 9421) with
// hmac-sha256, and of Content-Digest (RFC 9530).
//
// A signature covers a list of components that the message itself names, so a
// scheme says which of them it demands; by default @method, @target-uri and
// content-digest. All components of RFC 9421 section 2 are known, with the
// parameters sf, key, bs, req, tr and name. Derived components come from the
// message and never from its fields. A component that is listed but absent, or
// listed twice, and a label that stands twice are refused, and so is every
// algorithm but hmac-sha256.
//
// A covered Content-Digest is compared with the body. Only sha-256 and sha-512
// count.
//
// The parser of structured fields (RFC 9651) is the package's own. It refuses
// keys that stand twice and base64 that is not canonical.
//
// Of one message at most 16 signatures are looked at, of one signature 64
// components, and 64 KiB of a field that must be parsed. Request targets in
// absolute form are not known to a [sealwright.Message], and signatures in
// trailers are not looked for.
package rfc9421

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

// algorithm is the only value of the parameter alg that is accepted.
const algorithm = "hmac-sha256"

// defaultLabel is the label of a new signature.
const defaultLabel = "sig1"

// MaxWindow is the longest time that max_age and skew may allow.
const MaxWindow = 31 * 24 * time.Hour

// profile is RFC 9421 with what an application chooses: the parameters of the
// definition.
type profile struct {
	name     string
	label    string              // empty: the only one
	required []component         // at least one
	signs    []component         // what a new signature covers
	list     string              // signs as an inner list
	parts    []part              // of signs
	covers   sealwright.Coverage // by signs
	covered  digests             // by signs
	tag      string              // empty: any
	base64   bool                // the secret is base64

	requireCreated, requireExpires, requireNonce, requireKeyID bool

	past, future time.Duration
	warnings     []string

	works sync.Pool // of *work
}

var (
	_ scheme.Constructor       = New
	_ sealwright.SigningScheme = (*profile)(nil)
	_ sealwright.Checker       = (*profile)(nil)
	_ sealwright.Warner        = (*profile)(nil)
)

// New returns the scheme with the parameters of the definition:
//
//   - label: of the signature. By default the only one counts, and a new one
//     is called sig1.
//   - required: components that a signature must cover, as in Signature-Input
//     or without the quotes. At least one.
//   - components: what a new signature covers; by default what is required.
//   - tag: the value that the parameter tag must have. By default any, or none.
//   - key_encoding: utf8 or base64, the form of the secret.
//   - require_created, require_expires, require_nonce, require_keyid: true if
//     the parameter must be there.
//   - max_age, skew: how many seconds created may be in the past and in the
//     future, inclusive; 0 to 2678400.
//
// A parameter that cannot be used is an error.
func New(d *scheme.Definition, params scheme.Params) (sealwright.Scheme, error) {
	pf := &profile{
		name: d.ID, label: params.Get("label"), tag: params.Get("tag"),
		base64:         params.Get("key_encoding") == "base64",
		requireCreated: params.Get("require_created") != "false",
		requireExpires: params.Get("require_expires") == "true",
		requireNonce:   params.Get("require_nonce") == "true",
		requireKeyID:   params.Get("require_keyid") == "true",
	}
	if pf.label != "" && !isKey(pf.label) {
		return nil, fmt.Errorf("parameter label: %q is no key of a structured field: want a-z, then a-z, 0-9, _, -, . or *", pf.label)
	}
	if !printable(pf.tag) {
		return nil, fmt.Errorf("parameter tag: %q is not printable ASCII", pf.tag)
	}
	var err error
	if pf.past, err = seconds(params, "max_age"); err != nil {
		return nil, err
	}
	if pf.future, err = seconds(params, "skew"); err != nil {
		return nil, err
	}
	if err := pf.choose(params); err != nil {
		return nil, err
	}
	pf.warnings = pf.weaknesses()
	return pf, nil
}

// choose reads the lists of components.
func (pf *profile) choose(params scheme.Params) error {
	var err error
	if pf.required, err = components(params, "required"); err != nil {
		return err
	}
	if len(pf.required) == 0 {
		return errors.New("parameter required: want at least one component, or a signature could cover nothing")
	}
	pf.signs = pf.required
	if len(params["components"]) > 0 {
		if pf.signs, err = components(params, "components"); err != nil {
			return err
		}
	}
	if r := pf.missing(pf.signs); r != nil {
		return fmt.Errorf("parameter components: %s is required", r)
	}
	list := []byte("(")
	for i := range pf.signs {
		c := &pf.signs[i]
		if c.own(cmp.Or(pf.label, defaultLabel)) {
			return fmt.Errorf("parameter components: a signature cannot cover itself, as %s would", c)
		}
		if i > 0 {
			list = append(list, ' ')
		}
		list = c.append(list)
	}
	pf.list = string(append(list, ')'))
	pf.covers, pf.covered = coverage(pf.signs)
	pf.parts = partsOf(pf.signs)
	return nil
}

func components(params scheme.Params, name string) ([]component, error) {
	var out []component
	costly := 0
	for _, text := range params[name] {
		c, err := parseComponent(text)
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", name, err)
		}
		if slices.Contains(out, c) {
			return nil, fmt.Errorf("parameter %s: %s stands twice", name, &c)
		}
		if c.costly() {
			costly++
		}
		out = append(out, c)
	}
	if len(out) > maxComponents || costly > maxCostly {
		return nil, fmt.Errorf("parameter %s: %d components, %d of them with sf, key or name; at most %d and %d are possible",
			name, len(out), costly, maxComponents, maxCostly)
	}
	return out, nil
}

func seconds(params scheme.Params, name string) (time.Duration, error) {
	n, err := strconv.ParseUint(params.Get(name), 10, 32)
	if d := time.Duration(n) * time.Second; err == nil && d <= MaxWindow {
		return d, nil
	}
	return 0, fmt.Errorf("parameter %s: got %q, want 0 to %d seconds", name, params.Get(name), MaxWindow/time.Second)
}

// weaknesses returns what a signature need not protect.
func (pf *profile) weaknesses() []string {
	c, _ := coverage(pf.required)
	var out []string
	for _, w := range []struct {
		weak bool
		text string
	}{
		{!c.Body, "the body need not be covered: content-digest is not required"},
		{!c.Method, "the method need not be covered"},
		{!c.Path || !c.Query, "the path and query need not be covered"},
		{!c.Host, "the host need not be covered"},
		{!pf.requireCreated, "the time of signing may be missing: created is not required"},
	} {
		if w.weak {
			out = append(out, w.text)
		}
	}
	return out
}

// Name implements [sealwright.Scheme].
func (pf *profile) Name() string { return pf.name }

// Warnings implements [sealwright.Warner].
func (pf *profile) Warnings() []string { return pf.warnings }

// Key implements [sealwright.Scheme].
func (pf *profile) Key(k *keyring.Key, _ *sealwright.Claim) (*mac.Key, error) {
	if pf.base64 {
		return k.Prepared("rfc9421 base64", decodedKey)
	}
	return k.Prepared("rfc9421 utf8", textKey)
}

func textKey(s secret.Bytes) (*mac.Key, error) { return mac.New(mac.SHA256, s) }

func decodedKey(s secret.Bytes) (*mac.Key, error) {
	raw, err := canon.Base64.DecodeString(string(s.Expose()))
	if err != nil {
		return nil, fmt.Errorf("secret is %w", err)
	}
	return mac.New(mac.SHA256, secret.New(raw))
}
