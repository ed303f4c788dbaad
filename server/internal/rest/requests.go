package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright"
	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/canon"
	"github.com/sealwright/sealwright/catalogue"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/scheme"
	"github.com/sealwright/sealwright/server/internal/access"
	"github.com/sealwright/sealwright/server/internal/custody"
)

// requestOperations registers signing and verifying of whole HTTP requests.
func (a *API) requestOperations(skin huma.API) {
	registry := skin.OpenAPI().Components.Schemas
	op := func(id, path, summary string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: http.MethodPost, Path: path, Summary: summary, Tags: []string{"requests"},
			MaxBodyBytes: a.o.Limits.BatchBody, Responses: map[string]*huma.Response{"default": anyProblem(registry)},
		}
	}
	huma.Register(skin, op("requests.sign", "/v1/requests/sign", "Sign an HTTP request under a scheme"), a.signRequest)
	huma.Register(skin, op("requests.verify", "/v1/requests/verify", "Verify an HTTP request under a scheme; the answer is 200 whether it is valid or not"), a.verifyRequest)
}

type requestInput struct{ Body api.HTTPRequest }

// work is what a request for a scheme asks for, read and found.
type work struct {
	scheme  *compiled
	params  scheme.Params
	key     *custody.Key
	ring    *keyring.Ring
	now     time.Time
	message sealwright.Message
}

// read finds the key first: nothing is compiled for a key that is not there.
func (a *API) read(ctx context.Context, in *api.HTTPRequest, action access.Action) (*work, error) {
	x := exchangeOf(ctx)
	if err := in.Metadata.Check(); err != nil {
		return nil, problemOf(invalid("body.metadata", "%v", err))
	}
	x.op.Key, x.op.Metadata = loggableKey(in.Key), in.Metadata
	k, err := a.prepare(x, action, in.Key, in.Purpose, in.Metadata)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	x.op.Key, x.op.KeyID, x.op.Algorithm = k.Name, k.ID, k.Algorithm.String()
	if err := a.foreign(ctx, k); err != nil {
		return nil, err
	}
	if k, err = narrow(k, given(in.Purpose), given(in.Context)); err != nil {
		return nil, a.fails(ctx, err)
	}
	if err := a.takeKey(x, in.Key, 1); err != nil {
		return nil, a.fails(ctx, err)
	}
	w := &work{key: k, ring: k.Ring}
	if in.KeyID != "" {
		if w.ring, err = renamed(k, in.KeyID); err != nil {
			return nil, a.fails(ctx, err)
		}
	}
	if w.now, err = readNow(in.Now, a.o.Now); err != nil {
		return nil, problemOf(invalid("body.now", "%v", err))
	}
	if w.message, err = readMessage(&in.Request); err != nil {
		return nil, problemOf(invalid("body.request", "%v", err))
	}
	x.op.Bytes = int64(len(w.message.Body))
	if w.params, err = readParams(in.Params); err != nil {
		return nil, err
	}
	if w.scheme, err = a.schemes.get(in.Scheme, w.params); err != nil {
		return nil, problemOf(invalid("body.scheme", "%v", err))
	}
	x.op.Scheme = loggable(in.Scheme)
	return w, nil
}

// readParams reads the parameters of a scheme, nil for none.
func readParams(raw json.RawMessage) (scheme.Params, error) {
	var p scheme.Params
	if len(raw) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, problemOf(invalid("body.params", "want an object of texts, numbers, booleans and lists of them"))
	}
	return p, nil
}

// renamed returns the ring of k with another key ID in all its versions, the
// one that signs first.
func renamed(k *custody.Key, id string) (*keyring.Ring, error) {
	keys := k.Ring.Keys()
	for i := range keys {
		keys[i].ID = id
		if keys[i].Version == k.Signing {
			keys[0], keys[i] = keys[i], keys[0]
		}
	}
	return keyring.New(keys...)
}

