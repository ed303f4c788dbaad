package sigv4_test

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/scheme"
)

// request is the message that most tests sign and then change.
func request() sealwright.Message {
	return sealwright.Message{
		Method: "POST", Host: "example.amazonaws.com", Target: "/v1/orders?b=2&a=1",
		Header: map[string][]string{
			"Content-Type": {"application/json"}, "X-Amz-Meta-A": {"1"}, "X-Amz-Meta-B": {"2"}, "X-Amz-Content-Sha256": {""},
		},
		Body: []byte(`{"amount":100}`),
	}
}

// change is one alteration of a signed message.
type change struct {
	name string
	do   func(*sealwright.Message)
	want error
}

// refuseAll verifies each changed copy of m and wants the named refusal.
func refuseAll(t *testing.T, s sealwright.Scheme, m sealwright.Message, changes []change) {
	t.Helper()
	if _, err := verify(s, m); err != nil {
		t.Fatalf("unchanged message is refused: %v", err)
	}
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			changed := clone(m)
			c.do(&changed)
			verdict, err := verify(s, changed)
			if verdict.Valid || !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func clone(m sealwright.Message) sealwright.Message {
	header := map[string][]string{}
	for name, values := range m.Header {
		header[name] = slices.Clone(values)
	}
	m.Header = header
	m.Body = slices.Clone(m.Body)
	return m
}

func set(name, value string) func(*sealwright.Message) {
	return func(m *sealwright.Message) { m.Header[name] = []string{value} }
}

func add(name, value string) func(*sealwright.Message) {
	return func(m *sealwright.Message) { m.Header[name] = append(m.Header[name], value) }
}

func drop(name string) func(*sealwright.Message) {
	return func(m *sealwright.Message) { delete(m.Header, name) }
}

// auth replaces a text in the header Authorization.
func auth(old, with string) func(*sealwright.Message) {
	return func(m *sealwright.Message) {
		before := m.Header["Authorization"][0]
		after := strings.Replace(before, old, with, 1)
		if before == after {
			panic("no " + old + " in " + before)
		}
		m.Header["Authorization"] = []string{after}
	}
}

// target replaces a text in the request target.
func target(old, with string) func(*sealwright.Message) {
	return func(m *sealwright.Message) {
		after := strings.Replace(m.Target, old, with, 1)
		if after == m.Target {
			panic("no " + old + " in " + m.Target)
		}
		m.Target = after
	}
}

func tagOf(t *testing.T, m sealwright.Message) string {
	t.Helper()
	_, tag, ok := strings.Cut(m.Header["Authorization"][0], "Signature=")
	if !ok || len(tag) != 64 {
		t.Fatalf("no tag in %q", m.Header["Authorization"][0])
	}
	return tag
}

func TestA02MissingSignature(t *testing.T) {
	s := aws(t, "service")
	m := signed(t, s, request())
	tag := tagOf(t, m)
	refuseAll(t, s, m, []change{
		{"NoHeader", drop("Authorization"), sealwright.ErrMissing},
		{"EmptyHeader", set("Authorization", ""), sealwright.ErrMissing},
		{"NoValues", func(m *sealwright.Message) { m.Header["Authorization"] = nil }, sealwright.ErrMissing},
		{"LabelAlone", set("Authorization", "AWS4-HMAC-SHA256"), sealwright.ErrMissing},
		{"LabelAndBlank", set("Authorization", "AWS4-HMAC-SHA256 "), sealwright.ErrMissing},
		{"EmptySignature", auth(tag, ""), sealwright.ErrMissing},
		{"NoSignature", auth(", Signature="+tag, ""), sealwright.ErrMissing},
		{"NoCredential", auth("Credential=", "Creds="), sealwright.ErrMalformed},
		{"EmptySignedHeaders", auth("SignedHeaders=content-type;host;", "SignedHeaders=, X="), sealwright.ErrMissing},
		{"NoDate", drop("X-Amz-Date"), sealwright.ErrMissing},
	})
	q := awsQuery(t, "service")
	p := signed(t, q, request())
	for _, name := range []string{"Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"} {
		t.Run("Query/"+name, func(t *testing.T) {
			for _, f := range []func(*sealwright.Message){
				func(m *sealwright.Message) { m.Target = without(m.Target, "X-Amz-"+name) },
				func(m *sealwright.Message) { m.Target = without(m.Target, "X-Amz-"+name) + "&X-Amz-" + name + "=" },
				func(m *sealwright.Message) { m.Target = without(m.Target, "X-Amz-"+name) + "&X-Amz-" + name },
			} {
				changed := clone(p)
				f(&changed)
				if _, err := verify(q, changed); !errors.Is(err, sealwright.ErrMissing) {
					t.Errorf("%s: got %v, want %v", changed.Target, err, sealwright.ErrMissing)
				}
			}
		})
	}
}

// without returns the target without the parameter of that name.
func without(target, name string) string {
	path, query, _ := strings.Cut(target, "?")
	fields := slices.DeleteFunc(strings.Split(query, "&"), func(f string) bool { return strings.HasPrefix(f, name+"=") })
	return path + "?" + strings.Join(fields, "&")
}

func TestA03PrefixOrLength(t *testing.T) {
	s := aws(t, "service")
	m := signed(t, s, request())
	tag := tagOf(t, m)
	for n := range tag {
		changed := clone(m)
		auth(tag, tag[:n])(&changed)
		if verdict, err := verify(s, changed); err == nil || verdict.Valid {
			t.Errorf("first %d characters of the tag verify", n)
		}
	}
	for _, longer := range []string{tag + "00", tag + tag, tag + " ", tag + "\x00"} {
		changed := clone(m)
		auth(tag, longer)(&changed)
		if _, err := verify(s, changed); err == nil {
			t.Errorf("tag %q verifies", longer)
		}
	}
}

func TestA05Crash(t *testing.T) {
	s, q := aws(t, "service"), awsQuery(t, "service")
	m, p := signed(t, s, request()), signed(t, q, request())
	big := strings.Repeat("a", 1<<20)
	texts := []string{
		"", " ", ",", "=", ";", "/", "\x00", "\xff\xfe", "%", "%%", "%2", big, strings.Repeat(";", 1<<16), strings.Repeat(",", 1<<16),
		strings.Repeat("a/", 1<<16), "Credential=", "Credential=/", "Credential=////", "Credential=/20150830/us-east-1/service/aws4_request",
		"AWS4-HMAC-SHA256 Credential=a/20150830/us-east-1/service/aws4_request, SignedHeaders=;, Signature=00",
		"AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=zz",
		"AWS4-HMAC-SHA256 " + big, "AWS4-HMAC-SHA256 SignedHeaders=" + big + ", Credential=a, Signature=0",
	}
	for _, text := range texts {
		for name := range m.Header {
			changed := clone(m)
			changed.Header[name] = []string{text}
			if verdict, err := verify(s, changed); err == nil || verdict.Reason == "" {
				t.Errorf("header %s %.40q: got no refusal", name, text)
			}
		}
		for _, target := range []string{text, "/" + text, "/?" + text, p.Target + text, p.Target + "&" + text, "/" + text + p.Target} {
			changed := clone(p)
			changed.Target = target
			verdict, err := verify(q, changed)
			if err == nil && verdict.Covers.Path && target != p.Target && target != p.Target+"&" {
				t.Errorf("target %.80q: got no refusal", target)
			}
		}
	}
	for _, host := range texts {
		changed := clone(m)
		changed.Host = host
		if _, err := verify(s, changed); err == nil {
			t.Errorf("host %.40q verifies", host)
		}
	}
}

func TestA06AlgorithmFromRequest(t *testing.T) {
	s := aws(t, "service")
	m := signed(t, s, request())
	var changes []change
	for _, label := range []string{
		"AWS4-HMAC-SHA1", "AWS4-HMAC-MD5", "AWS4-HMAC-SHA512", "AWS4-HMAC-NONE", "AWS4-HMAC-SHA999", "aws4-hmac-sha256",
		"AWS4-ECDSA-P256-SHA256", "AWS4-HMAC-SHA2566", "AWS4-HMAC-SHA256\t", "AWS4-HMAC-SHA256,", "none",
	} {
		changes = append(changes, change{label, auth("AWS4-HMAC-SHA256", label), sealwright.ErrPolicy})
	}
	changes = append(changes,
		change{"BlankBefore", auth("AWS4-HMAC-SHA256", " AWS4-HMAC-SHA256"), sealwright.ErrPolicy},
		change{"OtherEnd", auth("aws4_request", "aws4_Request"), sealwright.ErrPolicy},
		change{"OtherRegion", auth("us-east-1", "us-east-2"), sealwright.ErrPolicy},
		change{"OtherService", auth("/service/", "/s3/"), sealwright.ErrPolicy},
		change{"OtherDay", auth("/20150830/", "/20150831/"), sealwright.ErrPolicy},
	)
	refuseAll(t, s, m, changes)
	q := awsQuery(t, "service")
	refuseAll(t, q, signed(t, q, request()), []change{
		{"Query/Other", target("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), sealwright.ErrPolicy},
		{"Query/Blank", target("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256%20"), sealwright.ErrPolicy},
		{"Query/OtherService", target("service", "other"), sealwright.ErrPolicy},
	})
}

func TestA07CanonicalCollision(t *testing.T) {
	s := aws(t, "service")
	m := signed(t, s, request())
	refuseAll(t, s, m, []change{
		{"ValueToNextHeader", func(m *sealwright.Message) {
			m.Header["X-Amz-Meta-A"], m.Header["X-Amz-Meta-B"] = []string{"12"}, []string{""}
		}, sealwright.ErrMismatch},
		{"LineFeedInValue", func(m *sealwright.Message) {
			m.Header["X-Amz-Meta-A"] = []string{"1\nx-amz-meta-b:2"}
			auth("x-amz-meta-a;x-amz-meta-b", "x-amz-meta-a")(m)
		}, sealwright.ErrMalformed},
		{"LineFeedInHost", func(m *sealwright.Message) { m.Host += "\nx-amz-date:20150830T123600Z" }, sealwright.ErrMalformed},
		{"LineFeedInMethod", func(m *sealwright.Message) { m.Method = "POST\n/v1" }, sealwright.ErrMalformed},
		{"LineFeedInKeyID", auth("AKIDEXAMPLE", "AKID\nEXAMPLE"), sealwright.ErrMalformed},
		{"PathToQuery", target("/orders?", "?orders&"), sealwright.ErrMismatch},
		{"QuestionMarkInQuery", target("?b=2&a=1", "?b=2?a=1"), sealwright.ErrMismatch},
		{"QueryToBody", func(m *sealwright.Message) {
			m.Target, m.Body = "/v1/orders?b=2", append([]byte("a=1"), m.Body...)
		}, sealwright.ErrMismatch},
		{"NameToValue", target("a=1", "a1="), sealwright.ErrMismatch},
		{"EqualsInName", target("a=1", "a%3D1="), sealwright.ErrMismatch},
		{"AmpersandEscaped", target("b=2&a=1", "b=2%26a=1"), sealwright.ErrMismatch},
		{"MethodToPath", func(m *sealwright.Message) { m.Method, m.Target = "PO", "ST"+m.Target }, sealwright.ErrMalformed},
		{"KeyIDSwallowsDate", auth("AKIDEXAMPLE/", "AKIDEXAMPLE/20150830/"), sealwright.ErrUnknownKey},
	})
	raw := newScheme(t, "tencent-tc3", scheme.Params{"service": {"cvm"}})
	refuseAll(t, raw, signed(t, raw, request()), []change{
		{"Raw/LineFeedInPath", target("/orders", "\n/orders"), sealwright.ErrMalformed},
		{"Raw/LineFeedInQuery", target("?b=2", "?\nb=2"), sealwright.ErrMalformed},
	})
}

func TestA14ParsingOfTime(t *testing.T) {
	s := aws(t, "service")
	m := signed(t, s, request())
	var changes []change
	for _, text := range []string{
		"2015083T123600Z", "20150830T12360Z", "20150830T123600", "20150830t123600z", "20150830T123600+0000", "20150830T123600z",
		" 20150830T123600Z", "20150830T123600Z ", "+0150830T123600Z", "-0150830T123600Z", "0x150830T123600Z", "20150830T123600.0Z",
		"２0150830T123600Z", "1440938160", "20151330T123600Z", "20150832T123600Z", "20150230T123600Z", "20150830T243600Z",
		"20150830T126000Z", "20150830T123660Z", "00000000T000000Z", "00010101T000000Z", "19691231T235959Z", "2015-08-30T12:36:00Z",
	} {
		changes = append(changes, change{text, set("X-Amz-Date", text), sealwright.ErrMalformed})
	}
	changes = append(changes,
		change{"Twice", add("X-Amz-Date", "20150830T123600Z"), sealwright.ErrMalformed},
		change{"SecondLater", set("X-Amz-Date", "20150830T123601Z"), sealwright.ErrMismatch},
	)
	refuseAll(t, s, m, changes)
	t.Run("Window", func(t *testing.T) {
		v := sealwright.Verifier{Scheme: s, Ring: ring(keyID)}
		for _, tt := range []struct {
			name string
			at   time.Time
			want error
		}{
			{"LastInstant", now.Add(900 * time.Second), nil},
			{"OneSecondLate", now.Add(901 * time.Second), sealwright.ErrStale},
			{"FirstInstant", now.Add(-900 * time.Second), nil},
			{"OneSecondEarly", now.Add(-901 * time.Second), sealwright.ErrFuture},
			{"OneDayEarly", now.AddDate(0, 0, -1), sealwright.ErrFuture},
		} {
			if _, err := v.Verify(m, tt.at); !errors.Is(err, tt.want) {
				t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
			}
		}
	})
}

// TestA14ParsingOfUnixTime tries what lenient parsers read as numbers.
func TestA14ParsingOfUnixTime(t *testing.T) {
	s := newScheme(t, "tencent-tc3", scheme.Params{"service": {"cvm"}})
	var changes []change
	for _, text := range []string{
		"1440938160000", "-1", "9223372036854775807", "9223372036854775808", "1e9", "0x10", "+5", " 5", "5 ", "5.0", "１４４０９３８１６０",
		"253402300800", "", "1440938160,1440938160",
	} {
		want := sealwright.ErrMalformed
		if text == "" {
			want = sealwright.ErrMissing
		}
		changes = append(changes, change{"Text=" + text, set("X-Tc-Timestamp", text), want})
	}
	changes = append(changes,
		change{"Zero", set("X-Tc-Timestamp", "0"), sealwright.ErrPolicy}, // not the date of the scope
		change{"Twice", add("X-Tc-Timestamp", "1440938160"), sealwright.ErrMalformed},
	)
	refuseAll(t, s, signed(t, s, request()), changes)
}

func TestA15BodyNotBound(t *testing.T) {
	other := func(m *sealwright.Message) { m.Body = []byte(`{"amount":900}`) }
	empty := func(m *sealwright.Message) { m.Body = nil }
	longer := func(m *sealwright.Message) { m.Body = append(m.Body, ' ') }
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "GET"} {
		declared, hashed := request(), request()
		declared.Method, hashed.Method = method, method
		delete(hashed.Header, "X-Amz-Content-Sha256")
		s := aws(t, "service")
		t.Run(method+"/Declared", func(t *testing.T) {
			refuseAll(t, s, signed(t, s, declared), []change{
				{"Other", other, sealwright.ErrDigest}, {"Empty", empty, sealwright.ErrDigest}, {"Longer", longer, sealwright.ErrDigest},
				{"DigestDropped", drop("X-Amz-Content-Sha256"), sealwright.ErrPolicy},
				{"DigestUnsigned", set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), sealwright.ErrMismatch},
			})
		})
		t.Run(method+"/Hashed", func(t *testing.T) {
			refuseAll(t, s, signed(t, s, hashed), []change{
				{"Other", other, sealwright.ErrMismatch}, {"Empty", empty, sealwright.ErrMismatch}, {"Longer", longer, sealwright.ErrMismatch},
				{"DigestAdded", set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), sealwright.ErrMismatch},
			})
		})
	}
	t.Run("UnsignedPayload", func(t *testing.T) {
		m := request()
		m.Header["X-Amz-Content-Sha256"] = []string{"UNSIGNED-PAYLOAD"}
		s := aws(t, "s3")
		verdict, err := verify(s, signed(t, s, m))
		if err != nil || verdict.Covers.Body {
			t.Errorf("got body covered %v, error %v; want a valid message whose body is not covered", verdict.Covers.Body, err)
		}
		need := sealwright.Verifier{Scheme: s, Ring: ring(keyID), Require: sealwright.Coverage{Body: true}}
		if _, err := need.Verify(signed(t, s, m), now); !errors.Is(err, sealwright.ErrPolicy) {
			t.Errorf("body required: got %v, want %v", err, sealwright.ErrPolicy)
		}
	})
}

