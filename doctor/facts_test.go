package doctor_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/doctor"
	"github.com/sealwright/sealwright/secret"
)

// forged is a request that no hypothesis explains.
func forged(body string, pairs ...string) doctor.Input {
	in := input("body-hex", testSecret, "POST", "https://a.test/", body, append([]string{"X-HMAC-Signature", hexOf(mac256("nobody knows", "this"))}, pairs...)...)
	in.MaxHypotheses = 3000
	return in
}

func TestFacts(t *testing.T) {
	conf := func(s string) doctor.Input {
		in := forged("{}")
		in.Secrets[0].Bytes = secret.FromString(s)
		return in
	}
	redirect := input("github", testSecret, "GET", "https://a.test/", "", "X-Hub-Signature-256", "sha256="+hexOf(mac256("x", "y")), "Content-Type", "application/json")
	redirect.MaxHypotheses = 3000
	for _, tt := range []struct {
		name  string
		in    doctor.Input
		cause string // of evidence; "" means unknown
		note  string
	}{
		{"Nothing", forged("{}"), "", ""},
		{"Consumed", forged("", "Content-Length", "20"), "body.empty_or_consumed", ""},
		{"Changed", forged("{}", "Content-Length", "20"), "", "Content-Length is 20"},
		{"Replaced", forged("\"\ufffd\""), "body.charset", ""},
		{"BigInteger", forged(`{"a":123456789012345678}`), "body.json_number", ""},
		{"Mark", forged("\ufeff{}"), "", "byte order mark"},
		{"Unpacked", forged("{}", "Content-Encoding", "gzip"), "body.compressed", ""},
		{"EmptySecret", conf(""), "secret.missing", ""},
		{"PlaceholderSecret", conf("your_secret"), "secret.missing", ""},
		{"BlankAtSecret", conf("abcdefg "), "", "white space at an end"},
		{"Redirect", redirect, "url.redirect", ""},
		{"ForwardedProto", forged("{}", "X-Forwarded-Proto", "http"), "", "X-Forwarded-Proto"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := doctor.Diagnose(context.Background(), tt.in)
			want := doctor.Unknown
			if tt.cause != "" {
				want = doctor.Evidence
			}
			if d.Verdict != want || d.Cause != tt.cause {
				t.Errorf("got %s %s, want %s %s: %s", d.Verdict, d.Cause, want, tt.cause, d.Explanation)
			}
			if !strings.Contains(strings.Join(d.Notes, "\n"), tt.note) {
				t.Errorf("notes are %q, want %q in them", d.Notes, tt.note)
			}
		})
	}
}

// TestLeak tests that a secret which was sent is reported, and not repeated.
func TestLeak(t *testing.T) {
	d := doctor.Diagnose(context.Background(), bodyHex("{}", testSecret))
	if d.Verdict != doctor.Evidence || d.Cause != "alg.not_hmac" || !d.Danger || !strings.Contains(d.Fix, "Rotate") {
		t.Errorf("got %+v, want evidence of a leak", d)
	}
	if strings.Contains(d.Explanation+d.Fix, testSecret) {
		t.Errorf("the answer repeats the secret: %+v", d)
	}
}

func TestDiff(t *testing.T) {
	const common = "the same text before the difference: "
	d := doctor.Diagnose(context.Background(), signedBody(common+"a\nb"+common, common+"a\r\nb"+common))
	if d.Diff == nil {
		t.Fatalf("no diff: %+v", d)
	}
	got := *d.Diff
	if got.Offset != len(common)+1 || got.SignedBytes != got.SeenBytes+1 {
		t.Errorf("got %+v, want offset %d and one byte more", got, len(common)+1)
	}
	if !strings.Contains(got.Signed, "a\r\nb") || !strings.Contains(got.Seen, "a\nb") || !strings.HasPrefix(got.Seen, "…") {
		t.Errorf("got %q and %q", got.Signed, got.Seen)
	}
	long := doctor.Diagnose(context.Background(), signedBody(repeat("a", 5000), ""))
	if long.Diff == nil || len(long.Diff.Seen) > 400 {
		t.Errorf("got %d bytes of a long difference, want at most 400", len(long.Diff.Seen))
	}
}

// TestSecretInString tests that no signed string is shown where the scheme signs
// the secret.
func TestSecretInString(t *testing.T) {
	const ms = "1785000000000"
	tag := base64Of(mac256(testSecret, ms+"."+testSecret))
	in := input("dingtalk-bot", testSecret, "POST", "https://a.test/?timestamp="+ms+"&sign="+strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(tag), "{}")
	d := doctor.Diagnose(context.Background(), in)
	if d.Verdict != doctor.Proven || d.Cause != "msg.format" {
		t.Fatalf("got %s %s, want proven msg.format: %s", d.Verdict, d.Cause, d.Explanation)
	}
	if d.Diff != nil || strings.Contains(d.Explanation+d.Fix, testSecret) {
		t.Errorf("the answer shows the secret: %+v", d)
	}
}

// TestNoExpectedTag tests that the right signature of a request that does not
// verify is in no answer.
func TestNoExpectedTag(t *testing.T) {
	for _, in := range []doctor.Input{forged(`{"a":1}`), signedBody(`{"a":1}`, `{"a": 1}`), signedWith("a\n", "a")} {
		d := doctor.Diagnose(context.Background(), in)
		text := d.Explanation + d.Fix + strings.Join(d.Notes, " ")
		if d.Diff != nil {
			text += d.Diff.Seen + d.Diff.Signed
		}
		key := string(in.Secrets[0].Bytes.Expose())
		for _, tag := range []string{hexOf(mac256(key, string(in.Message.Body))), base64Of(mac256(key, string(in.Message.Body)))} {
			if strings.Contains(text, tag) {
				t.Errorf("the answer shows the expected signature: %s", text)
			}
		}
	}
}
