package sigv4

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/scheme"
)

// Options are the differences between dialects, as a definition states them. In
// every text, ${name} stands for the parameter of that name.
//
// Seven parameters mean the same in all dialects that declare them: region and
// service pin those parts of the scope; normalize_path "false" signs the path
// as it was sent; mandatory_headers names further headers that must be signed;
// omit_session_token "true" leaves the session token of a signed URL out;
// expires is the lifetime in seconds of URLs that are signed; presign "true"
// signs the URL instead of the header where both forms count.
type Options struct {
	Form      string `json:"form"`                 // where the signature stands: header, query, or either for exactly one of the two
	Algorithm string `json:"algorithm"`            // name of the algorithm on the wire and in the string to sign
	Hash      string `json:"hash"`                 // sha256 or sha512, in any case
	KeyPrefix string `json:"key_prefix,omitempty"` // what stands before the secret in the key

	// Scope is what follows the key ID in the credential, parts joined by
	// slashes: {yyyymmdd} or {yyyy-mm-dd} first, then {region}, {service} and
	// constants. The key is derived over its parts. Empty: there is no scope,
	// and the key is the secret.
	Scope string `json:"scope,omitempty"`

	Header     string `json:"header,omitempty"`     // header of the signature; refused where only the query counts
	Credential string `json:"credential,omitempty"` // name of the credential in that header; empty means Credential
	Separator  string `json:"separator,omitempty"`  // between the parts of that header when signing; empty means comma and blank

	// Query begins the names of the query parameters Algorithm, Credential, Date,
	// Expires, SignedHeaders, Signature, Security-Token and Content-Sha256. It is
	// also given where only the header form counts, so that a request with both
	// kinds of credentials is refused. Empty: the dialect has no query form.
	Query           string `json:"query,omitempty"`
	QueryCredential string `json:"query_credential,omitempty"` // instead of Credential in the parameter's name

	Date       string `json:"date,omitempty"`        // header of the time
	DateFormat string `json:"date_format,omitempty"` // iso-basic, iso-extended, unix or http-date, which also reads iso-basic
	Untimed    bool   `json:"untimed,omitempty"`     // the string to sign does not hold the time, so its header must be signed
	Window     string `json:"window"`                // allowed age and lead in seconds
	Grace      bool   `json:"grace,omitempty"`       // a signed URL is accepted for one window more than it says

	Method      string   `json:"method,omitempty"`       // upper: signed in upper case; empty: as sent
	Path        string   `json:"path"`                   // one of the Path constants
	QueryValues string   `json:"query_values"`           // one of the Query constants
	HeaderValue string   `json:"header_values"`          // one of the Header constants
	Unsorted    bool     `json:"unsorted,omitempty"`     // the list of signed headers may come in any order, it is signed sorted
	Require     []string `json:"require,omitempty"`      // headers that must be signed
	Sign        []string `json:"sign"`                   // headers to sign if they are there; a name, or a prefix with *
	Nonce       string   `json:"nonce,omitempty"`        // header of the nonce
	Payload     Payload  `json:"payload"`                // how the body is covered
	ObjectStore []string `json:"object_store,omitempty"` // services with the rules of S3: path encoded once, no hash of the body in URLs
}

// Payload says how the body is covered.
type Payload struct {
	Header   string `json:"header,omitempty"`   // header that may declare the hash of the body; empty if there is none
	Unsigned bool   `json:"unsigned,omitempty"` // UNSIGNED-PAYLOAD is allowed there
	Always   bool   `json:"always,omitempty"`   // signing adds that header; otherwise only for object stores
	URL      string `json:"url,omitempty"`      // of signed URLs: empty for the hash of the body, or unsigned-hash for the hash of UNSIGNED-PAYLOAD
}

// Ways to write the path.
const (
	PathNormalEncoded = "normal-encoded" // dot segments and double slashes removed, every byte encoded, escapes again
	PathRawEncoded    = "raw-encoded"    // every byte encoded, escapes again
	PathNormal        = "normal"         // dot segments and double slashes removed, escapes as sent
	PathOnce          = "once"           // decoded and encoded once; an escaped slash stays escaped
	PathOnceSlash     = "once-slash"     // as once, with a slash at the end
	PathRaw           = "raw"            // as sent
)

// Ways to write the query.
const (
	QueryEncoded = "encoded" // decoded and encoded once, sorted; + is a plus sign
	QueryForm    = "form"    // the same, but + is a blank and a % that begins no escape is a percent sign
	QueryRaw     = "raw"     // as sent
)

// Ways to write the value of a header.
const (
	HeaderFolded = "folded" // trimmed, runs of blanks written as one
	HeaderQuoted = "quoted" // the same, but runs between double quotes are kept
	HeaderTrim   = "trim"   // trimmed
	HeaderLower  = "lower"  // trimmed and in lower case
)

