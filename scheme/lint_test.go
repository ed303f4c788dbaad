package scheme_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/scheme"
)

const timed = `"time":{"from":"header:X-Time","format":"unix","past":"300s","future":"30s"},"message":["{time}.{body}"]`

// nonced signs a nonce beside the time.
const nonced = `"time":{"from":"header:X-Time","format":"unix","past":"300s","future":"30s"},"message":["{nonce}.{time}.{body}"]`

func TestLintRules(t *testing.T) {
	tests := []struct {
		name, members string
		rule          string
		fatal         bool
		text          string // a part of the sentence; empty means that the rule finds nothing
	}{
		{"TwoPlacesOfTheTime", frame + `,"time":{"from":"header:X-Time","also":["header:Date"],"format":"http-date"},"message":["{time}\n{body}"]`, "clocks", false, "header:X-Time or header:Date"},
		{"OnePlaceOfTheTime", frame + `,` + timed, "clocks", false, ""},
		{"NonceKeptTooShort", frame + `,"nonce":{"from":"header:X-Id","keep":"329s"},` + nonced, "retention", true, "kept for 5m29s, but a message is fresh for up to 5m30s"},
		{"NonceKeptAsLongAsTheWindow", frame + `,"nonce":{"from":"header:X-Id","keep":"330s"},` + nonced, "retention", false, ""},
		{"NonceKeptByDefault", frame + `,"nonce":{"from":"header:X-Id"},` + nonced, "retention", false, ""},
		{"TagKeptTooShort", frame + `,"nonce":{"from":"tag","keep":"10s"},` + timed, "retention", true, "kept for 10s"},
		{"TagWithoutTime", frame + `,"nonce":{"from":"tag","keep":"10s"},"message":["{body}"]`, "retention", false, ""},
		{"KeepNoDuration", frame + `,"nonce":{"from":"tag","keep":"3 days"},"message":["{body}"]`, "retention", true, `keep is "3 days"`},
		{"KeepZero", frame + `,"nonce":{"from":"tag","keep":"0s"},"message":["{body}"]`, "retention", true, `keep is "0s"`},
		{"ExpiryKeptTooShort", frame + `,"nonce":{"from":"header:X-Id","keep":"1h"},"time":{"from":"header:X-Time","format":"unix","kind":"expires","past":"1h","future":"2h"},"message":["{time}.{body}"]`, "retention", true, "fresh for up to 3h0m0s"},
		{"TimeThatIsNotThere", frame + `,"message":["{time}.{body}"]`, "absent", true, "names {time}, but the scheme has no time"},
		{"UnsignedNonce", frame + `,"nonce":{"from":"header:X-Id"},"message":["{body}"]`, "unsigned-nonce", true, "outside the signed bytes"},
		{"NonceThatTheListCanLeaveOut", frame + `,"nonce":{"from":"header:X-Id"},"message":[{"headers":{"list":"header:X-Signed","sep":" ","line":"{name}: {value}","join":"\n"}}]`, "unsigned-nonce", true, "outside the signed bytes"},
		{"NonceThatTheListMustHave", frame + `,"nonce":{"from":"header:X-Id"},"message":[{"headers":{"list":"header:X-Signed","sep":" ","line":"{name}: {value}","join":"\n","require":["x-id"]}}]`, "unsigned-nonce", false, ""},
		{"SignedNonce", frame + `,"nonce":{"from":"header:X-Id"},"message":["{nonce}.{body}"]`, "unsigned-nonce", false, ""},
		{"NonceThatIsTheTag", frame + `,"nonce":{"from":"tag"},"message":[{"group":["{nonce}.{body}"]}]`, "absent", true, "names {nonce}, but the scheme has no nonce"},
		{"KeyIDThatIsNotThere", frame + `,"message":["{keyid}.{body}"]`, "absent", true, "names {keyid}, but the scheme has no key_id"},
		{"UnixTimeThatIsNotThere", frame + `,"message":["{unixtime}.{body}"]`, "absent", true, "names {unixtime}, but the scheme has no time"},
		{"NothingAbsent", frame + `,"key_id":{"from":"header:X-Key"},"nonce":{"from":"header:X-Id"},"time":{"from":"header:X-Time","format":"unix"},"message":["{keyid}.{nonce}.{time}.{body}"]`, "absent", false, ""},
		{"UnsignedTime", frame + `,"time":{"from":"header:X-Time","format":"unix"},"message":["{body}"]`, "unsigned-time", true, "outside the signed bytes"},
		{"UnsignedTimeAccepted", frame + `,"unsigned_time":"accepted-risk","time":{"from":"header:X-Time","format":"unix"},"message":["{body}"]`, "unsigned-time", false, "does not count"},
		{"OneOfTwoTimes", frame + `,"time":{"from":"header:X-Time","format":"unix","or":[{"from":"header:X-Other","format":"unix"}]},"message":["{header:x-time}.{header:x-other}.{body}"]`, "replay", false, ""},
		{"OptionalTime", frame + `,"time":{"from":"header:X-Time","format":"unix","optional":true},"message":["{time}.{body}"]`, "replay", false, "for ever"},
		{"FieldBeforeAHash", frame + `,"message":["{path}",{"group":["{body}"],"then":["sha256"]}]`, "borders", false, ""},
		{"FieldAfterAHash", frame + `,"message":["{path}",{"group":["{body}"],"then":["sha256"]},"{query}"]`, "borders", false, "path has no sure end"},
		{"FieldsInsideAHash", frame + `,"message":[{"group":["{path}{body}"],"then":["sha256"]}]`, "borders", false, "path has no sure end"},
		{"FieldAfterAGroup", frame + `,"message":[{"group":["{path}"]},"{body}"]`, "borders", false, "path has no sure end"},
		{"LastFieldOfAGroup", frame + `,"message":["{path}\n",{"group":["{body}"]}]`, "borders", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := define(t, tt.members)
			if err != nil {
				t.Fatal(err)
			}
			findings, err := d.Lint(nil)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, f := range findings {
				if f.Rule != tt.rule {
					continue
				}
				found = true
				if tt.text == "" || !strings.Contains(f.Text, tt.text) || f.Fatal != tt.fatal {
					t.Errorf("got %+v, want the text %q, fatal %v", f, tt.text, tt.fatal)
				}
			}
			if !found && tt.text != "" {
				t.Errorf("got %+v, want one of the rule %s", findings, tt.rule)
			}
			if _, err := d.New(nil); (err != nil) != tt.fatal {
				t.Errorf("loading gives %v, want an error: %v", err, tt.fatal)
			}
		})
	}
}

