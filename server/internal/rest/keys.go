package rest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/kms"
)

// keyInput names a key. Huma skips embedded types that are not exported, so
// the fields are repeated in each input.
type keyInput struct {
	Name string `path:"name" doc:"Name of the key."`
}

type keyAnswer struct {
	ETag     string `header:"ETag" doc:"Changes with every change of the key."`
	Location string `header:"Location"`
	Body     api.Key
}

// keyOperations registers the life of keys.
func (a *API) keyOperations(skin huma.API) {
	const keys, key = "/v1/keys", "/v1/keys/{name}"
	registry := skin.OpenAPI().Components.Schemas
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Tags: []string{"keys"},
			MaxBodyBytes: a.o.Limits.Body, Responses: map[string]*huma.Response{"default": anyProblem(registry)},
		}
	}
	huma.Register(skin, op("keys.create", http.MethodPost, keys, "Create or import a key", http.StatusCreated), a.createKey)
	huma.Register(skin, op("keys.list", http.MethodGet, keys, "List keys by name", http.StatusOK), a.listKeys)
	huma.Register(skin, op("keys.get", http.MethodGet, key, "Describe a key", http.StatusOK), a.getKey)
	huma.Register(skin, op("keys.delete", http.MethodDelete, key, "Delete a key: it neither signs nor verifies, and its name stays taken", http.StatusNoContent), a.deleteKey)
	huma.Register(skin, op("keys.reveal", http.MethodPost, key+"/reveal", "Return the secret of an exportable key", http.StatusOK), a.revealKey)
}

func (a *API) createKey(ctx context.Context, in *struct{ Body api.CreateKey }) (*keyAnswer, error) {
	x := exchangeOf(ctx)
	x.op.Key = loggableKey(in.Body.Name)
	from, err := readSource(&in.Body)
	if err != nil {
		return nil, err
	}
	given, err := a.materialOf(ctx, &in.Body)
	if err != nil {
		return nil, err
	}
	k, err := a.o.Keys.Create(ctx, x.caller, custody.CreateKey{
		Name: in.Body.Name, KeyID: in.Body.KeyID, Algorithm: in.Body.Algorithm,
		Exportable: in.Body.Exportable, Imported: in.Body.Material != nil || in.Body.Wrapped != nil, Material: given.Material, Purpose: in.Body.Purpose, AllowWeak: in.Body.AllowWeak,
		Offer: given.Offer, Native: readNative(in.Body.Native), Source: from,
	})
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	if from != nil {
		given.Material = copyOf(k)
	}
	answer := x.describe(k)
	if answer.Body.Warnings = a.weaknesses(given.Material); len(answer.Body.Warnings) > 0 {
		a.o.Log.Warn("imported a weak secret", "key", k.Name, "request_id", x.op.RequestID, "why", strings.Join(answer.Body.Warnings, "; "))
	}
	answer.Location = "/v1/keys/" + k.Name
	return answer, nil
}

// materialOf returns the secret to import, given in clear or wrapped.
func (a *API) materialOf(ctx context.Context, in *api.CreateKey) (custody.Import, error) {
	switch {
	case in.Wrapped == nil && in.ImportID == "":
		material, err := readMaterial(in.Material)
		return custody.Import{Material: material}, err
	case in.Wrapped == nil || in.ImportID == "" || in.Material != nil:
		return custody.Import{}, problemOf(invalid("body", "want either material, or both import_id and wrapped"))
	}
	wrapped, err := canon.Base64.DecodeString(*in.Wrapped)
	if err != nil {
		return custody.Import{}, problemOf(invalid("body.wrapped", "not padded base64"))
	}
	given, err := a.o.Keys.OpenImport(ctx, exchangeOf(ctx).caller, in.ImportID, wrapped)
	if err != nil {
		return given, a.fails(ctx, err)
	}
	return given, nil
}

// readMaterial decodes a secret to import. Nothing given means a random one; an
// empty text is no secret (attack A01).
func readMaterial(text *string) (secret.Bytes, error) {
	if text == nil {
		return secret.Bytes{}, nil
	}
	if *text == "" {
		return secret.Bytes{}, problemOf(invalid("body.material", "the secret is empty"))
	}
	raw, err := canon.Base64.DecodeString(*text)
	if err != nil {
		return secret.Bytes{}, problemOf(invalid("body.material", "not padded base64"))
	}
	defer clear(raw)
	return secret.New(raw), nil
}

