package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/fault"
)

const (
	// maxRejectedHead is the most bytes that are kept of everything but the
	// body: method, URL, header, parameters, each with what it costs.
	maxRejectedHead = 16 << 10
	// valueCost is what a value of a header costs in memory beside its text.
	valueCost = 64
	// maxRejectedDetail is the most bytes that are kept of the detail.
	maxRejectedDetail = 512
)

// rejection is a request that was found not to be valid. It does not change
// once it is kept.
type rejection struct {
	id, tenant          string
	at, now             time.Time // when, and at which time it was verified
	scheme, key, keyID  string
	purpose             string // of the key
	params              scheme.Params
	reason, detail      string
	message             sealwright.Message
	bodyBytes           int  // length of the whole body
	hasHead, isComplete bool // what was kept
	number              uint64
}

// rejections keeps the last rejected requests in memory and nowhere else, at
// most keep of body + [maxRejectedHead] bytes and a few hundred more each.
type rejections struct {
	body int // bytes

	mu   sync.Mutex
	ring []*rejection // nil where nothing was kept yet
	next uint64       // number of the next one; the first is 0
}

func newRejections(keep, body int) *rejections {
	return &rejections{body: body, ring: make([]*rejection, keep)}
}

// add keeps e and lets go of the oldest one.
func (r *rejections) add(e rejection) {
	if len(r.ring) == 0 {
		return
	}
	e.bodyBytes = len(e.message.Body)
	e.detail = strings.Clone(e.detail[:min(len(e.detail), maxRejectedDetail)])
	e.hasHead = e.headCost() <= maxRejectedHead
	e.isComplete = e.hasHead && e.bodyBytes <= r.body
	switch {
	case !e.hasHead:
		e.message, e.params, e.keyID = sealwright.Message{}, nil, ""
	case !e.isComplete:
		e.message.Body = bytes.Clone(e.message.Body[:r.body])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e.number = r.next
	r.ring[r.next%uint64(len(r.ring))] = &e
	r.next++
}

func (e *rejection) headCost() int {
	n := len(e.message.Method) + len(e.message.Scheme) + len(e.message.Host) + len(e.message.Target) + len(e.keyID)
	for _, values := range []map[string][]string{e.message.Header, e.params} {
		for name, list := range values {
			n += len(name) + valueCost
			for _, v := range list {
				n += len(v) + valueCost
			}
		}
	}
	return n
}

// list returns up to limit rejections that f takes, the newest first, all of
// them older than the one with the number before.
func (r *rejections) list(before uint64, limit int, f func(*rejection) bool) []*rejection {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*rejection
	keep := uint64(len(r.ring))
	for n := min(before, r.next); n > 0 && r.next-n < keep && len(out) < limit; n-- {
		if e := r.ring[(n-1)%keep]; f(e) {
			out = append(out, e)
		}
	}
	return out
}

// get returns nil if there is no such rejection, or no longer.
func (r *rejections) get(id string, f func(*rejection) bool) *rejection {
	found := r.list(r.newest(), 1, func(e *rejection) bool { return e.id == id && f(e) })
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// newest returns a number above that of every rejection.
func (r *rejections) newest() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next
}

// visible returns which rejections the caller may see.
func visible(c access.Caller) func(*rejection) bool {
	return func(e *rejection) bool {
		return access.Allow(c, access.RequestDiagnose, access.Target{Tenant: e.tenant, Key: e.key, Purpose: e.purpose}) == nil
	}
}

// rejectionOperations registers the view of rejected requests.
func (a *API) rejectionOperations(skin huma.API) {
	registry := skin.OpenAPI().Components.Schemas
	op := func(id, path, summary string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Tags: []string{"doctor"},
			Responses: map[string]*huma.Response{"default": anyProblem(registry)},
		}
	}
	huma.Register(skin, op("rejections.list", "/v1/rejections", "List the last requests that were not valid, the newest first, without the requests themselves"), a.listRejections)
	huma.Register(skin, op("rejections.get", "/v1/rejections/{id}", "Show a request that was not valid"), a.getRejection)
}

