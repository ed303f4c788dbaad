package rest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/doctor"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
)

const (
	// maxDiagnoses is how many run at a time. Each may take a processor and
	// some megabytes for seconds, which signing must not feel.
	maxDiagnoses = 2
	// maxSecrets is the most versions of keys that one diagnosis tries.
	maxSecrets = 200
)

// doctorOperations registers the diagnosis of requests that do not verify.
func (a *API) doctorOperations(skin huma.API) {
	problem := anyProblem(skin.OpenAPI().Components.Schemas)
	busy := *problem
	busy.Description = "Other diagnoses are under way: try again after the seconds of Retry-After."
	busy.Headers = map[string]*huma.Param{"Retry-After": {Schema: &huma.Schema{Type: huma.TypeInteger}, Description: "In seconds."}}
	huma.Register(skin, huma.Operation{
		OperationID: "doctor", Method: http.MethodPost, Path: "/v1/doctor", Tags: []string{"doctor"},
		Summary: "Say why a request does not verify",
		Description: "Looks for the change of body, secret, URL, signed string, signature or clock that reproduces the received value, with the keys of the tenant. " +
			"The answer is for operators; it must not reach whoever sent the request, and never makes a request acceptable.",
		MaxBodyBytes: a.o.Limits.BatchBody,
		Responses:    map[string]*huma.Response{"503": &busy, "default": problem},
	}, a.diagnose)
	op := skin.OpenAPI().Paths["/v1/doctor"].Post
	op.RequestBody.Content["application/json"].Example = exampleQuestion
	op.Responses["200"].Content["application/json"].Example = exampleDiagnosis
}

// The example of docs/operate/api.md: that of GitHub's documentation, with a
// line end that was added on the way.
var (
	exampleQuestion = api.Diagnose{Scheme: "github", Key: "github-hook", Request: &api.Request{
		Method: "POST", URL: "https://example.com/hook", Body: "Hello, World!\r\n",
		Headers: map[string][]string{"X-Hub-Signature-256": {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}},
	}}
	exampleDiagnosis = api.Diagnosis{
		Verdict: "proven", Cause: "body.trailing_newline", Secret: "github-hook v1", Explanation: "Proven: the sender signed the body without the line break at its end.",
		Fix: "Sign exactly the bytes that are sent: echo and editors add a line feed (printf '%s', curl --data-binary @file).", Hypotheses: 353, Secrets: 1, Scheme: "github", Configured: "github-hook v1",
		Diff: &api.BytesDiff{Offset: 13, Signed: "Hello, World!", Seen: "Hello, World!\r\n", SignedBytes: 13, SeenBytes: 15},
	}
)

type diagnoseInput struct{ Body api.Diagnose }

func (a *API) diagnose(ctx context.Context, in *diagnoseInput) (*struct{ Body api.Diagnosis }, error) {
	x := exchangeOf(ctx)
	q, err := a.question(ctx, &in.Body)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	keys, err := a.suspects(ctx, q.key, in.Body.Keys)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	secrets, omitted := secretsOf(keys)
	if q.keyID == "" {
		q.keyID = keys[0].ID
	}
	select {
	case a.diagnoses <- struct{}{}:
		defer func() { <-a.diagnoses }()
	default:
		x.w.Header().Set("Retry-After", "1")
		return nil, newProblem(http.StatusServiceUnavailable, fmt.Sprintf("%d diagnoses are under way, which is the most at a time: try again", maxDiagnoses))
	}
	limited, cancel := context.WithTimeout(ctx, a.o.Limits.Diagnosis)
	defer cancel()
	d := a.o.Diagnose(limited, doctor.Input{
		Definition: q.definition, Params: q.params, Message: q.message, Secrets: secrets, KeyID: q.keyID, Now: q.now,
		PublicURL: in.Body.PublicURL, KnownHosts: in.Body.KnownHosts, Others: a.others,
	})
	x.op.Verdict, x.op.Cause, x.op.Hypotheses = string(d.Verdict), d.Cause, d.Hypotheses
	out := diagnosisOf(d)
	out.Scheme, out.Configured, out.Omitted, out.Rejection = q.definition.ID, secrets[0].Name, omitted, in.Body.Rejection
	return &struct{ Body api.Diagnosis }{out}, nil
}

// question is what a diagnosis is to look at, read and found.
type question struct {
	definition *scheme.Definition
	params     scheme.Params
	key, keyID string // as given; empty for the default
	now        time.Time
	message    sealwright.Message
}

