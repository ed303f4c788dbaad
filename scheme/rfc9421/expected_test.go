package rfc9421_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/scheme/rfc9421"
)

const someDigest = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"

// FuzzExpected holds the short way to read a message against the parser of
// structured fields: both say the same of whatever stands in the fields.
func FuzzExpected(f *testing.F) {
	const list = `("@method" "@target-uri" "content-digest")`
	for _, input := range []string{
		`sig1=` + list + `;created=1767225600;nonce="n";keyid="k1"`,
		`sig1=` + list + `;created=1767225600;keyid="k1";keyid="k2"`,
		`sig1=` + list + `;created=01767225600`, `sig1=` + list + `;created=-0`, `sig1=` + list + `; created=1`,
		`sig1=` + list + `;created=1;keyid="a\\"b"`, `sig1=` + list + `;created=1;keyid="a`, `sig1=` + list + `;created=1;keyid=""`,
		`sig1=` + list + `;created=1;x=1.0`, `sig1=` + list + `;created=1;x`, `sig1=` + list + `;created=1;X="x"`, `sig1=` + list + `;created=0`,
		`sig1=` + list + `;created=1, sig2=()`, `sig1=` + list + `;alg="rsa";created=1`, `sig1=` + list + ` ;created=1`, `Sig=` + list + `;created=1`,
		`sig1=` + list + `;created=1234567890123456`, `sig1=` + list + `;created=999999999999999`, `sig1=` + list + `;created=1;`, `sig1=` + list,
		`sig1=("@method" "content-digest" "@target-uri");created=1`, `sig1=("@method"  "@target-uri" "content-digest");created=1`,
	} {
		f.Add(input, "sig1="+anyTag, someDigest)
	}
	f.Add(`sig1=`+list+`;created=1`, "sig1=:AAAA", someDigest)
	f.Add(`sig1=`+list+`;created=1`, "sig1=:AAB=:", someDigest)
	f.Add(`sig1=`+list+`;created=1`, "sig1=:AAAA:, sig2=:AAAA:", someDigest)
	f.Add(`sig1=`+list+`;created=1`, "sig1=::", " a\tb\n c ")
	schemes := []sealwright.Scheme{with(f), with(f, "label", "sig1", "require_keyid", "true", "tag", "t")}
	f.Fuzz(func(t *testing.T, input, signature, digest string) {
		m := request(8)
		m.Header = map[string][]string{"Signature-Input": {input}, "Signature": {signature}, "Content-Digest": {digest}}
		for _, s := range schemes {
			var short, long sealwright.Claim
			err, want := s.Parse(&m, &short), rfc9421.ParseAny(s, &m, &long)
			if (err == nil) != (want == nil) || sealwright.ReasonOf(err) != sealwright.ReasonOf(want) {
				t.Errorf("got %v, want %v", err, want)
			}
			if err != nil {
				continue
			}
			if !bytes.Equal(short.Scratch, long.Scratch) {
				t.Errorf("signature base is\n%s\nwant\n%s", short.Scratch, long.Scratch)
			}
			if !bytes.Equal(short.Tag(0), long.Tag(0)) || short.Tags() != 1 {
				t.Errorf("tag is %x, want %x", short.Tag(0), long.Tag(0))
			}
			short.Scratch, long.Scratch = nil, nil
			if got, want := exported(short), exported(long); !reflect.DeepEqual(got, want) {
				t.Errorf("claim is %+v, want %+v", got, want)
			}
		}
	})
}

// exported returns what a claim says, without its tags.
func exported(c sealwright.Claim) []any {
	return []any{c.KeyID, c.At, c.Past, c.Future, c.Expires, c.Ahead, c.Nonce, c.Covers, c.Values, c.Private}
}

// TestExpected holds that what we sign goes the short way, which [FuzzExpected]
// would not notice.
func TestExpected(t *testing.T) {
	for _, s := range []sealwright.SigningScheme{
		with(t), with(t, strict...), with(t, "required", "date", "required", "@authority", "required", "host", "tag", "t"),
	} {
		m := request(64)
		m.Header["Date"] = []string{"Tue, 20 Apr 2021 02:07:55 GMT"}
		m = sign(t, s, m)
		if !rfc9421.Expected(s, &m) {
			t.Errorf("%s is not expected", m.Header["Signature-Input"])
		}
		if _, err := verify(s, m, now); err != nil {
			t.Error(err)
		}
		m.Header["Content-Digest"] = []string{someDigest}
		if _, err := verify(with(t), m, now); err == nil || errors.Is(err, sealwright.ErrConfig) {
			t.Errorf("digest of another body: got %v", err)
		}
	}
}
