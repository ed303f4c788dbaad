package doctor

import (
	"encoding/base64"
	"encoding/hex"
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

// knownPrefixes are the labels that signatures carry in the wild.
var knownPrefixes = []string{"sha256=", "sha1=", "sha512=", "sha384=", "SHA256=", "v0=", "v1=", "v2=", "v1,", "hmac-sha256=", "hmac-sha256-hex=",
	"sha256:", "HMAC ", "Bearer ", "hmac ", "sha256 ", "signature=", "t="}

// observe returns all readings of the texts, those with the fewest faults first.
func observe(texts []string, tag *scheme.Tag) []observation {
	var out []observation
	seen := map[string]bool{}
	for _, text := range texts {
		for _, one := range splitTag(text, tag.Split) {
			for _, m := range mangled(one) {
				for _, p := range prefixes(m.text, tag.Prefix) {
					for _, d := range decodings(p.text, tag) {
						o := observation{bytes: d.bytes, faults: joinFaults(m.fault, p.fault, d.fault)}
						key := string(o.bytes)
						if len(o.bytes) >= mac.MinTruncated && !seen[key] {
							seen[key] = true
							out = append(out, o)
						}
					}
				}
			}
		}
	}
	return out
}

func splitTag(text, sep string) []string {
	if sep == "" {
		return []string{text}
	}
	return append(strings.Split(text, sep), text)
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

type reading struct {
	text  string
	bytes []byte
	fault
}

// mangled returns the text as it stands and as it may have been before.
func mangled(text string) []reading {
	out := []reading{{text: text}}
	add := func(what, t string) {
		if t != text && t != "" {
			out = append(out, reading{text: t, fault: fault{"sig.mangled", what}})
		}
	}
	add("white space around the signature", strings.TrimSpace(text))
	add("blanks where base64 has plus signs", strings.ReplaceAll(strings.TrimSpace(text), " ", "+"))
	add("blanks or line breaks inside the signature", strings.Join(strings.Fields(text), ""))
	add("quotes around the signature", strings.Trim(strings.TrimSpace(text), `"'`))
	add("a comma or semicolon behind the signature", strings.TrimRight(text, ",; "))
	if t, err := canon.Unescape(text, false); err == nil {
		add("a percent-encoded signature", t)
	}
	return out
}

// prefixes returns the text behind the scheme's prefix, or behind others. A
// blank after the prefix is a mangled text.
func prefixes(text, want string) []reading {
	rest, ok := strings.CutPrefix(text, want)
	if ok {
		out := []reading{{text: rest}}
		if t := strings.Join(strings.Fields(rest), ""); t != rest {
			out = append(out, reading{text: t, fault: fault{"sig.mangled", "blanks inside the signature"}})
		}
		if want == "" {
			out = append(out, labels(text, "which the scheme does not have")...)
		}
		return out
	}
	out := []reading{{text: text, fault: fault{"sig.prefix", "the prefix " + want + " is missing"}}}
	return append(out, labels(text, "instead of "+want)...)
}

func labels(text, instead string) []reading {
	var out []reading
	for _, p := range knownPrefixes {
		if rest, ok := strings.CutPrefix(text, p); ok && rest != "" {
			out = append(out, reading{text: strings.TrimSpace(rest), fault: fault{"sig.prefix", "the signature begins with " + p + ", " + instead}})
		}
	}
	return out
}

// decodings returns the bytes that the text can stand for.
func decodings(text string, tag *scheme.Tag) []reading {
	var out []reading
	want, err := canon.ParseEncoding(tag.Encoding)
	add := func(b []byte, cause, what string) {
		if len(b) > 0 {
			out = append(out, reading{bytes: b, fault: fault{cause, what}})
		}
	}
	if err == nil {
		if b, err := want.DecodeString(text); err == nil {
			if tag.Text == "hex" {
				if inner, err := hex.DecodeString(string(b)); err == nil {
					add(inner, "", "")
				} else {
					add(b, "sig.base64_of_hex", "base64 of the bytes where base64 of the hex text is expected")
				}
				return out
			}
			add(b, "", "")
		}
	}
	isHex := strings.HasPrefix(strings.ToLower(tag.Encoding), "hex")
	if b, err := hex.DecodeString(text); err == nil {
		cause, what := "sig.hex_vs_base64", "hex where base64 is expected"
		if isHex {
			cause, what = "sig.case", "hex digits in another case"
		}
		add(b, cause, what)
		if inner, err := hex.DecodeString(string(b)); err == nil {
			add(inner, "sig.base64_of_hex", "hex of the hex text")
		}
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		b, err := e.DecodeString(text)
		if err != nil {
			continue
		}
		if isHex {
			add(b, "sig.hex_vs_base64", "base64 where hex is expected")
		} else {
			add(b, "sig.base64url", "another alphabet or padding of base64")
		}
		if inner, err := hex.DecodeString(string(b)); err == nil {
			add(inner, "sig.base64_of_hex", "base64 of the hex text")
		}
	}
	return out
}
