package doctor

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"html"
	"slices"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/scheme"
)

// observation is one way to read the text of a received signature.
type observation struct {
	bytes  []byte
	faults []fault // what is wrong with the text; none if it is as the scheme says
}

// fault is a cause with its description.
type fault struct {
	cause, text string
}

// reading is one text or key that something may stand for.
type reading struct {
	text  string
	bytes []byte
	fault
}

// maxTexts bounds the texts that are looked at, because a header may hold many.
const maxTexts = 16

// observe returns all readings of the texts, those with the fewest faults first,
// and the texts without labels as they stand. size is the length of a whole tag
// in bytes.
func observe(texts []string, tag *scheme.Tag, size int) (out []observation, bare map[string]bool) {
	seen := map[string]bool{}
	bare = map[string]bool{}
	for _, text := range texts[:min(len(texts), maxTexts)] {
		for _, one := range splitTag(text, tag.Split) {
			for _, m := range mangled(one) {
				for _, p := range prefixes(m.text, tag.Prefix) {
					bare[p.text] = true
					for _, d := range decodings(p.text, tag, size) {
						o := observation{bytes: d.bytes, faults: joinFaults(d.fault, p.fault, m.fault)}
						if key := string(o.bytes); len(o.bytes) >= mac.MinTruncated && !seen[key] {
							seen[key] = true
							out = append(out, o)
						}
					}
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b observation) int { return len(a.faults) - len(b.faults) })
	return out, bare
}

func splitTag(text, sep string) []string {
	if sep == "" {
		return []string{text}
	}
	list := strings.Split(text, sep)
	return append(list[:min(len(list), maxTexts)], text)
}

func joinFaults(list ...fault) []fault {
	var out []fault
	for _, f := range list {
		if f.cause != "" {
			out = append(out, f)
		}
	}
	return out
}

// mangled returns the text as it stands and as it may have been before.
func mangled(text string) []reading {
	out := []reading{{text: text}}
	add := func(what, t string) {
		if t != text && t != "" && !slices.ContainsFunc(out, func(r reading) bool { return r.text == t }) {
			out = append(out, reading{text: t, fault: fault{"sig.mangled", what}})
		}
	}
	trimmed := strings.TrimSpace(text)
	add("white space around the signature", trimmed)
	add("blanks where base64 has plus signs", strings.ReplaceAll(trimmed, " ", "+"))
	add("blanks or line breaks inside the signature", strings.Join(strings.Fields(text), ""))
	add("quotes around the signature", strings.Trim(trimmed, "\"'`"))
	add("Python's b'…' around the signature", strings.Trim(strings.TrimPrefix(trimmed, "b"), `"'`))
	add("brackets or quotes around the signature", strings.Trim(trimmed, "\"'<>[](){}"))
	add("punctuation behind the signature", strings.TrimRight(trimmed, ",;. "))
	for _, end := range []string{`\n`, `\r\n`, `\r`} {
		add("the characters "+end+" behind the signature", strings.TrimSuffix(trimmed, end))
	}
	if first, _, ok := strings.Cut(trimmed, ","); ok && len(first) >= 20 {
		add("several values in the signature", first)
	}
	add("an HTML-escaped signature", html.UnescapeString(trimmed))
	if t, err := strconv.Unquote(`"` + trimmed + `"`); err == nil {
		add("an escaped signature", t)
	}
	if t, err := canon.Unescape(text, false); err == nil {
		add("a percent-encoded signature", t)
		if again, err := canon.Unescape(t, false); err == nil {
			add("a signature that is percent-encoded twice", again)
		}
	}
	return out
}

// prefixes returns the text behind the scheme's prefix, or behind others. A
// blank after the prefix is a mangled text.
func prefixes(text, want string) []reading {
	rest, ok := strings.CutPrefix(text, want)
	if !ok {
		out := []reading{{text: text, fault: fault{"sig.prefix", "the prefix " + want + " is missing"}}}
		return append(out, labels(text, "instead of "+want)...)
	}
	out := []reading{{text: rest}}
	if t := strings.Join(strings.Fields(rest), ""); t != rest {
		out = append(out, reading{text: t, fault: fault{"sig.mangled", "blanks inside the signature"}})
	}
	if want == "" {
		return append(out, labels(text, "which the scheme does not have")...)
	}
	return append(out, labels(rest, "behind "+want)...)
}

// maxLabels is how many labels are taken off a signature, one after the other;
// maxLabel is the length of one in bytes.
const (
	maxLabels = 3
	maxLabel  = 24
)

// labels takes labels such as sha256= or "HMAC " off.
func labels(text, instead string) []reading {
	var out []reading
	rest := text
	for range maxLabels {
		i := strings.IndexAny(rest, "=:, ")
		if i < 0 || i > maxLabel || i+1 >= len(rest) {
			break
		}
		label := text[:len(text)-len(rest)+i+1]
		rest = strings.TrimLeft(rest[i+1:], " ")
		out = append(out, reading{text: rest, fault: fault{"sig.prefix", "the signature begins with " + label + ", " + instead}})
	}
	if rest, ok := strings.CutPrefix(text, "0x"); ok {
		out = append(out, reading{text: rest, fault: fault{"sig.prefix", "the signature begins with 0x, " + instead}})
	}
	return out
}

// decodings returns the bytes that the text can stand for, in the encoding of
// the scheme first.
func decodings(text string, tag *scheme.Tag, size int) []reading {
	var out []reading
	add := func(b []byte, cause, what string) {
		if len(b) >= mac.MinTruncated {
			out = append(out, reading{bytes: b, fault: fault{cause, what}})
		}
	}
	if want, err := canon.ParseEncoding(tag.Encoding); err == nil {
		if b, err := want.DecodeString(text); err == nil {
			if tag.Text != "hex" {
				add(b, "", "")
			} else if inner, err := hex.DecodeString(string(b)); err == nil {
				add(inner, "", "")
			} else {
				add(b, "sig.base64_of_hex", "base64 of the bytes where base64 of the hex text is expected")
			}
			if tag.Text == "hex" {
				return out
			}
		}
	}
	isHex := strings.HasPrefix(strings.ToLower(tag.Encoding), "hex")
	hexDecodings(text, isHex, add)
	base64Decodings(text, isHex, size, add)
	return out
}

func hexDecodings(text string, isHex bool, add func(b []byte, cause, what string)) {
	if b, err := hex.DecodeString(text); err == nil {
		cause, what := "sig.hex_vs_base64", "hex where base64 is expected"
		if isHex {
			cause, what = "sig.case", "hex digits in another case"
		}
		add(b, cause, what)
		if inner, err := hex.DecodeString(string(b)); err == nil {
			add(inner, "sig.base64_of_hex", "hex of the hex text")
		}
		return
	}
	if b, err := hex.DecodeString(text + "0"); err == nil {
		add(b[:len(b)-1], "", "") // an odd number of digits: the comparison says that it is cut
	}
	plain := strings.NewReplacer("-", "", ":", "", " ", "").Replace(text)
	if b, err := hex.DecodeString(plain); err == nil {
		add(b, "sig.mangled", "hex digits in groups, as .NET's BitConverter.ToString writes them")
	}
}

var base64Encodings = []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding}

func base64Decodings(text string, isHex bool, size int, add func(b []byte, cause, what string)) {
	for _, e := range base64Encodings {
		b, err := e.DecodeString(text)
		if err != nil {
			continue
		}
		switch {
		case isHex:
			add(b, "sig.hex_vs_base64", "base64 where hex is expected")
		case len(b) < size && len(text)%4 != 0:
			add(b, "", "") // the comparison says that it is cut
		default:
			add(b, "sig.base64url", "another alphabet or padding of base64")
		}
		if inner, err := hex.DecodeString(string(b)); err == nil {
			add(inner, "sig.base64_of_hex", "base64 of the hex text")
		}
	}
	if n := len(text); !isHex && n%4 == 1 {
		if b, err := base64.RawStdEncoding.DecodeString(text[:n-1]); err == nil {
			add(b, "", "") // cut in the middle
		}
	}
}

// rewriting is a way in which broken encoders write a tag, so that its length
// is not the usual one.
type rewriting struct {
	text  string
	write func(tag []byte) []string
}

var rewritings = []rewriting{
	{"leading zeros of the hex text are missing, as BigInteger writes it", func(t []byte) []string {
		return []string{strings.TrimLeft(hex.EncodeToString(t), "0"), strings.TrimPrefix(hex.EncodeToString(t), "00")}
	}},
	{"bytes below 16 are written with one hex digit", func(t []byte) []string {
		var out []byte
		for _, b := range t {
			out = strconv.AppendUint(out, uint64(b), 16)
		}
		return []string{string(out)}
	}},
	{"bytes are written as signed 32-bit numbers", func(t []byte) []string {
		var out []byte
		for _, b := range t {
			if b < 0x80 {
				out = append(out, hex.EncodeToString([]byte{b})...)
			} else {
				out = append(out, "ffffff"+hex.EncodeToString([]byte{b})...)
			}
		}
		return []string{string(out)}
	}},
	{"bytes at the ends of the tag were trimmed like white space", func(t []byte) []string {
		return encodings(bytes.Trim(t, " \t\r\n\v\x00"), bytes.TrimRight(t, "\x00"), bytes.TrimRight(t, " \t\r\n\v\x00"))
	}},
	{"the bytes of the tag were taken for Latin-1 and written as UTF-8", func(t []byte) []string { return encodings(fromLatin1(t)) }},
	{"the bytes of the tag were decoded as UTF-8, which loses most of them", func(t []byte) []string { return encodings(lossy(t)) }},
}

func encodings(list ...[]byte) []string {
	var out []string
	for _, b := range list {
		out = append(out, hex.EncodeToString(b), base64.StdEncoding.EncodeToString(b))
	}
	return out
}

// lossy decodes UTF-8 as most languages do, with a U+FFFD for each bad byte.
func lossy(b []byte) []byte { return []byte(string([]rune(string(b)))) }

// rewritten returns the fault with which tag was written as one of the texts.
func rewrittenTag(tag []byte, texts map[string]bool) (fault, bool) {
	for _, r := range rewritings {
		for _, t := range r.write(tag) {
			if len(t) >= 2*mac.MinTruncated && texts[t] {
				return fault{"sig.mangled", r.text}, true
			}
		}
	}
	return fault{}, false
}

// relabel writes a broken list of parts, such as t=1,v1=ab, as the scheme has it,
// or returns "".
func relabel(text string, list *scheme.List, tag string) string {
	kv := list.KV
	if kv == "" {
		kv = "="
	}
	var others, out []string
	for _, p := range list.Parts {
		if p.Name != tag && p.Value == "" {
			others = append(others, p.Name)
		}
	}
	for _, item := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,;\"'", r) }) {
		name, value := "", item
		if i := strings.IndexAny(item, "=:"); i >= 0 && i < len(item)-1 && i <= maxLabel {
			name, value = strings.ToLower(item[:i]), strings.TrimLeft(item[i+1:], "=:")
		}
		switch {
		case slices.Contains(others, name):
			out = append(out, name+kv+value)
		case len(value) >= 2*mac.MinTruncated-10:
			out = append(out, tag+kv+value)
		case len(others) > 0 && strings.Trim(value, "0123456789.") == "":
			out = append(out, others[0]+kv+value)
		}
	}
	return list.Prefix + strings.Join(out, list.Sep)
}
