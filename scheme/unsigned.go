package scheme

import "github.com/sealwright/sealwright"

// Unsigned reports whether m certainly has no signature. It does not look at the
// body, so that an HTTP server can refuse such a message before it reads it.
func (p *program) Unsigned(m *sealwright.Message) bool {
	if p.list != nil {
		for i := range p.places {
			if mayHold(&p.places[i].source, m) {
				return false
			}
		}
	}
	for i := range p.tags {
		if mayHold(&p.tags[i], m) {
			return false
		}
	}
	return true
}

// mayHold reports whether m may have a value at s, whatever its body is.
func mayHold(s *source, m *sealwright.Message) bool {
	switch s.kind {
	case kHeader:
		return len(m.Header[s.arg]) > 0
	case kFamily:
		return len(m.Header[s.arg+"1"]) > 0
	case kQueryParam:
		_, found, err := field(m.Query(), s.arg, "query parameter")
		return found || err != nil
	}
	return true
}
