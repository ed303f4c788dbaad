// Package api has the requests and answers of the server's API as Go types,
// and the standard form of a signature.
//
// The server itself describes the API at /openapi.json, which is made from
// these types; docs/operate/api.md shows it by example. The package needs the
// standard library only.
package api

import (
	"encoding/json"
	"time"
)

// CreateKey is the body of POST /v1/keys.
type CreateKey struct {
	Name       string     `json:"name" doc:"Unique, also after the key was deleted: 1 to 128 of a-z 0-9 . _ -, the first a letter or digit." example:"orders"`
	KeyID      string     `json:"key_id,omitempty" doc:"The ID that stands in signatures; by default the name." example:"orders"`
	Algorithm  string     `json:"algorithm,omitempty" doc:"hmac-sha256 (default), hmac-sha384, hmac-sha512, hmac-sha512-256 or hmac-sha3-256." example:"hmac-sha256"`
	Exportable bool       `json:"exportable,omitempty" doc:"Whether reveal may return the secret. It cannot be changed later."`
	Material   *string    `json:"material,omitempty" doc:"The secret to import, in padded base64; by default the server makes a random one." writeOnly:"true"`
	AllowWeak  bool       `json:"allow_weak,omitempty" doc:"Import a secret of less than 14 bytes."`
	Purpose    string     `json:"purpose,omitempty" doc:"What the key is for: webhook, api, artifact, event, audit or package; by default everything. It cannot be changed later." example:"webhook"`
	Native     *NativeKey `json:"native,omitempty" doc:"Create a native key: its secret never leaves a key service, and it signs digests, in the construction sealwright-native-mac-v1."`

	Source *CreateSource `json:"source,omitempty" doc:"Where the secret lives. It is read now, and again and again; the server keeps a copy."`

	ImportID string  `json:"import_id,omitempty" doc:"ID of import parameters, with wrapped instead of material."`
	Wrapped  *string `json:"wrapped,omitempty" doc:"The secret to import, wrapped with RSA-OAEP, SHA-256, under the public key of the import parameters; padded base64."`
}

// NativeKey names a key that never leaves its key service.
type NativeKey struct {
	Provider string `json:"provider,omitempty" doc:"The key service: awskms, gcpkms, transit or pkcs11; by default that of the root key or, for a rotation, that of the version that signs." example:"pkcs11"`
	Key      string `json:"key,omitempty" maxLength:"512" doc:"As the key service names it: a label (pkcs11), ARN or alias (awskms), resource name of a version (gcpkms), name/version (transit). By default awskms and pkcs11 make one." example:"orders-2026"`
}

// Key describes a key. It never holds the secret.
type Key struct {
	Name         string       `json:"name" example:"orders"`
	KeyID        string       `json:"key_id" doc:"As it stands in signatures." example:"orders"`
	Algorithm    string       `json:"algorithm" example:"hmac-sha256"`
	Exportable   bool         `json:"exportable"`
	Version      int          `json:"version" doc:"The version that signs." example:"1"`
	CreatedAt    time.Time    `json:"created_at"`
	Purpose      string       `json:"purpose,omitempty" doc:"What the key may be used for; absent for everything." example:"webhook"`
	Schedule     *Schedule    `json:"schedule,omitempty" doc:"When the key is rotated by itself."`
	Source       *KeySource   `json:"source,omitempty" doc:"Where its secret lives; absent for a secret that is the server's own."`
	Construction string       `json:"construction,omitempty" enum:"sealwright-native-mac-v1" doc:"What is signed instead of the message, of a native key; absent for an ordinary one."`
	Versions     []KeyVersion `json:"versions" nullable:"false" doc:"Every version that was ever made, ascending."`
	UsesUnknown  bool         `json:"uses_unknown,omitempty" doc:"The store cannot be used now, so uses and last_used_at of the versions are left out."`
	Warnings     []string     `json:"warnings,omitempty" nullable:"false" doc:"Weaknesses of an imported secret; in the answer to its import only."`
}

