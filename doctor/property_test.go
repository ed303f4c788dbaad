package doctor_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/doctor"
)

// TestForgeries tests that random signatures are never proven, whatever the
// scheme: the example of each preset is taken, and every long value in it that
// can be a signature is replaced. The bound is low, so that all presets take
// seconds: deep searches for forgeries are among the cases.
func TestForgeries(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	count := 0
	for _, id := range catalogue.Names() {
		d, err := catalogue.Definition(id)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Examples) == 0 {
			continue
		}
		example := d.Examples[0]
		m, err := example.Request.Message()
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		for name, values := range m.Header {
			for i, v := range values {
				m.Header[name][i] = scramble(random, v)
			}
		}
		m.Target, m.Body = scramble(random, m.Target), []byte(scramble(random, string(m.Body)))
		now := time.Unix(1785000000, 0)
		in := input("body-hex", testSecret, "POST", "https://a.test/", "")
		in.Definition, in.Params, in.Message, in.Now, in.MaxHypotheses = d, example.Params, m, now, 250
		got := doctor.Diagnose(context.Background(), in)
		if got.Verdict != doctor.Unknown && got.Verdict != doctor.Evidence {
			t.Errorf("%s: got %s %s of a forgery: %s", id, got.Verdict, got.Cause, got.Explanation)
		}
		count++
	}
	if count < 50 {
		t.Errorf("got %d schemes, want at least 50", count)
	}
}

// scramble replaces letters and digits of long runs, which are signatures or
// keys, by others of their kind.
func scramble(random *rand.Rand, s string) string {
	fields := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,;=\"&?:/", r) })
	for _, f := range fields {
		if len(f) < 20 {
			continue
		}
		out := []byte(f)
		for i, c := range out {
			switch {
			case c >= '0' && c <= '9':
				out[i] = '0' + byte(random.IntN(10))
			case c >= 'a' && c <= 'f':
				out[i] = 'a' + byte(random.IntN(6))
			case c >= 'g' && c <= 'z':
				out[i] = 'g' + byte(random.IntN(20))
			}
		}
		s = strings.Replace(s, f, string(out), 1)
	}
	return s
}

// TestBounds tests that a search ends where its bounds are.
func TestBounds(t *testing.T) {
	t.Run("Hypotheses", func(t *testing.T) {
		in := forged(`{"a":[1,2,3],"b":"x"}`)
		in.MaxHypotheses = 500
		if d := doctor.Diagnose(context.Background(), in); d.Hypotheses > 500+1000 || !strings.Contains(d.Explanation, "bound") {
			t.Errorf("got %d hypotheses and %q, want about 500 and a word about the bound", d.Hypotheses, d.Explanation)
		}
	})
	t.Run("Cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		d := doctor.Diagnose(ctx, forged(`{"a":[1,2,3],"b":"x"}`))
		if d.Verdict != doctor.Unknown || d.Hypotheses > 3000 || !strings.Contains(d.Explanation, "stopped") {
			t.Errorf("got %+v, want a search that was stopped", d)
		}
	})
	t.Run("Body", func(t *testing.T) {
		in := forged(repeat("x", 1000))
		in.MaxBody = 999
		if d := doctor.Diagnose(context.Background(), in); d.Verdict != doctor.Unknown || d.Hypotheses > 5 {
			t.Errorf("got %+v, want facts alone", d)
		}
	})
	t.Run("Memory", func(t *testing.T) {
		in := forged(`{"a":[` + repeat(`{"b":"c","d":[1,2]},`, 1000) + `{}]}`)
		in.MaxMemory = 1 << 20
		in.MaxHypotheses = 2000
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		doctor.Diagnose(context.Background(), in)
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 100<<20 {
			t.Errorf("the heap grew by %d bytes, want less than 100 MiB", grown)
		}
	})
	t.Run("NoSecret", func(t *testing.T) {
		in := forged("{}")
		in.Secrets = nil
		if d := doctor.Diagnose(context.Background(), in); d.Verdict != doctor.Unknown {
			t.Errorf("got %s, want unknown", d.Verdict)
		}
	})
}

// TestRepeatable tests that a diagnosis does not depend on the order of maps.
func TestRepeatable(t *testing.T) {
	in := signedBody(`{"b":1,"a":2}`, "{\n  \"a\": 2,\n  \"b\": 1\n}\n")
	in.Message.Header["X-Other"], in.Message.Header["X-Another"] = []string{"1"}, []string{"/x"}
	first, _ := json.Marshal(doctor.Diagnose(context.Background(), in))
	for range 10 {
		if again, _ := json.Marshal(doctor.Diagnose(context.Background(), in)); string(again) != string(first) {
			t.Fatalf("got %s, then %s", first, again)
		}
	}
}

// FuzzDiagnose looks for panics, and for causes that are proven of messages that
// nobody signed.
func FuzzDiagnose(f *testing.F) {
	f.Add(uint8(0), "POST", "/a?b=1&c", "application/json", `{"a":[1,"\u00e9"]}`, "sha256=00", "t=1,v1=00", "k")
	f.Add(uint8(3), "GET", "//x/..%2f?", "application/x-www-form-urlencoded", "a=%zz&b=+", "\x00", ",,,;;;", "")
	f.Add(uint8(9), "", "", "multipart/form-data", "\x1f\x8b\x08", "v1, v1,", "hmac a=\"", "whsec_!")
	ids := []string{"body-hex", "github", "stripe", "standard-webhooks", "slack", "square", "twilio", "canonical", "kong-hmac-auth", "binance", "shopify-oauth", "aws-sigv4", "rfc9421", "hawk", "oauth1"}
	f.Fuzz(func(t *testing.T, which uint8, method, target, contentType, body, one, two, key string) {
		if len(body)+len(target)+len(one)+len(two) > 4096 {
			return
		}
		in := input(ids[int(which)%len(ids)], key+"-nobody-signs-with-this", "POST", "https://a.test/", body, "Content-Type", contentType, "X-HMAC-Signature", one,
			"X-Hub-Signature-256", one, "Stripe-Signature", two, "Webhook-Signature", one, "Webhook-Id", two, "Webhook-Timestamp", testTime, "X-Slack-Signature", one,
			"X-Slack-Request-Timestamp", testTime, "X-Twilio-Signature", one, "X-Signature", one, "X-Timestamp", testTime, "Authorization", two, "Signature", one, "Signature-Input", two)
		in.Message.Method, in.Message.Target = method, target
		in.MaxHypotheses = 3000
		d := doctor.Diagnose(context.Background(), in)
		if (d.Verdict == doctor.Proven || d.Verdict == doctor.Time || d.Verdict == doctor.Fine) && !d.Danger {
			t.Errorf("got %s %s: %s", d.Verdict, d.Cause, d.Explanation)
		}
		if d.Hypotheses > in.MaxHypotheses+2000 {
			t.Errorf("got %d hypotheses, want at most %d", d.Hypotheses, in.MaxHypotheses)
		}
	})
}
