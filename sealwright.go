// Package sealwright signs and verifies messages with HMAC under many wire
// formats.
//
// A [Verifier] joins a [Scheme], which knows where a wire format puts its tag
// and which bytes the tag covers, with a ring of keys and a window of time. A
// [Signer] is the other direction. Tags are compared in one place, so a scheme
// cannot get that wrong.
//
// Presets for the formats of many providers stand in package catalogue. The
// package does no I/O. To protect an HTTP server, see package sealhttp.
package sealwright

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/mac"
)

// Message is an HTTP request or response as its signature sees it: nothing is
// decoded, normalised or parsed.
type Message struct {
	Method string // of the request, as on the wire
	Scheme string // "https" or "http"; empty means https
	Host   string // authority of the request: Host header or :authority, as received
	Target string // request target in origin form, path?query, byte for byte as on the wire

	// Header holds the fields by canonical name (Content-Type), as net/http
	// has them: an [http.Header] may be used as it is. For other sources of
	// headers there is [CanonicalHeader].
	//
	// [http.Header]: https://pkg.go.dev/net/http#Header
	Header  map[string][]string
	Body    []byte              // raw bytes, before any decoding
	Trailer map[string][]string // like Header

	Status  int      // of a response; 0 for a request
	Request *Message // of a response: the request that it answers
}

// Path returns the target up to its first question mark.
func (m *Message) Path() string {
	if i := strings.IndexByte(m.Target, '?'); i >= 0 {
		return m.Target[:i]
	}
	return m.Target
}

// Query returns the target after its first question mark, without it.
func (m *Message) Query() string {
	if i := strings.IndexByte(m.Target, '?'); i >= 0 {
		return m.Target[i+1:]
	}
	return ""
}

// URLScheme returns Scheme, or https if it is empty.
func (m *Message) URLScheme() string {
	if m.Scheme == "" {
		return "https"
	}
	return m.Scheme
}

// URL returns the full URL, built from its parts as they were received.
func (m *Message) URL() string { return m.URLScheme() + "://" + m.Host + m.Target }

// CanonicalHeader returns a copy of h in which every name has the form that
// net/http gives it. Values of names that differ in case only are joined to
// one list, so that a duplicate cannot hide behind its spelling.
func CanonicalHeader(h map[string][]string) map[string][]string {
	out := make(map[string][]string, len(h))
	for _, name := range sortedKeys(h) {
		c := canon.HeaderName(name)
		out[c] = append(out[c], h[name]...)
	}
	return out
}

// Coverage says what a signature protects. The zero value protects nothing.
type Coverage struct {
	Method  bool     `json:"method"`
	Path    bool     `json:"path"`
	Query   bool     `json:"query"`
	Host    bool     `json:"host"`
	Body    bool     `json:"body"` // whole body, directly or by a digest that is compared with it
	Time    bool     `json:"time"`
	KeyID   bool     `json:"key_id"`
	Headers []string `json:"headers,omitempty"` // covered header fields by name
	Fields  []string `json:"fields,omitempty"`  // covered single fields of body, form or query
}

// Missing returns the names of what need asks for and c does not cover.
func (c Coverage) Missing(need Coverage) []string {
	var out []string
	for _, f := range []struct {
		name       string
		need, have bool
	}{
		{"method", need.Method, c.Method}, {"path", need.Path, c.Path}, {"query", need.Query, c.Query},
		{"host", need.Host, c.Host}, {"body", need.Body, c.Body}, {"time", need.Time, c.Time}, {"key_id", need.KeyID, c.KeyID},
	} {
		if f.need && !f.have {
			out = append(out, f.name)
		}
	}
	for _, h := range need.Headers {
		if !containsFold(c.Headers, h) {
			out = append(out, "header "+h)
		}
	}
	for _, n := range need.Fields {
		if !slices.Contains(c.Fields, n) { // names of fields have a case, unlike those of headers
			out = append(out, "field "+n)
		}
	}
	return out
}

func (c *Coverage) isZero() bool {
	return !c.Method && !c.Path && !c.Query && !c.Host && !c.Body && !c.Time && !c.KeyID && len(c.Headers) == 0 && len(c.Fields) == 0
}

// MaxTags is the most tags that a [Verifier] compares for one message; one
// more is [ErrTooManyTags]. It bounds the work that a stranger can cause.
const MaxTags = 16

// MaxRenderings is the most ways to write the signed bytes that a scheme may
// declare.
const MaxRenderings = 8

// MaxValues is the number of values that a scheme may keep in a [Claim].
const MaxValues = 24

// Claim is what a message says of its own signature. Nothing in it is to be
// trusted before a tag was verified. A scheme fills it in Parse or Prepare.
type Claim struct {
	KeyID   string        // empty if the scheme carries none
	At      time.Time     // time of signing; zero if the scheme carries none
	Past    time.Duration // how old At may be, inclusive
	Future  time.Duration // how far ahead At may be, inclusive
	Expires time.Time     // last valid instant; zero means none
	Ahead   time.Duration // how far ahead Expires may be, inclusive; 0 means any
	Nonce   string        // empty if the scheme carries none
	Covers  Coverage

	// Key is the key under which Write writes; the Verifier and the Signer set
	// it. Only schemes that put the secret into the signed bytes look at it.
	Key *keyring.Key

	// Renderings names the ways in which the signed bytes may be written, any
	// of which may match. Empty means one way without a name.
	Renderings []string

	// Values and Scratch belong to the scheme: what Parse found for Write. They
	// are reused, so that a claim needs no allocation.
	Values  [MaxValues]string
	Scratch []byte
	// Private is for schemes whose findings do not fit Values.
	Private any

	tags  *[MaxTags]tag // nil until the first one
	count int
}

