package scheme

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/secret"
)

// Explain returns a page in Markdown that says how the scheme works: what is
// signed, in words, where everything stands, its parameters and limits, and the
// first known answer as an example with its signed string. It is made from the
// definition alone.
func (d *Definition) Explain() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	title := d.Title
	if title == "" {
		title = d.ID
	}
	p("# %s\n\n", title)
	p("Preset `%s`, %s, %s.\n\n%s\n\n", d.ID, d.Direction, tierWords[d.Tier], d.Doc)
	d.explainFormat(p)
	d.explainParams(p)
	p("## What it protects\n\n")
	p("%s\n\n", coverageWords(d.Covers()))
	for _, l := range d.Limits {
		p("- %s\n", l)
	}
	for _, w := range d.Warnings() {
		p("- weakness: %s\n", w)
	}
	p("\n")
	d.explainExample(p)
	p("## Source\n\n%s\n", d.Source)
	return b.String()
}

var tierWords = map[Tier]string{
	Verified:   "verified: a published vector passes",
	Unverified: "unverified: written from the documentation, no published vector is known",
}

func (d *Definition) explainFormat(p func(string, ...any)) {
	if d.Code != "" {
		p("The signed string is made by the canonicaliser `%s`; see [its page](../%s.md).\n\n", d.Code, d.Code)
		return
	}
	probe, err := d.Probe(d.exampleParams())
	if err != nil {
		return
	}
	f := probe.Format()
	p("## Signed string\n\n")
	list := f.Renderings
	if len(list) == 0 {
		list = []Rendering{{Message: f.Message}}
	}
	for _, r := range list {
		explainMessage(p, r)
	}
	if f.Response != nil {
		p("The signed string of a response:\n\n")
		explainMessage(p, Rendering{Message: f.Response.Message})
	}
	p("## Where things stand\n\n| what | where |\n|---|---|\n")
	row := func(what, where string) { p("| %s | %s |\n", what, strings.ReplaceAll(where, "|", "\\|")) }
	row("algorithm", "`"+f.Algorithm+"`, pinned")
	row("tag", tagWords(f))
	row("key", keyWords(f.Key))
	if f.KeyID != nil {
		row("key ID", sourceWords(f.KeyID.From))
	}
	if t := f.Time; t != nil && (t.If == "" || d.exampleParams().Get(t.If) != "") {
		row("time", timeWords(t))
	}
	if n := f.Nonce; n != nil {
		row("nonce", nonceWords(n))
	}
	if f.Document != "" {
		row("JSON", "in the field `"+f.Document+"` of form bodies, else the body")
	}
	for _, c := range f.Checks {
		row("check", checkWords(c))
	}
	p("\n")
}

// explainMessage lists what a rendering is made of.
func explainMessage(p func(string, ...any), r Rendering) {
	if r.Name != "" {
		p("%s:\n\n", strings.ToUpper(r.Name[:1])+r.Name[1:])
	}
	if len(r.Message) == 0 {
		p("1. nothing: the message is empty\n")
	}
	n := 0
	for _, s := range r.Message {
		for _, line := range segmentWords(s) {
			n++
			p("%d. %s\n", n, line)
		}
	}
	p("\n")
}

func (d *Definition) explainParams(p func(string, ...any)) {
	if len(d.Params) == 0 {
		return
	}
	p("## Parameters\n\n| name | meaning |\n|---|---|\n")
	for _, name := range d.paramNames() {
		q := d.Params[name]
		text := q.Doc
		if q.Required {
			text += " (required)"
		}
		if q.List {
			text += "; a list"
		}
		if len(q.Values) > 0 {
			text += "; one of " + strings.Join(q.Values, ", ")
		}
		if q.Default != "" {
			text += "; default `" + q.Default + "`"
		}
		p("| `%s` | %s |\n", name, strings.ReplaceAll(text, "|", "\\|"))
	}
	p("\n")
}

