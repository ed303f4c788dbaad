package sigv4

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Forms of the time.
const (
	formatBasic    = "iso-basic"    // 20060102T150405Z
	formatExtended = "iso-extended" // 2006-01-02T15:04:05Z
	formatUnix     = "unix"         // seconds
	formatHTTP     = "http-date"    // Mon, 02 Jan 2006 15:04:05 GMT, or iso-basic
)

const (
	layoutBasic    = "20060102T150405Z"
	layoutExtended = "2006-01-02T15:04:05Z"
	layoutHTTP     = "Mon, 02 Jan 2006 15:04:05 GMT"
)

// maxUnix is the last second of the year 9999.
const maxUnix = 253402300799

var (
	errExpires = fmt.Errorf("want 1 to %d seconds", int64(MaxExpires/time.Second))
	errDigits  = errors.New("want 1 to 12 digits")
)

// parseTime reads a time in exactly the declared form: digits without sign or
// blank, in UTC, of a date that exists, not before 1970, so never the zero
// time, which would stand for no time. The weekday of an HTTP date is not held
// against its date.
func parseTime(format, s string) (time.Time, error) {
	switch format {
	case formatUnix:
		n, err := digits(s)
		if err == nil && n > maxUnix {
			err = errDigits
		}
		return time.Unix(n, 0), err
	case formatHTTP:
		if len(s) == len(layoutHTTP) {
			t, err := time.Parse(layoutHTTP, s)
			if err != nil || t.Format(layoutHTTP)[3:] != s[3:] || t.Year() < 1970 {
				return t, errors.New("want the form " + layoutHTTP)
			}
			return t, nil
		}
		return parseISO(layoutBasic, s)
	case formatExtended:
		return parseISO(layoutExtended, s)
	}
	return parseISO(layoutBasic, s)
}

// parseISO reads one of the two ISO layouts; it is some thirty times as fast
// as package time.
func parseISO(layout, s string) (time.Time, error) {
	if len(s) != len(layout) {
		return time.Time{}, errors.New("want the form " + layout)
	}
	if layout == layoutExtended {
		if s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':' {
			return time.Time{}, errors.New("want the form " + layout)
		}
		s = s[:4] + s[5:7] + s[8:13] + s[14:16] + s[17:]
	}
	year, month, day := 100*pair2(s, 0)+pair2(s, 2), pair2(s, 4), pair2(s, 6)
	hour, minute, second := pair2(s, 9), pair2(s, 11), pair2(s, 13)
	if (year|month|day|hour|minute|second) < 0 || s[8] != 'T' || s[15] != 'Z' || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, errors.New("want the form " + layout)
	}
	if year < 1970 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return time.Time{}, errors.New("no such date since 1970")
	}
	return time.Unix(int64(daysSince1970(year, month, day)*86400+hour*3600+minute*60+second), 0).UTC(), nil
}

// pair2 returns the number that the two digits at i of s are, or a negative
// one, which stays negative when it is added to a hundredfold.
func pair2(s string, i int) int {
	hi, lo := s[i]-'0', s[i+1]-'0'
	if hi > 9 || lo > 9 {
		return -1 << 20
	}
	return int(hi)*10 + int(lo)
}

func isLeap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

// daysIn returns the length of a month.
func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if isLeap(year) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 counts the days from 1970-01-01 to a date of the Gregorian
// calendar. Years are taken to begin in March, so that a leap day is the last
// of its year and the months before it have the lengths 31, 30, 31, 30, 31
// over and over.
func daysSince1970(year, month, day int) int {
	if month -= 3; month < 0 {
		year, month = year-1, month+12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*month+2)/5 + day - 719469
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// digits reads 1 to 12 digits.
func digits(s string) (int64, error) {
	if s == "" || len(s) > 12 {
		return 0, errDigits
	}
	var n int64
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, errDigits
		}
		n = 10*n + int64(s[i]-'0')
	}
	return n, nil
}

// formatTime writes a time in the declared form.
func formatTime(format string, t time.Time) string {
	switch format {
	case formatUnix:
		return strconv.FormatInt(t.Unix(), 10)
	case formatHTTP:
		return t.UTC().Format(layoutHTTP)
	case formatExtended:
		return t.UTC().Format(layoutExtended)
	}
	return t.UTC().Format(layoutBasic)
}

// dateOf returns the date of t in UTC, in the form yyyymmdd or yyyy-mm-dd.
// text is t as the string to sign has it.
func dateOf(t time.Time, text, form string) string {
	switch {
	case form == "yyyy-mm-dd":
		return t.UTC().Format(time.DateOnly)
	case len(text) == len(layoutBasic):
		return text[:8]
	}
	return t.UTC().Format("20060102")
}
