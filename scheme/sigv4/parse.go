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

// find reads the credentials of m into p. They must stand in exactly one
// place. With [sealwright.ErrMissing] p holds what was found.
func (d *dialect) find(m *sealwright.Message, p *presented) error {
	if m.Status != 0 {
		return sealwright.Refusef(sealwright.ErrMalformed, "a response carries no signature of %s", d.id)
	}
	values := m.Header[d.auth]
	var params [paramCount]string
	inQuery, err := d.params(&params, m.Query())
	if d.query && d.payload != "" {
		p.payload = params[paramPayload]
	}
	switch {
	case err != nil:
		return err
	case len(values) > 0 && inQuery:
		return sealwright.Refusef(sealwright.ErrPolicy, "credentials in both %s and the query", d.auth)
	case len(values) > 1:
		return sealwright.Refusef(sealwright.ErrMalformed, "header %s: got %d values, want one", d.auth, len(values))
	case len(values) == 1 && !d.header:
		return sealwright.Refusef(sealwright.ErrPolicy, "header %s beside a signed URL", d.auth)
	case len(values) == 1:
		return d.fromHeader(m, values[0], p)
	case inQuery && d.query:
		return d.fromQuery(&params, p)
	case inQuery:
		return sealwright.Refusef(sealwright.ErrPolicy, "credentials in the query, want header %s", d.auth)
	case d.header:
		return sealwright.Refusef(sealwright.ErrMissing, "no header %s", d.auth)
	}
	return sealwright.Refusef(sealwright.ErrMissing, "no parameter %s", d.names[paramSignature])
}

// params finds the dialect's parameters in a raw query; found says whether
// any of them is a credential. Each may stand once and in its exact spelling:
// other letters or escapes in a name would be read by some parsers and not by
// others.
func (d *dialect) params(out *[paramCount]string, query string) (found bool, err error) {
	if query == "" || d.names[0] == "" {
		return false, nil
	}
	var seen [paramCount]bool
	for query != "" {
		var pair string
		pair, query = cut(query, '&')
		raw, value := cut(pair, '=')
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
			return false, sealwright.Refusef(sealwright.ErrMalformed, "query: want one parameter %s, got another one or another spelling", d.names[i])
		}
		seen[i] = true
		found = found || i < credentialParams
		if out[i], err = canon.Unescape(value, d.queryMode == QueryForm); err != nil {
			return false, sealwright.Refusef(sealwright.ErrMalformed, "query parameter %s: %v", d.names[i], err)
		}
	}
	return found, nil
}

func (d *dialect) param(name string) int {
	for i, n := range d.names {
		if len(name) == len(n) && strings.EqualFold(name, n) {
			return i
		}
	}
	return -1
}

func (d *dialect) fromHeader(m *sealwright.Message, text string, p *presented) error {
	rest, ok := strings.CutPrefix(text, d.algorithm)
	if trimLeft(rest) == "" {
		return sealwright.Refusef(sealwright.ErrMissing, "header %s has no signature", d.auth)
	}
	if !ok || rest[0] != ' ' {
		label, _ := cut(text, ' ')
		return sealwright.Refusef(sealwright.ErrPolicy, "header %s: algorithm is %q, want %q", d.auth, clip(label), d.algorithm)
	}
	credential, err := d.fields(rest, p)
	if err != nil {
		return err
	}
	if p.time, err = single(m, d.date); err != nil {
		return err
	}
	return d.split(credential, p)
}

