package catalogue_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

// The tests of this file hold the attack classes of docs/design/attacks.md
// against the data engine, with presets as examples. Each is named after the
// ID of its class.

func verify(preset string, ring *keyring.Ring, m sealwright.Message, now time.Time) (sealwright.Verdict, error) {
	v := sealwright.Verifier{Scheme: catalogue.Must(preset), Ring: ring}
	return v.Verify(m, now)
}

// with returns m with one header replaced.
func with(m sealwright.Message, name string, values ...string) sealwright.Message {
	m.Header = maps.Clone(m.Header)
	m.Header[name] = values
	if len(values) == 0 {
		delete(m.Header, name)
	}
	return m
}

func wantRefused(t *testing.T, preset string, ring *keyring.Ring, m sealwright.Message, want ...error) {
	t.Helper()
	verdict, err := verify(preset, ring, m, benchNow)
	if err == nil || verdict.Valid {
		t.Fatalf("verifies, want a refusal")
	}
	if len(want) > 0 && !slices.ContainsFunc(want, func(e error) bool { return errors.Is(err, e) }) {
		t.Errorf("error is %v, want one of %v", err, want)
	}
}

func TestA01_EmptySecret(t *testing.T) {
	for _, preset := range []string{"github", "standard-webhooks", "adyen"} {
		if _, err := keyring.New(keyring.Key{Secret: secret.FromString("")}); !errors.Is(err, keyring.ErrEmptySecret) {
			t.Errorf("%s: a ring with an empty secret: error is %v", preset, err)
		}
		v := sealwright.Verifier{Scheme: catalogue.Must(preset)}
		if _, err := v.Verify(sealwright.Message{}, benchNow); !errors.Is(err, sealwright.ErrConfig) {
			t.Errorf("%s: a verifier without keys: error is %v", preset, err)
		}
	}
	// A secret that decodes to nothing must not become the empty key.
	for _, s := range []string{"whsec_", "whsec_===="} {
		m, _ := signed(t, "standard-webhooks", 64)
		ring := keyring.Must(keyring.Key{Secret: secret.FromString(s)})
		if _, err := verify("standard-webhooks", ring, m, benchNow); !errors.Is(err, sealwright.ErrConfig) {
			t.Errorf("secret %q: error is %v, want %v", s, err, sealwright.ErrConfig)
		}
	}
}

func TestA02_MissingSignature(t *testing.T) {
	for _, tt := range []struct{ preset, header string }{
		{"github", "X-Hub-Signature-256"}, {"stripe", "Stripe-Signature"}, {"slack", "X-Slack-Signature"},
		{"standard-webhooks", "Webhook-Signature"}, {"shopify", "X-Shopify-Hmac-Sha256"}, {"hmac-auth", "Authorization"},
	} {
		m, ring := signed(t, tt.preset, 64)
		for _, values := range [][]string{nil, {""}, {"sha256="}, {"v0="}, {"v1,"}, {"t=1767225600,v1="}, {"t=1767225600"}, {" "}, {"v1"}, {","}} {
			t.Run(fmt.Sprintf("%s/%q", tt.preset, values), func(t *testing.T) {
				wantRefused(t, tt.preset, ring, with(m, tt.header, values...), sealwright.ErrMissing, sealwright.ErrMalformed)
			})
		}
	}
}

func TestA03_PrefixOrLength(t *testing.T) {
	m, ring := signed(t, "github", 64)
	tag := strings.TrimPrefix(m.Header["X-Hub-Signature-256"][0], "sha256=")
	for n := range len(tag) {
		wantRefused(t, "github", ring, with(m, "X-Hub-Signature-256", "sha256="+tag[:n]))
	}
	for _, more := range []string{"00", tag, strings.Repeat("0", 64), strings.Repeat("0", 1<<16)} {
		wantRefused(t, "github", ring, with(m, "X-Hub-Signature-256", "sha256="+tag+more))
	}
	key, err := mac.New(mac.SHA512, secret.New(ring.Keys()[0].Secret.Expose()))
	if err != nil {
		t.Fatal(err)
	}
	long, err := key.Sum(nil, m.Body)
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, "github", ring, with(m, "X-Hub-Signature-256", "sha256="+hex.EncodeToString(long)))
	wantRefused(t, "github", ring, with(m, "X-Hub-Signature-256", "sha256="+hex.EncodeToString(long[:32])))
}

