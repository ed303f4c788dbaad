package scheme

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
)

// timeFormat reads and writes one declared form of an instant. Reading is
// strict: no sign, no blank, no exponent, no guessing of units.
type timeFormat struct {
	parse  func(string) (time.Time, error)
	format func(time.Time) string
	digits bool // the text holds digits only
	json   bool // written as a JSON number
}

var errTime = errors.New("not a time in the declared format")

// unixFormat counts units since 1970, unit of them in a second.
func unixFormat(unit int64) timeFormat {
	return timeFormat{
		parse: func(s string) (time.Time, error) {
			n, err := digits(s)
			if err != nil {
				return time.Time{}, err
			}
			sec, rest := n/unit, n%unit
			if sec > maxUnix {
				return time.Time{}, fmt.Errorf("%w: %s is beyond the year 9999", errTime, s)
			}
			return time.Unix(sec, rest*(int64(time.Second)/unit)), nil
		},
		format: func(t time.Time) string {
			return strconv.FormatInt(t.Unix()*unit+int64(t.Nanosecond())/(int64(time.Second)/unit), 10)
		},
		digits: true, json: true,
	}
}

// maxUnix is the last second of the year 9999.
const maxUnix = 253402300799

func digits(s string) (int64, error) {
	if s == "" || len(s) > 19 {
		return 0, fmt.Errorf("%w: want 1 to 19 digits, got %d characters", errTime, len(s))
	}
	var n int64
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, fmt.Errorf("%w: byte %d is no digit", errTime, i)
		}
		if n > (math.MaxInt64-int64(d))/10 {
			return 0, fmt.Errorf("%w: too large", errTime)
		}
		n = n*10 + int64(d)
	}
	return n, nil
}

// layoutFormat is a layout of package time that must be met to the letter.
func layoutFormat(layout string, zone *time.Location) timeFormat {
	return timeFormat{
		parse: func(s string) (time.Time, error) {
			t, err := time.ParseInLocation(layout, s, time.UTC)
			if err != nil {
				return time.Time{}, fmt.Errorf("%w: want the form %s", errTime, layout)
			}
			if t.Unix() < 0 { // the zero time would stand for no time at all
				return time.Time{}, fmt.Errorf("%w: %s is before 1970", errTime, s)
			}
			return t, nil
		},
		format: func(t time.Time) string { return t.In(zone).Format(layout) },
	}
}

// decimalUnix is Unix seconds with an optional fraction.
var decimalUnix = timeFormat{
	parse: func(s string) (time.Time, error) {
		whole, fraction, ok := strings.Cut(s, ".")
		n, err := digits(whole)
		if err != nil || n > maxUnix {
			return time.Time{}, fmt.Errorf("%w: want seconds", errTime)
		}
		if !ok {
			return time.Unix(n, 0), nil
		}
		if _, err := digits(fraction); err != nil || len(fraction) > 9 {
			return time.Time{}, fmt.Errorf("%w: want 1 to 9 decimals", errTime)
		}
		ns, err := digits(fraction + strings.Repeat("0", 9-len(fraction)))
		return time.Unix(n, ns), err
	},
	format: func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) },
	json:   true,
}

var gmt = time.FixedZone("GMT", 0)

// iso8601 has seconds, perhaps with a fraction, and a zone or none, which means
// UTC.
var iso8601 = timeFormat{
	parse: func(s string) (time.Time, error) {
		if t, err := layoutFormat(time.RFC3339, time.UTC).parse(s); err == nil {
			return t, nil
		}
		return layoutFormat("2006-01-02T15:04:05", time.UTC).parse(s)
	},
	format: func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}

// findTimeFormat returns the format with this name, or one that reads several,
// joined by |, and writes the first. No two of them may be numbers, which do
// not say what they count.
func findTimeFormat(name string) (timeFormat, error) {
	var all []timeFormat
	numbers := 0
	for one := range strings.SplitSeq(name, "|") {
		f, ok := timeFormats[one]
		if !ok {
			return timeFormat{}, fmt.Errorf("time: unknown format %q", one)
		}
		if f.json {
			numbers++
		}
		all = append(all, f)
	}
	if numbers > 1 {
		return timeFormat{}, fmt.Errorf("time: format %q: two of them are numbers", name)
	}
	if len(all) == 1 {
		return all[0], nil
	}
	parse := func(s string) (t time.Time, err error) {
		for _, f := range all {
			if t, err = f.parse(s); err == nil {
				return t, nil
			}
		}
		return t, fmt.Errorf("%w: want one of %s", errTime, name)
	}
	return timeFormat{parse: parse, format: all[0].format, json: all[0].json}, nil
}

var timeFormats = map[string]timeFormat{
	"unix":         unixFormat(1),
	"unix-ms":      unixFormat(1e3),
	"unix-us":      unixFormat(1e6),
	"unix-ns":      unixFormat(1e9),
	"unix-decimal": decimalUnix,
	"rfc3339":      layoutFormat(time.RFC3339Nano, time.UTC), // with or without a fraction
	"rfc3339-ms":   layoutFormat("2006-01-02T15:04:05.000Z07:00", time.UTC),
	"iso-seconds":  layoutFormat("2006-01-02T15:04:05", time.UTC), // no zone: UTC
	"iso-basic":    layoutFormat("20060102T150405Z", time.UTC),
	"edgegrid":     layoutFormat("20060102T15:04:05-0700", time.UTC),
	"iso8601":      iso8601,
	"http-date":    layoutFormat("Mon, 02 Jan 2006 15:04:05 GMT", gmt),
	"rfc2822":      layoutFormat("Mon, 02 Jan 2006 15:04:05 -0700", time.UTC),
}

