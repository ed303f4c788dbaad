package api_test

import (
	"math"
	"testing"
	"time"

	"github.com/sealwright/sealwright/api"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0d": 0, "90s": 90 * time.Second, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "2d1h30m": 49*time.Hour + 30*time.Minute,
		"-1h": -time.Hour, "500ms": 500 * time.Millisecond, "65535d": 65535 * 24 * time.Hour,
	} {
		if got, err := api.ParseDuration(text); got != want || err != nil {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "7", "d", "-1d", "+1d", "1.5d", "1d-1h", "1h1d", "1d2d", "65536d", "65535d2000000h", "7 d", "7D", "99999999999999h", "2 min",
	} {
		if got, err := api.ParseDuration(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "10ms": 10 * time.Millisecond, "30s": 30 * time.Second, "1m": time.Minute, "1m30s": 90 * time.Second, "10m": 10 * time.Minute,
		"1h": time.Hour, "10h": 10 * time.Hour, "1h30m": 90 * time.Minute, "1h0m1s": time.Hour + time.Second, "1d": 24 * time.Hour,
		"7d12h": 180 * time.Hour, "1d10m": 24*time.Hour + 10*time.Minute, "-1m0s": -time.Minute, "1d1ns": 24*time.Hour + 1,
		"106751d23h47m16.854775807s": math.MaxInt64,
	} {
		got := api.FormatDuration(d)
		if got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
	for _, d := range []time.Duration{0, time.Second, time.Minute, time.Hour, 1830 * 24 * time.Hour, 36*time.Hour + time.Millisecond} {
		if got, err := api.ParseDuration(api.FormatDuration(d)); got != d || err != nil {
			t.Errorf("%v: got back %v, %v", d, got, err)
		}
	}
}
