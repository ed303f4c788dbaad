package scheme

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// kind says where a source reads.
type kind uint8

const (
	kLiteral kind = iota + 1
	kMethod
	kScheme
	kHost     // as received
	kHostname // without port
	kHostport // with the default port if it has none
	kPath
	kQuery
	kTarget
	kURL
	kBody
	kStatus
	kTime
	kNonce
	kKeyID
	kSecret
	kPart
	kHeader
	kQueryParam
	kForm
	kJSON
	kEither // header or JSON field, whichever is there
	kArg    // query parameter or form field, whichever is there
	kPayload
	kQueryWithout
	kQueryBefore
	kBodyWithout
	kPort     // of the host, or the default one
	kHead     // text of the list up to the tag's part
	kContent  // body without its content coding
	kUnix     // the time in Unix seconds, however it is written
	kSegment  // part of the path between slashes, by number
	kPathTail // path behind the first segments
	kPathHead // first segments of the path, with the slash behind them
	kXML      // child of the root element of the body
	kLine     // line name=value of the body
	kFamily   // headers with a number behind their name
)

var plainSources = map[string]kind{
	"method": kMethod, "scheme": kScheme, "host": kHost, "hostname": kHostname, "hostport": kHostport,
	"path": kPath, "query": kQuery, "target": kTarget, "url": kURL, "body": kBody, "status": kStatus,
	"time": kTime, "nonce": kNonce, "keyid": kKeyID, "secret": kSecret,
	"port": kPort, "head": kHead, "content": kContent, "unixtime": kUnix,
}

var namedSources = map[string]kind{
	"header": kHeader, "query": kQueryParam, "form": kForm, "json": kJSON, "part": kPart, "param": kLiteral, "field": kEither,
	"arg": kArg, "payload": kPayload, "query-without": kQueryWithout, "query-before": kQueryBefore, "body-without": kBodyWithout,
	"path-segment": kSegment, "path-tail": kPathTail, "path-head": kPathHead, "xml": kXML, "line": kLine, "family": kFamily,
}

// source is a place in a message.
type source struct {
	kind    kind
	arg     string // canonical header name, parameter name, JSON pointer, literal
	part    int    // index of the part in Claim.Values, or number of path segments
	request bool   // in the request that the message answers
}

// Indices of Claim.Values. Parts follow.
const (
	valueTime = iota
	valueNonce
	valueKeyID
	valueHead
	valueParts
)

func (b *builder) source(text string) (source, error) {
	name, arg, named := strings.Cut(text, ":")
	if !named {
		if k, ok := plainSources[name]; ok {
			b.program.usesHead = b.program.usesHead || k == kHead
			return source{kind: k}, nil
		}
		return source{}, fmt.Errorf("unknown source %q", text)
	}
	if name == "request" {
		return b.requestSource(arg)
	}
	k, ok := namedSources[name]
	if !ok || arg == "" {
		return source{}, fmt.Errorf("unknown source %q", text)
	}
	s := source{kind: k, arg: arg}
	if k == kEither && (strings.HasPrefix(arg, "header:") || strings.HasPrefix(arg, "json:")) {
		return b.source(arg) // the user said which
	}
	switch k {
	case kHeader, kFamily:
		if canon.HeaderName(arg) == "" || strings.TrimFunc(arg, isToken) != "" {
			return source{}, fmt.Errorf("source %q: not a header name", text)
		}
		s.arg = canon.HeaderName(arg)
	case kJSON:
		s.arg = jsonPointer(arg)
	case kLiteral:
		if _, ok := b.def.Params[arg]; !ok {
			return source{}, fmt.Errorf("source %q: no such parameter", text)
		}
		s.arg = b.params.Get(arg)
	case kPayload:
		if b.format.Payload == nil {
			return source{}, fmt.Errorf("source %q: there is no payload", text)
		}
		if b.format.Payload.Format == "json" {
			s.arg = jsonPointer(arg)
		}
	case kPart:
		i := b.partIndex(arg)
		if i < 0 {
			return source{}, fmt.Errorf("source %q: the list has no such part", text)
		}
		s.part = valueParts + i
	case kSegment, kPathTail, kPathHead:
		n, err := strconv.Atoi(arg)
		if err != nil || n < 1 {
			return source{}, fmt.Errorf("source %q: want a number of path segments above 0", text)
		}
		s.part = n
	}
	return s, nil
}