type tag struct {
	bytes [mac.MaxSize]byte
	size  int
	owner string // ID of the key that it belongs to; empty means any
}

// AddTag decodes the tag text and adds it. It returns [ErrTooManyTags] for more than
// [MaxTags] and [ErrMalformed] if text is not in the encoding or longer than any tag.
func (c *Claim) AddTag(text string, e canon.Encoding) error { return c.AddTagOf("", text, e) }

// AddTagOf is [Claim.AddTag] for a tag that counts only under the key with this
// ID, for messages that carry a tag for each of several keys. An empty ID
// stands for any key.
func (c *Claim) AddTagOf(keyID, text string, e canon.Encoding) error {
	if c.count == MaxTags {
		return Refusef(ErrTooManyTags, "more than %d tags", MaxTags)
	}
	if c.tags == nil {
		c.tags = new([MaxTags]tag)
	}
	t := &c.tags[c.count]
	n, err := e.Decode(t.bytes[:], text)
	if err != nil {
		return Refusef(ErrMalformed, "signature: %v", err)
	}
	if n == 0 {
		return Refusef(ErrMissing, "signature is empty")
	}
	t.size, t.owner = n, keyID
	c.count++
	return nil
}

// Tags returns the number of tags that were added.
func (c *Claim) Tags() int { return c.count }

// Tag returns the decoded tag i. It must not be changed.
func (c *Claim) Tag(i int) []byte { return c.tags[i].bytes[:c.tags[i].size] }

// reset empties the claim and keeps its room.
func (c *Claim) reset() {
	*c = Claim{Scratch: c.Scratch[:0], tags: c.tags}
}

// Sink takes the signed bytes. A [mac.State] and a [bytes.Buffer] are sinks.
// Writing never fails.
//
// [bytes.Buffer]: https://pkg.go.dev/bytes#Buffer
type Sink interface {
	io.Writer
	io.StringWriter
}

// Scheme is a wire format. It may be used by many goroutines at once and keeps
// nothing of a message.
type Scheme interface {
	// Name returns the preset ID, such as github.
	Name() string

	// Parse fills c from m. It returns an error of one of this package's
	// sentinels, never panics, and does work in proportion to the size of m. It
	// does not look at the clock and knows no secret.
	Parse(m *Message, c *Claim) error

	// Key returns the MAC key for k, decoded or derived as the scheme says. It
	// uses [keyring.Key.Prepared] wherever the result can be kept.
	Key(k *keyring.Key, c *Claim) (*mac.Key, error)

	// Write writes the bytes that the tag covers, in rendering n of
	// c.Renderings, 0 for the first or only one.
	Write(w Sink, m *Message, c *Claim, n int) error
}

// A Checker is a [Scheme] whose messages carry more than a tag to check, such
// as the digest of the body. Check runs after a tag has matched.
type Checker interface {
	// Check returns [ErrDigest] or [ErrPolicy] if m is not what its covered
	// fields say.
	Check(m *Message, c *Claim) error
}

// A Warner is a [Scheme] with known weaknesses. The verdict names them.
type Warner interface {
	// Warnings returns the weaknesses, each a sentence. The caller must not
	// change the slice.
	Warnings() []string
}

// Truncated is a [Scheme] whose tags are cut to their first bytes.
type Truncated interface {
	// TagSize returns the length of a tag in bytes, at least 16.
	TagSize() int
}

// SigningScheme is a [Scheme] that also writes what it reads.
type SigningScheme interface {
	Scheme

	// Prepare writes to m all that the tag covers, except the tag, and fills c as
	// Parse would. A covered time, nonce or ID that m has already is kept, a time
	// only while it is fresh at f.Now. m.Header belongs to the callee.
	Prepare(m *Message, c *Claim, f Facts) error

	// Attach writes the tag to its place in m.
	Attach(m *Message, c *Claim, tag []byte) error
}

// Facts are what a signer knows and a message does not yet say.
type Facts struct {
	KeyID string
	Now   time.Time
	Nonce string // fresh and unguessable, of characters that every scheme allows
}

// SplitURL splits an absolute http or https URL into scheme, authority and
// request target, byte for byte. The target is empty if nothing follows the
// authority.
func SplitURL(url string) (scheme, host, target string, err error) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok || (scheme != "https" && scheme != "http") {
		return "", "", "", fmt.Errorf("URL %q does not begin with https:// or http://", url)
	}
	host, target = rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host, target = rest[:i], rest[i:]
	}
	if host == "" {
		return "", "", "", fmt.Errorf("URL %q has no host", url)
	}
	return scheme, host, target, nil
}
