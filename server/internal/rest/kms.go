package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// RootKeys is what the API needs of the root keys. It decides who may call it,
// and is used by many goroutines.
type RootKeys interface {
	// Status says where the root keys are and what is wrapped under each.
	Status(ctx context.Context, caller access.Caller) (api.RootKeys, error)

	// Rewrap reads the root keys again, if they can be, and wraps what is not
	// under the newest. It may be repeated.
	Rewrap(ctx context.Context, caller access.Caller) (api.Rewrapped, error)
}

// noRootKeys are those of an API without any.
type noRootKeys struct{}

func (noRootKeys) Status(context.Context, access.Caller) (api.RootKeys, error) {
	return api.RootKeys{}, fault.New(fault.NotFound, "this server shows no root keys")
}

func (noRootKeys) Rewrap(context.Context, access.Caller) (api.Rewrapped, error) {
	return api.Rewrapped{}, fault.New(fault.NotFound, "this server shows no root keys")
}

// rootOperations registers what there is about root keys.
func (a *API) rootOperations(skin huma.API) {
	op := a.describes(skin, "root keys")
	huma.Register(skin, op("kms.get", http.MethodGet, "/v1/kms", "Say where the root keys are, what is wrapped under each, and whether the key service is away", http.StatusOK), a.showRootKeys)
	huma.Register(skin, op("kms.rewrap", http.MethodPost, "/v1/kms/rewrap", "Wrap all data keys under the newest root key, while keys go on signing", http.StatusOK), a.rewrap)
}

func (a *API) showRootKeys(ctx context.Context, _ *struct{}) (*struct{ Body api.RootKeys }, error) {
	keys, err := a.o.Root.Status(ctx, exchangeOf(ctx).caller)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return &struct{ Body api.RootKeys }{keys}, nil
}

func (a *API) rewrap(ctx context.Context, _ *struct{}) (*struct{ Body api.Rewrapped }, error) {
	done, err := a.o.Root.Rewrap(ctx, exchangeOf(ctx).caller)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return &struct{ Body api.Rewrapped }{done}, nil
}
