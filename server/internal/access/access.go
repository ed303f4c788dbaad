// Package access decides what a caller may do. It is pure: who the caller is
// was found out before.
package access

import (
	"slices"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// DefaultTenant is the tenant of everything until tenants are created.
const DefaultTenant = "default"

// Role is a set of permissions within one tenant.
type Role string

// Admin may do everything in its tenant.
const Admin Role = "admin"

// Caller is an authenticated user of the API. The zero value may do nothing.
type Caller struct {
	ID     string // stands in the log and in entries
	Tenant string
	Roles  []Role
}

// Administrator returns the caller that holds the admin token.
func Administrator() Caller {
	return Caller{ID: "admin", Tenant: DefaultTenant, Roles: []Role{Admin}}
}

// Action is something that a caller wants to do, written noun.verb.
type Action string

// The actions that exist.
const (
	KeyCreate  Action = "key.create"
	KeyRead    Action = "key.read" // also lists
	KeyRotate  Action = "key.rotate"
	KeyDelete  Action = "key.delete"
	KeyReveal  Action = "key.reveal"
	KeySign    Action = "key.sign"
	KeyVerify  Action = "key.verify"
	RootRewrap Action = "root.rewrap"

	// RequestDiagnose is to learn why a request does not verify, and to see the
	// requests that were rejected. Verifying does not include it.
	RequestDiagnose Action = "request.diagnose"
)

var actions = []Action{KeyCreate, KeyRead, KeyRotate, KeyDelete, KeyReveal, KeySign, KeyVerify, RootRewrap, RequestDiagnose}

// Allow returns nil if caller may do action to the named key of tenant, and an
// error of kind [fault.Denied] otherwise, which does not tell whether the key
// exists. The name is empty for actions on no single key.
func Allow(caller Caller, action Action, tenant, name string) error {
	if caller.ID == "" || caller.Tenant == "" || caller.Tenant != tenant ||
		!slices.Contains(caller.Roles, Admin) || !slices.Contains(actions, action) {
		return fault.New(fault.Denied, "%s is not allowed", action)
	}
	return nil
}
