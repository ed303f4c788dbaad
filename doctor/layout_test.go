package doctor_test

import (
	"encoding/hex"
	"testing"

	"github.com/sealwright/sealwright/doctor"
)

// slacked is a request of the scheme slack whose sender signed another string.
func slacked(signed string) doctor.Input {
	return input("slack", testSecret, "POST", "https://in.acme.test/s?q=1", "a=b", "X-Slack-Signature", "v0="+hex.EncodeToString(mac256(testSecret, signed)),
		"X-Slack-Request-Timestamp", testTime, "X-Request-Id", "r-77", "Content-Type", "text/plain")
}

func TestSignedStrings(t *testing.T) {
	check(t, []want{
		{name: "LabelMissing", in: slacked(testTime + ":a=b"), cause: "msg.format"},
		{name: "OtherLabel", in: slacked("v1:" + testTime + ":a=b"), cause: "msg.format"},
		{name: "UpperLabel", in: slacked("V0:" + testTime + ":a=b"), cause: "msg.format"},
		{name: "Dots", in: slacked("v0." + testTime + ".a=b"), cause: "msg.format"},
		{name: "NoSeparators", in: slacked("v0" + testTime + "a=b"), cause: "msg.format"},
		{name: "TimeMissing", in: slacked("v0:a=b"), cause: "msg.format"},
		{name: "BodyMissing", in: slacked("v0:" + testTime + ":"), cause: "body.empty_or_consumed", danger: true},
		{name: "Order", in: slacked("v0:a=b:" + testTime), cause: "msg.format"},
		{name: "LineFeed", in: slacked("v0:" + testTime + ":a=b\n"), cause: "body.trailing_newline"},
		{name: "RequestIDToo", in: slacked("v0:r-77:" + testTime + ":a=b"), cause: "msg.format"},
		{name: "MethodToo", in: slacked("v0:POST:" + testTime + ":a=b"), cause: "msg.format"},
		{name: "LowerCaseIsTheSame", in: slacked("v0:" + testTime + ":A=B")},
		{name: "TimeAlone", in: slacked(testTime), cause: "body.empty_or_consumed", danger: true},
		{name: "Twice", in: slacked("v0:" + testTime + ":a=bv0:" + testTime + ":a=b"), cause: "msg.format"},
		{name: "PercentEncoded", in: slacked("v0%3A" + testTime + "%3Aa%3Db"), cause: "msg.format"},
		{name: "NUL", in: slacked("v0:" + testTime + ":a=b\x00"), cause: "msg.format"},
	})
}

func TestCanonicalStrings(t *testing.T) {
	digest := hex.EncodeToString(hash256("{}"))
	in := func(signed string) doctor.Input {
		return input("canonical", testSecret, "POST", "https://a.test/x/y?b=2&a=1", "{}", "X-Timestamp", testTime, "X-Signature", hex.EncodeToString(mac256(testSecret, signed)))
	}
	check(t, []want{
		{name: "LowerMethod", in: in("post\n/x/y\na=1&b=2\n" + testTime + "\n" + digest), cause: "msg.format"},
		{name: "Unsorted", in: in("POST\n/x/y\nb=2&a=1\n" + testTime + "\n" + digest), cause: "url.query"},
		{name: "WithoutQuery", in: in("POST\n/x/y\n\n" + testTime + "\n" + digest), cause: "url.query"},
		{name: "Target", in: in("POST\n/x/y?b=2&a=1\n" + testTime + "\n" + digest), cause: "msg.format"},
		{name: "HostToo", in: in("POST\na.test\n/x/y\na=1&b=2\n" + testTime + "\n" + digest), cause: "msg.format"},
		{name: "TimeFirst", in: in(testTime + "\nPOST\n/x/y\na=1&b=2\n" + digest), cause: "msg.format"},
		{name: "Pipes", in: in("POST|/x/y|a=1&b=2|" + testTime + "|" + digest), cause: "msg.format"},
		{name: "LiteralBackslashN", in: in(`POST\n/x/y\na=1&b=2\n` + testTime + `\n` + digest), cause: "msg.format"},
		{name: "BodyForDigest", in: in("POST\n/x/y\na=1&b=2\n" + testTime + "\n{}"), cause: "msg.format"},
		{name: "NoDigest", in: in("POST\n/x/y\na=1&b=2\n" + testTime), cause: "msg.format", danger: true},
		{name: "EmptyDigest", in: in("POST\n/x/y\na=1&b=2\n" + testTime + "\n"), cause: "msg.format", danger: true},
	})
}
