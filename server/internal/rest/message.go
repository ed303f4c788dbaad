package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// sign answers POST /v1/keys/{name}/sign.
func (a *API) sign(x *exchange) error {
	kind, err := a.find(x, access.KeySign)
	if err != nil {
		return err
	}
	if kind == rawBody {
		u, err := a.streamed(x, access.KeySign)
		if err != nil {
			return err
		}
		return a.signStream(x, u)
	}
	return a.process(x, access.KeySign, signMembers, (*exchange).signMessage)
}

// verify answers POST /v1/keys/{name}/verify.
func (a *API) verify(x *exchange) error {
	kind, err := a.find(x, access.KeyVerify)
	if err != nil {
		return err
	}
	if kind == rawBody {
		u, err := a.streamed(x, access.KeyVerify)
		if err != nil {
			return err
		}
		return a.verifyStream(x, u)
	}
	return a.process(x, access.KeyVerify, verifyMembers, (*exchange).verifyMessage)
}

// find decides whether the caller may use the key of the path at all, before
// the body is looked at.
func (a *API) find(x *exchange, action access.Action) (bodyKind, error) {
	name := x.r.PathValue("name")
	x.op.Key = loggableKey(name)
	key, err := a.o.Keys.Find(x.caller, action, name)
	if err != nil {
		return 0, err
	}
	x.uses(key, action)
	return kindOf(x.r.Header)
}

// loggable returns a text that the caller chose, cut to 128 bytes.
func loggable(s string) string { return s[:min(len(s), 128)] }

// loggableKey returns what may be the name of a key, and nothing of any other
// text: somebody may have put a secret in its place.
func loggableKey(name string) string {
	if !custody.ValidName(name) {
		return ""
	}
	return name
}

// step appends the result of one message to x.out. A *badBody means that the
// message is not one that can be processed.
type step func(x *exchange, u use, m *message, defaultEncoding []byte, item int) error

// process reads a JSON body and answers with the result of its message or of
// its items.
func (a *API) process(x *exchange, action access.Action, members member, do step) error {
	if x.r.URL.RawQuery != "" {
		return invalid("query", "a JSON body has its encoding in the member encoding, and there are no other parameters")
	}
	if err := a.readBody(x, a.o.Limits.BatchBody); err != nil {
		return err
	}
	b := &x.batch
	if err := decodeBatch(x.body, b, members, a.o.Limits.Items); err != nil {
		return err
	}
	if b.isBatch && (b.base64 != nil || b.text != nil || b.tag != nil || b.signature != nil) {
		return invalid("body", "items stand for the message: give either items or one message")
	}
	if err := a.takeItems(x, x.r.PathValue("name"), len(b.items)); err != nil {
		return err
	}
	defer x.unbind()
	x.op.Metadata = b.metadata
	var u use
	var err error
	if !b.isBatch || b.inherits() {
		if u, err = a.choose(x, action, b.metadata); err != nil {
			return err
		}
	}
	x.out = x.out[:0]
	if !b.isBatch {
		err = do(x, u, &b.message, nil, -1)
	} else {
		err = a.items(x, action, u, do)
	}
	if err != nil {
		return err
	}
	x.reply()
	return nil
}

// inherits reports whether the metadata of the batch is that of an item, or of
// a batch without items.
func (b *batch) inherits() bool {
	return len(b.items) == 0 || slices.ContainsFunc(b.items, func(m message) bool { return m.metadata == nil })
}

// items answers a batch, with u for items without metadata of their own. An item
// that cannot be processed gets an error in its place; the others are not
// concerned.
func (a *API) items(x *exchange, action access.Action, u use, do step) error {
	b := &x.batch
	x.op.Outcome, x.op.Items = "ok", len(b.items)
	x.out = append(x.out, `{"items":[`...)
	for i := range b.items {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		start, own := len(x.out), u
		var err error
		if m := b.items[i].metadata; m != nil {
			own, err = a.choose(x, action, m)
			if fault.KindOf(err) == fault.Denied {
				err = invalid(place(i, ""), "%s", fault.Public(err))
			}
		}
		if err == nil {
			err = do(x, own, &b.items[i], b.encoding, i)
		}
		bad, isBad := err.(*badBody)
		switch {
		case isBad:
			x.op.Failed++
			text, err := json.Marshal(map[string]api.ItemError{"error": {Index: i, Location: bad.location, Detail: bad.detail}})
			if err != nil {
				return err
			}
			x.out = append(x.out[:start], text...)
		case err != nil:
			return err
		}
	}
	x.out = append(x.out, "]}"...)
	return nil
}

