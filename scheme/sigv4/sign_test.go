package sigv4_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/scheme"
)

// signParams are enough parameters for each preset to sign.
func signParams(preset string) scheme.Params {
	switch preset {
	case "escher":
		return scheme.Params{"credential_scope": {"eu/vienna/request"}}
	case "tencent-tc3":
		return scheme.Params{"service": {"service"}}
	case "gcs-hmac-v4":
		return scheme.Params{"region": {"us-east-1"}}
	case "alibaba-acs3", "huawei-sdk":
		return nil
	}
	return scheme.Params{"region": {"us-east-1"}, "service": {"service"}}
}

// TestSignThenVerify signs plain requests with every preset: what a preset
// signs, it verifies, and signing again changes nothing.
func TestSignThenVerify(t *testing.T) {
	for _, preset := range presets {
		for _, target := range []string{"", "/", "/a/b?x=1&y", "?x=1", "/a%20b/c?z=%41&b=+&b=%2B", "/v1/?"} {
			t.Run(preset+" "+target, func(t *testing.T) {
				s := newScheme(t, preset, signParams(preset))
				m := sealwright.Message{
					Method: "PUT", Host: "example.com", Target: target, Body: []byte("hello"),
					Header: map[string][]string{"Content-Type": {"text/plain"}, "X-Other": {"1"}, "X_under": {"1"}},
				}
				out := signed(t, s, m)
				verdict, err := verify(s, out)
				if err != nil {
					t.Fatal(err)
				}
				if !verdict.At.Equal(now) || verdict.KeyID != keyID || !verdict.Covers.Host || !verdict.Covers.Method {
					t.Errorf("verdict is %+v", verdict)
				}
				again := signed(t, s, out)
				if a, b := canonical(t, s, out), canonical(t, s, again); a != b {
					t.Errorf("signing again changes the canonical request from\n%s\nto\n%s", a, b)
				}
				if again.Target != out.Target {
					t.Errorf("signing again changes the target from %s to %s", out.Target, again.Target)
				}
				if out.Header["X_under"] == nil || strings.Contains(canonical(t, s, out), "x_under") {
					t.Error("a name with an underscore is signed or lost")
				}
			})
		}
	}
}