// readNow reads Unix seconds or RFC 3339, clock for nothing.
func readNow(raw json.RawMessage, clock func() time.Time) (time.Time, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return clock(), nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			return t, nil
		}
	} else if f, err := strconv.ParseFloat(string(raw), 64); err == nil && f >= 0 && f < 1<<38 {
		return time.UnixMicro(int64(f * 1e6)), nil
	}
	return time.Time{}, errors.New("want Unix seconds or a time of RFC 3339, such as 2026-01-02T15:04:05Z")
}

func readMessage(r *api.Request) (sealwright.Message, error) {
	in := scheme.Request{Method: r.Method, URL: r.URL, Headers: r.Headers, Body: r.Body}
	if r.BodyBase64 == "" {
		return in.Message()
	}
	body, err := canon.Base64.DecodeString(r.BodyBase64)
	if err != nil {
		return sealwright.Message{}, errors.New("body_base64 is not padded base64")
	}
	if r.Body != "" {
		return sealwright.Message{}, errors.New("both body and body_base64 are given, want one of them")
	}
	m, err := in.Message()
	m.Body = body
	return m, err
}

func (a *API) signRequest(ctx context.Context, in *requestInput) (*struct{ Body api.SignedRequest }, error) {
	if in.Body.Claim {
		return nil, problemOf(invalid("body.claim", "only a message that is verified can be claimed"))
	}
	w, err := a.read(ctx, &in.Body, access.KeySign)
	if err != nil {
		return nil, err
	}
	signing, err := w.ring.Signing(w.now)
	if err != nil {
		return nil, problemOf(invalid("body.now", "%v", err))
	}
	signed, err := w.scheme.signer.SignRing(w.ring, w.message, w.now)
	if err != nil {
		return nil, problemOf(invalid("body.request", "%v", err))
	}
	w.key.Used(signing.Version)
	x := exchangeOf(ctx)
	x.op.Version, x.op.KeyID = signing.Version, loggable(signing.ID)
	r := scheme.NewRequest(signed)
	return &struct{ Body api.SignedRequest }{api.SignedRequest{
		Scheme: in.Body.Scheme, Key: w.key.Name, KeyID: signing.ID, Version: signing.Version, Request: api.Request(r),
	}}, nil
}

// rawVerdict is an api.RequestVerdict that is JSON already.
type rawVerdict struct{ json.RawMessage }

// Schema is that of [huma.SchemaProvider].
func (rawVerdict) Schema(r huma.Registry) *huma.Schema { return schemaOf[api.RequestVerdict](r) }

func (a *API) verifyRequest(ctx context.Context, in *requestInput) (*struct{ Body rawVerdict }, error) {
	if err := checkClaim(&in.Body); err != nil {
		return nil, err
	}
	w, err := a.read(ctx, &in.Body, access.KeyVerify)
	if err != nil {
		return nil, err
	}
	v, _ := w.scheme.verifier.VerifyRing(w.ring, w.message, w.now) // the verdict says it all
	if v.Valid {
		v = w.present(v)
	} else {
		v = w.blame(v)
	}
	if v.Reason == sealwright.ReasonMismatch || v.Reason == sealwright.ReasonUnknownKey {
		if err := w.key.Unsure(); err != nil {
			return nil, a.fails(ctx, err)
		}
	}
	x := exchangeOf(ctx)
	v, replayed, err := a.claim(ctx, &in.Body, w, v)
	if err != nil {
		tryLater(x.w.Header(), err)
		return nil, a.fails(ctx, err)
	}
	x.op.Outcome, x.op.Reason, x.op.Version = "valid", string(v.Reason), v.Version
	if !v.Valid {
		x.op.Outcome = "invalid"
		a.rejections.add(rejection{
			id: x.op.RequestID, tenant: w.key.Tenant, at: x.op.Start, now: w.now, scheme: in.Body.Scheme, key: w.key.Name, purpose: w.key.Purpose, keyID: in.Body.KeyID,
			params: w.params, reason: string(v.Reason), detail: v.Detail, message: w.message,
		})
	}
	if v.Algorithm.Valid() {
		x.op.Algorithm = v.Algorithm.String()
	}
	head := append(append([]byte(`{"key":"`), w.key.Name...), `",`...)
	if v.Valid {
		x.op.KeyID = loggable(v.KeyID)
		w.key.Used(v.Version)
		head = append(appendStanding(head, w.key, v.Version), ',')
	}
	if replayed != "" {
		head = append(append(append(head, `"replay":"`...), replayed...), `",`...)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, a.fails(ctx, err)
	}
	return &struct{ Body rawVerdict }{rawVerdict{append(head, text[1:]...)}}, nil
}

