package scheme_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
)

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestContent holds bodies that are signed as they were before compression.
func TestContent(t *testing.T) {
	s := mustBuild(t, frame+`,"message":["{content}"]`, nil)
	z := zipped(t, "body")
	for _, tt := range []struct {
		name, coding string
		body         []byte
		want         error
	}{
		{"Plain", "", []byte("body"), nil},
		{"Identity", "identity", []byte("body"), nil},
		{"Gzip", "gzip", z, nil},
		{"UpperCase", "GZIP", z, nil},
		{"OtherContent", "gzip", zipped(t, "bodx"), sealwright.ErrMismatch},
		{"NotGzip", "gzip", []byte("body"), sealwright.ErrMalformed},
		{"Cut", "gzip", z[:len(z)-1], sealwright.ErrMalformed},
		{"Trailing", "gzip", append(bytes.Clone(z), 0), sealwright.ErrMalformed},
		{"TwoMembers", "gzip", append(bytes.Clone(z), zipped(t, "")...), sealwright.ErrMalformed},
		{"BadSum", "gzip", append(bytes.Clone(z[:len(z)-8]), 0, 0, 0, 0, 4, 0, 0, 0), sealwright.ErrMalformed},
		{"OtherCoding", "br", z, sealwright.ErrMalformed},
		{"TwoCodings", "gzip, gzip", z, sealwright.ErrMalformed},
		{"CompressedButNotDeclared", "", z, sealwright.ErrMismatch},
		{"Bomb", "gzip", zipped(t, strings.Repeat("x", 8<<20+1)), sealwright.ErrMalformed},
	} {
		m := sealwright.Message{Method: "POST", Body: tt.body, Header: map[string][]string{"X-Tag": {plainTag(testSecret, "body")}}}
		if tt.coding != "" {
			m.Header["Content-Encoding"] = []string{tt.coding}
		}
		v := sealwright.Verifier{Scheme: s, Ring: testRing()}
		if verdict, err := v.Verify(m, now); !errors.Is(err, tt.want) || err == nil && !verdict.Covers.Body {
			t.Errorf("%s: error is %v, want %v; %+v", tt.name, err, tt.want, verdict.Covers)
		}
	}
	big := zipped(t, strings.Repeat("x", 8<<20))
	m := sealwright.Message{Method: "POST", Body: big, Header: map[string][]string{"Content-Encoding": {"gzip"}}}
	if got, err := signedBytes(t, s, m); err != nil || len(got[0]) != 8<<20 {
		t.Errorf("a body at the bound: %d bytes, %v", len(got[0]), err)
	}
}

