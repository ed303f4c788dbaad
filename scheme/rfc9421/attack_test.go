package rfc9421_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/scheme"
)

// The tests of this file are named after the classes of attack in
// catalogue/attacks.jsonl.

// attacks changes a signed message in each way and wants the refusal.
type attacks []struct {
	name   string
	change func(m *sealwright.Message)
	want   error
}

func (list attacks) run(t *testing.T, s sealwright.SigningScheme) {
	t.Helper()
	signed := sign(t, s, request(64))
	if _, err := verify(s, signed, now); err != nil {
		t.Fatal(err)
	}
	for _, tt := range list {
		t.Run(tt.name, func(t *testing.T) {
			m := signed
			m.Header = clone(signed.Header)
			m.Body = bytes.Clone(signed.Body)
			tt.change(&m)
			if verdict, err := verify(s, m, now); !errors.Is(err, tt.want) || verdict.Valid {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// set returns a change that sets the lines of a header, none to drop it.
func set(name string, lines ...string) func(*sealwright.Message) {
	return func(m *sealwright.Message) {
		m.Header[name] = lines
		if len(lines) == 0 {
			delete(m.Header, name)
		}
	}
}

// edit returns a change that replaces text in a header.
func edit(name, from, to string) func(*sealwright.Message) {
	return func(m *sealwright.Message) {
		text := m.Header[name][0]
		if !strings.Contains(text, from) {
			panic(name + " has no " + from)
		}
		m.Header[name] = []string{strings.Replace(text, from, to, 1)}
	}
}

func TestA02_MissingSignature(t *testing.T) {
	attacks{
		{"NoSignature", set("Signature"), sealwright.ErrMissing},
		{"NoInput", set("Signature-Input"), sealwright.ErrMissing},
		{"NeitherField", func(m *sealwright.Message) { delete(m.Header, "Signature"); delete(m.Header, "Signature-Input") }, sealwright.ErrMissing},
		{"SignatureWithoutLines", func(m *sealwright.Message) { m.Header["Signature"] = []string{} }, sealwright.ErrMissing},
		{"SignatureEmpty", set("Signature", ""), sealwright.ErrMissing},
		{"LabelAlone", set("Signature", "sig1"), sealwright.ErrMalformed},
		{"LabelWithEmptyTag", set("Signature", "sig1=::"), sealwright.ErrMissing},
		{"LabelFalse", set("Signature", "sig1=?0"), sealwright.ErrMalformed},
		{"InputEmpty", set("Signature-Input", ""), sealwright.ErrMalformed},
		{"InputLabelAlone", set("Signature-Input", "sig1"), sealwright.ErrMalformed},
		{"LabelOfAnotherSignature", set("Signature", "sig2="+anyTag), sealwright.ErrMalformed},
		{"InTrailerOnly", func(m *sealwright.Message) {
			m.Trailer = maps.Clone(m.Header)
			delete(m.Header, "Signature")
		}, sealwright.ErrMissing},
	}.run(t, with(t))
}

func TestA03_PrefixOrLength(t *testing.T) {
	s := with(t)
	signed := sign(t, s, request(64))
	text := strings.Trim(strings.TrimPrefix(header(signed, "Signature"), "sig1="), ":")
	tag, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	tags := map[string][]byte{"OneMore": append(bytes.Clone(tag), 0), "Twice": append(bytes.Clone(tag), tag...), "OfSHA512": make([]byte, 64), "OfSHA1": tag[:20]}
	for n := range tag {
		tags[fmt.Sprintf("Prefix%d", n)] = tag[:n]
	}
	for name, tag := range tags {
		t.Run(name, func(t *testing.T) {
			m := signed
			m.Header = clone(signed.Header)
			m.Header["Signature"] = []string{"sig1=:" + base64.StdEncoding.EncodeToString(tag) + ":"}
			if verdict, err := verify(s, m, now); err == nil || verdict.Valid {
				t.Error("verifies")
			}
		})
	}
}

func TestA05_Crash(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	attacks{
		{"BadBase64", set("Signature", "sig1=:@@@@:"), sealwright.ErrMalformed},
		{"OddBase64", set("Signature", "sig1=:AAA:"), sealwright.ErrMalformed},
		{"OpenBase64", set("Signature", "sig1=:AAAA"), sealwright.ErrMalformed},
		{"ShortTag", set("Signature", "sig1=:AAAA:"), sealwright.ErrMismatch},
		{"LongTag", set("Signature", "sig1=:"+strings.Repeat("AAAA", 30)+":"), sealwright.ErrMalformed},
		{"Nul", set("Signature", "sig1=\x00"), sealwright.ErrMalformed},
		{"NulInInput", edit("Signature-Input", `"@method"`, "\"@method\x00\""), sealwright.ErrMalformed},
		{"EightBit", set("Signature", "sig1=\xff\xfe"), sealwright.ErrMalformed},
		{"EightBitInInput", edit("Signature-Input", "k1", "k\xe4"), sealwright.ErrMalformed},
		{"MegabyteSignature", set("Signature", "sig1=:"+long+":"), sealwright.ErrMalformed},
		{"MegabyteInput", set("Signature-Input", `sig1=("`+long+`")`), sealwright.ErrMalformed},
		{"MegabyteOfComponents", set("Signature-Input", "sig1=("+strings.Repeat(`"a" `, 1<<18)+")"), sealwright.ErrMalformed},
		{"ManyComponents", set("Signature-Input", "sig1=("+many(65, `"x-%d" `)+")"+created), sealwright.ErrMalformed},
		{"ManyStrictComponents", set("Signature-Input", "sig1=("+many(17, `"x-%d";sf `)+")"+created), sealwright.ErrMalformed},
		{"ManyParameters", set("Signature-Input", `sig1=("@method")`+many(300, ";p%d")), sealwright.ErrMalformed},
		{"DeepNesting", set("Signature-Input", "sig1="+strings.Repeat("(", 60000)), sealwright.ErrMalformed},
		{"ItemForInput", set("Signature-Input", "sig1=1"), sealwright.ErrMalformed},
		{"ListForSignature", set("Signature", "sig1=(:AAAA:)"), sealwright.ErrMalformed},
		{"EmptyListForSignature", set("Signature", "sig1=()"), sealwright.ErrMalformed},
		{"EmptyListForInput", set("Signature-Input", "sig1=()"), sealwright.ErrPolicy},
		{"HostEmpty", func(m *sealwright.Message) { m.Host = "" }, sealwright.ErrMalformed},
		{"MethodEmpty", func(m *sealwright.Message) { m.Method = "" }, sealwright.ErrMalformed},
		{"DigestBroken", set("Content-Digest", "sha-256=:"), sealwright.ErrMismatch},
		{"NothingAtAll", func(m *sealwright.Message) { *m = sealwright.Message{} }, sealwright.ErrMissing},
	}.run(t, with(t))
}

func TestA06_AlgorithmFromRequest(t *testing.T) {
	tests := []struct {
		name, alg string
		want      error
	}{
		{"Right", `"hmac-sha256"`, nil},
		{"UpperCase", `"HMAC-SHA256"`, sealwright.ErrPolicy},
		{"BlankBehind", `"hmac-sha256 "`, sealwright.ErrPolicy},
		{"Empty", `""`, sealwright.ErrMalformed},
		{"Token", `hmac-sha256`, sealwright.ErrMalformed},
		{"Flag", `?1`, sealwright.ErrMalformed},
		{"None", `"none"`, sealwright.ErrPolicy},
		{"MD5", `"md5"`, sealwright.ErrPolicy},
		{"SHA1", `"hmac-sha1"`, sealwright.ErrPolicy},
		{"SHA512", `"hmac-sha512"`, sealwright.ErrPolicy},
		{"Ed25519", `"ed25519"`, sealwright.ErrPolicy},
		{"RSA", `"rsa-v1_5-sha256"`, sealwright.ErrPolicy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := forged(t, digested(), allList+created+";alg="+tt.alg)
			if _, err := verify(with(t), m, now); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	t.Run("OfTheDigest", func(t *testing.T) {
		for _, digest := range []string{"md5=:1B2M2Y8AsgTpgAmY7PhCfg==:", "sha=:2jmj7l5rSw0yVb/vlWAYkK/YBwk=:", "unixsum=:AAAA:", "SHA-256"} {
			m := digested()
			m.Header["Content-Digest"] = []string{digest}
			m = forged(t, m, allList+created)
			if verdict, err := verify(with(t), m, now); err == nil || verdict.Valid {
				t.Errorf("%s: verifies", digest)
			}
		}
	})
}

func TestA07_Collision(t *testing.T) {
	attacks{
		{"LineBreakInField", func(m *sealwright.Message) {
			m.Header["Content-Type"] = []string{"a\n\"@method\": DELETE"}
		}, sealwright.ErrMalformed},
		{"LineBreakInTarget", func(m *sealwright.Message) { m.Target = "/\n\"x\": y" }, sealwright.ErrMalformed},
		{"LineBreakInMethod", func(m *sealwright.Message) { m.Method = "POST\n\"x\": y" }, sealwright.ErrMalformed},
		{"LineBreakInHost", func(m *sealwright.Message) { m.Host = "a\nb" }, sealwright.ErrMalformed},
		{"QueryToPath", func(m *sealwright.Message) { m.Target = "/orders%3Fx=1&y=%2F" }, sealwright.ErrMismatch},
		{"ComponentToParameter", edit("Signature-Input", `"@target-uri"`, `"@method";req`), sealwright.ErrPolicy},
	}.run(t, with(t, "required", "@method", "required", "@authority", "required", "@target-uri", "required", "content-type"))
	t.Run("PathInHost", func(t *testing.T) {
		s := with(t, "required", "@target-uri")
		m := sign(t, s, get("/a/b?c"))
		for _, host := range []string{"www.example.com/a", `www.example.com\a`, "www.example.com?a", "user@www.example.com", "www.example.com#"} {
			m.Host, m.Target = host, "/b?c"
			if _, err := verify(s, m, now); !errors.Is(err, sealwright.ErrMalformed) {
				t.Errorf("host %s: got %v, want ErrMalformed", host, err)
			}
		}
	})
}

func TestA14_ParsingOfTime(t *testing.T) {
	for _, parameter := range []string{"created", "expires"} {
		for _, tt := range []struct{ name, text string }{
			{"Milliseconds", "1767225600000"}, {"Zero", "0"}, {"MinusOne", "-1"}, {"MaxInt64", "9223372036854775807"},
			{"OverMaxInt64", "9223372036854775808"}, {"Longest", "999999999999999"}, {"Exponent", "1e9"}, {"Hex", "0x10"},
			{"Plus", "+1767225600"}, {"BlankBefore", " 1767225600"}, {"Decimal", "1767225600.0"}, {"Date", "@1767225600"},
			{"String", `"1767225600"`}, {"FullWidth", "\uff11\uff17"}, {"Bytes", ":MQ==:"}, {"Flag", "?1"}, {"Empty", ""},
			{"Twice", "1767225600;" + parameter + "=1767225600"}, {"TwiceStale", "1767225600;" + parameter + "=1"},
		} {
			t.Run(parameter+"/"+tt.name, func(t *testing.T) {
				description := allList + ";" + parameter + "=" + tt.text
				if parameter == "expires" {
					description += created
				}
				m := forged(t, digested(), description)
				if verdict, err := verify(with(t), m, now); err == nil || verdict.Valid {
					t.Error("verifies")
				}
			})
		}
	}
	t.Run("DayInTheFuture", func(t *testing.T) {
		m := forged(t, digested(), allList+";created=1767312000")
		if _, err := verify(with(t), m, now); !errors.Is(err, sealwright.ErrFuture) {
			t.Errorf("got %v, want ErrFuture", err)
		}
	})
	t.Run("LeadingZeros", func(t *testing.T) { // are no other number, and not what was signed
		m := sign(t, with(t), request(64))
		edit("Signature-Input", "created=1767", "created=001767")(&m)
		if _, err := verify(with(t), m, now); err != nil {
			t.Errorf("got %v: RFC 9421 section 3.2 signs the number, not its text", err)
		}
	})
}

func TestA15_BodyNotBound(t *testing.T) {
	attacks{
		{"BodyChanged", func(m *sealwright.Message) { m.Body[0] ^= 1 }, sealwright.ErrDigest},
		{"BodyLonger", func(m *sealwright.Message) { m.Body = append(m.Body, ' ') }, sealwright.ErrDigest},
		{"BodyShorter", func(m *sealwright.Message) { m.Body = m.Body[:63] }, sealwright.ErrDigest},
		{"BodyDropped", func(m *sealwright.Message) { m.Body = nil }, sealwright.ErrDigest},
		{"BodyAndDigestChanged", func(m *sealwright.Message) {
			m.Body = nil
			m.Header["Content-Digest"] = []string{emptyDigest}
		}, sealwright.ErrMismatch},
		{"DigestDropped", set("Content-Digest"), sealwright.ErrMalformed},
		{"DigestTwice", func(m *sealwright.Message) {
			m.Header["Content-Digest"] = append(m.Header["Content-Digest"], m.Header["Content-Digest"]...)
		}, sealwright.ErrMismatch},
		{"DigestNotListed", edit("Signature-Input", ` "content-digest"`, ""), sealwright.ErrPolicy},
	}.run(t, with(t))
	for _, method := range []string{"PUT", "PATCH", "DELETE", "GET", "HEAD"} {
		t.Run(method, func(t *testing.T) {
			m := request(64)
			m.Method = method
			m = sign(t, with(t), m)
			m.Body = nil
			if _, err := verify(with(t), m, now); !errors.Is(err, sealwright.ErrDigest) {
				t.Errorf("got %v, want ErrDigest", err)
			}
		})
	}
	t.Run("NotRequiredIsSaid", func(t *testing.T) {
		s := with(t, "required", "@method")
		m := sign(t, s, request(64))
		m.Body = nil
		if verdict, err := verify(s, m, now); err != nil || verdict.Covers.Body {
			t.Errorf("got %v, body covered %v, want a verdict that does not cover the body", err, verdict.Covers.Body)
		}
	})
	t.Run("Digests", func(t *testing.T) {
		const right, wrong = emptyDigest, "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
		const right512 = "sha-512=:z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==:"
		for _, tt := range []struct {
			name   string
			digest []string
			want   error
		}{
			{"Right", []string{right}, nil},
			{"BothRight", []string{right + ", " + right512}, nil},
			{"BothRightInTwoLines", []string{right, right512}, nil},
			{"OneOfTwoWrong", []string{wrong + ", " + right512}, sealwright.ErrDigest},
			{"OtherOfTwoWrong", []string{right + ", sha-512=:AAAA:"}, sealwright.ErrDigest},
			{"UnknownBeside", []string{"crc32c=:AAAA:, md5=?0, id=(1 2), " + right}, nil},
			{"UnknownAlone", []string{"crc32c=:AAAA:"}, sealwright.ErrPolicy},
			{"SameTwice", []string{right, right}, sealwright.ErrDigest},
			{"NotBytes", []string{strings.ReplaceAll(right, ":", `"`)}, sealwright.ErrDigest},
			{"InnerList", []string{"sha-256=(:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:)"}, sealwright.ErrDigest},
			{"InnerListEmpty", []string{"sha-256=()"}, sealwright.ErrDigest},
			{"UnknownInnerListEmpty", []string{"x=(), " + right}, nil},
			{"Empty", []string{""}, sealwright.ErrPolicy},
			{"Short", []string{"sha-256=::"}, sealwright.ErrDigest},
			{"UpperCase", []string{"SHA-256" + right[7:]}, sealwright.ErrDigest},
		} {
			t.Run(tt.name, func(t *testing.T) {
				m := digested()
				m.Header["Content-Digest"] = tt.digest
				m = forged(t, m, allList+created)
				if _, err := verify(with(t), m, now); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
			})
		}
	})
}

func TestA16_TargetNotBound(t *testing.T) {
	target := func(to string) func(*sealwright.Message) {
		return func(m *sealwright.Message) { m.Target = to }
	}
	signed := "/orders?x=1&y=%2F" // of request
	attacks{
		{"QueryChanged", target("/orders?x=2&y=%2F"), sealwright.ErrMismatch},
		{"QueryDropped", target("/orders"), sealwright.ErrMismatch},
		{"QueryDecoded", target("/orders?x=1&y=/"), sealwright.ErrMismatch},
		{"QueryOtherCase", target("/orders?x=1&y=%2f"), sealwright.ErrMismatch},
		{"QuerySorted", target("/orders?y=%2F&x=1"), sealwright.ErrMismatch},
		{"Dots", target("/x/%2e%2e" + signed), sealwright.ErrMismatch},
		{"DotSegment", target("/." + signed), sealwright.ErrMismatch},
		{"TwoSlashes", target("/" + signed), sealwright.ErrMismatch},
		{"PathParameter", target("/orders;x?x=1&y=%2F"), sealwright.ErrMismatch},
		{"UpperCase", target("/Orders?x=1&y=%2F"), sealwright.ErrMismatch},
		{"TrailingSlash", target("/orders/?x=1&y=%2F"), sealwright.ErrMismatch},
		{"Escaped", target("/%6Frders?x=1&y=%2F"), sealwright.ErrMismatch},
		{"AbsoluteForm", target("https://api.example.com" + signed), sealwright.ErrMalformed},
		{"OtherHost", func(m *sealwright.Message) { m.Host = "evil.example.com" }, sealwright.ErrMismatch},
		{"OtherPort", func(m *sealwright.Message) { m.Host += ":8443" }, sealwright.ErrMismatch},
		{"OtherScheme", func(m *sealwright.Message) { m.Scheme = "http" }, sealwright.ErrMismatch},
		{"OtherMethod", func(m *sealwright.Message) { m.Method = "PUT" }, sealwright.ErrMismatch},
		{"LowerMethod", func(m *sealwright.Message) { m.Method = "post" }, sealwright.ErrMismatch},
	}.run(t, with(t))
	t.Run("NotRequiredIsSaid", func(t *testing.T) {
		s := with(t, "required", "@path")
		m := sign(t, s, request(64))
		m.Host, m.Target = "evil.example.com", "/orders?x=2"
		verdict, err := verify(s, m, now)
		if c := verdict.Covers; err != nil || !c.Path || c.Query || c.Host || c.Method {
			t.Errorf("got %v, covers %+v, want the path alone", err, c)
		}
	})
}

func TestA17_ShadowedDerivedComponent(t *testing.T) {
	components := []string{`"@method"`, `"@target-uri"`, `"@authority"`, `"@scheme"`, `"@request-target"`, `"@path"`, `"@query"`, `"@query-param";name="x"`}
	m := request(64)
	want, _, err := base(t, m, components...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query", "@query-param", "@status", "@signature-params"} {
		for _, spelling := range []string{name, strings.ToUpper(name[:2]) + name[2:], strings.ToUpper(name), name[1:], ":" + name[1:], "(" + name[1:] + ")"} {
			m.Header[spelling] = []string{"DELETE"}
		}
	}
	for _, name := range []string{"Host", ":authority", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Original-Url", "X-Http-Method-Override", "Request-Line"} {
		m.Header[name] = []string{"evil.example.com"}
	}
	m.Trailer = m.Header
	got, _, err := base(t, m, components...)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, name := range []string{`"(request-target)"`, `"@request-line"`, `":method"`} {
		if _, err := value(t, m, name); err == nil {
			t.Errorf("component %s is read", name)
		}
	}
	if v, err := value(t, m, `"host"`); err != nil || v != "api.example.com" {
		t.Errorf("host is %q, %v", v, err)
	}
	if _, err := value(t, m, `"@status"`); err == nil {
		t.Error("@status of a request is read")
	}
}

func TestA18_ListOfComponents(t *testing.T) {
	tests := []struct{ name, components string }{
		{"Missing", `"@method" "date"`},
		{"MissingFirst", `"date" "@method"`},
		{"Twice", `"@method" "content-type" "content-type"`},
		{"DerivedTwice", `"@method" "@method"`},
		{"TwiceInOtherOrder", `"@method" "content-type";bs;tr "content-type";tr;bs`},
		{"UpperCase", `"@method" "Content-Type"`},
		{"UpperCaseDerived", `"@method" "@Path"`},
		{"EmptyName", `"@method" ""`},
		{"Params", `"@method" "@signature-params"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := forged(t, request(64), "("+tt.components+")"+created)
			if _, err := verify(with(t, "required", "@method"), m, now); !errors.Is(err, sealwright.ErrMalformed) {
				t.Errorf("got %v, want ErrMalformed", err)
			}
		})
	}
	attacks{ // the list itself is signed
		{"Shortened", edit("Signature-Input", ` "content-type"`, ""), sealwright.ErrMismatch},
		{"Reordered", edit("Signature-Input", `"@method" "content-type"`, `"content-type" "@method"`), sealwright.ErrMismatch},
		{"Extended", edit("Signature-Input", `"content-type")`, `"content-type" "@path")`), sealwright.ErrMismatch},
		{"Rendered", edit("Signature-Input", `"content-type"`, `"content-type";sf`), sealwright.ErrMismatch},
		{"FieldDropped", set("Content-Type"), sealwright.ErrMalformed},
		{"FieldEmptied", set("Content-Type", ""), sealwright.ErrMismatch},
	}.run(t, with(t, "required", "@method", "components", "@method", "components", "content-type"))
}

func TestA19_Duplicates(t *testing.T) {
	again := func(name string) func(*sealwright.Message) {
		return func(m *sealwright.Message) { m.Header[name] = append(m.Header[name], m.Header[name][0]) }
	}
	evil := `sig1=("@method");created=1767225600`
	attacks{
		{"SignatureTwice", again("Signature"), sealwright.ErrMalformed},
		{"InputTwice", again("Signature-Input"), sealwright.ErrMalformed},
		{"LabelTwiceInLine", func(m *sealwright.Message) { m.Header["Signature-Input"][0] += ", " + evil }, sealwright.ErrMalformed},
		{"LabelTwiceFirst", func(m *sealwright.Message) {
			m.Header["Signature-Input"] = append([]string{evil}, m.Header["Signature-Input"]...)
		}, sealwright.ErrMalformed},
		{"ParameterTwice", edit("Signature-Input", created, created+created), sealwright.ErrMalformed},
		{"KeyIDTwice", edit("Signature-Input", `;keyid="k1"`, `;keyid="k1";keyid="k2"`), sealwright.ErrMalformed},
		{"CoveredFieldTwice", again("Content-Type"), sealwright.ErrMismatch},
		{"CommaInSignature", func(m *sealwright.Message) { m.Header["Signature"][0] += "," }, sealwright.ErrMalformed},
		{"CommaSplitsTag", func(m *sealwright.Message) {
			text := m.Header["Signature"][0]
			m.Header["Signature"] = []string{text[:20], text[20:]}
		}, sealwright.ErrMalformed},
		{"Underscore", func(m *sealwright.Message) {
			m.Header["Signature_input"] = m.Header["Signature-Input"]
			delete(m.Header, "Signature-Input")
		}, sealwright.ErrMissing},
		{"OtherSpelling", func(m *sealwright.Message) {
			m.Header["SIGNATURE"] = m.Header["Signature"]
			m.Header = sealwright.CanonicalHeader(m.Header)
		}, sealwright.ErrMalformed},
	}.run(t, with(t, "required", "@method", "required", "content-type", "label", "sig1"))
}

func TestA24_CostBeforeAuthentication(t *testing.T) {
	attacks{
		{"TenThousandLabels", func(m *sealwright.Message) {
			m.Header["Signature-Input"] = []string{many(10000, `a%d=("@method"),`) + m.Header["Signature-Input"][0]}
		}, sealwright.ErrMalformed},
		{"SeventeenLabels", func(m *sealwright.Message) {
			m.Header["Signature-Input"] = []string{many(16, `a%d=("@method"), `) + m.Header["Signature-Input"][0]}
			m.Header["Signature"] = []string{many(16, `a%d=:AAAA:, `) + m.Header["Signature"][0]}
		}, sealwright.ErrTooManyTags},
		{"LongFieldThatIsParsed", func(m *sealwright.Message) {
			m.Header["Content-Digest"] = []string{many(20000, "k%d=1, ") + "z"}
			m.Header["Signature-Input"] = []string{`sig1=("content-digest";key="z" "@method")` + created}
		}, sealwright.ErrMalformed},
	}.run(t, with(t, "required", "@method", "label", "sig1"))
}

func TestA30_TagMalleability(t *testing.T) {
	s := with(t)
	signed := sign(t, s, request(64))
	text := strings.Trim(strings.TrimPrefix(header(signed, "Signature"), "sig1="), ":")
	other := []byte(text) // the same bytes, but for the bits that base64 does not use
	other[len(other)-2]++
	tests := []struct{ name, signature string }{
		{"UnusedBits", "sig1=:" + string(other) + ":"},
		{"NoPadding", "sig1=:" + strings.TrimRight(text, "=") + ":"},
		{"MorePadding", "sig1=:" + text + "=:"},
		{"BlankInside", "sig1=:" + text[:8] + " " + text[8:] + ":"},
		{"LineFeedInside", "sig1=:" + text[:8] + "\n" + text[8:] + ":"},
		{"URLAlphabet", "sig1=:" + strings.NewReplacer("+", "-", "/", "_").Replace(text[:42]) + "-=:"},
		{"PercentEncoded", "sig1=:" + strings.ReplaceAll(text, "=", "%3D") + ":"},
		{"AsString", `sig1="` + text + `"`},
		{"AsToken", "sig1=" + strings.TrimRight(text, "=")},
		{"WithParameter", "sig1=:" + text + ":;x"},
		{"InList", "sig1=(:" + text + ":)"},
		{"TabBefore", "\tsig1=:" + text + ":"},
		{"BlankAroundEquals", "sig1= :" + text + ":"},
		{"UpperCaseLabel", "Sig1=:" + text + ":"},
		{"Hex", fmt.Sprintf("sig1=:%x:", text)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := signed
			m.Header = clone(signed.Header)
			m.Header["Signature"] = []string{tt.signature}
			if verdict, err := verify(s, m, now); !errors.Is(err, sealwright.ErrMalformed) && !errors.Is(err, sealwright.ErrMismatch) {
				t.Errorf("got %v, valid %v, want a refusal", err, verdict.Valid)
			}
		})
	}
}

func TestA31_SeveralSignatures(t *testing.T) {
	mine := with(t, "label", "mine")
	only := with(t)
	signed := sign(t, mine, request(64))
	input, sig := header(signed, "Signature-Input"), header(signed, "Signature")
	const otherInput, otherSig = `z=("@method");alg="ed25519"`, `z=:AAAA:`
	tests := []struct {
		name       string
		input, sig []string
		want, only error // with a label configured, and without
	}{
		{"Alone", []string{input}, []string{sig}, nil, nil},
		{"First", []string{input + ", " + otherInput}, []string{sig + ", " + otherSig}, nil, sealwright.ErrPolicy},
		{"Last", []string{otherInput + ", " + input}, []string{otherSig + ", " + sig}, nil, sealwright.ErrPolicy},
		{"OtherOrderInTheFields", []string{otherInput + ", " + input}, []string{sig + ", " + otherSig}, nil, sealwright.ErrPolicy},
		{"TwoLines", []string{otherInput, input}, []string{sig, otherSig}, nil, sealwright.ErrPolicy},
		{"OtherHasNoTag", []string{input + ", " + otherInput}, []string{sig}, sealwright.ErrMalformed, sealwright.ErrPolicy},
		{"OtherHasNoInput", []string{input}, []string{sig + ", " + otherSig}, sealwright.ErrMalformed, sealwright.ErrMalformed},
		{"OtherAlone", []string{otherInput}, []string{otherSig}, sealwright.ErrMissing, sealwright.ErrPolicy},
		{"OtherBroken", []string{input + ", z=("}, []string{sig + ", " + otherSig}, sealwright.ErrMalformed, sealwright.ErrMalformed},
		{"TagUnderOtherLabel", []string{strings.Replace(input, "mine", "z", 1)}, []string{strings.Replace(sig, "mine", "z", 1)}, sealwright.ErrMissing, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := signed
			m.Header = clone(signed.Header)
			m.Header["Signature-Input"], m.Header["Signature"] = tt.input, tt.sig
			if _, err := verify(mine, m, now); !errors.Is(err, tt.want) {
				t.Errorf("label mine: got %v, want %v", err, tt.want)
			}
			if _, err := verify(only, m, now); !errors.Is(err, tt.only) {
				t.Errorf("no label: got %v, want %v", err, tt.only)
			}
		})
	}
}

func TestA35_WindowOfTheSender(t *testing.T) {
	tests := []struct {
		name        string
		params      []string
		description string
		want        error
	}{
		{"ExpiresInTenYears", nil, allList + created + ";expires=2082758400", nil}, // max_age holds all the same
		{"ExpiresInTenYearsAndOld", nil, allList + ";created=1767225299;expires=2082758400", sealwright.ErrStale},
		{"OnlyExpires", []string{"require_created", "false"}, allList + ";expires=1767226200", nil},
		{"OnlyExpiresTooFar", []string{"require_created", "false"}, allList + ";expires=1767226201", sealwright.ErrFuture},
		{"OnlyExpiresAndNoWindow", []string{"require_created", "false", "max_age", "0", "skew", "0"}, allList + ";expires=1767225601", sealwright.ErrFuture},
		{"OnlyExpiresNow", []string{"require_created", "false", "max_age", "0", "skew", "0"}, allList + ";expires=1767225600", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := verify(with(t, tt.params...), forged(t, digested(), tt.description), now); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestA36_PolicyGaps(t *testing.T) {
	tests := []struct {
		name        string
		params      []string
		description string
		want        error
	}{
		{"NothingListed", nil, "()" + created, sealwright.ErrPolicy},
		{"NoMethod", nil, `("@target-uri" "content-digest")` + created, sealwright.ErrPolicy},
		{"NoTarget", nil, `("@method" "content-digest")` + created, sealwright.ErrPolicy},
		{"NoDigest", nil, `("@method" "@target-uri")` + created, sealwright.ErrPolicy},
		{"DigestOfTheRequest", nil, `("@method" "@target-uri" "content-digest";req)` + created, sealwright.ErrPolicy},
		{"DigestOfTheTrailer", nil, `("@method" "@target-uri" "content-digest";tr)` + created, sealwright.ErrPolicy},
		{"WrongLabel", []string{"label", "other"}, allList + created, sealwright.ErrMissing},
		{"WrongTag", []string{"tag", "a"}, allList + created + `;tag="b"`, sealwright.ErrPolicy},
		{"NoTag", []string{"tag", "a"}, allList + created, sealwright.ErrPolicy},
		{"OtherAlgorithm", nil, allList + created + `;alg="hmac-sha512"`, sealwright.ErrPolicy},
		{"NoTime", nil, allList + `;expires=1767225700`, sealwright.ErrPolicy},
		{"RequiredQueryParam", []string{"required", `@query-param;name="x"`}, `("@query-param";name="y")` + created, sealwright.ErrPolicy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := forged(t, digested(), tt.description)
			if _, err := verify(with(t, tt.params...), m, now); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	t.Run("EmptyProfile", func(t *testing.T) {
		if _, err := definition(t).New(scheme.Params{"required": {}}); err == nil {
			t.Error("a profile that demands nothing is accepted")
		}
	})
}