// TestA16TargetNotBound changes the target. Where another form of the path has
// the same tag by the rules of the provider, the verdict says so.
func TestA16TargetNotBound(t *testing.T) {
	s := aws(t, "service")
	m := signed(t, s, request())
	refuseAll(t, s, m, []change{
		{"QueryDropped", target("?b=2&a=1", ""), sealwright.ErrMismatch},
		{"QueryAdded", target("a=1", "a=1&c=3"), sealwright.ErrMismatch},
		{"QueryValue", target("a=1", "a=2"), sealwright.ErrMismatch},
		{"QueryCase", target("a=1", "A=1"), sealwright.ErrMismatch},
		{"TrailingSlash", target("/orders", "/orders/"), sealwright.ErrMismatch},
		{"Case", target("/orders", "/Orders"), sealwright.ErrMismatch},
		{"EscapedLetter", target("/orders", "/%6Frders"), sealwright.ErrMismatch},
		{"EscapedSlash", target("v1/orders", "v1%2Forders"), sealwright.ErrMismatch},
		{"EscapedDots", target("/v1/orders", "/x/%2e%2e/v1/orders"), sealwright.ErrMismatch},
		{"PathParameter", target("/orders", "/orders;x"), sealwright.ErrMismatch},
		{"AbsoluteForm", target("/v1", "https://example.amazonaws.com/v1"), sealwright.ErrMalformed},
		{"Host", func(m *sealwright.Message) { m.Host = "other.amazonaws.com" }, sealwright.ErrMismatch},
		{"HostWithPort", func(m *sealwright.Message) { m.Host += ":443" }, sealwright.ErrMismatch},
		{"NoHost", func(m *sealwright.Message) { m.Host = "" }, sealwright.ErrPolicy},
	})
	for _, other := range []string{"//v1/orders", "/v1//orders", "/v1/./orders", "/x/../v1/orders", "/../v1/orders", "/v1/orders/."} {
		t.Run("SameTag"+other, func(t *testing.T) {
			changed := clone(m)
			changed.Target = other + "?b=2&a=1"
			if verdict, err := verify(s, changed); err == nil && verdict.Covers.Path {
				t.Error("another path verifies and counts as covered")
			}
		})
	}
}

