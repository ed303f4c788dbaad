package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

// tenantOperations registers tenants, which operators manage.
func (a *API) tenantOperations(skin huma.API) {
	op := a.describes(skin, "tenants")
	huma.Register(skin, op("tenants.create", http.MethodPost, "/v1/tenants", "Create a tenant", http.StatusCreated), a.createTenant)
	huma.Register(skin, op("tenants.list", http.MethodGet, "/v1/tenants", "List tenants by name", http.StatusOK), a.listTenants)
	huma.Register(skin, op("tenants.get", http.MethodGet, "/v1/tenants/{name}", "Describe a tenant", http.StatusOK), a.getTenant)
	huma.Register(skin, op("tenants.update", http.MethodPatch, "/v1/tenants/{name}", "Disable or enable a tenant", http.StatusOK), a.updateTenant)
}

type tenantAnswer struct {
	ETag     string `header:"ETag" doc:"Changes with every change."`
	Location string `header:"Location"`
	Body     api.Tenant
}

func tenantOf(t *tenant.Tenant) api.Tenant {
	return api.Tenant{Name: t.Name, Disabled: t.Disabled, CreatedAt: instantOf(t.CreatedAt)}
}

func answerTenant(t *tenant.Tenant) *tenantAnswer {
	return &tenantAnswer{ETag: etagOf(t.Version), Body: tenantOf(t)}
}

func (a *API) createTenant(ctx context.Context, in *struct{ Body api.CreateTenant }) (*tenantAnswer, error) {
	t, err := a.o.Tenants.CreateTenant(ctx, exchangeOf(ctx).caller, in.Body.Name)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	answer := answerTenant(t)
	answer.Location = "/v1/tenants/" + t.Name
	return answer, nil
}

type pageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most items of the page."`
	Cursor string `query:"cursor" doc:"next_cursor of the page before."`
}

// platformCursors is the tenant of cursors over what is in no tenant. It is no
// name of one.
const platformCursors = "*"

func (a *API) listTenants(ctx context.Context, in *pageInput) (*struct{ Body api.TenantList }, error) {
	after, err := a.openCursor(platformCursors, in.Cursor)
	if err != nil {
		return nil, err
	}
	page, next, err := a.o.Tenants.Tenants(exchangeOf(ctx).caller, after, in.Limit)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out := api.TenantList{Items: make([]api.Tenant, len(page))}
	for i, t := range page {
		out.Items[i] = tenantOf(t)
	}
	if next != "" {
		if out.NextCursor, err = a.sealCursor(platformCursors, next); err != nil {
			return nil, a.fails(ctx, err)
		}
	}
	return &struct{ Body api.TenantList }{out}, nil
}

type tenantInput struct {
	Name string `path:"name" doc:"Name of the tenant."`
}

func (a *API) getTenant(ctx context.Context, in *tenantInput) (*tenantAnswer, error) {
	t, err := a.o.Tenants.FindTenant(exchangeOf(ctx).caller, in.Name)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return answerTenant(t), nil
}

type updateTenantInput struct {
	Name    string `path:"name" doc:"Name of the tenant."`
	IfMatch string `header:"If-Match" doc:"Do it only if the ETag is one of these."`
	Body    api.ChangeTenant
}

func (a *API) updateTenant(ctx context.Context, in *updateTenantInput) (*tenantAnswer, error) {
	caller := exchangeOf(ctx).caller
	t, err := a.o.Tenants.FindTenant(caller, in.Name)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	version, err := ifVersion(in.IfMatch, "tenant", t.Version)
	if err != nil {
		return nil, err
	}
	if t, err = a.o.Tenants.UpdateTenant(ctx, caller, in.Name, version, in.Body.Disabled); err != nil {
		return nil, a.fails(ctx, err)
	}
	return answerTenant(t), nil
}