func TestA05_Crash(t *testing.T) {
	for _, preset := range []string{"github", "stripe", "standard-webhooks", "slack", "hmac-auth", "twilio", "box", "contentful"} {
		m, ring := signed(t, preset, 64)
		for name := range m.Header {
			for _, value := range []string{
				"\x00", "\xff\xfe", "é", strings.Repeat("a", 1<<20), strings.Repeat("v1=00,", 1000), strings.Repeat("v1,AA== ", 1000),
				`HMAC apiKey="`, `HMAC apiKey="a\`, `HMAC ="`, "t=,v1=,", "=", ",,,,", "sha256=0", "sha256=zz", "v1,!", "AAA", "A===", "====",
				"9223372036854775808", "-1", "t=9999999999999999999,v1=00",
			} {
				if verdict, err := verify(preset, ring, with(m, name, value), benchNow); err == nil && value != m.Header[name][0] && name != "Content-Type" {
					t.Errorf("%s: %s: %.20q verifies: %+v", preset, name, value, verdict)
				}
			}
		}
		for _, body := range []string{"", "{", `{"a":`, "\x00", strings.Repeat("[", 1<<16), `{"a":1}{`, "%", "a=%zz&b", "&&&"} {
			broken := m
			broken.Body = []byte(body)
			if _, err := verify(preset, ring, broken, benchNow); err == nil {
				t.Errorf("%s: body %.20q verifies", preset, body)
			}
		}
	}
}

func TestA06_AlgorithmFromTheRequest(t *testing.T) {
	m, ring := signed(t, "box", 64)
	for _, name := range []string{"HmacMD5", "HmacSHA1", "none", "HmacSHA256 ", "", "hmacsha256"} {
		wantRefused(t, "box", ring, with(m, "Box-Signature-Algorithm", name), sealwright.ErrPolicy)
	}
	wantRefused(t, "box", ring, with(m, "Box-Signature-Version", "2"), sealwright.ErrPolicy)
	// A SHA-1 tag is no way around the SHA-256 header.
	g, ring := signed(t, "github", 64)
	old, _ := signed(t, "github-sha1", 64)
	g.Header["X-Hub-Signature"] = old.Header["X-Hub-Signature"]
	wantRefused(t, "github", ring, with(g, "X-Hub-Signature-256"), sealwright.ErrMissing)
	wantRefused(t, "github", ring, with(g, "X-Hub-Signature-256", old.Header["X-Hub-Signature"]...), sealwright.ErrMalformed)
}

// TestA07_CanonicalCollision moves bytes over every border of the fields of
// hmac-auth and of Standard Webhooks.
func TestA07_CanonicalCollision(t *testing.T) {
	m, ring := signed(t, "standard-webhooks", 64)
	id, ts := m.Header["Webhook-Id"][0], m.Header["Webhook-Timestamp"][0]
	moved := with(with(m, "Webhook-Id", id+"."+ts), "Webhook-Timestamp", "1")
	moved.Body = append([]byte(""), m.Body...)
	wantRefused(t, "standard-webhooks", ring, moved, sealwright.ErrMalformed)

	m, ring = signed(t, "hmac-auth", 64)
	for _, tt := range []struct{ name, method, target string }{
		{"method into path", "POS", "T/in?a=1"}, {"query into path", "POST", "/in\na=1"}, {"line feed in method", "POST\n/in", "?a=1"},
		{"path into query", "POST", "/i?na=1"}, {"second question mark", "POST", "/in??a=1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			moved := m
			moved.Method, moved.Target = tt.method, tt.target
			wantRefused(t, "hmac-auth", ring, moved)
		})
	}
	// The definition says where borders are weak.
	d, err := catalogue.Definition("twilio")
	if err != nil {
		t.Fatal(err)
	}
	if w := strings.Join(d.Warnings(), "\n"); !strings.Contains(w, "without separators") {
		t.Errorf("warnings of twilio do not name the missing separators: %s", w)
	}
}

