package scheme_test

import (
	"strings"
	"testing"
)

// TestExplainWords: the page of a scheme names every member that changes what
// is signed or read.
func TestExplainWords(t *testing.T) {
	const tagless = `"algorithm":"hmac-sha256","key":{"encoding":"utf8"}`
	tests := []struct{ name, members, want string }{
		{"Group", frame + `,"message":[{"group":["{method}","\n{body}"]}]`, "1. the method\n2. a line feed\n3. the raw body\n"},
		{"GroupThen", frame + `,"message":["a",{"group":["{method}","{body}"],"then":["sha256","hex"]}]`, "2. the sha256 of (the method, then the raw body), in hex\n"},
		{"GroupIf", frame + `,"message":[{"if":["body"],"group":["{method}","{body}"]}]`, "2. the raw body (if body)\n"},
		{"SignedHeaders", frame + `,"message":[{"headers":{"list":"header:X-List","sep":";","line":"{name}:{value}\n","join":"","sort":true,"require":["date|x-date"],"derived":{"(request-target)":"{method} {target}"}}}]`,
			"each as `{name}:{value}\\n`, joined by nothing, sorted by name; it must name date or x-date; `(request-target)` is the method, then a blank, then path and query as received\n"},
		{"Transforms", frame + `,"message":["{header:X-A|strip:v1=|first:8}{url|decode-hubspot}{body|sha256|base64url-raw}{header:Content-Type|media-type|lower}{header:X-B|decode-base64}{header:X-C|percent-plus}"]`,
			"1. the header `X-A`, without the prefix `v1=`, cut to 8 bytes\n2. the full URL, with the escapes of : / ? @ ! $ ' ( ) * , ; decoded\n3. the sha256 of the raw body, in base64url-raw\n4. the header `Content-Type`, the media type alone, in lower case\n5. the header `X-B`, decoded from base64\n6. the header `X-C`, percent-encoded (percent-plus)\n"},
		{"NamedHeaders", frame + `,"message":[{"headers":{"names":["X-A","X-B"],"line":"{name}\u0000{value}","join":"\u0000"}}]`, "1. those of the headers X-A, X-B that are there, each as `{name}\\x00{value}`, joined by the text `\\x00`\n"},
		{"HeadersOfAPrefix", frame + `,"message":[{"headers":{"prefix":"x-amz-","line":"{name}:{value}","join":"\n"}}]`, "1. the headers whose names begin with `x-amz-`, sorted, each as `{name}:{value}`, joined by a line feed\n"},
		{"Fields", frame + `,"message":[{"fields":{"from":["query"],"omit":["sig"],"add":{"key":"{secret}"},"drop_empty":true,"repeat":"join","repeat_sep":",","sort":"name","kv":"=","join":"&"}}]`,
			"1. the parameters of the query but sig, with `key` as the secret, without empty values, sorted by name, the values of one name joined by the text `,`; the text `=` between name and value, the text `&` between pairs\n"},
		{"FieldValues", frame + `,"message":[{"fields":{"from":["form"],"write":"values","kv":"","join":""}}]`, "1. the values of the parameters of the form; nothing between them\n"},
		{"TagWithOwner", tagless + `,"tag":{"from":"header:X-Tag","encoding":"hex","split":",","owner":"="},"message":["{body}"]`, "behind the ID of its key and `=`, hex, several separated by `,`"},
		{"TagCut", tagless + `,"tag":{"from":"header:X-Tag","encoding":"hex","size":"20"},"message":["{body}"]`, "hex, cut to 20 bytes"},
		{"TagOfHex", tagless + `,"tag":{"from":"header:X-Tag","encoding":"base64","text":"hex"},"message":["{body}"]`, "base64 of its hex text"},
		{"TagOr", tagless + `,"tag":{"from":"header:X-Tag","encoding":"base64","or":[{"prefix":"v2:","encoding":"hex"}]},"message":["{body}"]`, "base64, or hex after `v2:`"},
		{"PathParts", frame + `,"message":["{path-segment:2}{path-tail:1}{path-head:3}"]`, "1. segment 2 of the path\n2. the path behind its first 1 segments\n3. the first 3 segments of the path\n"},
		{"Line", frame + `,"message":["{line:id}{xml:a}{port}"]`, "1. the line `id` of the body\n2. the element `a` of the XML body\n3. the port, or the default one\n"},
		{"TagRemembered", frame + `,"nonce":{"from":"tag"},"message":["{body}"]`, "the tag itself is remembered for as long as the message is fresh"},
		{"TimeOr", frame + `,"time":{"from":"header:X-Time","format":"unix","or":[{"from":"header:Date","format":"http-date"}]},"message":["{header:X-Time?}{header:Date?}{body}"]`, "300s ahead; or the header `Date`, http-date"},
		{"Begins", frame + `,"checks":[{"equal":{"from":"header:X-Scope","begins":"{host}/"}}],"message":["{body}"]`, "the header `X-Scope` must begin with `{host}/`"},
		{"DigestOf", frame + `,"checks":[{"digest":{"from":"header:X-Hash","hash":"sha256","encoding":"hex","of":"{path}{body}"}}],"message":["{header:X-Hash}"]`, "the sha256 of the path as received, then the raw body in hex"},
		{"EverythingCovered", frame + `,"key_id":{"from":"header:X-Key"},"time":{"from":"header:X-Time","format":"unix"},"message":["{method}\n{host}\n{target}\n{keyid}\n{time}\n{body}"]`, "Not covered: nothing of the parts that every request has."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := define(t, tt.members)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Lint(nil); err != nil {
				t.Fatal(err)
			}
			if page := d.Explain(); !strings.Contains(page, tt.want) {
				t.Errorf("got\n%s\nwant it to hold %q", page, tt.want)
			}
		})
	}
}
