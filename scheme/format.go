package scheme

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/sealwright/sealwright/canon"
)

// Format is the part of a definition that says how a message is read and
// written. Texts in it may hold parameters as ${name}; sources and templates
// are explained in docs/schemes/format.md.
type Format struct {
	Algorithm    string      `json:"algorithm,omitempty"`     // name of package mac, such as hmac-sha256
	Key          *Key        `json:"key,omitempty"`           // how the secret becomes the MAC key
	KeyID        *Value      `json:"key_id,omitempty"`        // where the key ID stands
	List         *List       `json:"list,omitempty"`          // value that is made of parts
	Payload      *Payload    `json:"payload,omitempty"`       // value that is an encoded document
	Tag          *Tag        `json:"tag,omitempty"`           // where the tag stands
	Time         *Time       `json:"time,omitempty"`          // where the time stands, and the window
	Nonce        *Nonce      `json:"nonce,omitempty"`         // where the nonce or message ID stands
	Checks       []Check     `json:"checks,omitempty"`        // what else must hold
	Message      []Segment   `json:"message,omitzero"`        // the covered bytes; [] is the empty message
	Renderings   []Rendering `json:"renderings,omitempty"`    // instead of message: several ways to write them
	UnsignedTime string      `json:"unsigned_time,omitempty"` // accepted-risk: the time is outside the covered bytes
	Document     string      `json:"document,omitempty"`      // field of a form body in which JSON pointers look; of other bodies it is the whole body
	Response     *Format     `json:"response,omitempty"`      // how a response is signed; algorithm and key are those of the request
}

// Key says how the configured secret becomes the MAC key.
type Key struct {
	Encoding string    `json:"encoding"`         // utf8, or an encoding of package canon
	Strip    string    `json:"strip,omitempty"`  // prefix that is dropped if it is there
	Min      int       `json:"min,omitempty"`    // least length in bytes after decoding
	Max      int       `json:"max,omitempty"`    // greatest length; 0 means any
	Refuse   []string  `json:"refuse,omitempty"` // texts that are no secrets, such as the example of the documentation
	Text     string    `json:"text,omitempty"`   // template of the key; {secret} is the decoded secret
	Steps    []KeyStep `json:"steps,omitempty"`  // derivation, from left to right
}

// KeyStep is one step of a key derivation: the HMAC, under the key so far, of a
// template; or, with Constant, the HMAC of the key so far under a constant key.
type KeyStep struct {
	HMAC     string `json:"hmac,omitempty"`     // template that is signed under the key so far
	Constant string `json:"constant,omitempty"` // key under which the key so far is signed
	Hash     string `json:"hash,omitempty"`     // instead: plain digest of the key so far
	As       string `json:"as,omitempty"`       // raw (default), or an encoding: the next key is its text
}

// Value is where one value stands.
type Value struct {
	From     string `json:"from"`               // source; |decode behind it undoes percent-encoding
	If       string `json:"if,omitempty"`       // parameter that must be set, else there is no such value
	Optional bool   `json:"optional,omitempty"` // may be absent from a message
	Forbid   string `json:"forbid,omitempty"`   // characters that the value must not hold
}

// List is a value made of parts, such as t=1,v1=ab.
type List struct {
	From     string      `json:"from"`               // source that holds the whole value
	Also     []ListPlace `json:"also,omitempty"`     // other sources, of which one may hold it instead; two lists are refused
	Prefix   string      `json:"prefix,omitempty"`   // text before the parts, such as "HMAC "
	Encoding string      `json:"encoding,omitempty"` // of package canon: the text behind the prefix is encoded
	Format   string      `json:"format"`             // pairs, quoted or positional
	Sep      string      `json:"sep"`                // between parts
	KV       string      `json:"kv,omitempty"`       // between name and value of a pair; default "="
	Blanks   bool        `json:"blanks,omitempty"`   // blanks may follow a separator
	Run      string      `json:"run,omitempty"`      // any run of these characters separates, where senders do not agree on sep
	Escape   string      `json:"escape,omitempty"`   // percent: the whole value is percent-encoded
	Unknown  string      `json:"unknown,omitempty"`  // ignore or refuse (default) parts that are not listed
	Parts    []Part      `json:"parts"`

	encoding canon.Encoding // 0 for none
}

// ListPlace is another source of a [List].
type ListPlace struct {
	From   string `json:"from"`
	Prefix string `json:"prefix,omitempty"` // text before the parts; a value without it is no list
}