func TestA08_LengthExtension(t *testing.T) {
	for _, algorithm := range []string{"sha256", "md5", "plain-sha256", "none", ""} {
		data := fmt.Sprintf(`{"id":"x","tier":"unverified","direction":"webhook","source":"s","doc":"d","algorithm":%q,
			"key":{"encoding":"utf8"},"tag":{"from":"header:X","encoding":"hex"},"message":["{secret}{body}"],"kat":[{"secret":"s","request":{"method":"POST","url":"https://a/"}}]}`, algorithm)
		if _, err := scheme.Load([]byte(data), nil); !errors.Is(err, mac.ErrUnknownAlgorithm) {
			t.Errorf("algorithm %q: error is %v, want %v", algorithm, err, mac.ErrUnknownAlgorithm)
		}
	}
}

func TestA09_UnsignedTimestamp(t *testing.T) {
	const format = `{"id":"x","tier":"unverified","direction":"webhook","source":"s","doc":"d","algorithm":"hmac-sha256",%s
		"key":{"encoding":"utf8"},"tag":{"from":"header:X-Tag","encoding":"hex"},"message":["{body}"],
		"time":{"from":"header:X-Time","format":"unix"},
		"kat":[{"secret":"key","request":{"method":"POST","url":"https://a/","body":"a","headers":{"X-Time":["1"],
		"X-Tag":["780c3db4ce3de5b9e55816fba98f590631d96c075271b26976238d5f4444219b"]}}}]}`
	if _, err := scheme.Load(fmt.Appendf(nil, format, ""), nil); err == nil || !strings.Contains(err.Error(), "A09") {
		t.Errorf("unsigned time: error is %v, want one that names A09", err)
	}
	d, err := scheme.Load(fmt.Appendf(nil, format, `"unsigned_time":"accepted-risk",`), nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := d.Examples[0].Verify(mustNew(t, d))
	if err != nil || !v.Valid {
		t.Fatalf("known answer: %+v, %v", v, err)
	}
	if !v.At.IsZero() || v.Covers.Time {
		t.Errorf("an unsigned time counts: %+v", v)
	}
}

func mustNew(t *testing.T, d *scheme.Definition) sealwright.Scheme {
	t.Helper()
	s, err := d.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestA10_EitherOfTwoClocks(t *testing.T) {
	m, ring := signed(t, "slack", 64)
	old := time.Unix(1767225600-3600, 0)
	signer := sealwright.Signer{Scheme: catalogue.Must("slack"), Ring: ring}
	stale, err := signer.Sign(with(with(m, "X-Slack-Request-Timestamp"), "X-Slack-Signature"), old)
	if err != nil {
		t.Fatal(err)
	}
	fresh := strconv.FormatInt(benchNow.Unix(), 10)
	for _, name := range []string{"Date", "X-Date", "X-Request-Timestamp", "X-Timestamp"} {
		wantRefused(t, "slack", ring, with(stale, name, fresh), sealwright.ErrStale)
	}
}

func TestA14_ParsingOfTime(t *testing.T) {
	m, ring := signed(t, "slack", 64)
	for _, value := range []string{
		"1767225600000", "0", "-1", "9223372036854775807", "9223372036854775808", "1e9", "0x10", "+5", " 5", "5 ", "5.0", "",
		"１７６７２２５６００", "1767225600 ", "+1767225600", "1767312000", "01767225600x", "1_767_225_600",
	} {
		wantRefused(t, "slack", ring, with(m, "X-Slack-Request-Timestamp", value),
			sealwright.ErrMalformed, sealwright.ErrStale, sealwright.ErrFuture)
	}
	s, ring := signed(t, "stripe", 64)
	wantRefused(t, "stripe", ring, with(s, "Stripe-Signature", "t=1767225600,"+s.Header["Stripe-Signature"][0]), sealwright.ErrMalformed)
}

// TestA14_Window holds the bounds: 300 s pass, 301 s do not, on both sides.
func TestA14_Window(t *testing.T) {
	m, ring := signed(t, "stripe", 64)
	for _, tt := range []struct {
		offset time.Duration
		want   error
	}{
		{300 * time.Second, nil}, {301 * time.Second, sealwright.ErrStale}, {-300 * time.Second, nil}, {-301 * time.Second, sealwright.ErrFuture},
		{24 * time.Hour, sealwright.ErrStale}, {-24 * time.Hour, sealwright.ErrFuture},
	} {
		if _, err := verify("stripe", ring, m, benchNow.Add(tt.offset)); !errors.Is(err, tt.want) {
			t.Errorf("%v after signing: error is %v, want %v", tt.offset, err, tt.want)
		}
	}
}

func TestA15_BodyNotBound(t *testing.T) {
	for _, preset := range []string{"github", "stripe", "hmac-auth", "twilio", "contentful"} {
		m, ring := signed(t, preset, 64)
		changed := m
		changed.Body = append(bytes.Clone(m.Body), 'x')
		wantRefused(t, preset, ring, changed)
		changed.Body = nil
		wantRefused(t, preset, ring, changed)
	}
	// Twilio binds other bodies than forms by a digest: without it they are refused.
	m, ring := signed(t, "twilio", 64)
	form := m
	form = with(form, "Content-Type", "application/x-www-form-urlencoded")
	wantRefused(t, "twilio", ring, form)
	// Adyen covers eight fields and says so.
	verdict := verdictOf(t, "adyen")
	if verdict.Covers.Body || len(verdict.Covers.Fields) != 8 {
		t.Errorf("adyen covers %+v, want eight fields and no body", verdict.Covers)
	}
}

func verdictOf(t *testing.T, preset string) sealwright.Verdict {
	t.Helper()
	d, err := catalogue.Definition(preset)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.New(d.Examples[0].Params)
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := d.Examples[0].Verify(s)
	if err != nil || !verdict.Valid {
		t.Fatalf("known answer of %s: %+v, %v", preset, verdict, err)
	}
	return verdict
}

func TestA16_TargetNotBound(t *testing.T) {
	m, ring := signed(t, "hmac-auth", 64)
	for _, target := range []string{"/in?a=2", "/in", "/in?", "/in?a=1&b=2", "/%69n?a=1", "//in?a=1", "/in/?a=1", "/IN?a=1", "/in;x?a=1", "https://hooks.example.com/in?a=1"} {
		changed := m
		changed.Target = target
		wantRefused(t, "hmac-auth", ring, changed, sealwright.ErrMismatch)
	}
	for _, tt := range []struct {
		preset string
		want   sealwright.Coverage
	}{
		{"github", sealwright.Coverage{Body: true}},
		{"stripe", sealwright.Coverage{Body: true, Time: true}},
		{"hmac-auth", sealwright.Coverage{Method: true, Path: true, Query: true, Body: true, Time: true}},
		{"square", sealwright.Coverage{Body: true}},
	} {
		got := verdictOf(t, tt.preset).Covers
		got.Headers = nil
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s covers %+v, want %+v", tt.preset, got, tt.want)
		}
	}
	v := sealwright.Verifier{Scheme: catalogue.Must("github"), Ring: benchRing(), Require: sealwright.Coverage{Path: true}}
	g, _ := signed(t, "github", 64)
	if _, err := v.Verify(g, benchNow); !errors.Is(err, sealwright.ErrPolicy) {
		t.Errorf("path required of github: error is %v, want %v", err, sealwright.ErrPolicy)
	}
}

func TestA19_DuplicateHeaders(t *testing.T) {
	for _, preset := range []string{"github", "stripe", "slack", "standard-webhooks", "hmac-auth", "contentful", "box"} {
		m, ring := signed(t, preset, 64)
		for name, values := range m.Header {
			if name == "Content-Type" {
				continue
			}
			wantRefused(t, preset, ring, with(m, name, values[0], values[0]), sealwright.ErrMalformed)
			t.Run(preset+" joined "+name, func(t *testing.T) {
				wantRefused(t, preset, ring, with(m, name, values[0]+", "+values[0]))
			})
		}
	}
	// Spelling does not hide a duplicate.
	h := sealwright.CanonicalHeader(map[string][]string{"x-hub-signature-256": {"a"}, "X-Hub-Signature-256": {"b"}})
	if len(h["X-Hub-Signature-256"]) != 2 {
		t.Errorf("canonical headers are %v, want both values", h)
	}
	// Parameters inside Authorization.
	m, ring := signed(t, "hmac-auth", 64)
	a := m.Header["Authorization"][0]
	wantRefused(t, "hmac-auth", ring, with(m, "Authorization", a+`, nonce="x"`), sealwright.ErrMalformed)
	wantRefused(t, "hmac-auth", ring, with(m, "Authorization", a+`, other="x"`), sealwright.ErrMalformed)
}

func TestA20_VersionEcho(t *testing.T) {
	m, ring := signed(t, "slack", 64)
	ts := m.Header["X-Slack-Request-Timestamp"][0]
	key, err := mac.New(mac.SHA256, ring.Keys()[0].Secret)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := key.Sum(nil, []byte("v9:"+ts+":"), m.Body)
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, "slack", ring, with(m, "X-Slack-Signature", "v9="+hex.EncodeToString(tag)), sealwright.ErrMalformed)
	s, ring := signed(t, "stripe", 64)
	wantRefused(t, "stripe", ring, with(s, "Stripe-Signature", strings.Replace(s.Header["Stripe-Signature"][0], "v1=", "v0=", 1)), sealwright.ErrMissing)
}