// MaxExpires is the longest lifetime of a signed URL; a request that asks for
// more is refused.
const MaxExpires = 604800 * time.Second

// maxSigned is the most header names in a list of signed headers.
const maxSigned = 64

// dialect is a compiled [Options].
type dialect struct {
	id        string
	algorithm string
	mac       mac.Algorithm
	keyPrefix string
	keyName   string
	scope     []part
	pinned    string // the scope from its first slash on, if no part of that is free
	service   string // in pinned

	auth       string // canonical header name, empty if none
	credential string
	separator  string
	header     bool // the header form counts
	query      bool // the query form counts
	names      [paramCount]string
	date       string // canonical header name
	format     string
	untimed    bool
	window     time.Duration
	grace      time.Duration
	expires    string // of URLs that are signed
	presign    bool   // sign the URL where both forms count
	omitToken  bool

	upper       bool
	path        string
	queryMode   string
	headerMode  string
	unsorted    bool
	require     []string // lower case
	sign        []string // lower case
	nonce       string   // canonical header name
	payload     string   // canonical header name
	unsigned    bool
	always      bool
	urlPayload  string // payload line of signed URLs; empty: hash of the body
	objectStore []string

	warnings []string
}

// part is one part of the scope.
type part struct {
	kind byte
	name string // for errors
	text string // of a constant or a configured part
}

const (
	scopeText byte = 1 // must be text
	scopeDate byte = 2 // the date of the time
	scopeFree byte = 3 // whatever the request says
)

// New returns the scheme of a definition. The definition's options must be
// [Options]; an error says which of them cannot be used.
func New(def *scheme.Definition, p scheme.Params) (sealwright.Scheme, error) {
	o, err := read(def.Options, p)
	if err != nil {
		return nil, err
	}
	d := &dialect{
		id: def.ID, algorithm: o.Algorithm, keyPrefix: o.KeyPrefix,
		auth: canon.HeaderName(o.Header), credential: or(o.Credential, "Credential"), separator: or(o.Separator, ", "),
		date: canon.HeaderName(o.Date), format: o.DateFormat, untimed: o.Untimed,
		expires: p.Get("expires"), presign: o.Form == "query" || p.Get("presign") == "true", omitToken: p.Get("omit_session_token") == "true",
		upper: o.Method == "upper", path: o.Path, queryMode: o.QueryValues, headerMode: o.HeaderValue, unsorted: o.Unsorted,
		nonce: canon.HeaderName(o.Nonce), payload: canon.HeaderName(o.Payload.Header),
		unsigned: o.Payload.Unsigned, always: o.Payload.Always, objectStore: o.ObjectStore,
	}
	for _, step := range []func(*Options, scheme.Params) error{
		d.setAlgorithm, d.setForm, d.setScope, d.setTime, d.setRules, d.setHeaders,
	} {
		if err := step(&o, p); err != nil {
			return nil, fmt.Errorf("options: %w", err)
		}
	}
	return d, nil
}

// read decodes the options and puts parameters into their texts.
func read(data []byte, p scheme.Params) (Options, error) {
	var o Options
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		return o, fmt.Errorf("options: byte %d: %w", dec.InputOffset(), err)
	}
	texts := []*string{
		&o.Algorithm, &o.Hash, &o.KeyPrefix, &o.Scope, &o.Header, &o.Query, &o.Date, &o.Window, &o.Nonce, &o.Payload.Header,
	}
	for i := range o.Require {
		texts = append(texts, &o.Require[i])
	}
	for i := range o.Sign {
		texts = append(texts, &o.Sign[i])
	}
	for _, t := range texts {
		s, err := expand(*t, p)
		if err != nil {
			return o, fmt.Errorf("options: %w", err)
		}
		*t = s
	}
	return o, nil
}

// expand replaces ${name} by the parameter.
func expand(text string, p scheme.Params) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("%q: ${ is not closed", text)
		}
		if len(p[name]) != 1 || p[name][0] == "" {
			return "", fmt.Errorf("parameter %q has no value", name)
		}
		out.WriteString(p[name][0])
		text = after
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func oneOf(what, got string, want ...string) error {
	if !slices.Contains(want, got) {
		return fmt.Errorf("%s: got %q, want one of %s", what, got, strings.Join(want, ", "))
	}
	return nil
}

func (d *dialect) setAlgorithm(o *Options, _ scheme.Params) error {
	switch strings.ToLower(o.Hash) {
	case "sha256":
		d.mac = mac.SHA256
	case "sha512":
		d.mac = mac.SHA512
	default:
		return fmt.Errorf("hash: got %q, want sha256 or sha512", o.Hash)
	}
	if o.Algorithm == "" || !isPlain(o.Algorithm) || strings.ContainsAny(o.Algorithm, " ,") {
		return fmt.Errorf("algorithm: got %q, want a word", o.Algorithm)
	}
	d.keyName = fmt.Sprintf("sigv4 %v %q ", d.mac, d.keyPrefix)
	return nil
}

