package doctor

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

// guess is one key that may have signed.
type guess struct {
	name    string       // of the secret
	decoded secret.Bytes // what the scheme's derivation starts from
	text    secret.Bytes // as it would be configured
	faults  []fault
	weight  int
	danger  bool // everybody knows the key

	made     bool // whether material and mac were made
	material secret.Bytes
	mac      *mac.Key // nil if there is none
}

// guesses returns the keys that the stored secrets may stand for, the
// configured one as it is first.
func guesses(list []Secret, probe *scheme.Probe) []guess {
	g := &guessList{probe: probe, spec: probe.Format().Key, configured: list[0], known: map[string]bool{}}
	for i, s := range list {
		var f fault
		if i > 0 {
			f = g.other(s)
		}
		g.decode(s, s.Bytes.Expose(), f, i)
	}
	g.common() // before the variants, one of which may be a word that everybody knows
	for i, s := range list {
		var f fault
		if i > 0 {
			f = g.other(s)
		}
		if len(bytes.TrimSpace(s.Bytes.Expose())) > 0 {
			g.variants(s, f, i)
		}
	}
	slices.SortStableFunc(g.list, func(a, b guess) int { return a.weight - b.weight })
	return g.list
}

type guessList struct {
	probe      *scheme.Probe
	spec       *scheme.Key
	configured Secret
	known      map[string]bool
	list       []guess
}

// other says what it means that another secret than the configured one signed.
func (g *guessList) other(s Secret) fault {
	c := g.configured
	name := quote(s.Name)
	switch {
	case damaged(c.Bytes.Expose(), s.Bytes.Expose()):
		return fault{"secret.mangled", "the configured secret is only what quotes, escapes or a cut left of the secret " + name}
	case s.Kind != "" && c.Kind != "" && s.Kind != c.Kind:
		return fault{"secret.wrong_kind", "the secret " + name + " signed, which is of the kind " + s.Kind + ", not " + c.Kind}
	case s.Env != "" && c.Env != "" && s.Env != c.Env:
		return fault{"secret.wrong_env", "the secret " + name + " of the environment " + s.Env + " signed, not one of " + c.Env}
	case s.Name == c.Name && s.Version != c.Version, sameFamily(s.Name, strings.TrimSuffix(c.Name, fmt.Sprintf(" v%d", c.Version))):
		return fault{"secret.stale_version", "another version of the secret signed: " + name}
	}
	return fault{"secret.wrong_endpoint", "the secret " + name + " signed, which belongs to another endpoint or app"}
}

// damaged reports whether text is what a file, a shell or a database may make of
// the whole secret.
func damaged(text, whole []byte) bool {
	text = bytes.TrimSpace(text)
	if len(text) >= 3 && len(text) < len(whole) && bytes.HasPrefix(whole, text) {
		return true
	}
	equal := func(f keyForm) bool { return len(text) >= 3 && bytes.Equal(f.bytes, text) }
	return slices.ContainsFunc(unmangled(whole), equal) || slices.ContainsFunc(unmangled(text), func(f keyForm) bool { return bytes.Equal(f.bytes, whole) })
}

// sameFamily reports whether a name says that it is a version of the other.
func sameFamily(name, of string) bool {
	n := strings.ToLower(name)
	for _, word := range []string{"previous", "old version", "last version", "rotated", "prior"} {
		if strings.Contains(n, word) {
			return true
		}
	}
	return of != "" && strings.HasPrefix(n, strings.ToLower(of)+" v")
}

func (g *guessList) add(s Secret, decoded, text []byte, weight int, danger bool, faults ...fault) {
	if len(decoded) == 0 {
		return
	}
	faults = joinFaults(faults...)
	key := string(decoded)
	if g.known[key] {
		return
	}
	g.known[key] = true
	g.list = append(g.list, guess{name: s.Name, decoded: secret.New(decoded), text: secret.New(text), faults: faults, weight: weight, danger: danger})
}

