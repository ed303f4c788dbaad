package sealwright_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/secret"
)

var now = time.Unix(1767225600, 0)

// fake is a scheme whose claims are given by the test. It signs the body into
// the header Tag.
type fake struct {
	claim     func(*sealwright.Claim)
	parse     error
	check     error
	write     error
	keyErr    error
	size      int
	wrote     *int
	algorithm mac.Algorithm
}

func (f fake) Name() string { return "fake" }

func (f fake) Parse(m *sealwright.Message, c *sealwright.Claim) error {
	if f.parse != nil {
		return f.parse
	}
	if f.claim != nil {
		f.claim(c)
	}
	for _, text := range m.Header["Tag"] {
		if err := c.AddTag(text, canon.Hex); err != nil {
			return err
		}
	}
	return nil
}

func (f fake) Key(k *keyring.Key, _ *sealwright.Claim) (*mac.Key, error) {
	if f.keyErr != nil {
		return nil, f.keyErr
	}
	a := f.algorithm
	if a == 0 {
		a = mac.SHA256
	}
	return mac.New(a, k.Secret)
}

func (f fake) Write(w sealwright.Sink, m *sealwright.Message, c *sealwright.Claim, n int) error {
	if f.wrote != nil {
		*f.wrote++
	}
	if len(c.Renderings) > 0 {
		if _, err := w.WriteString(c.Renderings[n]); err != nil {
			return err
		}
	}
	_, err := w.Write(m.Body)
	return errors.Join(err, f.write)
}

func (f fake) Check(*sealwright.Message, *sealwright.Claim) error { return f.check }

func (f fake) TagSize() int {
	if f.size == 0 {
		return mac.SHA256.Size()
	}
	return f.size
}

func (f fake) Warnings() []string { return []string{"it is a fake"} }

func (f fake) Prepare(m *sealwright.Message, c *sealwright.Claim, facts sealwright.Facts) error {
	m.Header["Nonce"] = []string{facts.Nonce}
	m.Header["Key"] = []string{facts.KeyID}
	if f.claim != nil {
		f.claim(c)
	}
	return nil
}

func (f fake) Attach(m *sealwright.Message, _ *sealwright.Claim, tag []byte) error {
	m.Header["Tag"] = []string{canon.Hex.EncodeToString(tag)}
	return nil
}

func key(id string, version int, text string) keyring.Key {
	return keyring.Key{ID: id, Version: version, Secret: secret.FromString(text)}
}

var ring = keyring.Must(key("k1", 2, "the second secret"), key("k1", 1, "the first secret"), key("k2", 1, "another secret"))

// tagged returns a message with the tag of the text under the secret.
func tagged(body, secretText, prefix string) sealwright.Message {
	k, err := mac.New(mac.SHA256, secret.FromString(secretText))
	if err != nil {
		panic(err)
	}
	tag, err := k.Sum(nil, []byte(prefix+body))
	if err != nil {
		panic(err)
	}
	return sealwright.Message{Method: "POST", Body: []byte(body), Header: map[string][]string{"Tag": {canon.Hex.EncodeToString(tag)}}}
}

