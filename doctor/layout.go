package doctor

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/scheme"
)

// form is another way to put the signed string together.
type form struct {
	cause, text string
	weight      int
	danger      bool
	probe       *scheme.Probe
}

// element is a piece of the signed string: a literal, an {expression}, or a
// whole segment.
type element struct {
	literal string
	expr    string
	segment *scheme.Segment
}

// forms returns other signed strings than the one that the scheme defines.
func forms(probe *scheme.Probe, m *sealwright.Message) []form {
	f := &formList{probe: probe, elements: split(segmentsOf(probe)), covers: coversBody(probe)}
	f.ends()
	f.separators()
	f.missing()
	f.order()
	f.expressions()
	f.segments()
	f.requestLine()
	f.joined()
	f.additions(m)
	slices.SortStableFunc(f.list, func(a, b form) int { return a.weight - b.weight })
	return f.list
}

func segmentsOf(probe *scheme.Probe) []scheme.Segment {
	format := probe.Format()
	if len(format.Renderings) > 0 {
		return format.Renderings[0].Message
	}
	return format.Message
}

// split takes plain templates apart into literals and expressions.
func split(list []scheme.Segment) []element {
	var out []element
	for i := range list {
		s := &list[i]
		if s.Text == "" || len(s.If) > 0 {
			out = append(out, element{segment: s})
			continue
		}
		text := s.Text
		for text != "" {
			i := strings.IndexByte(text, '{')
			if i < 0 || i+1 < len(text) && text[i+1] == '{' {
				out = append(out, element{literal: text})
				break
			}
			if i > 0 {
				out = append(out, element{literal: text[:i]})
			}
			end := strings.IndexByte(text, '}')
			if end < i {
				out = append(out, element{literal: text[i:]})
				break
			}
			expr := text[i : end+1]
			if s.Names == "json" && !strings.Contains(expr, ":") {
				expr = "{json:" + expr[1:]
			}
			out = append(out, element{expr: expr})
			text = text[end+1:]
		}
	}
	return out
}

func join(list []element) []scheme.Segment {
	out := []scheme.Segment{}
	for _, e := range list {
		if e.segment != nil {
			out = append(out, *e.segment)
			continue
		}
		if text := e.literal + e.expr; text != "" {
			out = append(out, scheme.Segment{Text: text})
		}
	}
	return out
}

type formList struct {
	probe    *scheme.Probe
	elements []element
	covers   bool // the scheme covers the body
	list     []form
}

func (f *formList) add(weight int, cause, text string, list []element) {
	if p, err := f.probe.WithMessage(join(list)); err == nil {
		f.list = append(f.list, form{cause: cause, text: text, weight: weight, danger: f.covers && !coversBody(p), probe: p})
	}
}

// with returns the elements with one replaced.
func (f *formList) with(i int, e element) []element {
	out := slices.Clone(f.elements)
	out[i] = e
	return out
}

func (f *formList) ends() {
	add := func(end, name string) {
		f.add(3, "msg.format", "signed "+name+" at the end of the signed string", append(slices.Clone(f.elements), element{literal: end}))
	}
	add("\n", "a line feed")
	add("\r\n", "CR LF")
	add(" ", "a blank")
	n := len(f.elements)
	if n > 0 && strings.HasSuffix(f.elements[n-1].literal, "\n") {
		f.add(3, "msg.format", "signed no line feed at the end of the signed string",
			f.with(n-1, element{literal: strings.TrimSuffix(f.elements[n-1].literal, "\n")}))
	}
}

var separators = []string{"", ".", ":", "\n", "|", ",", " ", ";", "-", "_", "\r\n", "&", "\t", "+", "/", "=", "?", ". ", ": ", ", ", "#", "~", "::", "\x00"}

func showSep(s string) string {
	if s == "" {
		return "nothing"
	}
	return quote(s)
}