// fields reads the three parts behind the algorithm, each of which must stand
// once, in any order.
func (d *dialect) fields(list string, p *presented) (credential string, err error) {
	if strings.HasSuffix(list, ",") {
		return "", sealwright.Refusef(sealwright.ErrMalformed, "header %s ends with a comma", d.auth)
	}
	for list != "" {
		var piece string
		piece, list = cut(list, ',')
		name, value := cut(trimLeft(piece), '=')
		place := &credential
		switch name {
		case d.credential:
		case "SignedHeaders":
			place = &p.headers
		case "Signature":
			place = &p.signature
		default:
			return "", sealwright.Refusef(sealwright.ErrMalformed, "header %s: unknown part %q", d.auth, clip(name))
		}
		if value == "" {
			return "", sealwright.Refusef(sealwright.ErrMissing, "header %s: %s is empty", d.auth, name)
		}
		if *place != "" {
			return "", sealwright.Refusef(sealwright.ErrMalformed, "header %s: %s stands twice", d.auth, name)
		}
		*place = value
	}
	if credential == "" || p.headers == "" || p.signature == "" {
		return "", sealwright.Refusef(sealwright.ErrMissing, "header %s: want %s, SignedHeaders and Signature", d.auth, d.credential)
	}
	return credential, nil
}

func (d *dialect) fromQuery(params *[paramCount]string, p *presented) error {
	p.query, p.time, p.expires = true, params[paramDate], params[paramExpires]
	p.headers, p.signature = params[paramHeaders], params[paramSignature]
	for i := range credentialParams {
		if params[i] == "" {
			return sealwright.Refusef(sealwright.ErrMissing, "query parameter %s is missing or empty", d.names[i])
		}
	}
	if got := params[paramAlgorithm]; got != d.algorithm {
		return sealwright.Refusef(sealwright.ErrPolicy, "query parameter %s: got %q, want %q", d.names[paramAlgorithm], clip(got), d.algorithm)
	}
	return d.split(params[paramCredential], p)
}

// split cuts a credential into key ID and scope, from its end, so that a key
// ID may hold slashes, and holds the scope against the pinned parts.
func (d *dialect) split(credential string, p *presented) error {
	if !isPlain(credential) {
		return sealwright.Refusef(sealwright.ErrMalformed, "%s holds a control character", d.credential)
	}
	rest, last := credential, len(d.scope)-1
	if pinned, ok := strings.CutSuffix(rest, d.pinned); ok && d.pinned != "" {
		rest, last, p.service = pinned, 0, d.service
	}
	for i := last; i >= 0; i-- {
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
	c.KeyID, c.Nonce = p.keyID, ""
	c.Covers = sealwright.Coverage{Method: true, Time: true, KeyID: p.query}
	c.Values[atScope], c.Values[atPayload], c.Values[atDeclared] = p.scope, "", ""
	c.Values[atForm], c.Values[atComplete] = "", ""
	if err := d.fillTime(c, p); err != nil {
		return err
	}
	if err := d.fillPayload(m, c, p); err != nil {
		return err
	}
	if err := d.fillRequest(m, c, p); err != nil {
		return err
	}
	if d.nonce == "" {
		return nil
	}
	var err error
	c.Nonce, err = single(m, d.nonce)
	return err
}

func (d *dialect) fillTime(c *sealwright.Claim, p *presented) error {
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
		date, _ := cut(p.scope, '/')
		if want := dateOf(at, c.Values[atTime], d.scope[0].text); date != want {
			return sealwright.Refusef(sealwright.ErrPolicy, "date of the scope is %q, but that of the time %q", clip(date), want)
		}
	}
	return nil
}

// fillPayload decides what the last line of the canonical request is.
func (d *dialect) fillPayload(m *sealwright.Message, c *sealwright.Claim, p *presented) error {
	declared, place := "", "query"
	if p.query {
		declared = p.payload
	}
	if d.payload != "" {
		if values := m.Header[d.payload]; len(values) > 0 {
			if declared != "" {
				return sealwright.Refusef(sealwright.ErrPolicy, "hash of the body declared in both %s and the query", d.payload)
			}
			if len(values) > 1 || values[0] == "" {
				return sealwright.Refusef(sealwright.ErrMalformed, "header %s: want one value", d.payload)
			}
			declared, place = values[0], d.payload
		}
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
	case len(declared) == 2*d.mac.Size():
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
