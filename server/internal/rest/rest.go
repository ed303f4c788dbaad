// Package rest is the HTTP API of the server.
//
// Control operations run on Huma, which checks their bodies and describes them
// in OpenAPI. Sign and verify are plain handlers with a decoder of their own,
// since they are called a hundred thousand times for each key that is made.
// Every error is a problem of RFC 9457; every request below /v1 is
// authenticated and decided about before its body is read, and is reported once
// as an [Operation].
//
// The package decides nothing about keys: it translates.
package rest

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/doctor"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/secret"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/cursor"
	"github.com/sealwright/sealwright/server/internal/custody"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/idempotency"
	"github.com/sealwright/sealwright/server/internal/limit"
	"github.com/sealwright/sealwright/server/internal/operation"
	"github.com/sealwright/sealwright/server/internal/policy"
	"github.com/sealwright/sealwright/server/internal/quota"
	"github.com/sealwright/sealwright/server/internal/reference"
	"github.com/sealwright/sealwright/server/internal/tenant"
)

// Limits bounds what one request may ask for. A field that is 0 means the
// default.
type Limits struct {
	Body      int64 // bytes of the body of a control operation; default 1 MiB
	BatchBody int64 // bytes of the JSON body of sign, verify and whole HTTP requests; default 16 MiB
	Items     int   // of a batch; default 1,000

	// Diagnosis is after which time one stops its search and says what it
	// found until there; a large body delays that. Default 2 seconds.
	Diagnosis time.Duration

	// Device is how long all calls of key services for native keys may take that
	// one request needs, without the time for its body. Default 60 seconds.
	Device time.Duration

	// Rejections is how many rejected requests are kept in memory; 0 means
	// none. RejectedBody is the size in bytes up to which their bodies are
	// kept; default 64 KiB.
	Rejections   int
	RejectedBody int64

	// Progress is how long a client may take for each 64 KiB of a body, and for
	// taking the answer; default 60 seconds.
	Progress time.Duration
}

func (l Limits) withDefaults() Limits {
	if l.Body == 0 {
		l.Body = 1 << 20
	}
	if l.BatchBody == 0 {
		l.BatchBody = 16 << 20
	}
	if l.Items == 0 {
		l.Items = 1000
	}
	if l.Diagnosis == 0 {
		l.Diagnosis = 2 * time.Second
	}
	if l.Device == 0 {
		l.Device = time.Minute
	}
	if l.RejectedBody == 0 {
		l.RejectedBody = 64 << 10
	}
	if l.Progress == 0 {
		l.Progress = time.Minute
	}
	return l
}

// Options are what [New] needs. The functions are called by many goroutines.
type Options struct {
	Keys *custody.Service
	Root RootKeys // nil means that there are none to show

	// Authenticate returns who sends a request. It may replace the body by one
	// whose Read returns an error of kind [fault.Denied] if it is not the one
	// that was signed. Errors are of kind [fault.Denied], whose text only the
	// log sees, [fault.Conflict] for a request that was sent before, and
	// [fault.Unavailable].
	Authenticate func(*http.Request) (access.Caller, error)

	// Exchange returns a token for that of an issuer, which came with the
	// request. Errors are those of Authenticate; nil means that there are no
	// issuers.
	Exchange func(r *http.Request, token string) (api.AccessToken, error)

	// Again returns a caller as it is now, when its body has taken long. Errors
	// are those of Authenticate. nil means that it stays as it was.
	Again func(access.Caller) (access.Caller, error)

	Tenants *tenant.Service // must not be nil

	Policies *policy.Service // must not be nil

	// Prepare decides whether an operation may use the key that it names, and
	// returns the key to use, which may be another one, with what the policy says.
	// Errors are those of [custody.Service.Find]; the refusal of a policy is of
	// kind [fault.Denied] with its decision, whose rule only the log sees. nil
	// means that access alone decides.
	Prepare func(context.Context, policy.Request) (*custody.Key, policy.Decision, error)

	// Claim uses up a message whose tag was verified, as [gate.Gate.Check] does,
	// under a rule that lacks the times. nil means that nothing is remembered, so
	// that every claim is refused.
	Claim func(ctx context.Context, now time.Time, r gate.Rule, m gate.Message) error

	// Schemes are the presets and those of the operator, by ID. They must not
	// change.
	Schemes map[string]*scheme.Definition

	// Sample returns the ID of a scheme in whose examples this secret stands,
	// and false if it is no published one; nil means that none is known.
	Sample func(secret.Bytes) (id string, ok bool)

	// Diagnose says why a request does not verify; nil means doctor.Diagnose.
	Diagnose func(context.Context, doctor.Input) doctor.Diagnosis

	// Limiter says how fast callers, keys, tenants and addresses may ask; nil
	// means that nothing is limited.
	Limiter *limit.Limiter

	// Quotas are the limits that can be read and changed; nil means none.
	Quotas *quota.Service

	// Answers keeps those to requests with an idempotency key; nil means that
	// such requests are refused.
	Answers *idempotency.Service

	Record  func(Operation)  // called once for each request below /v1
	Log     *slog.Logger     // for what the caller may not see; nil means slog.Default
	Metrics http.Handler     // of /metrics
	Ready   func() bool      // of /readyz
	Notice  func() string    // what /readyz says beside ok; nil or an empty text is nothing
	Cursors secret.Bytes     // of the tags of cursors, shared by all nodes; zero means a random one
	Usable  func() error     // why nothing is signed or verified now, for /readyz; nil means nothing
	Now     func() time.Time // nil means time.Now
	Version string           // of the program, for the OpenAPI document
	Limits  Limits
}

