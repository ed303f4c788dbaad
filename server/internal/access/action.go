package access

import "strings"

// Action is something that a caller wants to do, written noun.verb.
type Action string

// The actions on keys, and on what belongs to keys.
const (
	KeyCreate  Action = "key.create"
	KeyImport  Action = "key.import" // to create a key with a given secret
	KeyRead    Action = "key.read"   // also lists
	KeyRotate  Action = "key.rotate" // also its schedule
	KeyPromote Action = "key.promote"
	KeyRevoke  Action = "key.revoke"
	KeyRetire  Action = "key.retire"
	KeyRestore Action = "key.restore" // of a deleted key, or a retired version
	KeyDelete  Action = "key.delete"
	KeyDestroy Action = "key.destroy" // also to break it off
	KeyReveal  Action = "key.reveal"
	KeyExport  Action = "key.export"
	KeySign    Action = "key.sign"
	KeyVerify  Action = "key.verify" // also tags by leases

	LeaseCreate Action = "lease.create"
	LeaseRead   Action = "lease.read"
	LeaseRevoke Action = "lease.revoke"

	// RequestDiagnose is to learn why a request does not verify, and to see the
	// requests that were rejected. Verifying does not include it.
	RequestDiagnose Action = "request.diagnose"
)

// The actions on other things of a tenant.
const (
	RecipientAdd    Action = "recipient.add"
	RecipientRead   Action = "recipient.read"
	RecipientRemove Action = "recipient.remove"

	CallerCreate     Action = "caller.create"
	CallerRead       Action = "caller.read"
	CallerUpdate     Action = "caller.update" // its grants, and whether it is disabled
	CallerDelete     Action = "caller.delete"
	CredentialCreate Action = "credential.create"
	CredentialRevoke Action = "credential.revoke"
	RoleRead         Action = "role.read"
	RoleSet          Action = "role.set"
	RoleDelete       Action = "role.delete"
	PolicyRead       Action = "policy.read" // also explains
	PolicySet        Action = "policy.set"  // also back to an earlier version
	PolicyDelete     Action = "policy.delete"
	LimitRead        Action = "limit.read"
	LimitSet         Action = "limit.set"
	LimitDelete      Action = "limit.delete"
)

// The actions on the platform.
const (
	RootRead     Action = "root.read" // which root keys wrap what
	RootRewrap   Action = "root.rewrap"
	TenantCreate Action = "tenant.create"
	TenantRead   Action = "tenant.read"
	TenantUpdate Action = "tenant.update"
)

// ofPlatform reports whether an action concerns all tenants.
func (a Action) ofPlatform() bool {
	return a == RootRead || a == RootRewrap || strings.HasPrefix(string(a), "tenant.")
}

// ofAccess reports whether an action could give its caller further rights, as a
// policy does that lets other keys be used. Such actions are in no role that a
// tenant makes itself.
func (a Action) ofAccess() bool {
	noun, _, _ := strings.Cut(string(a), ".")
	return (noun == "caller" || noun == "credential" || noun == "role" || noun == "policy") && a != CallerRead && a != RoleRead && a != PolicyRead
}

// Actions returns all actions in the order of this package.
func Actions() []Action {
	return []Action{
		KeyCreate, KeyImport, KeyRead, KeyRotate, KeyPromote, KeyRevoke, KeyRetire, KeyRestore, KeyDelete, KeyDestroy,
		KeyReveal, KeyExport, KeySign, KeyVerify, LeaseCreate, LeaseRead, LeaseRevoke, RequestDiagnose,
		RecipientAdd, RecipientRead, RecipientRemove,
		CallerCreate, CallerRead, CallerUpdate, CallerDelete, CredentialCreate, CredentialRevoke, RoleRead, RoleSet, RoleDelete,
		PolicyRead, PolicySet, PolicyDelete, LimitRead, LimitSet, LimitDelete,
		RootRead, RootRewrap, TenantCreate, TenantRead, TenantUpdate,
	}
}
