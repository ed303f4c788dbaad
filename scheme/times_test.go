package scheme_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright"
)

func at(offset time.Duration) int64 { return now.Add(offset).Unix() }

// TestSpan holds windows that the client chooses as start;end.
func TestSpan(t *testing.T) {
	s := mustBuild(t, frame+`,"time":{"from":"header:X-Time","format":"unix","kind":"span","past":"60s","future":"1h"},"message":["{time}"]`, nil)
	span := func(from, to time.Duration) string { return fmt.Sprintf("%d;%d", at(from), at(to)) }
	for _, tt := range []struct {
		name, span string
		want       error
	}{
		{"Inside", span(-time.Minute, time.Minute), nil},
		{"LastInstant", span(-time.Minute, 0), nil},
		{"Over", span(-time.Minute, -time.Second), sealwright.ErrStale},
		{"FirstInstant", span(0, time.Minute), nil},
		{"ClockBehind", span(300*time.Second, time.Hour), nil},
		{"NotBegun", span(301*time.Second, time.Hour), sealwright.ErrFuture},
		{"Longest", span(-time.Minute, 59*time.Minute), nil},
		{"TooLong", span(-time.Minute, 59*time.Minute+time.Second), sealwright.ErrPolicy},
		{"TenYears", span(0, 10*365*24*time.Hour), sealwright.ErrPolicy},
		{"Reversed", span(time.Minute, -time.Minute), sealwright.ErrMalformed},
		{"OneOnly", fmt.Sprint(at(0)), sealwright.ErrMalformed},
		{"NoEnd", fmt.Sprintf("%d;", at(0)), sealwright.ErrMalformed},
		{"Three", span(0, time.Minute) + ";1", sealwright.ErrMalformed},
	} {
		if err := verifyHeaders(t, s, tt.span, map[string]string{"X-Time": tt.span, "X-Tag": "TAG"}); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.name, err, tt.want)
		}
	}
	for _, tt := range []struct{ have, want string }{
		{"", span(0, time.Minute)}, {span(-time.Second, time.Minute), span(-time.Second, time.Minute)}, {span(-time.Hour, -time.Minute), span(0, time.Minute)}, {span(0, 2*time.Hour), span(0, time.Minute)},
	} {
		m := sealwright.Message{Method: "GET", Header: map[string][]string{}}
		if tt.have != "" {
			m.Header["X-Time"] = []string{tt.have}
		}
		if got, err := signedBytes(t, s, m); err != nil || got[0] != tt.want {
			t.Errorf("%q is signed as %q, %v, want %q", tt.have, got, err, tt.want)
		}
	}
}

// TestTimeForms holds times that may be written in several declared forms, and
// their Unix time.
func TestTimeForms(t *testing.T) {
	s := mustBuild(t, frame+`,"time":{"from":"header:X-Time","format":"unix|iso8601|http-date"},"message":["{unixtime}"]`, nil)
	const message = "1767225600"
	for _, tt := range []struct {
		text string
		want error
	}{
		{"1767225600", nil}, {"2026-01-01T00:00:00Z", nil}, {"2026-01-01T01:00:00+01:00", nil}, {"2026-01-01T00:00:00", nil}, {"2026-01-01T00:00:00.4Z", nil}, {"Thu, 01 Jan 2026 00:00:00 GMT", nil},
		{"2026-01-01T00:00:01Z", sealwright.ErrMismatch}, {"2026-01-01", sealwright.ErrMalformed}, {"2026-01-01 00:00:00", sealwright.ErrMalformed}, {"1767225600.0", sealwright.ErrMalformed}, {"1767225600000", sealwright.ErrMalformed}, {"2026-01-01T00:00:00+0000", sealwright.ErrMalformed},
	} {
		if err := verifyHeaders(t, s, message, map[string]string{"X-Time": tt.text, "X-Tag": "TAG"}); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.text, err, tt.want)
		}
	}
	if got, err := signedBytes(t, s, sealwright.Message{Method: "GET"}); err != nil || got[0] != message {
		t.Errorf("signed: %q, %v", got, err)
	}
	for _, format := range []string{"unix|unix-ms", "unix|nope", "unix|unix-decimal", ""} {
		if _, err := build(t, frame+`,"time":{"from":"header:X-Time","format":"`+format+`"},"message":["{time}"]`, nil); err == nil {
			t.Errorf("format %q compiles", format)
		}
	}
	if _, err := build(t, frame+`,"time":{"from":"header:X-Time","format":"unix","kind":"start"},"message":["{time}"]`, nil); err == nil || !strings.Contains(err.Error(), "span") {
		t.Errorf("unknown kind: error is %v", err)
	}
}