// TestA16PathForms holds the other ways to write the path to the same rule.
func TestA16PathForms(t *testing.T) {
	s3 := newScheme(t, "aws-sigv4", scheme.Params{"region": {"us-east-1"}, "service": {"s3"}})
	raw := newScheme(t, "aws-sigv4", scheme.Params{"region": {"us-east-1"}, "service": {"service"}, "normalize_path": {"false"}})
	huawei := newScheme(t, "huawei-sdk", nil)
	escher := newScheme(t, "escher", scheme.Params{"credential_scope": {"eu/x/y"}})
	for name, s := range map[string]sealwright.Scheme{"s3": s3, "raw": raw, "huawei": huawei, "escher": escher} {
		m := request()
		m.Target = "/a.b/c%2Fd/e"
		m = signed(t, s, m)
		if verdict, err := verify(s, m); err != nil || !verdict.Covers.Path {
			t.Fatalf("%s: unchanged: covered %v, %v", name, verdict.Covers.Path, err)
		}
		for _, other := range []string{
			"/a.b/c/d/e", "/a%2Eb/c%2Fd/e", "/a.b/c%2fd/e", "/a.b/c%252Fd/e", "/a.b/c%2Fd/e/", "//a.b/c%2Fd/e", "/x/../a.b/c%2Fd/e",
			"/./a.b/c%2Fd/e", "/A.b/c%2Fd/e", "/a.b/c%2Fd/%65", "/a.b/c%2Fd/e;x",
		} {
			changed := clone(m)
			changed.Target = other
			if verdict, err := verify(s, changed); err == nil && verdict.Covers.Path {
				t.Errorf("%s: path %s verifies and counts as covered", name, other)
			}
		}
	}
}