func (f *formList) separators() {
	for _, sep := range separators {
		all := slices.Clone(f.elements)
		changed := false
		for i, e := range f.elements {
			if e.literal == "" {
				continue
			}
			inner := i > 0 && i < len(f.elements)-1
			if e.literal != sep {
				f.add(4, "msg.format", "signed "+showSep(sep)+" where the scheme has "+showSep(e.literal), f.with(i, element{literal: sep}))
			}
			if inner {
				all[i].literal = sep
				changed = true
			}
		}
		if changed {
			f.add(4, "msg.format", "signed "+showSep(sep)+" between the parts", all)
		}
	}
	for _, r := range []struct{ old, new, text string }{
		{"\n", `\n`, `signed the characters \n instead of line feeds`},
		{"\n", "\r\n", "signed CR LF instead of line feeds"},
	} {
		all := slices.Clone(f.elements)
		for i := range all {
			all[i].literal = strings.ReplaceAll(all[i].literal, r.old, r.new)
			if s := all[i].segment; s != nil && strings.Contains(s.Text, r.old) {
				c := *s
				c.Text = strings.ReplaceAll(c.Text, r.old, r.new)
				all[i].segment = &c
			}
		}
		f.add(4, "msg.format", r.text, all)
	}
	f.labels()
}

// labels tries other constants at the beginning.
func (f *formList) labels() {
	for _, l := range []string{"v0:", "v1:", "v2:", "v0.", "v1.", "v0", "v1", "v0\n", "v1\n", "v0=", "V0:", "v1=", "t=", "ts=", "sha256=", "v1,"} {
		if len(f.elements) > 0 && f.elements[0].literal != "" {
			f.add(5, "msg.format", "signed the label "+quote(l)+" instead of "+quote(f.elements[0].literal), f.with(0, element{literal: l}))
		} else {
			f.add(6, "msg.format", "signed the label "+quote(l)+" first", append([]element{{literal: l}}, f.elements...))
		}
	}
}

// joined tries all parts with one separator between them, and without labels.
func (f *formList) joined() {
	var all, values []element
	for _, e := range f.elements {
		if e.expr != "" || e.segment != nil {
			all, values = append(all, e), append(values, e)
		} else if word := strings.Trim(e.literal, ".:,;|=&?/ \r\n\t-_"); word != "" {
			all = append(all, element{literal: word})
		}
	}
	for _, sep := range separators {
		for _, list := range [][]element{all, values} {
			var out []element
			for i, e := range list {
				if i > 0 {
					out = append(out, element{literal: sep})
				}
				out = append(out, e)
			}
			f.add(5, "msg.format", "signed "+showSep(sep)+" between all parts", out)
		}
	}
	for _, p := range permutations(len(values), maxOrdered) {
		for _, sep := range []string{"", ".", ":", "\n", "|"} {
			var out []element
			for i, at := range p {
				if i > 0 {
					out = append(out, element{literal: sep})
				}
				out = append(out, values[at])
			}
			f.add(7, "msg.format", "signed the parts in another order, with "+showSep(sep)+" between them", out)
		}
	}
}

// permutations returns all orders of n indexes, and none if n is above most.
func permutations(n, most int) [][]int {
	if n > most {
		return nil
	}
	out := [][]int{{}}
	for i := range n {
		var longer [][]int
		for _, p := range out {
			for at := range len(p) + 1 {
				longer = append(longer, slices.Insert(slices.Clone(p), at, i))
			}
		}
		out = longer
	}
	return out
}

