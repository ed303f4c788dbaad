package rfc9421

import (
	"fmt"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// Most messages look as [profile.Prepare] makes them: one signature, over the
// components that the profile signs, in the one text that RFC 9651 gives it.
// Such a text is read here in one pass, and is itself what the signature base
// ends with. Whatever looks different, also what is wrong, goes the long way
// through the parser of structured fields, so nothing is accepted here that is
// refused there.

// part is a component that the profile signs.
type part struct {
	id     string // with the colon and blank that follow it in a signature base
	header string // canonical name of a field that is signed as it stands; otherwise empty
}

func partsOf(list []component) []part {
	out := make([]part, len(list))
	for i := range list {
		c := &list[i]
		out[i].id = c.String() + ": "
		if c.flags == 0 && c.name[0] != '@' && c.name != "host" {
			out[i].header = canon.HeaderName(c.name)
		}
	}
	return out
}

// tagSize is the length of a tag of 32 bytes in base64.
const tagSize = 44

// expected returns the list and the parameters of the signature of m, which
// stand in w.input.params too, and its tag in base64, if m looks as expected.
func (pf *profile) expected(w *work, m *sealwright.Message) (description, tag string, ok bool) {
	inputs, signatures := m.Header[inputField], m.Header[signatureField]
	if len(inputs) != 1 || len(signatures) != 1 || len(inputs[0]) > maxField || len(signatures[0]) > maxField {
		return "", "", false
	}
	end := strings.IndexByte(inputs[0], '=')
	if end <= 0 {
		return "", "", false
	}
	label := inputs[0][:end]
	if pf.label == "" && !isKey(label) || pf.label != "" && label != pf.label {
		return "", "", false
	}
	description = inputs[0][end+1:]
	params, ok := strings.CutPrefix(description, pf.list)
	if !ok || !w.input.plainParameters(params) {
		return "", "", false
	}
	tag, ok = strings.CutPrefix(signatures[0], label)
	if !ok || len(tag) != len("=:")+tagSize+len(":") || tag[:2] != "=:" || tag[2+tagSize] != ':' {
		return "", "", false
	}
	return description, tag[2 : 2+tagSize], true // whether it is base64 is seen when it is decoded
}

// maxPlain is how many parameters are read in one pass.
const maxPlain = 8

// plainParameters makes the parameters in text those of f. It reports false if
// any of them is not a number without sign or a string without escapes, stands
// twice, or if text is not as it would be serialised.
func (f *field) plainParameters(text string) bool {
	f.params = f.params[:0]
	for text != "" {
		if len(f.params) == maxPlain {
			return false
		}
		f.params = append(f.params, param{})
		last := len(f.params) - 1
		n := f.params[last].plain(text)
		if n == 0 {
			return false
		}
		for i := range last {
			if f.params[i].key == f.params[last].key {
				return false
			}
		}
		text = text[n:]
	}
	return true
}

// plain makes p the parameter that text begins with and returns its length, 0
// if it is none that is read in one pass.
func (p *param) plain(text string) int {
	end := 1
	for end < len(text) && keyChar(text[end]) {
		end++
	}
	if end+1 >= len(text) || text[0] != ';' || text[1] < 'a' || text[1] > 'z' || text[end] != '=' {
		return 0
	}
	p.key = text[1:end]
	start := end + 1
	if text[start] == '"' {
		start++
		size := strings.IndexByte(text[start:], '"')
		if size < 0 {
			return 0
		}
		s := text[start : start+size]
		if !printable(s) || strings.IndexByte(s, '\\') >= 0 {
			return 0
		}
		p.value = value{kind: kString, text: s}
		return start + size + 1
	}
	number := int64(0)
	for end = start; end < len(text) && digit(text[end]); end++ {
		if end-start == 15 {
			return 0
		}
		number = number*10 + int64(text[end]-'0')
	}
	if end == start || text[start] == '0' && end > start+1 || end < len(text) && text[end] != ';' {
		return 0
	}
	p.value = value{kind: kInteger, num: number}
	return end
}

// readExpected is [profile.read] for a signature over what the profile signs:
// description is the list with its parameters as they are serialised.
func (pf *profile) readExpected(w *work, m *sealwright.Message, c *sealwright.Claim, description string, params []param) error {
	c.Covers, c.Private = pf.covers, pf.covered
	if err := pf.readParams(params, c); err != nil {
		return err
	}
	base, err := c.Scratch[:0], error(nil)
	for i := range pf.parts {
		p := &pf.parts[i]
		base = append(base, p.id...)
		if p.header != "" {
			base, err = appendLines(base, m.Header[p.header])
		} else {
			base, err = w.appendValue(base, m, &pf.signs[i])
		}
		if err != nil {
			return sealwright.Refusef(sealwright.ErrMalformed, "%v", fmt.Errorf("component %s: %w", &pf.signs[i], err))
		}
		base = append(base, '\n')
	}
	base = append(base, `"@signature-params": `...)
	c.Scratch = append(base, description...)
	return nil
}