func TestA17ShadowedPseudoHeader(t *testing.T) {
	s := aws(t, "service")
	m := signed(t, s, request())
	refuseAll(t, s, m, []change{
		{"HostHeaderForHost", func(m *sealwright.Message) {
			m.Header["Host"] = []string{m.Host}
			m.Host = "evil.example"
		}, sealwright.ErrPolicy},
		{"HostHeaderBeside", set("Host", "evil.example"), sealwright.ErrPolicy},
		{"TwoHosts", func(m *sealwright.Message) { m.Header["Host"] = []string{m.Host, "evil.example"} }, sealwright.ErrPolicy},
	})
	for _, name := range []string{":path", ":method", "@method", "(request-target)", "@request-target"} {
		changed := clone(m)
		changed.Header[name] = []string{"x"}
		auth("SignedHeaders=", "SignedHeaders="+name+";")(&changed)
		if _, err := verify(s, changed); !errors.Is(err, sealwright.ErrMalformed) {
			t.Errorf("signed header %s: got %v, want %v", name, err, sealwright.ErrMalformed)
		}
	}
	// A header of that name is an ordinary one and changes nothing.
	changed := clone(m)
	changed.Header["Request-Line"] = []string{"GET / HTTP/1.1"}
	if _, err := verify(s, changed); err != nil {
		t.Errorf("with a header Request-Line: %v", err)
	}
}

