package doctor

import (
	"slices"
	"strings"

	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/scheme"
)

// findTags reads the signature. Where headers that the scheme reads are missing
// it looks for them under mangled names first, then for the signature under any
// name, in any order of its parts.
func (p *parts) findTags() {
	p.reading = p.probe.Read(&p.message)
	p.mangledNames()
	if !p.hasTag() {
		p.brokenList()
	}
	if len(p.reading.Tags) == 0 {
		p.otherHeaders()
	}
	p.otherTime()
	tag := p.probe.Format().Tag
	p.tags, p.bare = observe(p.reading.Tags, tag, p.probe.TagSize())
	p.sizes = map[int]bool{}
	for _, o := range p.tags {
		p.sizes[len(o.bytes)] = true
	}
	if p.sizes[p.probe.TagSize()] {
		p.bare = nil // a tag of the right length was not written by a broken encoder
	}
}

// hasTag reports whether one of the texts can be a signature.
func (p *parts) hasTag() bool {
	tags, _ := observe(p.reading.Tags, p.probe.Format().Tag, p.probe.TagSize())
	return len(tags) > 0
}

// headersOf returns the canonical names of the headers that the scheme reads,
// the one with the signature first.
func headersOf(f *scheme.Format) []string {
	var out []string
	add := func(from string) {
		if name, ok := strings.CutPrefix(from, "header:"); ok && name != "" {
			out = append(out, canon.HeaderName(name))
		}
	}
	if f.List != nil {
		add(f.List.From)
	}
	if f.Tag != nil {
		add(f.Tag.From)
	}
	if f.Time != nil {
		add(f.Time.From)
	}
	if f.Nonce != nil {
		add(f.Nonce.From)
	}
	if f.KeyID != nil {
		add(f.KeyID.From)
	}
	return out
}

// set puts a value under another header name and reads the message anew.
func (p *parts) set(name string, values []string) {
	p.message = withHeader(p.message)
	p.message.Header[name] = values
	p.reading = p.probe.Read(&p.message)
}

// mangledNames gives headers back the names that proxies and gateways changed.
func (p *parts) mangledNames() {
	for _, want := range headersOf(p.probe.Format()) {
		if v := p.message.Header[want]; len(v) > 0 && v[0] != "" {
			continue
		}
		for _, name := range headerNames(p.message.Header) {
			if canon.HeaderName(name) == want || !similar(name, want) {
				continue
			}
			if len(p.extra) == 0 {
				p.extra = []fault{{"header.name_case", "the header " + want + " arrives under the name " + name}}
			}
			p.set(want, p.message.Header[name])
			break
		}
	}
}

// leastSimilar is the least length of a name, without hyphens and X-, that is
// taken for another one that ends with it.
const leastSimilar = 9

// similar reports whether two header names differ in punctuation, case, or what
// gateways put in front.
func similar(a, b string) bool {
	norm := func(s string) string {
		s = strings.NewReplacer("-", "", "_", "", ".", "", " ", "").Replace(strings.ToLower(s))
		return strings.TrimPrefix(strings.TrimPrefix(s, "http"), "x")
	}
	a, b = norm(a), norm(b)
	return a == b || len(b) >= leastSimilar && strings.HasSuffix(a, b) || len(a) >= leastSimilar && strings.HasSuffix(b, a)
}

// brokenList mends a list of parts whose labels or separators are wrong.
func (p *parts) brokenList() {
	list, tag := p.probe.Format().List, p.probe.Format().Tag
	if list == nil || list.Format != "pairs" || tag == nil {
		return
	}
	name, ok := strings.CutPrefix(list.From, "header:")
	values := p.message.Header[canon.HeaderName(name)]
	part, isPart := strings.CutPrefix(tag.From, "part:")
	if !ok || !isPart || len(values) == 0 {
		return
	}
	fixed := relabel(strings.TrimPrefix(values[0], list.Prefix), list, part)
	if fixed == list.Prefix || fixed == values[0] {
		return
	}
	before := p.message
	p.set(canon.HeaderName(name), []string{fixed})
	if !p.hasTag() {
		p.message = before
		p.reading = p.probe.Read(&before)
		return
	}
	cause := fault{"sig.prefix", "the labels in " + name + " are not those of the scheme"}
	if strings.Contains(values[0], part+kvOf(list)) {
		cause = fault{"sig.mangled", "the parts in " + name + " are not separated as the scheme does it"}
	}
	p.extra = append(p.extra, cause)
}

func kvOf(l *scheme.List) string {
	if l.KV == "" {
		return "="
	}
	return l.KV
}

// otherHeaders takes a value that looks like a signature from any header, or
// from a parameter of the query.
func (p *parts) otherHeaders() {
	f := p.probe.Format()
	want := headersOf(f)
	if len(want) == 0 || f.Tag == nil || f.List == nil && !strings.HasPrefix(f.Tag.From, "header:") {
		return
	}
	start := p.message
	for _, c := range p.candidates(want[0]) {
		p.message = start
		p.set(want[0], []string{c.text})
		if len(p.reading.Tags) == 0 && f.List != nil {
			if tag, ok := strings.CutPrefix(f.Tag.From, "part:"); ok && f.List.Format == "pairs" {
				p.set(want[0], []string{relabel(c.text, f.List, tag)})
			}
		}
		if tags, _ := observe(p.reading.Tags, f.Tag, p.probe.TagSize()); slices.ContainsFunc(tags, func(o observation) bool { return len(o.bytes) == p.probe.TagSize() }) {
			p.extra = []fault{{"header.name_case", "the signature stands in " + c.what + ", not in " + want[0]}}
			return
		}
	}
	p.message = start
	p.reading = p.probe.Read(&start)
}

// candidates returns header values and query parameters that may hold a
// signature, those first whose names say so.
func (p *parts) candidates(want string) []recoding {
	var named, others []recoding
	add := func(name, what, value string) {
		if len(value) < 20 {
			return
		}
		n := strings.ToLower(name)
		for _, word := range []string{"sig", "hmac", "hash", "digest", "auth"} {
			if strings.Contains(n, word) {
				named = append(named, recoding{what, value})
				return
			}
		}
		others = append(others, recoding{what, value})
	}
	for _, name := range headerNames(p.message.Header) {
		if v := p.message.Header[name]; len(v) > 0 && name != want {
			add(name, "the header "+name, v[0])
		}
	}
	for i, f := range canon.AppendFields(nil, p.message.Query()) {
		if d, err := f.Decode(false); err == nil && i < 40 {
			add(d.Name, "the query parameter "+d.Name, d.Value)
		}
	}
	return append(named, others...)
}

// otherTime takes the time from another header where the scheme's own is missing.
func (p *parts) otherTime() {
	f := p.probe.Format()
	if f.Time == nil || f.Time.Optional {
		return
	}
	name, ok := strings.CutPrefix(f.Time.From, "header:")
	if text, _ := p.probe.Time(p.reading); !ok || text != "" {
		return
	}
	for _, h := range headerNames(p.message.Header) {
		v := p.message.Header[h]
		if len(v) != 1 || !strings.Contains(strings.ToLower(h), "time") {
			continue
		}
		p.extra = append(p.extra, fault{"header.name_case", "the time stands in the header " + h + ", not in " + name})
		p.set(canon.HeaderName(name), v)
		return
	}
}