// TestXMLBody holds tag and fields in a flat XML document.
func TestXMLBody(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"tag":{"from":"xml:sign","encoding":"hex"},"nonce":{"from":"xml:n"},
		"message":[{"fields":{"from":["xml"],"omit":["sign"],"drop_empty":true,"sort":"name","kv":"=","join":"&"}},"&key={secret}"]`, nil)
	const doc = "<xml><n>1</n><b><![CDATA[x&y]]></b><empty></empty>SIGN<a>2</a></xml>"
	signed := func(text string) string { return strings.Replace(doc, "SIGN", "<sign>"+text+"</sign>", 1) }
	for _, tt := range []struct {
		name, body string
		want       error
	}{
		{"Valid", signed("TAG"), nil},
		{"OtherOrder", "<xml><a>2</a><b>x%26y</b><n>1</n><sign>TAG</sign></xml>", sealwright.ErrMismatch},
		{"EmptyAdded", strings.Replace(signed("TAG"), "<a>", "<c></c><a>", 1), nil},
		{"Changed", strings.Replace(signed("TAG"), "<a>2", "<a>3", 1), sealwright.ErrMismatch},
		{"NoTag", strings.Replace(doc, "SIGN", "", 1), sealwright.ErrMissing},
		{"TwoTags", signed("TAG</sign><sign>TAG"), sealwright.ErrMalformed},
		{"NotXML", "sign=TAG", sealwright.ErrMalformed},
		{"NoNonce", strings.Replace(signed("TAG"), "<n>1</n>", "", 1), sealwright.ErrMalformed},
	} {
		if err := check(t, s, sealwright.Message{Method: "POST", Body: []byte(tt.body)}, "a=2&b=x&y&n=1&key="+testSecret); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.name, err, tt.want)
		}
	}
	got, err := signedBytes(t, s, sealwright.Message{Method: "POST", Body: []byte("<xml><a>2</a></xml>")})
	if want := "a=2&n=nonce&key=" + testSecret; err != nil || got[0] != want {
		t.Errorf("signed from scratch: covered bytes are %q, %v, want %q", got, err, want)
	}
	signer := sealwright.Signer{Scheme: s, Ring: testRing()}
	if _, err := signer.Sign(sealwright.Message{Method: "POST", Body: []byte("{}")}, now); !errors.Is(err, sealwright.ErrMalformed) {
		t.Errorf("signing JSON: error is %v, want %v", err, sealwright.ErrMalformed)
	}
}

// TestDocumentInForm holds a JSON document in the field of a form, plain or in
// parts, beside one that is the body.
func TestDocumentInForm(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"document":"json","tag":{"from":"json:/e/hash","encoding":"hex"},"message":["{json:/e/at}{json:/e/type}"]`, nil)
	const doc = `{"e":{"at":"1","type":"t","hash":"TAG"}}`
	part := func(name, text string) string {
		return fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", name, text)
	}
	const form, parts = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"
	for _, tt := range []struct {
		name, contentType, body string
		want                    error
	}{
		{"Body", "application/json", doc, nil},
		{"Form", form, "a=1&json=" + strings.ReplaceAll(doc, `"`, "%22"), nil},
		{"Parts", parts, part("x", "y") + part("json", doc) + "--b--\r\n", nil},
		{"FormWithoutField", form, "a=1", sealwright.ErrMissing},
		{"FieldTwice", form, "json=%7B%7D&json=" + doc, sealwright.ErrMissing},
		{"PartTwice", parts, part("json", doc) + part("json", doc) + "--b--", sealwright.ErrMissing},
		{"BrokenParts", parts, doc, sealwright.ErrMissing},
		{"JSONAsForm", form, doc, sealwright.ErrMissing},
		{"Changed", "application/json", strings.Replace(doc, `"t"`, `"u"`, 1), sealwright.ErrMismatch},
	} {
		m := sealwright.Message{Method: "POST", Body: []byte(tt.body), Header: map[string][]string{"Content-Type": {tt.contentType}}}
		if err := check(t, s, m, "1t"); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.name, err, tt.want)
		}
	}
	for _, tt := range []struct{ contentType, body string }{
		{"application/json", `{"e":{"at":1,"type":"t"}}`}, {form, "json=" + `{"e":{"at":1,"type":"t"}}` + "&a=b"}, {parts, part("json", `{"e":{"at":1,"type":"t","hash":"old"}}`) + "--b--\r\n"},
	} {
		m := sealwright.Message{Method: "POST", Body: []byte(tt.body), Header: map[string][]string{"Content-Type": {tt.contentType}}}
		if got, err := signedBytes(t, s, m); err != nil || got[0] != "1t" {
			t.Errorf("signing %s: covered bytes are %q, %v, want 1t", tt.contentType, got, err)
		}
	}
	signer := sealwright.Signer{Scheme: mustBuild(t, algorithmAndKey+`,"tag":{"from":"form:t","encoding":"hex"},"message":["x"]`, nil), Ring: testRing()}
	m := sealwright.Message{Method: "POST", Body: []byte(part("x", "y") + "--b--"), Header: map[string][]string{"Content-Type": {parts}}}
	if _, err := signer.Sign(m, now); !errors.Is(err, sealwright.ErrCannotSign) {
		t.Errorf("a part that is not there: error is %v, want %v", err, sealwright.ErrCannotSign)
	}
}