func TestA18ListOfSignedHeaders(t *testing.T) {
	s := aws(t, "service")
	m := signed(t, s, request())
	const list = "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;x-amz-meta-b"
	refuseAll(t, s, m, []change{
		{"ListedButAbsent", drop("X-Amz-Meta-B"), sealwright.ErrPolicy},
		{"ListedWithoutValues", func(m *sealwright.Message) { m.Header["X-Amz-Meta-B"] = nil }, sealwright.ErrPolicy},
		{"AbsentAppended", auth(list, list+";x-amz-meta-c"), sealwright.ErrPolicy},
		{"Twice", auth("host;", "host;host;"), sealwright.ErrMalformed},
		{"UpperCase", auth("host;", "Host;"), sealwright.ErrMalformed},
		{"NotInOrder", auth("content-type;host;", "host;content-type;"), sealwright.ErrMalformed},
		{"EmptyName", auth("host;", "host;;"), sealwright.ErrMalformed},
		{"TrailingSemicolon", auth(list, list+";"), sealwright.ErrMalformed},
		{"LeadingSemicolon", auth(list, ";"+list), sealwright.ErrMalformed},
		{"Blank", auth("host;", "host ;"), sealwright.ErrMalformed},
		{"HostNotSigned", auth("host;", ""), sealwright.ErrPolicy},
		{"NameDropped", auth(";x-amz-meta-b", ""), sealwright.ErrMismatch},
		{"TooMany", func(m *sealwright.Message) {
			names := []string{}
			for i := range 65 {
				name := fmt.Sprintf("x-amz-meta-%03d", i)
				names = append(names, name)
				m.Header[fmt.Sprintf("X-Amz-Meta-%03d", i)] = []string{"1"}
			}
			auth(list, strings.Join(names, ";"))(m)
		}, sealwright.ErrMalformed},
	})
	escher := newScheme(t, "escher", scheme.Params{"credential_scope": {"eu/x/y"}, "mandatory_headers": {"X-Tenant"}})
	signer := sealwright.Signer{Scheme: escher, Ring: ring(keyID)}
	if _, err := signer.Sign(request(), now); !errors.Is(err, sealwright.ErrPolicy) {
		t.Errorf("mandatory header missing: got %v, want %v", err, sealwright.ErrPolicy)
	}
}