// fewBytes is the length in bytes below which a secret can be guessed by who
// has much time.
const fewBytes = 16

// weaknesses returns what is to be said against an imported secret.
func (a *API) weaknesses(material secret.Bytes) []string {
	if material.IsZero() {
		return nil
	}
	var list []string
	if n := material.Len(); n < fewBytes {
		list = append(list, fmt.Sprintf("the secret has %d bytes, fewer than %d: it may be guessed", n, fewBytes))
	} else if bits := entropy(material); bits < fewBits {
		list = append(list, fmt.Sprintf("the secret is too regular: its bytes look like %.0f bits of chance, want %d: it may be guessed", bits, fewBits))
	}
	if a.o.Sample != nil {
		if id, ok := a.o.Sample(material); ok {
			list = append(list, fmt.Sprintf("the secret is a published sample, it stands in the examples of scheme %q: anybody can sign with it", id))
		}
	}
	return list
}

// describe returns k as the API shows it, and notes it for the log.
func (x *exchange) describe(k *custody.Key) *keyAnswer {
	x.op.Key, x.op.KeyID, x.op.Algorithm, x.op.Version = k.Name, k.ID, k.Algorithm.String(), k.Signing
	return &keyAnswer{ETag: etag(k), Body: keyOf(k)}
}

func etag(k *custody.Key) string { return etagOf(k.ETagVersion) }

