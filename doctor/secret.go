package doctor

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"html"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/canon"
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
	for i, s := range list {
		var f fault
		if i > 0 {
			f = g.other(s)
		}
		g.variants(s, f, i)
	}
	g.common()
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
	case prefixOf(c.Bytes.Expose(), s.Bytes.Expose()):
		return fault{"secret.mangled", "the configured secret is only the beginning of the secret " + name}
	case s.Kind != "" && c.Kind != "" && s.Kind != c.Kind:
		return fault{"secret.wrong_kind", "the secret " + name + " signed, which is of the kind " + s.Kind + ", not " + c.Kind}
	case s.Env != "" && c.Env != "" && s.Env != c.Env:
		return fault{"secret.wrong_env", "the secret " + name + " of the environment " + s.Env + " signed, not one of " + c.Env}
	case s.Name == c.Name && s.Version != c.Version, sameFamily(s.Name, c.Name):
		return fault{"secret.stale_version", "another version of the secret signed: " + name}
	}
	return fault{"secret.wrong_endpoint", "the secret " + name + " signed, which belongs to another endpoint or app"}
}

func prefixOf(short, long []byte) bool {
	short = bytes.TrimSpace(short)
	return len(short) >= 3 && len(short) < len(long) && bytes.HasPrefix(long, short)
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
		as(v.bytes, 0, "secret.whitespace", v.text)
	}
	for _, v := range unprefixed(text) {
		as(v.bytes, 1, "secret.prefix", v.text)
		raw(v.bytes, 2, "secret.prefix", v.text+" and used as text")
		for _, d := range decodedForms(v.bytes) {
			raw(d.bytes, 2, "secret.encoding", d.text+" behind its prefix")
		}
	}
	for _, v := range unmangled(text) {
		as(v.bytes, 2, "secret.mangled", v.text)
	}
	stripped := bytes.TrimPrefix(text, []byte(g.spec.Strip))
	if g.spec.Encoding != "utf8" {
		raw(text, 1, "secret.encoding", "the secret was used as text, not decoded from "+g.spec.Encoding)
		raw(stripped, 2, "secret.encoding", "the secret behind its prefix was used as text, not decoded from "+g.spec.Encoding)
		for _, v := range spaced(text) {
			raw(v.bytes, 3, "secret.encoding", "the secret was used as text, with white space")
		}
	}
	for _, d := range decodedForms(bytes.TrimSpace(stripped)) {
		raw(d.bytes, 1, "secret.encoding", d.text)
	}
	raw([]byte(hex.EncodeToString(text)), 3, "secret.encoding", "the hex text of the secret was used")
	raw([]byte(base64.StdEncoding.EncodeToString(text)), 3, "secret.encoding", "the base64 text of the secret was used")
	raw(bytes.ToUpper(text), 5, "secret.mangled", "the secret was used in upper case")
	raw(bytes.ToLower(text), 5, "secret.mangled", "the secret was used in lower case")
}

func spaced(text []byte) []reading {
	out := []reading{}
	add := func(b []byte, what string) {
		if !bytes.Equal(b, text) && len(b) > 0 {
			out = append(out, reading{bytes: b, fault: fault{text: what}})
		}
	}
	add(bytes.TrimSpace(text), "the configured secret has white space at an end")
	add(bytes.Trim(text, " \t\r\n\u00a0\u200b\ufeff"), "the configured secret has invisible characters at an end")
	for _, end := range []struct{ s, name string }{{"\n", "a line feed"}, {"\r\n", "CR LF"}, {"\r", "a carriage return"}, {" ", "a blank"},
		{"\t", "a tab"}, {"\u00a0", "a non-breaking space"}, {"\u200b", "a zero-width space"}, {`\n`, `the characters \n`}, {"\x00", "a NUL byte"}} {
		if end.s != "\x00" { // HMAC pads keys with NUL bytes: the same key
			add(append(bytes.Clone(text), end.s...), "the sender's secret has "+end.name+" at its end")
		}
		add(append([]byte(end.s), text...), "the sender's secret has "+end.name+" at its beginning")
		add(bytes.TrimSuffix(text, []byte(end.s)), "the configured secret has "+end.name+" at its end")
	}
	add(append([]byte("\ufeff"), text...), "the sender's secret begins with a byte order mark")
	return out
}