// requestLine tries the target in place of path and query, and what may stand
// before a query.
func (f *formList) requestLine() {
	path := slices.IndexFunc(f.elements, func(e element) bool { return strings.HasPrefix(e.expr, "{path") })
	for i, e := range f.elements {
		query := strings.HasPrefix(e.expr, "{query") || e.segment != nil && e.segment.Fields != nil && slices.Contains(e.segment.Fields.From, "query")
		if !query {
			continue
		}
		if path >= 0 && path < i {
			f.add(4, "msg.format", "signed path and query in one", slices.Replace(slices.Clone(f.elements), path, i+1, element{expr: "{target}"}))
			f.add(5, "msg.format", "signed the URL instead of path and query", slices.Replace(slices.Clone(f.elements), path, i+1, element{expr: "{url}"}))
		}
		for _, before := range []string{"?", "{path}?", "{path}", "{method}", "{method}{path}", "{method}{path}?", "{method}\n{path}\n", "{scheme}://{host}{path}?"} {
			f.add(5, "msg.format", "signed "+quote(before)+" before the query", slices.Insert(slices.Clone(f.elements), i, element{expr: before}))
		}
		for _, how := range []string{"name", "text", "none"} {
			for _, kv := range []string{"=", ""} {
				for _, join := range []string{"&", ""} {
					seg := &scheme.Segment{Fields: &scheme.FieldsSegment{From: []string{"query"}, Omit: omitted(e), Sort: how, KV: kv, Join: join}}
					f.add(5, "url.query", "signed the parameters of the query in another order or form", f.with(i, element{segment: seg}))
				}
			}
		}
	}
}

// omitted returns the parameters that an element leaves out of the query.
func omitted(e element) []string {
	if e.segment != nil {
		return e.segment.Fields.Omit
	}
	_, name, ok := strings.Cut(strings.Trim(e.expr, "{}"), "-without:")
	if !ok {
		return nil
	}
	return []string{name}
}

// describe names an element for people.
func describe(e element) string {
	switch {
	case e.expr != "":
		return strings.Trim(e.expr, "{}")
	case e.segment != nil && e.segment.Fields != nil:
		return "the parameters"
	case e.segment != nil && e.segment.Headers != nil:
		return "the signed headers"
	case e.segment != nil:
		return quote(e.segment.Text)
	}
	return quote(e.literal)
}

func missingCause(e element) string {
	if e.segment != nil && e.segment.Fields != nil || strings.HasPrefix(e.expr, "{query") {
		return "url.query"
	}
	return "msg.format"
}

func (f *formList) missing() {
	for i, e := range f.elements {
		if e.literal != "" && e.expr == "" && e.segment == nil {
			continue
		}
		without := slices.Delete(slices.Clone(f.elements), i, i+1)
		text := "signed no " + describe(e)
		f.add(4, missingCause(e), text, without)
		if i < len(without) && without[i].literal != "" {
			f.add(4, missingCause(e), text, slices.Delete(slices.Clone(without), i, i+1))
		}
		if i > 0 && without[i-1].literal != "" {
			f.add(4, missingCause(e), text, slices.Delete(slices.Clone(without), i-1, i))
		}
	}
	f.add(5, "msg.format", "signed the body alone", []element{{expr: "{body}"}})
}

// coversBody reports whether the signed string holds anything of the body.
func coversBody(p *scheme.Probe) bool {
	return anySegment(segmentsOf(p), func(s *scheme.Segment) bool {
		return s.Fields != nil && slices.Contains(s.Fields.From, "form") ||
			slices.ContainsFunc([]string{"{body", "{json:", "{form:", "{arg:", "{field:"}, func(source string) bool { return strings.Contains(s.Text, source) })
	})
}

// anySegment reports whether f holds for a segment of the list, or of a group in
// it.
func anySegment(list []scheme.Segment, f func(*scheme.Segment) bool) bool {
	for i := range list {
		if s := &list[i]; f(s) || anySegment(s.Group, f) {
			return true
		}
	}
	return false
}

// maxOrdered is the most parts whose orders are all tried.
const maxOrdered = 4

