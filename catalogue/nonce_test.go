package catalogue_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/scheme"
)

// TestA11_NonceIsSigned changes the nonce of every example that has one,
// everywhere in the message: it is refused, or the verdict names the old nonce.
// A nonce that anybody could change would let a message pass again.
func TestA11_NonceIsSigned(t *testing.T) {
	checked := 0
	for _, id := range catalogue.Names() {
		d, err := catalogue.Definition(id)
		if err != nil {
			t.Fatal(err)
		}
		for i := range d.Examples {
			v := &d.Examples[i]
			s, err := d.New(v.Params)
			if err != nil {
				continue
			}
			if nonceChanges(t, id, s, v) {
				checked++
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d nonces were changed", checked)
	}
}

// nonceChanges reports whether the example has a nonce that can be changed.
func nonceChanges(t *testing.T, id string, s sealwright.Scheme, v *scheme.Vector) bool {
	verdict, err := v.Verify(s)
	if err != nil || !verdict.Valid || verdict.Nonce == "" {
		return false
	}
	m, err := v.Message()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := v.Ring()
	if err != nil {
		t.Fatal(err)
	}
	old := verdict.Nonce
	last := old[len(old)-1]
	other := old[:len(old)-1] + string('1'+(last-'0'+8)%8) // a digit, and another one
	if last < '0' || last > '9' {
		other = old[:len(old)-1] + map[bool]string{true: "b", false: "a"}[last == 'a']
	}
	change := func(text string) string { return strings.ReplaceAll(text, old, other) }
	m.Target, m.Body = change(m.Target), []byte(change(string(m.Body)))
	m.Header = maps.Clone(m.Header)
	for name, values := range m.Header {
		values = slices.Clone(values)
		for i := range values {
			values[i] = change(values[i])
		}
		m.Header[name] = values
	}
	verifier := sealwright.Verifier{Scheme: s, Ring: ring}
	if got, err := verifier.Verify(m, v.Time()); err == nil && got.Nonce != old {
		t.Errorf("%s: nonce %q was changed to %q, and the message verifies", id, old, got.Nonce)
	}
	return true
}