// decode adds the secret text as the scheme reads it.
func (g *guessList) decode(s Secret, text []byte, f fault, rank int) {
	if d, err := g.probe.Decode(secret.New(text)); err == nil {
		weight := 0
		if f.cause != "" {
			weight = 2 + min(rank, 3)
		}
		g.add(s, d.Expose(), text, weight, false, f)
	}
}

// keyForm is another text, or other bytes, that a secret may stand for.
type keyForm struct {
	bytes []byte
	what  string
}

// forms collects the forms of a text that differ from it.
type keyForms struct {
	text string
	list []keyForm
}

func (f *keyForms) add(text, what string) {
	if text != f.text && text != "" {
		f.list = append(f.list, keyForm{[]byte(text), what})
	}
}

// variants adds what the secret may look like on the other side.
func (g *guessList) variants(s Secret, other fault, rank int) {
	text := s.Bytes.Expose()
	base := 3
	if other.cause != "" {
		base = 6 + min(rank, 3)
	}
	as := func(t []byte, weight int, cause, what string) {
		if d, err := g.probe.Decode(secret.New(t)); err == nil {
			g.add(s, d.Expose(), t, base+weight, false, other, fault{cause, what})
		}
	}
	raw := func(d []byte, weight int, cause, what string) {
		g.add(s, d, text, base+weight, false, other, fault{cause, what})
	}
	for _, v := range spaced(text) {
		as(v.bytes, 0, "secret.whitespace", v.what)
	}
	stripped := bytes.TrimPrefix(text, []byte(g.spec.Strip))
	if g.spec.Encoding != "utf8" {
		raw(text, 1, "secret.encoding", "the secret was used as text, not decoded from "+g.spec.Encoding)
		raw(stripped, 2, "secret.encoding", "the secret behind its prefix was used as text, not decoded from "+g.spec.Encoding)
		for _, v := range spaced(text) {
			raw(v.bytes, 3, "secret.encoding", "the secret was used as text, with white space")
		}
	}
	for _, v := range decoded(stripped) {
		raw(v.bytes, 1, "secret.encoding", v.what)
	}
	if len(stripped) < len(text) {
		raw(looseBase64(text), 3, "secret.prefix", "the secret was decoded together with its prefix")
	}
	for _, v := range unprefixed(text) {
		as(v.bytes, 1, "secret.prefix", v.what)
		raw(v.bytes, 2, "secret.prefix", v.what+", and the rest used as text")
		for _, d := range decoded(v.bytes) {
			raw(d.bytes, 2, "secret.prefix", v.what+", and "+d.what)
		}
	}
	for _, v := range unmangled(text) {
		as(v.bytes, 2, "secret.mangled", v.what)
	}
	for _, v := range recodedKeys(text) {
		raw(v.bytes, 3, "secret.encoding", v.what)
	}
}

// invisible are the characters that stand at the ends of secrets and are not
// seen.
const invisible = " \t\r\n\u00a0\u200b\ufeff"

// spaced returns the text with other white space at its ends.
func spaced(text []byte) []keyForm {
	f := &keyForms{text: string(text)}
	s := f.text
	f.add(strings.TrimSpace(s), "the configured secret has white space at an end")
	f.add(strings.Trim(s, invisible), "the configured secret has invisible characters at an end")
	for _, end := range []struct{ s, name string }{{"\n", "a line feed"}, {"\r\n", "CR LF"}, {"\r", "a carriage return"}, {" ", "a blank"},
		{"\t", "a tab"}, {"\u00a0", "a non-breaking space"}, {"\u200b", "a zero-width space"}, {`\n`, `the characters \n`},
		{" \n", "a blank and a line feed"}, {"\n\n", "two line feeds"}, {"\ufeff", "a byte order mark"}, {"\x00", "a NUL byte"}} {
		if end.s != "\x00" { // HMAC pads keys with NUL bytes: the same key
			f.add(s+end.s, "the sender's secret has "+end.name+" at its end")
		}
		f.add(end.s+s, "the sender's secret has "+end.name+" at its beginning")
		f.add(end.s+s+end.s, "the sender's secret has "+end.name+" at both ends")
		f.add(strings.TrimSuffix(s, end.s), "the configured secret has "+end.name+" at its end")
		f.add(strings.TrimPrefix(s, end.s), "the configured secret has "+end.name+" at its beginning")
	}
	f.add(strings.Join(strings.Fields(s), ""), "the configured secret has white space inside, or is wrapped")
	return f.list
}

