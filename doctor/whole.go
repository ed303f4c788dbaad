package doctor

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

// lookAtWhole is the search for schemes that are code: their parts cannot be
// varied, so whole messages are verified with one thing changed.
func (s *search) lookAtWhole() (Diagnosis, bool) {
	if s.in.Definition.Code == "" {
		return Diagnosis{}, false
	}
	sch, err := s.in.Definition.New(s.params())
	if err != nil {
		return Diagnosis{}, false
	}
	if d, ok := s.wholeScope(); ok {
		return d, true
	}
	if d, ok := s.wholeSecrets(sch); ok {
		return d, true
	}
	return s.wholeMessages(sch)
}

// accepts reports whether m verifies at its own time.
func (s *search) accepts(sch sealwright.Scheme, sec secret.Bytes, m sealwright.Message) bool {
	if !s.more() {
		return false
	}
	ring, err := s.ring(sch, sec)
	if err != nil {
		return false
	}
	v := sealwright.Verifier{Scheme: sch, Ring: ring, Past: anyTime, Future: anyTime}
	_, err = v.Verify(m, s.in.Now)
	return err == nil
}

// wholeScope verifies without the parameters that pin a credential scope.
func (s *search) wholeScope() (Diagnosis, bool) {
	params := s.params()
	changed := []string{}
	for _, name := range []string{"region", "service", "credential_scope"} {
		if len(params[name]) > 0 {
			delete(params, name)
			changed = append(changed, name)
		}
	}
	if len(changed) == 0 {
		return Diagnosis{}, false
	}
	sch, err := s.in.Definition.New(params)
	if err != nil || !s.accepts(sch, s.in.Secrets[0].Bytes, s.in.Message) {
		return Diagnosis{}, false
	}
	f := []fault{{"msg.scope", "signed for another scope: " + strings.Join(changed, " or ") + " of the credential differ from the configuration"}}
	return Diagnosis{Verdict: Proven, Cause: "msg.scope", Secret: s.in.Secrets[0].Name, Explanation: explain(f, false)}, true
}

func (s *search) wholeSecrets(sch sealwright.Scheme) (Diagnosis, bool) {
	g := &guessList{configured: s.in.Secrets[0]}
	for i, sec := range s.in.Secrets {
		if i == 0 {
			continue
		}
		if s.accepts(sch, sec.Bytes, s.in.Message) {
			f := g.other(sec)
			return Diagnosis{Verdict: Proven, Cause: f.cause, Secret: sec.Name, Explanation: explain([]fault{f}, false)}, true
		}
	}
	for _, sec := range s.in.Secrets {
		text := sec.Bytes.Expose()
		for _, list := range []struct {
			cause string
			forms []keyForm
		}{{"secret.whitespace", spaced(text)}, {"secret.prefix", unprefixed(text)}, {"secret.mangled", unmangled(text)}, {"secret.encoding", decoded(text)}} {
			for _, v := range list.forms {
				if s.accepts(sch, secret.New(v.bytes), s.in.Message) {
					f := []fault{{list.cause, v.what}}
					return Diagnosis{Verdict: Proven, Cause: list.cause, Secret: sec.Name, Explanation: explain(f, false)}, true
				}
			}
		}
	}
	return Diagnosis{}, false
}

func (s *search) wholeMessages(sch sealwright.Scheme) (Diagnosis, bool) {
	m := s.in.Message
	sec := s.in.Secrets[0]
	for _, b := range bodies(m.Body, s.header("Content-Type"), s.in.MaxMemory/2) {
		changed := m
		changed.Body = b.body
		if s.accepts(sch, sec.Bytes, changed) {
			f := []fault{{b.cause, b.text}}
			return Diagnosis{Verdict: Proven, Cause: b.cause, Secret: sec.Name, Danger: b.danger, Explanation: explain(f, b.danger), Diff: diff(b.body, m.Body)}, true
		}
	}
	for _, u := range addresses(&m, &m, s.in.PublicURL, s.in.KnownHosts) {
		changed := m
		changed.Scheme, changed.Host, changed.Target = u.scheme, u.host, u.target
		if u.scheme != "" && s.accepts(sch, sec.Bytes, changed) {
			f := []fault{{u.cause, u.text}}
			return Diagnosis{Verdict: Proven, Cause: u.cause, Secret: sec.Name, Explanation: explain(f, false), Diff: diff([]byte(changed.URL()), []byte(m.URL()))}, true
		}
	}
	for _, name := range headerNames(m.Header) {
		values := m.Header[name]
		if len(values) != 1 || strings.EqualFold(name, "Authorization") || strings.HasPrefix(name, "Signature") {
			continue
		}
		for _, v := range headerValues(name, values[0]) {
			changed := withHeader(m)
			changed.Header[name] = []string{v.text}
			if s.accepts(sch, sec.Bytes, changed) {
				f := []fault{{"msg.header_modified", "signed " + name + " " + v.what}}
				return Diagnosis{Verdict: Proven, Cause: "msg.header_modified", Secret: sec.Name, Explanation: explain(f, false), Diff: diff([]byte(v.text), []byte(values[0]))}, true
			}
		}
	}
	return Diagnosis{}, false
}

