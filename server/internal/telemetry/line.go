package telemetry

import (
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sealwright/sealwright/api"
)

// line is one line of the log under construction, as the handlers of log/slog
// write it: JSON, or text with key=value.
type line struct {
	buf  []byte
	text bool
}

// begin starts a line with its time, level and message.
func (l *line) begin(now time.Time, level slog.Level, message string) {
	l.buf = l.buf[:0]
	if l.text {
		l.buf = append(l.buf, "time="...)
		l.buf = now.AppendFormat(l.buf, "2006-01-02T15:04:05.000Z07:00")
		l.buf = append(append(l.buf, " level="...), level.String()...)
		l.str("msg", message)
		return
	}
	l.buf = append(l.buf, `{"time":"`...)
	l.buf = now.AppendFormat(l.buf, "2006-01-02T15:04:05.000000Z07:00")
	l.buf = append(l.buf, `","level":"`...)
	l.buf = append(l.buf, level.String()...)
	l.buf = append(l.buf, '"')
	l.str("msg", message)
}

// name writes the name of the next attribute.
func (l *line) name(name string) {
	if l.text {
		l.buf = append(append(append(l.buf, ' '), name...), '=')
		return
	}
	l.buf = append(append(append(l.buf, `,"`...), name...), `":`...)
}

// str writes a text attribute, nothing for an empty text.
func (l *line) str(name, value string) {
	if value == "" {
		return
	}
	l.name(name)
	if l.text {
		l.buf = appendText(l.buf, value)
		return
	}
	l.buf = appendJSON(l.buf, value)
}

// num writes a number.
func (l *line) num(name string, value int64) {
	l.name(name)
	l.buf = strconv.AppendInt(l.buf, value, 10)
}

// metadata writes what the caller said about a message.
func (l *line) metadata(m *api.Metadata, labels bool) {
	l.str("environment", m.Environment)
	l.str("source", m.Source)
	l.str("target", m.Target)
	l.str("resource", m.Resource)
	l.str("classes", strings.Join(m.Classes, ","))
	if !labels {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m.Labels)) {
		l.str("labels", name+"="+m.Labels[name])
	}
}

// end completes the line.
func (l *line) end() {
	if !l.text {
		l.buf = append(l.buf, '}')
	}
	l.buf = append(l.buf, '\n')
}

// plain reports whether s needs neither quotes in text nor escapes in JSON.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ', c >= utf8.RuneSelf-1, c == '"', c == '\\', c == '=':
			return false
		}
	}
	return true
}

func appendText(dst []byte, s string) []byte {
	if plain(s) {
		return append(dst, s...)
	}
	return strconv.AppendQuote(dst, s)
}

// appendJSON appends s as a JSON string. Bytes that are not UTF-8 become the
// replacement character, and everything that could end or colour a line of a
// terminal is escaped.
func appendJSON(dst []byte, s string) []byte {
	dst = append(dst, '"')
	if plain(s) {
		return append(append(dst, s...), '"')
	}
	const digits = "0123456789abcdef"
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\u2028' || r == '\u2029':
			dst = append(dst, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
