package store

import "github.com/sealwright/sealwright/server/internal/fault"

// Nonce is the highest nonce that was accepted of a key, for wire formats whose
// nonces are numbers that only increase.
type Nonce struct {
	Tenant  string
	KeyID   string
	Profile string // the wire format; each counts by itself
	Value   int64
}

// Check returns an error of kind [fault.Invalid] if no store may take n.
func (n Nonce) Check() error {
	if n.KeyID == "" || n.Profile == "" || n.Value < 0 {
		return fault.New(fault.Invalid, "nonce %d of key %q has no key or profile, or is below 0", n.Value, n.KeyID)
	}
	if err := checkTexts(n.Tenant, n.KeyID, n.Profile); err != nil {
		return fault.New(fault.Invalid, "nonce: %v", err)
	}
	return nil
}
