package api

import "time"

// Durations are texts that [ParseDuration] reads: 90s, 12h, 1h30m, 30d.

// RotateKey is the body of POST /v1/keys/{name}/rotate, which may be left out.
type RotateKey struct {
	Grace         *string    `json:"grace,omitempty" doc:"How long the version that signed until now verifies on, such as 72h; by default that of the server, 168h." example:"72h"`
	At            *time.Time `json:"at,omitempty" doc:"Rotate then instead of now."`
	RevokeCurrent bool       `json:"revoke_current,omitempty" doc:"The secret is known to others: revoke the version that signed until now, in the same step."`
	Native        *NativeKey `json:"native,omitempty" doc:"The key of the new version of a native key; by default its key service makes one."`
	Why           string     `json:"why,omitempty" maxLength:"200" doc:"For the log." example:"leaked in a build log"`
}

// ChangeVersion is the body of POST /v1/keys/{name}/versions/{version}/… and
// of POST /v1/keys/{name}/restore, which may be left out.
type ChangeVersion struct {
	Why string `json:"why,omitempty" maxLength:"200" doc:"For the log."`
}

// Schedule is the body of POST /v1/keys/{name}/schedule. One with nothing in it
// ends the schedule.
type Schedule struct {
	Every string     `json:"every,omitempty" doc:"Between two rotations, 1h or more; absent for one rotation only." example:"720h"`
	At    *time.Time `json:"at,omitempty" doc:"Of the next rotation; by default after every."`
	Grace string     `json:"grace,omitempty" doc:"As of rotate." example:"72h"`
}

// ImportParams is the answer of POST /v1/import-params.
type ImportParams struct {
	ID        string    `json:"id" doc:"Goes into import_id."`
	PublicKey string    `json:"public_key" doc:"RSA of 4,096 bits in PEM. Wrap the secret, of at most 446 bytes, with RSA-OAEP, SHA-256 and no label."`
	ExpiresAt time.Time `json:"expires_at"`
}

// AddRecipient is the body of POST /v1/recipients.
type AddRecipient struct {
	Name      string `json:"name" doc:"As of a key." example:"partner"`
	PublicKey string `json:"public_key" doc:"RSA of 3,072 to 8,192 bits in PEM: BEGIN PUBLIC KEY."`
}

// Recipient is somebody to whom keys may be exported.
type Recipient struct {
	Name        string    `json:"name" example:"partner"`
	PublicKey   string    `json:"public_key" doc:"PEM."`
	Fingerprint string    `json:"fingerprint" doc:"SHA-256 of the DER form of the public key, in hex. Compare it with the recipient by another channel."`
	Bits        int       `json:"bits" example:"3072"`
	CreatedAt   time.Time `json:"created_at"`
}

// RecipientList is the answer of GET /v1/recipients.
type RecipientList struct {
	Items []Recipient `json:"items" nullable:"false"`
}

// ExportKey is the body of POST /v1/keys/{name}/export.
type ExportKey struct {
	Recipient string `json:"recipient" example:"partner"`
	Version   int    `json:"version,omitempty" minimum:"0" doc:"By default the one that signs."`
	Context   string `json:"context,omitempty" maxLength:"256" doc:"Export the key that is derived for this context; the key itself need not be exportable."`
}

// ExportedKey is a secret that only its recipient can open:
//
//	openssl pkeyutl -decrypt -inkey partner.key -in wrapped.bin -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256
type ExportedKey struct {
	Key         string `json:"key" example:"orders"`
	KeyID       string `json:"key_id" example:"orders"`
	Version     int    `json:"version" example:"1"`
	Algorithm   string `json:"algorithm" doc:"Of the key." example:"hmac-sha256"`
	Recipient   string `json:"recipient" example:"partner"`
	Fingerprint string `json:"fingerprint" doc:"Of the recipient's public key."`
	Wrapping    string `json:"wrapping" enum:"RSA-OAEP-SHA-256"`
	Wrapped     []byte `json:"wrapped" nullable:"false" doc:"Base64."`
}