// KeyVersion describes one version of a key.
type KeyVersion struct {
	Version   int        `json:"version" example:"1"`
	State     string     `json:"state" enum:"pending,active,grace,retired,revoked,destroyed" doc:"pending: verifies, does not sign yet; active: signs; grace: verifies until not_after; retired: archived; revoked: refused for good; destroyed: the secret is gone." example:"active"`
	CreatedAt time.Time  `json:"created_at"`
	NotBefore *time.Time `json:"not_before,omitempty" doc:"First instant at which the version counts; absent for no limit."`
	NotAfter  *time.Time `json:"not_after,omitempty" doc:"First instant at which the version no longer counts; absent for no limit."`
	Signs     bool       `json:"signs"`
	Bytes     int        `json:"bytes" doc:"Length of the secret in bytes; 0 once it is destroyed, and of a native key." example:"32"`

	Native      *NativeKey `json:"native,omitempty" doc:"Of a native key: where its secret is. Absent once the version is destroyed."`
	ActivatedAt *time.Time `json:"activated_at,omitempty" doc:"When it began to sign."`
	RetiredAt   *time.Time `json:"retired_at,omitempty"`
	RevokedAt   *time.Time `json:"revoked_at,omitempty"`
	DestroyAt   *time.Time `json:"destroy_at,omitempty" doc:"When its secret will be removed, unless that is cancelled."`
	DestroyedAt *time.Time `json:"destroyed_at,omitempty"`
	LastUsedAt  *time.Time `json:"last_used_at,omitempty" doc:"In the answer to a single key only: when it last made or verified a tag, to the second."`
	Uses        int64      `json:"uses,omitempty" doc:"In the answer to a single key only: tags made and tags found valid."`
}

// KeyList is one page of GET /v1/keys.
type KeyList struct {
	Items      []Key  `json:"items" nullable:"false"`
	NextCursor string `json:"next_cursor,omitempty" doc:"Give it as the parameter cursor to get the next page; absent at the end."`
}

// Revealed is the answer of POST /v1/keys/{name}/reveal.
type Revealed struct {
	Versions []RevealedVersion `json:"versions" nullable:"false"`
}

// RevealedVersion is the secret of one version. It is a secret in the clear:
// whoever holds one must not print it.
type RevealedVersion struct {
	Version  int    `json:"version" example:"1"`
	Material []byte `json:"material" nullable:"false" doc:"The secret in base64."`
}

// Sign is the body of POST /v1/keys/{name}/sign: one message, or a batch of
// items. A message is given either as Message or as Text.
type Sign struct {
	Message  []byte     `json:"message,omitempty" nullable:"false" doc:"The message in base64."`
	Text     *string    `json:"text,omitempty" doc:"The message as text; its UTF-8 bytes are signed." example:"hello"`
	Encoding string     `json:"encoding,omitempty" enum:"hex,base64,base64url" doc:"Of the tag in the answer, by default hex; base64 and base64url are padded."`
	Purpose  string     `json:"purpose,omitempty" doc:"What the message is; a key for another purpose refuses."`
	Context  string     `json:"context,omitempty" maxLength:"256" doc:"Use the key that is derived for this context, such as the ID of a customer."`
	Metadata *Metadata  `json:"metadata,omitempty" doc:"What the message is about, for the policy and the log; of the items that have none of their own."`
	Bind     bool       `json:"bind_metadata,omitempty" doc:"Sign the metadata too: only who gives the same to verify finds the tag valid."`
	Items    []SignItem `json:"items,omitempty" nullable:"false" maxItems:"1000" doc:"A batch instead of one message, answered in order."`
}

// SignItem is one message of a batch.
type SignItem struct {
	Message  []byte  `json:"message,omitempty" nullable:"false" doc:"The message in base64."`
	Text     *string `json:"text,omitempty" doc:"The message as text."`
	Encoding string  `json:"encoding,omitempty" enum:"hex,base64,base64url" doc:"By default that of the batch."`

	Metadata *Metadata `json:"metadata,omitempty" doc:"In place of that of the batch."`
}