// rejectionCursor stands before the number in a cursor. No name of a key
// begins so.
const rejectionCursor = "rejection/"

func (a *API) listRejections(ctx context.Context, in *rejectionListInput) (*struct{ Body api.RejectionList }, error) {
	x := exchangeOf(ctx)
	if err := access.AllowSome(x.caller, access.RequestDiagnose); err != nil {
		return nil, a.fails(ctx, err)
	}
	before := a.rejections.newest()
	after, err := a.openCursor(x.caller.Tenant, in.Cursor)
	if err != nil {
		return nil, err
	}
	if after != "" {
		text, ok := strings.CutPrefix(after, rejectionCursor)
		if before, err = strconv.ParseUint(text, 10, 64); !ok || err != nil {
			return nil, problemOf(invalid("query.cursor", "it is one of another list"))
		}
	}
	page := a.rejections.list(before, in.Limit+1, visible(x.caller))
	out := api.RejectionList{Keep: a.o.Limits.Rejections, Items: []api.Rejection{}}
	for _, e := range page[:min(len(page), in.Limit)] {
		out.Items = append(out.Items, e.summary())
	}
	if len(page) > in.Limit {
		last := rejectionCursor + strconv.FormatUint(page[in.Limit-1].number, 10)
		if out.NextCursor, err = a.sealCursor(x.caller.Tenant, last); err != nil {
			return nil, a.fails(ctx, err)
		}
	}
	return &struct{ Body api.RejectionList }{out}, nil
}

type rejectionListInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most rejections of the page."`
	Cursor string `query:"cursor" doc:"next_cursor of the page before."`
}

type rejectionInput struct {
	ID string `path:"id" doc:"Of the rejection." example:"5c0e9f3a1b2d-3f"`
}

func (a *API) getRejection(ctx context.Context, in *rejectionInput) (*struct{ Body api.Rejection }, error) {
	e, err := a.rejection(exchangeOf(ctx), in.ID)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	out := e.summary()
	if e.hasHead {
		r := api.Request(scheme.NewRequest(e.message))
		out.Request = &r
	}
	return &struct{ Body api.Rejection }{out}, nil
}

// rejection finds one that the caller may see and notes it for the log.
func (a *API) rejection(x *exchange, id string) (*rejection, error) {
	if err := access.AllowSome(x.caller, access.RequestDiagnose); err != nil {
		return nil, err
	}
	e := a.rejections.get(id, visible(x.caller))
	if e == nil {
		return nil, fault.New(fault.NotFound, "no rejection of this ID is kept: the server keeps the last %d", a.o.Limits.Rejections)
	}
	x.op.Key, x.op.Scheme = e.key, loggable(e.scheme)
	return e, nil
}

// summary returns e without the request.
func (e *rejection) summary() api.Rejection {
	return api.Rejection{
		ID: e.id, At: e.at.UTC(), Now: e.now.UTC(), Scheme: e.scheme, Key: e.key, KeyID: e.keyID, Params: shownParams(e.params),
		Reason: e.reason, Detail: e.detail, Bytes: e.bodyBytes, Complete: e.isComplete,
	}
}

// shownParams returns parameters in JSON, without the values of those that hold
// a secret, such as the token secret of OAuth 1.0.
func shownParams(p scheme.Params) json.RawMessage {
	if len(p) == 0 {
		return nil
	}
	shown := map[string][]string{}
	for name, values := range p {
		if strings.Contains(strings.ToLower(name), "secret") {
			values = []string{secret.Redacted}
		}
		shown[name] = values
	}
	text, err := json.Marshal(shown)
	if err != nil {
		return nil // texts can always be marshalled
	}
	return text
}

// incomplete says that a rejected request cannot be diagnosed.
func (e *rejection) incomplete() error {
	return problemOf(invalid("body.rejection", "the request was larger than what is kept, its body has %d bytes: give the request itself", e.bodyBytes))
}
