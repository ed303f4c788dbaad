package rfc9421

import (
	"fmt"
	"slices"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// work is what one verification or signing needs. It is reused.
type work struct {
	input      field       // Signature-Input
	other      field       // another field, for as long as it is looked at
	components []component // covered by the signature that counts
	ids        []span      // of the identifiers in the signature base
	params     params      // of a new signature
	text       []byte      // of a value, for as long as it is looked at
	line       []byte      // of a new field
	host       [1]string
}

func (pf *profile) get() *work {
	if w, _ := pf.works.Get().(*work); w != nil {
		return w
	}
	return new(work)
}

func (pf *profile) put(w *work) { pf.works.Put(w) }

// The fields of a signature, by the name that net/http gives them.
const (
	inputField     = "Signature-Input"
	signatureField = "Signature"
	digestField    = "Content-Digest"
)

// Unsigned reports whether m has no signature, as its head tells: a message
// without these fields can be refused before its body is read.
func (pf *profile) Unsigned(m *sealwright.Message) bool {
	return len(m.Header[signatureField]) == 0 || len(m.Header[inputField]) == 0
}

// Parse implements [sealwright.Scheme].
func (pf *profile) Parse(m *sealwright.Message, c *sealwright.Claim) error {
	w := pf.get()
	defer pf.put(w)
	if description, tag, ok := pf.expected(w, m); ok {
		if err := c.AddTag(tag, canon.Base64); err != nil {
			return err
		}
		return pf.readExpected(w, m, c, description, w.input.params)
	}
	return pf.parseAny(w, m, c)
}

// parseAny is Parse for a message of any look.
func (pf *profile) parseAny(w *work, m *sealwright.Message, c *sealwright.Claim) error {
	in, tag, err := pf.find(w, m)
	if err != nil {
		return err
	}
	if err := pf.read(w, m, c, in); err != nil {
		return err
	}
	return c.AddTag(tag, canon.Base64)
}

// find returns the description of the signature that counts, in w.input, and
// its tag in base64.
func (pf *profile) find(w *work, m *sealwright.Message) (*member, string, error) {
	for _, name := range [...]string{signatureField, inputField} {
		if len(m.Header[name]) == 0 {
			return nil, "", sealwright.Refusef(sealwright.ErrMissing, "no header %s", name)
		}
	}
	if err := w.input.parseDictionary(joined(m.Header[inputField])); err != nil {
		return nil, "", sealwright.Refusef(sealwright.ErrMalformed, "%s: %v", inputField, err)
	}
	if err := w.other.parseDictionary(joined(m.Header[signatureField])); err != nil {
		return nil, "", sealwright.Refusef(sealwright.ErrMalformed, "%s: %v", signatureField, err)
	}
	label, err := pf.chosen(w)
	if err != nil {
		return nil, "", err
	}
	sig := w.other.find(label)
	if sig == nil {
		return nil, "", sealwright.Refusef(sealwright.ErrMissing, "%s has no label %q", signatureField, label)
	}
	it := w.other.item(sig)
	if it == nil || it.value.kind != kBytes || it.params.from != it.params.to {
		return nil, "", sealwright.Refusef(sealwright.ErrMalformed, "%s: label %q is not one byte sequence", signatureField, label)
	}
	return w.input.find(label), it.value.text, nil
}

// chosen returns the label of the signature that counts. Both fields must have
// the same labels (RFC 9421 section 4).
func (pf *profile) chosen(w *work) (string, error) {
	in, sigs := w.input.members, w.other.members
	if n := max(len(in), len(sigs)); n > sealwright.MaxTags {
		return "", sealwright.Refusef(sealwright.ErrTooManyTags, "%d signatures, at most %d are looked at", n, sealwright.MaxTags)
	}
	if len(sigs) == 0 {
		return "", sealwright.Refusef(sealwright.ErrMissing, "%s is empty", signatureField)
	}
	for i := range sigs {
		if w.input.find(sigs[i].key) == nil {
			return "", sealwright.Refusef(sealwright.ErrMalformed, "label %q is in %s only", sigs[i].key, signatureField)
		}
	}
	if pf.label == "" {
		if len(in) > 1 {
			return "", sealwright.Refusef(sealwright.ErrPolicy, "%d signatures, and no label says which one counts", len(in))
		}
		return in[0].key, nil
	}
	if len(in) > len(sigs) && w.other.find(pf.label) != nil {
		return "", sealwright.Refusef(sealwright.ErrMalformed, "%s has labels that %s has not", inputField, signatureField)
	}
	return pf.label, nil
}

// read fills c with what the description in, of w.input, says, and writes the
// signature base to c.Scratch.
func (pf *profile) read(w *work, m *sealwright.Message, c *sealwright.Claim, in *member) error {
	if !in.inner {
		return sealwright.Refusef(sealwright.ErrMalformed, "%s: label %q is not a list of components", inputField, in.key)
	}
	if err := w.readComponents(in); err != nil {
		return sealwright.Refusef(sealwright.ErrMalformed, "%s: %v", inputField, err)
	}
	if missing := pf.missing(w.components); missing != nil {
		return sealwright.Refusef(sealwright.ErrPolicy, "signature does not cover %s", missing)
	}
	c.Covers, c.Private = coverage(w.components)
	if err := pf.readParams(w.input.params[in.params.from:in.params.to], c); err != nil {
		return err
	}
	var err error
	if c.Scratch, err = w.appendBase(c.Scratch[:0], m, in); err != nil {
		return sealwright.Refusef(sealwright.ErrMalformed, "%v", err)
	}
	return nil
}

// Limits of one signature, which bound the work that a stranger can cause.
const (
	maxComponents = 64
	maxCostly     = 16 // of the components: those with ;sf, ;key or ;name
)

// readComponents fills w.components.
func (w *work) readComponents(in *member) error {
	w.components = w.components[:0]
	if n := in.items.to - in.items.from; n > maxComponents {
		return fmt.Errorf("%d components, at most %d are allowed", n, maxComponents)
	}
	costly := 0
	for i := in.items.from; i < in.items.to; i++ {
		c, err := w.input.component(&w.input.items[i])
		if err != nil {
			return err
		}
		if slices.Contains(w.components, c) {
			return fmt.Errorf("component %s stands twice", w.input.appendItem(nil, &w.input.items[i]))
		}
		if c.costly() {
			costly++
		}
		w.components = append(w.components, c)
	}
	if costly > maxCostly {
		return fmt.Errorf("%d components with sf, key or name, at most %d are allowed", costly, maxCostly)
	}
	return nil
}

// readParams fills c with the parameters of a signature and holds them against
// the policy.
func (pf *profile) readParams(params []param, c *sealwright.Claim) error {
	var tag string
	for i := range params {
		p := &params[i]
		var err error
		switch p.key {
		case "created":
			c.At, err = p.instant()
			c.Past, c.Future = pf.past, pf.future
			c.Covers.Time = true
		case "expires":
			c.Expires, err = p.instant()
			c.Covers.Time = true
		case "nonce":
			c.Nonce, err = p.string()
		case "keyid":
			c.KeyID, err = p.string()
			c.Covers.KeyID = true
		case "tag":
			tag, err = p.string()
		case "alg":
			var alg string
			if alg, err = p.string(); err == nil && alg != algorithm {
				return sealwright.Refusef(sealwright.ErrPolicy, "parameter alg is %q, want %q", alg, algorithm)
			}
		}
		if err != nil {
			return sealwright.Refusef(sealwright.ErrMalformed, "%s: %v", inputField, err)
		}
	}
	if c.At.IsZero() && !c.Expires.IsZero() { // the sender does not choose how long it lives
		c.Ahead = max(pf.past+pf.future, time.Nanosecond)
	}
	if pf.tag != "" && tag != pf.tag {
		return sealwright.Refusef(sealwright.ErrPolicy, "parameter tag is %q, want %q", tag, pf.tag)
	}
	return pf.checkRequired(c)
}

// checkRequired refuses a claim without a parameter that must be there.
func (pf *profile) checkRequired(c *sealwright.Claim) error {
	for _, r := range [...]struct {
		name       string
		want, have bool
	}{
		{"created", pf.requireCreated, !c.At.IsZero()},
		{"expires", pf.requireExpires, !c.Expires.IsZero()},
		{"nonce", pf.requireNonce, c.Nonce != ""},
		{"keyid", pf.requireKeyID, c.KeyID != ""},
	} {
		if r.want && !r.have {
			return sealwright.Refusef(sealwright.ErrPolicy, "parameter %s is missing", r.name)
		}
	}
	return nil
}

// maxUnix is the last second of the year 9999.
const maxUnix = 253402300799

// instant returns the time in Unix seconds that the parameter holds.
func (p *param) instant() (time.Time, error) {
	if p.value.kind != kInteger || p.value.num < 0 || p.value.num > maxUnix {
		return time.Time{}, fmt.Errorf("parameter %s is not a time in Unix seconds", p.key)
	}
	return time.Unix(p.value.num, 0), nil
}

// string returns the string that the parameter holds. An empty one would say
// as little as no parameter, so it is an error.
func (p *param) string() (string, error) {
	if p.value.kind != kString || p.value.text == "" {
		return "", fmt.Errorf("parameter %s is not a string, or is empty", p.key)
	}
	return p.value.text, nil
}

// Write implements [sealwright.Scheme]: Parse and Prepare have written the
// signature base already.
func (pf *profile) Write(w sealwright.Sink, _ *sealwright.Message, c *sealwright.Claim, _ int) error {
	_, _ = w.Write(c.Scratch) // a Sink does not fail
	return nil
}