// TestFamily holds tags in headers with numbers.
func TestFamily(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"tag":{"from":"family:X-Sig-","encoding":"base64"},"message":["{body}"]`, nil)
	good := base64.StdEncoding.EncodeToString(rawTag(testSecret, "b"))
	bad := base64.StdEncoding.EncodeToString(rawTag("other", "b"))
	numbered := func(n int) []string { return append(strings.Split(strings.Repeat(bad+" ", n-1), " ")[:n-1], good) }
	for _, tt := range []struct {
		name string
		tags []string
		want error
	}{
		{"First", []string{good}, nil}, {"Third", []string{bad, bad, good}, nil}, {"Gap", []string{bad, "", good}, sealwright.ErrMissing}, {"None", nil, sealwright.ErrMissing},
		{"WrongOnes", []string{bad, bad}, sealwright.ErrMismatch}, {"Broken", []string{good, "!"}, sealwright.ErrMalformed},
		{"Most", numbered(sealwright.MaxTags), nil}, {"TooMany", numbered(sealwright.MaxTags + 1), sealwright.ErrTooManyTags},
	} {
		m := sealwright.Message{Method: "POST", Body: []byte("b"), Header: map[string][]string{}}
		for i, tag := range tt.tags {
			m.Header[fmt.Sprintf("X-Sig-%d", i+1)] = []string{tag}
		}
		v := sealwright.Verifier{Scheme: s, Ring: testRing()}
		if _, err := v.Verify(m, now); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.name, err, tt.want)
		}
	}
	signer := sealwright.Signer{Scheme: s, Ring: testRing()}
	m, err := signer.Sign(sealwright.Message{Method: "POST", Body: []byte("b"), Header: map[string][]string{"X-Sig-1": {bad}, "X-Sig-2": {bad}}}, now)
	if err != nil || m.Header["X-Sig-1"][0] != good || m.Header["X-Sig-2"] != nil {
		t.Errorf("signed again: %v, %v, want one tag", m.Header, err)
	}
}

// TestTagInPath holds a tag that is a segment of the path.
func TestTagInPath(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"tag":{"from":"path-segment:2","encoding":"hex"},"message":["{path-tail:2}"]`, nil)
	for target, want := range map[string]error{
		"/i/TAG/w/x.png?q": nil, "/other/TAG/w/x.png": nil, "/i/TAG/w/y.png": sealwright.ErrMismatch, "/i//w/x.png": sealwright.ErrMissing, "/i": sealwright.ErrMissing, "": sealwright.ErrMissing, "i/TAG/w/x.png": sealwright.ErrMissing,
	} {
		if err := check(t, s, sealwright.Message{Method: "GET", Target: target}, "/w/x.png"); !errors.Is(err, want) {
			t.Errorf("%s: error is %v, want %v", target, err, want)
		}
	}
	signer := sealwright.Signer{Scheme: s, Ring: testRing()}
	m, err := signer.Sign(sealwright.Message{Method: "GET", Target: "/i/_/w?_"}, now)
	if want := "/i/" + plainTag(testSecret, "/w") + "/w?_"; err != nil || m.Target != want {
		t.Errorf("signed target is %s, %v, want %s", m.Target, err, want)
	}
	if _, err := signer.Sign(sealwright.Message{Method: "GET", Target: "/i"}, now); err == nil {
		t.Error("a path without the segment was signed")
	}
}

// TestKeyText holds transforms and refusals of keys.
func TestKeyText(t *testing.T) {
	s := mustBuild(t, `"algorithm":"hmac-sha256","key":{"encoding":"utf8","text":"{secret|nfkd}","refuse":["known"]},"tag":{"from":"header:X-Tag","encoding":"hex"},"message":["m"]`, nil)
	for _, tt := range []struct {
		secret, key string
		want        error
	}{{"sécret", "se\u0301cret", nil}, {"plain", "plain", nil}, {"ключ", "ключ", sealwright.ErrConfig}, {"known", "known", sealwright.ErrConfig}} {
		v := sealwright.Verifier{Scheme: s, Ring: keyring.Must(keyring.Key{Secret: bytesOf(tt.secret)})}
		if _, err := v.Verify(sealwright.Message{Method: "GET", Header: map[string][]string{"X-Tag": {plainTag(tt.key, "m")}}}, now); !errors.Is(err, tt.want) {
			t.Errorf("%q: error is %v, want %v", tt.secret, err, tt.want)
		}
	}
}
