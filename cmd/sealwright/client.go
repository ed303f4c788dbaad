package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealwright/sealwright/api"
	"github.com/sealwright/sealwright/cmd/sealwright/internal/terminal"
	"github.com/sealwright/sealwright/secret"
)

// Bounds of the talk with a server.
const (
	callTimeout = 30 * time.Second
	maxAnswer   = 16 << 20 // bytes
	maxToken    = 4 << 10  // bytes
)

// clientFlags say which server a command talks to.
type clientFlags struct {
	server    string
	tokenFile string
}

func (f *clientFlags) add(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.server, "server", "", "`URL` of the server (default $SEALWRIGHT_SERVER, else http://127.0.0.1:8470)")
	flags.StringVar(&f.tokenFile, "token-file", "./data/admin-token", "`FILE` with the admin token")
}

// client talks to one server.
type client struct {
	base  string
	token secret.Bytes
	http  *http.Client
}

func (f *clientFlags) client() (*client, error) {
	base := cmp.Or(f.server, os.Getenv("SEALWRIGHT_SERVER"), "http://127.0.0.1:8470")
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("server: got %q, want a URL such as http://127.0.0.1:8470", base)
	}
	token, err := readFile("token", f.tokenFile, maxToken)
	if err != nil {
		return nil, fmt.Errorf("%w; name the file that 'sealwright serve' has written with --token-file", err)
	}
	defer clear(token)
	text := bytes.TrimSpace(token)
	if len(text) == 0 || bytes.ContainsFunc(text, terminal.Steers) {
		return nil, fmt.Errorf("token in %s is empty or has more than one line", f.tokenFile)
	}
	return &client{
		base: strings.TrimSuffix(base, "/"), token: secret.New(text),
		// A redirect would carry the token to another place.
		http: &http.Client{Timeout: callTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// call sends in as JSON, nothing if it is nil, and reads the answer into out,
// unless that is nil. What the server refuses is a [refusedError].
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
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
	req.Header.Set("Authorization", "Bearer "+string(c.token.Expose()))
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return refusedError{fmt.Errorf("%w; start a server with 'sealwright serve', or name yours with --server", err)}
	}
	defer resp.Body.Close()
	answer, err := readAll("answer of "+c.base, resp.Body, maxAnswer)
	if err != nil {
		return refusedError{err}
	}
	if resp.StatusCode/100 != 2 {
		return refusedError{problemOf(resp, answer)}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return refusedError{fmt.Errorf("answer of %s is no sealwright answer: %w", c.base, err)}
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
		return errors.New(p.Error() + "; name the file with the right token with --token-file")
	}
	return &p
}
