package rawhttp_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/rawhttp"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name string
		data string
		want rawhttp.Request
	}{{
		name: "OriginFormIsHTTPS",
		data: "POST /hook?a=1&a=%20 HTTP/1.1\r\nHost: example.com:8443\r\nX-A: 1\r\n\r\nbody\r\n",
		want: rawhttp.Request{
			Message: sealwright.Message{
				Method: "POST", Scheme: "https", Host: "example.com:8443", Target: "/hook?a=1&a=%20",
				Header: map[string][]string{"Host": {"example.com:8443"}, "X-A": {"1"}}, Body: []byte("body\r\n"),
			},
			Fields: []rawhttp.Field{{"Host", "example.com:8443"}, {"X-A", "1"}}, Version: "HTTP/1.1", CRLF: true,
		},
	}, {
		name: "AbsoluteFormGivesURL",
		data: "GET http://a.example:80/x?y HTTP/1.0\nHost: b.example\n\n",
		want: rawhttp.Request{
			Message: sealwright.Message{
				Method: "GET", Scheme: "http", Host: "a.example:80", Target: "/x?y",
				Header: map[string][]string{"Host": {"b.example"}}, Body: []byte{},
			},
			Fields: []rawhttp.Field{{"Host", "b.example"}}, Absolute: true, Version: "HTTP/1.0",
		},
	}, {
		name: "AbsoluteFormNeedsNoHeader",
		data: "GET https://a.example HTTP/1.1\n\n",
		want: rawhttp.Request{
			Message:  sealwright.Message{Method: "GET", Scheme: "https", Host: "a.example", Header: map[string][]string{}, Body: []byte{}},
			Absolute: true, Version: "HTTP/1.1",
		},
	}, {
		name: "ContentLengthIsIgnored",
		data: "PUT / HTTP/1.1\nhost: h\ncontent-length: 2\n\nlonger\n\n",
		want: rawhttp.Request{
			Message: sealwright.Message{
				Method: "PUT", Scheme: "https", Host: "h", Target: "/",
				Header: map[string][]string{"Host": {"h"}, "Content-Length": {"2"}}, Body: []byte("longer\n\n"),
			},
			Fields: []rawhttp.Field{{"host", "h"}, {"content-length", "2"}}, Version: "HTTP/1.1",
		},
	}, {
		name: "DuplicatesStayTwoValuesHoweverSpelled", // attack A19
		data: "GET / HTTP/1.1\nHost: h\nX-Sig: 2\nx-sig: 1\n\n",
		want: rawhttp.Request{
			Message: sealwright.Message{
				Method: "GET", Scheme: "https", Host: "h", Target: "/",
				Header: map[string][]string{"Host": {"h"}, "X-Sig": {"2", "1"}}, Body: []byte{},
			},
			Fields: []rawhttp.Field{{"Host", "h"}, {"X-Sig", "2"}, {"x-sig", "1"}}, Version: "HTTP/1.1",
		},
	}, {
		name: "ValuesKeepAllButOuterBlanks",
		data: "GET / HTTP/1.1\nHost:\th \nA: \t b  c\td: e\t \nEmpty:\nHigh: \xff\xe4\n\n\x00",
		want: rawhttp.Request{
			Message: sealwright.Message{
				Method: "GET", Scheme: "https", Host: "h", Target: "/",
				Header: map[string][]string{"Host": {"h"}, "A": {"b  c\td: e"}, "Empty": {""}, "High": {"\xff\xe4"}}, Body: []byte{0},
			},
			Fields: []rawhttp.Field{{"Host", "h"}, {"A", "b  c\td: e"}, {"Empty", ""}, {"High", "\xff\xe4"}}, Version: "HTTP/1.1",
		},
	}, {
		name: "TargetByteForByte",
		data: "GET /a b/../%2f?\xe1\x88\xb4=#x HTTP/1.1\nHost: [::1]:80\n\n",
		want: rawhttp.Request{
			Message: sealwright.Message{
				Method: "GET", Scheme: "https", Host: "[::1]:80", Target: "/a b/../%2f?\xe1\x88\xb4=#x",
				Header: map[string][]string{"Host": {"[::1]:80"}}, Body: []byte{},
			},
			Fields: []rawhttp.Field{{"Host", "[::1]:80"}}, Version: "HTTP/1.1",
		},
	}, {
		name: "LineEndsMayBeMixed",
		data: "GET / HTTP/1.1\nHost: h\r\n\r\n\r\n",
		want: rawhttp.Request{
			Message: sealwright.Message{
				Method: "GET", Scheme: "https", Host: "h", Target: "/", Header: map[string][]string{"Host": {"h"}}, Body: []byte("\r\n"),
			},
			Fields: []rawhttp.Field{{"Host", "h"}}, Version: "HTTP/1.1",
		},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := rawhttp.Parse([]byte(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) { // attack A05
	tests := []struct{ name, data, want string }{
		{"Nothing", "", "request is empty"},
		{"FirstLineEmpty", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", `line 1: got "", want method, target and version`},
		{"OneWord", "GET\n\n", `line 1: got "GET"`},
		{"NoVersion", "GET /\n\n", `line 1: got "GET /"`},
		{"VersionLowerCase", "GET / http/1.1\n\n", `line 1: version: got "http/1.1"`},
		{"Version2", "GET / HTTP/2\n\n", `line 1: version: got "HTTP/2", want HTTP/1.1`},
		{"BlankAtEnd", "GET / HTTP/1.1 \n\n", `line 1: version: got ""`},
		{"TwoBlanks", "GET  / HTTP/1.1\n\n", "line 1: want one blank each"},
		{"TwoBlanksBeforeVersion", "GET /  HTTP/1.1\n\n", "line 1: want one blank each"},
		{"BlankAtBeginning", " GET / HTTP/1.1\n\n", `line 1: method "" is no token`},
		{"MethodNoToken", "G@T / HTTP/1.1\n\n", `line 1: method "G@T" is no token`},
		{"MethodAfterByteOrderMark", "\xef\xbb\xbfGET / HTTP/1.1\n\n", "line 1: method"},
		{"NoTarget", "GET HTTP/1.1\n\n", `line 1: got "GET HTTP/1.1"`},
		{"TargetRelative", "GET hook HTTP/1.1\n\n", `line 1: target "hook" is neither`},
		{"TargetAsterisk", "OPTIONS * HTTP/1.1\nHost: h\n\n", `line 1: target "*" is neither`},
		{"TargetAuthority", "CONNECT h:443 HTTP/1.1\nHost: h\n\n", `line 1: target "h:443" is neither`},
		{"TargetOtherScheme", "GET ftp://h/ HTTP/1.1\n\n", `line 1: target "ftp://h/" is neither`},
		{"TargetNoHost", "GET https:///x HTTP/1.1\n\n", `line 1: target "https:///x" is neither`},
		{"TargetUser", "GET https://me@h/ HTTP/1.1\n\n", `line 1: host "me@h": '@' cannot stand in a host`},
		{"TargetTab", "GET /a\tb HTTP/1.1\n\n", "line 1: target holds the control character 0x09"},
		{"TargetNUL", "GET /a\x00 HTTP/1.1\n\n", "line 1: target holds the control character 0x00"},
		{"TargetLoneCR", "GET /a\rb HTTP/1.1\n\n", "line 1: target holds the control character 0x0d"},
		{"NoHost", "GET / HTTP/1.1\nX: y\n\n", "no Host header"},
		{"HostEmpty", "GET / HTTP/1.1\nHost:\n\n", "line 2: the host is empty"},
		{"HostTwice", "GET / HTTP/1.1\nHost: h\nA: b\nhOST: h\n\n", "line 4: a second Host header"}, // A19
		{"HostTwiceBesideURL", "GET https://h/ HTTP/1.1\nHost: h\nHost: h\n\n", "line 3: a second Host header"},
		{"HostWithPath", "GET / HTTP/1.1\nHost: h/x\n\n", `line 2: host "h/x": '/' cannot stand in a host`},
		{"HostList", "GET / HTTP/1.1\nHost: a b\n\n", `line 2: host "a b": ' ' cannot stand in a host`},
		{"Folded", "GET / HTTP/1.1\nHost: h\nA: b\n c\n\n", "line 4: a folded header"},
		{"FoldedWithTab", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\tc\r\n\r\n", "line 4: a folded header"},
		{"BlankBeforeFirstHeader", "GET / HTTP/1.1\n Host: h\n\n", "line 2: a folded header"},
		{"NoColon", "GET / HTTP/1.1\nHost: h\nhunter2\n\n", "line 3: a header without a colon"},
		{"BlankBeforeColon", "GET / HTTP/1.1\nHost: h\nA : b\n\n", `line 3: header "A": blank before the colon`},
		{"TabBeforeColon", "GET / HTTP/1.1\nHost: h\nA\t: b\n\n", `line 3: header "A": blank before the colon`},
		{"NameEmpty", "GET / HTTP/1.1\nHost: h\n: b\n\n", `line 3: header name "" is no token`},
		{"NameWithBlank", "GET / HTTP/1.1\nHost: h\nA B: c\n\n", `line 3: header name "A B" is no token`},
		{"NameHighByte", "GET / HTTP/1.1\nHost: h\n\xc3\xa4: c\n\n", "is no token"},
		{"NameLong", "GET / HTTP/1.1\nHost: h\n" + strings.Repeat("@", 100) + ": c\n\n", `line 3: header name "` + strings.Repeat("@", 60) + `"… is no token`},
		{"ValueNUL", "GET / HTTP/1.1\nHost: h\nA: b\x00c\n\n", `line 3: header "A": value holds the control character 0x00`},
		{"ValueLoneCR", "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", `line 3: header "A": value holds the control character 0x0d`},
		{"ValueTwoCR", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\r\n\r\n", `line 3: header "A": value holds the control character 0x0d`},
		{"ValueEscape", "GET / HTTP/1.1\nHost: h\nA: \x1b[2J\n\n", `line 3: header "A": value holds the control character 0x1b`},
		{"ValueDelete", "GET / HTTP/1.1\nHost: h\nA: \x7f\n\n", `line 3: header "A": value holds the control character 0x7f`},
		{"NoEmptyLine", "GET / HTTP/1.1\nHost: h\nA: b\n", "line 4: no empty line ends the headers"},
		{"CutWithinHeader", "GET / HTTP/1.1\nHost: h\nA: b", "line 3: no empty line ends the headers"},
		{"CutWithinEmptyLine", "GET / HTTP/1.1\r\nHost: h\r\n\r", "line 3: no empty line ends the headers"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := rawhttp.Parse([]byte(tt.data))
			if err == nil {
				t.Fatalf("Parse accepts it: %+v", got)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %q, want it to say %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %q shows a value", err)
			}
		})
	}
}

func TestParseCopies(t *testing.T) {
	data := []byte("GET / HTTP/1.1\nHost: h\n\nbody")
	r, err := rawhttp.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	if string(r.Message.Body) != "body" || r.Message.Host != "h" {
		t.Errorf("request changed with its file: %+v", r)
	}
}

func TestAppend(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"CRLF", "POST / HTTP/1.1\r\nHost: h\r\n\r\nb\n", "POST / HTTP/1.1\r\nHost: h\r\n\r\nb\n"},
		{"LF", "POST / HTTP/1.1\nHost: h\n\nb\r\n", "POST / HTTP/1.1\nHost: h\n\nb\r\n"},
		{"Absolute", "POST http://h:1?q HTTP/1.0\nA: b\n\n", "POST http://h:1?q HTTP/1.0\nA: b\n\n"},
		{"BlanksAroundValue", "POST / HTTP/1.1\nHost:h\nA:\t b \nB: \n\n", "POST / HTTP/1.1\nHost: h\nA: b\nB:\n\n"},
		{"MixedLineEnds", "POST / HTTP/1.1\r\nHost: h\n\nb", "POST / HTTP/1.1\r\nHost: h\r\n\r\nb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(parse(t, tt.data).Append([]byte("> "))); got != "> "+tt.want {
				t.Errorf("Append gives %q, want %q", got, "> "+tt.want)
			}
		})
	}
}

func TestWith(t *testing.T) {
	tests := []struct {
		name string
		data string
		sign func(*sealwright.Message)
		want string
	}{{
		name: "Nothing",
		data: "POST / HTTP/1.1\nhost: h\nx-B: 1\nA: 2\nX-b: 3\n\nbody",
		sign: func(*sealwright.Message) {},
		want: "POST / HTTP/1.1\nhost: h\nx-B: 1\nA: 2\nX-b: 3\n\nbody",
	}, {
		name: "NewOnesFollowByName",
		data: "POST / HTTP/1.1\nZ: 1\nHost: h\n\n",
		sign: func(m *sealwright.Message) {
			m.Header["X-Sig"], m.Header["Date"] = []string{"s", "t"}, []string{"d"}
		},
		want: "POST / HTTP/1.1\nZ: 1\nHost: h\nDate: d\nX-Sig: s\nX-Sig: t\n\n",
	}, {
		name: "ReplacedInPlace",
		data: "POST / HTTP/1.1\nx-sig: old\nHost: h\nA: b\n\n",
		sign: func(m *sealwright.Message) { m.Header["X-Sig"] = []string{"new"} },
		want: "POST / HTTP/1.1\nx-sig: new\nHost: h\nA: b\n\n",
	}, {
		name: "FewerAndMoreValues",
		data: "POST / HTTP/1.1\nA: 1\nA: 2\nB: 1\nHost: h\n\n",
		sign: func(m *sealwright.Message) { m.Header["A"], m.Header["B"] = []string{"3"}, []string{"4", "5"} },
		want: "POST / HTTP/1.1\nA: 3\nB: 4\nHost: h\nB: 5\n\n",
	}, {
		name: "TargetAndHost",
		data: "GET /x HTTP/1.1\nHost: h\n\n",
		sign: func(m *sealwright.Message) { m.Target, m.Host = "/x?sig=1", "h2" },
		want: "GET /x?sig=1 HTTP/1.1\nHost: h2\n\n",
	}, {
		name: "AbsoluteTarget",
		data: "GET https://h/x HTTP/1.1\nHost: other\n\n",
		sign: func(m *sealwright.Message) { m.Target = "/x?sig=1" },
		want: "GET https://h/x?sig=1 HTTP/1.1\nHost: other\n\n",
	}, {
		name: "ContentLengthFollowsBody",
		data: "POST / HTTP/1.1\nHost: h\nContent-Length: 2\n\n{}",
		sign: func(m *sealwright.Message) { m.Body = []byte(`{"sig":1}`) },
		want: "POST / HTTP/1.1\nHost: h\nContent-Length: 9\n\n" + `{"sig":1}`,
	}, {
		name: "WrongContentLengthStays",
		data: "POST / HTTP/1.1\nHost: h\nContent-Length: 7\n\n{}",
		sign: func(m *sealwright.Message) { m.Body = []byte(`{"sig":1}`) },
		want: "POST / HTTP/1.1\nHost: h\nContent-Length: 7\n\n" + `{"sig":1}`,
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := parse(t, tt.data)
			m := parse(t, tt.data).Message
			tt.sign(&m)
			signed := r.With(m)
			if got := string(signed.Append(nil)); got != tt.want {
				t.Errorf("With gives\n%q, want\n%q", got, tt.want)
			}
			if got := string(r.Append(nil)); got != tt.data {
				t.Errorf("With changed its receiver to %q", got)
			}
			if again := parse(t, tt.want); !reflect.DeepEqual(again, signed) {
				t.Errorf("read again it is %+v, want %+v", again, signed)
			}
		})
	}
}