func invalid(location, format string, args ...any) *badBody {
	return &badBody{status: http.StatusUnprocessableEntity, location: location, detail: fmt.Sprintf(format, args...)}
}

// place returns where the member name of the item stands, -1 for no batch.
func place(item int, name string) string {
	location := "body"
	if item >= 0 {
		location = itemLocation(item)
	}
	if name == "" {
		return location
	}
	return location + "." + name
}

// strictBase64 is the one canonical form. It skips line ends like the standard
// one, hence [decodeBase64].
var strictBase64 = base64.StdEncoding.Strict()

// bytesOf returns the message to sign or verify and counts it. It belongs to
// the exchange until the next call.
func (x *exchange) bytesOf(m *message, item int) ([]byte, error) {
	content := m.text
	switch {
	case m.base64 != nil && m.text != nil:
		return nil, invalid(place(item, ""), "both message and text are given, want one of them")
	case m.base64 == nil && m.text == nil:
		return nil, invalid(place(item, ""), "message (base64) or text is missing")
	case m.base64 != nil:
		decoded, err := decodeBase64(x.content[:0], m.base64)
		if err != nil {
			return nil, invalid(place(item, "message"), "%v", err)
		}
		x.content, content = decoded, decoded
	}
	x.op.Bytes += int64(len(content))
	return content, nil
}

// decodeBase64 decodes padded base64 (RFC 4648 section 4) over dst.
func decodeBase64(dst, text []byte) ([]byte, error) {
	for _, end := range [...]byte{'\n', '\r'} {
		if i := bytes.IndexByte(text, end); i >= 0 {
			return nil, fmt.Errorf("not base64 at character %d", i)
		}
	}
	dst, err := strictBase64.AppendDecode(dst, text)
	if at, ok := err.(base64.CorruptInputError); ok {
		return nil, fmt.Errorf("not padded base64 at character %d of %d", int64(at), len(text))
	}
	return dst, err
}

// encodingOf returns the encoding of a tag: that of the message, else that of
// the batch, else hex.
func encodingOf(m *message, batch []byte, item int) (canon.Encoding, error) {
	name := m.encoding
	if name == nil {
		name = batch
	}
	if name == nil {
		return canon.Hex, nil
	}
	e, ok := parseEncoding(string(name))
	if !ok {
		return 0, invalid(place(item, "encoding"), "want hex, base64 or base64url")
	}
	return e, nil
}

func parseEncoding(name string) (canon.Encoding, bool) {
	switch name {
	case "hex":
		return canon.Hex, true
	case "base64":
		return canon.Base64, true
	case "base64url":
		return canon.Base64URL, true
	}
	return 0, false
}

// signMessage is the [step] of sign.
func (x *exchange) signMessage(u use, m *message, batchEncoding []byte, item int) error {
	encoding, err := encodingOf(m, batchEncoding, item)
	if err != nil {
		return err
	}
	content, err := x.bytesOf(m, item)
	if err != nil {
		return err
	}
	tag, version, err := u.key.Make(x.r.Context(), x.tag[:0], x.behind(u.prefix, content))
	if err != nil {
		return err
	}
	x.op.Version = version
	x.op.Valid++
	x.signed(u, tag, version, encoding)
	return nil
}

