package api

import "time"

// CreateTenant is the body of POST /v1/tenants.
type CreateTenant struct {
	Name string `json:"name" doc:"1 to 64 of a-z 0-9 . _ -, first a letter or digit." example:"payments"`
}

// ChangeTenant is the body of PATCH /v1/tenants/{name}.
type ChangeTenant struct {
	Disabled bool `json:"disabled" doc:"Refuse its callers. Operators may act in it all the same."`
}

// Tenant separates keys, callers and everything else of one team from those of
// others.
type Tenant struct {
	Name      string     `json:"name" example:"payments"`
	Disabled  bool       `json:"disabled"`
	CreatedAt *time.Time `json:"created_at,omitempty" doc:"Absent for the tenant default."`
}

// TenantList is one page of GET /v1/tenants.
type TenantList struct {
	Items      []Tenant `json:"items" nullable:"false"`
	NextCursor string   `json:"next_cursor,omitempty" doc:"Give it as the parameter cursor to get the next page; absent at the end."`
}

// Grant gives a caller a role, perhaps for some keys only.
type Grant struct {
	Role     string   `json:"role" doc:"operator, tenant-admin, key-admin, signer, verifier, auditor, diagnostician, or a role that the tenant has made." example:"signer"`
	Keys     []string `json:"keys,omitempty" nullable:"false" doc:"Names of keys, exact or with an asterisk at the end. Absent for all keys, and for what is not a key." example:"[\"orders-*\"]"`
	Purposes []string `json:"purposes,omitempty" nullable:"false" doc:"Purposes of keys. Absent for all keys, also those that are for everything." example:"[\"webhook\"]"`
}

// CreateCaller is the body of POST /v1/callers.
type CreateCaller struct {
	Name   string  `json:"name" doc:"As of a tenant. It stays taken after the caller is deleted." example:"billing"`
	Grants []Grant `json:"grants,omitempty" nullable:"false" doc:"The role operator, alone, makes an operator, who belongs to no tenant."`
}

// ChangeCaller is the body of PATCH /v1/callers/{id}. What is absent stays.
type ChangeCaller struct {
	Grants   *[]Grant `json:"grants,omitempty" nullable:"false" doc:"Instead of those that the caller has."`
	Disabled *bool    `json:"disabled,omitempty" doc:"Refuse the caller until it is enabled again."`
}

// Caller is somebody who may call the API.
type Caller struct {
	ID          string       `json:"id" doc:"As in the log. That of an operator begins with operator:." example:"billing"`
	Tenant      string       `json:"tenant,omitempty" doc:"Absent for an operator." example:"payments"`
	Grants      []Grant      `json:"grants" nullable:"false"`
	Disabled    bool         `json:"disabled"`
	CreatedAt   time.Time    `json:"created_at"`
	Credentials []Credential `json:"credentials" nullable:"false" doc:"In the order in which they were made."`
}

// CallerList is one page of GET /v1/callers.
type CallerList struct {
	Items      []Caller `json:"items" nullable:"false"`
	NextCursor string   `json:"next_cursor,omitempty" doc:"Give it as the parameter cursor to get the next page; absent at the end."`
}

// CreateCredential is the body of POST /v1/callers/{id}/credentials.
type CreateCredential struct {
	Kind string `json:"kind" enum:"token,signature,certificate" doc:"A token is sent itself, over TLS or on one machine only. A credential of kind signature signs requests and is never sent. One of kind certificate names a client certificate." example:"signature"`
	TTL  string `json:"ttl,omitempty" doc:"1m to 43920h; by default 8760h." example:"2160h"`

	Certificate string `json:"certificate,omitempty" doc:"Of kind certificate only: what client certificates are known by, as uri:URI, dns:NAME or spki-sha256:HEX." example:"uri:spiffe://example.com/billing"`
}

// Credential proves who a caller is.
type Credential struct {
	ID         string     `json:"id" doc:"Stands in tokens, and as keyid in signatures." example:"5f1c0b0a9d2e4c7788aa"`
	Kind       string     `json:"kind" enum:"token,signature,certificate" example:"signature"`
	State      string     `json:"state" enum:"valid,expired,revoked" example:"valid"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty" doc:"At the node that answers, since that was started."`
	Secret     string     `json:"secret,omitempty" doc:"The token, or the text that is the key of HMAC-SHA256; in the answer to its creation only."`

	Certificate string `json:"certificate,omitempty" doc:"What client certificates are known by, of kind certificate." example:"uri:spiffe://example.com/billing"`
}

// CredentialList is the answer of GET /v1/callers/{id}/credentials.
type CredentialList struct {
	Items []Credential `json:"items" nullable:"false"`
}

// SetRole is the body of PUT /v1/roles/{name}.
type SetRole struct {
	Actions []string `json:"actions" nullable:"false" doc:"What the role allows." example:"[\"key.rotate\",\"key.read\"]"`
}

// Role is a set of actions.
type Role struct {
	Name      string     `json:"name" example:"rotator"`
	BuiltIn   bool       `json:"built_in"`
	Actions   []string   `json:"actions" nullable:"false"`
	CreatedAt *time.Time `json:"created_at,omitempty" doc:"Absent for a built-in role."`
}

// RoleList is the answer of GET /v1/roles.
type RoleList struct {
	Items []Role `json:"items" nullable:"false" doc:"The built-in ones first."`
}
