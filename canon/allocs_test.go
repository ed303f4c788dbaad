//go:build !race

package canon_test

import (
	"bytes"
	"testing"

	"github.com/sealwright/sealwright/canon"
)

// TestAllocs: what runs for each message writes into memory that it is given.
func TestAllocs(t *testing.T) {
	raw := bytes.Repeat([]byte{0xfb}, 64)
	var dst [512]byte
	var fields [8]canon.Field
	body := []byte(`{"id": 1, "data": {"object": {"mac": "00:11", "list": [1, 2, {"x": true}]}}}`)
	check := func(name string, run func() bool) {
		t.Helper()
		if got := testing.AllocsPerRun(1000, func() {
			if !run() {
				t.Errorf("%s goes wrong", name)
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
	for _, e := range encodings {
		text := e.EncodeToString(raw)
		check("Append of "+e.String(), func() bool { return len(e.Append(dst[:0], raw)) == len(text) })
		check("Decode of "+e.String(), func() bool {
			n, err := e.Decode(dst[:], text)
			return n == len(raw) && err == nil
		})
	}
	check("AppendPercent", func() bool { return len(canon.AppendPercent(dst[:0], "a b/c", canon.PathChars)) == 7 })
	check("AppendForm", func() bool { return len(canon.AppendForm(dst[:0], "a b/c")) == 7 })
	check("AppendUnescaped", func() bool {
		b, err := canon.AppendUnescaped(dst[:0], "a%20b+c", true)
		return string(b) == "a b c" && err == nil
	})
	check("AppendFields", func() bool { return len(canon.AppendFields(fields[:0], "a=1&b=2&c")) == 3 })
	check("AppendFolded", func() bool { return len(canon.AppendFolded(dst[:0], " a  b ")) == 3 })
	check("AppendLower", func() bool { return len(canon.AppendLower(dst[:0], "Host")) == 4 })
	check("AppendUpper", func() bool { return len(canon.AppendUpper(dst[:0], "post")) == 4 })
	check("HeaderName", func() bool { return canon.HeaderName("X-Hub-Signature-256") == "X-Hub-Signature-256" })
	check("Authority", func() bool { return canon.Authority("example.com:443", "https") == "example.com" })
	check("MediaType", func() bool { return canon.MediaType("text/plain; charset=utf-8") == "text/plain" })
	check("Unescape of nothing", func() bool { s, err := canon.Unescape("plain", true); return s == "plain" && err == nil })
	for _, pointer := range []string{"", "/id", "/data/object/list/2/x"} {
		check("JSONValue at "+pointer, func() bool {
			_, _, found, err := canon.JSONValue(body, pointer)
			return found && err == nil
		})
	}
}
