package rest

import (
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/server/internal/access"
)

// operationActions are the actions that operations are, by operation ID. One
// who may do none of them to anything gets 403 before the body is read, and
// whatever it says. The services decide once more, about what is really asked
// for. An operation that does not stand here does not exist: [New] fails.
var operationActions = map[string][]access.Action{
	"sign":            {access.KeySign},
	"verify":          {access.KeyVerify},
	"requests.sign":   {access.KeySign},
	"requests.verify": {access.KeyVerify},

	"keys.create":             {access.KeyCreate, access.KeyImport},
	"keys.import-params":      {access.KeyImport},
	"keys.list":               {access.KeyRead},
	"keys.get":                {access.KeyRead},
	"keys.rotate":             {access.KeyRotate},
	"keys.schedule":           {access.KeyRotate},
	"keys.restore":            {access.KeyRestore},
	"keys.delete":             {access.KeyDelete},
	"keys.reveal":             {access.KeyReveal},
	"keys.export":             {access.KeyExport},
	"versions.promote":        {access.KeyPromote},
	"versions.revoke":         {access.KeyRevoke},
	"versions.retire":         {access.KeyRetire},
	"versions.restore":        {access.KeyRestore},
	"versions.destroy":        {access.KeyDestroy},
	"versions.destroy.cancel": {access.KeyDestroy},

	"leases.create": {access.LeaseCreate},
	"leases.list":   {access.LeaseRead},
	"leases.get":    {access.LeaseRead},
	"leases.revoke": {access.LeaseRevoke},
	"leases.verify": {access.KeyVerify},

	"recipients.add":    {access.RecipientAdd},
	"recipients.list":   {access.RecipientRead},
	"recipients.remove": {access.RecipientRemove},

	"doctor":          {access.RequestDiagnose},
	"rejections.list": {access.RequestDiagnose},
	"rejections.get":  {access.RequestDiagnose},

	"kms.get":    {access.RootRead},
	"kms.rewrap": {access.RootRewrap},

	"tenants.create":     {access.TenantCreate},
	"tenants.list":       {access.TenantRead},
	"tenants.get":        {access.TenantRead},
	"tenants.update":     {access.TenantUpdate},
	"callers.create":     {access.CallerCreate},
	"callers.list":       {access.CallerRead},
	"callers.get":        {access.CallerRead},
	"callers.update":     {access.CallerUpdate},
	"callers.delete":     {access.CallerDelete},
	"credentials.create": {access.CredentialCreate},
	"credentials.list":   {access.CallerRead},
	"credentials.revoke": {access.CredentialRevoke},
	"roles.list":         {access.RoleRead},
	"roles.get":          {access.RoleRead},
	"roles.set":          {access.RoleSet},
	"roles.delete":       {access.RoleDelete},

	"policies.create":   {access.PolicySet},
	"policies.list":     {access.PolicyRead},
	"policies.get":      {access.PolicyRead},
	"policies.set":      {access.PolicySet},
	"policies.delete":   {access.PolicyDelete},
	"policies.versions": {access.PolicyRead},
	"policies.rollback": {access.PolicySet},
	"policies.explain":  {access.PolicyRead},

	"limits.list":   {access.LimitRead},
	"limits.get":    {access.LimitRead},
	"limits.set":    {access.LimitSet},
	"limits.delete": {access.LimitDelete},
}

// undecided returns an error that names the operations without an action.
func undecided(names []string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, fmt.Errorf("operation %s has no action: add it to operationActions", name))
	}
	return errors.Join(errs...)
}

// mayAny returns nil if caller may do one of actions to something. No actions
// are for what is no operation: being known is enough.
func mayAny(caller access.Caller, actions []access.Action) error {
	var refusal error
	for _, a := range actions {
		err := access.AllowSome(caller, a)
		if err == nil {
			return nil
		}
		if refusal == nil {
			refusal = err
		}
	}
	return refusal
}