// TestA29_ShortSecrets looks at the secrets of known answers only: how long a
// real one is shows when it is stored.
func TestA29_ShortSecrets(t *testing.T) {
	for secret, want := range map[string]int{"": 1, "0123456789abcde": 1, "0123456789abcdef": 0} {
		data := fmt.Appendf(nil, `{"id":"test","tier":"unverified","direction":"webhook","source":"s","doc":"d","kat":[{"secret":%q,"request":{"method":"POST","url":"https://a/"}}],%s}`,
			secret, frame+`,"message":["{method}\n{host}\n{target}\n{body}"]`)
		d, err := scheme.Parse(data, nil)
		if err != nil {
			t.Fatal(err)
		}
		findings, err := d.Lint(nil)
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, f := range findings {
			if f.Attack == "A29" {
				got++
			}
		}
		if got != want {
			t.Errorf("secret of %d bytes: %d findings, want %d", len(secret), got, want)
		}
	}
}

// TestFindingsExplain checks that every finding of a bad scheme says which
// attack it allows and how to mend it, and that fatal ones come first.
func TestFindingsExplain(t *testing.T) {
	d, err := define(t, `"algorithm":"hmac-sha1","key":{"encoding":"utf8"},"tag":{"from":"header:X","encoding":"hex-any","size":"16"},
		"key_id":{"from":"header:X-Key"},"nonce":{"from":"tag","keep":"1s"},
		"time":{"from":"header:X-Time","also":["header:Date"],"format":"unix"},"message":["{header:x-id}{query:a}{secret}"]`)
	if err != nil {
		t.Fatal(err)
	}
	findings, err := d.Lint(nil)
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]bool{}
	for i, f := range findings {
		rules[f.Rule] = true
		if f.Text == "" || f.Weakness() == "" || f.Mend() == "" {
			t.Errorf("%+v: attack %q, mend %q", f, f.Weakness(), f.Mend())
		}
		if f.Fatal && i > 0 && !findings[i-1].Fatal {
			t.Errorf("fatal finding %+v comes after one that is not", f)
		}
	}
	for _, rule := range []string{"unsigned-time", "clocks", "coverage", "borders", "algorithm", "truncated", "lenient", "secret"} {
		if !rules[rule] {
			t.Errorf("got %+v, want one of the rule %s", findings, rule)
		}
	}
}

// TestWeakness compares the words of the findings with the list of attack
// classes.
func TestWeakness(t *testing.T) {
	page, err := os.ReadFile("../docs/design/attacks.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (A\d\d) \| ([^|]+) \|`).FindAllStringSubmatch(string(page), -1)
	if len(rows) < 30 {
		t.Fatalf("got %d classes in attacks.md", len(rows))
	}
	for _, row := range rows {
		f := scheme.Finding{Attack: row[1]}
		if got := f.Weakness(); got != "" && got != row[2] {
			t.Errorf("%s is %q, want %q as in attacks.md", row[1], got, row[2])
		}
	}
}