func (f *formList) order() {
	var at []int
	for i, e := range f.elements {
		if e.expr != "" || e.segment != nil {
			at = append(at, i)
		}
	}
	swap := func(i, j int) []element {
		out := slices.Clone(f.elements)
		out[i], out[j] = out[j], out[i]
		return out
	}
	for k := 1; k < len(at); k++ {
		f.add(5, "msg.format", "signed "+describe(f.elements[at[k]])+" before "+describe(f.elements[at[k-1]]), swap(at[k-1], at[k]))
	}
	if len(at) > 2 {
		f.add(6, "msg.format", "signed the last part first", swap(at[0], at[len(at)-1]))
	}
	for _, p := range permutations(len(at), maxOrdered) {
		out := slices.Clone(f.elements)
		for i, from := range p {
			out[at[i]] = f.elements[at[from]]
		}
		f.add(6, "msg.format", "signed the parts in another order", out)
	}
	for i := range at { // one part moved to the front, with the separator behind it
		out := slices.Delete(slices.Clone(f.elements), at[i], at[i]+1)
		if at[i] < len(out) {
			f.add(6, "msg.format", "signed "+describe(f.elements[at[i]])+" first", slices.Concat([]element{f.elements[at[i]]}, out))
		}
		if rest := slices.Clone(out); at[i] > 0 && at[i]-1 < len(rest) && rest[at[i]-1].literal != "" {
			sep := rest[at[i]-1]
			rest = slices.Delete(rest, at[i]-1, at[i])
			f.add(6, "msg.format", "signed "+describe(f.elements[at[i]])+" first", slices.Concat([]element{f.elements[at[i]], sep}, rest))
			f.add(6, "msg.format", "signed "+describe(f.elements[at[i]])+" last", slices.Concat(rest, []element{sep, f.elements[at[i]]}))
		}
	}
}

// rewrites are other expressions that senders use in place of one.
var rewrites = []struct {
	from, to, cause, text string
}{
	{"{method}", "{method|lower}", "msg.format", "signed the method in lower case"},
	{"{method|upper}", "{method|lower}", "msg.format", "signed the method in lower case"},
	{"{method}", "{method|upper}", "msg.format", "signed the method in upper case"},
	{"{path}", "{target}", "url.query", "signed path and query instead of the path"},
	{"{path}", "{url}", "msg.format", "signed the URL instead of the path"},
	{"{path}", "{scheme}://{host}{path}", "msg.format", "signed the URL without its query instead of the path"},
	{"{path}", "{host}{path}", "msg.format", "signed the host before the path"},
	{"{target}", "{host}{target}", "msg.format", "signed the host before path and query"},
	{"{url}", "{host}{target}", "msg.format", "signed the URL without its scheme"},
	{"{url}", "{scheme}://{host}{path}", "url.query", "signed the URL without its query"},
	{"{body|sha256|hex}", "", "msg.format", "signed nothing in place of the digest of the body"},
	{"{body|sha256|hex}", "{body|sha256}", "msg.format", "signed the raw digest of the body"},
	{"{target}", "{path}", "url.query", "signed the path without the query"},
	{"{target}", "{url}", "msg.format", "signed the URL instead of path and query"},
	{"{url}", "{target}", "msg.format", "signed path and query instead of the URL"},
	{"{url}", "{path}", "msg.format", "signed the path instead of the URL"},
	{"{host}", "{host|lower}", "msg.format", "signed the host in lower case"},
	{"{query}", "?{query}", "msg.format", "signed the question mark with the query"},
	{"{query}", "{query|decode}", "url.percent_encoding", "signed the decoded query"},
	{"{path}", "{path|decode}", "url.percent_encoding", "signed the decoded path"},
	{"{path}", "{path|lower}", "url.path_rewritten", "signed the path in lower case"},
	{"{body|sha256|hex}", "{body}", "msg.format", "signed the body instead of its digest"},
	{"{body|sha256|hex}", "{body|sha256|HEX}", "msg.format", "signed the digest of the body in upper case"},
	{"{body|sha256|hex}", "{body|sha256|base64}", "msg.format", "signed the base64 digest of the body"},
	{"{body|sha256|hex}", "{body|md5|hex}", "msg.format", "signed the MD5 digest of the body"},
	{"{body|sha256|hex}", "{body|sha1|hex}", "msg.format", "signed the SHA-1 digest of the body"},
	{"{body|sha256|hex}", "{body|sha512|hex}", "msg.format", "signed the SHA-512 digest of the body"},
	{"{body}", "{body|sha256|hex}", "alg.not_hmac", "signed the hex SHA-256 of the body instead of the body (hashed twice)"},
	{"{body}", "{body|sha256}", "alg.not_hmac", "signed the raw SHA-256 of the body instead of the body (hashed twice)"},
	{"{body}", "{body|sha256|base64}", "alg.not_hmac", "signed the base64 SHA-256 of the body instead of the body (hashed twice)"},
	{"{body}", "{body|md5|hex}", "alg.not_hmac", "signed the hex MD5 of the body instead of the body (hashed twice)"},
	{"{body}", "{body|sha1|hex}", "alg.not_hmac", "signed the hex SHA-1 of the body instead of the body (hashed twice)"},
	{"{body}", "{body|base64}", "body.base64_wrapped", "signed the base64 text of the body"},
	{"{body}", "{body|hex}", "msg.format", "signed the hex text of the body"},
}

