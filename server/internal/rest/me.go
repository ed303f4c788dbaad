package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
)

// opMe is an operation for everybody who is known.
const opMe = "me"

func (a *API) meOperation(skin huma.API) {
	huma.Register(skin, a.describes(skin, "token")(opMe, http.MethodGet, "/v1/me", "Describe the caller itself", http.StatusOK), a.me)
}

func (a *API) me(ctx context.Context, _ *struct{}) (*struct{ Body api.Me }, error) {
	c := exchangeOf(ctx).caller
	me := api.Me{ID: c.ID, Tenant: c.Tenant, Operator: c.IsOperator(), Actions: []string{}}
	for _, action := range access.Actions() {
		if access.AllowSome(c, action) == nil {
			me.Actions = append(me.Actions, string(action))
		}
	}
	return &struct{ Body api.Me }{me}, nil
}
