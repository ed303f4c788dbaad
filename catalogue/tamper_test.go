package catalogue_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/scheme"
)

// TestA15_TamperedParts changes every byte of every part of every valid vector
// in turn, then pairs of changes, such as another content type and another
// body. The changed message must be refused, or its verdict must not claim that
// what was changed is covered.
func TestA15_TamperedParts(t *testing.T) {
	files, err := filepath.Glob("vectors/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		for _, v := range readVectors(t, file) {
			if v.Expect == "valid" {
				t.Run(v.ID, func(t *testing.T) { tamper(t, &v) })
			}
		}
	}
}

func tamper(t *testing.T, v *scheme.Vector) {
	s, err := catalogue.New(v.Preset, v.Params)
	if err != nil {
		t.Fatal(err)
	}
	m, err := v.Message()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := v.Ring()
	if err != nil {
		t.Fatal(err)
	}
	verifier := sealwright.Verifier{Scheme: s, Ring: ring}
	sound, err := verifier.Verify(m, v.Time())
	if err != nil {
		t.Fatal(err)
	}
	try := func(name string, changed sealwright.Message) {
		verdict, err := verifier.Verify(changed, v.Time())
		if err != nil {
			return
		}
		for _, part := range claimed(&m, &changed, &verdict, &sound) {
			if !sameMeaning(v.Preset, part, &m, &changed) {
				t.Errorf("%s: %s was changed and is claimed: %+v", name, part, verdict.Covers)
			}
		}
	}
	for name, changed := range byteChanges(m) {
		try(name, changed)
	}
	frames := frameChanges(m)
	for frame, base := range frames {
		try(frame, base)
		for name, changed := range partChanges(base) {
			try(frame+", "+name, changed)
		}
	}
}

// claimed returns the parts in which the messages differ although the verdict
// on the changed one claims them.
func claimed(m, changed *sealwright.Message, verdict, sound *sealwright.Verdict) []string {
	c := verdict.Covers
	var out []string
	for _, p := range []struct {
		name   string
		claims bool
		same   bool
	}{
		{"method", c.Method, m.Method == changed.Method}, {"path", c.Path, m.Path() == changed.Path()},
		{"query", c.Query, m.Query() == changed.Query()}, {"host", c.Host, m.Host == changed.Host},
		{"body", c.Body, bytes.Equal(m.Body, changed.Body)}, {"time", c.Time, verdict.At.Equal(sound.At) && verdict.Expires.Equal(sound.Expires)},
		{"key ID", c.KeyID, verdict.KeyID == sound.KeyID}, {"nonce", true, canon.TrimOWS(verdict.Nonce) == canon.TrimOWS(sound.Nonce)}, // HTTP takes blanks away
	} {
		if p.claims && !p.same {
			out = append(out, p.name)
		}
	}
	for _, h := range c.Headers {
		if h != "Host" && !slices.Equal(m.Header[h], changed.Header[h]) {
			out = append(out, "header "+h)
		}
	}
	return out
}

// byteChanges returns m with each byte of each part flipped, dropped, doubled.
func byteChanges(m sealwright.Message) map[string]sealwright.Message {
	out := map[string]sealwright.Message{}
	each := func(part, text string, set func(*sealwright.Message, string)) {
		for i := range len(text) {
			flipped := []byte(text)
			flipped[i] ^= 1
			cased := []byte(text)
			cased[i] ^= 0x20
			for how, next := range map[string]string{
				"flipped": string(flipped), "in another case": string(cased), "dropped": text[:i] + text[i+1:],
				"doubled": text[:i] + text[i:i+1] + text[i:], "escaped": text[:i] + fmt.Sprintf("%%%02X", text[i]) + text[i+1:],
				"behind a blank": text[:i] + " " + text[i:], "behind a null": text[:i] + "\x00" + text[i:],
			} {
				c := m
				set(&c, next)
				out[fmt.Sprintf("byte %d of %s %s", i, part, how)] = c
			}
		}
	}
	each("method", m.Method, func(c *sealwright.Message, s string) { c.Method = s })
	each("host", m.Host, func(c *sealwright.Message, s string) { c.Host = s })
	each("target", m.Target, func(c *sealwright.Message, s string) { c.Target = s })
	each("body", string(m.Body), func(c *sealwright.Message, s string) { c.Body = []byte(s) })
	for name, values := range m.Header {
		for i := range values {
			each("header "+name, values[i], func(c *sealwright.Message, s string) {
				c.Header = maps.Clone(m.Header)
				c.Header[name] = slices.Clone(values)
				c.Header[name][i] = s
			})
		}
	}
	return out
}

// frameChanges returns m with changes that could make a check or a segment
// disappear.
func frameChanges(m sealwright.Message) map[string]sealwright.Message {
	out := map[string]sealwright.Message{"nothing": m}
	header := func(name, header string, values ...string) {
		c := with(m, header, values...)
		out[name] = c
	}
	for _, ct := range []string{
		"application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-16", "application/json", "text/plain",
		"multipart/form-data; boundary=x", "application/xml", "application/octet-stream", "",
	} {
		header("content type "+ct, "Content-Type", ct)
	}
	header("two content types", "Content-Type", "application/json", "application/x-www-form-urlencoded")
	header("content coding", "Content-Encoding", "gzip")
	for name, values := range m.Header {
		header("without "+name, name)
		header("empty "+name, name, "")
		header("double "+name, name, append(slices.Clone(values), values...)...)
	}
	for _, method := range []string{"GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "get", ""} {
		c := m
		c.Method = method
		out["method "+method] = c
	}
	return out
}