func (f *formList) expressions() {
	for i, e := range f.elements {
		for _, r := range rewrites {
			if e.expr == r.from {
				list := f.with(i, element{expr: r.to})
				if rest, ok := strings.CutPrefix(r.to, "?"); ok {
					list = slices.Insert(f.with(i, element{expr: rest}), i, element{literal: "?"})
				}
				f.add(4, r.cause, r.text, list)
			}
		}
		if strings.HasPrefix(e.expr, "{header:") && !strings.Contains(e.expr, "|") {
			name := strings.Trim(e.expr, "{}")
			for _, t := range []string{"lower", "upper", "trim"} {
				f.add(5, "msg.header_modified", "signed "+name+" in another form", f.with(i, element{expr: "{" + name + "|" + t + "}"}))
			}
		}
	}
}

// segments varies parameter lists and signed headers.
func (f *formList) segments() {
	for i, e := range f.elements {
		if e.segment == nil {
			continue
		}
		if s := e.segment.Fields; s != nil {
			f.fields(i, s)
		}
		if s := e.segment.Headers; s != nil {
			f.headers(i, s)
		}
	}
}

func (f *formList) fields(i int, s *scheme.FieldsSegment) {
	try := func(cause, text string, edit func(*scheme.FieldsSegment)) {
		c := *s
		edit(&c)
		seg := *f.elements[i].segment
		seg.Fields = &c
		f.add(4, cause, text, f.with(i, element{segment: &seg}))
	}
	if slices.Contains(s.From, "form") {
		f.add(5, "msg.format", "signed the body as it is instead of its parameters", f.with(i, element{expr: "{body}"}))
	}
	for _, how := range []string{"none", "name", "pair", "text"} {
		try("url.query", "signed the parameters in another order", func(c *scheme.FieldsSegment) { c.Sort = how })
	}
	for _, how := range []string{"raw", "percent", "form"} {
		try("url.percent_encoding", "signed the parameters in another decoding", func(c *scheme.FieldsSegment) { c.Decode = how })
		try("url.percent_encoding", "signed the parameters in another encoding", func(c *scheme.FieldsSegment) { c.Encode = how })
		for _, dec := range []string{"percent", "form"} {
			try("url.percent_encoding", "signed the parameters encoded anew", func(c *scheme.FieldsSegment) { c.Decode, c.Encode = dec, how })
		}
	}
	for _, how := range []string{"all", "first"} {
		try("url.query", "signed repeated parameters in another way", func(c *scheme.FieldsSegment) { c.Repeat = how })
	}
	try("url.query", "signed no empty parameters", func(c *scheme.FieldsSegment) { c.DropEmpty = true })
	try("url.query", "signed also the parameters that the scheme leaves out", func(c *scheme.FieldsSegment) { c.Omit = nil })
	for _, sep := range separators {
		try("msg.format", "signed "+showSep(sep)+" between the parameters", func(c *scheme.FieldsSegment) { c.Join = sep })
		try("msg.format", "signed "+showSep(sep)+" between names and values", func(c *scheme.FieldsSegment) { c.KV = sep })
	}
}