// question joins what the body says with the rejection that it names; the body
// counts more.
func (a *API) question(ctx context.Context, in *api.Diagnose) (*question, error) {
	x := exchangeOf(ctx)
	if err := access.AllowSome(x.caller, access.RequestDiagnose); err != nil {
		return nil, err
	}
	q, id, clock := &question{}, "", a.o.Now
	switch {
	case in.Rejection == "" && in.Request == nil:
		return nil, invalid("body", "neither request nor rejection is given, want one of them")
	case in.Rejection != "" && in.Request != nil:
		return nil, invalid("body", "both request and rejection are given, want one of them")
	case in.Rejection != "":
		e, err := a.rejection(x, in.Rejection)
		if err != nil {
			return nil, err
		}
		if !e.isComplete {
			return nil, e.incomplete()
		}
		*q, id, clock = question{params: e.params, key: e.key, keyID: e.keyID, message: e.message}, e.scheme, func() time.Time { return e.now }
	}
	if in.Key != "" {
		q.key, q.keyID = in.Key, ""
	}
	if in.KeyID != "" {
		q.keyID = in.KeyID
	}
	if in.Scheme != "" {
		id = in.Scheme
	}
	return q, a.complete(x, q, id, in, clock)
}

// complete reads scheme, time and request into q.
func (a *API) complete(x *exchange, q *question, id string, in *api.Diagnose, clock func() time.Time) (err error) {
	if q.definition = a.o.Schemes[id]; q.definition == nil {
		return invalid("body.scheme", "%v", noScheme(id))
	}
	x.op.Scheme = id
	if len(in.Params) > 0 {
		if q.params, err = readParams(in.Params); err != nil {
			return err
		}
	}
	if _, err := q.definition.New(withPublicURL(q.definition, q.params, in.PublicURL)); err != nil {
		return invalid("body.params", "%v", err)
	}
	if q.now, err = readNow(in.Now, clock); err != nil {
		return invalid("body.now", "%v", err)
	}
	if in.Request != nil {
		if q.message, err = readMessage(in.Request); err != nil {
			return invalid("body.request", "%v", err)
		}
	}
	x.op.Bytes = int64(len(q.message.Body))
	return nil
}

// withPublicURL returns the parameters as the doctor will use them: the public
// URL stands in for the parameter of a scheme that has one.
func withPublicURL(d *scheme.Definition, p scheme.Params, url string) scheme.Params {
	if _, ok := d.Params["public_url"]; !ok || url == "" || len(p["public_url"]) > 0 {
		return p
	}
	all := scheme.Params{"public_url": {url}}
	maps.Copy(all, p)
	return all
}

// suspects returns the keys that may have signed, each once, the configured one
// first: the named one, then further names, or all others of the tenant that the
// caller may diagnose with.
func (a *API) suspects(ctx context.Context, name string, further []string) ([]*custody.Key, error) {
	x := exchangeOf(ctx)
	names := slices.Clone(further)
	if name != "" {
		names = slices.Insert(names, 0, name)
	}
	var keys []*custody.Key
	for _, n := range names {
		k, err := a.named(ctx, access.RequestDiagnose, n)
		if err != nil {
			return nil, err
		}
		if err := k.RefuseForeign(); err != nil {
			return nil, err
		}
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	for after, more := "", len(further) == 0; more; more = after != "" {
		page, next, err := a.o.Keys.List(x.caller, access.RequestDiagnose, after, custody.MaxList)
		if err != nil {
			return nil, err
		}
		for _, k := range page {
			if k.Name != name && !k.Native() {
				keys = append(keys, k)
			}
		}
		after = next
	}
	if len(keys) == 0 {
		return nil, invalid("body.key", "the tenant has no key: without a secret nothing can be tried")
	}
	x.describe(keys[0]) // for the log, after all that were looked up
	x.op.Version = 0
	return keys, nil
}

// secretsOf returns up to [maxSecrets] versions of keys and how many were left
// out. Of each key the version that signs is first, then the newest.
func secretsOf(keys []*custody.Key) (list []doctor.Secret, omitted int) {
	for _, k := range keys {
		versions := k.Ring.Keys()
		slices.SortFunc(versions, func(a, b keyring.Key) int { return cmp.Compare(precedence(k, b), precedence(k, a)) })
		for _, v := range versions {
			if len(list) == maxSecrets {
				omitted++
				continue
			}
			list = append(list, doctor.Secret{Name: fmt.Sprintf("%s v%d", k.Name, v.Version), Version: v.Version, Bytes: v.Secret})
		}
	}
	return list, omitted
}

// precedence is higher for versions that are to be tried earlier.
func precedence(k *custody.Key, v keyring.Key) int {
	if v.Version == k.Signing {
		return math.MaxInt
	}
	return v.Version
}

func diagnosisOf(d doctor.Diagnosis) api.Diagnosis {
	out := api.Diagnosis{
		Verdict: string(d.Verdict), Cause: d.Cause, Cause2: d.Cause2, Secret: d.Secret, Danger: d.Danger, Explanation: d.Explanation,
		Fix: d.Fix, Notes: d.Notes, Hypotheses: d.Hypotheses, Secrets: d.Secrets,
	}
	if d.Diff != nil {
		diff := api.BytesDiff(*d.Diff)
		out.Diff = &diff
	}
	return out
}
