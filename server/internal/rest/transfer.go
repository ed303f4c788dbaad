package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
)

// transferOperations registers how secrets come in and go out wrapped.
func (a *API) transferOperations(skin huma.API) {
	op := a.describes(skin, "transfer")
	huma.Register(skin, op("keys.import-params", http.MethodPost, "/v1/import-params", "Make a public key under which one secret can be imported", http.StatusCreated), a.importParams)
	huma.Register(skin, op("keys.export", http.MethodPost, "/v1/keys/{name}/export", "Wrap the secret of an exportable key to a recipient", http.StatusOK), a.exportKey)
	huma.Register(skin, op("recipients.add", http.MethodPost, "/v1/recipients", "Register the public key of a recipient", http.StatusCreated), a.addRecipient)
	huma.Register(skin, op("recipients.list", http.MethodGet, "/v1/recipients", "List recipients by name", http.StatusOK), a.listRecipients)
	huma.Register(skin, op("recipients.remove", http.MethodDelete, "/v1/recipients/{name}", "Forget the public key of a recipient", http.StatusNoContent), a.removeRecipient)
}

func (a *API) importParams(ctx context.Context, _ *struct{}) (*struct{ Body api.ImportParams }, error) {
	o, err := a.o.Keys.OfferImport(ctx, exchangeOf(ctx).caller)
	if fault.KindOf(err) == fault.Unavailable {
		exchangeOf(ctx).w.Header().Set("Retry-After", "5") // seconds: making a key takes some
	}
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return &struct{ Body api.ImportParams }{api.ImportParams(o)}, nil
}

type exportInput struct {
	Name string `path:"name" doc:"Name of the key."`
	Body api.ExportKey
}

func (a *API) exportKey(ctx context.Context, in *exportInput) (*struct{ Body api.ExportedKey }, error) {
	k, err := a.named(ctx, access.KeyExport, in.Name)
	if err != nil {
		return nil, err
	}
	e, err := a.o.Keys.Export(ctx, exchangeOf(ctx).caller, in.Name, in.Body.Recipient, in.Body.Version, in.Body.Context)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return &struct{ Body api.ExportedKey }{api.ExportedKey{
		Key: k.Name, KeyID: k.ID, Version: e.Version, Algorithm: k.Algorithm.String(), Recipient: in.Body.Recipient,
		Fingerprint: e.Fingerprint, Wrapping: "RSA-OAEP-SHA-256", Wrapped: e.Wrapped,
	}}, nil
}

func (a *API) addRecipient(ctx context.Context, in *struct{ Body api.AddRecipient }) (*struct{ Body api.Recipient }, error) {
	r, err := a.o.Keys.AddRecipient(ctx, exchangeOf(ctx).caller, in.Body.Name, in.Body.PublicKey)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return &struct{ Body api.Recipient }{recipientOf(r)}, nil
}

func recipientOf(r custody.Recipient) api.Recipient { return api.Recipient(r) }

func (a *API) listRecipients(ctx context.Context, _ *struct{}) (*struct{ Body api.RecipientList }, error) {
	list, err := a.o.Keys.Recipients(ctx, exchangeOf(ctx).caller)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out := api.RecipientList{Items: make([]api.Recipient, len(list))}
	for i, r := range list {
		out.Items[i] = recipientOf(r)
	}
	return &struct{ Body api.RecipientList }{out}, nil
}

type recipientInput struct {
	Name string `path:"name" doc:"Name of the recipient."`
}

func (a *API) removeRecipient(ctx context.Context, in *recipientInput) (*struct{}, error) {
	if err := a.o.Keys.RemoveRecipient(ctx, exchangeOf(ctx).caller, in.Name); err != nil {
		return nil, a.fails(ctx, err)
	}
	return nil, nil
}
