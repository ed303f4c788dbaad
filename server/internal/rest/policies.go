package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/policy"
)

// policyOperations registers the policies of a tenant.
func (a *API) policyOperations(skin huma.API) {
	const all, one = "/v1/policies", "/v1/policies/{id}"
	op := a.describes(skin, "policies")
	create := op("policies.create", http.MethodPost, all, "Create a policy, or only check it", http.StatusCreated)
	create.Responses["200"] = &huma.Response{Description: "Of a dry run.", Content: map[string]*huma.MediaType{
		"application/json": {Schema: schemaOf[api.Policy](skin.OpenAPI().Components.Schemas)},
	}}
	huma.Register(skin, create, a.createPolicy)
	huma.Register(skin, op("policies.list", http.MethodGet, all, "List policies in the order in which they are asked", http.StatusOK), a.listPolicies)
	huma.Register(skin, op("policies.get", http.MethodGet, one, "Describe a policy, or one of its versions", http.StatusOK), a.getPolicy)
	huma.Register(skin, op("policies.set", http.MethodPut, one, "Make or replace a policy, or only check it", http.StatusOK), a.setPolicy)
	huma.Register(skin, op("policies.delete", http.MethodDelete, one, "Take a policy out of force", http.StatusNoContent), a.deletePolicy)
	huma.Register(skin, op("policies.versions", http.MethodGet, one+"/versions", "List the versions of a policy that are kept", http.StatusOK), a.policyVersions)
	huma.Register(skin, op("policies.rollback", http.MethodPost, one+"/rollback", "Bring an earlier version of a policy back into force", http.StatusOK), a.rollbackPolicy)
	huma.Register(skin, op("policies.explain", http.MethodPost, one+"/explain", "Say what a policy says about an operation, and why", http.StatusOK), a.explainPolicy)
}

type policyAnswer struct {
	Status   int
	ETag     string `header:"ETag" doc:"Changes with every change."`
	Location string `header:"Location"`
	Body     api.Policy
}

// policyOf leaves out the rules for a list.
func policyOf(p *policy.Policy, withRules bool) (api.Policy, error) {
	out := api.Policy{
		ID: p.ID, Version: p.Version, Count: len(p.Rules), UpdatedAt: p.UpdatedAt, UpdatedBy: p.UpdatedBy, Deleted: p.Deleted(),
	}
	if p.Trouble != nil {
		out.Trouble = p.Trouble.Error()
	}
	var err error
	if withRules {
		out.Rules, err = recast[[]api.PolicyRule](p.Rules)
	}
	return out, err
}

func (a *API) answerPolicy(ctx context.Context, p *policy.Policy, status int, dry bool) (*policyAnswer, error) {
	out, err := policyOf(p, true)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out.DryRun = dry
	answer := &policyAnswer{Status: status, ETag: etagOf(p.Version), Body: out}
	if status == http.StatusCreated {
		answer.Location = "/v1/policies/" + p.ID
	}
	return answer, nil
}

// recast returns v as a T, which has the same JSON.
func recast[T any](v any) (T, error) {
	var out T
	text, err := json.Marshal(v)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		err = d.Decode(&out)
	}
	if err != nil {
		return out, fault.New(fault.Internal, "the policy cannot be translated").Because(err)
	}
	return out, nil
}

// policyTerms reads the conditions of a change.
func policyTerms(ifMatch string, dry bool) (policy.Terms, error) {
	t := policy.Terms{DryRun: dry}
	text := strings.TrimSpace(ifMatch)
	if text == "" || text == "*" {
		return t, nil
	}
	n, err := strconv.ParseInt(strings.Trim(text, `"`), 10, 64)
	if err != nil || etagOf(n) != text {
		return t, newProblem(http.StatusPreconditionFailed, "If-Match is not the ETag of a policy").at("header.If-Match", "does not match")
	}
	t.IfVersion = n
	return t, nil
}

type createPolicyInput struct {
	DryRun bool `query:"dry_run" doc:"Check everything and store nothing."`
	Body   api.CreatePolicy
}

func (a *API) createPolicy(ctx context.Context, in *createPolicyInput) (*policyAnswer, error) {
	rules, err := recast[[]policy.Rule](in.Body.Rules)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	p, err := a.o.Policies.Set(ctx, exchangeOf(ctx).caller, in.Body.ID, rules, policy.Terms{IfVersion: policy.IfMissing, DryRun: in.DryRun})
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	status := http.StatusCreated
	if in.DryRun {
		status = http.StatusOK
	}
	return a.answerPolicy(ctx, p, status, in.DryRun)
}

