package api

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// errDuration is the error of [ParseDuration].
var errDuration = errors.New("want a number with a unit, such as 30s, 15m, 72h or 30d")

// ParseDuration is [time.ParseDuration] that also takes days, of 24 hours, in
// front: 30d, 1d12h. The error says what a duration looks like.
func ParseDuration(text string) (time.Duration, error) {
	var days time.Duration
	if number, rest, found := strings.Cut(text, "d"); found {
		n, err := strconv.ParseUint(number, 10, 16) // 65,535 days fit into a Duration
		if err != nil {
			return 0, errDuration
		}
		if days = time.Duration(n) * day; rest == "" {
			return days, nil
		}
		text = rest
	}
	d, err := time.ParseDuration(text)
	if err != nil || days > 0 && d < 0 || days+d < d {
		return 0, errDuration
	}
	return days + d, nil
}

// FormatDuration returns d as people write it, in a form that [ParseDuration]
// reads: 7d, 1d12h, 1h30m.
func FormatDuration(d time.Duration) string {
	if d < 0 {
		return d.String()
	}
	text := ""
	if n := d / day; n > 0 {
		text, d = strconv.FormatInt(int64(n), 10)+"d", d%day
	}
	if d == 0 && text != "" {
		return text
	}
	rest := d.String()
	if strings.HasSuffix(rest, "m0s") {
		rest = strings.TrimSuffix(rest, "0s")
	}
	if strings.HasSuffix(rest, "h0m") {
		rest = strings.TrimSuffix(rest, "0m")
	}
	return text + rest
}
