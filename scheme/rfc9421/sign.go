package rfc9421

import (
	"slices"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// labelValue is the index in Claim.Values of the label that is signed.
const labelValue = 0

// Prepare implements [sealwright.SigningScheme]. A signature that m has under
// the label is made again: its components stay if they meet the profile, its
// created while it is fresh, and its other parameters. Signatures under other
// labels stay.
func (pf *profile) Prepare(m *sealwright.Message, c *sealwright.Claim, f sealwright.Facts) error {
	w := pf.get()
	defer pf.put(w)
	if err := w.input.parseLines(m.Header[inputField]); err != nil {
		return sealwright.Refusef(sealwright.ErrMalformed, "%s: %v", inputField, err)
	}
	label, err := pf.newLabel(w)
	if err != nil {
		return err
	}
	prior := w.input.find(label)
	if prior != nil && !prior.inner {
		return sealwright.Refusef(sealwright.ErrMalformed, "%s: label %q is not a list of components", inputField, label)
	}
	if err := pf.newParams(w, prior, f); err != nil {
		return err
	}
	w.text = w.text[:0]
	if prior != nil && pf.keeps(w, prior) {
		w.text = w.input.appendItems(w.text, prior)
	} else {
		w.components = append(w.components[:0], pf.signs...)
		w.text = append(w.text, pf.list...)
	}
	w.text = appendParams(w.text, w.params)
	w.line = w.appendReplaced(w.line[:0], &w.input, label)
	size := len(w.line)
	w.line = w.appendDigest(w.line, m)
	text := string(w.line) // of both fields, as one allocation
	lines := []string{text[:size], text[size:]}
	m.Header[inputField] = lines[:1:1]
	placed := len(text) > size
	if placed {
		m.Header[digestField] = lines[1:]
	}
	c.Values[labelValue] = label
	if err := pf.readBack(w, m, c); err != nil || placed {
		return err
	}
	return pf.Check(m, c)
}

// readBack reads what Prepare has written, as Parse would.
func (pf *profile) readBack(w *work, m *sealwright.Message, c *sealwright.Claim) error {
	label := c.Values[labelValue]
	if len(w.input.members) == 0 { // the first signature
		return pf.readExpected(w, m, c, m.Header[inputField][0][len(label)+1:], w.params)
	}
	if err := w.input.parseDictionary(joined(m.Header[inputField])); err != nil {
		return sealwright.Refusef(sealwright.ErrMalformed, "%s: %v", inputField, err)
	}
	if n := len(w.input.members); n > sealwright.MaxTags {
		return sealwright.Refusef(sealwright.ErrTooManyTags, "%d signatures, at most %d are looked at", n, sealwright.MaxTags)
	}
	return pf.read(w, m, c, w.input.find(label))
}

// newLabel returns the label to sign under: that of the profile, of the only
// signature of the message, or sig1.
func (pf *profile) newLabel(w *work) (string, error) {
	switch n := len(w.input.members); {
	case pf.label != "":
		return pf.label, nil
	case n > 1:
		return "", sealwright.Refusef(sealwright.ErrPolicy, "the message has %d signatures, and no label says which one to make again", n)
	case n == 1:
		return w.input.members[0].key, nil
	}
	return defaultLabel, nil
}

// keeps reports whether the components of prior meet the profile, and leaves
// them in w.components.
func (pf *profile) keeps(w *work, prior *member) bool {
	return w.readComponents(prior) == nil && pf.missing(w.components) == nil
}

// newParams sets w.params to the parameters of the new signature: those of
// prior, in their order and as far as they still hold, then those that are
// missing.
func (pf *profile) newParams(w *work, prior *member, f sealwright.Facts) error {
	if !printable(f.KeyID) || !printable(f.Nonce) {
		return sealwright.Refusef(sealwright.ErrConfig, "key ID %q or nonce %q is not printable ASCII", f.KeyID, f.Nonce)
	}
	if prior == nil {
		if pf.requireKeyID && f.KeyID == "" {
			return errNoKeyID()
		}
		w.params = pf.firstParams(w.params[:0], f)
		return nil
	}
	list := append(w.params[:0], w.input.params[prior.params.from:prior.params.to]...)
	if !pf.fresh(list, f.Now) {
		list.drop("expires")
		list.set("created", value{kind: kInteger, num: f.Now.Unix()})
	}
	if created := list.find("created"); pf.requireExpires && created != nil && list.find("expires") == nil {
		list.set("expires", value{kind: kInteger, num: created.num + int64(pf.past/time.Second)})
	}
	if pf.requireNonce && list.find("nonce") == nil {
		list.set("nonce", value{kind: kString, text: f.Nonce})
	}
	if f.KeyID != "" && (pf.requireKeyID || list.find("keyid") != nil) {
		list.set("keyid", value{kind: kString, text: f.KeyID})
	}
	if pf.requireKeyID && list.find("keyid") == nil {
		return errNoKeyID()
	}
	if pf.tag != "" {
		list.set("tag", value{kind: kString, text: pf.tag})
	}
	if list.find("alg") != nil {
		list.set("alg", value{kind: kString, text: algorithm})
	}
	w.params = list
	return nil
}

// firstParams appends the parameters of a signature that is not made again.
func (pf *profile) firstParams(list params, f sealwright.Facts) params {
	now := f.Now.Unix()
	list = append(list, param{"created", value{kind: kInteger, num: now}})
	if pf.requireExpires {
		list = append(list, param{"expires", value{kind: kInteger, num: now + int64(pf.past/time.Second)}})
	}
	if pf.requireNonce {
		list = append(list, param{"nonce", value{kind: kString, text: f.Nonce}})
	}
	if f.KeyID != "" {
		list = append(list, param{"keyid", value{kind: kString, text: f.KeyID}})
	}
	if pf.tag != "" {
		list = append(list, param{"tag", value{kind: kString, text: pf.tag}})
	}
	return list
}

func errNoKeyID() error {
	return sealwright.Refusef(sealwright.ErrConfig, "keyid is required: give the key an ID")
}

// fresh reports whether a signature with these parameters may be made again
// without a new time.
func (pf *profile) fresh(list params, now time.Time) bool {
	if v := list.find("created"); v != nil {
		age := now.Sub(time.Unix(v.num, 0))
		if v.kind != kInteger || age > pf.past || -age > pf.future {
			return false
		}
	} else if pf.requireCreated {
		return false
	}
	v := list.find("expires")
	return v == nil || v.kind == kInteger && !now.After(time.Unix(v.num, 0))
}

// params is a list of parameters under construction.
type params []param

// find returns the value of a parameter, nil if there is none.
func (l params) find(key string) *value {
	for i := range l {
		if l[i].key == key {
			return &l[i].value
		}
	}
	return nil
}

// set replaces the value of a parameter in its place, or adds it at the end.
func (l *params) set(key string, v value) {
	if old := l.find(key); old != nil {
		*old = v
		return
	}
	*l = append(*l, param{key, v})
}

func (l *params) drop(key string) {
	*l = slices.DeleteFunc(*l, func(p param) bool { return p.key == key })
}

// appendReplaced appends the dictionary f with the serialised member w.text
// under key: in the place of that key, or at the end.
func (w *work) appendReplaced(dst []byte, f *field, key string) []byte {
	found := false
	for i := range f.members {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if m := &f.members[i]; m.key != key {
			dst = f.appendEntry(dst, m)
			continue
		}
		found = true
		dst = append(append(append(dst, key...), '='), w.text...)
	}
	if found {
		return dst
	}
	if len(f.members) > 0 {
		dst = append(dst, ", "...)
	}
	return append(append(append(dst, key...), '='), w.text...)
}

// appendDigest appends the Content-Digest that the signature covers, nothing if
// it covers none or the message has one.
func (w *work) appendDigest(dst []byte, m *sealwright.Message) []byte {
	if len(m.Header[digestField]) > 0 {
		return dst
	}
	i := slices.IndexFunc(w.components, func(c component) bool { return c.digest() == digestOfHeader })
	if i < 0 {
		return dst
	}
	algorithm := sha256Name
	if c := &w.components[i]; c.flags&flagKey != 0 {
		algorithm = c.arg
	}
	dst = append(append(dst, algorithm...), "=:"...)
	return append(appendDigest(dst, algorithm, m.Body), ':')
}

// Attach implements [sealwright.SigningScheme].
func (pf *profile) Attach(m *sealwright.Message, c *sealwright.Claim, tag []byte) error {
	w := pf.get()
	defer pf.put(w)
	if err := w.other.parseLines(m.Header[signatureField]); err != nil {
		return sealwright.Refusef(sealwright.ErrMalformed, "%s: %v", signatureField, err)
	}
	w.text = append(canon.Base64.Append(append(w.text[:0], ':'), tag), ':')
	w.line = w.appendReplaced(w.line[:0], &w.other, c.Values[labelValue])
	m.Header[signatureField] = []string{string(w.line)}
	return nil
}
