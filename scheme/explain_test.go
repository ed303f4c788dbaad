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
