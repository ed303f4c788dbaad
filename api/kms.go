package api

import "time"

// RootKeys is the answer of GET /v1/kms: where the root keys are, and what is
// wrapped under each.
type RootKeys struct {
	Provider  string       `json:"provider" doc:"Where the root key is that wraps: local for a file or the environment, or the name of a key service." example:"local"`
	RootKey   string       `json:"root_key" doc:"ID of the root key that wraps, as of the last try of a key service." example:"409a909b22d64a9a"`
	DataKeys  []RootKeyUse `json:"data_keys" nullable:"false" doc:"How many data keys, one for each tenant with keys, are under which root key."`
	Remaining int          `json:"remaining" doc:"Data keys that are not under root_key."`

	AwaySince       *time.Time `json:"away_since,omitempty" doc:"Since when the key service is away; absent while it works."`
	UsedUntil       *time.Time `json:"used_until,omitempty" doc:"When keys in memory are no longer used, if it stays away."`
	ServeWithoutKMS string     `json:"serve_without_kms,omitempty" doc:"How long keys in memory are used without the key service; absent for root keys that need none." example:"1d"`
}

// RootKeyUse is how much is wrapped under one root key.
type RootKeyUse struct {
	RootKey  string `json:"root_key" example:"409a909b22d64a9a"`
	DataKeys int    `json:"data_keys" example:"1"`
}

// Rewrapped is the answer of POST /v1/kms/rewrap. All is done when remaining is
// 0; it is counted in the store after the last data key was wrapped.
type Rewrapped struct {
	Rewrapped int          `json:"rewrapped" doc:"Data keys that were under another root key before." example:"1"`
	RootKey   string       `json:"root_key" doc:"ID of the root key that wraps." example:"409a909b22d64a9a"`
	DataKeys  []RootKeyUse `json:"data_keys" nullable:"false"`
	Remaining int          `json:"remaining" doc:"Data keys that are not under root_key: ask again, or look for another node that has older root keys."`
}
