// Package client calls a sealwright server for the command line.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/secret"
)

// Bounds of the talk with a server.
const (
	timeout   = 30 * time.Second
	maxAnswer = 16 << 20 // bytes
)

// Client talks to one server.
type Client struct {
	base   string
	tenant string       // empty for that of the caller
	token  secret.Bytes // empty if requests are signed
	http   *http.Client
}

// New returns a client of the server at base, an http or https URL. The
// credential is a bearer token, or [CredentialText] of one that signs requests.
// A tenant is named by operators only. A token is sent over https only, and to
// this machine.
func New(base, tenant string, credential secret.Bytes) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("server: got %q, want a URL such as http://127.0.0.1:8470", base)
	}
	c := &Client{
		base: strings.TrimSuffix(base, "/"), tenant: tenant, token: credential,
		// A redirect would carry the token to another place.
		http: &http.Client{Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	s, err := newSigner(credential)
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	if s != nil {
		c.token, c.http.Transport = secret.Bytes{}, s
	}
	if !c.token.IsZero() && u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, errors.New("server: a token would cross the network in clear: use https, or a credential that signs requests")
	}
	return c, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// RefusedError is the error of a call that the server refused, or that did not
// reach it.
type RefusedError struct{ Err error }

// Error returns the text of the cause.
func (e RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e RefusedError) Unwrap() error { return e.Err }

func refused(err error) error { return RefusedError{Err: err} }

// Call sends in as JSON, nothing if it is nil, and reads the answer into out,
// unless that is nil. What the server refuses is a [RefusedError].
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	if !c.token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+string(c.token.Expose()))
	}
	if c.tenant != "" {
		req.Header.Set(api.TenantHeader, c.tenant)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return refused(fmt.Errorf("%w; start a server with 'sealwright serve', or name yours with --server", err))
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		err = fmt.Errorf("more than %d MiB", maxAnswer>>20)
	}
	if err != nil {
		return refused(fmt.Errorf("answer of %s: %w", c.base, err))
	}
	if resp.StatusCode/100 != 2 {
		return refused(problemOf(resp, answer))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return refused(fmt.Errorf("answer of %s is no sealwright answer: %w", c.base, err))
	}
	return nil
}

// problemOf returns what the server says about a refusal.
func problemOf(resp *http.Response, answer []byte) error {
	var p api.Problem
	if err := json.Unmarshal(answer, &p); err != nil || p.Detail == "" {
		return fmt.Errorf("server answers %s", resp.Status)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		return errors.New(p.Error() + "; name the file with the right token or credential with --token-file")
	}
	if resp.StatusCode >= 500 && p.RequestID != "" {
		return fmt.Errorf("%w; the log of the server says why, with request_id %s", &p, p.RequestID)
	}
	return &p
}