// partChanges returns m with one part changed as a whole.
func partChanges(m sealwright.Message) map[string]sealwright.Message {
	out := map[string]sealwright.Message{}
	body := string(m.Body)
	for _, b := range []string{
		"", "x", "a=b", "{}", "null", body + "x", body + "&a=b", body + "\n", body + ";a=b", " " + body, "\ufeff" + body,
		"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n", "<a><b>c</b></a>", "a=b\n", strings.Replace(body, "</", "<empty></empty></", 1), strings.Replace(body, "</xml>", "<empty></empty></xml>", 1),
		strings.Replace(body, "{", `{"a":1,`, 1), strings.Replace(body, "{", `{"A":1,`, 1),
	} {
		c := m
		c.Body = []byte(b)
		out[fmt.Sprintf("body %.40q", b)] = c
	}
	for _, target := range []string{
		"/", "", "/x", m.Target + "x", m.Target + "?", m.Target + "?a=b", m.Target + "&a=b", m.Target + "&", m.Target + "&a", m.Target + "#x", m.Target + "/", "/" + m.Target,
		m.Path(), m.Path() + "?", m.Path() + "?a=b&" + m.Query(), m.Path() + "?&" + m.Query(), "http://evil.example" + m.Target,
	} {
		c := m
		c.Target = target
		out["target "+target] = c
	}
	for _, host := range []string{"", "evil.example", m.Host + ":443", m.Host + ":80", m.Host + ":8443", m.Host + ".", strings.ToUpper(m.Host)} {
		c := m
		c.Host = host
		out["host "+host] = c
	}
	return out
}

// moving are the presets that sign parameters without separators, so that bytes
// can move between names and values. They warn of it.
var moving = []string{"mandrill", "plivo-v1", "plivo-v3", "twilio"}

// folded are the presets that sign a header, or names of parameters, in lower
// case.
var folded = []string{"acquia-http-hmac", "azure-cosmosdb", "azure-storage-sharedkey", "pusher-api", "tencent-tc3"}

// sameMeaning reports whether a part that is claimed may differ, since the
// scheme signs a canonical form of it that both have.
func sameMeaning(preset, part string, m, changed *sealwright.Message) bool {
	same := func(f func(*sealwright.Message) string) bool {
		a, b := f(m), f(changed)
		return a == b || slices.Contains(folded, preset) && strings.EqualFold(a, b)
	}
	if name, ok := strings.CutPrefix(part, "header "); ok {
		return same(func(m *sealwright.Message) string { return fieldValue(m, name) }) ||
			preset == "azure-storage-sharedkey" && name == "Content-Length" && fieldValue(changed, name) == "" // then that of the body counts
	}
	switch part {
	case "method":
		return strings.EqualFold(m.Method, changed.Method) ||
			preset == "swift-tempurl" && m.Method == "HEAD" // with the signature of the method that it stands for
	case "host":
		return same(authority) || preset == "twilio" && withoutPort(m.Host) == withoutPort(changed.Host) // which signs with the port or without
	case "path":
		return same(func(m *sealwright.Message) string { return plainPath(m.Path()) })
	case "query":
		return same(func(m *sealwright.Message) string { return sortedFields(preset, m.Query()) })
	case "body":
		return same(func(m *sealwright.Message) string { return content(preset, m) })
	}
	return false
}

// content returns what the body says to who reads it as the preset does.
func content(preset string, m *sealwright.Message) string {
	switch {
	case preset == "airship" && len(m.Header["Content-Encoding"]) > 0: // signs what was compressed
		if z, err := gzip.NewReader(bytes.NewReader(m.Body)); err == nil {
			if b, err := io.ReadAll(z); err == nil {
				return string(b)
			}
		}
	case preset == "wechat-pay-v2":
		if list, err := canon.XMLFields(m.Body); err == nil {
			return fmt.Sprint(list)
		}
	case preset == "yubico-otp":
		if list, err := canon.LineFields(m.Body); err == nil {
			return fmt.Sprint(list)
		}
	case preset == "binance", strings.Contains(fieldValue(m, "Content-Type"), "form"):
		return sortedFields(preset, string(m.Body))
	}
	return string(m.Body)
}

// fieldValue returns a header with blanks folded; an empty one is like none,
// and a length of 0 too.
func fieldValue(m *sealwright.Message, name string) string {
	var all []string
	for _, v := range m.Header[name] {
		all = append(all, string(canon.AppendFolded(nil, v)))
	}
	text := strings.Join(all, ",")
	if name == "Content-Length" && text == "0" {
		return ""
	}
	return text
}

func authority(m *sealwright.Message) string {
	return canon.TrimOWS(canon.Authority(m.Host, m.URLScheme()))
}

func withoutPort(host string) string {
	name, _, _ := strings.Cut(host, ":")
	return name
}

// plainPath returns the path decoded and without dot segments and repeated
// slashes.
func plainPath(p string) string { return path.Clean("/" + unescaped(p)) }

// unescaped decodes what is an escape and leaves what is none.
func unescaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if i+2 < len(s) {
			if c, err := canon.Unescape(s[i:i+3], true); err == nil && s[i] == '%' {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// sortedFields returns the decoded fields of a query or form in an order that
// is no matter of the message's, each with its border unless those can move.
func sortedFields(preset, raw string) string {
	border := "\x00"
	if slices.Contains(moving, preset) {
		border = ""
	}
	var all []string
	for _, f := range canon.AppendFields(nil, raw) {
		field := unescaped(f.Name) + border + unescaped(f.Value)
		if slices.Contains(folded, preset) {
			field = strings.ToLower(field)
		}
		all = append(all, field)
	}
	slices.Sort(all)
	return strings.Join(all, border+border)
}
