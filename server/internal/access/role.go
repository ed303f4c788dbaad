package access

import (
	"maps"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/server/internal/fault"
)

// Role is the name of a set of actions.
type Role string

// The built-in roles.
const (
	Operator      Role = "operator"      // everything, in all tenants and for the platform
	TenantAdmin   Role = "tenant-admin"  // everything in its tenant
	KeyAdmin      Role = "key-admin"     // the life of keys; not to use them, nor to see secrets
	Signer        Role = "signer"        // to sign, and to lease keys to others who sign
	Verifier      Role = "verifier"      // to verify
	Auditor       Role = "auditor"       // to read everything but secrets
	Diagnostician Role = "diagnostician" // to learn why requests do not verify
)

// Bounds of grants and roles.
const (
	MaxGrants   = 32  // of one caller
	MaxPatterns = 100 // of the keys of one grant
	maxPattern  = 129 // bytes: the name of a key and an asterisk
)

// builtIn returns the actions of a built-in role, nil for any other.
func builtIn(r Role) []Action {
	switch r {
	case Operator:
		return Actions()
	case TenantAdmin:
		return slices.DeleteFunc(Actions(), Action.ofPlatform)
	case KeyAdmin:
		return []Action{
			KeyCreate, KeyImport, KeyRead, KeyRotate, KeyPromote, KeyRevoke, KeyRetire, KeyRestore, KeyDelete, KeyDestroy,
			LeaseRead, LeaseRevoke, RecipientRead,
		}
	case Signer:
		return []Action{KeyRead, KeySign, LeaseCreate, LeaseRead, LeaseRevoke}
	case Verifier:
		return []Action{KeyRead, KeyVerify}
	case Auditor:
		return []Action{KeyRead, LeaseRead, RecipientRead, CallerRead, RoleRead, PolicyRead, LimitRead}
	case Diagnostician:
		return []Action{KeyRead, RequestDiagnose}
	}
	return nil
}

// BuiltIn returns the built-in roles with their actions.
func BuiltIn() map[Role][]Action {
	all := map[Role][]Action{}
	for _, r := range []Role{Operator, TenantAdmin, KeyAdmin, Signer, Verifier, Auditor, Diagnostician} {
		all[r] = builtIn(r)
	}
	return all
}

// CheckRole returns an error of kind [fault.Invalid] if a tenant cannot make a
// role with these actions: one does not exist, concerns the platform, or would
// let its holder take further rights; there is none, or one stands twice.
func CheckRole(actions []Action) error {
	if len(actions) == 0 {
		return fault.New(fault.Invalid, "actions: got none, want at least one")
	}
	all := Actions()
	for i, a := range actions {
		switch {
		case !slices.Contains(all, a):
			return fault.New(fault.Invalid, "actions[%d]: no such action", i)
		case a.ofPlatform():
			return fault.New(fault.Invalid, "actions[%d]: %s concerns all tenants, only operators may do it", i, a)
		case a.ofAccess():
			return fault.New(fault.Invalid, "actions[%d]: %s would let its holder take every right, only %s and %s may do it", i, a, TenantAdmin, Operator)
		case slices.Contains(actions[:i], a):
			return fault.New(fault.Invalid, "actions[%d]: %s stands twice", i, a)
		}
	}
	return nil
}

// Grant gives a caller a role.
type Grant struct {
	Role Role `json:"role"`

	// Keys are the names of the keys for which it holds, exact or with an
	// asterisk at the end for all that begin so. None means all keys, and also
	// what is not a key.
	Keys []string `json:"keys,omitempty"`

	// Purposes are those of the keys for which it holds. None means all keys,
	// also those that are for everything.
	Purposes []string `json:"purposes,omitempty"`
}

// CheckGrants returns an error of kind [fault.Invalid] if a caller cannot have
// these grants: a role is neither built in nor one of custom, a pattern is none,
// or operator stands beside anything else.
func CheckGrants(grants []Grant, custom map[Role][]Action) error {
	if len(grants) > MaxGrants {
		return fault.New(fault.Invalid, "grants: got %d, want at most %d", len(grants), MaxGrants)
	}
	for i, g := range grants {
		if builtIn(g.Role) == nil && custom[g.Role] == nil {
			return fault.New(fault.Invalid, "grants[%d].role: no such role", i)
		}
		if g.Role == Operator && (len(grants) > 1 || len(g.Keys)+len(g.Purposes) > 0) {
			return fault.New(fault.Invalid, "grants[%d].role: operator is everything, it stands alone and without keys and purposes", i)
		}
		if len(g.Keys) > MaxPatterns || len(g.Purposes) > MaxPatterns {
			return fault.New(fault.Invalid, "grants[%d]: got %d keys and %d purposes, want at most %d of each", i, len(g.Keys), len(g.Purposes), MaxPatterns)
		}
		for j, p := range g.Keys {
			if !validPattern(p) {
				return fault.New(fault.Invalid, "grants[%d].keys[%d]: want the name of a key, or how names begin with an asterisk at the end", i, j)
			}
		}
		for j, p := range g.Purposes {
			if p == "" || len(p) > maxPattern {
				return fault.New(fault.Invalid, "grants[%d].purposes[%d]: got %d bytes, want a purpose", i, j, len(p))
			}
		}
	}
	return nil
}

// validPattern takes how the name of a key can begin, and one asterisk at the
// end. An asterisk alone is refused: no pattern at all says the same, and more.
func validPattern(p string) bool {
	name := strings.TrimSuffix(p, "*")
	if name == "" || len(p) > maxPattern {
		return false
	}
	for i, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// Compile makes grants ready for decisions. A role that is neither built in nor
// one of custom gives nothing, and an empty pattern matches no key.
func Compile(grants []Grant, custom map[Role][]Action) *Rights {
	r := &Rights{actions: map[Action][]limit{}}
	for _, g := range grants {
		actions := builtIn(g.Role)
		if actions == nil {
			actions = custom[g.Role]
		}
		r.operator = r.operator || g.Role == Operator
		l := limit{all: len(g.Keys) == 0, purposes: slices.Clone(g.Purposes)}
		for _, p := range g.Keys {
			if prefix, ok := strings.CutSuffix(p, "*"); ok && prefix != "" {
				l.prefixes = append(l.prefixes, prefix)
			} else {
				l.keys = append(l.keys, p)
			}
		}
		for _, a := range actions {
			r.actions[a] = append(r.actions[a], l)
		}
	}
	return r
}

// Actions returns what the rights allow to at least one key or thing, sorted.
func (r *Rights) Actions() []Action { return slices.Sorted(maps.Keys(r.actions)) }

// Rights of callers that are not in the store. They do not change.
var (
	operatorRights    = Compile([]Grant{{Role: Operator}}, nil)
	tenantAdminRights = Compile([]Grant{{Role: TenantAdmin}}, nil)
)