func TestA19DuplicateHeaders(t *testing.T) {
	s := aws(t, "service")
	m := signed(t, s, request())
	tag := tagOf(t, m)
	refuseAll(t, s, m, []change{
		{"TwoAuthorizations", func(m *sealwright.Message) {
			m.Header["Authorization"] = []string{m.Header["Authorization"][0], "AWS4-HMAC-SHA256 x"}
		}, sealwright.ErrMalformed},
		{"TwoEqualAuthorizations", func(m *sealwright.Message) {
			m.Header["Authorization"] = []string{m.Header["Authorization"][0], m.Header["Authorization"][0]}
		}, sealwright.ErrMalformed},
		{"TwoDates", add("X-Amz-Date", "20150830T123600Z"), sealwright.ErrMalformed},
		{"TwoDigests", add("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), sealwright.ErrMalformed},
		{"CommaInDate", set("X-Amz-Date", "20150830T123600Z,20150830T123600Z"), sealwright.ErrMalformed},
		{"SignatureTwice", auth("Signature="+tag, "Signature="+tag+", Signature="+tag), sealwright.ErrMalformed},
		{"CredentialTwice", auth("Credential=", "Credential=x/20150830/us-east-1/service/aws4_request, Credential="), sealwright.ErrMalformed},
		{"ListTwice", auth("SignedHeaders=", "SignedHeaders=host, SignedHeaders="), sealwright.ErrMalformed},
		{"UnknownPart", auth("SignedHeaders=", "Algorithm=none, SignedHeaders="), sealwright.ErrMalformed},
		{"EmptyPart", auth("SignedHeaders=", ", SignedHeaders="), sealwright.ErrMalformed},
		{"TrailingComma", auth(tag, tag+","), sealwright.ErrMalformed},
		{"UnderscoreForHyphen", func(m *sealwright.Message) {
			m.Header["X_amz_date"] = m.Header["X-Amz-Date"]
			delete(m.Header, "X-Amz-Date")
		}, sealwright.ErrMissing},
		{"SignedHeaderAgain", add("X-Amz-Meta-A", "2"), sealwright.ErrMismatch},
	})
	q := awsQuery(t, "service")
	p := signed(t, q, request())
	var changes []change
	for _, name := range []string{"Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token"} {
		twice := name
		changes = append(changes,
			change{"Query/" + name + "Twice", func(m *sealwright.Message) {
				value := "1"
				if _, rest, ok := strings.Cut(m.Target, "X-Amz-"+twice+"="); ok {
					value, _, _ = strings.Cut(rest, "&")
				} else {
					m.Target += "&X-Amz-" + twice + "=1"
				}
				m.Target += "&X-Amz-" + twice + "=" + value
			}, sealwright.ErrMalformed},
			change{"Query/" + name + "OtherCase", func(m *sealwright.Message) { m.Target += "&x-amz-" + strings.ToLower(twice) + "=1" }, sealwright.ErrMalformed},
			change{"Query/" + name + "Escaped", func(m *sealwright.Message) { m.Target += "&%58-Amz-" + twice + "=1" }, sealwright.ErrMalformed},
		)
	}
	refuseAll(t, q, p, changes)
}

func TestA21QueryCanonicalisation(t *testing.T) {
	tests := []struct{ name, query, encoded, form string }{
		{"Empty", "", "", ""},
		{"Plus", "a=1+2", "a=1%2B2", "a=1%202"},
		{"EscapedPlus", "a=1%2B2", "a=1%2B2", "a=1%2B2"},
		{"EscapedBlank", "a=1%202", "a=1%202", "a=1%202"},
		{"LowerCaseEscape", "a=%2f", "a=%2F", "a=%2F"},
		{"EscapedUnreserved", "a=%41%7e", "a=A~", "a=A~"},
		{"Semicolon", "a=1;b=2", "a=1%3Bb%3D2", "a=1%3Bb%3D2"},
		{"EmptyValue", "a=", "a=", "a="},
		{"NoEquals", "a", "a=", "a="},
		{"EmptyName", "=1", "=1", "=1"},
		{"EmptyPieces", "&a=1&&b=2&", "a=1&b=2", "a=1&b=2"},
		{"EqualsInValue", "a=1=2", "a=1%3D2", "a=1%3D2"},
		{"SortedByName", "b=1&a=2", "a=2&b=1", "a=2&b=1"},
		{"SortedByValue", "a=2&a=1", "a=1&a=2", "a=1&a=2"},
		{"RepeatedPair", "a=1&a=1", "a=1&a=1", "a=1&a=1"},
		{"UpperBeforeLower", "a=1&B=2", "B=2&a=1", "B=2&a=1"},
		{"PrefixOfName", "Param-3=c&Param=b&Param1=a", "Param=b&Param-3=c&Param1=a", "Param=b&Param-3=c&Param1=a"},
		{"SortedByEncoded", "%E1%88%B4=1&z=2", "%E1%88%B4=1&z=2", "%E1%88%B4=1&z=2"},
		{"Array", "a[]=2&a[]=1", "a%5B%5D=1&a%5B%5D=2", "a%5B%5D=1&a%5B%5D=2"},
		{"Reserved", "a=!*'()@:/?,", "a=%21%2A%27%28%29%40%3A%2F%3F%2C", "a=%21%2A%27%28%29%40%3A%2F%3F%2C"},
		{"SecondQuestionMark", "a=1?b=2", "a=1%3Fb%3D2", "a=1%3Fb%3D2"},
		{"BadEscape", "a=%^", "", "a=%25%5E"},
		{"CutEscape", "a=%4", "", "a=%254"},
	}
	s := aws(t, "service")
	form := newScheme(t, "escher", scheme.Params{"credential_scope": {"eu/x/y"}})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkQuery(t, s, tt.query, tt.encoded)
			checkQuery(t, form, tt.query, tt.form)
		})
	}
	t.Run("ManyParameters", func(t *testing.T) {
		var query, want []string
		for i := range 100 {
			query = append(query, fmt.Sprintf("p%02d=v", (i*37)%100))
			want = append(want, fmt.Sprintf("p%02d=v", i))
		}
		checkQuery(t, s, strings.Join(query, "&"), strings.Join(want, "&"))
	})
	t.Run("SignatureAlsoInBody", func(t *testing.T) {
		q := awsQuery(t, "service")
		m := request()
		delete(m.Header, "X-Amz-Content-Sha256")
		m.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
		m.Body = []byte("X-Amz-Signature=00&X-Amz-Expires=9999999")
		if _, err := verify(q, signed(t, q, m)); err != nil {
			t.Errorf("parameters in the body count: %v", err)
		}
	})
}

