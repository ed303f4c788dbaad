package jws_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/scheme/jws"
	"github.com/sealwright/sealwright/secret"
)

const key = "a secret of the tests, long enough"

var (
	now  = time.Unix(1767225600, 0)
	ring = keyring.Must(keyring.Key{ID: "k1", Version: 1, Secret: secret.FromString(key)})
)

func build(t testing.TB, options string, p scheme.Params) sealwright.Scheme {
	t.Helper()
	s, err := jws.New(&scheme.Definition{ID: "test", Options: json.RawMessage(options)}, p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const bearer = `{"header":"Authorization","prefix":"Bearer "}`

// token makes a token without the code under test.
func token(head, payload string) string {
	b := base64.RawURLEncoding
	input := b.EncodeToString([]byte(head)) + "." + b.EncodeToString([]byte(payload))
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(input))
	return input + "." + b.EncodeToString(h.Sum(nil))
}

func verify(t testing.TB, s sealwright.Scheme, text string, at time.Time) (sealwright.Verdict, error) {
	t.Helper()
	v := sealwright.Verifier{Scheme: s, Ring: ring}
	return v.Verify(sealwright.Message{Method: "GET", Header: map[string][]string{"Authorization": {text}}}, at)
}

func TestVerify(t *testing.T) {
	const head = `{"alg":"HS256"}`
	good := token(head, `{"exp":1767225700,"iat":1767225500}`)
	tests := []struct {
		name, text string
		want       error
	}{
		{"Valid", "Bearer " + good, nil},
		{"CaseOfBearer", "bearer " + good, nil},
		{"NoClaims", "Bearer " + token(head, `{}`), nil},
		{"KeyID", "Bearer " + token(`{"alg":"HS256","kid":"k1"}`, `{}`), nil},
		{"A25_KeyID", "Bearer " + token(`{"alg":"HS256","kid":"k2"}`, `{}`), sealwright.ErrUnknownKey},
		{"A02_Empty", "Bearer ", sealwright.ErrMalformed},
		{"A02_NoTag", "Bearer " + good[:strings.LastIndexByte(good, '.')+1], sealwright.ErrMalformed},
		{"A02_OtherScheme", "Basic " + good, sealwright.ErrMissing},
		{"A03_Short", "Bearer " + good[:len(good)-4], sealwright.ErrMalformed},
		{"A06_None", "Bearer " + token(`{"alg":"none"}`, `{}`), sealwright.ErrPolicy},
		{"A06_Case", "Bearer " + token(`{"alg":"hs256"}`, `{}`), sealwright.ErrPolicy},
		{"A06_OtherHash", "Bearer " + token(`{"alg":"HS512"}`, `{}`), sealwright.ErrPolicy},
		{"A06_Asymmetric", "Bearer " + token(`{"alg":"RS256"}`, `{}`), sealwright.ErrPolicy},
		{"A06_Absent", "Bearer " + token(`{}`, `{}`), sealwright.ErrPolicy},
		{"A06_Twice", "Bearer " + token(`{"alg":"HS256","alg":"none"}`, `{}`), sealwright.ErrMalformed},
		{"Critical", "Bearer " + token(`{"alg":"HS256","crit":["exp"]}`, `{}`), sealwright.ErrPolicy},
		{"KeyInHeader", "Bearer " + token(`{"alg":"HS256","jwk":{}}`, `{}`), sealwright.ErrPolicy},
		{"A14_Expired", "Bearer " + token(head, `{"exp":1767225599}`), sealwright.ErrStale},
		{"A14_LastInstant", "Bearer " + token(head, `{"exp":1767225600}`), nil},
		{"A14_NotYet", "Bearer " + token(head, `{"nbf":1767225901}`), sealwright.ErrFuture},
		{"A14_IssuedAhead", "Bearer " + token(head, `{"iat":1767225901,"exp":1767229999}`), sealwright.ErrFuture},
		{"A14_OldWithoutExpiry", "Bearer " + token(head, `{"iat":1767225299}`), sealwright.ErrStale},
		{"A14_Text", "Bearer " + token(head, `{"exp":"1767225700"}`), sealwright.ErrMalformed},
		{"A14_Negative", "Bearer " + token(head, `{"exp":-1}`), sealwright.ErrMalformed},
		{"A14_Exponent", "Bearer " + token(head, `{"exp":1e12}`), sealwright.ErrMalformed},
		{"A30_Padding", "Bearer " + good + "=", sealwright.ErrMalformed},
		{"FourParts", "Bearer " + good + ".x", sealwright.ErrMalformed},
		{"NotJSON", "Bearer " + token(head, `x`), sealwright.ErrMalformed},
		{"NotAnObject", "Bearer " + token(head, `[]`), sealwright.ErrMalformed},
		{"Huge", "Bearer " + strings.Repeat("a", 1<<20), sealwright.ErrMalformed},
	}
	s := build(t, bearer, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := verify(t, s, tt.text, now)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
		})
	}
}

