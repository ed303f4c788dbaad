package rest

import (
	"cmp"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/quota"
)

// limitOperations registers the limits of a tenant.
func (a *API) limitOperations(skin huma.API) {
	const one = "/v1/limits/{name}"
	op := a.describes(skin, "limits")
	huma.Register(skin, op("limits.list", http.MethodGet, "/v1/limits", "List the limits that hold in the tenant", http.StatusOK), a.listLimits)
	huma.Register(skin, op("limits.get", http.MethodGet, one, "Describe a limit, and how much of it one subject has used", http.StatusOK), a.getLimit)
	huma.Register(skin, op("limits.set", http.MethodPut, one, "Make or replace a limit of the tenant", http.StatusOK), a.setLimit)
	huma.Register(skin, op("limits.delete", http.MethodDelete, one, "Take a limit of the tenant out of force", http.StatusNoContent), a.deleteLimit)
}

type limitAnswer struct {
	ETag string `header:"ETag" doc:"Changes with every change."`
	Body api.Limit
}

func limitOf(l *quota.Limit) api.Limit {
	return api.Limit{
		Name: l.Name, Scope: string(l.Scope), Match: l.Match, Rate: l.Rate, Per: string(l.Per), Burst: cmp.Or(l.Burst, l.Rate), Platform: l.Tenant == "",
	}
}

// quotas returns the limits, or an error where there are none to be changed.
func (a *API) quotas() (*quota.Service, error) {
	if a.o.Quotas == nil {
		return nil, fault.New(fault.NotFound, "this server keeps no limits")
	}
	return a.o.Quotas, nil
}

func (a *API) listLimits(ctx context.Context, _ *struct{}) (*struct{ Body api.LimitList }, error) {
	q, err := a.quotas()
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	list, err := q.List(exchangeOf(ctx).caller)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out := api.LimitList{Items: make([]api.Limit, len(list))}
	for i, l := range list {
		out.Items[i] = limitOf(l)
	}
	return &struct{ Body api.LimitList }{out}, nil
}

type getLimitInput struct {
	Name    string `path:"name" doc:"Name of the limit."`
	Subject string `query:"subject" doc:"Caller, key or address whose use is asked for; of a limit of tenants it is this one."`
}

func (a *API) getLimit(ctx context.Context, in *getLimitInput) (*limitAnswer, error) {
	q, err := a.quotas()
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	caller := exchangeOf(ctx).caller
	l, err := q.Find(caller, in.Name)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out := &limitAnswer{ETag: etagOf(l.Version), Body: limitOf(l)}
	if in.Subject == "" && l.Scope != limit.ScopeTenant {
		return out, nil
	}
	r, err := q.Usage(ctx, caller, l, in.Subject)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out.Body.Usage = &api.LimitUsage{
		Subject: cmp.Or(in.Subject, caller.Tenant), Used: r.Limit.Burst - r.Remaining, Remaining: r.Remaining, Reset: r.Reset.Seconds(),
	}
	return out, nil
}

// limitVersion returns the version that a limit must still have when it is
// changed.
func (a *API) limitVersion(ctx context.Context, name, ifMatch string) (*quota.Service, int64, error) {
	q, err := a.quotas()
	if err != nil {
		return nil, 0, a.fails(ctx, err)
	}
	if ifMatch == "" {
		return q, 0, nil
	}
	l, err := q.Find(exchangeOf(ctx).caller, name)
	if err != nil {
		return nil, 0, a.fails(ctx, err)
	}
	version, err := ifVersion(ifMatch, "limit", l.Version)
	return q, version, err
}

type setLimitInput struct {
	Name    string `path:"name" doc:"Name of the limit: 1 to 64 of a-z, 0-9 and -."`
	IfMatch string `header:"If-Match" doc:"Do it only if the ETag of the limit is one of these."`
	Body    api.SetLimit
}

func (a *API) setLimit(ctx context.Context, in *setLimitInput) (*limitAnswer, error) {
	q, version, err := a.limitVersion(ctx, in.Name, in.IfMatch)
	if err != nil {
		return nil, err
	}
	l, err := q.Set(ctx, exchangeOf(ctx).caller, in.Name, version, limit.Rule{
		Scope: limit.Scope(in.Body.Scope), Match: in.Body.Match, Rate: in.Body.Rate, Per: limit.Period(in.Body.Per), Burst: in.Body.Burst,
	})
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return &limitAnswer{ETag: etagOf(l.Version), Body: limitOf(l)}, nil
}

type deleteLimitInput struct {
	Name    string `path:"name" doc:"Name of the limit."`
	IfMatch string `header:"If-Match" doc:"Do it only if the ETag of the limit is one of these."`
}

func (a *API) deleteLimit(ctx context.Context, in *deleteLimitInput) (*struct{}, error) {
	q, version, err := a.limitVersion(ctx, in.Name, in.IfMatch)
	if err != nil {
		return nil, err
	}
	if err := q.Delete(ctx, exchangeOf(ctx).caller, in.Name, version); err != nil {
		return nil, a.fails(ctx, err)
	}
	return nil, nil
}
