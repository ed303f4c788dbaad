package scheme_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
)

const answering = frame + `,"time":{"from":"header:X-Time","format":"unix"},"nonce":{"from":"query:n"},"message":["{time}{nonce}"],
	"response":{"tag":{"from":"header:X-Answer","encoding":"hex"},"time":{"from":"request:header:X-Time","format":"unix"},
		"checks":[{"equal":{"from":"line:n","same":"request:query:n"}}],"message":["{time}\n{request:query:n}\n{status}\n{body}"]}`

func answer(status int, body, tag string, request *sealwright.Message) sealwright.Message {
	return sealwright.Message{Status: status, Body: []byte(body), Header: map[string][]string{"X-Answer": {tag}}, Request: request}
}

func TestResponses(t *testing.T) {
	s := mustBuild(t, answering, nil)
	req := &sealwright.Message{Method: "GET", Host: "h", Target: "/?n=7", Header: map[string][]string{"X-Time": {"1767225600"}}}
	other := &sealwright.Message{Method: "GET", Host: "h", Target: "/?n=8", Header: req.Header}
	old := &sealwright.Message{Method: "GET", Host: "h", Target: "/?n=7", Header: map[string][]string{"X-Time": {"1767225000"}}}
	tag := plainTag(testSecret, "1767225600\n7\n200\nn=7\n")
	for _, tt := range []struct {
		name string
		m    sealwright.Message
		want error
	}{
		{"Valid", answer(200, "n=7\n", tag, req), nil},
		{"OtherBody", answer(200, "n=7\nx=y\n", tag, req), sealwright.ErrMismatch},
		{"OtherStatus", answer(201, "n=7\n", tag, req), sealwright.ErrMismatch},
		{"AnswerToAnother", answer(200, "n=7\n", tag, other), sealwright.ErrPolicy},
		{"OldRequest", answer(200, "n=7\n", plainTag(testSecret, "1767225000\n7\n200\nn=7\n"), old), sealwright.ErrStale},
		{"NoRequest", answer(200, "n=7\n", tag, nil), sealwright.ErrMalformed},
		{"NoTag", answer(200, "n=7\n", "", req), sealwright.ErrMissing},
		{"TagOfRequest", sealwright.Message{Status: 200, Body: []byte("n=7\n"), Header: map[string][]string{"X-Tag": {tag}}, Request: req}, sealwright.ErrMissing},
		{"RequestItself", sealwright.Message{Method: "GET", Target: "/?n=7", Header: map[string][]string{"X-Time": {"1767225600"}, "X-Tag": {plainTag(testSecret, "17672256007")}}}, nil},
		{"RequestWithAnswerTag", sealwright.Message{Method: "GET", Target: "/?n=7", Header: map[string][]string{"X-Time": {"1767225600"}, "X-Answer": {tag}}}, sealwright.ErrMissing},
	} {
		v := sealwright.Verifier{Scheme: s, Ring: testRing()}
		verdict, err := v.Verify(tt.m, now)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.name, err, tt.want)
		}
		if err == nil && tt.m.Status != 0 && (!verdict.Covers.Body || !verdict.Covers.Time || len(verdict.Covers.Headers)+len(verdict.Covers.Fields) > 0) {
			t.Errorf("%s: covers %+v, want body and time", tt.name, verdict.Covers)
		}
	}
}

func TestSignResponses(t *testing.T) {
	s := mustBuild(t, answering, nil)
	req := &sealwright.Message{Method: "GET", Target: "/?n=7", Header: map[string][]string{"X-Time": {"1767225600"}}}
	got, err := signedBytes(t, s, sealwright.Message{Status: 200, Body: []byte("n=7\n"), Request: req})
	if want := "1767225600\n7\n200\nn=7\n"; err != nil || got[0] != want {
		t.Errorf("covered bytes are %q, %v, want %q", got, err, want)
	}
	signer := sealwright.Signer{Scheme: s, Ring: testRing()}
	for name, m := range map[string]sealwright.Message{
		"NoRequest": {Status: 200, Body: []byte("n=7\n")}, "NoTime": {Status: 200, Body: []byte("n=7\n"), Request: &sealwright.Message{Target: "/?n=7"}},
		"OtherNonce": {Status: 200, Body: []byte("n=8\n"), Request: req},
	} {
		if _, err := signer.Sign(m, now); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

// TestLineTag holds a tag in a line of the body.
func TestLineTag(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"tag":{"from":"line:h","encoding":"hex"},"message":[{"fields":{"from":["lines"],"omit":["h"],"sort":"name","kv":"=","join":"&"}}]`, nil)
	for body, want := range map[string]error{
		"h=TAG\r\nb=2\r\na=1=x\r\n": nil, "a=1=x\nb=2\nh=TAG": nil, "a=1=x\nb=3\nh=TAG": sealwright.ErrMismatch, "a=1=x\nb=2": sealwright.ErrMissing, "a=1=x\nb=2\nh=TAG\nh=TAG": sealwright.ErrMalformed, "a": sealwright.ErrMalformed,
	} {
		if err := check(t, s, sealwright.Message{Method: "POST", Body: []byte(body)}, "a=1=x&b=2"); !errors.Is(err, want) {
			t.Errorf("%q: error is %v, want %v", body, err, want)
		}
	}
	signer := sealwright.Signer{Scheme: s, Ring: testRing()}
	m, err := signer.Sign(sealwright.Message{Method: "POST", Body: []byte("b=2\na=1\n")}, now)
	if want := "h=" + plainTag(testSecret, "a=1&b=2") + "\r\nb=2\na=1\n"; err != nil || string(m.Body) != want {
		t.Errorf("signed body is %q, %v, want %q", m.Body, err, want)
	}
}

func TestResponseErrors(t *testing.T) {
	for _, tt := range []struct{ name, response, want string }{
		{"Algorithm", `{"algorithm":"hmac-sha1","tag":{"from":"header:A","encoding":"hex"},"message":["x"]}`, "those of the request"},
		{"Key", `{"key":{"encoding":"utf8"},"tag":{"from":"header:A","encoding":"hex"},"message":["x"]}`, "those of the request"},
		{"Size", `{"tag":{"from":"header:A","encoding":"hex","size":"16"},"message":["x"]}`, "another size"},
		{"NoTag", `{"message":["x"]}`, "tag: missing"},
		{"UnsignedTime", `{"tag":{"from":"header:A","encoding":"hex"},"time":{"from":"request:header:T","format":"unix"},"message":["x"]}`, "A09"},
	} {
		if _, err := build(t, frame+`,"message":["x"],"response":`+tt.response, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want %q in it", tt.name, err, tt.want)
		}
	}
}