// FuzzParse checks that what Parse accepts is written and read back as it was,
// that its parts agree with each other, and that curl can be told of it.
func FuzzParse(f *testing.F) {
	f.Add([]byte("POST /hook?a=1 HTTP/1.1\r\nHost: example.com\r\nX-Sig: a\r\nx-sig: b\r\n\r\nbody\x00"))
	f.Add([]byte("GET https://h:1/a b#c HTTP/1.0\n\n"))
	f.Add([]byte("GET https://h?q HTTP/1.1\nHost: other\nA:\t\xff b \n\r\n'quoted'"))
	f.Add([]byte("GET / HTTP/1.1\nHost: h\n folded\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := rawhttp.Parse(data)
		if err != nil {
			return
		}
		text := r.Append(nil)
		again, err := rawhttp.Parse(text)
		if err != nil {
			t.Fatalf("%q was written as %q, which is refused: %v", data, text, err)
		}
		if !reflect.DeepEqual(r, again) {
			t.Fatalf("%q was written as %q:\n%+v, want\n%+v", data, text, again, r)
		}
		if same := r.With(r.Message); !reflect.DeepEqual(r, same) {
			t.Fatalf("With changed %+v to %+v", r, same)
		}
		if !strings.HasSuffix(string(data), string(r.Message.Body)) {
			t.Fatalf("body %q is no end of %q", r.Message.Body, data)
		}
		n := 0
		for _, values := range r.Message.Header {
			n += len(values)
		}
		if n != len(r.Fields) {
			t.Fatalf("%d header values of %d fields", n, len(r.Fields))
		}
		if c := r.Curl(); strings.ContainsRune(c, 0) {
			t.Fatalf("curl command %q holds a NUL", c)
		}
	})
}

func parse(t *testing.T, data string) rawhttp.Request {
	t.Helper()
	r, err := rawhttp.Parse([]byte(data))
	if err != nil {
		t.Fatalf("parse %q: %v", data, err)
	}
	return r
}