func TestBodyClaim(t *testing.T) {
	s := build(t, `{"header":"X-Sig","issuer":"me","body":"sha256"}`, nil)
	signer := sealwright.Signer{Scheme: s, Ring: ring}
	m, err := signer.Sign(sealwright.Message{Method: "POST", Body: []byte("body")}, now)
	if err != nil {
		t.Fatal(err)
	}
	v := sealwright.Verifier{Scheme: s, Ring: ring}
	verdict, err := v.Verify(m, now)
	if err != nil || !verdict.Covers.Body || !verdict.Covers.Time || !verdict.Covers.KeyID || verdict.Covers.Path {
		t.Fatalf("verdict is %+v, %v", verdict, err)
	}
	m.Body = []byte("Body")
	if _, err := v.Verify(m, now); !errors.Is(err, sealwright.ErrDigest) {
		t.Errorf("changed body: %v, want %v", err, sealwright.ErrDigest)
	}
	m.Header["X-Sig"] = []string{token(`{"alg":"HS256"}`, `{"iss":"you"}`)}
	if _, err := v.Verify(m, now); !errors.Is(err, sealwright.ErrPolicy) {
		t.Errorf("another issuer: %v, want %v", err, sealwright.ErrPolicy)
	}
}

func TestSignAgain(t *testing.T) {
	s := build(t, bearer, nil)
	signer := sealwright.Signer{Scheme: s, Ring: ring}
	own := "Bearer " + token(`{"alg":"HS256"}`, `{"sub":"me","exp":1767225700}`)
	m := sealwright.Message{Method: "GET", Header: map[string][]string{"Authorization": {own}}}
	again, err := signer.Sign(m, now)
	if err != nil || again.Header["Authorization"][0] != own {
		t.Errorf("a fresh token is not kept: %v, %v", again.Header, err)
	}
	again, err = signer.Sign(m, now.Add(time.Hour))
	if err != nil || again.Header["Authorization"][0] == own {
		t.Errorf("an expired token is kept: %v, %v", again.Header, err)
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		options string
		params  scheme.Params
	}{
		{`{"heder":"A"}`, nil}, {bearer, scheme.Params{"algorithm": {"none"}}}, {bearer, scheme.Params{"key_encoding": {"hex"}}}, {`{"header":"A","past":"x"}`, nil},
	} {
		if _, err := jws.New(&scheme.Definition{Options: json.RawMessage(tt.options)}, tt.params); err == nil {
			t.Errorf("%s %v is accepted", tt.options, tt.params)
		}
	}
	s := build(t, bearer, scheme.Params{"key_encoding": {"base64url"}})
	if _, err := verify(t, s, "Bearer "+token(`{"alg":"HS256"}`, `{}`), now); !errors.Is(err, sealwright.ErrConfig) {
		t.Errorf("A29: a secret that is not base64url: %v, want %v", err, sealwright.ErrConfig)
	}
}

func FuzzVerify(f *testing.F) {
	good := token(`{"alg":"HS256"}`, `{"exp":1767225700}`)
	f.Add("Bearer "+good, 5)
	f.Add("Bearer a.b.c", 0)
	s := build(f, bearer, nil)
	f.Fuzz(func(t *testing.T, text string, at int) {
		if _, err := verify(t, s, text, now); err == nil && !strings.EqualFold(text[:7], "Bearer ") {
			t.Fatal("verifies without the scheme of Authorization")
		}
		if at < 0 || at >= len(good) {
			return
		}
		b := []byte(good)
		b[at] ^= 1
		if _, err := verify(t, s, "Bearer "+string(b), now); err == nil {
			t.Errorf("byte %d changed verifies", at)
		}
	})
}
