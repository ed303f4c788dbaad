package rest

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

// callerOperations registers callers.
func (a *API) callerOperations(skin huma.API) {
	const caller = "/v1/callers/{id}"
	op := a.describes(skin, "callers")
	huma.Register(skin, op("callers.create", http.MethodPost, "/v1/callers", "Create a caller; it has no credential yet", http.StatusCreated), a.createCaller)
	huma.Register(skin, op("callers.list", http.MethodGet, "/v1/callers", "List callers by name", http.StatusOK), a.listCallers)
	huma.Register(skin, op("callers.get", http.MethodGet, caller, "Describe a caller", http.StatusOK), a.getCaller)
	huma.Register(skin, op("callers.update", http.MethodPatch, caller, "Change the grants of a caller, disable or enable it", http.StatusOK), a.updateCaller)
	huma.Register(skin, op("callers.delete", http.MethodDelete, caller, "Delete a caller with its credentials; its name stays taken", http.StatusNoContent), a.deleteCaller)
}

type callerAnswer struct {
	ETag     string `header:"ETag" doc:"Changes with every change of the caller and its credentials."`
	Location string `header:"Location"`
	Body     api.Caller
}

func (a *API) callerOf(c *tenant.Caller) api.Caller {
	out := api.Caller{ID: c.ID, Tenant: c.Tenant, Grants: make([]api.Grant, len(c.Grants)), Disabled: c.Disabled, CreatedAt: c.CreatedAt, Credentials: a.credentialsOf(c)}
	for i, g := range c.Grants {
		out.Grants[i] = api.Grant{Role: string(g.Role), Keys: g.Keys, Purposes: g.Purposes}
	}
	return out
}

func (a *API) answerCaller(c *tenant.Caller) *callerAnswer {
	return &callerAnswer{ETag: etagOf(c.Version), Body: a.callerOf(c)}
}

func grantsOf(list []api.Grant) []access.Grant {
	out := make([]access.Grant, len(list))
	for i, g := range list {
		out[i] = access.Grant{Role: access.Role(g.Role), Keys: g.Keys, Purposes: g.Purposes}
	}
	return out
}

func (a *API) createCaller(ctx context.Context, in *struct{ Body api.CreateCaller }) (*callerAnswer, error) {
	c, err := a.o.Tenants.CreateCaller(ctx, exchangeOf(ctx).caller, in.Body.Name, grantsOf(in.Body.Grants))
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	answer := a.answerCaller(c)
	answer.Location = "/v1/callers/" + url.PathEscape(c.ID)
	return answer, nil
}

type listCallersInput struct {
	Limit     int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most callers of the page."`
	Cursor    string `query:"cursor" doc:"next_cursor of the page before."`
	Operators bool   `query:"operators" doc:"List operators instead of the callers of the tenant."`
}

func (a *API) listCallers(ctx context.Context, in *listCallersInput) (*struct{ Body api.CallerList }, error) {
	caller := exchangeOf(ctx).caller
	where := caller.Tenant
	if in.Operators {
		where = platformCursors
	}
	after, err := a.openCursor(where, in.Cursor)
	if err != nil {
		return nil, err
	}
	page, next, err := a.o.Tenants.Callers(caller, in.Operators, after, in.Limit)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out := api.CallerList{Items: make([]api.Caller, len(page))}
	for i, c := range page {
		out.Items[i] = a.callerOf(c)
	}
	if next != "" {
		if out.NextCursor, err = a.sealCursor(where, next); err != nil {
			return nil, a.fails(ctx, err)
		}
	}
	return &struct{ Body api.CallerList }{out}, nil
}

type callerInput struct {
	ID string `path:"id" doc:"ID of the caller."`
}

func (a *API) getCaller(ctx context.Context, in *callerInput) (*callerAnswer, error) {
	c, err := a.o.Tenants.FindCaller(exchangeOf(ctx).caller, in.ID)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return a.answerCaller(c), nil
}

// callerVersion returns the version that a caller must still have when it is
// changed.
func (a *API) callerVersion(ctx context.Context, id, ifMatch string) (int64, error) {
	if ifMatch == "" {
		return 0, nil
	}
	c, err := a.o.Tenants.FindCaller(exchangeOf(ctx).caller, id)
	if err != nil {
		return 0, a.fails(ctx, err)
	}
	return ifVersion(ifMatch, "caller", c.Version)
}

type updateCallerInput struct {
	ID      string `path:"id" doc:"ID of the caller."`
	IfMatch string `header:"If-Match" doc:"Do it only if the ETag of the caller is one of these."`
	Body    api.ChangeCaller
}