func (a *API) listPolicies(ctx context.Context, _ *struct{}) (*struct{ Body api.PolicyList }, error) {
	list, err := a.o.Policies.List(exchangeOf(ctx).caller)
	return a.policyList(ctx, list, err)
}

func (a *API) policyList(ctx context.Context, list []*policy.Policy, err error) (*struct{ Body api.PolicyList }, error) {
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out := api.PolicyList{Items: make([]api.Policy, len(list))}
	for i, p := range list {
		out.Items[i], _ = policyOf(p, false) // fails for rules only
	}
	return &struct{ Body api.PolicyList }{out}, nil
}

type policyInput struct {
	ID string `path:"id" doc:"ID of the policy."`
}

type getPolicyInput struct {
	ID      string `path:"id" doc:"ID of the policy."`
	Version int64  `query:"version" minimum:"1" doc:"One of the versions that are kept; by default the one in force."`
}

func (a *API) getPolicy(ctx context.Context, in *getPolicyInput) (*policyAnswer, error) {
	caller := exchangeOf(ctx).caller
	if in.Version == 0 {
		p, err := a.o.Policies.Find(caller, in.ID)
		if err != nil {
			return nil, a.fails(ctx, err)
		}
		return a.answerPolicy(ctx, p, http.StatusOK, false)
	}
	list, err := a.o.Policies.Versions(ctx, caller, in.ID)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	for _, p := range list {
		if p.Version == in.Version {
			return a.answerPolicy(ctx, p, http.StatusOK, false)
		}
	}
	return nil, a.fails(ctx, fault.New(fault.NotFound, "policy %q has no version %d that is kept", in.ID, in.Version))
}

type setPolicyInput struct {
	ID      string `path:"id" doc:"ID of the policy."`
	IfMatch string `header:"If-Match" doc:"Do it only if this is the ETag of the policy."`
	DryRun  bool   `query:"dry_run" doc:"Check everything and store nothing."`
	Body    api.SetPolicy
}

func (a *API) setPolicy(ctx context.Context, in *setPolicyInput) (*policyAnswer, error) {
	terms, err := policyTerms(in.IfMatch, in.DryRun)
	if err != nil {
		return nil, err
	}
	rules, err := recast[[]policy.Rule](in.Body.Rules)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	p, err := a.o.Policies.Set(ctx, exchangeOf(ctx).caller, in.ID, rules, terms)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return a.answerPolicy(ctx, p, http.StatusOK, in.DryRun)
}

type deletePolicyInput struct {
	ID      string `path:"id" doc:"ID of the policy."`
	IfMatch string `header:"If-Match" doc:"Do it only if this is the ETag of the policy."`
}

func (a *API) deletePolicy(ctx context.Context, in *deletePolicyInput) (*struct{}, error) {
	terms, err := policyTerms(in.IfMatch, false)
	if err != nil {
		return nil, err
	}
	if err := a.o.Policies.Delete(ctx, exchangeOf(ctx).caller, in.ID, terms); err != nil {
		return nil, a.fails(ctx, err)
	}
	return nil, nil
}

func (a *API) policyVersions(ctx context.Context, in *policyInput) (*struct{ Body api.PolicyList }, error) {
	list, err := a.o.Policies.Versions(ctx, exchangeOf(ctx).caller, in.ID)
	return a.policyList(ctx, list, err)
}

type rollbackPolicyInput struct {
	ID      string `path:"id" doc:"ID of the policy."`
	IfMatch string `header:"If-Match" doc:"Do it only if this is the ETag of the policy."`
	DryRun  bool   `query:"dry_run" doc:"Check everything and store nothing."`
	Body    api.RollbackPolicy
}

func (a *API) rollbackPolicy(ctx context.Context, in *rollbackPolicyInput) (*policyAnswer, error) {
	terms, err := policyTerms(in.IfMatch, in.DryRun)
	if err != nil {
		return nil, err
	}
	p, err := a.o.Policies.Rollback(ctx, exchangeOf(ctx).caller, in.ID, in.Body.Version, terms)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return a.answerPolicy(ctx, p, http.StatusOK, in.DryRun)
}

type explainPolicyInput struct {
	ID   string `path:"id" doc:"ID of the policy."`
	Body api.PolicyInput
}

func (a *API) explainPolicy(ctx context.Context, in *explainPolicyInput) (*struct{ Body api.PolicyExplanation }, error) {
	d, outcomes, err := a.o.Policies.Explain(exchangeOf(ctx).caller, in.ID, policy.InputOf(in.Body))
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return &struct{ Body api.PolicyExplanation }{d.Explanation(outcomes)}, nil
}
