package scheme_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

func verdictOn(t *testing.T, s sealwright.Scheme, signed string, m sealwright.Message) (sealwright.Verdict, error) {
	t.Helper()
	if m.Header == nil {
		m.Header = map[string][]string{}
	}
	m.Header["X-Tag"] = []string{plainTag(testSecret, signed)}
	v := sealwright.Verifier{Scheme: s, Ring: testRing()}
	return v.Verify(m, now)
}

// TestA15_MessageWithoutMethod: who verifies header and body alone learns what
// they cover, not what the scheme could cover at its best.
func TestA15_MessageWithoutMethod(t *testing.T) {
	s := mustBuild(t, frame+`,"message":["{url}",{"if":["form"],"text":"{body}"}]`, nil)
	for method, m := range map[string]sealwright.Message{"none": {}, "POST": {Method: "POST"}} {
		m.Host, m.Target, m.Body = "h", "/", []byte("anything")
		verdict, err := verdictOn(t, s, "https://h/", m)
		if err != nil || verdict.Covers.Body {
			t.Errorf("method %s: %v, body covered: %v, want a valid message whose body is not", method, err, verdict.Covers.Body)
		}
	}
	s = mustBuild(t, frame+`,"message":["{header:X-Time?}{body}"],"time":{"from":"header:X-Time","format":"unix","optional":true}`, nil)
	if verdict, err := verdictOn(t, s, "a", sealwright.Message{Body: []byte("a")}); err != nil || verdict.Covers.Time {
		t.Errorf("no time: %v, time covered: %v, want a valid message without a time", err, verdict.Covers.Time)
	}
}

// TestA15_DigestOutsideTheTag: a digest that everybody can write binds no body,
// also where there is none yet.
func TestA15_DigestOutsideTheTag(t *testing.T) {
	s := mustBuild(t, frame+`,"message":["{path}"],"checks":[{"if":["body"],"digest":{"from":"header:Digest","hash":"sha256","encoding":"hex"}}]`, nil)
	for _, body := range []string{"", "forged"} {
		m := sealwright.Message{Method: "POST", Target: "/", Body: []byte(body), Header: map[string][]string{"Digest": {sha256Hex([]byte(body))}}}
		if verdict, err := verdictOn(t, s, "/", m); err != nil || verdict.Covers.Body {
			t.Errorf("body %q: %v, covered: %v, want a valid message whose body is not", body, err, verdict.Covers.Body)
		}
	}
}

// TestA07_DecodedBorders: what is signed decoded can be written with other
// borders; then the verdict does not claim it.
func TestA07_DecodedBorders(t *testing.T) {
	for _, tt := range []struct {
		name, message, signed, target, body string
		covers                              bool
	}{
		{"Fields", `{"fields":{"from":["query"],"decode":"form","kv":"=","join":"&"}}`, "a=1&b=2", "/?a=1&b=2", "", true},
		{"FieldInValue", `{"fields":{"from":["query"],"decode":"form","kv":"=","join":"&"}}`, "a=1&b=2", "/?a=1%26b=2", "", false},
		{"ValueInName", `{"fields":{"from":["query"],"decode":"form","kv":"=","join":"&"}}`, "a=1=2", "/?a%3D1=2", "", false},
		{"Encoded", `{"fields":{"from":["query"],"decode":"form","encode":"percent","kv":"=","join":"&"}}`, "a=1%26b%3D2", "/?a=1%26b%3D2", "", true},
		{"Query", `"{query|decode-form}"`, "a=1&b=2", "/?a=1&b=2", "", true},
		{"FieldInQuery", `"{query|decode-form}"`, "a=1&b=2", "/?a=1%26b=2", "", false},
		{"QueryInURL", `"{target|decode-hubspot}"`, "/p?a=1", "/p%3Fa=1", "", false},
	} {
		s := mustBuild(t, frame+`,"message":[`+tt.message+`]`, nil)
		verdict, err := verdictOn(t, s, tt.signed, sealwright.Message{Method: "GET", Target: tt.target, Body: []byte(tt.body)})
		if err != nil || verdict.Covers.Query != tt.covers {
			t.Errorf("%s: %v, query covered: %v, want %v", tt.name, err, verdict.Covers.Query, tt.covers)
		}
	}
}

