package rest_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/rest"
)

// rootKeys answers what it is told.
type rootKeys struct {
	status api.RootKeys
	done   api.Rewrapped
	err    error
	caller string
}

func (r *rootKeys) Status(_ context.Context, caller access.Caller) (api.RootKeys, error) {
	r.caller = caller.ID
	return r.status, r.err
}

func (r *rootKeys) Rewrap(_ context.Context, caller access.Caller) (api.Rewrapped, error) {
	r.caller = caller.ID
	return r.done, r.err
}

func TestRootKeys(t *testing.T) {
	uses := []api.RootKeyUse{{RootKey: "r1", DataKeys: 2}}
	r := &rootKeys{
		status: api.RootKeys{Provider: "local", RootKey: "r1", DataKeys: uses},
		done:   api.Rewrapped{Rewrapped: 2, RootKey: "r1", DataKeys: uses},
	}
	f := start(t, func(o *rest.Options) { o.Root = r })
	if diff := cmp.Diff(r.status, decode[api.RootKeys](t, f.must(t, "GET", "/v1/kms", ""))); diff != "" || r.caller != "admin" {
		t.Errorf("status for %q (-want +got):\n%s", r.caller, diff)
	}
	if diff := cmp.Diff(r.done, decode[api.Rewrapped](t, f.must(t, "POST", "/v1/kms/rewrap", ""))); diff != "" {
		t.Errorf("rewrap (-want +got):\n%s", diff)
	}
	r.err = fault.New(fault.Denied, "root.read is not allowed")
	refused(t, f.do(t, "GET", "/v1/kms", ""), 403, "denied", "root.read")
	r.err = fault.New(fault.Unavailable, "no answer")
	refused(t, f.do(t, "POST", "/v1/kms/rewrap", ""), 503, "unavailable", "no answer")
	refused(t, f.do(t, "GET", "/v1/kms/rewrap", ""), 405, "method-not-allowed", "POST")
	refused(t, f.do(t, "GET", "/v1/kms", "", "Authorization", ""), 401, "unauthorized", "token")

	refused(t, start(t, nil).do(t, "GET", "/v1/kms", ""), 404, "not-found", "no root keys")
}
