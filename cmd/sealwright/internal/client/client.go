// Package client calls a sealwright server for the command line: it puts into
// words what package client of the module says.
package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/client"
	"github.com/sealwright/sealwright/secret"
)

// Client talks to one server.
type Client struct{ c *client.Client }

// New returns a client of the server at base, an http or https URL. The
// credential is a bearer token, or [CredentialText] of one that signs requests.
// A tenant is named by operators only. A token is sent over https only, and to
// this machine.
func New(base, tenant string, credential secret.Bytes) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("server: got %q, want a URL such as http://127.0.0.1:8470", base)
	}
	c := &client.Client{URL: base, Tenant: tenant}
	if !credential.IsZero() {
		c.Credential = client.Static(credential)
	}
	if err := c.Check(context.Background()); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	return &Client{c}, nil
}

// CredentialText returns what is kept of a credential in a file: a token as it
// is, and the ID and the secret of one that signs with a colon between them.
func CredentialText(k api.Credential) string { return string(client.CredentialText(k).Expose()) }

// RefusedError is the error of a call that the server refused, or that did not
// reach it.
type RefusedError struct{ Err error }

// Error returns the text of the cause.
func (e RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e RefusedError) Unwrap() error { return e.Err }

// Call sends in as JSON, nothing if it is nil, and reads the answer into out,
// unless that is nil. What the server refuses is a [RefusedError].
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	err := c.c.Do(ctx, method, path, in, out)
	var e *client.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return RefusedError{explain(e)}
	case errors.Is(err, client.ErrInvalid), errors.Is(err, client.ErrPlaintext):
		return err
	}
	return RefusedError{err}
}

// explain says what can be done about a refusal.
func explain(e *client.Error) error {
	switch {
	case e.Status == 0:
		return fmt.Errorf("%w; start a server with 'sealwright serve', or name yours with --server", e)
	case e.Code == "":
		return fmt.Errorf("server answers %d %s", e.Status, http.StatusText(e.Status))
	case e.Status == http.StatusUnauthorized:
		return errors.New(e.Problem.Error() + "; name the file with the right token or credential with --token-file")
	case e.Status >= 500 && e.RequestID != "":
		return fmt.Errorf("%w; the log of the server says why, with request_id %s", &e.Problem, e.RequestID)
	}
	return &e.Problem
}
