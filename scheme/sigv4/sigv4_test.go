package sigv4_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/scheme/sigv4"
	"github.com/sealwright/sealwright/secret"
)

// canonical returns the canonical request of a signed message.
func canonical(t testing.TB, s sealwright.Scheme, m sealwright.Message) string {
	t.Helper()
	b, err := sigv4.CanonicalRequest(s, m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCanonicalRequest(t *testing.T) {
	s := aws(t, "service")
	m := request()
	delete(m.Header, "X-Amz-Content-Sha256")
	m.Header["X-Amz-Meta-B"] = []string{" 2 ", "3"}
	m.Header["User-Agent"] = []string{"not signed"}
	want := strings.Join([]string{
		"POST", "/v1/orders", "a=1&b=2", "content-type:application/json", "host:example.amazonaws.com", "x-amz-date:20150830T123600Z",
		"x-amz-meta-a:1", "x-amz-meta-b:2,3", "", "content-type;host;x-amz-date;x-amz-meta-a;x-amz-meta-b",
		fmt.Sprintf("%x", sha256.Sum256(m.Body)),
	}, "\n")
	got := canonical(t, s, signed(t, s, m))
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := sigv4.CanonicalRequest(s, m); !errors.Is(err, sealwright.ErrMissing) {
		t.Errorf("unsigned message: got %v, want %v", err, sealwright.ErrMissing)
	}
	if _, err := sigv4.CanonicalRequest(nil, m); !errors.Is(err, sealwright.ErrConfig) {
		t.Errorf("no scheme: got %v, want %v", err, sealwright.ErrConfig)
	}
}

// TestPath holds each way to write the path against examples. The first line
// of each is what the provider's own tests do.
func TestPath(t *testing.T) {
	awsParams := func(service, normalize string) scheme.Params {
		return scheme.Params{"region": {"us-east-1"}, "service": {service}, "normalize_path": {normalize}}
	}
	tests := []struct {
		preset string
		params scheme.Params
		paths  map[string]string // from target to canonical path; empty: refused
	}{
		{"aws-sigv4", awsParams("service", "true"), map[string]string{
			"/": "/", "": "/", "//": "/", "/./": "/", "/..": "/", "/../..": "/", "/a/..": "/", "/a/../": "/", "/a/b/..": "/a", "/a/b/../": "/a/",
			"/a/./b": "/a/b", "//a//b//": "/a/b/", "/a/.": "/a", "/...": "/...", "/.a/..b": "/.a/..b", "/a b": "/a%20b", "/a%20b": "/a%2520b",
			"/a%2Fb": "/a%252Fb", "/%2e%2e/a": "/%252e%252e/a", "/ሴ": "/%E1%88%B4", "/a:b@c": "/a%3Ab%40c", "/~-._": "/~-._", "/%zz": "/%25zz",
		}},
		{"aws-sigv4", awsParams("service", "false"), map[string]string{
			"/": "/", "//": "//", "/./": "/./", "/a/..": "/a/..", "/a%20b": "/a%2520b", "/a b": "/a%20b",
		}},
		{"aws-sigv4", awsParams("s3", "true"), map[string]string{
			"/": "/", "//": "//", "/./a/../b": "/./a/../b", "/a%20b": "/a%20b", "/a b": "/a%20b", "/a%2Fb": "/a%2Fb", "/a%2fb": "/a%2Fb",
			"/%41%7e": "/A~", "/a:b": "/a%3Ab", "/a+b": "/a%2Bb", "/%zz": "", "/a%": "", "/a%2": "",
		}},
		{"huawei-sdk", nil, map[string]string{
			"/": "/", "/a": "/a/", "/a/": "/a/", "/a%20b": "/a%20b/", "//a": "//a/", "/a%2Fb": "/a%2Fb/", "/a%2F": "/a%2F/",
		}},
		{"escher", scheme.Params{"credential_scope": {"eu/x/y"}}, map[string]string{
			"/": "/", "//a//": "/a/", "/a/../b": "/b", "/a%20b": "/a%20b", "/%E1%88%B4": "/%E1%88%B4", "/a\nb": "",
		}},
		{"tencent-tc3", scheme.Params{"service": {"cvm"}}, map[string]string{"/": "/", "//a/../b": "//a/../b", "/a%20b": "/a%20b", "/a\nb": ""}},
		{"alibaba-acs3", nil, map[string]string{"/": "/", "/a%20b/*~": "/a%20b/%2A~"}},
		{"volcengine", scheme.Params{"region": {"cn"}, "service": {"iam"}}, map[string]string{"/": "/", "/a b": "/a%20b"}},
		{"gcs-hmac-v4", scheme.Params{"region": {"auto"}}, map[string]string{"/": "/", "/b/a%20b": "/b/a%20b", "/b//a": "/b//a"}},
	}
	for _, tt := range tests {
		s := newScheme(t, tt.preset, tt.params)
		for path, want := range tt.paths {
			m := request()
			m.Target = path
			delete(m.Header, "X-Amz-Content-Sha256")
			signer := sealwright.Signer{Scheme: s, Ring: ring(keyID)}
			out, err := signer.Sign(m, now)
			if want == "" {
				if !errors.Is(err, sealwright.ErrMalformed) {
					t.Errorf("%s: path %q: got %v, want %v", tt.preset, path, err, sealwright.ErrMalformed)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: path %q: %v", tt.preset, path, err)
				continue
			}
			if got := strings.Split(canonical(t, s, out), "\n")[1]; got != want {
				t.Errorf("%s: path %q: got %q, want %q", tt.preset, path, got, want)
			}
		}
	}
}

func TestHeaderValues(t *testing.T) {
	values := []string{"Abc", " a  b\tc ", `x  "a   b"  y `, "", "\t", "a", "é  è", `"  open  quote`}
	tests := []struct {
		preset string
		params scheme.Params
		want   []string
	}{
		{"aws-sigv4", scheme.Params{"region": {"r"}, "service": {"s"}}, []string{"Abc", "a b c", `x "a b" y`, "", "", "a", "é è", `" open quote`}},
		{"huawei-sdk", nil, []string{"Abc", "a  b\tc", `x  "a   b"  y`, "", "", "a", "é  è", `"  open  quote`}},
		{"tencent-tc3", scheme.Params{"service": {"s"}}, []string{"abc", "a  b\tc", `x  "a   b"  y`, "", "", "a", "é  è", `"  open  quote`}},
		{"escher", scheme.Params{"credential_scope": {"eu"}}, []string{"Abc", "a b c", `x "a   b" y`, "", "", "a", "é è", `"  open  quote`}},
	}
	for _, tt := range tests {
		s := newScheme(t, tt.preset, tt.params)
		for i, v := range values {
			m := sealwright.Message{Method: "GET", Host: "h", Target: "/", Header: map[string][]string{"Content-Type": {v}}}
			got, _, _ := strings.Cut(canonical(t, s, signed(t, s, m)), "\nhost:")
			if want := "GET\n/\n\ncontent-type:" + tt.want[i]; got != want {
				t.Errorf("%s: value %q: got %q, want %q", tt.preset, v, got, want)
			}
		}
	}
}

func TestCoverage(t *testing.T) {
	token := func(m *sealwright.Message) { m.Header["X-Amz-Security-Token"] = []string{"t"} }
	tests := []struct {
		name   string
		scheme sealwright.Scheme
		change func(*sealwright.Message)
		want   sealwright.Coverage
	}{
		{"Header", aws(t, "service"), nil, sealwright.Coverage{
			Method: true, Path: true, Query: true, Host: true, Body: true, Time: true,
			Headers: []string{"Content-Type", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Meta-A", "X-Amz-Meta-B"},
		}},
		{"SessionToken", aws(t, "service"), token, sealwright.Coverage{
			Method: true, Path: true, Query: true, Host: true, Body: true, Time: true,
			Headers: []string{"Content-Type", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Meta-A", "X-Amz-Meta-B", "X-Amz-Security-Token"},
		}},
		{"PathNotNormal", aws(t, "service"), func(m *sealwright.Message) { m.Target = "//a" }, sealwright.Coverage{
			Method: true, Query: true, Host: true, Body: true, Time: true,
			Headers: []string{"Content-Type", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Meta-A", "X-Amz-Meta-B"},
		}},
		{"RepeatedParameter", aws(t, "service"), func(m *sealwright.Message) { m.Target = "/?a=2&b=3&a=1" }, sealwright.Coverage{
			Method: true, Path: true, Host: true, Body: true, Time: true,
			Headers: []string{"Content-Type", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Meta-A", "X-Amz-Meta-B"},
		}},
		{"URL", awsQuery(t, "service"), nil, sealwright.Coverage{
			Method: true, Path: true, Query: true, Host: true, Body: true, Time: true, KeyID: true,
			Headers: []string{"Content-Type", "X-Amz-Content-Sha256", "X-Amz-Meta-A", "X-Amz-Meta-B"},
		}},
		{"URLOfObjectStore", awsQuery(t, "s3"), drop("X-Amz-Content-Sha256"), sealwright.Coverage{
			Method: true, Path: true, Query: true, Host: true, Time: true, KeyID: true,
			Headers: []string{"Content-Type", "X-Amz-Meta-A", "X-Amz-Meta-B"},
		}},
		{"TokenLeftOut", newScheme(t, "aws-sigv4-query", scheme.Params{"region": {"r"}, "service": {"service"}, "omit_session_token": {"true"}}),
			func(m *sealwright.Message) { m.Target = "/?X-Amz-Security-Token=t" }, sealwright.Coverage{
				Method: true, Path: true, Host: true, Body: true, Time: true, KeyID: true,
				Headers: []string{"Content-Type", "X-Amz-Content-Sha256", "X-Amz-Meta-A", "X-Amz-Meta-B"},
			}},
		{"HuaweiWithSlash", newScheme(t, "huawei-sdk", nil), func(m *sealwright.Message) { m.Target = "/a/" }, sealwright.Coverage{
			Method: true, Query: true, Host: true, Body: true, Time: true,
			Headers: []string{"Content-Type", "X-Amz-Content-Sha256", "X-Amz-Meta-A", "X-Amz-Meta-B", "X-Sdk-Date"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := request()
			if tt.change != nil {
				tt.change(&m)
			}
			verdict, err := verify(tt.scheme, signed(t, tt.scheme, m))
			if err != nil {
				t.Fatal(err)
			}
			if missing, extra := verdict.Covers.Missing(tt.want), tt.want.Missing(verdict.Covers); missing != nil || extra != nil {
				t.Errorf("not covered %v, covered without need %v", missing, extra)
			}
		})
	}
}

// TestScope accepts any region and service where none is configured, and warns.
func TestScope(t *testing.T) {
	m := signed(t, aws(t, "service"), request())
	open := newScheme(t, "aws-sigv4", nil)
	verdict, err := verify(open, m)
	if err != nil {
		t.Fatal(err)
	}
	warnings := strings.Join(verdict.Warnings, "\n")
	if !strings.Contains(warnings, "region is not configured") || !strings.Contains(warnings, "service is not configured") {
		t.Errorf("warnings are %q, want region and service named", verdict.Warnings)
	}
	if got, err := verify(aws(t, "service"), m); err != nil || strings.Contains(strings.Join(got.Warnings, ""), "not configured") {
		t.Errorf("configured: warnings %q, error %v", got.Warnings, err)
	}
	signer := sealwright.Signer{Scheme: open, Ring: ring(keyID)}
	if _, err := signer.Sign(request(), now); !errors.Is(err, sealwright.ErrConfig) || !strings.Contains(err.Error(), "region") {
		t.Errorf("sign without region: got %v, want %v naming it", err, sealwright.ErrConfig)
	}
	again, err := signer.Sign(m, now)
	if err != nil || again.Header["Authorization"][0] != m.Header["Authorization"][0] {
		t.Errorf("sign again: got %v, %v", again.Header["Authorization"], err)
	}
}

// TestKeyID holds key IDs with slashes, and keys of the same ID.
func TestKeyID(t *testing.T) {
	s := aws(t, "service")
	for _, id := range []string{"a/b", "20150830/us-east-1/service/aws4_request", "a=b", "ключ", "a b"} {
		r := keyring.Must(keyring.Key{ID: id, Version: 3, Secret: secret.FromString(awsSecret)})
		signer, verifier := sealwright.Signer{Scheme: s, Ring: r}, sealwright.Verifier{Scheme: s, Ring: r}
		m, err := signer.Sign(request(), now)
		if err != nil {
			t.Errorf("key ID %q: %v", id, err)
			continue
		}
		if verdict, err := verifier.Verify(m, now); err != nil || verdict.KeyID != id || verdict.Version != 3 {
			t.Errorf("key ID %q: got %q version %d, %v", id, verdict.KeyID, verdict.Version, err)
		}
	}
	for _, id := range []string{"", " a", "a,b", "a\nb"} {
		signer := sealwright.Signer{Scheme: s, Ring: keyring.Must(keyring.Key{ID: id, Secret: secret.FromString(awsSecret)})}
		if _, err := signer.Sign(request(), now); !errors.Is(err, sealwright.ErrConfig) {
			t.Errorf("key ID %q: got %v, want %v", id, err, sealwright.ErrConfig)
		}
	}
	m := signed(t, s, request())
	two := keyring.Must(
		keyring.Key{ID: keyID, Version: 2, Secret: secret.FromString("another secret of the same ID")},
		keyring.Key{ID: keyID, Version: 1, Secret: secret.FromString(awsSecret)},
	)
	v := sealwright.Verifier{Scheme: s, Ring: two}
	if verdict, err := v.Verify(m, now); err != nil || verdict.Version != 1 {
		t.Errorf("second key of the ID: got version %d, %v", verdict.Version, err)
	}
	if _, err := (&sealwright.Verifier{Scheme: s, Ring: ring("OTHER")}).Verify(m, now); !errors.Is(err, sealwright.ErrUnknownKey) {
		t.Errorf("other key ID: got %v, want %v", err, sealwright.ErrUnknownKey)
	}
}

// TestPreparedKeys uses one key under many days, regions and prefixes: a kept
// key must not serve another scope.
func TestPreparedKeys(t *testing.T) {
	r := ring(keyID)
	for round := range 2 {
		for _, preset := range []string{"aws-sigv4", "volcengine"} {
			for day := range 20 {
				s := newScheme(t, preset, scheme.Params{"region": {"eu"}, "service": {"x"}})
				at := now.AddDate(0, 0, day)
				signer, verifier := sealwright.Signer{Scheme: s, Ring: r}, sealwright.Verifier{Scheme: s, Ring: ring(keyID)}
				m, err := signer.Sign(request(), at)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := verifier.Verify(m, at); err != nil {
					t.Fatalf("round %d, %s, day %d: %v", round, preset, day, err)
				}
			}
		}
	}
}

func TestResponseIsRefused(t *testing.T) {
	s := aws(t, "service")
	m := signed(t, s, request())
	m.Status = 200
	if _, err := verify(s, m); !errors.Is(err, sealwright.ErrMalformed) {
		t.Errorf("got %v, want %v", err, sealwright.ErrMalformed)
	}
}

func TestHTTPDate(t *testing.T) {
	s := newScheme(t, "escher", scheme.Params{"credential_scope": {"eu"}, "date_header": {"Date"}, "auth_header": {"X-Auth"}})
	m := signed(t, s, request())
	if got, want := m.Header["Date"][0], "Sun, 30 Aug 2015 12:36:00 GMT"; got != want {
		t.Errorf("date is %q, want %q", got, want)
	}
	changed := clone(m)
	changed.Header["Date"] = []string{"Mon, 30 Aug 2015 12:36:00 GMT"} // read, but another text is signed
	if _, err := verify(s, changed); !errors.Is(err, sealwright.ErrMismatch) {
		t.Errorf("other weekday: got %v, want %v", err, sealwright.ErrMismatch)
	}
	for _, text := range []string{
		"Sun, 30 Aug 2015 12:36:00 UTC", "Sun, 30 Aug 2015 12:36:00 +0000", "Sunday, 30-Aug-15 12:36:00 GMT", "Sun, 30 Aug 2015 12:36:00.5 GMT",
		"Sun, 3 Aug 2015 12:36:00 GMT", "Sun, 30 aug 2015 12:36:00 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "Xyz, 30 Aug 2015 12:36:00 GMT",
		"Sun, 31 Feb 2015 12:36:00 GMT", "1440938160",
	} {
		changed.Header["Date"] = []string{text}
		if _, err := verify(s, changed); !errors.Is(err, sealwright.ErrMalformed) {
			t.Errorf("date %q: got %v, want %v", text, err, sealwright.ErrMalformed)
		}
	}
	basic := newScheme(t, "escher", scheme.Params{"credential_scope": {"eu"}})
	if got := signed(t, basic, request()).Header["X-Escher-Date"][0]; got != "20150830T123600Z" {
		t.Errorf("X-Escher-Date is %q, want the basic form", got)
	}
	hash := newScheme(t, "escher", scheme.Params{"credential_scope": {"eu/x"}, "hash_algorithm": {"SHA512"}})
	out := signed(t, hash, request())
	if verdict, err := verify(hash, out); err != nil || verdict.Algorithm.String() != "hmac-sha512" {
		t.Errorf("SHA512: got %v, %v", verdict.Algorithm, err)
	}
	if _, err := verify(basic, out); err == nil {
		t.Error("a signature with SHA512 verifies under SHA256")
	}
}

// TestNonce wants the nonce of Alibaba signed and reported.
func TestNonce(t *testing.T) {
	s := newScheme(t, "alibaba-acs3", nil)
	m := signed(t, s, request())
	verdict, err := verify(s, m)
	if err != nil || verdict.Nonce == "" || verdict.Nonce != m.Header["X-Acs-Signature-Nonce"][0] {
		t.Fatalf("nonce is %q, error %v", verdict.Nonce, err)
	}
	refuseAll(t, s, m, []change{
		{"Dropped", drop("X-Acs-Signature-Nonce"), sealwright.ErrPolicy},
		{"Empty", set("X-Acs-Signature-Nonce", ""), sealwright.ErrMissing},
		{"Twice", add("X-Acs-Signature-Nonce", "x"), sealwright.ErrMalformed},
		{"Other", set("X-Acs-Signature-Nonce", "x"), sealwright.ErrMismatch},
		{"NotSigned", auth(";x-acs-signature-nonce", ""), sealwright.ErrPolicy},
		{"TimeNotSigned", auth(";x-acs-date", ""), sealwright.ErrPolicy},
		{"FractionInTime", set("X-Acs-Date", "2015-08-30T12:36:00.0Z"), sealwright.ErrMalformed},
		{"OffsetInTime", set("X-Acs-Date", "2015-08-30T12:36:00+00:00"), sealwright.ErrMalformed},
	})
}

func TestEscherGrace(t *testing.T) {
	s := newScheme(t, "escher", scheme.Params{"credential_scope": {"eu"}, "presign": {"true"}, "expires": {"60"}})
	m := signed(t, s, request())
	if m.Header["X-Escher-Auth"] != nil || !strings.Contains(m.Target, "X-Escher-Signature=") {
		t.Fatalf("signed in the header, want the URL: %s", m.Target)
	}
	v := sealwright.Verifier{Scheme: s, Ring: ring(keyID)}
	for _, tt := range []struct {
		at   time.Duration
		want error
	}{{360 * time.Second, nil}, {361 * time.Second, sealwright.ErrStale}, {-300 * time.Second, nil}, {-301 * time.Second, sealwright.ErrFuture}} {
		if _, err := v.Verify(m, now.Add(tt.at)); !errors.Is(err, tt.want) {
			t.Errorf("after %v: got %v, want %v", tt.at, err, tt.want)
		}
	}
}

// TestCalendar signs on days over four centuries, among them each end of
// February, and holds the time of the verdict against package time.
func TestCalendar(t *testing.T) {
	days := []time.Time{time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}
	for year := 1970; year < 2410; year++ {
		march := time.Date(year, 3, 1, 0, 0, 0, 0, time.UTC)
		days = append(days, march, march.Add(-time.Second), march.AddDate(0, 0, year%366).Add(time.Duration(year)*47*time.Second))
	}
	for _, preset := range []string{"aws-sigv4", "alibaba-acs3"} { // the basic and the extended form
		s := newScheme(t, preset, signParams(preset))
		for _, day := range days {
			signer := sealwright.Signer{Scheme: s, Ring: ring(keyID)}
			m, err := signer.Sign(request(), day)
			if err != nil {
				t.Fatalf("%s at %v: %v", preset, day, err)
			}
			v := sealwright.Verifier{Scheme: s, Ring: ring(keyID)}
			verdict, err := v.Verify(m, day)
			if err != nil || verdict.At != day {
				t.Fatalf("%s: got %v, %v, want %v", preset, verdict.At, err, day)
			}
		}
	}
}