func TestA23_TagIndependentOfMessage(t *testing.T) {
	if err := mac.SelfTest(); err != nil {
		t.Error(err)
	}
	m, ring := signed(t, "github", 64)
	changed := m
	changed.Body = []byte("another")
	wantRefused(t, "github", ring, changed, sealwright.ErrMismatch)
}

func TestA24_CostBeforeAuthentication(t *testing.T) {
	m, ring := signed(t, "stripe", 64)
	long := "t=1767225600" + strings.Repeat(",v1="+strings.Repeat("0", 64), 10000)
	wantRefused(t, "stripe", ring, with(m, "Stripe-Signature", long), sealwright.ErrTooManyTags)
	s, ring := signed(t, "standard-webhooks", 64)
	wantRefused(t, "standard-webhooks", ring, with(s, "Webhook-Signature", strings.Repeat("v9,x ", 10000)+"v1,AAAA"), sealwright.ErrTooManyTags)
	signer := sealwright.Signer{Scheme: catalogue.Must("plivo-v3"), Ring: ring}
	form, err := signer.Sign(sealwright.Message{
		Method: "POST", Host: "h", Target: "/", Body: []byte("a=b"),
		Header: map[string][]string{"Content-Type": {"application/x-www-form-urlencoded"}},
	}, benchNow)
	if err != nil {
		t.Fatal(err)
	}
	form.Body = []byte(strings.Repeat("a=b&", 1<<18))
	wantRefused(t, "plivo-v3", ring, form, sealwright.ErrMalformed)
}