// requestSource returns a source in the request that a response answers.
func (b *builder) requestSource(text string) (source, error) {
	s, err := b.source(text)
	switch s.kind {
	case kHeader, kQueryParam, kMethod, kHost, kPath, kQuery, kTarget, kURL:
	default:
		if err == nil {
			err = fmt.Errorf("source request:%s: not a place of the request", text)
		}
	}
	s.request = true
	return s, err
}

func isToken(r rune) bool { return r < 0x80 && canon.TokenChars.Has(byte(r)) }

// jsonPointer returns arg as an RFC 6901 pointer; a bare name is a top-level
// member.
func jsonPointer(arg string) string {
	if strings.HasPrefix(arg, "/") {
		return arg
	}
	return "/" + strings.ReplaceAll(strings.ReplaceAll(arg, "~", "~0"), "/", "~1")
}

func (b *builder) partIndex(name string) int {
	if b.format.List == nil {
		return -1
	}
	return slices.IndexFunc(b.format.List.Parts, func(p Part) bool { return p.Name == name })
}

// get returns the text at s in m; ok is false if there is none. The body is
// not read by get, since it would be copied.
func (p *program) get(s *source, m *sealwright.Message, c *sealwright.Claim) (text string, ok bool, err error) {
	if s.request {
		if m = m.Request; m == nil {
			return "", false, sealwright.Refusef(sealwright.ErrMalformed, "the request of the response is not known")
		}
	}
	u := p.url(m)
	switch s.kind {
	case kLiteral:
		return s.arg, true, nil
	case kMethod:
		return m.Method, true, nil
	case kScheme:
		return u.URLScheme(), true, nil
	case kHost:
		return u.Host, true, nil
	case kHostname:
		return hostname(u.Host), true, nil
	case kHostport:
		return hostport(u.Host, u.URLScheme()), true, nil
	case kPath:
		return u.Path(), true, nil
	case kQuery:
		return u.Query(), true, nil
	case kTarget:
		return u.Target, true, nil
	case kURL:
		return u.URL(), true, nil
	case kTime:
		return c.Values[valueTime], true, nil
	case kNonce:
		return c.Values[valueNonce], true, nil
	case kKeyID:
		return c.Values[valueKeyID], true, nil
	case kPart:
		v := c.Values[s.part]
		return v, v != "", nil
	case kHeader:
		return header(m, s.arg)
	case kQueryParam:
		return field(m.Query(), s.arg, "query parameter")
	case kForm:
		return formField(m, s.arg)
	case kJSON:
		return jsonField(p.jsonDocument(m), s.arg)
	case kEither:
		return either(m, s.arg)
	case kArg:
		return argument(m, s.arg)
	case kPayload:
		return p.payload.field(p, s.arg, m, c)
	case kQueryWithout, kQueryBefore:
		rest, last := without(u.Query(), s.arg)
		if s.kind == kQueryBefore && !last {
			return "", false, sealwright.Refusef(sealwright.ErrMalformed, "query parameter %s is not the last", s.arg)
		}
		return rest, true, nil
	case kBodyWithout:
		rest, _ := without(string(m.Body), s.arg)
		return rest, true, nil
	case kStatus:
		return fmt.Sprint(m.Status), true, nil
	}
	return p.rare(s, m, c)
}

