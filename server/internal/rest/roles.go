package rest

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

// roleOperations registers the roles that a tenant makes itself.
func (a *API) roleOperations(skin huma.API) {
	const role = "/v1/roles/{name}"
	op := a.describes(skin, "callers")
	huma.Register(skin, op("roles.list", http.MethodGet, "/v1/roles", "List the built-in roles and those of the tenant", http.StatusOK), a.listRoles)
	huma.Register(skin, op("roles.get", http.MethodGet, role, "Describe a role", http.StatusOK), a.getRole)
	huma.Register(skin, op("roles.set", http.MethodPut, role, "Make a role, or change what it means, also for those who have it", http.StatusOK), a.setRole)
	huma.Register(skin, op("roles.delete", http.MethodDelete, role, "Delete a role that nobody has", http.StatusNoContent), a.deleteRole)
}

type roleAnswer struct {
	ETag string `header:"ETag" doc:"Changes with every change."`
	Body api.Role
}

func roleOf(r *tenant.Role) api.Role {
	return api.Role{Name: r.Name, Actions: texts(r.Actions), CreatedAt: instantOf(r.CreatedAt)}
}

func texts(actions []access.Action) []string {
	out := make([]string, len(actions))
	for i, a := range actions {
		out[i] = string(a)
	}
	return out
}

func (a *API) listRoles(ctx context.Context, _ *struct{}) (*struct{ Body api.RoleList }, error) {
	made, err := a.o.Tenants.Roles(exchangeOf(ctx).caller)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out := api.RoleList{}
	builtIn := access.BuiltIn()
	for _, name := range slices.Sorted(maps.Keys(builtIn)) {
		out.Items = append(out.Items, api.Role{Name: string(name), BuiltIn: true, Actions: texts(builtIn[name])})
	}
	for _, r := range made {
		out.Items = append(out.Items, roleOf(r))
	}
	return &struct{ Body api.RoleList }{out}, nil
}

type roleInput struct {
	Name string `path:"name" doc:"Name of the role."`
}

func (a *API) getRole(ctx context.Context, in *roleInput) (*roleAnswer, error) {
	if actions := access.BuiltIn()[access.Role(in.Name)]; actions != nil { // no secret of the tenant
		return &roleAnswer{ETag: etagOf(0), Body: api.Role{Name: in.Name, BuiltIn: true, Actions: texts(actions)}}, nil
	}
	r, err := a.o.Tenants.FindRole(exchangeOf(ctx).caller, in.Name)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return &roleAnswer{ETag: etagOf(r.Version), Body: roleOf(r)}, nil
}

// roleVersion returns the version that a role must still have when it is
// changed.
func (a *API) roleVersion(ctx context.Context, name, ifMatch string) (int64, error) {
	if ifMatch == "" {
		return 0, nil
	}
	r, err := a.o.Tenants.FindRole(exchangeOf(ctx).caller, name)
	if err != nil {
		return 0, a.fails(ctx, err)
	}
	return ifVersion(ifMatch, "role", r.Version)
}

type setRoleInput struct {
	Name    string `path:"name" doc:"Name of the role."`
	IfMatch string `header:"If-Match" doc:"Do it only if the ETag of the role is one of these."`
	Body    api.SetRole
}

func (a *API) setRole(ctx context.Context, in *setRoleInput) (*roleAnswer, error) {
	version, err := a.roleVersion(ctx, in.Name, in.IfMatch)
	if err != nil {
		return nil, err
	}
	actions := make([]access.Action, len(in.Body.Actions))
	for i, text := range in.Body.Actions {
		actions[i] = access.Action(text)
	}
	r, err := a.o.Tenants.SetRole(ctx, exchangeOf(ctx).caller, in.Name, version, actions)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return &roleAnswer{ETag: etagOf(r.Version), Body: roleOf(r)}, nil
}

type deleteRoleInput struct {
	Name    string `path:"name" doc:"Name of the role."`
	IfMatch string `header:"If-Match" doc:"Do it only if the ETag of the role is one of these."`
}

func (a *API) deleteRole(ctx context.Context, in *deleteRoleInput) (*struct{}, error) {
	version, err := a.roleVersion(ctx, in.Name, in.IfMatch)
	if err != nil {
		return nil, err
	}
	if err := a.o.Tenants.DeleteRole(ctx, exchangeOf(ctx).caller, in.Name, version); err != nil {
		return nil, a.fails(ctx, err)
	}
	return nil, nil
}