// targets are the forms of the request line and the request target in signed
// headers.
var targets = []struct{ text, cause string }{
	{"{method} {target} HTTP/1.1", "msg.format"}, {"{method} {target} HTTP/1.0", "msg.header_modified"},
	{"{method} {target} HTTP/2", "msg.header_modified"}, {"{method} {target} HTTP/2.0", "msg.header_modified"},
	{"{method} {target} HTTP/3", "msg.header_modified"}, {"{method} {target}", "msg.format"}, {"{method|lower} {target}", "msg.format"},
	{"@request-target: {method|lower} {target}", "msg.format"}, {"(request-target): {method|lower} {target}", "msg.format"},
	{"(request-target): {method|lower} {path}", "url.query"}, {"@request-target: {method|lower} {path}", "url.query"},
	{"(request-target): {method} {target}", "msg.format"}, {"@request-target: {method} {target}", "msg.format"},
	{"request-line: {method} {target} HTTP/1.1", "msg.format"}, {"{method} {path} HTTP/1.1", "url.query"},
	{"@request-target: {target}", "msg.format"}, {"(request-target): {target}", "msg.format"},
}

func (f *formList) headers(i int, s *scheme.HeadersSegment) {
	try := func(cause, text string, edit func(*scheme.HeadersSegment)) {
		c := *s
		c.Derived = map[string]string{}
		for k, v := range s.Derived {
			c.Derived[k] = v
		}
		c.Require = nil
		edit(&c)
		seg := *f.elements[i].segment
		seg.Headers = &c
		f.add(4, cause, text, f.with(i, element{segment: &seg}))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Derived)) {
		now := s.Derived[name]
		for _, t := range targets {
			if t.text != now {
				try(t.cause, "signed "+quote(t.text)+" for "+name, func(c *scheme.HeadersSegment) { c.Derived[name] = t.text })
			}
		}
	}
	for _, line := range []string{"{name}: {value}", "{name}:{value}", "{value}", "{name}={value}"} {
		try("msg.format", "signed header lines as "+quote(line), func(c *scheme.HeadersSegment) { c.Line = line })
	}
	for _, sep := range separators {
		try("msg.format", "signed "+showSep(sep)+" between the headers", func(c *scheme.HeadersSegment) { c.Join = sep })
	}
	for _, how := range []string{"trim", "fold", "raw", "lower"} {
		try("msg.header_modified", "signed header values in another form", func(c *scheme.HeadersSegment) { c.Value = how })
	}
	try("msg.format", "signed the headers in another order", func(c *scheme.HeadersSegment) { c.Sort = !s.Sort })
}

// additions tries parts that the scheme does not sign but the request carries:
// a timestamp, an ID, the URL.
func (f *formList) additions(m *sealwright.Message) {
	extra := []string{"{url}", "{target}", "{path}", "{method}", "{query}"}
	for _, name := range headerNames(m.Header) {
		values := m.Header[name]
		n := strings.ToLower(name)
		for _, word := range []string{"time", "date", "nonce", "-id", "request-id", "delivery", "event", "version"} {
			if strings.Contains(n, word) && len(values) == 1 && len(extra) < 16 && !strings.ContainsAny(name, " :{}|") {
				extra = append(extra, "{header:"+name+"}")
				break
			}
		}
	}
	if format := f.probe.Format(); format.KeyID != nil {
		extra = append(extra, "{keyid}")
	}
	for _, x := range append(extra, "{host}") {
		if slices.ContainsFunc(f.elements, func(e element) bool { return e.expr == x }) {
			continue
		}
		for _, sep := range f.usual() {
			for at := range len(f.elements) + 1 {
				f.insert(at, x, sep)
			}
		}
	}
}