// rare is get for the sources that few schemes have.
func (p *program) rare(s *source, m *sealwright.Message, c *sealwright.Claim) (text string, ok bool, err error) {
	u := p.url(m)
	switch s.kind {
	case kPort:
		return strings.TrimPrefix(hostport(u.Host, u.URLScheme()), hostname(u.Host)+":"), true, nil
	case kHead:
		return c.Values[valueHead], true, nil
	case kContent:
		b, err := content(m)
		return string(b), true, err
	case kUnix:
		return unixText(c)
	case kSegment, kPathTail, kPathHead:
		head, segment, tail, ok := cutPath(u.Path(), s.part)
		switch s.kind {
		case kSegment:
			return segment, ok, nil
		case kPathTail:
			return tail, ok, nil
		}
		if !strings.HasSuffix(head, "/") {
			return "", false, nil
		}
		return head, ok, nil
	case kXML:
		return bodyField(m, "xml", s.arg)
	case kLine:
		return bodyField(m, "lines", s.arg)
	case kFamily:
		return header(m, s.arg+"1")
	}
	return "", false, fmt.Errorf("source of kind %d has no text", s.kind)
}

// unixText returns the instant that the message names in Unix seconds.
func unixText(c *sealwright.Claim) (string, bool, error) {
	t := c.At
	if !c.Expires.IsZero() {
		t = c.Expires
	}
	return strconv.FormatInt(t.Unix(), 10), !t.IsZero(), nil
}

// cutPath splits path at segment n, the first of which is 1: /a/b/c at 2 has
// the segment b, the tail /c and, as its first two segments, the head /a/b/. ok
// is false if the path has no segment n, or nothing behind it for the head.
func cutPath(path string, n int) (head, segment, tail string, ok bool) {
	at := 0
	for i := range n {
		if at == len(path) || path[at] != '/' {
			return "", "", "", false
		}
		end := strings.IndexByte(path[at+1:], '/') + at + 1
		if end == at {
			end = len(path)
		}
		if i == n-1 {
			segment = path[at+1 : end]
		}
		at = end
	}
	return path[:min(at+1, len(path))], segment, path[at:], true
}

// jsonDocument returns what JSON pointers look into: the body, or the form
// field that the definition names if the body is a form.
func (p *program) jsonDocument(m *sealwright.Message) []byte {
	if p.document == "" || !isForm(m) && !isMultipart(m) {
		return m.Body
	}
	text, _, err := formField(m, p.document)
	if err != nil {
		return nil
	}
	return []byte(text)
}

// url returns the message whose URL is signed: the configured one, with the
// query of the request if it has none itself, or m.
func (p *program) url(m *sealwright.Message) *sealwright.Message {
	if p.public == nil {
		return m
	}
	u := *p.public
	if !strings.Contains(u.Target, "?") && m.Query() != "" {
		u.Target += "?" + m.Query()
	}
	return &u
}

func hostname(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		return host[:i]
	}
	return host
}

func hostport(host, scheme string) string {
	if hostname(host) != host {
		return host
	}
	if scheme == "http" {
		return host + ":80"
	}
	return host + ":443"
}

func header(m *sealwright.Message, name string) (string, bool, error) {
	if name == "Host" {
		if vs := m.Header["Host"]; len(vs) > 1 {
			return "", false, sealwright.Refusef(sealwright.ErrMalformed, "header Host stands %d times", len(vs))
		}
		return m.Host, m.Host != "", nil
	}
	vs := m.Header[name]
	switch len(vs) {
	case 0:
		return "", false, nil
	case 1:
		return vs[0], true, nil
	}
	return "", false, sealwright.Refusef(sealwright.ErrMalformed, "header %s stands %d times", name, len(vs))
}

// field returns the decoded value of the one field with this name.
func field(raw, name, what string) (string, bool, error) {
	if err := countFields(raw); err != nil {
		return "", false, err
	}
	var space [32]canon.Field
	value, found := "", false
	for _, f := range canon.AppendFields(space[:0], raw) {
		n, err := canon.Unescape(f.Name, true)
		if err != nil || n != name {
			continue // a name that does not decode is not this one
		}
		if found {
			return "", false, sealwright.Refusef(sealwright.ErrMalformed, "%s %s stands more than once", what, name)
		}
		if value, err = canon.Unescape(f.Value, true); err != nil {
			return "", false, sealwright.Refusef(sealwright.ErrMalformed, "%s %s: %v", what, name, err)
		}
		found = true
	}
	return value, found, nil
}

