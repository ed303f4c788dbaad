package doctor_test

import (
	"testing"

	"github.com/sealwright/sealwright/doctor"
)

// squared is a request of the scheme square, which signs URL and body, seen
// under one URL and signed for another.
func squared(seen, signed string, pairs ...string) doctor.Input {
	tag := base64Of(mac256(testSecret, signed+"{}"))
	return input("square", testSecret, "POST", seen, "{}", append([]string{"X-Square-HmacSha256-Signature", tag}, pairs...)...)
}

func TestURLs(t *testing.T) {
	known := squared("https://in.acme.test/h", "https://pub.acme.test/h")
	known.KnownHosts = []string{"a.test", "pub.acme.test"}
	configured := squared("https://pub.acme.test/h", "https://pub.acme.test/h")
	configured.PublicURL = "https://old.acme.test/x"
	behind := squared("http://in:8080/h", "https://pub.acme.test/h", "X-Forwarded-Host", "pub.acme.test", "X-Forwarded-Proto", "https")
	behind.PublicURL = "https://old.acme.test/x"
	public := squared("https://in.acme.test/h", "https://in.acme.test/base/h")
	public.Definition = input("canonical", "s", "GET", "https://a.test/", "").Definition
	check(t, []want{
		{name: "Scheme", in: squared("http://a.test/h", "https://a.test/h"), cause: "url.scheme"},
		{name: "SchemeWithHint", in: squared("http://a.test/h", "https://a.test/h", "CF-Visitor", `{"scheme":"https"}`), cause: "url.scheme"},
		{name: "ForwardedHost", in: squared("http://in:80/h", "https://a.test/h", "Forwarded", `for="[::1]";proto=https;host=a.test`), cause: "url.host_port"},
		{name: "KnownHost", in: known, cause: "url.host_port", says: "pub.acme.test"},
		{name: "Port", in: squared("https://a.test:8443/h", "https://a.test/h"), cause: "url.host_port"},
		{name: "DefaultPort", in: squared("https://a.test/h", "https://a.test:443/h"), cause: "url.host_port"},
		{name: "Configured", in: configured, cause: "url.configured"},
		{name: "ConfiguredBehindProxy", in: behind, cause: "url.configured"},
		{name: "PrefixAdded", in: squared("https://a.test/gw/h", "https://a.test/h"), cause: "url.path_rewritten"},
		{name: "PrefixHint", in: squared("https://a.test/h", "https://a.test/gw/h", "X-Forwarded-Prefix", "/gw"), cause: "url.path_rewritten"},
		{name: "AnyHeaderWithPath", in: squared("https://a.test/h", "https://a.test/x/y", "X-Some-Path", "/x/y"), cause: "url.path_rewritten"},
		{name: "AnyHeaderWithURL", in: squared("https://a.test/h", "https://b.test/x", "X-Seen-At", "https://b.test/x"), cause: "url.host_port"},
		{name: "StageLost", in: squared("https://a.test/h", "https://a.test/prod/h"), cause: "url.path_rewritten"},
		{name: "SlashesMerged", in: squared("https://a.test/x/y", "https://a.test/x//y"), cause: "url.path_rewritten"},
		{name: "Dots", in: squared("https://a.test/x/../y", "https://a.test/y"), cause: "url.path_rewritten"},
		{name: "SlashAtEnd", in: squared("https://a.test/h", "https://a.test/h/"), cause: "url.trailing_slash"},
		{name: "SlashSeen", in: squared("https://a.test/h/", "https://a.test/h"), cause: "url.trailing_slash"},
		{name: "TwoPlaces", in: squared("http://a.test/h", "https://a.test/h/"), cause: "url.scheme", says: "slash"},
		{name: "OtherURL", in: squared("https://a.test/h", "https://evil.test/other")},
	})
}

func TestEscapes(t *testing.T) {
	q := func(seen, signed string) doctor.Input { return squared("https://a.test"+seen, "https://a.test"+signed) }
	check(t, []want{
		{name: "Plus", in: q("/?a=b+c", "/?a=b%20c"), cause: "url.percent_encoding"},
		{name: "Case", in: q("/?a=b%2fc", "/?a=b%2Fc"), cause: "url.percent_encoding"},
		{name: "Comma", in: q("/?a=b%2Cc", "/?a=b,c"), cause: "url.percent_encoding"},
		{name: "BothBrackets", in: q("/?a=[1]", "/?a=%5B1%5D"), cause: "url.percent_encoding"},
		{name: "Twice", in: q("/a%20b", "/a%2520b"), cause: "url.percent_encoding"},
		{name: "Decoded", in: q("/a%20b", "/a b"), cause: "url.percent_encoding"},
		{name: "SeveralInPath", in: q("/a,b;c=d", "/a%2Cb%3Bc%3Dd"), cause: "url.percent_encoding"},
		{name: "Latin1", in: q("/?a=%C3%A9", "/?a=%E9"), cause: "url.percent_encoding"},
		{name: "Tilde", in: q("/~u", "/%7Eu"), cause: "url.percent_encoding"},
	})
}

func TestQueries(t *testing.T) {
	q := func(seen, signed string) doctor.Input {
		return squared("https://a.test/"+seen, "https://a.test/"+signed)
	}
	check(t, []want{
		{name: "Sorted", in: q("?b=1&a=2", "?a=2&b=1"), cause: "url.query"},
		{name: "AnyOrderOfFive", in: q("?a=1&b=2&c=3&d=4&e=5", "?c=3&a=1&e=5&b=2&d=4"), cause: "url.query"},
		{name: "Dropped", in: q("?a=1&utm=2", "?a=1"), cause: "url.query"},
		{name: "TwoDropped", in: q("?a=1&x=2&y=3&b=4", "?a=1&b=4"), cause: "url.query"},
		{name: "EmptyDropped", in: q("?a=1&b=", "?a=1"), cause: "url.query"},
		{name: "NoEquals", in: q("?a=1&b=", "?a=1&b"), cause: "url.query"},
		{name: "Joined", in: q("?a=1&a=2", "?a=1,2"), cause: "url.query"},
		{name: "Split", in: q("?a=1,2", "?a=1&a=2"), cause: "url.query"},
		{name: "Brackets", in: q("?a=1&a=2", "?a[]=1&a[]=2"), cause: "url.query"},
		{name: "Indexed", in: q("?a[]=1&a[]=2", "?a[0]=1&a[1]=2"), cause: "url.query"},
		{name: "LeftOut", in: q("?a=1", ""), cause: "url.query"},
		{name: "BareQuestionMark", in: q("", "?"), cause: "url.query"},
		{name: "OtherValue", in: q("?a=1", "?a=2")},
	})
}
