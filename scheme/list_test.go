package scheme_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
)

// verifyHeaders verifies a GET with these headers, in which TAG is the tag of
// message.
func verifyHeaders(t *testing.T, s sealwright.Scheme, message string, headers map[string]string) error {
	t.Helper()
	m := sealwright.Message{Method: "GET", Host: "h", Target: "/p", Header: map[string][]string{}}
	for name, value := range headers {
		m.Header[name] = []string{value}
	}
	return check(t, s, m, message)
}

// TestListInOneOfTwo: a list may stand in one of several places, but only in
// one (A19, A22).
func TestListInOneOfTwo(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"list":{"from":"header:Signature","also":[{"from":"header:Authorization","prefix":"Sig "},{"from":"header:Authorization","prefix":"Hmac "}],
		"format":"quoted","sep":",","parts":[{"name":"k"},{"name":"s"}]},"tag":{"from":"part:s","encoding":"hex"},"key_id":{"from":"part:k"},"message":["{keyid}"]`, nil)
	const list = `k="k1",s="TAG"`
	for _, tt := range []struct {
		name    string
		headers map[string]string
		want    error
	}{
		{"First", map[string]string{"Signature": list}, nil},
		{"Second", map[string]string{"Authorization": "Sig " + list}, nil},
		{"OtherPrefix", map[string]string{"Authorization": "Hmac " + list}, nil},
		{"BesideAnotherScheme", map[string]string{"Signature": list, "Authorization": "Bearer x"}, nil},
		{"Both", map[string]string{"Signature": list, "Authorization": "Sig " + list}, sealwright.ErrMalformed},
		{"OneBroken", map[string]string{"Signature": "x", "Authorization": "Sig " + list}, sealwright.ErrMalformed},
		{"NoPrefix", map[string]string{"Authorization": list}, sealwright.ErrMissing},
		{"None", nil, sealwright.ErrMissing},
	} {
		ring := keyring.Must(keyring.Key{ID: "k1", Secret: bytesOf(testSecret)})
		m := sealwright.Message{Method: "GET", Header: map[string][]string{}}
		for name, value := range tt.headers {
			m.Header[name] = []string{strings.ReplaceAll(value, "TAG", plainTag(testSecret, "k1"))}
		}
		v := sealwright.Verifier{Scheme: s, Ring: ring}
		if _, err := v.Verify(m, now); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.name, err, tt.want)
		}
	}
	signer := sealwright.Signer{Scheme: s, Ring: keyring.Must(keyring.Key{ID: "k1", Secret: bytesOf(testSecret)})}
	for _, tt := range []struct{ in, name, prefix string }{{"", "Signature", "k="}, {`Hmac k="old",s="00"`, "Authorization", "Hmac k="}} {
		m := sealwright.Message{Method: "GET", Header: map[string][]string{}}
		if tt.in != "" {
			m.Header["Authorization"] = []string{tt.in}
		}
		m, err := signer.Sign(m, now)
		if err != nil || len(m.Header) != 1 || !strings.HasPrefix(m.Header[tt.name][0], tt.prefix) {
			t.Errorf("%q signed again is %v, %v, want the list in its place", tt.in, m.Header, err)
		}
	}
}

// TestEncodedList holds a list that is encoded as a whole, as in Basic
// authentication.
func TestEncodedList(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"list":{"from":"header:Authorization","prefix":"Basic ","encoding":"base64","format":"positional","sep":":","parts":[{"name":"id"},{"name":"sig"}]},
		"tag":{"from":"part:sig","encoding":"hex"},"key_id":{"from":"part:id"},"message":["{keyid}"]`, nil)
	encode := func(text string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(text, "TAG", plainTag(testSecret, "k1"))))
	}
	for _, tt := range []struct {
		name, value string
		want        error
	}{
		{"Valid", encode("k1:TAG"), nil}, {"OtherKey", encode("k2:TAG"), sealwright.ErrUnknownKey}, {"ThreeParts", encode("k1:TAG:x"), sealwright.ErrMalformed},
		{"NoTag", encode("k1"), sealwright.ErrMissing}, {"NotBase64", "Basic !", sealwright.ErrMalformed}, {"OtherScheme", "Bearer x", sealwright.ErrMalformed}, {"Unpadded", strings.TrimRight(encode("k1:TAG="), "="), sealwright.ErrMalformed},
	} {
		v := sealwright.Verifier{Scheme: s, Ring: testRing()}
		if _, err := v.Verify(sealwright.Message{Method: "GET", Header: map[string][]string{"Authorization": {tt.value}}}, now); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.name, err, tt.want)
		}
	}
	if got, err := signedBytes(t, s, sealwright.Message{Method: "GET"}); err != nil || got[0] != "k1" {
		t.Errorf("signed: %q, %v", got, err)
	}
}