// clock is a compiled [Time].
type clock struct {
	format       timeFormat
	past, future time.Duration
	expires      bool
	span         bool    // start;end
	window       *window // nil: the client has no choice
}

func (t *Time) compile() (clock, error) {
	f, err := findTimeFormat(t.Format)
	if err != nil {
		return clock{}, err
	}
	c := clock{format: f, expires: t.Kind == "expires", span: t.Kind == "span"}
	if t.Kind != "" && t.Kind != "issued" && !c.expires && !c.span {
		return clock{}, fmt.Errorf("time: unknown kind %q, want issued, expires or span", t.Kind)
	}
	if c.past, err = bound(t.Past, defaultWindow); err != nil {
		return clock{}, fmt.Errorf("time: past: %w", err)
	}
	future := defaultWindow
	if c.expires || c.span {
		future = defaultAhead
	}
	if c.future, err = bound(t.Future, future); err != nil {
		return clock{}, fmt.Errorf("time: future: %w", err)
	}
	if (c.expires || c.span) && c.future == 0 {
		return clock{}, errors.New("time: future: an expiry needs a bound above 0s")
	}
	return c, nil
}

// parse returns the instant that text says, and of a span its end.
func (c *clock) parse(text string) (at, end time.Time, err error) {
	if !c.span {
		at, err = c.format.parse(text)
		return at, at, err
	}
	from, to, _ := strings.Cut(text, ";")
	if at, err = c.format.parse(from); err != nil {
		return at, end, err
	}
	if end, err = c.format.parse(to); err == nil && end.Before(at) {
		err = fmt.Errorf("%w: the span ends before it begins", errTime)
	}
	return at, end, err
}

// text returns what a signer writes at now.
func (c *clock) text(now time.Time) string {
	switch {
	case c.expires:
		return c.format.format(now.Add(c.past))
	case c.span:
		return c.format.format(now) + ";" + c.format.format(now.Add(c.past))
	}
	return c.format.format(now)
}

// isFresh reports whether text is within the window at now.
func (c *clock) isFresh(text string, now time.Time) bool {
	at, end, err := c.parse(text)
	if err != nil {
		return false
	}
	age, ahead := now.Sub(at), at.Sub(now) // both saturate: neither is always the other's negative
	switch {
	case c.expires:
		return age <= 0 && ahead <= c.future
	case c.span:
		return !now.After(end) && ahead <= defaultWindow && end.Sub(at) <= c.future
	default:
		return age <= c.past && ahead <= c.future
	}
}

const (
	defaultWindow = 300 * time.Second
	defaultAhead  = 7 * 24 * time.Hour // of an expiry
)

// maxWindow bounds what a definition may allow.
const maxWindow = 31 * 24 * time.Hour

func bound(text string, otherwise time.Duration) (time.Duration, error) {
	if text == "" {
		return otherwise, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, err
	}
	if d < 0 || d > maxWindow {
		return 0, fmt.Errorf("got %v, want 0s to %v", d, maxWindow)
	}
	return d, nil
}

// window is a compiled [Window].
type window struct {
	source source
	unit   time.Duration
	max    time.Duration
}

func (b *builder) window(w *Window) (*window, error) {
	var out window
	var err error
	if out.source, err = b.source(w.From); err != nil {
		return nil, fmt.Errorf("time: window: %w", err)
	}
	switch w.Unit {
	case "ms":
		out.unit = time.Millisecond
	case "s":
		out.unit = time.Second
	default:
		return nil, fmt.Errorf("time: window: unit: got %q, want ms or s", w.Unit)
	}
	if out.max, err = bound(w.Max, 0); err != nil {
		return nil, fmt.Errorf("time: window: max: %w", err)
	}
	if out.max == 0 {
		return nil, errors.New("time: window: a client that may choose its window needs a max above 0s")
	}
	return &out, nil
}

// past returns the window that the message chose, never more than the maximum;
// without one it returns otherwise.
func (w *window) past(p *program, m *sealwright.Message, c *sealwright.Claim, otherwise time.Duration) (time.Duration, error) {
	text, ok, err := p.get(&w.source, m, c)
	if err != nil {
		return 0, err
	}
	if !ok || text == "" {
		return otherwise, nil
	}
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := digits(whole)
	if err == nil && fraction != "" {
		_, err = digits(fraction)
	}
	if err != nil || strings.HasSuffix(text, ".") {
		return 0, sealwright.Refusef(sealwright.ErrMalformed, "window in %s: want a number", p.place(w.source))
	}
	if n >= int64(w.max/w.unit) {
		return w.max, nil
	}
	return time.Duration(n) * w.unit, nil // a fraction of a unit is too short to matter
}
