package doctor_test

import (
	"context"
	"encoding/hex"
	"testing"
	"time"

	"github.com/sealwright/sealwright/doctor"
)

func TestTimestamps(t *testing.T) {
	in := func(text string) doctor.Input {
		return input("stripe", testSecret, "POST", "https://a.test/", `{"created":1784999000}`, "Stripe-Signature",
			"t="+testTime+",v1="+hex.EncodeToString(mac256(testSecret, text+`.{"created":1784999000}`)), "X-Sent-Time", "1784999500")
	}
	check(t, []want{
		{name: "Float", in: in(testTime + ".0"), cause: "msg.timestamp_format"},
		{name: "MillisecondsOfSeconds", in: in(testTime + "000"), cause: "msg.timestamp_format"},
		{name: "MillisecondsNotSent", in: in(testTime + "417"), cause: "msg.timestamp_format"},
		{name: "Microseconds", in: in(testTime + "000000"), cause: "msg.timestamp_format"},
		{name: "ReadTwice", in: in("1785000001"), cause: "msg.timestamp_format"},
		{name: "AMinuteLater", in: in("1785000061"), cause: "msg.timestamp_format"},
		{name: "Exponent", in: in("1.785E9"), cause: "msg.timestamp_format"},
		{name: "ISO", in: in("2026-07-25T17:20:00Z"), cause: "msg.timestamp_format"},
		{name: "HTTPDate", in: in("Sat, 25 Jul 2026 17:20:00 GMT"), cause: "msg.timestamp_format"},
		{name: "Word", in: in("undefined"), cause: "msg.timestamp_format"},
		{name: "TimeOfBody", in: in("1784999000"), cause: "msg.timestamp_format"},
		{name: "TimeOfAnotherHeader", in: in("1784999500"), cause: "msg.timestamp_format"},
		{name: "YearsAway", in: in("1500000000")},
	})
}

func TestHeaderNames(t *testing.T) {
	tag := hex.EncodeToString(mac256(testSecret, "{}"))
	hex := func(name string) doctor.Input {
		return input("body-hex", testSecret, "POST", "https://a.test/", "{}", name, tag)
	}
	slack := func(sig, time string) doctor.Input {
		return input("slack", testSecret, "POST", "https://a.test/", "{}", sig, "v0="+hexOf(mac256(testSecret, "v0:"+testTime+":{}")), time, testTime)
	}
	check(t, []want{
		{name: "Underscores", in: hex("X_HMAC_Signature"), cause: "header.name_case"},
		{name: "CGI", in: hex("HTTP_X_HMAC_SIGNATURE"), cause: "header.name_case"},
		{name: "Remapped", in: hex("X-Amzn-Remapped-X-HMAC-Signature"), cause: "header.name_case"},
		{name: "All", in: slack("X_Slack_Signature", "X_Slack_Request_Timestamp"), cause: "header.name_case"},
		{name: "TimeAlone", in: slack("X-Slack-Signature", "HTTP_X_SLACK_REQUEST_TIMESTAMP"), cause: "header.name_case"},
		{name: "TimeUnderAnotherName", in: slack("X-Slack-Signature", "X-Timestamp"), cause: "header.name_case"},
		{name: "AnyName", in: hex("X-Body-Signature"), cause: "header.name_case"},
		{name: "NoSignature", in: input("body-hex", testSecret, "POST", "https://a.test/", "{}"), says: "carries no signature"},
	})
	query := input("body-hex", testSecret, "POST", "https://a.test/?sig="+tag, "{}")
	check(t, []want{{name: "InQuery", in: query, cause: "header.name_case", says: "query parameter sig"}})
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// TestTimes tests the verdict of messages whose MAC is right.
func TestTimes(t *testing.T) {
	in := func(text string, now time.Time) doctor.Input {
		d := input("stripe", testSecret, "POST", "https://a.test/", "{}", "Stripe-Signature", "t="+text+",v1="+hexOf(mac256(testSecret, text+".{}")))
		d.Now = now
		return d
	}
	at := time.Unix(1785000000, 0)
	for _, tt := range []struct {
		name, cause string
		verdict     doctor.Verdict
		in          doctor.Input
	}{
		{"OldestAllowed", "", doctor.Fine, in(testTime, at.Add(300*time.Second))},
		{"JustTooOld", "time.clock_skew", doctor.Time, in(testTime, at.Add(301*time.Second))},
		{"Ahead", "time.clock_skew", doctor.Time, in(testTime, at.Add(-time.Hour))},
		{"Milliseconds", "time.unit", doctor.Time, in(testTime+"000", at)},
		{"Nanoseconds", "time.unit", doctor.Time, in(testTime+"000000000", at)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := doctor.Diagnose(context.Background(), tt.in)
			if d.Verdict != tt.verdict || d.Cause != tt.cause {
				t.Errorf("got %s %s, want %s %s: %s", d.Verdict, d.Cause, tt.verdict, tt.cause, d.Explanation)
			}
		})
	}
	stale := in(testTime, at.Add(time.Hour))
	stale.Secrets[0].Bytes = signedWith(testSecret+"\n", "").Secrets[0].Bytes
	if d := doctor.Diagnose(context.Background(), stale); d.Cause != "secret.whitespace" || d.Cause2 != "time.clock_skew" {
		t.Errorf("got %s and %s, want secret.whitespace and time.clock_skew", d.Cause, d.Cause2)
	}
}

func TestSignedHeaders(t *testing.T) {
	const date = "Sat, 25 Jul 2026 17:20:00 GMT"
	in := func(listed, signed string, pairs ...string) doctor.Input {
		auth := `hmac username="u", algorithm="hmac-sha256", headers="` + listed + `", signature="` + base64Of(mac256(testSecret, signed)) + `"`
		return input("kong-hmac-auth", testSecret, "GET", "https://gw.test/a?b=1", "", append([]string{"Authorization", auth, "Date", date}, pairs...)...)
	}
	line := "date: " + date + "\n"
	check(t, []want{
		{name: "HTTP2", in: in("date request-line", line+"GET /a?b=1 HTTP/2"), cause: "msg.header_modified"},
		{name: "RequestTarget", in: in("date request-line", line+"(request-target): get /a?b=1"), cause: "msg.format"},
		{name: "FinalLineFeed", in: in("date request-line", line+"GET /a?b=1 HTTP/1.1\n"), cause: "msg.format"},
		{name: "Charset", in: in("date content-type request-line", line+"content-type: application/json\nGET /a?b=1 HTTP/1.1", "Content-Type", "application/json; charset=utf-8"), cause: "msg.header_modified"},
		{name: "OtherOrder", in: in("date request-line", "GET /a?b=1 HTTP/1.1\ndate: "+date), cause: "msg.format"},
		{name: "CapitalNames", in: in("date request-line", "Date: "+date+"\nGET /a?b=1 HTTP/1.1"), cause: "msg.format"},
		{name: "ValuesAlone", in: in("date request-line", date+"\nGET /a?b=1 HTTP/1.1"), cause: "msg.format"},
	})
}