func TestVerify(t *testing.T) {
	at := func(offset time.Duration) func(*sealwright.Claim) {
		return func(c *sealwright.Claim) { c.At, c.Past, c.Future = now.Add(offset), 300*time.Second, 5*time.Second }
	}
	good := tagged("body", "the second secret", "")
	tests := []struct {
		name   string
		scheme fake
		m      sealwright.Message
		change func(*sealwright.Verifier)
		want   error
	}{
		{name: "Valid", m: good},
		{name: "OldVersion", m: tagged("body", "the first secret", "")},
		{name: "OtherKey", m: tagged("body", "another secret", "")},
		{name: "WrongSecret", m: tagged("body", "no secret of ours", ""), want: sealwright.ErrMismatch},
		{name: "NoTag", m: sealwright.Message{}, want: sealwright.ErrMissing},
		{name: "Parse", scheme: fake{parse: sealwright.Refusef(sealwright.ErrMalformed, "x")}, m: good, want: sealwright.ErrMalformed},
		{name: "KeyIDKnown", scheme: fake{claim: func(c *sealwright.Claim) { c.KeyID = "k1" }}, m: good},
		{name: "KeyIDOfAnother", scheme: fake{claim: func(c *sealwright.Claim) { c.KeyID = "k2" }}, m: good, want: sealwright.ErrMismatch},
		{name: "KeyIDUnknown", scheme: fake{claim: func(c *sealwright.Claim) { c.KeyID = "k9" }}, m: good, want: sealwright.ErrUnknownKey},
		{name: "JustFresh", scheme: fake{claim: at(-300 * time.Second)}, m: good},
		{name: "JustStale", scheme: fake{claim: at(-300*time.Second - 1)}, m: good, want: sealwright.ErrStale},
		{name: "JustAhead", scheme: fake{claim: at(5 * time.Second)}, m: good},
		{name: "TooFarAhead", scheme: fake{claim: at(5*time.Second + 1)}, m: good, want: sealwright.ErrFuture},
		{name: "CenturiesAhead", scheme: fake{claim: func(c *sealwright.Claim) {
			c.At, c.Past, c.Future = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Minute, time.Minute
		}}, m: good, want: sealwright.ErrFuture},
		{name: "CenturiesAgo", scheme: fake{claim: func(c *sealwright.Claim) {
			c.At, c.Past, c.Future = time.Date(1, 2, 1, 0, 0, 0, 0, time.UTC), time.Minute, time.Minute
		}}, m: good, want: sealwright.ErrStale},
		{name: "NarrowerPast", scheme: fake{claim: at(-20 * time.Second)}, m: good,
			change: func(v *sealwright.Verifier) { v.Past = 10 * time.Second }, want: sealwright.ErrStale},
		{name: "NarrowerFuture", scheme: fake{claim: at(4 * time.Second)}, m: good,
			change: func(v *sealwright.Verifier) { v.Future = time.Second }, want: sealwright.ErrFuture},
		{name: "TimeBeforeKey", scheme: fake{claim: func(c *sealwright.Claim) { at(-time.Hour)(c); c.KeyID = "k9" }}, m: good, want: sealwright.ErrStale},
		{name: "Digest", scheme: fake{check: sealwright.Refusef(sealwright.ErrDigest, "x")}, m: good, want: sealwright.ErrDigest},
		{name: "DigestAfterTag", scheme: fake{check: sealwright.ErrDigest}, m: tagged("body", "no secret of ours", ""), want: sealwright.ErrMismatch},
		{name: "BadKeyForm", scheme: fake{keyErr: errors.New("not base64")}, m: good, want: sealwright.ErrConfig},
		{name: "Required", m: good, change: func(v *sealwright.Verifier) { v.Require.Body = true }, want: sealwright.ErrPolicy},
		{name: "NoRing", m: good, change: func(v *sealwright.Verifier) { v.Ring = nil }, want: sealwright.ErrConfig},
		{name: "NoScheme", m: good, change: func(v *sealwright.Verifier) { v.Scheme = nil }, want: sealwright.ErrConfig},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := sealwright.Verifier{Scheme: tt.scheme, Ring: ring}
			if tt.change != nil {
				tt.change(&v)
			}
			verdict, err := v.Verify(tt.m, now)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("error is %v, want %v", err, tt.want)
			}
			if verdict.Valid != (err == nil) || verdict.Reason != sealwright.ReasonOf(err) {
				t.Errorf("verdict is %+v beside the error %v", verdict, err)
			}
		})
	}
}

func TestVerdictNamesTheKey(t *testing.T) {
	v := sealwright.Verifier{Scheme: fake{}, Ring: ring}
	for _, tt := range []struct {
		secret  string
		id      string
		version int
	}{{"the second secret", "k1", 2}, {"the first secret", "k1", 1}, {"another secret", "k2", 1}} {
		verdict, err := v.Verify(tagged("b", tt.secret, ""), now)
		if err != nil || verdict.KeyID != tt.id || verdict.Version != tt.version {
			t.Errorf("%s: %+v, %v; want key %s version %d", tt.secret, verdict, err, tt.id, tt.version)
		}
	}
	// "another secret" has 14 bytes: the verdict says that this is short.
	verdict, err := v.Verify(tagged("b", "another secret", ""), now)
	if err != nil || !strings.Contains(strings.Join(verdict.Warnings, "\n"), "shorter than 16 bytes") {
		t.Errorf("warnings are %q, %v", verdict.Warnings, err)
	}
}

func TestRenderings(t *testing.T) {
	scheme := fake{claim: func(c *sealwright.Claim) { c.Renderings = []string{"first", "second"} }}
	v := sealwright.Verifier{Scheme: scheme, Ring: ring}
	for _, name := range []string{"first", "second"} {
		verdict, err := v.Verify(tagged("body", "the second secret", name), now)
		if err != nil || verdict.Rendering != name {
			t.Errorf("%s: %+v, %v", name, verdict, err)
		}
	}
	if _, err := v.Verify(tagged("body", "the second secret", "third"), now); !errors.Is(err, sealwright.ErrMismatch) {
		t.Errorf("a rendering that is not declared: %v", err)
	}
}

