package doctor

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sealwright/sealwright/canon"
)

// change is one hypothesis about what was signed instead of what was seen.
type change struct {
	cause  string
	text   string // what the sender did, in words
	weight int    // smaller is tried, and believed, first
	danger bool   // the result authenticates nothing
	body   []byte // for changes of the body
}

// maxInflated bounds what is unpacked from a compressed body.
const maxInflated = 4 << 20

// bodies returns bodies that may have been signed instead of body, smallest
// change first.
func bodies(body []byte, contentType string) []change {
	b := &bodyList{seen: body, known: map[string]bool{string(body): true}}
	b.ends()
	b.empty(contentType)
	b.lines()
	b.charsets()
	b.packed()
	if doc, err := parseJSON(body); err == nil {
		b.json(doc)
	}
	b.form(contentType)
	slices.SortStableFunc(b.list, func(x, y change) int { return x.weight - y.weight })
	return b.list
}

type bodyList struct {
	seen  []byte
	known map[string]bool
	list  []change
}

func (b *bodyList) add(weight int, cause, text string, body []byte) {
	if b.known[string(body)] {
		return
	}
	b.known[string(body)] = true
	b.list = append(b.list, change{cause: cause, text: text, weight: weight, body: body})
}

func (b *bodyList) ends() {
	s := b.seen
	for _, end := range []string{"\n", "\r\n", "\r", "\n\n"} {
		b.add(1, "body.trailing_newline", "signed a line break at the end that did not arrive", append(bytes.Clone(s), end...))
	}
	b.add(1, "body.trailing_newline", "signed the body without the line break at its end", bytes.TrimSuffix(bytes.TrimSuffix(s, []byte("\n")), []byte("\r")))
	b.add(2, "body.trailing_newline", "signed the body without the line breaks at its end", bytes.TrimRight(s, "\r\n"))
	bom := []byte("\ufeff")
	b.add(1, "body.bom", "signed the body without the byte order mark", bytes.TrimPrefix(s, bom))
	b.add(1, "body.bom", "signed a byte order mark before the body", slices.Concat(bom, s))
	b.add(3, "body.newlines", "signed the body without white space at its ends", bytes.TrimSpace(s))
	b.add(4, "body.trailing_newline", "signed a blank at the end", append(bytes.Clone(s), ' '))
}

func (b *bodyList) empty(contentType string) {
	if len(b.seen) == 0 {
		return
	}
	cause, text := "body.empty_or_consumed", "signed an empty body"
	if strings.HasPrefix(canon.MediaType(contentType), "multipart/") {
		cause, text = "body.multipart", "signed an empty body instead of the multipart bytes"
	}
	b.list = append(b.list, change{cause: cause, text: text, weight: 3, danger: true, body: []byte{}})
	for _, constant := range []string{"{}", "[object Object]", "null", "undefined", "Array", "[]", `""`} {
		if string(b.seen) != constant {
			b.list = append(b.list, change{cause: "body.empty_or_consumed", text: "signed the constant " + constant + " instead of the body",
				weight: 9, danger: true, body: []byte(constant)})
		}
	}
}

func (b *bodyList) lines() {
	lf := bytes.ReplaceAll(b.seen, []byte("\r\n"), []byte("\n"))
	b.add(2, "body.newlines", "signed line feeds where CR LF arrived", lf)
	b.add(2, "body.newlines", "signed CR LF where line feeds arrived", bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n")))
	b.add(3, "body.newlines", "signed the body without its line breaks", bytes.ReplaceAll(lf, []byte("\n"), nil))
	b.add(4, "body.newlines", "signed carriage returns as line breaks", bytes.ReplaceAll(lf, []byte("\n"), []byte("\r")))
	b.add(4, "body.newlines", "signed blanks as line breaks", bytes.ReplaceAll(lf, []byte("\n"), []byte(" ")))
}

func (b *bodyList) charsets() {
	if plainASCII(b.seen) {
		return
	}
	if back, ok := toLatin1(b.seen); ok {
		b.add(3, "body.charset", "signed UTF-8 that was read as Latin-1 and written as UTF-8 again, or Latin-1", back)
		if again, ok := toLatin1(back); ok {
			b.add(5, "body.charset", "signed UTF-8 that was read as Latin-1 twice", again)
		}
	}
	if back, ok := toWindows1252(b.seen); ok {
		b.add(4, "body.charset", "signed UTF-8 that was read as Windows-1252, or Windows-1252", back)
	}
	b.add(4, "body.charset", "signed text that takes the bytes for Latin-1", fromLatin1(b.seen))
	if utf8.Valid(b.seen) {
		asked := strings.Map(func(r rune) rune {
			if r > 0x7f {
				return '?'
			}
			return r
		}, string(b.seen))
		b.add(5, "body.charset", "signed question marks in place of other than ASCII characters", []byte(asked))
	}
}

func plainASCII(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= 0x80 })
}

