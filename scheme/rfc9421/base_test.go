package rfc9421_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
)

// anyTag is a tag of the right form.
const anyTag = ":AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"

// base returns the signature base of m for a signature that covers the
// components, each as in Signature-Input, and its claim.
func base(tb testing.TB, m sealwright.Message, components ...string) (string, *sealwright.Claim, error) {
	tb.Helper()
	m.Header = clone(m.Header)
	m.Header["Signature-Input"] = []string{"sig=(" + strings.Join(components, " ") + ");created=1767225600"}
	m.Header["Signature"] = []string{"sig=" + anyTag}
	s, err := definition(tb).New(scheme.Params{"required": {components[0]}})
	if err != nil {
		return "", nil, err
	}
	signed, claim, err := sealwright.SignedBytes(s, &keyring.Key{}, m)
	if err != nil {
		return "", nil, err
	}
	return string(signed[0]), claim, nil
}

func clone(h map[string][]string) map[string][]string {
	out := map[string][]string{}
	for name, lines := range h {
		out[name] = slices.Clone(lines)
	}
	return out
}

// value returns the value of one component.
func value(tb testing.TB, m sealwright.Message, component string) (string, error) {
	tb.Helper()
	b, _, err := base(tb, m, component)
	line, _, _ := strings.Cut(b, "\n")
	return strings.TrimPrefix(line, component+": "), err
}

func get(target string, header ...string) sealwright.Message {
	m := sealwright.Message{Method: "GET", Scheme: "https", Host: "www.example.com", Target: target, Header: map[string][]string{}}
	for i := 0; i < len(header); i += 2 {
		m.Header[header[i]] = append(m.Header[header[i]], header[i+1])
	}
	return m
}

