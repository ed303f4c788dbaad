package scheme_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

var now = time.Unix(1767225600, 0)

// define returns a definition with the given members beside a working frame;
// its known answer is made by signing, so that only the members matter.
func define(t *testing.T, members string) (*scheme.Definition, error) {
	t.Helper()
	return scheme.Parse(fmt.Appendf(nil, `{"id":"test","tier":"unverified","direction":"webhook","source":"s","doc":"d","kat":[],%s}`, members), nil)
}

func build(t *testing.T, members string, params scheme.Params) (sealwright.Scheme, error) {
	t.Helper()
	d, err := define(t, members)
	if err != nil {
		return nil, err
	}
	return d.New(params)
}

const frame = `"algorithm":"hmac-sha256","key":{"encoding":"utf8"},"tag":{"from":"header:X-Tag","encoding":"hex"}`

// signedBytes signs m and returns the covered bytes of each rendering.
func signedBytes(t *testing.T, s sealwright.Scheme, m sealwright.Message) ([]string, error) {
	t.Helper()
	ring := keyring.Must(keyring.Key{ID: "k1", Version: 1, Secret: secret.FromString("a secret of the tests")})
	signer := sealwright.Signer{Scheme: s, Ring: ring, Nonce: func() string { return "nonce" }}
	signed, err := signer.Sign(m, now)
	if err != nil {
		return nil, err
	}
	verifier := sealwright.Verifier{Scheme: s, Ring: ring}
	if _, err := verifier.Verify(signed, now); err != nil {
		return nil, fmt.Errorf("signed, but: %w", err)
	}
	key, err := ring.Signing(now)
	if err != nil {
		return nil, err
	}
	all, _, err := sealwright.SignedBytes(s, key, signed)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(all))
	for i, b := range all {
		out[i] = string(b)
	}
	return out, nil
}

var request = sealwright.Message{
	Method: "POST", Scheme: "https", Host: "Example.com:8443", Target: "/a%20b/c?z=1&a=b%20c&a=2&empty=&flag",
	Header: map[string][]string{"Content-Type": {"application/json"}, "X-Pad": {"  two   blanks "}, "X-Json": {"h"}},
	Body:   []byte(`{"id":7,"name":"Zo\u00eb","nested":{"a/b":[true,null]},"float":1.50}`),
}

func TestTemplates(t *testing.T) {
	tests := []struct{ name, template, want string }{
		{"Method", "{method}|{method|lower}", "POST|post"},
		{"URL", "{url}", "https://Example.com:8443/a%20b/c?z=1&a=b%20c&a=2&empty=&flag"},
		{"URLParts", "{scheme} {host} {host|lower} {hostname} {hostport} {path} {query} {target}",
			"https Example.com:8443 example.com:8443 Example.com Example.com:8443 /a%20b/c z=1&a=b%20c&a=2&empty=&flag /a%20b/c?z=1&a=b%20c&a=2&empty=&flag"},
		{"Body", "{body}", string(request.Body)},
		{"Digest", "{body|sha256|hex}", "2a8a9a4f36d2b5fd6d3ff9d24f4ca4e1d5a9a44e2fcfcf2dbb9aad2b4ff7a2d6"},
		{"Header", "{header:content-type}", "application/json"},
		{"HeaderTransforms", "[{header:x-pad}][{header:x-pad|trim}][{header:x-pad|fold}]", "[  two   blanks ][two   blanks][two blanks]"},
		{"AbsentOptional", "[{header:x-none?}]", "[]"},
		{"QueryParameter", "{query:z}{query:empty}{query:flag}", "1"},
		{"JSON", "{json:id} {json:name} {json:/nested/a~1b/0} [{json:/nested/a~1b/1}] {json:float}", "7 Zoë true [] 1.50"},
		{"Percent", "{json:name|percent} {path|percent} {path|percent-path} {json:name|percent-form}", "Zo%C3%AB %2Fa%2520b%2Fc /a%2520b/c Zo%C3%AB"},
		{"Decode", "{path|decode}", "/a b/c"},
		{"ECMAScript", "{target|uri} {query|uri-component}", "/a%2520b/c?z=1&a=b%2520c&a=2&empty=&flag z%3D1%26a%3Db%2520c%26a%3D2%26empty%3D%26flag"},
		{"Braces", "{{x}}", "{x}"},
		{"Unicode", "é{method}→", "éPOST→"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, err := json.Marshal(tt.template)
			if err != nil {
				t.Fatal(err)
			}
			s, err := build(t, frame+`,"message":[`+string(text)+`]`, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := signedBytes(t, s, request)
			if err != nil {
				t.Fatal(err)
			}
			if tt.name == "Digest" {
				tt.want = sha256Hex(request.Body)
			}
			if got[0] != tt.want {
				t.Errorf("covered bytes are %q, want %q", got[0], tt.want)
			}
		})
	}
}

