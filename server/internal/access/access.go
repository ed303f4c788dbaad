// Package access decides what a caller may do. It is pure: who the caller is
// was found out before.
//
// A caller has grants, each of which is a role, perhaps only for some keys. A
// [Role] is a set of actions; there are built-in ones and those that a tenant
// makes itself. [Allow] is the decision that stands before every operation.
package access

import (
	"slices"
	"strings"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// DefaultTenant is the tenant that is always there, and the one in which an
// operator acts who names no other.
const DefaultTenant = "default"

// OperatorPrefix stands before the names of operators in [Caller.ID], so that
// no caller of a tenant has the ID of an operator.
const OperatorPrefix = "operator:"

// Caller is an authenticated user of the API. The zero value may do nothing.
type Caller struct {
	ID     string // stands in the log and in entries
	Tenant string // in which it acts; empty is nowhere
	rights *Rights

	// Credential is the ID of the credential that proved who it is; empty if
	// none did. Nothing is decided by it.
	Credential string
}

// NewCaller returns the caller with this ID in a tenant. Without rights it may
// do nothing.
func NewCaller(id, tenant string, rights *Rights) Caller {
	return Caller{ID: id, Tenant: tenant, rights: rights}
}

// Administrator returns the caller that holds the admin token: an operator.
func Administrator() Caller { return NewCaller("admin", DefaultTenant, operatorRights) }

// System returns who does in a tenant what nobody asked for: an operator.
func System(tenant string) Caller { return NewCaller("system", tenant, operatorRights) }

// TenantAdministrator returns a caller that may do everything in its tenant.
func TenantAdministrator(id, tenant string) Caller { return NewCaller(id, tenant, tenantAdminRights) }

// IsOperator reports whether c may act in every tenant and for the platform.
func (c Caller) IsOperator() bool { return c.rights != nil && c.rights.operator }

// In returns c acting in another tenant. Only operators can; the error for
// everybody else is of kind [fault.Denied].
func (c Caller) In(tenant string) (Caller, error) {
	if tenant != c.Tenant && !c.IsOperator() || tenant == "" {
		return Caller{}, fault.New(fault.Denied, "acting in another tenant is not allowed")
	}
	c.Tenant = tenant
	return c, nil
}

// Target is what an action is done to. One without a Tenant is the platform
// itself, which only operators reach.
type Target struct {
	Tenant  string
	Key     string // name; empty for what is not a key
	Purpose string // of the key; empty if it is for everything, or there is no such key
}

// Allow returns nil if caller may do action to target, and an error of kind
// [fault.Denied] otherwise, which does not tell whether the target exists.
//
// Target.Tenant must be that of the caller. A grant for some keys allows
// nothing to what is not a key; a grant for some purposes allows nothing to a
// key that is for everything or does not exist, so who has only such grants
// does not learn which names are taken.
func Allow(caller Caller, action Action, target Target) error {
	if caller.may(action, target.Tenant) {
		for _, limit := range caller.rights.actions[action] {
			if limit.allows(target) {
				return nil
			}
		}
	}
	return denied(action)
}

// AllowSome returns nil if there can be something to which caller may do
// action, and an error of kind [fault.Denied] otherwise. It stands before lists,
// each item of which is decided by [Allow], and before the body of a request is
// read.
func AllowSome(caller Caller, action Action) error {
	tenant := caller.Tenant
	if action.ofPlatform() {
		tenant = ""
	}
	if caller.may(action, tenant) && len(caller.rights.actions[action]) > 0 {
		return nil
	}
	return denied(action)
}

// may checks everything but the limits of grants.
func (c *Caller) may(action Action, tenant string) bool {
	if c.ID == "" || c.Tenant == "" || c.rights == nil {
		return false
	}
	return tenant == c.Tenant && !action.ofPlatform() || tenant == "" && c.rights.operator
}

func denied(action Action) error { return fault.New(fault.Denied, "%s is not allowed", action) }

// Rights are grants made ready for decisions. They do not change.
type Rights struct {
	operator bool
	actions  map[Action][]limit
}

// limit is where a grant holds.
type limit struct {
	keys, prefixes, purposes []string
	all                      bool // keys of all names
}

func (l *limit) allows(t Target) bool {
	if l.all && len(l.purposes) == 0 {
		return true
	}
	if t.Key == "" {
		return false
	}
	if len(l.purposes) > 0 && (t.Purpose == "" || !slices.Contains(l.purposes, t.Purpose)) {
		return false
	}
	if l.all || slices.Contains(l.keys, t.Key) {
		return true
	}
	for _, p := range l.prefixes {
		if strings.HasPrefix(t.Key, p) {
			return true
		}
	}
	return false
}
