package client

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/secret"
)

// Keys has the operations on keys. Get one from [Client.Keys].
type Keys struct{ c *Client }

// Keys returns the operations on keys.
func (c *Client) Keys() Keys { return Keys{c} }

// Create makes a key. [ErrConflict] means that the name is taken, also by a key
// that was deleted.
func (k Keys) Create(ctx context.Context, in api.CreateKey) (api.Key, error) {
	var out api.Key
	return out, k.c.do(ctx, call{
		op: fmt.Sprintf("create key %q", in.Name), method: http.MethodPost, path: "/v1/keys", in: in, out: &out, repeat: keyed,
	})
}

// Import is [Keys.Create] with a secret from elsewhere, which goes to the server
// in clear within the connection.
func (k Keys) Import(ctx context.Context, in api.CreateKey, material secret.Bytes) (api.Key, error) {
	s, err := k.c.settings()
	if err != nil {
		return api.Key{}, err
	}
	if s.remote {
		return api.Key{}, fmt.Errorf("import key %q: %w", in.Name, errPlaintext("the secret would go"))
	}
	text := base64.StdEncoding.EncodeToString(material.Expose())
	in.Material = &text
	return k.Create(ctx, in)
}

// Get describes a key, with the last use of each version.
func (k Keys) Get(ctx context.Context, name string) (api.Key, error) {
	key, _, err := k.find(ctx, name, "")
	return key, err
}

// find is Get that also returns the ETag. If it is still etag the error is
// errNotModified.
func (k Keys) find(ctx context.Context, name, etag string) (api.Key, string, error) {
	var out api.Key
	var answer http.Header
	q, err := ofKey("get key", http.MethodGet, name, "")
	if err != nil {
		return out, "", err
	}
	if etag != "" {
		q.header = http.Header{"If-None-Match": {etag}}
	}
	q.out, q.answer, q.repeat = &out, &answer, repeatable
	err = k.c.do(ctx, q)
	return out, answer.Get("ETag"), err
}

// List returns all keys by name, page by page as they are read. An error is the
// last that it returns.
func (k Keys) List(ctx context.Context) iter.Seq2[api.Key, error] {
	return pages(func(cursor string) ([]api.Key, string, error) {
		var out api.KeyList
		err := k.c.do(ctx, call{
			op: "list keys", method: http.MethodGet, path: "/v1/keys" + pageQuery(cursor), out: &out, repeat: repeatable,
		})
		return out.Items, out.NextCursor, err
	})
}

