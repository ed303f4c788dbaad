package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
)

// describes returns a function that describes operations with a tag.
func (a *API) describes(skin huma.API, tag string) func(id, method, path, summary string, status int) huma.Operation {
	registry := skin.OpenAPI().Components.Schemas
	return func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Tags: []string{tag},
			MaxBodyBytes: a.o.Limits.Body, Responses: map[string]*huma.Response{"default": anyProblem(registry)},
		}
	}
}

// lifeOperations registers what happens to keys and their versions.
func (a *API) lifeOperations(skin huma.API) {
	const key, version = "/v1/keys/{name}", "/v1/keys/{name}/versions/{version}/"
	op := a.describes(skin, "keys")
	huma.Register(skin, op("keys.rotate", http.MethodPost, key+"/rotate", "Add a version that signs; the one before it verifies for a grace period", http.StatusOK), a.rotateKey)
	huma.Register(skin, op("keys.schedule", http.MethodPost, key+"/schedule", "Rotate a key at times", http.StatusOK), a.scheduleKey)
	huma.Register(skin, op("keys.restore", http.MethodPost, key+"/restore", "Bring a deleted key back", http.StatusOK), a.restoreKey)
	keys := a.o.Keys
	for _, o := range []struct {
		id, path, summary string
		action            access.Action
		do                versionChange
	}{
		{"promote", "promote", "Let a pending version sign before all nodes are known to have it", access.KeyPromote, keys.Promote},
		{"revoke", "revoke", "Refuse a version for good, at once", access.KeyRevoke, keys.Revoke},
		{"retire", "retire", "Archive a version: it verifies nothing until it is restored", access.KeyRetire, keys.Retire},
		{"restore", "restore", "Let a retired version verify for another grace period", access.KeyRestore, keys.RestoreVersion},
		{"destroy", "destroy", "Begin the waiting period after which the secret of a retired or revoked version is removed", access.KeyDestroy, keys.Destroy},
		{"destroy.cancel", "destroy/cancel", "Break off the waiting period", access.KeyDestroy, keys.CancelDestroy},
	} {
		huma.Register(skin, op("versions."+o.id, http.MethodPost, version+o.path, o.summary, http.StatusOK),
			func(ctx context.Context, in *versionInput) (*keyAnswer, error) {
				return a.changeVersion(ctx, in, o.action, o.do)
			})
	}
}

type rotateInput struct {
	Name    string         `path:"name" doc:"Name of the key."`
	IfMatch string         `header:"If-Match" doc:"Do it only if the ETag of the key is one of these."`
	Body    *api.RotateKey `required:"false"`
}

func (a *API) rotateKey(ctx context.Context, in *rotateInput) (*keyAnswer, error) {
	etag, err := a.conditional(ctx, access.KeyRotate, in.Name, in.IfMatch) // first: it loads what another node has made
	if err != nil {
		return nil, err
	}
	before, err := a.named(ctx, access.KeyRotate, in.Name)
	if err != nil {
		return nil, err
	}
	var r custody.Rotation
	if b := in.Body; b != nil {
		r = custody.Rotation{RevokeCurrent: b.RevokeCurrent, Why: b.Why, Native: readNative(b.Native)}
		if b.At != nil {
			r.At = *b.At
		}
		if b.Grace != nil {
			grace, err := readDuration("body.grace", *b.Grace)
			if err != nil {
				return nil, err
			}
			r.Grace = &grace
		}
	}
	k, err := a.o.Keys.Rotate(ctx, exchangeOf(ctx).caller, in.Name, etag, r)
	answer, err := a.changed(ctx, k, err)
	if err == nil && answer.Body.Source != nil {
		answer.Body.Source.Unchanged = newest(before) == newest(k)
	}
	return answer, err
}

// changed answers with a key that was changed.
func (a *API) changed(ctx context.Context, k *custody.Key, err error) (*keyAnswer, error) {
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return exchangeOf(ctx).describe(k), nil
}

func readDuration(place, text string) (time.Duration, error) {
	d, err := api.ParseDuration(text)
	if err != nil {
		return 0, problemOf(invalid(place, "%v", err))
	}
	return d, nil
}

type scheduleInput struct {
	Name    string `path:"name" doc:"Name of the key."`
	IfMatch string `header:"If-Match" doc:"Do it only if the ETag of the key is one of these."`
	Body    api.Schedule
}

func (a *API) scheduleKey(ctx context.Context, in *scheduleInput) (*keyAnswer, error) {
	etag, err := a.conditional(ctx, access.KeyRotate, in.Name, in.IfMatch)
	if err != nil {
		return nil, err
	}
	var next *custody.Schedule
	if in.Body != (api.Schedule{}) {
		if next, err = readSchedule(in.Body); err != nil {
			return nil, err
		}
	}
	k, err := a.o.Keys.SetSchedule(ctx, exchangeOf(ctx).caller, in.Name, etag, next)
	return a.changed(ctx, k, err)
}

func readSchedule(b api.Schedule) (*custody.Schedule, error) {
	next := &custody.Schedule{Grace: -1}
	var err error
	if b.At != nil {
		next.At = *b.At
	}
	if b.Every != "" {
		if next.Every, err = readDuration("body.every", b.Every); err != nil {
			return nil, err
		}
	}
	if b.Grace != "" {
		if next.Grace, err = readDuration("body.grace", b.Grace); err != nil {
			return nil, err
		}
		if next.Grace < 0 {
			return nil, problemOf(invalid("body.grace", "got %v, want 0 or more", next.Grace))
		}
	}
	return next, nil
}

// scheduleOf returns nil for none.
func scheduleOf(s *custody.Schedule) *api.Schedule {
	if s == nil {
		return nil
	}
	out := &api.Schedule{At: instantOf(s.At), Grace: api.FormatDuration(s.Grace)}
	if s.Every > 0 {
		out.Every = api.FormatDuration(s.Every)
	}
	return out
}

type restoreInput struct {
	Name string             `path:"name" doc:"Name of the key."`
	Body *api.ChangeVersion `required:"false"`
}

func (a *API) restoreKey(ctx context.Context, in *restoreInput) (*keyAnswer, error) {
	x := exchangeOf(ctx)
	x.op.Key = loggable(in.Name)
	k, err := a.o.Keys.Restore(ctx, x.caller, in.Name, why(in.Body))
	return a.changed(ctx, k, err)
}

func why(b *api.ChangeVersion) string {
	if b == nil {
		return ""
	}
	return b.Why
}

// versionChange is one of the operations of [custody.Service] on a version.
type versionChange func(ctx context.Context, caller access.Caller, name string, etag int64, version int, why string) (*custody.Key, error)

type versionInput struct {
	Name    string             `path:"name" doc:"Name of the key."`
	Version int                `path:"version" minimum:"1"`
	IfMatch string             `header:"If-Match" doc:"Do it only if the ETag of the key is one of these."`
	Body    *api.ChangeVersion `required:"false"`
}

func (a *API) changeVersion(ctx context.Context, in *versionInput, action access.Action, do versionChange) (*keyAnswer, error) {
	etag, err := a.conditional(ctx, action, in.Name, in.IfMatch)
	if err != nil {
		return nil, err
	}
	k, err := do(ctx, exchangeOf(ctx).caller, in.Name, etag, in.Version, why(in.Body))
	return a.changed(ctx, k, err)
}
