package rfc9421

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// component is a component identifier (RFC 9421 section 2). Two of them mean
// the same component exactly if they are equal, since the order of parameters
// does not count.
type component struct {
	name  string // of a field in lower case, or of a derived component with @
	arg   string // value of ;key or ;name
	flags flags
}

type flags uint8

// The parameters of a component.
const (
	flagSF   flags = 1 << 0 // strict serialisation of a structured field
	flagBS   flags = 1 << 1 // each line as a byte sequence
	flagReq  flags = 1 << 2 // of the request that the message answers
	flagTr   flags = 1 << 3 // of the trailers
	flagKey  flags = 1 << 4 // one member of a dictionary
	flagName flags = 1 << 5 // one parameter of the query
)

const contentDigest = "content-digest"

// component returns the identifier that it is. It returns an error for one
// that RFC 9421 does not define.
func (f *field) component(it *item) (component, error) {
	if it.value.kind != kString {
		return component{}, fmt.Errorf("component %s is not a string", f.appendItem(nil, it))
	}
	c := component{name: it.value.text}
	for _, p := range f.params[it.params.from:it.params.to] {
		if err := c.add(&p); err != nil {
			return c, fmt.Errorf("component %s: %w", f.appendItem(nil, it), err)
		}
	}
	if err := c.check(); err != nil {
		return c, fmt.Errorf("component %s: %w", f.appendItem(nil, it), err)
	}
	return c, nil
}

// add adds a parameter.
func (c *component) add(p *param) error {
	flag := flagOf(p.key)
	switch flag {
	case 0:
		return fmt.Errorf("unknown parameter %s", p.key)
	case flagKey, flagName:
		if p.value.kind != kString {
			return fmt.Errorf("parameter %s is not a string", p.key)
		}
		c.arg = p.value.text
	default:
		if p.value.kind != kBoolean || p.value.num != 1 {
			return fmt.Errorf("parameter %s has a value", p.key)
		}
	}
	c.flags |= flag
	return nil
}

func flagOf(key string) flags {
	switch key {
	case "sf":
		return flagSF
	case "bs":
		return flagBS
	case "req":
		return flagReq
	case "tr":
		return flagTr
	case "key":
		return flagKey
	case "name":
		return flagName
	}
	return 0
}

// check refuses names that no component has, and parameters that do not fit
// the name or each other.
func (c *component) check() error {
	switch c.name {
	case "@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query":
		return c.allow(flagReq)
	case "@query-param":
		if c.flags&flagName == 0 {
			return errors.New("parameter name is missing")
		}
		return c.allow(flagReq | flagName)
	case "@status":
		return c.allow(0)
	}
	if !fieldName(c.name) {
		return errors.New("there is no such component")
	}
	if c.flags&flagBS != 0 && c.flags&(flagSF|flagKey) != 0 {
		return errors.New("parameter bs excludes sf and key")
	}
	return c.allow(flagSF | flagBS | flagReq | flagTr | flagKey)
}

func (c *component) allow(f flags) error {
	if c.flags&^f != 0 {
		return errors.New("a parameter does not fit the component")
	}
	return nil
}

// fieldName reports whether s is the name of a field in lower case.
func fieldName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !canon.TokenChars.Has(c) || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return s != ""
}

// costly reports whether the value must be parsed.
func (c *component) costly() bool { return c.flags&(flagSF|flagKey|flagName) != 0 }

// meets reports whether a signature that covers have does what c demands. A
// whole field is covered also in another rendering, by ;sf or ;bs.
func (c *component) meets(have []component) bool {
	if slices.Contains(have, *c) {
		return true
	}
	if c.flags != 0 || c.name[0] == '@' {
		return false
	}
	return slices.Contains(have, component{name: c.name, flags: flagSF}) ||
		slices.Contains(have, component{name: c.name, flags: flagBS})
}

// missing returns a component that the profile demands and have lacks, nil if
// there is none.
func (pf *profile) missing(have []component) *component {
	for i := range pf.required {
		if !pf.required[i].meets(have) {
			return &pf.required[i]
		}
	}
	return nil
}

// parseComponent reads a component as the configuration writes it: as in
// Signature-Input, such as "content-digest";req, or without the quotes.
func parseComponent(s string) (component, error) {
	if !strings.HasPrefix(s, `"`) {
		name, params, found := strings.Cut(s, ";")
		s = `"` + name + `"`
		if found {
			s += ";" + params
		}
	}
	var f field
	if err := f.parseItem(s); err != nil {
		return component{}, fmt.Errorf("component %s: %w", s, err)
	}
	return f.component(&f.items[0])
}

// own reports whether a signature with this label, which covers c, would have
// to cover itself.
func (c *component) own(label string) bool {
	if c.name != "signature" && c.name != "signature-input" || c.flags&(flagReq|flagTr) != 0 {
		return false
	}
	return c.flags&flagKey == 0 || c.arg == label
}

// append appends the identifier as Signature-Input shows it.
func (c *component) append(dst []byte) []byte {
	dst = appendString(dst, c.name)
	for _, p := range [...]struct {
		flag flags
		text string
	}{{flagSF, ";sf"}, {flagBS, ";bs"}, {flagReq, ";req"}, {flagTr, ";tr"}, {flagKey, ";key="}, {flagName, ";name="}} {
		if c.flags&p.flag != 0 {
			dst = append(dst, p.text...)
		}
	}
	if c.flags&(flagKey|flagName) != 0 {
		dst = appendString(dst, c.arg)
	}
	return dst
}

// String returns the identifier as Signature-Input shows it.
func (c *component) String() string { return string(c.append(nil)) }

// coverage returns what the components protect, but for the parameters of the
// signature, and the digests among them.
func coverage(list []component) (out sealwright.Coverage, covered digests) {
	for i := range list {
		list[i].cover(&out)
		covered |= list[i].digest()
	}
	out.Headers, out.Fields = slices.Clip(out.Headers), slices.Clip(out.Fields) // verdicts share them
	return out, covered
}

// cover adds what the component protects to out. In a response the parts of
// the request line count with ;req, but fields and body of the request are not
// those of the message.
func (c *component) cover(out *sealwright.Coverage) {
	switch c.name {
	case "@method":
		out.Method = true
	case "@target-uri":
		out.Host, out.Path, out.Query = true, true, true
	case "@authority":
		out.Host = true
	case "@request-target":
		out.Path, out.Query = true, true
	case "@path":
		out.Path = true
	case "@query":
		out.Query = true
	case "@scheme", "@status":
	case "@query-param":
		out.Fields = append(out.Fields, c.arg)
	default:
		c.coverField(out)
	}
}

func (c *component) coverField(out *sealwright.Coverage) {
	if c.digest()&(digestOfHeader|digestOfTrailer) != 0 {
		out.Body = true
	}
	if c.flags&(flagKey|flagReq|flagTr) != 0 {
		out.Fields = append(out.Fields, c.String())
		return
	}
	out.Headers = append(out.Headers, c.name)
	if c.name == "host" {
		out.Host = true
	}
}