func TestFields(t *testing.T) {
	tests := []struct{ name, fields, want string }{
		{"AsSent", `{"from":["query"],"kv":"=","join":"&"}`, "z=1&a=b%20c&a=2&empty=&flag"},
		{"SortedByName", `{"from":["query"],"sort":"name","kv":"=","join":"&"}`, "a=b%20c&a=2&empty=&flag&z=1"},
		{"SortedByPair", `{"from":["query"],"sort":"pair","kv":"=","join":"&"}`, "a=2&a=b%20c&empty=&flag&z=1"},
		{"Decoded", `{"from":["query"],"decode":"form","sort":"pair","kv":":","join":"\n"}`, "a:2\na:b c\nempty:\nflag:\nz:1"},
		{"Encoded", `{"from":["query"],"decode":"form","encode":"form","sort":"pair","kv":"=","join":"&"}`, "a=2&a=b+c&empty=&flag=&z=1"},
		{"First", `{"from":["query"],"decode":"form","sort":"name","repeat":"first","kv":"","join":""}`, "ab cemptyflagz1"},
		{"Joined", `{"from":["query"],"decode":"form","sort":"text","repeat":"join","repeat_sep":",","kv":"=","join":""}`, "a=b c,2empty=flag=z=1"},
		{"OmitAndDrop", `{"from":["query"],"omit":["z"],"drop_empty":true,"kv":"=","join":"&"}`, "a=b%20c&a=2"},
		{"FormOfOtherBody", `{"from":["form"],"kv":"=","join":"&"}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := build(t, frame+`,"message":[{"fields":`+tt.fields+`}]`, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := signedBytes(t, s, request)
			if err != nil {
				t.Fatal(err)
			}
			if got[0] != tt.want {
				t.Errorf("covered bytes are %q, want %q", got[0], tt.want)
			}
		})
	}
}

func TestConditions(t *testing.T) {
	segments := `[{"if":["body"],"text":"B"},{"if":["!body"],"text":"b"},{"if":["query"],"text":"Q"},{"if":["form"],"text":"F"},
		{"if":["method:GET|method:HEAD"],"text":"G"},{"if":["header:X-Pad","!header:X-None"],"text":"H"},{"if":["json:/nested"],"text":"J"},{"if":["query:flag"],"text":"V"}]`
	s, err := build(t, frame+`,"message":`+segments, nil)
	if err != nil {
		t.Fatal(err)
	}
	get := sealwright.Message{Method: "GET", Host: "h", Target: "/", Header: map[string][]string{}}
	form := sealwright.Message{Method: "PUT", Host: "h", Target: "/?a", Body: []byte("a=b"),
		Header: map[string][]string{"Content-Type": {"Application/X-WWW-Form-urlencoded; charset=utf-8"}}}
	for _, tt := range []struct {
		m    sealwright.Message
		want string
	}{{request, "BQHJ"}, {get, "bG"}, {form, "BQF"}} {
		got, err := signedBytes(t, s, tt.m)
		if err != nil {
			t.Fatal(err)
		}
		if got[0] != tt.want {
			t.Errorf("%s: covered bytes are %q, want %q", tt.m.Method, got[0], tt.want)
		}
	}
}

// TestSigningFormats holds the values that a signer writes for each time format.
func TestSigningFormats(t *testing.T) {
	at := time.Unix(1767225600, 123456789).UTC()
	for format, want := range map[string]string{
		"unix": "1767225600", "unix-ms": "1767225600123", "unix-us": "1767225600123456", "unix-ns": "1767225600123456789",
		"rfc3339": "2026-01-01T00:00:00.123456789Z", "rfc3339-ms": "2026-01-01T00:00:00.123Z", "iso-seconds": "2026-01-01T00:00:00",
		"iso-basic": "20260101T000000Z", "edgegrid": "20260101T00:00:00+0000", "http-date": "Thu, 01 Jan 2026 00:00:00 GMT",
		"rfc2822": "Thu, 01 Jan 2026 00:00:00 +0000", "unix-decimal": "1767225600",
	} {
		s, err := build(t, frame+`,"time":{"from":"header:X-Time","format":"`+format+`"},"message":["{time}"]`, nil)
		if err != nil {
			t.Fatal(err)
		}
		ring := keyring.Must(keyring.Key{Secret: secret.FromString("a secret of the tests")})
		signer := sealwright.Signer{Scheme: s, Ring: ring}
		m, err := signer.Sign(sealwright.Message{Method: "GET", Host: "h", Target: "/"}, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Header["X-Time"][0]; got != want {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
		verifier := sealwright.Verifier{Scheme: s, Ring: ring}
		if _, err := verifier.Verify(m, at); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
}

// TestTimeBefore1970 refuses the first instant of year 1, which is the zero
// time: a message of that time would be valid for ever.
func TestTimeBefore1970(t *testing.T) {
	for format, text := range map[string]string{
		"rfc3339": "0001-01-01T00:00:00Z", "rfc3339-ms": "0001-01-01T00:00:00.000Z", "iso-seconds": "0001-01-01T00:00:00",
		"iso-basic": "00010101T000000Z", "edgegrid": "00010101T00:00:00+0000", "http-date": "Mon, 01 Jan 0001 00:00:00 GMT",
		"rfc2822": "Mon, 01 Jan 0001 00:00:00 +0000",
	} {
		s, err := build(t, frame+`,"time":{"from":"header:X-Time","format":"`+format+`"},"message":["{time}"]`, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := sealwright.Message{Method: "GET", Host: "h", Target: "/", Header: map[string][]string{"X-Time": {text}}}
		key, err := mac.New(mac.SHA256, secret.FromString("a secret of the tests"))
		if err != nil {
			t.Fatal(err)
		}
		tag, err := key.Sum(nil, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		m.Header["X-Tag"] = []string{hex.EncodeToString(tag)}
		v := sealwright.Verifier{Scheme: s, Ring: keyring.Must(keyring.Key{Secret: secret.FromString("a secret of the tests")})}
		if verdict, err := v.Verify(m, now); !errors.Is(err, sealwright.ErrMalformed) {
			t.Errorf("%s: got valid %v, %v; want %v", format, verdict.Valid, err, sealwright.ErrMalformed)
		}
	}
}

// TestSigningKeepsWhatIsFresh: a time that the message has is kept while it is
// fresh, a nonce always.
func TestSigningKeepsWhatIsFresh(t *testing.T) {
	s, err := build(t, frame+`,"time":{"from":"header:X-Time","format":"unix"},"nonce":{"from":"header:X-Id","forbid":"."},"message":["{nonce}.{time}.{body}"]`, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, time, want string }{
		{"Fresh", "1767225400", "own.1767225400."}, {"Stale", "1767220000", "own.1767225600."}, {"Broken", "soon", "own.1767225600."},
	} {
		m := sealwright.Message{Method: "GET", Host: "h", Target: "/", Header: map[string][]string{"X-Time": {tt.time}, "X-Id": {"own"}}}
		got, err := signedBytes(t, s, m)
		if err != nil {
			t.Fatal(err)
		}
		if got[0] != tt.want {
			t.Errorf("%s: covered bytes are %q, want %q", tt.name, got[0], tt.want)
		}
		if m.Header["X-Time"][0] != tt.time || len(m.Header) != 2 {
			t.Errorf("%s: the message itself was changed: %v", tt.name, m.Header)
		}
	}
}

// TestSigningPlaces holds where a tag can be written.
func TestSigningPlaces(t *testing.T) {
	for _, tt := range []struct{ from, body, want string }{
		{"query:sig", "x", "/p?a=1&sig=TAG"},
		{"json:/meta/sig", `{"meta":{}}`, `{"meta":{"sig":"TAG"}}`},
		{"json:/meta/sig", `{"meta":{"sig":"old","b":1} }`, `{"meta":{"sig":"TAG","b":1} }`},
		{"json:/meta/sig", `{"meta":{"a":[1,2]}}`, `{"meta":{"a":[1,2],"sig":"TAG"}}`},
		{"form:sig", "a=b&sig=old&c=d", "a=b&sig=TAG&c=d"},
	} {
		s, err := build(t, `"algorithm":"hmac-sha256","key":{"encoding":"utf8"},"tag":{"from":"`+tt.from+`","encoding":"hex"},"message":["{method}"]`, nil)
		if err != nil {
			t.Fatal(err)
		}
		signer := sealwright.Signer{Scheme: s, Ring: keyring.Must(keyring.Key{Secret: secret.FromString("a secret of the tests")})}
		m, err := signer.Sign(sealwright.Message{Method: "POST", Host: "h", Target: "/p?a=1", Body: []byte(tt.body)}, now)
		if err != nil {
			t.Fatal(err)
		}
		got := string(m.Body)
		if strings.HasPrefix(tt.from, "query") {
			got = m.Target
		}
		if got = hexTag.ReplaceAllString(got, "TAG"); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.from, got, tt.want)
		}
	}
	s, err := build(t, `"algorithm":"hmac-sha256","key":{"encoding":"utf8"},"tag":{"from":"json:/meta/sig","encoding":"hex"},"message":["{method}"]`, nil)
	if err != nil {
		t.Fatal(err)
	}
	signer := sealwright.Signer{Scheme: s, Ring: keyring.Must(keyring.Key{Secret: secret.FromString("a secret of the tests")})}
	for _, body := range []string{"", "x", `{"meta":1}`, `{"other":{}}`, `{"meta":{},"meta":{}}`} {
		if _, err := signer.Sign(sealwright.Message{Method: "POST", Body: []byte(body)}, now); !errors.Is(err, sealwright.ErrMalformed) {
			t.Errorf("body %q: error is %v, want %v", body, err, sealwright.ErrMalformed)
		}
	}
}

func TestKeyDerivation(t *testing.T) {
	// The key is HMAC-SHA256("WebAppData", secret): the covered byte of the method
	// is signed by it, compared with another implementation's result.
	for _, tt := range []struct{ key, secret, tag string }{
		{`{"encoding":"utf8","steps":[{"constant":"WebAppData"}]}`, "bot-token", derived("WebAppData", "bot-token", "GET")},
		{`{"encoding":"utf8","text":"{secret}&"}`, "client", plainTag("client&", "GET")},
		{`{"encoding":"hex-any"}`, "4A656665", plainTag("Jefe", "GET")},
		{`{"encoding":"base64","strip":"whsec_"}`, "whsec_SmVmZQ==", plainTag("Jefe", "GET")},
	} {
		s, err := build(t, `"algorithm":"hmac-sha256","tag":{"from":"header:X-Tag","encoding":"hex"},"message":["{method}"],"key":`+tt.key, nil)
		if err != nil {
			t.Fatal(err)
		}
		v := sealwright.Verifier{Scheme: s, Ring: keyring.Must(keyring.Key{Secret: secret.FromString(tt.secret)})}
		if _, err := v.Verify(sealwright.Message{Method: "GET", Header: map[string][]string{"X-Tag": {tt.tag}}}, now); err != nil {
			t.Errorf("key %s: %v", tt.key, err)
		}
	}
}

func TestDefinitionErrors(t *testing.T) {
	tests := []struct{ name, members, want string }{
		{"UnknownMember", frame + `,"message":[],"colour":1`, "line 1"},
		{"UnknownSource", frame + `,"message":["{bodyy}"]`, "unknown source"},
		{"UnknownTransform", frame + `,"message":["{body|rot13}"]`, "unknown transform"},
		{"OpenBrace", frame + `,"message":["{body"]`, "without }"},
		{"LooseBrace", frame + `,"message":["body}"]`, "without {"},
		{"NoMessage", frame, "message: missing"},
		{"BothMessages", frame + `,"message":["a"],"renderings":[{"name":"b","message":["b"]}]`, "both"},
		{"NoTag", `"algorithm":"hmac-sha256","key":{"encoding":"utf8"},"message":["{body}"]`, "tag: missing"},
		{"TagInTheBodyItself", `"algorithm":"hmac-sha256","key":{"encoding":"utf8"},"tag":{"from":"body","encoding":"hex"},"message":["a"]`, "cannot hold"},
		{"NoKey", `"algorithm":"hmac-sha256","tag":{"from":"header:X","encoding":"hex"},"message":["{body}"]`, "key: missing"},
		{"NoAlgorithm", `"key":{"encoding":"utf8"},"tag":{"from":"header:X","encoding":"hex"},"message":["{body}"]`, "unknown algorithm"},
		{"BadEncoding", `"algorithm":"hmac-sha256","key":{"encoding":"utf16"},"tag":{"from":"header:X","encoding":"hex"},"message":["{body}"]`, "unknown encoding"},
		{"ShortTag", `"algorithm":"hmac-sha256","key":{"encoding":"utf8"},"tag":{"from":"header:X","encoding":"hex","size":"15"},"message":["{body}"]`, "16 to 32"},
		{"HeaderName", `"algorithm":"hmac-sha256","key":{"encoding":"utf8"},"tag":{"from":"header:X Y","encoding":"hex"},"message":["{body}"]`, "not a header name"},
		{"UnknownPart", frame + `,"message":["{part:t}"]`, "no such part"},
		{"TimeFormat", frame + `,"time":{"from":"header:X-T","format":"guess"},"message":["{time}"]`, "unknown format"},
		{"TimeWindow", frame + `,"time":{"from":"header:X-T","format":"unix","past":"-1s"},"message":["{time}"]`, "past"},
		{"EndlessWindow", frame + `,"time":{"from":"header:X-T","format":"unix","past":"9999h"},"message":["{time}"]`, "past"},
		{"EmptyCheck", frame + `,"message":["{body}"],"checks":[{}]`, "exactly one"},
		{"SegmentOfTwo", frame + `,"message":[{"text":"a","fields":{"from":["query"],"kv":"","join":""}}]`, "exactly one"},
		{"TooManyRenderings", frame + `,"renderings":[` + strings.TrimSuffix(strings.Repeat(`{"name":"a","message":["a"]},`, 9), ",") + `]`, "at most 8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := build(t, tt.members, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestParams(t *testing.T) {
	const members = frame + `,"params":{"word":{"doc":"w","required":true,"values":["a","b"]},"many":{"doc":"m","list":true,"default":"x y"}},"message":["${word}{param:many}{body}"]`
	for _, tt := range []struct{ name, params, want string }{
		{"Missing", `{}`, `needs the parameter "word"`},
		{"Unknown", `{"word":"a","wrod":1}`, `no parameter "wrod"`},
		{"NotAllowed", `{"word":"c"}`, "want one of a, b"},
		{"Twice", `{"word":["a","b"]}`, "got 2 values"},
		{"Object", `{"word":{}}`, "want a string"},
		{"Good", `{"word":"a","many":["p","q"]}`, ""},
	} {
		var p scheme.Params
		err := json.Unmarshal([]byte(tt.params), &p)
		if err == nil {
			_, err = build(t, members, p)
		}
		if got := fmt.Sprint(err); (tt.want == "") != (err == nil) || !strings.Contains(got, tt.want) && tt.want != "" {
			t.Errorf("%s: error is %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

func TestLint(t *testing.T) {
	tests := []struct{ name, members, attack string }{
		{"SeparatorInField", frame + `,"message":["{header:x-id}.{body}"]`, "A07"},
		{"NoSeparator", frame + `,"message":["{header:x-id}{header:x-other}"]`, "A07"},
		{"BodyNotCovered", frame + `,"message":["{path}"]`, "A15"},
		{"TargetNotCovered", frame + `,"message":["{body}"]`, "A16"},
		{"KeyIDNotCovered", frame + `,"key_id":{"from":"header:X-Key"},"message":["{body}"]`, "A25"},
		{"NoReplayProtection", frame + `,"message":["{body}"]`, "A11"},
		{"SHA1", `"algorithm":"hmac-sha1","key":{"encoding":"utf8"},"tag":{"from":"header:X","encoding":"hex"},"message":["{body}"]`, "A06"},
		{"Truncated", `"algorithm":"hmac-sha256","key":{"encoding":"utf8"},"tag":{"from":"header:X","encoding":"hex","size":"16"},"message":["{body}"]`, "A03"},
		{"Lenient", `"algorithm":"hmac-sha256","key":{"encoding":"utf8"},"tag":{"from":"header:X","encoding":"hex-any"},"message":["{body}"]`, "A30"},
		{"SecretInMessage", frame + `,"message":["{body}{secret}"]`, "A27"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := define(t, tt.members)
			if err != nil {
				t.Fatal(err)
			}
			findings, err := d.Lint(nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range findings {
				if f.Attack == tt.attack {
					return
				}
			}
			t.Errorf("findings are %+v, want one for %s", findings, tt.attack)
		})
	}
	clean, err := define(t, frame+`,"key_id":{"from":"header:X-Key","forbid":"\n"},"time":{"from":"header:X-Time","format":"unix"},
		"message":["{method}\n{host}\n{target}\n{keyid}\n{time}\n{body|sha256|hex}"]`)
	if err != nil {
		t.Fatal(err)
	}
	if findings, err := clean.Lint(nil); err != nil || len(findings) != 0 {
		t.Errorf("a clean scheme has findings %+v, %v", findings, err)
	}
}

// TestDocument loads the example of docs/schemes/format.md.
func TestDocument(t *testing.T) {
	page, err := os.ReadFile("../docs/schemes/format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```json\n")
	example, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("the page has no example")
	}
	if _, err := scheme.Load([]byte(example), nil); err != nil {
		t.Error(err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"id":"x","tier":"unverified","direction":"webhook","source":"s","doc":"d",` + frame + `,"message":["{body|sha256|hex}{query:a?}"],"kat":[{"secret":"s","request":{"method":"GET","url":"https://a/"}}]}`))
	f.Add([]byte(`{"id":"x","tier":"verified","source":"s","doc":"d","list":{"from":"header:A","format":"quoted","sep":",","parts":[{"name":"a"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := scheme.Load(data, nil)
		if err != nil {
			return
		}
		if _, err := json.Marshal(d); err != nil {
			t.Errorf("loads, but: %v", err)
		}
	})
}