// Part is one element of a [List].
type Part struct {
	Name     string   `json:"name"`
	Value    string   `json:"value,omitempty"`    // constant: written when signing, demanded when verifying
	Or       []string `json:"or,omitempty"`       // further constants that are accepted
	Repeat   bool     `json:"repeat,omitempty"`   // may stand more than once
	Optional bool     `json:"optional,omitempty"` // may be absent
	Empty    bool     `json:"empty,omitempty"`    // may have no value, and is written without one
	Sign     string   `json:"sign,omitempty"`     // template that a signer writes where the part has no value
	Bare     bool     `json:"bare,omitempty"`     // of a quoted list: is written, and may be read, without quotes
}

// Payload is a value that holds a document in base64. Its fields are the source
// payload:NAME. The tag covers the text as it stands, so line breaks and padding
// in it do not matter.
type Payload struct {
	From     string `json:"from"`     // source
	Encoding string `json:"encoding"` // base64 or base64url
	Format   string `json:"format"`   // json or form
}

// Tag is where the tag stands.
type Tag struct {
	From     string    `json:"from"`               // source, or part:NAME
	Also     []string  `json:"also,omitempty"`     // further sources that may carry a tag instead or beside
	Prefix   string    `json:"prefix,omitempty"`   // text before the tag
	Encoding string    `json:"encoding"`           // of package canon
	Split    string    `json:"split,omitempty"`    // separator of several tags in one value
	Size     string    `json:"size,omitempty"`     // bytes of a truncated tag, at least 16
	Text     string    `json:"text,omitempty"`     // hex: the encoding is applied to the hex text of the tag
	Escape   string    `json:"escape,omitempty"`   // percent: the encoded tag is percent-encoded
	Padded   bool      `json:"padded,omitempty"`   // padding may follow, though the encoding has none
	Optional bool      `json:"optional,omitempty"` // with also: this one may be absent
	Or       []TagForm `json:"or,omitempty"`       // other forms that are accepted
	Owner    string    `json:"owner,omitempty"`    // text behind the ID of the key that the tag belongs to, before the tag
}

// TagForm is another form in which a tag may be written.
type TagForm struct {
	Prefix   string `json:"prefix,omitempty"`
	Encoding string `json:"encoding"`
}

// Time is where the time stands and which times are fresh.
type Time struct {
	From     string   `json:"from"`
	Also     []string `json:"also,omitempty"` // further sources; the first that is there counts, and must be signed
	If       string   `json:"if,omitempty"`
	Optional bool     `json:"optional,omitempty"` // may be absent; then the message has no time
	Format   string   `json:"format"`             // unix, unix-ms, rfc3339 … see docs/schemes/format.md; several joined by |, the first is written
	Kind     string   `json:"kind,omitempty"`     // issued (default), expires, or span: start;end
	Past     string   `json:"past,omitempty"`     // how old, inclusive, default 300s; of an expiry: how long a signature lives
	Future   string   `json:"future,omitempty"`   // how far ahead, inclusive; default 300s, of an expiry 168h
	Window   *Window  `json:"window,omitempty"`   // the client may choose Past
	Or       []Time   `json:"or,omitempty"`       // other places, for messages that sign one of them; the first that is signed counts, and every signed expiry
}

// Window is a value with which the client chooses how old its message may
// become. Without it the Past of the time holds.
type Window struct {
	From string `json:"from"` // source; must be covered
	Unit string `json:"unit"` // ms or s
	Max  string `json:"max"`  // duration that no client can exceed
}

// Nonce is where the nonce or message ID stands.
type Nonce struct {
	From     string `json:"from"` // source; "tag" means that the tag itself is remembered
	If       string `json:"if,omitempty"`
	Optional bool   `json:"optional,omitempty"`
	Forbid   string `json:"forbid,omitempty"`
	Keep     string `json:"keep,omitempty"` // how long it must be remembered; default past and future window
	Mode     string `json:"mode,omitempty"` // unique (default), or increasing: a number above all earlier ones of the key
}

// Check is one condition beside the tag. Exactly one of Equal, Digest and
// Refuse is set.
type Check struct {
	If     []string     `json:"if,omitempty"`     // conditions; all must hold
	Equal  *EqualCheck  `json:"equal,omitempty"`  // a value is a constant
	Digest *DigestCheck `json:"digest,omitempty"` // a covered value is the digest of the body
	Refuse string       `json:"refuse,omitempty"` // the message is refused with this reason
}

// EqualCheck demands that a source has a constant value, or that of another
// source.
type EqualCheck struct {
	From   string `json:"from"`             // source; transforms may follow, as in path|decode
	Value  string `json:"value,omitempty"`  // constant
	Same   string `json:"same,omitempty"`   // instead: source of the value
	Begins string `json:"begins,omitempty"` // instead: template of the text that the value must begin with
	Prefix bool   `json:"prefix,omitempty"` // more may follow the value, behind a slash
}

