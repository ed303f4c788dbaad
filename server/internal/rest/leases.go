package rest

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/policy"
	"github.com/sealwright/sealwright/server/internal/store"
)

// leaseOperations registers leases.
func (a *API) leaseOperations(skin huma.API) {
	const leases, lease = "/v1/keys/{name}/leases", "/v1/keys/{name}/leases/{id}"
	op := a.describes(skin, "leases")
	huma.Register(skin, op("leases.create", http.MethodPost, leases, "Lease a short-lived key, with which the holder signs", http.StatusCreated), a.createLease)
	huma.Register(skin, op("leases.list", http.MethodGet, leases, "List the leases of a key", http.StatusOK), a.listLeases)
	huma.Register(skin, op("leases.get", http.MethodGet, lease, "Describe a lease", http.StatusOK), a.getLease)
	huma.Register(skin, op("leases.revoke", http.MethodDelete, lease, "Revoke a lease", http.StatusNoContent), a.revokeLease)
	huma.Register(skin, op("leases.verify", http.MethodPost, lease+"/verify", "Verify a tag by a lease; the answer is 200 whether it is valid or not", http.StatusOK), a.verifyLease)
}

type leaseAnswer struct{ Body api.Lease }

type createLeaseInput struct {
	Name string `path:"name" doc:"Name of the key."`
	Body api.CreateLease
}

func (a *API) createLease(ctx context.Context, in *createLeaseInput) (*leaseAnswer, error) {
	k, err := a.leased(ctx, access.LeaseCreate, in.Name, in.Body.Purpose)
	if err != nil {
		return nil, err
	}
	ttl, err := readDuration("body.ttl", in.Body.TTL)
	if err != nil {
		return nil, err
	}
	l, s, err := a.o.Keys.Lease(ctx, exchangeOf(ctx).caller, in.Name, custody.LeaseTerms{TTL: ttl, MaxUses: in.Body.MaxUses, Purpose: in.Body.Purpose})
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out := a.leaseOf(k, l)
	out.Material = s.Expose()
	return &leaseAnswer{out}, nil
}

// leased prepares a key for a lease. A lease has no metadata and is of the key
// that was asked for: if the policy chooses another, there is none.
func (a *API) leased(ctx context.Context, action access.Action, name, purpose string) (*custody.Key, error) {
	x := exchangeOf(ctx)
	x.op.Key = loggableKey(name)
	k, err := a.prepare(x, action, name, purpose, nil)
	if err == nil && k.Name != name {
		x.op.Why = "a lease is of the key that was asked for, and the policy chooses another"
		err = policy.Refused()
	}
	if err == nil {
		err = a.takeKey(x, name, 1)
	}
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	x.describe(k)
	return k, nil
}

func (a *API) leaseOf(k *custody.Key, l store.Lease) api.Lease {
	return api.Lease{
		ID: l.ID, Key: l.Key, Version: l.Version, Algorithm: k.Algorithm.String(), Purpose: l.Purpose, State: string(l.StateAt(a.o.Now())),
		CreatedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt, RevokedAt: instantOf(l.RevokedAt), MaxUses: l.MaxUses, Used: l.Used,
	}
}

type listLeasesInput struct {
	Name   string `path:"name" doc:"Name of the key."`
	Limit  int    `query:"limit" minimum:"1" maximum:"999" default:"100" doc:"Most leases of the page."`
	Cursor string `query:"cursor" doc:"next_cursor of the page before."`
}

func (a *API) listLeases(ctx context.Context, in *listLeasesInput) (*struct{ Body api.LeaseList }, error) {
	k, err := a.named(ctx, access.LeaseRead, in.Name)
	if err != nil {
		return nil, err
	}
	after, err := a.openCursor(k.Tenant, in.Cursor)
	if err != nil {
		return nil, err
	}
	page, next, err := a.o.Keys.Leases(ctx, exchangeOf(ctx).caller, in.Name, after, in.Limit)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out := api.LeaseList{Items: make([]api.Lease, len(page))}
	if next != "" {
		if out.NextCursor, err = a.sealCursor(k.Tenant, next); err != nil {
			return nil, a.fails(ctx, err)
		}
	}
	for i, l := range page {
		out.Items[i] = a.leaseOf(k, l)
	}
	return &struct{ Body api.LeaseList }{out}, nil
}

type leaseInput struct {
	Name string `path:"name" doc:"Name of the key."`
	ID   string `path:"id" doc:"ID of the lease."`
}

func (a *API) getLease(ctx context.Context, in *leaseInput) (*leaseAnswer, error) {
	k, err := a.named(ctx, access.LeaseRead, in.Name)
	if err != nil {
		return nil, err
	}
	l, err := a.o.Keys.FindLease(ctx, exchangeOf(ctx).caller, in.Name, in.ID)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return &leaseAnswer{a.leaseOf(k, l)}, nil
}

func (a *API) revokeLease(ctx context.Context, in *leaseInput) (*struct{}, error) {
	if _, err := a.named(ctx, access.LeaseRevoke, in.Name); err != nil {
		return nil, err
	}
	if err := a.o.Keys.RevokeLease(ctx, exchangeOf(ctx).caller, in.Name, in.ID); err != nil {
		return nil, a.fails(ctx, err)
	}
	return nil, nil
}

type verifyLeaseInput struct {
	Name string `path:"name" doc:"Name of the key."`
	ID   string `path:"id" doc:"ID of the lease."`
	Body api.VerifyLease
}

func (a *API) verifyLease(ctx context.Context, in *verifyLeaseInput) (*struct{ Body api.LeaseVerdict }, error) {
	k, err := a.leased(ctx, access.KeyVerify, in.Name, in.Body.Purpose)
	if err != nil {
		return nil, err
	}
	message := in.Body.Message
	if (message == nil) == (in.Body.Text == nil) {
		return nil, problemOf(invalid("body", "want either message (base64) or text"))
	}
	if in.Body.Text != nil {
		message = []byte(*in.Body.Text)
	}
	x := exchangeOf(ctx)
	x.op.Bytes = int64(len(message))
	tag, err := canon.Hex.DecodeString(in.Body.Tag)
	if err != nil || len(tag) != k.Algorithm.Size() {
		tag = nil // verified all the same, so that the lease is found or not first
	}
	l, err := a.o.Keys.VerifyLease(ctx, x.caller, in.Name, in.ID, in.Body.Purpose, tag, message)
	reason := leaseReason(err)
	if err != nil && reason == "" {
		return nil, a.fails(ctx, err)
	}
	if tag == nil && reason == string(sealwright.ReasonMismatch) {
		reason, err = string(sealwright.ReasonMalformed), errors.New("tag is not the full tag in lower-case hex")
	}
	out := api.LeaseVerdict{Valid: err == nil, Reason: reason, Lease: a.leaseOf(k, l)}
	x.op.Outcome, x.op.Reason, x.op.Version = "valid", reason, l.Version
	if err != nil {
		x.op.Outcome, out.Detail = "invalid", err.Error()
	}
	return &struct{ Body api.LeaseVerdict }{out}, nil
}

// leaseReason returns the word for a refusal, empty for any other error.
func leaseReason(err error) string {
	switch {
	case errors.Is(err, custody.ErrLeaseExpired):
		return "lease-expired"
	case errors.Is(err, custody.ErrLeaseRevoked):
		return "lease-revoked"
	case errors.Is(err, custody.ErrLeaseUsedUp):
		return "lease-used-up"
	case errors.Is(err, sealwright.ErrMismatch):
		return string(sealwright.ReasonMismatch)
	}
	return ""
}