// TestA14_ZeroTime: the first instant of Go is no way around the window.
func TestA14_ZeroTime(t *testing.T) {
	for _, format := range []string{"iso8601", "rfc3339", "iso8601|unix"} {
		s := mustBuild(t, frame+`,"message":["{time}"],"time":{"from":"header:X-Time","format":"`+format+`"}`, nil)
		const zero = "0001-01-01T00:00:00Z"
		_, err := verdictOn(t, s, zero, sealwright.Message{Method: "GET", Header: map[string][]string{"X-Time": {zero}}})
		if !errors.Is(err, sealwright.ErrMalformed) {
			t.Errorf("%s: error is %v, want %v", format, err, sealwright.ErrMalformed)
		}
	}
}

// TestA25_KeyIDWithSeparators: a key ID that would become another part of a
// list, or a line of its own, is not written.
func TestA25_KeyIDWithSeparators(t *testing.T) {
	const list = `"algorithm":"hmac-sha256","key":{"encoding":"utf8"},"message":["{body}"],"key_id":{"from":"part:k"},"tag":{"from":"part:v","encoding":"hex"},
		"list":{"from":"header:X-Tag","format":"%","sep":",","unknown":"ignore","parts":[{"name":"k"},{"name":"v"}]}`
	for _, format := range []string{"pairs", "positional", "quoted"} {
		s := mustBuild(t, strings.Replace(list, "%", format, 1), nil)
		for _, id := range []string{"k1", "k1,v=00", "k1,x=1", "a,b", "k\r\nX-Admin: 1", "k\x00", `a"b\`} {
			ring := keyring.Must(keyring.Key{ID: id, Secret: secret.FromString(testSecret)})
			signer := sealwright.Signer{Scheme: s, Ring: ring}
			signed, err := signer.Sign(sealwright.Message{Method: "POST", Body: []byte("a")}, now)
			if err != nil {
				if id == "k1" {
					t.Errorf("%s: %v", format, err)
				}
				continue
			}
			v := sealwright.Verifier{Scheme: s, Ring: ring}
			verdict, err := v.Verify(signed, now)
			if err != nil || verdict.KeyID != id || strings.ContainsAny(signed.Header["X-Tag"][0], "\r\n\x00") {
				t.Errorf("%s: key ID %q: wrote %q: %v", format, id, signed.Header["X-Tag"], err)
			}
		}
	}
}

// TestA27_SecretOutsideTheTag: a template that would show the secret in the
// message or in an error is an error itself.
func TestA27_SecretOutsideTheTag(t *testing.T) {
	shows := mustBuild(t, `"algorithm":"hmac-sha256","key":{"encoding":"utf8"},"message":["{body}"],"tag":{"from":"part:v","encoding":"hex"},
		"list":{"from":"header:X-Tag","format":"pairs","sep":",","parts":[{"name":"s","sign":"{secret}"},{"name":"v"}]}`, nil)
	signer := sealwright.Signer{Scheme: shows, Ring: testRing()}
	signed, err := signer.Sign(sealwright.Message{Method: "POST", Body: []byte("a")}, now)
	if !errors.Is(err, sealwright.ErrConfig) {
		t.Errorf("signing: %+v, error is %v, want %v", signed.Header, err, sealwright.ErrConfig)
	}
	begins := mustBuild(t, frame+`,"message":["{path}"],"checks":[{"equal":{"from":"path","begins":"/{secret|hex}"}}]`, nil)
	_, err = verdictOn(t, begins, "/", sealwright.Message{Method: "GET", Target: "/"})
	if !errors.Is(err, sealwright.ErrConfig) || strings.Contains(err.Error(), testSecret) {
		t.Errorf("verifying: error is %v, want %v", err, sealwright.ErrConfig)
	}
}

const twoParams = `{"id":"x","tier":"unverified","direction":"generic","source":"s","doc":"d","params":{"a":{"doc":"d"},"b":{"doc":"d"}},
	"algorithm":"hmac-sha256","key":{"encoding":"utf8","text":"{param:a}{param:b}{secret}"},"tag":{"from":"header:X-Tag","encoding":"hex"},
	"message":["${a}"],"kat":[{"secret":"a secret of the tests","params":{"a":"1"},
	"request":{"method":"GET","url":"https://a/","headers":{"X-Tag":["TAG"]}}}]}`

// TestA25_KeptKeysOfOtherParameters: a MAC key that is kept for some parameters
// is not used for others, however their values are spelled.
func TestA25_KeptKeysOfOtherParameters(t *testing.T) {
	d, err := scheme.Load([]byte(strings.Replace(twoParams, "TAG", plainTag("1a secret of the tests", "1"), 1)), nil)
	if err != nil {
		t.Fatal(err)
	}
	ring := testRing()
	var tags []string
	for _, p := range []scheme.Params{{"a": {"1] b:[2"}}, {"a": {"1"}, "b": {"2"}}} {
		s, err := d.New(p)
		if err != nil {
			t.Fatal(err)
		}
		key, err := s.Key(ring.AppendCandidates(nil, "", now)[0], new(sealwright.Claim))
		if err != nil {
			t.Fatal(err)
		}
		tag, err := key.Sum(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		tags = append(tags, string(tag))
	}
	if tags[0] == tags[1] {
		t.Error("two sets of parameters share a key")
	}
}

// TestParameterInParameter: a value that looks like a parameter is a value.
func TestParameterInParameter(t *testing.T) {
	d, err := scheme.Load([]byte(strings.Replace(twoParams, "TAG", plainTag("1a secret of the tests", "1"), 1)), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // the order of a map must not matter
		if _, err := d.New(scheme.Params{"a": {"${b}"}, "b": {"2"}}); err == nil || !strings.Contains(err.Error(), "template") {
			t.Fatalf("error is %v, want one of the template ${b}", err)
		}
	}
}

// TestA15_EmptyFieldsLeftOut: a field that is not signed because it is empty
// can be put in or taken away.
func TestA15_EmptyFieldsLeftOut(t *testing.T) {
	s := mustBuild(t, frame+`,"message":[{"fields":{"from":["xml"],"drop_empty":true,"kv":"=","join":"&"}}]`, nil)
	for body, covers := range map[string]bool{"<x><a>1</a></x>": true, "<x><a>1</a><b></b></x>": false} {
		verdict, err := verdictOn(t, s, "a=1", sealwright.Message{Method: "POST", Body: []byte(body)})
		if err != nil || verdict.Covers.Body != covers {
			t.Errorf("%s: %v, body covered: %v, want %v", body, err, verdict.Covers.Body, covers)
		}
	}
}

// TestA07_PlacesAreWarnedOf: where query and form are signed as one, the
// verdict says that parameters can move.
func TestA07_PlacesAreWarnedOf(t *testing.T) {
	s := mustBuild(t, frame+`,"message":[{"fields":{"from":["query","form"],"kv":"=","join":"&"}}]`, nil)
	form := map[string][]string{"Content-Type": {"application/x-www-form-urlencoded"}}
	verdict, err := verdictOn(t, s, "a=1&b=2", sealwright.Message{Method: "POST", Target: "/?a=1", Body: []byte("b=2"), Header: form})
	if err != nil || !strings.Contains(strings.Join(verdict.Warnings, "\n"), "move between query and form") {
		t.Errorf("%v, warnings %q, want one about query and form", err, verdict.Warnings)
	}
}

// TestA07_IncreasingNonces: a nonce that must grow is a number, so it cannot
// take in what follows it without a separator.
func TestA07_IncreasingNonces(t *testing.T) {
	s := mustBuild(t, frame+`,"message":["{nonce}{body}"],"nonce":{"from":"header:X-Nonce","mode":"increasing"}`, nil)
	for nonce, want := range map[string]error{"123": nil, "123{": sealwright.ErrMalformed, "-1": sealwright.ErrMalformed, "1e9": sealwright.ErrMalformed, " 1": sealwright.ErrMalformed} {
		_, err := verdictOn(t, s, nonce+"{}", sealwright.Message{Method: "POST", Body: []byte("{}"), Header: map[string][]string{"X-Nonce": {nonce}}})
		if !errors.Is(err, want) {
			t.Errorf("nonce %q: error is %v, want %v", nonce, err, want)
		}
	}
	signer := sealwright.Signer{Scheme: s, Ring: testRing()}
	signed, err := signer.Sign(sealwright.Message{Method: "POST", Body: []byte("{}")}, now)
	if err != nil || signed.Header["X-Nonce"][0] != "1767225600000000" {
		t.Errorf("signed with the nonce %q: %v, want the time in microseconds", signed.Header["X-Nonce"], err)
	}
}