// Signed is the answer to [Sign], or one result of a batch, which has either
// Error or everything else.
type Signed struct {
	Tag          string     `json:"tag,omitempty"`
	Encoding     string     `json:"encoding,omitempty" example:"hex"`
	Key          string     `json:"key,omitempty" doc:"Name of the key that was used: another one than that asked for if the policy chose it." example:"orders"`
	Version      int        `json:"version,omitempty" example:"1"`
	Algorithm    string     `json:"algorithm,omitempty" example:"hmac-sha256"`
	Signature    string     `json:"signature,omitempty" doc:"The tag in the standard form, which names algorithm, key ID and version."`
	Covers       string     `json:"covers,omitempty" enum:"digest" doc:"Of a native key: the tag is not that of the message, but of a text with its digest."`
	Construction string     `json:"construction,omitempty" enum:"sealwright-native-mac-v1" doc:"How that text is made."`
	Bound        bool       `json:"bound,omitempty" doc:"The tag is also that of the metadata."`
	Error        *ItemError `json:"error,omitempty" doc:"In a batch only: why this item was not signed."`
}

// SignedBatch is the answer to a batch of [Sign].
type SignedBatch struct {
	Items []Signed `json:"items" nullable:"false" doc:"One result for each item, in order."`
}

// Verify is the body of POST /v1/keys/{name}/verify: one message with a tag or
// a signature in the standard form, or a batch of items.
type Verify struct {
	Message   []byte       `json:"message,omitempty" nullable:"false" doc:"The message in base64."`
	Text      *string      `json:"text,omitempty" doc:"The message as text." example:"hello"`
	Tag       *string      `json:"tag,omitempty" doc:"The full tag in the given encoding; any version that is valid now may have made it."`
	Signature *string      `json:"signature,omitempty" doc:"The standard form instead of a tag; algorithm, key ID and version must be those of the key."`
	Encoding  string       `json:"encoding,omitempty" enum:"hex,base64,base64url" doc:"Of the tag, by default hex in lower case."`
	Purpose   string       `json:"purpose,omitempty" doc:"What the message is; a key for another purpose refuses."`
	Context   string       `json:"context,omitempty" maxLength:"256" doc:"Use the key that is derived for this context, such as the ID of a customer."`
	Metadata  *Metadata    `json:"metadata,omitempty" doc:"As of sign: the policy may choose another key by it."`
	Bind      bool         `json:"bind_metadata,omitempty" doc:"The tag is also that of the metadata."`
	Items     []VerifyItem `json:"items,omitempty" nullable:"false" maxItems:"1000" doc:"A batch instead of one message, answered in order."`
}

// VerifyItem is one message of a batch.
type VerifyItem struct {
	Message   []byte  `json:"message,omitempty" nullable:"false" doc:"The message in base64."`
	Text      *string `json:"text,omitempty" doc:"The message as text."`
	Tag       *string `json:"tag,omitempty"`
	Signature *string `json:"signature,omitempty"`
	Encoding  string  `json:"encoding,omitempty" enum:"hex,base64,base64url" doc:"By default that of the batch."`

	Metadata *Metadata `json:"metadata,omitempty" doc:"In place of that of the batch."`
}

// Verdict is the answer to [Verify], or one result of a batch, which has
// either Error or everything else. Reason and Detail are for the operator: to
// whoever sent the message, all reasons should look alike.
type Verdict struct {
	Valid        bool       `json:"valid"`
	Reason       string     `json:"reason,omitempty" doc:"Why not: missing-signature, malformed, unknown-key, revoked-key, policy (another algorithm) or wrong-signature." example:"wrong-signature"`
	Detail       string     `json:"detail,omitempty" doc:"The reason with its place."`
	Key          string     `json:"key,omitempty" doc:"Name of the key." example:"orders"`
	KeyID        string     `json:"key_id,omitempty" example:"orders"`
	Version      int        `json:"version,omitempty" doc:"The version that matched; as claimed by the signature if none did." example:"1"`
	State        string     `json:"state,omitempty" doc:"Of the version that matched: grace means that the sender still signs with an old one." example:"active"`
	NotAfter     *time.Time `json:"not_after,omitempty" doc:"Of a version in grace: when it stops verifying (exclusive)."`
	Algorithm    string     `json:"algorithm,omitempty" example:"hmac-sha256"`
	Covers       string     `json:"covers,omitempty" enum:"digest" doc:"As of sign."`
	Construction string     `json:"construction,omitempty" enum:"sealwright-native-mac-v1" doc:"As of sign."`
	Bound        bool       `json:"bound,omitempty" doc:"The metadata was verified too."`
	Error        *ItemError `json:"error,omitempty" doc:"In a batch only: why this item was not checked."`
}

