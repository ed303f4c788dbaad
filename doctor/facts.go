package doctor

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sealwright/sealwright/canon"
)

func (s *search) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

func (s *search) suspect(cause string, danger bool, format string, args ...any) {
	s.evidence = append(s.evidence, evidence{cause, fmt.Sprintf(format, args...), danger})
}

// lookAtFacts collects what can be said without a secret.
func (s *search) lookAtFacts() {
	s.secretShape()
	s.signatureShape()
	s.lengthOfBody()
	s.contentOfBody()
	s.forwarding()
}

func (s *search) header(name string) string {
	if v := s.in.Message.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

var placeholder = regexp.MustCompile(`(?i)^(<[a-z _-]*>|.*(set|fix|fill|change|replace|edit)[-_ ]?me.*|\[.*\]|\$\{.*\}|\{\{.*\}\}|your[-_ ].*|my[-_ ]?secret|x{3,}|todo|placeholder|secret|example|replace[-_ ].*|dummy|none|null|undefined|insert[-_ ].*|.*[-_]here|\.\.\.)$`)

func (s *search) secretShape() {
	sec := s.in.Secrets[0]
	raw := sec.Bytes.Expose()
	text := string(raw)
	switch trimmed := strings.TrimSpace(text); {
	case trimmed == "":
		s.suspect("secret.missing", true, "the configured secret %s is empty", quote(sec.Name))
		return
	case placeholder.MatchString(strings.Trim(trimmed, `"'`)):
		s.suspect("secret.missing", false, "the configured secret %s looks like a placeholder", quote(sec.Name))
	case trimmed != text:
		s.note("the configured secret %s has white space at an end", quote(sec.Name))
	case strings.ContainsAny(text[:1], `"'`) && text[:1] == text[len(text)-1:]:
		s.note("the configured secret %s is in quotes", quote(sec.Name))
	}
	key := s.in.Definition.Key
	if key != nil && key.Strip == "whsec_" && (strings.HasPrefix(text, "sk_") || strings.HasPrefix(text, "pk_")) ||
		s.in.Definition.ID == "stripe" && !strings.HasPrefix(text, "whsec_") && (strings.HasPrefix(text, "sk_") || strings.HasPrefix(text, "pk_") || strings.HasPrefix(text, "rk_")) {
		s.suspect("secret.wrong_kind", false, "the configured secret %s looks like an API key, not like a signing secret", quote(sec.Name))
	}
	if sc, err := s.in.Definition.Probe(s.params()); err == nil {
		if _, err := sc.Decode(sec.Bytes); err != nil {
			s.suspect("secret.encoding", false, "the configured secret %s cannot be used: %v", quote(sec.Name), err)
		}
	}
}

func (s *search) signatureShape() {
	probe, err := s.in.Definition.Probe(s.params())
	if err != nil {
		return
	}
	r := probe.Read(&s.in.Message)
	if len(r.Tags) == 0 {
		s.suspect("header.missing", false, "the request carries no signature where the scheme has it (%s)", place(s.in.Definition.Tag, probe.Format().List))
		return
	}
	want := probe.TagSize()
	tags, _ := observe(r.Tags, probe.Format().Tag, want)
	for _, o := range tags {
		if len(o.bytes) == want {
			return
		}
	}
	s.note("no signature has the length of the algorithm, %d bytes; under 16 bytes nothing can be concluded", want)
}

func (s *search) lengthOfBody() {
	m := &s.in.Message
	text := s.header("Content-Length")
	length, err := strconv.Atoi(text)
	media := canon.MediaType(s.header("Content-Type"))
	switch {
	case err != nil:
	case length > 0 && len(m.Body) == 0 && strings.HasPrefix(media, "multipart/"):
		s.suspect("body.multipart", false, "Content-Length is %d, but no body was seen: the multipart parser took it", length)
	case length > 0 && len(m.Body) == 0:
		s.suspect("body.empty_or_consumed", false, "Content-Length is %d, but no body was seen: something read it before", length)
	case length != len(m.Body):
		s.note("Content-Length is %d, but the body has %d bytes: it was changed after it was received, or the header is wrong", length, len(m.Body))
	}
	if m.Method == "GET" && len(m.Body) == 0 && media != "" && s.in.Definition.Direction == "webhook" && s.in.Definition.Covers().Body {
		s.suspect("url.redirect", false, "a GET without a body carries a signature: a redirect may have turned a POST into it")
	}
}

var bigInteger = regexp.MustCompile(`[^0-9."][0-9]{17,}[^0-9."]`)

func (s *search) contentOfBody() {
	b := s.in.Message.Body
	if bytes.Contains(b, []byte("\ufffd")) {
		s.suspect("body.charset", false, "the body holds U+FFFD, the mark of bytes that were lost when it was decoded")
	}
	if len(b) > 2 && b[0] == 0x1f && b[1] == 0x8b || s.header("Content-Encoding") != "" && utf8.Valid(b) {
		s.suspect("body.compressed", false, "the body was compressed, or was unpacked on the way (Content-Encoding %s)", quote(s.header("Content-Encoding")))
	}
	if bigInteger.Match(b) {
		s.suspect("body.json_number", false, "the body holds integers above 2^53, whose last digits are lost where JSON is parsed into floating point")
	}
	if bytes.HasPrefix(b, []byte("\ufeff")) {
		s.note("the body begins with a byte order mark")
	}
}

// forwarding notes headers of proxies that disagree with the URL.
func (s *search) forwarding() {
	m := &s.in.Message
	if p := s.header("X-Forwarded-Proto"); p != "" && p != m.URLScheme() {
		s.note("X-Forwarded-Proto says %s, the URL %s", quote(p), m.URLScheme())
	}
	if h := s.header("X-Forwarded-Host"); h != "" && h != m.Host {
		s.note("X-Forwarded-Host says %s, the URL %s", quote(h), quote(m.Host))
	}
}

// leak finds a secret that was sent in place of a signature.
func (s *search) leak() (Diagnosis, bool) {
	probe, err := s.in.Definition.Probe(s.params())
	if err != nil {
		return Diagnosis{}, false
	}
	for _, text := range probe.Read(&s.in.Message).Tags {
		for _, sec := range s.in.Secrets {
			s.tried++
			raw := string(sec.Bytes.Expose())
			if len(raw) >= 4 && (text == raw || strings.TrimPrefix(text, probe.Format().Tag.Prefix) == raw) {
				return Diagnosis{Verdict: Evidence, Cause: "alg.not_hmac", Secret: sec.Name, Danger: true,
					Explanation: "The value that was received is the secret " + quote(sec.Name) + " itself. It is exposed: rotate it now.",
					Fix:         "Rotate the secret. Then compute the HMAC of the message with it, and send that."}, true
			}
		}
	}
	return Diagnosis{}, false
}
