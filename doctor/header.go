package doctor

import (
	"fmt"
	"maps"
	"regexp"
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
		for _, t := range otherTimes(m, text) {
			out = append(out, rewrite{cause: "msg.timestamp_format", text: "signed another time that the request carries", weight: 5, value: t})
		}
	}
	for _, name := range headerNames(m.Header) {
		values := m.Header[name]
		if len(values) != 1 || !probe.SignedHeader(m, r, name) {
			continue
		}
		list := headerValues(name, values[0])
		if name == "Content-Length" {
			list = append(list, recoding{"as long as the body is now", strconv.Itoa(len(m.Body))})
		}
		for _, v := range list {
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
		add(5, "as a float", text+".000")
		add(5, "as a float", text+".000000")
		add(5, "as a float", text+".0000000")
		add(4, "in exponent form", strconv.FormatFloat(float64(n), 'e', -1, 64))
		add(4, "in exponent form", strings.ToUpper(strconv.FormatFloat(float64(n), 'e', -1, 64)))
		add(4, "in exponent form", java(float64(n)))
		add(5, "in hex", strconv.FormatInt(n, 16))
		add(3, "in units a thousand times smaller", text+"000")
		add(4, "in units a million times smaller", text+"000000")
		add(4, "in units a thousand million times smaller", text+"000000000")
		for _, word := range []string{"", "None", "null", "undefined", "nil", "NaN", "0"} {
			add(5, "as "+quote(word), word)
		}
		if len(text) > 12 {
			add(3, "in seconds", text[:len(text)-3])
			add(3, "in seconds as a float", text[:len(text)-3]+".0")
			add(4, "in seconds, rounded up", strconv.FormatInt(n/1000+1, 10))
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
		for _, l := range []string{time.RFC3339, "2006-01-02T15:04:05.000Z07:00", "20060102T150405Z", "Mon, 02 Jan 2006 15:04:05 GMT", time.RFC1123, time.RFC1123Z, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "20060102150405"} {
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

// nearTimes are the times that a clock may have shown when it was read twice, or
// that have digits which were not sent.
func nearTimes(text string) []string {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return nil
	}
	var out []string
	if len(text) == 10 {
		for ms := range int64(1000) {
			out = append(out, strconv.FormatInt(n*1000+ms, 10))
		}
	}
	reach := int64(120)
	if len(text) >= 13 {
		reach = 1500
	}
	for d := int64(1); d <= reach; d++ {
		out = append(out, strconv.FormatInt(n-d, 10), strconv.FormatInt(n+d, 10))
	}
	for h := int64(1); h <= 28 && len(text) == 10; h++ {
		out = append(out, strconv.FormatInt(n-h*1800, 10), strconv.FormatInt(n+h*1800, 10))
	}
	return out
}

var unixTime = regexp.MustCompile(`1[0-9]{9}(?:[0-9]{3})?`)

// otherTimes are further times that the request carries.
func otherTimes(m *sealwright.Message, text string) []string {
	found := unixTime.FindAllString(string(m.Body[:min(len(m.Body), 1<<16)]), 20)
	for _, name := range headerNames(m.Header) {
		if n := strings.ToLower(name); strings.Contains(n, "time") || strings.Contains(n, "date") {
			found = append(found, m.Header[name]...)
		}
	}
	slices.Sort(found)
	return slices.DeleteFunc(slices.Compact(found), func(t string) bool { return t == text || len(t) > 64 })
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