// VerdictBatch is the answer to a batch of [Verify].
type VerdictBatch struct {
	Items []Verdict `json:"items" nullable:"false" doc:"One result for each item, in order."`
}

// ItemError says why an item of a batch was not processed.
type ItemError struct {
	Index    int    `json:"index" doc:"Of the item, from 0."`
	Location string `json:"location" example:"body.items[3].message"`
	Detail   string `json:"detail"`
}

// Request is an HTTP request in JSON.
type Request struct {
	Method     string              `json:"method" example:"POST"`
	URL        string              `json:"url" doc:"Absolute; the target byte for byte as on the wire." example:"https://example.com/hook"`
	Headers    map[string][]string `json:"headers,omitempty" nullable:"false" doc:"Name to values, in order."`
	Body       string              `json:"body,omitempty" doc:"As text."`
	BodyBase64 string              `json:"body_base64,omitempty" doc:"In padded base64, instead of body."`
}

// HTTPRequest is the body of POST /v1/requests/sign and /v1/requests/verify: a
// whole HTTP request under a scheme.
type HTTPRequest struct {
	Scheme  string          `json:"scheme" doc:"ID of a scheme; 'sealwright schemes' lists them." example:"github"`
	Key     string          `json:"key" doc:"Name of the key." example:"orders"`
	KeyID   string          `json:"key_id,omitempty" doc:"The ID under which the scheme knows the key, by default that of the key."`
	Purpose string          `json:"purpose,omitempty" doc:"What the request is; a key for another purpose refuses."`
	Context string          `json:"context,omitempty" maxLength:"256" doc:"Use the key that is derived for this context."`
	Params  json.RawMessage `json:"params,omitempty" doc:"Parameters of the scheme: an object of texts, numbers, booleans and lists of them."`
	Now     json.RawMessage `json:"now,omitempty" doc:"The time of signing or verifying, as Unix seconds or in RFC 3339; by default the time of the server. It is about the message: which versions of the key count is decided by the clock of the server."`
	Claim   bool            `json:"claim,omitempty" doc:"Of verify only: use the request up, by its nonce, or by its signature if the scheme has none. The same request is not valid again."`
	Request Request         `json:"request"`

	Metadata *Metadata `json:"metadata,omitempty" doc:"What the request is about, for the policy and the log."`
}

// SignedRequest is the answer of POST /v1/requests/sign.
type SignedRequest struct {
	Scheme  string  `json:"scheme" example:"github"`
	Key     string  `json:"key" doc:"Name of the key." example:"orders"`
	KeyID   string  `json:"key_id" doc:"As the scheme knows the key." example:"orders"`
	Version int     `json:"version" example:"1"`
	Request Request `json:"request" doc:"The request with its signature."`
}

// RequestVerdict is the answer of POST /v1/requests/verify.
type RequestVerdict struct {
	Key       string     `json:"key" doc:"Name of the key." example:"orders"`
	Valid     bool       `json:"valid"`
	Reason    string     `json:"reason,omitempty" doc:"Why not, in a word."`
	Detail    string     `json:"detail,omitempty" doc:"The reason with its place in the request."`
	Replay    string     `json:"replay,omitempty" enum:"unchecked,fresh,replayed" doc:"Whether the request was used before: fresh and replayed if it was to be claimed, unchecked if it is valid and nobody looked."`
	Scheme    string     `json:"scheme" example:"github"`
	KeyID     string     `json:"key_id,omitempty" doc:"Of the key that matched; as claimed if none did."`
	Version   int        `json:"version,omitempty" doc:"Of the key that matched."`
	State     string     `json:"state,omitempty" doc:"Of the version that matched: grace means that the sender still signs with an old one." example:"active"`
	NotAfter  *time.Time `json:"not_after,omitempty" doc:"Of a version in grace: when it stops verifying (exclusive)."`
	Algorithm string     `json:"algorithm,omitempty"`
	Covers    Coverage   `json:"covers" doc:"What the signature protects."`
	Time      *time.Time `json:"time,omitempty" doc:"Signed time; absent if the scheme carries none."`
	Age       *float64   `json:"age_seconds,omitempty" doc:"Now minus the signed time; negative if it is ahead."`
	Skew      *float64   `json:"skew_seconds,omitempty" doc:"How far the signed time is ahead of now, 0 if it is not."`
	Expires   *time.Time `json:"expires,omitempty"`
	Nonce     string     `json:"nonce,omitempty"`
	Rendering string     `json:"rendering,omitempty" doc:"Which alternative form of the signed bytes matched."`
	Warnings  []string   `json:"warnings,omitempty" nullable:"false" doc:"Weaknesses of the scheme or the key."`
}