// lookAtSchemes tries the schemes whose signature the request carries.
func (s *search) lookAtSchemes() (Diagnosis, bool) {
	for _, d := range s.in.Others {
		if d.ID == s.in.Definition.ID || !s.carries(d) {
			continue
		}
		params := scheme.Params{}
		for name, v := range s.params() {
			if _, ok := d.Params[name]; ok {
				params[name] = v
			}
		}
		sch, err := d.New(params)
		if err != nil {
			continue
		}
		for _, sec := range s.in.Secrets {
			if !s.accepts(sch, sec.Bytes, s.in.Message) {
				continue
			}
			f := []fault{{"scheme.wrong", "signs in the format " + d.ID + ", and the endpoint is configured for " + s.in.Definition.ID}}
			if family(d.ID) == family(s.in.Definition.ID) {
				f[0].cause = "scheme.version"
			}
			return Diagnosis{Verdict: Proven, Cause: f[0].cause, Secret: sec.Name, Explanation: explain(f, false),
				Fix: "Configure the scheme " + d.ID + " for this endpoint."}, true
		}
	}
	return s.lookAtVersions()
}

// version is an older or newer form of a scheme that is no preset.
type version struct {
	id, name string
	header   string // canonical
	sum      func(key []byte, m *sealwright.Message) []byte
}

var versions = []version{
	{"square", "its first version, HMAC-SHA-1 in X-Square-Signature", "X-Square-Signature", func(key []byte, m *sealwright.Message) []byte {
		return hmacOf(mac.SHA1, key, append([]byte(m.URL()), m.Body...))
	}},
	{"hubspot-v3", "version 1, a plain SHA-256 of secret and body", "X-Hubspot-Signature", func(key []byte, m *sealwright.Message) []byte {
		sum := sha256.Sum256(append(bytes.Clone(key), m.Body...))
		return sum[:]
	}},
	{"hubspot-v3", "version 2, a plain SHA-256 of secret, method, URL and body", "X-Hubspot-Signature", func(key []byte, m *sealwright.Message) []byte {
		sum := sha256.Sum256(slices.Concat(key, []byte(m.Method+m.URL()), m.Body))
		return sum[:]
	}},
}

// lookAtVersions tries forms of the scheme that it no longer, or not yet, has.
func (s *search) lookAtVersions() (Diagnosis, bool) {
	m := &s.in.Message
	for _, v := range versions {
		if v.id != s.in.Definition.ID || len(m.Header[v.header]) == 0 {
			continue
		}
		tags, _ := observe(m.Header[v.header], &scheme.Tag{Encoding: "hex"}, 0)
		for _, sec := range s.in.Secrets {
			sum := v.sum(sec.Bytes.Expose(), m)
			if !s.more() || !slices.ContainsFunc(tags, func(o observation) bool { return bytes.Equal(o.bytes, sum) }) {
				continue
			}
			f := []fault{{"scheme.version", "the sender uses " + v.name}}
			return Diagnosis{Verdict: Proven, Cause: "scheme.version", Secret: sec.Name, Explanation: explain(f, false)}, true
		}
	}
	return Diagnosis{}, false
}

// lookAtStyles tries the shape that most senders without a preset have: the MAC
// of the body in some header, behind a label or not.
func (s *search) lookAtStyles() (Diagnosis, bool) {
	for _, name := range headerNames(s.in.Message.Header) {
		tags, _ := observe(s.in.Message.Header[name], &scheme.Tag{Encoding: "hex"}, 0)
		for _, o := range tags {
			for _, a := range mac.Algorithms() {
				if a.Size() != len(o.bytes) {
					continue
				}
				for _, sec := range s.in.Secrets {
					if sum := hmacOf(a, sec.Bytes.Expose(), s.in.Message.Body); s.more() && bytes.Equal(sum, o.bytes) {
						f := []fault{{"scheme.wrong", "signs the body alone with " + a.String() + " into the header " + name + ", which is not the scheme " + s.in.Definition.ID}}
						return Diagnosis{Verdict: Proven, Cause: "scheme.wrong", Secret: sec.Name, Danger: len(s.in.Message.Body) == 0,
							Explanation: explain(f, len(s.in.Message.Body) == 0), Fix: "Configure a scheme for this format: body-hex and body-base64 take the header as a parameter."}, true
					}
				}
			}
		}
	}
	return Diagnosis{}, false
}

// carries reports whether the request has the signature header of d.
func (s *search) carries(d *scheme.Definition) bool {
	from := []string{}
	if d.List != nil {
		from = append(from, d.List.From)
	}
	if d.Tag != nil {
		from = append(append(from, d.Tag.From), d.Tag.Also...)
	}
	return slices.ContainsFunc(from, func(f string) bool {
		name, ok := strings.CutPrefix(f, "header:")
		if !ok || strings.Contains(name, "$") {
			return false
		}
		for h := range s.in.Message.Header {
			if strings.EqualFold(h, name) {
				return true
			}
		}
		return false
	})
}

// family is the preset's name without its version.
func family(id string) string {
	for _, suffix := range []string{"-v1", "-v2", "-v3", "-v4", "-v5", "-legacy", "-sha1"} {
		id = strings.TrimSuffix(id, suffix)
	}
	return id
}

// place names where the tag of a scheme stands.
func place(t *scheme.Tag, l *scheme.List) string {
	if l != nil {
		return l.From
	}
	if t != nil {
		return t.From
	}
	return "the request"
}
