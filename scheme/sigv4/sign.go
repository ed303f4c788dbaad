package sigv4

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
)

// Prepare implements [sealwright.SigningScheme]. Of a message that carries a
// signature it keeps the list of signed headers, the scope where that is not
// configured, and the time while it is fresh, so that the canonical request
// stays the same.
func (d *dialect) Prepare(m *sealwright.Message, c *sealwright.Claim, f sealwright.Facts) error {
	var old presented
	err := d.find(m, &old)
	if err != nil && !errors.Is(err, sealwright.ErrMissing) {
		return err
	}
	if !isKeyID(f.KeyID) {
		return sealwright.Refusef(sealwright.ErrConfig, "key ID %q cannot stand in a credential", clip(f.KeyID))
	}
	p := presented{
		query: old.query || d.presign, keyID: f.KeyID, headers: old.headers, payload: old.payload,
		expires: or(old.expires, d.expires),
	}
	at := d.signTime(m, &p, &old, f.Now)
	if p.scope, p.service, err = d.signScope(old.scope, at); err != nil {
		return err
	}
	if m.Header == nil {
		m.Header = map[string][]string{}
	}
	delete(m.Header, d.auth)
	if p.query {
		d.prepareQuery(m, &p)
	} else {
		d.prepareHeader(m, &p, f)
	}
	if err := d.fill(m, c, &p); err != nil {
		return err
	}
	return d.Check(m, c)
}

// signTime chooses the time to sign: the one that the message has while it is
// fresh, otherwise now.
func (d *dialect) signTime(m *sealwright.Message, p, old *presented, now time.Time) time.Time {
	format, past := d.format, d.window
	p.time = old.time
	if p.query {
		format = formatBasic
		if lifetime, err := parseExpires(p.expires); err == nil {
			past = lifetime
		}
	} else if v := m.Header[d.date]; len(v) == 1 {
		p.time = v[0]
	}
	at, err := parseTime(format, p.time)
	if age := now.Sub(at); err == nil && age <= past && -age <= d.window {
		return at
	}
	if format == formatHTTP && d.date != "Date" {
		format = formatBasic
	}
	p.time = formatTime(format, now)
	return now
}

// signScope returns the scope for the time at. Parts that are not configured
// are those of the scope that the message has.
func (d *dialect) signScope(old string, at time.Time) (scope, service string, err error) {
	var buf []byte
	parts := strings.Split(old, "/")
	for i, s := range d.scope {
		text := s.text
		switch s.kind {
		case scopeDate:
			text = dateOf(at, "", s.text)
		case scopeFree:
			if len(parts) != len(d.scope) {
				return "", "", sealwright.Refusef(sealwright.ErrConfig, "parameter %s is needed to sign", s.name)
			}
			text = parts[i]
		}
		if s.name == "service" {
			service = text
		}
		if i > 0 {
			buf = append(buf, '/')
		}
		buf = append(buf, text...)
	}
	return string(buf), service, nil
}

// prepareHeader writes the headers that the tag covers.
func (d *dialect) prepareHeader(m *sealwright.Message, p *presented, f sealwright.Facts) {
	m.Header[d.date] = []string{p.time}
	if d.nonce != "" && len(m.Header[d.nonce]) == 0 {
		m.Header[d.nonce] = []string{f.Nonce}
	}
	d.preparePayload(m, d.always || d.isObjectStore(p.service))
	if p.headers == "" {
		p.headers = d.signList(m)
	}
}

// preparePayload writes the hash of the body to the header that declares it, if
// that is there or wanted. Other modes stay as they are.
func (d *dialect) preparePayload(m *sealwright.Message, wanted bool) {
	if d.payload == "" {
		return
	}
	values := m.Header[d.payload]
	switch {
	case len(values) == 0 && !wanted:
	case len(values) > 1:
	case len(values) == 1 && (values[0] == unsignedPayload || strings.HasPrefix(values[0], streamingPrefix)):
	default:
		m.Header[d.payload] = []string{d.hash(m.Body)}
	}
}

// prepareQuery writes the parameters of a signed URL, except the signature.
func (d *dialect) prepareQuery(m *sealwright.Message, p *presented) {
	d.preparePayload(m, false)
	if p.headers == "" {
		p.headers = d.signList(m)
	}
	var kept []string
	for rest, more := m.Query(), m.Query() != ""; more; {
		var field string
		field, rest, more = strings.Cut(rest, "&")
		name, _, _ := strings.Cut(field, "=")
		if !slices.Contains(d.names[:credentialParams], name) {
			kept = append(kept, field)
		}
	}
	values := [credentialParams]string{d.algorithm, p.keyID + "/" + p.scope, p.time, p.expires, p.headers}
	target := append([]byte(or(m.Path(), "/")), '?')
	target = append(target, strings.Join(kept, "&")...)
	for i, v := range values[:paramSignature] {
		if i > 0 || len(kept) > 0 {
			target = append(target, '&')
		}
		target = append(target, d.names[i]...)
		target = append(target, '=')
		target = appendPercent(target, v, &unreserved)
	}
	m.Target = string(target)
}

// signList returns the list of the headers of m that the dialect signs. Names
// with an underscore are left out, since servers drop them.
func (d *dialect) signList(m *sealwright.Message) string {
	var names []string
	if slices.Contains(d.sign, "host") {
		names = append(names, "host")
	}
	for name, values := range m.Header {
		n := strings.ToLower(name)
		if len(values) == 0 || n == "host" || name == d.auth || canon.HeaderName(name) != name || strings.Contains(n, "_") || !isToken(n) {
			continue
		}
		if slices.ContainsFunc(d.sign, func(pattern string) bool {
			prefix, open := strings.CutSuffix(pattern, "*")
			return n == pattern || (open && strings.HasPrefix(n, prefix))
		}) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ";")
}

// Attach implements [sealwright.SigningScheme].
func (d *dialect) Attach(m *sealwright.Message, c *sealwright.Claim, tag []byte) error {
	signature := canon.Hex.EncodeToString(tag)
	if c.Values[atForm] == inURL {
		m.Target += "&" + d.names[paramSignature] + "=" + signature
		return nil
	}
	credential := c.KeyID
	if len(d.scope) > 0 {
		credential += "/" + c.Values[atScope]
	}
	m.Header[d.auth] = []string{d.algorithm + " " + d.credential + "=" + credential +
		d.separator + "SignedHeaders=" + c.Values[atHeaders] + d.separator + "Signature=" + signature}
	return nil
}
