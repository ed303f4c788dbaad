package rfc9421_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
)

// FuzzVerify wants a refusal for whatever stands in the fields of a signature,
// and never a panic: nobody but the test knows the key.
func FuzzVerify(f *testing.F) {
	for _, seed := range [][3]string{
		{`sig1=("@method" "@target-uri" "content-digest");created=1767225600;keyid="k1"`, "sig1=" + anyTag, emptyDigest},
		{`sig1=("content-digest";key="sha-256" "@query-param";name="x" "host";bs "a";sf "b";tr);created=1;nonce="n";alg="hmac-sha256"`, "sig1=::", "sha-256=(), a=1"},
		{`a=(), sig1=("content-digest";req);expires=1`, "a=(:AA==: 1);x, sig1=()", "sha-512=?1"},
		{`sig1`, `sig1`, ``}, {`sig1=()`, `sig1=()`, `sha-256=()`},
	} {
		f.Add(seed[0], seed[1], seed[2], "/orders?x=1&y=%2F")
	}
	schemes := []sealwright.Scheme{with(f), with(f, "label", "sig1", "required", "@method", "require_created", "false")}
	f.Fuzz(func(t *testing.T, input, signature, digest, target string) {
		req := request(8)
		m := request(8)
		m.Target = target
		m.Header = map[string][]string{
			"Signature-Input": strings.Split(input, "|"), "Signature": strings.Split(signature, "|"),
			"Content-Digest": strings.Split(digest, "|"), "A": {digest}, "X-Other": {target, input},
		}
		m.Trailer = m.Header
		for _, status := range []int{0, 200} {
			m.Status, m.Request = status, &req
			for _, s := range schemes {
				if verdict, err := verify(s, m, now); err == nil || verdict.Valid {
					t.Fatal("verifies")
				} else if errors.Is(err, sealwright.ErrConfig) {
					t.Errorf("blames the configuration: %v", err)
				}
				c := new(sealwright.Claim)
				if err := s.Parse(&m, c); err == nil {
					_ = s.(sealwright.Checker).Check(&m, c) // what it says does not matter without a tag
				}
			}
		}
	})
}

// FuzzSign wants that a message which can be signed verifies, whatever stands
// in it.
func FuzzSign(f *testing.F) {
	f.Add("POST", "api.example.com", "/a?b=c", "text/plain", `sig1=("@method" "content-type");created=1767225500;x`, []byte("body"))
	f.Add("GET", "API.example.com:443", "", "a, \t b", ``, []byte(nil))
	f.Add("GET", "[::1]:80", "*", "", `other=("date" "x";sf);created=1`, []byte{0xff})
	s := with(f, "label", "sig1", "required", "@method", "components", "@method", "components", "@authority",
		"components", "@request-target", "components", "content-type", "components", "content-digest")
	f.Fuzz(func(t *testing.T, method, host, target, contentType, input string, body []byte) {
		m := sealwright.Message{Method: method, Host: host, Target: target, Body: body,
			Header: map[string][]string{"Content-Type": strings.Split(contentType, "|")}}
		if input != "" {
			m.Header["Signature-Input"] = []string{input}
			m.Header["Signature"] = []string{"other=:AAAA:"}
		}
		signer := sealwright.Signer{Scheme: s, Ring: ring}
		signed, err := signer.Sign(m, now)
		if err != nil {
			return
		}
		verdict, err := verify(s, signed, now)
		if input != "" && errors.Is(err, sealwright.ErrMalformed) && strings.Contains(err.Error(), "label") {
			return // a signature of somebody else whose tag is missing
		}
		if err != nil {
			t.Fatalf("%v\n%+v", err, signed)
		}
		if verdict.Covers.Body && !bytes.Equal(signed.Body, body) {
			t.Error("the body changed")
		}
	})
}

// FuzzMutate changes one byte of what is covered and wants a refusal.
func FuzzMutate(f *testing.F) {
	s := with(f, "required", "@method", "required", "@target-uri", "required", "content-type", "required", "content-digest",
		"required", "date;bs", "required", `dict;key="a"`, "require_nonce", "true", "require_keyid", "true")
	m := request(64)
	m.Header["Date"], m.Header["Dict"] = []string{"Tue, 20 Apr 2021 02:07:55 GMT"}, []string{`b=1, a="x";y=2`}
	signed := sign(f, s, m)
	if _, err := verify(s, signed, now); err != nil {
		f.Fatal(err)
	}
	for place := range 9 {
		f.Add(place, 3, byte(1))
	}
	f.Fuzz(func(t *testing.T, place, at int, flip byte) {
		m := signed
		m.Header = clone(signed.Header)
		m.Body = bytes.Clone(signed.Body)
		change := func(s string) string {
			b := []byte(s)
			b[uint(at)%uint(len(b))] ^= flip
			return string(b)
		}
		inHeader := func(name string) { m.Header[name][0] = change(m.Header[name][0]) }
		same := flip == 0
		switch uint(place) % 9 {
		case 0:
			m.Method = change(m.Method)
		case 1:
			m.Target = change(m.Target)
		case 2:
			m.Host = change(m.Host)
		case 3:
			m.Body = []byte(change(string(m.Body)))
		case 4:
			inHeader("Content-Type")
		case 5:
			inHeader("Content-Digest")
		case 6:
			inHeader("Signature-Input")
		case 7:
			inHeader("Signature")
		case 8:
			inHeader("Date")
		}
		if verdict, err := verify(s, m, now); (err == nil) != same || verdict.Valid != same {
			t.Errorf("%+v: got %v", m, err)
		}
	})
}
