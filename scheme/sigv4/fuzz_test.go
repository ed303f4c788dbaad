package sigv4_test

import (
	"testing"

	"github.com/sealwright/sealwright"
)

// FuzzSign signs any request with each preset: it is refused, or verifies, and
// verifies no more after one byte of what its verdict calls covered has
// changed.
func FuzzSign(f *testing.F) {
	f.Add("GET", "example.com", "/a/../b?x=1&y=%41", "v", "text/plain", []byte("body"), 3)
	f.Add("POST", "h", "//", " a  b\t", "", []byte(nil), 0)
	f.Add("PUT", "é", "/%2F%zz?+=&&=;", "\x7f", "\"a  b\"", []byte{0, 255}, 9)
	f.Add("get", "h:80", "?X-Amz-Expires=5&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD", "", "x", []byte("1"), 20)
	schemes := make([]sealwright.Scheme, 0, len(presets)+1)
	for _, id := range presets {
		schemes = append(schemes, newScheme(f, id, signParams(id)))
	}
	schemes = append(schemes, aws(f, "s3"))
	f.Fuzz(func(t *testing.T, method, host, target, value, contentType string, body []byte, at int) {
		m := sealwright.Message{Method: method, Host: host, Target: target, Body: body, Header: map[string][]string{
			"X-Amz-Meta": {value}, "X-Goog-Meta": {value, "2"}, "X-Acs-Meta": {value}, "Content-Type": {contentType},
		}}
		for _, s := range schemes {
			signer := sealwright.Signer{Scheme: s, Ring: ring(keyID)}
			out, err := signer.Sign(m, now)
			if err != nil {
				continue
			}
			verdict, err := verify(s, out)
			if err != nil {
				t.Fatalf("%s: signed but refused: %v", s.Name(), err)
			}
			for name, changed := range mutations(out, verdict.Covers, at) {
				if got, err := verify(s, changed); err == nil {
					t.Errorf("%s: %s changed and still valid: %+v, covered %+v", s.Name(), name, changed, got.Covers)
				}
			}
		}
	})
}

// mutations returns copies of m, each with another value of one covered thing.
func mutations(m sealwright.Message, covers sealwright.Coverage, at int) map[string]sealwright.Message {
	out := map[string]sealwright.Message{}
	if covers.Body && len(m.Body) > 0 {
		changed := clone(m)
		changed.Body[abs(at)%len(m.Body)] ^= 1
		out["body"] = changed
	}
	if covers.Body {
		changed := clone(m)
		changed.Body = append(changed.Body, 0)
		out["longer body"] = changed
	}
	if covers.Host {
		changed := clone(m)
		changed.Host += "x"
		out["host"] = changed
	}
	if covers.Path {
		changed := clone(m)
		changed.Target = "/~" + m.Target
		out["path"] = changed
	}
	for _, name := range covers.Headers {
		changed := clone(m)
		changed.Header[name] = append(changed.Header[name], "x")
		out[name] = changed
	}
	return out
}

func abs(n int) int {
	if n < 0 {
		return ^n
	}
	return n
}

// FuzzParse reads any credentials: it never panics, and never verifies.
func FuzzParse(f *testing.F) {
	s, q := aws(f, "service"), awsQuery(f, "service")
	f.Add(signed(f, s, request()).Header["Authorization"][0], "20150830T123600Z", "/?a=1")
	f.Add("", "", signed(f, q, request()).Target)
	f.Add("AWS4-HMAC-SHA256 Credential=a/20150830/us-east-1/service/aws4_request,SignedHeaders=host,Signature=00", "20150830T123600Z", "/?a=%")
	schemes := make([]sealwright.Scheme, 0, len(presets))
	for _, id := range presets {
		schemes = append(schemes, newScheme(f, id, signParams(id)))
	}
	f.Fuzz(func(t *testing.T, authorization, date, target string) {
		m := sealwright.Message{Method: "DELETE", Host: "h", Target: target, Header: map[string][]string{
			"X-Amz-Date": {date}, "X-Goog-Date": {date}, "X-Acs-Date": {date}, "X-Tc-Timestamp": {date}, "X-Sdk-Date": {date},
			"X-Date": {date}, "X-Escher-Date": {date}, "X-Escher-Auth": {authorization},
		}}
		if authorization != "" {
			m.Header["Authorization"] = []string{authorization}
		}
		for _, s := range schemes {
			if verdict, err := verify(s, m); err == nil || verdict.Valid {
				t.Errorf("%s: verifies without a signature of this request", s.Name())
			}
		}
	})
}