// secretPrefixes are the labels that providers put before secrets.
var secretPrefixes = []string{"whsec_", "v1,whsec_", "v1,", "sk_live_", "sk_test_", "sk_", "shpss_", "lin_wh_", "whpk_", "Bearer ", "base64:", "hex:", "sha256="}

// unprefixed returns the text without its prefix, or with one.
func unprefixed(text []byte) []keyForm {
	f := &keyForms{text: string(text)}
	for _, p := range secretPrefixes {
		if rest, ok := strings.CutPrefix(f.text, p); ok {
			f.add(rest, "the prefix "+p+" was removed")
		}
	}
	for i, n := 0, 0; i < len(f.text) && i < 24 && n < 4; i++ {
		if c := f.text[i]; c == '_' || c == ':' || c == ',' {
			n++
			f.add(f.text[i+1:], "a prefix of the secret was removed, up to "+quote(f.text[i:i+1]))
		}
	}
	for _, p := range secretPrefixes[:8] {
		f.add(p+f.text, "the prefix "+p+" was kept")
	}
	return f.list
}

// unmangled returns what the text may have been before files, shells and forms
// changed it, or after they did so on the sender's side.
func unmangled(text []byte) []keyForm {
	f := &keyForms{text: string(text)}
	s := f.text
	f.add(strings.Trim(s, `"'`+"`"), "quotes became part of the configured secret")
	f.add(strings.Trim(s, "\u201c\u201d\u2018\u2019\u00ab\u00bb"), "typographic quotes became part of the configured secret")
	f.add(strings.Trim(s, "<>[]{}()"), "brackets became part of the configured secret")
	f.add(strings.TrimRight(s, ";,."), "punctuation became part of the configured secret")
	for _, q := range []string{`"`, `'`} {
		f.add(q+s+q, "the sender's secret is in quotes")
	}
	f.assignments()
	f.escapes()
	f.cuts()
	f.numbers()
	if half := len(s) / 2; half > 3 && s[:half] == s[half:] {
		f.add(s[:half], "the configured secret stands there twice")
	}
	f.add(s+s, "the sender's secret stands there twice")
	f.add(strings.ToUpper(s), "the secret was used in upper case")
	f.add(strings.ToLower(s), "the secret was used in lower case")
	return f.list
}

// assignments covers NAME=value and its relatives.
func (f *keyForms) assignments() {
	s := strings.TrimPrefix(f.text, "export ")
	for _, sep := range []string{"=", ": ", ":"} {
		name, value, ok := strings.Cut(s, sep)
		if ok && len(name) > 1 && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == "" {
			f.add(value, "the name of the variable stands in the configured secret")
			f.add(strings.Trim(value, `"'`), "the name of the variable and quotes stand in the configured secret")
		}
	}
}

