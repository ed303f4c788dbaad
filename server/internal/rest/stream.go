package rest

import (
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// Headers of a streamed body, in the form of net/http.
const (
	headerTag       = "Sealwright-Tag"
	headerSignature = "Sealwright-Signature"
	headerEncoding  = "Sealwright-Encoding"
)

// signStream signs the body itself, of any size.
func (a *API) signStream(x *exchange, key *custody.Key) error {
	encoding, err := streamEncoding(x.r)
	if err != nil {
		return err
	}
	if key.Native() {
		return a.signNativeStream(x, key, encoding)
	}
	m, err := key.MAC(0)
	if err != nil {
		return err
	}
	version := key.Signing
	state := m.State()
	defer state.Release()
	if err := a.stream(x, state); err != nil {
		return err
	}
	tag, err := state.Sum(x.tag[:0])
	if err != nil {
		return err
	}
	key.Used(version)
	x.op.Version = version
	x.out = x.out[:0]
	x.signed(key, tag, version, encoding)
	x.reply()
	return nil
}

// verifyStream verifies the body itself, of any size, against the tag or the
// signature in a header. What can be refused without the body is refused
// before it is read.
func (a *API) verifyStream(x *exchange, key *custody.Key) error {
	c, err := x.streamClaim(key)
	if errors.Is(err, sealwright.ErrMalformed) || errors.Is(err, sealwright.ErrMissing) {
		x.answer(key, refusal(0, err))
		return nil
	}
	if err != nil {
		return err
	}
	if key.Native() {
		return a.verifyNativeStream(x, key, c)
	}
	candidates, refused, err := a.candidates(key, c)
	if err != nil {
		return err
	}
	states := make([]io.Writer, 0, len(candidates))
	for _, m := range candidates {
		state := m.mac.State()
		defer state.Release()
		states = append(states, state)
	}
	if err := a.stream(x, states...); err != nil {
		return err
	}
	tag := c.tag
	if tag == nil {
		tag = c.signature.Tag
	}
	v := refusal(c.signature.Version, sealwright.ErrMismatch)
	for i, m := range candidates {
		switch ok := states[i].(*mac.State).Verify(tag); {
		case !ok || v.valid:
		case m.revoked:
			v = revoked(key, m.version)
		default:
			v = verdict{valid: true, version: m.version}
		}
	}
	if c.tag != nil && v.reason == sealwright.ReasonMismatch {
		if err := key.Unsure(); err != nil {
			return err
		}
	}
	if refused != nil {
		v = refusal(c.signature.Version, refused)
	}
	if v.valid {
		key.Used(v.version)
	}
	x.answer(key, v)
	return nil
}

func (x *exchange) answer(key *custody.Key, v verdict) {
	x.out = x.out[:0]
	x.conclude(key, v, false)
	x.reply()
}

// candidate is a version of a key that may have made a tag.
type candidate struct {
	version int
	mac     *mac.Key
	revoked bool // it only says why the tag is refused
}

// candidates returns the versions to try. A signature that names another key,
// version or algorithm is refused whatever they say: they only make it cost as
// much as a wrong tag.
func (a *API) candidates(key *custody.Key, c claim) (list []candidate, refused, err error) {
	if c.tag == nil {
		m, err := key.MACFor(c.signature)
		if err == nil {
			return []candidate{{version: c.signature.Version, mac: m}}, nil, nil
		}
		if reason := sealwright.ReasonOf(err); reason == sealwright.ReasonConfig {
			return nil, nil, err
		}
		refused = err
	}
	var space [keyring.MaxCandidates]*keyring.Key
	for _, v := range key.Ring.AppendCandidates(space[:0], "", a.o.Now()) {
		m, err := key.MAC(v.Version)
		if fault.KindOf(err) == fault.NotFound {
			continue // has just ended
		}
		if err != nil {
			return nil, nil, err
		}
		list = append(list, candidate{version: v.Version, mac: m})
	}
	for _, v := range key.RevokedVersions() {
		m, err := key.RevokedMAC(v)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, candidate{version: v.Version, mac: m, revoked: true})
	}
	return list, refused, nil
}

// streamClaim reads the headers of verify.
func (x *exchange) streamClaim(key *custody.Key) (claim, error) {
	encoding, err := streamEncoding(x.r)
	if err != nil {
		return claim{}, err
	}
	tag, hasTag, err := oneHeader(x.r.Header, headerTag)
	if err != nil {
		return claim{}, err
	}
	signature, hasSignature, err := oneHeader(x.r.Header, headerSignature)
	if err != nil {
		return claim{}, err
	}
	if hasTag == hasSignature {
		return claim{}, newProblem(http.StatusUnprocessableEntity, "want either the header "+headerTag+" or "+headerSignature).
			at("header", "want one of the two")
	}
	return x.readClaim(key, tag, signature, hasTag, encoding)
}

// streamEncoding reads the encoding from ?encoding= or from a header.
func streamEncoding(r *http.Request) (canon.Encoding, error) {
	text, inHeader, err := oneHeader(r.Header, headerEncoding)
	if err != nil {
		return 0, err
	}
	place := "header." + headerEncoding
	if r.URL.RawQuery != "" {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return 0, newProblem(http.StatusBadRequest, "the query is malformed").at("query", "malformed")
		}
		values, inQuery := query["encoding"]
		if len(query) > 1 || !inQuery || len(values) > 1 || inHeader {
			return 0, newProblem(http.StatusUnprocessableEntity, "the encoding may stand once, in the query or in a header, and the query may have nothing else").
				at("query", "want only encoding, once")
		}
		text, inHeader, place = values[0], true, "query.encoding"
	}
	if !inHeader {
		return canon.Hex, nil
	}
	e, ok := parseEncoding(text)
	if !ok {
		return 0, newProblem(http.StatusUnprocessableEntity, place+": want hex, base64 or base64url").at(place, "want hex, base64 or base64url")
	}
	return e, nil
}

// stream writes the body to every one of to. A body that does not arrive in
// full is an error: half a message is never signed.
func (a *API) stream(x *exchange, to ...io.Writer) error {
	if cap(x.content) < maxKept {
		x.content = make([]byte, maxKept)
	}
	buf := x.content[:maxKept]
	in := a.bodyReader(x)
	for {
		n, err := in.Read(buf)
		for _, w := range to {
			_, _ = w.Write(buf[:n]) // a MAC takes everything
		}
		if err != nil {
			x.op.Bytes = in.read
			x.content = buf
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}