// TestValue derives the values of components. Names that begin with RFC are
// the examples of RFC 9421 section 2.
func TestValue(t *testing.T) {
	host := func(m sealwright.Message, scheme, host string) sealwright.Message {
		m.Scheme, m.Host = scheme, host
		return m
	}
	fields := get("/",
		"Date", "Tue, 20 Apr 2021 02:07:56 GMT",
		"X-Ows-Header", "  Leading and trailing whitespace.  ",
		"X-Obs-Fold-Header", "Obsolete\n    line folding.",
		"X-Fold-Crlf", "a \t\r\n\t b\r\n c",
		"Cache-Control", "max-age=60", "Cache-Control", "   must-revalidate",
		"Example-Dict", "a=1,    b=2;x=1;y=2,   c=(a   b    c), d",
		"Example-List", "a;q=1.50,   (b   c) , b",
		"Example-Header", "value, with, lots", "Example-Header", "of, commas",
		"X-Empty-Header", "",
		"X-Utf8", "gr\u00fcn",
		"Two", "x=1", "Two", "y=2",
	)
	form := get("/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something&a%62c=1&bad=100%&half=%4&lower=%c3%a7&empty&&=noname&tilde=~*-._!")
	trailers := get("/", "Expires", "in the header")
	trailers.Trailer = map[string][]string{"Expires": {"Wed, 9 Nov 2022 07:28:00 GMT"}}
	response := sealwright.Message{Status: 503, Header: map[string][]string{"Content-Type": {"text/plain"}}}
	request := get("/foo?param=Value&Pet=dog", "Content-Type", "application/json")
	response.Request = &request
	tests := []struct {
		name      string
		m         sealwright.Message
		component string
		want      string
	}{
		{"RFCMethod", sealwright.Message{Method: "POST"}, `"@method"`, "POST"},
		{"MethodKeepsItsCase", sealwright.Message{Method: "pOsT"}, `"@method"`, "pOsT"},
		{"RFCTargetURI", get("/path?param=value"), `"@target-uri"`, "https://www.example.com/path?param=value"},
		{"TargetURIAsReceived", host(get("/a%2Fb/../c;x?y=%2F&&"), "http", "EXAMPLE.com:80"), `"@target-uri"`, "http://EXAMPLE.com:80/a%2Fb/../c;x?y=%2F&&"},
		{"TargetURIEmptyTarget", get(""), `"@target-uri"`, "https://www.example.com/"},
		{"TargetURIQueryOnly", get("?a"), `"@target-uri"`, "https://www.example.com/?a"},
		{"TargetURIAsterisk", get("*"), `"@target-uri"`, "https://www.example.com"},
		{"RFCAuthority", get("/path?param=value"), `"@authority"`, "www.example.com"},
		{"AuthorityDefaultPort", host(get("/"), "https", "API.Example.com:443"), `"@authority"`, "api.example.com"},
		{"AuthorityDefaultPortOfHTTP", host(get("/"), "HTTP", "example.com:80"), `"@authority"`, "example.com"},
		{"AuthorityOtherPort", host(get("/"), "https", "example.com:80"), `"@authority"`, "example.com:80"},
		{"RFCScheme", host(get("/"), "http", "x"), `"@scheme"`, "http"},
		{"SchemeUpper", host(get("/"), "HTTPS", "x"), `"@scheme"`, "https"},
		{"SchemeDefault", host(get("/"), "", "x"), `"@scheme"`, "https"},
		{"RFCRequestTarget", get("/path?param=value"), `"@request-target"`, "/path?param=value"},
		{"RFCRequestTargetAuthorityForm", get("www.example.com:80"), `"@request-target"`, "www.example.com:80"},
		{"RFCRequestTargetAsterisk", get("*"), `"@request-target"`, "*"},
		{"RequestTargetEmpty", get(""), `"@request-target"`, "/"},
		{"RFCPath", get("/path?param=value"), `"@path"`, "/path"},
		{"PathEmpty", get(""), `"@path"`, "/"},
		{"PathEmptyWithQuery", get("?q"), `"@path"`, "/"},
		{"PathNotDecoded", get("/a%2fb//c"), `"@path"`, "/a%2fb//c"},
		{"RFCQuery", get("/path?param=value&foo=bar&baz=bat%2Dman"), `"@query"`, "?param=value&foo=bar&baz=bat%2Dman"},
		{"RFCQueryString", get("/path?queryString"), `"@query"`, "?queryString"},
		{"RFCQueryAbsent", get("/path"), `"@query"`, "?"},
		{"QueryWithQuestionMarks", get("/p?a?b"), `"@query"`, "?a?b"},
		{"RFCQueryParam", get("/path?param=value&foo=bar&baz=batman&qux="), `"@query-param";name="baz"`, "batman"},
		{"RFCQueryParamEmpty", get("/path?param=value&foo=bar&baz=batman&qux="), `"@query-param";name="qux"`, ""},
		{"RFCQueryParamMultiline", form, `"@query-param";name="var"`, "this%20is%20a%20big%0Amultiline%20value"},
		{"RFCQueryParamPlus", form, `"@query-param";name="bar"`, "with%20plus%20whitespace"},
		{"RFCQueryParamEncodedName", form, `"@query-param";name="fa%C3%A7ade%22%3A%20"`, "something"},
		{"QueryParamEscapedName", form, `"@query-param";name="abc"`, "1"},
		{"QueryParamBadEscapeStandsForItself", form, `"@query-param";name="bad"`, "100%25"},
		{"QueryParamHalfEscape", form, `"@query-param";name="half"`, "%254"},
		{"QueryParamUpperHex", form, `"@query-param";name="lower"`, "%C3%A7"},
		{"QueryParamNoEqualsSign", form, `"@query-param";name="empty"`, ""},
		{"QueryParamNoName", form, `"@query-param";name=""`, "noname"},
		{"QueryParamFormCharacters", form, `"@query-param";name="tilde"`, "%7E*-._%21"},
		{"RFCStatus", response, `"@status"`, "503"},
		{"RFCHost", fields, `"host"`, "www.example.com"},
		{"RFCDate", fields, `"date"`, "Tue, 20 Apr 2021 02:07:56 GMT"},
		{"RFCWhitespace", fields, `"x-ows-header"`, "Leading and trailing whitespace."},
		{"RFCObsoleteFold", fields, `"x-obs-fold-header"`, "Obsolete line folding."},
		{"FoldTwice", fields, `"x-fold-crlf"`, "a b c"},
		{"RFCTwoLines", fields, `"cache-control"`, "max-age=60, must-revalidate"},
		{"RFCDictionaryAsReceived", fields, `"example-dict"`, "a=1,    b=2;x=1;y=2,   c=(a   b    c), d"},
		{"RFCEmpty", fields, `"x-empty-header"`, ""},
		{"RFCStrict", fields, `"example-dict";sf`, "a=1, b=2;x=1;y=2, c=(a b c), d"},
		{"StrictList", fields, `"example-list";sf`, "a;q=1.5, (b c), b"},
		{"StrictTwoLines", fields, `"two";sf`, "x=1, y=2"},
		{"RFCKeyInteger", fields, `"example-dict";key="a"`, "1"},
		{"RFCKeyBoolean", fields, `"example-dict";key="d"`, "?1"},
		{"RFCKeyParameters", fields, `"example-dict";key="b"`, "2;x=1;y=2"},
		{"RFCKeyList", fields, `"example-dict";key="c"`, "(a b c)"},
		{"KeyAndStrict", fields, `"example-dict";sf;key="c"`, "(a b c)"},
		{"KeyTwoLines", fields, `"two";key="y"`, "2"},
		{"RFCWrapped", fields, `"example-header";bs`, ":dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:"},
		{"WrappedNotASCII", fields, `"x-utf8";bs`, ":Z3LDvG4=:"},
		{"WrappedEmpty", fields, `"x-empty-header";bs`, "::"},
		{"RFCTrailer", trailers, `"expires";tr`, "Wed, 9 Nov 2022 07:28:00 GMT"},
		{"TrailerIsNotTheHeader", trailers, `"expires"`, "in the header"},
		{"ResponseField", response, `"content-type"`, "text/plain"},
		{"RequestField", response, `"content-type";req`, "application/json"},
		{"RequestMethod", response, `"@method";req`, "GET"},
		{"RequestQueryParam", response, `"@query-param";name="Pet";req`, "dog"},
		{"RequestHost", response, `"host";req`, "www.example.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := value(t, tt.m, tt.component)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestValueRefuses(t *testing.T) {
	m := get("/path?a=1&a=2&b=%ff&c=3",
		"X-Break", "a\nb", "X-Return", "a\rb", "X-Nul", "a\x00b", "X-Utf8", "gr\u00fcn",
		"X-Bad", "a=(", "X-Twice", "a=1, a=2", "X-List", `"a"`)
	asterisk, absolute, blank := get("*"), get("https://www.example.com/path"), get("/a b ")
	response := sealwright.Message{Status: 200, Header: map[string][]string{}, Host: "www.example.com", Method: "GET", Target: "/"}
	tests := []struct {
		name      string
		m         sealwright.Message
		component string
		want      string // part of the error
	}{
		{"FieldAbsent", m, `"date"`, `"date": it is not in the message`},
		{"TrailerAbsent", m, `"x-list";tr`, "it is not in the message"},
		{"HostAbsent", sealwright.Message{Header: map[string][]string{"Host": {"x"}}}, `"host"`, "it is not in the message"},
		{"LineBreak", m, `"x-break"`, "line break"},
		{"CarriageReturn", m, `"x-return"`, "line break"},
		{"LineBreakWrapped", m, `"x-break";bs`, "line break"},
		{"Nul", m, `"x-nul"`, "control character"},
		{"NulWrapped", m, `"x-nul";bs`, "control character"},
		{"NotASCII", m, `"x-utf8"`, "not ASCII"},
		{"StrictNoStructuredField", m, `"x-bad";sf`, "no structured field"},
		{"KeyOfNoDictionary", m, `"x-list";key="a"`, "no dictionary"},
		{"KeyAbsent", get("/", "D", "a=1"), `"d";key="b"`, "it is not in the message"},
		{"KeyTwice", m, `"x-twice";key="a"`, `key "a" stands twice`},
		{"MethodEmpty", sealwright.Message{}, `"@method"`, "it is not in the message"},
		{"MethodWithLineBreak", sealwright.Message{Method: "GET\nX"}, `"@method"`, "printable"},
		{"AuthorityEmpty", sealwright.Message{}, `"@authority"`, "it is not in the message"},
		{"TargetURIWithoutHost", sealwright.Message{Method: "GET", Target: "/"}, `"@target-uri"`, "host: it is not in the message"},
		{"TargetURIOfAbsoluteForm", absolute, `"@target-uri"`, "not in origin form"},
		{"TargetNotVisible", blank, `"@request-target"`, "printable"},
		{"PathOfAsterisk", asterisk, `"@path"`, "not in origin form"},
		{"PathOfAbsoluteForm", absolute, `"@path"`, "not in origin form"},
		{"QueryOfAsterisk", asterisk, `"@query"`, "not in origin form"},
		{"TargetNotASCII", get("/gr\u00fcn"), `"@path"`, "printable"},
		{"QueryParamTwice", m, `"@query-param";name="a"`, "stands twice"},
		{"QueryParamTwiceInOtherSpelling", get("/?a=1&%61=2"), `"@query-param";name="a"`, "stands twice"},
		{"QueryParamAbsent", m, `"@query-param";name="d"`, "it is not in the message"},
		{"QueryParamNameNotEncoded", get("/?a%20b=1"), `"@query-param";name="a b"`, "not in its encoded form"},
		{"QueryParamNameLowerHex", get("/?%c3%a7=1"), `"@query-param";name="%c3%a7"`, "not in its encoded form"},
		{"QueryParamNotUTF8", m, `"@query-param";name="b"`, "not UTF-8"},
		{"QueryParamOfLongQuery", get("/?" + strings.Repeat("a=1&", 20000)), `"@query-param";name="b"`, "at most 65536"},
		{"StatusOfRequest", m, `"@status"`, "no response"},
		{"RequestOfRequest", m, `"@method";req`, "parameter req in a request"},
		{"RequestNotKnown", response, `"@method";req`, "request of the response is not known"},
		{"MethodOfResponse", response, `"@method"`, "with the parameter req only"},
		{"TargetOfResponse", response, `"@target-uri"`, "with the parameter req only"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := value(t, tt.m, tt.component)
			if !errors.Is(err, sealwright.ErrMalformed) {
				t.Fatalf("got %q, %v, want ErrMalformed", got, err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
		})
	}
}

// TestComponentRefuses wants an error for identifiers that RFC 9421 does not
// define, in a message and in the configuration.
func TestComponentRefuses(t *testing.T) {
	tests := []struct{ name, component string }{
		{"Unknown", `"@unknown"`},
		{"SignatureParams", `"@signature-params"`},
		{"UpperCase", `"Date"`},
		{"NoName", `""`},
		{"BlankInName", `"a b"`},
		{"ColonInName", `"a:"`},
		{"NotAString", `1`},
		{"Token", `date`},
		{"UnknownParameter", `"date";x`},
		{"FlagWithValue", `"date";sf=1`},
		{"FlagFalse", `"date";sf=?0`},
		{"KeyNotAString", `"date";key=a`},
		{"KeyWithoutValue", `"date";key`},
		{"BinaryAndStrict", `"date";bs;sf`},
		{"BinaryAndKey", `"date";key="a";bs`},
		{"NameOfField", `"date";name="a"`},
		{"KeyAndName", `"@query-param";key="a";name="a"`},
		{"QueryParamWithoutName", `"@query-param"`},
		{"QueryParamNameNotAString", `"@query-param";name=a`},
		{"DerivedStrict", `"@method";sf`},
		{"DerivedBinary", `"@path";bs`},
		{"DerivedTrailer", `"@path";tr`},
		{"DerivedKey", `"@query";key="a"`},
		{"StatusOfRequest", `"@status";req`},
		{"ParameterTwice", `"date";sf;sf`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := get("/", "Date", "x")
			if got, _, err := base(t, m, `"@method"`, tt.component); !errors.Is(err, sealwright.ErrMalformed) {
				t.Errorf("in a message: got %q, %v, want ErrMalformed", got, err)
			}
			if tt.component[0] != '"' {
				return // the configuration may leave the quotes away
			}
			if _, err := definition(t).New(scheme.Params{"required": {tt.component}}); err == nil {
				t.Error("in the configuration: accepted")
			}
		})
	}
}

// TestBase builds whole signature bases. Names that begin with RFC are those
// printed in RFC 9421.
func TestBase(t *testing.T) {
	request := sealwright.Message{
		Method: "POST", Scheme: "https", Host: "example.com", Target: "/foo?param=Value&Pet=dog",
		Header: map[string][]string{
			"Date":           {"Tue, 20 Apr 2021 02:07:55 GMT"},
			"Content-Type":   {"application/json"},
			"Content-Length": {"18"},
			"Content-Digest": {"sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"},
		},
		Body: []byte(`{"hello": "world"}`),
	}
	response := sealwright.Message{
		Status: 503, Request: &request,
		Header: map[string][]string{
			"Content-Type":   {"application/json"},
			"Content-Digest": {"sha-512=:0Y6iCBzGg5rZtoXS95Ijz03mslf6KAMCloESHObfwnHJDbkkWWQz6PhhU9kxsTbARtY2PTBOzq24uJFpHsMuAg==:"},
		},
		Body: []byte(`{"busy": true, "message": "Your call is very important to us"}`),
	}
	with := func(m sealwright.Message, input string) sealwright.Message {
		m.Header = clone(m.Header)
		label, _, _ := strings.Cut(input, "=")
		m.Header["Signature-Input"], m.Header["Signature"] = []string{input}, []string{label + "=" + anyTag}
		return m
	}
	tests := []struct {
		name, required string
		m              sealwright.Message
		want           []string
	}{{
		name: "RFCRequest", required: "@method",
		m: with(request, `sig1=("@method" "@authority" "@path" "content-digest" "content-length" "content-type");created=1618884473;keyid="test-key-rsa-pss"`),
		want: []string{
			`"@method": POST`, `"@authority": example.com`, `"@path": /foo`,
			`"content-digest": ` + request.Header["Content-Digest"][0],
			`"content-length": 18`, `"content-type": application/json`,
			`"@signature-params": ("@method" "@authority" "@path" "content-digest" "content-length" "content-type");created=1618884473;keyid="test-key-rsa-pss"`,
		},
	}, {
		name: "RFCResponse", required: "@status",
		m: with(response, `reqres=("@status" "content-digest" "content-type" "@authority";req "@method";req "@path";req "content-digest";req);created=1618884479;keyid="test-key-ecc-p256"`),
		want: []string{
			`"@status": 503`, `"content-digest": ` + response.Header["Content-Digest"][0], `"content-type": application/json`,
			`"@authority";req: example.com`, `"@method";req: POST`, `"@path";req: /foo`,
			`"content-digest";req: ` + request.Header["Content-Digest"][0],
			`"@signature-params": ("@status" "content-digest" "content-type" "@authority";req "@method";req "@path";req "content-digest";req);created=1618884479;keyid="test-key-ecc-p256"`,
		},
	}, {
		name: "SerialisedNotCopied", required: "@method",
		m:    with(request, `sig1=(  "@method"   "date" );  created=001618884473; x=?1;y=1.50`),
		want: []string{`"@method": POST`, `"date": Tue, 20 Apr 2021 02:07:55 GMT`, `"@signature-params": ("@method" "date");created=1618884473;x;y=1.5`},
	}, {
		name: "OrderOfParametersStays", required: `"content-type";bs;req`,
		m:    with(response, `sig1=("content-type";req;bs);keyid="k";created=1`),
		want: []string{`"content-type";req;bs: :YXBwbGljYXRpb24vanNvbg==:`, `"@signature-params": ("content-type";req;bs);keyid="k";created=1`},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := definition(t).New(scheme.Params{"required": {tt.required}})
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := sealwright.SignedBytes(s, &keyring.Key{}, tt.m)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Join(tt.want, "\n"); string(got[0]) != want {
				t.Errorf("got\n%s\nwant\n%s", got[0], want)
			}
		})
	}
}