func TestA25_WrongBinding(t *testing.T) {
	m, _ := signed(t, "hmac-auth", 64)
	other := keyring.Must(keyring.Key{ID: "k2", Version: 1, Secret: benchRing().Keys()[0].Secret})
	if _, err := verify("hmac-auth", other, m, benchNow); !errors.Is(err, sealwright.ErrUnknownKey) {
		t.Errorf("key of another ID: error is %v, want %v", err, sealwright.ErrUnknownKey)
	}
	wrong := keyring.Must(keyring.Key{ID: "k1", Version: 1, Secret: secret.FromString("another endpoint's secret")})
	verdict, err := verify("hmac-auth", wrong, m, benchNow)
	if !errors.Is(err, sealwright.ErrMismatch) || verdict.KeyID != "k1" {
		t.Errorf("another secret: %+v, %v", verdict, err)
	}
}

// TestA27_Leak looks for the secret and the right tag in everything that a
// refusal says.
func TestA27_Leak(t *testing.T) {
	for _, preset := range benchPresets {
		m, ring := signed(t, preset, 64)
		key, err := ring.Signing(benchNow)
		if err != nil {
			t.Fatal(err)
		}
		changed := m
		changed.Body = []byte("changed")
		bytesSigned, c, err := sealwright.SignedBytes(catalogue.Must(preset), key, changed)
		if err != nil {
			t.Fatal(err)
		}
		k, err := catalogue.Must(preset).Key(key, c)
		if err != nil {
			t.Fatal(err)
		}
		tag, err := k.Sum(nil, bytesSigned[0])
		if err != nil {
			t.Fatal(err)
		}
		verdict, err := verify(preset, ring, changed, benchNow)
		said := fmt.Sprintf("%v %+v", err, verdict)
		for _, leak := range []string{string(key.Secret.Expose()), hex.EncodeToString(tag), base64.StdEncoding.EncodeToString(tag), string(bytesSigned[0])} {
			if strings.Contains(said, leak) {
				t.Errorf("%s: a refusal says %q", preset, leak)
			}
		}
	}
}