// escapes covers what HTML, URLs, JSON and shells do to special characters.
func (f *keyForms) escapes() {
	s := f.text
	f.add(html.UnescapeString(s), "the configured secret is HTML-escaped")
	f.add(strings.ReplaceAll(s, "&", "&amp;"), "the sender's secret is HTML-escaped")
	f.add(html.EscapeString(s), "the sender's secret is HTML-escaped")
	f.add(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;").Replace(s), "the sender's secret is HTML-escaped")
	f.add(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#039;").Replace(s), "the sender's secret is HTML-escaped")
	if t, err := canon.Unescape(s, false); err == nil {
		f.add(t, "the configured secret is percent-encoded")
	}
	if t, err := canon.Unescape(s, true); err == nil {
		f.add(t, "the configured secret is form-encoded")
	}
	f.add(string(canon.AppendPercent(nil, s, canon.Unreserved)), "the sender's secret is percent-encoded")
	f.add(string(canon.AppendForm(nil, s)), "the sender's secret is form-encoded")
	f.add(strings.ReplaceAll(s, " ", "+"), "plus signs of the secret became blanks")
	f.add(strings.ReplaceAll(s, "+", " "), "plus signs of the sender's secret became blanks")
	f.add(strings.ReplaceAll(s, "$$", "$"), "$$ of a configuration file stands for $")
	f.add(strings.ReplaceAll(s, `\`, ""), "backslashes of a shell stand in the configured secret")
	unescape := strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t", `\\`, `\`, `\/`, "/", `\"`, `"`)
	f.add(unescape.Replace(s), "escapes stand in the configured secret")
	f.add(strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s), "escapes stand in the sender's secret")
	f.add(strings.ReplaceAll(s, "/", `\/`), "slashes of the sender's secret are escaped")
	for _, c := range []string{"'", `"`, "$", `\`, "&", "!", "#"} {
		f.add(strings.ReplaceAll(s, c, `\`+c), "the sender's secret has a backslash before "+c)
		f.add(strings.ReplaceAll(s, c, ""), "the sender's secret has lost "+c)
	}
	f.add(strings.NewReplacer("'", "", `"`, "").Replace(s), "the sender's secret has lost its quotes")
	f.add(expanded.ReplaceAllString(s, ""), "a shell replaced a $variable in the sender's secret by nothing")
}

var expanded = regexp.MustCompile(`\$(\{[^}]*\}|[A-Za-z_][A-Za-z0-9_]*|[0-9$?!#@*-])`)

// lengths at which columns, forms and programs cut a secret.
var lengths = []int{8, 10, 12, 15, 16, 20, 24, 30, 31, 32, 36, 40, 48, 50, 60, 63, 64, 72, 80, 100, 127, 128, 255, 256}

// cuts covers secrets of which only a part arrived.
func (f *keyForms) cuts() {
	s := f.text
	for _, cut := range []string{"#", " #", "$", "&", ";", " ", "%", "!", "\\", "=", "+", ",", ":", "?", "@", "|", "<", `"`, "'", "\n"} {
		if i := strings.Index(s, cut); i >= 3 {
			f.add(s[:i], "the sender's secret is cut at "+cut)
			f.add(s[:i+len(cut)], "the sender's secret is cut behind "+cut)
		}
	}
	for _, n := range lengths {
		if n < len(s) {
			f.add(s[:n], fmt.Sprintf("the sender's secret is cut after %d bytes", n))
		}
	}
	if n := len(s); n > 8 {
		f.add(s[1:], "the sender's secret has lost its first character")
		f.add(s[:n-1], "the sender's secret has lost its last character")
	}
	f.add(strings.TrimRight(s, "="), "the sender's secret has lost the = at its end")
	f.add(s+"=", "the configured secret has lost the = at its end")
	f.add(s+"==", "the configured secret has lost the == at its end")
}

// numbers covers secrets of digits that a configuration file took for numbers.
func (f *keyForms) numbers() {
	n, err := strconv.ParseFloat(f.text, 64)
	if err != nil || strings.Trim(f.text, "0123456789.eE+") != "" {
		return
	}
	f.add(strings.TrimLeft(f.text, "0"), "the secret lost its leading zeros as a number")
	f.add(strconv.FormatFloat(n, 'f', -1, 64), "the secret was read as a number")
	f.add(strconv.FormatFloat(n, 'f', 1, 64), "the secret was read as a floating-point number")
	f.add(strconv.FormatFloat(n, 'g', -1, 64), "the secret was read as a floating-point number")
}

// decoded returns the bytes that a text may be the encoding of, once or twice.
func decoded(text []byte) []keyForm {
	f := &keyForms{text: string(text)}
	f.decode(strings.Join(strings.Fields(f.text), ""), "")
	for _, once := range f.list {
		inner := strings.TrimSpace(string(once.bytes))
		if inner != string(once.bytes) {
			f.add(inner, once.what+", and white space trimmed")
		}
		if utf8.ValidString(inner) {
			f.decode(inner, "twice, at last ")
		}
	}
	return f.list
}

func (f *keyForms) decode(s, how string) {
	if b, err := hex.DecodeString(strings.ReplaceAll(s, "-", "")); err == nil && len(b) >= 4 {
		f.add(string(b), "the secret was decoded "+how+"from hex")
	}
	for _, e := range base64Encodings {
		if b, err := e.DecodeString(s); err == nil && len(b) >= 4 {
			f.add(string(b), "the secret was decoded "+how+"from base64")
		}
	}
	if b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(strings.ToUpper(s), "=")); err == nil && len(b) >= 8 {
		f.add(string(b), "the secret was decoded "+how+"from base32")
	}
}

// looseBase64 decodes as lenient decoders do: it skips what is not of the
// alphabet and stops at padding.
func looseBase64(text []byte) []byte {
	var out []byte
	for _, c := range text {
		switch {
		case c == '=':
			text = nil
		case c == '-':
			out = append(out, '+')
		case c == '_':
			out = append(out, '/')
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '+', c == '/':
			out = append(out, c)
		}
		if text == nil {
			break
		}
	}
	if len(out)%4 == 1 {
		out = out[:len(out)-1]
	}
	b, err := base64.RawStdEncoding.DecodeString(string(out))
	if err != nil {
		return nil
	}
	return b
}

// recodedKeys returns the bytes of the text in other encodings.
func recodedKeys(text []byte) []keyForm {
	f := &keyForms{text: string(text)}
	f.add(hex.EncodeToString(text), "the hex text of the secret was used")
	f.add(base64.StdEncoding.EncodeToString(text), "the base64 text of the secret was used")
	f.add(string(utf16Bytes(text, false)), "the secret was used in UTF-16 (little endian)")
	f.add(string(utf16Bytes(text, true)), "the secret was used in UTF-16 (big endian)")
	if b, ok := toLatin1(text); ok {
		f.add(string(b), "the secret was used in Latin-1")
	}
	f.add(string(fromLatin1(text)), "the secret was read as Latin-1 and used as UTF-8")
	f.add(strings.ReplaceAll(f.text, "-", ""), "the secret was used without its hyphens")
	return f.list
}

// words are what programs use where a secret is missing.
var words = []string{"undefined", "null", "NULL", "None", "nil", "<nil>", "(null)", "<no value>", "[object Object]", "NaN", "false", "true", "0",
	"secret", "changeme", "change-me", "change_me", "CHANGE_ME", "test", "password", "key", "example", "default", "placeholder", "todo", "topsecret",
	"my-secret", "mysecret", "my_secret", "your-secret", "your_secret", "YOUR_SECRET", "<your-secret>", "your-secret-here", "your_secret_here",
	"your-webhook-secret", "your_webhook_secret", "YOUR_WEBHOOK_SECRET", "webhook_secret", "webhook-secret", "WEBHOOK_SECRET", "test-webhook",
	"${WEBHOOK_SECRET}", "$WEBHOOK_SECRET", "{{WEBHOOK_SECRET}}", "process.env.WEBHOOK_SECRET", "${SECRET}", "$SECRET", "SECRET", "whsec_...", "whsec_xxx",
	"whsec_test_secret", `""`, "''", "xxx", "...", "test_secret", "secret_key", "SECRET_KEY", "your-256-bit-secret", "dev-secret", "replace-me"}

// common adds keys that everybody knows. A signature by one of them
// authenticates nothing.
func (g *guessList) common() {
	for _, word := range words {
		for _, end := range []string{"", "\n"} {
			f := fault{"secret.missing", "the sender signs with the word " + word + " instead of a secret"}
			g.add(Secret{}, []byte(word+end), []byte(word), 8, true, f)
			if g.spec.Encoding != "utf8" && end == "" {
				g.add(Secret{}, looseBase64([]byte(word)), []byte(word), 8, true, f)
			}
		}
	}
	// HMAC pads keys with NUL bytes, so the empty key is a key of one.
	g.add(Secret{}, []byte{0}, []byte{0}, 8, true, fault{"secret.missing", "the sender signs with the empty key"})
}
