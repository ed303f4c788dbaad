package rest

import (
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
)

// Headers of a streamed body, in the form of net/http.
const (
	headerTag       = "Sealwright-Tag"
	headerSignature = "Sealwright-Signature"
	headerEncoding  = "Sealwright-Encoding"
)

// signStream signs the body itself, of any size.
func (a *API) signStream(x *exchange, u use) error {
	encoding, err := streamEncoding(x.r)
	if err != nil {
		return err
	}
	s, err := u.key.SignStream()
	if err != nil {
		return err
	}
	defer s.Close()
	_, _ = s.Write(u.prefix)
	if err := a.stream(x, access.KeySign, s); err != nil {
		return err
	}
	a.bind(x, u.key)
	defer x.unbind()
	tag, version, err := s.Sign(x.r.Context(), x.tag[:0])
	if err != nil {
		return err
	}
	x.op.Version = version
	x.out = x.out[:0]
	x.signed(u, tag, version, encoding)
	x.reply()
	return nil
}

// verifyStream verifies the body itself, of any size, against the tag or the
// signature in a header. What can be refused without the body is refused
// before it is read.
func (a *API) verifyStream(x *exchange, u use) error {
	c, err := x.streamClaim(u.key)
	if errors.Is(err, sealwright.ErrMalformed) || errors.Is(err, sealwright.ErrMissing) {
		x.answer(u, custody.Refused(0, err))
		return nil
	}
	if err != nil {
		return err
	}
	s, err := u.key.CheckStream(c)
	if err != nil {
		return err
	}
	defer s.Close()
	_, _ = s.Write(u.prefix)
	if err := a.stream(x, access.KeyVerify, s); err != nil {
		return err
	}
	a.bind(x, u.key)
	defer x.unbind()
	v, err := s.Check(x.r.Context())
	if err != nil {
		return err
	}
	x.answer(u, v)
	return nil
}

func (x *exchange) answer(u use, v custody.Verdict) {
	x.out = x.out[:0]
	x.conclude(u, v, false)
	x.reply()
}

// streamClaim reads the headers of verify.
func (x *exchange) streamClaim(key *custody.Key) (custody.Claim, error) {
	encoding, err := streamEncoding(x.r)
	if err != nil {
		return custody.Claim{}, err
	}
	tag, hasTag, err := oneHeader(x.r.Header, headerTag)
	if err != nil {
		return custody.Claim{}, err
	}
	signature, hasSignature, err := oneHeader(x.r.Header, headerSignature)
	if err != nil {
		return custody.Claim{}, err
	}
	if hasTag == hasSignature {
		return custody.Claim{}, newProblem(http.StatusUnprocessableEntity, "want either the header "+headerTag+" or "+headerSignature).
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

// streamPart is how many bytes of a streamed body are in memory at a time.
const streamPart = 64 << 10

// stream is readAll. At its end it is decided once more whether the caller may
// do action.
func (a *API) stream(x *exchange, action access.Action, w io.Writer) error {
	if err := a.readAll(x, w); err != nil {
		return err
	}
	_, err := a.o.Keys.Find(x.caller, action, x.r.PathValue("name"))
	return err
}

// readAll writes the body to w, which takes everything. A body that does not
// arrive in full is an error: half a message is never signed.
func (a *API) readAll(x *exchange, w io.Writer) error {
	if cap(x.content) < streamPart {
		x.content = make([]byte, streamPart)
	}
	buf := x.content[:streamPart]
	in := a.bodyReader(x)
	for {
		n, err := in.Read(buf)
		_, _ = w.Write(buf[:n])
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