// TestA28_Enumeration: an unknown key ID and a wrong tag differ in the reason
// for operators only, and both compute a MAC.
func TestA28_Enumeration(t *testing.T) {
	m, ring := signed(t, "hmac-auth", 64)
	unknown := with(m, "Authorization", strings.Replace(m.Header["Authorization"][0], `apiKey="k1"`, `apiKey="k9"`, 1))
	wantRefused(t, "hmac-auth", ring, unknown, sealwright.ErrUnknownKey)
	counting := &countingScheme{SigningScheme: catalogue.Must("hmac-auth").(sealwright.SigningScheme)}
	v := sealwright.Verifier{Scheme: counting, Ring: ring}
	for _, msg := range []sealwright.Message{unknown, with(m, "Authorization", strings.Replace(m.Header["Authorization"][0], `signature="`, `signature="00`, 1))} {
		counting.writes = 0
		if _, err := v.Verify(msg, benchNow); err == nil {
			t.Fatal("verifies")
		}
		if counting.writes != 1 {
			t.Errorf("%d messages were written into a MAC, want 1", counting.writes)
		}
	}
}

type countingScheme struct {
	sealwright.SigningScheme
	writes int
}

func (s *countingScheme) Write(w sealwright.Sink, m *sealwright.Message, c *sealwright.Claim, n int) error {
	s.writes++
	return s.SigningScheme.Write(w, m, c, n)
}

func TestA29_SecretInTheWrongForm(t *testing.T) {
	m, _ := signed(t, "standard-webhooks", 64)
	for _, s := range []string{"whsec_not base64!", "not base64!", "c2VhbHdyaWdodA==\n", "file:///etc/key", "_-_-"} {
		ring := keyring.Must(keyring.Key{Secret: secret.FromString(s)})
		if _, err := verify("standard-webhooks", ring, m, benchNow); !errors.Is(err, sealwright.ErrConfig) {
			t.Errorf("secret %q: error is %v, want %v, never a fallback to text", s, err, sealwright.ErrConfig)
		}
	}
	// The same text is a key of other bytes where the scheme reads it as text.
	a, ring := signed(t, "stripe", 64)
	prefixed := keyring.Must(keyring.Key{ID: "k1", Secret: secret.FromString("whsec_" + string(ring.Keys()[0].Secret.Expose()))})
	wantRefused(t, "stripe", prefixed, a, sealwright.ErrMismatch)
}