// pageQuery asks for pages of 100.
func pageQuery(cursor string) string {
	q := url.Values{"limit": {"100"}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	return "?" + q.Encode()
}

func pages[T any](page func(cursor string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for cursor, more := "", true; more; more = cursor != "" {
			items, next, err := page(cursor)
			if err == nil && next != "" && next == cursor {
				err = errors.New("the server answers with the same page for ever")
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			cursor = next
		}
	}
}

// change makes a change that is done once, and returns the key after it.
func (k Keys) change(ctx context.Context, op, name, below string, in any) (api.Key, error) {
	var out api.Key
	q, err := ofKey(op, http.MethodPost, name, below)
	if err != nil {
		return out, err
	}
	q.in, q.out, q.repeat = in, &out, keyed
	return out, k.c.do(ctx, q)
}

// Rotate adds a version that signs, or will sign once all nodes have it.
// [ErrConflict] means that another rotation is under way.
func (k Keys) Rotate(ctx context.Context, name string, in api.RotateKey) (api.Key, error) {
	return k.change(ctx, "rotate key", name, "/rotate", in)
}

// Schedule rotates a key at times. The zero value of in ends that.
func (k Keys) Schedule(ctx context.Context, name string, in api.Schedule) (api.Key, error) {
	return k.change(ctx, "schedule key", name, "/schedule", in)
}

// Promote lets a pending version sign before all nodes are known to have it.
func (k Keys) Promote(ctx context.Context, name string, version int, why string) (api.Key, error) {
	return k.version(ctx, "promote", name, version, "promote", why)
}

// Revoke refuses a version for good, at once. The version that signs is revoked
// by [Keys.Rotate] with RevokeCurrent.
func (k Keys) Revoke(ctx context.Context, name string, version int, why string) (api.Key, error) {
	return k.version(ctx, "revoke", name, version, "revoke", why)
}

// Retire archives a version: it verifies nothing until [Keys.RestoreVersion].
func (k Keys) Retire(ctx context.Context, name string, version int, why string) (api.Key, error) {
	return k.version(ctx, "retire", name, version, "retire", why)
}

// RestoreVersion lets a retired version verify for another grace period.
func (k Keys) RestoreVersion(ctx context.Context, name string, version int, why string) (api.Key, error) {
	return k.version(ctx, "restore", name, version, "restore", why)
}

// Destroy begins the waiting period after which the secret of a version is
// removed.
func (k Keys) Destroy(ctx context.Context, name string, version int, why string) (api.Key, error) {
	return k.version(ctx, "destroy", name, version, "destroy", why)
}

// CancelDestroy breaks off the waiting period.
func (k Keys) CancelDestroy(ctx context.Context, name string, version int, why string) (api.Key, error) {
	return k.version(ctx, "cancel destruction of", name, version, "destroy/cancel", why)
}

func (k Keys) version(ctx context.Context, op, name string, version int, change, why string) (api.Key, error) {
	v := strconv.Itoa(version)
	return k.change(ctx, op+" version "+v+" of key", name, "/versions/"+v+"/"+change, api.ChangeVersion{Why: why})
}

// Delete lets a key neither sign nor verify. Its name stays taken.
func (k Keys) Delete(ctx context.Context, name string) error {
	q, err := ofKey("delete key", http.MethodDelete, name, "")
	if err != nil {
		return err
	}
	q.repeat = repeatable
	return k.c.do(ctx, q)
}

// Restore brings a deleted key back.
func (k Keys) Restore(ctx context.Context, name, why string) (api.Key, error) {
	return k.change(ctx, "restore key", name, "/restore", api.ChangeVersion{Why: why})
}

// Material is the secret of one version of a key.
type Material struct {
	Version int
	Secret  secret.Bytes
}

// Reveal returns the secrets of an exportable key, versions ascending.
// [ErrDenied] means that it is not exportable, or that the caller may not.
func (k Keys) Reveal(ctx context.Context, name string) ([]Material, error) {
	var out api.Revealed
	q, err := ofKey("reveal key", http.MethodPost, name, "/reveal")
	if err != nil {
		return nil, err
	}
	q.out, q.repeat, q.secret = &out, repeatable, true
	if err := k.c.do(ctx, q); err != nil {
		return nil, err
	}
	list := make([]Material, len(out.Versions))
	for i, v := range out.Versions {
		list[i] = Material{Version: v.Version, Secret: secret.New(v.Material)}
		clear(v.Material)
	}
	return list, nil
}

// Leases has the operations on leases. Get one from [Client.Leases].
type Leases struct{ c *Client }

// Leases returns the operations on leases.
func (c *Client) Leases() Leases { return Leases{c} }

// Create leases a short-lived key that is derived from a key, and returns it with
// its secret, which is shown only now. To sign with leases there is
// [LeaseSigner].
func (l Leases) Create(ctx context.Context, key string, in api.CreateLease) (api.Lease, secret.Bytes, error) {
	var out api.Lease
	q, err := ofKey("lease key", http.MethodPost, key, "/leases")
	if err != nil {
		return out, secret.Bytes{}, err
	}
	// Not with an Idempotency-Key, with which the server would keep the secret:
	// a lease that nobody got does no harm.
	q.in, q.out, q.repeat, q.secret = in, &out, repeatable, true
	if err := l.c.do(ctx, q); err != nil {
		return api.Lease{}, secret.Bytes{}, err
	}
	s := secret.New(out.Material)
	clear(out.Material)
	out.Material = nil
	return out, s, nil
}

// Get describes a lease.
func (l Leases) Get(ctx context.Context, key, id string) (api.Lease, error) {
	var out api.Lease
	q, err := ofLease("get lease of key", http.MethodGet, key, id, "")
	if err != nil {
		return out, err
	}
	q.out, q.repeat = &out, repeatable
	return out, l.c.do(ctx, q)
}

// List returns the leases of a key, also those that ended in the last days, as
// [Keys.List] does.
func (l Leases) List(ctx context.Context, key string) iter.Seq2[api.Lease, error] {
	return pages(func(cursor string) ([]api.Lease, string, error) {
		var out api.LeaseList
		q, err := ofKey("list leases of key", http.MethodGet, key, "/leases"+pageQuery(cursor))
		if err != nil {
			return nil, "", err
		}
		q.out, q.repeat = &out, repeatable
		err = l.c.do(ctx, q)
		return out.Items, out.NextCursor, err
	})
}

// Revoke refuses a lease from now on.
func (l Leases) Revoke(ctx context.Context, key, id string) error {
	q, err := ofLease("revoke lease of key", http.MethodDelete, key, id, "")
	if err != nil {
		return err
	}
	q.repeat = repeatable
	return l.c.do(ctx, q)
}

// Verify checks a tag by a lease. The error is that of [Client.Verify]. It is not
// repeated if there is no answer, since a use could be counted twice.
func (l Leases) Verify(ctx context.Context, key, id string, in api.VerifyLease) (api.LeaseVerdict, error) {
	var out api.LeaseVerdict
	in.Message, in.Text = message(in.Message, in.Text)
	q, err := ofLease("verify by lease of key", http.MethodPost, key, id, "/verify")
	if err != nil {
		return out, err
	}
	q.in, q.out = in, &out
	if err := l.c.do(ctx, q); err != nil {
		return api.LeaseVerdict{}, err
	}
	return out, notValid(out.Valid, out.Reason)
}

func ofLease(op, method, key, id, below string) (call, error) {
	name, err := segment("lease", id)
	if err != nil {
		return call{}, err
	}
	return ofKey(op, method, key, "/leases/"+name+below)
}
