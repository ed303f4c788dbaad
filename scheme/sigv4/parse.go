package sigv4

import (
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// The query parameters of a dialect, by the part of their name after its
// prefix. The first six are credentials.
const (
	paramAlgorithm = iota
	paramCredential
	paramDate
	paramExpires
	paramHeaders
	paramSignature
	paramToken
	paramPayload
	paramCount
)

const credentialParams = paramSignature + 1

var paramNames = [paramCount]string{
	"Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token", "Content-Sha256",
}

const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	streamingPrefix = "STREAMING-"
)

// presented is what a request says of its signature.
type presented struct {
	query     bool // it stands in the query
	keyID     string
	scope     string
	service   string
	headers   string // list of signed headers
	time      string
	signature string
	expires   string // only in the query
	payload   string // parameter Content-Sha256, only in the query
}

// find reads the credentials of m. They must stand in exactly one place. With
// [sealwright.ErrMissing] it returns what it found.
func (d *dialect) find(m *sealwright.Message) (presented, error) {
	var p presented
	if m.Status != 0 {
		return p, sealwright.Refusef(sealwright.ErrMalformed, "a response carries no signature of %s", d.id)
	}
	values := m.Header[d.auth]
	params, inQuery, err := d.params(m.Query())
	switch {
	case err != nil:
		return p, err
	case len(values) > 0 && inQuery:
		return p, sealwright.Refusef(sealwright.ErrPolicy, "credentials in both %s and the query", d.auth)
	case len(values) > 1:
		return p, sealwright.Refusef(sealwright.ErrMalformed, "header %s: got %d values, want one", d.auth, len(values))
	case len(values) == 1 && !d.header:
		return p, sealwright.Refusef(sealwright.ErrPolicy, "header %s beside a signed URL", d.auth)
	case len(values) == 1:
		return d.fromHeader(m, values[0])
	case inQuery && d.query:
		return d.fromQuery(&params)
	case inQuery:
		return p, sealwright.Refusef(sealwright.ErrPolicy, "credentials in the query, want header %s", d.auth)
	case d.header:
		return p, sealwright.Refusef(sealwright.ErrMissing, "no header %s", d.auth)
	}
	return p, sealwright.Refusef(sealwright.ErrMissing, "no parameter %s", d.names[paramSignature])
}

// params finds the dialect's parameters in a raw query; found says whether
// any of them is a credential. Each may stand once and in its exact spelling:
// other letters or escapes in a name would be read by some parsers and not by
// others.
func (d *dialect) params(query string) (out [paramCount]string, found bool, err error) {
	if query == "" || d.names[0] == "" {
		return out, false, nil
	}
	var seen [paramCount]bool
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		raw, value, _ := strings.Cut(pair, "=")
		name := raw
		if strings.Contains(raw, "%") {
			if name, err = canon.Unescape(raw, false); err != nil {
				continue // not a name of ours; the canonical query decides
			}
		}
		i := d.param(name)
		if i < 0 {
			continue
		}
		if seen[i] || raw != d.names[i] {
			return out, false, sealwright.Refusef(sealwright.ErrMalformed, "query: want one parameter %s, got another one or another spelling", d.names[i])
		}
		seen[i] = true
		found = found || i < credentialParams
		if out[i], err = canon.Unescape(value, d.queryMode == QueryForm); err != nil {
			return out, false, sealwright.Refusef(sealwright.ErrMalformed, "query parameter %s: %v", d.names[i], err)
		}
	}
	return out, found, nil
}

func (d *dialect) param(name string) int {
	for i, n := range d.names {
		if len(name) == len(n) && strings.EqualFold(name, n) {
			return i
		}
	}
	return -1
}

func (d *dialect) fromHeader(m *sealwright.Message, text string) (presented, error) {
	var p presented
	rest, ok := strings.CutPrefix(text, d.algorithm)
	if !ok || rest == "" || rest[0] != ' ' {
		label, _, _ := strings.Cut(text, " ")
		if text == "" || rest == "" {
			return p, sealwright.Refusef(sealwright.ErrMissing, "header %s has no signature", d.auth)
		}
		return p, sealwright.Refusef(sealwright.ErrPolicy, "header %s: algorithm is %q, want %q", d.auth, clip(label), d.algorithm)
	}
	var credential string
	for _, f := range [...]struct {
		name  string
		value *string
	}{{d.credential, &credential}, {"SignedHeaders", &p.headers}, {"Signature", &p.signature}} {
		var err error
		if *f.value, err = d.field(rest, f.name); err != nil {
			return p, err
		}
	}
	if n := strings.Count(rest, ","); n != 2 {
		return p, sealwright.Refusef(sealwright.ErrMalformed, "header %s: got %d parts, want %s, SignedHeaders and Signature", d.auth, n+1, d.credential)
	}
	var err error
	if p.time, err = single(m, d.date); err != nil {
		return p, err
	}
	return p, d.split(credential, &p)
}