// TestUnknownKeyCosts: an unknown key ID computes as many MACs as a wrong tag by
// one known key.
func TestUnknownKeyCosts(t *testing.T) {
	count := func(id string) int {
		n := 0
		v := sealwright.Verifier{Scheme: fake{wrote: &n, claim: func(c *sealwright.Claim) { c.KeyID = id }}, Ring: keyring.Must(key("k1", 1, "the only secret"))}
		if _, err := v.Verify(tagged("body", "wrong", ""), now); err == nil {
			t.Fatal("verifies")
		}
		return n
	}
	if known, unknown := count("k1"), count("k9"); known != unknown {
		t.Errorf("%d MACs for a known key, %d for an unknown one", known, unknown)
	}
}

func TestTruncatedTags(t *testing.T) {
	m := tagged("body", "the second secret", "")
	full := m.Header["Tag"][0]
	v := sealwright.Verifier{Scheme: fake{size: 16}, Ring: ring}
	for length, ok := range map[int]bool{16: true, 15: false, 17: false, 32: false} {
		m.Header["Tag"] = []string{full[:2*length]}
		if _, err := v.Verify(m, now); (err == nil) != ok {
			t.Errorf("a tag of %d bytes: %v", length, err)
		}
	}
}

func TestMaxTags(t *testing.T) {
	m := tagged("body", "the second secret", "")
	good := m.Header["Tag"][0]
	bad := strings.Repeat("00", 32)
	v := sealwright.Verifier{Scheme: fake{}, Ring: ring}
	m.Header["Tag"] = append(strings.Split(strings.Repeat(bad+" ", sealwright.MaxTags-1)[:(64+1)*(sealwright.MaxTags-1)-1], " "), good)
	if _, err := v.Verify(m, now); err != nil {
		t.Errorf("the last of %d tags: %v", sealwright.MaxTags, err)
	}
	m.Header["Tag"] = append(m.Header["Tag"], bad)
	if _, err := v.Verify(m, now); !errors.Is(err, sealwright.ErrTooManyTags) {
		t.Errorf("one tag more: %v, want %v", err, sealwright.ErrTooManyTags)
	}
}

// owners is fake for messages whose tags belong to keys: ID=tag.
type owners struct{ fake }

func (o owners) Parse(m *sealwright.Message, c *sealwright.Claim) error {
	for _, text := range m.Header["Tag"] {
		id, tag, _ := strings.Cut(text, "=")
		if err := c.AddTagOf(id, tag, canon.Hex); err != nil {
			return err
		}
	}
	return nil
}