// API is the handler of the whole HTTP API. Get one from [New].
type API struct {
	o         Options
	mux       *http.ServeMux
	methods   map[string][]string // by path
	exchanges sync.Pool           // of *exchange
	requests  operation.IDs
	cursors   *cursor.Sealer
	schemes   schemeCache
	openAPI   []byte
	reference []byte   // a page made from it
	undecided []string // operations without an action

	others     []*scheme.Definition // all schemes, for the doctor
	diagnoses  chan struct{}        // has one element for each diagnosis under way
	rejections *rejections
}

// New returns the API. It returns an error if its own description cannot be
// made.
func New(o Options) (*API, error) {
	o.Limits = o.Limits.withDefaults()
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Prepare == nil {
		o.Prepare = func(_ context.Context, r policy.Request) (*custody.Key, policy.Decision, error) {
			k, err := o.Keys.Find(r.Caller, r.Action, r.Key)
			return k, policy.Decision{}, err
		}
	}
	if o.Root == nil {
		o.Root = noRootKeys{}
	}
	if o.Claim == nil {
		o.Claim = noClaims
	}
	if o.Diagnose == nil {
		o.Diagnose = doctor.Diagnose
	}
	cursors, err := cursor.New(o.Cursors)
	if err != nil {
		return nil, err
	}
	a := &API{
		o: o, mux: http.NewServeMux(), methods: map[string][]string{}, requests: operation.NewIDs(), cursors: cursors,
		schemes: schemeCache{definitions: o.Schemes}, diagnoses: make(chan struct{}, maxDiagnoses),
		rejections: newRejections(o.Limits.Rejections, int(o.Limits.RejectedBody)),
	}
	for _, id := range slices.Sorted(maps.Keys(o.Schemes)) {
		a.others = append(a.others, o.Schemes[id])
	}
	a.exchanges.New = func() any { return new(exchange) }
	a.handle(http.MethodPost, pathSign, "sign", (*API).sign)
	a.handle(http.MethodPost, pathVerify, "verify", (*API).verify)
	if err := a.control(); err != nil {
		return nil, err
	}
	if err := undecided(a.undecided); err != nil {
		return nil, err
	}
	a.open("/healthz", a.health)
	a.open("/readyz", a.ready)
	a.open("/metrics", o.Metrics.ServeHTTP)
	a.open("/openapi.json", a.describe)
	if a.reference, err = reference.Page(a.openAPI); err != nil {
		return nil, err
	}
	a.open("/docs", a.explain)
	a.refuseTheRest()
	return a, nil
}

const (
	pathSign   = "/v1/keys/{name}/sign"
	pathVerify = "/v1/keys/{name}/verify"
)

// handler does one operation. What it returns as an error is written as a
// problem.
type handler func(*API, *exchange) error

// handle routes a method of a path below /v1 to h.
func (a *API) handle(method, path, name string, h handler) {
	actions := operationActions[name]
	if len(actions) == 0 && name != opExchange && name != opMe {
		a.undecided = append(a.undecided, name)
	}
	a.methods[path] = append(a.methods[path], method)
	a.mux.HandleFunc(method+" "+path, a.operation(name, actions, once(method, name, h)))
}

// open routes GET of a path that needs no token to h.
func (a *API) open(path string, h http.HandlerFunc) {
	a.methods[path] = append(a.methods[path], http.MethodGet)
	a.mux.HandleFunc(http.MethodGet+" "+path, h)
}

// refuseTheRest answers other methods of the paths that exist, and all other
// paths. Below /v1 that too needs a token, so that the routes are nobody's
// business.
func (a *API) refuseTheRest() {
	for path, methods := range a.methods {
		h := func(_ *API, x *exchange) error { return wrongMethod(x.w, methods) }
		if strings.HasPrefix(path, "/v1/") {
			a.mux.HandleFunc(path, a.operation(unknownOperation, nil, h))
		} else {
			a.mux.HandleFunc(path, a.unlogged(h))
		}
	}
	a.mux.HandleFunc("/v1/", a.operation(unknownOperation, nil, noRoute))
	a.mux.HandleFunc("/v1", a.operation(unknownOperation, nil, noRoute))
	a.mux.HandleFunc("/", a.unlogged(noRoute))
}

func noRoute(*API, *exchange) error {
	return newProblem(http.StatusNotFound, "there is nothing at this path")
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p := r.URL.Path; !strings.HasPrefix(p, "/") || strings.Contains(p, "//") || strings.Contains(p, "/.") {
		a.unlogged(noRoute)(w, r) // the mux would redirect
		return
	}
	a.mux.ServeHTTP(w, r)
}

// unlogged answers without a token, and only with a problem.
func (a *API) unlogged(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x := a.exchanges.Get().(*exchange)
		defer a.put(x)
		x.begin(w, r, Operation{Start: a.o.Now()})
		a.fail(x, h(a, x))
	}
}

func (a *API) health(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") }

func (a *API) ready(w http.ResponseWriter, _ *http.Request) {
	if a.o.Ready != nil && !a.o.Ready() {
		w.Header().Set("Retry-After", "1")
		writeProblem(w, newProblem(http.StatusServiceUnavailable, "the server is starting or stopping"))
		return
	}
	if a.o.Usable != nil {
		if err := a.o.Usable(); err != nil {
			writeProblem(w, problemOf(err))
			return
		}
	}
	text := "ok\n"
	if a.o.Notice != nil {
		if notice := a.o.Notice(); notice != "" {
			text += notice + "\n"
		}
	}
	writeText(w, http.StatusOK, text)
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