// signed appends the answer of sign. None of its texts needs an escape: the
// grammars of names, IDs and encodings leave out everything that does.
func (x *exchange) signed(u use, tag []byte, version int, encoding canon.Encoding) {
	key := u.key
	out := append(x.out, `{"tag":"`...)
	out = encoding.Append(out, tag)
	out = append(append(out, `","encoding":"`...), encoding.String()...)
	out = append(append(out, `","key":"`...), key.Name...)
	out = strconv.AppendInt(append(out, `","version":`...), int64(version), 10)
	out = append(append(out, `,"algorithm":"`...), key.Algorithm.String()...)
	out = append(out, `","signature":"`...)
	out = key.Signature(tag, version).Append(out)
	x.out = append(out, '"')
	x.construction(u)
	x.out = append(x.out, '}')
}

// verifyMessage is the [step] of verify.
func (x *exchange) verifyMessage(u use, m *message, batchEncoding []byte, item int) error {
	encoding, err := encodingOf(m, batchEncoding, item)
	if err != nil {
		return err
	}
	switch {
	case m.tag != nil && m.signature != nil:
		return invalid(place(item, ""), "both tag and signature are given, want one of them")
	case m.tag == nil && m.signature == nil:
		return invalid(place(item, ""), "tag or signature is missing")
	}
	content, err := x.bytesOf(m, item)
	if err != nil {
		return err
	}
	v, err := x.check(u.key, m, encoding, x.behind(u.prefix, content))
	if err != nil {
		return err
	}
	if v.Valid {
		x.op.Valid++
	}
	x.conclude(u, v, item >= 0)
	return nil
}

// check verifies content. The error is of kind [fault.Unavailable] if it is not
// known whether it is valid.
func (x *exchange) check(key *custody.Key, m *message, encoding canon.Encoding, content []byte) (custody.Verdict, error) {
	c, err := x.readClaim(key, string(m.tag), string(m.signature), m.tag != nil, encoding)
	if err != nil {
		return custody.Refused(0, err), nil
	}
	return key.Check(x.r.Context(), c, content)
}

// readClaim decodes the tag or the signature. The error says what is malformed.
func (x *exchange) readClaim(key *custody.Key, tag, signature string, isTag bool, encoding canon.Encoding) (custody.Claim, error) {
	if !isTag {
		return custody.SignatureClaim(signature)
	}
	n, err := encoding.Decode(x.tag[:], tag)
	if err != nil {
		return custody.Claim{}, sealwright.Refusef(sealwright.ErrMalformed, "tag: %v", err)
	}
	return key.TagClaim(x.tag[:n])
}

// appendStanding appends the members that say how the version that matched
// stands.
func appendStanding(out []byte, key *custody.Key, version int) []byte {
	state, until := key.Standing(version)
	out = append(append(append(out, `"state":"`...), state...), '"')
	if until.IsZero() {
		return out
	}
	out = append(out, `,"not_after":"`...)
	return append(until.UTC().AppendFormat(out, time.RFC3339Nano), '"')
}

// conclude appends the answer of verify.
func (x *exchange) conclude(u use, v custody.Verdict, inBatch bool) {
	key := u.key
	x.op.Version = v.Version
	if !inBatch {
		x.op.Outcome, x.op.Reason = "valid", string(v.Reason)
		if !v.Valid {
			x.op.Outcome = "invalid"
		}
	}
	out := strconv.AppendBool(append(x.out, `{"valid":`...), v.Valid)
	if !v.Valid {
		out = append(append(out, `,"reason":"`...), v.Reason...)
		out = append(out, `","detail":`...)
		detail, err := json.Marshal(v.Detail)
		if err != nil {
			detail = []byte(`""`) // a string can always be marshalled
		}
		out = append(append(out, detail...), `,"key":"`...)
	} else {
		out = append(out, `,"key":"`...)
	}
	out = append(append(append(out, key.Name...), `","key_id":"`...), key.ID...)
	out = append(out, '"')
	if v.Valid {
		out = appendStanding(append(out, ','), key, v.Version)
	}
	if v.Version != 0 {
		out = strconv.AppendInt(append(out, `,"version":`...), int64(v.Version), 10)
	}
	out = append(append(out, `,"algorithm":"`...), key.Algorithm.String()...)
	x.out = append(out, '"')
	x.construction(u)
	x.out = append(x.out, '}')
}