// segmentWords says in words what a segment writes.
func segmentWords(s Segment) []string {
	when := ""
	if len(s.If) > 0 {
		when = " (if " + strings.ReplaceAll(strings.Join(s.If, " and "), "!", "not ") + ")"
	}
	if len(s.Then) > 0 {
		inner := s
		inner.If, inner.Then = nil, nil
		return []string{thenWords(strings.Join(segmentWords(inner), ", then "), s.Then) + when}
	}
	var out []string
	switch {
	case s.Fields != nil:
		return []string{fieldsWords(s.Fields) + when}
	case s.Headers != nil:
		return []string{headersWords(s.Headers) + when}
	case s.Group != nil:
		for _, inner := range s.Group {
			for _, line := range segmentWords(inner) {
				out = append(out, line+when)
			}
		}
		return out
	}
	for text := s.Text; text != ""; {
		open := strings.IndexByte(text, '{')
		if open != 0 || strings.HasPrefix(text, "{{") {
			end := len(text)
			if open > 0 {
				end = open
			}
			out = append(out, literalWords(text[:end])+when)
			text = text[end:]
			continue
		}
		end := strings.IndexByte(text, '}')
		if end < 0 {
			break
		}
		out = append(out, exprWords(text[1:end], s.Names)+when)
		text = text[end+1:]
	}
	return out
}

// thenWords says what is made of a text.
func thenWords(text string, transforms []string) string {
	for _, t := range transforms {
		if digests[t] != nil {
			text = "(" + text + ")"
		}
		text = transformed(text, t)
	}
	return text
}

func headersWords(h *HeadersSegment) string {
	which := "the headers that " + exprWords(h.List, "") + " names"
	switch {
	case h.From == "query":
		which = "the query parameters that " + exprWords(h.List, "") + " names, in lower case and percent-encoded"
	case h.Prefix != "":
		which = "the headers whose names begin with `" + h.Prefix + "`, sorted"
	case len(h.Names) > 0:
		which = "those of the headers " + strings.Join(h.Names, ", ") + " that are there"
	}
	text := fmt.Sprintf("%s, each as `%s`, joined by %s", which, visible(h.Line), literalWords(h.Join))
	if h.Sort {
		text += ", sorted by name"
	}
	if len(h.Require) > 0 {
		text += "; it must name " + strings.ReplaceAll(strings.Join(h.Require, ", "), "|", " or ")
	}
	for _, name := range slices.Sorted(maps.Keys(h.Derived)) {
		text += "; `" + name + "` is " + strings.Join(segmentWords(Segment{Text: h.Derived[name]}), ", then ")
	}
	return text
}

func literalWords(s string) string {
	switch s {
	case "\n":
		return "a line feed"
	case "":
		return "nothing"
	case " ":
		return "a blank"
	}
	return "the text `" + visible(s) + "`"
}