var secretPrefixes = []string{"whsec_", "v1,whsec_", "v1,", "sk_live_", "sk_test_", "sk_", "pk_", "whpk_", "secret_", "Bearer ", "base64:", "hex:", "sha256="}

func unprefixed(text []byte) []reading {
	var out []reading
	for _, p := range secretPrefixes {
		if rest, ok := bytes.CutPrefix(text, []byte(p)); ok && len(rest) > 0 {
			out = append(out, reading{bytes: rest, fault: fault{text: "the prefix " + p + " was removed"}})
		}
	}
	for _, p := range secretPrefixes[:3] {
		out = append(out, reading{bytes: append([]byte(p), text...), fault: fault{text: "the prefix " + p + " was kept"}})
	}
	return out
}

func unmangled(text []byte) []reading {
	s := string(text)
	var out []reading
	add := func(t, what string) {
		if t != s && t != "" {
			out = append(out, reading{bytes: []byte(t), fault: fault{text: what}})
		}
	}
	add(strings.Trim(s, `"'`+"`"), "quotes became part of the configured secret")
	for _, q := range []string{`"`, `'`} {
		add(q+s+q, "the sender's secret is in quotes")
	}
	add(html.UnescapeString(s), "the configured secret is HTML-escaped")
	add(html.EscapeString(s), "the sender's secret is HTML-escaped")
	if t, err := canon.Unescape(s, false); err == nil {
		add(t, "the configured secret is percent-encoded")
	}
	if t, err := canon.Unescape(s, true); err == nil {
		add(t, "the configured secret is form-encoded")
	}
	add(string(canon.AppendPercent(nil, s, canon.Unreserved)), "the sender's secret is percent-encoded")
	add(strings.ReplaceAll(s, " ", "+"), "plus signs of the secret became blanks")
	add(strings.ReplaceAll(s, "$$", "$"), "$$ of a configuration file stands for $")
	add(strings.ReplaceAll(s, `\`, ""), "backslashes of a shell stand in the configured secret")
	add(strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t", `\\`, `\`).Replace(s), "escapes stand in the configured secret")
	if i := strings.IndexByte(s, '='); i > 0 && strings.ToUpper(s[:i]) == s[:i] {
		add(s[i+1:], "the name of the variable stands in the configured secret")
	}
	for _, cut := range []string{"#", "$", "&", ";", " ", "%", "!", "\\", "=", "+", ",", ":"} {
		if i := strings.Index(s, cut); i >= 6 {
			add(s[:i], "the sender's secret is cut at "+cut)
		}
	}
	return out
}

// decodedForms returns the bytes that a text may be the encoding of.
func decodedForms(text []byte) []reading {
	var out []reading
	s := string(text)
	if b, err := hex.DecodeString(s); err == nil && len(b) >= 4 {
		out = append(out, reading{bytes: b, fault: fault{text: "the secret was decoded from hex"}})
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := e.DecodeString(s); err == nil && len(b) >= 4 {
			out = append(out, reading{bytes: b, fault: fault{text: "the secret was decoded from base64"}})
		}
	}
	return out
}

// common adds keys that everybody knows. A signature by one of them
// authenticates nothing.
func (g *guessList) common() {
	for _, word := range []string{"undefined", "null", "None", "nil", "secret", "changeme", "test", "password", "your-secret", "YOUR_SECRET", "<nil>",
		"[object Object]", "NaN", "false", "true", "0", "key", "example", "default", "my-secret", "topsecret", "test-webhook"} {
		f := fault{"secret.missing", "the sender signs with the word " + word + " instead of a secret"}
		g.add(Secret{}, []byte(word), []byte(word), 8, true, f)
	}
	// HMAC pads keys with NUL bytes, so the empty key is a key of one.
	g.add(Secret{}, []byte{0}, []byte{0}, 8, true, fault{"secret.missing", "the sender signs with the empty key"})
}
