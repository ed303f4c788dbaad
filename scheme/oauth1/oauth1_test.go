package oauth1_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/scheme/oauth1"
	"github.com/sealwright/sealwright/secret"
)

var ring = keyring.Must(keyring.Key{ID: "9djdj82h48djs9d2", Version: 1, Secret: secret.FromString("j49sk3j29djd")})

func newScheme(t testing.TB) sealwright.Scheme {
	t.Helper()
	s, err := oauth1.New(&scheme.Definition{ID: "oauth1"}, scheme.Params{"token_secret": {"dh893hdasih9"}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rfcRequest is the request of RFC 5849 section 3.4.1.1, with another tag.
func rfcRequest() sealwright.Message {
	return sealwright.Message{
		Method: "POST", Scheme: "http", Host: "EXAMPLE.COM:80", Target: "/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b",
		Header: map[string][]string{
			"Content-Type": {"application/x-www-form-urlencoded"},
			"Authorization": {`OAuth realm="Example", oauth_consumer_key="9djdj82h48djs9d2", oauth_token="kkk9d7dh3k39sjv7", ` +
				`oauth_signature_method="HMAC-SHA1", oauth_timestamp="137131201", oauth_nonce="7d8f3e4a", oauth_signature="AAAAAAAAAAAAAAAAAAAAAAAAAAA%3D"`},
		},
		Body: []byte("c2&a3=2+q"),
	}
}

// TestBaseString holds the signature base string of RFC 5849 section 3.4.1.1.
func TestBaseString(t *testing.T) {
	const want = "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26" +
		"oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
	got, claim, err := sealwright.SignedBytes(newScheme(t), &ring.Keys()[0], rfcRequest())
	if err != nil {
		t.Fatal(err)
	}
	if string(got[0]) != want {
		t.Errorf("base string is\n%s, want\n%s", got[0], want)
	}
	if claim.KeyID != "9djdj82h48djs9d2" || claim.Nonce != "7d8f3e4a" || !claim.Covers.Body {
		t.Errorf("claim is %+v", claim)
	}
}

var now = time.Unix(137131205, 0)

func signed(t testing.TB) sealwright.Message {
	t.Helper()
	s := sealwright.Signer{Scheme: newScheme(t), Ring: ring}
	m, err := s.Sign(rfcRequest(), now)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func verify(t testing.TB, m sealwright.Message, at time.Time) error {
	t.Helper()
	v := sealwright.Verifier{Scheme: newScheme(t), Ring: ring}
	_, err := v.Verify(m, at)
	return err
}

func TestSignAndVerify(t *testing.T) {
	m := signed(t)
	if err := verify(t, m, now); err != nil {
		t.Fatal(err)
	}
	plain := rfcRequest()
	delete(plain.Header, "Authorization")
	plain.Header["Content-Type"] = []string{"application/json"}
	plain.Body = []byte(`{"a":1}`)
	s := sealwright.Signer{Scheme: newScheme(t), Ring: ring}
	m, err := s.Sign(plain, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(t, m, now); err != nil {
		t.Fatal(err)
	}
	m.Body = []byte(`{"a":2}`)
	if err := verify(t, m, now); !errors.Is(err, sealwright.ErrDigest) {
		t.Errorf("changed body: %v, want %v", err, sealwright.ErrDigest)
	}
}

func TestRefusals(t *testing.T) {
	auth := signed(t).Header["Authorization"][0]
	with := func(old, new string) string { return strings.Replace(auth, old, new, 1) }
	for _, tt := range []struct {
		name, auth string
		at         time.Time
		want       error
	}{
		{"A02_NoHeader", "", now, sealwright.ErrMissing},
		{"A02_OtherScheme", "Basic x", now, sealwright.ErrMissing},
		{"A02_NoSignature", auth[:strings.Index(auth, ", oauth_signature=")], now, sealwright.ErrMissing},
		{"A06_Method", with("HMAC-SHA1", "PLAINTEXT"), now, sealwright.ErrPolicy},
		{"A06_OtherMAC", with("HMAC-SHA1", "HMAC-SHA256"), now, sealwright.ErrPolicy},
		{"A14_Stale", auth, now.Add(301 * time.Second), sealwright.ErrStale},
		{"A14_Sign", with(`timestamp="1`, `timestamp="+1`), now, sealwright.ErrMalformed},
		{"A19_Duplicate", auth + `, oauth_nonce="x"`, now, sealwright.ErrMalformed},
		{"A30_Padding", with("%3D\"", "\""), now, sealwright.ErrMalformed},
		{"NoNonce", with(`oauth_nonce="7d8f3e4a", `, ""), now, sealwright.ErrMalformed},
		{"Unquoted", with(`realm="Example"`, `realm=Example`), now, sealwright.ErrMalformed},
		{"BadEscape", with("7d8f3e4a", "%zz"), now, sealwright.ErrMalformed},
		{"Version", auth + `, oauth_version="2.0"`, now, sealwright.ErrPolicy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := signed(t)
			m.Header["Authorization"] = []string{tt.auth}
			if tt.auth == "" {
				delete(m.Header, "Authorization")
			}
			if err := verify(t, m, tt.at); !errors.Is(err, tt.want) {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
		})
	}
}

// TestA22_MixedChannels: the signature in one place, other protocol parameters in
// another.
func TestA22_MixedChannels(t *testing.T) {
	m := signed(t)
	m.Target += "&oauth_callback=x"
	if err := verify(t, m, now); !errors.Is(err, sealwright.ErrMalformed) {
		t.Errorf("error is %v, want %v", err, sealwright.ErrMalformed)
	}
}

func TestA24_ManyParameters(t *testing.T) {
	m := signed(t)
	m.Body = []byte(strings.Repeat("a=b&", 100000))
	if err := verify(t, m, now); !errors.Is(err, sealwright.ErrMalformed) {
		t.Errorf("error is %v, want %v", err, sealwright.ErrMalformed)
	}
}

func TestA15_A16_Changed(t *testing.T) {
	for i, change := range []func(*sealwright.Message){
		func(m *sealwright.Message) { m.Method = "PUT" },
		func(m *sealwright.Message) { m.Host = "example.org" },
		func(m *sealwright.Message) { m.Scheme = "https" },
		func(m *sealwright.Message) { m.Target = strings.Replace(m.Target, "/request", "/Request", 1) },
		func(m *sealwright.Message) { m.Target += "&x=1" },
		func(m *sealwright.Message) { m.Body = append([]byte("x=1&"), m.Body...) },
		func(m *sealwright.Message) { m.Header["Content-Type"] = []string{"text/plain"} },
	} {
		m := signed(t)
		change(&m)
		if err := verify(t, m, now); !errors.Is(err, sealwright.ErrMismatch) {
			t.Errorf("change %d: %v, want %v", i, err, sealwright.ErrMismatch)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`OAuth realm="a", oauth_consumer_key="b"`, "/?a=b", []byte("c=d"))
	f.Fuzz(func(t *testing.T, auth, target string, body []byte) {
		m := sealwright.Message{Method: "POST", Host: "h", Target: target, Body: body,
			Header: map[string][]string{"Authorization": {auth}, "Content-Type": {"application/x-www-form-urlencoded"}}}
		if err := verify(t, m, now); err == nil {
			t.Fatal("verifies")
		}
		s := sealwright.Signer{Scheme: newScheme(t), Ring: ring}
		if again, err := s.Sign(m, now); err == nil {
			if err := verify(t, again, now); err != nil {
				t.Error(fmt.Errorf("signed, but: %w", err))
			}
		}
	})
}
