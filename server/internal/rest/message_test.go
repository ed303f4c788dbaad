package rest_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/api"
)

const jefeSignature = "HMAC-SHA256=" + jefeB64 + ", keyId=jefe, version=1"

func TestSign(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	inBase64 := base64.StdEncoding.EncodeToString([]byte(jefeText))
	want := api.Signed{Tag: jefeTag, Encoding: "hex", Key: "jefe", Version: 1, Algorithm: "hmac-sha256", Signature: jefeSignature}
	in := func(encoding, tag string) api.Signed {
		s := want
		s.Encoding, s.Tag = encoding, tag
		return s
	}
	tests := []struct {
		name, body string
		want       api.Signed
	}{
		{"Text", `{"text":"` + jefeText + `"}`, want},
		{"Message", `{"message":"` + inBase64 + `"}`, want},
		{"EscapedText", `{"text":"\u0077hat do ya want for nothing\u003f"}`, want},
		{"Hex", `{"text":"` + jefeText + `","encoding":"hex"}`, want},
		{"Base64", `{"text":"` + jefeText + `","encoding":"base64"}`, in("base64", jefeB64)},
		{"Base64URL", `{"text":"` + jefeText + `","encoding":"base64url"}`, in("base64url", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := f.must(t, "POST", "/v1/keys/jefe/sign", tt.body)
			if a.header.Get("Content-Type") != "application/json" {
				t.Errorf("got Content-Type %s", a.header.Get("Content-Type"))
			}
			if diff := cmp.Diff(tt.want, decode[api.Signed](t, a)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSignEveryAlgorithm holds the API equal to the standard library, also for
// empty and binary messages.
func TestSignEveryAlgorithm(t *testing.T) {
	f := start(t, nil)
	secret := []byte("0123456789abcdef0123456789abcdef")
	for _, message := range [][]byte{{}, {0}, []byte("\xff\x00text"), bytes.Repeat([]byte("0123456789"), 10_000)} {
		name := fmt.Sprintf("k%d", len(message))
		f.must(t, "POST", "/v1/keys", `{"name":"`+name+`","material":"`+base64.StdEncoding.EncodeToString(secret)+`"}`)
		m := hmac.New(sha256.New, secret)
		m.Write(message)
		want := hex.EncodeToString(m.Sum(nil))
		got := decode[api.Signed](t, f.must(t, "POST", "/v1/keys/"+name+"/sign", `{"message":"`+base64.StdEncoding.EncodeToString(message)+`"}`))
		if got.Tag != want {
			t.Errorf("%d bytes: got %s, want %s", len(message), got.Tag, want)
		}
	}
	for _, algorithm := range []string{"hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha512-256", "hmac-sha3-256"} {
		f.must(t, "POST", "/v1/keys", `{"name":"`+algorithm+`","algorithm":"`+algorithm+`"}`)
		s := decode[api.Signed](t, f.must(t, "POST", "/v1/keys/"+algorithm+"/sign", `{"text":"a"}`))
		parsed, err := api.ParseSignature(s.Signature)
		if err != nil || s.Algorithm != algorithm || hex.EncodeToString(parsed.Tag) != s.Tag {
			t.Errorf("%s: got %+v, %v", algorithm, s, err)
		}
		for _, claim := range []string{`"tag":"` + s.Tag, `"signature":"` + s.Signature} {
			v := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/"+algorithm+"/verify", `{"text":"a",`+claim+`"}`))
			if !v.Valid || v.Version != 1 || v.Algorithm != algorithm {
				t.Errorf("%s: %s: got %+v", algorithm, claim, v)
			}
		}
	}
}

func TestVerify(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	valid := api.Verdict{Valid: true, Key: "jefe", KeyID: "jefe", Version: 1, State: "active", Algorithm: "hmac-sha256"}
	invalid := func(reason string, version int) api.Verdict {
		return api.Verdict{Reason: reason, Key: "jefe", KeyID: "jefe", Version: version, Algorithm: "hmac-sha256"}
	}
	other := strings.Replace(jefeTag, "5b", "5c", 1)
	tests := []struct {
		name, body string
		want       api.Verdict
	}{
		{"Tag", `"tag":"` + jefeTag + `"`, valid},
		{"TagInBase64", `"encoding":"base64","tag":"` + jefeB64 + `"`, valid},
		{"TagInBase64URL", `"encoding":"base64url","tag":"` + strings.NewReplacer("+", "-", "/", "_").Replace(jefeB64) + `"`, valid},
		{"Signature", `"signature":"` + jefeSignature + `"`, valid},
		{"WrongTag", `"tag":"` + other + `"`, invalid("wrong-signature", 0)},
		{"WrongTagInSignature", `"signature":"` + strings.Replace(jefeSignature, "W9", "X9", 1) + `"`, invalid("wrong-signature", 1)},
		{"SignatureOfOtherKeyID", `"signature":"` + strings.Replace(jefeSignature, "=jefe", "=jeff", 1) + `"`, invalid("unknown-key", 1)},
		{"SignatureOfOtherVersion", `"signature":"` + strings.Replace(jefeSignature, "version=1", "version=2", 1) + `"`, invalid("unknown-key", 2)},
		{"SignatureOfOtherAlgorithm", `"signature":"` + strings.Replace(jefeSignature, "SHA256", "SHA3-256", 1) + `"`, invalid("policy", 1)},
		{"NoSignatureAtAll", `"signature":"x"`, invalid("malformed", 0)},
		{"EncodingOfAnother", `"encoding":"base64","tag":"` + jefeTag + `"`, invalid("malformed", 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := decode[api.Verdict](t, f.must(t, "POST", "/v1/keys/jefe/verify", `{"text":"`+jefeText+`",`+tt.body+`}`))
			if got.Valid == (got.Detail != "") {
				t.Errorf("got detail %q", got.Detail)
			}
			got.Detail = ""
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMessageRefuses(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	tests := []struct {
		name, op, body string
		status         int
		want           string
	}{
		{"NoMessage", "sign", `{}`, 422, "body: message (base64) or text is missing"},
		{"BothForms", "sign", `{"text":"a","message":"YQ=="}`, 422, "both message and text"},
		{"NotBase64", "sign", `{"message":"a"}`, 422, "body.message: not padded base64"},
		{"NoPadding", "sign", `{"message":"YQ"}`, 422, "body.message"},
		{"BitsBehindTheEnd", "sign", `{"message":"YR=="}`, 422, "body.message"},
		{"LineEndInBase64", "sign", `{"message":"YQ==\n"}`, 422, "body.message: not base64 at character 4"},
		{"URLAlphabet", "sign", `{"message":"_-8="}`, 422, "body.message"},
		{"UnknownEncoding", "sign", `{"text":"a","encoding":"HEX"}`, 422, "body.encoding: want hex"},
		{"TagForSign", "sign", `{"text":"a","tag":"00"}`, 422, "unknown member"},
		{"ItemsAndText", "sign", `{"text":"a","items":[{"text":"b"}]}`, 422, "either items or one message"},
		{"ItemsAndTag", "verify", `{"tag":"00","items":[{"text":"b","tag":"00"}]}`, 422, "either items or one message"},
		{"NothingToVerify", "verify", `{"text":"a"}`, 422, "tag or signature is missing"},
		{"NullToVerify", "verify", `{"text":"a","tag":null}`, 422, "tag or signature is missing"},
		{"TagAndSignature", "verify", `{"text":"a","tag":"00","signature":"x"}`, 422, "both tag and signature"},
		{"Syntax", "verify", `{"text":"a"`, 400, "bad JSON at byte 11"},
		{"Empty", "verify", ``, 400, "bad JSON at byte 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code := map[int]string{400: "malformed", 422: "invalid"}[tt.status]
			refused(t, f.do(t, "POST", "/v1/keys/jefe/"+tt.op, tt.body), tt.status, code, tt.want)
		})
	}
}

// TestMessageRefusesAQuery stops an encoding that would otherwise be ignored.
func TestMessageRefusesAQuery(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	for _, op := range []string{"sign", "verify"} {
		refused(t, f.do(t, "POST", "/v1/keys/jefe/"+op+"?encoding=base64", `{"text":"a","encoding":"hex"}`), 422, "invalid", "query")
	}
}

func TestBatch(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	a := f.must(t, "POST", "/v1/keys/jefe/sign", `{"encoding":"base64","items":[
		{"text":"`+jefeText+`"}, {"message":"!"}, {"text":"`+jefeText+`","encoding":"hex"}, {}, {"text":"a","encoding":"x"}, {"text":""}]}`)
	got := decode[api.SignedBatch](t, a)
	if len(got.Items) != 6 {
		t.Fatalf("got %d results: %s", len(got.Items), a.body)
	}
	if got.Items[0].Tag != jefeB64 || got.Items[2].Tag != jefeTag || got.Items[5].Signature == "" {
		t.Errorf("got %s", a.body)
	}
	for i, location := range map[int]string{1: "body.items[1].message", 3: "body.items[3]", 4: "body.items[4].encoding"} {
		if e := got.Items[i].Error; e == nil || e.Index != i || e.Location != location || e.Detail == "" || got.Items[i].Tag != "" {
			t.Errorf("item %d: got %+v", i, got.Items[i])
		}
	}
	op := f.last(t, 2)
	if op.Name != "sign" || op.Outcome != "ok" || op.Items != 6 || op.Valid != 3 || op.Failed != 3 || op.Bytes != int64(2*len(jefeText)) || op.Version != 1 {
		t.Errorf("reported as %+v", op)
	}

	a = f.must(t, "POST", "/v1/keys/jefe/verify", `{"items":[
		{"text":"`+jefeText+`","tag":"`+jefeTag+`"}, {"text":"`+jefeText+`","signature":"`+jefeSignature+`"}, {"text":"x","tag":"`+jefeTag+`"}, {"text":"x"}]}`)
	verdicts := decode[api.VerdictBatch](t, a).Items
	if len(verdicts) != 4 || !verdicts[0].Valid || !verdicts[1].Valid || verdicts[2].Valid || verdicts[2].Reason != "wrong-signature" ||
		verdicts[3].Valid || verdicts[3].Error == nil || verdicts[3].Error.Index != 3 {
		t.Errorf("got %s", a.body)
	}
	if op := f.last(t, 3); op.Name != "verify" || op.Outcome != "ok" || op.Items != 4 || op.Valid != 2 || op.Failed != 1 {
		t.Errorf("reported as %+v", op)
	}
	if a := f.must(t, "POST", "/v1/keys/jefe/sign", `{"items":[]}`); a.body != `{"items":[]}` {
		t.Errorf("no items: got %s", a.body)
	}
}

func TestBatchLimits(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	batch := func(n int) string {
		return `{"items":[` + strings.TrimSuffix(strings.Repeat(`{"text":"a"},`, n), ",") + `]}`
	}
	a := f.must(t, "POST", "/v1/keys/jefe/sign", batch(1000))
	if got := decode[api.SignedBatch](t, a); len(got.Items) != 1000 || got.Items[999].Tag == "" {
		t.Errorf("got %d results", len(got.Items))
	}
	refused(t, f.do(t, "POST", "/v1/keys/jefe/sign", batch(1001)), 413, "too-large", "more than 1000 items")

	whole := func(size int) string { // a body of this many bytes
		frame := `{"items":[{"text":""},{"text":"b"}]}`
		return `{"items":[{"text":"` + strings.Repeat("a", size-len(frame)) + `"},{"text":"b"}]}`
	}
	if got := decode[api.SignedBatch](t, f.must(t, "POST", "/v1/keys/jefe/sign", whole(16<<20))); len(got.Items) != 2 {
		t.Errorf("16 MiB: got %d results", len(got.Items))
	}
	refused(t, f.do(t, "POST", "/v1/keys/jefe/sign", whole(16<<20+1)), 413, "too-large", "16777216 bytes")
	chunked := io.MultiReader(strings.NewReader(whole(16<<20)), strings.NewReader(" ")) // no known length
	refused(t, f.send(t, "POST", "/v1/keys/jefe/sign", chunked), 413, "too-large", "16777216 bytes")
}

// TestAnswersAreJSON holds the hand-written answers equal to encoding/json for
// every kind of text in them.
func TestAnswersAreJSON(t *testing.T) {
	f := start(t, nil)
	f.must(t, "POST", "/v1/keys", `{"name":"a.b_c-d","key_id":"A.b_C~-"}`)
	for _, body := range []string{
		`{"text":"a","tag":""}`, `{"text":"a","tag":"\u0000\"\\<&>\u2028é"}`, `{"text":"a","signature":"\u0007\""}`,
		`{"text":"a","signature":"HMAC-SHA256=` + jefeB64 + `, keyId=\u003cx\u003e, version=1"}`,
		`{"text":"a","signature":"HMAC-SHA256=` + jefeB64 + `, keyId=x, version=1"}`,
		`{"items":[{"text":"a","tag":"\""},{"text":"a","tag":"00"},{},{"message":"\"","tag":""}]}`,
	} {
		a := f.must(t, "POST", "/v1/keys/a.b_c-d/verify", body)
		if !json.Valid([]byte(a.body)) {
			t.Errorf("%s: got %s", body, a.body)
		}
	}
	s := decode[api.Signed](t, f.must(t, "POST", "/v1/keys/a.b_c-d/sign", `{"text":"a"}`))
	if s.Key != "a.b_c-d" || !strings.Contains(s.Signature, "keyId=A.b_C~-,") {
		t.Errorf("got %+v", s)
	}
}

func TestSignStream(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	octets := []string{"Content-Type", "application/octet-stream"}
	tests := []struct {
		name, query string
		header      []string
		tag         string
	}{
		{"Hex", "", nil, jefeTag},
		{"EncodingInTheQuery", "?encoding=base64", nil, jefeB64},
		{"EncodingInAHeader", "", []string{"Sealwright-Encoding", "base64"}, jefeB64},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := f.must(t, "POST", "/v1/keys/jefe/sign"+tt.query, jefeText, append(octets[:2:2], tt.header...)...)
			if got := decode[api.Signed](t, a); got.Tag != tt.tag || got.Signature != jefeSignature {
				t.Errorf("got %s", a.body)
			}
		})
	}
	a := f.must(t, "POST", "/v1/keys/jefe/sign", jefeText, "Content-Type", "Application/Octet-Stream; x=1")
	if got := decode[api.Signed](t, a); got.Tag != jefeTag {
		t.Errorf("type with a parameter: got %s", a.body)
	}
	for _, query := range []string{"?encoding=x", "?encoding=hex&encoding=hex", "?encoding=hex&x=1", "?x=1"} {
		refused(t, f.do(t, "POST", "/v1/keys/jefe/sign"+query, "a", octets...), 422, "invalid", "encoding")
	}
	refused(t, f.do(t, "POST", "/v1/keys/jefe/sign?encoding=%zz", "a", octets...), 400, "malformed", "query")
	refused(t, f.do(t, "POST", "/v1/keys/jefe/sign?encoding=hex", "a", append(octets, "Sealwright-Encoding", "hex")...), 422, "invalid", "once")
}

func TestVerifyStream(t *testing.T) {
	f := start(t, nil)
	f.withJefe(t)
	f.must(t, "POST", "/v1/keys/jefe/rotate", "")
	f.must(t, "POST", "/v1/keys/jefe/rotate", "")
	verify := func(body string, header ...string) answer {
		return f.do(t, "POST", "/v1/keys/jefe/verify", body, append([]string{"Content-Type", "application/octet-stream"}, header...)...)
	}
	tests := []struct {
		name   string
		body   string
		header []string
		reason string // empty if valid
		want   int    // version
	}{
		{"TagOfAnOldVersion", jefeText, []string{"Sealwright-Tag", jefeTag}, "", 1},
		{"TagInBase64", jefeText, []string{"Sealwright-Tag", jefeB64, "Sealwright-Encoding", "base64"}, "", 1},
		{"Signature", jefeText, []string{"Sealwright-Signature", jefeSignature}, "", 1},
		{"OtherBody", jefeText + ".", []string{"Sealwright-Tag", jefeTag}, "wrong-signature", 0},
		{"OtherBodyWithSignature", "", []string{"Sealwright-Signature", jefeSignature}, "wrong-signature", 1},
		{"VersionThatDidNotSign", jefeText, []string{"Sealwright-Signature", strings.Replace(jefeSignature, "version=1", "version=3", 1)}, "wrong-signature", 3},
		{"UnknownVersion", jefeText, []string{"Sealwright-Signature", strings.Replace(jefeSignature, "version=1", "version=4", 1)}, "unknown-key", 4},
		{"UnknownKeyID", jefeText, []string{"Sealwright-Signature", strings.Replace(jefeSignature, "=jefe", "=jeff", 1)}, "unknown-key", 1},
		{"OtherAlgorithm", jefeText, []string{"Sealwright-Signature", strings.Replace(jefeSignature, "SHA256", "SHA512-256", 1)}, "policy", 1},
		{"MalformedTag", jefeText, []string{"Sealwright-Tag", "zz"}, "malformed", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := verify(tt.body, tt.header...)
			got := decode[api.Verdict](t, a)
			if a.status != 200 || got.Valid != (tt.reason == "") || got.Reason != tt.reason || got.Version != tt.want || got.Key != "jefe" {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
	refused(t, verify(jefeText), 422, "invalid", "want either the header Sealwright-Tag or Sealwright-Signature")
	refused(t, verify(jefeText, "Sealwright-Tag", jefeTag, "Sealwright-Signature", jefeSignature), 422, "invalid", "want either")
}
