package scheme_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

func sha1Hex(s string) string {
	sum := sha1.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// covered signs m with a scheme of these segments and returns the covered bytes.
func covered(t *testing.T, segments string, m sealwright.Message) string {
	t.Helper()
	got, err := signedBytes(t, mustBuild(t, frame+`,"message":[`+segments+`]`, nil), m)
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

func TestRareTemplates(t *testing.T) {
	form := request
	form.Header = map[string][]string{"Content-Type": {"text/Plain; charset=utf-8"}}
	form.Body = []byte("q\"\\\x01\u2028")
	digest := sha256.Sum256(form.Body)
	for _, tt := range []struct{ name, template, want string }{
		{"PortGiven", "{port}", "8443"},
		{"JSONString", "{body|json}", `"q\"\\\u0001` + "\u2028" + `"`},
		{"MediaType", "{header:Content-Type|media-type}", "text/plain"},
		{"AbsentMediaType", "[{header:X-None?|media-type}]", "[]"},
		{"First", "{body|first:2}", `q"`},
		{"FirstOfLess", "{body|first:100|sha256|hex}", hex.EncodeToString(digest[:])},
		{"Strip", "{path|strip:/a%20b} {path|strip:/x}", "/c /a%20b/c"},
		{"PercentPlus", "{path|decode|percent-plus}", "%2Fa+b%2Fc"},
		{"DecodeHex", "{query:z|hex|decode-hex}", "1"},
		{"DecodeBase64", "{query:z|base64url-raw|decode-base64url-raw}", "1"},
		{"PathSegments", "{path-segment:1} {path-segment:2} {path-tail:1} [{path-tail:2}] {path-head:1}", "a%20b c /c [] /a%20b/"},
		{"AbsentSegment", "[{path-segment:3?}][{path-head:2?}]", "[][]"},
		{"EscapeColon", "{url|escape-colon|first:20}", `https\://Example.com`},
		{"Underscore", "{query|underscore}", "z_1_a_b%20c_a_2_empty__flag"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := json.Marshal(tt.template)
			if err != nil {
				t.Fatal(err)
			}
			if got := covered(t, string(text), form); got != tt.want {
				t.Errorf("covered bytes are %q, want %q", got, tt.want)
			}
		})
	}
	for host, want := range map[string]string{"h": "443", "h:80": "80", "[::1]": "443", "[::1]:8": "8"} {
		if got := covered(t, `"{port}"`, sealwright.Message{Method: "GET", Host: host}); got != want {
			t.Errorf("port of %s is %q, want %q", host, got, want)
		}
	}
	if got := covered(t, `"{port}"`, sealwright.Message{Method: "GET", Scheme: "http", Host: "h"}); got != "80" {
		t.Errorf("port of http is %q, want 80", got)
	}
}

// TestHubspotEscapes: twelve escapes are decoded before signing, in either
// case, and nothing else.
func TestHubspotEscapes(t *testing.T) {
	m := sealwright.Message{Method: "GET", Host: "h", Target: "/%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B?%3a%2f&%20%26%3D%25%2B%&%zz%3"}
	if got, want := covered(t, `"{target|decode-hubspot}"`, m), "/:/?@!$'()*,;?:/&%20%26%3D%25%2B%&%zz%3"; got != want {
		t.Errorf("covered bytes are %q, want %q", got, want)
	}
}

func TestGroups(t *testing.T) {
	for _, tt := range []struct{ name, segments, want string }{
		{"Hash", `"x",{"group":["{method}","\n{query:z}"],"then":["sha1","hex"]},"y"`, "x" + sha1Hex("POST\n1") + "y"},
		{"Nested", `{"group":["a",{"group":["b"],"then":["upper"]}],"then":["percent"]}`, "aB"},
		{"ThenOfFields", `{"fields":{"from":["query"],"sort":"text","kv":"=","join":"&"},"then":["percent"]}`, "a%3D2%26a%3Db%2520c%26empty%3D%26flag%26z%3D1"},
		{"ThenOfText", `{"text":"{method}","then":["lower"]}`, "post"},
		{"ConditionInside", `{"group":[{"if":["method:GET"],"text":"a"},{"if":["!method:GET"],"text":"b"}]}`, "b"},
		{"ConditionOutside", `"x",{"if":["method:GET"],"group":["a"]}`, "x"},
		{"EmptyMessage", ``, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := covered(t, tt.segments, request); got != tt.want {
				t.Errorf("covered bytes are %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFieldsWritten(t *testing.T) {
	m := sealwright.Message{Method: "POST", Target: "/?b=1:2&a=%5C&c=%26%3D", Header: map[string][]string{"X-Time": {"7"}}}
	for _, tt := range []struct{ name, fields, want string }{
		{"Names", `"write":"names","kv":"","join":":"`, "b:a:c"},
		{"Values", `"write":"values","encode":"escape-colon","decode":"percent","kv":"","join":":"`, `1\:2:\\:&=`},
		{"EncodeName", `"encode":"underscore","encode_name":"raw","decode":"form","kv":"=","join":"&"`, `b=1:2&a=\&c=__`},
		{"Added", `"add":{"t":"{header:X-Time}","aa":"x y"},"sort":"name","encode":"percent","kv":"=","join":"&"`, "a=%255C&aa=x%20y&b=1%3A2&c=%2526%253D&t=7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := covered(t, `{"fields":{"from":["query"],`+tt.fields+`}}`, m); got != tt.want {
				t.Errorf("covered bytes are %q, want %q", got, tt.want)
			}
		})
	}
}

func TestHeaderSegments(t *testing.T) {
	m := sealwright.Message{Method: "GET", Host: "H.example", Target: "/p?Aa=1%2F2&b=x&Zz=3", Header: map[string][]string{
		"X-List": {"X-B;host;x-a"}, "X-Enc": {"x-a%3BX-B"}, "X-Params": {"aa;zz"}, "X-A": {" 1  2 "}, "X-B": {"é"}, "X-Duo-2": {"two"}, "X-Duo-10": {"ten"},
	}}
	for _, tt := range []struct{ name, segment, want string }{
		{"AsListed", `"list":"header:X-List","sep":";","line":"{name}: {value}","join":"\n"`, "x-b: é\nhost: H.example\nx-a: 1  2"},
		{"CaseOfTheList", `"list":"header:X-List","sep":";","case":"listed","sort":true,"line":"{name}:{value}\n","join":""`, "host:H.example\nx-a:1  2\nX-B:é\n"},
		{"Decoded", `"list":"header:X-Enc|decode","sep":";","line":"{name}={value}","join":"&"`, "x-a=1  2&x-b=é"},
		{"Transforms", `"list":"header:X-List","sep":";","value":"fold|percent","line":"{value}","join":","`, "%C3%A9,H.example,1%202"},
		{"Raw", `"list":"header:X-Enc|decode","sep":";","value":"raw","line":"{value}","join":","`, " 1  2 ,é"},
		{"Alternatives", `"list":"header:X-List","sep":";","require":["x-none|X-A"],"line":"{name}","join":",","value":"raw"`, ""},
		{"Parameters", `"list":"header:X-Params","from":"query","sep":";","value":"percent","line":"{name}={value}","join":"&"`, "aa=1%2F2&zz=3"},
		{"Names", `"names":["X-B","X-None","X-A"],"line":"{name}:{value}","join":"\t"`, "x-b:é\tx-a:1  2"},
		{"Prefix", `"prefix":"x-duo-","line":"{name}\u0000{value}","join":"\u0000"`, "x-duo-10\x00ten\x00x-duo-2\x00two"},
		{"OptionalList", `"list":"header:X-None","optional":true,"sep":";","line":"{value}","join":","`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want == "" && tt.name == "Alternatives" {
				tt.segment = strings.Replace(tt.segment, `"line":"{name}"`, `"line":"{name}{value}"`, 1)
				tt.want = "x-bé,hostH.example,x-a 1  2 "
			}
			if got := covered(t, `{"headers":{`+tt.segment+`}}`, m); got != tt.want {
				t.Errorf("covered bytes are %q, want %q", got, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		name, segment string
		target        string
		want          error
	}{
		{"ListAbsent", `"list":"header:X-None","sep":";"`, "/", sealwright.ErrMissing},
		{"RequiredInEmptyList", `"list":"header:X-None","optional":true,"require":["a"],"sep":";"`, "/", sealwright.ErrMissing},
		{"NotRequired", `"list":"header:X-List","require":["x-none|x-no"],"sep":";"`, "/", sealwright.ErrPolicy},
		{"HeaderAbsent", `"list":"header:X-Params","sep":";"`, "/", sealwright.ErrMalformed},
		{"ParameterTwice", `"list":"header:X-Params","from":"query","sep":";"`, "/?aa=1&zz=2&Aa=3", sealwright.ErrMalformed},
		{"ParameterAbsent", `"list":"header:X-Params","from":"query","sep":";"`, "/?aa=1", sealwright.ErrMalformed},
	} {
		s := mustBuild(t, frame+`,"message":[{"headers":{`+tt.segment+`,"line":"{value}","join":","}}]`, nil)
		broken := m
		broken.Target = tt.target
		broken.Header = map[string][]string{"X-Tag": {"TAG"}}
		for name, values := range m.Header {
			broken.Header[name] = values
		}
		if err := check(t, s, broken, ""); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestA17_DerivedNames: a header of the name of a derived component is not read.
func TestA17_DerivedNames(t *testing.T) {
	s := mustBuild(t, frame+`,"message":[{"headers":{"list":"header:X-List","sep":" ","line":"{name}: {value}","join":"\n","derived":{"request-line":"{method} {target}"}}}]`, nil)
	m := sealwright.Message{Method: "GET", Target: "/real", Header: map[string][]string{"X-List": {"Request-Line"}, "Request-Line": {"GET /forged"}, "X-Tag": {"TAG"}}}
	if err := check(t, s, m, "GET /real"); err != nil {
		t.Errorf("derived component: %v", err)
	}
	if err := check(t, s, m, "request-line: GET /forged"); !errors.Is(err, sealwright.ErrMismatch) {
		t.Errorf("forged header: error is %v, want %v", err, sealwright.ErrMismatch)
	}
}

// TestListedDigest: a digest counts where the list of signed headers names it,
// and a signer fills it in.
func TestListedDigest(t *testing.T) {
	s := mustBuild(t, frame+`,"message":[{"headers":{"list":"header:X-List","sep":" ","line":"{name}:{value}","join":"\n","require":["host"],"sign":["host","digest"]}}],
		"checks":[{"if":["listed:digest"],"digest":{"from":"header:Digest","prefix":"SHA-256=","hash":"sha256","encoding":"hex"}}]`, nil)
	sum := sha256Hex([]byte("body"))
	got, err := signedBytes(t, s, sealwright.Message{Method: "POST", Host: "h", Body: []byte("body")})
	if want := "host:h\ndigest:SHA-256=" + sum; err != nil || got[0] != want {
		t.Errorf("covered bytes are %q, %v, want %q", got, err, want)
	}
	for _, tt := range []struct {
		name, list, digest, body, message string
		want                              error
		covers                            bool
	}{
		{"Listed", "host digest", "SHA-256=" + sum, "body", "host:h\ndigest:SHA-256=" + sum, nil, true},
		{"OtherBody", "host digest", "SHA-256=" + sum, "bodx", "host:h\ndigest:SHA-256=" + sum, sealwright.ErrDigest, true},
		{"NotListed", "host", "SHA-256=of-nothing", "body", "host:h", nil, false},
		{"EmptyBodyNotListed", "host", "", "", "host:h", nil, false},
		{"EmptyBodyListed", "host digest", "SHA-256=" + sha256Hex(nil), "", "host:h\ndigest:SHA-256=" + sha256Hex(nil), nil, true},
	} {
		m := sealwright.Message{Method: "POST", Host: "h", Body: []byte(tt.body), Header: map[string][]string{
			"X-List": {tt.list}, "Digest": {tt.digest}, "X-Tag": {plainTag(testSecret, tt.message)}}}
		v := sealwright.Verifier{Scheme: s, Ring: testRing()}
		verdict, err := v.Verify(m, now)
		if !errors.Is(err, tt.want) || verdict.Covers.Body != tt.covers {
			t.Errorf("%s: error is %v, want %v; body covered: %v, want %v", tt.name, err, tt.want, verdict.Covers.Body, tt.covers)
		}
	}
}

func testRing() *keyring.Ring {
	return keyring.Must(keyring.Key{ID: "k1", Version: 1, Secret: secret.FromString(testSecret)})
}

// TestTruncatedBody: a body is covered while it is shorter than what is signed of
// it: one of that length may be what is left of a longer one.
func TestTruncatedBody(t *testing.T) {
	s := mustBuild(t, frame+`,"message":["{body|first:4}"]`, nil)
	for body, want := range map[string]bool{"123": true, "1234": false, "12345": false} {
		m := sealwright.Message{Method: "POST", Body: []byte(body), Header: map[string][]string{"X-Tag": {plainTag(testSecret, body[:min(4, len(body))])}}}
		v := sealwright.Verifier{Scheme: s, Ring: testRing()}
		if verdict, err := v.Verify(m, now); err != nil || verdict.Covers.Body != want {
			t.Errorf("%s: %v, body covered: %v, want %v", body, err, verdict.Covers.Body, want)
		}
	}
}

// TestEmptyBodyCoverage: a message without a body covers it where any body, of
// whatever type, would show.
func TestEmptyBodyCoverage(t *testing.T) {
	for _, tt := range []struct {
		name, members string
		want          bool
	}{
		{"BodyWhenThere", `"message":["x",{"if":["body"],"text":"{body}"}]`, true},
		{"FormsOnly", `"message":["x",{"if":["form"],"text":"{body}"}]`, false},
		{"OthersRefused", `"message":["x",{"if":["form"],"text":"{body}"}],"checks":[{"if":["body","!form"],"refuse":"no form"}]`, true},
		{"OtherMethod", `"message":["x",{"if":["body","method:PUT"],"text":"{body}"}]`, false},
	} {
		s := mustBuild(t, frame+`,`+tt.members, nil)
		v := sealwright.Verifier{Scheme: s, Ring: testRing()}
		verdict, err := v.Verify(sealwright.Message{Method: "POST", Header: map[string][]string{"X-Tag": {plainTag(testSecret, "x")}}}, now)
		if err != nil || verdict.Covers.Body != tt.want {
			t.Errorf("%s: %v, body covered: %v, want %v", tt.name, err, verdict.Covers.Body, tt.want)
		}
	}
}

func TestListParameters(t *testing.T) {
	const members = frame + `,"params":{"names":{"doc":"n","list":true,"default":"x-a x-b"}},"message":[{"headers":{"names":["X-First","${names}"],"line":"{name}","join":",","value":"raw"}}]`
	members2 := strings.Replace(members, `"line":"{name}"`, `"line":"{name}{value}"`, 1)
	for _, tt := range []struct {
		params scheme.Params
		want   string
	}{{nil, "x-first0,x-a1,x-b2"}, {scheme.Params{"names": {"X-B"}}, "x-first0,x-b2"}, {scheme.Params{"names": {}}, "x-first0"}} {
		m := sealwright.Message{Method: "GET", Header: map[string][]string{"X-First": {"0"}, "X-A": {"1"}, "X-B": {"2"}}}
		got, err := signedBytes(t, mustBuild(t, members2, tt.params), m)
		if err != nil || got[0] != tt.want {
			t.Errorf("%v: covered bytes are %q, %v, want %q", tt.params, got, err, tt.want)
		}
	}
}

func TestSegmentErrors(t *testing.T) {
	for _, tt := range []struct{ name, members, want string }{
		{"TwoKinds", `"message":[{"text":"a","group":["b"]}]`, "exactly one"},
		{"UnknownThen", `"message":[{"text":"a","then":["sha257"]}]`, "unknown transform"},
		{"First", `"message":["{body|first:0}"]`, "above 0"},
		{"Segment", `"message":["{path-segment:0}"]`, "above 0"},
		{"SegmentText", `"message":["{path-tail:x}"]`, "above 0"},
		{"RequestBody", `"message":["{request:body}"]`, "not a place"},
		{"RequestOfNothing", `"message":["{request:}"]`, "unknown source"},
		{"FieldsFrom", `"message":[{"fields":{"from":["json"],"kv":"","join":""}}]`, "query, form, xml or lines"},
		{"FieldsWrite", `"message":[{"fields":{"from":["query"],"write":"all","kv":"","join":""}}]`, "pairs, names or values"},
		{"FieldsEncode", `"message":[{"fields":{"from":["query"],"encode":"json","kv":"","join":""}}]`, "refuses some texts"},
		{"FieldsEncodeName", `"message":[{"fields":{"from":["query"],"encode_name":"rot13","kv":"","join":""}}]`, "unknown transform"},
		{"FieldsAdd", `"message":[{"fields":{"from":["query"],"add":{"a":"{nope}"},"kv":"","join":""}}]`, "unknown source"},
		{"HeadersOfNothing", `"message":[{"headers":{"line":"{value}","join":""}}]`, "exactly one of list, names and prefix"},
		{"HeadersOfTwo", `"message":[{"headers":{"list":"header:X","sep":";","prefix":"x-","line":"{value}","join":""}}]`, "exactly one of list, names and prefix"},
		{"HeadersFrom", `"message":[{"headers":{"prefix":"x-","from":"form","line":"{value}","join":""}}]`, "want query"},
		{"HeadersCase", `"message":[{"headers":{"prefix":"x-","case":"upper","line":"{value}","join":""}}]`, "want listed"},
		{"HeadersValue", `"message":[{"headers":{"prefix":"x-","value":"trim|nope","line":"{value}","join":""}}]`, "unknown transform"},
		{"Head", `"message":["{head}"]`, "head needs a list"},
		{"HeadNotLast", `"list":{"from":"header:A","format":"pairs","sep":";","parts":[{"name":"s"},{"name":"t"}]},"tag":{"from":"part:s","encoding":"hex"},"message":["{head}"]`, "head needs a list"},
		{"BeginsAndValue", `"checks":[{"equal":{"from":"path","value":"a","begins":"b"}}],"message":["x"]`, "begins and another"},
		{"BeginsTemplate", `"checks":[{"equal":{"from":"path","begins":"{x"}}],"message":["x"]`, "without }"},
	} {
		members := frame + `,` + tt.members
		if strings.Contains(tt.members, `"tag"`) {
			members = algorithmAndKey + `,` + tt.members
		}
		if _, err := build(t, members, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want %q in it", tt.name, err, tt.want)
		}
	}
}

// TestPrefixCheck holds a value that must begin with a text of the message.
func TestPrefixCheck(t *testing.T) {
	s := mustBuild(t, frame+`,"message":["{path-head:2|decode}{query:p}"],"checks":[{"equal":{"from":"path|decode","begins":"{path-head:2|decode}{query:p}"}}]`, nil)
	for target, want := range map[string]error{
		"/a/b/pre1?p=pre": nil, "/a/b/%70re/x?p=pre": nil, "/a/b/prx?p=pre": sealwright.ErrPolicy, "/a/b?p=pre": sealwright.ErrMalformed, "/a/b/pre": sealwright.ErrMalformed,
	} {
		m := sealwright.Message{Method: "GET", Target: target, Header: map[string][]string{"X-Tag": {"TAG"}}}
		if err := check(t, s, m, "/a/b/pre"); !errors.Is(err, want) {
			t.Errorf("%s: error is %v, want %v", target, err, want)
		}
	}
}
