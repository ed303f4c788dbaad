package rest

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// opExchange is the one operation that asks for no known caller: its token says
// who it is for.
const opExchange = "token.exchange"

// maxExchange is the size in bytes of its body.
const maxExchange = 20 << 10

// tokenOperations registers the exchange of tokens.
func (a *API) tokenOperations(skin huma.API) {
	o := a.describes(skin, "token")(opExchange, http.MethodPost, "/v1/token", "Exchange a token of an OpenID Connect issuer", http.StatusOK)
	o.Description = "The token of a CI job or a workload is exchanged once for a token of a few minutes. It is sent in the body, or without a body as a bearer token in Authorization. " +
		"Only over TLS or from the same machine."
	o.MaxBodyBytes = maxExchange
	o.Security = []map[string][]string{{}}
	huma.Register(skin, o, a.exchangeToken)
}

type exchangeInput struct {
	Body *api.ExchangeToken `required:"false"`
}

func (a *API) exchangeToken(ctx context.Context, in *exchangeInput) (*struct{ Body api.AccessToken }, error) {
	x := exchangeOf(ctx)
	token, err := exchanged(x.r.Header, in.Body)
	if err != nil {
		return nil, err
	}
	if a.o.Exchange == nil {
		return nil, a.unknown(x, fault.New(fault.Denied, "not authenticated: this server knows no issuers"))
	}
	out, err := a.o.Exchange(x.r, token)
	if err != nil {
		return nil, a.fails(ctx, a.unknown(x, err))
	}
	x.op.Caller = out.Caller
	return &struct{ Body api.AccessToken }{out}, nil
}

// exchanged returns the token that is to be exchanged.
func exchanged(h http.Header, body *api.ExchangeToken) (string, error) {
	value, given, err := oneHeader(h, "Authorization")
	switch {
	case err != nil:
		return "", err
	case body != nil && given:
		return "", newProblem(http.StatusBadRequest, "a token stands both in Authorization and in the body, want one")
	case body != nil && body.Token != "":
		return body.Token, nil
	}
	kind, token, _ := strings.Cut(value, " ")
	if body != nil || !strings.EqualFold(kind, "Bearer") || token == "" {
		return "", newProblem(http.StatusUnprocessableEntity, "a token is needed: in the body, or without a body in Authorization: Bearer")
	}
	return token, nil
}
