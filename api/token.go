package api

import "time"

// ExchangeToken is the body of POST /v1/token.
type ExchangeToken struct {
	Token string `json:"token" doc:"Token of a configured OpenID Connect issuer; up to 16 KiB."`
}

// AccessToken is the answer of POST /v1/token.
type AccessToken struct {
	Token     string    `json:"token" doc:"To be sent in Authorization: Bearer." example:"swe_…"`
	Caller    string    `json:"caller" doc:"For whom it is." example:"release"`
	Tenant    string    `json:"tenant,omitempty" doc:"Absent for an operator." example:"default"`
	ExpiresAt time.Time `json:"expires_at"`
	ExpiresIn int       `json:"expires_in" doc:"Seconds until then." example:"600"`
}

// Me is the answer of GET /v1/me.
type Me struct {
	ID       string   `json:"id" example:"operator:alice"`
	Tenant   string   `json:"tenant" doc:"In which the caller acts." example:"default"`
	Operator bool     `json:"operator" doc:"Whether the caller may act in every tenant."`
	Actions  []string `json:"actions" nullable:"false" doc:"What the caller may do to something; grants may hold for some keys only." example:"[\"key.read\",\"key.sign\"]"`
}