// checkQuery signs a request with the query and holds the third line of its
// canonical request against want; "" with a query means that it is refused.
func checkQuery(t *testing.T, s sealwright.Scheme, query, want string) {
	t.Helper()
	m := request()
	m.Target = "/?" + query
	signer := sealwright.Signer{Scheme: s, Ring: ring(keyID)}
	out, err := signer.Sign(m, now)
	if want == "" && query != "" {
		if !errors.Is(err, sealwright.ErrMalformed) {
			t.Errorf("%s: query %q: got %v, want %v", s.Name(), query, err, sealwright.ErrMalformed)
		}
		return
	}
	if err != nil {
		t.Errorf("%s: query %q: %v", s.Name(), query, err)
		return
	}
	if got := strings.Split(canonical(t, s, out), "\n")[2]; got != want {
		t.Errorf("%s: query %q: got %q, want %q", s.Name(), query, got, want)
	}
}

func TestA22MixedCredentialChannels(t *testing.T) {
	s, q := aws(t, "service"), awsQuery(t, "service")
	m, p := signed(t, s, request()), signed(t, q, request())
	both := clone(p)
	both.Header["Authorization"] = m.Header["Authorization"]
	both.Header["X-Amz-Date"] = m.Header["X-Amz-Date"]
	for _, scheme := range []sealwright.Scheme{s, q} {
		if _, err := verify(scheme, both); !errors.Is(err, sealwright.ErrPolicy) {
			t.Errorf("%s: valid signatures in both places: got %v, want %v", scheme.Name(), err, sealwright.ErrPolicy)
		}
	}
	refuseAll(t, q, p, []change{
		{"Query/BogusHeader", set("Authorization", "AWS4-HMAC-SHA256 x"), sealwright.ErrPolicy},
		{"Query/BearerHeader", set("Authorization", "Bearer x"), sealwright.ErrPolicy},
		{"Query/EmptyHeader", set("Authorization", ""), sealwright.ErrPolicy},
	})
	refuseAll(t, s, m, []change{
		{"Header/QuerySignature", target("a=1", "a=1&X-Amz-Signature=00"), sealwright.ErrPolicy},
		{"Header/QueryCredential", target("a=1", "a=1&X-Amz-Credential=x"), sealwright.ErrPolicy},
		{"Header/QueryExpires", target("a=1", "a=1&X-Amz-Expires=1"), sealwright.ErrPolicy},
		{"Header/OtherCase", target("a=1", "a=1&x-amz-signature=00"), sealwright.ErrMalformed},
		{"Header/EscapedName", target("a=1", "a=1&X-Amz-%53ignature=00"), sealwright.ErrMalformed},
		{"Header/QueryAlone", func(m *sealwright.Message) {
			delete(m.Header, "Authorization")
			m.Target = p.Target
		}, sealwright.ErrPolicy},
	})
	t.Run("UnknownPayload", func(t *testing.T) {
		for _, value := range []string{
			"UNSIGNED-PAYLOAD-TRAILER", "unsigned-payload", "UNSIGNED-PAYLOAD ", "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
			"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-", "none", "deadbeef",
			strings.Repeat("0", 63), strings.Repeat("0", 128),
		} {
			changed := request()
			changed.Header["X-Amz-Content-Sha256"] = []string{value}
			got := resign(t, s, changed)
			if _, err := verify(s, got); !errors.Is(err, sealwright.ErrPolicy) {
				t.Errorf("payload %q: got %v, want %v", value, err, sealwright.ErrPolicy)
			}
		}
		changed := request()
		changed.Header["X-Amz-Content-Sha256"] = []string{strings.Repeat("G", 64)}
		if _, err := verify(s, resign(t, s, changed)); err == nil {
			t.Error("64 characters that are no hash verify")
		}
	})
	t.Run("UnsignedNotAllowed", func(t *testing.T) {
		s := newScheme(t, "volcengine", scheme.Params{"region": {"cn"}, "service": {"iam"}})
		m := request()
		m.Header["X-Content-Sha256"] = []string{"UNSIGNED-PAYLOAD"}
		signer := sealwright.Signer{Scheme: s, Ring: ring(keyID)}
		if _, err := signer.Sign(m, now); !errors.Is(err, sealwright.ErrPolicy) {
			t.Errorf("got %v, want %v", err, sealwright.ErrPolicy)
		}
	})
}

// resign gives m a header Authorization that is right in form; its tag is not.
func resign(t *testing.T, s sealwright.Scheme, m sealwright.Message) sealwright.Message {
	t.Helper()
	good := signed(t, s, request())
	out := clone(m)
	out.Header["Authorization"] = good.Header["Authorization"]
	out.Header["X-Amz-Date"] = good.Header["X-Amz-Date"]
	return out
}