// field returns the value of the part of that name, which must stand once.
func (d *dialect) field(list, name string) (string, error) {
	found := ""
	seen := false
	for list != "" {
		var piece string
		piece, list, _ = strings.Cut(list, ",")
		n, value, ok := strings.Cut(canon.TrimOWS(piece), "=")
		if !ok || n != name {
			continue
		}
		if seen {
			return "", sealwright.Refusef(sealwright.ErrMalformed, "header %s: %s stands twice", d.auth, name)
		}
		found, seen = value, true
	}
	if found == "" {
		return "", sealwright.Refusef(sealwright.ErrMissing, "header %s: %s is missing or empty", d.auth, name)
	}
	return found, nil
}

func (d *dialect) fromQuery(params *[paramCount]string) (presented, error) {
	p := presented{
		query: true, time: params[paramDate], expires: params[paramExpires], headers: params[paramHeaders],
		signature: params[paramSignature],
	}
	if d.payload != "" {
		p.payload = params[paramPayload]
	}
	for i := range credentialParams {
		if params[i] == "" {
			return p, sealwright.Refusef(sealwright.ErrMissing, "query parameter %s is missing or empty", d.names[i])
		}
	}
	if got := params[paramAlgorithm]; got != d.algorithm {
		return p, sealwright.Refusef(sealwright.ErrPolicy, "query parameter %s: got %q, want %q", d.names[paramAlgorithm], clip(got), d.algorithm)
	}
	return p, d.split(params[paramCredential], &p)
}

// split cuts a credential into key ID and scope, from its end, so that a key
// ID may hold slashes, and holds the scope against the pinned parts.
func (d *dialect) split(credential string, p *presented) error {
	if !isPlain(credential) {
		return sealwright.Refusef(sealwright.ErrMalformed, "%s holds a control character", d.credential)
	}
	rest := credential
	for i := len(d.scope) - 1; i >= 0; i-- {
		cut := strings.LastIndexByte(rest, '/')
		if cut < 0 || cut == len(rest)-1 {
			return sealwright.Refusef(sealwright.ErrMalformed, "%s: no %s in the scope", d.credential, d.scope[i].name)
		}
		text := rest[cut+1:]
		rest = rest[:cut]
		if s := &d.scope[i]; s.kind == scopeText && text != s.text {
			return sealwright.Refusef(sealwright.ErrPolicy, "%s: %s is %q, want %q", d.credential, s.name, clip(text), s.text)
		}
		if d.scope[i].name == "service" {
			p.service = text
		}
	}
	if rest == "" {
		return sealwright.Refusef(sealwright.ErrMalformed, "%s: no key ID", d.credential)
	}
	p.keyID = rest
	if len(d.scope) > 0 {
		p.scope = credential[len(rest)+1:]
	}
	return nil
}

// fill puts what m and p say into c and builds the canonical request, except
// its last line, in c.Scratch.
func (d *dialect) fill(m *sealwright.Message, c *sealwright.Claim, p *presented) error {
	c.KeyID, c.Nonce, c.Covers = p.keyID, "", sealwright.Coverage{}
	c.Values = [sealwright.MaxValues]string{atScope: p.scope}
	for _, step := range [...]func(*sealwright.Message, *sealwright.Claim, *presented) error{
		d.fillTime, d.fillHeaders, d.fillPayload, d.fillRequest,
	} {
		if err := step(m, c, p); err != nil {
			return err
		}
	}
	c.Covers.Method, c.Covers.Time, c.Covers.KeyID = true, true, p.query
	return nil
}

func (d *dialect) fillTime(_ *sealwright.Message, c *sealwright.Claim, p *presented) error {
	format := d.format
	if p.query {
		format = formatBasic
	}
	at, err := parseTime(format, p.time)
	if err != nil {
		return sealwright.Refusef(sealwright.ErrMalformed, "time: %v", err)
	}
	c.At, c.Past, c.Future = at, d.window, d.window
	c.Values[atTime] = p.time
	if format == formatHTTP {
		c.Values[atTime] = at.UTC().Format(layoutBasic)
	}
	if p.query {
		c.Values[atForm] = inURL
		lifetime, err := parseExpires(p.expires)
		if err != nil {
			return sealwright.Refusef(sealwright.ErrPolicy, "query parameter %s: %v", d.names[paramExpires], err)
		}
		c.Past = lifetime + d.grace
		c.Expires = at.Add(c.Past)
	}
	if len(d.scope) > 0 {
		var buf [16]byte
		want := appendDate(buf[:0], at, d.scope[0].text)
		if date, _, _ := strings.Cut(p.scope, "/"); date != string(want) {
			return sealwright.Refusef(sealwright.ErrPolicy, "date of the scope is %q, but that of the time %s", clip(date), want)
		}
	}
	return nil
}