func (a *API) updateCaller(ctx context.Context, in *updateCallerInput) (*callerAnswer, error) {
	version, err := a.callerVersion(ctx, in.ID, in.IfMatch)
	if err != nil {
		return nil, err
	}
	u := tenant.Update{Disabled: in.Body.Disabled}
	if in.Body.Grants != nil {
		grants := grantsOf(*in.Body.Grants)
		u.Grants = &grants
	}
	c, err := a.o.Tenants.UpdateCaller(ctx, exchangeOf(ctx).caller, in.ID, version, u)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return a.answerCaller(c), nil
}

type deleteCallerInput struct {
	ID      string `path:"id" doc:"ID of the caller."`
	IfMatch string `header:"If-Match" doc:"Do it only if the ETag of the caller is one of these."`
}

func (a *API) deleteCaller(ctx context.Context, in *deleteCallerInput) (*struct{}, error) {
	version, err := a.callerVersion(ctx, in.ID, in.IfMatch)
	if err != nil {
		return nil, err
	}
	if err := a.o.Tenants.DeleteCaller(ctx, exchangeOf(ctx).caller, in.ID, version); err != nil {
		return nil, a.fails(ctx, err)
	}
	return nil, nil
}

// credentialOperations registers the credentials of callers.
func (a *API) credentialOperations(skin huma.API) {
	const credentials = "/v1/callers/{id}/credentials"
	op := a.describes(skin, "callers")
	huma.Register(skin, op("credentials.create", http.MethodPost, credentials, "Create a credential; its secret is shown only now", http.StatusCreated), a.createCredential)
	huma.Register(skin, op("credentials.list", http.MethodGet, credentials, "List the credentials of a caller", http.StatusOK), a.listCredentials)
	huma.Register(skin, op("credentials.revoke", http.MethodDelete, credentials+"/{credential}", "Revoke a credential", http.StatusNoContent), a.revokeCredential)
}

func (a *API) credentialOf(k *tenant.Credential) api.Credential {
	out := api.Credential{
		ID: k.ID, Kind: string(k.Kind), State: "valid", CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt,
		RevokedAt: instantOf(k.RevokedAt), LastUsedAt: instantOf(k.LastUsed()), Certificate: k.Certificate,
	}
	switch {
	case !k.RevokedAt.IsZero():
		out.State = "revoked"
	case !a.o.Now().Before(k.ExpiresAt):
		out.State = "expired"
	}
	return out
}

func (a *API) credentialsOf(c *tenant.Caller) []api.Credential {
	out := make([]api.Credential, len(c.Credentials))
	for i, k := range c.Credentials {
		out[i] = a.credentialOf(k)
	}
	return out
}

type createCredentialInput struct {
	ID   string `path:"id" doc:"ID of the caller."`
	Body api.CreateCredential
}

func (a *API) createCredential(ctx context.Context, in *createCredentialInput) (*struct{ Body api.Credential }, error) {
	var ttl time.Duration
	if in.Body.TTL != "" {
		var err error
		if ttl, err = readDuration("body.ttl", in.Body.TTL); err != nil {
			return nil, err
		}
		if ttl == 0 {
			return nil, problemOf(invalid("body.ttl", "got 0, leave it out for the default"))
		}
	}
	if in.Body.Certificate != "" {
		return a.createCertificate(ctx, in, ttl)
	}
	k, text, err := a.o.Tenants.AddCredential(ctx, exchangeOf(ctx).caller, in.ID, tenant.Kind(in.Body.Kind), ttl)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out := a.credentialOf(k)
	out.Secret = string(text.Expose())
	return &struct{ Body api.Credential }{out}, nil
}

func (a *API) createCertificate(ctx context.Context, in *createCredentialInput, ttl time.Duration) (*struct{ Body api.Credential }, error) {
	if in.Body.Kind != string(tenant.Certificate) {
		return nil, problemOf(invalid("body.certificate", "is for kind certificate only"))
	}
	k, err := a.o.Tenants.AddCertificate(ctx, exchangeOf(ctx).caller, in.ID, in.Body.Certificate, ttl)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return &struct{ Body api.Credential }{a.credentialOf(k)}, nil
}

func (a *API) listCredentials(ctx context.Context, in *callerInput) (*struct{ Body api.CredentialList }, error) {
	c, err := a.o.Tenants.FindCaller(exchangeOf(ctx).caller, in.ID)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return &struct{ Body api.CredentialList }{api.CredentialList{Items: a.credentialsOf(c)}}, nil
}

type credentialInput struct {
	ID         string `path:"id" doc:"ID of the caller."`
	Credential string `path:"credential" doc:"ID of the credential."`
}

func (a *API) revokeCredential(ctx context.Context, in *credentialInput) (*struct{}, error) {
	if err := a.o.Tenants.RevokeCredential(ctx, exchangeOf(ctx).caller, in.ID, in.Credential); err != nil {
		return nil, a.fails(ctx, err)
	}
	return nil, nil
}
