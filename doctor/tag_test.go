package doctor_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/doctor"
)

func TestTagTexts(t *testing.T) {
	const body = `{"a":1}`
	raw := mac256(testSecret, body)
	text := hex.EncodeToString(raw)
	github := func(value string) doctor.Input {
		return input("github", testSecret, "POST", "https://in.acme.test/", body, "X-Hub-Signature-256", value)
	}
	base := func(value string) doctor.Input {
		return input("shopify", testSecret, "POST", "https://in.acme.test/", body, "X-Shopify-Hmac-Sha256", value)
	}
	groups := strings.TrimSuffix(strings.ToUpper(hex.EncodeToString(raw[:1])+"-"+hyphens(raw[1:])), "-")
	check(t, []want{
		{name: "Base64ForHex", in: github("sha256=" + base64Of(raw)), cause: "sig.hex_vs_base64"},
		{name: "HexForBase64", in: base(text), cause: "sig.hex_vs_base64"},
		{name: "Base64OfHex", in: base(base64Of([]byte(text))), cause: "sig.base64_of_hex"},
		{name: "Base64OfHexForHex", in: github("sha256=" + base64Of([]byte(text))), cause: "sig.base64_of_hex"},
		{name: "NoPadding", in: base(strings.TrimRight(base64Of(raw), "=")), cause: "sig.base64url"},
		{name: "Upper", in: github("sha256=" + strings.ToUpper(text)), cause: "sig.case"},
		{name: "PrefixMissing", in: github(text), cause: "sig.prefix"},
		{name: "PrefixUpper", in: github("SHA256=" + text), cause: "sig.prefix"},
		{name: "PrefixTwice", in: github("sha256=sha256=" + text), cause: "sig.prefix"},
		{name: "PrefixOfAnotherScheme", in: github("t=1,v1=" + text), cause: "sig.prefix"},
		{name: "UnexpectedPrefix", in: base("sha256=" + base64Of(raw)), cause: "sig.prefix"},
		{name: "BlankAfterPrefix", in: github("sha256= " + text), cause: "sig.mangled"},
		{name: "Quotes", in: github(`"sha256=` + text + `"`), cause: "sig.mangled"},
		{name: "PythonBytes", in: bodyHex(body, "b'"+text+"'"), cause: "sig.mangled"},
		{name: "PercentEncoded", in: base(strings.ReplaceAll(base64Of(raw), "=", "%3D")), cause: "sig.mangled"},
		{name: "Groups", in: bodyHex(body, groups), cause: "sig.mangled", says: "groups"},
		{name: "BlankInside", in: bodyHex(body, text[:9]+" "+text[9:]), cause: "sig.mangled"},
		{name: "SignedBytes", in: bodyHex(body, signedHex(raw)), cause: "sig.mangled", says: "32-bit"},
		{name: "TakenForLatin1", in: bodyHex(body, hex.EncodeToString([]byte(latin1(raw)))), cause: "sig.mangled", says: "Latin-1"},
		{name: "LossyUTF8", in: bodyHex(body, hex.EncodeToString([]byte(string([]rune(string(raw)))))), cause: "sig.mangled"},
		{name: "CutTo16Bytes", in: bodyHex(body, text[:32]), cause: "sig.truncated"},
		{name: "CutInTheMiddle", in: bodyHex(body, text[:41]), cause: "sig.truncated"},
		{name: "CutBase64", in: base(base64Of(raw)[:26]), cause: "sig.truncated"},
		{name: "CutTo15Bytes", in: bodyHex(body, text[:30])},
		{name: "CutTo31Digits", in: bodyHex(body, text[:31])},
		{name: "Nothing", in: bodyHex(body, "")},
	})
	url := base64.URLEncoding.EncodeToString(raw)
	if url != base64Of(raw) {
		check(t, []want{{name: "URLAlphabet", in: base(url), cause: "sig.base64url"}})
	}
}

// TestShortDigits needs tags with small bytes, so it looks for such bodies.
func TestShortDigits(t *testing.T) {
	find := func(good func(raw []byte) bool) (string, []byte) {
		for i := range 5000 {
			body := fmt.Sprintf(`{"n":%d}`, i)
			if raw := mac256(testSecret, body); good(raw) {
				return body, raw
			}
		}
		t.Fatal("no such tag")
		return "", nil
	}
	body, raw := find(func(raw []byte) bool { return raw[0] < 16 && raw[0] > 0 })
	check(t, []want{{name: "LeadingZero", in: bodyHex(body, strings.TrimLeft(hex.EncodeToString(raw), "0")), cause: "sig.mangled", says: "leading zeros"}})
	body, raw = find(func(raw []byte) bool { return raw[3] < 16 && raw[0] > 16 })
	var short strings.Builder
	for _, b := range raw {
		fmt.Fprintf(&short, "%x", b)
	}
	check(t, []want{{name: "OneDigit", in: bodyHex(body, short.String()), cause: "sig.mangled", says: "one hex digit"}})
	body, raw = find(func(raw []byte) bool { return raw[0] == ' ' })
	in := input("shopify", testSecret, "POST", "https://in.acme.test/", body, "X-Shopify-Hmac-Sha256", base64Of([]byte(strings.TrimSpace(string(raw)))))
	check(t, []want{{name: "TrimmedBytes", in: in, cause: "sig.mangled", says: "trimmed"}})
}

func TestLists(t *testing.T) {
	const body = "{}"
	tag := hex.EncodeToString(mac256(testSecret, testTime+"."+body))
	stripe := func(value string) doctor.Input {
		return input("stripe", testSecret, "POST", "https://in.acme.test/", body, "Stripe-Signature", value)
	}
	check(t, []want{
		{name: "NoLabel", in: stripe("t=" + testTime + "," + tag), cause: "sig.prefix"},
		{name: "OtherLabel", in: stripe("t=" + testTime + ",v0=" + tag), cause: "sig.prefix"},
		{name: "UpperLabel", in: stripe("T=" + testTime + ",V1=" + tag), cause: "sig.prefix"},
		{name: "Colons", in: stripe("t:" + testTime + ",v1:" + tag), cause: "sig.prefix"},
		{name: "Semicolon", in: stripe("t=" + testTime + ";v1=" + tag), cause: "sig.mangled"},
		{name: "Blank", in: stripe("t=" + testTime + ", v1=" + tag), cause: "sig.mangled"},
		{name: "Garbage", in: stripe(";;;,,,===")},
	})
}

func hyphens(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		fmt.Fprintf(&out, "%02x-", c)
	}
	return out.String()
}

func signedHex(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		fmt.Fprintf(&out, "%02x", uint32(int8(c))&map[bool]uint32{true: 0xff, false: 0xffffffff}[c < 0x80])
	}
	return out.String()
}

func latin1(b []byte) string {
	var out []rune
	for _, c := range b {
		out = append(out, rune(c))
	}
	return string(out)
}