func (d *dialect) setForm(o *Options, p scheme.Params) error {
	if err := oneOf("form", o.Form, "header", "query", "either"); err != nil {
		return err
	}
	d.header, d.query = o.Form != "query", o.Form != "header"
	if d.auth == "" {
		return errors.New("header: missing; a request that has it must be refused where only the query counts")
	}
	if d.query && o.Query == "" {
		return errors.New("query: missing")
	}
	if o.Query != "" {
		for i, name := range paramNames {
			if i == paramCredential && o.QueryCredential != "" {
				name = o.QueryCredential
			}
			d.names[i] = o.Query + name
		}
	}
	if d.query {
		if _, err := parseExpires(d.expires); err != nil {
			return fmt.Errorf("parameter expires: %w", err)
		}
	}
	return nil
}

func (d *dialect) setScope(o *Options, p scheme.Params) error {
	if o.Scope == "" {
		return nil
	}
	for i, text := range strings.Split(o.Scope, "/") {
		name, ok := strings.CutPrefix(text, "{")
		name = strings.TrimSuffix(name, "}")
		isDate := text == "{yyyymmdd}" || text == "{yyyy-mm-dd}"
		if isDate != (i == 0) {
			return fmt.Errorf("scope: part %d is %q, want the date first and only there", i+1, text)
		}
		switch {
		case isDate:
			d.scope = append(d.scope, part{kind: scopeDate, name: "date", text: name})
		case !ok:
			d.scope = append(d.scope, part{kind: scopeText, name: "scope", text: text})
		case p.Get(name) != "":
			d.scope = append(d.scope, part{kind: scopeText, name: name, text: p.Get(name)})
		default:
			d.scope = append(d.scope, part{kind: scopeFree, name: name})
			d.warnings = append(d.warnings, "the "+name+" is not configured, so a signature for any "+name+" is accepted")
		}
		if s := d.scope[i]; s.kind == scopeText && !isCredentialPart(s.text) {
			return fmt.Errorf("scope: %q cannot stand in a scope", s.text)
		}
	}
	d.pin()
	return nil
}

// pin sets pinned and service if every part but the date is known.
func (d *dialect) pin() {
	for _, s := range d.scope[1:] {
		if s.kind != scopeText {
			d.pinned, d.service = "", ""
			return
		}
		d.pinned += "/" + s.text
		if s.name == "service" {
			d.service = s.text
		}
	}
}

func (d *dialect) setTime(o *Options, _ scheme.Params) error {
	seconds, err := digits(o.Window)
	if d.window = time.Duration(seconds) * time.Second; err != nil || d.window > MaxExpires {
		return fmt.Errorf("window: got %q, want 0 to %d seconds", o.Window, int64(MaxExpires/time.Second))
	}
	if o.Grace {
		d.grace = d.window
	}
	if !d.header {
		return nil
	}
	if d.date == "" {
		return errors.New("date: missing")
	}
	return oneOf("date_format", d.format, formatBasic, formatExtended, formatUnix, formatHTTP)
}

func (d *dialect) setRules(o *Options, p scheme.Params) error {
	if p.Get("normalize_path") == "false" {
		d.path = PathRawEncoded
	}
	if o.Payload.URL == "unsigned-hash" {
		d.urlPayload = d.hash([]byte(unsignedPayload))
	}
	return errors.Join(
		oneOf("path", o.Path, PathNormalEncoded, PathRawEncoded, PathNormal, PathOnce, PathOnceSlash, PathRaw),
		oneOf("query_values", d.queryMode, QueryEncoded, QueryForm, QueryRaw),
		oneOf("header_values", d.headerMode, HeaderFolded, HeaderQuoted, HeaderTrim, HeaderLower),
		oneOf("method", o.Method, "", "upper"),
		oneOf("payload: url", o.Payload.URL, "", "unsigned-hash"),
	)
}

func (d *dialect) setHeaders(o *Options, p scheme.Params) error {
	d.require = lower(append(o.Require, p["mandatory_headers"]...))
	d.sign = lower(o.Sign)
	if d.untimed && !slices.Contains(d.require, strings.ToLower(d.date)) {
		return fmt.Errorf("require: the string to sign holds no time, so %s must be signed", d.date)
	}
	if d.nonce != "" && !slices.Contains(d.require, strings.ToLower(d.nonce)) {
		return fmt.Errorf("require: the nonce in %s must be signed", d.nonce)
	}
	if len(d.require) > 32 {
		return fmt.Errorf("require: got %d headers, want at most 32", len(d.require))
	}
	if d.nonce == "" {
		d.warnings = append(d.warnings, "no nonce: a request can be replayed while its time is accepted")
	}
	return nil
}

func lower(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ToLower(n)
	}
	return out
}