func TestPrepareHeader(t *testing.T) {
	s, s3 := aws(t, "service"), aws(t, "s3")
	hash := fmt.Sprintf("%x", sha256.Sum256(request().Body))
	tests := []struct {
		name   string
		scheme sealwright.Scheme
		change func(*sealwright.Message)
		want   map[string]string // headers of the result; empty: not there
	}{
		{"AddsDate", s, nil, map[string]string{"X-Amz-Date": "20150830T123600Z", "X-Amz-Content-Sha256": hash}},
		{"NoDigestUnlessThere", s, drop("X-Amz-Content-Sha256"), map[string]string{"X-Amz-Content-Sha256": ""}},
		{"DigestForObjectStore", s3, drop("X-Amz-Content-Sha256"), map[string]string{"X-Amz-Content-Sha256": hash}},
		{"UnsignedPayloadStays", s3, set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), map[string]string{"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}},
		{"WrongDigestReplaced", s, set("X-Amz-Content-Sha256", strings.Repeat("0", 64)), map[string]string{"X-Amz-Content-Sha256": hash}},
		{"FreshDateStays", s, set("X-Amz-Date", "20150830T122100Z"), map[string]string{"X-Amz-Date": "20150830T122100Z"}},
		{"LeadingDateStays", s, set("X-Amz-Date", "20150830T125100Z"), map[string]string{"X-Amz-Date": "20150830T125100Z"}},
		{"StaleDateReplaced", s, set("X-Amz-Date", "20150830T122059Z"), map[string]string{"X-Amz-Date": "20150830T123600Z"}},
		{"LeadingTooFarReplaced", s, set("X-Amz-Date", "20150830T125101Z"), map[string]string{"X-Amz-Date": "20150830T123600Z"}},
		{"BadDateReplaced", s, set("X-Amz-Date", "now"), map[string]string{"X-Amz-Date": "20150830T123600Z"}},
		{"TwoDatesReplaced", s, func(m *sealwright.Message) { m.Header["X-Amz-Date"] = []string{"a", "b"} }, map[string]string{"X-Amz-Date": "20150830T123600Z"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := request()
			if tt.change != nil {
				tt.change(&m)
			}
			before := clone(m)
			out := signed(t, tt.scheme, m)
			for name, want := range tt.want {
				if got := strings.Join(out.Header[name], "|"); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if _, err := verify(tt.scheme, out); err != nil {
				t.Error(err)
			}
			if m.Header["Authorization"] != nil || !bytes.Equal(m.Body, before.Body) || len(m.Header) != len(before.Header) {
				t.Error("signing changed its argument")
			}
		})
	}
}

func TestPrepareRefuses(t *testing.T) {
	s := aws(t, "service")
	tests := []struct {
		name   string
		change func(*sealwright.Message)
		want   error
	}{
		{"OtherAuthorization", set("Authorization", "Bearer token"), sealwright.ErrPolicy},
		{"TwoAuthorizations", func(m *sealwright.Message) { m.Header["Authorization"] = []string{"a", "b"} }, sealwright.ErrMalformed},
		{"CredentialsInQuery", func(m *sealwright.Message) { m.Target += "&X-Amz-Signature=00" }, sealwright.ErrPolicy},
		{"Streaming", set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), sealwright.ErrPolicy},
		{"TwoDigests", func(m *sealwright.Message) { m.Header["X-Amz-Content-Sha256"] = []string{"a", "b"} }, sealwright.ErrMalformed},
		{"NoHost", func(m *sealwright.Message) { m.Host = "" }, sealwright.ErrPolicy},
		{"OtherHostHeader", set("Host", "other"), sealwright.ErrPolicy},
		{"NoMethod", func(m *sealwright.Message) { m.Method = "" }, sealwright.ErrMalformed},
		{"BlankInMethod", func(m *sealwright.Message) { m.Method = "GET /" }, sealwright.ErrMalformed},
		{"AbsoluteTarget", func(m *sealwright.Message) { m.Target = "https://example.com/" }, sealwright.ErrMalformed},
		{"LineFeedInHeader", set("X-Amz-Meta-A", "1\n2"), sealwright.ErrMalformed},
		{"BadEscapeInQuery", func(m *sealwright.Message) { m.Target = "/?a=%4" }, sealwright.ErrMalformed},
		{"Response", func(m *sealwright.Message) { m.Status = 200 }, sealwright.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := request()
			tt.change(&m)
			signer := sealwright.Signer{Scheme: s, Ring: ring(keyID)}
			if _, err := signer.Sign(m, now); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// TestSignAgain keeps what a signature says: the list, and the time while it is
// fresh.
func TestSignAgain(t *testing.T) {
	s := aws(t, "service")
	m := signed(t, s, request())
	m.Header["X-Amz-Meta-C"] = []string{"not in the list"}
	signer := sealwright.Signer{Scheme: s, Ring: ring(keyID)}
	soon, err := signer.Sign(m, now.Add(15*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := soon.Header["Authorization"][0], m.Header["Authorization"][0]; got != want {
		t.Errorf("within the window: got %s, want %s", got, want)
	}
	later, err := signer.Sign(m, now.AddDate(0, 0, 2))
	if err != nil {
		t.Fatal(err)
	}
	if got := later.Header["Authorization"][0]; !strings.Contains(got, "/20150901/") || !strings.Contains(got, "x-amz-meta-a;x-amz-meta-b,") {
		t.Errorf("two days later: got %s, want the new date and the old list", got)
	}
	v := sealwright.Verifier{Scheme: s, Ring: ring(keyID)}
	if _, err := v.Verify(later, now.AddDate(0, 0, 2)); err != nil {
		t.Error(err)
	}
}

func TestPresign(t *testing.T) {
	q := newScheme(t, "aws-sigv4-query", scheme.Params{"region": {"us-east-1"}, "service": {"s3"}, "expires": {"86400"}})
	m := sealwright.Message{Method: "GET", Host: "b.s3.amazonaws.com", Target: "/a%20b.txt?versionId=1&x", Body: nil}
	out := signed(t, q, m)
	const want = "/a%20b.txt?versionId=1&x&X-Amz-Algorithm=AWS4-HMAC-SHA256" +
		"&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=86400" +
		"&X-Amz-SignedHeaders=host&X-Amz-Signature="
	if !strings.HasPrefix(out.Target, want) {
		t.Errorf("target is %s, want it to begin with %s", out.Target, want)
	}
	if len(out.Header) != 0 {
		t.Errorf("headers are %v, want none", out.Header)
	}
	if !strings.HasSuffix(canonical(t, q, out), "\nUNSIGNED-PAYLOAD") {
		t.Errorf("canonical request is %q", canonical(t, q, out))
	}
	verdict, err := verify(q, out)
	if err != nil || !verdict.Expires.Equal(now.Add(24*time.Hour)) || verdict.Covers.Body {
		t.Errorf("verdict is %+v, error %v", verdict, err)
	}
	signer := sealwright.Signer{Scheme: q, Ring: ring(keyID)}
	late, err := signer.Sign(out, now.AddDate(0, 0, 3))
	if err != nil || strings.Count(late.Target, "X-Amz-Date=") != 1 || !strings.Contains(late.Target, "X-Amz-Date=20150902T123600Z") {
		t.Errorf("signed again after it expired: %s, %v", late.Target, err)
	}
	t.Run("DeclaredInQuery", func(t *testing.T) {
		m := m
		m.Body = []byte("hello")
		m.Target = fmt.Sprintf("/?X-Amz-Content-Sha256=%x", sha256.Sum256(m.Body))
		out := signed(t, q, m)
		refuseAll(t, q, out, []change{
			{"OtherBody", func(m *sealwright.Message) { m.Body = []byte("bye") }, sealwright.ErrDigest},
			{"AlsoInHeader", set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), sealwright.ErrPolicy},
		})
		m.Body = []byte("bye")
		if _, err := signer.Sign(m, now); !errors.Is(err, sealwright.ErrDigest) {
			t.Errorf("sign with a hash of another body: got %v, want %v", err, sealwright.ErrDigest)
		}
	})
}
