package rest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sealwright/sealwright/api"
)

// describeMessages adds sign and verify, which do not run on Huma, to the
// OpenAPI document.
func describeMessages(doc *huma.OpenAPI) {
	r := doc.Components.Schemas
	doc.AddOperation(&huma.Operation{
		OperationID: "sign", Method: http.MethodPost, Path: pathSign, Tags: []string{"messages"},
		Summary:     "Sign a message or a batch",
		Description: "A batch is answered with one result for each item, in order. A body of application/octet-stream is the message itself, of any size.",
		Parameters:  []*huma.Param{nameParam(), encodingParam("query", "encoding"), encodingParam("header", headerEncoding)},
		RequestBody: messageBody(schemaOf[api.Sign](r)),
		Responses:   answers(r, schemaOf[api.Signed](r), schemaOf[api.SignedBatch](r)),
	})
	doc.AddOperation(&huma.Operation{
		OperationID: "verify", Method: http.MethodPost, Path: pathVerify, Tags: []string{"messages"},
		Summary: "Verify a message or a batch; the answer is 200 whether it is valid or not",
		Description: "A batch is answered with one result for each item, in order. A body of application/octet-stream is the message itself, " +
			"of any size, with its tag or signature in a header.",
		Parameters: []*huma.Param{
			nameParam(), encodingParam("query", "encoding"), encodingParam("header", headerEncoding),
			{Name: headerTag, In: "header", Description: "Tag of a raw body.", Schema: &huma.Schema{Type: huma.TypeString}},
			{Name: headerSignature, In: "header", Description: "Signature of a raw body, instead of its tag.", Schema: &huma.Schema{Type: huma.TypeString}},
		},
		RequestBody: messageBody(schemaOf[api.Verify](r)),
		Responses:   answers(r, schemaOf[api.Verdict](r), schemaOf[api.VerdictBatch](r)),
	})
}

func nameParam() *huma.Param {
	return &huma.Param{Name: "name", In: "path", Required: true, Description: "Name of the key.", Schema: &huma.Schema{Type: huma.TypeString}}
}

func encodingParam(in, name string) *huma.Param {
	return &huma.Param{
		Name: name, In: in, Description: "Encoding of the tag beside a raw body, by default hex.",
		Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{"hex", "base64", "base64url"}},
	}
}

func messageBody(s *huma.Schema) *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json":         {Schema: s},
		"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}
}

func answers(r huma.Registry, one, batch *huma.Schema) map[string]*huma.Response {
	return map[string]*huma.Response{
		"200": {Description: "Of one message, or of a batch.", Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{OneOf: []*huma.Schema{one, batch}}},
		}},
		"default": anyProblem(r),
	}
}

const signatureDoc = "A credential of kind signature signs requests by RFC 9421 with hmac-sha256. The label is sealwright; " +
	"covered are @method, @target-uri and, if there is a body, content-digest (one sha-256), and each of content-type, idempotency-key, if-match, if-none-match and sealwright-* that the request has; created, nonce, keyid and tag=\"sealwright\" are required. " +
	"A signature is good once, for 300 seconds."

// describeHeaders adds the headers that all operations have, and those that can
// be repeated.
func describeHeaders(doc *huma.OpenAPI) {
	tenant := &huma.Param{
		Name: api.TenantHeader, In: "header", Description: "Tenant in which an operator acts; by default that of the caller.",
		Schema: &huma.Schema{Type: huma.TypeString},
	}
	key := &huma.Param{
		Name: headerIdempotencyKey, In: "header", Example: `"8e03978e-40d5-43dd-bc93-6894a57f9324"`,
		Description: "A text in quotation marks, new for each request that is meant once. A request that is sent again with it within 24 hours gets the answer of the first.",
		Schema:      &huma.Schema{Type: huma.TypeString, Pattern: `^"[ !#-\[\]-~]{1,255}"$`},
	}
	for _, op := range operations(doc) {
		if op.OperationID != opExchange { // has no caller yet
			op.Parameters = append(op.Parameters, tenant)
		}
		if repeatable(op.Method, op.OperationID) {
			op.Parameters = append(op.Parameters, key)
		}
	}
}

// describedErrors are the errors of operations, beside what "default" says.
var describedErrors = []struct {
	status int
	when   string
	of     func(*huma.Operation) bool
}{
	{http.StatusBadRequest, "the body is no JSON, or a member or a header stands twice", hasBody},
	{http.StatusUnauthorized, "no proof of who asks, or a wrong one", always},
	{http.StatusForbidden, "the caller may not do this", always},
	{http.StatusNotFound, "there is no such thing", func(op *huma.Operation) bool { return strings.Contains(op.Path, "{") }},
	{http.StatusConflict, "the name is taken, others change the same thing, or a request with the same Idempotency-Key is not done", changes},
	{http.StatusPreconditionFailed, "it has not the ETag of If-Match", func(op *huma.Operation) bool { return hasParam(op, "If-Match") }},
	{http.StatusRequestEntityTooLarge, "the body or the batch is too large", hasBody},
	{http.StatusUnsupportedMediaType, "the body has another media type, or a Content-Encoding", hasBody},
	{http.StatusUnprocessableEntity, "it is not what the operation asks for; errors name the place", always},
	{http.StatusTooManyRequests, "it is more than a limit allows; Retry-After and RateLimit say when to try again", always},
	{http.StatusServiceUnavailable, "it cannot be done now; Retry-After says when to try again", always},
}

func always(*huma.Operation) bool { return true }

func changes(op *huma.Operation) bool { return op.Method != http.MethodGet }

func hasBody(op *huma.Operation) bool { return op.RequestBody != nil }

func hasParam(op *huma.Operation, name string) bool {
	return slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == name })
}

// describeErrors says for every operation which errors there are, with the code
// of each in the problem.
func describeErrors(doc *huma.OpenAPI) {
	content := anyProblem(doc.Components.Schemas).Content
	for _, op := range operations(doc) {
		for _, e := range describedErrors {
			if status := strconv.Itoa(e.status); e.of(op) && op.Responses[status] == nil {
				op.Responses[status] = &huma.Response{Description: codes[e.status] + ": " + e.when + ".", Content: content}
			}
		}
	}
}

// operations returns all operations of doc by path and method.
func operations(doc *huma.OpenAPI) []*huma.Operation {
	var all []*huma.Operation
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Patch, item.Delete} {
			if op != nil {
				all = append(all, op)
			}
		}
	}
	return all
}