// visible returns s with control characters as escapes.
func visible(s string) string {
	q := strconv.Quote(s)
	return strings.ReplaceAll(strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`), `\\`, `\`)
}

var plainWords = map[string]string{
	"method": "the method", "scheme": "the URL scheme", "host": "the host as received", "hostname": "the host without its port",
	"hostport": "the host with its port", "path": "the path as received", "query": "the query as received", "target": "path and query as received",
	"url": "the full URL", "body": "the raw body", "status": "the status of the response", "time": "the time as it stands", "nonce": "the nonce",
	"keyid": "the key ID", "secret": "the secret", "port": "the port, or the default one", "head": "the text before the signature, as received",
	"content": "the body without its content coding", "unixtime": "the time in Unix seconds",
}

var transformWords = map[string]string{
	"lower": "in lower case", "upper": "in upper case", "trim": "without blanks at its ends", "fold": "with single blanks",
	"percent": "percent-encoded", "percent-path": "percent-encoded but for slashes", "percent-form": "form-encoded", "decode": "percent-decoded",
	"decode-form": "form-decoded", "hex": "in hex", "HEX": "in upper-case hex", "base64": "in base64", "base64url": "in base64url",
	"uri": "through encodeURI", "uri-component": "through encodeURIComponent", "media-type": "the media type alone", "json": "as a JSON string",
	"nfkd": "in the Unicode form NFKD", "decode-hubspot": "with the escapes of : / ? @ ! $ ' ( ) * , ; decoded", "underscore": "with & and = as _",
	"escape-colon": "with a backslash before colons and backslashes", "escape-line": `with backslashes as \\ and line feeds as \n`,
}

// transformed says in words what a transform makes of a text.
func transformed(text, name string) string {
	if w, ok := transformWords[name]; ok {
		return text + ", " + w
	}
	verb, arg, _ := strings.Cut(name, ":")
	encoding, decodes := strings.CutPrefix(name, "decode-")
	switch {
	case verb == "strip":
		return text + ", without the prefix `" + arg + "`"
	case verb == "first":
		return text + ", cut to " + arg + " bytes"
	case decodes:
		return text + ", decoded from " + encoding
	case strings.HasPrefix(name, "percent-"):
		return text + ", percent-encoded (" + name + ")"
	case digests[name] == nil:
		return text + ", in " + name
	}
	return "the " + name + " of " + text
}

func exprWords(expr, names string) string {
	parts := strings.Split(expr, "|")
	name := strings.TrimSuffix(parts[0], "?")
	if names == "json" && !strings.Contains(name, ":") {
		name = "json:" + name
	}
	text := sourceWords(name)
	for _, t := range parts[1:] {
		text = transformed(text, t)
	}
	if strings.HasSuffix(parts[0], "?") {
		text += ", empty if absent"
	}
	return text
}

// sourceWords names a source for people.
func sourceWords(s string) string {
	if w, ok := plainWords[s]; ok {
		return w
	}
	kind, arg, _ := strings.Cut(s, ":")
	switch kind {
	case "header":
		return "the header `" + arg + "`"
	case "query":
		return "the query parameter `" + arg + "`"
	case "form":
		return "the form field `" + arg + "`"
	case "json":
		return "the field `" + arg + "` of the JSON body"
	case "part":
		return "the part `" + arg + "`"
	case "field":
		return "the header or JSON field `" + arg + "`"
	case "param":
		return "the parameter `" + arg + "`"
	case "arg":
		return "the query parameter or form field `" + arg + "`"
	case "payload":
		return "the field `" + arg + "` of the payload"
	case "path-segment":
		return "segment " + arg + " of the path"
	case "path-tail":
		return "the path behind its first " + arg + " segments"
	case "path-head":
		return "the first " + arg + " segments of the path"
	case "xml":
		return "the element `" + arg + "` of the XML body"
	case "line":
		return "the line `" + arg + "` of the body"
	case "family":
		return "the headers `" + arg + "1`, `" + arg + "2` and so on"
	case "request":
		return sourceWords(arg) + " of the request that is answered"
	case "query-without":
		return "the query as received, without `" + arg + "`"
	case "query-before":
		return "the query as received, before its last parameter `" + arg + "`"
	case "body-without":
		return "the raw body, without its field `" + arg + "`"
	}
	return "`" + s + "`"
}

func fieldsWords(f *FieldsSegment) string {
	text := "the parameters of the " + strings.Join(f.From, " and the ")
	switch f.Write {
	case "names", "values":
		text = "the " + f.Write + " of " + text
	}
	if len(f.Omit) > 0 {
		text += " but " + strings.Join(f.Omit, " and ")
	}
	for _, name := range slices.Sorted(maps.Keys(f.Add)) {
		text += ", with `" + name + "` as " + strings.Join(segmentWords(Segment{Text: f.Add[name]}), ", then ")
	}
	for _, how := range []struct {
		on   bool
		text string
	}{
		{f.DropEmpty, "without empty values"},
		{f.Decode != "" && f.Decode != "raw", "decoded"},
		{f.LowerName, "names in lower case"},
		{f.Encode != "" && f.Encode != "raw", "encoded again (" + f.Encode + ")"},
		{f.Sort != "" && f.Sort != "none", "sorted by " + f.Sort},
		{f.Repeat == "first", "each name with its first value"},
		{f.Repeat == "join", "the values of one name joined by " + literalWords(f.RepeatSep)},
	} {
		if how.on {
			text += ", " + how.text
		}
	}
	if f.Write == "names" || f.Write == "values" {
		return text + "; " + literalWords(f.Join) + " between them"
	}
	return text + fmt.Sprintf("; %s between name and value, %s between pairs", literalWords(f.KV), literalWords(f.Join))
}

func tagWords(f *Format) string {
	t := f.Tag
	text := sourceWords(t.From)
	if strings.HasPrefix(t.From, "part:") && f.List != nil {
		text += " of " + sourceWords(f.List.From)
		for _, a := range f.List.Also {
			text += " or " + sourceWords(a.From)
		}
	}
	if t.Prefix != "" {
		text += " after `" + t.Prefix + "`"
	}
	if t.Owner != "" {
		text += ", behind the ID of its key and `" + t.Owner + "`"
	}
	text += ", " + t.Encoding
	if t.Text != "" {
		text += " of its " + t.Text + " text"
	}
	if t.Size != "" {
		text += ", cut to " + t.Size + " bytes"
	}
	if t.Split != "" {
		text += ", several separated by `" + t.Split + "`"
	}
	if t.Escape != "" {
		text += ", percent-encoded"
	}
	if t.Padded {
		text += ", with or without padding"
	}
	for _, a := range t.Also {
		text += ", or " + sourceWords(a)
	}
	for _, o := range t.Or {
		text += ", or " + o.Encoding
		if o.Prefix != "" {
			text += " after `" + o.Prefix + "`"
		}
	}
	return text
}

func keyWords(k *Key) string {
	if k == nil {
		return ""
	}
	text := "the secret as text"
	if k.Encoding != "utf8" {
		text = "the secret, decoded from " + k.Encoding
	}
	if k.Strip != "" {
		text += ", without the prefix `" + k.Strip + "`"
	}
	if k.Text != "" {
		text += ", as `" + strings.ReplaceAll(k.Text, "\n", "\\n") + "`"
	}
	for _, s := range k.Steps {
		switch {
		case s.HMAC != "":
			text += ", then the HMAC of `" + s.HMAC + "` under it"
		case s.Constant != "":
			text += ", then its HMAC under the key `" + s.Constant + "`"
		default:
			text += ", then its " + s.Hash
		}
		if s.As != "" && s.As != "raw" {
			text += " in " + s.As
		}
	}
	return text
}

func timeWords(t *Time) string {
	text := sourceWords(t.From)
	for _, a := range t.Also {
		text += ", else " + sourceWords(a)
	}
	text += ", " + t.Format
	if t.Optional {
		text += ", optional"
	}
	if t.Kind == "expires" {
		return text + ", the last valid instant, at most " + cmp.Or(t.Future, "168h") + " ahead" + otherTimes(t)
	}
	past, future := cmp.Or(t.Past, "300s"), cmp.Or(t.Future, "300s")
	if w := t.Window; w != nil {
		past = "what " + sourceWords(w.From) + " allows (" + w.Unit + ", at most " + w.Max + ", else " + past + ")"
	}
	return text + ", at most " + past + " old and " + future + " ahead" + otherTimes(t)
}

func otherTimes(t *Time) string {
	text := ""
	for i := range t.Or {
		text += "; or " + timeWords(&t.Or[i])
	}
	return text
}

func nonceWords(n *Nonce) string {
	if n.From == "tag" {
		return "none: the tag itself is remembered for " + cmp.Or(n.Keep, "as long as the message is fresh")
	}
	text := sourceWords(n.From)
	if n.Optional {
		text += ", optional"
	}
	if n.Mode == "increasing" {
		text += ", a number above all earlier ones of the key"
	}
	return text
}

func checkWords(c Check) string {
	text := ""
	switch {
	case c.Equal != nil && c.Equal.Same != "":
		text = exprWords(c.Equal.From, "") + " must equal " + sourceWords(c.Equal.Same)
	case c.Equal != nil && c.Equal.Begins != "":
		text = exprWords(c.Equal.From, "") + " must begin with `" + c.Equal.Begins + "`"
	case c.Equal != nil:
		text = exprWords(c.Equal.From, "") + " must be `" + c.Equal.Value + "`"
		if c.Equal.Prefix {
			text = exprWords(c.Equal.From, "") + " must be `" + c.Equal.Value + "` or begin with it and a slash"
		}
	case c.Digest != nil:
		of := "the body"
		if c.Digest.Of != "" && c.Digest.Of != "{body}" {
			of = strings.Join(segmentWords(Segment{Text: c.Digest.Of}), ", then ")
		}
		text = sourceWords(c.Digest.From) + " must be the " + c.Digest.Hash + " of " + of + " in " + c.Digest.Encoding
		if c.Digest.Optional {
			text += ", where it is there"
		}
	default:
		text = "refused: " + c.Refuse
	}
	if len(c.If) > 0 {
		text += ", if " + strings.ReplaceAll(strings.Join(c.If, " and "), "!", "not ")
	}
	return text
}

func coverageWords(c sealwright.Coverage) string {
	var yes, no []string
	for _, x := range []struct {
		name string
		ok   bool
	}{{"method", c.Method}, {"path", c.Path}, {"query", c.Query}, {"host", c.Host}, {"body", c.Body}, {"time", c.Time}, {"key ID", c.KeyID}} {
		if x.ok {
			yes = append(yes, x.name)
		} else {
			no = append(no, x.name)
		}
	}
	text := "Covered: " + strings.Join(yes, ", ")
	if len(yes) == 0 {
		text = "Covered: nothing as a whole"
	}
	if len(c.Headers) > 0 {
		text += "; the headers " + strings.Join(c.Headers, ", ")
	}
	if len(c.Fields) > 0 {
		text += "; the fields " + strings.Join(c.Fields, ", ")
	}
	if len(no) == 0 {
		no = []string{"nothing of the parts that every request has"}
	}
	return text + ". Not covered: " + strings.Join(no, ", ") + "."
}

// explainExample shows the first known answer as it goes over the wire.
func (d *Definition) explainExample(p func(string, ...any)) {
	if len(d.Examples) == 0 {
		return
	}
	v := &d.Examples[0]
	p("## Example\n\nSecret `%s`", v.Secret)
	if v.KeyID != "" {
		p(", key ID `%s`", v.KeyID)
	}
	for _, name := range slices.Sorted(maps.Keys(v.Params)) {
		p(", `%s` = `%s`", name, strings.Join(v.Params[name], "`, `"))
	}
	if v.Now != 0 {
		p(", verified at Unix time %d", v.Time().Unix())
	}
	p(".\n\n```http\n%s\n```\n\n", v.Request.text())
	if v.Response != nil {
		r := Request{Headers: v.Response.Headers, Body: v.Response.Body}
		p("Answered by the signed response:\n\n```http\nHTTP/1.1 %d\n%s\n```\n\n", v.Response.Status, r.fields())
	}
	s, err := d.New(v.Params)
	if err != nil {
		return
	}
	m, err := v.Message()
	if err != nil {
		return
	}
	signed, _, err := sealwright.SignedBytes(s, &keyring.Key{ID: v.KeyID, Secret: secret.FromString(v.Secret)}, m)
	if err != nil || slices.Contains(d.Warnings(), "the secret is part of the signed bytes, which must never be logged") {
		return
	}
	p("Signed string, as a quoted text:\n\n```\n%q\n```\n\n", signed[0])
}

// text returns the request as it goes over the wire, with line feeds.
func (r *Request) text() string {
	_, host, target, err := sealwright.SplitURL(r.URL)
	if err != nil || target == "" {
		target = "/"
	}
	head := r.Method + " " + target + " HTTP/1.1\n"
	if _, ok := r.Headers["Host"]; !ok {
		head += "Host: " + host + "\n"
	}
	return head + r.fields()
}

func (r *Request) fields() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		for _, v := range r.Headers[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	b.WriteByte('\n')
	if r.BodyBase64 != "" {
		fmt.Fprintf(&b, "(body in base64) %s", r.BodyBase64)
	}
	b.WriteString(r.Body)
	return b.String()
}
