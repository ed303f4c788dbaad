package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxUnix is the last second of the year 9999, which RFC 3339 can still write.
const maxUnix = 253402300799

// parseInstant reads Unix seconds, with up to nine decimals, or RFC 3339.
// Empty means now.
func parseInstant(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	wrong := fmt.Errorf("--now: got %q, want Unix seconds such as 1767225600 or RFC 3339 such as 2026-01-01T00:00:00Z", text)
	seconds, decimals, dotted := strings.Cut(text, ".")
	if !digits(seconds) || (dotted && !digits(decimals)) || len(decimals) > 9 {
		return time.Time{}, wrong
	}
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || s > maxUnix {
		return time.Time{}, wrong
	}
	ns, err := strconv.ParseInt((decimals + "000000000")[:9], 10, 64)
	if err != nil {
		return time.Time{}, wrong
	}
	return time.Unix(s, ns).UTC(), nil
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