func TestA30TagMalleability(t *testing.T) {
	s := aws(t, "service")
	m := signed(t, s, request())
	tag := tagOf(t, m)
	mixed := []byte(tag)
	i := strings.IndexAny(tag, "abcdef")
	mixed[i] -= 'a' - 'A'
	refuseAll(t, s, m, []change{
		{"UpperCase", auth(tag, strings.ToUpper(tag)), sealwright.ErrMalformed},
		{"OneUpperCase", auth(tag, string(mixed)), sealwright.ErrMalformed},
		{"Quoted", auth(tag, `"`+tag+`"`), sealwright.ErrMalformed},
		{"BlankInside", auth(tag, tag[:8]+" "+tag[8:]), sealwright.ErrMalformed},
		{"BlankBefore", auth("Signature=", "Signature= "), sealwright.ErrMalformed},
		{"LineFeed", auth(tag, tag+"\n"), sealwright.ErrMalformed},
		{"Escape", auth(tag, "%"+tag[1:]), sealwright.ErrMalformed},
		{"ZeroX", auth(tag, "0x"+tag), sealwright.ErrMalformed},
	})
	q := awsQuery(t, "service")
	p := signed(t, q, request())
	_, tag, _ = strings.Cut(p.Target, "X-Amz-Signature=")
	refuseAll(t, q, p, []change{
		{"Query/UpperCase", target(tag, strings.ToUpper(tag)), sealwright.ErrMalformed},
		{"Query/Plus", target(tag, tag+"+"), sealwright.ErrMalformed},
		{"Query/EscapedBlank", target(tag, tag+"%20"), sealwright.ErrMalformed},
	})
}

func TestA35ClientWindow(t *testing.T) {
	sign := func(expires string) (sealwright.Scheme, sealwright.Message, error) {
		s := newScheme(t, "aws-sigv4-query", scheme.Params{"region": {"us-east-1"}, "service": {"service"}})
		m := request()
		m.Target = "/?X-Amz-Expires=" + url.QueryEscape(expires)
		signer := sealwright.Signer{Scheme: s, Ring: ring(keyID)}
		out, err := signer.Sign(m, now)
		return s, out, err
	}
	for _, expires := range []string{"604801", "315360000", "999999999999", "9999999999999", "0", "-1", "+60", " 60", "60 ", "6e1", "0x3c", "60.0", "６０"} {
		if _, _, err := sign(expires); !errors.Is(err, sealwright.ErrPolicy) {
			t.Errorf("expires %q: got %v, want %v", expires, err, sealwright.ErrPolicy)
		}
	}
	s, m, err := sign("604800")
	if err != nil {
		t.Fatal(err)
	}
	v := sealwright.Verifier{Scheme: s, Ring: ring(keyID)}
	for _, tt := range []struct {
		name string
		at   time.Time
		want error
	}{
		{"LastInstant", now.Add(604800 * time.Second), nil},
		{"Expired", now.Add(604801 * time.Second), sealwright.ErrStale},
		{"Early", now.Add(-900 * time.Second), nil},
		{"TooEarly", now.Add(-901 * time.Second), sealwright.ErrFuture},
	} {
		if _, err := v.Verify(m, tt.at); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	changed := clone(m)
	changed.Target = strings.Replace(m.Target, "604800", "604799", 1)
	if _, err := verify(s, changed); !errors.Is(err, sealwright.ErrMismatch) {
		t.Errorf("lifetime changed: got %v, want %v", err, sealwright.ErrMismatch)
	}
	for _, bad := range []string{"0", "604801", "-1", "x"} {
		if _, err := definition(t, "aws-sigv4-query").New(scheme.Params{"expires": {bad}}); err == nil {
			t.Errorf("parameter expires=%s is accepted", bad)
		}
	}
}

// TestMutation flips every byte of everything that is covered.
func TestMutation(t *testing.T) {
	for _, s := range []sealwright.Scheme{aws(t, "service"), aws(t, "s3"), awsQuery(t, "service")} {
		m := request()
		m.Target = "/a/b?x=1"
		m = signed(t, s, m)
		covered := map[string]bool{"Authorization": true}
		verdict, err := verify(s, m)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range verdict.Covers.Headers {
			covered[name] = true
		}
		flip := func(what, text string, put func(*sealwright.Message, string)) {
			for i := range len(text) {
				changed := clone(m)
				put(&changed, text[:i]+string([]byte{text[i] ^ 1})+text[i+1:])
				if _, err := verify(s, changed); err == nil {
					t.Errorf("%s: %s with byte %d of %q changed verifies", s.Name(), what, i, text)
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(m.Header)) {
			if covered[name] {
				flip(name, m.Header[name][0], func(m *sealwright.Message, v string) { m.Header[name] = []string{v} })
			}
		}
		flip("method", m.Method, func(m *sealwright.Message, v string) { m.Method = v })
		flip("host", m.Host, func(m *sealwright.Message, v string) { m.Host = v })
		flip("target", m.Target, func(m *sealwright.Message, v string) { m.Target = v })
		flip("body", string(m.Body), func(m *sealwright.Message, v string) { m.Body = []byte(v) })
	}
}