// TestQuotedParts holds parts with several constants, and parts without quotes.
func TestQuotedParts(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"list":{"from":"header:A","format":"quoted","sep":",","unknown":"ignore","parts":[{"name":"alg","value":"hmac","or":["hs"],"optional":true},{"name":"at","bare":true,"optional":true},{"name":"s"}]},
		"tag":{"from":"part:s","encoding":"hex"},"message":["{part:at?}"]`, nil)
	for _, tt := range []struct {
		list, message string
		want          error
	}{
		{`alg="hmac",s="TAG"`, "", nil}, {`alg="hs",s="TAG"`, "", nil}, {`s="TAG"`, "", nil}, {`alg="none",s="TAG"`, "", sealwright.ErrPolicy},
		{`at=12,s="TAG"`, "12", nil}, {`at="12",s="TAG"`, "12", nil}, {`s="TAG",at=12`, "12", nil}, {`at=12 , s="TAG"`, "12", nil},
		{`at=1 2,s="TAG"`, "1", sealwright.ErrMalformed}, {`at=1;s="TAG"`, "1", sealwright.ErrMalformed}, {`at=12,`, "12", sealwright.ErrMalformed}, {`at=12,at=13,s="TAG"`, "12", sealwright.ErrMalformed},
		{`alg=hmac,s="TAG"`, "", sealwright.ErrMalformed}, {`s=TAG`, "", sealwright.ErrMalformed}, {`x="y",s="TAG"`, "", nil}, {`="y",s="TAG"`, "", sealwright.ErrMalformed},
	} {
		if err := verifyHeaders(t, s, tt.message, map[string]string{"A": tt.list}); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.list, err, tt.want)
		}
	}
	signer := sealwright.Signer{Scheme: s, Ring: testRing()}
	m, err := signer.Sign(sealwright.Message{Method: "GET", Header: map[string][]string{"A": {`at="7",s="00"`}}}, now)
	if want := `alg="hmac",at=7,s="` + plainTag(testSecret, "7") + `"`; err != nil || m.Header["A"][0] != want {
		t.Errorf("signed list is %v, %v, want %s", m.Header, err, want)
	}
}

// TestHeadOfList holds schemes that sign the text of the list before the tag.
func TestHeadOfList(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"list":{"from":"header:A","prefix":"EG1 ","format":"pairs","sep":";","parts":[{"name":"k"},{"name":"n"},{"name":"s"}]},
		"tag":{"from":"part:s","encoding":"hex"},"key_id":{"from":"part:k"},"nonce":{"from":"part:n"},"message":["{head}"]`, nil)
	for _, tt := range []struct {
		name, list, message string
		want                error
	}{
		{"Valid", "EG1 k=k1;n=2;s=TAG", "EG1 k=k1;n=2;", nil},
		{"OtherOrder", "EG1 n=2;k=k1;s=TAG", "EG1 n=2;k=k1;", nil},
		{"PartBehind", "EG1 k=k1;s=TAG;n=2", "EG1 k=k1;", sealwright.ErrMalformed},
		{"Changed", "EG1 k=k1;n=3;s=TAG", "EG1 k=k1;n=2;", sealwright.ErrMismatch},
		{"TagOnly", "EG1 s=TAG", "EG1 ", sealwright.ErrMalformed},
		{"NoTag", "EG1 k=k1;n=2", "EG1 k=k1;", sealwright.ErrMalformed},
		{"TagTwice", "EG1 k=k1;n=2;s=TAG;s=TAG", "EG1 k=k1;n=2;s=TAG;", sealwright.ErrMalformed},
	} {
		v := sealwright.Verifier{Scheme: s, Ring: testRing()}
		m := sealwright.Message{Method: "GET", Header: map[string][]string{"A": {strings.ReplaceAll(tt.list, "TAG", plainTag(testSecret, tt.message))}}}
		verdict, err := v.Verify(m, now)
		if !errors.Is(err, tt.want) || err == nil && !verdict.Covers.KeyID {
			t.Errorf("%s: error is %v, want %v; %+v", tt.name, err, tt.want, verdict.Covers)
		}
	}
	if got, err := signedBytes(t, s, sealwright.Message{Method: "GET"}); err != nil || got[0] != "EG1 k=k1;n=nonce;" {
		t.Errorf("signed: %q, %v", got, err)
	}
}

