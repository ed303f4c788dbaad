package rest_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/rest"
)

// The tests of this file are named after the classes of attack that they hold.

// An empty secret cannot be made, in no spelling.
func TestA01(t *testing.T) {
	f := start(t, nil)
	for _, material := range []string{`""`, `"===="`, `" "`, `"\n"`} {
		refused(t, f.do(t, "POST", "/v1/keys", `{"name":"a","allow_weak":true,"material":`+material+`}`), 422, "invalid", "material")
	}
	refused(t, f.do(t, "POST", "/v1/keys/a/verify", `{"text":"a","tag":"`+jefeTag+`"}`), 404, "not-found", "")
}

// A missing signature never passes, whatever it looks like.
func TestA02(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	for _, claim := range []string{`"tag":""`, `"signature":""`} {
		v := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/jefe/verify", `{"text":"a",`+claim+`}`))
		if v.Valid || v.Reason != "missing-signature" {
			t.Errorf("%s: got %+v", claim, v)
		}
	}
	for _, claim := range []string{`"signature":"HMAC-SHA256="`, `"signature":"HMAC-SHA256=, keyId=jefe, version=1"`, `"signature":", keyId=jefe, version=1"`, `"tag":" "`, `"tag":"sha256="`} {
		v := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/jefe/verify", `{"text":"a",`+claim+`}`))
		if v.Valid || v.Reason != "malformed" {
			t.Errorf("%s: got %+v", claim, v)
		}
	}
	for _, header := range []string{"Sealwright-Tag", "Sealwright-Signature"} {
		r, err := http.NewRequest("POST", f.url+"/v1/keys/jefe/verify", strings.NewReader("a"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/octet-stream"}, header: {""}}
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Body.Close()
		if text, err := io.ReadAll(got.Body); err != nil || !strings.Contains(string(text), `"reason":"missing-signature"`) {
			t.Errorf("%s: got %s, %v", header, text, err)
		}
	}
}

// Only the full tag passes.
func TestA03(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	var items []string
	for n := range len(jefeTag) {
		items = append(items, `{"text":"`+jefeText+`","tag":"`+jefeTag[:n]+`"}`)
	}
	items = append(items, `{"text":"`+jefeText+`","tag":"`+jefeTag+`00"}`, `{"text":"`+jefeText+`","tag":"`+strings.Repeat(jefeTag, 2)+`"}`,
		`{"text":"`+jefeText+`","tag":"`+strings.Repeat("00", 100_000)+`"}`)
	a := f.must(t, "POST", "/v1/keys/jefe/verify", `{"items":[`+strings.Join(items, ",")+`]}`)
	for i, v := range decode[api.VerdictBatch](t, a).Items {
		if v.Valid || v.Error != nil || (v.Reason != "malformed" && v.Reason != "missing-signature") {
			t.Errorf("item %d: got %+v", i, v)
		}
	}
}

// The algorithm is that of the key, whatever the signature says.
func TestA06(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	for _, algorithm := range []string{"HMAC-MD5", "HMAC-SHA1", "none", "", "hmac-sha256", "HMAC-SHA256 ", " HMAC-SHA256", "HMAC-SHA-256", "SHA256", "HMAC-SHA512-256", "HMAC-SHA3-256"} {
		s := strings.Replace(jefeSignature, "HMAC-SHA256", algorithm, 1)
		v := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/jefe/verify", `{"text":"`+jefeText+`","signature":"`+s+`"}`))
		if v.Valid || (v.Reason != "malformed" && v.Reason != "policy") || v.Algorithm != "hmac-sha256" {
			t.Errorf("%q: got %+v", algorithm, v)
		}
	}
	for _, algorithm := range []string{"hmac-md5", "hmac-sha1", "none", "HMAC-SHA256", "hmac-sha256 "} {
		refused(t, f.do(t, "POST", "/v1/keys", `{"name":"a","algorithm":"`+algorithm+`"}`), 422, "invalid", "algorithm")
	}
}

// What may stand once is refused twice.
func TestA19(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	octets := []string{"Content-Type", "application/octet-stream"}
	for _, header := range []string{"Sealwright-Tag", "Sealwright-Signature", "Sealwright-Encoding"} {
		values := map[string]string{"Sealwright-Tag": jefeTag, "Sealwright-Signature": jefeSignature, "Sealwright-Encoding": "hex"}
		refused(t, f.do(t, "POST", "/v1/keys/jefe/verify", jefeText, append(octets[:2:2], header, values[header], header, values[header])...),
			400, "malformed", header+" stands twice")
	}
	refused(t, f.do(t, "POST", "/v1/keys/jefe/sign", `{"text":"a"}`, "Content-Type", "application/json", "Content-Type", "application/json"), 400, "malformed", "Content-Type")
	refused(t, f.do(t, "GET", "/v1/keys", "", "Authorization", "Bearer "+token, "Authorization", "Bearer "+token), 401, "unauthorized", "token")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/verify", `{"text":"a","tag":"00","tag":"00"}`), 400, "malformed", "body.tag: stands twice")

	// Within a whole request the scheme decides: two signature headers.
	f.withGithub(t)
	v := decode[api.RequestVerdict](t, f.must(t, "POST", "/v1/requests/verify", `{"scheme":"github","key":"hook","request":{"method":"POST","url":"https://a/",
		"headers":{"X-Hub-Signature-256":["`+githubTag+`","sha256=00"]},"body":"`+githubBody+`"}}`))
	if v.Valid {
		t.Error("two signature headers pass")
	}
	v = decode[api.RequestVerdict](t, f.must(t, "POST", "/v1/requests/verify", `{"scheme":"github","key":"hook","request":{"method":"POST","url":"https://a/",
		"headers":{"X-Hub-Signature-256":["`+githubTag+`"],"x-hub-signature-256":["sha256=00"]},"body":"`+githubBody+`"}}`))
	if v.Valid {
		t.Error("two spellings of the signature header pass")
	}
}

// Two messages have two tags.
func TestA23(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	seen := map[string]bool{}
	for _, body := range []string{"", "a", "b", "ab", jefeText} {
		for _, header := range [][]string{{"Content-Type", "application/octet-stream"}, nil} {
			text := body
			if header == nil {
				text = `{"text":"` + body + `."}`
			}
			tag := decode[api.Signed](t, f.must(t, "POST", "/v1/keys/jefe/sign", text, header...)).Tag
			if seen[tag] {
				t.Errorf("%q has the tag of another message", body)
			}
			seen[tag] = true
		}
	}
}

// raw sends bytes over a connection and returns the answer; the request may be
// incomplete.
func (f *fixture) raw(t *testing.T, request string) answer {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{got.StatusCode, got.Header, string(text)}
}

// What cannot be accepted is refused before its body is read.
func TestA24(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	head := func(path string, lines ...string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: a\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	bearer := "Authorization: Bearer " + token
	// None of these sends its body: an answer means that it was not waited for.
	// (net/http itself waits for up to 256 KiB before it answers.)
	refused(t, f.raw(t, head("/v1/keys/jefe/sign", bearer, "Content-Length: 16777217")), 413, "too-large", "16777216")
	refused(t, f.raw(t, head("/v1/keys", bearer, "Content-Length: 1048577")), 413, "too-large", "1048576")
	refused(t, f.raw(t, head("/v1/requests/verify", bearer, "Content-Length: 16777217")), 413, "too-large", "16777216")
	refused(t, f.raw(t, head("/v1/keys/jefe/sign", "Content-Length: 10000000000")), 401, "unauthorized", "token")
	const size = "Content-Length: 1000000"
	refused(t, f.raw(t, head("/v1/keys/jefe/sign", bearer, size, "Content-Encoding: gzip")), 415, "unsupported-media-type", "Content-Encoding")
	refused(t, f.raw(t, head("/v1/keys/jefe/sign", bearer, size, "Content-Type: text/plain")), 415, "unsupported-media-type", "Content-Type")
	refused(t, f.raw(t, head("/v1/keys/none/sign", bearer, size)), 404, "not-found", "none")
	octets := "Content-Type: application/octet-stream"
	refused(t, f.raw(t, head("/v1/keys", bearer, size, octets)), 415, "unsupported-media-type", "application/json")
	refused(t, f.raw(t, head("/v1/keys/jefe/verify", bearer, size, octets)), 422, "invalid", "Sealwright-Tag")
	if a := f.raw(t, head("/v1/keys/jefe/verify", bearer, size, octets, "Sealwright-Tag: zz")); !strings.Contains(a.body, `"reason":"malformed"`) {
		t.Errorf("malformed tag: got %d %s", a.status, a.body)
	}
	// A stream without an end, to which nobody has a right, is cut.
	refused(t, f.raw(t, head("/v1/keys/jefe/sign", "Transfer-Encoding: chunked")+"493e0\r\n"+strings.Repeat("a", 300_000)+"\r\n"), 401, "unauthorized", "token")
}

// A body that is cut or broken is refused, and half a message is never signed.
func TestA24CutBodies(t *testing.T) {
	f := start(t, func(o *rest.Options) { o.Limits.Progress = time.Second })
	f.withJefe(t)
	for _, kind := range []string{"application/json", "application/octet-stream"} {
		head := "POST /v1/keys/jefe/sign HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + token + "\r\nContent-Type: " + kind + "\r\n"
		refused(t, f.raw(t, head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 400, "malformed", "broken")
		refused(t, f.raw(t, head+"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"tex\r\nXX\r\n"), 400, "malformed", "broken")
	}
	// A client that stops after the first step of a large body gets no more time.
	slow := "POST /v1/keys/jefe/sign HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n"
	refused(t, f.raw(t, slow+strings.Repeat("a", 100_000)), 408, "timeout", "slowly")
}

// A stream of any size is signed in constant memory: client and server
// together allocate far less than goes through them.
func TestA24LargeStream(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	const size = 64 << 20
	body := io.LimitReader(zeros{}, size)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s := decode[api.Signed](t, f.send(t, "POST", "/v1/keys/jefe/sign", body, "Content-Type", "application/octet-stream"))
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > size/8 {
		t.Errorf("allocated %d bytes for a message of %d", after.TotalAlloc-before.TotalAlloc, size)
	}
	m := hmac.New(sha256.New, []byte("Jefe"))
	if _, err := io.CopyN(m, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	if want := hex.EncodeToString(m.Sum(nil)); s.Tag != want {
		t.Errorf("got %s, want %s", s.Tag, want)
	}
	if op := f.last(t, 2); op.Bytes != size {
		t.Errorf("got %d bytes, want %d", op.Bytes, size)
	}
	v := decode[api.Verdict](t, f.send(t, "POST", "/v1/keys/jefe/verify", io.LimitReader(zeros{}, size),
		"Content-Type", "application/octet-stream", "Sealwright-Signature", s.Signature))
	if !v.Valid {
		t.Errorf("got %+v", v)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A signature of one key does not pass for another, even with the same secret.
func TestA25(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	f.must(t, "POST", "/v1/keys", `{"name":"twin","material":"`+jefe+`","allow_weak":true}`)
	f.must(t, "POST", "/v1/keys", `{"name":"other"}`)
	for _, key := range []string{"twin", "other"} {
		v := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/"+key+"/verify", `{"text":"`+jefeText+`","signature":"`+jefeSignature+`"}`))
		if v.Valid || v.Reason != "unknown-key" || v.Key != key || v.KeyID != key {
			t.Errorf("%s: got %+v", key, v)
		}
	}
	v := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/other/verify", `{"text":"`+jefeText+`","tag":"`+jefeTag+`"}`))
	if v.Valid {
		t.Error("the tag of jefe passes for other")
	}
}

// There is no key and no token that nobody made.
func TestA26(t *testing.T) {
	f := start(t, nil)
	if a := f.must(t, "GET", "/v1/keys", ""); strings.TrimSpace(a.body) != `{"items":[]}` {
		t.Errorf("a new server has keys: %s", a.body)
	}
	for _, name := range []string{"default", "admin", "test", "demo"} {
		refused(t, f.do(t, "POST", "/v1/keys/"+name+"/sign", `{"text":"a"}`), 404, "not-found", name)
	}
}

// A secret that anybody can read in the examples of a scheme, or that is short,
// is taken only with a warning, in the answer and in the log.
func TestA26_SampleSecretIsWarnedOf(t *testing.T) {
	f := start(t, func(o *rest.Options) {
		o.Sample = func(s secret.Bytes) (string, bool) { return "github", string(s.Expose()) == githubSecret }
	})
	tests := []struct {
		name, material, members string
		want                    []string // a part of each warning
	}{
		{"sample", githubSecret, "", []string{`published sample, it stands in the examples of scheme "github"`}},
		{"of-15-bytes", "fifteen bytes !", "", []string{"15 bytes"}},
		{"of-16-bytes", "sixteen bytes !!", "", nil},
		{"of-1-byte", "x", `,"allow_weak":true`, []string{"1 bytes"}},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := decode[api.Key](t, f.must(t, "POST", "/v1/keys",
				`{"name":"`+tt.name+`","material":"`+base64.StdEncoding.EncodeToString([]byte(tt.material))+`"`+tt.members+`}`))
			id := f.last(t, i+1).RequestID
			if len(k.Warnings) != len(tt.want) || strings.Contains(f.log.String(), id) != (len(tt.want) > 0) {
				t.Fatalf("got %q, want %q; logged %s", k.Warnings, tt.want, f.log)
			}
			for j, want := range tt.want {
				if !strings.Contains(k.Warnings[j], want) || strings.Contains(k.Warnings[j], tt.material) {
					t.Errorf("got %q, want %q", k.Warnings[j], want)
				}
			}
		})
	}
	if strings.Contains(f.log.String(), githubSecret) {
		t.Error("the log has the secret")
	}
	if k := decode[api.Key](t, f.must(t, "POST", "/v1/keys", `{"name":"random"}`)); k.Warnings != nil {
		t.Errorf("random secret: got %q", k.Warnings)
	}
}

// An unknown key ID or version answers like a wrong tag: the same status, the
// same header fields and members, apart from what the signature itself said.
func TestA28(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	wrongTag := strings.Replace(jefeSignature, "W9", "X9", 1)
	claims := []string{wrongTag, strings.Replace(wrongTag, "=jefe", "=nobody", 1), strings.Replace(wrongTag, "version=1", "version=7", 1)}
	var shapes []string
	for _, claim := range claims {
		a := f.do(t, "POST", "/v1/keys/jefe/verify", `{"text":"`+jefeText+`","signature":"`+claim+`"}`)
		v := decode[api.Verdict](t, a)
		shapes = append(shapes, fmt.Sprint(a.status, a.header.Get("Content-Type"), len(a.header), v.Valid, v.Reason != "", v.Detail != "", v.Key, v.KeyID, v.Version != 0, v.Algorithm))
	}
	for _, s := range shapes[1:] {
		if diff := cmp.Diff(shapes[0], s); diff != "" {
			t.Errorf("(-wrong tag +unknown):\n%s", diff)
		}
	}
}

// All requests without a valid token get one answer, whatever they ask for.
func TestA28Token(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	tests := []struct{ name, method, path, authorization string }{
		{"NoHeader", "GET", "/v1/keys", ""},
		{"WrongToken", "GET", "/v1/keys", "Bearer " + token + "x"},
		{"PrefixOfTheToken", "GET", "/v1/keys", "Bearer " + token[:len(token)-1]},
		{"NoToken", "GET", "/v1/keys", "Bearer"},
		{"TwoBlanks", "GET", "/v1/keys", "Bearer  " + token},
		{"OtherScheme", "GET", "/v1/keys", "Basic " + token},
		{"OnlyTheToken", "GET", "/v1/keys", token},
		{"KeyThatIs", "GET", "/v1/keys/jefe", "Bearer x"},
		{"KeyThatIsNot", "GET", "/v1/keys/none", "Bearer x"},
		{"Sign", "POST", "/v1/keys/jefe/sign", "Bearer x"},
		{"Requests", "POST", "/v1/requests/verify", "Bearer x"},
		{"NoRoute", "GET", "/v1/secrets", "Bearer x"},
		{"WrongMethod", "PATCH", "/v1/keys", "Bearer x"},
		{"Root", "GET", "/v1", "Bearer x"},
	}
	var first string
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := f.do(t, tt.method, tt.path, "", "Authorization", tt.authorization)
			p := refused(t, a, 401, "unauthorized", "")
			if a.header.Get("WWW-Authenticate") != `Bearer realm="sealwright"` || a.header.Get("Allow") != "" {
				t.Errorf("got header %v", a.header)
			}
			body := strings.Replace(a.body, p.RequestID, "", 1)
			if first == "" {
				first = body
			}
			if body != first {
				t.Errorf("got %s, want %s", body, first)
			}
		})
	}
	f.must(t, "GET", "/v1/keys", "", "Authorization", "bearer "+token) // the scheme has no case (RFC 9110 section 11.1)
}

// A tag has one text.
func TestA30(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	var items []string
	add := func(encoding string, tags ...string) {
		for _, tag := range tags {
			items = append(items, `{"text":"`+jefeText+`","encoding":"`+encoding+`","tag":"`+tag+`"}`)
		}
	}
	add("hex", strings.ToUpper(jefeTag), strings.ToUpper(jefeTag[:1])+jefeTag[1:63]+"A", " "+jefeTag, jefeTag+" ", jefeTag+`\n`, "0x"+jefeTag, jefeTag[:63])
	unpadded := strings.TrimRight(jefeB64, "=")
	add("base64", unpadded, jefeB64+"=", unpadded[:42]+"N=", " "+jefeB64, jefeB64+`\n`, jefeB64[:20]+`\r\n`+jefeB64[20:], strings.ReplaceAll(jefeB64, "=", "%3D"))
	add("base64url", unpadded, jefeB64+"=", unpadded[:42]+"N=")
	for _, s := range []string{
		strings.Replace(jefeSignature, ", ", ",", 1), strings.Replace(jefeSignature, "version=1", "version=01", 1), strings.Replace(jefeSignature, "=, ", ", ", 1),
		strings.Replace(jefeSignature, "version=1", "version=+1", 1), jefeSignature + " ", jefeSignature + ", x=1", strings.Replace(jefeSignature, "keyId", "keyid", 1),
		strings.ToLower(jefeSignature), `\"` + jefeSignature + `\"`,
	} {
		items = append(items, `{"text":"`+jefeText+`","signature":"`+s+`"}`)
	}
	a := f.must(t, "POST", "/v1/keys/jefe/verify", `{"items":[`+strings.Join(items, ",")+`]}`)
	for i, v := range decode[api.VerdictBatch](t, a).Items {
		if v.Valid || v.Reason != "malformed" {
			t.Errorf("%s: got %+v", items[i], v)
		}
	}
}

// Whatever is sent, there is an answer that is no 500, in one of two media
// types.
func TestA05Requests(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	bodies := []string{
		"", "null", "{", "[]", "{}", "\x00", "\xff\xfe", `{"text":"\u0000"}`, `{"items":[{"items":[]}]}`, strings.Repeat("[", 20_000),
		`{"text":` + strings.Repeat(`{"a":`, 20_000), `{"message":"` + strings.Repeat("=", 1000) + `","tag":"` + strings.Repeat("g", 1000) + `"}`,
		`{"name":1e999}`, `{"name":"a","material":5}`, `{"scheme":"github","key":"jefe","now":1e400,"request":{"method":"G","url":"https://a"}}`,
		`{"scheme":"github","key":"jefe","params":null,"request":{"method":"\u0000","url":"https://\u0000","headers":{"":[""]}}}`,
	}
	for _, path := range []string{"/v1/keys", "/v1/keys/jefe/sign", "/v1/keys/jefe/verify", "/v1/requests/sign", "/v1/requests/verify", "/v1/doctor"} {
		for i, body := range bodies {
			a := f.do(t, "POST", path, body)
			if a.status >= 500 || (a.status >= 400 && a.header.Get("Content-Type") != "application/problem+json") {
				t.Errorf("%s, body %d: got %d %s", path, i, a.status, a.body)
			}
		}
	}
	for _, path := range []string{"/v1/keys/%00", "/v1/keys/" + strings.Repeat("a", 10_000), "/v1/keys/%ff", "/v1/keys/a%2Fb", "/v1/keys/..%2f", "/v1//keys", "/v1/keys/", "/v1/./keys", "//", "/v1/keys/jefe/sign/"} {
		a := f.do(t, "GET", path, "")
		refused(t, a, 404, "not-found", "")
	}
	big := bytes.Repeat([]byte("a"), 300_000)
	a := f.do(t, "POST", "/v1/keys/jefe/verify", `{"text":"a","signature":"`+string(big)+`"}`)
	if v := decode[api.Verdict](t, a); v.Valid || v.Reason != "malformed" || len(a.body) > 1000 {
		t.Errorf("large signature: got %d bytes", len(a.body))
	}
}

func TestWrongMethods(t *testing.T) {
	f := start(t, nil)
	tests := map[string]string{
		"/v1/keys": "GET, HEAD, POST", "/v1/keys/a": "DELETE, GET, HEAD", "/v1/keys/a/rotate": "POST", "/v1/keys/a/reveal": "POST", "/v1/keys/a/sign": "POST",
		"/v1/keys/a/verify": "POST", "/v1/requests/sign": "POST", "/v1/requests/verify": "POST", "/healthz": "GET, HEAD", "/readyz": "GET, HEAD",
		"/v1/doctor": "POST", "/v1/rejections": "GET, HEAD", "/v1/rejections/a": "GET, HEAD",
		"/metrics": "GET, HEAD", "/openapi.json": "GET, HEAD",
	}
	for path, allow := range tests {
		for _, method := range []string{"PUT", "PATCH", "OPTIONS", "TRACE", "BREW"} {
			a := f.do(t, method, path, "")
			refused(t, a, 405, "method-not-allowed", allow)
			if a.header.Get("Allow") != allow {
				t.Errorf("%s %s: got Allow %q, want %q", method, path, a.header.Get("Allow"), allow)
			}
		}
	}
	if a := f.do(t, "HEAD", "/v1/keys", ""); a.status != 200 || a.body != "" {
		t.Errorf("HEAD: got %d %q", a.status, a.body)
	}
}

func TestRequestIDs(t *testing.T) {
	f := start(t, nil)
	seen := map[string]bool{}
	for i := range 3 {
		a := f.do(t, "GET", "/v1/keys/none", "", "X-Request-Id", "chosen")
		p := refused(t, a, 404, "not-found", "")
		id := a.header.Get("X-Request-Id")
		if id == "" || id == "chosen" || seen[id] || p.RequestID != id || f.last(t, i+1).RequestID != id {
			t.Errorf("got ID %q in the header, %q in the problem, %q reported", id, p.RequestID, f.last(t, i+1).RequestID)
		}
		seen[id] = true
	}
}
