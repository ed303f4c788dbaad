package doctor_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"testing"

	"github.com/sealwright/sealwright/doctor"
)

func TestBodies(t *testing.T) {
	const doc = `{"a":1}`
	check(t, []want{
		{name: "LineFeedAdded", in: signedBody(doc, doc+"\n"), cause: "body.trailing_newline"},
		{name: "LineFeedLost", in: signedBody(doc+"\n", doc), cause: "body.trailing_newline"},
		{name: "OneOfTwoLineFeeds", in: signedBody(doc+"\n\n", doc+"\n"), cause: "body.trailing_newline"},
		{name: "CRLFAtEnd", in: signedBody(doc, doc+"\r\n"), cause: "body.trailing_newline"},
		{name: "MarkAdded", in: signedBody("\ufeff"+doc, doc), cause: "body.bom"},
		{name: "MarkLost", in: signedBody(doc, "\ufeff"+doc), cause: "body.bom"},
		{name: "CRLFInText", in: signedBody("a\nb", "a\r\nb"), cause: "body.newlines"},
		{name: "LFInText", in: signedBody("a\r\nb", "a\nb"), cause: "body.newlines"},
		{name: "LinesJoined", in: signedBody("a\nb\nc", "abc"), cause: "body.newlines"},
		{name: "Empty", in: signedBody(doc, ""), cause: "body.empty_or_consumed", danger: true},
		{name: "ConstantObject", in: signedBody(doc, "{}"), cause: "body.empty_or_consumed", danger: true},
		{name: "Base64", in: signedBody(base64Of([]byte(doc)), doc), cause: "body.base64_wrapped"},
		{name: "Base64InQuotes", in: signedBody(`"`+base64Of([]byte(doc))+`"`, doc), cause: "body.base64_wrapped"},
		{name: "Base64URLWithoutPadding", in: signedBody(base64.RawURLEncoding.EncodeToString([]byte(doc+"??>")), doc+"??>"), cause: "body.base64_wrapped"},
		{name: "Base64Signed", in: signedBody(doc, base64Of([]byte(doc))), cause: "body.base64_wrapped"},
		{name: "Gzip", in: signedBody(gzipped(doc), doc), cause: "body.compressed"},
		{name: "Zlib", in: signedBody(zlibbed(doc), doc), cause: "body.compressed"},
		{name: "FirstBytes", in: signedBody(repeat("ab", 100), repeat("ab", 50)), cause: ""},
		{name: "OtherAmount", in: signedBody(`{"amount":1}`, `{"amount":2}`), cause: ""},
	})
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

func zlibbed(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

func TestCharsets(t *testing.T) {
	check(t, []want{
		{name: "Mojibake", in: signedBody(`{"a":"MÃ¼ller"}`, `{"a":"Müller"}`), cause: "body.charset"},
		{name: "MojibakeTwice", in: signedBody("{\"a\":\"M\u00c3\u0083\u00c2\u00bcller\"}", `{"a":"Müller"}`), cause: "body.charset"},
		{name: "SeenLatin1", in: signedBody("{\"a\":\"M\xfcller\"}", `{"a":"Müller"}`), cause: "body.charset"},
		{name: "SignedLatin1", in: signedBody(`{"a":"Müller"}`, "{\"a\":\"M\xfcller\"}"), cause: "body.charset"},
		{name: "SeenWindows1252", in: signedBody("{\"a\":\"\x80 5\"}", `{"a":"€ 5"}`), cause: "body.charset"},
		{name: "SignedWindows1252", in: signedBody(`{"a":"€ 5"}`, "{\"a\":\"\x80 5\"}"), cause: "body.charset"},
		{name: "SeenLatin9", in: signedBody("{\"a\":\"\xa4 5\"}", `{"a":"€ 5"}`), cause: "body.charset"},
		{name: "UTF16", in: signedBody("ab", "a\x00b\x00"), cause: "body.charset"},
		{name: "UTF16BigEndian", in: signedBody("ab", "\x00a\x00b"), cause: "body.charset"},
		{name: "QuestionMarks", in: signedBody(`"é"`, `"?"`), cause: "body.charset"},
		{name: "QuestionMarkPerSurrogate", in: signedBody(`"😀"`, `"??"`), cause: "body.charset"},
		{name: "LowerBytes", in: signedBody(`"€"`, "\"\xac\""), cause: "body.charset"},
		{name: "Dropped", in: signedBody(`"aéb"`, `"ab"`), cause: "body.charset"},
		{name: "Surrogates", in: signedBody(`"😀"`, "\"\xed\xa0\xbd\xed\xb8\x80\""), cause: "body.charset"},
		{name: "SignedDecomposed", in: signedBody(`"é"`, "\"e\u0301\""), cause: "body.charset"},
		{name: "SignedComposed", in: signedBody("\"e\u0301\"", `"é"`), cause: "body.charset"},
	})
}

func TestForms(t *testing.T) {
	form := func(seen, signed string) doctor.Input {
		in := signedBody(seen, signed)
		in.Message.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
		return in
	}
	check(t, []want{
		{name: "PlusAsEscape", in: form("a=b+c", "a=b%20c"), cause: "body.form_reencoded"},
		{name: "EscapeAsPlus", in: form("a=b%20c", "a=b+c"), cause: "body.form_reencoded"},
		{name: "StarEscaped", in: form("a=b*+c", "a=b%2A+c"), cause: "body.form_reencoded"},
		{name: "LowerHex", in: form("a=b%2Fc", "a=b%2fc"), cause: "body.form_reencoded"},
		{name: "Decoded", in: form("a=b%2Fc", "a=b/c"), cause: "body.form_reencoded"},
		{name: "Sorted", in: form("b=1&a=2", "a=2&b=1"), cause: "body.form_reencoded"},
		{name: "EmptyLeftOut", in: form("a=1&b=&c=2", "a=1&c=2"), cause: "body.form_reencoded"},
		{name: "EmptyWithoutEquals", in: form("a=1&b=", "a=1&b"), cause: "body.form_reencoded"},
		{name: "InnerJSON", in: form("payload=%7B%22a%22%3A1%7D", `{"a":1}`), cause: "body.form_content_type"},
		{name: "PayloadAroundJSON", in: form(`{"a":1}`, "payload=%7B%22a%22%3A1%7D"), cause: "body.form_content_type"},
		{name: "PayloadAroundJSONWithOtherType", in: signedBody(`{"a":"x y"}`, "payload=%7B%22a%22%3A%22x+y%22%7D"), cause: "body.form_content_type"},
		{name: "FormOfMembers", in: signedBody(`{"a":"x y"}`, "a=x+y"), cause: "body.form_content_type"},
		{name: "JSONOfFields", in: form("a=x+y", `{"a":"x y"}`), cause: "body.form_content_type"},
		{name: "BlankTrimmed", in: form("a=1&b=2", "a=1+&b=2"), cause: "body.params_trimmed"},
		{name: "BlanksTrimmedAtBothEnds", in: form("a=1&b=2", "a=+1+&b=2"), cause: "body.params_trimmed"},
		{name: "OtherValue", in: form("a=1&b=2", "a=1&b=3"), cause: ""},
	})
}

// TestMultipart tests that a sender that signs nothing of a multipart body is a
// danger, and that a consumed one is evidence.
func TestMultipart(t *testing.T) {
	in := signedBody("--x\r\n\r\n1\r\n--x--\r\n", "")
	in.Message.Header["Content-Type"] = []string{"multipart/form-data; boundary=x"}
	check(t, []want{{name: "SignedNothing", in: in, cause: "body.multipart", danger: true}})
	in = signedBody("", "--x--")
	in.Message.Header["Content-Type"] = []string{"multipart/form-data; boundary=x"}
	in.Message.Header["Content-Length"] = []string{"5"}
	check(t, []want{{name: "Consumed", in: in, says: "multipart parser"}})
}

// TestCompressedAgain needs the same compressor on both sides, which Go's is.
func TestCompressedAgain(t *testing.T) {
	in := bodyHex(`{"a":1}`, hex.EncodeToString(mac256(testSecret, gzipped(`{"a":1}`))))
	check(t, []want{{name: "Gzip", in: in, cause: "body.compressed"}})
}
