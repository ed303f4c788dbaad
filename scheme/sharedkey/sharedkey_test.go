package sharedkey_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/scheme/sharedkey"
	"github.com/sealwright/sealwright/secret"
)

const (
	bucketOptions  = `{"label":"AWS","algorithm":"hmac-sha1","prefix":"x-amz-","date":"x-amz-date","lines":["content-md5","content-type","date"],"resource":"bucket","parameters":["acl","versionId"]}`
	accountOptions = `{"label":"SharedKey","algorithm":"hmac-sha256","key":"base64","prefix":"x-ms-","date":"x-ms-date","lines":["content-length","content-md5","date"],"resource":"account"}`
)

var (
	now  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ring = keyring.Must(keyring.Key{ID: "id", Version: 1, Secret: secret.FromString("c2VjcmV0IG9mIHRoZSB0ZXN0cyE=")})
)

func build(t testing.TB, options string, p scheme.Params) sealwright.Scheme {
	t.Helper()
	s, err := sharedkey.New(&scheme.Definition{ID: "test", Options: json.RawMessage(options)}, p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func signed(t testing.TB, s sealwright.Scheme) sealwright.Message {
	t.Helper()
	signer := sealwright.Signer{Scheme: s, Ring: ring}
	m, err := signer.Sign(sealwright.Message{Method: "PUT", Host: "h", Target: "/b/k%20x?acl&versionId=3&other=1",
		Header: map[string][]string{"X-Amz-Meta-B": {"2", "3"}, "X-Amz-Meta-A": {" a  b "}, "X-Ms-Version": {"1"}}, Body: []byte("body")}, now)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func verify(s sealwright.Scheme, m sealwright.Message, at time.Time) (sealwright.Verdict, error) {
	v := sealwright.Verifier{Scheme: s, Ring: ring}
	return v.Verify(m, at)
}

func TestSignedBytes(t *testing.T) {
	for _, tt := range []struct {
		options, want string
		params        scheme.Params
	}{
		{bucketOptions, "PUT\nhBotaJrYa9FhFEdFPCLG/A==\n\nThu, 01 Jan 2026 00:00:00 GMT\nx-amz-meta-a:a b\nx-amz-meta-b:2,3\n/v/b/k%20x?acl&versionId=3", scheme.Params{"bucket": {"v"}}},
		{accountOptions, "PUT\n4\nhBotaJrYa9FhFEdFPCLG/A==\n\nx-ms-date:Thu, 01 Jan 2026 00:00:00 GMT\nx-ms-version:1\n/id/b/k%20x\nacl:\nother:1\nversionid:3", nil},
	} {
		s := build(t, tt.options, tt.params)
		got, _, err := sealwright.SignedBytes(s, &ring.Keys()[0], signed(t, s))
		if err != nil {
			t.Fatal(err)
		}
		if string(got[0]) != tt.want {
			t.Errorf("covered bytes are\n%q, want\n%q", got[0], tt.want)
		}
	}
}

func TestChanges(t *testing.T) {
	for _, options := range []string{bucketOptions, accountOptions} {
		s := build(t, options, nil)
		if verdict, err := verify(s, signed(t, s), now); err != nil || !verdict.Covers.Body || !verdict.Covers.Method {
			t.Fatalf("%+v, %v", verdict, err)
		}
		for name, tt := range map[string]struct {
			change func(*sealwright.Message)
			want   error
		}{
			"A15_Body":           {func(m *sealwright.Message) { m.Body = []byte("Body") }, sealwright.ErrDigest},
			"A16_Path":           {func(m *sealwright.Message) { m.Target = strings.Replace(m.Target, "/b/", "/c/", 1) }, sealwright.ErrMismatch},
			"A16_SubResource":    {func(m *sealwright.Message) { m.Target = strings.Replace(m.Target, "Id=3", "Id=4", 1) }, sealwright.ErrMismatch},
			"A02_NoHeader":       {func(m *sealwright.Message) { delete(m.Header, "Authorization") }, sealwright.ErrMissing},
			"A19_TwoCredentials": {func(m *sealwright.Message) { m.Header["Authorization"] = append(m.Header["Authorization"], "x") }, sealwright.ErrMalformed},
			"A06_OtherLabel":     {func(m *sealwright.Message) { m.Header["Authorization"] = []string{"AWS4-HMAC-SHA256 x:y"} }, sealwright.ErrMissing},
			"A25_OtherID": {func(m *sealwright.Message) {
				m.Header["Authorization"][0] = strings.Replace(m.Header["Authorization"][0], " id:", " other:", 1)
			}, sealwright.ErrUnknownKey},
			"A24_ManyParameters": {func(m *sealwright.Message) { m.Target += strings.Repeat("&a=b", 5000) }, sealwright.ErrMalformed},
		} {
			m := signed(t, s)
			tt.change(&m)
			if _, err := verify(s, m, now); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", name, err, tt.want)
			}
		}
		if _, err := verify(s, signed(t, s), now.Add(901*time.Second)); !errors.Is(err, sealwright.ErrStale) {
			t.Errorf("901 s later: %v, want %v", err, sealwright.ErrStale)
		}
		if _, err := verify(s, signed(t, s), now.Add(900*time.Second)); err != nil {
			t.Errorf("900 s later: %v", err)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, options := range []string{`{}`, `{"label":"A","algorithm":"hmac-sha1","resource":"none"}`, `{"labels":1}`} {
		if _, err := sharedkey.New(&scheme.Definition{Options: json.RawMessage(options)}, nil); err == nil {
			t.Errorf("%s is accepted", options)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("AWS id:AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "/?acl&acl", "Thu, 01 Jan 2026 00:00:00 GMT")
	f.Fuzz(func(t *testing.T, auth, target, date string) {
		for _, options := range []string{bucketOptions, accountOptions} {
			s := build(t, options, nil)
			m := sealwright.Message{Method: "GET", Target: target, Header: map[string][]string{"Authorization": {auth}, "Date": {date}, "X-Ms-Date": {date}}}
			if _, err := verify(s, m, now); err == nil {
				t.Fatal("verifies")
			}
		}
	})
}
