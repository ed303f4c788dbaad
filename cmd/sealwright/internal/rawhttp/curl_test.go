package rawhttp_test

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestCurl(t *testing.T) {
	long := strings.Repeat("a", 64<<10)
	tests := []struct{ name, data, want string }{{
		name: "HostAndContentLengthAreLeftOut",
		data: "POST /a?b=c&d HTTP/1.1\r\nHost: h:8443\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nX-Sig: s=\r\n\r\nhi",
		want: `curl -X 'POST' 'https://h:8443/a?b=c&d' \
  -H 'Content-Type: text/plain' \
  -H 'X-Sig: s=' \
  --data-raw 'hi'
`,
	}, {
		name: "NoContentTypeIsKeptFromCurl",
		data: "POST http://h/ HTTP/1.1\n\nhi",
		want: `curl -X 'POST' 'http://h/' \
  -H 'Content-Type:' \
  --data-raw 'hi'
`,
	}, {
		name: "OtherHostEmptyAndRepeatedHeaders",
		data: "GET https://h HTTP/1.1\nHost: other\nA:\nB: 1\nb: 2\n\n",
		want: `curl -X 'GET' 'https://h' \
  -H 'Host: other' \
  -H 'A;' \
  -H 'B: 1' \
  -H 'b: 2'
`,
	}, {
		name: "QuotesAndWhatAShellReads",
		data: "POST /$(id) HTTP/1.1\nHost: h\nA: it's `x` $HOME \\ \"!\"\nContent-Type: a\n\n@file 'b'\nc",
		want: `curl -X 'POST' 'https://h/$(id)' \
  -H 'A: it'\''s ` + "`x`" + ` $HOME \ "!"' \
  -H 'Content-Type: a' \
  --data-raw '@file '\''b'\''
c'
`,
	}, {
		name: "BinaryBodyThroughBase64",
		data: "POST / HTTP/1.1\nHost: h\nContent-Type: a\n\n\x00\xff",
		want: `printf %s 'AP8=' | base64 -d | curl -X 'POST' 'https://h/' \
  -H 'Content-Type: a' \
  --data-binary @-
`,
	}, {
		name: "CarriageReturnThroughBase64", // shells of editors and forms lose it
		data: "POST / HTTP/1.1\nHost: h\nContent-Type: a\n\na\r\n",
		want: `printf %s 'YQ0K' | base64 -d | curl -X 'POST' 'https://h/' \
  -H 'Content-Type: a' \
  --data-binary @-
`,
	}, {
		name: "LongestInCommand",
		data: "POST / HTTP/1.1\nHost: h\nContent-Type: a\n\n" + long,
		want: "curl -X 'POST' 'https://h/' \\\n  -H 'Content-Type: a' \\\n  --data-raw '" + long + "'\n",
	}, {
		name: "OneByteLongerThroughBase64",
		data: "POST / HTTP/1.1\nHost: h\nContent-Type: a\n\n" + long + "a",
		want: "printf %s '" + base64.StdEncoding.EncodeToString([]byte(long+"a")) + "' | base64 -d | curl -X 'POST' 'https://h/' \\\n" +
			"  -H 'Content-Type: a' \\\n  --data-binary @-\n",
	}, {
		name: "DotSegments",
		data: "GET /a/../b HTTP/1.1\nHost: h\n\n",
		want: "curl -X 'GET' --request-target '/a/../b' 'https://h/'\n",
	}, {
		name: "BlanksHighBytesAndNumberSign",
		data: "GET /a b?\xe1\x88\xb4#c HTTP/1.1\nHost: h\n\n",
		want: "curl -X 'GET' --request-target '/a b?\xe1\x88\xb4#c' 'https://h/'\n",
	}, {
		name: "BracesAreNoPattern",
		data: "GET /a{1,2}[0-9] HTTP/1.1\nHost: h\n\n",
		want: "curl -X 'GET' --globoff 'https://h/a{1,2}[0-9]'\n",
	}, {
		name: "HeadDoesNotWaitForBody",
		data: "HEAD / HTTP/1.1\nHost: h\n\n",
		want: "curl --head 'https://h/'\n",
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parse(t, tt.data).Curl(); got != tt.want {
				t.Errorf("Curl gives\n%s, want\n%s", got, tt.want)
			}
		})
	}
}
