package doctor

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/maphash"
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
	danger bool   // the result does not protect the body
	body   []byte // for changes of the body
}

// maxInflated bounds what is unpacked from a compressed body.
const maxInflated = 4 << 20

// bodies returns bodies that may have been signed instead of body, smallest
// change first. Together they hold at most room bytes.
func bodies(body []byte, contentType string, room int) []change {
	b := &bodyList{seen: body, room: room, seed: maphash.MakeSeed(), known: map[uint64]bool{}}
	b.known[maphash.Bytes(b.seed, body)] = true
	b.ends()
	b.empty(contentType)
	b.lines()
	b.charsets()
	b.packed()
	text := bytes.TrimPrefix(body, []byte("\ufeff"))
	if doc, err := parseJSON(text); err == nil {
		b.seen = text
		b.json(doc)
		b.seen = body
	}
	b.form(contentType)
	slices.SortStableFunc(b.list, func(x, y change) int { return x.weight - y.weight })
	return b.list
}

type bodyList struct {
	seen  []byte
	room  int // bytes that may still be kept
	seed  maphash.Seed
	known map[uint64]bool
	list  []change
}

func (b *bodyList) add(weight int, cause, text string, body []byte) {
	b.append(change{cause: cause, text: text, weight: weight, body: body, danger: len(body) == 0 || cause == "body.partial"})
}