func TestA30_TagMalleability(t *testing.T) {
	m, ring := signed(t, "github", 64)
	tag := strings.TrimPrefix(m.Header["X-Hub-Signature-256"][0], "sha256=")
	for _, v := range []string{"sha256=" + strings.ToUpper(tag), "SHA256=" + tag, "sha256= " + tag, "sha256=" + tag + " ", " sha256=" + tag, "sha256=0x" + tag, tag} {
		wantRefused(t, "github", ring, with(m, "X-Hub-Signature-256", v), sealwright.ErrMalformed)
	}
	s, ring := signed(t, "shopify", 64)
	b := s.Header["X-Shopify-Hmac-Sha256"][0]
	last := b[len(b)-2] // of 43 characters the last one carries two bits that must be zero
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	next := alphabet[strings.IndexByte(alphabet, last)|1]
	for _, v := range []string{strings.TrimRight(b, "="), b + "=", b[:len(b)-2] + string(next) + "=", b + "\n", " " + b, strings.ReplaceAll(strings.ReplaceAll(b, "+", "-"), "/", "_") + "%3D"} {
		wantRefused(t, "shopify", ring, with(s, "X-Shopify-Hmac-Sha256", v))
	}
}

func TestA31_SeveralTags(t *testing.T) {
	m, ring := signed(t, "stripe", 64)
	value := m.Header["Stripe-Signature"][0]
	good := strings.TrimPrefix(value, "t=1767225600,")
	bad := "v1=" + strings.Repeat("0", 64)
	for _, list := range [][]string{{good, bad}, {bad, good}, {bad, good, bad}, {"v0=xx", good}, {good, "v2=yy"}} {
		if _, err := verify("stripe", ring, with(m, "Stripe-Signature", "t=1767225600,"+strings.Join(list, ",")), benchNow); err != nil {
			t.Errorf("%v: %v", list, err)
		}
	}
	full := strings.Repeat(bad+",", sealwright.MaxTags-1) + good
	if _, err := verify("stripe", ring, with(m, "Stripe-Signature", "t=1767225600,"+full), benchNow); err != nil {
		t.Errorf("%d tags: %v", sealwright.MaxTags, err)
	}
	wantRefused(t, "stripe", ring, with(m, "Stripe-Signature", "t=1767225600,"+bad+","+full), sealwright.ErrTooManyTags)

	// Any live key matches, and the verdict names it.
	rotated := keyring.Must(
		keyring.Key{ID: "k1", Version: 2, Secret: secret.FromString("the next secret of the endpoint")},
		keyring.Key{ID: "k1", Version: 1, Secret: ring.Keys()[0].Secret},
	)
	verdict, err := verify("stripe", rotated, m, benchNow)
	if err != nil || verdict.Version != 1 {
		t.Errorf("old key: %+v, %v; want version 1", verdict, err)
	}
}

func TestA34_Reserialisation(t *testing.T) {
	ring := benchRing()
	signer := sealwright.Signer{Scheme: catalogue.Must("github"), Ring: ring}
	m, err := signer.Sign(sealwright.Message{Method: "POST", Host: "h", Target: "/", Body: []byte(`{"b":"é/","a": 1.0}`)}, benchNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{`{"b":"é/","a":1.0}`, `{"b":"\u00e9/","a": 1.0}`, `{"b":"é\/","a": 1.0}`, `{"a": 1.0,"b":"é/"}`,
		"\ufeff" + `{"b":"é/","a": 1.0}`, `{"b":"é/","a": 1.0}` + "\r\n", `{"b":"é/","a": 1}`} {
		changed := m
		changed.Body = []byte(body)
		wantRefused(t, "github", ring, changed, sealwright.ErrMismatch)
	}
}