// Values of [RequestVerdict.Replay], and the reason of a verdict on a request
// that was used before.
const (
	ReplayUnchecked = "unchecked"
	ReplayFresh     = "fresh"
	ReplayReplayed  = "replayed"

	ReasonReplayed = "replayed"
)

// Diagnose is the body of POST /v1/doctor. With Rejection, what is left out is
// that of the rejected request; without, Scheme and Request are needed.
type Diagnose struct {
	Rejection  string          `json:"rejection,omitempty" doc:"ID of a rejected request, instead of request." example:"5c0e9f3a1b2d-3f"`
	Scheme     string          `json:"scheme,omitempty" doc:"ID of the scheme that is configured." example:"github"`
	Params     json.RawMessage `json:"params,omitempty" doc:"Parameters of the scheme, as of requests/verify."`
	Key        string          `json:"key,omitempty" doc:"Name of the configured key, whose version that signs comes first; by default the first of keys." example:"orders"`
	Keys       []string        `json:"keys,omitempty" nullable:"false" maxItems:"200" doc:"Names of further keys that may have signed; by default all of the tenant. At most 200 versions are tried."`
	KeyID      string          `json:"key_id,omitempty" doc:"The ID under which the scheme knows the configured key, by default that of the key."`
	PublicURL  string          `json:"public_url,omitempty" maxLength:"8192" doc:"Whole URL by which the sender knows the receiver." example:"https://example.com/hook"`
	KnownHosts []string        `json:"known_hosts,omitempty" nullable:"false" maxItems:"64" doc:"Hosts that are the receiver's own."`
	Now        json.RawMessage `json:"now,omitempty" doc:"When the request was verified, as Unix seconds or in RFC 3339; by default the time of the server."`
	Request    *Request        `json:"request,omitempty" doc:"The request as it was received."`
}

// Diagnosis is the answer of POST /v1/doctor. It is for operators and must not
// reach whoever sent the request. It names secrets and never shows them.
type Diagnosis struct {
	Verdict     string     `json:"verdict" enum:"proven,request_fine,time,evidence,unknown" doc:"proven: a hypothesis reproduces the received value; request_fine: the request verifies; time: the MAC is right, the time is not; evidence: facts speak without proof; unknown: nothing explains the value." example:"proven"`
	Cause       string     `json:"cause,omitempty" doc:"In a word." example:"body.newlines"`
	Cause2      string     `json:"cause2,omitempty" doc:"Second fault, where two together explain the value."`
	Secret      string     `json:"secret,omitempty" doc:"Name and version of the key that signed." example:"orders v1"`
	Danger      bool       `json:"danger" doc:"The received value authenticates nothing, or a secret is exposed."`
	Explanation string     `json:"explanation"`
	Fix         string     `json:"fix,omitempty"`
	Notes       []string   `json:"notes,omitempty" nullable:"false" doc:"Facts that need no secret."`
	Hypotheses  int        `json:"hypotheses" doc:"How many were tried." example:"412"`
	Secrets     int        `json:"secrets" doc:"With how many versions of keys." example:"3"`
	Diff        *BytesDiff `json:"diff,omitempty" doc:"First difference between what was signed and what was seen."`

	Scheme     string `json:"scheme" example:"github"`
	Configured string `json:"configured" doc:"The version that counted as configured." example:"orders v2"`
	Omitted    int    `json:"omitted,omitempty" doc:"Versions of keys that were not tried, since at most 200 are; name those that matter in keys."`
	Rejection  string `json:"rejection,omitempty" doc:"ID of the rejected request that was diagnosed."`
}