func toLatin1(b []byte) ([]byte, bool) {
	if !utf8.Valid(b) {
		return nil, false
	}
	out := make([]byte, 0, len(b))
	for _, r := range string(b) {
		if r > 0xff {
			return nil, false
		}
		out = append(out, byte(r))
	}
	return out, true
}

// utf16Bytes returns the UTF-16 text of UTF-8, big or little endian.
func utf16Bytes(b []byte, big bool) []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	if big {
		order = binary.BigEndian
	}
	var out []byte
	for _, u := range utf16.Encode([]rune(string(b))) {
		out = order.AppendUint16(out, u)
	}
	return out
}

func fromLatin1(b []byte) []byte {
	var out []byte
	for _, c := range b {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}

// windows1252 are the characters of the bytes 0x80 to 0x9f.
var windows1252 = [32]rune{
	0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d, 0x8f,
	0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178,
}

func toWindows1252(b []byte) ([]byte, bool) {
	if !utf8.Valid(b) {
		return nil, false
	}
	var out []byte
	for _, r := range string(b) {
		if i := slices.Index(windows1252[:], r); i >= 0 {
			out = append(out, byte(0x80+i))
		} else if r <= 0xff {
			out = append(out, byte(r))
		} else {
			return nil, false
		}
	}
	return out, true
}

// packed covers bodies that are still, or no longer, encoded.
func (b *bodyList) packed() {
	text := strings.TrimSpace(string(b.seen))
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		if raw, err := e.DecodeString(text); err == nil && len(raw) > 0 {
			b.add(3, "body.base64_wrapped", "signed the bytes that arrive as base64", raw)
		}
	}
	b.add(5, "body.base64_wrapped", "signed the base64 text of the body", []byte(base64.StdEncoding.EncodeToString(b.seen)))
	if raw, ok := inflate(b.seen); ok {
		b.add(3, "body.compressed", "signed the body before it was compressed", raw)
		if doc, err := parseJSON(raw); err == nil {
			b.add(6, "body.compressed", "signed the compact JSON before it was compressed", doc.print(style{}))
		}
	}
	for level := gzip.HuffmanOnly; level <= gzip.BestCompression; level++ {
		var z bytes.Buffer
		if w, err := gzip.NewWriterLevel(&z, level); err == nil && len(b.seen) < 1<<14 {
			_, _ = w.Write(b.seen)
			_ = w.Close()
			b.add(8, "body.compressed", "signed the compressed body, which was unpacked on the way", z.Bytes())
		}
	}
}

func inflate(body []byte) ([]byte, bool) {
	var readers []io.Reader
	if r, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
		readers = append(readers, r)
	}
	if r, err := zlib.NewReader(bytes.NewReader(body)); err == nil {
		readers = append(readers, r)
	}
	if !utf8.Valid(body) {
		readers = append(readers, flate.NewReader(bytes.NewReader(body)))
	}
	for _, r := range readers {
		if raw, err := io.ReadAll(io.LimitReader(r, maxInflated+1)); err == nil && len(raw) > 0 && len(raw) <= maxInflated {
			return raw, true
		}
	}
	return nil, false
}