// usual returns the separators that additions are tried with: those of the
// scheme, or the most common ones.
func (f *formList) usual() []string {
	var out []string
	for _, e := range f.elements {
		if sep := e.literal; sep != "" && len(sep) < 3 && !slices.Contains(out, sep) {
			out = append(out, sep)
		}
	}
	if len(out) > 0 {
		return out
	}
	return []string{"", ".", ":", "\n", "|"}
}

// insert adds a part before the element at a place.
func (f *formList) insert(at int, expr, sep string) {
	if at < len(f.elements) && f.elements[at].literal != "" {
		return
	}
	part := []element{{expr: expr}, {literal: sep}}
	if at == len(f.elements) {
		part = []element{{literal: sep}, {expr: expr}}
	}
	f.add(7, "msg.format", "signed also "+strings.Trim(expr, "{}"), slices.Insert(slices.Clone(f.elements), at, part...))
}

// wholeTexts are changes of the signed string as a whole.
func wholeTexts(s []byte) []change {
	var out []change
	add := func(cause, what string, text []byte) {
		if !bytes.Equal(text, s) {
			out = append(out, change{cause: cause, text: "signed " + what, weight: 5, body: text, danger: len(text) == 0})
		}
	}
	add("msg.format", "the string in lower case", bytes.ToLower(s))
	add("msg.format", "the string in upper case", bytes.ToUpper(s))
	add("msg.format", "the hex text of the string", []byte(hex.EncodeToString(s)))
	add("msg.format", "the base64 text of the string", []byte(base64.StdEncoding.EncodeToString(s)))
	add("msg.format", "the percent-encoded string", canon.AppendPercent(nil, string(s), canon.Unreserved))
	add("msg.format", "the string as encodeURIComponent writes it", canon.AppendPercent(nil, string(s), canon.URIComponent))
	add("msg.format", "the form-encoded string", canon.AppendForm(nil, string(s)))
	add("msg.format", "a NUL byte behind the string", slices.Concat(s, []byte{0}))
	add("msg.format", "the string twice", slices.Concat(s, s))
	add("msg.format", "the string without blanks", bytes.ReplaceAll(s, []byte(" "), nil))
	add("msg.format", "the string in quotes", slices.Concat([]byte(`"`), s, []byte(`"`)))
	add("body.charset", "the string in UTF-16", utf16Bytes(s, false))
	if d, err := canon.Unescape(string(s), false); err == nil {
		add("url.percent_encoding", "the decoded string", []byte(d))
	}
	lines := bytes.Split(s, []byte("\n"))
	if len(lines) < 2 || len(lines) > 20 {
		return out
	}
	glue := func(list [][]byte) []byte { return bytes.Join(list, []byte("\n")) }
	for i := range lines {
		add("msg.format", "the string without its line "+strconv.Itoa(i+1), glue(slices.Delete(slices.Clone(lines), i, i+1)))
		if n := len(out); n > 0 {
			out[n-1].danger = true // what the line said is not protected
		}
	}
	add("msg.format", "header names with capitals", label.ReplaceAllFunc(s, capital))
	add("msg.format", "header lines without blanks behind the colons", label.ReplaceAllFunc(s, bytes.TrimSpace))
	add("msg.format", "header values without names", label.ReplaceAll(s, nil))
	slices.Reverse(lines)
	add("msg.format", "the lines in reverse order", glue(lines))
	slices.SortFunc(lines, bytes.Compare)
	add("msg.format", "the lines in sorted order", glue(lines))
	return out
}

// capital returns a header name with a capital first letter.
func capital(name []byte) []byte { return append(bytes.ToUpper(name[:1]), name[1:]...) }

// label is the name of a header at the beginning of a line.
var label = regexp.MustCompile(`(?m)^[@(]?[a-z][a-z0-9-]*[)]?: `)