// DigestCheck demands that a source holds the digest of the body.
type DigestCheck struct {
	From     string `json:"from"`
	Prefix   string `json:"prefix,omitempty"`
	Hash     string `json:"hash"`
	Encoding string `json:"encoding"`
	Of       string `json:"of,omitempty"`       // template; default {body}
	Optional bool   `json:"optional,omitempty"` // compared when it is there
}

// Rendering is one way to write the covered bytes.
type Rendering struct {
	Name    string    `json:"name"`
	Message []Segment `json:"message"`
}

// Segment is a piece of the covered bytes: a template, the parameters of query
// or form, or a list of signed headers. In JSON a plain string is a template.
type Segment struct {
	If      []string        `json:"if,omitempty"`      // conditions; all must hold
	Text    string          `json:"text,omitempty"`    // template
	Names   string          `json:"names,omitempty"`   // json or query: what a bare {name} in text means
	Fields  *FieldsSegment  `json:"fields,omitempty"`  // parameters
	Headers *HeadersSegment `json:"headers,omitempty"` // signed headers
	Group   []Segment       `json:"group,omitempty"`   // segments
	Then    []string        `json:"then,omitempty"`    // transforms of the whole text, such as sha256, hex
}

// UnmarshalJSON reads a string or an object.
func (s *Segment) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &s.Text)
	}
	type plain Segment
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode((*plain)(s)); err != nil {
		return err
	}
	n := 0
	for _, set := range []bool{s.Text != "", s.Fields != nil, s.Headers != nil, s.Group != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return errors.New("a segment needs exactly one of text, fields, headers and group")
	}
	return nil
}

// MarshalJSON writes a plain template as a string.
func (s Segment) MarshalJSON() ([]byte, error) {
	if len(s.If) == 0 && s.Names == "" && s.Fields == nil && s.Headers == nil && s.Group == nil && len(s.Then) == 0 {
		return json.Marshal(s.Text)
	}
	type plain Segment
	return json.Marshal(plain(s))
}

// FieldsSegment writes the parameters of the query, the form body or both, the
// elements of a flat XML body, or the lines name=value of a body.
type FieldsSegment struct {
	From       []string          `json:"from"`                  // query, form, xml, lines
	Omit       []string          `json:"omit,omitempty"`        // names that are left out
	Decode     string            `json:"decode,omitempty"`      // raw (default), percent, or form (also + as a blank)
	Encode     string            `json:"encode,omitempty"`      // raw (default), percent, form, or a transform that refuses nothing
	EncodeName string            `json:"encode_name,omitempty"` // of names; default encode
	Add        map[string]string `json:"add,omitempty"`         // further fields, each with a template of its value
	Write      string            `json:"write,omitempty"`       // pairs (default), names or values
	LowerName  bool              `json:"lower_name,omitempty"`  // names in lower case
	Sort       string            `json:"sort,omitempty"`        // none (default), name, pair (name then value), text (as written)
	Repeat     string            `json:"repeat,omitempty"`      // all (default), first, or join
	RepeatSep  string            `json:"repeat_sep,omitempty"`  // with join
	DropEmpty  bool              `json:"drop_empty,omitempty"`  // leave out empty values
	KV         string            `json:"kv"`                    // between name and value
	Join       string            `json:"join"`                  // between pairs
}

// HeadersSegment writes the headers that a list in the message names, or that
// the definition names.
type HeadersSegment struct {
	List     string            `json:"list,omitempty"`     // source with the names; |decode behind it undoes percent-encoding
	Names    []string          `json:"names,omitempty"`    // instead of list: these, as far as the message has them
	Prefix   string            `json:"prefix,omitempty"`   // instead of list: all whose lower-case name begins with it, sorted
	From     string            `json:"from,omitempty"`     // query: the names are those of parameters, in lower case and percent-encoded
	Optional bool              `json:"optional,omitempty"` // the list may be absent or empty
	Sep      string            `json:"sep,omitempty"`      // between names of the list
	Line     string            `json:"line"`               // {name} and {value}, such as "{name}:{value}"
	Join     string            `json:"join"`               // between lines
	Sort     bool              `json:"sort,omitempty"`     // by lower-case name; else as listed
	Case     string            `json:"case,omitempty"`     // listed: names as the list writes them, not in lower case
	Value    string            `json:"value,omitempty"`    // trim (default), raw, lower, or transforms joined by |
	Require  []string          `json:"require,omitempty"`  // names that must be listed; alternatives are joined by |
	Derived  map[string]string `json:"derived,omitempty"`  // names that are templates, never headers
	Sign     []string          `json:"sign,omitempty"`     // names that a signer lists; default require
}