func (b *bodyList) append(c change) {
	h := maphash.Bytes(b.seed, c.body)
	if b.known[h] || b.room < len(c.body) {
		return
	}
	b.known[h] = true
	b.room -= len(c.body)
	b.list = append(b.list, c)
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
	b.add(3, "body.trailing_newline", "signed a line feed before the body", append([]byte("\n"), s...))
	b.add(3, "body.trailing_newline", "signed CR LF before the body", append([]byte("\r\n"), s...))
	b.add(2, "body.trailing_newline", "signed the body without one of the line feeds at its end", bytes.TrimSuffix(s, []byte("\n")))
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
	b.append(change{cause: cause, text: text, weight: 3, danger: true, body: []byte{}})
	for _, constant := range []string{"{}", "null", "undefined", "[]", `""`, "None", "nil", "false", "{ }", "<nil>", "map[]"} {
		b.append(change{cause: "body.empty_or_consumed", text: "signed the constant " + constant + " instead of the body", weight: 6, danger: true, body: []byte(constant)})
	}
	for _, constant := range []string{"[object Object]", "Array", "[object Promise]", "[object ReadableStream]", "[object Buffer]", "[object Uint8Array]"} {
		b.append(change{cause: "body.str_repr", text: "signed the constant " + constant + " instead of the body", weight: 6, danger: true, body: []byte(constant)})
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
	b.add(5, "body.charset", "signed UTF-16 (little endian)", utf16Bytes(b.seen, false))
	b.add(5, "body.charset", "signed UTF-16 (big endian)", utf16Bytes(b.seen, true))
	b.add(6, "body.charset", "signed UTF-16 with a byte order mark", slices.Concat([]byte("\xff\xfe"), utf16Bytes(b.seen, false)))
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
	b.add(4, "body.charset", "signed text that takes the bytes for Windows-1252", fromWindows1252(b.seen))
	b.add(5, "body.charset", "signed text that takes the bytes for Latin-9", bytes.ReplaceAll(fromLatin1(b.seen), []byte("\u00a4"), []byte("€")))
	if utf8.Valid(b.seen) {
		b.lost()
		b.add(5, "body.charset", "signed composed characters (NFC)", []byte(composer(false).Replace(string(b.seen))))
		b.add(5, "body.charset", "signed decomposed characters (NFD)", []byte(composer(true).Replace(string(b.seen))))
	}
}

// lost covers conversions that lose characters: what was signed can be computed
// from what arrived, not the other way round.
func (b *bodyList) lost() {
	perUnit := func(f func(dst []byte, u uint16, second bool) []byte) []byte {
		var out []byte
		for _, u := range utf16.Encode([]rune(string(b.seen))) {
			out = f(out, u, u >= 0xdc00 && u < 0xe000)
		}
		return out
	}
	question := func(pairs bool) []byte {
		return perUnit(func(dst []byte, u uint16, second bool) []byte {
			switch {
			case u < 0x80:
				return append(dst, byte(u))
			case second && !pairs:
				return dst
			}
			return append(dst, '?')
		})
	}
	b.add(5, "body.charset", "signed question marks in place of other than ASCII characters", question(false))
	b.add(6, "body.charset", "signed question marks in place of other than ASCII characters", question(true))
	b.add(5, "body.charset", "signed the lower bytes of the characters, as Node.js does for binary strings",
		perUnit(func(dst []byte, u uint16, _ bool) []byte { return append(dst, byte(u)) }))
	b.add(6, "body.charset", "signed the body without other than ASCII characters", perUnit(func(dst []byte, u uint16, _ bool) []byte {
		if u < 0x80 {
			dst = append(dst, byte(u))
		}
		return dst
	}))
	b.add(6, "body.charset", "signed surrogates as characters of three bytes (CESU-8)", perUnit(func(dst []byte, u uint16, _ bool) []byte {
		if u >= 0xd800 && u < 0xe000 {
			return append(dst, 0xe0|byte(u>>12), 0x80|byte(u>>6)&0x3f|0x80, 0x80|byte(u)&0x3f)
		}
		return utf8.AppendRune(dst, rune(u))
	}))
}

// marks are the letters of European languages that Unicode has in two forms: as
// one character, and as a letter with a combining mark.
var marks = []struct{ mark, letters, composed string }{
	{"\u0300", "AEIOUaeiouNn", "ÀÈÌÒÙàèìòùǸǹ"},
	{"\u0301", "AEIOUYaeiouyCcNnSsZzLlRr", "ÁÉÍÓÚÝáéíóúýĆćŃńŚśŹźĹĺŔŕ"},
	{"\u0302", "AEIOUaeiouCcGgHhJjSsWwYy", "ÂÊÎÔÛâêîôûĈĉĜĝĤĥĴĵŜŝŴŵŶŷ"},
	{"\u0303", "ANOanoIiUu", "ÃÑÕãñõĨĩŨũ"},
	{"\u0304", "AaEeIiOoUu", "ĀāĒēĪīŌōŪū"},
	{"\u0306", "AaGgUu", "ĂăĞğŬŭ"},
	{"\u0307", "ZzIEeCcGg", "ŻżİĖėĊċĠġ"},
	{"\u0308", "AEIOUaeiouYy", "ÄËÏÖÜäëïöüŸÿ"},
	{"\u030a", "AaUu", "ÅåŮů"},
	{"\u030b", "OoUu", "ŐőŰű"},
	{"\u030c", "CcSsZzEeRrNnDdTt", "ČčŠšŽžĚěŘřŇňĎďŤť"},
	{"\u0327", "CcSsTt", "ÇçŞşŢţ"},
	{"\u0328", "AaEe", "ĄąĘę"},
}

// composer returns what takes characters apart, or puts them together.
func composer(apart bool) *strings.Replacer {
	var pairs []string
	for _, m := range marks {
		for i, c := range []rune(m.composed) {
			one, two := string(c), m.letters[i:i+1]+m.mark
			if apart {
				pairs = append(pairs, one, two)
			} else {
				pairs = append(pairs, two, one)
			}
		}
	}
	return strings.NewReplacer(pairs...)
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

func fromWindows1252(b []byte) []byte {
	var out []byte
	for _, c := range b {
		r := rune(c)
		if c >= 0x80 && c < 0xa0 {
			r = windows1252[c-0x80]
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// packed covers bodies that are still, or no longer, encoded.
func (b *bodyList) packed() {
	text := strings.Trim(strings.Join(strings.Fields(string(b.seen)), ""), `"`)
	for _, e := range base64Encodings {
		if raw, err := e.DecodeString(text); err == nil && len(raw) > 0 {
			b.add(3, "body.base64_wrapped", "signed the bytes that arrive as base64", raw)
		}
	}
	b.add(5, "body.base64_wrapped", "signed the base64 text of the body", []byte(base64.StdEncoding.EncodeToString(b.seen)))
	b.add(6, "body.base64_wrapped", "signed the base64 text of the body, in lines of 76", mime(b.seen))
	if raw, ok := inflate(b.seen); ok {
		b.add(3, "body.compressed", "signed the body before it was compressed", raw)
		if doc, err := parseJSON(raw); err == nil {
			b.add(6, "body.compressed", "signed the compact JSON before it was compressed", doc.print(style{}))
		}
	}
}

// maxCompressed bounds the bodies that are compressed again.
const maxCompressed = 1 << 14

// compressed returns the body as common programs compress it.
func compressed(body []byte) []change {
	var out []change
	for level := gzip.HuffmanOnly; level <= gzip.BestCompression && len(body) < maxCompressed; level++ {
		var z bytes.Buffer
		if w, err := gzip.NewWriterLevel(&z, level); err == nil {
			_, _ = w.Write(body)
			_ = w.Close()
			out = append(out, change{cause: "body.compressed", text: "signed the compressed body, which was unpacked on the way", weight: 8, body: z.Bytes()})
		}
	}
	return out
}

// mime returns base64 in lines of 76 characters, each with a line feed.
func mime(body []byte) []byte {
	var out []byte
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(body)), 76) {
		out = append(append(out, line...), '\n')
	}
	return out
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
	if doc, err := parseJSON(b.seen); err == nil {
		b.insideForm(text)
		b.flat(doc)
		return
	}
	media := canon.MediaType(contentType)
	if media != "application/x-www-form-urlencoded" && (!strings.Contains(text, "=") || strings.ContainsAny(text, " {\"\n")) {
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
	b.asJSON(fields)
	for i, f := range fields {
		if json.Valid([]byte(f.Value)) && strings.ContainsAny(f.Value[:1], "{[") {
			b.add(5, "body.form_content_type", "signed the JSON inside the form field "+f.Name, []byte(f.Value))
			b.add(6, "body.form_content_type", "signed the URL-encoded JSON of the form field "+f.Name, []byte(raw[i].Value))
		}
	}
	b.blanks(raw)
}

// insideForm covers JSON that arrived as a form field, of which a framework
// handed on the inner text.
func (b *bodyList) insideForm(text string) {
	for i, name := range []string{"payload", "data", "body", "json", "event", "message"} {
		for _, e := range encoders {
			b.add(6+min(i, 1), "body.form_content_type", "signed "+name+"= and the URL-encoded JSON", e.append([]byte(name+"="), text))
		}
	}
}

// flat covers senders that sign the members of an object as a form.
func (b *bodyList) flat(doc *node) {
	if doc.kind != '{' || len(doc.values) == 0 || len(doc.values) > maxParts {
		return
	}
	var fields []canon.Field
	for i, v := range doc.values {
		if v.kind == '{' || v.kind == '[' {
			return
		}
		fields = append(fields, canon.Field{Name: doc.names[i], Value: v.text})
	}
	for _, e := range encoders {
		b.add(7, "body.form_content_type", "signed the members of the JSON as a form", e.join(fields))
	}
}

// asJSON covers senders that sign the fields of a form as JSON.
func (b *bodyList) asJSON(fields []canon.Field) {
	doc := &node{kind: '{'}
	for _, f := range fields {
		doc.names, doc.values = append(doc.names, f.Name), append(doc.values, &node{kind: '"', text: f.Value})
	}
	for _, s := range partStyles {
		b.add(7, "body.form_content_type", "signed the fields of the form as JSON, "+s.who, doc.print(s.style))
	}
}

// blanks covers frameworks that trim the values of forms.
func (b *bodyList) blanks(raw []canon.Field) {
	try := func(i int, value string) {
		list := slices.Clone(raw)
		list[i].Value, list[i].NoValue = value, false
		b.add(4, "body.params_trimmed", "signed the field "+raw[i].Name+" with white space that was trimmed", joinFields(list))
	}
	for i := range raw {
		v := raw[i].Value
		for _, blank := range []string{"+", "%20", "%0A", "%0D%0A", "%09", "++", "%20%20"} {
			try(i, v+blank)
			try(i, blank+v)
			try(i, blank+v+blank)
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
	{who: "with + for blanks, and ~ and * escaped", keep: canon.NewSet("-._", true), plus: true},
	{who: "as encodeURIComponent does", keep: canon.URIComponent},
	{who: "with %20 for blanks and * kept", keep: canon.FormChars},
	{who: "with slashes and colons kept", keep: canon.NewSet("-._~/:", true), plus: true},
	{who: "with + for blanks and !*'() kept", keep: canon.URIComponent, plus: true},
	{who: "with %20 for blanks and ( and ) kept", keep: canon.NewSet("-._~()", true)},
	{who: "with + for blanks, and @ and / kept", keep: canon.NewSet("-._~@/", true), plus: true},
	{who: "with %20 for blanks, and / kept", keep: canon.NewSet("-._~/", true)},
	{who: "without escapes", raw: true},
}

// join writes a form.
func (e encoder) join(fields []canon.Field) []byte {
	var out []byte
	for i, f := range fields {
		if i > 0 {
			out = append(out, '&')
		}
		out = e.append(append(e.append(out, f.Name), '='), f.Value)
	}
	return out
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
				text := e.join(order.list)
				b.add(order.weight, "body.form_reencoded", "signed the form encoded "+e.who+order.text, text)
				bare := bytes.TrimSuffix(bytes.ReplaceAll(text, []byte("=&"), []byte("&")), []byte("="))
				b.add(order.weight+1, "body.form_reencoded", "signed the form encoded "+e.who+order.text+", without = behind empty fields", bare)
			}
		}
	}
}