// CreateLease is the body of POST /v1/keys/{name}/leases.
type CreateLease struct {
	TTL     string `json:"ttl" doc:"1s to 168h." example:"10m"`
	MaxUses int64  `json:"max_uses,omitempty" minimum:"0" doc:"How many tags are verified; by default there is no limit."`
	Purpose string `json:"purpose,omitempty" doc:"By default that of the key."`
}

// Lease is a short-lived key that is derived from a version of a key.
type Lease struct {
	ID        string     `json:"id"`
	Key       string     `json:"key" doc:"Name of the key." example:"orders"`
	Version   int        `json:"version" doc:"Of the key." example:"1"`
	Algorithm string     `json:"algorithm" doc:"With which the holder signs." example:"hmac-sha256"`
	Purpose   string     `json:"purpose,omitempty"`
	State     string     `json:"state" enum:"valid,expired,revoked,used-up" example:"valid"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	MaxUses   int64      `json:"max_uses,omitempty" doc:"Absent for no limit."`
	Used      int64      `json:"used,omitempty" doc:"Counted only if there is a limit."`
	Material  []byte     `json:"material,omitempty" nullable:"false" doc:"The secret in base64; in the answer to its creation only."`
}

// LeaseList is one page of GET /v1/keys/{name}/leases.
type LeaseList struct {
	Items      []Lease `json:"items" nullable:"false"`
	NextCursor string  `json:"next_cursor,omitempty" doc:"Give it as the parameter cursor to get the next page; absent at the end."`
}

// VerifyLease is the body of POST /v1/keys/{name}/leases/{id}/verify.
type VerifyLease struct {
	Message []byte  `json:"message,omitempty" nullable:"false" doc:"The message in base64."`
	Text    *string `json:"text,omitempty" doc:"The message as text, instead of message." example:"hello"`
	Tag     string  `json:"tag" doc:"The full tag in hex, in lower case."`
	Purpose string  `json:"purpose,omitempty" doc:"What the message is; a lease for another purpose refuses."`
}

// LeaseVerdict is the answer to [VerifyLease].
type LeaseVerdict struct {
	Valid  bool   `json:"valid"`
	Reason string `json:"reason,omitempty" doc:"Why not: malformed, wrong-signature, lease-expired, lease-revoked or lease-used-up." example:"lease-expired"`
	Detail string `json:"detail,omitempty" doc:"The reason with its place."`
	Lease  Lease  `json:"lease"`
}

// CreateSource names a secret that lives elsewhere.
type CreateSource struct {
	Provider string `json:"provider" doc:"awssecrets, gcpsecrets or vaultkv; the configuration must have it." example:"awssecrets"`
	Name     string `json:"name" doc:"As the provider names it, 1 to 512 bytes. The configuration says how it must begin." example:"sealwright/orders"`
	Field    string `json:"field,omitempty" doc:"Member of the JSON object that is kept under the name, with vaultkv always; by default the secret is everything that is kept there." example:"hmac"`
	Encoding string `json:"encoding,omitempty" doc:"raw (default; a line feed at the end counts), base64 or hex." example:"base64"`
	Every    string `json:"every,omitempty" doc:"Between two reads, 1m to 30d; by default 1h." example:"15m"`
}

// KeySource is where the secret of a key lives, and what came of reading it.
type KeySource struct {
	Provider  string     `json:"provider" example:"awssecrets"`
	Name      string     `json:"name" example:"sealwright/orders"`
	Field     string     `json:"field,omitempty" example:"hmac"`
	Encoding  string     `json:"encoding,omitempty" example:"base64"`
	Every     string     `json:"every" example:"1h"`
	Version   string     `json:"version,omitempty" doc:"Of the secret, as the provider names it, when it had last changed."`
	ChangedAt time.Time  `json:"changed_at" doc:"When a change was last seen."`
	CheckedAt *time.Time `json:"checked_at,omitempty" doc:"When this node last read it; absent if it has not since it started."`
	Error     string     `json:"error,omitempty" doc:"Why that read brought nothing; the key goes on with its copy." example:"AWS Secrets Manager does not give secret sealwright/orders: AccessDeniedException"`
	Unchanged bool       `json:"unchanged,omitempty" doc:"In the answer to a rotation only: the source still has the same secret, so nothing was rotated."`
}