// TestTagsOfKeys: a tag counts only under the key that it belongs to.
func TestTagsOfKeys(t *testing.T) {
	first, other := tagged("body", "the first secret", "").Header["Tag"][0], tagged("body", "another secret", "").Header["Tag"][0]
	v := sealwright.Verifier{Scheme: owners{}, Ring: ring}
	for _, tt := range []struct {
		name string
		tags []string
		want error
	}{
		{"Own", []string{"k1=" + first}, nil},
		{"OwnBehindAnother", []string{"k9=" + other, "k1=" + first}, nil},
		{"OfAnotherKey", []string{"k1=" + other}, sealwright.ErrMismatch},
		{"Swapped", []string{"k1=" + other, "k2=" + first}, sealwright.ErrMismatch},
		{"OfNoKey", []string{"k9=" + first}, sealwright.ErrMismatch},
		{"OfAnyKey", []string{"=" + first}, nil},
	} {
		if _, err := v.Verify(sealwright.Message{Body: []byte("body"), Header: map[string][]string{"Tag": tt.tags}}, now); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestSign(t *testing.T) {
	s := sealwright.Signer{Scheme: fake{}, Ring: ring, Nonce: func() string { return "n1" }}
	m := sealwright.Message{Method: "POST", Body: []byte("body"), Header: map[string][]string{"Other": {"x"}}}
	signed, err := s.Sign(m, now)
	if err != nil {
		t.Fatal(err)
	}
	want := tagged("body", "the second secret", "").Header["Tag"]
	if diff := cmp.Diff(map[string][]string{"Other": {"x"}, "Tag": want, "Nonce": {"n1"}, "Key": {"k1"}}, signed.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if len(m.Header) != 1 {
		t.Errorf("the message itself was changed: %v", m.Header)
	}
	for _, tt := range []struct {
		name string
		s    *sealwright.Signer
		want error
	}{
		{"NoScheme", &sealwright.Signer{Ring: ring}, sealwright.ErrConfig},
		{"NoRing", &sealwright.Signer{Scheme: fake{}}, sealwright.ErrConfig},
		{"VerifiesOnly", &sealwright.Signer{Scheme: verifyOnly{fake{}}, Ring: ring}, sealwright.ErrCannotSign},
		{"LegacyNotPinned", &sealwright.Signer{Scheme: fake{algorithm: mac.SHA1}, Ring: ring}, sealwright.ErrConfig},
		{"Write", &sealwright.Signer{Scheme: fake{write: sealwright.ErrMalformed}, Ring: ring}, sealwright.ErrMalformed},
	} {
		if _, err := tt.s.Sign(m, now); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.name, err, tt.want)
		}
	}
}

// verifyOnly hides the signing half of a scheme.
type verifyOnly struct{ sealwright.Scheme }

func TestSignNonces(t *testing.T) {
	s := sealwright.Signer{Scheme: fake{}, Ring: ring}
	seen := map[string]bool{}
	for range 100 {
		m, err := s.Sign(sealwright.Message{}, now)
		if err != nil {
			t.Fatal(err)
		}
		n := m.Header["Nonce"][0]
		if seen[n] || len(n) < 22 {
			t.Fatalf("nonce %q is short or stood before", n)
		}
		seen[n] = true
	}
}

func TestVerdictJSON(t *testing.T) {
	v := sealwright.Verdict{Valid: true, Scheme: "s", KeyID: "k", Version: 3, Algorithm: mac.SHA256, Covers: sealwright.Coverage{Body: true},
		At: now.Add(time.Second), Age: -time.Second, Warnings: []string{"w"}}
	got, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"valid":true,"scheme":"s","key_id":"k","version":3,"algorithm":"hmac-sha256","covers":{"method":false,"path":false,"query":false,` +
		`"host":false,"body":true,"time":false,"key_id":false},"time":"2026-01-01T00:00:01Z","age_seconds":-1,"skew_seconds":1,"warnings":["w"]}`
	if string(got) != want {
		t.Errorf("JSON is\n%s, want\n%s", got, want)
	}
}

func TestCoverageMissing(t *testing.T) {
	have := sealwright.Coverage{Body: true, Time: true, Headers: []string{"Date"}}
	need := sealwright.Coverage{Method: true, Body: true, Headers: []string{"date", "Host"}, Fields: []string{"id"}}
	if diff := cmp.Diff([]string{"method", "header Host", "field id"}, have.Missing(need)); diff != "" {
		t.Errorf("Missing (-want +got):\n%s", diff)
	}
}

func TestSplitURL(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"https://example.com/a?b=c", "https example.com /a?b=c"}, {"http://example.com:8080", "http example.com:8080 "},
		{"https://h?q", "https h ?q"}, {"https://h/%2F//x#y", "https h /%2F//x#y"}, {"https://[::1]:1/", "https [::1]:1 /"},
		{"ftp://h/", "!"}, {"https:///a", "!"}, {"example.com", "!"}, {"", "!"}, {"HTTPS://h/", "!"},
	} {
		scheme, host, target, err := sealwright.SplitURL(tt.url)
		got := fmt.Sprintf("%s %s %s", scheme, host, target)
		if err != nil {
			got = "!"
		}
		if got != tt.want {
			t.Errorf("%q: %q, want %q", tt.url, got, tt.want)
		}
	}
}

func TestReasons(t *testing.T) {
	for _, err := range []error{sealwright.ErrMissing, sealwright.ErrMalformed, sealwright.ErrTooManyTags, sealwright.ErrStale, sealwright.ErrFuture,
		sealwright.ErrUnknownKey, sealwright.ErrMismatch, sealwright.ErrDigest, sealwright.ErrPolicy, sealwright.ErrConfig} {
		wrapped := sealwright.Refusef(err, "at %d", 7)
		if sealwright.ReasonOf(wrapped) == "" || (sealwright.ReasonOf(wrapped) == sealwright.ReasonConfig) != (err == sealwright.ErrConfig) {
			t.Errorf("%v has the reason %q", err, sealwright.ReasonOf(wrapped))
		}
		if !strings.HasSuffix(wrapped.Error(), ": at 7") {
			t.Errorf("text is %q", wrapped)
		}
	}
	if sealwright.ReasonOf(nil) != "" {
		t.Error("no error has a reason")
	}
}
