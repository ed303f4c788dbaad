package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/scheme"
)

// rewrite is another value of a signed header, or of the signed time.
type rewrite struct {
	cause, text string
	weight      int
	header      string // canonical name; "" for the time
	value       string
}

// rewritten returns other values that may have been signed.
func rewritten(probe *scheme.Probe, m *sealwright.Message, r scheme.Reading) []rewrite {
	var out []rewrite
	if text, format := probe.Time(r); text != "" {
		out = append(out, times(text, format)...)
	}
	for _, name := range headerNames(m.Header) {
		values := m.Header[name]
		if len(values) != 1 || !probe.SignedHeader(m, r, name) {
			continue
		}
		for _, v := range headerValues(name, values[0]) {
			out = append(out, rewrite{cause: "msg.header_modified", text: "signed " + name + " " + v.what, weight: 4, header: name, value: v.text})
		}
	}
	return out
}

// headerValues are the usual things that proxies and clients do to a value.
func headerValues(name, value string) []recoding {
	var out []recoding
	add := func(what, v string) {
		if v != value {
			out = append(out, recoding{what, v})
		}
	}
	add("in lower case", strings.ToLower(value))
	add("in upper case", strings.ToUpper(value))
	add("without white space at its ends", canon.TrimOWS(value))
	add("with single blanks", string(canon.AppendFolded(nil, value)))
	add("with a blank after each comma", strings.ReplaceAll(strings.ReplaceAll(value, ", ", ","), ",", ", "))
	add("without blanks after commas", strings.ReplaceAll(value, ", ", ","))
	add("empty", "")
	if name == "Content-Type" {
		media, _, _ := strings.Cut(value, ";")
		add("without parameters", media)
		for _, p := range []string{"; charset=utf-8", "; charset=UTF-8", ";charset=utf-8", ";charset=UTF-8"} {
			add("with "+p, media+p)
		}
	}
	if t, err := time.Parse(time.RFC1123, value); err == nil {
		for _, l := range []string{time.RFC1123Z, time.RFC850, time.ANSIC, time.RFC3339, "Mon, 02 Jan 2006 15:04:05 UTC"} {
			add("in another date format", t.UTC().Format(l))
		}
		for d := -3; d <= 3; d++ {
			if d != 0 {
				add(fmt.Sprintf("of %d s later", d), t.Add(time.Duration(d)*time.Second).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
			}
		}
	}
	return out
}

// times are other ways to write the signed time.
func times(text, format string) []rewrite {
	var out []rewrite
	add := func(weight int, what, v string) {
		if v != text {
			out = append(out, rewrite{cause: "msg.timestamp_format", text: "signed the time " + what, weight: weight, value: v})
		}
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		add(3, "as a float", text+".0")
		add(4, "as a float", text+".00")
		add(4, "in exponent form", strconv.FormatFloat(float64(n), 'e', -1, 64))
		add(4, "in exponent form", strings.ToUpper(strconv.FormatFloat(float64(n), 'e', -1, 64)))
		add(3, "in units a thousand times smaller", text+"000")
		if len(text) > 12 {
			add(3, "in seconds", text[:len(text)-3])
			add(3, "in seconds with a fraction", text[:len(text)-3]+"."+text[len(text)-3:])
		}
		add(4, "in quotes", `"`+text+`"`)
		for d := int64(1); d <= 5; d++ {
			add(5, "of a clock that was read twice", strconv.FormatInt(n+d, 10))
			add(5, "of a clock that was read twice", strconv.FormatInt(n-d, 10))
		}
		at := time.Unix(n, 0)
		if len(text) > 12 {
			at = time.UnixMilli(n)
		}
		for _, l := range []string{time.RFC3339, "2006-01-02T15:04:05.000Z07:00", "20060102T150405Z", time.RFC1123, "2006-01-02 15:04:05"} {
			add(5, "in another form", at.UTC().Format(l))
		}
		return out
	}
	for _, layout := range []string{time.RFC3339Nano, "Mon, 02 Jan 2006 15:04:05 GMT", "20060102T150405Z"} {
		at, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		for _, l := range []string{time.RFC3339, time.RFC3339Nano, "2006-01-02T15:04:05.000Z07:00", "2006-01-02T15:04:05.000000Z07:00", "2006-01-02T15:04:05",
			"20060102T150405Z", time.RFC1123, time.RFC1123Z, "2006-01-02 15:04:05"} {
			add(4, "in another form", at.Format(l))
			add(4, "in another form", at.UTC().Format(l))
		}
		add(4, "as Unix seconds", strconv.FormatInt(at.Unix(), 10))
		add(4, "as Unix milliseconds", strconv.FormatInt(at.UnixMilli(), 10))
	}
	return out
}

// headerNames returns the names in a fixed order, so that a diagnosis is the same
// each time.
func headerNames(h map[string][]string) []string { return slices.Sorted(maps.Keys(h)) }

// withHeader returns m with its own copy of the headers.
func withHeader(m sealwright.Message) sealwright.Message {
	m.Header = maps.Clone(m.Header)
	if m.Header == nil {
		m.Header = map[string][]string{}
	}
	return m
}
