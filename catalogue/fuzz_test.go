package catalogue_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
)

// sample is a signed message of a preset: its first known answer.
type sample struct {
	preset   string
	verifier *sealwright.Verifier
	message  sealwright.Message
	verdict  sealwright.Verdict
	now      time.Time // at which it verifies
}

// samples returns the known answers of all presets that verify as requests.
func samples(tb testing.TB) []sample {
	tb.Helper()
	var out []sample
	for _, id := range catalogue.Names() {
		d, err := catalogue.Definition(id)
		if err != nil {
			tb.Fatal(err)
		}
		for i := range d.Examples {
			v := &d.Examples[i]
			s, err := d.New(v.Params)
			if err != nil {
				tb.Fatal(err)
			}
			m, err := v.Message()
			if err != nil {
				tb.Fatal(err)
			}
			verdict, err := v.Verify(s)
			if err != nil || !verdict.Valid {
				tb.Fatalf("%s: %+v, %v", id, verdict, err)
			}
			ring, err := v.Ring()
			if err != nil {
				tb.Fatal(err)
			}
			out = append(out, sample{preset: id, verifier: &sealwright.Verifier{Scheme: s, Ring: ring}, message: m, verdict: verdict, now: v.Time()})
		}
	}
	return out
}

// FuzzMutated changes one byte of a signed message. If the verdict says that
// the changed part is covered, the message must not verify.
func FuzzMutated(f *testing.F) {
	all := samples(f)
	for i := range all {
		f.Add(uint16(i), byte(0), uint16(3), byte(1))
		f.Add(uint16(i), byte(1), uint16(1), byte(0x20))
		f.Add(uint16(i), byte(2), uint16(7), byte(0x80))
		f.Add(uint16(i), byte(3), uint16(0), byte(0x20))
	}
	f.Fuzz(func(t *testing.T, which uint16, part byte, at uint16, flip byte) {
		s := all[int(which)%len(all)]
		if flip == 0 {
			return
		}
		m, covered := mutate(s, part%4, int(at), flip)
		v := allTimes(s.verifier)
		verdict, err := v.Verify(m, s.now)
		if (err == nil) != verdict.Valid {
			t.Fatalf("error %v beside %+v", err, verdict)
		}
		if err == nil && covered {
			t.Errorf("%s: part %d changed at byte %d by %#x verifies", s.preset, part%4, at, flip)
		}
	})
}

// allTimes is a new verifier, since a used one must not be copied.
func allTimes(v *sealwright.Verifier) *sealwright.Verifier {
	return &sealwright.Verifier{Scheme: v.Scheme, Ring: v.Ring}
}

// mutate returns the message with one byte flipped, and whether the signature
// covers that byte.
func mutate(s sample, part byte, at int, flip byte) (sealwright.Message, bool) {
	m, cov := s.message, s.verdict.Covers
	change := func(text string) string {
		if text == "" {
			return text
		}
		b := []byte(text)
		b[at%len(b)] ^= flip
		return string(b)
	}
	switch part {
	case 0:
		if len(m.Body) == 0 {
			return m, false
		}
		m.Body = bytes.Clone(m.Body)
		m.Body[at%len(m.Body)] ^= flip
		return m, cov.Body && !decodes(s)
	case 1:
		before := m.Target
		m.Target = change(m.Target)
		return m, cov.Path && cov.Query && before != m.Target && !decodes(s)
	case 2:
		before := m.Method
		m.Method = change(m.Method)
		return m, cov.Method && !strings.EqualFold(before, m.Method) // some schemes sign it in upper case
	}
	names := slices.Sorted(maps.Keys(m.Header))
	if len(names) == 0 {
		return m, false
	}
	name := names[at%len(names)]
	m.Header = maps.Clone(m.Header)
	values := slices.Clone(m.Header[name])
	before := values[0]
	values[0] = change(values[0])
	m.Header[name] = values
	return m, slices.Contains(cov.Headers, name) && before != values[0] && !foldsHeaders(s)
}

// decodes reports whether the preset covers decoded parameters, so that
// another encoding of the same text is the same message.
func decodes(s sample) bool {
	return !slices.Contains([]string{"github", "github-sha1", "stripe", "slack", "zoom", "meta", "shopify", "line", "razorpay", "linear",
		"box", "circleci", "paddle", "standard-webhooks", "svix", "square", "hmac-auth", "body-hex", "body-base64", "contentful"}, s.preset)
}

// foldsHeaders reports whether the preset trims or folds header values.
func foldsHeaders(s sample) bool {
	return !slices.Contains([]string{"slack", "zoom", "standard-webhooks", "svix", "contentful", "box"}, s.preset)
}

// FuzzVerify feeds arbitrary messages to every preset: no panic, and nothing
// verifies that was not signed.
func FuzzVerify(f *testing.F) {
	all := samples(f)
	f.Add(uint16(0), "POST", "/x?a=b", "X-Hub-Signature-256", "sha256=00", []byte("body"))
	f.Add(uint16(3), "GET", "/%zz?&&=", "Stripe-Signature", "t=1,v1=,v1", []byte(`{"a":`))
	f.Add(uint16(5), "", "", "Authorization", `HMAC a="\"`, []byte("a=%"))
	f.Fuzz(func(t *testing.T, which uint16, method, target, name, value string, body []byte) {
		s := all[int(which)%len(all)]
		ring := keyring.Must(keyring.Key{ID: "k1", Version: 1, Secret: s.verifier.Ring.Keys()[0].Secret})
		m := sealwright.Message{Method: method, Host: "h.example", Target: target, Body: body, Header: maps.Clone(s.message.Header)}
		if m.Header == nil {
			m.Header = map[string][]string{}
		}
		m.Header[name] = []string{value}
		v := sealwright.Verifier{Scheme: s.verifier.Scheme, Ring: ring}
		verdict, err := v.Verify(m, s.now)
		if (err == nil) != verdict.Valid {
			t.Fatalf("error %v beside %+v", err, verdict)
		}
		signer := sealwright.Signer{Scheme: s.verifier.Scheme, Ring: ring}
		signed, err := signer.Sign(m, s.now)
		if err != nil {
			return
		}
		if _, err := v.Verify(signed, s.now); err != nil {
			t.Errorf("%s: signed, but: %v", s.preset, err)
		}
	})
}
