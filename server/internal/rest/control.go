package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/reference"
)

// control registers the operations that run on Huma and makes the OpenAPI
// document of all of them.
func (a *API) control() error {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Sealwright", Version: a.o.Version,
				Description: "Signs and verifies messages with HMAC. Every error is a problem of RFC 9457.",
				License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token":       {Type: "http", Scheme: "bearer", Description: "The admin token, a credential of kind token, or a token of POST /v1/token. Only over TLS or from the same machine."},
					"signature":   {Type: "apiKey", In: "header", Name: "Signature", Description: signatureDoc},
					"certificate": {Type: "mutualTLS", Description: "A client certificate that a credential of kind certificate names."},
					"session":     {Type: "apiKey", In: "cookie", Name: "__Host-sealwright", Description: "Of a browser in which somebody has logged in at /login."},
				},
			},
			Security: []map[string][]string{{"token": {}}, {"signature": {}}, {"certificate": {}}, {"session": {}}},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{problems},

		RejectUnknownQueryParameters: true,
	}
	skin := huma.NewAPI(config, adapter{a, registry})
	a.keyOperations(skin)
	a.lifeOperations(skin)
	a.leaseOperations(skin)
	a.transferOperations(skin)
	a.rootOperations(skin)
	a.requestOperations(skin)
	a.doctorOperations(skin)
	a.rejectionOperations(skin)
	a.tenantOperations(skin)
	a.callerOperations(skin)
	a.credentialOperations(skin)
	a.roleOperations(skin)
	a.limitOperations(skin)
	a.policyOperations(skin)
	a.tokenOperations(skin)
	a.meOperation(skin)
	describeMessages(skin.OpenAPI())
	describeHeaders(skin.OpenAPI())
	describeErrors(skin.OpenAPI())
	for _, name := range []string{"ErrorModel", "ErrorDetail"} { // of Huma; ours is Problem
		delete(registry.Map(), name)
	}
	var err error
	a.openAPI, err = json.MarshalIndent(skin.OpenAPI(), "", "  ")
	return err
}

func (a *API) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/openapi+json")
	_, _ = w.Write(a.openAPI) // the client may be gone
}

// explain sends the reference for people.
func (a *API) explain(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", reference.Policy())
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(a.reference) // the client may be gone
}

// adapter lets Huma register its operations as [handler]s.
type adapter struct {
	a        *API
	registry huma.Registry
}

// Handle is that of [huma.Adapter].
func (ad adapter) Handle(op *huma.Operation, h func(huma.Context)) {
	limit, shape := op.MaxBodyBytes, names(nil)
	if op.RequestBody != nil {
		shape = namesOf(ad.registry, op.RequestBody.Content["application/json"].Schema)
	}
	op.MaxBodyBytes, op.BodyReadTimeout = -1, 0 // Huma reads from memory
	ad.a.handle(op.Method, op.Path, op.OperationID, func(a *API, x *exchange) error {
		if op.RequestBody != nil && (op.RequestBody.Required || x.r.ContentLength != 0) {
			if err := a.readJSON(x, limit, shape); err != nil {
				return err
			}
		}
		for _, name := range []string{"If-Match", "If-None-Match"} {
			if _, _, err := oneHeader(x.r.Header, name); err != nil {
				return err
			}
		}
		x.w.Header().Set("Cache-Control", "no-store")
		r := x.r.WithContext(context.WithValue(x.r.Context(), exchangeKey{}, x))
		r.Body = http.NoBody
		if len(x.body) > 0 && op.RequestBody != nil {
			r.Body = memory{bytes.NewReader(x.body)}
		}
		h(humago.NewContext(op, r, &statusWriter{x}))
		return nil
	})
}

// ServeHTTP is that of [huma.Adapter].
func (ad adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { ad.a.ServeHTTP(w, r) }

// memory is a body that was read already.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// readJSON reads a body that Huma will parse and refuses what is no strict JSON.
func (a *API) readJSON(x *exchange, limit int64, shape names) error {
	kind, err := kindOf(x.r.Header)
	if err != nil {
		return err
	}
	if kind != jsonBody {
		return newProblem(http.StatusUnsupportedMediaType, "this operation reads application/json")
	}
	if err := a.readBody(x, limit); err != nil {
		return err
	}
	if len(x.body) == 0 {
		return newProblem(http.StatusBadRequest, "a JSON body is needed")
	}
	x.r.Header.Set("Content-Type", "application/json")
	return checkJSON(x.body, shape)
}

type exchangeKey struct{}

// exchangeOf returns the exchange of an operation that runs on Huma.
func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// statusWriter notes the status in the exchange.
type statusWriter struct{ x *exchange }

func (s *statusWriter) Header() http.Header { return s.x.w.Header() }

func (s *statusWriter) Write(p []byte) (int, error) {
	if s.x.op.Status == 0 {
		s.WriteHeader(http.StatusOK)
	}
	return s.x.w.Write(p)
}

func (s *statusWriter) WriteHeader(status int) {
	s.x.op.Status = status
	tryAgain(s.x.w.Header(), status)
	s.x.w.WriteHeader(status)
}

// problems turns Huma's errors into ours. Huma repeats the rejected value, which
// may be a secret, in each of them.
func problems(ctx huma.Context, _ string, v any) (any, error) {
	x := exchangeOf(ctx.Context())
	switch v := v.(type) {
	case *problem:
		v.RequestID = x.op.RequestID
		x.op.Reason = v.Code
		return v, nil
	case *huma.ErrorModel:
		p := newProblem(v.Status, v.Detail)
		for _, e := range v.Errors {
			p.at(e.Location, e.Message)
		}
		p.RequestID = x.op.RequestID
		x.op.Reason = p.Code
		return p, nil
	}
	return v, nil
}

// fails returns err for Huma. Its cause goes to the log.
func (a *API) fails(ctx context.Context, err error) error {
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, p) {
		x := exchangeOf(ctx)
		a.o.Log.Error("operation failed", "op", x.op.Name, "request_id", x.op.RequestID, "error", err.Error())
	}
	return p
}

// anyProblem is the answer for errors in the OpenAPI document.
func anyProblem(r huma.Registry) *huma.Response {
	return &huma.Response{
		Description: "Any error.",
		Content:     map[string]*huma.MediaType{problemType: {Schema: schemaOf[api.Problem](r)}},
	}
}

func schemaOf[T any](r huma.Registry) *huma.Schema {
	t := reflect.TypeFor[T]()
	return r.Schema(t, true, t.Name())
}