// fillHeaders checks the list of signed headers and notes what it covers.
func (d *dialect) fillHeaders(m *sealwright.Message, c *sealwright.Claim, p *presented) error {
	list := p.headers
	n := strings.Count(list, ";") + 1
	if n > maxSigned {
		return sealwright.Refusef(sealwright.ErrMalformed, "SignedHeaders: got %d names, want at most %d", n, maxSigned)
	}
	if d.unsorted {
		list = sorted(list)
	}
	c.Values[atHeaders] = list
	c.Covers.Headers = make([]string, 0, n)
	var required uint32
	before := ""
	for rest := list; ; {
		name, more, ok := strings.Cut(rest, ";")
		if err := d.fillHeader(m, c, name, before); err != nil {
			return err
		}
		for i, r := range d.require {
			if r == name {
				required |= 1 << i
			}
		}
		if !ok {
			break
		}
		rest, before = more, name
	}
	for i, r := range d.require {
		if required&(1<<i) == 0 && !(p.query && strings.EqualFold(r, d.date)) {
			return sealwright.Refusef(sealwright.ErrPolicy, "SignedHeaders: %s must be signed", r)
		}
	}
	var err error
	if d.nonce != "" {
		c.Nonce, err = single(m, d.nonce)
	}
	return err
}

// fillHeader checks one name of the list. The names must rise, so none stands
// twice. A header of the message by the name of Host is never read: the host
// is that of the message.
func (d *dialect) fillHeader(m *sealwright.Message, c *sealwright.Claim, name, before string) error {
	if !isHeaderName(name) {
		return sealwright.Refusef(sealwright.ErrMalformed, "SignedHeaders: %q is no header name in lower case", clip(name))
	}
	if name <= before {
		return sealwright.Refusef(sealwright.ErrMalformed, "SignedHeaders: %q after %q, want each name once, in order", clip(name), clip(before))
	}
	if name == "host" {
		c.Covers.Host = true
		return d.checkHost(m)
	}
	canonical, ok := d.canonical[name]
	if !ok {
		canonical = canon.HeaderName(name)
	}
	if len(m.Header[canonical]) == 0 {
		return sealwright.Refusef(sealwright.ErrPolicy, "SignedHeaders: the request has no header %s", clip(name))
	}
	c.Covers.Headers = append(c.Covers.Headers, canonical)
	return nil
}

func (d *dialect) checkHost(m *sealwright.Message) error {
	if m.Host == "" {
		return sealwright.Refusef(sealwright.ErrPolicy, "SignedHeaders: the request has no host")
	}
	for _, v := range m.Header["Host"] {
		if v != m.Host {
			return sealwright.Refusef(sealwright.ErrPolicy, "header Host is not the host of the request")
		}
	}
	return nil
}

// fillPayload decides what the last line of the canonical request is.
func (d *dialect) fillPayload(m *sealwright.Message, c *sealwright.Claim, p *presented) error {
	declared, place := p.payload, "query"
	if d.payload != "" && len(m.Header[d.payload]) > 0 {
		if declared != "" {
			return sealwright.Refusef(sealwright.ErrPolicy, "hash of the body declared in both %s and the query", d.payload)
		}
		var err error
		if declared, err = single(m, d.payload); err != nil {
			return err
		}
		place = d.payload
	}
	switch {
	case declared == "" && p.query && d.urlPayload != "":
		c.Values[atPayload] = d.urlPayload
	case declared == "" && p.query && d.isObjectStore(p.service):
		c.Values[atPayload] = unsignedPayload
	case declared == "":
		c.Covers.Body = true
	case declared == unsignedPayload && d.unsigned:
		c.Values[atPayload] = declared
	case strings.HasPrefix(declared, streamingPrefix):
		return sealwright.Refusef(sealwright.ErrPolicy, "%s: bodies signed in chunks (%s) are not supported", place, clip(declared))
	case len(declared) == 2*d.mac.Size() && isHex(declared):
		c.Covers.Body = true
		c.Values[atPayload], c.Values[atDeclared] = declared, declared
	default:
		return sealwright.Refusef(sealwright.ErrPolicy, "%s: unknown payload %q", place, clip(declared))
	}
	return nil
}

// single returns the value of a header that must stand once.
func single(m *sealwright.Message, name string) (string, error) {
	values := m.Header[name]
	switch {
	case len(values) > 1:
		return "", sealwright.Refusef(sealwright.ErrMalformed, "header %s: got %d values, want one", name, len(values))
	case len(values) == 0 || values[0] == "":
		return "", sealwright.Refusef(sealwright.ErrMissing, "no header %s", name)
	}
	return values[0], nil
}

func parseExpires(text string) (time.Duration, error) {
	n, err := digits(text)
	if err != nil {
		return 0, err
	}
	if n < 1 || n > int64(MaxExpires/time.Second) {
		return 0, errExpires
	}
	return time.Duration(n) * time.Second, nil
}