// BytesDiff is the first difference between two byte strings, with a few bytes
// around it.
type BytesDiff struct {
	Offset      int    `json:"offset" doc:"Of the first byte that differs."`
	Signed      string `json:"signed"`
	Seen        string `json:"seen"`
	SignedBytes int    `json:"signed_bytes" doc:"Length of the whole."`
	SeenBytes   int    `json:"seen_bytes"`
}

// Rejection is a request that POST /v1/requests/verify found not to be valid.
// In a [RejectionList] it has no Request.
type Rejection struct {
	ID       string          `json:"id" doc:"As the request_id in the log." example:"5c0e9f3a1b2d-3f"`
	At       time.Time       `json:"at" doc:"When it was rejected."`
	Now      time.Time       `json:"now" doc:"At which time it was verified; other than at if the caller gave one."`
	Scheme   string          `json:"scheme" example:"github"`
	Key      string          `json:"key" doc:"Name of the key." example:"orders"`
	KeyID    string          `json:"key_id,omitempty" doc:"If the caller gave one."`
	Params   json.RawMessage `json:"params,omitempty" doc:"Parameters of the scheme. Those with secret in their name show [secret]."`
	Reason   string          `json:"reason" doc:"In a word." example:"wrong-signature"`
	Detail   string          `json:"detail,omitempty" doc:"The reason with its place in the request."`
	Bytes    int             `json:"bytes" doc:"Length of the body."`
	Complete bool            `json:"complete" doc:"Whether the whole request was kept; only then it can be diagnosed."`
	Request  *Request        `json:"request,omitempty" doc:"The request; its body is cut, or all of it missing, if it is not complete."`
}

// RejectionList is one page of GET /v1/rejections, the newest first.
type RejectionList struct {
	Keep       int         `json:"keep" doc:"How many the server keeps, 0 if it keeps none." example:"100"`
	Items      []Rejection `json:"items" nullable:"false"`
	NextCursor string      `json:"next_cursor,omitempty" doc:"Give it as the parameter cursor to get the next page; absent at the end."`
}

// Coverage says what a signature protects.
type Coverage struct {
	Method  bool     `json:"method"`
	Path    bool     `json:"path"`
	Query   bool     `json:"query"`
	Host    bool     `json:"host"`
	Body    bool     `json:"body"`
	Time    bool     `json:"time"`
	KeyID   bool     `json:"key_id"`
	Headers []string `json:"headers,omitempty" nullable:"false"`
	Fields  []string `json:"fields,omitempty" nullable:"false" doc:"Single fields of body, form or query."`
}

// Problem is every error of the API (RFC 9457, application/problem+json).
type Problem struct {
	Type      string          `json:"type" doc:"Always about:blank: the title is that of the status." example:"about:blank"`
	Title     string          `json:"title" example:"Unprocessable Entity"`
	Status    int             `json:"status" doc:"The HTTP status." example:"422"`
	Code      string          `json:"code" doc:"The kind of error in a word, for programs." example:"invalid"`
	Detail    string          `json:"detail" doc:"What was wrong with this request."`
	Errors    []ProblemDetail `json:"errors,omitempty" nullable:"false" doc:"Each fault with its place."`
	RequestID string          `json:"request_id,omitempty" doc:"As in the header X-Request-Id and in the log."`
}

// ProblemDetail is one fault of a request.
type ProblemDetail struct {
	Location string `json:"location,omitempty" example:"body.items[3].message"`
	Detail   string `json:"detail"`
}

// Error returns the detail with the places of its faults, so that a client
// may return a problem as an error.
func (p *Problem) Error() string {
	text := p.Detail
	for _, e := range p.Errors {
		text += "; " + e.Location + ": " + e.Detail
	}
	return text
}
