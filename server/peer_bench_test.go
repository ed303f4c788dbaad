package server_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// BenchmarkTransit sends the same messages of 1 KiB, one in a request or 100,
// to a server and to the transit engine of a running OpenBao or Vault, in turns
// of 2 seconds each. SEALWRIGHT_BENCH_TRANSIT is its URL with the path of the
// HMAC of a key, such as http://127.0.0.1:8200/v1/transit/hmac/k/sha2-256, and
// SEALWRIGHT_BENCH_TRANSIT_TOKEN a token for it. Whether policy and audit are on
// there is up to who started it; here the server is [guarded], and logs each
// request.
func BenchmarkTransit(b *testing.B) {
	at, err := url.Parse(os.Getenv("SEALWRIGHT_BENCH_TRANSIT"))
	if err != nil || at.Host == "" {
		b.Skip("needs a running transit engine, named by SEALWRIGHT_BENCH_TRANSIT")
	}
	ours, _, token := guarded(b)
	const json = "application/json"
	message := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("0123456789abcdef", 64)))
	for _, items := range []int{1, 100} {
		b.Run(fmt.Sprintf("items=%d", items), func(b *testing.B) {
			theirs, mine := `{"input":"`+message+`"}`, `{"message":"`+message+`"}`
			if items > 1 {
				theirs = `{"batch_input":[` + strings.TrimSuffix(strings.Repeat(theirs+",", items), ",") + `]}`
				mine = `{"items":[` + strings.TrimSuffix(strings.Repeat(mine+",", items), ",") + `]}`
			}
			x := newLoad(b, "http://"+at.Host, at.Path, json, os.Getenv("SEALWRIGHT_BENCH_TRANSIT_TOKEN"), theirs)
			y := newLoad(b, ours.url, "/v1/keys/a/sign", json, token, mine)
			var n [2]int
			var took [2]time.Duration
			for b.Loop() {
				for i, l := range []*load{x, y} {
					start := time.Now()
					for time.Since(start) < 2*time.Second {
						l.run(b, 10*connections)
						n[i] += 10 * connections
					}
					took[i] += time.Since(start)
				}
			}
			rate := func(i int) float64 { return float64(n[i]*items) / took[i].Seconds() }
			b.ReportMetric(rate(0), "transit-items/s")
			b.ReportMetric(rate(1), "items/s")
			b.ReportMetric(rate(1)/rate(0), "ratio")
		})
	}
}