// TestTimeThatIsSigned holds schemes of several clocks: only one that the
// message signs counts, and every expiry that it signs (A10).
func TestTimeThatIsSigned(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"list":{"from":"header:A","format":"quoted","sep":",","parts":[{"name":"created","optional":true,"bare":true},{"name":"expires","optional":true,"bare":true},{"name":"headers"},{"name":"s"}]},
		"tag":{"from":"part:s","encoding":"hex"},
		"time":{"from":"header:Date","format":"unix","or":[{"from":"part:created","format":"unix-ms"},{"from":"part:expires","format":"unix","kind":"expires"}]},
		"message":[{"headers":{"list":"part:headers","sep":" ","line":"{name}: {value}","join":"\n","require":["date|(created)|(expires)"],"derived":{"(created)":"c {part:created}","(expires)":"e {part:expires}"}}}]`, nil)
	fresh, stale := fmt.Sprint(at(0)), fmt.Sprint(at(-time.Hour))
	for _, tt := range []struct {
		name, list, date, message string
		want                      error
	}{
		{"Date", `headers="date",s="TAG"`, fresh, "date: " + fresh, nil},
		{"Created", `created=` + fresh + `000,headers="(created)",s="TAG"`, "", "c " + fresh + "000", nil},
		{"StaleCreatedFreshDate", `created=` + stale + `000,headers="(created)",s="TAG"`, fresh, "c " + stale + "000", sealwright.ErrStale},
		{"StaleDateFreshCreated", `created=` + fresh + `000,headers="date",s="TAG"`, stale, "date: " + stale, sealwright.ErrStale},
		{"BothSignedFirstCounts", `created=` + stale + `000,headers="date (created)",s="TAG"`, fresh, "date: " + fresh + "\nc " + stale + "000", nil},
		{"Expired", `expires=` + stale + `,headers="date (expires)",s="TAG"`, fresh, "date: " + fresh + "\ne " + stale, sealwright.ErrStale},
		{"ExpiryAlone", `expires=` + fresh + `,headers="(expires)",s="TAG"`, "", "e " + fresh, nil},
		{"ExpiredButNotSigned", `expires=` + stale + `,headers="date",s="TAG"`, fresh, "date: " + fresh, nil},
		{"NoneSigned", `created=` + fresh + `000,headers="host",s="TAG"`, fresh, "host: h", sealwright.ErrPolicy},
		{"SignedButBroken", `created=x,headers="(created)",s="TAG"`, "", "c x", sealwright.ErrMalformed},
	} {
		headers := map[string]string{"A": tt.list}
		if tt.date != "" {
			headers["Date"] = tt.date
		}
		if err := verifyHeaders(t, s, tt.message, headers); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %v", tt.name, err, tt.want)
		}
	}
	if got, err := signedBytes(t, s, sealwright.Message{Method: "GET"}); err != nil || got[0] != "date: "+fresh {
		t.Errorf("signed: %q, %v", got, err)
	}
}

// TestDerivedKeyCovers: what the key is made of is covered.
func TestDerivedKeyCovers(t *testing.T) {
	s := mustBuild(t, `"algorithm":"hmac-sha256","key":{"encoding":"utf8","text":"{time} {keyid} {secret}"},"tag":{"from":"header:X-Tag","encoding":"hex"},
		"time":{"from":"header:X-Time","format":"unix"},"key_id":{"from":"header:X-Key"},"message":[]`, nil)
	m := sealwright.Message{Method: "GET", Header: map[string][]string{"X-Time": {"1767225600"}, "X-Key": {"k1"}, "X-Tag": {plainTag("1767225600 k1 "+testSecret, "")}}}
	v := sealwright.Verifier{Scheme: s, Ring: testRing()}
	verdict, err := v.Verify(m, now)
	if err != nil || !verdict.Covers.Time || !verdict.Covers.KeyID || !verdict.At.Equal(now) {
		t.Errorf("%+v, %v, want time and key ID covered", verdict, err)
	}
	m.Header["X-Time"] = []string{"1767225601"}
	if _, err := v.Verify(m, now); !errors.Is(err, sealwright.ErrMismatch) {
		t.Errorf("another time: error is %v, want %v", err, sealwright.ErrMismatch)
	}
}

// TestSameParts: a part that must equal another one is filled in when signing.
func TestSameParts(t *testing.T) {
	s := mustBuild(t, algorithmAndKey+`,"list":{"from":"header:A","format":"pairs","sep":"&","parts":[{"name":"a"},{"name":"b"},{"name":"s"}]},"tag":{"from":"part:s","encoding":"hex"},
		"time":{"from":"part:a","format":"unix"},"checks":[{"equal":{"from":"part:b","same":"part:a"}}],"message":["{time}"]`, nil)
	for list, want := range map[string]error{"a=1767225600&b=1767225600&s=TAG": nil, "a=1767225600&b=1767225601&s=TAG": sealwright.ErrPolicy} {
		if err := verifyHeaders(t, s, "1767225600", map[string]string{"A": list}); !errors.Is(err, want) {
			t.Errorf("%s: error is %v, want %v", list, err, want)
		}
	}
	if got, err := signedBytes(t, s, sealwright.Message{Method: "GET"}); err != nil || got[0] != "1767225600" {
		t.Errorf("signed: %q, %v", got, err)
	}
}
