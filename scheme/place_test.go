package scheme_test

import (
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

const (
	algorithmAndKey = `"algorithm":"hmac-sha256","key":{"encoding":"utf8"}`
	testSecret      = "a secret of the tests"
)

// check verifies m, in which TAG is replaced by the tag of message.
func check(t *testing.T, s sealwright.Scheme, m sealwright.Message, message string) error {
	t.Helper()
	tag := plainTag(testSecret, message)
	m.Target = strings.ReplaceAll(m.Target, "TAG", tag)
	m.Body = []byte(strings.ReplaceAll(string(m.Body), "TAG", tag))
	header := map[string][]string{}
	for name, values := range m.Header {
		for _, v := range values {
			header[name] = append(header[name], strings.ReplaceAll(v, "TAG", tag))
		}
	}
	m.Header = header
	v := sealwright.Verifier{Scheme: s, Ring: keyring.Must(keyring.Key{Secret: secret.FromString(testSecret)})}
	_, err := v.Verify(m, now)
	return err
}

func mustBuild(t *testing.T, members string, params scheme.Params) sealwright.Scheme {
	t.Helper()
	s, err := build(t, members, params)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFieldsLeftOut holds the sources that are a query or body less one field.
func TestFieldsLeftOut(t *testing.T) {
	tests := []struct {
		name, from, message  string
		target, body, signed string
		want                 error
	}{
		{name: "LastOfTheQuery", from: "query:sig", message: "{query-before:sig}", target: "/p?a=1&&b=%20&sig=TAG", signed: "a=1&&b=%20"},
		{name: "OnlyOne", from: "query:sig", message: "{query-before:sig}", target: "/p?sig=TAG", signed: ""},
		{name: "NotTheLast", from: "query:sig", message: "{query-before:sig}", target: "/p?a=1&sig=TAG&b=2", signed: "a=1", want: sealwright.ErrMalformed},
		{name: "EmptyPieceBehindIt", from: "query:sig", message: "{query-before:sig}", target: "/p?a=1&sig=TAG&", signed: "a=1", want: sealwright.ErrMalformed},
		{name: "InTheMiddle", from: "query:sig", message: "{query-without:sig}", target: "/p?a=1&sig=TAG&b=2&", signed: "a=1&b=2&"},
		{name: "First", from: "query:sig", message: "{query-without:sig}", target: "/p?sig=TAG&b=2", signed: "b=2"},
		{name: "NameThatBeginsAlike", from: "query:sig", message: "{query-without:sig}", target: "/p?sigx=1&sig=TAG", signed: "sigx=1"},
		{name: "EncodedName", from: "query:sig", message: "{query-before:sig}", target: "/p?a=1&%73ig=TAG", signed: "a=1"},
		{name: "EmptyPieces", from: "query:sig", message: "{query-before:sig}", target: "/p?&a=1&&&sig=TAG", signed: "&a=1&&"},
		{name: "ArgumentInTheForm", from: "arg:sig", message: "{query-without:sig}{body-without:sig}", target: "/p?a=1", body: "b=2&sig=TAG&c=3", signed: "a=1b=2&c=3"},
		{name: "ArgumentInTheQuery", from: "arg:sig", message: "{query-without:sig}{body-without:sig}", target: "/p?a=1&sig=TAG", body: `{"b":"&x="}`, signed: `a=1{"b":"&x="}`},
		{name: "ArgumentInBoth", from: "arg:sig", message: "{query-without:sig}{body-without:sig}", target: "/p?sig=TAG", body: "sig=TAG", signed: "", want: sealwright.ErrMalformed},
		{name: "ArgumentTwice", from: "arg:sig", message: "{query-without:sig}{body-without:sig}", target: "/p?sig=TAG&sig=TAG", signed: "", want: sealwright.ErrMalformed},
		{name: "ArgumentNowhere", from: "arg:sig", message: "{query-without:sig}{body-without:sig}", target: "/p?a=1", signed: "a=1", want: sealwright.ErrMissing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustBuild(t, algorithmAndKey+`,"tag":{"from":"`+tt.from+`","encoding":"hex"},"message":["`+tt.message+`"]`, nil)
			m := sealwright.Message{Method: "POST", Host: "h", Target: tt.target, Body: []byte(tt.body)}
			if err := check(t, s, m, tt.signed); !errors.Is(err, tt.want) {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
		})
	}
}

// TestArgumentPlace holds where a signer writes an argument.
func TestArgumentPlace(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"tag":{"from":"arg:sig","encoding":"hex"},"message":["{query-without:sig}{body-without:sig}"]`, nil)
	form := map[string][]string{"Content-Type": {"application/x-www-form-urlencoded"}}
	for _, tt := range []struct {
		name, target, body string
		header             map[string][]string
		inForm             bool
	}{
		{"NoBody", "/p?a=1", "", nil, false},
		{"Form", "/p?a=1", "b=2", form, true},
		{"FormButAlreadyInTheQuery", "/p?sig=old", "b=2", form, false},
		{"OtherBody", "/p", "{}", nil, false},
	} {
		signer := sealwright.Signer{Scheme: s, Ring: keyring.Must(keyring.Key{Secret: secret.FromString(testSecret)})}
		m, err := signer.Sign(sealwright.Message{Method: "POST", Host: "h", Target: tt.target, Body: []byte(tt.body), Header: tt.header}, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(m.Body), "sig="); got != tt.inForm || strings.Contains(m.Target, "sig=") == tt.inForm {
			t.Errorf("%s: signed is %s with %s, want the tag in the form: %v", tt.name, m.Target, m.Body, tt.inForm)
		}
		verifier := sealwright.Verifier{Scheme: s, Ring: signer.Ring}
		if _, err := verifier.Verify(m, now); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestSigningLeavesTheQuery: signing changes nothing of a query but the tag,
// whatever it looks like, and signs no query that has two.
func TestSigningLeavesTheQuery(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"tag":{"from":"query:sig","encoding":"hex"},"message":["{query-without:sig}"]`, nil)
	signer := sealwright.Signer{Scheme: s, Ring: keyring.Must(keyring.Key{Secret: secret.FromString(testSecret)})}
	for _, tt := range []struct{ target, want string }{
		{"/p", "/p?sig=TAG"}, {"/p?", "/p?sig=TAG"}, {"/p?&a=%zz&&", "/p?&a=%zz&&&sig=TAG"}, {"/p?a=1&sig=old&b", "/p?a=1&sig=TAG&b"}, {"/p?%73ig=old", "/p?sig=TAG"},
	} {
		m, err := signer.Sign(sealwright.Message{Method: "GET", Host: "h", Target: tt.target}, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := hexTag.ReplaceAllString(m.Target, "TAG"); got != tt.want {
			t.Errorf("%s: signed is %s, want %s", tt.target, got, tt.want)
		}
		v := sealwright.Verifier{Scheme: s, Ring: signer.Ring}
		if _, err := v.Verify(m, now); err != nil {
			t.Errorf("%s: %v", tt.target, err)
		}
	}
	if _, err := signer.Sign(sealwright.Message{Method: "GET", Host: "h", Target: "/p?sig=1&s%69g=2"}, now); !errors.Is(err, sealwright.ErrMalformed) {
		t.Errorf("two tags: error is %v, want %v", err, sealwright.ErrMalformed)
	}
}

// TestPayload holds fields of an encoded document inside a value.
func TestPayload(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	const members = algorithmAndKey + `,"list":{"from":"form:signed","format":"positional","sep":".","parts":[{"name":"sig"},{"name":"doc"}]},
		"payload":{"from":"part:doc","encoding":"base64url","format":"json"},
		"tag":{"from":"part:sig","encoding":"hex"},"message":["{part:doc}"],
		"time":{"from":"payload:at","format":"unix","optional":true},"nonce":{"from":"payload:/in/id"},
		"checks":[{"equal":{"from":"payload:alg","value":"HMAC-SHA256"}},{"equal":{"from":"payload:path","same":"path"}}]`
	s := mustBuild(t, members, nil)
	tests := []struct {
		name, doc string
		want      error
	}{
		{"Good", `{"alg":"HMAC-SHA256","at":1767225599,"in":{"id":"n"},"path":"/p"}`, nil},
		{"NoTime", `{"alg":"HMAC-SHA256","in":{"id":"n"},"path":"/p"}`, nil},
		{"OldTime", `{"alg":"HMAC-SHA256","at":1767225299,"in":{"id":"n"},"path":"/p"}`, sealwright.ErrStale},
		{"OtherAlgorithm", `{"alg":"HMAC-SHA1","in":{"id":"n"},"path":"/p"}`, sealwright.ErrPolicy},
		{"NoAlgorithm", `{"in":{"id":"n"},"path":"/p"}`, sealwright.ErrPolicy},
		{"OtherPath", `{"alg":"HMAC-SHA256","in":{"id":"n"},"path":"/q"}`, sealwright.ErrPolicy},
		{"NoNonce", `{"alg":"HMAC-SHA256","path":"/p"}`, sealwright.ErrMalformed},
		{"TwoNonces", `{"alg":"HMAC-SHA256","in":{"id":"n","id":"m"},"path":"/p"}`, sealwright.ErrMalformed},
		{"NoJSON", `alg`, sealwright.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := sealwright.Message{Method: "POST", Host: "h", Target: "/p", Body: []byte("signed=TAG." + encode([]byte(tt.doc)))}
			if err := check(t, s, m, encode([]byte(tt.doc))); !errors.Is(err, tt.want) {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
		})
	}
	for _, text := range []string{"TAG.e3A=", "TAG.e3", "TAG.e30+", "TAG.", "TAG"} {
		m := sealwright.Message{Method: "POST", Host: "h", Target: "/p", Body: []byte("signed=" + text)}
		if err := check(t, s, m, strings.TrimPrefix(text, "TAG.")); !errors.Is(err, sealwright.ErrMalformed) {
			t.Errorf("%s: error is %v, want %v", text, err, sealwright.ErrMalformed)
		}
	}
	signer := sealwright.Signer{Scheme: s, Ring: keyring.Must(keyring.Key{Secret: secret.FromString(testSecret)})}
	if _, err := signer.Sign(sealwright.Message{Method: "POST", Target: "/p", Body: []byte("signed=x." + encode([]byte("{}")))}, now); !errors.Is(err, sealwright.ErrCannotSign) {
		t.Errorf("a payload without its nonce is signed: error is %v, want %v", err, sealwright.ErrCannotSign)
	}
}

// TestPayloadCoverage: what the payload says of the path is covered with it,
// and a time that is not there is not.
func TestPayloadCoverage(t *testing.T) {
	const members = algorithmAndKey + `,"payload":{"from":"header:X-Doc","encoding":"base64","format":"form"},
		"tag":{"from":"header:X-Tag","encoding":"hex"},"message":["{header:X-Doc}"],
		"time":{"from":"payload:at","format":"unix","optional":true},"checks":[{"equal":{"from":"payload:path","same":"path"}}]`
	s := mustBuild(t, members, nil)
	for _, doc := range []string{"path=%2Fp&at=1767225600", "path=%2Fp"} {
		text := base64.StdEncoding.EncodeToString([]byte(doc))
		text = text[:5] + "\n" + text[5:]
		v := sealwright.Verifier{Scheme: s, Ring: keyring.Must(keyring.Key{Secret: secret.FromString(testSecret)})}
		verdict, err := v.Verify(sealwright.Message{Method: "GET", Target: "/p", Header: map[string][]string{
			"X-Doc": {text}, "X-Tag": {plainTag(testSecret, text)},
		}}, now)
		if err != nil {
			t.Fatal(err)
		}
		if timed := strings.Contains(doc, "at="); !verdict.Covers.Path || verdict.Covers.Time != timed || verdict.At.IsZero() == timed {
			t.Errorf("%s: covers %+v at %v", doc, verdict.Covers, verdict.At)
		}
	}
}

// TestWindow holds windows that the client chooses.
func TestWindow(t *testing.T) {
	const members = frame + `,"time":{"from":"header:X-Time","format":"unix-ms","past":"5s","future":"1s",
		"window":{"from":"header:X-Window","unit":"ms","max":"60s"}},"message":["{time}{header:X-Window?}"]`
	s := mustBuild(t, members, nil)
	tests := []struct {
		name, window string
		age          time.Duration
		want         error
	}{
		{"DefaultAtItsEnd", "", 5 * time.Second, nil},
		{"DefaultBeyond", "", 5001 * time.Millisecond, sealwright.ErrStale},
		{"ChosenAtItsEnd", "20000", 20 * time.Second, nil},
		{"ChosenBeyond", "20000", 20001 * time.Millisecond, sealwright.ErrStale},
		{"Shorter", "1000", 2 * time.Second, sealwright.ErrStale},
		{"Fraction", "6000.346", 6 * time.Second, nil},
		{"Zero", "0", 0, nil},
		{"BeyondTheMaximum", "3600000", 60 * time.Second, nil},
		{"CutToTheMaximum", "3600000", 60001 * time.Millisecond, sealwright.ErrStale},
		{"Greatest", "9223372036854775807", 61 * time.Second, sealwright.ErrStale},
		{"GreaterStill", "9223372036854775808", 0, sealwright.ErrMalformed},
		{"Negative", "-1", 0, sealwright.ErrMalformed},
		{"Text", "1m", 0, sealwright.ErrMalformed},
		{"OpenFraction", "6000.", 0, sealwright.ErrMalformed},
		{"FutureAtItsEnd", "60000", -time.Second, nil},
		{"FutureBeyond", "60000", -1001 * time.Millisecond, sealwright.ErrFuture},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := millis(now.Add(-tt.age))
			header := map[string][]string{"X-Time": {at}, "X-Tag": {"TAG"}}
			if tt.window != "" {
				header["X-Window"] = []string{tt.window}
			}
			if err := check(t, s, sealwright.Message{Method: "GET", Header: header}, at+tt.window); !errors.Is(err, tt.want) {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
		})
	}
	for _, tt := range []struct{ name, window, message, want string }{
		{"NotCovered", `{"from":"header:X-Window","unit":"ms","max":"60s"}`, "{time}", "A35"},
		{"NoMaximum", `{"from":"header:X-Window","unit":"ms","max":""}`, "{time}{header:X-Window}", "max"},
		{"EndlessMaximum", `{"from":"header:X-Window","unit":"ms","max":"9999h"}`, "{time}{header:X-Window}", "max"},
		{"NoUnit", `{"from":"header:X-Window","unit":"","max":"60s"}`, "{time}{header:X-Window}", "unit"},
	} {
		_, err := build(t, frame+`,"time":{"from":"header:X-Time","format":"unix-ms","window":`+tt.window+`},"message":["`+tt.message+`"]`, nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// TestA35_ExpiryOfTheClient: an expiry too far ahead is refused.
func TestA35_ExpiryOfTheClient(t *testing.T) {
	s := mustBuild(t, frame+`,"time":{"from":"header:X-Time","format":"rfc3339","kind":"expires","past":"60s","future":"1h"},"message":["{time}"]`, nil)
	for _, tt := range []struct {
		at   time.Time
		want error
	}{
		{now, nil}, {now.Add(-time.Second), sealwright.ErrStale}, {now.Add(time.Hour), nil},
		{now.Add(time.Hour + time.Second), sealwright.ErrFuture}, {now.AddDate(10, 0, 0), sealwright.ErrFuture},
		{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), sealwright.ErrFuture},
	} {
		text := tt.at.UTC().Format(time.RFC3339)
		if err := check(t, s, sealwright.Message{Method: "GET", Header: map[string][]string{"X-Time": {text}, "X-Tag": {"TAG"}}}, text); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", text, err, tt.want)
		}
	}
	if _, err := build(t, frame+`,"time":{"from":"header:X-Time","format":"unix","kind":"expires","future":"0s"},"message":["{time}"]`, nil); err == nil {
		t.Error("an expiry without a bound compiles")
	}
	got, err := signedBytes(t, s, sealwright.Message{Method: "GET", Host: "h", Target: "/"})
	if want := now.Add(time.Minute).UTC().Format(time.RFC3339); err != nil || got[0] != want {
		t.Errorf("signed expiry is %q, %v, want %q", got, err, want)
	}
}

// TestA14_FarFuture: a time more than 292 years ahead, whose distance no
// duration can hold, is from the future like any other.
func TestA14_FarFuture(t *testing.T) {
	s := mustBuild(t, frame+`,"time":{"from":"header:X-Time","format":"unix"},"message":["{time}"]`, nil)
	for _, text := range []string{"1767225901", "10990597636", "10990597637", "253402300799"} {
		m := sealwright.Message{Method: "GET", Header: map[string][]string{"X-Time": {text}, "X-Tag": {"TAG"}}}
		if err := check(t, s, m, text); !errors.Is(err, sealwright.ErrFuture) {
			t.Errorf("%s: error is %v, want %v", text, err, sealwright.ErrFuture)
		}
		got, err := signedBytes(t, s, sealwright.Message{Method: "GET", Header: map[string][]string{"X-Time": {text}}})
		if err != nil || got[0] != "1767225600" {
			t.Errorf("%s: a signer keeps it: %q, %v", text, got, err)
		}
	}
	v := sealwright.Verdict{Age: math.MinInt64}
	if v.Skew() != math.MaxInt64 {
		t.Errorf("skew is %v", v.Skew())
	}
}

// TestEscapes holds tags and lists with percent-encoding on top.
func TestEscapes(t *testing.T) {
	const (
		tag  = algorithmAndKey + `,"tag":{"from":"header:X-Tag","prefix":"v1=","encoding":"base64","escape":"percent"},"message":["{body}"]`
		list = algorithmAndKey + `,"list":{"from":"header:X-Tag","format":"pairs","sep":"&","escape":"percent","parts":[{"name":"ver","value":"1.0"},{"name":"sig"}]},
			"tag":{"from":"part:sig","encoding":"base64"},"message":["{body}"]`
	)
	sum := base64.StdEncoding.EncodeToString(rawTag(testSecret, "body 3"))
	escaped := strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(sum)
	if escaped == sum || !strings.Contains(sum, "+") {
		t.Fatalf("tag %s shows too little", sum)
	}
	lower := strings.NewReplacer("%2B", "%2b", "%2F", "%2f", "%3D", "%3d").Replace(escaped)
	tests := []struct {
		name, members, value string
		want                 error
	}{
		{"Tag", tag, "v1=" + escaped, nil},
		{"TagInLowerCase", tag, "v1=" + lower, nil},
		{"TagNotEscaped", tag, "v1=" + sum, nil},
		{"TagWithBlanks", tag, "v1=" + strings.ReplaceAll(sum, "+", " "), sealwright.ErrMalformed},
		{"TagBroken", tag, "v1=" + strings.TrimSuffix(escaped, "D"), sealwright.ErrMalformed},
		{"List", list, "ver%3D1.0%26sig%3D" + escaped, nil},
		{"ListInLowerCase", list, "ver%3d1.0%26sig%3d" + lower, nil},
		{"ListBroken", list, "ver%3D1.0%2", sealwright.ErrMalformed},
		{"ListOfOtherVersion", list, "ver%3D2.0%26sig%3D" + escaped, sealwright.ErrPolicy},
		{"ListEscapedTwice", list, "ver%253D1.0%2526sig%253D" + escaped, sealwright.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustBuild(t, tt.members, nil)
			m := sealwright.Message{Method: "POST", Header: map[string][]string{"X-Tag": {tt.value}}, Body: []byte("body 3")}
			if err := check(t, s, m, ""); !errors.Is(err, tt.want) {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
			if _, err := signedBytes(t, s, m); err != nil {
				t.Errorf("sign: %v", err)
			}
		})
	}
	for _, members := range []string{strings.Replace(tag, `"escape":"percent"`, `"escape":"html"`, 1), strings.Replace(list, `"escape":"percent"`, `"escape":"html"`, 1)} {
		if _, err := build(t, members, nil); err == nil || !strings.Contains(err.Error(), "escape") {
			t.Errorf("error is %v, want one of the escape", err)
		}
	}
}

// TestRunOfSeparators holds lists whose senders do not agree on a separator.
func TestRunOfSeparators(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"list":{"from":"header:X-Tag","format":"pairs","sep":",","run":", ","parts":[{"name":"t"},{"name":"v1"}]},
		"tag":{"from":"part:v1","encoding":"hex"},"time":{"from":"part:t","format":"unix"},"message":["{time}.{body}"]`, nil)
	for _, tt := range []struct {
		value string
		want  error
	}{
		{"t=1767225600,v1=TAG", nil}, {"t=1767225600 v1=TAG", nil}, {"t=1767225600, v1=TAG", nil}, {"t=1767225600 , ,v1=TAG", nil},
		{"t=1767225600;v1=TAG", sealwright.ErrMissing}, {"t=1767225600,v1=TAG,", sealwright.ErrMalformed}, {" t=1767225600,v1=TAG", sealwright.ErrMalformed},
	} {
		m := sealwright.Message{Method: "POST", Header: map[string][]string{"X-Tag": {tt.value}}, Body: []byte("b")}
		if err := check(t, s, m, "1767225600.b"); !errors.Is(err, tt.want) && err != tt.want {
			t.Errorf("%q: error is %v, want %v", tt.value, err, tt.want)
		}
	}
	if _, err := signedBytes(t, s, sealwright.Message{Method: "POST", Body: []byte("b")}); err != nil {
		t.Error(err)
	}
}

// TestPartTemplate holds parts that a signer fills from the request.
func TestPartTemplate(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"list":{"from":"header:X-Tag","format":"pairs","sep":"&","parts":[{"name":"sr","sign":"{scheme}://{host}{path|percent}"},{"name":"sig"}]},
		"tag":{"from":"part:sig","encoding":"hex"},"message":["{part:sr}"]`, nil)
	for _, tt := range []struct{ name, value, want string }{
		{"Absent", "", "https://h%2Fp"}, {"Present", "sr=own&sig=00", "own"},
	} {
		m := sealwright.Message{Method: "GET", Host: "h", Target: "/p?q", Header: map[string][]string{}}
		if tt.value != "" {
			m.Header["X-Tag"] = []string{tt.value}
		}
		if got, err := signedBytes(t, s, m); err != nil || got[0] != tt.want {
			t.Errorf("%s: covered bytes are %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
	if _, err := build(t, algorithmAndKey+`,"list":{"from":"header:X","format":"pairs","sep":"&","parts":[{"name":"a","sign":"{nope}"}]},"tag":{"from":"header:Y","encoding":"hex"},"message":["x"]`, nil); err == nil {
		t.Error("a broken template compiles")
	}
}

// TestPathCheck holds a path that must begin with a configured one.
func TestPathCheck(t *testing.T) {
	const members = frame + `,"params":{"link":{"doc":"l","required":true}},"message":["${link}"],
		"checks":[{"equal":{"from":"path|decode","value":"/${link}","prefix":true}}]`
	s := mustBuild(t, members, scheme.Params{"link": {"dbs/my db"}})
	any := mustBuild(t, members, scheme.Params{"link": {""}})
	if err := check(t, any, sealwright.Message{Method: "GET", Target: "/dbs", Header: map[string][]string{"X-Tag": {"TAG"}}}, ""); err != nil {
		t.Errorf("the root as link: %v", err)
	}
	for _, tt := range []struct {
		target string
		want   error
	}{
		{"/dbs/my%20db", nil}, {"/dbs/my%20db/colls?x=1", nil}, {"/dbs/my%20db2", sealwright.ErrPolicy}, {"/dbs/my", sealwright.ErrPolicy},
		{"/other/dbs/my%20db", sealwright.ErrPolicy}, {"/", sealwright.ErrPolicy}, {"/dbs/my%2", sealwright.ErrMalformed},
	} {
		m := sealwright.Message{Method: "POST", Target: tt.target, Header: map[string][]string{"X-Tag": {"TAG"}}}
		if err := check(t, s, m, "dbs/my db"); !errors.Is(err, tt.want) && err != tt.want {
			t.Errorf("%s: error is %v, want %v", tt.target, err, tt.want)
		}
	}
}

// TestTimeInOneOfTwo holds schemes whose time may stand in one of two headers:
// the one that counts must be signed (A10).
func TestTimeInOneOfTwo(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"list":{"from":"header:Authorization","format":"pairs","sep":"&","parts":[{"name":"names"},{"name":"sig"}]},
		"tag":{"from":"part:sig","encoding":"hex"},"time":{"from":"header:X-Date","also":["header:Date"],"format":"unix"},
		"message":[{"headers":{"list":"part:names","sep":";","line":"{value}","join":";","require":["x-date|date","host"]}}]`, nil)
	const fresh, stale = "1767225600", "1767220000"
	tests := []struct {
		name, names string
		header      map[string]string
		message     string
		want        error
	}{
		{"First", "x-date;host", map[string]string{"X-Date": fresh}, fresh + ";h", nil},
		{"Second", "host;date", map[string]string{"Date": fresh}, "h;" + fresh, nil},
		{"BothSigned", "date;x-date;host", map[string]string{"X-Date": fresh, "Date": stale}, stale + ";" + fresh + ";h", nil},
		{"UnsignedOneCounts", "date;host", map[string]string{"X-Date": fresh, "Date": stale}, stale + ";h", sealwright.ErrPolicy},
		{"StaleOneCounts", "date;x-date;host", map[string]string{"X-Date": stale, "Date": fresh}, fresh + ";" + stale + ";h", sealwright.ErrStale},
		{"NoneSigned", "host", map[string]string{"X-Date": fresh}, "h", sealwright.ErrPolicy},
		{"None", "host;date", nil, "h;", sealwright.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := map[string][]string{"Authorization": {"names=" + tt.names + "&sig=TAG"}}
			for name, value := range tt.header {
				header[name] = []string{value}
			}
			if err := check(t, s, sealwright.Message{Method: "GET", Host: "h", Header: header}, tt.message); !errors.Is(err, tt.want) && err != tt.want {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		header map[string][]string
		want   string
	}{
		{nil, fresh + ";h"}, {map[string][]string{"Date": {fresh}}, fresh + ";h"}, {map[string][]string{"Date": {stale}}, fresh + ";h"},
	} {
		if got, err := signedBytes(t, s, sealwright.Message{Method: "GET", Host: "h", Header: tt.header}); err != nil || got[0] != tt.want {
			t.Errorf("%v: covered bytes are %q, %v, want %q", tt.header, got, err, tt.want)
		}
	}
}

// TestConditionalTime: a time that is under the tag only sometimes does not
// count when it is not.
func TestConditionalTime(t *testing.T) {
	s := mustBuild(t, frame+`,"time":{"from":"header:X-Time","format":"unix"},"message":["{body}",{"if":["method:POST"],"text":"{time}"}]`, nil)
	for method, want := range map[string]error{"POST": nil, "PUT": sealwright.ErrPolicy} {
		m := sealwright.Message{Method: method, Body: []byte("b"), Header: map[string][]string{"X-Time": {"1767225600"}, "X-Tag": {"TAG"}}}
		message := "b1767225600"
		if method == "PUT" {
			message = "b"
		}
		if err := check(t, s, m, message); !errors.Is(err, want) && err != want {
			t.Errorf("%s: error is %v, want %v", method, err, want)
		}
	}
}

// TestPaddedTag holds tags whose padding some senders leave.
func TestPaddedTag(t *testing.T) {
	sum := base64.RawURLEncoding.EncodeToString(rawTag(testSecret, "b"))
	for _, tt := range []struct {
		padded, value string
		want          error
	}{
		{"true", sum, nil}, {"true", sum + "=", nil}, {"false", sum, nil}, {"false", sum + "=", sealwright.ErrMalformed}, {"true", "=", sealwright.ErrMissing},
	} {
		s := mustBuild(t, algorithmAndKey+`,"tag":{"from":"header:X-Tag","encoding":"base64url-raw","padded":`+tt.padded+`},"message":["{body}"]`, nil)
		m := sealwright.Message{Method: "POST", Body: []byte("b"), Header: map[string][]string{"X-Tag": {tt.value}}}
		if err := check(t, s, m, ""); !errors.Is(err, tt.want) && err != tt.want {
			t.Errorf("padded %s, %q: error is %v, want %v", tt.padded, tt.value, err, tt.want)
		}
	}
}

func TestPlaceErrors(t *testing.T) {
	tests := []struct{ name, members, want string }{
		{"NoPayload", frame + `,"message":["{payload:a}"]`, "no payload"},
		{"PayloadFormat", frame + `,"payload":{"from":"header:X","encoding":"base64","format":"xml"},"message":["{payload:a}"]`, "json or form"},
		{"PayloadEncoding", frame + `,"payload":{"from":"header:X","encoding":"hex","format":"json"},"message":["{payload:a}"]`, "base64 or base64url"},
		{"PayloadSource", frame + `,"payload":{"from":"heder:X","encoding":"base64","format":"json"},"message":["{payload:a}"]`, "unknown source"},
		{"NonceMode", frame + `,"nonce":{"from":"header:X","mode":"rising"},"message":["{nonce}"]`, "unique or increasing"},
		{"ValueAndSame", frame + `,"checks":[{"equal":{"from":"header:X","value":"a","same":"path"}}],"message":["{body}"]`, "both"},
		{"TagInAPayload", algorithmAndKey + `,"payload":{"from":"header:X","encoding":"base64","format":"json"},"tag":{"from":"payload:a","encoding":"hex"},"message":["{body}"]`, "cannot hold"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := build(t, tt.members, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestExplainPlaces: the page of a scheme says where its values may stand and
// what bounds them.
func TestExplainPlaces(t *testing.T) {
	tests := []struct{ name, members, want string }{
		{"Argument", algorithmAndKey + `,"tag":{"from":"arg:sig","encoding":"hex"},"message":["{query-without:sig}{body-without:sig}"]`, "query parameter or form field `sig`"},
		{"Query", algorithmAndKey + `,"tag":{"from":"query:sig","encoding":"base64url-raw","padded":true},"message":["{query-before:sig}"]`, "before its last parameter `sig`"},
		{"Padding", algorithmAndKey + `,"tag":{"from":"query:sig","encoding":"base64url-raw","padded":true},"message":["{query-before:sig}"]`, "with or without padding"},
		{"Escape", algorithmAndKey + `,"tag":{"from":"query:sig","encoding":"base64","escape":"percent"},"message":["{body}"]`, "base64, percent-encoded"},
		{"Window", frame + `,"time":{"from":"header:X-T","format":"unix","past":"5s","window":{"from":"header:X-W","unit":"ms","max":"60s"}},"message":["{time}{header:X-W?}"]`, "at most 60s, else 5s"},
		{"Expiry", frame + `,"time":{"from":"header:X-T","format":"unix","kind":"expires"},"message":["{time}"]`, "at most 168h ahead"},
		{"Also", frame + `,"time":{"from":"header:X-T","also":["query:t"],"optional":true,"format":"unix"},"message":["{time}"]`, "else the query parameter `t`, unix, optional"},
		{"Increasing", frame + `,"nonce":{"from":"header:X-N","mode":"increasing"},"message":["{nonce}"]`, "above all earlier ones"},
		{"Prefix", frame + `,"checks":[{"equal":{"from":"path|decode","value":"/a","prefix":true}}],"message":["{path}"]`, "the path as received, percent-decoded must be `/a` or begin with it"},
		{"Payload", frame + `,"payload":{"from":"header:X-P","encoding":"base64","format":"json"},"checks":[{"equal":{"from":"payload:p","same":"path"}}],"message":["{header:X-P}"]`, "the field `p` of the payload must equal the path as received"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := define(t, tt.members)
			if err != nil {
				t.Fatal(err)
			}
			if page := d.Explain(); !strings.Contains(page, tt.want) {
				t.Errorf("page has no %q:\n%s", tt.want, page)
			}
		})
	}
}