// TestEmptyParts holds parts that are written without a value.
func TestEmptyParts(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"list":{"from":"header:A","format":"pairs","sep":"&","parts":[{"name":"names","empty":true},{"name":"s"}]},"tag":{"from":"part:s","encoding":"hex"},"message":["x"]`, nil)
	for _, list := range []string{"names=&s=TAG", "names=a&s=TAG", "s=TAG"} {
		if err := verifyHeaders(t, s, "x", map[string]string{"A": list}); err != nil {
			t.Errorf("%s: %v", list, err)
		}
	}
	signer := sealwright.Signer{Scheme: s, Ring: testRing()}
	m, err := signer.Sign(sealwright.Message{Method: "GET"}, now)
	if want := "names=&s=" + plainTag(testSecret, "x"); err != nil || m.Header["A"][0] != want {
		t.Errorf("signed list is %v, %v, want %s", m.Header, err, want)
	}
}

// TestTagForms holds tags that may be written in several ways.
func TestTagForms(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"tag":{"from":"header:A","encoding":"hex","or":[{"prefix":"sha256:","encoding":"base64url"},{"prefix":"sha256:","encoding":"base64"}]},"message":["m"]`, nil)
	sum := rawTag(testSecret, "m")
	for _, tt := range []struct {
		name, value string
		want        error
	}{
		{"Hex", "TAG", nil}, {"Base64URL", "sha256:" + base64.URLEncoding.EncodeToString(sum), nil}, {"Base64", "sha256:" + base64.StdEncoding.EncodeToString(sum), nil},
		{"HexWithPrefix", "sha256:TAG", sealwright.ErrMismatch}, {"Base64WithoutPrefix", base64.StdEncoding.EncodeToString(sum), sealwright.ErrMalformed},
		{"OtherPrefix", "sha1:TAG", sealwright.ErrMalformed}, {"Empty", "", sealwright.ErrMissing}, {"PrefixOnly", "sha256:", sealwright.ErrMissing},
	} {
		if err := verifyHeaders(t, s, "m", map[string]string{"A": tt.value}); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestTagsOfKeys holds tags that stand behind the ID of the key they belong to.
func TestTagsOfKeys(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"tag":{"from":"header:A","encoding":"hex","split":"&","owner":"|"},"message":["m"]`, nil)
	other := plainTag("other", "m")
	for _, tt := range []struct {
		value string
		want  error
	}{
		{"k1|TAG", nil}, {"k9|" + other + "&k1|TAG", nil}, {"k1|TAG&k9|" + other, nil}, {"k9|TAG", sealwright.ErrUnknownKey}, {"k9|TAG&k1|" + other, sealwright.ErrMismatch},
		{"TAG", sealwright.ErrMalformed}, {"|TAG", sealwright.ErrMalformed}, {"k1|", sealwright.ErrMissing}, {"k1|TAG|x", sealwright.ErrMalformed},
	} {
		v := sealwright.Verifier{Scheme: s, Ring: testRing()}
		m := sealwright.Message{Method: "GET", Header: map[string][]string{"A": {strings.ReplaceAll(tt.value, "TAG", plainTag(testSecret, "m"))}}}
		verdict, err := v.Verify(m, now)
		if !errors.Is(err, tt.want) || err == nil && verdict.KeyID != "k1" {
			t.Errorf("%s: error is %v, want %v, key %s", tt.value, err, tt.want, verdict.KeyID)
		}
	}
	signer := sealwright.Signer{Scheme: s, Ring: testRing()}
	if m, err := signer.Sign(sealwright.Message{Method: "GET"}, now); err != nil || m.Header["A"][0] != "k1|"+plainTag(testSecret, "m") {
		t.Errorf("signed: %v, %v", m.Header, err)
	}
	signer.Ring = keyring.Must(keyring.Key{Secret: bytesOf(testSecret)})
	if _, err := signer.Sign(sealwright.Message{Method: "GET"}, now); !errors.Is(err, sealwright.ErrConfig) {
		t.Errorf("a key without ID: error is %v, want %v", err, sealwright.ErrConfig)
	}
}

// TestEncodedKeyID holds a key ID that is percent-encoded in the message.
func TestEncodedKeyID(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"tag":{"from":"header:X-Tag","encoding":"hex"},"key_id":{"from":"header:X-Key|decode"},"message":["{header:X-Key}"]`, nil)
	ring := keyring.Must(keyring.Key{ID: "a b/c", Secret: bytesOf(testSecret)})
	for value, want := range map[string]error{"a%20b%2Fc": nil, "a%20b%2fc": nil, "a b/c": nil, "a+b/c": sealwright.ErrUnknownKey, "a%2": sealwright.ErrMalformed} {
		v := sealwright.Verifier{Scheme: s, Ring: ring}
		m := sealwright.Message{Method: "GET", Header: map[string][]string{"X-Key": {value}, "X-Tag": {plainTag(testSecret, value)}}}
		if _, err := v.Verify(m, now); !errors.Is(err, want) {
			t.Errorf("%s: error is %v, want %v", value, err, want)
		}
	}
	signer := sealwright.Signer{Scheme: s, Ring: ring}
	if m, err := signer.Sign(sealwright.Message{Method: "GET"}, now); err != nil || m.Header["X-Key"][0] != "a%20b%2Fc" {
		t.Errorf("signed: %v, %v", m.Header, err)
	}
}

func TestListErrors(t *testing.T) {
	for _, tt := range []struct{ name, members, want string }{
		{"Encoding", `"list":{"from":"header:A","encoding":"rot13","format":"positional","sep":":","parts":[{"name":"s"}]}`, "unknown encoding"},
		{"AlsoSource", `"list":{"from":"header:A","also":[{"from":"heder:B"}],"format":"positional","sep":":","parts":[{"name":"s"}]}`, "unknown source"},
	} {
		if _, err := build(t, algorithmAndKey+`,"tag":{"from":"part:s","encoding":"hex"},"message":["x"],`+tt.members, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want %q in it", tt.name, err, tt.want)
		}
	}
	if _, err := build(t, algorithmAndKey+`,"tag":{"from":"header:A","encoding":"hex","or":[{"encoding":"rot13"}]},"message":["x"]`, nil); err == nil {
		t.Error("a tag form of an unknown encoding compiles")
	}
}
