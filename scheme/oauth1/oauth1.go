// Package oauth1 verifies and signs requests by OAuth 1.0 with HMAC-SHA1 (RFC
// 5849).
//
// The signed string is made of the method, the base string URI and the
// normalised parameters of header, query and form body. The signature may stand
// in one of these three places, and in one only. The extension oauth_body_hash
// is compared with the body where a request carries it.
package oauth1

import (
	"cmp"
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
)

// method is the only signature method: the algorithm is pinned.
const method = "HMAC-SHA1"

const window = 300 * time.Second

// maxParameters bounds the parameters of one request.
const maxParameters = 1000

type oauth struct {
	id          string
	tokenSecret string
}

var (
	_ sealwright.SigningScheme = (*oauth)(nil)
	_ sealwright.Checker       = (*oauth)(nil)
	_ sealwright.Warner        = (*oauth)(nil)
)

// New returns the scheme of a definition. Its parameter is token_secret.
func New(d *scheme.Definition, p scheme.Params) (sealwright.Scheme, error) {
	return &oauth{id: d.ID, tokenSecret: p.Get("token_secret")}, nil
}

// Name implements [sealwright.Scheme].
func (o *oauth) Name() string { return o.id }

// Warnings implements [sealwright.Warner].
func (o *oauth) Warnings() []string {
	return []string{"hmac-sha1 is kept for this scheme only", "a body that is no form is covered only with oauth_body_hash",
		"parameters can move between query, form and Authorization"}
}

// parameter is one decoded name and value, and where it stood.
type parameter struct {
	name, value string
	from        place
}

type place byte

const (
	inHeader place = iota + 1
	inQuery
	inForm
)

func (p place) String() string {
	return [...]string{"", "the header Authorization", "the query", "the form"}[p]
}

// found is what Parse keeps for Write and Check.
type found struct {
	list  []parameter
	realm string
}

