package doctor_test

import (
	"encoding/hex"
	"testing"

	"github.com/sealwright/sealwright/doctor"
	"github.com/sealwright/sealwright/secret"
)

// signedWith is a request of body-hex with a configured secret and the key that
// signed.
func signedWith(configured, key string) doctor.Input {
	in := bodyHex(`{"a":1}`, hex.EncodeToString(mac256(key, `{"a":1}`)))
	in.Secrets[0].Bytes = secret.FromString(configured)
	return in
}

func TestSecretForms(t *testing.T) {
	const s = `Ab9$cd#ef&gh+12'xx`
	const hexSecret = "00112233445566778899aabbccddeeff"
	check(t, []want{
		{name: "LineFeedConfigured", in: signedWith(s+"\n", s), cause: "secret.whitespace"},
		{name: "LineFeedOfSender", in: signedWith(s, s+"\n"), cause: "secret.whitespace"},
		{name: "BlanksOfSenderAtBothEnds", in: signedWith(s, " "+s+" "), cause: "secret.whitespace"},
		{name: "NonBreakingSpace", in: signedWith("\u00a0"+s, s), cause: "secret.whitespace"},
		{name: "Wrapped", in: signedWith("abcdef\nghijkl", "abcdefghijkl"), cause: "secret.whitespace"},
		{name: "Quoted", in: signedWith(`"`+s+`"`, s), cause: "secret.mangled"},
		{name: "TypographicQuotes", in: signedWith("\u201c"+s+"\u201d", s), cause: "secret.mangled"},
		{name: "QuotedBySender", in: signedWith(s, `'`+s+`'`), cause: "secret.mangled"},
		{name: "Assignment", in: signedWith("export HOOK_SECRET="+s, s), cause: "secret.mangled"},
		{name: "YAML", in: signedWith("HOOK_SECRET: "+s, s), cause: "secret.mangled"},
		{name: "HTML", in: signedWith("a&amp;bcdefg", "a&bcdefg"), cause: "secret.mangled"},
		{name: "HTMLOfSender", in: signedWith("a'bcdefg", "a&#x27;bcdefg"), cause: "secret.mangled"},
		{name: "PercentEncoded", in: signedWith("a%26bcdefg", "a&bcdefg"), cause: "secret.mangled"},
		{name: "ComposeDollars", in: signedWith("a$$bcdefg", "a$bcdefg"), cause: "secret.mangled"},
		{name: "Backslashes", in: signedWith(`a\$bcdefg`, "a$bcdefg"), cause: "secret.mangled"},
		{name: "CutAtHash", in: signedWith(s, "Ab9$cd"), cause: "secret.mangled", says: "cut at #"},
		{name: "ShellExpansion", in: signedWith(s, "Ab9#ef&gh+12'xx"), cause: "secret.mangled", says: "$variable"},
		{name: "CutTo32", in: signedWith(repeat("abcdefgh", 8), repeat("abcdefgh", 4)), cause: "secret.mangled", says: "32 bytes"},
		{name: "PaddingLost", in: signedWith("c2VjcmV0LXNlY3JldA", "c2VjcmV0LXNlY3JldA=="), cause: "secret.mangled"},
		{name: "NumberAsFloat", in: signedWith("123456789012", "123456789012.0"), cause: "secret.mangled"},
		{name: "LeadingZeros", in: signedWith("00123456789012", "123456789012"), cause: "secret.mangled"},
		{name: "HexDecoded", in: signedWith(hexSecret, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"), cause: "secret.encoding"},
		{name: "Base64Decoded", in: signedWith("cGxhaW4ta2V5LTAx", "plain-key-01"), cause: "secret.encoding"},
		{name: "Base64WithLineFeedInside", in: signedWith("cGxhaW4ta2V5LTAxCg==", "plain-key-01"), cause: "secret.encoding", says: "trimmed"},
		{name: "Base64Twice", in: signedWith("Y0d4aGFXNHRhMlY1TFRBeA==", "plain-key-01"), cause: "secret.encoding", says: "twice"},
		{name: "Base32", in: signedWith("GAYTEMZUGU3DOOBZ", "0123456789"), cause: "secret.encoding"},
		{name: "UTF16", in: signedWith("abcd", "a\x00b\x00c\x00d\x00"), cause: "secret.encoding"},
		{name: "Latin1", in: signedWith("schlüssel", "schl\xfcssel"), cause: "secret.encoding"},
		{name: "PrefixRemoved", in: signedWith("whsec_abcdef123", "abcdef123"), cause: "secret.prefix"},
		{name: "PrefixKept", in: signedWith("abcdef123", "whsec_abcdef123"), cause: "secret.prefix"},
		{name: "Undefined", in: signedWith(s, "undefined"), cause: "secret.missing", danger: true},
		{name: "Placeholder", in: signedWith(s, "your_webhook_secret"), cause: "secret.missing", danger: true},
		{name: "EmptyKey", in: signedWith(s, ""), cause: "secret.missing", danger: true},
		{name: "EmptyKeyAndEmptySecret", in: signedWith("", ""), cause: "secret.missing", danger: true},
		{name: "Other", in: signedWith(s, "a wholly different secret")},
	})
}

// TestDecodedSecrets tests a scheme whose secrets are base64.
func TestDecodedSecrets(t *testing.T) {
	const raw, text = "sw-key-lattice-0042-9f", "c3cta2V5LWxhdHRpY2UtMDA0Mi05Zg=="
	in := func(configured, key string) doctor.Input {
		tag := base64Of(mac256(key, "msg_1."+testTime+".{}"))
		return input("standard-webhooks", configured, "POST", "https://in.acme.test/", "{}", "Webhook-Id", "msg_1", "Webhook-Timestamp", testTime, "Webhook-Signature", "v1,"+tag)
	}
	check(t, []want{
		{name: "TextWithPrefix", in: in("whsec_"+text, "whsec_"+text), cause: "secret.encoding"},
		{name: "TextWithoutPrefix", in: in("whsec_"+text, text), cause: "secret.encoding"},
		{name: "SecondPrefix", in: in("v1,whsec_"+text, raw), cause: "secret.prefix"},
		{name: "NotBase64", in: in("not base64!", "not base64!"), cause: "secret.encoding"},
		{name: "PaddingLost", in: in("whsec_"+text[:len(text)-2], raw), cause: "secret.encoding"},
	})
}

func TestOtherSecrets(t *testing.T) {
	stored := func(configured, other doctor.Secret) doctor.Input {
		in := signedWith("the-configured-one", "the-other-one")
		configured.Bytes, other.Bytes = secret.FromString("the-configured-one"), secret.FromString("the-other-one")
		in.Secrets = []doctor.Secret{configured, other}
		return in
	}
	a := doctor.Secret{Name: "a", Env: "live", Kind: "webhook", Version: 2}
	check(t, []want{
		{name: "Endpoint", in: stored(a, doctor.Secret{Name: "b", Env: "live", Kind: "webhook", Version: 2}), cause: "secret.wrong_endpoint", says: `"b"`},
		{name: "Env", in: stored(a, doctor.Secret{Name: "a", Env: "test", Kind: "webhook", Version: 2}), cause: "secret.wrong_env"},
		{name: "Kind", in: stored(a, doctor.Secret{Name: "a", Env: "test", Kind: "api-key", Version: 2}), cause: "secret.wrong_kind"},
		{name: "Version", in: stored(a, doctor.Secret{Name: "a", Env: "live", Kind: "webhook", Version: 1}), cause: "secret.stale_version"},
		{name: "NamesAlone", in: stored(doctor.Secret{Name: "x"}, doctor.Secret{Name: "y"}), cause: "secret.wrong_endpoint"},
	})
	cut := signedWith("whole#secret", "whole#secret")
	cut.Secrets = []doctor.Secret{{Name: "a", Bytes: secret.FromString("whole")}, {Name: "b", Bytes: secret.FromString("whole#secret")}}
	check(t, []want{{name: "CutOfAnother", in: cut, cause: "secret.mangled"}})
}