// given returns nil for an empty text.
func given(text string) []byte {
	if text == "" {
		return nil
	}
	return []byte(text)
}

// present returns the valid verdict v, or a refusal if the version that matched
// counts at the time that the request names and no longer now: whoever asks
// cannot choose a time at which a key was still good.
func (w *work) present(v sealwright.Verdict) sealwright.Verdict {
	state := w.key.State(v.Version)
	if state.Verifies() {
		return v
	}
	v.Valid, v.Reason = false, sealwright.ReasonUnknownKey
	v.Detail = fmt.Sprintf("version %d of key %q is %s", v.Version, w.key.Name, state)
	return v
}

// blame returns the verdict v with the reason of a revoked version, if one of
// those made the signature.
func (w *work) blame(v sealwright.Verdict) sealwright.Verdict {
	if v.Reason != sealwright.ReasonMismatch && v.Reason != sealwright.ReasonUnknownKey {
		return v
	}
	var keys []keyring.Key
	for _, k := range w.key.RevokedVersions() {
		known := *k
		if len(w.ring.Keys()) > 0 {
			known.ID = w.ring.Keys()[0].ID
		}
		keys = append(keys, known)
	}
	if len(keys) == 0 {
		return v
	}
	ring, err := keyring.New(keys...)
	if err != nil {
		return v
	}
	by, err := w.scheme.verifier.VerifyRing(ring, w.message, w.now)
	if err != nil {
		return v
	}
	v.Reason, v.Version, v.KeyID = custody.ReasonRevoked, by.Version, by.KeyID
	v.Detail = fmt.Sprintf("version %d of key %q is revoked", by.Version, w.key.Name)
	return v
}

// maxSchemes is how many compiled schemes are kept.
const maxSchemes = 64

// compiled is a scheme ready for use by many goroutines.
type compiled struct {
	signer   sealwright.Signer
	verifier sealwright.Verifier
}

// schemeCache keeps compiled schemes, since compiling one costs far more than
// using it. When it is full an arbitrary one gives way.
type schemeCache struct {
	definitions map[string]*scheme.Definition

	mu   sync.RWMutex
	kept map[string]*compiled // by ID and parameters in JSON
}

func (c *schemeCache) get(id string, p scheme.Params) (*compiled, error) {
	text, err := json.Marshal(p) // sorts the names
	if err != nil {
		return nil, err
	}
	name := id + "\x00" + string(text)
	c.mu.RLock()
	kept := c.kept[name]
	c.mu.RUnlock()
	if kept != nil {
		return kept, nil
	}
	d := c.definitions[id]
	if d == nil {
		return nil, noScheme(id)
	}
	s, err := d.New(p)
	if err != nil {
		return nil, err
	}
	made := &compiled{signer: sealwright.Signer{Scheme: s}, verifier: sealwright.Verifier{Scheme: s}}
	if len(name) > maxSchemeName {
		return made, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = map[string]*compiled{}
	}
	for old := range c.kept {
		if len(c.kept) < maxSchemes {
			break
		}
		delete(c.kept, old)
	}
	c.kept[name] = made
	return made, nil
}

// noScheme says why there is no scheme of this ID.
func noScheme(id string) error {
	if r, ok := catalogue.Refused(id); ok {
		return fmt.Errorf("there is no scheme %q: %s", id, r.Reason)
	}
	return fmt.Errorf("no scheme %q", loggable(id))
}

// maxSchemeName bounds the memory of the cache: longer parameters are compiled
// each time.
const maxSchemeName = 4096