// maxFields bounds the parameters of a query or form that are looked at.
const maxFields = canon.MaxFields

func countFields(raw string) error {
	if n := strings.Count(raw, "&"); n >= maxFields {
		return sealwright.Refusef(sealwright.ErrMalformed, "more than %d parameters", maxFields)
	}
	return nil
}

func jsonField(body []byte, pointer string) (string, bool, error) {
	if len(body) == 0 {
		return "", false, nil
	}
	raw, _, found, err := canon.JSONValue(body, pointer)
	if err != nil {
		return "", false, sealwright.Refusef(sealwright.ErrMalformed, "body: %v", err)
	}
	if !found {
		return "", false, nil
	}
	text, err := canon.JSONText(raw)
	if err != nil {
		return "", false, sealwright.Refusef(sealwright.ErrMalformed, "body at %s: %v", pointer, err)
	}
	return text, true, nil
}

// either reads a value whose place the user named without saying whether it is
// a header or a JSON field. Both at once is refused: one channel, not two.
func either(m *sealwright.Message, name string) (string, bool, error) {
	h, inHeader, err := header(m, canon.HeaderName(name))
	if err != nil {
		return "", false, err
	}
	if !json.Valid(m.Body) {
		return h, inHeader, nil
	}
	j, inBody, err := jsonField(m.Body, jsonPointer(name))
	if err != nil {
		return "", false, err
	}
	if inHeader && inBody {
		return "", false, sealwright.Refusef(sealwright.ErrMalformed, "%s stands both as header and in the body", name)
	}
	if inHeader {
		return h, true, nil
	}
	return j, inBody, nil
}

// argument reads a value that may stand in the query or in the form body. Both
// at once is refused.
func argument(m *sealwright.Message, name string) (string, bool, error) {
	q, inQuery, err := field(m.Query(), name, "query parameter")
	if err != nil {
		return "", false, err
	}
	f, inForm, err := field(string(m.Body), name, "form field")
	switch {
	case err != nil:
		return "", false, err
	case inQuery && inForm:
		return "", false, sealwright.Refusef(sealwright.ErrMalformed, "%s stands both in the query and in the form", name)
	case inForm:
		return f, true, nil
	}
	return q, inQuery, nil
}

// cutField splits raw around the first field of this name, which is compared
// decoded, as reading does.
func cutField(raw, name string) (before, after string, found bool) {
	for at := 0; at < len(raw); {
		piece, _, _ := strings.Cut(raw[at:], "&")
		n, _, _ := strings.Cut(piece, "=")
		if decoded, err := canon.Unescape(n, true); err == nil && decoded == name && piece != "" {
			return raw[:at], raw[at+len(piece):], true
		}
		at += len(piece) + 1
	}
	return raw, "", false
}

// without returns raw less the field name and one separator beside it; all
// other bytes stay. last is false if something follows the field.
func without(raw, name string) (rest string, last bool) {
	before, after, found := cutField(raw, name)
	switch {
	case !found:
		return raw, true
	case after == "":
		return strings.TrimSuffix(before, "&"), true
	}
	return before + after[1:], false
}

// transform appends the changed form of src to dst. src may be in the same
// array as dst, before its end.
type transform func(dst, src []byte) ([]byte, error)

func plain(f func(dst []byte, s string) []byte) transform {
	return func(dst, src []byte) ([]byte, error) { return f(dst, string(src)), nil }
}

func percent(keep canon.Set) transform {
	return plain(func(dst []byte, s string) []byte { return canon.AppendPercent(dst, s, keep) })
}