func (f *found) get(name string) string {
	for _, p := range f.list {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

func isForm(m *sealwright.Message) bool {
	ct := m.Header["Content-Type"]
	return len(ct) == 1 && canon.MediaType(ct[0]) == "application/x-www-form-urlencoded"
}

// collect reads the parameters of all three places.
func collect(m *sealwright.Message) (*found, error) {
	f := &found{}
	if err := f.header(m); err != nil {
		return nil, err
	}
	if err := f.fields(m.Query(), inQuery); err != nil {
		return nil, err
	}
	if isForm(m) {
		if err := f.fields(string(m.Body), inForm); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{}
	for _, p := range f.list {
		if strings.HasPrefix(p.name, "oauth_") {
			if seen[p.name] {
				return nil, sealwright.Refusef(sealwright.ErrMalformed, "%s stands more than once", p.name)
			}
			seen[p.name] = true
		}
	}
	return f, nil
}

func (f *found) header(m *sealwright.Message) error {
	values := m.Header["Authorization"]
	if len(values) > 1 {
		return sealwright.Refusef(sealwright.ErrMalformed, "header Authorization stands %d times", len(values))
	}
	if len(values) == 0 || len(values[0]) < 6 || !strings.EqualFold(values[0][:6], "OAuth ") {
		return nil
	}
	for piece := range strings.SplitSeq(values[0][6:], ",") {
		piece = canon.TrimOWS(piece)
		name, quoted, ok := strings.Cut(piece, "=")
		value, opened := strings.CutPrefix(quoted, `"`)
		value, closed := strings.CutSuffix(value, `"`)
		if !ok || !opened || !closed || name == "" || strings.Contains(value, `"`) {
			return sealwright.Refusef(sealwright.ErrMalformed, `Authorization: want name="value", got %q`, cut(piece))
		}
		if strings.EqualFold(name, "realm") {
			f.realm = value
			continue
		}
		if err := f.add(name, value, false, inHeader); err != nil {
			return err
		}
	}
	return nil
}

func cut(s string) string { return s[:min(len(s), 40)] }

func (f *found) add(name, value string, plus bool, from place) error {
	if len(f.list) == maxParameters {
		return sealwright.Refusef(sealwright.ErrMalformed, "more than %d parameters", maxParameters)
	}
	n, err := canon.Unescape(name, plus)
	if err != nil {
		return sealwright.Refusef(sealwright.ErrMalformed, "parameter in %v: %v", from, err)
	}
	v, err := canon.Unescape(value, plus)
	if err != nil {
		return sealwright.Refusef(sealwright.ErrMalformed, "parameter %q in %v: %v", cut(n), from, err)
	}
	f.list = append(f.list, parameter{n, v, from})
	return nil
}

func (f *found) fields(raw string, from place) error {
	if strings.Count(raw, "&") >= maxParameters {
		return sealwright.Refusef(sealwright.ErrMalformed, "more than %d parameters", maxParameters)
	}
	for _, x := range canon.AppendFields(nil, raw) {
		if err := f.add(x.Name, x.Value, true, from); err != nil {
			return err
		}
	}
	return nil
}

// Parse implements [sealwright.Scheme].
func (o *oauth) Parse(m *sealwright.Message, c *sealwright.Claim) error {
	f, err := collect(m)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(f.list, func(p parameter) bool { return p.name == "oauth_signature" })
	if at < 0 {
		return sealwright.Refusef(sealwright.ErrMissing, "no oauth_signature")
	}
	for _, p := range f.list {
		if strings.HasPrefix(p.name, "oauth_") && p.from != f.list[at].from {
			return sealwright.Refusef(sealwright.ErrMalformed, "%s stands in %v, the signature in %v", p.name, p.from, f.list[at].from)
		}
	}
	if err := o.facts(m, c, f); err != nil {
		return err
	}
	return c.AddTag(f.list[at].value, canon.Base64)
}

func (o *oauth) facts(m *sealwright.Message, c *sealwright.Claim, f *found) error {
	if got := f.get("oauth_signature_method"); got != method {
		return sealwright.Refusef(sealwright.ErrPolicy, "oauth_signature_method is %q, want %s", got, method)
	}
	if v := f.get("oauth_version"); v != "" && v != "1.0" {
		return sealwright.Refusef(sealwright.ErrPolicy, "oauth_version is %q, want 1.0", v)
	}
	c.KeyID, c.Nonce = f.get("oauth_consumer_key"), f.get("oauth_nonce")
	if c.KeyID == "" || c.Nonce == "" {
		return sealwright.Refusef(sealwright.ErrMalformed, "oauth_consumer_key or oauth_nonce is absent")
	}
	at, err := seconds(f.get("oauth_timestamp"))
	if err != nil {
		return err
	}
	c.At, c.Past, c.Future = at, window, window
	c.Covers = sealwright.Coverage{Method: true, Path: true, Query: true, Host: true, Time: true, KeyID: true,
		Body: isForm(m) || f.get("oauth_body_hash") != ""}
	c.Private = f
	return nil
}

func seconds(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strings.TrimLeft(text, "0123456789") != "" || n > 253402300799 {
		return time.Time{}, sealwright.Refusef(sealwright.ErrMalformed, "oauth_timestamp is no time in seconds")
	}
	return time.Unix(n, 0), nil
}

// Key implements [sealwright.Scheme].
func (o *oauth) Key(k *keyring.Key, _ *sealwright.Claim) (*mac.Key, error) {
	return k.Prepared(o.id+" "+o.tokenSecret, func(s secret.Bytes) (*mac.Key, error) {
		if s.IsZero() {
			return nil, mac.ErrEmptyKey
		}
		key := canon.AppendPercent(nil, string(s.Expose()), canon.Unreserved)
		key = append(key, '&')
		key = canon.AppendPercent(key, o.tokenSecret, canon.Unreserved)
		return mac.NewPinned(mac.SHA1, secret.New(key))
	})
}

// Write implements [sealwright.Scheme].
func (o *oauth) Write(w sealwright.Sink, m *sealwright.Message, c *sealwright.Claim, _ int) error {
	f, ok := c.Private.(*found)
	if !ok {
		return sealwright.Refusef(sealwright.ErrConfig, "claim is of another scheme")
	}
	path := m.Path()
	if path == "" {
		path = "/"
	}
	uri := strings.ToLower(m.URLScheme()) + "://" + canon.Authority(m.Host, m.URLScheme()) + path
	out := canon.AppendUpper(c.Scratch[:0], m.Method)
	out = append(out, '&')
	out = canon.AppendPercent(out, uri, canon.Unreserved)
	out = append(out, '&')
	out = canon.AppendPercent(out, f.normalised(), canon.Unreserved)
	c.Scratch = out[:0]
	_, err := w.Write(out)
	return err
}

// normalised returns the parameters of RFC 5849 section 3.4.1.3.2.
func (f *found) normalised() string {
	type pair struct{ name, value string }
	var list []pair
	for _, p := range f.list {
		if p.name != "oauth_signature" {
			list = append(list, pair{encode(p.name), encode(p.value)})
		}
	}
	slices.SortFunc(list, func(a, b pair) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	var b strings.Builder
	for i, p := range list {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name)
		b.WriteByte('=')
		b.WriteString(p.value)
	}
	return b.String()
}

func encode(s string) string { return string(canon.AppendPercent(nil, s, canon.Unreserved)) }

// Check implements [sealwright.Checker].
func (o *oauth) Check(m *sealwright.Message, c *sealwright.Claim) error {
	f, ok := c.Private.(*found)
	if !ok {
		return nil
	}
	if got := f.get("oauth_body_hash"); got != "" && got != bodyHash(m.Body) {
		return sealwright.Refusef(sealwright.ErrDigest, "oauth_body_hash is not the digest of the body")
	}
	return nil
}

func bodyHash(body []byte) string {
	sum := sha1.Sum(body)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Prepare implements [sealwright.SigningScheme]. The signature goes into the
// header Authorization; parameters that stand there are kept.
func (o *oauth) Prepare(m *sealwright.Message, c *sealwright.Claim, f sealwright.Facts) error {
	have, err := collect(m)
	if err != nil {
		return err
	}
	fresh := !slices.ContainsFunc(have.list, func(p parameter) bool { return p.from == inHeader })
	for _, p := range have.list {
		if strings.HasPrefix(p.name, "oauth_") && p.from != inHeader {
			return sealwright.Refusef(sealwright.ErrMalformed, "%s stands in %v: requests are signed in the header Authorization", p.name, p.from)
		}
	}
	have.list = slices.DeleteFunc(have.list, func(p parameter) bool { return p.name == "oauth_signature" })
	if f.KeyID == "" && have.get("oauth_consumer_key") == "" {
		return sealwright.Refusef(sealwright.ErrConfig, "scheme %s carries a key ID in oauth_consumer_key: give the key one", o.id)
	}
	if f.KeyID != "" {
		have.set("oauth_consumer_key", f.KeyID)
	}
	have.set("oauth_signature_method", method)
	at, err := seconds(have.get("oauth_timestamp"))
	if age := f.Now.Sub(at); err != nil || age > window || age < -window {
		have.set("oauth_timestamp", strconv.FormatInt(f.Now.Unix(), 10))
	}
	if have.get("oauth_nonce") == "" {
		have.set("oauth_nonce", f.Nonce)
	}
	if fresh {
		have.set("oauth_version", "1.0")
		if len(m.Body) > 0 && !isForm(m) {
			have.set("oauth_body_hash", bodyHash(m.Body))
		}
	}
	return o.facts(m, c, have)
}

// set replaces a header parameter in its place, or adds it.
func (f *found) set(name, value string) {
	for i, p := range f.list {
		if p.name == name {
			f.list[i].value = value
			return
		}
	}
	f.list = append(f.list, parameter{name, value, inHeader})
}

// Attach implements [sealwright.SigningScheme].
func (o *oauth) Attach(m *sealwright.Message, c *sealwright.Claim, tag []byte) error {
	f, ok := c.Private.(*found)
	if !ok {
		return sealwright.Refusef(sealwright.ErrConfig, "claim is of another scheme")
	}
	var parts []string
	if f.realm != "" {
		parts = append(parts, `realm="`+f.realm+`"`)
	}
	for _, p := range f.list {
		if p.from == inHeader {
			parts = append(parts, encode(p.name)+`="`+encode(p.value)+`"`)
		}
	}
	parts = append(parts, `oauth_signature="`+encode(base64.StdEncoding.EncodeToString(tag))+`"`)
	m.Header["Authorization"] = []string{"OAuth " + strings.Join(parts, ", ")}
	return nil
}