// form covers bodies of forms, and JSON inside a form field.
func (b *bodyList) form(contentType string) {
	text := string(b.seen)
	media := canon.MediaType(contentType)
	if media != "application/x-www-form-urlencoded" && (!strings.Contains(text, "=") || strings.ContainsAny(text, " {\"\n")) {
		if json.Valid(b.seen) {
			b.add(6, "body.form_content_type", "signed payload= and the URL-encoded JSON", append([]byte("payload="), canon.AppendForm(nil, text)...))
		}
		return
	}
	raw := canon.AppendFields(nil, text)
	if len(raw) == 0 || len(raw) > 200 {
		return
	}
	var fields []canon.Field
	for _, f := range raw {
		d, err := f.Decode(true)
		if err != nil {
			return
		}
		fields = append(fields, d)
	}
	b.forms(fields)
	for i, f := range fields {
		if json.Valid([]byte(f.Value)) {
			b.add(5, "body.form_content_type", "signed the JSON inside the form field "+f.Name, []byte(f.Value))
			b.add(6, "body.form_content_type", "signed the URL-encoded JSON of the form field "+f.Name, []byte(raw[i].Value))
		}
	}
	for i := range raw {
		for _, blank := range []string{"+", "%20", "%0A", "%0D%0A", "%09"} {
			for _, value := range []string{raw[i].Value + blank, blank + raw[i].Value} {
				trimmed := slices.Clone(raw)
				trimmed[i].Value = value
				b.add(4, "body.params_trimmed", "signed the field "+raw[i].Name+" with white space that was trimmed", joinFields(trimmed))
			}
		}
	}
}

func joinFields(list []canon.Field) []byte {
	var out []byte
	for i, f := range list {
		if i > 0 {
			out = append(out, '&')
		}
		out = append(out, f.Name...)
		if !f.NoValue {
			out = append(append(out, '='), f.Value...)
		}
	}
	return out
}

// encoder writes one name or value of a form.
type encoder struct {
	who   string
	keep  canon.Set
	plus  bool // a blank is +
	lower bool // hex digits of escapes in lower case
	raw   bool // nothing is escaped
}

var encoders = []encoder{
	{who: "as browsers do", keep: canon.FormChars, plus: true},
	{who: "with %20 for blanks (RFC 3986)", keep: canon.Unreserved},
	{who: "with + for blanks, ~ kept and * escaped", keep: canon.Unreserved, plus: true},
	{who: "with + for blanks, and ~ and * kept", keep: canon.NewSet("*-._~", true), plus: true},
	{who: "as encodeURIComponent does", keep: canon.URIComponent},
	{who: "with %20 for blanks and * kept", keep: canon.FormChars},
	{who: "with slashes and colons kept", keep: canon.NewSet("-._~/:", true), plus: true},
	{who: "with + for blanks and !*'() kept", keep: canon.URIComponent, plus: true},
	{who: "without escapes", raw: true},
}

func (e encoder) append(dst []byte, s string) []byte {
	if e.raw {
		return append(dst, s...)
	}
	start := len(dst)
	if e.plus {
		for i, part := range strings.Split(s, " ") {
			if i > 0 {
				dst = append(dst, '+')
			}
			dst = canon.AppendPercent(dst, part, e.keep)
		}
	} else {
		dst = canon.AppendPercent(dst, s, e.keep)
	}
	if e.lower {
		lowerEscapes(dst[start:])
	}
	return dst
}

func lowerEscapes(b []byte) {
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
			i += 2
		}
	}
}

func (b *bodyList) forms(fields []canon.Field) {
	sorted := slices.Clone(fields)
	slices.SortStableFunc(sorted, func(x, y canon.Field) int { return strings.Compare(x.Name, y.Name) })
	filled := slices.DeleteFunc(slices.Clone(fields), func(f canon.Field) bool { return f.Value == "" })
	for _, order := range []struct {
		list   []canon.Field
		text   string
		weight int
	}{{fields, "", 3}, {sorted, ", sorted by name", 4}, {filled, ", without empty fields", 5}} {
		for _, e := range encoders {
			for _, lower := range []bool{false, true} {
				e.lower = lower
				var out []byte
				for i, f := range order.list {
					if i > 0 {
						out = append(out, '&')
					}
					out = append(e.append(out, f.Name), '=')
					out = e.append(out, f.Value)
				}
				b.add(order.weight, "body.form_reencoded", "signed the form encoded "+e.who+order.text, out)
			}
		}
	}
}