func unescape(plus bool) transform {
	return func(dst, src []byte) ([]byte, error) {
		out, err := canon.AppendUnescaped(dst, string(src), plus)
		if err != nil {
			return nil, sealwright.Refusef(sealwright.ErrMalformed, "%v", err)
		}
		return out, nil
	}
}

var transforms = map[string]transform{
	"lower":         plain(canon.AppendLower),
	"upper":         plain(canon.AppendUpper),
	"trim":          plain(func(dst []byte, s string) []byte { return append(dst, canon.TrimOWS(s)...) }),
	"fold":          plain(canon.AppendFolded),
	"percent":       percent(canon.Unreserved),
	"percent-path":  percent(canon.PathChars),
	"percent-form":  plain(canon.AppendForm),
	"uri-component": percent(canon.URIComponent),
	"uri":           percent(canon.URI),
	"decode":        unescape(false),
	"decode-form":   unescape(true),
	"md5":           digest("md5"),
	"sha1":          digest("sha1"),
	"sha256":        digest("sha256"),
	"sha384":        digest("sha384"),
	"sha512":        digest("sha512"),
	"sha3-256":      digest("sha3-256"),
	"percent-plus":  plain(canon.AppendPlus),
	"media-type":    plain(appendMediaType),
	"json":          checked(sealwright.ErrMalformed, canon.AppendJSONString),
	"nfkd":          checked(sealwright.ErrConfig, canon.AppendNFKD),

	"decode-hubspot": decodeHubspot,
	"escape-colon":   replace(`\`, `\\`, ":", `\:`),  // Adyen
	"escape-line":    replace(`\`, `\\`, "\n", `\n`), // Hawk
	"underscore":     replace("&", "_", "=", "_"),    // Vonage: lossy
}

// digests are the plain hashes that may stand inside a message.
var digests = map[string]transform{
	"md5":      func(dst, src []byte) ([]byte, error) { s := md5.Sum(src); return append(dst, s[:]...), nil },
	"sha1":     func(dst, src []byte) ([]byte, error) { s := sha1.Sum(src); return append(dst, s[:]...), nil },
	"sha256":   func(dst, src []byte) ([]byte, error) { s := sha256.Sum256(src); return append(dst, s[:]...), nil },
	"sha384":   func(dst, src []byte) ([]byte, error) { s := sha512.Sum384(src); return append(dst, s[:]...), nil },
	"sha512":   func(dst, src []byte) ([]byte, error) { s := sha512.Sum512(src); return append(dst, s[:]...), nil },
	"sha3-256": func(dst, src []byte) ([]byte, error) { s := sha3.Sum256(src); return append(dst, s[:]...), nil },
}

func digest(name string) transform { return digests[name] }

func findTransform(name string) (transform, error) {
	if t, ok := transforms[name]; ok {
		return t, nil
	}
	if e, err := canon.ParseEncoding(name); err == nil {
		return func(dst, src []byte) ([]byte, error) { return e.Append(dst, src), nil }, nil
	}
	return transformWith(name)
}

// piece is a literal, or a source with transforms: {source|transform|…}.
type piece struct {
	source     source
	transforms []transform
	names      []string // of the transforms
	required   bool     // an absent value is an error, not an empty text
	first      int      // bytes that are kept by a transform; 0 means all
}

// template compiles text. names says what a bare {name} means: "" for the plain
// sources only, json for members of the body, query for query parameters.
func (b *builder) template(text, names string) ([]piece, error) {
	var out []piece
	literal := ""
	flush := func() {
		if literal != "" {
			out = append(out, piece{source: source{kind: kLiteral, arg: literal}})
			literal = ""
		}
	}
	for text != "" {
		i := strings.IndexAny(text, "{}")
		if i < 0 {
			literal += text
			break
		}
		literal += text[:i]
		rest := text[i:]
		if len(rest) > 1 && rest[0] == rest[1] {
			literal += rest[:1]
			text = rest[2:]
			continue
		}
		if rest[0] == '}' {
			return nil, fmt.Errorf("template: } without {; write }} for the character")
		}
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return nil, fmt.Errorf("template: { without }; write {{ for the character")
		}
		flush()
		p, err := b.piece(rest[1:end], names)
		if err != nil {
			return nil, err
		}
		if p.source.kind == kLiteral && len(p.transforms) == 0 {
			literal += p.source.arg
		} else {
			out = append(out, p)
		}
		text = rest[end+1:]
	}
	flush()
	return out, nil
}

func (b *builder) piece(expr, names string) (piece, error) {
	parts := strings.Split(expr, "|")
	text := parts[0]
	optional := strings.HasSuffix(text, "?")
	text = strings.TrimSuffix(text, "?")
	if names != "" && !strings.Contains(text, ":") {
		if _, builtin := plainSources[text]; names == "json" || !builtin {
			text = names + ":" + text
		}
	}
	s, err := b.source(text)
	if err != nil {
		return piece{}, fmt.Errorf("template {%s}: %w", expr, err)
	}
	p := piece{source: s, names: parts[1:], required: !optional}
	for _, name := range parts[1:] {
		t, err := findTransform(name)
		if err != nil {
			return piece{}, fmt.Errorf("template {%s}: %w", expr, err)
		}
		p.transforms = append(p.transforms, t)
		if n, ok := strings.CutPrefix(name, "first:"); ok && p.first == 0 {
			p.first, _ = strconv.Atoi(n)
		}
	}
	return p, nil
}

var errAbsent = errors.New("is absent")

// errNoSecret is what a template with the secret gives where it may not stand: in
// what a message carries or must begin with.
var errNoSecret = fmt.Errorf("%w: {secret} may stand in message and key only", sealwright.ErrConfig)

// write writes the piece to w.
func (p *program) write(pc *piece, w sealwright.Sink, m *sealwright.Message, c *sealwright.Claim) error {
	if len(pc.transforms) == 0 {
		switch pc.source.kind {
		case kBody:
			_, err := w.Write(m.Body)
			return err
		case kSecret:
			if c.Key == nil {
				return errNoSecret
			}
			_, err := w.Write(c.Key.Secret.Expose())
			return err
		}
		text, ok, err := p.get(&pc.source, m, c)
		if err != nil {
			return err
		}
		if !ok && pc.required {
			return sealwright.Refusef(sealwright.ErrMalformed, "%s %v", pc.source, errAbsent)
		}
		_, err = w.WriteString(text)
		return err
	}
	out, err := p.text(pc, m, c)
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

// text returns the text of the piece in c.Scratch, valid until the next call.
func (p *program) text(pc *piece, m *sealwright.Message, c *sealwright.Claim) ([]byte, error) {
	buf := c.Scratch[:0]
	var in []byte
	switch pc.source.kind {
	case kBody:
		in = m.Body
	case kSecret:
		if c.Key == nil {
			return nil, errNoSecret
		}
		in = c.Key.Secret.Expose()
	default:
		s, ok, err := p.get(&pc.source, m, c)
		if err != nil {
			return nil, err
		}
		if !ok && pc.required {
			return nil, sealwright.Refusef(sealwright.ErrMalformed, "%s %v", pc.source, errAbsent)
		}
		buf = append(buf, s...)
		in = buf
	}
	for _, t := range pc.transforms {
		mark := len(buf)
		next, err := t(buf, in)
		if err != nil {
			return nil, err
		}
		buf, in = next, next[mark:]
	}
	c.Scratch = buf[:0]
	return in, nil
}

// String returns the source as a definition writes it.
func (s source) String() string {
	if s.request {
		s.request = false
		return "request:" + s.String()
	}
	for name, k := range plainSources {
		if k == s.kind {
			return name
		}
	}
	switch s.kind {
	case kPart:
		return "part"
	case kSegment, kPathTail, kPathHead:
		s.arg = strconv.Itoa(s.part)
	}
	for name, k := range namedSources {
		if k == s.kind {
			return name + ":" + s.arg
		}
	}
	return "literal"
}