func etagOf(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

func keyOf(k *custody.Key) api.Key {
	out := api.Key{
		Name: k.Name, KeyID: k.ID, Algorithm: k.Algorithm.String(), Exportable: k.Exportable, Purpose: k.Purpose, Schedule: scheduleOf(k.Schedule), Source: sourceOf(k.Source),
		Version: k.Signing, CreatedAt: k.CreatedAt.UTC(), Versions: make([]api.KeyVersion, len(k.Versions)),
	}
	if k.Native() {
		out.Construction = kms.Construction
	}
	for i, v := range k.Versions {
		out.Versions[i] = api.KeyVersion{
			Native: nativeOf(v.Native),

			Version: v.Version, State: string(k.State(v.Version)), CreatedAt: v.CreatedAt.UTC(), Signs: v.Signs, Bytes: v.Bytes,
			NotBefore: instantOf(v.NotBefore), NotAfter: instantOf(v.NotAfter), ActivatedAt: instantOf(v.ActivatedAt),
			RetiredAt: instantOf(v.RetiredAt), RevokedAt: instantOf(v.RevokedAt), DestroyAt: instantOf(v.DestroyAt), DestroyedAt: instantOf(v.DestroyedAt),
		}
	}
	return out
}

// instantOf returns nil for the zero time.
func instantOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

type listInput struct {
	Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most keys of the page."`
	Cursor  string `query:"cursor" doc:"next_cursor of the page before."`
	Deleted bool   `query:"deleted" doc:"List the deleted keys instead, which can be restored."`
}

func (a *API) listKeys(ctx context.Context, in *listInput) (*struct{ Body api.KeyList }, error) {
	x := exchangeOf(ctx)
	tenant := x.caller.Tenant
	after, err := a.openCursor(tenant, in.Cursor)
	if err != nil {
		return nil, err
	}
	list := a.o.Keys.List
	if in.Deleted {
		list = a.o.Keys.ListDeleted
	}
	page, next, err := list(x.caller, access.KeyRead, after, in.Limit)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out := api.KeyList{Items: make([]api.Key, len(page))}
	for i, k := range page {
		out.Items[i] = keyOf(k)
	}
	if next != "" {
		if out.NextCursor, err = a.sealCursor(tenant, next); err != nil {
			return nil, a.fails(ctx, err)
		}
	}
	return &struct{ Body api.KeyList }{out}, nil
}

type getInput struct {
	Name        string `path:"name" doc:"Name of the key."`
	IfNoneMatch string `header:"If-None-Match" doc:"Answer 304 if the ETag of the key is one of these."`
}

func (a *API) getKey(ctx context.Context, in *getInput) (*keyAnswer, error) {
	k, err := a.named(ctx, access.KeyRead, in.Name)
	if err != nil {
		return nil, err
	}
	if in.IfNoneMatch != "" && matches(in.IfNoneMatch, etag(k), true) {
		return nil, huma.ErrorWithHeaders(huma.Status304NotModified(), http.Header{"Etag": {etag(k)}})
	}
	answer := exchangeOf(ctx).describe(k)
	uses, err := a.o.Keys.Uses(ctx, k)
	if fault.KindOf(err) == fault.Unavailable { // the key is in memory
		answer.Body.UsesUnknown = true
		return answer, nil
	}
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	for i := range answer.Body.Versions {
		v := &answer.Body.Versions[i]
		u := uses[v.Version]
		v.Uses, v.LastUsedAt = u.Count, instantOf(u.LastAt)
	}
	return answer, nil
}

// named finds a key and notes it for the log.
func (a *API) named(ctx context.Context, action access.Action, name string) (*custody.Key, error) {
	x := exchangeOf(ctx)
	x.op.Key = loggableKey(name)
	k, err := a.o.Keys.Find(x.caller, action, name)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	x.describe(k)
	return k, nil
}

// matches reports whether the ETag current is in list, which is * or entity tags
// with commas (RFC 9110 section 13.1). Weak tags match only in a weak
// comparison.
func matches(list, current string, weak bool) bool {
	if strings.TrimSpace(list) == "*" {
		return true
	}
	for tag := range strings.SplitSeq(list, ",") {
		tag = strings.TrimSpace(tag)
		if weak {
			tag = strings.TrimPrefix(tag, "W/")
		}
		if tag == current {
			return true
		}
	}
	return false
}

// conditional finds a key that is to be changed and returns the version that
// it must still have then, 0 for any.
func (a *API) conditional(ctx context.Context, action access.Action, name, ifMatch string) (int64, error) {
	k, err := a.named(ctx, action, name)
	if unheard := problemOf(err).Status == http.StatusNotFound; unheard || err == nil && ifMatch != "" && !matches(ifMatch, etag(k), false) {
		// The caller may know of a change that another node has just made.
		if a.o.Keys.Refresh(ctx, exchangeOf(ctx).caller.Tenant, name) == nil {
			k, err = a.named(ctx, action, name)
		}
	}
	if err != nil {
		return 0, err
	}
	return ifVersion(ifMatch, "key", k.ETagVersion)
}

// ifVersion returns the version that a thing must still have when it is
// changed, 0 for any.
func ifVersion(ifMatch, thing string, version int64) (int64, error) {
	if ifMatch == "" || strings.TrimSpace(ifMatch) == "*" {
		return 0, nil
	}
	if !matches(ifMatch, etagOf(version), false) {
		return 0, newProblem(http.StatusPreconditionFailed, "the "+thing+" has changed: its ETag is not one of If-Match").
			at("header.If-Match", "does not match")
	}
	return version, nil
}

type changeInput struct {
	Name    string `path:"name" doc:"Name of the key."`
	IfMatch string `header:"If-Match" doc:"Do it only if the ETag of the key is one of these."`
}

func (a *API) deleteKey(ctx context.Context, in *changeInput) (*struct{}, error) {
	version, err := a.conditional(ctx, access.KeyDelete, in.Name, in.IfMatch)
	if err != nil {
		return nil, err
	}
	if err := a.o.Keys.Delete(ctx, exchangeOf(ctx).caller, in.Name, version); err != nil {
		return nil, a.fails(ctx, err)
	}
	return nil, nil
}

func (a *API) revealKey(ctx context.Context, in *keyInput) (*struct{ Body api.Revealed }, error) {
	if _, err := a.named(ctx, access.KeyReveal, in.Name); err != nil {
		return nil, err
	}
	revealed, err := a.o.Keys.Reveal(ctx, exchangeOf(ctx).caller, in.Name)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out := api.Revealed{Versions: make([]api.RevealedVersion, len(revealed))}
	for i, v := range revealed {
		out.Versions[i] = api.RevealedVersion{Version: v.Version, Material: v.Material.Expose()}
	}
	return &struct{ Body api.Revealed }{out}, nil
}
