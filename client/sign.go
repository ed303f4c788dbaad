package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/sealwright/sealwright/api"
)

// segment returns a name as a part of a path. A name that would lead elsewhere
// is [ErrInvalid].
func segment(what, name string) (string, error) {
	if name == "" || strings.HasPrefix(name, ".") {
		return "", invalid("%s %q: want a name that does not begin with a dot", what, name)
	}
	return url.PathEscape(name), nil
}

// ofKey returns a call below a key.
func ofKey(op, method, key, below string) (call, error) {
	name, err := segment("key", key)
	return call{op: fmt.Sprintf("%s %q", op, key), method: method, path: "/v1/keys/" + name + below}, err
}

// Sign signs one message with a key. An empty message is signed too, if Message
// is not nil.
func (c *Client) Sign(ctx context.Context, key string, in api.Sign) (api.Signed, error) {
	var out api.Signed
	in.Message, in.Text = message(in.Message, in.Text)
	if len(in.Items) > 0 {
		return out, invalid("sign with key %q: several items are for SignBatch", key)
	}
	return out, c.use(ctx, "sign with key", key, "/sign", in, &out)
}

// SignBatch signs in.Items, at most 1,000, with one request, and returns as many
// results. An item that cannot be signed has an Error in its result, which is no
// error of the call.
func (c *Client) SignBatch(ctx context.Context, key string, in api.Sign) ([]api.Signed, error) {
	items := make([]api.SignItem, len(in.Items))
	for i, item := range in.Items {
		item.Message, item.Text = message(item.Message, item.Text)
		items[i] = item
	}
	if in.Items = items; len(items) == 0 {
		return nil, invalid("sign with key %q: there are no items", key)
	}
	var out api.SignedBatch
	if err := c.use(ctx, "sign with key", key, "/sign", in, &out); err != nil {
		return nil, err
	}
	return out.Items, asMany(len(out.Items), len(items))
}

// Verify checks one message. The error is nil exactly if the verdict is valid;
// it wraps [ErrNotValid] if the message is not authentic, and is an [*Error] if
// that is not known.
func (c *Client) Verify(ctx context.Context, key string, in api.Verify) (api.Verdict, error) {
	var out api.Verdict
	in.Message, in.Text = message(in.Message, in.Text)
	if len(in.Items) > 0 {
		return out, invalid("verify with key %q: several items are for VerifyBatch", key)
	}
	if err := c.use(ctx, "verify with key", key, "/verify", in, &out); err != nil {
		return api.Verdict{}, err
	}
	return out, notValid(out.Valid, out.Reason)
}

// VerifyBatch checks in.Items, at most 1,000, with one request, and returns as many
// verdicts. The error says nothing about them: only what is Valid is authentic.
func (c *Client) VerifyBatch(ctx context.Context, key string, in api.Verify) ([]api.Verdict, error) {
	items := make([]api.VerifyItem, len(in.Items))
	for i, item := range in.Items {
		item.Message, item.Text = message(item.Message, item.Text)
		items[i] = item
	}
	if in.Items = items; len(items) == 0 {
		return nil, invalid("verify with key %q: there are no items", key)
	}
	var out api.VerdictBatch
	if err := c.use(ctx, "verify with key", key, "/verify", in, &out); err != nil {
		return nil, err
	}
	return out.Items, asMany(len(out.Items), len(items))
}

// use calls an operation that may be done twice: a tag is always the same, and a
// verdict uses nothing up.
func (c *Client) use(ctx context.Context, op, key, below string, in, out any) error {
	q, err := ofKey(op, http.MethodPost, key, below)
	if err != nil {
		return err
	}
	q.in, q.out, q.repeat = in, out, repeatable
	return c.do(ctx, q)
}

// message makes a text of an empty message, which JSON would leave out.
func message(m []byte, text *string) ([]byte, *string) {
	if m != nil && len(m) == 0 && text == nil {
		return nil, new(string)
	}
	return m, text
}

// asMany checks the number of results, so that none is taken for that of
// another item.
func asMany(got, want int) error {
	if got != want {
		return fmt.Errorf("the server answers with %d results, want %d", got, want)
	}
	return nil
}

func notValid(valid bool, reason string) error {
	if valid {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrNotValid, reason)
}

// SignStream signs what r has, of any size, in constant memory. It is one
// attempt, since a part of r may have been read. If there is an error r may
// still be read for a moment, so it must not be used again. With a credential that signs requests r
// must be an [io.ReadSeeker], and is read twice.
func (c *Client) SignStream(ctx context.Context, key string, r io.Reader) (api.Signed, error) {
	var out api.Signed
	q, err := streamed("sign with key", key, "/sign", r)
	if err != nil {
		return out, err
	}
	q.out = &out
	return out, c.do(ctx, q)
}

// VerifyStream checks what r has against a signature in the standard form, as
// [Client.SignStream] reads it. The error is that of [Client.Verify].
func (c *Client) VerifyStream(ctx context.Context, key string, r io.Reader, signature string) (api.Verdict, error) {
	var out api.Verdict
	q, err := streamed("verify with key", key, "/verify", r)
	if err != nil {
		return out, err
	}
	if strings.ContainsFunc(signature, func(r rune) bool { return r < ' ' || r > '~' }) {
		return api.Verdict{Reason: "malformed"}, notValid(false, "malformed") // it cannot stand in a header
	}
	q.header.Set("Sealwright-Signature", signature)
	q.out = &out
	if err := c.do(ctx, q); err != nil {
		return api.Verdict{}, err
	}
	return out, notValid(out.Valid, out.Reason)
}

func streamed(op, key, below string, r io.Reader) (call, error) {
	q, err := ofKey(op, http.MethodPost, key, below)
	if err == nil && r == nil {
		err = invalid("%s: there is nothing to read", q.op)
	}
	q.header, q.stream, q.repeat = http.Header{"Content-Type": {"application/octet-stream"}}, r, never
	return q, err
}

// SignRequest signs a whole HTTP request under a scheme.
func (c *Client) SignRequest(ctx context.Context, in api.HTTPRequest) (api.SignedRequest, error) {
	var out api.SignedRequest
	return out, c.do(ctx, call{
		op: fmt.Sprintf("sign request with key %q", in.Key), method: http.MethodPost, path: "/v1/requests/sign",
		in: in, out: &out, repeat: repeatable,
	})
}

// VerifyRequest checks a whole HTTP request under a scheme. The error is that of
// [Client.Verify]. It is not repeated if there is no answer: a server that
// refuses replays could have seen the first one.
func (c *Client) VerifyRequest(ctx context.Context, in api.HTTPRequest) (api.RequestVerdict, error) {
	var out api.RequestVerdict
	err := c.do(ctx, call{
		op: fmt.Sprintf("verify request with key %q", in.Key), method: http.MethodPost, path: "/v1/requests/verify",
		in: in, out: &out,
	})
	if err != nil {
		return api.RequestVerdict{}, err
	}
	return out, notValid(out.Valid, out.Reason)
}
